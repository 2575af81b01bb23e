"""Boosted trees over the evidence of labelled pairs, with honest log-odds for the pairs that they learned from.

LightGBM (Ke et al., NeurIPS 2017), bagged over cross-fitting: each model leaves a fold of pairs out and judges it, so
that what learns from these judgements (the text's model) sees them as they will be on new pairs. New pairs get the mean
of all models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import MissingExtra

FOLDS = 5
REPEATS = 3
ROUNDS = 300
FEW_ROUNDS = 100
FEW = 500
"""With fewer labelled pairs the trees are fewer and their leaves smaller."""


@dataclass(frozen=True)
class Forest:
    """The models, and the log-odds ``(n,)`` of the pairs they learned from, each by the models that did not see it."""

    models: list[Any]
    honest: NDArray[np.float64]


def grow_forest(
    features: NDArray[np.float32],
    same: NDArray[np.bool_],
    seed: int,
    threads: int,
    progress: Callable[[str], None],
) -> Forest:
    """Fit the trees; the same for the same pairs and seed, whatever `threads` is.

    Raises:
        MissingExtra: when LightGBM is not installed.
    """
    try:
        import lightgbm
    except ModuleNotFoundError:
        raise MissingExtra("Matching with labels", "train") from None
    n = len(same)
    parameters = {
        "objective": "binary", "num_leaves": 15, "learning_rate": 0.05, "min_data_in_leaf": int(np.clip(n // 12, 3, 15)),
        "feature_fraction": 0.4, "bagging_fraction": 0.8, "bagging_freq": 1, "max_bin": 127, "num_threads": threads,
        "deterministic": True, "force_row_wise": True, "verbose": -1,
    }  # fmt: skip
    rounds = FEW_ROUNDS if n < FEW else ROUNDS
    total, count = np.zeros(n), np.zeros(n)
    models: list[Any] = []
    for repeat in range(REPEATS):
        fold = _folds(same, seed + repeat)
        for out in range(FOLDS):
            progress(f"evidence: model {len(models) + 1} of {REPEATS * FOLDS}")
            rows = fold != out
            data = lightgbm.Dataset(features[rows], same[rows].astype(float), params=parameters)
            model = lightgbm.train({**parameters, "seed": seed * 1000 + len(models)}, data, rounds)
            models.append(model)
            total[~rows] += model.predict(features[~rows], raw_score=True)
            count[~rows] += 1
    return Forest(models, total / np.maximum(count, 1))


def _folds(same: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    """A fold for each pair, both labels spread evenly."""
    rng = np.random.default_rng(seed)
    fold = np.zeros(len(same), np.int64)
    for label in (True, False):
        rows = np.flatnonzero(same == label)
        fold[rows] = rng.permutation(np.arange(len(rows)) % FOLDS)
    return fold
