"""Products whose demand rises against their own past and against their neighbourhood, and neighbourhoods that rise.

A product's shoppers in the last weeks are compared with what its weeks before let expect, once the trend of its neighbourhood (the
other products of its category) is taken out: everything sells more before a feast. Counts are negative binomial: the
past is itself counted (a gamma posterior), and demand varies more than Poisson (dispersion of the shop, by quasi-likelihood,
McCullagh and Nelder 1989). Of thousands of products some rise by chance, so the list holds a false-discovery rate (Benjamini and
Hochberg, JRSS B 1995), and ratios are shrunk towards one (gamma-Poisson, empirical Bayes).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import save_arrays, seal
from wares.models.price.emerging_infer import EMERGING

RECENT_DAYS, PAST_DAYS = 28, 84
LEAST_PAST_DAYS = 28
OWN_PRIOR = 0.5
"""Weight of the neighbourhood's mean beside a product's own past, in shoppers."""
NEIGHBOUR_PRIOR = 50.0
"""Shoppers by which a neighbourhood's trend is shrunk to the shop's."""
FEWEST = 5
FALSE_RATE = 0.1
LEAST_RATIO = 1.3
MOST = 500


@dataclass(frozen=True, slots=True)
class Rise:
    """What was found ``(n,)`` each: times as many as expected (shrunk), its 90 % interval, what was expected, and q, the
    false-discovery rate at which it would be listed."""

    ratio: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    expected: NDArray[np.float64]
    q: NDArray[np.float64]
    trend: NDArray[np.float64]
    dispersion: float


def rises(recent: NDArray[Any], past: NDArray[Any], group_of: NDArray[Any]) -> Rise:
    """Judge counts of two windows of each product; `group_of (n,)` is its neighbourhood, below zero for none.

    Where a product has no neighbours, the shop's trend stands for theirs. With an empty window nothing rises.
    """
    from scipy import stats

    recent, past = np.asarray(recent, np.float64), np.asarray(past, np.float64)
    n = len(recent)
    if not n or not recent.sum() or not past.sum():
        ones = np.ones(n)
        return Rise(ones, np.zeros(n), np.full(n, np.inf), np.zeros(n), ones, ones, 1.0)
    pace = recent.sum() / past.sum()
    groups = int(group_of.max(initial=-1)) + 1
    at = np.where(group_of >= 0, group_of, groups)
    of_recent, of_past, members = (
        np.bincount(at, weights, groups + 1)[at] for weights in (recent, past, np.ones(n))
    )
    own = group_of >= 0
    # Leave the product itself out: it must not hide behind its own rise.
    others_recent, others_past = np.where(own, of_recent - recent, 0), np.where(own, of_past - past, 0)
    trend = (others_recent / pace + NEIGHBOUR_PRIOR) / (others_past + NEIGHBOUR_PRIOR)
    usual = np.where(own & (members > 1), others_past / np.maximum(members - 1, 1), past.mean())
    usual = np.maximum(usual, 0.05)
    shape = past + OWN_PRIOR
    rate = shape / (1 + OWN_PRIOR / usual)
    expected = pace * trend * rate
    variance = expected + expected**2 / shape
    some = expected >= 1
    pearson = (recent[some] - expected[some]) ** 2 / variance[some]
    # The median of chi-square with one degree is .455: risers, the very ones looked for, do not inflate it.
    dispersion = max(1.0, float(np.median(pearson)) / 0.4549) if some.sum() >= 20 else 1.0
    variance = variance * dispersion
    size = expected**2 / np.maximum(variance - expected, 1e-9 * expected**2 + 1e-12)
    size = np.minimum(size, 1e7)
    p = np.where(recent > 0, stats.nbinom.sf(recent - 1, size, size / (size + expected)), 1.0)
    judged = recent + past >= FEWEST
    strength = _strength(recent[judged], expected[judged], variance[judged])
    # The counted past and dispersion make an expectation worth so many shoppers.
    worth = expected / np.maximum(variance / np.maximum(expected, 1e-12), 1.0)
    seen = recent * worth / np.maximum(expected, 1e-12)
    ratio = (seen + strength) / (worth + strength)
    low, high = (stats.gamma.ppf(end, seen + strength) / (worth + strength) for end in (0.05, 0.95))
    q = np.ones(n)
    q[judged] = _benjamini_hochberg(p[judged])
    return Rise(ratio, low, high, expected, q, trend, dispersion)


def _strength(
    recent: NDArray[np.float64], expected: NDArray[np.float64], variance: NDArray[np.float64]
) -> float:
    """Of the gamma prior of ratios around one, by moments: how much they vary beyond what counting explains."""
    some = expected >= 3
    if some.sum() < 20:
        return 3.0
    ratio = recent[some] / expected[some]
    beyond = float(np.median((ratio - 1) ** 2 / 0.4549 - variance[some] / expected[some] ** 2))
    return float(np.clip(1 / max(beyond, 1e-3), 0.5, 3.0))


def _benjamini_hochberg(p: NDArray[np.float64]) -> NDArray[np.float64]:
    m = len(p)
    order = np.argsort(p, kind="stable")
    steps = p[order] * m / np.arange(1, m + 1)
    q = np.empty(m)
    q[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return q


def windows(first: int, last: int) -> tuple[int, int, int] | None:
    """(start of the past, start of the recent window, end) in days since 1970; None when there is too little."""
    end = last // 86_400 + 1
    begin = max(first // 86_400, end - RECENT_DAYS - PAST_DAYS)
    recent = end - RECENT_DAYS
    return (begin, recent, end) if recent - begin >= LEAST_PAST_DAYS else None


def fit(
    recent: NDArray[Any],
    past: NDArray[Any],
    category_of: NDArray[Any],
    days: tuple[int, int, int] | None,
    folder: Path,
) -> dict[str, Any]:
    """Write the artefact of `wares.models.price.emerging_infer`: products and categories that rise, surest first."""
    found = rises(recent, past, category_of)
    groups = int(category_of.max(initial=-1)) + 1
    at = category_of >= 0
    totals = [
        np.bincount(category_of[at], np.asarray(part, np.float64)[at], groups) for part in (recent, past)
    ]
    of_shop = rises(totals[0], totals[1], np.zeros(groups, np.int64))
    arrays: dict[str, NDArray[Any]] = {}
    for name, rise, counts in (("product", found, (recent, past)), ("category", of_shop, totals)):
        rows = np.flatnonzero((rise.q <= FALSE_RATE) & (rise.ratio >= LEAST_RATIO))
        rows = rows[np.lexsort((rows, -rise.low[rows]))][:MOST]
        arrays |= {
            f"{name}_row": rows.astype(np.int32), f"{name}_recent": np.asarray(counts[0])[rows].astype(np.int32),
            f"{name}_past": np.asarray(counts[1])[rows].astype(np.int32),
        }  # fmt: skip
        for field in ("ratio", "low", "high", "expected", "q", "trend"):
            arrays[f"{name}_{field}"] = getattr(rise, field)[rows].astype(np.float32)
    # One product of each category, so that a category can be named without its own table.
    example = np.full(groups, -1, np.int32)
    example[category_of[at][::-1]] = np.flatnonzero(at)[::-1]
    arrays["category_example"] = example[arrays["category_row"]] if groups else np.zeros(0, np.int32)
    save_arrays(folder, **arrays)
    return seal(
        folder, EMERGING, products=len(category_of), days=list(days or ()), dispersion=round(found.dispersion, 4), false_rate=FALSE_RATE
    )  # fmt: skip
