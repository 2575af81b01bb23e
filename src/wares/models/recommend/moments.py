"""What the learned ranker looks at: features of a shopper's own products, and of products not had. numpy only.

The same functions run when the ranker is fitted and when it serves, so that both see the same numbers. All times are
Unix seconds, all spans days; a missing value is NaN, which the trees send down a branch of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.recommend import alike, mood
from wares.models.recommend.history import History

DAY = 86_400
WINDOWS = (7, 28, 84)
"""Days over which recent shoppers of a product are counted."""
FACTS = (
    "buyers", "recent_7", "recent_28", "recent_84", "trend", "repurchase", "per_buyer", "log_gap", "trial", "age",
    "log_price", "discount",
)  # fmt: skip
"""Columns of the facts of a product, in order."""
SHOPPER = (
    "n_items", "n_visits", "visits_28", "since_visit", "repeat_share", "new_share", "basket", "mean_log_price",
)  # fmt: skip
LEADS = ("cf_raw", "cf", "text", "popular", "near", "graph", *alike.LEADS, *mood.LEADS)
"""Scores that come from elsewhere: item-item weights as they are, and as a share of the shopper's best new product;
text neighbours; popularity lately; shoppers with a like history; neighbours in the graph; lists of likeness; moods."""
TINY = np.float32(1e-6)


@dataclass(slots=True)
class Items:
    """Products as the ranker sees them: ``facts (n_items, len(FACTS)) float32``; ``category_of``, ``brand_of`` and
    ``text_of (n_items,) int32``, -1 for none."""

    facts: NDArray[np.float32]
    category_of: NDArray[np.int32]
    brand_of: NDArray[np.int32]
    text_of: NDArray[np.int32]
    sizes: tuple[int, int, int]

    @classmethod
    def of(
        cls, facts: NDArray[Any], category_of: NDArray[Any], brand_of: NDArray[Any], text_of: NDArray[Any]
    ) -> Items:
        """With the number of distinct codes of each kind."""
        sizes = [int(codes.max(initial=-1)) + 2 for codes in (category_of, brand_of, text_of)]
        return cls(facts, category_of, brand_of, text_of, (sizes[0], sizes[1], sizes[2]))


def names_repeat(n_decays: int) -> list[str]:
    """Columns of `repeat_features`, in order."""
    own = [f"own_{i}" for i in range(n_decays)] + [f"own_share_{i}" for i in range(n_decays)]
    timing = [
        "times", "rate", "since", "since_visits", "since_first", "gap", "due", "due_item", "due_visits", "gap_visits",
    ]  # fmt: skip
    around = ["in_category", "in_brand", "in_text", "since_category", "n_category", "in_text_share"]
    return [*own, *timing, *around, *LEADS, *FACTS, *SHOPPER]


def names_explore(n_decays: int) -> list[str]:
    """Columns of `explore_features`, in order."""
    around = [
        f"{kind}_{i}" for kind in ("category", "brand", "text") for i in range(n_decays)
    ] + [f"category_share_{i}" for i in range(n_decays)]  # fmt: skip
    more = ["since_category", "n_category", "category_new", "since_brand", "price_distance"]
    return [*around, *more, *LEADS, *FACTS, *SHOPPER]


class Shopper:
    """A history with what several features need of it, computed once."""

    def __init__(self, history: History, items: Items) -> None:
        self.history, self.items = history, items
        own = history.items
        now = history.now
        self.since = np.maximum(now - history.last, 0).astype(np.float32) / DAY
        self.since_first = np.maximum(now - history.first, 0).astype(np.float32) / DAY
        self.times = np.maximum(history.times, 1).astype(np.float32)
        visits = history.visits
        self.n_visits = max(len(visits), 1)
        day = now // DAY
        self.total = history.decayed.sum(0) + TINY
        bought = float(self.times.sum())
        recent = self.since < 28
        self.facts = np.array(
            [
                np.log1p(len(own)),
                np.log1p(len(visits)),
                len(visits) - int(np.searchsorted(visits, day - 28)),
                float(day - visits[-1]) if len(visits) else np.nan,
                1 - len(own) / max(bought, 1.0),
                float((self.since_first < 28).sum()) / max(float(recent.sum()), 1.0),
                bought / self.n_visits,
                np.nanmean(items.facts[own, 10]) if np.isfinite(items.facts[own, 10]).any() else np.nan,
            ],
            np.float32,
        )
        self._codes = (items.category_of[own], items.brand_of[own], items.text_of[own])
        self._sums: dict[int, NDArray[np.float32]] = {}

    def sums(self, kind: int) -> NDArray[np.float32]:
        """Decayed deeds by category (0), brand (1) or text (2): ``(n_codes, n_decays)``, the last row for no code."""
        if kind not in self._sums:
            codes, size = self._codes[kind], self.items.sizes[kind]
            n = self.history.decayed.shape[1]
            flat = (codes.astype(np.int64)[:, None] % size * n + np.arange(n)).ravel()
            found = np.bincount(flat, self.history.decayed.ravel(), minlength=size * n)
            found = found.reshape(size, n).astype(np.float32)
            found[-1] = 0
            self._sums[kind] = found
        return self._sums[kind]

    def nearest(self, kind: int) -> NDArray[np.float32]:
        """Days since the last deed in each category, brand or text ``(n_codes,)``; NaN for none."""
        out = np.full(self.items.sizes[kind], np.inf, np.float32)
        np.minimum.at(out, self._codes[kind], self.since)
        out[-1] = np.inf
        return np.where(np.isfinite(out), out, np.float32(np.nan))

    def count(self, kind: int) -> NDArray[np.float32]:
        """How many distinct products the shopper had of each code ``(n_codes,)``."""
        out = np.bincount(self._codes[kind] % self.items.sizes[kind], minlength=self.items.sizes[kind])
        out[-1] = 0
        return out.astype(np.float32)


def repeat_features(
    shopper: Shopper, which: NDArray[np.int64], leads: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Features ``(n, len(names_repeat))`` of the history's entries `which`; ``leads (n, len(LEADS))``."""
    history, items = shopper.history, shopper.items
    ids = history.items[which]
    decayed = history.decayed[which]
    since, times = shopper.since[which], shopper.times[which]
    since_first = shopper.since_first[which]
    facts = items.facts[ids]
    visits = history.visits
    n = len(visits)
    last_visit = np.searchsorted(visits, history.last[which] // DAY, side="right")
    first_visit = np.searchsorted(visits, history.first[which] // DAY, side="left")
    since_visits = (n - last_visit).astype(np.float32)
    lived = np.maximum(n - first_visit, 1).astype(np.float32)
    again = times > 1
    steps = np.maximum(times - 1, 1)
    gap = np.where(again, (since_first - since) / steps, np.float32(np.nan))
    gap_visits = np.where(again, (last_visit - 1 - first_visit) / steps, np.float32(np.nan))
    item_gap = np.exp(facts[:, 7])
    code = items.category_of[ids]
    brand = items.brand_of[ids]
    text = items.text_of[ids]
    middle = decayed.shape[1] // 2
    in_text = shopper.sums(2)[text, middle]
    out = np.column_stack(
        [
            decayed,
            decayed / shopper.total,
            times,
            times / lived,
            since,
            since_visits,
            since_first,
            gap,
            since / np.maximum(gap, 0.5),
            since / np.maximum(item_gap, 0.5),
            since_visits / np.maximum(gap_visits, 0.5),
            gap_visits,
            shopper.sums(0)[code, middle],
            shopper.sums(1)[brand, middle],
            in_text,
            shopper.nearest(0)[code],
            shopper.count(0)[code],
            decayed[:, middle] / np.maximum(in_text, TINY),
            leads,
            facts,
            np.broadcast_to(shopper.facts, (len(ids), len(SHOPPER))),
        ]
    )
    return out.astype(np.float32, copy=False)


def explore_features(
    shopper: Shopper, ids: NDArray[np.int32], leads: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Features ``(n, len(names_explore))`` of products that the shopper has not had; ``leads (n, len(LEADS))``."""
    items = shopper.items
    facts = items.facts[ids]
    code, brand, text = items.category_of[ids], items.brand_of[ids], items.text_of[ids]
    category = shopper.sums(0)[code]
    n_category = shopper.count(0)
    # Of what was done in a category, the share that were first times.
    own = shopper.history
    deeds = np.bincount(
        items.category_of[own.items] % items.sizes[0], shopper.times, minlength=items.sizes[0]
    )
    new = n_category / np.maximum(deeds, 1)
    price = items.facts[own.items, 10]
    priced = np.isfinite(price)
    codes = items.category_of[own.items][priced] % items.sizes[0]
    weight = np.bincount(codes, minlength=items.sizes[0])
    usual = np.bincount(codes, price[priced], minlength=items.sizes[0]) / np.maximum(weight, 1)
    usual = np.where(weight > 0, usual, np.nan)
    out = np.column_stack(
        [
            category,
            shopper.sums(1)[brand],
            shopper.sums(2)[text],
            category / shopper.total,
            shopper.nearest(0)[code],
            n_category[code],
            new[code],
            shopper.nearest(1)[brand],
            facts[:, 10] - usual[code],
            leads,
            facts,
            np.broadcast_to(shopper.facts, (len(ids), len(SHOPPER))),
        ]
    )
    return out.astype(np.float32, copy=False)
