"""What a hit must be, and must not be: limits that a shopper set beside the query or named in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import tantivy
from numpy.typing import NDArray

from wares.features.catalogue import PRICE_SCALE, Catalogue, below
from wares.models.search.asked import Asked

Codes = NDArray[np.int32]
HIGHEST = 2**62


@dataclass(frozen=True, slots=True)
class Filters:
    """What a hit must be. ``category`` also takes everything below a path, ``size`` one of these sizes as they are written."""

    brand: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    price_min: float | None = None
    price_max: float | None = None
    available: bool | None = None
    size: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(
            self.brand
            or self.category
            or self.size
            or self.available is not None
            or self.price_min is not None
            or self.price_max is not None
        )

    def without(self, facet: str) -> Filters:
        """The same without the limit of one facet: ``brand``, ``category``, ``price``, ``size`` or ``available``."""
        if facet == "price":
            return replace(self, price_min=None, price_max=None)
        return replace(self, **{facet: None if facet == "available" else ()})


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits as codes; ``None`` where there is none. ``low`` and ``high`` are prices in ten-thousandths."""

    brand: Codes | None = None
    category: Codes | None = None
    size: Codes | None = None
    not_brand: Codes | None = None
    low: int = 0
    high: int = HIGHEST
    priced: bool = False
    available: bool | None = None

    def __bool__(self) -> bool:
        some = (self.brand, self.category, self.size, self.not_brand, self.available)
        return self.priced or any(limit is not None for limit in some)

    def queries(self, schema: tantivy.Schema) -> list[tuple[Any, Any]]:
        """As clauses of a boolean query that add nothing to the score."""
        query, occur, out = tantivy.Query, tantivy.Occur, list[tuple[Any, Any]]()

        def one_of(name: str, codes: Codes) -> Any:
            if not len(codes):
                return query.empty_query()
            return query.const_score_query(
                query.term_set_query(schema, f"{name}_code", [int(c) for c in codes]), 0.0
            )

        for name, codes in (("brand", self.brand), ("category", self.category), ("size", self.size)):
            if codes is not None:
                out.append((occur.Must, one_of(name, codes)))
        if self.not_brand is not None and len(self.not_brand):
            out.append((occur.MustNot, one_of("brand", self.not_brand)))
        if self.priced:
            span = query.range_query(schema, "price", tantivy.FieldType.Integer, self.low, self.high)
            out.append((occur.Must, query.const_score_query(span, 0.0)))
        if self.available is not None:
            there = query.term_query(schema, "available", int(self.available))
            out.append((occur.Must, query.const_score_query(there, 0.0)))
        return out

    def keep(
        self, catalogue: Catalogue, size_of: NDArray[Any] | None, rows: NDArray[Any]
    ) -> NDArray[np.bool_]:
        """Which of `rows` pass ``(len(rows),)``."""
        keep = np.ones(len(rows), bool)
        if self.brand is not None:
            keep &= np.isin(catalogue.brand_of[rows], self.brand)
        if self.not_brand is not None:
            keep &= ~np.isin(catalogue.brand_of[rows], self.not_brand)
        if self.category is not None:
            keep &= np.isin(catalogue.category_of[rows], self.category)
        if self.size is not None and size_of is not None:
            keep &= np.isin(size_of[rows], self.size)
        if self.priced:
            price = catalogue.prices[rows]
            keep &= (price >= self.low) & (price <= self.high)
        if self.available is not None:
            keep &= catalogue.available[rows] == int(self.available)
        return keep


class Names:
    """Brands, categories and sizes of a catalogue by name, as people write them."""

    def __init__(self, brands: Sequence[str], categories: Sequence[str], sizes: Sequence[str]) -> None:
        self.categories = list(categories)
        self._exact = {"brand": _index(brands), "size": _index(sizes)}
        self._folded = {"brand": _folded(brands)}
        self._parts = [
            (name, {part.strip().casefold() for part in name.split(">")}) for name in self.categories
        ]
        self.below = lru_cache(4096)(self._below)
        self.named = lru_cache(4096)(self._named)

    def codes(self, kind: str, names: tuple[str, ...]) -> Codes:
        """The codes of names exactly as they are written."""
        table = self._exact[kind]
        return np.array([table[name] for name in names if name in table], np.int32)

    def brands(self, names: tuple[str, ...]) -> Codes:
        """The codes of brands in any letter case."""
        table = self._folded["brand"]
        return np.array(sorted({c for n in names for c in table.get(n.casefold().strip(), ())}), np.int32)

    def _below(self, names: tuple[str, ...]) -> Codes:
        """Categories that are one of `names`, or lie below one."""
        found = (i for i, c in enumerate(self.categories) if any(below(c, f) for f in names))
        return np.fromiter(found, np.int32)

    def _named(self, names: tuple[str, ...]) -> Codes:
        """Categories as a query names them: a path with all below, or any part of a path, in any letter case."""
        folded = {name.casefold().strip() for name in names}
        paths = tuple(folded)
        found = [
            i
            for i, (name, parts) in enumerate(self._parts)
            if parts & folded or any(below(name.casefold(), path) for path in paths)
        ]
        return np.array(found, np.int32)


def limits_of(filters: Filters, asked: Asked, names: Names) -> Limits:
    """Both what was set and what the query names; a price outside of either excludes."""
    brand = names.codes("brand", filters.brand) if filters.brand else None
    category = names.below(filters.category) if filters.category else None
    if asked.brands:
        brand = _both(brand, names.brands(asked.brands))
    if asked.categories:
        category = _both(category, names.named(asked.categories))
    lows = [v for v in (filters.price_min, asked.price_min) if v is not None]
    highs = [v for v in (filters.price_max, asked.price_max) if v is not None]
    return Limits(
        brand,
        category,
        names.codes("size", filters.size) if filters.size else None,
        names.brands(asked.not_brands) if asked.not_brands else None,
        int(min(max(lows), 1e12) * PRICE_SCALE) if lows else 0,
        int(min(*highs, 1e12) * PRICE_SCALE) if highs else HIGHEST,
        bool(lows or highs),
        filters.available,
    )


def _both(one: Codes | None, other: Codes) -> Codes:
    return other if one is None else np.intersect1d(one, other).astype(np.int32)


def _index(names: Sequence[str]) -> dict[str, int]:
    return {name: i for i, name in enumerate(names)}


def _folded(names: Sequence[str]) -> dict[str, list[int]]:
    out: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        out.setdefault(name.casefold().strip(), []).append(i)
    return out
