"""``wares evaluate prices``: errors planted into real prices; who finds them, names them and mends them.

Real prices have errors of their own, which count as misses here: precision is a lower bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.core.machine import peak_rss
from wares.models.price.observations import Goods, Prices, grouped_median
from wares.models.price.planting import KINDS, Planted, plant
from wares.models.price.train import Judged, judge, ranking

VIEWS = ("current", "history", "alone")
"""Errors among the prices that hold now; among all prices ever; among prices of which nothing earlier is known."""
NEAR = 0.05


@dataclass(frozen=True, slots=True)
class Case:
    """Prices to spoil, of products in a currency; `rates`: units of others for one of it, where the shop knows them."""

    name: str
    prices: Prices
    goods: Goods
    currency: str
    rates: dict[str, float] = field(default_factory=dict[str, float])


def evaluate_prices(
    case: Case, command: str, *, planted: int = 200, seeds: int = 3, seed: int = 1, views: tuple[str, ...] = VIEWS,
    threads: int = 1, progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Plant errors with several seeds, judge anew each time, and report means and spreads by view.

    Raises:
        QueryError: for an unknown view, or when there are fewer prices than four times the errors to plant.
    """
    begun = time.perf_counter()
    unknown = [view for view in views if view not in VIEWS]
    if unknown:
        raise QueryError(f"unknown view {unknown[0]!r}", mend=f"Known: {', '.join(VIEWS)}", parameter="views")
    if int(case.prices.last.sum()) < 4 * planted:
        raise QueryError(
            f"{int(case.prices.last.sum()):,} products with a price are too few to plant {planted} errors into",
            mend="Plant fewer with --planted",
            parameter="planted",
        )
    found: dict[str, Any] = {}
    for view in views:
        runs = []
        for number in range(seed, seed + seeds):
            progress(f"{view}, seed {number}")
            runs.append(one_run(case, view, number, planted, threads))
        found[view] = _together(runs)
    return {
        "command": command, "data": case.name, "products": case.prices.n_items, "prices": len(case.prices.item),
        "priced_products": int(case.prices.last.sum()), "left_out": case.prices.masked, "planted": planted, "kinds": list(KINDS),
        "seed": seed, "seeds": seeds, "views": found,
        "note": "Real prices have errors of their own that count as misses: precision is a lower bound.",
        "seconds": round(time.perf_counter() - begun, 1), "peak_rss_mb": round(peak_rss() / 2**20, 1),
    }  # fmt: skip


def one_run(case: Case, view: str, seed: int, planted: int, threads: int = 1) -> dict[str, float]:
    """One seed: precision and recall at as many as were planted, for us and for each baseline; kinds named, prices mended."""
    rng = np.random.default_rng(seed)
    prices = case.prices.only(case.prices.last) if view == "alone" else case.prices
    candidates = prices.last if view != "history" else np.ones(len(prices.item), bool)
    rows = np.sort(rng.choice(np.flatnonzero(candidates), planted, replace=False))
    errors = plant(prices.value, case.goods.count[prices.item], rows, case.currency, rng, rates=case.rates)
    spoiled = prices.value.copy()
    spoiled[errors.rows] = errors.value
    prices = prices.with_values(spoiled)
    # The scorer's own planted errors come from another stream: it must not meet the ones it is tested on.
    since = time.process_time()
    judged = judge(prices, case.goods, case.currency, 10_000 + seed, threads, case.rates)
    seconds = time.process_time() - since
    order = ranking(judged.scores, candidates)
    out = _found(order, errors, len(errors.rows), "")
    for kind in KINDS:
        mine = errors.kind == kind
        out[f"recall_{kind}"] = float(np.isin(errors.rows[mine], order[: len(errors.rows)]).mean())
    for name, scores in baselines(judged).items():
        kept = np.flatnonzero(candidates)
        out |= _found(kept[np.lexsort((kept, -scores[kept]))], errors, len(errors.rows), f"{name}_")
    return {**out, **_mended(judged, errors, order), "cpu_seconds": seconds}


def _found(order: NDArray[np.int64], errors: Planted, k: int, name: str) -> dict[str, float]:
    hit = np.isin(order, errors.rows)
    running = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    return {
        f"{name}precision": float(hit[:k].mean()),
        f"{name}recall": float(hit[:k].sum() / len(errors.rows)),
        f"{name}precision@50": float(hit[:50].mean()),
        f"{name}recall_twice": float(hit[: 2 * k].sum() / len(errors.rows)),
        f"{name}average_precision": float((running * hit).sum() / len(errors.rows)),
    }


def baselines(judged: Judged) -> dict[str, NDArray[np.float64]]:
    """Deviations by category and by own past: what a spreadsheet would rank by ``(m,)``."""
    prices, goods = judged.prices, judged.goods
    group = goods.category_of[prices.item]
    n = int(group.max(initial=-1)) + 1
    group = np.where(group >= 0, group, n)
    x = prices.x
    raw, log = _z(prices.value, group, n + 1), _z(x, group, n + 1)
    middle = grouped_median(x, group, n + 1)
    spread = np.maximum(1.4826 * grouped_median(np.abs(x - middle[group]), group, n + 1), 0.05)
    robust = np.abs(x - middle[group]) / spread[group]
    own = np.abs(x - judged.past.middle) / judged.past.spread
    # Where a product has no past, the category must do.
    return {"z_category": raw, "z_category_log": log, "z_category_robust": robust, "z_own_past": np.where(np.isfinite(own), own, log)}  # fmt: skip


def _z(values: NDArray[np.float64], group: NDArray[Any], n: int) -> NDArray[np.float64]:
    count = np.maximum(np.bincount(group, minlength=n), 1)
    mean = np.bincount(group, values, n) / count
    variance = np.bincount(group, (values - mean[group]) ** 2, n) / count
    return np.abs(values - mean[group]) / np.sqrt(np.maximum(variance[group], 1e-9))


def _mended(judged: Judged, errors: Planted, order: NDArray[np.int64]) -> dict[str, float]:
    """Of the planted errors that were found: how often the kind is named right, and the right price given.

    A price is right within 5 %, or within what the planting rounded away (3 cents may have been 2.50 to 3.49).
    """
    top = set(order[: len(errors.rows)].tolist())
    named, mended = [], []
    for row, value, right, kind in zip(
        errors.rows.tolist(), errors.value, errors.right, errors.kind, strict=True
    ):
        if row not in top:
            continue
        guess, _, price = judged.verdicts(row)[0]
        named.append(guess is not None and guess.kind == kind)
        lost = 0.005 / value if value < right else 0.0
        mended.append(abs(np.log(price / right)) <= max(NEAR, np.log1p(lost)))
    probability = judged.scores.probability[errors.rows]
    return {
        "named": float(np.mean(named)) if named else 0.0,
        "mended": float(np.mean(mended)) if mended else 0.0,
        "mean_probability_planted": float(probability.mean()),
        "expected_wrong": float(judged.scores.probability[order].sum()),
    }


def _together(runs: list[dict[str, float]]) -> dict[str, Any]:
    """Mean and standard deviation over seeds of every figure."""
    out: dict[str, Any] = {}
    for name in runs[0]:
        values = [run[name] for run in runs if np.isfinite(run[name])]
        out[name] = round(float(np.mean(values)), 4) if values else None
        if len(values) > 1:
            out[f"{name}_sd"] = round(float(np.std(values, ddof=1)), 4)
    return out
