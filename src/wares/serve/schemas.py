"""What goes in and out of the API."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from wares.core.nouns import Hit, Product


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not hold NUL characters")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("must be whole Unicode, without lone surrogates") from None
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


Text = Annotated[str, AfterValidator(_storable)]
Id = Annotated[
    str, Field(min_length=1, max_length=200), AfterValidator(_storable), AfterValidator(_not_blank)
]
AHEAD = timedelta(days=1)
"""How far a shop's clock may be ahead of ours; what is further is a mistake, and what is less counts as now."""
Money = Annotated[Decimal, Field(ge=0, le=10_000_000, allow_inf_nan=False, max_digits=24)]


class EventIn(BaseModel):
    """One thing that a shopper did, or a visitor who is not logged in: then ``session_id`` says who.

    ``event_id`` makes a retry harmless; ``at`` is now when absent. An event that names both tells that the shopper
    logged in: what the session did before becomes theirs.
    """

    model_config = ConfigDict(extra="forbid")
    event_id: Id | None = None
    user_id: Id | None = None
    product_id: Id
    kind: Literal["view", "click", "cart", "purchase", "return", "rate"]
    at: AwareDatetime | None = None
    quantity: Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = Decimal(1)
    price: Money | None = None
    session_id: Annotated[Text, Field(max_length=200)] = ""

    @model_validator(mode="after")
    def _somebody(self) -> EventIn:
        if self.user_id is None and not self.session_id.strip():
            raise ValueError("give user_id, or session_id for a visitor who is not logged in")
        if self.at is not None and self.at > datetime.now(UTC) + AHEAD:
            raise ValueError("at lies in the future; leave it out for now, or send the time with its zone")
        return self

    def row(self) -> dict[str, Any]:
        """As the state database stores it."""
        at = (self.at or datetime.now(UTC)).astimezone(UTC)
        return {
            "event_id": self.event_id or uuid.uuid4().hex, "user_id": self.user_id or "", "product_id": self.product_id, "kind": self.kind,
            "at": at.isoformat(), "quantity": str(self.quantity), "price": None if self.price is None else str(self.price), "session_id": self.session_id,
        }  # fmt: skip


class EventsIn(BaseModel):
    """Up to a thousand events, stored all or none."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"events": [{"user_id": "900", "product_id": "1029743", "kind": "purchase"}]}]
        },
    )
    events: Annotated[list[EventIn], Field(min_length=1, max_length=1000)]


class EventsOut(BaseModel):
    """How many events are on disk now, which products are not known yet, and how many were of erased people."""

    accepted: int
    duplicates: int
    unknown_products: list[str]
    erased: int = 0


class LoginIn(BaseModel):
    """Who logged in."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"user_id": "900"}]})
    user_id: Id


class LoginOut(BaseModel):
    """The link, and how many deeds the shopper got from the visit; ``erased`` when the shopper asked to be forgotten."""

    session_id: str
    user_id: str
    merged: int
    erased: bool = False


class ProductIn(BaseModel):
    """A product, whole: what is left out is empty."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "title": "Oat cookies, store brand, 12 oz",
                    "brand": "Store brand",
                    "category": "Grocery > Cookies/cones",
                    "price": "2.49",
                }
            ]
        },
    )
    title: Annotated[
        str, Field(min_length=1, max_length=2000), AfterValidator(_storable), AfterValidator(_not_blank)
    ]
    description: Annotated[Text, Field(max_length=100_000)] = ""
    brand: Annotated[Text, Field(max_length=500)] = ""
    category: Annotated[Text, Field(max_length=1000)] = ""
    size: Annotated[Text, Field(max_length=500)] = ""
    price: Money | None = None
    currency: Annotated[str, Field(pattern="^([A-Z]{3})?$")] = ""
    image: Annotated[Text, Field(max_length=5000)] = ""
    url: Annotated[Text, Field(max_length=5000)] = ""
    available: bool = True
    attributes: dict[Text, Annotated[Text, Field(max_length=5000)]] = Field(
        default_factory=dict[str, str], max_length=200
    )


class SentimentQuestion(BaseModel):
    """Texts to read. One that cannot be read is answered by an error; the others are read."""

    model_config = ConfigDict(extra="forbid")
    texts: list[Any] = Field(
        min_length=1,
        max_length=256,
        description="Strings of at most 100,000 characters.",
        examples=[["很好用，就是有点贵", "arrived broken"]],
    )
    why: bool = Field(default=False, description="What each word adds to the verdict; of the first 16 texts.")


class AlertDecision(BaseModel):
    """What a person says to an alert."""

    model_config = ConfigDict(extra="forbid")
    state: Literal["open", "acknowledged", "muted"]
    note: Annotated[Text, Field(max_length=1000, description="Why; kept in its history.")] = ""


class ProductOut(BaseModel):
    """A product as it is stored now."""

    product_id: str
    searchable: bool


def product_json(product: Product) -> dict[str, Any]:
    """A product for people and programs; prices are strings, so that no cent is lost."""
    out: dict[str, Any] = {"product_id": product.product_id, "title": product.title}
    for name in ("description", "brand", "category", "size", "currency", "image", "url"):
        if value := getattr(product, name):
            out[name] = value
    if product.price is not None:
        out["price"] = str(product.price)
    out["available"] = product.available
    if product.attributes:
        out["attributes"] = product.attributes
    return out


def hit_json(hit: Hit) -> dict[str, Any]:
    """A hit with its reason and the parts of its score."""
    parts = {name: round(value, 6) for name, value in hit.parts.items() if value}
    return {
        "product": product_json(hit.product), "score": round(hit.score, 6), "why": hit.why.text,
        "reason": {"code": hit.why.code, **hit.why.facts}, "parts": parts,
    }  # fmt: skip
