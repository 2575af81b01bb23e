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
            vectors = self.encoder.encode([prepared(text) for text in texts], "passage")
        return vectors.astype(np.float64) @ self.weights + self.bias

    @staticmethod
    def save(folder: Path, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        """Write the layer over the sentence vector into an artefact."""
        save_arrays(folder, text_weights=weights, text_bias=bias)
