"""How good an audience is: of its shoppers, how many took the thing up later, beside others of the same size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.price.audience import Neighbours, Shoppers, Weights

RANKERS = ("wares", "bought_it", "category", "active")
"""Ours; who bought it most, lately; who bought of its categories most, lately; who buys most."""
BOOTSTRAP = 1000


@dataclass(frozen=True, slots=True)
class Trial:
    """A target and what came of it: `items` rows, `took (n_users,)` who took it up in the test window."""

    name: str
    items: NDArray[np.int64]
    took: NDArray[np.bool_]


def measure(
    trials: list[Trial], shoppers: Shoppers, neighbours: Neighbours, weights: Weights, share: float, seed: int
) -> dict[str, Any]:
    """Lift over random of audiences of `share` of the shoppers, for all and for those who never had the thing.

    Lift is pooled: takers reached over takers that as many shoppers drawn at random would hold, summed over all trials;
    95 % intervals by resampling trials. ``difference`` is our lift less that of the category's buyers, on the same draws.
    """
    out: dict[str, Any] = {"trials": len(trials), "share": share}
    reached = {kind: {name: np.zeros(len(trials)) for name in RANKERS} for kind in ("all", "new")}
    expected = {kind: np.zeros(len(trials)) for kind in reached}
    for number, trial in enumerate(trials):
        target = neighbours.target(trial.items)
        features = shoppers.describe(target)
        tie = 1e-6 * features[:, 5]
        scores = {
            "wares": weights.score(features),
            "bought_it": features[:, 0] + tie,
            "category": np.log1p(np.expm1(features[:, 0]) + np.expm1(features[:, 1])) + tie,
            "active": features[:, 5],
        }
        for kind, fits in (("all", np.ones(len(tie), bool)), ("new", ~shoppers.owners(trial.items))):
            rows = np.flatnonzero(fits)
            size = max(1, round(share * len(rows))) if len(rows) else 0
            expected[kind][number] = trial.took[rows].sum() * size / max(len(rows), 1)
            for name, score in scores.items():
                chosen = rows[np.lexsort((rows, -score[rows]))][:size]
                reached[kind][name][number] = trial.took[chosen].sum()
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(trials), size=(BOOTSTRAP, len(trials)))
    for kind, by_name in reached.items():
        base = np.maximum(expected[kind][draws].sum(1), 1e-9)
        lifts = {name: hits[draws].sum(1) / base for name, hits in by_name.items()}
        total = max(float(expected[kind].sum()), 1e-9)
        out[kind] = {
            name: {"lift": round(float(hits.sum() / total), 4), "interval": _interval(lifts[name])}
            for name, hits in by_name.items()
        }
        best = lifts["wares"] - lifts["category"]
        gap = float((by_name["wares"].sum() - by_name["category"].sum()) / total)
        out[kind]["difference"] = {"lift": round(gap, 4), "interval": _interval(best)}
        out[kind]["takers_expected_at_random"] = round(float(expected[kind].sum()), 1)
    return out


def _interval(values: NDArray[np.float64]) -> list[float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return [round(float(low), 4), round(float(high), 4)]
