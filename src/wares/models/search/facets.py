"""What is among the hits: brands, categories, sizes, prices, what can be bought, with counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.features.catalogue import PRICE_SCALE, Catalogue

Counts = list[tuple[str, int]]
MOST = 20
PRICE_BANDS = 5


def value_counts(codes: NDArray[Any], names: Sequence[str]) -> Counts:
    """The commonest values, at most `MOST`; of equal ones those first by code."""
    found, counts = np.unique(codes[codes >= 0], return_counts=True)
    best = np.lexsort((found, -counts))[:MOST]
    return [(str(names[int(found[i])]), int(counts[i])) for i in best]


def price_bands(prices: NDArray[Any]) -> Counts:
    """Some bands of about equal size, as ``low-high``, with how many are in each; the last includes its end."""
    prices = prices[prices >= 0]
    if not len(prices):
        return []
    edges = np.unique(np.quantile(prices, np.linspace(0, 1, PRICE_BANDS + 1)).round(-2).astype(np.int64))
    edges[-1] = max(edges[-1], int(prices.max()))
    bands = [(a, b) for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)] or [
        (int(edges[0]), int(edges[0]))
    ]
    counts = [int(((prices >= a) & ((prices < b) | (b == bands[-1][1]))).sum()) for a, b in bands]
    return [
        (f"{a / PRICE_SCALE:.2f}-{b / PRICE_SCALE:.2f}", c) for (a, b), c in zip(bands, counts, strict=True)
    ]


def facet(
    name: str,
    rows: NDArray[Any],
    catalogue: Catalogue,
    names: Mapping[str, Sequence[str]],
    size_of: NDArray[Any] | None,
) -> Counts:
    """One facet over some products: ``brand``, ``category``, ``size``, ``price`` or ``available``."""
    if name == "price":
        return price_bands(catalogue.prices[rows])
    if name == "available":
        there = int((catalogue.available[rows] != 0).sum())
        return [(value, n) for value, n in (("true", there), ("false", len(rows) - there)) if n]
    if name == "size":
        return value_counts(size_of[rows], names["size"]) if size_of is not None else []
    codes = catalogue.brand_of if name == "brand" else catalogue.category_of
    return value_counts(codes[rows], names[name])
