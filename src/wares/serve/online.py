"""What happened since the bundle was built: events of shoppers and new forms of products, in memory.

The truth lies in the state database; every worker follows it by sequence number, so that an event taken in by
one worker changes what another answers next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.nouns import Product
from wares.core.people import People
from wares.core.state import State
from wares.models.search.analysis import stem, surface_words
from wares.models.search.infer import Filters


@dataclass(slots=True)
class NewProduct:
    """A product that came, or changed, after the build."""

    product: Product
    vector: NDArray[np.float32]
    words: frozenset[str]
    title_words: frozenset[str]
    base_row: int


@dataclass(slots=True)
class Deed:
    """One online event of a shopper."""

    product_id: str
    kind: str
    at: int
    quantity: float


class Online:
    """Follows the state database. Thread-safe."""

    def __init__(
        self,
        state: State,
        encode: Callable[[Product], NDArray[np.float32]],
        find_row: Callable[[str], int],
        marks: dict[str, int],
        people: People | None = None,
    ) -> None:
        self.state, self._encode, self._find_row, self._people = state, encode, find_row, people
        self._events, self._products = marks["events"], marks["products"]
        self._seen = -1
        self._lock = threading.Lock()
        self.deeds: dict[str, list[Deed]] = {}
        self.products: dict[str, NewProduct] = {}
        self.hidden: NDArray[np.int32] = np.zeros(0, np.int32)
        self.version = 0

    def refresh(self) -> None:
        """Take in what was written since the last time; costs microseconds when nothing was."""
        changed, seen = self.state.changed(self._seen)
        if not changed:
            return
        with self._lock:
            if self._people is not None:
                self._people.refresh()
            # The state hands rows out in bounded portions; a worker that starts late has several to read.
            while rows := self.state.events_after(self._events):
                for row in rows:
                    self._add_event(row)
                self._events = int(rows[-1]["seq"])
            if self._people is not None and self._people.any_erased:
                gone = self._people.erased_among(self.deeds)
                self.deeds = {k: v for k, v in self.deeds.items() if k not in gone}
            fresh = self.state.products_after(self._products)
            for row in fresh:
                self._add_product(row)
                self._products = int(row["seq"])
            if fresh:
                rows = [p.base_row for p in self.products.values() if p.base_row >= 0]
                self.hidden = np.array(sorted(rows), np.int32)
                self.version += 1
            self._seen = seen

    def _add_event(self, row: dict[str, Any]) -> None:
        at = int(datetime.fromisoformat(row["at"]).timestamp())
        deed = Deed(row["product_id"], row["kind"], at, float(row["quantity"]))
        # A new list, not an append: a request may be reading the old one.
        self.deeds[row["user_id"]] = [*self.deeds.get(row["user_id"], []), deed][-500:]

    def _add_product(self, row: dict[str, Any]) -> None:
        product = product_of(row["document"])
        text = " ".join([product.title, product.brand, product.category, product.size, product.description])
        new = NewProduct(
            product, self._encode(product), frozenset(map(stem, surface_words(text, 400))),
            frozenset(map(stem, surface_words(product.title, 100))), self._find_row(product.product_id),
        )  # fmt: skip
        # The whole dictionary is replaced, newest last, so that readers never see it change under them.
        self.products = {
            **{k: v for k, v in self.products.items() if k != product.product_id},
            product.product_id: new,
        }


def product_of(document: dict[str, Any]) -> Product:
    """A product from its stored document."""
    price = document.get("price")
    try:
        amount = None if price is None else Decimal(str(price))
    except InvalidOperation:
        amount = None
    known = ("product_id", "title", "description", "brand", "category", "size", "currency", "image", "url")
    return Product(
        **{name: str(document.get(name) or "") for name in known}, price=amount, available=document.get("available") is not False,
        attributes={str(k): str(v) for k, v in (document.get("attributes") or {}).items()},
    )  # fmt: skip


def passes(product: Product, filters: Filters) -> bool:
    """Whether a product is what the filters ask for."""
    if filters.available is not None and product.available != filters.available:
        return False
    if filters.brand and product.brand not in filters.brand:
        return False
    if filters.category and not any(
        product.category == f or product.category.startswith(f"{f} >") for f in filters.category
    ):
        return False
    if filters.price_min is not None and (product.price is None or float(product.price) < filters.price_min):
        return False
    return filters.price_max is None or (
        product.price is not None and float(product.price) <= filters.price_max
    )


def matching(
    new: dict[str, NewProduct],
    query: str,
    filters: Filters,
    encode: Callable[[str], NDArray[np.float32]],
    config: dict[str, Any],
) -> list[tuple[NewProduct, float]]:
    """New products that match a query, scored on the scale of the bundle's own list."""
    if not new:
        return []
    words = [stem(w) for w in surface_words(query)]
    vector = encode(query[:500]) if words else None
    out: list[tuple[NewProduct, float]] = []
    v, low = float(config["vector_weight"]), float(config["min_cosine"])
    for candidate in new.values():
        if not passes(candidate.product, filters):
            continue
        if vector is None:
            if not query.strip():
                out.append((candidate, 0.5))
            continue
        share = sum(0.5 * (w in candidate.words) + 0.5 * (w in candidate.title_words) for w in words) / len(
            words
        )
        near = max(0.0, (float(candidate.vector @ vector) - low) / (1 - low))
        named = candidate.product.product_id == query.strip()
        if share > 0 or near > 0 or named:
            out.append((candidate, 2.0 if named else (1 - v) * share + v * near))
    return out
