"""What a shopper buys repeatedly, and when it is due: see `rebuy_train` for the model. numpy only, memory-mapped."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact

KIND = "rebuy"
PRIOR = 4.0
LEAST, MOST = 1e-6, 1 - 1e-6

_ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)


@dataclass(frozen=True, slots=True)
class Habits:
    """By product ``(n_items,)``: mean logarithm of a gap in days, its spread, the share that buys again; and the
    weights of the logistic regression over `features`."""

    gap: NDArray[np.float32]
    spread: NDArray[np.float32]
    alive: NDArray[np.float32]
    weights: NDArray[np.float64]

    @classmethod
    def none(cls, n_items: int, weights: NDArray[np.float64]) -> Habits:
        """Of a shop without purchases."""
        one = np.ones(n_items, np.float32)
        return cls(one * np.float32(math.log(30.0)), one, one * np.float32(0.1), weights)


def normal(z: NDArray[Any]) -> NDArray[np.float64]:
    """The standard normal distribution function, to 1.5e-7 (Abramowitz, Stegun 7.1.26)."""
    x = np.abs(np.asarray(z, np.float64)) / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * x)
    poly = np.zeros_like(t)
    for a in reversed(_ERF):
        poly = (poly + a) * t
    tail = poly * np.exp(-x * x)
    return np.where(np.asarray(z) >= 0, 1 - tail / 2, tail / 2)


def own_gap(
    habits: Habits, item: NDArray[Any], days: NDArray[Any], log_gaps: NDArray[Any]
) -> NDArray[np.float64]:
    """The pair's mean logarithm of a gap, shrunk towards its product's."""
    return (log_gaps + PRIOR * habits.gap[item]) / (days - 1 + PRIOR)


def features(
    habits: Habits,
    item: NDArray[Any],
    days: NDArray[Any],
    log_gaps: NDArray[Any],
    since: NDArray[Any],
    within: float,
) -> NDArray[np.float64]:
    """What the logistic regression sees of each pair ``(n, 6)``: one, log odds of the formula, log of days bought, log of
    days since, days since as a share of the gap (at most 4), log of the horizon."""
    since = np.maximum(np.asarray(since, np.float64), 0.5)
    gap, spread = own_gap(habits, item, days, log_gaps), habits.spread[item].astype(np.float64)
    alive = 1 - (1 - habits.alive[item].astype(np.float64)) / np.maximum(days, 1) ** 0.5
    now = normal((np.log(since) - gap) / spread)
    then = normal((np.log(since + within) - gap) / spread)
    p = np.clip(alive * (then - now) / np.maximum(1 - alive * now, LEAST), LEAST, MOST)
    return np.stack(
        [
            np.ones(len(p)),
            np.log(p / (1 - p)),
            np.log(np.maximum(days, 1)),
            np.log1p(since),
            np.minimum(since / np.exp(gap), 4.0),
            np.full(len(p), math.log(within)),
        ],
        axis=1,
    )


def probability(x: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability of a purchase within the horizon, from `features`."""
    return 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))


@dataclass(slots=True)
class Due:
    """What is due, surest first: rows, probabilities within the horizon, days until due (negative: overdue), the usual
    gap in days, on how many days it was bought, the last of them since 1970."""

    items: NDArray[np.int32]
    probability: NDArray[np.float64]
    in_days: NDArray[np.float64]
    every: NDArray[np.float64]
    days: NDArray[np.int32]
    last: NDArray[np.int32]


class Rebuy:
    """The habits of a bundle."""

    def __init__(self, folder: Path) -> None:
        self.manifest = open_artifact(folder, KIND)
        self.end = int(self.manifest["end"])
        names = ("ptr", "items", "days", "last", "log_gaps", "gap", "spread", "alive", "weights")
        self._arrays: dict[str, NDArray[Any]] = {name: load_array(folder, name) for name in names}
        self.habits = Habits(*(self._arrays[name] for name in ("gap", "spread", "alive", "weights")))

    def of(self, user: int) -> tuple[NDArray[Any], ...]:
        """Items, days bought, last day and sum of log gaps of a user's row, by item."""
        ptr = self._arrays["ptr"]
        part = slice(int(ptr[user]), int(ptr[user + 1])) if user >= 0 else slice(0, 0)
        return tuple(self._arrays[name][part] for name in ("items", "days", "last", "log_gaps"))

    def due(
        self,
        user: int,
        today: int,
        within: float,
        k: int,
        *,
        bought: list[tuple[int, int]] | None = None,
        least: int = 2,
        allowed: NDArray[np.bool_] | None = None,
    ) -> Due:
        """The `k` products most sure to be bought within `within` days of `today` (days since 1970).

        `bought` are purchases since the build as (row, day), oldest first; only what was bought on at least `least`
        days comes.
        """
        items, days, last, gaps = self.of(user)
        if bought:
            items, days, last, gaps = _later(bought, items, days, last, gaps)
        kept = days >= least
        if allowed is not None:
            kept &= allowed[items]
        items, days, last, gaps = items[kept], days[kept], last[kept], gaps[kept]
        x = features(self.habits, items, days, gaps, today - last, within)
        p = probability(x, self.habits.weights)
        order = np.lexsort((items, -p))[:k]
        every = np.exp(own_gap(self.habits, items, days, gaps))[order]
        return Due(
            items[order].astype(np.int32),
            p[order],
            last[order] + every - today,
            every,
            days[order].astype(np.int32),
            last[order].astype(np.int32),
        )


def _later(bought: list[tuple[int, int]], *arrays: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    items, days, last, gaps = (list(a.tolist()) for a in arrays)
    place = {item: i for i, item in enumerate(items)}
    for row, day in bought:
        i = place.setdefault(row, len(items))
        if i == len(items):
            items.append(row)
            days.append(1)
            last.append(day)
            gaps.append(0.0)
        elif day > last[i]:
            gaps[i] += math.log(day - last[i])
            days[i] += 1
            last[i] = day
    return tuple(
        np.array(column, kind)
        for column, kind in zip(
            (items, days, last, gaps), (np.int32, np.int32, np.int32, np.float32), strict=True
        )
    )
