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
from wares.models.price.elasticity_moment import BOUND, Estimates, estimate
from wares.models.price.elasticity_panel import Panel
from wares.models.price.elasticity_residuals_train import LEAST_SD, residuals

LEAST_WEEKS = 12
LEAST_UNITS = 30.0
PRODUCT_ERROR, CATEGORY_ERROR = 0.75, 0.5
"""Largest standard errors with which an elasticity is called identified."""
CATEGORY_PRODUCTS = 3
RECENT = 8
OK, FEW, FLAT, FOLLOWS, WIDE, UNSEEN = range(6)


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
