"""Entities and relations that a catalogue's columns state: brand, category path, size, attributes, price band."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from wares.features.catalogue import NO_PRICE, Catalogue
from wares.graph.triples import Triples

COLUMNS = "columns"
BANDS = 5
FEWEST_PRICES = 25
_STEPS = re.compile(r"\s*(?:>|/|\||»|→|::)\s*")
_MOST_VALUE = 80


def normal(value: str) -> str:
    """One spelling for one entity: case folded, spaces single."""
    return " ".join(value.casefold().split())


@lru_cache(100_000)
def category_steps(category: str) -> tuple[str, ...]:
    """The steps of a category path, each as the whole path down to it: ``home``, ``home > kitchen``."""
    steps = [normal(step) for step in _STEPS.split(category) if step.strip()]
    return tuple(" > ".join(steps[: i + 1]) for i in range(len(steps)))


def add_columns(triples: Triples, products: Catalogue) -> None:
    """Add what the columns of the catalogue say."""
    _add_named(triples, list(products.columns["brand"]), "brand", "has_brand")
    _add_named(triples, list(products.columns["size"]), "size", "has_size")
    _add_categories(triples, list(products.columns["category"]))
    _add_attributes(triples, list(products.columns["attributes"]))
    _add_price_bands(triples, np.asarray(products.prices), list(products.columns["category"]))


def _add_named(triples: Triples, values: Sequence[str], kind: str, relation: str) -> None:
    pairs = [(row, normal(value)) for row, value in enumerate(values) if value.strip()]
    triples.add(
        [row for row, _ in pairs], relation, [triples.entity(kind, value) for _, value in pairs], COLUMNS
    )


def _add_categories(triples: Triples, categories: Sequence[str]) -> None:
    heads: list[int] = []
    tails: list[int] = []
    parents: set[tuple[int, int]] = set()
    steps_of: dict[str, list[int]] = {}
    for row, category in enumerate(categories):
        if category not in steps_of:
            steps_of[category] = [triples.entity("category", step) for step in category_steps(category)]
        steps = steps_of[category]
        if steps:
            heads.append(row)
            tails.append(steps[-1])
            parents.update(zip(steps[1:], steps[:-1], strict=True))
    triples.add(heads, "in_category", tails, COLUMNS)
    ordered = sorted(parents)
    triples.add([child for child, _ in ordered], "is_a", [parent for _, parent in ordered], COLUMNS)


def _add_attributes(triples: Triples, cells: Sequence[str]) -> None:
    """``name=value`` entities. Values that nearly every product has for itself (ids, texts) are no attributes."""
    values: dict[str, Counter[str]] = defaultdict(Counter)
    found: list[tuple[int, str, str]] = []
    for row, cell in enumerate(cells):
        if not cell:
            continue
        for name, value in json.loads(cell).items():
            text = normal(str(value)) if value is not None else ""
            if text and len(text) <= _MOST_VALUE:
                found.append((row, normal(str(name)), text))
                values[normal(str(name))][text] += 1
    shared = {name for name, counts in values.items() if len(counts) <= 0.5 * sum(counts.values())}
    kept = [(row, name, value) for row, name, value in found if name in shared and values[name][value] >= 2]
    triples.add(
        [row for row, _, _ in kept],
        "has_attribute",
        [triples.entity("attribute", f"{name}={value}") for _, name, value in kept],
        COLUMNS,
    )


def _add_price_bands(triples: Triples, prices: NDArray[np.int64], categories: Sequence[str]) -> None:
    """Fifths of the price within the deepest category that has at least 25 priced products."""
    members: dict[str, list[int]] = defaultdict(list)
    steps = [["", *category_steps(category)] for category in categories]
    for row in np.flatnonzero(prices != NO_PRICE).tolist():
        for step in steps[row]:
            members[step].append(row)
    place = {
        step: {row: rank for rank, row in enumerate(sorted(rows, key=lambda r: (prices[r], r)))}
        for step, rows in members.items()
        if len(rows) >= FEWEST_PRICES
    }
    heads: list[int] = []
    tails: list[int] = []
    for row in np.flatnonzero(prices != NO_PRICE).tolist():
        step = next((s for s in reversed(steps[row]) if s in place), None)
        if step is not None:
            band = 1 + place[step][row] * BANDS // len(place[step])
            heads.append(row)
            tails.append(triples.entity("price_band", f"{step or 'all'}: {band} of {BANDS}"))
    triples.add(heads, "in_price_band", tails, COLUMNS)
