"""When the mood of a series changed: a generalised likelihood ratio over uneven days, with a stated rate of false alarms.

A day's texts are compared, with those of the days before it back to some day, to all texts earlier than that: the two
means under one level, or under two (Siegmund and Venkatraman, *Using the Generalized Likelihood Ratio Statistic for
Sequential Detection of a Change-Point*, Annals of Statistics 1995; quasi-likelihood as in Wedderburn 1974 for values
between 0 and 1). The earlier texts begin with the prior: so many texts of the parent's mean (`shrink`). It conditions on
how many texts came, so busy seasons raise nothing by themselves, and days without a text do not count.

The threshold is simulated: histories of the same yearly volume and no change, their values drawn from the shop's own, of
groups that differ as the shop's differ. It is then held against the shop's own histories, shuffled (`calibrated`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from wares.models.sentiment.shrink import Floats, Prior, interval

LAGS = np.array([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 21, 25, 30, 36, 45, 55, 70, 90, 120, 160])
"""A change is looked for so many days with texts back."""
FALSE_ALARMS = 0.1
"""A year and direction, of one series."""
LEAST_TEXTS = 3.0
"""After a change; fewer tell nothing, however bad."""
LEAST_BEFORE = 5.0
"""Own texts before a change: what was bad from its first text on did not change."""
LEAST_SHIFT = 0.05
"""Of the share of badness: smaller changes of large series are true and of no use (0.1 of mood)."""
VOLUMES = np.array([6.0, 15.0, 40.0, 100.0, 300.0, 1000.0, 4000.0])
"""Texts a year for which thresholds are simulated; between them they are interpolated."""
HISTORIES = 600
_EARLIEST = 0.02
_AFTER_CHANGE = 2.0


@dataclass(frozen=True, slots=True)
class Change:
    """A change of level: noticed on `day`, begun on `since` (days since 1970), ``up`` when it got worse.

    `before` and `after` are shrunk means with their 90% credible intervals, of `texts_before` and `texts_after` texts;
    `rate` is how often a year a series without a change reaches this `evidence`.
    """

    day: int
    since: int
    up: bool
    evidence: float
    rate: float
    before: tuple[float, float, float]
    after: tuple[float, float, float]
    texts_before: float
    texts_after: float


@dataclass(frozen=True)
class Thresholds:
    """For each of the yearly `volumes (v,)`, the evidence ``level (v,)`` that is reached `target` times a year, and ``slope (v,)``
    by which the logarithm of that rate falls with the evidence above it."""

    target: float
    level: Floats
    slope: Floats
    volumes: Floats

    def at(self, volume: NDArray[Any] | float) -> Floats:
        """The threshold for so many texts a year."""
        return np.interp(np.log(np.maximum(volume, 1e-9)), np.log(self.volumes), self.level)

    def raised(self, by: float) -> Thresholds:
        """The same with so much more evidence asked for."""
        return replace(self, level=self.level + by)

    def rate(self, evidence: float, volume: float) -> float:
        """How often a year a series of this volume reaches this evidence by chance."""
        x = np.log(max(volume, 1e-9))
        slope = float(np.interp(x, np.log(self.volumes), self.slope))
        over = evidence - float(self.at(volume))
        return self.target * float(np.exp(-slope * over))

    def to_json(self) -> dict[str, Any]:
        """For a manifest."""
        return {
            "target": self.target,
            **{name: getattr(self, name).tolist() for name in ("level", "slope", "volumes")},
        }

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Thresholds:
        """From a manifest."""
        return cls(float(facts["target"]), *(np.array(facts[name]) for name in ("level", "slope", "volumes")))


def _likelihood(sums: Floats, counts: Floats) -> Floats:
    """Quasi log-likelihood of sums in 0..counts at their own rate."""
    rest = counts - sums
    return xlogy(sums, sums) + xlogy(rest, rest) - xlogy(counts, counts)


def evidence_of(
    sums: Floats, counts: Floats, prior: Prior, start: int = 0
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Evidence of a change for the worse ``(..., t)``, for the better, and the place ``(2, ..., t)`` where each began.

    `sums` and `counts` ``(..., t)`` are of the days with texts, in order; those before `start` are not looked at. Zero where
    too few texts came or the levels lie too close.
    """
    s, n = np.cumsum(sums[..., start:], -1), np.cumsum(counts[..., start:], -1)
    steps = s.shape[-1]
    s = np.concatenate([np.zeros((*s.shape[:-1], 1)), s], -1)
    n = np.concatenate([np.zeros((*n.shape[:-1], 1)), n], -1)
    best = np.zeros((2, *s.shape[:-1], steps))
    begun = np.zeros(best.shape, np.int64)
    if not steps:
        return best[0], best[1], begun
    ends = np.arange(1, steps + 1)
    # The likelihood of the texts up to each day, the prior's among them, serves as what was before and as the whole.
    before = np.maximum(s + prior.strength * prior.mean, 0), n + prior.strength
    level, known = before[0] / before[1], _likelihood(*before)
    own = s / np.maximum(n, 1e-9)
    for lag in LAGS[steps >= LAGS]:
        # Days before the first have no window so long.
        at, k = ends[lag - 1 :], ends[lag - 1 :] - lag
        s1, n1 = np.maximum(s[..., at] - s[..., k], 0.0), n[..., at] - n[..., k]
        s1 = np.minimum(s1, n1)
        q1 = s1 / np.maximum(n1, 1e-9)
        found = (known[..., k] + _likelihood(s1, n1) - known[..., at]) / prior.dispersion
        enough = (n1 >= LEAST_TEXTS) & (n[..., k] >= LEAST_BEFORE)
        # The level must differ from what was expected and from what the series itself showed.
        q0, q = level[..., k], own[..., k]
        for side, shift in enumerate((q1 - np.maximum(q0, q), np.minimum(q0, q) - q1)):
            value = np.where(enough & (shift >= LEAST_SHIFT), found, 0.0)
            some = best[side][..., lag - 1 :]
            more = value > some
            best[side][..., lag - 1 :] = np.where(more, value, some)
            begun[side][..., lag - 1 :] = np.where(more, k + start, begun[side][..., lag - 1 :])
    return best[0], best[1], begun


def yearly(days: NDArray[Any], counts: Floats) -> Floats:
    """Texts a year up to each day ``(t,)``, from the last year; a new series is taken to go on as it began, from 30 days on."""
    n = np.concatenate([[0.0], np.cumsum(counts)])
    from_ = np.searchsorted(days, days - 365, side="right")
    elapsed = np.clip(days - days[0] + 1, 30, 365) if len(days) else np.zeros(0)
    return np.asarray((n[1:] - n[from_]) * 365.0 / elapsed)


def changes(
    days: NDArray[Any],
    sums: Floats,
    counts: Floats,
    prior: Prior,
    worse: Thresholds,
    better: Thresholds,
) -> list[Change]:
    """Changes of a series in the order they were noticed, using on each day only what was known by then.

    `days` ascending without repeats, `sums` of badness and `counts` of texts on each. After a change what is known of the
    series begins with it.
    """
    out: list[Change] = []
    volume = yearly(days, counts)
    limits = (worse.at(volume), better.at(volume))
    start, looked, now = 0, 0, prior
    while looked < len(days):
        up, down, begun = evidence_of(sums, counts, now, start)
        over = np.stack([up >= limits[0][start:], down >= limits[1][start:]])
        over[:, : looked - start] = False
        hits = np.flatnonzero(over.any(0))
        if not len(hits):
            break
        at = int(hits[0])
        side = int(np.argmax([x[at] - limit[start + at] if o else -np.inf for x, limit, o in zip((up, down), limits, over[:, at], strict=True)]))  # fmt: skip
        since, end = int(begun[side, at]), start + at
        before = (float(sums[start:since].sum()), float(counts[start:since].sum()))
        after = (float(sums[since : end + 1].sum()), float(counts[since : end + 1].sum()))
        strong = float((up, down)[side][at])
        table = (worse, better)[side]
        out.append(
            Change(
                int(days[end]), int(days[since]), side == 0, strong, table.rate(strong, float(volume[end])),
                _level(*before, now.mean, now.strength, now.dispersion), _level(*after, before_mean(before, now), 1.0, now.dispersion),
                before[1], after[1],
            )
        )  # fmt: skip
        # The new level was not drawn from where the series came from: it stands for itself.
        now = Prior(float(np.clip(after[0] / after[1], 0.01, 0.99)), _AFTER_CHANGE, prior.dispersion)
        start, looked = since, end + 1
    return out


def before_mean(before: tuple[float, float], prior: Prior) -> float:
    """Mean of the texts before a change and the prior."""
    return (before[0] + prior.strength * prior.mean) / (before[1] + prior.strength)


def _level(
    total: float, count: float, mean: float, strength: float, dispersion: float
) -> tuple[float, float, float]:
    centre = np.array((total + strength * mean) / (count + strength))
    low, high = interval(centre, np.array(count), strength, dispersion)
    return float(centre), float(low), float(high)


def simulate_thresholds(
    pool: NDArray[Any],
    prior: Prior,
    target: float = FALSE_ALARMS,
    seed: int = 0,
    histories: int = HISTORIES,
    volumes: Floats = VOLUMES,
) -> tuple[Thresholds, Thresholds]:
    """Thresholds for the worse and for the better: the evidence that a year without a change exceeds `target` times.

    Each simulated series has a level of its own, from the Beta distribution whose mean and spread the `prior` states; a
    text's value comes from the low or the high ones of `pool` so that their mean is that level. The rate at other
    evidence follows from the exponential tail of the yearly largest.
    """
    rng = np.random.default_rng(seed)
    levels: list[list[float]] = [[], []]
    slopes: list[list[float]] = [[], []]
    for volume in volumes:
        sums, counts = _null(pool, prior, volume, histories, rng)
        up, down, _ = evidence_of(sums, counts, prior)
        for side, found in enumerate((up, down)):
            level, slope = tail_of(found.max(-1), target)
            levels[side].append(level)
            slopes[side].append(slope)
    worse, better = (
        tabled(target, level, slope, volumes) for level, slope in zip(levels, slopes, strict=True)
    )
    return worse, better


def tabled(target: float, level: Sequence[float], slope: Sequence[float], volumes: Floats) -> Thresholds:
    """Thresholds by volume, of which a larger one never has the lower."""
    return Thresholds(target, np.maximum.accumulate(np.array(level)), np.array(slope), volumes)


def calibrated(
    series: Sequence[tuple[NDArray[Any], NDArray[Any], Prior]],
    worse: Thresholds,
    better: Thresholds,
    seed: int = 0,
    years: float = 1500.0,
) -> tuple[Thresholds, Thresholds, dict[str, float]]:
    """Thresholds held against the shop's own histories, and raised where they are exceeded more often than stated.

    `series` are the day and the value of each text, days ascending, and the series' prior. A series' values are shuffled over its own texts, which
    keeps its dates, volume and level and takes every change out; so often that at least `years` series-years are seen.
    Returns the thresholds and ``years``, ``rate_worse`` and ``rate_better`` (exceeded a series-year, before they were raised)
    and ``raised_worse``, ``raised_better``.
    """
    rng = np.random.default_rng(seed)
    usable = [one for one in series if len(one[0]) >= LEAST_TEXTS + 2]
    span = sum(_years(days) for days, _, _ in usable)
    if not usable or span <= 0:
        return worse, better, {"years": 0.0}
    rounds = int(np.clip(np.ceil(years / span), 1, 100))
    over: tuple[list[float], list[float]] = ([], [])
    seen = 0.0
    for _ in range(rounds):
        for i in rng.permutation(len(usable)):
            days, values, prior = usable[int(i)]
            unique, place = np.unique(days, return_inverse=True)
            sums = np.asarray(np.bincount(place, rng.permutation(values), len(unique)), float)
            counts = np.bincount(place, minlength=len(unique)).astype(float)
            volume = yearly(unique, counts)
            up, down, _ = evidence_of(sums, counts, prior)
            for side, (found, table) in enumerate(((up, worse), (down, better))):
                over[side].append(float((found - table.at(volume)).max()))
            seen += _years(days)
            if seen >= years:
                break
        if seen >= years:
            break
    facts = {"years": seen}
    tables: list[Thresholds] = []
    for name, margins, table in zip(("worse", "better"), over, (worse, better), strict=True):
        ordered = np.sort(margins)[::-1]
        allowed = int(table.target * seen)
        by = float(max(ordered[allowed] + 1e-9, 0.0)) if allowed < len(ordered) else 0.0
        facts |= {f"rate_{name}": float((ordered > 0).sum() / seen), f"raised_{name}": by}
        tables.append(table.raised(by))
    return tables[0], tables[1], facts


def _years(days: NDArray[Any]) -> float:
    return float(days[-1] - days[0] + 1) / 365


def tail_of(largest: Floats, target: float) -> tuple[float, float]:
    """The level that the yearly largest exceeds `target` times a year (Poisson), and the slope of its exponential tail."""
    ordered = np.sort(largest)
    middle = float(np.quantile(ordered, 0.7))
    excess = ordered[ordered > middle] - middle
    slope = 1.0 / max(float(excess.mean()), 1e-3) if len(excess) else 1.0
    share = float(np.exp(-target))
    if (1 - share) * len(ordered) >= 20:
        return float(np.quantile(ordered, share)), slope
    # Fewer years than the target needs: the tail goes on as it falls.
    return middle + float(np.log(-np.log(0.7) / target)) / slope, slope


def _null(
    pool: NDArray[Any], prior: Prior, volume: float, histories: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Sums and counts ``(histories, steps)`` of a year's days with texts, without a change."""
    spread = prior.mean * (1 - prior.mean)
    # The strength is the variance within, a share of mean level times its rest, over the variance between.
    between = prior.dispersion * spread / (prior.strength + prior.dispersion)
    weight = max(spread / max(between, 1e-9) - 1, _EARLIEST)
    own = rng.beta(max(prior.mean * weight, _EARLIEST), max((1 - prior.mean) * weight, _EARLIEST), histories)
    per_day = volume / 365.0
    steps = max(round(365 * (1 - np.exp(-per_day))), 2)
    counts = np.maximum(rng.poisson(per_day, (histories, steps)), 1)
    # Scaled so that a year holds the volume: days without a text are left out and the others hold one or more.
    values = np.asarray(pool, float)
    low, high = values[values < 0.5], values[values >= 0.5]
    if not len(low) or not len(high):
        low, high = np.zeros(1), np.ones(1)
    bottom, top = float(low.mean()), float(high.mean())
    share = np.clip((own - bottom) / max(top - bottom, 1e-6), 0, 1)
    bad = rng.binomial(counts, share[:, None])
    return _drawn(low, counts - bad, rng) + _drawn(high, bad, rng), counts.astype(float)


def _drawn(values: Floats, counts: NDArray[Any], rng: np.random.Generator) -> Floats:
    """Sums of `counts` values drawn with replacement."""
    flat = counts.ravel()
    drawn = values[rng.integers(0, len(values), int(flat.sum()))]
    ends = np.concatenate([[0.0], np.cumsum(drawn)])
    at = np.concatenate([[0], np.cumsum(flat)])
    return (ends[at[1:]] - ends[at[:-1]]).reshape(counts.shape)
