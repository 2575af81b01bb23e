"""A seeded log of searches in which the worth of every product and the habit of looking are known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from wares.models.search.clicks import Sessions


@dataclass(frozen=True)
class ClickLog:
    """`sessions` of shoppers; ``worth (queries, products)`` the planted attraction, ``examined (places,)`` the planted habit, 1 at
    the first place, ``satisfies (queries, products)`` how often a click ends the search (of ``kind`` "reading" alone)."""

    sessions: Sessions
    worth: NDArray[np.float64]
    examined: NDArray[np.float64]
    satisfies: NDArray[np.float64]


def make_click_log(
    seed: int = 7,
    *,
    kind: str = "places",
    queries: int = 20,
    products: int = 15,
    searches: int = 20_000,
    eta: float = 1.0,
    shuffle: float = 1.0,
) -> ClickLog:
    """Draw a log.

    The shop sorts by a worth of its own that is wrong as often as right, with noise `shuffle` from search to search. Shoppers of
    kind "places" look at place k with chance (1/k)^`eta` and click by worth; of kind "reading" they read downwards, click by
    worth, and stop when a click satisfied them.
    """
    rng = np.random.default_rng(seed)
    worth = rng.beta(1.2, 4, (queries, products))
    satisfies = rng.uniform(0.2, 0.9, (queries, products))
    believed = rng.normal(size=(queries, products))
    examined = (1 / np.arange(1, products + 1)) ** eta
    query = rng.integers(0, queries, searches)
    order = np.argsort(
        -(believed[query] + shuffle * rng.normal(size=(searches, products))), axis=1, kind="stable"
    )
    at = query[:, None]
    clicked = rng.random((searches, products)) < worth[at, order]
    if kind == "places":
        clicked &= rng.random((searches, products)) < examined
    else:
        ends = clicked & (rng.random((searches, products)) < satisfies[at, order])
        # Nothing is read below the click that satisfied.
        clicked &= np.cumsum(ends, axis=1) - ends == 0
    sessions = Sessions(
        query.astype(np.int32), np.arange(searches + 1, dtype=np.int64) * products, order.ravel().astype(np.int32), clicked.ravel()
    )  # fmt: skip
    return ClickLog(sessions, worth, examined, satisfies)


@dataclass(frozen=True)
class ClickShop:
    """A shop for its files: `products` and `queries` (with what was shown and clicked) as rows, `worth` of each product by its id,
    which goes with the price alone, and the planted habit of looking ``examined (places,)``."""

    products: list[dict[str, str]]
    queries: list[dict[str, str]]
    worth: dict[str, float]
    examined: NDArray[np.float64]
    words: list[str]


def make_click_shop(
    seed: int = 7, *, words: int = 90, products: int = 8, searches: int = 6000, eta: float = 1.0
) -> ClickShop:
    """Each word is the title of `products` products; shoppers want the cheap ones, whatever the shop shows first.

    The shop shows them in an order of its own that knows nothing of prices, so that the first place, not the price, has most clicks.
    """
    rng = np.random.default_rng(seed)
    letters = ("bcdfgklmnprstvz", "aeiou")
    names: dict[str, None] = {}
    while len(names) < words:
        names["".join(letters[i % 2][int(rng.integers(len(letters[i % 2])))] for i in range(8))] = None
    listed = list(names)
    rows: list[dict[str, str]] = []
    worth: dict[str, float] = {}
    for w, word in enumerate(listed):
        for i, cheap in enumerate(rng.permutation(products).tolist()):
            name = f"s{w:03d}-{i}"
            price = 5 + 4 * cheap + float(rng.integers(0, 3))
            worth[name] = float(1 / (1 + np.exp(0.25 * (price - 14))))
            rows.append({"product_id": name, "title": f"{word} {'abcdefghijklmnop'[i] * 3}", "category": f"Things > {word}", "price": f"{price:.2f}"})  # fmt: skip
    examined = (1 / np.arange(1, products + 1)) ** eta
    believed = rng.normal(size=(words, products))
    popular = rng.zipf(1.6, 4 * searches)
    chosen = popular[popular <= words][:searches] - 1
    begin = datetime(2025, 3, 1, tzinfo=UTC)
    queries: list[dict[str, str]] = []
    for number, w in enumerate(chosen.tolist()):
        order = np.argsort(-(believed[w] + 0.7 * rng.normal(size=products)), kind="stable").tolist()
        shown = [f"s{w:03d}-{i}" for i in order]
        clicked = [p for p, name in zip(range(products), shown, strict=True) if rng.random() < examined[p] * worth[name]]  # fmt: skip
        hits = [shown[p] for p in clicked]
        queries.append(
            {
                "query_id": f"q{number}", "text": listed[w], "user_id": f"u{int(rng.integers(200))}", "session_id": f"v{number}",
                "product_id": hits[0] if hits else "", "at": (begin + timedelta(minutes=40 * number)).isoformat(),
                "shown": "|".join(shown), "clicks": "|".join(hits),
            }
        )  # fmt: skip
    return ClickShop(rows, queries, worth, examined, listed)
