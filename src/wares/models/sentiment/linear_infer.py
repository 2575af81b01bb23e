"""The linear part: hashed n-grams times weights. numpy alone, memory-mapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, save_arrays
from wares.models.sentiment.prepare import bags

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """``scale (BUCKETS,)`` of each n-gram before a text's vector gets length one, ``weights (BUCKETS, c)`` and ``bias (c,)``."""

    scale: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    @classmethod
    def load(cls, folder: Path) -> Linear:
        """Map the arrays of an artefact."""
        scale, weights, bias = (load_array(folder, f"linear_{n}") for n in ("scale", "weights", "bias"))
        return cls(scale, weights, bias)

    def save(self, folder: Path) -> None:
        """Write the arrays into an artefact."""
        save_arrays(folder, linear_scale=self.scale, linear_weights=self.weights, linear_bias=self.bias)

    def logits(self, texts: Sequence[str]) -> Floats:
        """Logits ``(len(texts), c)``; a blank text gets the bias, that is, what is usual."""
        return self.of_bags(*bags(texts))

    def of_bags(self, indices: NDArray[Any], ptr: NDArray[Any]) -> Floats:
        """Logits of n-grams as `wares.models.sentiment.prepare.bags` gives them."""
        n = len(ptr) - 1
        row = np.repeat(np.arange(n), np.diff(ptr))
        values = self.scale[indices].astype(np.float64)
        length = np.sqrt(np.bincount(row, values * values, n))
        values /= np.maximum(length, 1e-9)[row]
        picked = self.weights[indices]
        out = np.empty((n, len(self.bias)))
        for c in range(len(self.bias)):
            out[:, c] = np.bincount(row, values * picked[:, c], n) + float(self.bias[c])
        return out
