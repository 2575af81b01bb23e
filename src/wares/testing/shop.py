"""A seeded synthetic shop whose truths are known: tastes, cold products, planted faults."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

COLOURS = ("red", "blue", "green", "black", "white")
THINGS = {
    "Lamps": ("desk lamp", "floor lamp", "night light", "led strip"),
    "Kitchen": ("chef knife", "frying pan", "tea pot", "cutting board"),
    "Garden": ("garden hose", "spade", "flower pot", "lawn mower"),
    "茶具": ("紫砂茶壶", "玻璃茶杯", "竹制茶盘", "陶瓷茶罐"),
}


@dataclass(frozen=True)
class SyntheticShop:
    """What was planted. Users of taste g buy from category g nine times out of ten."""

    products: list[dict[str, str]]
    events: list[dict[str, str]]
    taste: dict[str, str]
    cold: list[str]


def make_shop(seed: int = 7, users: int = 120, per_thing: int = 6, deeds: int = 14) -> SyntheticShop:
    """A small shop: four categories, some products that nobody bought, shoppers with one taste each."""
    rng = np.random.default_rng(seed)
    products: list[dict[str, str]] = []
    for category, things in THINGS.items():
        for thing in things:
            for n in range(per_thing):
                colour, number = COLOURS[n % len(COLOURS)], len(products)
                products.append(
                    {
                        "sku": f"p{number:04d}",
                        "name": f"{colour} {thing}",
                        "brand": f"Brand{number % 7}",
                        "category": category,
                        "price": f"{5 + 3 * (number % 17)}.50",
                    }
                )
    cold = [p["sku"] for i, p in enumerate(products) if i % 10 == 9]
    names = list(THINGS)
    taste = {f"u{u:03d}": names[u % len(names)] for u in range(users)}
    by_category = {c: [p for p in products if p["category"] == c and p["sku"] not in cold] for c in names}
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    events: list[dict[str, str]] = []
    for user, liked in taste.items():
        for n in range(deeds):
            category = liked if rng.random() < 0.9 else names[int(rng.integers(len(names)))]
            pool = by_category[category]
            # Squaring makes the first products of a category its best-sellers.
            chosen = pool[int(len(pool) * rng.random() ** 2)]
            at = begin + timedelta(days=n * 12 + float(rng.random() * 10), seconds=int(rng.integers(3600)))
            events.append(
                {
                    "customer": user,
                    "sku": chosen["sku"],
                    "type": "purchase",
                    "time": at.isoformat(),
                    "qty": "1",
                    "price": chosen["price"],
                }
            )
    return SyntheticShop(products, events, taste, cold)


def write_rows(path: Path, rows: list[dict[str, str]]) -> Path:
    """Write rows as a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_shop(shop: SyntheticShop, folder: Path) -> Path:
    """Write ``products.csv`` and ``events.csv`` into a folder; returns it."""
    write_rows(folder / "products.csv", shop.products)
    write_rows(folder / "events.csv", shop.events)
    return folder
