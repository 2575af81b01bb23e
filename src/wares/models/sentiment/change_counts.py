"""When something came in bursts: complaints about one thing, or spam, against what the season and the past let expect.

The count of a window that begins and ends with an event is held against its exposure, the share of the shop's traffic that
fell into it (weekdays and busy weeks included), and against count and exposure before it: a generalised likelihood ratio of
two rates (a scan statistic; Kulldorff, *A Spatial Scan Statistic*, 1997; Kleinberg, *Bursty and Hierarchical Structure in
Streams*, KDD 2002, asks the same of the gaps). Counts that vary more than Poisson divide it by their dispersion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.sentiment.change import FALSE_ALARMS, LEAST_TEXTS, Thresholds, tabled, tail_of
from wares.models.sentiment.shrink import Floats

LAGS = np.array([2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 30, 40, 60])
"""A burst is looked for so many events back, the last one counted."""
LONGEST = 60
"""Days: what lasts longer is a level, not a burst."""
LEAST_RATIO = 2.0
"""Of the rate in the burst over the rate before."""
PRIOR_EVENTS = 1.0
"""A series starts with so many events at the rate of its kind."""
YEARLY = np.array([4.0, 12.0, 40.0, 150.0, 600.0])
HISTORIES = 600
SMOOTH = 3
"""Days of traffic, the last one counted, that say how busy a day is."""


@dataclass(frozen=True, slots=True)
class Burst:
    """`count` events from `since` to `day` (days since 1970) where `expected` were (with its 90% interval `low`..`high`, by
    the past); `rate` is how often a year chance alone shows as much."""

    day: int
    since: int
    count: float
    expected: float
    low: float
    high: float
    evidence: float
    rate: float


def exposure(daily: NDArray[Any]) -> Floats:
    """How much of the traffic each day of ``daily (n_days,)`` counts stands for; its sum is that of the counts.

    The mean of the day and the ones before it, `SMOOTH` in all, steadied by one day of the usual mean: seasons, weekdays and
    campaigns are in it, and a quiet shop's single days are not.
    """
    counts = np.asarray(daily, float)
    n = len(counts)
    if not n or counts.sum() <= 0:
        return np.full(n, 1.0)
    total = np.concatenate([[0.0], np.cumsum(counts)])
    ends = np.arange(1, n + 1)
    first = np.maximum(ends - SMOOTH, 0)
    out = (total[ends] - total[first] + counts.mean()) / (ends - first + 1)
    return np.asarray(out * counts.sum() / out.sum())


def dispersion_of(counts: NDArray[Any], expected: NDArray[Any]) -> float:
    """Variance over mean of counts against what was expected of them, at least one (Pearson's statistic)."""
    there = expected > 0
    if there.sum() < 10:
        return 1.0
    return float(np.clip(((counts[there] - expected[there]) ** 2 / expected[there]).mean(), 1.0, 20.0))


def evidence_of(
    clock: Floats, rate: float, dispersion: float, start: float = 0.0, days: NDArray[Any] | None = None
) -> tuple[Floats, NDArray[np.int64]]:
    """Evidence of a burst at each event ``(..., t)`` and the event it began with.

    `clock` ``(..., t)`` is the exposure used up when each event came, from `start` on; `rate` the events expected of one
    unit of exposure. With `days` ``(t,)`` no burst is longer than `LONGEST`.
    """
    steps = clock.shape[-1]
    best, begun = np.zeros(clock.shape), np.zeros(clock.shape, np.int64)
    ends = np.arange(steps)
    prior = PRIOR_EVENTS / rate
    for lag in LAGS[steps >= LAGS]:
        first = ends - lag + 1
        k = np.maximum(first, 0)
        inside = np.maximum(clock - clock[..., k], 1e-9)
        # The first event opens the window: it is not evidence of what follows.
        n1 = np.full(inside.shape, lag - 1.0)
        n0, e0 = k + 1.0 + PRIOR_EVENTS, clock[..., k] - start + prior
        r0, r1 = n0 / e0, n1 / inside
        pooled = (n0 + n1) / (e0 + inside)
        found = (n0 * np.log(r0 / pooled) + n1 * np.log(r1 / pooled)) / dispersion
        usable = (first >= 0) & (lag >= LEAST_TEXTS) & (r1 >= LEAST_RATIO * r0)
        if days is not None:
            usable = usable & (days - days[k] < LONGEST)
        value = np.where(usable, found, 0.0)
        more = value > best
        best, begun = np.where(more, value, best), np.where(more, k, begun)
    return best, begun


def bursts(
    days: NDArray[Any],
    first_day: int,
    used: Floats,
    rate: float,
    dispersion: float,
    limits: Thresholds,
) -> list[Burst]:
    """Bursts among events on `days (t,)`, ascending, repeats allowed; in the order they were noticed.

    `used (n_days + 1,)` is the exposure used up before each day from `first_day` on, `rate` the kind's events for one unit. After a burst the next can begin when the series has been below twice its rate again.
    """
    out: list[Burst] = []
    if len(days) < LEAST_TEXTS:
        return out
    at = np.asarray(days) - first_day
    clock, yearly = _clock(days, first_day, used, rate)
    found, begun = evidence_of(clock, rate, dispersion, float(used[0]), days)
    level = limits.at(yearly)
    i, told = 0, -1
    while i < len(days):
        # A window that reaches back into a burst that was told says nothing new.
        if found[i] < level[i] or begun[i] <= told:
            i += 1
            continue
        end = i
        while end + 1 < len(days) and found[end + 1] > 0 and days[end + 1] - days[end] <= 14:
            end += 1
        k = int(begun[i])
        last = int(np.argmax(found[i : end + 1])) + i
        told = end
        n0, e0 = k + PRIOR_EVENTS, float(clock[k] - used[0]) + PRIOR_EVENTS / rate
        # The window opens just before its first event.
        inside = float(used[at[last] + 1] - used[at[k]])
        expected = n0 / e0 * inside
        low, high = _interval(n0, e0, inside)
        strong = float(found[last])
        out.append(
            Burst(int(days[i]), int(days[k]), float(last - k + 1), expected, low, high, strong, limits.rate(strong, float(yearly[last])))
        )  # fmt: skip
        i = end + 1
    return out


def calibrated(
    series: Sequence[NDArray[Any]],
    traffic: NDArray[Any],
    first_day: int,
    used: Floats,
    rate: float,
    dispersion: float,
    limits: Thresholds,
    seed: int = 0,
    years: float = 1500.0,
) -> tuple[Thresholds, dict[str, float]]:
    """Thresholds held against the shop's own traffic, and raised where they are exceeded more often than stated.

    Each series' events (`series`, days ascending) are put onto days of texts drawn from `traffic (n_texts,)`, which keeps
    seasons, weekdays and volumes and takes every burst of its own out. Returns the thresholds and ``years``, ``rate`` (exceeded
    a series-year, before they were raised) and ``raised``.
    """
    rng = np.random.default_rng(seed)
    usable = [days for days in series if len(days) >= LEAST_TEXTS]
    span = (len(used) - 1) / 365
    if not usable or not len(traffic):
        return limits, {"years": 0.0}
    margins: list[float] = []
    for i in range(int(np.clip(np.ceil(years / span), 1, 100 * len(usable)))):
        count = len(usable[i % len(usable)])
        days = np.sort(traffic[rng.integers(0, len(traffic), count)])
        clock, yearly = _clock(days, first_day, used, rate)
        found, _ = evidence_of(clock, rate, dispersion, float(used[0]), days)
        margins.append(float((found - limits.at(yearly)).max()))
    seen = len(margins) * span
    ordered, allowed = np.sort(margins)[::-1], int(limits.target * seen)
    by = float(max(ordered[allowed] + 1e-9, 0.0)) if allowed < len(ordered) else 0.0
    return limits.raised(by), {"years": seen, "rate": float((ordered > 0).sum() / seen), "raised": by}


def _clock(days: NDArray[Any], first_day: int, used: Floats, rate: float) -> tuple[Floats, Floats]:
    """The exposure used up when each event came, and the events a year known by then."""
    at = np.asarray(days) - first_day
    # Events of one day spread over it in their order.
    _, place, many = np.unique(at, return_inverse=True, return_counts=True)
    nth = np.arange(len(at)) - np.concatenate([[0], np.cumsum(many)])[place]
    clock = used[at] + (used[at + 1] - used[at]) * (nth + 1) / (many[place] + 1)
    # As in `evidence_of`, a series starts with some events at the rate of its kind.
    so_far = (np.arange(len(at)) + PRIOR_EVENTS) / (clock - used[0] + PRIOR_EVENTS / rate)
    return clock, so_far * float(used[-1] - used[0]) * 365 / (len(used) - 1)


def _interval(events: float, seen: float, inside: float) -> tuple[float, float]:
    """90% credible interval of what is expected: the Gamma posterior of the rate."""
    from scipy.special import gammaincinv

    return tuple(float(gammaincinv(events, tail)) / seen * inside for tail in (0.05, 0.95))  # pyright: ignore[reportReturnType]


def simulate_thresholds(
    dispersion: float, target: float = FALSE_ALARMS, seed: int = 0, histories: int = HISTORIES
) -> Thresholds:
    """Thresholds by events a year: the evidence that a year without a burst exceeds `target` times.

    Counts of days are negative binomial with the `dispersion`.
    """
    rng = np.random.default_rng(seed)
    levels, slopes = [], []
    for events in YEARLY:
        largest = np.array([_largest(events, dispersion, rng) for _ in range(histories)])
        level, slope = tail_of(largest, target)
        levels.append(level)
        slopes.append(slope)
    return tabled(target, levels, slopes, YEARLY)


def _largest(events: float, dispersion: float, rng: np.random.Generator) -> float:
    """The largest evidence of a year."""
    mean = events / 365
    if dispersion > 1 + 1e-9:
        shape = mean / (dispersion - 1)
        counts = rng.poisson(rng.gamma(shape, dispersion - 1, 365))
    else:
        counts = rng.poisson(mean, 365)
    days = np.repeat(np.arange(365), counts)
    if len(days) < LEAST_TEXTS:
        return 0.0
    clock = np.sort(days + rng.random(len(days)))
    found, _ = evidence_of(clock, mean, dispersion, 0.0, days)
    return float(found.max())
