"""Build the moods of a shop from what its texts say: shrunk levels, series, changes, bursts, drift, and the texts to quote."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import save_arrays, seal
from wares.core.strings import StringTable
from wares.models.sentiment.drift import Stream, doubtful, drift
from wares.models.sentiment.label_shift import adapted
from wares.models.sentiment.moods import ALARMS, KIND
from wares.models.sentiment.moods_detect import Budget, detect
from wares.models.sentiment.moods_noticed import Noticed
from wares.models.sentiment.moods_quotes import Quoted
from wares.models.sentiment.readings import Readings
from wares.models.sentiment.series import (
    SCOPES,
    Counted,
    Group,
    counted,
    daily,
    days_of,
    groups_of,
    mood_of,
    one_opinion_each,
)  # fmt: skip
from wares.models.sentiment.shrink import Prior, hierarchy

DOUBTS = 30
"""Texts to ask a person about when confidence falls."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Catalog:
    """What moods need of the catalogue: ids, the category of each product ``(n,)`` and their names, and brand names."""

    ids: Sequence[str]
    category_of: NDArray[Any]
    categories: Sequence[str]
    brand_of: Sequence[str]


@dataclass(frozen=True)
class Rule:
    """`false_alarms` a year, series and direction; `told` the share of false ones among those told of one week; `histories`
    simulated for each volume, and shuffled series-`years` that thresholds are held against."""

    false_alarms: float = 0.1
    told: float = 0.2
    seed: int = 0
    histories: int = 250
    years: float = 150.0


@dataclass
class Levels:
    """Shrunk badness of every series, by (scope, key, aspect): mean, low, high, volume, parent; and each scope's prior."""

    of: dict[tuple[str, int, int], tuple[float, float, float, float, float]] = field(default_factory=dict)
    priors: dict[str, Prior] = field(default_factory=dict)

    def prior(self, group: Group) -> Prior:
        """What is expected of a series before its own texts."""
        base = self.priors[group.scope]
        known = self.of[(group.scope, group.key, group.aspect)]
        return Prior(float(np.clip(known[4], 0.01, 0.99)), base.strength, base.dispersion)


def levels_of(texts: Counted) -> Levels:
    """Shrink every scope: products to their category and that to the shop, an aspect's products likewise, others to the shop."""
    out = Levels()

    def put(
        scopes: Sequence[str],
        values: NDArray[Any],
        levels: Sequence[NDArray[Any]],
        sizes: Sequence[int],
        key: Callable[[str, int], tuple[int, int]],
    ) -> None:
        for scope, found in zip(scopes, hierarchy(values, levels, sizes), strict=True):
            out.priors[scope] = found.prior
            for i in np.flatnonzero(found.counts > 0):
                mean, low, high, count, parent = (
                    float(x[i]) for x in (found.mean, found.low, found.high, found.counts, found.parent)
                )
                out.of[(scope, *key(scope, int(i)))] = mean, low, high, count, parent

    g, n = texts.groups, texts.sizes
    for scopes in (
        ("shop",),
        ("category", "product"),
        ("brand",),
        ("language",),
        ("seller",),
        ("query",),
        ("kind",),
    ):
        put(scopes, texts.badness, [g[s] for s in scopes], [n[s] for s in scopes], lambda _, i: (i, -1))
    pairs, badness, _ = one_opinion_each(texts)
    a = len(texts.aspects)
    if a:
        text, aspect = pairs[:, 0], pairs[:, 1]
        keyed = {s: np.where(g[s][text] >= 0, g[s][text] * a + aspect, -1) for s in ("category", "product")}
        put(
            ("aspect", "category_aspect", "product_aspect"), badness, [aspect, keyed["category"], keyed["product"]],
            [a, n["category"] * a, n["product"] * a], lambda scope, i: (-1, i) if scope == "aspect" else divmod(i, a),
        )  # fmt: skip
    return out


def build_moods(
    read: Readings,
    catalog: Catalog,
    now: int,
    folder: Path,
    rule: Rule | None = None,
    trained_bad: float | None = None,
    progress: Say = lambda _: None,
) -> dict[str, Any]:
    """Write the artefact into `folder`; returns its manifest. `now` in microseconds since 1970.

    `trained_bad`: the share of bad texts that a classifier of two labels learned from, where it was not this shop's; its answers
    are then turned to the share here.
    """
    rule = rule or Rule()
    progress("levels")
    texts, brands = counted(read, catalog.category_of, len(catalog.categories), catalog.brand_of, now)
    if trained_bad is not None:
        texts = replace(texts, badness=adapted(texts.badness, trained_bad))
    levels = levels_of(texts)
    groups = list(groups_of(texts, dated=False))
    place = {(g.scope, g.key, g.aspect): i for i, g in enumerate(groups)}
    dated = {(g.scope, g.key, g.aspect): g for g in groups_of(texts)}
    flags = np.asarray(read.flags)
    noticed, facts = detect(
        list(dated.values()), levels.prior, texts, flags, np.asarray(read.product, np.int64), days_of(np.asarray(read.at), now),
        Budget(rule.false_alarms, rule.told, rule.seed, rule.histories, rule.years), progress,
    )  # fmt: skip
    # A wave of spam can be in a series that has no text that counts: it has no level to show it by.
    noticed = _without(noticed, [(one.scope, one.key, one.aspect) in place for one in noticed])
    progress("quotes")
    quoted = Quoted(read, days_of(np.asarray(read.at), now))
    said = [quoted.of_group(group) for group in groups]
    evidence = [quoted.of_alarm(one, dated.get((one.scope, one.key, one.aspect))) for one in noticed]
    progress("drift")
    drifts, doubts = _drift(read, now, rule.seed)
    for row in doubts:
        quoted.of_text(int(row))
    _save_levels(folder, levels, texts, len(catalog.ids), len(catalog.categories))
    _save_series(folder, groups, dated, levels, said)
    _save_alarms(folder, noticed, place, evidence)
    quoted.save(folder)
    names = {
        "category": catalog.categories, "brand": brands, "product": catalog.ids, "language": read.languages, "seller": read.sellers,
        "query": read.queries, "kind": read.kinds,
    }  # fmt: skip
    for scope, table in names.items():
        StringTable.of(str(name) for name in table).save(folder, f"names_{scope}")
    days = texts.day[texts.day >= 0]
    undated = np.asarray(read.at)[flags == 0]
    return seal(
        folder, KIND, aspects=list(texts.aspects), named=list(names), last_day=int(days.max(initial=-1)), first_day=int(days.min()) if len(days) else -1,
        texts=len(texts.row), left_out={name: int(((flags & bit) > 0).sum()) for name, bit in (("blank", 1), ("copies", 2), ("spam", 4))},
        undated=int((undated < 0).sum()), in_the_future=int((undated > now).sum()), series=len(groups), rule=asdict(rule), detection=facts,
        priors={scope: asdict(prior) for scope, prior in levels.priors.items()}, drift=drifts, doubts=[str(read.ids[i]) for i in doubts],
    )  # fmt: skip


def _without(noticed: list[Noticed], kept: list[bool]) -> list[Noticed]:
    """Those that are kept, with the places of the alarms that explain them as they now are."""
    moved = np.cumsum(kept) - 1
    there = [one for one, keep in zip(noticed, kept, strict=True) if keep]
    return [
        replace(one, part_of=int(moved[one.part_of]) if one.part_of >= 0 and kept[one.part_of] else -1)
        for one in there
    ]


def _drift(read: Readings, now: int, seed: int) -> tuple[list[dict[str, Any]], NDArray[np.int64]]:
    """Drift over all dated texts and in each language, and the least sure texts where confidence fell."""
    day = days_of(np.asarray(read.at), now)
    flags = np.asarray(read.flags)
    usable = np.flatnonzero((day >= 0) & ((flags & 6) == 0))
    usable = usable[np.argsort(day[usable], kind="stable")]
    out: list[dict[str, Any]] = []
    doubts = np.zeros(0, np.int64)
    for name in ("", *read.languages):
        rows = usable if not name else usable[np.asarray(read.language)[usable] == read.languages.index(name)]
        stream = Stream(
            day[rows], np.asarray(read.language)[rows], (flags[rows] & 1) > 0, np.asarray(read.confidence)[rows],
            np.asarray(read.sure)[rows], np.asarray(read.mood)[rows], np.asarray(read.stars)[rows], _Some(read.texts, rows),
        )  # fmt: skip
        found = drift(stream, seed)
        if found is None:
            continue
        out.append(
            {
                "language": name,
                **asdict(found),
                "measures": [{**_numbers(asdict(m)), "drifted": m.drifted} for m in found.measures],
            }
        )
        if not len(doubts) and any(m.model and m.drifted for m in found.measures):
            doubts = rows[doubtful(stream, DOUBTS)]
    return out, doubts


def _numbers(values: dict[str, Any]) -> dict[str, Any]:
    """NaN, which JSON has not, as None."""
    return {name: None if isinstance(v, float) and np.isnan(v) else v for name, v in values.items()}


class _Some(Sequence[str]):
    """Some rows of a table of strings, read when asked for."""

    def __init__(self, table: StringTable, rows: NDArray[Any]) -> None:
        self.table, self.rows = table, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: Any) -> Any:
        return self.table[int(self.rows[at])]


def _save_levels(folder: Path, levels: Levels, texts: Counted, products: int, categories: int) -> None:
    a = len(texts.aspects)
    whole, all_low, all_high = (
        levels.of.get(("shop", 0, -1), (0.5, 0.0, 1.0))[:3] if levels.of else (0.5, 0.0, 1.0)
    )
    mood = {
        name: np.full(products, value)
        for name, value in (("mean", whole), ("low", all_low), ("high", all_high))
    }
    volume = np.zeros(products)
    by = {
        scope: {name: np.zeros((n, a), np.float32) for name in ("mood", "volume")}
        for scope, n in (("product", products), ("category", categories))
    }
    for (scope, key, aspect), (mean, low, high, count, _) in levels.of.items():
        if scope == "product":
            mood["mean"][key], mood["low"][key], mood["high"][key], volume[key] = mean, low, high, count
        elif scope in ("product_aspect", "category_aspect"):
            part = by[scope.removesuffix("_aspect")]
            part["mood"][key, aspect], part["volume"][key, aspect] = mood_of(mean), count
    # Of what nobody has spoken of, the shop's mean is the best guess.
    for part in by.values():
        for aspect in range(a):
            silent = part["volume"][:, aspect] == 0
            part["mood"][silent, aspect] = mood_of(levels.of.get(("aspect", -1, aspect), (whole,))[0])
    sides = {name: np.zeros((products, a), np.float32) for name in ("bad", "good")}
    pairs, badness, _ = one_opinion_each(texts)
    if len(pairs):
        product = texts.groups["product"][pairs[:, 0]]
        for name, some in (("bad", badness > 0.5), ("good", badness < 0.5)):
            rows = some & (product >= 0)
            np.add.at(sides[name], (product[rows], pairs[rows, 1]), 1)
    save_arrays(
        folder, mood=mood_of(mood["mean"]).astype(np.float32), mood_low=mood_of(mood["high"]).astype(np.float32),
        mood_high=mood_of(mood["low"]).astype(np.float32), volume=volume.astype(np.float32), aspect_mood=by["product"]["mood"],
        aspect_volume=by["product"]["volume"], aspect_bad=sides["bad"], aspect_good=sides["good"],
        category_aspect_mood=by["category"]["mood"], category_aspect_volume=by["category"]["volume"],
    )  # fmt: skip


def _save_series(
    folder: Path,
    groups: list[Group],
    dated: dict[tuple[str, int, int], Group],
    levels: Levels,
    said: list[list[int]],
) -> None:
    points: dict[str, list[NDArray[Any]]] = defaultdict(list)
    ends = [0]
    for group in groups:
        own = dated.get((group.scope, group.key, group.aspect))
        days, sums, texts = (
            daily(own) if own is not None else (np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
        )
        for name, values in (("day", days), ("bad", sums), ("texts", texts)):
            points[name].append(values)
        ends.append(ends[-1] + len(days))
    known = np.array([levels.of[(g.scope, g.key, g.aspect)] for g in groups]).reshape(len(groups), 5)
    priors = [levels.priors[g.scope] for g in groups]
    joined = {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in points.items()}
    empty = {"day": np.zeros(0), "bad": np.zeros(0), "texts": np.zeros(0)}
    joined = {**empty, **joined}
    save_arrays(
        folder, series_scope=np.array([SCOPES.index(g.scope) for g in groups], np.int8), series_key=np.array([g.key for g in groups], np.int32),
        series_aspect=np.array([g.aspect for g in groups], np.int16), series_mood=mood_of(known[:, 0]).astype(np.float32),
        series_low=mood_of(known[:, 2]).astype(np.float32), series_high=mood_of(known[:, 1]).astype(np.float32),
        series_volume=known[:, 3].astype(np.float32), series_parent=mood_of(known[:, 4]).astype(np.float32),
        series_strength=np.array([p.strength for p in priors], np.float32), series_dispersion=np.array([p.dispersion for p in priors], np.float32),
        series_ptr=np.array(ends, np.int64), series_quote_ptr=np.cumsum([0, *map(len, said)]).astype(np.int64),
        series_quotes=np.array([row for rows in said for row in rows], np.int64), point_day=joined["day"].astype(np.int32),
        point_texts=joined["texts"].astype(np.float32), point_bad=joined["bad"].astype(np.float32),
    )  # fmt: skip


def _save_alarms(
    folder: Path, noticed: list[Noticed], place: dict[tuple[str, int, int], int], evidence: list[list[int]]
) -> None:
    n = len(noticed)
    save_arrays(
        folder, alarm_kind=np.array([ALARMS.index(one.kind) for one in noticed], np.int8),
        alarm_series=np.array([place[(one.scope, one.key, one.aspect)] for one in noticed], np.int32),
        alarm_day=np.array([one.day for one in noticed], np.int32), alarm_since=np.array([one.since for one in noticed], np.int32),
        alarm_levels=np.array([[*one.before, *one.after] for one in noticed]).reshape(n, 6),
        alarm_texts=np.array([[one.texts_before, one.texts_after] for one in noticed]).reshape(n, 2),
        alarm_rate=np.array([one.rate for one in noticed], float), alarm_told=np.array([one.told for one in noticed], bool),
        alarm_over=np.array([one.over for one in noticed], bool), alarm_quotes=np.array([row for rows in evidence for row in rows], np.int64),
        alarm_part_of=np.array([one.part_of for one in noticed], np.int32),
        alarm_quote_ptr=np.cumsum([0, *map(len, evidence)]).astype(np.int64),
    )  # fmt: skip
