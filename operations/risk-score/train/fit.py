"""Fits the additive model: two additive learners, averaged, folded into one curve an input.

A ridge logistic regression on piecewise linear splines is smooth and extrapolates well; boosted
trees that may look at one input each follow what the splines are too stiff for. Both are sums of
functions of one input, so their average is too, and each function is read off exactly by moving one
input while the others stand still. The curves are then laid onto a few knots.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

SEED = 20120714
FOLDS = 5


@dataclass(frozen=True)
class Settings:
    """What cross-validation on the training table chose (see `choose` in train.py)."""

    spline_knots: int = 4
    spline_c: float = 0.003
    rounds: int = 400
    rate: float = 0.04
    leaves: int = 3
    bags: int = 5
    boosted_share: float = 0.4
    knots: int = 24


@dataclass
class Curves:
    """An additive model: one piecewise linear curve an input, flat beyond its ends."""

    knots: list
    values: list
    imputed: np.ndarray
    baseline: float

    def contributions(self, x):
        """Log-odds an input and row, zero on average over the training rows."""
        filled = np.where(np.isnan(x), self.imputed, x)
        return np.column_stack([np.interp(filled[:, j], self.knots[j], self.values[j]) for j in range(x.shape[1])])

    def logit(self, x):
        return self.baseline + self.contributions(x).sum(axis=1)

    def probability(self, x):
        return sigmoid(self.logit(x))

    def scaled(self, intercept, slope):
        """The same model with its log-odds recalibrated."""
        return Curves(self.knots, [slope * v for v in self.values], self.imputed, intercept + slope * self.baseline)


def sigmoid(logit):
    return 1.0 / (1.0 + np.exp(-logit))


def fit(x, y, settings, seed=SEED):
    """Curves for inputs `x` (NaN where missing), not yet recalibrated."""
    imputed = np.nanmedian(x, axis=0)
    filled = np.where(np.isnan(x), imputed, x)
    learners = [(1.0 - settings.boosted_share, spline(filled, y, settings))]
    for bag in range(settings.bags):
        learners.append((settings.boosted_share / settings.bags, boosted(filled, y, settings, seed + bag)))
    decide = lambda rows: sum(weight * learner.decision_function(rows) for weight, learner in learners)
    reference = imputed[None, :].copy()
    at_reference = decide(reference)[0]
    knots, values = [], []
    for j in range(x.shape[1]):
        seen, counts = np.unique(filled[:, j], return_counts=True)
        rows = np.repeat(reference, len(seen), axis=0)
        rows[:, j] = seen
        curve = decide(rows) - at_reference
        where = place_knots(x[:, j], settings.knots)
        knots.append(where)
        values.append(lay(where, seen, curve, counts))
    curves = Curves(knots, values, imputed, at_reference)
    return centred(curves, x)


def spline(filled, y, settings):
    model = make_pipeline(
        SplineTransformer(n_knots=settings.spline_knots, degree=1, knots="quantile", extrapolation="constant"),
        StandardScaler(),
        LogisticRegression(C=settings.spline_c, max_iter=2000, tol=1e-6),
    )
    return model.fit(filled, y)


def boosted(filled, y, settings, seed):
    return HistGradientBoostingClassifier(
        learning_rate=settings.rate,
        max_iter=settings.rounds,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=20,
        l2_regularization=10,
        max_features=0.4,
        max_bins=64,
        interaction_cst="no_interactions",
        early_stopping=False,
        random_state=seed,
    ).fit(filled, y)


def place_knots(column, most):
    """Knots at quantiles of what was observed, at every value where there are few."""
    observed = np.unique(column[~np.isnan(column)])
    if len(observed) <= most:
        return observed
    quantiles = np.concatenate([[0.005], np.linspace(0.02, 0.98, most - 2), [0.995]])
    return np.unique(np.nanquantile(column, quantiles))


def lay(knots, seen, curve, counts):
    """Values at the knots that follow the curve best over the training rows."""
    hats = np.column_stack([np.interp(seen, knots, unit) for unit in np.eye(len(knots))])
    weight = np.sqrt(counts)[:, None]
    start = np.interp(knots, seen, curve)
    # A whisper of ridge toward the curve itself keeps knots between sparse values in place.
    pull = 0.1 * np.eye(len(knots))
    left = np.vstack([hats * weight, pull])
    right = np.concatenate([curve * weight[:, 0], pull @ start])
    return np.linalg.lstsq(left, right, rcond=None)[0]


def centred(curves, x):
    means = curves.contributions(x).mean(axis=0)
    values = [v - m for v, m in zip(curves.values, means)]
    return Curves(curves.knots, values, curves.imputed, curves.baseline + means.sum())


def out_of_fold(x, y, settings, seed=SEED):
    """Log-odds of each training row by a model that did not see it."""
    logits = np.empty(len(y))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for train, held_out in folds.split(x, y):
        logits[held_out] = fit(x[train], y[train], settings, seed).logit(x[held_out])
    return logits


def recalibration(logits, y):
    """Intercept and slope of a logistic regression of the outcome on log-odds."""
    model = LogisticRegression(C=np.inf, max_iter=1000, tol=1e-8).fit(logits[:, None], y)
    return float(model.intercept_[0]), float(model.coef_[0, 0])
