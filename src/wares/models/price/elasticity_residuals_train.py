"""Residuals of prices and demand, cross-fitted: see `wares.models.price.elasticity_train`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.price.elasticity_moment import Residuals, estimate
from wares.models.price.elasticity_panel import CONTROLS, FOLDS, Panel, controls, folds_of

LEAST_SD = 0.02
"""Least standard deviation of a price (logarithm) after what was expected of it: 2 %."""
ROUGH = (-6.0, 0.5)
"""Ends of what a first elasticity may be."""
MOST_TRAINED = 300_000
SEASONS = 20
"""Most categories that get a season of their own in the linear learners; of more, the trees and the indices tell."""
SEASONAL = ("sin_year", "cos_year", "sin_half", "cos_half")


def residuals(panel: Panel, category_of: NDArray[Any], seed: int, threads: int = 1) -> Residuals:
    """Cross-fit what X says of prices and demand: by the level alone, by a ridge regression (Poisson for demand), by boosted
    trees, and by the mean of the last two; the one with the least loss out of fold is taken, for each.

    Demand is foretold twice: as it was, for a first elasticity of each category, and then with that price effect taken out of
    the weeks around, since otherwise the same promotion errs in both levels and the errors multiply.
    """
    fold = folds_of(panel.week, seed)
    x, level_p, level_q = controls(panel, category_of, fold, panel.units)
    lp = np.log(panel.price)
    target = lp - level_p
    price = {
        "level": np.zeros(len(target)),
        "ridge": _linear(_design(x), target, fold),
        "trees": _trees(x, target, fold, seed, threads),
    }
    price["both"] = (price["ridge"] + price["trees"]) / 2
    losses = {name: float(np.mean((target - found) ** 2)) for name, found in price.items()}
    best_p = min(losses, key=lambda name: losses[name])
    away = target - price[best_p]
    often = np.maximum(np.bincount(panel.item, minlength=panel.n_items), 1)
    offset = lp - (np.bincount(panel.item, lp, panel.n_items) / often)[panel.item]
    base = np.log(level_q)
    first = Residuals(away, offset, np.exp(base + _linear(_design(x), panel.units, fold, base)), {})
    code = np.asarray(category_of, np.int64)[panel.item] + 1
    rough = estimate(panel, first, code, int(code.max(initial=0)) + 1, cluster=True)
    # A category of one product or without prices that moved gets what the whole shop has.
    whole = float(
        np.clip(estimate(panel, first, np.zeros(len(code), np.int64), 1, cluster=True).theta[0], *ROUGH)
    )
    prior = np.where((rough.error < 1) & (rough.spread > LEAST_SD), np.clip(rough.theta, *ROUGH), whole)
    flat = panel.units * np.exp(np.clip(-prior[code] * offset, -5, 5))
    x, _, level = controls(panel, category_of, fold, flat)
    base = np.log(level)
    demand = {
        "level": np.zeros(len(target)),
        "ridge": _linear(_design(x), flat, fold, base),
        "trees": _trees(x, flat, fold, seed, threads, base),
    }
    demand["both"] = (demand["ridge"] + demand["trees"]) / 2
    deviances = {name: _deviance(flat, np.exp(base + found)) for name, found in demand.items()}
    best_q = min(deviances, key=lambda name: deviances[name])
    about = {"price": best_p, "demand": best_q, "price_loss": losses, "demand_loss": deviances}
    return Residuals(away, offset, np.exp(base + demand[best_q]), about)


def _design(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The controls in units of their spread, an intercept, and, of few categories, a season and a trend for each."""
    plain, category = x[:, :-1], x[:, -1].astype(np.int64)
    z = (plain - plain.mean(0)) / np.maximum(plain.std(0), 1e-9)
    names, code = np.unique(category, return_inverse=True)
    if not 1 < len(names) <= SEASONS:
        return np.column_stack([np.ones(len(x)), z])
    own = np.zeros((len(x), len(names)))
    own[np.arange(len(x)), code] = 1.0
    moving = np.column_stack(
        [x[:, CONTROLS.index(name)] for name in SEASONAL] + [z[:, CONTROLS.index("week")]]
    )
    each = (own[:, :, None] * moving[:, None, :]).reshape(len(x), -1)
    return np.column_stack([np.ones(len(x)), z, own, each])


def _linear(
    z: NDArray[np.float64], y: NDArray[np.float64], fold: NDArray[np.int64], base: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:  # fmt: skip
    """Out-of-fold forecasts of ridge regression; with `base`, of a Poisson one: what it adds to that logarithm of the mean."""
    out = np.zeros(len(y))
    ridge = 5.0 * np.eye(z.shape[1])
    ridge[0, 0] = 1e-6
    for f in range(FOLDS):
        held, learned = fold == f, fold != f
        if not held.any() or learned.sum() < 2:
            continue
        a, target = z[learned], y[learned]
        if base is None:
            weights = np.linalg.solve(a.T @ a + ridge, a.T @ target)
        else:
            weights = np.zeros(z.shape[1])
            for _ in range(12):
                mean = np.exp(np.clip(base[learned] + a @ weights, -12, 12))
                step = np.linalg.solve(
                    (a * mean[:, None]).T @ a + ridge, a.T @ (target - mean) - ridge @ weights
                )
                weights += np.clip(step, -1, 1)
                if float(np.abs(step).max()) < 1e-6:
                    break
        out[held] = np.clip(z[held] @ weights, -3, 3)
    return out


def _trees(
    x: NDArray[np.float64], y: NDArray[np.float64], fold: NDArray[np.int64], seed: int, threads: int,
    base: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Out-of-fold forecasts of boosted trees: of `y`, or with `base` of the logarithm that a Poisson mean adds to it."""
    import lightgbm as lgb

    rng = np.random.default_rng(seed)
    out = np.zeros(len(y))
    settings = {
        "objective": "regression" if base is None else "poisson", "num_leaves": 15, "learning_rate": 0.1,
        "min_data_in_leaf": 40, "lambda_l2": 5.0, "verbosity": -1, "num_threads": threads, "seed": seed, "deterministic": True,
        "force_row_wise": True, "max_bin": 63,
    }  # fmt: skip
    for f in range(FOLDS):
        held, learned = np.flatnonzero(fold == f), np.flatnonzero(fold != f)
        if not len(held) or len(learned) < 200:
            continue
        if len(learned) > MOST_TRAINED:
            learned = np.sort(rng.choice(learned, MOST_TRAINED, replace=False))
        start = None if base is None else base[learned]
        data = lgb.Dataset(x[learned], y[learned], init_score=start, params={"max_bin": 63, "verbosity": -1})
        model = lgb.train(settings, data, 60)
        out[held] = np.asarray(model.predict(x[held], raw_score=True))
    return out


def _deviance(units: NDArray[np.float64], mean: NDArray[np.float64]) -> float:
    """Poisson deviance per row, but for a constant."""
    return float(np.mean(mean - units * np.log(np.maximum(mean, 1e-9))))
