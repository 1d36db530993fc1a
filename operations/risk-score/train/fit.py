"""Fits the additive model: two additive learners, averaged, folded into one curve an input.

A ridge logistic regression on piecewise linear splines is smooth and extrapolates well; boosted
trees that may look at one input each follow what the splines are too stiff for. Both are sums of
functions of one input, so their average is too, and each function is read off exactly by moving one
input while the others stand still. The curves are then laid onto a few knots.

What is missing has a contribution of its own, learned. Left to the table alone that would be wrong
where it matters: nearly everyone there has a heart rate, so nothing is learned of its absence, and a
median in its place makes the unknown patient look like a well one. So training also sees copies of
its rows with measurements hidden at random, as a consent, another hospital or an early hour hides
them.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
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
    spline_c: float = 0.006
    rounds: int = 250
    rate: float = 0.04
    leaves: int = 3
    bags: int = 5
    boosted_share: float = 0.4
    knots: int = 24
    # Weight of the copies with hidden measurements against the rows themselves.
    hidden_weight: float = 0.3
    # Fewest measurements that a copy keeps.
    hidden_least: int = 5


@dataclass
class Curves:
    """An additive model: one piecewise linear curve an input, flat beyond its ends."""

    knots: list
    values: list
    missing: np.ndarray
    baseline: float

    def contributions(self, x):
        """Log-odds an input and row, zero on average over the training rows."""
        curves = [np.interp(x[:, j], self.knots[j], self.values[j]) for j in range(x.shape[1])]
        return np.where(np.isnan(x), self.missing, np.column_stack(curves))

    def logit(self, x):
        return self.baseline + self.contributions(x).sum(axis=1)

    def probability(self, x):
        return sigmoid(self.logit(x))

    def scaled(self, intercept, slope):
        """The same model with its log-odds recalibrated."""
        return Curves(self.knots, [slope * v for v in self.values], slope * self.missing, intercept + slope * self.baseline)


def sigmoid(logit):
    return 1.0 / (1.0 + np.exp(-logit))


def fit(x, y, groups, settings, seed=SEED):
    """Curves for inputs `x` (NaN where missing), not yet recalibrated. `groups` lists the columns of
    each measurement, which are hidden together."""
    rows, outcomes, weights = x, y, np.ones(len(y))
    if settings.hidden_weight:
        rows = np.vstack([x, hide(x, groups, settings.hidden_least, seed)])
        outcomes = np.concatenate([y, y])
        weights = np.concatenate([weights, np.full(len(y), settings.hidden_weight)])
    learners = learn(rows, outcomes, weights, settings, seed)
    decide = lambda rows: sum(weight * learner.decision_function(rows) for weight, learner in learners)
    reference = np.nanmedian(x, axis=0)[None, :]
    at_reference = decide(reference)[0]
    knots, values, missing = [], [], []
    for j in range(x.shape[1]):
        seen, counts = np.unique(x[~np.isnan(x[:, j]), j], return_counts=True)
        moved = np.repeat(reference, len(seen) + 1, axis=0)
        moved[:, j] = np.append(seen, np.nan)
        curve = decide(moved) - at_reference
        where = place_knots(x[:, j], settings.knots)
        knots.append(where)
        values.append(lay(where, seen, curve[:-1], counts))
        missing.append(curve[-1])
    return centred(Curves(knots, values, np.array(missing), at_reference), x)


def hide(x, groups, least, seed):
    """A copy of each row with measurements hidden at random, keeping `least` of them or more."""
    rng = np.random.default_rng(seed)
    copies = x.copy()
    for row in copies:
        known = [group for group in groups if not np.isnan(row[group]).all()]
        keep = rng.integers(min(least, len(known)), len(known) + 1)
        for at in rng.permutation(len(known))[keep:]:
            row[known[at]] = np.nan
    return copies


def learn(x, y, weights, settings, seed):
    """The learners with their shares of the log-odds."""
    learners = []
    if settings.boosted_share < 1:
        learners.append((1 - settings.boosted_share, spline(x, y, weights, settings)))
    for bag in range(settings.bags):
        learners.append((settings.boosted_share / settings.bags, boosted(x, y, weights, settings, seed + bag)))
    return learners


def spline(x, y, weights, settings):
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True),
        SplineTransformer(n_knots=settings.spline_knots, degree=1, knots="quantile", extrapolation="constant"),
        StandardScaler(),
        LogisticRegression(C=settings.spline_c, max_iter=2000, tol=1e-6),
    )
    return model.fit(x, y, logisticregression__sample_weight=weights)


def boosted(x, y, weights, settings, seed):
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
    ).fit(x, y, sample_weight=weights)


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
    return Curves(curves.knots, values, curves.missing - means, curves.baseline + means.sum())


def out_of_fold(x, y, groups, settings, seed=SEED):
    """For each training row its log-odds by a model that did not see it, as it is and with
    measurements hidden."""
    logits, hidden = np.empty(len(y)), np.empty(len(y))
    copies = hide(x, groups, settings.hidden_least, seed + 1000)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for train, held_out in folds.split(x, y):
        curves = fit(x[train], y[train], groups, settings, seed)
        logits[held_out] = curves.logit(x[held_out])
        hidden[held_out] = curves.logit(copies[held_out])
    return logits, hidden


def recalibration(logits, y):
    """Intercept and slope of a logistic regression of the outcome on log-odds."""
    model = LogisticRegression(C=np.inf, max_iter=1000, tol=1e-8).fit(logits[:, None], y)
    return float(model.intercept_[0]), float(model.coef_[0, 0])
