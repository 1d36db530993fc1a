"""Trains the model, writes the model folder, and measures it.

    python train.py --data ../../../../shared/data/icu2012 --out .. --test

Choices are made by cross-validation on the training table alone. `--test` opens the test table, once,
after everything is fixed; leave it out while you try things.
"""

import argparse
import hashlib
import json
import platform
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnxruntime
import sklearn

import card
import evaluate
import folder
import graph
from data import load, matrix, outcome
from fit import SEED, Settings, fit, out_of_fold, recalibration, sigmoid
from inputs import inputs

CANDIDATES = {
    "splines alone": Settings(boosted_share=0.0, bags=0),
    "boosting alone": Settings(boosted_share=1.0),
    "splines 0.6, boosting 0.4": Settings(),
    "the same, nothing hidden": Settings(hidden_weight=0.0),
}
# Observed to expected deaths that is allowed where measurements are hidden.
HIDDEN_RANGE = (0.8, 1.25)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of set-a.csv.gz and set-b-half.csv.gz")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--test", action="store_true", help="open the test table, once")
    arguments = parser.parse_args()

    table = load(arguments.data / "set-a.csv.gz")
    x, y = matrix(table), outcome(table)
    print(f"training: {len(y)} stays, {y.sum()} deaths, {x.shape[1]} inputs", flush=True)
    groups = measurement_columns()
    settings, logits, tried = choose(x, y, groups)
    intercept, slope = recalibration(logits, y)
    curves = fit(x, y, groups, settings).scaled(intercept, slope)

    metrics = {
        "model": f"{folder.NAME} {folder.VERSION}",
        "training": {
            "rows": len(y),
            "deaths": int(y.sum()),
            "sha256": sha256(arguments.data / "set-a.csv.gz"),
            "seed": SEED,
            "settings": asdict(settings),
            "recalibration": {"intercept": evaluate.rounded(intercept), "slope": evaluate.rounded(slope)},
            "software": {"python": platform.python_version(), "scikit-learn": sklearn.__version__, "onnxruntime": onnxruntime.__version__, "numpy": np.__version__},
        },
        "cross_validation": {"folds": 5, "candidates": tried},
        "inputs": describe(curves, x),
        "fewer_measurements": evaluate.fewer_measurements(curves, x, y, groups, (1, 2, 3, 4, 5, 6, 8, 10, 15), SEED, draws=3),
    }
    if arguments.test:
        metrics["test"] = test(arguments.data / "set-b-half.csv.gz", curves)
    write(arguments.out, curves, x, metrics)


def choose(x, y, groups):
    """Settings, their out-of-fold log-odds, and all results: of the candidates that stay calibrated
    when measurements are hidden, the one with the best Brier score."""
    tried, best = {}, None
    for name, settings in CANDIDATES.items():
        logits, hidden = out_of_fold(x, y, groups, replace(settings, bags=min(settings.bags, 2)))
        intercept, slope = recalibration(logits, y)
        measures = {
            "as_recorded": evaluate.scores(y, sigmoid(intercept + slope * logits)),
            "hidden": evaluate.scores(y, sigmoid(intercept + slope * hidden)),
        }
        tried[name] = {
            rows: {key: evaluate.rounded(values[key]) for key in ("auroc", "auprc", "brier", "observed_to_expected")}
            for rows, values in measures.items()
        }
        print(f"  {name}: {tried[name]}", flush=True)
        brier, ratio = measures["as_recorded"]["brier"], measures["hidden"]["observed_to_expected"]
        if HIDDEN_RANGE[0] <= ratio <= HIDDEN_RANGE[1] and (best is None or brier < best[0]):
            best = (brier, settings, logits)
    if best is None:
        raise SystemExit("no candidate stays calibrated when measurements are hidden")
    return best[1], best[2], tried


def measurement_columns():
    """The columns of each measurement."""
    groups = {}
    for at, item in enumerate(inputs()):
        if item.measurement:
            groups.setdefault(item.measurement.name, []).append(at)
    return list(groups.values())


def describe(curves, x):
    """What each input looked like in training and how much it moves the answer."""
    spread = curves.contributions(x).std(axis=0)
    listed = []
    for at, item in enumerate(inputs()):
        observed = x[~np.isnan(x[:, at]), at]
        deciles = np.quantile(observed, np.linspace(0, 1, 11)[1:-1])
        listed.append({
            "name": item.name,
            "missing_share": evaluate.rounded(1 - len(observed) / len(x)),
            "deciles": [evaluate.rounded(v, 3) for v in deciles],
            "contribution_sd": evaluate.rounded(spread[at]),
        })
    return listed


def test(path, curves):
    """Everything that is said about rows the model never saw."""
    table = load(path)
    x, y = matrix(table), outcome(table)
    probability = curves.probability(x)
    known = ((table["SAPS-I"] >= 0) & (table["SOFA"] >= 0)).to_numpy()
    saps, sofa = table["SAPS-I"].to_numpy(float)[known], table["SOFA"].to_numpy(float)[known]
    intervals = lambda measure, *columns: evaluate.with_intervals(measure, *columns, seed=SEED)
    return {
        "rows": len(y),
        "deaths": int(y.sum()),
        "sha256": sha256(path),
        "bootstrap_resamples": evaluate.RESAMPLES,
        "model": intervals(evaluate.scores, y, probability),
        "same_rows": {
            "rows": int(known.sum()),
            "model": intervals(evaluate.ranking, y[known], probability[known]),
            "SAPS-I": intervals(evaluate.ranking, y[known], saps),
            "SOFA": intervals(evaluate.ranking, y[known], sofa),
            "over_SAPS-I": evaluate.difference(y[known], probability[known], saps, SEED),
            "over_SOFA": evaluate.difference(y[known], probability[known], sofa, SEED),
        },
        "calibration": evaluate.calibration_plot(y, probability),
        "subgroups": evaluate.subgroups(table, y, probability, SEED),
        "decision_points": evaluate.decision_points(y, probability, (0.05, 0.1, 0.2, 0.3, 0.5)),
        "bands": folder.band_table(y, probability),
    }


def write(out, curves, x, metrics):
    """The model folder: graph, description, examples, metrics, card."""
    model = graph.build(curves, folder.NAME)
    encoded = model.SerializeToString(deterministic=True)
    (out / "model.onnx").write_bytes(encoded)
    description = folder.description(curves, hashlib.sha256(encoded).hexdigest(), metrics)
    dump(out / "model.json", description)
    dump(out / "examples.json", folder.examples(encoded, curves, x, SEED))
    dump(out / "metrics.json", metrics)
    if "test" in metrics:
        (out / "card.md").write_text(card.write(description, metrics))
    print(json.dumps(metrics.get("test", {}).get("model", "test table not opened"), indent=1))


def dump(path, content):
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
