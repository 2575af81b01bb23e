"""The moment that gives an elasticity, with its error: see `wares.models.price.elasticity_train`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.price.elasticity_panel import Panel

FOLLOWS_T, FOLLOWS_R = 3.0, 0.1
BOUND = 20.0
LAG = 2


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
