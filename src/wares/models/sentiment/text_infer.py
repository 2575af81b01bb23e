"""The encoder's part: a sentence vector times weights. ONNX Runtime and numpy, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, save_arrays
from wares.features.encoder import TextEncoder
from wares.models.sentiment.calibration import Floats
from wares.models.sentiment.prepare import prepared

ENCODER = "encoder"
LIKE, FEWEST = 0.7, 4
"""Texts of at least this share of the longest's letters are read with it, and no fewer than so many at once."""


class TextPart:
    """Logits from what a fine-tuned encoder makes of a text; ``weights (dim, c)`` and ``bias (c,)``."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self.encoder = TextEncoder(folder / ENCODER, threads)
        self.weights: NDArray[np.float32] = load_array(folder, "text_weights")
        self.bias: NDArray[np.float32] = load_array(folder, "text_bias")

    def logits(self, texts: Sequence[str], vectors: NDArray[np.float32] | None = None) -> Floats:
        """Logits ``(len(texts), c)``; of a text that the encoder cannot read nothing is said but what is usual. `vectors
        (len(texts), dim)` are given where they are known already."""
        if vectors is None:
            vectors = self._vectors([prepared(text) for text in texts])
        return vectors.astype(np.float64) @ self.weights + self.bias

    def _vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors ``(len(texts), dim)``. A batch that holds short and long texts would be padded to the longest: it is read in
        parts of like length."""
        length = np.array([len(text) for text in texts])
        order = np.argsort(-length, kind="stable")
        out = np.zeros((len(texts), self.encoder.dim), np.float32)
        start = 0
        while start < len(order):
            far = np.flatnonzero(length[order[start:]] < LIKE * length[order[start]])
            stop = start + max(int(far[0]) if len(far) else len(order), FEWEST)
            rows = order[start:stop]
            out[rows] = self.encoder.encode([texts[int(i)] for i in rows], "passage")
            start = stop
        return out

    @staticmethod
    def save(folder: Path, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        """Write the layer over the sentence vector into an artefact."""
        save_arrays(folder, text_weights=weights, text_bias=bias)
