"""What the shop talks about: products, events and the hits that answer a question."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Product:
    """One thing that the shop sells. ``attributes`` holds every column that has no field here."""

    product_id: str
    title: str
    description: str = ""
    brand: str = ""
    category: str = ""
    size: str = ""
    price: Decimal | None = None
    currency: str = ""
    image: str = ""
    url: str = ""
    available: bool = True
    attributes: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a shopper did, at a moment in UTC."""

    event_id: str
    user_id: str
    product_id: str
    kind: str
    at: datetime
    quantity: Decimal = Decimal(1)
    price: Decimal | None = None
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a hit stands in the list: ``code`` for programs, ``text`` for people, ``facts`` for templates."""

    code: str
    text: str
    facts: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Hit:
    """One product of an answer, best first. ``score`` is comparable only within its own list."""

    product: Product
    score: float
    why: Reason
    parts: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class SearchPage:
    """An answer to a query: hits, how many there are in all, facets with counts, and what was relaxed.

    ``asked`` is the query as it was read (`wares.models.search.asked.Asked`), ``highlights`` has for each hit the spans
    ``(start, end)`` of its title that the query matches, ``variants`` how many others of its group each hit stands for, and
    ``cursor`` asks for the next page; it is empty on the last.
    """

    hits: list[Hit]
    total: int
    facets: dict[str, list[tuple[str, int]]]
    relaxed: str = ""
    corrected: str = ""
    asked: Any = None
    highlights: list[list[tuple[int, int]]] = field(default_factory=list[list[tuple[int, int]]])
    sort: str = ""
    variants: list[int] = field(default_factory=list[int])
    cursor: str = ""

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, place: int) -> Hit:
        return self.hits[place]
