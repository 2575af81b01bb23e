"""The same classifier as most people run it: transformers on torch, fp32. For benchmarks alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import MissingExtra
from wares.models.sentiment.calibration import Floats
from wares.models.sentiment.prepare import prepared


class TorchPeer:
    """A Hugging Face folder (or name) with a layer ``weights (dim, c)`` and ``bias (c,)`` over its sentence vector."""

    def __init__(
        self, source: str, prefix: str, max_tokens: int, weights: NDArray[Any], bias: NDArray[Any], threads: int = 0
    ) -> None:  # fmt: skip
        """Load it.

        Raises:
            ConfigError: when it cannot be loaded.
            MissingExtra: without torch.
        """
        try:
            import torch
        except ImportError as error:
            raise MissingExtra("the benchmark's peer", "train") from error
        from wares.features.encoder_train import is_cls, load_parts, resolve

        self.torch = torch
        if threads:
            torch.set_num_threads(threads)
        place = resolve(source)
        self.model, self.tokenizer = load_parts(place, source)
        self.model.eval()
        self.cls = is_cls(Path(place))
        self.prefix, self.max_tokens = prefix, max_tokens
        self.weights, self.bias = weights, bias

    def logits(self, texts: Sequence[str]) -> Floats:
        """Logits ``(len(texts), c)`` of one batch."""
        torch = self.torch
        said = self.tokenizer(
            [self.prefix + prepared(text) for text in texts], padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        )  # fmt: skip
        with torch.inference_mode():
            hidden = self.model(**said).last_hidden_state
            mask = said["attention_mask"].unsqueeze(-1).float()
            pooled = hidden[:, 0] if self.cls else (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            vectors = torch.nn.functional.normalize(pooled, dim=1).numpy()
        return np.asarray(vectors.astype(np.float64) @ self.weights + self.bias)
