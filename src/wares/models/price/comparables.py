"""The comparable set of each product and the price that it lets expect: quantile boosting, out of fold.

A product never predicts its own price: the trees that judge it were grown on other folds, and every median leaves it out.
Koenker and Bassett (Econometrica 1978) for the quantiles, widened until they hold out of fold what they say; trees by LightGBM (Ke et al., NeurIPS 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wares.models.price.observations import Goods, grouped_median, others_median, row_median

NEAREST = 12
FOLDS = 3
FEWEST = 300
"""Priced products below which no trees are grown: the robust median of the comparable set stands alone."""
QUANTILES = (0.1, 0.5, 0.9)
SPREAD = 2.563
"""Standard deviations between the tenth and the ninetieth percentile of a normal distribution."""
FLOOR = 0.1


@dataclass(frozen=True, slots=True)
class Expected:
    """Of each product, from comparable ones ``(n_items,)``: logarithms of price, low (10 %), middle, high (90 %), NaN where
    nothing is comparable; ``nearest (n_items, NEAREST) int32`` the set, −1 where it is shorter; ``same_unit`` how many
    of the set are sold by the same unit, so that their price was scaled to this pack."""

    low: NDArray[np.float64]
    middle: NDArray[np.float64]
    high: NDArray[np.float64]
    nearest: NDArray[np.int32]
    size: NDArray[np.int64]
    same_unit: NDArray[np.int64]
    set_middle: NDArray[np.float64]
    set_spread: NDArray[np.float64]

    @property
    def spread(self) -> NDArray[np.float64]:
        """Standard deviation that the range says."""
        return np.maximum((self.high - self.low) / SPREAD, FLOOR)


def expect(levels: NDArray[np.float64], goods: Goods, seed: int, threads: int = 1) -> Expected:
    """What is expected of every product. `levels (n_items,)` are the logarithms of price that are known, NaN otherwise."""
    nearest = comparable_sets(levels, goods)
    amount = goods.log_amount
    cells, scaled = _scaled(levels, goods, nearest, amount)
    set_middle = row_median(cells)
    set_spread = 1.4826 * row_median(np.abs(cells - set_middle[:, None]))
    size = np.isfinite(cells).sum(1)
    columns, fallback = _features(levels, goods, amount, cells, set_middle, set_spread)
    known = np.flatnonzero(np.isfinite(levels))
    base = np.where(size >= 3, set_middle, fallback)
    if len(known) < FEWEST:
        wide = np.maximum(np.where(size >= 3, set_spread, np.nan), 0.2)
        rest = float(np.std(levels[known])) if len(known) > 1 else 1.0
        wide = np.where(np.isfinite(wide), wide, max(rest, 0.5)) * SPREAD / 2
        return Expected(base - wide, base, base + wide, nearest, size, scaled, set_middle, set_spread)
    start = np.where(np.isfinite(base), base, float(np.median(levels[known])))
    low, middle, high = _boosted(levels, columns, start, known, seed, threads)
    return Expected(low, middle, high, nearest, size, scaled, set_middle, set_spread)


def comparable_sets(levels: NDArray[np.float64], goods: Goods) -> NDArray[np.int32]:
    """The `NEAREST` priced products most like each, itself left out: of the same text first, then of the texts most like
    it, and where texts say nothing, of its category at the nearest pack size. ``(n_items, NEAREST)``, −1 where shorter."""
    n = len(goods)
    out = np.full((n, NEAREST), -1, np.int32)
    priced = np.isfinite(levels)
    if len(goods.near) or (goods.text_of >= 0).any():
        _by_text(out, priced, goods)
    _by_category(out, priced, goods)
    return out


def _by_text(out: NDArray[np.int32], priced: NDArray[np.bool_], goods: Goods) -> None:
    rows = np.flatnonzero(priced & (goods.text_of >= 0))
    n_texts = int(goods.text_of.max(initial=-1)) + 1
    rows = rows[np.argsort(goods.text_of[rows], kind="stable")]
    ptr = np.concatenate([[0], np.cumsum(np.bincount(goods.text_of[rows], minlength=n_texts))])
    # One more than the set, so that it stays whole when the product itself is taken out.
    found = np.full((n_texts, NEAREST + 1), -1, np.int32)
    filled = np.minimum(np.diff(ptr), NEAREST + 1)
    for place in range(NEAREST + 1):
        here = filled > place
        found[here, place] = rows[ptr[:-1][here] + place]
    for column in range(goods.near.shape[1]):
        text = goods.near[:, column]
        for place in range(3):
            other = (text >= 0) & (text != np.arange(len(text)))
            take = np.flatnonzero(other & (filled[: len(text)] < NEAREST + 1))
            take = take[ptr[text[take] + 1] - ptr[text[take]] > place]
            member = rows[ptr[text[take]] + place]
            found[take, filled[take]] = member
            filled[take] += 1
        if (filled[: len(text)] > NEAREST).all():
            break
    of = np.flatnonzero(goods.text_of >= 0)
    mine = found[goods.text_of[of]]
    keep = (mine != of[:, None]) & (mine >= 0)
    order = np.argsort(~keep, 1, kind="stable")[:, :NEAREST]
    chosen = np.take_along_axis(np.where(keep, mine, -1), order, 1)
    out[of] = chosen


def _by_category(out: NDArray[np.int32], priced: NDArray[np.bool_], goods: Goods) -> None:
    """Fill sets that are still empty from the category, by nearness of the pack size."""
    lacking = np.flatnonzero((out[:, 0] < 0) & (goods.category_of >= 0))
    if not len(lacking):
        return
    rows = np.flatnonzero(priced & (goods.category_of >= 0))
    size = np.where(np.isfinite(goods.log_amount), goods.log_amount, np.inf)
    rows = rows[np.lexsort((size[rows], goods.unit_of[rows], goods.category_of[rows]))]
    n = int(goods.category_of.max(initial=-1)) + 1
    ptr = np.concatenate([[0], np.cumsum(np.bincount(goods.category_of[rows], minlength=n))])
    place = np.full(len(goods), -1, np.int64)
    place[rows] = np.arange(len(rows))
    for row in lacking.tolist():
        begin, end = int(ptr[goods.category_of[row]]), int(ptr[goods.category_of[row] + 1])
        at = int(place[row]) if place[row] >= 0 else begin
        first = min(max(begin, at - NEAREST // 2), max(begin, end - NEAREST - 1))
        some = [r for r in rows[first : min(end, first + NEAREST + 1)].tolist() if r != row][:NEAREST]
        out[row, : len(some)] = some


def _scaled(
    levels: NDArray[np.float64], goods: Goods, nearest: NDArray[np.int32], amount: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Prices of the set as they would be at this product's pack; and how many were scaled."""
    there = nearest >= 0
    other = np.maximum(nearest, 0)
    cells = np.where(there, levels[other], np.nan)
    same = there & (goods.unit_of[other] == goods.unit_of[:, None]) & (goods.unit_of[:, None] >= 0)
    shift = amount[:, None] - amount[other]
    # Twice the amount costs less than twice as much; two thirds of the way is usual, and trees learn the rest.
    moved = same & np.isfinite(shift)
    return cells + np.where(moved, 0.67 * np.where(moved, shift, 0.0), 0.0), moved.sum(1)


def _features(
    levels: NDArray[np.float64],
    goods: Goods,
    amount: NDArray[np.float64],
    cells: NDArray[np.float64],
    set_middle: NDArray[np.float64],
    set_spread: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    same_text, n_text = others_median(levels, goods.text_of)
    category, n_category = others_median(levels, goods.category_of)
    brand, n_brand = others_median(levels, goods.brand_of)
    pair = np.unique(np.stack([goods.category_of, goods.brand_of]), axis=1, return_inverse=True)[1].ravel()
    pair = np.where((goods.category_of >= 0) & (goods.brand_of >= 0), pair, -1)
    of_pair, n_pair = others_median(levels, pair)
    per_unit = levels - amount
    unit = np.where(goods.unit_of >= 0, goods.category_of * max(len(goods.units), 1) + goods.unit_of, -1)
    unit = np.where(goods.category_of >= 0, unit, -1)
    by_unit, n_unit = others_median(per_unit, unit)
    wide = _near_texts(levels, goods)
    overall = float(np.nanmedian(levels)) if np.isfinite(levels).any() else np.nan
    fallback = np.where(n_category >= 3, category, overall)
    names = (
        set_middle, set_spread, np.isfinite(cells).sum(1), row_median(cells[:, :4]), cells.min(1, initial=np.inf, where=np.isfinite(cells)),
        cells.max(1, initial=-np.inf, where=np.isfinite(cells)), same_text, n_text, category, n_category, brand, n_brand, of_pair, n_pair,
        by_unit + amount, n_unit, amount, goods.unit_of, goods.count, wide,
    )  # fmt: skip
    table = np.stack([np.asarray(column, np.float64) for column in names], 1)
    table[~np.isfinite(table)] = np.nan
    return table.astype(np.float32), fallback


def _near_texts(levels: NDArray[np.float64], goods: Goods) -> NDArray[np.float64]:
    """Median over all like texts, of the median of each."""
    n_texts = int(goods.text_of.max(initial=-1)) + 1
    if not len(goods.near) or not n_texts:
        return np.full(len(goods), np.nan)
    of_text = grouped_median(levels, goods.text_of, n_texts)
    near = np.where(goods.near >= 0, of_text[np.maximum(goods.near, 0)], np.nan)
    middle = row_median(near)
    return np.where(goods.text_of >= 0, middle[np.maximum(goods.text_of, 0)], np.nan)


def _boosted(
    levels: NDArray[np.float64], columns: NDArray[np.float32], start: NDArray[np.float64], known: NDArray[np.int64],
    seed: int, threads: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Low, middle and high of all products; those with a price by trees that never saw it."""
    import lightgbm as lgb

    fold = np.full(len(levels), -1)
    fold[known] = np.random.default_rng(seed).permutation(len(known)) % FOLDS
    out = np.zeros((len(QUANTILES), len(levels)))
    options = {
        "objective": "quantile", "learning_rate": 0.12, "num_leaves": 31, "min_data_in_leaf": max(5, min(40, len(known) // 50)),
        "feature_fraction": 0.7, "num_threads": threads, "seed": seed, "deterministic": True, "force_row_wise": True, "verbosity": -1, "max_bin": 127,
    }  # fmt: skip
    for number in range(FOLDS):
        train = known[fold[known] != number]
        judged = (
            np.flatnonzero((fold == number) | (fold < 0)) if not number else np.flatnonzero(fold == number)
        )
        data = lgb.Dataset(columns[train], levels[train] - start[train], free_raw_data=False)
        for place, alpha in enumerate(QUANTILES):
            trees = lgb.train({**options, "alpha": alpha}, data, 60)
            out[place, judged] = start[judged] + np.asarray(
                trees.predict(columns[judged], num_threads=threads)
            )
    low, middle, high = np.sort(out, 0)
    # Conformal: out of fold, the range is made to hold the share that it says (Romano, Patterson and Candès, NeurIPS 2019).
    beyond = np.maximum(low[known] - levels[known], levels[known] - high[known])
    by = float(np.quantile(beyond, QUANTILES[2] - QUANTILES[0]))
    return np.minimum(low - by, middle), middle, np.maximum(high + by, middle)
