"""How good the predictions are, with intervals."""

import numpy as np
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from fit import recalibration, sigmoid

RESAMPLES = 2000


def scores(y, probability):
    """Discrimination and calibration of probabilities."""
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    logit = np.log(clipped / (1 - clipped))
    intercept, slope = recalibration(logit, y)
    return {
        "auroc": roc_auc_score(y, probability),
        "auprc": average_precision_score(y, probability),
        "brier": brier_score_loss(y, probability),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        "observed_to_expected": float(y.mean() / probability.mean()),
    }


def ranking(y, score):
    """Discrimination alone, for scores that are no probabilities."""
    return {"auroc": roc_auc_score(y, score), "auprc": average_precision_score(y, score)}


def with_intervals(measure, y, *columns, seed, resamples=RESAMPLES):
    """Each measure with its 95% bootstrap interval over patients."""
    point = measure(y, *columns)
    rng = np.random.default_rng(seed)
    drawn = {name: [] for name in point}
    while len(drawn[next(iter(point))]) < resamples:
        rows = rng.integers(0, len(y), len(y))
        if 0 < y[rows].sum() < len(rows):
            for name, value in measure(y[rows], *[c[rows] for c in columns]).items():
                drawn[name].append(value)
    return {
        name: {"value": rounded(value), "low": rounded(np.quantile(drawn[name], 0.025)), "high": rounded(np.quantile(drawn[name], 0.975))}
        for name, value in point.items()
    }


def difference(y, ours, theirs, seed):
    """AUROC of ours over another score on the same rows."""
    return with_intervals(lambda y, a, b: {"auroc_difference": roc_auc_score(y, a) - roc_auc_score(y, b)}, y, ours, theirs, seed=seed)["auroc_difference"]


def calibration_plot(y, probability, groups=10):
    """Predicted against observed, in groups of equal size."""
    order = np.argsort(probability, kind="stable")
    plot = []
    for part in np.array_split(order, groups):
        rate, n = y[part].mean(), len(part)
        low, high = wilson(y[part].sum(), n)
        plot.append({"rows": n, "predicted": rounded(probability[part].mean()), "observed": rounded(rate), "low": rounded(low), "high": rounded(high)})
    return plot


def wilson(successes, n, z=1.959964):
    """95% interval of a proportion."""
    rate = successes / n
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return middle - half, middle + half


def subgroups(table, y, probability, seed):
    """The same measures by age, sex and unit."""
    age, sex = table["Age"].to_numpy(), table["Gender"].to_numpy()
    unit = [table[name].to_numpy() == 1 for name in ("CCU", "CSRU", "SICU")]
    groups = {
        "age under 50": age < 50,
        "age 50 to 64": (age >= 50) & (age < 65),
        "age 65 to 79": (age >= 65) & (age < 80),
        "age 80 and over": age >= 80,
        "female": sex == 0,
        "male": sex == 1,
        "coronary care unit": unit[0],
        "cardiac surgery recovery unit": unit[1],
        "surgical intensive care unit": unit[2],
        "medical intensive care unit": ~(unit[0] | unit[1] | unit[2]),
    }
    listed = []
    for name, rows in groups.items():
        measures = with_intervals(lambda y, p: {"auroc": roc_auc_score(y, p), "brier": brier_score_loss(y, p), "observed_to_expected": y.mean() / p.mean()}, y[rows], probability[rows], seed=seed, resamples=1000)
        listed.append({"group": name, "rows": int(rows.sum()), "deaths": int(y[rows].sum()), **measures})
    return listed


def decision_points(y, probability, thresholds):
    """What happens when everyone above a threshold is flagged."""
    listed = []
    for threshold in thresholds:
        flagged = probability >= threshold
        hits = int(y[flagged].sum())
        listed.append({
            "threshold": threshold,
            "flagged_share": rounded(flagged.mean()),
            "sensitivity": rounded(hits / y.sum()),
            "specificity": rounded((~flagged & (y == 0)).sum() / (y == 0).sum()),
            "positive_predictive_value": rounded(hits / max(flagged.sum(), 1)),
        })
    return listed


def fewer_measurements(curves, x, y, groups, counts, seed, draws=20):
    """How the model does when only some measurements, drawn at random, are known.

    `groups` lists the columns of each measurement. Only rows that have as many are used.
    """
    rng = np.random.default_rng(seed)
    present = np.column_stack([~np.isnan(x[:, columns]).all(axis=1) for columns in groups])
    always = [j for j in range(x.shape[1]) if not any(j in columns for columns in groups)]
    listed = []
    for count in counts:
        rows = np.flatnonzero(present.sum(axis=1) >= count)
        results = []
        for _ in range(draws):
            masked = np.full((len(rows), x.shape[1]), np.nan)
            masked[:, always] = x[np.ix_(rows, always)]
            for at, row in enumerate(rows):
                for group in rng.permutation(np.flatnonzero(present[row]))[:count]:
                    masked[at, groups[group]] = x[row, groups[group]]
            p = sigmoid(curves.logit(masked))
            results.append((roc_auc_score(y[rows], p), brier_score_loss(y[rows], p), y[rows].mean() / p.mean()))
        auroc, brier, ratio = np.mean(results, axis=0)
        listed.append({"measurements": count, "auroc": rounded(auroc), "brier": rounded(brier), "observed_to_expected": rounded(ratio)})
    return listed


def rounded(value, digits=4):
    return round(float(value), digits)
