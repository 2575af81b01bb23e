"""Prices as the model sees them: each entry is what a product cost from a moment on; products with their packs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError

MOST = 1e9
"""Prices above this are no prices."""
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Prices:
    """Entries by product, then time. `last (m,)` marks the price that holds now; `masked` counts what was left out.

    ``item (m,) int32``, ``at (m,) int64`` in Unix seconds, ``value (m,) float64`` above zero, ``x (m,)`` its logarithm.
    """

    item: NDArray[np.int32]
    at: NDArray[np.int64]
    value: NDArray[np.float64]
    n_items: int
    masked: dict[str, int] = field(default_factory=dict)

    @property
    def x(self) -> NDArray[np.float64]:
        """Natural logarithms of the prices."""
        return np.log(self.value)

    @property
    def last(self) -> NDArray[np.bool_]:
        """Which entries hold now: the newest of each product."""
        return np.append(self.item[1:] != self.item[:-1], True) if len(self.item) else np.zeros(0, bool)

    def with_values(self, value: NDArray[np.float64]) -> Prices:
        """The same entries at other prices."""
        return Prices(self.item, self.at, value, self.n_items, self.masked)

    def only(self, kept: NDArray[np.bool_]) -> Prices:
        """Some of the entries."""
        return Prices(self.item[kept], self.at[kept], self.value[kept], self.n_items, self.masked)

    def levels(self) -> NDArray[np.float64]:
        """Median logarithm of each product's prices ``(n_items,)``; NaN without any."""
        return grouped_median(self.x, self.item, self.n_items)


def read_prices(
    item: NDArray[Any], at: NDArray[Any], value: NDArray[Any], n_items: int, now: int | None = None
) -> Prices:
    """Entries from raw columns: what is no price is left out and counted, not guessed.

    Left out are NaN and infinity, zero and less, above `MOST`, unknown products (outside ``0..n_items``) and, with `now`,
    dates more than a day ahead. Of several entries of a product at one moment the last counts.

    Raises:
        QueryError: when the columns differ in length.
    """
    item, at, value = np.asarray(item, np.int64), np.asarray(at, np.int64), np.asarray(value, np.float64)
    if not len(item) == len(at) == len(value):
        raise QueryError(
            f"columns of {len(item)}, {len(at)} and {len(value)} rows",
            mend="Give one product, moment and price for each entry",
            parameter="prices",
        )
    wrong = {
        "not a number": ~np.isfinite(value),
        "zero": value == 0,
        "negative": value < 0,
        f"above {MOST:,.0f}": np.isfinite(value) & (value > MOST),
        "in the future": np.zeros(len(at), bool) if now is None else at > now + DAY,
        "of an unknown product": (item < 0) | (item >= n_items),
    }
    gone = np.zeros(len(item), bool)
    masked: dict[str, int] = {}
    for name, rows in wrong.items():
        if count := int((rows & ~gone).sum()):
            masked[name] = count
        gone |= rows
    item, at, value = item[~gone], at[~gone], value[~gone]
    order = np.lexsort((np.arange(len(item)), at, item))
    item, at, value = item[order], at[order], value[order]
    if len(item):
        newest = np.append((item[1:] != item[:-1]) | (at[1:] != at[:-1]), True)
        item, at, value = item[newest], at[newest], value[newest]
    return Prices(item.astype(np.int32), at, value, n_items, masked)


def daily(
    item: NDArray[Any], at: NDArray[Any], value: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """(product, day in Unix seconds, median price) of each day on which the price was not that of the day before it.

    What is no price stays out: the median of a day is not to hide it, nor to be spoiled by it.
    """
    good = np.isfinite(value) & (value > 0) & (item >= 0)
    item, day, value = item[good].astype(np.int64), at[good] // 86_400, value[good]
    order = np.lexsort((value, day, item))
    item, day, value = item[order], day[order], value[order]
    new = (
        np.concatenate([[True], (item[1:] != item[:-1]) | (day[1:] != day[:-1])])
        if len(item)
        else np.zeros(0, bool)
    )
    start = np.flatnonzero(new)
    size = np.diff(np.append(start, len(item)))
    # The lower median: a price that was asked, not one between two.
    middle = value[start + (size - 1) // 2]
    item, day = item[start], day[start]
    changed = np.ones(len(item), bool)
    changed[1:] = (item[1:] != item[:-1]) | (middle[1:] != middle[:-1])
    return item[changed], day[changed] * 86_400, middle[changed]


@dataclass(frozen=True, slots=True)
class Goods:
    """What is known of the products besides their prices; −1 and NaN where it is not.

    ``category_of, brand_of, unit_of (n_items,) int32``; ``amount (n_items,)`` in the unit and ``count (n_items,)`` pieces
    of a pack; ``text_of (n_items,) int32`` the text of each product and ``near (n_texts, k) int32`` the texts like it, best
    first, with ``near_sim``: both come from similarity and are injected. Without texts, ``near`` is ``(0, 0)``.
    """

    category_of: NDArray[Any]
    brand_of: NDArray[Any]
    unit_of: NDArray[Any]
    amount: NDArray[Any]
    count: NDArray[Any]
    text_of: NDArray[Any]
    near: NDArray[Any]
    near_sim: NDArray[Any]
    units: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.category_of)

    @property
    def log_amount(self) -> NDArray[np.float64]:
        """Logarithm of the amount; NaN where no pack is known."""
        known = (self.unit_of >= 0) & np.isfinite(self.amount) & (self.amount > 0)
        return np.where(known, np.log(np.where(known, self.amount, 1.0)), np.nan)


def packs_of(
    sizes: Sequence[str], titles: Sequence[str]
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64], tuple[str, ...]]:
    """(unit, amount in all, pieces of the pack, names of the units) from the sizes, else from the titles."""
    from wares.data.clean.packs import parse_pack

    n = len(titles)
    unit, amount, count = np.full(n, -1, np.int32), np.full(n, np.nan), np.full(n, np.nan)
    names: dict[str, int] = {}
    known: dict[str, Any] = {}
    for row, (size, title) in enumerate(zip(sizes, titles, strict=True)):
        text = size or title
        if text not in known:
            known[text] = parse_pack(text) if text else None
        pack = known[text]
        if pack is not None:
            unit[row] = names.setdefault(pack.unit, len(names))
            amount[row] = float(pack.total)
            pieces = float(pack.total) if pack.unit == "piece" else float(pack.count)
            count[row] = pieces if pieces >= 1 else np.nan
    return unit, amount, count, tuple(names)


def grouped_median(values: NDArray[Any], group: NDArray[Any], n: int) -> NDArray[np.float64]:
    """Median of the finite values of each group ``(n,)``; NaN for empty groups and for a group below zero."""
    kept = np.isfinite(values) & (group >= 0)
    values, group = np.asarray(values[kept], np.float64), group[kept]
    order = np.lexsort((values, group))
    values, sizes = values[order], np.bincount(group, minlength=n)
    start = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    out = np.full(n, np.nan)
    some = np.flatnonzero(sizes)
    low, high = start[some] + (sizes[some] - 1) // 2, start[some] + sizes[some] // 2
    out[some] = (values[low] + values[high]) / 2
    return out


def row_median(cells: NDArray[Any]) -> NDArray[np.float64]:
    """Median of the finite cells of each row of ``(m, k)``; NaN where there is none."""
    m, k = cells.shape
    if not m or not k:
        return np.full(m, np.nan)
    ordered = np.sort(cells, 1)
    sizes = np.isfinite(ordered).sum(1)
    low, high = np.maximum(sizes - 1, 0) // 2, np.minimum(sizes // 2, k - 1)
    rows = np.arange(m)
    return np.where(sizes > 0, (ordered[rows, low] + ordered[rows, high]) / 2, np.nan)


def others_median(values: NDArray[Any], group: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """For each value the median of the *other* finite values of its group, and how many those are."""
    m = len(values)
    out, others = np.full(m, np.nan), np.zeros(m, np.int64)
    kept = np.flatnonzero(np.isfinite(values) & (group >= 0))
    order = kept[np.lexsort((values[kept], group[kept]))]
    if not len(order):
        return out, others
    v, g = np.asarray(values, np.float64)[order], group[order]
    begin = np.concatenate([[True], g[1:] != g[:-1]])
    start = np.flatnonzero(begin)[np.cumsum(begin) - 1]
    size = np.bincount(np.cumsum(begin) - 1)[np.cumsum(begin) - 1]
    place, left = np.arange(len(v)) - start, size - 1

    def at(rank: NDArray[Any]) -> NDArray[np.float64]:
        # The rank-th of the others: a value at or after one's own place stands one further.
        return v[np.minimum(start + rank + (rank >= place), len(v) - 1)]

    middle = (at(np.maximum(left - 1, 0) // 2) + at(left // 2)) / 2
    out[order] = np.where(left > 0, middle, np.nan)
    others[order] = left
    return out, others
