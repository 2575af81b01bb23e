"""A seeded log of searches in which the worth of every product and the habit of looking are known."""

from __future__ import annotations

from dataclasses import dataclass

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
    rows: list[tuple[int, list[int], list[int]]] = []
    for query in rng.integers(0, queries, searches).tolist():
        order = np.argsort(-(believed[query] + shuffle * rng.normal(size=products)), kind="stable")
        likes = rng.random(products) < worth[query, order]
        if kind == "places":
            clicked = np.flatnonzero(likes & (rng.random(products) < examined)).tolist()
        else:
            done = rng.random(products) < satisfies[query, order]
            clicked = []
            for place in np.flatnonzero(likes).tolist():
                clicked.append(place)
                if done[place]:
                    break
        rows.append((query, order.tolist(), clicked))
    return ClickLog(Sessions.of(rows), worth, examined, satisfies)
