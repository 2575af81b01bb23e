"""A seeded shop of baskets whose relations are known: accessories, substitutes, habits, a trend."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

DAYS = 140
EVERY = 14


@dataclass(frozen=True)
class BasketShop:
    """`accessory` lies in baskets with `main` only; `rivals` are looked at together and bought apart; `habit` is bought
    every `EVERY` days by every third shopper; `rising` sells in the last day; `together` are bought in one basket."""

    products: list[dict[str, str]]
    events: list[dict[str, str]]
    main: str = "lamp"
    accessory: str = "bulb"
    rivals: tuple[str, str] = ("pan-a", "pan-b")
    habit: str = "coffee"
    rising: str = "kite"
    together: tuple[str, str] = ("bread", "butter")
    end: datetime = datetime(2025, 5, 21, tzinfo=UTC)


def make_basket_shop(seed: int = 7, users: int = 60) -> BasketShop:
    """Sixty shoppers over `DAYS` days."""
    rng = np.random.default_rng(seed)
    named = [
        ("lamp", "brass desk lamp", "Home > Lamps", "49"), ("bulb", "warm light bulb", "Home > Bulbs", "4"),
        ("pan-a", "steel frying pan", "Kitchen > Pans", "30"), ("pan-b", "iron frying pan", "Kitchen > Pans", "32"),
        ("pan-new", "copper frying pan", "Kitchen > Pans", "31"), ("pan-gold", "golden frying pan", "Kitchen > Pans", "900"),
        ("coffee", "ground coffee", "Grocery > Coffee", "6"), ("bread", "white bread", "Grocery > Bread", "2"),
        ("butter", "salted butter", "Grocery > Dairy", "3"), ("kite", "red kite", "Toys > Kites", "15"),
    ]  # fmt: skip
    named += [(f"toy-{n}", f"wooden toy number {n}", "Toys > Wood", f"{8 + n}") for n in range(12)]
    products = [dict(zip(("sku", "name", "category", "price"), row, strict=True)) for row in named]
    shop = BasketShop(products, [])
    begin = shop.end - timedelta(days=DAYS)

    def put(user: int, day: float, kind: str, *skus: str) -> None:
        at = (begin + timedelta(days=day)).isoformat()
        shop.events.extend(
            {
                "customer": f"u{user:03d}",
                "visit": f"v{user}-{int(day)}",
                "sku": sku,
                "type": kind,
                "time": at,
                "qty": "1",
            }
            for sku in skus
        )

    for user in range(users):
        for _ in range(3):
            # What everybody buys now and then, so that chance has a share.
            put(user, float(rng.random() * (DAYS - 2)), "purchase", f"toy-{int(rng.integers(12))}")
        if user % 2:
            put(user, float(rng.random() * 130), "purchase", "lamp", *(["bulb"] if user % 4 == 1 else []))
        if user % 3 == 0:
            put(user, float(rng.random() * 130), "purchase", "bread", "butter")
            put(user, float(rng.random() * 130), "purchase", "bread", "butter")
            for day in np.arange(rng.random() * 10, DAYS - 1, EVERY):
                put(user, float(day + rng.random()), "purchase", "coffee")
        else:
            day = float(rng.random() * 130)
            put(user, day, "view", "pan-a", "pan-b")
            put(user, day + 1, "purchase", "pan-a" if user % 2 else "pan-b")
        if user < 20:
            put(user, DAYS - float(rng.random() * 0.9), "view", "kite")
    return shop
