"""An encoder as it is, with a layer over its vectors fitted to labels: for few labels, and where fine-tuning is too dear."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wares.core.config import Encoder
from wares.features.encoder import TextEncoder
from wares.models.sentiment.calibration import Floats, fit_temperature, log_loss
from wares.models.sentiment.labelled import LabelledTexts
from wares.models.sentiment.prepare import prepared
from wares.models.sentiment.text_infer import ENCODER, TextPart

STRENGTHS = (0.0003, 0.003, 0.03, 0.3, 3.0)
MIN_COSINE = 0.97
Say = Callable[[str], None]


class FrozenVectors:
    """Vectors of an encoder exported once; each text is encoded once, however often it is asked for."""

    def __init__(self, model: str, max_tokens: int = 128, prefix: str = "", threads: int = 0) -> None:
        from wares.features.encoder_train import export_encoder

        scratch = tempfile.mkdtemp(prefix="wares-frozen-")
        weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
        self.folder = Path(scratch)
        config = Encoder(model=model, max_tokens=max_tokens, prefix_passage=prefix, min_cosine=MIN_COSINE)
        self.facts = export_encoder(config, self.folder, model)
        self.encoder = TextEncoder(self.folder, threads)
        self._held: dict[str, NDArray[np.float32]] = {}

    def of(self, texts: Sequence[str], progress: Say = lambda _: None) -> NDArray[np.float32]:
        """Vectors ``(len(texts), dim) float32``."""
        ready = [prepared(text) for text in texts]
        new = list(dict.fromkeys(text for text in ready if text not in self._held))
        step = 4096
        for start in range(0, len(new), step):
            some = new[start : start + step]
            progress(f"encoder: {start:,} of {len(new):,} texts")
            self._held.update(zip(some, self.encoder.encode(some), strict=True))
        return np.array([self._held[text] for text in ready], np.float32).reshape(
            len(texts), self.encoder.dim
        )

    def save(self, folder: Path, layer: Layer) -> None:
        """Write the encoder and the layer over it into an artefact."""
        shutil.copytree(self.folder, folder / ENCODER)
        TextPart.save(folder, layer[0], layer[1])


Layer = tuple[NDArray[np.float32], NDArray[np.float32]]
"""``weights (dim, c)`` and ``bias (c,)`` over a vector."""


def fit_layer(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], classes: int, strength: float, weights: NDArray[np.float64] | None = None
) -> Layer:  # fmt: skip
    """Logistic regression over vectors ``(n, dim)`` whose columns are brought to mean zero and deviation one; `strength` is the
    inverse of its regularisation, of one column."""
    from sklearn.linear_model import LogisticRegression

    middle, spread = vectors.mean(0), np.maximum(vectors.std(0), 1e-6)
    z = ((vectors - middle) / spread).astype(np.float64)
    out, bias = np.zeros((vectors.shape[1], classes)), np.zeros(classes)
    model = LogisticRegression(C=strength, solver="lbfgs", max_iter=2000, tol=1e-3)
    model.fit(z, labels, sample_weight=weights)
    if classes == 2:
        out[:, 1], bias[1] = np.ravel(model.coef_), np.ravel(model.intercept_)[0]
    else:
        out[:, model.classes_], bias[model.classes_] = model.coef_.T, model.intercept_
    scaled = out / spread[:, None]
    return scaled.astype(np.float32), (bias - middle @ scaled).astype(np.float32)


def fit_layer_to_numbers(vectors: NDArray[np.float32], values: NDArray[np.float64], strength: float) -> Layer:
    """Ridge regression of `values (n,)`; as `fit_layer`."""
    from sklearn.linear_model import Ridge

    middle, spread = vectors.mean(0), np.maximum(vectors.std(0), 1e-6)
    model = Ridge(alpha=1 / strength).fit((vectors - middle) / spread, values)
    scaled = (model.coef_ / spread)[:, None]
    return scaled.astype(np.float32), (np.array([model.intercept_]) - middle @ scaled).astype(np.float32)


def said_by(layer: Layer, vectors: NDArray[np.float32]) -> Floats:
    """Logits ``(n, c)``."""
    return vectors.astype(np.float64) @ layer[0] + layer[1]


def choose_layer(
    train: LabelledTexts, valid: LabelledTexts, frozen: FrozenVectors, weights: NDArray[np.float64] | None = None, progress: Say = lambda _: None
) -> tuple[Layer, float]:  # fmt: skip
    """The layer whose strength has the least loss on validation, and that strength."""
    x, v = frozen.of(train.texts, progress), frozen.of(valid.texts, progress)
    best: tuple[float, Layer, float] | None = None
    for strength in STRENGTHS:
        progress(f"encoder: layer, {strength:g}")
        if train.targets is not None and train.targets.shape[1] == 1:
            assert valid.targets is not None
            layer = fit_layer_to_numbers(x, train.targets[:, 0], strength)
            loss = float(np.mean((said_by(layer, v) - valid.targets) ** 2))
        else:
            layer = fit_layer(x, train.labels, len(train.names), strength, weights)
            logits = said_by(layer, v)
            loss = log_loss(logits / fit_temperature(logits, valid.labels), valid.labels)
        if best is None or loss < best[0]:
            best = (loss, layer, strength)
    assert best is not None
    return best[1:]
