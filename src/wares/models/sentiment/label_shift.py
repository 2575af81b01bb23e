"""Probabilities of a classifier, trained where bad texts are as common as they are, read where they are rarer or commoner."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_CLIP = 1e-4


def adapted(values: NDArray[Any], trained: float, here: float | None = None, rounds: int = 200) -> Floats:
    """Probabilities of the bad label `values (n,)` for a place where its share is `here`, not `trained` as in training.

    Without `here` it is found by expectation and maximisation (Saerens, Latinne, Decaestecker, *Adjusting the Outputs of a
    Classifier to New a Priori Probabilities*, Neural Computation 2002). Their mean is then that share, and among means of
    them no other weighing of single texts tells a small change of it sooner: they are the score of the mixture.
    """
    p = np.clip(np.asarray(values, float), _CLIP, 1 - _CLIP)
    if here is None:
        here = share_of_bad(p, trained, rounds)
    return _turned(p, trained, here)


def share_of_bad(values: NDArray[Any], trained: float, rounds: int = 200) -> float:
    """The share of the bad label that makes the `values` likeliest."""
    if not len(values):
        return trained
    p, share = np.clip(np.asarray(values, float), _CLIP, 1 - _CLIP), trained
    for _ in range(rounds):
        after = float(np.clip(_turned(p, trained, share).mean(), _CLIP, 1 - _CLIP))
        if abs(after - share) < 1e-6:
            break
        share = after
    return share


def _turned(p: Floats, trained: float, here: float) -> Floats:
    bad, good = p * here / trained, (1 - p) * (1 - here) / (1 - trained)
    return bad / (bad + good)
