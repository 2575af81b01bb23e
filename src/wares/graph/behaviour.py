"""Relations that shoppers draw: bought with, viewed with, substitute of, accessory of, season and segment.

Each edge carries the day on which it was first seen, so that an evaluation can leave out what it could not have
known. Counting runs in the data engine, out of core; baskets longer than `MOST_OF_A_BASKET` are cut, as a wholesaler's
order of a thousand lines says little about which two things belong together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wares.core import columns as c
from wares.data.engine import Engine, cases, literal, row_number, window
from wares.features.interactions_build import EventLog
from wares.graph.columns import category_steps
from wares.graph.infer import ALWAYS
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


def no_pairs(n_products: int) -> Pairs:
    """Of a shop where nothing was done."""
    none = np.zeros(0, np.int32)
    return Pairs(none, none, none.astype(np.int64), none, np.zeros(n_products, np.int64), 0)


def pairs_of(log: EventLog, kinds: Sequence[str], cuts: Sequence[int | None] = (None,)) -> list[Pairs]:
    """Pairs of products within a basket, one shopper's or visit's events of these kinds on one day, for each cut.

    A cut in Unix seconds knows only what was before it; None knows everything. All cuts are counted in one pass.
    """
    with Engine(log.memory_gb, scratch=log.scratch) as engine:
        last = None if None in cuts else max((cut for cut in cuts if cut is not None), default=None)
        rows = engine.rows(
            pa.table({"id": log.item_ids, "row": pa.array(range(len(log.item_ids)), pa.int32())})
        )
        lines = log.baskets(engine, kinds, last)
        lines = lines.join(rows, [lines["item"] == rows["id"]])
        # Numbers in place of names: the join below is of millions of rows. 64 bits name a basket well enough.
        basket = (lines["user"] + literal("|") + lines["day"].cast("string")).hash()
        lines = engine.keep(lines.select(basket=basket, day=lines["day"], item=lines["row"], at=lines["at"]))
        # Which forty of a long basket count is left to a hash that differs by basket, so that it wrongs no product.
        mixed = (lines["item"].cast("string") + lines["basket"].cast("string")).hash()
        place = row_number().over(window(group_by=lines["basket"], order_by=[mixed, lines["item"]]))
        short = engine.keep(lines.mutate(_n=place))
        short = short.filter(short["_n"] < MOST_OF_A_BASKET).drop("_n")
        other = short.select(basket2=short["basket"], item2=short["item"], at2=short["at"])
        both = short.join(other, [short["basket"] == other["basket2"], short["item"] < other["item2"]])
        later = cases((both["at"] >= both["at2"], both["at"]), else_=both["at2"])
        both = both.select(item=both["item"], item2=both["item2"], day=both["day"], at=later)
        counted = both.group_by(["item", "item2"]).aggregate(
            day=both["day"].min(), **{f"n{i}": _before(both["at"], cut) for i, cut in enumerate(cuts)}
        )
        most = counted["n0"]
        for i in range(1, len(cuts)):
            most = cases((most >= counted[f"n{i}"], most), else_=counted[f"n{i}"])
        table = engine.arrow(counted.filter(most >= FEWEST_TOGETHER).order_by(["item", "item2"]))
        alone = engine.arrow(
            lines.group_by("item").aggregate(
                **{f"n{i}": _before(lines["at"], cut) for i, cut in enumerate(cuts)}
            )
        )
        begun = lines.group_by("basket").aggregate(at=lines["at"].min())
        baskets = engine.arrow(
            begun.aggregate(**{f"n{i}": _before(begun["at"], cut) for i, cut in enumerate(cuts)})
        ).to_pylist()[0]
    return [
        _cut(table, alone, int(baskets[f"n{i}"] or 0), f"n{i}", len(log.item_ids)) for i in range(len(cuts))
    ]


def _before(at: Any, cut: int | None) -> Any:
    return at.count() if cut is None else (at < cut).sum()


def _cut(table: pa.Table, alone: pa.Table, baskets: int, count: str, n: int) -> Pairs:
    counts = np.zeros(n, np.int64)
    counts[alone["item"].to_numpy()] = alone[count].to_numpy()
    table = table.filter(pc.greater_equal(table[count], FEWEST_TOGETHER))
    a, b, together, day = (table[name].to_numpy() for name in ("item", "item2", count, "day"))
    return Pairs(
        a.astype(np.int32),
        b.astype(np.int32),
        together.astype(np.int64),
        day.astype(np.int32),
        counts,
        baskets,
    )


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
        same = (category[viewed.a] == category[viewed.b]) & (category[viewed.a] >= 0)
        seldom = _lookup(bought, lift, viewed) < 1.0
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


def _lookup(pairs: Pairs, values: NDArray[np.float64], wanted: Pairs) -> NDArray[np.float64]:
    """`values` of `pairs` for the same two products of `wanted`; 0 where `pairs` has them not."""
    n = np.int64(len(pairs.alone))
    keys, asked = pairs.a * n + pairs.b, wanted.a * n + wanted.b
    if not len(keys):
        return np.zeros(len(asked))
    order = np.argsort(keys)
    at = order[np.minimum(np.searchsorted(keys, asked, sorter=order), len(keys) - 1)]
    return np.where(keys[at] == asked, values[at], 0.0)


def _cheaper(
    prices: NDArray[np.int64], one: NDArray[np.int32], other: NDArray[np.int32]
) -> NDArray[np.bool_]:
    known = (prices[one] > 0) & (prices[other] > 0)
    return ~known | (prices[one] < prices[other])


def _codes(categories: Sequence[str]) -> NDArray[np.int32]:
    leaf = [steps[-1] if (steps := category_steps(name)) else "" for name in categories]
    index: dict[str, int] = {}
    return np.array([index.setdefault(name, len(index)) if name else -1 for name in leaf], np.int32)


def add_seasons(triples: Triples, log: EventLog, until: int | None = None) -> None:
    """``in_season`` for products that sell at least half in one quarter of the year (December to February is winter).

    The share is shrunk towards what the whole shop sells in that quarter, so that a few sales make no season, and
    nothing is said of a shop with less than three quarters of a year.
    """
    with Engine(log.memory_gb, scratch=log.scratch) as engine:
        bought = log.baskets(engine, (c.PURCHASE,), until)
        month = bought["at"].as_timestamp("s").month()
        chosen = bought.select(item=bought["item"], season=(month % 12) // 3, day=bought["day"])
        table = engine.arrow(
            chosen.group_by(["item", "season"])
            .aggregate(n=chosen["item"].count(), first=chosen["day"].min(), last=chosen["day"].max())
            .order_by(["item", "season"])
        )
    if not table.num_rows or pc.max(table["last"]).as_py() - pc.min(table["first"]).as_py() < 270:
        return
    rows = pc.index_in(table["item"], value_set=log.item_ids)
    fine = pc.is_valid(rows)
    row, season, n, first = (
        x.filter(fine).to_numpy() for x in (rows, table["season"], table["n"], table["first"])
    )
    total = np.bincount(row, n, len(log.item_ids))
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
    day: int = ALWAYS,
) -> None:
    """``liked_by`` for products that a segment of shoppers takes at least twice as often as all do.

    `users` and `items` are pairs of one deed each, `segment_of (n_users,)` gives each user's segment, -1 for none.
    `day` is when this was known.
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
        day,
    )
