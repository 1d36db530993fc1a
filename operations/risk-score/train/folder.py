"""model.json and examples.json."""

import numpy as np
import onnxruntime

import evaluate
from inputs import LOINC, inputs

NAME = "icu-mortality"
VERSION = "1.0.0"
RISK = "http://terminology.hl7.org/CodeSystem/risk-probability"
# The limits are those that the definitions of the codes imply: "more likely than not" is one half.
BANDS = (("negligible", "Negligible likelihood", 0.01), ("low", "Low likelihood", 0.1), ("moderate", "Moderate likelihood", 0.5), ("high", "High likelihood", None))
MINIMUM = 5


def description(curves, digest, metrics):
    """model.json."""
    return {
        "schema": "https://salus.example/fhir/model-folder/1",
        "name": NAME,
        "version": VERSION,
        "title": "Death in hospital after ICU admission",
        "description": "Probability that an adult dies in hospital, from the first 48 hours of an intensive care stay: an additive model of vital signs, laboratory values and age.",
        "operation": "risk-score",
        "default": True,
        "onnx": {"file": "model.onnx", "sha256": digest},
        "method": {"text": f"Additive logistic model ({NAME} {VERSION}): one curve an input, summed in log-odds"},
        "outcome": {"coding": [{"system": "http://snomed.info/sct", "code": "419099009", "display": "Dead"}], "text": "Death in hospital"},
        "horizon": "Death before discharge from hospital, judged from the first 48 hours of an intensive care stay.",
        "population": {"text": "adults in the first 48 hours of an intensive care stay", "minimum_age": 16},
        "window": {"anchor": "icu-stay", "hours": 48},
        "inputs": [describe(item, at, curves) for at, item in enumerate(inputs())],
        "minimum": {"measurements": MINIMUM, "rationale": minimum_rationale(metrics)},
        "outputs": {"probability": "probability", "contributions": "contributions", "baseline": "baseline"},
        "bands": [band(*b) for b in BANDS],
        "bands_rationale": "Limits follow the definitions of the HL7 codes (high: more likely to happen than not). They are words for a probability, not thresholds to act on.",
        "citation": [
            "Silva I, Moody G, Scott DJ, Celi LA, Mark RG. Predicting in-hospital mortality of ICU patients: the PhysioNet/Computing in Cardiology Challenge 2012. Computing in Cardiology 2012;39:245-248.",
            "Goldberger AL, et al. PhysioBank, PhysioToolkit, and PhysioNet. Circulation 2000;101(23):e215-e220.",
        ],
        "license": "Apache-2.0",
    }


def band(code, display, below):
    limit = {} if below is None else {"below": below}
    return {"coding": {"system": RISK, "code": code, "display": display}, **limit}


def describe(item, at, curves):
    missing = {"policy": "learned", "contribution": round(float(curves.missing[at]), 6)}
    listed = {"name": item.name, "display": item.display, "source": item.source}
    if item.source == "age":
        return {**listed, "codes": [{"system": LOINC, "code": "30525-0"}], "unit": "a", "plausible": [0, 130], "missing": missing}
    if item.source == "sex-male":
        return {**listed, "codes": [{"system": LOINC, "code": "46098-0"}], "unit": "1", "plausible": [0, 1], "missing": missing}
    measurement = item.measurement
    listed["codes"] = [code(measurement, c) for c in measurement.codes]
    if measurement.alternatives:
        listed["alternatives"] = [code(measurement, c) for c in measurement.alternatives]
    return {**listed, "unit": measurement.unit, "aggregation": item.aggregation, "plausible": list(measurement.plausible), "missing": missing}


def code(measurement, value):
    listed = {"system": LOINC, "code": value}
    if value in measurement.molar_mass:
        listed["molar_mass"] = measurement.molar_mass[value]
    if measurement.valence:
        listed["valence"] = measurement.valence
    return listed


def minimum_rationale(metrics):
    row = next(r for r in metrics["fewer_measurements"] if r["measurements"] == MINIMUM)
    return f"With {MINIMUM} of the measurements, drawn at random, the AUROC on the training rows is {row['auroc']:.2f}; below that the answer is little more than age."


def band_table(y, probability):
    """How many fall into each band, and how many of them died."""
    listed, low = [], 0.0
    for name, _, below in BANDS:
        rows = (probability >= low) & (probability < (below or 2.0))
        low = below or 2.0
        n = int(rows.sum())
        interval = evaluate.wilson(y[rows].sum(), n) if n else (0.0, 1.0)
        listed.append({"band": name, "rows": n, "deaths": int(y[rows].sum()), "low": evaluate.rounded(interval[0]), "high": evaluate.rounded(interval[1])})
    return listed


def examples(encoded, curves, x, seed, rows=32):
    """examples.json: invented rows, and what ONNX Runtime says of them.

    No row of the data is used: values are drawn for each input on its own between its 1st and 99th
    percentile, some left out. Then come the corners: nothing known, everything on a knot, and everything
    beyond the ends of the curves.
    """
    rng = np.random.default_rng(seed)
    low, high = np.nanquantile(x, 0.01, axis=0), np.nanquantile(x, 0.99, axis=0)
    drawn = rng.uniform(low, high, (rows, x.shape[1]))
    drawn = np.round(drawn, 2)
    drawn[rng.random(drawn.shape) < rng.uniform(0, 0.8, (rows, 1))] = np.nan
    drawn[0] = np.nan
    drawn[1] = [k[len(k) // 2] for k in curves.knots]
    drawn[2] = [k[0] - 1 for k in curves.knots]
    drawn[3] = [k[-1] + 1 for k in curves.knots]
    given = drawn.astype(np.float32)
    session = onnxruntime.InferenceSession(encoded, providers=["CPUExecutionProvider"])
    probability, contributions, baseline = session.run(["probability", "contributions", "baseline"], {"inputs": given})
    check(curves, given, probability, contributions, baseline)
    number = lambda v: None if np.isnan(v) else float(v)
    return {
        "runtime": f"onnxruntime {onnxruntime.__version__}",
        "rows": [
            {
                "inputs": [number(v) for v in given[i]],
                "probability": float(probability[i, 0]),
                "contributions": [float(v) for v in contributions[i]],
                "baseline": float(baseline[0]),
            }
            for i in range(rows)
        ],
    }


def check(curves, given, probability, contributions, baseline):
    """The graph says what the curves say."""
    double = given.astype(float)
    assert np.abs(contributions - curves.contributions(double)).max() < 1e-4
    assert np.abs(probability[:, 0] - curves.probability(double)).max() < 1e-5
    total = baseline[0] + contributions.astype(float).sum(axis=1)
    logit = np.log(probability[:, 0].astype(float) / (1 - probability[:, 0].astype(float)))
    inner = (probability[:, 0] > 1e-4) & (probability[:, 0] < 1 - 1e-4)
    assert np.abs(total - logit)[inner].max() < 1e-4
