"""Facts of products at one moment, for the learned ranker: only what happened before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.features.interactions import Interactions
from wares.models.recommend.moments import DAY, FACTS, WINDOWS

PRIOR = 5.0


@dataclass(frozen=True, slots=True)
class Products:
    """What is known of products beside deeds: ``category_of`` and ``brand_of (n_items,)``, -1 for none; ``prices
    (n_items,)``, not above zero where unknown; the price history in flat arrays as in the catalogue."""

    category_of: NDArray[np.int32]
    brand_of: NDArray[np.int32]
    prices: NDArray[Any]
    price_ptr: NDArray[Any]
    price_at: NDArray[Any]
    price_value: NDArray[Any]

    @classmethod
    def plain(cls, category_of: NDArray[np.int32]) -> Products:
        """Without brands and prices."""
        n = len(category_of)
        none, ptr = np.zeros(0, np.int64), np.zeros(n + 1, np.int64)
        return cls(category_of, np.full(n, -1, np.int32), np.full(n, -1), ptr, none, none)

    def facts(self, data: Interactions) -> NDArray[np.float32]:
        """The facts of every product as they were at ``data.as_of``."""
        price, usual = prices_at(data.as_of, self.price_ptr, self.price_at, self.price_value, self.prices)
        return facts_of(data, self.category_of, price, usual)


def facts_of(
    data: Interactions,
    category_of: NDArray[np.int32],
    price: NDArray[np.float32],
    usual: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The columns `wares.models.recommend.moments.FACTS` of every product ``(n_items, len(FACTS))``.

    `price (n_items,)` is the price at ``data.as_of`` and `usual` the mean one before, NaN where unknown. Rates of products
    seldom bought are drawn towards those of their category, and these towards the shop's (empirical Bayes, a prior of 5).
    """
    n = data.n_items
    out = np.full((n, len(FACTS)), np.nan, np.float32)
    buyers = data.item_counts().astype(np.float64)
    as_of = data.as_of

    def users_within(days: int, when: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.bincount(data.items[when >= as_of - days * DAY], minlength=n).astype(np.float64)

    out[:, 0] = np.log1p(buyers)
    for place, days in enumerate(WINDOWS):
        out[:, 1 + place] = np.log1p(users_within(days, data.last))
    sums = np.stack(
        [np.bincount(data.items, data.decayed[:, d], minlength=n) for d in range(data.decayed.shape[1])], 1
    )
    totals = np.maximum(sums.sum(0), 1e-9)
    # How much more of the short forgetting's deeds than of the long one's: above zero the product is rising.
    out[:, 4] = np.log((sums[:, 0] / totals[0] + 1e-7) / (sums[:, -1] / totals[-1] + 1e-7)) if n else 0
    again = data.times > 1
    repeaters = np.bincount(data.items[again], minlength=n).astype(np.float64)
    out[:, 5] = drawn(repeaters, buyers, category_of)
    out[:, 6] = drawn(np.bincount(data.items, data.times, minlength=n), buyers, category_of)
    gaps = (data.last - data.first)[again] / DAY / (data.times[again] - 1)
    logs = np.bincount(data.items[again], np.log(np.maximum(gaps, 0.5)), minlength=n)
    out[:, 7] = drawn(logs, repeaters, category_of)
    recent = users_within(28, data.last)
    out[:, 8] = drawn(users_within(28, data.first), recent, category_of)
    born = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(born, data.items, data.first)
    out[:, 9] = np.where(buyers > 0, (as_of - born) / DAY, np.nan)
    out[:, 10] = np.log(np.where(price > 0, price, np.nan))
    out[:, 11] = np.log(np.where(price > 0, price, np.nan) / np.where(usual > 0, usual, np.nan))
    return out


def drawn(
    total: NDArray[Any], count: NDArray[Any], category_of: NDArray[np.int32], prior: float = PRIOR
) -> NDArray[np.float64]:
    """total / count of each product, drawn towards the mean of its category and that towards the mean of all."""
    whole = float(total.sum()) / max(float(count.sum()), 1.0)
    codes = category_of.astype(np.int64) + 1
    size = int(codes.max(initial=0)) + 1
    by_total, by_count = np.bincount(codes, total, minlength=size), np.bincount(codes, count, minlength=size)
    category = (by_total + prior * whole) / (by_count + prior)
    return (total + prior * category[codes]) / (count + prior)


def prices_at(
    moment: int, ptr: NDArray[np.int64], at: NDArray[np.int64], value: NDArray[np.int64], now: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(price, mean price so far) of each product before `moment`, from a price history in flat arrays.

    Products without any history have the price `now (n_items,)` at all times; those whose history begins later, NaN.
    """
    n = len(ptr) - 1
    rows = np.repeat(np.arange(n), np.diff(ptr))
    before = at < moment
    number = np.bincount(rows[before], minlength=n)
    total = np.bincount(rows[before], value[before].astype(np.float64), minlength=n)
    usual = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    price = np.full(n, np.nan)
    # Histories are in order of time, so that the last assignment wins.
    price[rows[before]] = value[before]
    none = np.diff(ptr) == 0
    known = np.where(np.asarray(now) > 0, now, np.nan)
    return (
        np.where(none, known, price).astype(np.float32),
        np.where(none, known, usual).astype(np.float32),
    )
