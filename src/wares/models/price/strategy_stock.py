"""Stock hints: does interest rise or fall beyond chance, and does the mood go with it? numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PRIOR = 4.0
"""Shoppers of the expected course that stand beside a product's own: few shoppers move no stock."""
MORE, LESS = 1.25, 0.8
"""Ratios of demand to what was expected beyond which more or less is called."""
SURE = 0.8
LEAST = 8.0
DRAWS = 2000


@dataclass(frozen=True, slots=True)
class StockHint:
    """What to expect of a product: `hint` is ``more`` or ``less``; interest in the recent weeks over what its past and the shop's
    trend let expect, with the ends of the 90 % interval; how probable more than `MORE` (less than `LESS`) times is; the change
    of its mood with the probability that it fell; whether a falling mood speaks against stocking up."""

    row: int
    hint: str
    ratio: float
    low: float
    high: float
    recent: int
    expected: float
    probability: float
    mood_change: float
    mood_fell: float
    careful: bool


def stock_hints(
    recent: NDArray[Any], past: NDArray[Any], weeks: tuple[float, float], mood: tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]],
    spread: float, seed: int = 7,
) -> list[StockHint]:  # fmt: skip
    """Hints for products, surest first; ties by row. Products in whose weeks too little happened have none.

    ``recent, past (n,)`` count shoppers who looked, searched and clicked, put into a basket or bought within `weeks` of time each.
    `mood` holds (mean, texts) of the recent weeks and (mean, texts) of before, ``(n,)`` each, `spread` the spread of single texts.
    A count is gamma distributed after `PRIOR` expected shoppers (gamma-Poisson), its variance raised by the overdispersion of
    the shop (Pearson's, at least 1).
    """
    recent, past = np.asarray(recent, np.float64), np.asarray(past, np.float64)
    if not len(recent) or past.sum() <= 0 or recent.sum() <= 0 or min(weeks) <= 0:
        return []
    trend = recent.sum() / past.sum()
    # A product's own past, pulled to the shop's mean so that a first shopper is no sudden rise.
    expected = (past + 1.0 * past.mean() / max(past.mean(), 1.0)) * trend
    told = expected >= 3
    phi = (
        max(float(np.median((recent[told] - expected[told]) ** 2 / expected[told]) / 0.455), 1.0)
        if told.sum() >= 20
        else 1.5
    )
    shape, rate = (recent + PRIOR) / phi, (expected + PRIOR) / phi
    rng = np.random.default_rng(seed)
    kept = np.flatnonzero(np.maximum(recent, expected) >= LEAST)
    now, n_now, then, n_then = (np.asarray(part, np.float64) for part in mood)
    out: list[StockHint] = []
    for row in kept.tolist():
        # The past is a sample as well.
        draws = rng.gamma(shape[row], 1 / rate[row], DRAWS) / (
            rng.gamma((past[row] + PRIOR) / phi, 1, DRAWS) * phi / (past[row] + PRIOR)
        )
        more, less = float((draws > MORE).mean()), float((draws < LESS).mean())
        if max(more, less) < SURE:
            continue
        change, fell = _change(now[row], n_now[row], then[row], n_then[row], spread)
        hint = "more" if more >= less else "less"
        low, middle, high = (float(v) for v in np.quantile(draws, (0.05, 0.5, 0.95)))
        out.append(
            StockHint(
                row, hint, middle, low, high, int(recent[row]), float(expected[row]), max(more, less), change, fell, hint == "more" and fell >= SURE
            )
        )  # fmt: skip
    return sorted(
        out, key=lambda one: (-round(one.probability, 3), -abs(np.log(one.ratio)) * one.expected, one.row)
    )


def _change(now: float, n_now: float, then: float, n_then: float, spread: float) -> tuple[float, float]:
    """(change of the mood, probability that it fell); nothing said in either time tells nothing: (0, 0.5)."""
    if n_now <= 0 or n_then <= 0:
        return 0.0, 0.5
    from math import erf, sqrt

    error = max(spread, 0.1) * sqrt(1 / n_now + 1 / n_then)
    return now - then, 0.5 * (1 - erf((now - then) / (error * sqrt(2))))
