"""What happened since the bundle was built: events of shoppers and visits, log-ins, and new forms of products, in memory.

The truth lies in the state database; every worker follows it by sequence number, so that an event taken in by
one worker changes what another answers next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.nouns import Product
from wares.core.people import People
from wares.core.sessions import Links, links_after, session_users
from wares.core.state import State
from wares.features.catalogue import below
from wares.models.search.analysis import stem, surface_words
from wares.models.search.asked import Asked
from wares.models.search.infer import Filters


@dataclass(slots=True)
class NewProduct:
    """A product that came, or changed, after the build."""

    product: Product
    vector: NDArray[np.float32]
    words: frozenset[str]
    title_words: frozenset[str]
    base_row: int


MOST_DEEDS = 500


@dataclass(slots=True)
class Deed:
    """One online event of a shopper or a visit. `weight` replaces the weight of its kind."""

    product_id: str
    kind: str
    at: int
    quantity: float = 1.0
    session: str = ""
    seq: int = 0
    weight: float | None = None


class Online:
    """Follows the state database. Thread-safe."""

    def __init__(
        self,
        state: State,
        encode: Callable[[Product], NDArray[np.float32]],
        find_row: Callable[[str], int],
        marks: dict[str, int],
        people: People | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.state, self._encode, self._find_row, self._people = state, encode, find_row, people
        self._clock = clock
        state.ensure(session_users)
        self._events, self._products = marks["events"], marks["products"]
        # A bundle made before sessions could be linked has no mark.
        self._linked = int(marks.get("links", 0))
        self._seen = -1
        self._lock = threading.Lock()
        self.deeds: dict[str, list[Deed]] = {}
        self.visits: dict[str, list[Deed]] = {}
        self.links = Links()
        self.last = 0
        self.products: dict[str, NewProduct] = {}
        self.hidden: NDArray[np.int32] = np.zeros(0, np.int32)
        self.version = 0

    @property
    def seen_events(self) -> int:
        """The sequence number of the last event taken in."""
        return self._events

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
            if fresh := links_after(self.state, self.links.last):
                self.links.add(fresh)
            if self._people is not None and self._people.any_erased:
                self._forget(self._people)
            fresh = self.state.products_after(self._products)
            for row in fresh:
                self._add_product(row)
                self._products = int(row["seq"])
            if fresh:
                rows = [p.base_row for p in self.products.values() if p.base_row >= 0]
                self.hidden = np.array(sorted(rows), np.int32)
                self.version += 1
            self._seen = seen

    def _forget(self, people: People) -> None:
        gone = people.erased_among(self.deeds)
        self.deeds = {k: v for k, v in self.deeds.items() if k not in gone}
        theirs = people.erased_among(self.links.by_user)
        visits = people.erased_among(self.visits)
        visits |= {s for user in theirs for s in self.links.by_user[user]}
        self.visits = {k: v for k, v in self.visits.items() if k not in visits}
        if theirs:
            self.links = self.links.without(theirs)

    def _add_event(self, row: dict[str, Any]) -> None:
        # What claims to be done in the future was done now: a wrong clock must not outweigh everything else.
        at = min(int(datetime.fromisoformat(row["at"]).timestamp()), int(self._clock()))
        session = row["session_id"] or ""
        deed = Deed(row["product_id"], row["kind"], at, float(row["quantity"]), session, int(row["seq"]))
        self.last = max(self.last, at)
        book, key = (self.deeds, row["user_id"]) if row["user_id"] else (self.visits, session)
        # A new list, not an append: a request may be reading the old one.
        book[key] = [*book.get(key, []), deed][-MOST_DEEDS:]

    def history(self, user: str, session: str) -> tuple[str, list[Deed], list[str]]:
        """What a shopper, a visit, or a shopper in a visit did since the build.

        Returns whose it is (empty for a stranger), the deeds in order of time, and the visits before the build that
        were linked to them since.
        """
        links = self.links
        owner = links.now(session) if session else ""
        user = user or owner
        deeds = list(self.deeds.get(user, ())) if user else []
        sessions = links.by_user.get(user, {}) if user else {}
        earlier: list[str] = []
        for name, seq in sessions.items():
            deeds += [d for d in self.visits.get(name, ()) if links.owner(name, d.seq) == user]
            if seq > self._linked and links.by_session[name][0].user_id == user and not links.shared(name):
                earlier.append(name)
        if session and session not in sessions:
            # Not linked, or another's: of a visit that is someone else's only that one may see the deeds.
            deeds += [d for d in self.visits.get(session, ()) if not links.owner(session, d.seq)]
            if session not in links.by_session:
                earlier.append(session)
        deeds.sort(key=lambda d: (d.at, d.seq))
        return user, deeds[-MOST_DEEDS:], earlier

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
    if filters.size and product.size not in filters.size:
        return False
    if filters.category and not any(below(product.category, f) for f in filters.category):
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
    asked: Asked | None = None,
) -> list[tuple[NewProduct, float]]:
    """New products that match a query, scored on the scale of the bundle's own list; limits that it names are heeded."""
    if not new:
        return []
    asked = asked or Asked(query, tuple(surface_words(query)))
    words = [stem(w) for word in asked.words for w in surface_words(word)]
    meant = " ".join((*asked.brands, *asked.words)) if asked.structured else query[:500]
    vector = encode(meant) if words else None
    out: list[tuple[NewProduct, float]] = []
    v, low = float(config["vector_weight"]), float(config["min_cosine"])
    for candidate in new.values():
        if not passes(candidate.product, filters) or not heeds(candidate, asked):
            continue
        if vector is None:
            if not query.strip() or asked.structured:
                out.append((candidate, 0.5))
            continue
        share = sum(0.5 * (w in candidate.words) + 0.5 * (w in candidate.title_words) for w in words) / len(
            words
        )
        near = max(0.0, (float(candidate.vector @ vector) - low) / (1 - low))
        named = candidate.product.product_id == query.strip()
        if share > 0 or near > 0 or named:
            # What the bundle's products get for covering the query, in order, is about as much.
            out.append((candidate, 3.0 if named else (1 - v + 0.15) * share + v * near))
    return out


def heeds(candidate: NewProduct, asked: Asked) -> bool:
    """Whether a new product keeps the limits that a query names."""
    product = candidate.product
    brand = product.brand.casefold()
    parts = {part.strip().casefold() for part in product.category.split(">")} | {product.category.casefold()}
    price = None if product.price is None else float(product.price)
    low = 0.0 if asked.price_min is None else asked.price_min
    high = float("inf") if asked.price_max is None else asked.price_max
    priced = asked.price_min is None and asked.price_max is None
    return (
        (not asked.brands or brand in {b.casefold() for b in asked.brands})
        and brand not in {b.casefold() for b in asked.not_brands}
        and (not asked.categories or bool(parts & {c.casefold() for c in asked.categories}))
        and (priced or (price is not None and low <= price <= high))
        and not any(all(stem(w) in candidate.words for w in surface_words(n)) for n in asked.not_words)
    )
