"""What became of the shop's searches: clicks, other texts at once, purchases, returns, and what each text returns now."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.strings import StringTable
from wares.data.engine import Engine
from wares.features.catalogue import Catalogue
from wares.features.interactions_build import EventLog
from wares.models.search.infer import Searcher
from wares.models.sentiment.readings import Readings
from wares.models.sentiment.satisfaction import DEEPER, SHOWN, Asked
from wares.models.sentiment.uses import normal
from wares.pipeline.plan import Context
from wares.pipeline.search_log import by_search, rows_of
from wares.pipeline.searching import query_encoder

MOST = 1000
"""Search texts that are looked at: those asked most often."""
PAUSE = 600
"""Seconds within which another text means that the first one did not do."""
BUYS = 7 * 86_400
RETURNS = 60 * 86_400


@dataclass
class _Search:
    """One search: who, what, when (Unix seconds, -1 unknown), which products were clicked, what came next."""

    who: str
    text: str
    at: int
    clicks: list[int] = field(default_factory=list[int])
    next: str = ""


def query_log(
    context: Context, catalogue: Catalogue, log: EventLog | None, readings: Readings
) -> tuple[list[Asked], bool, bool]:
    """(what became of each of the texts asked most often, whether the shop records clicks, whether its searches name visitors).

    Rows of one visitor with one text within half an hour are one search. Purchases within a week of a click, and their returns
    within sixty days, count for it. What a text returns is what the search of this build returns.
    """
    rows, remarks = rows_of(context), _remarks(readings)
    if not rows and not remarks:
        return [], False, False
    searches = _searches(rows, catalogue)
    clicks = any(one.clicks for one in searches)
    linked = any(one.who for one in searches)
    fate = (
        _fate(log, {one.who for one in searches if one.who and one.clicks}, catalogue)
        if clicks and log is not None
        else {}
    )
    by: dict[str, list[_Search]] = defaultdict(list)
    for one in searches:
        by[one.text].append(one)
    texts = sorted({*by, *remarks}, key=lambda text: (-len(by[text]), text))[:MOST]
    shown = _shown(context, catalogue, texts)
    asked: list[Asked] = []
    for text in texts:
        count, mood = remarks.get(text, (0, 0.0))
        asked.append(replace(_asked(text, by[text], fate, shown[text]), remarks=count, remarks_mood=mood))
    return asked, clicks, linked


def _remarks(readings: Readings) -> dict[str, tuple[int, float]]:
    """How many texts that count are about each search, and their mean mood."""
    moods: dict[str, list[float]] = defaultdict(list)
    for row in np.flatnonzero(readings.counted & (readings.query >= 0)).tolist():
        moods[normal(str(readings.queries[int(readings.query[row])]))].append(float(readings.mood[row]))
    return {text: (len(some), float(np.mean(some))) for text, some in moods.items() if text}


def _searches(rows: list[dict[str, Any]], catalogue: Catalogue) -> list[_Search]:
    """Searches in the order of time, with the text that the same visitor tried next."""
    out: list[_Search] = []
    for row, one, before in by_search(rows, normal, _Search):
        if before is not one:
            out.append(one)
            if before is not None and one.at >= 0 and 0 <= one.at - before.at <= PAUSE:
                before.next = one.text
        product = catalogue.row(str(row["product"])) if row["product"] else -1
        if product >= 0:
            one.clicks.append(product)
    return out


def searched(context: Context, spans: Sequence[tuple[int, int]], n: int) -> list[NDArray[np.int64]]:
    """How many visitors found each product by a search and clicked it ``(n,)``, within each span of days since 1970; a visitor
    counts once a week for a product."""
    out = [np.zeros(n, np.int64) for _ in spans]
    rows = rows_of(context)
    if not rows:
        return out
    place = {name: row for row, name in enumerate(StringTable.load(context.done["catalogue"], c.PRODUCT_ID))}
    seen: set[tuple[int, str, int, int]] = set()
    for row in rows:
        product = place.get(str(row["product"]), -1) if row["product"] else -1
        if product < 0 or row["at"] is None:
            continue
        day = int(row["at"]) // 86_400
        for number, (low, high) in enumerate(spans):
            who = str(row["user"] or row["session"] or row["at"])
            if low <= day < high and (one := (number, who, product, (day - low) // 7)) not in seen:
                seen.add(one)
                out[number][product] += 1
    return out


Fate = dict[tuple[str, int], list[tuple[int, str]]]
"""Purchases and returns of (shopper, product), by time."""


def _fate(log: EventLog, who: set[str], catalogue: Catalogue) -> Fate:
    if not who:
        return {}
    out: Fate = defaultdict(list)
    with Engine(log.memory_gb, scratch=log.scratch) as engine:
        for kind in (c.PURCHASE, c.RETURN):
            lines = log.moments(engine, [kind], 0, 1 << 40)
            table = engine.arrow(lines.filter(lines["user"].isin(sorted(who))).select("user", "item", "at"))
            for row in table.to_pylist():
                if (product := catalogue.row(row["item"])) >= 0:
                    out[row["user"], product].append((int(row["at"]), kind))
    return {pair: sorted(deeds) for pair, deeds in out.items()}


def _asked(text: str, searches: list[_Search], fate: Fate, shown: tuple[list[int], list[int]]) -> Asked:
    clicked = reformulated = good = bought = returned = 0
    into, back = Counter[str](), Counter[int]()
    for one in searches:
        sent = 0
        for product in dict.fromkeys(one.clicks):
            deeds = fate.get((one.who, product), [])
            at = next((t for t, kind in deeds if kind == c.PURCHASE and one.at <= t <= one.at + BUYS), None) if one.at >= 0 else None  # fmt: skip
            if at is None:
                continue
            bought += 1
            if any(kind == c.RETURN and at <= t <= at + RETURNS for t, kind in deeds):
                sent += 1
                back[product] += 1
        returned += sent
        clicked += bool(one.clicks)
        if one.next:
            reformulated += 1
            into[one.next] += 1
        good += bool(one.clicks) and not one.next and not sent
    ranked = tuple(sorted(into.items(), key=lambda pair: (-pair[1], pair[0]))[:5])
    rows = tuple(product for product, _ in sorted(back.items(), key=lambda pair: (-pair[1], pair[0])))
    return Asked(text, len(searches), clicked, reformulated, good, bought, returned, ranked, rows, tuple(shown[0]), tuple(shown[1]))  # fmt: skip


def _shown(
    context: Context, catalogue: Catalogue, texts: list[str]
) -> dict[str, tuple[list[int], list[int]]]:
    """What each text returns: the first page, and what lies behind it."""
    searcher = Searcher(context.done["search"], catalogue, query_encoder(context, MOST))
    out: dict[str, tuple[list[int], list[int]]] = {}
    for text in texts:
        rows = searcher.search(text, SHOWN + DEEPER).rows.tolist()
        out[text] = rows[:SHOWN], rows[SHOWN:]
    return out
