"""The shop's searches with what was shown, clicked, put into baskets and bought, as click models and the order learn from them."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

from wares.core import columns as c
from wares.core.search_rules import normal_query
from wares.data.engine import Engine, literal
from wares.features.catalogue import Catalogue
from wares.models.search.clicks import Sessions
from wares.pipeline.graphing import event_log
from wares.pipeline.plan import Context

SAME = 1800
"""Seconds within which the same text of the same visitor is one search."""
AFTER = 7 * 86_400
"""Seconds after a click within which a basket or a purchase counts for the search."""
LONGEST_LIST = 200


@dataclass(slots=True)
class Search:
    """One search: who (user, or ``~session``), the text, when (Unix seconds, -1 unknown), rows of products shown in order and
    clicked, and of those clicked, which went into a basket or were bought; `nothing` when an empty list (``[]``) was recorded."""

    who: str
    text: str
    at: int
    shown: list[int] = field(default_factory=list[int])
    clicked: list[int] = field(default_factory=list[int])
    carted: list[int] = field(default_factory=list[int])
    bought: list[int] = field(default_factory=list[int])
    nothing: bool = False


def ids_in(cell: str | None) -> list[str]:
    """Product ids of a cell: a JSON list, or ids with ``|`` between."""
    text = (cell or "").strip()
    if text.startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            return []
        return [str(one) for one in found if isinstance(one, str | int)][:LONGEST_LIST]
    return [one.strip() for one in text.split("|") if one.strip()][:LONGEST_LIST]


def searches(context: Context, catalogue: Catalogue) -> list[Search]:
    """All searches of the table ``queries``, oldest first. Rows of one visitor with one text within half an hour are one."""
    found: list[Search] = []
    for row, one, before in by_search(rows_of(context), normal_query, Search):
        if before is not one:
            found.append(one)
        shown = [r for r in (catalogue.row(i) for i in ids_in(row["shown"])) if r >= 0]
        one.shown = one.shown or list(dict.fromkeys(shown))
        one.nothing = one.nothing or str(row["shown"] or "").strip() == "[]"
        named = [str(row["product"]) if row["product"] else "", *ids_in(row["clicks"])]
        for product in named:
            at_row = catalogue.row(product) if product else -1
            if at_row >= 0 and at_row not in one.clicked:
                one.clicked.append(at_row)
    _outcomes(context, catalogue, found)
    return found


class _Asked(Protocol):
    who: str
    text: str
    at: int


One = TypeVar("One", bound=_Asked)


def by_search(
    rows: Iterable[Mapping[str, Any]], normal: Callable[[str], str], begin: Callable[[str, str, int], One]
) -> Iterator[tuple[Mapping[str, Any], One, One | None]]:
    """Each row of a text with the search that it belongs to and its visitor's search before that row, which is the same one where
    the row says more of it. `begin` makes a search of (who, text in its `normal` form, Unix seconds or -1)."""
    last: dict[str, One] = {}
    for row in rows:
        text = normal(str(row["text"] or ""))
        if not text:
            continue
        who = str(row["user"] or "") or (f"~{row['session']}" if row["session"] else "")
        at = -1 if row["at"] is None else int(row["at"])
        before = last.get(who) if who else None
        if before is not None and before.text == text and 0 <= at - before.at <= SAME:
            yield row, before, before
            continue
        one = begin(who, text, at)
        if who:
            last[who] = one
        yield row, one, before


def rows_of(context: Context) -> list[dict[str, Any]]:
    """The rows of the table ``queries``, oldest first: text, user, session, product, at, shown, clicks."""
    files = context.files(c.QUERIES)
    if files is None:
        return []
    with Engine(context.config.build.memory_gb / 2, scratch=context.scratch) as engine:
        rows = engine.parquet(files)
        # A contract of before has neither.
        more = {
            name: rows[name] if name in rows.columns else literal(None, "string")
            for name in (c.SHOWN, c.CLICKS)
        }
        chosen = rows.select(
            text=rows[c.TEXT], user=rows[c.USER_ID], session=rows[c.SESSION_ID], product=rows[c.PRODUCT_ID],
            at=rows[c.AT].truncate("s").epoch_seconds(), **more,
        )  # fmt: skip
        return engine.arrow(chosen.order_by(["at", "user", "session", "text", "product"])).to_pylist()


def _outcomes(context: Context, catalogue: Catalogue, found: Sequence[Search]) -> None:
    """Put what was carted and bought after a click beside the searches of shoppers with a name."""
    log = event_log(context)
    who = {one.who for one in found if one.who and one.clicked and one.at >= 0}
    if log is None or not who:
        return
    moments: dict[str, dict[tuple[str, int], list[int]]] = {c.CART: defaultdict(list), c.PURCHASE: defaultdict(list)}  # fmt: skip
    first, last = (pick(one.at for one in found if one.at >= 0) for pick in (min, max))
    with Engine(log.memory_gb, scratch=log.scratch) as engine:
        for kind, by in moments.items():
            lines = log.moments(engine, [kind], first, last + AFTER + 1)
            table = engine.arrow(lines.filter(lines["user"].isin(sorted(who))).select("user", "item", "at"))
            for row in table.to_pylist():
                if (product := catalogue.row(row["item"])) >= 0:
                    by[row["user"], product].append(int(row["at"]))
    for by in moments.values():
        for times in by.values():
            times.sort()
    for one in found:
        for product in one.clicked if one.at >= 0 else ():
            for kind, into in ((c.CART, one.carted), (c.PURCHASE, one.bought)):
                times = moments[kind].get((one.who, product), [])
                at = bisect_left(times, one.at)
                if at < len(times) and times[at] <= one.at + AFTER:
                    into.append(product)


def windows(found: Sequence[Search], shares: Sequence[float]) -> list[list[Search]]:
    """The searches parted by time at some shares of their number; those of unknown time come first."""
    ordered = sorted(range(len(found)), key=lambda i: (found[i].at, i))
    cuts = [round(len(ordered) * share) for share in np.cumsum(shares)[:-1]]
    return [[found[i] for i in part.tolist()] for part in np.split(np.array(ordered, np.int64), cuts)]


def sessions_of(found: Sequence[Search], number: Callable[[str], int]) -> Sessions:
    """The searches that say what they showed, for click models; `number` names a text, below 0 leaves it out."""
    rows: list[tuple[int, list[int], list[int]]] = []
    for one in found:
        query = number(one.text)
        if query < 0 or not one.shown:
            continue
        hit = set(one.clicked)
        rows.append((query, one.shown, [at for at, row in enumerate(one.shown) if row in hit]))
    return Sessions.of(rows)
