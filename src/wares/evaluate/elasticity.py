"""``wares evaluate elasticity``: is the true elasticity inside its interval, on synthetic shops; how much is identified, on a shop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.core.machine import peak_rss
from wares.models.price.elasticity import BASES, VERDICTS
from wares.models.price.elasticity_panel import Panel
from wares.models.price.elasticity_planted import Demand, make_demand
from wares.models.price.elasticity_train import Fitted, find

KINDS = ("plain", "follows", "flat")
"""Shops whose prices move by promotions, season and cost; whose prices follow demand; whose prices hardly move."""


def naive(panel: Panel, category_of: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(elasticity, standard error) of categories by regressing log(units + 1) on log price within products: no controls."""
    y, x = np.log1p(panel.units), np.log(panel.price)
    often = np.maximum(np.bincount(panel.item, minlength=panel.n_items), 1)
    for values in (y, x):
        values -= (np.bincount(panel.item, values, panel.n_items) / often)[panel.item]
    code, n = np.asarray(category_of)[panel.item], int(np.max(category_of)) + 1
    ground = np.maximum(np.bincount(code, x * x, n), 1e-12)
    theta = np.bincount(code, x * y, n) / ground
    score = np.bincount(panel.item, x * (y - theta[code] * x), panel.n_items)
    return theta, np.sqrt(np.bincount(np.asarray(category_of), score**2, n)) / ground


def one_run(seed: int, threads: int = 1, spread: float = 0.3) -> dict[str, float]:
    """One synthetic shop: shares of true elasticities inside their intervals, widths and errors; of us and of the naive way."""
    shop = make_demand(seed, spread=spread)
    found = find(shop.panel, shop.category_of, seed, threads)
    return measure(shop, found)


def measure(shop: Demand, found: Fitted) -> dict[str, float]:
    """See `one_run`."""
    ok = found.verdict == 0
    inside = (found.low <= shop.theta) & (shop.theta <= found.high)
    c_ok = found.category_verdict[:-1] == 0
    c_inside = (found.category_low[:-1] <= shop.category_theta) & (
        shop.category_theta <= found.category_high[:-1]
    )
    theta, error = naive(shop.panel, shop.category_of)
    return {
        "inside": float(inside[ok].mean()) if ok.any() else float("nan"),
        "identified": float(ok.mean()),
        "width": float((found.high - found.low)[ok].mean()) if ok.any() else float("nan"),
        "error": float(np.abs(found.theta - shop.theta)[ok].mean()) if ok.any() else float("nan"),
        "alone_error": float(np.abs(found.alone.theta - shop.theta)[ok].mean()) if ok.any() else float("nan"),
        "category_inside": float(c_inside[c_ok].mean()) if c_ok.any() else float("nan"),
        "category_identified": float(c_ok.mean()),
        "category_width": float((found.category_high - found.category_low)[:-1][c_ok].mean()) if c_ok.any() else float("nan"),
        "first_inside": float(c_inside[0]),
        "naive_inside": float((np.abs(theta - shop.category_theta) <= 1.96 * error).mean()),
        "naive_error": float(np.abs(theta - shop.category_theta).mean()),
        "category_error": float(np.abs(found.category.theta[:-1] - shop.category_theta)[c_ok].mean()) if c_ok.any() else float("nan"),
    }  # fmt: skip


def refusals(seed: int, runs: int, threads: int = 1) -> dict[str, dict[str, float]]:
    """What becomes of shops in which nothing can be known: the share of products of each verdict."""
    out: dict[str, dict[str, float]] = {}
    for kind in KINDS[1:]:
        total = np.zeros(len(VERDICTS))
        for number in range(seed, seed + runs):
            shop = make_demand(number, follows=kind == "follows", flat=kind == "flat")
            verdict = find(shop.panel, shop.category_of, number, threads).verdict
            total += np.bincount(verdict, minlength=len(VERDICTS)) / len(verdict)
        out[kind] = {name: round(float(v), 4) for name, v in zip(VERDICTS, total / runs, strict=True) if v}
    return out


def evaluate_synthetic(
    command: str,
    *,
    runs: int = 100,
    seed: int = 1,
    threads: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Many synthetic shops with known elasticities.

    ``inside`` is the mean over runs of the share of products whose true elasticity lies in its 95 % interval,
    ``runs_inside`` the share of runs in which that of the first category does; `naive` is the regression without controls.

    Raises:
        QueryError: for fewer than two runs.
    """
    begun = time.perf_counter()
    if runs < 2:
        raise QueryError("one run gives no spread", mend="Ask for 2 or more with --runs", parameter="runs")
    found: list[dict[str, float]] = []
    for number in range(seed, seed + runs):
        progress(f"shop {number - seed + 1} of {runs}")
        found.append(one_run(number, threads))
    mean = {name: float(np.nanmean([one[name] for one in found])) for name in found[0]}
    spread = {
        name: float(np.nanstd([one[name] for one in found], ddof=1) / np.sqrt(runs)) for name in found[0]
    }
    progress("refusals")
    return {
        "command": command, "runs": runs, "seed": seed,
        "products": {"inside": round(mean["inside"], 4), "inside_error": round(spread["inside"], 4), "identified": round(mean["identified"], 4),
                     "width": round(mean["width"], 3), "error": round(mean["error"], 3), "alone_error": round(mean["alone_error"], 3)},
        "categories": {"inside": round(mean["category_inside"], 4), "inside_error": round(spread["category_inside"], 4),
                       "identified": round(mean["category_identified"], 4), "width": round(mean["category_width"], 3),
                       "error": round(mean["category_error"], 3)},
        "runs_inside": round(mean["first_inside"], 4),
        "naive": {"inside": round(mean["naive_inside"], 4), "error": round(mean["naive_error"], 3)},
        "refused": refusals(seed, min(runs, 5), threads),
        "seconds": round(time.perf_counter() - begun, 1), "peak_rss_mb": round(peak_rss() / 2**20, 1),
    }  # fmt: skip


def shop_report(panel: Panel, found: Fitted, command: str, name: str, seconds: float) -> dict[str, Any]:
    """How much of a shop is identified, and what the elasticities are."""
    ok = found.verdict == 0
    c_ok = found.category_verdict[:-1] == 0
    sold = np.bincount(panel.item, panel.units, panel.n_items)
    quantiles = [0.1, 0.25, 0.5, 0.75, 0.9]
    return {
        "command": command, "data": name, "rows": len(panel), "products": panel.n_items, "products_sold": int((found.verdict != VERDICTS.index("never sold")).sum()),
        "verdicts": {v: int((found.verdict == i).sum()) for i, v in enumerate(VERDICTS)},
        "identified_by": {b: int((ok & (found.basis == i)).sum()) for i, b in enumerate(BASES)},
        "units_identified": round(float(sold[ok].sum() / max(sold.sum(), 1e-9)), 4),
        "categories": {v: int((found.category_verdict[:-1] == i).sum()) for i, v in enumerate(VERDICTS)},
        "elasticity_quantiles": {f"{q:g}": round(float(np.quantile(found.theta[ok], q)), 3) for q in quantiles} if ok.any() else {},
        "category_quantiles": {f"{q:g}": round(float(np.quantile(found.category.theta[:-1][c_ok], q)), 3) for q in quantiles} if c_ok.any() else {},
        "elastic": int((ok & (found.high < -1)).sum()), "inelastic": int((ok & (found.low > -1)).sum()),
        "median_width": round(float(np.median((found.high - found.low)[ok])), 3) if ok.any() else None,
        "learners": found.learners, "left_out": panel.left_out, "seconds": round(seconds, 1), "peak_rss_mb": round(peak_rss() / 2**20, 1),
    }  # fmt: skip
