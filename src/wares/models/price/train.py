"""Fit the price model: expected prices, the evidence against each, what went wrong, and the artefact for serving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import save_arrays, seal
from wares.models.price.comparables import Expected, expect
from wares.models.price.history import Past, past_of
from wares.models.price.hypotheses import Hypothesis, exchange, explain, hypotheses
from wares.models.price.infer import KIND
from wares.models.price.observations import Goods, Prices
from wares.models.price.score import Evidence, Scores, score


@dataclass(frozen=True, slots=True)
class Judged:
    """Every price judged."""

    prices: Prices
    goods: Goods
    past: Past
    expected: Expected
    evidence: Evidence
    scores: Scores
    currency: str
    rates: Mapping[str, float] = field(default_factory=dict[str, float])

    def verdicts(self, row: int) -> list[tuple[Hypothesis | None, float, float]]:
        """What may have gone wrong with an entry, likeliest first: hypothesis (None: a true outlier), share, right price."""
        here = np.array([row])
        item = int(self.prices.item[row])
        middle, noise = (float(part[0]) for part in self.evidence.combined(here))
        if not np.isfinite(middle):
            return [(None, 0.0, float(self.prices.value[row]))]
        options = hypotheses(self.currency, float(self.goods.count[item]), self.rates)
        return explain(
            float(self.prices.x[row]), middle, noise, options, self.evidence.habit, self.past.near[row]
        )


def judge(
    prices: Prices, goods: Goods, currency: str, seed: int, threads: int = 1, rates: Mapping[str, float] | None = None
) -> Judged:  # fmt: skip
    """Judge all entries against the product's own past and against comparable products.

    `rates`: units of other currencies for one of the shop's, where it knows them; rough ones for the rest.
    """
    expected = expect(prices.levels(), goods, seed, threads)
    past = past_of(prices, goods.category_of)
    evidence = Evidence.of(prices, goods, past, expected, exchange(currency, rates))
    scores = score(evidence, currency, seed, threads, rates)
    return Judged(prices, goods, past, expected, evidence, scores, currency, dict(rates or {}))


def ranking(scores: Scores, kept: NDArray[Any] | None = None) -> NDArray[np.int64]:
    """Entries, likeliest wrong first; ties by row."""
    rows = np.arange(len(scores.odds)) if kept is None else np.flatnonzero(kept)
    return rows[np.lexsort((rows, -scores.odds[rows]))]


MOST_KEPT = 1000
"""Anomalies kept of the prices that hold now, and as many of those that held before."""
LEAST_KEPT = 0.02


def fit(
    prices: Prices,
    goods: Goods,
    currency: str,
    folder: Path,
    *,
    seed: int,
    threads: int = 1,
    rates: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Judge all prices and write the artefact of `wares.models.price.infer`. Without prices it holds nothing.
    `rates` as for `judge`.

    Same prices, goods and seed give the same bytes.
    """
    judged = judge(prices, goods, currency, seed, threads, rates) if len(prices.item) else None
    if judged is None:
        return _write(folder, *_nothing(len(goods)), goods, prices, currency, 0.0, False)
    n, last = len(goods), prices.last
    # A range for products that nothing is comparable to would be the shop's: wide, and it says so.
    arrays: dict[str, NDArray[Any]] = {
        name: np.exp(getattr(judged.expected, name)).astype(np.float32) for name in ("low", "middle", "high")
    }
    now = np.flatnonzero(last)
    own, others = np.full(n, np.nan, np.float32), np.zeros(n, np.int32)
    own[prices.item[now]] = np.exp(judged.past.middle[now])
    others[prices.item[now]] = judged.past.others[now]
    probability = np.full(n, np.nan, np.float32)
    probability[prices.item[now]] = judged.scores.probability[now]
    arrays |= {
        "nearest": judged.expected.nearest, "same_unit": judged.expected.same_unit.astype(np.uint8), "unit_of": goods.unit_of.astype(np.int8),
        "amount": goods.amount.astype(np.float32), "own_middle": own, "own_count": others, "probability": probability,
    }  # fmt: skip
    rows = np.concatenate([ranking(judged.scores, part)[:MOST_KEPT] for part in (last, ~last)])
    rows = rows[judged.scores.probability[rows] >= LEAST_KEPT]
    rows = rows[np.lexsort((rows, -judged.scores.odds[rows], -np.round(judged.scores.probability[rows], 3)))]
    best = [judged.verdicts(int(row))[0] for row in rows]
    named = [("outlier", "") if h is None else (h.kind, h.detail) for h, _, _ in best]
    reasons = sorted(set(named))
    arrays |= {
        "odd_item": prices.item[rows], "odd_at": prices.at[rows], "odd_price": prices.value[rows],
        "odd_probability": judged.scores.probability[rows].astype(np.float32),
        "odd_reason": np.array([reasons.index(name) for name in named], np.int16),
        "odd_share": np.array([share for _, share, _ in best], np.float32), "odd_right": np.array([right for _, _, right in best], np.float64),
        "odd_current": last[rows].astype(np.uint8), "odd_own_middle": np.exp(judged.past.middle[rows]).astype(np.float32),
        "odd_own_count": judged.past.others[rows].astype(np.int32),
    }  # fmt: skip
    return _write(
        folder, arrays, reasons, goods, prices, currency, judged.scores.share, judged.scores.learned
    )


def _nothing(n: int) -> tuple[dict[str, NDArray[Any]], list[tuple[str, str]]]:
    none = np.full(n, np.nan, np.float32)
    arrays: dict[str, NDArray[Any]] = dict.fromkeys(
        ("low", "middle", "high", "amount", "own_middle", "probability"), none
    )
    arrays |= {
        "nearest": np.full((n, 1), -1, np.int32), "same_unit": np.zeros(n, np.uint8), "unit_of": np.full(n, -1, np.int8), "own_count": np.zeros(n, np.int32),
    }  # fmt: skip
    kinds = {"item": np.int32, "at": np.int64, "price": np.float64, "probability": np.float32, "reason": np.int16, "share": np.float32, "right": np.float64, "current": np.uint8, "own_middle": np.float32, "own_count": np.int32}  # fmt: skip
    return arrays | {f"odd_{name}": np.zeros(0, kind) for name, kind in kinds.items()}, []


def _write(
    folder: Path, arrays: dict[str, NDArray[Any]], reasons: list[tuple[str, str]], goods: Goods, prices: Prices, currency: str,
    share: float, learned: bool,
) -> dict[str, Any]:  # fmt: skip
    save_arrays(folder, **arrays)
    facts = {
        "products": len(goods), "prices": len(prices.item), "priced_products": int(prices.last.sum()), "left_out": prices.masked,
        "currency": currency, "units": list(goods.units), "reasons": [list(pair) for pair in reasons], "share": round(share, 6),
        "learned": learned,
    }  # fmt: skip
    return seal(folder, KIND, **facts)
