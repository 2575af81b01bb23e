"""Fit the linear part: logistic regression over n-grams, scaled by rarity or by how much they tell labels apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.models.sentiment.calibration import Floats, fit_temperature, log_loss
from wares.models.sentiment.linear_infer import Linear
from wares.models.sentiment.prepare import BUCKETS

STRENGTHS = (1.0, 4.0, 16.0)
SCALINGS = ("ratio", "rarity")
LEAST_TEXTS = 2
"""An n-gram of fewer texts tells nothing."""
RARE_SETS = 1000
"""Below so many texts every n-gram counts: there are few enough."""


@dataclass(frozen=True)
class Choice:
    """How the linear part is fitted: how n-grams are scaled, and the inverse strength of regularisation."""

    scaling: str
    strength: float


def matrix(indices: NDArray[Any], ptr: NDArray[Any]) -> Any:
    """Presence of n-grams as a CSR matrix ``(n, BUCKETS)``."""
    ones = np.ones(len(indices), np.float32)
    return sp.csr_matrix((ones, indices.astype(np.int32), ptr), shape=(len(ptr) - 1, BUCKETS))


def scale_of(x: Any, labels: NDArray[np.int64], classes: int, scaling: str) -> NDArray[np.float32]:
    """The scale of each n-gram: its inverse document frequency, or the largest log-ratio of its share among a label's texts to
    that among the others (naive Bayes; Wang and Manning, *Baselines and Bigrams*, ACL 2012)."""
    texts = np.asarray(x.sum(0)).ravel()
    seen = texts >= (LEAST_TEXTS if x.shape[0] >= RARE_SETS else 1)
    if scaling == "rarity":
        scale = np.log((1 + x.shape[0]) / (1 + texts)) + 1
    else:
        scale = np.zeros(BUCKETS)
        for c in range(classes):
            inside = np.asarray(x[labels == c].sum(0)).ravel()
            own, other = inside + 1, texts - inside + 1
            scale = np.maximum(scale, np.abs(np.log((own / own.sum()) / (other / other.sum()))))
    return np.where(seen, scale, 0).astype(np.float32)


def scaled(x: Any, scale: NDArray[np.float32]) -> Any:
    """Texts with their n-grams scaled and length one."""
    out = x.multiply(scale[None, :]).tocsr()
    length = np.sqrt(np.asarray(out.multiply(out).sum(1)).ravel())
    return sp.diags(1 / np.maximum(length, 1e-9)).dot(out).tocsr()


def fit_linear(
    x: Any, labels: NDArray[np.int64], classes: int, choice: Choice, weights: NDArray[Any] | None = None,
    scale: NDArray[np.float32] | None = None,
) -> Linear:  # fmt: skip
    """Fit on presence of n-grams `x (n, BUCKETS)`; several labels are fitted each against the rest. `weights (n,)` are of texts;
    `scale (BUCKETS,)` is given where it shall not come from these labels."""
    from sklearn.linear_model import LogisticRegression

    if scale is None:
        scale = scale_of(x, labels, classes, choice.scaling)
    z = scaled(x, scale)
    # Most buckets are empty in a small set, and the solver would walk through all of them.
    there = np.flatnonzero(scale)
    z = z[:, there]
    out, bias = np.zeros((BUCKETS, classes), np.float32), np.zeros(classes, np.float32)
    for c in range(classes) if classes > 2 else (1,):
        # The dual by coordinate descent (Yu, Huang and Lin 2011) ends where the primal does, about four times as fast.
        model = LogisticRegression(
            C=choice.strength, solver="liblinear", dual=True, tol=1e-2, max_iter=1000, random_state=0
        )
        model.fit(z, labels == c, sample_weight=weights)
        out[there, c], bias[c] = np.ravel(model.coef_), np.ravel(model.intercept_)[0]
    return Linear(scale, out, bias)


def choose_linear(
    train: tuple[Any, NDArray[np.int64]],
    valid: tuple[Any, NDArray[np.int64]],
    classes: int,
    progress: Callable[[str], None] = lambda _: None,
    weights: NDArray[Any] | None = None,
) -> tuple[Choice, Linear, Floats]:
    """The scaling and strength with the least validation log-loss, the model, and its validation logits."""
    best: tuple[float, Choice, Linear, Floats] | None = None
    for scaling in SCALINGS:
        losses: list[float] = []
        for strength in STRENGTHS:
            choice = Choice(scaling, strength)
            progress(f"linear: {scaling}, {strength:g}")
            model = fit_linear(*train, classes, choice, weights)
            logits = logits_of(model, valid[0])
            # As it will be served: too sure of itself is mended by the temperature, wrong is not.
            losses.append(log_loss(logits / fit_temperature(logits, valid[1]), valid[1]))
            if best is None or losses[-1] < best[0]:
                best = (losses[-1], choice, model, logits)
            if any(later > earlier for earlier, later in pairwise(losses)):
                break  # more freedom has begun to hurt
    assert best is not None
    return best[1:]


def logits_of(model: Linear, x: Any) -> Floats:
    """Logits of the rows of a presence matrix."""
    return model.of_bags(x.indices, x.indptr)
