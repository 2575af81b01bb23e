"""Estimate how demand answers to prices, from residuals that were cross-fitted.

What time, season, level and category say of a price and of demand is taken out by learners that never saw the week in
question (Chernozhukov et al. 2018, double/debiased machine learning, https://doi.org/10.1111/ectj.12097). Demand is counted
and often zero, so that its logarithm will not do: with D the price (logarithm) less what was expected of it, the elasticity θ
solves Σ (units · exp(−θ log price) − b) · D = 0, the orthogonal moment of E[units | price, X] = exp(h(X) + θ log price), with b
the first term as expected of X (multiplicative moments: Mullahy 1997, Wooldridge 1999). Weeks with a great say count more in the
error (HC3, MacKinnon, White 1985), neighbouring weeks together (Newey, West 1987), and a category's error is clustered by
product. Products are pulled to their category by the spread between products (DerSimonian, Laird 1986).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from wares.core.arrays import save_arrays, seal
from wares.models.price.elasticity import BASES, KIND, VERDICTS
from wares.models.price.elasticity_panel import CONTROLS, FOLDS, Panel, controls, folds_of

LEAST_WEEKS = 12
LEAST_UNITS = 30.0
LEAST_SD = 0.02
"""Least standard deviation of a price (logarithm) after what was expected of it: 2 %."""
PRODUCT_ERROR, CATEGORY_ERROR = 0.75, 0.5
"""Largest standard errors with which an elasticity is called identified."""
CATEGORY_PRODUCTS = 3
FOLLOWS_T, FOLLOWS_R = 3.0, 0.1
BOUND = 20.0
ROUGH = (-6.0, 0.5)
"""Ends of what a first elasticity may be."""
LAG = 2
RECENT = 8
MOST_TRAINED = 300_000
SEASONS = 20
"""Most categories that get a season of their own in the linear learners; of more, the trees and the indices tell."""
SEASONAL = ("sin_year", "cos_year", "sin_half", "cos_half")
OK, FEW, FLAT, FOLLOWS, WIDE, UNSEEN = range(6)


@dataclass(frozen=True, slots=True)
class Residuals:
    """Of each row of a panel: `away (m,)` the log price less what was expected, `offset (m,)` the log price less the product's
    mean, `usual (m,)` the units expected at that mean; `learners` says who foretold each best, with losses out of fold."""

    away: NDArray[np.float64]
    offset: NDArray[np.float64]
    usual: NDArray[np.float64]
    learners: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Estimates:
    """Elasticities of groups ``(g,)``: `theta`, its standard error, degrees of freedom, and what the verdict needs."""

    theta: NDArray[np.float64]
    error: NDArray[np.float64]
    freedom: NDArray[np.float64]
    spread: NDArray[np.float64]
    units: NDArray[np.float64]
    weeks: NDArray[np.int64]
    follows: NDArray[np.bool_]


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


def estimate(panel: Panel, found: Residuals, group: NDArray[np.int64], n: int, cluster: bool) -> Estimates:
    """Elasticities of groups of rows; `cluster`: products are the independent units, else weeks, two of them together."""
    q, d, usual, offset = panel.units, found.away, found.usual, found.offset

    def total(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.bincount(group, values, n)

    expected = np.maximum(total(usual), 1e-12)
    d = d - (total(usual * d) / expected)[group]
    theta = np.zeros(n)
    for _ in range(60):
        value = q * np.exp(np.clip(-theta[group] * offset, -30, 30))
        slope = np.maximum(total(value * offset * d), 1e-12)
        step = np.clip(total(value * d) / slope, -1.0, 1.0)
        theta = np.clip(theta + step, -BOUND, BOUND)
        if float(np.abs(step).max(initial=0)) < 1e-8:
            break
    flat = np.exp(np.clip(-theta[group] * offset, -30, 30))
    value = q * flat
    slope = np.maximum(total(value * offset * d), 1e-12)
    scale = total(value) / expected
    mean = scale[group] * usual
    weight = mean * d * d
    share = np.clip(weight / np.maximum(total(weight), 1e-12)[group], 0, 0.98)
    score = (value - mean) * d / (1 - share)
    # Counts vary at least as Poisson ones do.
    floor = total(mean * flat * d * d)
    weeks = total(np.ones(len(q))).astype(np.int64)
    if cluster:
        heavy = np.bincount(panel.item, weight, panel.n_items)
        by_item = np.bincount(panel.item, score * (1 - share), panel.n_items)
        group_of = np.full(panel.n_items, -1, np.int64)
        group_of[panel.item] = group
        there = group_of >= 0
        size = np.bincount(group_of[there], minlength=n)
        whole = np.maximum(total(weight), 1e-12)[group_of[there]]
        by_item[there] /= 1 - np.clip(heavy[there] / whole, 0, 0.9)
        variance = np.bincount(group_of[there], by_item[there] ** 2, n)
        variance *= size / np.maximum(size - 1, 1)
        freedom = np.maximum(size - 1, 1).astype(float)
    else:
        variance = total(score**2)
        for lag in range(1, min(LAG, len(q) - 1) + 1):
            near = (group[lag:] == group[:-lag]) & (panel.week[lag:] - panel.week[:-lag] == lag)
            pairs = np.zeros(len(q))
            pairs[lag:][near] = score[lag:][near] * score[:-lag][near]
            variance += 2 * (1 - lag / (LAG + 1)) * total(pairs)
        freedom = np.maximum(weeks - 3, 1).astype(float)
    error = np.sqrt(np.maximum(variance, floor)) / slope
    spread = np.sqrt(total(usual * d * d) / expected)
    surprise = (value - mean) / np.maximum(mean, 0.5)
    return Estimates(theta, error, freedom, spread, total(q), weeks, _follows(panel, surprise, d, group, n))


def _follows(
    panel: Panel, surprise: NDArray[np.float64], away: NDArray[np.float64], group: NDArray[np.int64], n: int
) -> NDArray[np.bool_]:
    """Whether a price moves after demand did: last week's surprise in demand foretells this week's price residual."""
    if len(panel) < 2:
        return np.zeros(n, bool)
    near = (
        (panel.item[1:] == panel.item[:-1])
        & (group[1:] == group[:-1])
        & (panel.week[1:] - panel.week[:-1] == 1)
    )
    before, after, of = np.clip(surprise[:-1][near], -5, 5), away[1:][near], group[1:][near]

    def total(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.bincount(of, values, n)

    count = np.maximum(total(np.ones(len(of))), 1)
    before, after = before - (total(before) / count)[of], after - (total(after) / count)[of]
    both, sd = total(before * after), np.sqrt(np.maximum(total((before * after) ** 2), 1e-18))
    r = both / np.sqrt(np.maximum(total(before**2) * total(after**2), 1e-18))
    return (np.abs(both / sd) > FOLLOWS_T) & (np.abs(r) > FOLLOWS_R)


@dataclass(frozen=True, slots=True)
class Fitted:
    """All that was found: estimates of products alone ``(n_items,)`` and of categories ``(n_categories,)``, products pulled
    to their category (`theta`, `error`, `low`, `high`), verdicts and what they rest on."""

    alone: Estimates
    category: Estimates
    category_low: NDArray[np.float64]
    category_high: NDArray[np.float64]
    category_verdict: NDArray[np.int8]
    theta: NDArray[np.float64]
    error: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    verdict: NDArray[np.int8]
    basis: NDArray[np.int8]
    between: float
    learners: dict[str, Any]


def find(
    panel: Panel,
    category_of: NDArray[Any],
    seed: int = 7,
    threads: int = 1,
    bought: NDArray[Any] | None = None,
) -> Fitted:
    """Estimate all products and categories. `category_of (n_items,)` is -1 for none; those products stand alone. `bought
    (n_items,)` says of products that are not in the panel whether they were ever sold.

    Same panel and seed give the same numbers.
    """
    n = panel.n_items
    category_of = np.asarray(category_of, np.int64)
    if not len(panel):
        return _nothing(n, int(category_of.max(initial=-1)) + 1)
    found = residuals(panel, category_of, seed, threads)
    alone = estimate(panel, found, panel.item.astype(np.int64), n, cluster=False)
    n_categories = int(category_of.max(initial=-1)) + 1
    code = category_of[panel.item]
    category = estimate(panel, found, np.where(code >= 0, code, n_categories), n_categories + 1, cluster=True)
    products = np.bincount(
        np.where(category_of >= 0, category_of, n_categories)[np.unique(panel.item)],
        minlength=n_categories + 1,
    )
    width = student.ppf(0.975, category.freedom) * category.error
    c_low, c_high = category.theta - width, category.theta + width
    c_verdict = _verdicts(category, CATEGORY_ERROR, c_low)
    c_verdict[(products < CATEGORY_PRODUCTS) & (c_verdict == OK)] = FEW
    # What has no category is no group.
    c_verdict[n_categories] = UNSEEN
    theta, error, weight, freedom, between = _pulled(alone, category, category_of, c_verdict)
    quantile = student.ppf(0.975, freedom)
    low, high = theta - quantile * error, theta + quantile * error
    own = _verdicts(alone, np.inf, np.full(n, -np.inf))
    if bought is not None:
        own[(own == UNSEEN) & (np.asarray(bought) > 0)] = FEW
    verdict, basis = own.copy(), np.full(n, BASES.index("product"), np.int8)
    backed = np.append(c_verdict, UNSEEN)[np.where(category_of >= 0, category_of, n_categories)] == OK
    # Where a product alone says too little, its category speaks for it, if that is known; not against its own finding.
    silent = np.isin(own, (FEW, FLAT)) & backed & (alone.weeks > 0)
    verdict[silent] = OK
    basis[(silent | (weight < 0.5)) & backed] = BASES.index("category")
    verdict[(verdict == OK) & (error > PRODUCT_ERROR)] = WIDE
    # One product's weeks seldom show that its price follows demand; those of its category together do.
    followed = category.follows.copy()
    followed[n_categories] = False
    verdict[
        (verdict == OK) & ((low > 0) | followed[np.where(category_of >= 0, category_of, n_categories)])
    ] = FOLLOWS
    return Fitted(
        alone, category, c_low, c_high, c_verdict.astype(np.int8), theta, error, low, high, verdict.astype(np.int8), basis, between,
        found.learners,
    )  # fmt: skip


def _verdicts(found: Estimates, most: float, low: NDArray[np.float64]) -> NDArray[np.int64]:
    """Why each group is not identified, or `OK`: the first reason that holds."""
    out = np.full(len(found.theta), OK, np.int64)
    out[found.error > most] = WIDE
    out[found.follows | (low > 0)] = FOLLOWS
    out[(found.spread < LEAST_SD) | (np.abs(found.theta) >= BOUND)] = FLAT
    out[(found.weeks < LEAST_WEEKS) | (found.units < LEAST_UNITS)] = FEW
    out[found.weeks == 0] = UNSEEN
    return out


def _pulled(
    alone: Estimates, category: Estimates, category_of: NDArray[np.int64], c_verdict: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    """(elasticity, error, own weight, degrees of freedom by Satterthwaite) of each product pulled to its category, and the
    spread between products."""
    n_categories = len(category.theta) - 1
    code = np.where(category_of >= 0, category_of, n_categories)
    usable = (
        (alone.weeks >= LEAST_WEEKS)
        & (alone.units >= LEAST_UNITS)
        & (alone.spread >= LEAST_SD)
        & ~alone.follows
        & (alone.error < 3)
        & (np.abs(alone.theta) < BOUND)
        & (category_of >= 0)
    )
    precision = np.where(usable, 1 / np.maximum(alone.error, 0.05) ** 2, 0.0)

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(code, values, n_categories + 1)

    sums = total(precision)
    middle = total(precision * np.where(usable, alone.theta, 0)) / np.maximum(sums, 1e-12)
    apart = total(precision * np.where(usable, alone.theta - middle[code], 0) ** 2)
    k = np.bincount(code, usable, n_categories + 1)
    room = sums - total(precision**2) / np.maximum(sums, 1e-12)
    several = k >= 2
    shop = (
        max(float((apart - (k - 1))[several].sum()) / max(float(room[several].sum()), 1e-9), 0.0)
        if several.any()
        else 1.0
    )
    each = np.where(several, np.maximum(apart - (k - 1), 0) / np.maximum(room, 1e-9), shop)
    # Few products tell little of the spread in their category; that of the shop stands in.
    between = (k * each + 5 * shop) / (k + 5)
    prior = np.where(c_verdict == OK, between + category.error**2, np.inf)[code]
    own = np.where(usable, alone.error, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = 1 / own**2, 1 / prior
        weight = np.where(a + b > 0, a / (a + b), 0.0)
        theta = np.where(a + b > 0, weight * alone.theta + (1 - weight) * category.theta[code], np.nan)
        error = np.where(a + b > 0, 1 / np.sqrt(a + b), np.inf)
        of_own, of_prior = weight / np.maximum(a + b, 1e-12), (1 - weight) / np.maximum(a + b, 1e-12)
        parts = of_own**2 / alone.freedom + of_prior**2 / category.freedom[code]
        freedom = np.where(parts > 0, (of_own + of_prior) ** 2 / np.maximum(parts, 1e-30), 1.0)
    return theta, error, weight, np.maximum(freedom, 1.0), float(np.sqrt(shop))


def _nothing(n: int, n_categories: int) -> Fitted:
    def none(size: int) -> Estimates:
        nan = np.full(size, np.nan)
        zero = np.zeros(size)
        return Estimates(
            nan, np.full(size, np.inf), zero + 1, zero, zero, zero.astype(np.int64), zero.astype(bool)
        )

    nan, unseen = np.full(n, np.nan), np.full(n, UNSEEN, np.int8)
    c_nan = np.full(n_categories + 1, np.nan)
    return Fitted(
        none(n), none(n_categories + 1), c_nan, c_nan, np.full(n_categories + 1, UNSEEN, np.int8), nan, np.full(n, np.inf), nan, nan,
        unseen, np.zeros(n, np.int8), 0.0, {},
    )  # fmt: skip


def fit(
    panel: Panel,
    category_of: NDArray[Any],
    folder: Path,
    *,
    bought: NDArray[Any] | None = None,
    currency: str = "",
    seed: int = 7,
    threads: int = 1,
) -> dict[str, Any]:
    """Estimate and write the artefact of `wares.models.price.elasticity`; see `find`."""
    found = find(panel, category_of, seed, threads, bought)
    n = panel.n_items
    last = int(panel.week.max(initial=0))
    recent = panel.week > last - RECENT
    begin = np.full(n, last + 1, np.int64)
    np.minimum.at(begin, panel.item, panel.week.astype(np.int64))
    lived = np.clip(last + 1 - begin, 1, RECENT)
    sold = np.bincount(panel.item[recent], panel.units[recent], n)
    price = np.full(n, np.nan)
    price[panel.item] = panel.price
    lowest, highest = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(lowest, panel.item, panel.price)
    np.maximum.at(highest, panel.item, panel.price)
    seen = np.isfinite(price)
    save_arrays(
        folder, theta=found.theta, error=found.error, low=found.low, high=found.high, verdict=found.verdict, basis=found.basis,
        own_theta=found.alone.theta, own_error=found.alone.error, spread=found.alone.spread, units=found.alone.units,
        weeks=found.alone.weeks.astype(np.int32), weekly=np.where(seen, sold / lived, 0.0), lived=lived.astype(np.int32), price=price,
        price_low=np.where(seen, lowest, np.nan), price_high=np.where(seen, highest, np.nan),
        category_of=np.asarray(category_of, np.int32), category_theta=found.category.theta[:-1], category_error=found.category.error[:-1],
        category_low=found.category_low[:-1], category_high=found.category_high[:-1], category_verdict=found.category_verdict[:-1],
        category_units=found.category.units[:-1],
    )  # fmt: skip
    counts = {name: int((found.verdict == i).sum()) for i, name in enumerate(VERDICTS)}
    by_basis = {name: int(((found.basis == i) & (found.verdict == OK)).sum()) for i, name in enumerate(BASES)}
    groups = {name: int((found.category_verdict[:-1] == i).sum()) for i, name in enumerate(VERDICTS)}
    return seal(
        folder, KIND, n_items=n, currency=currency, weeks=[int(panel.week.min(initial=0)), last], rows=len(panel),
        products=counts, identified_by=by_basis, categories=groups, between=found.between, learners=found.learners, left_out=panel.left_out,
    )  # fmt: skip
