"""Next item in closed form: ridge regression from a fading past to what came next.

EASE learns which items go together; this learns which item follows. Every prefix of every sequence is a row: S holds
the past with weight ``decay ** age``, T the item that followed. B = (SᵀS + λI)⁻¹ SᵀT (the linear transition model of
Choe et al., *Session-aware Linear Item-Item Models*, WWW 2021, https://arxiv.org/abs/2103.16104, with the next item
as the only target). Side information joins as further rows in which past and future are items that share a feature
or a direction of their text vectors (after CEASE: Jeunen, Van Balen, Goethals, RecSys 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.models.recommend.closed_form import likeness

WINDOW = 50


def transitions(
    sequences: Sequence[NDArray[np.int32]], n_items: int, decay: float, window: int = WINDOW
) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """(SᵀS, SᵀT), both ``(n_items, n_items)`` sparse, of all prefixes of the sequences."""
    lengths = [max(0, len(s) - 1) for s in sequences]
    total = sum(lengths)
    ptr = np.zeros(total + 1, np.int64)
    pasts: list[NDArray[Any]] = []
    values: list[NDArray[Any]] = []
    fade = decay ** np.arange(window - 1, -1, -1.0)
    row = 0
    for sequence in sequences:
        for end in range(1, len(sequence)):
            past = sequence[max(0, end - window) : end]
            pasts.append(past)
            values.append(fade[window - len(past) :])
            ptr[row + 1] = ptr[row] + len(past)
            row += 1
    none = np.zeros(0)
    following = np.concatenate([none, *(s[1:] for s in sequences)]).astype(np.int64)
    past = sp.csr_matrix(
        (np.concatenate([none, *values]).astype(np.float32), np.concatenate([none, *pasts]).astype(np.int64), ptr),
        shape=(total, n_items),
    )  # fmt: skip
    target = sp.csr_matrix(
        (np.ones(total, np.float32), following, np.arange(total + 1)), shape=(total, n_items)
    )
    flipped = past.T.tocsr()
    return (flipped @ past).tocsr(), (flipped @ target).tocsr()


def next_item_weights(
    within: sp.csr_matrix,
    following: sp.csr_matrix,
    regularisation: float,
    side: Sequence[tuple[Any, float]] = (),
) -> NDArray[np.float32]:
    """B ``(n_items, n_items) float32`` by one Cholesky factorisation, solved in place: two n² matrices of memory.

    `side` holds (features ``(n_items, d)`` dense or sparse, weight). Weights of zero or below leave one out.

    Raises:
        numpy.linalg.LinAlgError: when the matrix is not positive definite; a larger regularisation mends it.
    """
    n = within.shape[0]
    left = np.asfortranarray(within.toarray(), np.float32)
    right = np.asfortranarray(following.toarray(), np.float32)
    for features, weight in side:
        if weight <= 0:
            continue
        for start in range(0, n, 1024):
            stop = min(n, start + 1024)
            block = likeness(features, features[start:stop], weight)
            left[:, start:stop] += block
            block[np.arange(start, stop), np.arange(stop - start)] = 0
            right[:, start:stop] += block
    left[np.diag_indices(n)] += np.float32(regularisation)
    factor, fault = scipy.linalg.lapack.spotrf(left, lower=True, overwrite_a=True)
    if fault == 0:
        right, fault = scipy.linalg.lapack.spotrs(factor, right, lower=True, overwrite_b=True)
    if fault:
        raise np.linalg.LinAlgError(
            f"the transition matrix is not positive definite (LAPACK {fault}); raise the regularisation"
        )
    return np.asarray(right, np.float32)


def sparse_next_item(
    within: sp.csr_matrix, following: sp.csr_matrix, regularisation: float, k: int = 200
) -> sp.csr_matrix:
    """The same with only the diagonal of SᵀS inverted, for catalogues too large for n²: the best `k` of each row."""
    scale = 1.0 / (within.diagonal() + regularisation)
    weights = (sp.diags(scale.astype(np.float32)) @ following).tocsr()
    for row in np.flatnonzero(np.diff(weights.indptr) > k):
        part = slice(weights.indptr[row], weights.indptr[row + 1])
        values = weights.data[part]
        values[np.argpartition(-values, k)[k:]] = 0
    weights.eliminate_zeros()
    return weights
