"""Simulated histories of a product's texts: real texts, uneven days, and a share of bad ones that changes at a known time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

YEAR = 365
WEEK = np.array([0.8, 0.8, 0.9, 0.9, 1.1, 1.4, 1.1])
"""Texts by weekday, around one."""
SHIFTS = (0.1, 0.2, 0.4)
"""Of the share of bad texts, added at the change."""
FOLLOWED = 90
"""Days after a change in which it can be found."""
RUN_IN = 90
"""Days of history before the earliest change."""


@dataclass(frozen=True)
class Market:
    """How products differ: share of bad texts ~ Beta(mean, strength); texts a day log-uniform between `least` and `most`."""

    mean: float = 0.15
    strength: float = 10.0
    least: float = 0.1
    most: float = 5.0


@dataclass(frozen=True)
class History:
    """A product's year: ``day (n,)`` of each text, its row in the pool of texts, and the day of the change (-1: none)."""

    day: NDArray[np.int64]
    row: NDArray[np.int64]
    change: int
    shift: float
    rate: float
    volume: float

    def until(self) -> int:
        """The day after the last one that is watched."""
        return YEAR if self.change < 0 else self.change + FOLLOWED


def histories(
    bad: NDArray[Any], count: int, changed: bool, rng: np.random.Generator, market: Market | None = None
) -> list[History]:
    """`count` histories over the texts of a pool whose truly bad ones are `bad (n_texts,) bool`.

    Volumes have weekdays, a campaign of two weeks with three times the texts, and are Poisson. With `changed` the share of
    bad texts grows by one of `SHIFTS` on a day that leaves `RUN_IN` days before and `FOLLOWED` after.
    """
    market = market or Market()
    pools = (np.flatnonzero(~bad), np.flatnonzero(bad))
    out: list[History] = []
    for i in range(count):
        rate = float(rng.beta(market.mean * market.strength, (1 - market.mean) * market.strength))
        volume = float(np.exp(rng.uniform(np.log(market.least), np.log(market.most))))
        shift = SHIFTS[i % len(SHIFTS)] if changed else 0.0
        change = int(rng.integers(RUN_IN, YEAR - FOLLOWED)) if changed else -1
        days = np.arange(YEAR)
        expected = volume * WEEK[(days + rng.integers(7)) % 7]
        campaign = int(rng.integers(YEAR - 14))
        expected[campaign : campaign + 14] *= 3
        texts = rng.poisson(expected)
        day = np.repeat(days, texts)
        chance = np.where((day >= change) & changed, min(rate + shift, 0.95), rate)
        worse = rng.random(len(day)) < chance
        row = np.where(
            worse,
            pools[1][rng.integers(0, len(pools[1]), len(day))],
            pools[0][rng.integers(0, len(pools[0]), len(day))],
        )
        out.append(History(day, row, change, shift, rate, volume))
    return out


def daily(history: History, values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    """Days with texts, and the sum of their values and their number."""
    days, place = np.unique(history.day, return_inverse=True)
    return (
        days,
        np.bincount(place, values[history.row], len(days)),
        np.bincount(place, minlength=len(days)).astype(float),
    )
