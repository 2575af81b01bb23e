"""Next item in closed form: ridge regression from a fading past to what came next.

EASE learns which items go together; this learns which item follows. Every prefix of every sequence is a row: S holds
the past with weight ``decay ** age``, T the item that followed. B = (SᵀS + λI)⁻¹ SᵀT (the linear transition model of
Choe et al., *Session-aware Linear Item-Item Models*, WWW 2021, https://arxiv.org/abs/2103.16104, with the next item
as the only target). Side information joins as further rows in which past and future are items that share a feature
or a direction of their text vectors (after CEASE: Jeunen, Van Balen, Goethals, RecSys 2020).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.models.recommend.closed_form import BLOCK, likeness

WINDOW = 50
DECAY = 0.7


def prefixes(
    sequences: Sequence[NDArray[np.int32]],
    n_items: int,
    decay: float,
    window: int = WINDOW,
    known: NDArray[np.int64] | None = None,
) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """(S, T), both ``(n_prefixes, n_items)``: the fading past of every prefix, at most `window` long, and what came next.

    `known (n_sequences,)` says how many items of each sequence were counted before: only what came after them is a
    target.
    """
    lengths = np.array([len(s) for s in sequences], np.int64)
    flat = np.concatenate([np.zeros(0, np.int64), *sequences]).astype(np.int64)
    place = np.arange(len(flat)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    begin = np.ones(len(lengths), np.int64) if known is None else np.maximum(known, 1)
    ends = np.flatnonzero(place >= np.repeat(begin, lengths))
    rows, columns, values = [], [], []
    for lag in range(1, min(window, int(place.max(initial=0))) + 1):
        there = np.flatnonzero(place[ends] >= lag)
        rows.append(there)
        columns.append(flat[ends[there] - lag])
        values.append(np.full(len(there), decay ** (lag - 1), np.float32))
    none = np.zeros(0, np.int64)
    past = sp.csr_matrix(
        (np.concatenate([none.astype(np.float32), *values]), (np.concatenate([none, *rows]), np.concatenate([none, *columns]))),
        shape=(len(ends), n_items),
    )  # fmt: skip
    target = sp.csr_matrix(
        (np.ones(len(ends), np.float32), flat[ends], np.arange(len(ends) + 1)), shape=(len(ends), n_items)
    )
    return past, target


def transitions(
    sequences: Sequence[NDArray[np.int32]], n_items: int, decay: float, window: int = WINDOW
) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """(SᵀS, SᵀT), both ``(n_items, n_items)`` sparse, of all prefixes of the sequences."""
    past, target = prefixes(sequences, n_items, decay, window)
    flipped = past.T.tocsr()
    return (flipped @ past).tocsr(), (flipped @ target).tocsr()


class NextItem:
    """The model over the columns that a recommender kept, in its dense or its sparse form."""

    def __init__(
        self,
        sequences: Sequence[NDArray[np.int32]],
        n_columns: int,
        regularisation: float,
        *,
        dense: bool,
        k: int = 200,
    ) -> None:
        self.weights: Any
        if dense:
            within, following = transitions(sequences, n_columns, DECAY)
            self.weights = next_item_weights(within, following, regularisation)
        else:
            self.weights = sparse_next_item(sequences, n_columns, DECAY, regularisation, k)

    def scores(self, query: sp.csr_matrix) -> NDArray[np.float32]:
        """Scores of weighted histories."""
        found = query @ self.weights
        return np.asarray(found.toarray() if sp.issparse(found) else found, np.float32)

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Rows of the weight matrix in order, the diagonal left out."""
        for start in range(0, self.weights.shape[0], BLOCK):
            rows = self.weights[start : start + BLOCK]
            block = np.array(rows.toarray() if sp.issparse(rows) else rows, np.float32)
            block[np.arange(len(block)), np.arange(start, start + len(block))] = 0
            yield start, block


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
    del left, factor
    # Rows in a row: scipy copies any other matrix for each product with a history.
    return np.ascontiguousarray(right, np.float32)


def sparse_next_item(
    sequences: Sequence[NDArray[np.int32]], n_items: int, decay: float, regularisation: float, k: int = 200
) -> sp.csr_matrix:
    """The same with only the diagonal of SᵀS inverted, for catalogues too large for n²: the best `k` of each row."""
    past, target = prefixes(sequences, n_items, decay)
    scale = 1.0 / (np.asarray(past.multiply(past).sum(0)).ravel() + regularisation)
    weights = sp.csr_matrix(sp.diags(scale.astype(np.float32)) @ (past.T.tocsr() @ target))
    return best_rows(weights, k)


def best_rows(weights: sp.csr_matrix, k: int) -> sp.csr_matrix:
    """Only the `k` largest entries of each row."""
    for row in np.flatnonzero(np.diff(weights.indptr) > k):
        part = slice(weights.indptr[row], weights.indptr[row + 1])
        values = weights.data[part]
        values[np.argpartition(-values, k)[k:]] = 0
    weights.eliminate_zeros()
    return weights
