"""What holds between columns and between tables: shares of rows, as Ibis expressions, for a bound or to be learned."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from wares.core import columns as c
from wares.data.contract import Contract
from wares.data.engine import Engine, Table, literal
from wares.data.quality.profile import Profile
from wares.data.types import STRING

FAR, VERY_FAR = 5, 20
STATIC: dict[str, tuple[float, str, str]] = {
    "price_very_far": (0.05, "error", "prices more than 20 times above or below the product's own"),
    "other_currency": (0.0, "error", "prices in another currency than the product's own"),
}
"""Relations with a bound that needs no trusted version: (share at most, severity, words)."""


def across_tables(
    engine: Engine, contract: Contract, table: Table, others: Mapping[str, Table]
) -> dict[str, tuple[int, int]]:
    """Shares over rows joined with the products (price, currency) and with the first price of their product."""
    if contract.table == c.PRODUCTS or c.PRODUCT_ID not in table.columns:
        return {}
    mine = set(table.columns)
    goods, prices = others.get(c.PRODUCTS), others.get(c.PRICES)
    priced = goods is not None and c.PRICE in mine and {c.PRODUCT_ID, c.PRICE} <= set(goods.columns)
    coined = priced and c.CURRENCY in mine and c.CURRENCY in goods.columns
    dated = (
        prices is not None and contract.table != c.PRICES and c.AT in mine and {c.PRODUCT_ID, c.AT} <= set(prices.columns)
    )  # fmt: skip
    if priced:
        extra = {"_currency": goods[c.CURRENCY]} if coined else {}
        known = goods.select(_id=goods[c.PRODUCT_ID], _price=goods[c.PRICE].cast("float64"), **extra)
        # One row a product, whatever the products table holds, so that no row of ours is counted twice.
        known = known.group_by("_id").aggregate(**{n: known[n].min() for n in known.columns if n != "_id"})
        table = table.left_join(known, table[c.PRODUCT_ID] == known["_id"])
    if dated:
        first = prices.group_by(c.PRODUCT_ID).aggregate(_first=prices[c.AT].min())
        first = first.select(_priced=first[c.PRODUCT_ID], _first=first["_first"].truncate("D"))
        table = table.left_join(first, table[c.PRODUCT_ID] == first["_priced"])
    wanted: dict[str, tuple[Any, Any]] = {}
    if priced:
        ratio = table[c.PRICE].cast("float64") / table["_price"].nullif(0)
        there = ratio.notnull() & (ratio > 0)
        for name, limit in (("price_far", FAR), ("price_very_far", VERY_FAR)):
            wanted[name] = (there & ((ratio > limit) | (ratio < 1 / limit)), there)
    if coined:
        there = table[c.CURRENCY].notnull() & table["_currency"].notnull()
        wanted["other_currency"] = (there & (table[c.CURRENCY] != table["_currency"]), there)
    if dated:
        wanted["before_first_price"] = (table[c.AT] < table["_first"], table["_first"].notnull())
    if not wanted:
        return {}
    sums = {f"{part}_{name}": pair[i].sum() for name, pair in wanted.items() for i, part in enumerate("no")}
    facts = engine.arrow(table.aggregate(**sums)).to_pylist()[0]
    return {name: (int(facts[f"n_{name}"] or 0), int(facts[f"o_{name}"] or 0)) for name in wanted}


def across_columns(
    engine: Engine, contract: Contract, values: Mapping[str, Table], found: Profile
) -> dict[str, tuple[int, int]]:
    """For pairs of text columns: how many cells of the first hold a value of the second. Swapped columns betray themselves."""
    names = [
        name
        for name, column in found.columns.items()
        if column.kind == STRING and column.distinct and column.distinct > 1 and column.present
    ]
    parts = []
    for one, other in combinations(names, 2):
        for a, b in ((one, other), (other, one)):
            mine, theirs = values[a], values[b]
            known = theirs.filter(theirs[b].notnull()).select(_v=theirs[b])
            both = mine.semi_join(known, mine[a] == known["_v"])
            parts.append((a, b, both.aggregate(_n=both["_n"].sum()).mutate(_pair=literal(f"{a} in {b}"))))
    if not parts:
        return {}
    union = parts[0][2]
    for _, _, part in parts[1:]:
        union = union.union(part)
    counts = {row["_pair"]: int(row["_n"] or 0) for row in engine.arrow(union).to_pylist()}
    return {f"{a}_holds_{b}": (counts.get(f"{a} in {b}", 0), found.columns[a].present) for a, b, _ in parts}


def repeats(engine: Engine, contract: Contract, table: Table) -> dict[str, tuple[int, int]]:
    """Rows of a journal (events, reviews, texts, queries) that say the same as another under a different key."""
    if contract.table not in (c.EVENTS, c.REVIEWS, c.TEXTS, c.QUERIES) or len(contract.key) != 1:
        return {}
    names = [name for name in table.columns if name not in contract.key]
    groups = table.group_by(names).aggregate(_n=table.count())
    facts = engine.arrow(groups.aggregate(rows=groups["_n"].sum(), groups=groups.count())).to_pylist()[0]
    rows = int(facts["rows"] or 0)
    return {"same_content": (rows - int(facts["groups"]), rows)}
