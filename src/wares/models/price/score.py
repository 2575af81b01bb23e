"""How likely each price is wrong: a classifier that learns from errors planted into the shop's own prices.

A shop has no labels of wrong prices, but a wrong price is a right one times a factor; so we plant errors ourselves and
learn to tell them from the prices as they are (self-supervision; positive and unlabelled data: Elkan and Noto, KDD 2008).
Every entry is judged by trees that did not see its product. The share of wrong prices is bounded by where planted errors are
commonest among the prices as they are, and gives the probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.price.comparables import Expected
from wares.models.price.history import Past
from wares.models.price.hypotheses import RATES, Habit
from wares.models.price.observations import Goods, Prices, grouped_median
from wares.models.price.planting import ALL_KINDS, plant

FOLDS = 3
MOST_PLANTED = 40_000
MOST_PLAIN = 120_000
FEWEST = 400
"""Entries below which nothing is learned: the combined deviation stands alone."""
USUAL_SHARE = 0.002
MOST_SHARE = 0.05
CLEAR = 0.3
"""Prices that look wrong as much as seven tenths of the planted errors do are not taken for right ones."""


@dataclass(slots=True)
class Evidence:
    """All that a price is held against, for any price that its entry might have had."""

    prices: Prices
    goods: Goods
    past: Past
    expected: Expected
    category_middle: NDArray[np.float64]
    category_spread: NDArray[np.float64]
    endings: NDArray[np.float64]
    logs: NDArray[np.float64]
    habit: Habit

    @classmethod
    def of(
        cls, prices: Prices, goods: Goods, past: Past, expected: Expected, rates: Mapping[str, float]
    ) -> Evidence:
        """Gather what is common to all entries; `rates` are those of `hypotheses.exchange`."""
        n = int(goods.category_of.max(initial=-1)) + 1
        group = goods.category_of[prices.item]
        middle = grouped_median(prices.x, group, n)
        off = np.abs(prices.x - middle[np.maximum(group, 0)]) if n else np.zeros(len(prices.x))
        spread = np.maximum(1.4826 * grouped_median(off, group, n), 0.1)
        cents = np.rint(prices.value * 100)
        whole = np.abs(prices.value * 100 - cents) < 1e-6
        endings = np.bincount((cents[whole] % 100).astype(int), minlength=100) / max(int(whole.sum()), 1)
        far = [max(rate, 1 / rate) for rate in (rates or RATES).values()]
        logs = np.unique(np.log([10.0, 100.0, *(rate for rate in far if rate > 3)]))
        return cls(
            prices,
            goods,
            past,
            expected,
            middle,
            spread,
            endings,
            logs,
            Habit.of(prices.value),
        )

    def combined(self, rows: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What is expected of each entry's logarithm, and how surely: own past and comparables, each by its precision."""
        item = self.prices.item[rows]
        own, noise = self.past.middle[rows], self.past.spread[rows]
        # A short past is less sure than its spread: of n prices the middle itself is off by spread/√n.
        noise = noise * np.sqrt(1 + 1 / np.maximum(np.minimum(self.past.others[rows], 8), 1))
        other, width = self.expected.middle[item], self.expected.spread[item]
        # A product that always cost other than its like keeps doing so: where the two disagree, its own past is right.
        apart = np.where(np.isfinite(own) & np.isfinite(other), (own - other) ** 2 - noise**2 - width**2, 0)
        width = np.sqrt(width**2 + np.maximum(apart, 0))
        mine, theirs = np.where(np.isfinite(own), noise**-2, 0), np.where(np.isfinite(other), width**-2, 0)
        total = mine + theirs
        safe = np.maximum(total, 1e-12)
        middle = (np.nan_to_num(own) * mine + np.nan_to_num(other) * theirs) / safe
        return np.where(total > 0, middle, np.nan), np.where(total > 0, safe**-0.5, np.nan)

    def columns(self, rows: NDArray[Any], x: NDArray[Any]) -> NDArray[np.float32]:
        """What the classifier sees of the entries `rows`, were their logarithms `x`. ``(r, features)``."""
        past, expected = self.past, self.expected
        item = self.prices.item[rows]
        group = self.goods.category_of[item]
        near = past.nearest(rows, x)
        by_past, by_set = x - past.middle[rows], x - expected.middle[item]
        width = expected.high[item] - expected.low[item]
        middle, noise = self.combined(rows)
        some = len(self.category_middle) > 0
        of_category = (
            np.where(group >= 0, self.category_middle[np.maximum(group, 0)], np.nan)
            if some
            else np.full(len(x), np.nan)
        )
        off = x - of_category
        wide = (
            np.where(group >= 0, self.category_spread[np.maximum(group, 0)], np.nan)
            if some
            else np.full(len(x), np.nan)
        )
        value = np.exp(x)
        cents = np.rint(value * 100)
        ending = self.endings[(cents % 100).astype(int)]
        best = np.where(np.isfinite(by_past), by_past, by_set)
        table = (
            by_past, by_past / past.spread[rows], past.spread[rows], x - past.before[rows], x - past.after[rows], near,
            near / past.spread[rows], past.others[rows], past.gap_days[rows], by_set, by_set / np.maximum(width, 0.05), width,
            x - expected.low[item], x - expected.high[item], x - expected.set_middle[item], expected.set_spread[item],
            expected.size[item], off, off / wide, x, ending, np.abs(value * 100 - cents) > 1e-6,
            (x - middle) / noise, x - middle, self.goods.count[item], np.abs(np.abs(best)[:, None] - self.logs).min(1),
        )  # fmt: skip
        out = np.stack([np.asarray(column, np.float64) for column in table], 1)
        out[~np.isfinite(out)] = np.nan
        return out.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Scores:
    """Of each entry ``(m,)``: log-odds that it is wrong, by which it is ranked, and the probability; `share` of the prices of
    now that seem to be wrong; `learned` whether trees were grown."""

    odds: NDArray[np.float64]
    probability: NDArray[np.float64]
    share: float
    learned: bool


def score(
    evidence: Evidence, currency: str, seed: int, threads: int = 1, rates: Mapping[str, float] | None = None
) -> Scores:
    """Judge every entry out of fold."""
    m = len(evidence.prices.item)
    rows = np.arange(m)
    middle, noise = evidence.combined(rows)
    z = np.abs(evidence.prices.x - middle) / noise
    z = np.where(np.isfinite(z), z, 0.0)
    if m < FEWEST:
        odds = _plain_odds(z, len(rows))
        return Scores(odds, 1 / (1 + np.exp(-odds)), USUAL_SHARE, False)
    odds, probability = _learned_odds(evidence, currency, seed, threads, rates)
    # Trees give steps; within a step the farther price comes first.
    odds = odds + 1e-3 * np.log1p(z)
    share = float(probability[evidence.prices.last].mean())
    return Scores(odds, probability, share, True)


def _plain_odds(z: NDArray[np.float64], m: int) -> NDArray[np.float64]:
    """Log-odds of an error that may lie anywhere against Student's t with three degrees of freedom, at the usual share."""
    right = np.log(2 / (np.pi * np.sqrt(3))) - 2 * np.log1p(z**2 / 3)
    return np.log(USUAL_SHARE) - np.log(16.0) - right + 0 * m


def _learned_odds(
    evidence: Evidence, currency: str, seed: int, threads: int, rates: Mapping[str, float] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log-odds by which all entries are ranked, and the probability of each among the prices of now, or of the past."""
    prices, goods = evidence.prices, evidence.goods
    m, rng = len(prices.item), np.random.default_rng(seed)
    fold = rng.permutation(prices.n_items)[prices.item] % FOLDS
    wanted = np.sort(rng.choice(m, min(m, MOST_PLANTED), replace=False))
    spoiled = plant(prices.value, goods.count[prices.item], wanted, currency, rng, ALL_KINDS, rates)
    bad = evidence.columns(spoiled.rows, np.log(spoiled.value))
    good = evidence.columns(np.arange(m), prices.x)
    plain = np.sort(rng.choice(m, min(m, MOST_PLAIN), replace=False))
    tables = (good, bad, fold, fold[spoiled.rows])
    margin, planted = _margins(tables, plain, seed, threads)
    # Among prices as they are stand wrong ones, labelled right: the likeliest of them are left out, and it learns again.
    clean = plain[margin[plain] < np.quantile(planted, CLEAR)]
    again, planted_again = _margins(tables, clean, seed + 1, threads)
    margin, planted = (margin + again) / 2, (planted + planted_again) / 2
    odds, _ = _probabilities(margin, planted)
    own, last = np.zeros(m), prices.last
    # Prices of now have not been mended yet, so their share of wrong ones is another than that of the past.
    parts = [last, ~last] if min(last.sum(), m - last.sum()) >= FEWEST else [np.ones(m, bool)]
    for part in parts:
        own[part], _ = _probabilities(margin[part], planted[part[spoiled.rows]])
    return odds, 1 / (1 + np.exp(-own))


def _margins(
    tables: tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]], plain: NDArray[np.int64], seed: int, threads: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Out of fold, at a prior of one half: margins of all entries and of the planted ones."""
    import lightgbm as lgb

    good, bad, fold, of_bad = tables
    margin, planted = np.zeros(len(good)), np.zeros(len(bad))
    options = {
        "objective": "binary", "learning_rate": 0.08, "num_leaves": 31, "min_data_in_leaf": max(10, min(60, len(good) // 100)), "lambda_l2": 1.0,
        "feature_fraction": 0.6, "num_threads": threads, "seed": seed, "deterministic": True, "force_row_wise": True, "verbosity": -1, "max_bin": 127,
    }  # fmt: skip
    for number in range(FOLDS):
        some, other = of_bad != number, fold[plain] != number
        table = np.concatenate([bad[some], good[plain[other]]])
        label = np.concatenate([np.ones(int(some.sum())), np.zeros(int(other.sum()))])
        trees = lgb.train(options, lgb.Dataset(table, label), 100)
        shift = np.log(max(label.mean(), 1e-6) / max(1 - label.mean(), 1e-6))
        for columns, rows, out in ((good, fold == number, margin), (bad, ~some, planted)):
            if rows.any():
                out[rows] = (
                    np.asarray(trees.predict(columns[rows], raw_score=True, num_threads=threads)) - shift
                )
    return margin, planted


def _probabilities(
    margin: NDArray[np.float64], planted: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Log-odds by margin, and the share of wrong prices.

    Prices as they are hold wrong ones too, so P(wrong | margin) = share · p(margin | planted) / p(margin), and the share can be
    no greater than the least of p(margin) / p(margin | planted): that bound is taken for it. Margins are
    counted in steps that hold equally many planted errors; a larger margin never says less.
    """
    edges = np.quantile(planted, np.linspace(0, 1, 41)[1:-1])
    bad = np.bincount(np.searchsorted(edges, planted), minlength=len(edges) + 1)
    all_ = np.bincount(np.searchsorted(edges, margin), minlength=len(edges) + 1)
    ratio = np.log((bad + 0.5) / (bad.sum() + 20)) - np.log((all_ + 2.0) / (all_.sum() + 80))
    ratio = np.maximum.accumulate(ratio)
    share = float(np.clip(np.exp(-ratio[-1]), 1e-6, MOST_SHARE))
    middles = np.concatenate([edges[:1], (edges[1:] + edges[:-1]) / 2, edges[-1:]])
    probability = np.clip(np.exp(np.interp(margin, middles, ratio)) * share, 1e-7, 0.98)
    # The steps keep the margins' order.
    return np.log(probability / (1 - probability)) + 1e-3 * margin, share
