"""All series of a shop watched at once: changes of mood, bursts of complaints, waves of spam; which of a week's are told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.sentiment import change, change_counts
from wares.models.sentiment.moods import COMPLAINTS, FELL, ROSE, SPAM_WAVE
from wares.models.sentiment.moods_fold import folded
from wares.models.sentiment.moods_noticed import Noticed
from wares.models.sentiment.series import NO_ASPECT, Counted, Group, daily, mood_of
from wares.models.sentiment.shrink import Prior
from wares.models.sentiment.spam import DUPLICATE, SPAM

WATCHED = 5
"""Dated texts without which a series is not watched."""
QUIET_DAYS = 30
"""A burst is over so long after its last event."""
ALONE = ("brand", "language", "seller", "query", "kind")
"""Of these a single one is the shop again."""
COMPLAINT_SCOPES = ("product", "category", "aspect", "category_aspect", "product_aspect")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Budget:
    """See `wares.models.sentiment.moods_build.Rule`."""

    target: float
    fdr: float
    seed: int
    histories: int
    years: float


def detect(
    groups: Sequence[Group],
    prior: Callable[[Group], Prior],
    texts: Counted,
    flags: NDArray[Any],
    product: NDArray[Any],
    day: NDArray[Any],
    budget: Budget,
    progress: Say,
) -> tuple[list[Noticed], dict[str, Any]]:
    """Alarms of all series by day, and how each scope was calibrated. `groups` hold dated texts; `flags`, `product` and `day` are
    of all texts, the spam included."""
    by: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        if len(group.rows) >= WATCHED:
            by[group.scope].append(group)
    for scope in ALONE:
        if len(by[scope]) < 2:
            del by[scope]
    found: list[Noticed] = []
    facts: dict[str, Any] = {}
    for scope, some in by.items():
        progress(f"changes: {scope}")
        new, facts[scope] = _changes(scope, some, prior, budget)
        found += new
    traffic = texts.day[texts.day >= 0]
    watched = {scope: len(some) for scope, some in by.items()}
    if len(traffic):
        bad = [(g, g.days[g.values > 0.5]) for scope in COMPLAINT_SCOPES for g in by.get(scope, [])]
        spam = _spam(flags, product, day)
        known = {(g.scope, g.key): g.days for g in groups if g.aspect < 0}
        for kind, series in ((COMPLAINTS, bad), (SPAM_WAVE, spam)):
            progress(f"bursts: {kind}")
            new, facts[kind] = _bursts(kind, series, known, traffic, budget)
            found += new
            watched[kind] = len(series)
    found.sort(key=lambda one: (one.day, one.scope, one.key, one.aspect, one.kind))
    facts["watched"] = sum(watched.values())
    own = {(group.scope, group.key, group.aspect): group for group in groups}
    return folded(_told(found, facts["watched"], budget.fdr), own), facts


def _changes(
    scope: str, groups: list[Group], prior: Callable[[Group], Prior], budget: Budget
) -> tuple[list[Noticed], dict[str, Any]]:
    priors = [prior(group) for group in groups]
    pool = np.concatenate([group.values for group in groups])
    typical = replace(priors[0], mean=float(np.clip(pool.mean(), 0.01, 0.99)))
    tables = change.simulate_thresholds(
        pool, typical, budget.target, budget.seed, budget.histories, _volumes(groups)
    )
    series = [(group.days, group.values, own) for group, own in zip(groups, priors, strict=True)]
    worse, better, facts = change.calibrated(series, *tables, seed=budget.seed, years=budget.years)
    out: list[Noticed] = []
    for group, own in zip(groups, priors, strict=True):
        days, sums, counts = daily(group)
        moves = change.changes(days, sums, counts, own, worse, better)
        for i, one in enumerate(moves):
            before, after = (
                tuple(float(mood_of(level[j])) for j in (0, 2, 1)) for level in (one.before, one.after)
            )
            back = any(later.up != one.up for later in moves[i + 1 :])
            out.append(
                Noticed(
                    FELL if one.up else ROSE, scope, group.key, group.aspect, one.day, one.since, before, after,  # pyright: ignore[reportArgumentType]
                    one.texts_before, one.texts_after, one.rate, over=back,
                )
            )  # fmt: skip
    return out, {**facts, "series": len(groups), "worse": worse.to_json(), "better": better.to_json()}


def _volumes(groups: list[Group]) -> NDArray[Any]:
    """The volumes to simulate: up to the largest there is."""
    most = 0.0
    for group in groups:
        days, _, counts = daily(group)
        most = max(most, float(change.yearly(days, counts).max()))
    return change.VOLUMES[: int(np.searchsorted(change.VOLUMES, most)) + 1]


def _spam(flags: NDArray[Any], product: NDArray[Any], day: NDArray[Any]) -> list[tuple[Group, NDArray[Any]]]:
    """Days of copies and advertising, in the shop and by product."""
    rows = np.flatnonzero(((flags & (DUPLICATE | SPAM)) > 0) & (day >= 0))
    rows = rows[np.argsort(day[rows], kind="stable")]
    none, no_span = np.zeros(0), np.zeros((0, 2), np.int64)
    out = [(Group("shop", 0, NO_ASPECT, rows, day[rows], none, no_span), day[rows])]
    keys = product[rows]
    for key in np.unique(keys[keys >= 0]):
        own = rows[keys == key]
        out.append((Group("product", int(key), NO_ASPECT, own, day[own], none, no_span), day[own]))
    return [(group, days) for group, days in out if len(days) >= WATCHED]


def _bursts(
    kind: str,
    series: list[tuple[Group, NDArray[Any]]],
    known: dict[tuple[str, int], NDArray[Any]],
    traffic: NDArray[Any],
    budget: Budget,
) -> tuple[list[Noticed], dict[str, Any]]:
    out: list[Noticed] = []
    facts: dict[str, Any] = {"series": len(series)}
    by: dict[str, list[tuple[Group, NDArray[Any]]]] = defaultdict(list)
    for group, days in series:
        if len(days) >= change.LEAST_TEXTS:
            by[group.scope].append((group, days))
    first = int(min(traffic.min(), min((int(d.min()) for _, d in series if len(d)), default=traffic.min())))
    last = int(max(traffic.max(), max((int(d.max()) for _, d in series if len(d)), default=traffic.max())))
    # What is busy in the shop is busy in its parts.
    used = np.concatenate(
        [[0.0], np.cumsum(change_counts.exposure(np.bincount(traffic - first, minlength=last - first + 1)))]
    )
    expected = np.diff(used)
    spreads = [
        change_counts.dispersion_of(*_weekly(days - first, expected))
        for some in by.values()
        for _, days in some
    ]
    spread = float(np.median(spreads)) if spreads else 1.0
    simulated = change_counts.simulate_thresholds(spread, budget.target, budget.seed, budget.histories)
    for scope, some in by.items():
        rate = float(np.mean([len(days) for _, days in some])) / float(used[-1])
        limits, checked = change_counts.calibrated(
            [days for _, days in some],
            traffic,
            first,
            used,
            rate,
            spread,
            simulated,
            budget.seed,
            budget.years,
        )
        facts[scope] = {**checked, "dispersion": spread, "thresholds": limits.to_json()}
        for group, days in some:
            # What was never spoken of before has no usual.
            own = known.get((group.scope.removesuffix("_aspect"), group.key), traffic)
            for one in change_counts.bursts(days, first, used, rate, spread, limits):
                if int(np.searchsorted(own, one.since)) < change.LEAST_BEFORE:
                    continue
                over = not (days > last - QUIET_DAYS).any() or last - one.day > change_counts.LONGEST
                out.append(
                    Noticed(
                        kind, scope, group.key, group.aspect, one.day, one.since, (one.expected, one.low, one.high), (one.count, one.count, one.count),
                        float((days < one.since).sum()), one.count, one.rate, over=bool(over),
                    )
                )  # fmt: skip
    return out, facts


def _weekly(days: NDArray[Any], expected: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Counts of whole weeks and what was expected of them, for the series' own number of events."""
    weeks = len(expected) // 7
    counts = np.bincount(days // 7, minlength=weeks)[:weeks].astype(float)
    share = expected[: 7 * weeks].reshape(weeks, 7).sum(1)
    return counts, share * counts.sum() / max(share.sum(), 1e-9)


def _told(found: list[Noticed], watched: int, fdr: float) -> list[Noticed]:
    """Mark those that stand among all series of their week (Benjamini and Hochberg 1995): of these, `fdr` are chance."""
    weeks: dict[int, list[int]] = defaultdict(list)
    for i, one in enumerate(found):
        weeks[one.day // 7].append(i)
    told = [False] * len(found)
    for rows in weeks.values():
        p = np.array([1 - np.exp(-found[i].rate / 52) for i in rows])
        order = np.argsort(p, kind="stable")
        passed = np.flatnonzero(p[order] <= fdr * np.arange(1, len(p) + 1) / max(watched, 1))
        for rank in range(int(passed[-1]) + 1 if len(passed) else 0):
            told[rows[int(order[rank])]] = True
    return [replace(one, told=mark) for one, mark in zip(found, told, strict=True)]
