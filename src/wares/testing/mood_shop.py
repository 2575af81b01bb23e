"""A seeded synthetic shop of shoes and lamps whose moods are known: one fits small, one breaks, one search disappoints."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from wares.models.sentiment.readings import Readings

ASPECTS = ("quality", "size", "price", "delivery")
FILLER = [
    "walked",
    "monday",
    "garden",
    "sister",
    "kitchen",
    "morning",
    "window",
    "parcel",
    "shelf",
    "winter",
    "friend",
    "office",
    "hallway",
    "summer",
    "cousin",
    "table",
    "evening",
    "corner",
    "station",
    "uncle",
    "bedroom",
    "market",
    "coffee",
    "village",
    "bridge",
    "holiday",
    "neighbour",
    "lunch",
    "ticket",
    "river",
    "library",
    "museum",
    "piano",
    "balcony",
    "street",
    "dinner",
]
"""Words that say nothing, so that no review is a near copy of another."""
OPINIONS: tuple[tuple[str, str, float], ...] = (
    (r"fits? (?:far too )?small|too tight|偏小", "size", -0.9),
    (r"true to size|fits perfectly|尺码标准", "size", 0.9),
    (r"broke after a week|falls apart|坏了", "quality", -0.9),
    (r"well made|solid|质量很好", "quality", 0.9),
    (r"overpriced|too expensive|太贵", "price", -0.8),
    (r"good value|划算", "price", 0.8),
    (r"arrived late|还没收到", "delivery", -0.7),
)
"""Wordings with the aspect and the polarity that they stand for."""
CONFIG = """
[shop]
name = "Moods"
currency = "EUR"
[[sources]]
as = "products"
path = "exports/products.csv"
[[sources]]
as = "events"
path = "exports/events.csv"
[[sources]]
as = "reviews"
path = "exports/reviews.csv"
[[sources]]
as = "texts"
path = "exports/texts.csv"
[[sources]]
as = "queries"
path = "exports/queries.csv"
[recommend]
regularisation = [10.0, 50.0]
half_lives_days = [60.0, 3650.0]
min_support = 1
[evaluate]
bootstrap = 100
[build]
threads = 1
"""


@dataclass(frozen=True)
class MoodShop:
    """`small` are shoes that fit small, `true` such that fit; `returner` sent `sent` (small as well) back; `bad_query` returns
    what disappoints, `good_query` what does not; `angry`, `danger` and `settled` are ids of texts."""

    products: list[dict[str, str]]
    events: list[dict[str, str]]
    reviews: list[dict[str, str]]
    texts: list[dict[str, str]]
    queries: list[dict[str, str]]
    small: tuple[str, ...] = ("shoe-0", "shoe-1", "shoe-2")
    true: tuple[str, ...] = ("shoe-5", "shoe-6")
    returner: str = "u001"
    sent: str = "shoe-0"
    bad_query: str = "running shoe"
    good_query: str = "desk lamp"
    danger: str = "t-danger"
    angry: str = "t-angry"
    settled: str = "t-settled"
    end: datetime = field(default=datetime(2026, 3, 1, tzinfo=UTC))


def make_mood_shop(seed: int = 7, users: int = 60) -> MoodShop:
    """Sixteen products, sixty shoppers over half a year."""
    rng = np.random.default_rng(seed)
    products = [
        {"product_id": f"shoe-{n}", "title": f"running shoe {name}", "brand": f"Brand{n % 3}", "category": "Shoes", "price": f"{40 + 9 * n}.00"}
        for n, name in enumerate(("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Gum", "Hazel"))
    ]  # fmt: skip
    products += [
        {"product_id": f"lamp-{n}", "title": f"desk lamp {name}", "brand": f"Brand{n % 3}", "category": "Lamps", "price": f"{20 + 5 * n}.00"}
        for n, name in enumerate(("Iris", "Jade", "Kite", "Lark", "Moss", "Nova", "Opal", "Pine"))
    ]  # fmt: skip
    shop = MoodShop(products, [], [], [], [])
    begin = shop.end - timedelta(days=180)
    ids = [p["product_id"] for p in products]

    def at(day: float) -> str:
        return (begin + timedelta(days=day)).isoformat()

    def deed(user: str, day: float, kind: str, product: str) -> None:
        shop.events.append(
            {
                "user_id": user,
                "product_id": product,
                "kind": kind,
                "at": at(day),
                "quantity": "1",
                "session_id": f"s{user}{int(day)}",
            }
        )

    def review(product: str, text: str, stars: int, day: float, user: str = "") -> None:
        n = len(shop.reviews)
        words = " ".join(rng.choice(FILLER, 14))
        shop.reviews.append(
            {
                "review_id": f"r{n}", "product_id": product, "user_id": user or f"x{n}", "rating": str(stars), "text": f"{text}. {words}", "title": "",
                "at": at(day),
            }
        )  # fmt: skip

    for user in range(users):
        for _ in range(6):
            # Half of them are shoe people.
            product = ids[int(rng.integers(8))] if user % 2 else ids[8 + int(rng.integers(8))]
            deed(f"u{user:03d}", float(rng.uniform(0, 179)), "purchase", product)
    # One lamp is wanted ever more.
    for n in range(40):
        deed(f"v{n:03d}", float(rng.uniform(160, 179.9)), "view", "lamp-3")
    deed(shop.returner, 20, "purchase", shop.sent)
    deed(shop.returner, 30, "return", shop.sent)
    good = ("well made and good value", "solid, true to size", "fits perfectly, well made", "质量很好，划算")
    for product in ids:
        for _ in range(30 if product == "lamp-7" else 12):
            day = float(rng.uniform(0, 178))
            if product in shop.small and rng.random() < 0.8:
                review(product, "these fit small, terrible, awful, bad", 1, day)
            elif product == "lamp-7" and day > 90:
                review(product, "broke after a week, terrible, awful, bad", 1, day)
            elif product == "shoe-7" and rng.random() < 0.5:
                review(product, "overpriced, not happy, bad", 2, day)
            elif rng.random() < 0.12:
                review(product, "it is okay, average, so so", 3, day)
            else:
                review(product, f"great, love it, {good[int(rng.integers(len(good)))]}", 5, day)
    _say(shop, at)
    _search(shop, rng, at, deed)
    return shop


def _say(shop: MoodShop, at) -> None:  # type: ignore[no-untyped-def]
    rows = (
        (shop.danger, "chat", "My lamp started smoking and I burned my hand!! Answer immediately", "lamp-7", "u002", 175),
        (shop.angry, "chat", "terrible awful bad service, still waiting, I want my money back NOW", "shoe-1", "u003", 172),
        ("t-plain", "question", "What colours does it come in?", "lamp-1", "u004", 178),
        ("t-zh", "chat", "还没收到，太糟糕了，赶紧退款", "shoe-2", "u005", 174),
        (shop.settled, "chat", "it broke after a week", "lamp-2", "u006", 170),
        ("t-thanks", "chat", "thanks, solved", "lamp-2", "u006", 171),
        ("t-old", "chat", "terrible, refund please", "lamp-2", "u007", 10),
    )  # fmt: skip
    for n, text in enumerate(
        (
            "I search for a desk lamp and find just the right one, great",
            "great finds, love it",
            "love it, great search",
        )
    ):
        shop.texts.append({"text_id": f"t-search-{n}", "kind": "feedback", "text": text, "product_id": "", "user_id": f"f{n}", "at": at(150 + n), "query": shop.good_query})  # fmt: skip
    for key, kind, text, product, user, day in rows:
        shop.texts.append({"text_id": key, "kind": kind, "text": text, "product_id": product, "user_id": user, "at": at(day), "query": ""})  # fmt: skip


def _search(shop: MoodShop, rng: np.random.Generator, at, deed) -> None:  # type: ignore[no-untyped-def]
    def search(user: str, day: float, text: str, product: str = "") -> None:
        n = len(shop.queries)
        shop.queries.append({"query_id": f"q{n}", "text": text, "user_id": user, "session_id": f"s{user}{int(day)}", "product_id": product, "at": at(day)})  # fmt: skip

    for n in range(30):
        user, day = f"w{n:03d}", float(rng.uniform(1, 170))
        if n % 3 == 0:
            search(user, day, shop.bad_query)
            search(user, day + 0.002, "trail shoe", "shoe-6")
        elif n % 3 == 1:
            search(user, day, shop.bad_query, "shoe-0")
            deed(user, day + 1, "purchase", "shoe-0")
            if n % 2:
                deed(user, day + 9, "return", "shoe-0")
        else:
            search(user, day, shop.bad_query)
        search(f"z{n:03d}", float(rng.uniform(1, 170)), shop.good_query, f"lamp-{n % 3}")


def write_mood_shop(shop: MoodShop, folder: Path) -> Path:
    """Write the tables as CSV files into a folder; returns it."""
    from wares.testing.shop import write_rows

    for name in ("products", "events", "reviews", "texts", "queries"):
        write_rows(folder / f"{name}.csv", getattr(shop, name))
    return folder


def planted_opinions(readings: Readings) -> Readings:
    """Readings with the opinions that the wordings of `OPINIONS` stand for, in place of those that were read."""
    rows: list[tuple[int, int, float, int, int]] = []
    for place, text in enumerate(readings.texts):
        for pattern, aspect, polarity in OPINIONS:
            rows += [
                (place, ASPECTS.index(aspect), polarity, *found.span())
                for found in re.finditer(pattern, text)
            ]
    rows.sort()
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    start, end = (np.array(columns[i], np.int32) for i in (3, 4))
    return replace(
        readings, aspects=ASPECTS, op_text=np.array(columns[0], np.int32), op_aspect=np.array(columns[1], np.int16),
        op_polarity=np.array(columns[2], np.float32), op_start=start, op_end=end, op_term_start=np.full(len(rows), -1, np.int32),
        op_term_end=np.full(len(rows), -1, np.int32),
    )  # fmt: skip
