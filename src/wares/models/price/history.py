"""What a product's own past says of each of its prices: the strongest evidence, where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.price.observations import Prices, grouped_median, row_median

REACH = 4
"""Entries before and after that are looked at: prices drift, so those near in time count."""
SHRINK = 2.0
"""Weight, in entries, of the category's spread beside the product's own."""
FLOOR = 0.03
"""Least spread: a price that moved by 3 % says nothing."""


@dataclass(frozen=True, slots=True)
class Past:
    """The past of each entry without the entry itself ``(m,)``: NaN where the product has no other.

    ``near (m, 2·REACH)`` logarithms of the entries before and after; ``middle`` their median; ``spread`` their standard
    deviation (robust, shrunk to that of the category); ``before`` the one before; ``others`` how many there are at all.
    """

    near: NDArray[np.float64]
    middle: NDArray[np.float64]
    spread: NDArray[np.float64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    others: NDArray[np.int64]
    gap_days: NDArray[np.float64]
    _keys: NDArray[np.float64]
    _item: NDArray[np.int32]
    _order: NDArray[np.int64]

    def nearest(self, rows: NDArray[Any], x: NDArray[Any]) -> NDArray[np.float64]:
        """How far `x (r,)` is from the nearest other price that the product of each entry ever had; NaN without one."""
        key = self._item[rows] * _WIDE + x
        place = np.searchsorted(self._keys, key)
        best = np.full(len(rows), np.inf)
        for step in (-2, -1, 0, 1):
            at = np.clip(place + step, 0, len(self._keys) - 1)
            entry = self._order[at]
            fits = (self._item[entry] == self._item[rows]) & (entry != rows)
            best = np.where(fits, np.minimum(best, np.abs(self._keys[at] - key)), best)
        return np.where(np.isfinite(best), best, np.nan)

    def nearest_to(self, rows: NDArray[Any], x: NDArray[Any]) -> NDArray[np.float64]:
        """The price (logarithm) among the entries near in time that lies nearest to `x (r,)`; NaN without one."""
        cells = self.near[rows]
        gap = np.where(np.isfinite(cells), np.abs(cells - x[:, None]), np.inf)
        pick = gap.argmin(1) if cells.shape[1] else np.zeros(len(rows), np.int64)
        return cells[np.arange(len(rows)), pick]


_WIDE = 1e3
"""Wider than any logarithm of a price, so that one sorted array holds each product's prices apart."""


def past_of(prices: Prices, category_of: NDArray[Any]) -> Past:
    """The past of every entry, and, for entries of long ago, what came after as well."""
    x, item, m = prices.x, prices.item, len(prices.item)
    near = np.full((m, 2 * REACH), np.nan)
    for step in range(1, REACH + 1):
        same = item[step:] == item[:-step]
        near[step:, step - 1] = np.where(same, x[:-step], np.nan)
        near[:-step, REACH + step - 1] = np.where(same, x[step:], np.nan) if m > step else np.nan
    middle = row_median(near)
    counts = np.bincount(item, minlength=prices.n_items)
    others = counts[item] - 1
    own = 1.4826 * row_median(np.abs(near - middle[:, None]))
    # A median of one or two deviations is too small; only three and more tell a spread.
    told = np.isfinite(near).sum(1)
    group = category_of[item]
    known = (told >= 3) & np.isfinite(own)
    overall = float(np.median(own[known])) if known.any() else 0.1
    n_groups = int(category_of.max(initial=-1)) + 1
    of_group = grouped_median(np.where(known, own, np.nan), group, n_groups)
    usual = np.where(
        (group >= 0) & (n_groups > 0), of_group[np.maximum(group, 0)] if n_groups else np.nan, np.nan
    )
    usual = np.where(np.isfinite(usual), usual, overall)
    weight = np.where(known, told, 0)
    variance = (SHRINK * usual**2 + weight * np.where(known, own, 0.0) ** 2) / (SHRINK + weight)
    spread = np.where(others > 0, np.sqrt(np.maximum(variance, FLOOR**2)), np.nan)
    gap = np.full(m, np.nan)
    gap[1:] = np.where(item[1:] == item[:-1], (prices.at[1:] - prices.at[:-1]) / 86_400, np.nan)
    keys = item * _WIDE + x
    order = np.argsort(keys, kind="stable")
    return Past(near, middle, spread, near[:, 0], near[:, REACH], others, gap, keys[order], item, order)
