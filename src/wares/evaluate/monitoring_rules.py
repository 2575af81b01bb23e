"""The rules that `wares evaluate monitoring` holds against each other: ours, and a fixed threshold on the last week."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wares.evaluate.monitoring_histories import FOLLOWED, YEAR, History, daily
from wares.models.sentiment.change import Thresholds, calibrated, changes, simulate_thresholds
from wares.models.sentiment.shrink import Prior, prior_of

WINDOW = 7
SHARES = np.round(np.arange(0.1, 1.0001, 0.02), 2)
COUNTS = (1, 2, 3, 5, 8, 12, 20)


@dataclass(frozen=True, slots=True)
class Found:
    """An alarm on a day; `worse` for one of more bad texts."""

    day: int
    worse: bool


@dataclass(frozen=True)
class ShrunkRule:
    """Generalised likelihood ratio over shrunk levels, its thresholds simulated for a rate of false alarms."""

    prior: Prior
    worse: Thresholds
    better: Thresholds
    badness: NDArray[Any]
    checked: dict[str, float]

    @classmethod
    def fitted(cls, quiet: Sequence[History], badness: NDArray[Any], target: float, seed: int) -> ShrunkRule:
        """From histories without a change: how products differ, and the thresholds."""
        sums, squares, counts = (np.zeros(len(quiet)) for _ in range(3))
        for i, history in enumerate(quiet):
            values = badness[history.row]
            sums[i], squares[i], counts[i] = values.sum(), (values * values).sum(), len(values)
        prior = prior_of(sums, squares, counts)
        pool = np.concatenate([badness[h.row] for h in quiet])
        tables = simulate_thresholds(pool, prior, target, seed)
        worse, better, checked = calibrated(
            [(h.day, badness[h.row], prior) for h in quiet], *tables, seed=seed
        )
        return cls(prior, worse, better, badness, checked)

    def matched(self, quiet: Sequence[History], moved: Sequence[History], rate: float) -> ShrunkRule:
        """With thresholds raised or lowered until the histories show at most `rate` false alarms a product-year."""
        low, high = -6.0, 10.0
        for _ in range(9):
            middle = (low + high) / 2
            rule = replace(self, worse=self.worse.raised(middle))
            low, high = (low, middle) if false_alarms(rule, quiet, moved) <= rate else (middle, high)
        return replace(self, worse=self.worse.raised(high))

    def alarms(self, history: History) -> list[Found]:
        """Its alarms, in order."""
        days, sums, counts = daily(history, self.badness)
        return [Found(c.day, c.up) for c in changes(days, sums, counts, self.prior, self.worse, self.better)]


@dataclass(frozen=True)
class FixedRule:
    """The share of bad texts in the last `WINDOW` days is above `share`, of at least `least` texts.

    ``badness (n_texts,)`` is 0 or 1 where labels are counted. One alarm until the share has been at or below it again.
    """

    share: float
    least: int
    badness: NDArray[Any]
    counted: str = "labels"

    def alarms(self, history: History) -> list[Found]:
        """Its alarms, in order."""
        days, week = _series(history, self.badness)
        return [Found(int(day), True) for day in days[self.starts(week)]]

    def starts(self, week: tuple[NDArray[Any], NDArray[Any]]) -> NDArray[np.bool_]:
        """Where it begins to hold, for sums of badness and numbers of texts of weeks."""
        bad, texts = week
        over = (texts >= self.least) & (bad > self.share * texts + 1e-9)
        return over & ~np.concatenate([[False], over[:-1]])


class Rule(Protocol):
    """What tells of changes."""

    def alarms(self, history: History) -> list[Found]:
        """Its alarms, in order."""
        ...


def false_alarms(rule: Rule, quiet: Sequence[History], moved: Sequence[History]) -> float:
    """False alarms a product-year: in `quiet` histories, and before the change in `moved` ones."""
    years = len(quiet) + sum(h.change for h in moved) / YEAR
    ends = [(h, YEAR if h.change < 0 else h.change) for h in (*quiet, *moved)]
    return sum(a.worse and a.day < end for h, end in ends for a in rule.alarms(h)) / years


def tuned_fixed(
    quiet: Sequence[History], moved: Sequence[History], badness: NDArray[Any], target: float
) -> FixedRule:
    """Of all shares and least numbers, of labels or of probabilities, with at most `target` false alarms a product-year, the
    rule that finds the changes of `moved` soonest."""
    years = len(quiet) + sum(h.change for h in moved) / YEAR
    best: FixedRule | None = None
    soonest = np.inf
    for counted, values in (("labels", (badness > 0.5).astype(float)), ("probabilities", badness)):
        still = [_series(h, values)[1] for h in quiet]
        before = [(*_series(h, values), h) for h in moved]
        for least, share in itertools.product(COUNTS, SHARES):
            rule = FixedRule(float(share), least, values, counted)
            false, delay = sum(int(rule.starts(week).sum()) for week in still), 0.0
            for days, week, history in before:
                starts = days[rule.starts(week)]
                false += int((starts < history.change).sum())
                hits = starts[(starts >= history.change) & (starts < history.until())]
                delay += float(hits.min() - history.change) if len(hits) else FOLLOWED
            if false / years <= target and delay < soonest:
                best, soonest = rule, delay
    assert best is not None  # nothing is above a share of one
    return best


def _series(
    history: History, badness: NDArray[Any]
) -> tuple[NDArray[Any], tuple[NDArray[Any], NDArray[Any]]]:
    """Days with texts, and the sums and numbers of the `WINDOW` days that end with each."""
    days, sums, counts = daily(history, badness)
    s, n = np.concatenate([[0.0], np.cumsum(sums)]), np.concatenate([[0.0], np.cumsum(counts)])
    first = np.searchsorted(days, days - WINDOW, side="right")
    return days, (s[1:] - s[first], n[1:] - n[first])
