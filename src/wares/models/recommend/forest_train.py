"""Gradient boosted trees for one head of the learned ranker.

LightGBM (Ke et al., NeurIPS 2017) by log-loss or as LambdaMART (Burges 2010, MSR-TR-2010-82). What is served is an ONNX
``TreeEnsembleRegressor``: see `wares.features.trees_build`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = ("log-loss", "lambdamart")
ROUNDS = 80
_SHAPE = {
    "num_leaves": 31, "learning_rate": 0.08, "min_data_in_leaf": 100, "feature_fraction": 0.6, "bagging_fraction": 0.7,
    "bagging_freq": 1, "lambda_l2": 5.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Examples:
    """Candidates of one head over many shoppers: ``features (n, f) float32``, ``bought (n,) bool``, ``sizes (s,)`` of
    the lists in order, ``cheap (n,)`` the score that drafted them and ``wanted (s,)`` how many were to be found."""

    features: NDArray[np.float32]
    bought: NDArray[np.bool_]
    sizes: NDArray[np.int64]
    cheap: NDArray[np.float32]
    wanted: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: list[Examples]) -> Examples:
        """One after another."""
        names = cls.__dataclass_fields__
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})

    def without(self, columns: list[int]) -> Examples:
        """With some features blank."""
        features = self.features.copy()
        features[:, columns] = np.nan
        return Examples(features, self.bought, self.sizes, self.cheap, self.wanted)


def grow(examples: Examples, kind: str, seed: int, threads: int, rounds: int = ROUNDS) -> Any:
    """Trees of `kind`; the same for the same examples, seed and number of threads or another."""
    import lightgbm

    ranking = kind == "lambdamart"
    shape = _SHAPE | {"min_data_in_leaf": int(np.clip(len(examples.bought) // 3000, 10, 100))}
    params = shape | {
        "objective": "lambdarank" if ranking else "binary", "lambdarank_truncation_level": 20, "seed": seed,
        "deterministic": True, "force_row_wise": True, "num_threads": threads, "verbose": -1,
    }  # fmt: skip
    data = lightgbm.Dataset(
        examples.features, examples.bought.astype(np.float32), group=examples.sizes if ranking else None
    )
    return lightgbm.train(params, data, rounds)
