"""What was sold at which price, week by week, and what else moves demand: the input of elasticity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError

WEEK = 7 * 86_400
FOLDS = 5
BLOCK = 4
"""Weeks that stay in one fold: neighbours in time are too much alike to check each other."""
REACH = 26
HALF_LIFE = 6.0
"""Weeks after which a week counts half in the level around another."""
CONTROLS = (
    "level_price", "level_units", "mean_price", "mean_units", "category_demand", "shop_demand", "category_price", "week", "sin_year",
    "cos_year", "sin_half", "cos_half", "age", "category",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Panel:
    """Weeks of products by product, then week, each pair once: ``item (m,) int32``, ``week (m,) int32`` since 1970,
    ``units (m,)`` sold, zero where nothing was, ``price (m,)`` above zero; `left_out` counts rows that say nothing."""

    item: NDArray[np.int32]
    week: NDArray[np.int32]
    units: NDArray[np.float64]
    price: NDArray[np.float64]
    n_items: int
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.item)

    def only(self, kept: NDArray[np.bool_]) -> Panel:
        """Some of the rows."""
        return Panel(
            self.item[kept],
            self.week[kept],
            self.units[kept],
            self.price[kept],
            self.n_items,
            self.left_out,
        )


def panel_of(
    item: NDArray[Any], week: NDArray[Any], units: NDArray[Any], price: NDArray[Any], n_items: int
) -> Panel:
    """A panel of raw columns; of several rows of a product and week the units add up and the prices are averaged.

    Units that are negative or no numbers, prices that are not above zero, and unknown products are left out and counted.

    Raises:
        QueryError: when the columns differ in length.
    """
    item, week = np.asarray(item, np.int64), np.asarray(week, np.int64)
    units, price = np.asarray(units, np.float64), np.asarray(price, np.float64)
    if not len(item) == len(week) == len(units) == len(price):
        raise QueryError(
            f"columns of {len(item)}, {len(week)}, {len(units)} and {len(price)} rows",
            mend="Give one product, week, quantity and price for each row",
            parameter="panel",
        )
    wrong = {
        "quantity is not a number": ~np.isfinite(units),
        "quantity below zero": units < 0,
        "price is not a number": ~np.isfinite(price),
        "price not above zero": price <= 0,
        "of an unknown product": (item < 0) | (item >= n_items),
    }
    gone, left_out = np.zeros(len(item), bool), dict[str, int]()
    for name, rows in wrong.items():
        if count := int((rows & ~gone).sum()):
            left_out[name] = count
        gone |= rows
    item, week, units, price = item[~gone], week[~gone], units[~gone], price[~gone]
    order = np.lexsort((week, item))
    item, week, units, price = item[order], week[order], units[order], price[order]
    if len(item):
        first = np.concatenate([[True], (item[1:] != item[:-1]) | (week[1:] != week[:-1])])
        cell = np.cumsum(first) - 1
        often = np.bincount(cell)
        units, price = np.bincount(cell, units), np.bincount(cell, price) / often
        item, week = item[first], week[first]
    return Panel(item.astype(np.int32), week.astype(np.int32), units, price, n_items, left_out)


def folds_of(week: NDArray[np.int32], seed: int) -> NDArray[np.int64]:
    """The fold ``(m,)`` of each row: blocks of weeks, dealt at random."""
    block = (week - week.min(initial=0)) // BLOCK
    n = int(block.max(initial=0)) + 1
    dealt = np.random.default_rng(seed).permutation(n) % FOLDS
    return dealt[block]


def controls(
    panel: Panel, category_of: NDArray[Any], fold: NDArray[np.int64], units: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(features ``(m, len(CONTROLS))``, level of the log price ``(m,)``, level of units ``(m,)``) of what may move a price
    or demand, apart from the price of the week itself; `units (m,)` stand for the panel's.

    The levels of a product come of its weeks in other folds alone, near ones more; the indices of category and shop come
    of other products.
    """
    lp, item = np.log(panel.price), panel.item
    level_p, level_q, mean_p, mean_q = _levels(panel, lp, fold, units)
    expected = np.maximum(level_q, 1e-3)
    category = np.asarray(category_of)[item].astype(np.int64)
    first = int(panel.week.min(initial=0))
    t = (panel.week - first).astype(np.int64)
    span = int(t.max(initial=0)) + 1
    group = (category + 1) * span + t
    n_groups = (int(category.max(initial=-1)) + 2) * span
    in_category = _others(units, expected, group, n_groups)
    in_shop = _others(units, expected, t, span)
    away = lp - level_p
    count = np.bincount(group, minlength=n_groups)[group]
    total = np.bincount(group, away, n_groups)[group]
    beside = np.where(count > 1, (total - away) / np.maximum(count - 1, 1), 0.0)
    year = 2 * np.pi * panel.week / 52.1775
    begin = np.full(panel.n_items, np.iinfo(np.int64).max)
    np.minimum.at(begin, item, t)
    features = np.column_stack(
        [
            level_p, np.log(expected), mean_p, np.log(np.maximum(mean_q, 1e-3)), in_category, in_shop, beside, t, np.sin(year),
            np.cos(year), np.sin(2 * year), np.cos(2 * year), t - begin[item], category,
        ]
    )  # fmt: skip
    return features, level_p, expected


def _levels(
    panel: Panel, lp: NDArray[np.float64], fold: NDArray[np.int64], units: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Means of log price and units over the weeks of other folds: near in time, and all of them."""
    m, item, week = len(panel), panel.item, panel.week
    weight, price, sold = np.zeros(m), np.zeros(m), np.zeros(m)
    decay = np.log(2) / HALF_LIFE
    for step in range(1, min(REACH, m - 1) + 1):
        near = (
            (item[step:] == item[:-step])
            & (fold[step:] != fold[:-step])
            & (week[step:] - week[:-step] <= REACH)
        )
        a, b = np.flatnonzero(near) + step, np.flatnonzero(near)
        w = np.exp(-decay * (week[a] - week[b]))
        for here, there in ((a, b), (b, a)):
            weight[here] += w
            price[here] += w * lp[there]
            sold[here] += w * units[there]
    cell = item.astype(np.int64) * FOLDS + fold
    size = panel.n_items * FOLDS
    counts, prices, quantities = (
        np.bincount(cell, v, size).reshape(-1, FOLDS) for v in (np.ones(m), lp, units)
    )
    rest = np.maximum((counts.sum(1)[item] - counts[item, fold]), 0)
    mean_p = (prices.sum(1)[item] - prices[item, fold]) / np.maximum(rest, 1)
    mean_q = (quantities.sum(1)[item] - quantities[item, fold]) / np.maximum(rest, 1)
    # A product all of whose weeks lie in one fold has nothing to compare with; its residual is no evidence then.
    mean_p, mean_q = np.where(rest > 0, mean_p, lp), np.where(rest > 0, mean_q, units)
    known = weight > 0
    level_p = np.where(known, price / np.maximum(weight, 1e-12), mean_p)
    # One pseudo-week of the whole keeps a quiet spell from saying that nothing is ever sold.
    level_q = (sold + mean_q) / (weight + 1)
    return level_p, level_q, mean_p, mean_q


def _others(
    units: NDArray[np.float64], expected: NDArray[np.float64], group: NDArray[np.int64], n: int
) -> NDArray[np.float64]:
    """Logarithm of what the others of a group and week sold over what they usually do, pulled to zero where it is little."""
    sold, usual = (
        np.bincount(group, units, n)[group] - units,
        np.bincount(group, expected, n)[group] - expected,
    )
    return np.log((sold + 5.0) / (np.maximum(usual, 0) + 5.0))
