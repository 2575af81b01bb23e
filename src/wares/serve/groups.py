"""Near-duplicates of a catalogue, and variants of one product that may be folded into one.

Two products are held against each other when their texts are near. They are near-duplicates when they say the same:
brand, numbers, pack and every word that tells, at about the same price. They are variants when only size, pack, colour
or another listed difference sets them apart. Groups are connected by such pairs.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wares.features.catalogue import PRICE_SCALE, Catalogue
from wares.models.similar.infer import Similar

NEAR = 0.8
MOST_OF_A_TEXT = 50
PRICE_SPREAD = 1.25
COLOURS = frozenset(
    [
        "black",
        "white",
        "red",
        "blue",
        "green",
        "yellow",
        "pink",
        "purple",
        "orange",
        "brown",
        "grey",
        "gray",
        "silver",
        "gold",
        "beige",
        "navy",
        "ivory",
        "transparent",
        "clear",
        "黑色",
        "白色",
        "红色",
        "蓝色",
        "绿色",
        "黄色",
        "粉色",
        "紫色",
        "橙色",
        "棕色",
        "灰色",
        "银色",
        "金色",
        "米色",
        "透明",
    ]
)
SIZES = frozenset(
    [
        "xs",
        "s",
        "m",
        "l",
        "xl",
        "xxl",
        "xxxl",
        "small",
        "medium",
        "large",
        "mini",
        "big",
        "小号",
        "中号",
        "大号",
        "加大",
    ]
)
UNITS = frozenset(
    (
        "g", "kg", "mg", "ml", "cl", "dl", "l", "ltr", "litre", "liter", "oz", "fl", "lb", "lbs", "gal", "qt", "pt", "ct", "count", "pk",
        "pack", "packs", "pc", "pcs", "piece", "pieces", "x", "cm", "mm", "m", "in", "inch", "ft", "gb", "tb", "mb", "w", "v", "克", "千克",
        "公斤", "斤", "毫升", "升", "支", "片", "包", "盒", "瓶", "个",
    )
)  # fmt: skip
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+", re.UNICODE)
Tick = Callable[[int, int], None]


@dataclass(frozen=True)
class Group:
    """Products that belong together: ``kind`` is ``duplicate`` or ``variant``; ``why`` says in what they differ."""

    kind: str
    rows: tuple[int, ...]
    why: str

    def to_json(self, products: Catalogue) -> dict[str, Any]:
        """With ids and titles."""
        return {
            "kind": self.kind, "differ_in": self.why,
            "products": [{"product_id": str(products.ids[r]), "title": str(products.columns["title"][r])} for r in self.rows],
        }  # fmt: skip


@dataclass(frozen=True)
class _Said:
    """What a product says, ready to compare."""

    words: frozenset[str]
    numbers: frozenset[str]
    brand: str
    size: str
    attributes: tuple[tuple[str, str], ...]
    price: int


def find_groups(products: Catalogue, likeness: Similar, tick: Tick | None = None) -> list[Group]:
    """All groups, the largest first; a product is in one at most, of near-duplicates before variants.

    A product with an empty title is in none: nothing is known that could be the same.
    """
    said = [_said(products, row) for row in range(len(products))]
    same: list[tuple[int, int]] = []
    variant: dict[tuple[int, int], str] = {}
    for done, (row, others) in enumerate(likeness.near_pairs(NEAR, MOST_OF_A_TEXT, products.brand_of)):
        if tick is not None and done % 1000 == 0:
            tick(min(done, len(products)), len(products))
        for other in others.tolist():
            verdict = compare(said[row], said[other])
            if verdict == "":
                same.append((row, other))
            elif verdict is not None:
                variant[min(row, other), max(row, other)] = verdict
    groups = [Group("duplicate", rows, "") for rows in _joined(same)]
    folded = {row: rows[0] for rows in (g.rows for g in groups) for row in rows}
    pairs: dict[tuple[int, int], str] = {}
    for (a, b), why in variant.items():
        one, other = folded.get(a, a), folded.get(b, b)
        if one != other:
            pairs[min(one, other), max(one, other)] = why
    joined = _joined(list(pairs))
    place_of = {row: place for place, rows in enumerate(joined) for row in rows}
    why_of: list[set[str]] = [set() for _ in joined]
    for (a, _), why in pairs.items():
        why_of[place_of[a]].add(why)
    for rows, said_of in zip(joined, why_of, strict=True):
        reasons = sorted(said_of) if len(rows) < 40 else ["size or colour"]
        groups.append(
            Group("variant", rows, ", ".join(dict.fromkeys(w for r in reasons for w in r.split(", "))))
        )
    return sorted(groups, key=lambda g: (-len(g.rows), g.rows))


def _said(products: Catalogue, row: int) -> _Said:
    product = products.product(row)
    text = f"{product.title} {product.size}".casefold()
    tokens = _WORD.findall(text)
    attributes = tuple(sorted((k.casefold(), str(v).casefold()) for k, v in product.attributes.items()))
    return _Said(
        frozenset(t for t in tokens if not t[0].isdigit()) if product.title.strip() else frozenset(),
        frozenset(t.replace(",", ".") for t in tokens if t[0].isdigit()),
        product.brand.casefold().strip(), " ".join(product.size.casefold().split()), attributes,
        int((product.price or 0) * PRICE_SCALE),
    )  # fmt: skip


def compare(one: _Said, other: _Said) -> str | None:
    """None for two things; empty for near-duplicates; otherwise in what two variants differ: ``size``, ``colour`` …"""
    if not one.words or not other.words or (one.brand and other.brand and one.brand != other.brand):
        return None
    apart = one.words ^ other.words
    differ: list[str] = []
    if one.numbers != other.numbers or one.size != other.size:
        differ.append("size")
    if apart:
        if apart <= COLOURS:
            differ.append("colour")
        elif apart <= SIZES | UNITS:
            differ.append("size")
        elif apart <= SIZES | UNITS | COLOURS:
            differ += ["size", "colour"]
        else:
            return None
    mine, theirs = dict(one.attributes), dict(other.attributes)
    for name in mine.keys() & theirs.keys():
        if mine[name] != theirs[name]:
            differ.append(name)
    if differ:
        return ", ".join(dict.fromkeys(differ))
    if one.price and other.price and max(one.price, other.price) > PRICE_SPREAD * min(one.price, other.price):
        return "price"
    return ""


def _joined(pairs: list[tuple[int, int]]) -> list[tuple[int, ...]]:
    parent: dict[int, int] = {}

    def root(row: int) -> int:
        parent.setdefault(row, row)
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for a, b in pairs:
        one, other = root(a), root(b)
        if one != other:
            parent[max(one, other)] = min(one, other)
    members: dict[int, list[int]] = defaultdict(list)
    for row in parent:
        members[root(row)].append(row)
    return [tuple(sorted(rows)) for rows in members.values() if len(rows) > 1]
