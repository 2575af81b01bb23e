"""The sequence model at serving time: a small causal transformer in numpy. No torch.

Users whose histories are equally long go through it together; one history of 50 takes about a millisecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact, save_arrays, seal

KIND = "sequence-model"


class SequenceModel:
    """A fitted model: ``item_vectors (n_items, dim) float32`` and the weights of its blocks.

    The vector of a history, times an item's vector, is the item's score as what comes next.
    """

    def __init__(
        self, item_vectors: NDArray[Any], weights: dict[str, NDArray[Any]], config: dict[str, Any]
    ) -> None:
        self.item_vectors, self.weights, self.config = item_vectors, weights, config
        self.longest = int(config["longest"])
        self.heads, self.blocks = int(config["heads"]), int(config["blocks"])
        self.gated = config["block"] == "ligr"

    @classmethod
    def load(cls, folder: Path) -> SequenceModel:
        """Read the artefact, memory-mapped."""
        manifest = open_artifact(folder, KIND)
        weights = {name: load_array(folder, name) for name in manifest["weights"]}
        return cls(load_array(folder, "item_vectors"), weights, manifest["config"])

    def save(self, folder: Path, **facts: Any) -> dict[str, Any]:
        """Write arrays and a manifest into `folder`."""
        save_arrays(folder, item_vectors=np.asarray(self.item_vectors, np.float32), **self.weights)
        return seal(folder, KIND, weights=sorted(self.weights), config=self.config, **facts)

    def users(self, histories: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        """Vectors ``(n, dim) float32``; zeros for an empty history."""
        out = np.zeros((len(histories), self.item_vectors.shape[1]), np.float32)
        recent = [np.asarray(h[-self.longest :]) for h in histories]
        lengths = np.array([len(h) for h in recent], np.int64)
        for length in np.unique(lengths[lengths > 0]).tolist():
            rows = np.flatnonzero(lengths == length)
            step = max(1, 16384 // length)
            for start in range(0, len(rows), step):
                some = rows[start : start + step]
                out[some] = self._forward(np.stack([recent[r] for r in some]))
        return out

    def scores(self, histories: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        """Scores of the whole catalogue ``(n, n_items) float32``."""
        return np.asarray(self.users(histories) @ np.asarray(self.item_vectors, np.float32).T, np.float32)

    def _forward(self, items: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        n, length = items.shape
        x = np.asarray(self.item_vectors[items], np.float32)
        place = np.arange(length)
        gap = place[:, None] - place[None, :]
        mask = np.where(gap < 0, np.float32(-1e4), np.float32(0))
        gap = np.maximum(gap, 0)
        for block in range(self.blocks):

            def w(name: str, block: int = block) -> NDArray[np.float32]:
                return np.asarray(self.weights[f"{block}.{name}"], np.float32)

            # Only the last place is asked for, so in the last block it alone asks.
            asks = x[:, -1:] if block == self.blocks - 1 else x
            y = self._norm(x, w("norm1"), None if self.gated else w("norm1_bias"))
            dim = x.shape[2]
            qkv = y @ w("qkv").T + w("qkv_bias")
            parts = qkv.reshape(n, length, 3, self.heads, dim // self.heads).transpose(2, 0, 3, 1, 4)
            bias = w("bias")[:, gap] + mask
            if asks.shape[1] == 1:
                query, bias = parts[0][:, :, -1:], bias[:, -1:]
            else:
                query = parts[0]
            attention = query @ parts[1].transpose(0, 1, 3, 2) / np.float32(np.sqrt(dim // self.heads)) + bias
            attention = np.exp(attention - attention.max(-1, keepdims=True))
            attention /= attention.sum(-1, keepdims=True)
            mixed = (attention @ parts[2]).transpose(0, 2, 1, 3).reshape(n, asks.shape[1], dim)
            y = mixed @ w("out").T + w("out_bias")
            if self.gated:
                y = y * _sigmoid(asks @ w("gate1").T + w("gate1_bias"))
            x = asks + y
            y = self._norm(x, w("norm2"), None if self.gated else w("norm2_bias"))
            if self.gated:
                up = y @ w("up").T
                y = (up * _sigmoid(up) * (y @ w("side").T)) @ w("down").T
                y = y * _sigmoid(x @ w("gate2").T + w("gate2_bias"))
            else:
                y = _gelu(y @ w("up").T + w("up_bias")) @ w("down").T + w("down_bias")
            x = x + y
        last = self._norm(
            x[:, -1], np.asarray(self.weights["norm"]), np.asarray(self.weights["norm_bias"]), layer=True
        )
        return np.asarray(last, np.float32)

    def _norm(
        self, x: NDArray[np.float32], scale: NDArray[Any], bias: NDArray[Any] | None, layer: bool = False
    ) -> NDArray[np.float32]:
        if bias is None and not layer:
            return np.asarray(
                x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(1e-6)) * scale, np.float32
            )
        x = x - x.mean(-1, keepdims=True)
        return np.asarray(
            x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(1e-5)) * scale + bias, np.float32
        )


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1.0 / (1.0 + np.exp(-x)), np.float32)


def _gelu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """By the hyperbolic tangent (Hendrycks, Gimpel 2016); training uses the same form."""
    return np.asarray(
        0.5 * x * (1.0 + np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x**3))), np.float32
    )
