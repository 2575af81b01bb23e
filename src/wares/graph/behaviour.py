"""Relations that shoppers draw: bought with, viewed with, substitute of, accessory of, season and segment.

Each edge carries the day on which it was first seen, so that an evaluation can leave out what it could not have
known. Counting runs in the data engine, out of core; baskets longer than `MOST_OF_A_BASKET` are cut, as a wholesaler's
order of a thousand lines says little about which two things belong together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wares.core import columns as c
from wares.data.engine import Engine, Table, row_number, window
from wares.data.store import Store
from wares.graph.columns import category_steps
from wares.graph.triples import Triples

EVENTS = "events"
MOST_OF_A_BASKET = 40
FEWEST_TOGETHER = 3
NEIGHBOURS = 30
ASYMMETRY = 2.0
ACCESSORY_LIFT = 4.0
ACCESSORY_SURE = 0.3
FEWEST_OF_A_SEASON = 20
SEASONAL = 0.5
SEASONS = ("winter", "spring", "summer", "autumn")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Products taken together: rows ``a < b``, in how many baskets, the first day, and baskets of each product."""

    a: NDArray[np.int32]
    b: NDArray[np.int32]
    together: NDArray[np.int64]
    day: NDArray[np.int32]
    alone: NDArray[np.int64]
    baskets: int

    def cosine(self) -> NDArray[np.float64]:
        """Joint over the geometric mean of the single counts."""
        return self.together / np.sqrt(
            np.maximum(self.alone[self.a], 1) * np.maximum(self.alone[self.b], 1).astype(np.float64)
        )

    def lift(self) -> NDArray[np.float64]:
        """How many times more often together than by chance."""
        chance = self.alone[self.a].astype(np.float64) * self.alone[self.b] / max(self.baskets, 1)
        return self.together / np.maximum(chance, 1e-9)


def pairs_of(
    store: Store,
    version: int,
    item_ids: pa.Array,
    kinds: Sequence[str],
    memory_gb: float,
    scratch: Path,
    until: int | None = None,
) -> Pairs:
    """Count pairs of products within a basket: one shopper's or session's events of these kinds on one day.

    `until` in Unix seconds leaves out later events.
    """
    with Engine(memory_gb, scratch=scratch) as engine:
        lines = _lines(engine, store, version, kinds, until)
        lines = engine.keep(lines)
        alone = engine.arrow(lines.group_by("item").aggregate(n=lines.item.count()))
        baskets = engine.count(lines.select("who", "day").distinct())
        place = row_number().over(window(group_by=[lines.who, lines.day], order_by=[lines.item]))
        short = engine.keep(lines.mutate(_n=place))
        short = short.filter(short._n < MOST_OF_A_BASKET).drop("_n")
        other = short.select(who2=short.who, day2=short.day, item2=short.item)
        both = short.join(other, [short.who == other.who2, short.day == other.day2, short.item < other.item2])
        counted = both.group_by(["item", "item2"]).aggregate(n=both.item.count(), day=both.day.min())
        table = engine.arrow(counted.filter(counted.n >= FEWEST_TOGETHER).order_by(["item", "item2"]))
    counts = np.zeros(len(item_ids), np.int64)
    rows = pc.index_in(alone["item"], value_set=item_ids)
    fine = pc.is_valid(rows)
    counts[rows.filter(fine).to_numpy()] = alone["n"].filter(fine).to_numpy()
    a, b = (pc.index_in(table[name], value_set=item_ids) for name in ("item", "item2"))
    fine = pc.and_(pc.is_valid(a), pc.is_valid(b))
    return Pairs(
        a.filter(fine).to_numpy().astype(np.int32),
        b.filter(fine).to_numpy().astype(np.int32),
        table["n"].filter(fine).to_numpy(),
        table["day"].filter(fine).to_numpy().astype(np.int32),
        counts,
        baskets,
    )


def _lines(engine: Engine, store: Store, version: int, kinds: Sequence[str], until: int | None) -> Table:
    events = engine.parquet(store.files(c.EVENTS, version))
    seconds = events[c.AT].truncate("s").epoch_seconds()
    events = events.filter(events[c.KIND].isin(list(kinds)))
    if until is not None:
        events = events.filter(seconds < until)
    who = events[c.USER_ID].coalesce(events[c.SESSION_ID])
    lines = events.select(
        who=who,
        day=(events[c.AT].truncate("s").epoch_seconds() / 86_400).floor().cast("int32"),
        item=events[c.PRODUCT_ID],
    )
    return lines.filter(lines.who.notnull()).distinct()


def add_together(triples: Triples, pairs: Pairs, relation: str) -> None:
    """Add the strongest `NEIGHBOURS` of each product as edges of `relation`."""
    value = pairs.cosine()
    chosen = _strongest(pairs, value)
    triples.add(pairs.a[chosen], relation, pairs.b[chosen], EVENTS, value[chosen], pairs.day[chosen])


def _strongest(pairs: Pairs, value: NDArray[np.float64]) -> NDArray[np.int64]:
    """Edges that are among the best of either of their ends."""
    keep = np.zeros(len(value), bool)
    for end in (pairs.a, pairs.b):
        order = np.lexsort((-value, end))
        starts = np.r_[True, end[order][1:] != end[order][:-1]] if len(order) else np.zeros(0, bool)
        rank = np.arange(len(order)) - np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))
        keep[order[rank < NEIGHBOURS]] = True
    return np.flatnonzero(keep)


def add_roles(
    triples: Triples,
    bought: Pairs,
    viewed: Pairs | None,
    categories: Sequence[str],
    prices: NDArray[np.int64],
) -> None:
    """Tell substitutes from accessories.

    *Substitutes* are of one category and are looked at together (or, in a shop without views, wanted by the same
    shoppers) but seldom lie in one basket. *Accessories* lie in one basket far more often than by chance, are of
    another category and cheaper, and come with the main product in at least three baskets of ten, much more surely
    than the main product comes with them.
    """
    category = _codes(categories)
    lift = bought.lift()
    a, b = bought.a, bought.b
    if viewed is not None and len(viewed.a):
        in_basket = {(int(x), int(y)): float(v) for x, y, v in zip(a, b, lift, strict=True)}
        same = (category[viewed.a] == category[viewed.b]) & (category[viewed.a] >= 0)
        seldom = np.array(
            [in_basket.get((int(x), int(y)), 0.0) < 1.0 for x, y in zip(viewed.a, viewed.b, strict=True)],
            bool,
        )
        value = np.where(same & seldom, viewed.cosine(), 0)
        chosen = _strongest(viewed, value)
        triples.add(
            viewed.a[chosen], "substitute_of", viewed.b[chosen], EVENTS, value[chosen], viewed.day[chosen]
        )
    given_a = bought.together / np.maximum(bought.alone[a], 1)
    given_b = bought.together / np.maximum(bought.alone[b], 1)
    apart = (category[a] != category[b]) & (category[a] >= 0) & (category[b] >= 0) & (lift >= ACCESSORY_LIFT)
    # b is the accessory of a when buyers of b nearly always have a, and hardly the other way round.
    b_of_a = apart & (given_b > np.maximum(ASYMMETRY * given_a, ACCESSORY_SURE)) & _cheaper(prices, b, a)
    a_of_b = apart & (given_a > np.maximum(ASYMMETRY * given_b, ACCESSORY_SURE)) & _cheaper(prices, a, b)
    for accessory, main, chosen, sure in ((b, a, b_of_a, given_b), (a, b, a_of_b, given_a)):
        triples.add(accessory[chosen], "accessory_of", main[chosen], EVENTS, sure[chosen], bought.day[chosen])


def _cheaper(
    prices: NDArray[np.int64], one: NDArray[np.int32], other: NDArray[np.int32]
) -> NDArray[np.bool_]:
    known = (prices[one] > 0) & (prices[other] > 0)
    return ~known | (prices[one] < prices[other])


def _codes(categories: Sequence[str]) -> NDArray[np.int32]:
    leaf = [steps[-1] if (steps := category_steps(name)) else "" for name in categories]
    index: dict[str, int] = {}
    return np.array([index.setdefault(name, len(index)) if name else -1 for name in leaf], np.int32)


def add_seasons(
    triples: Triples,
    store: Store,
    version: int,
    item_ids: pa.Array,
    memory_gb: float,
    scratch: Path,
    until: int | None = None,
) -> None:
    """``in_season`` for products that sell at least half in one quarter of the year (December to February is winter).

    The share is shrunk towards what the whole shop sells in that quarter, so that a few sales make no season, and
    nothing is said of a shop with less than three quarters of a year.
    """
    with Engine(memory_gb, scratch=scratch) as engine:
        events = engine.parquet(store.files(c.EVENTS, version))
        events = events.filter(events[c.KIND] == c.PURCHASE)
        if until is not None:
            events = events.filter(events[c.AT].truncate("s").epoch_seconds() < until)
        chosen = events.select(
            item=events[c.PRODUCT_ID],
            season=(events[c.AT].month() % 12) // 3,
            day=(events[c.AT].truncate("s").epoch_seconds() / 86_400).floor().cast("int32"),
        )
        table = engine.arrow(
            chosen.group_by(["item", "season"])
            .aggregate(n=chosen.item.count(), first=chosen.day.min(), last=chosen.day.max())
            .order_by(["item", "season"])
        )
    if not table.num_rows or pc.max(table["last"]).as_py() - pc.min(table["first"]).as_py() < 270:
        return
    rows = pc.index_in(table["item"], value_set=item_ids)
    fine = pc.is_valid(rows)
    row, season, n, first = (
        x.filter(fine).to_numpy() for x in (rows, table["season"], table["n"], table["first"])
    )
    total = np.bincount(row, n, len(item_ids))
    usual = np.bincount(season.astype(np.int64), n, 4) / max(n.sum(), 1)
    share = (n + 10 * usual[season]) / (total[row] + 10)
    strong = (share >= SEASONAL) & (share >= 1.5 * usual[season]) & (total[row] >= FEWEST_OF_A_SEASON)
    triples.add(
        row[strong],
        "in_season",
        [triples.entity("season", SEASONS[int(s)]) for s in season[strong]],
        EVENTS,
        share[strong],
        first[strong],
    )


def add_segments(
    triples: Triples,
    segment_of: NDArray[np.int32],
    users: NDArray[np.int64],
    items: NDArray[np.int32],
    names: Sequence[str],
) -> None:
    """``liked_by`` for products that a segment of shoppers takes at least twice as often as all do.

    `users` and `items` are pairs of one deed each, `segment_of (n_users,)` gives each user's segment, -1 for none.
    """
    known = segment_of[users] >= 0
    users, items = users[known], items[known]
    n = triples.n_products
    cells = segment_of[users].astype(np.int64) * n + items
    keys, counts = np.unique(cells, return_counts=True)
    segment, item = keys // n, keys % n
    of_segment = np.bincount(segment_of[users], minlength=len(names))
    of_item = np.bincount(items, minlength=n)
    lift = counts * max(len(items), 1) / np.maximum(of_segment[segment] * of_item[item], 1)
    strong = (lift >= 2) & (counts >= 5)
    triples.add(
        item[strong],
        "liked_by",
        [triples.entity("segment", names[int(s)]) for s in segment[strong]],
        EVENTS,
        1 - 1 / lift[strong],
    )
