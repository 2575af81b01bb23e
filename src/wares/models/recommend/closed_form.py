"""Item-item models in closed form: EASE, its factorised form for large catalogues, and item-kNN.

EASE: Steck, *Embarrassingly Shallow Autoencoders for Sparse Data*, WWW 2019, https://arxiv.org/abs/1905.03375.
With G = XᵀX and P = (G + λI)⁻¹ the weights are B_ij = −P_ij / P_jj and B_ii = 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.threads import each
from wares.features.interactions import Interactions

BLOCK = 1024
EXACT_USERS = 6000
DENSE_NEIGHBOURS = 60_000


class ItemModel(Protocol):
    """Weights from items to items, over the columns that `to_matrix` kept."""

    def scores(self, query: sp.csr_matrix) -> NDArray[np.float32]:
        """Scores ``(n_queries, n_columns)`` of weighted histories ``(n_queries, n_columns)``."""
        ...


@dataclass(frozen=True, slots=True)
class Columns:
    """Which items a collaborative model learns: ``items (n_columns,)`` by column, ``column_of (n_items,)`` or -1."""

    items: NDArray[np.int32]
    column_of: NDArray[np.int32]

    @classmethod
    def supported(cls, data: Interactions, min_support: int) -> Columns:
        """Items that at least `min_support` users have."""
        items = np.flatnonzero(data.item_counts() >= min_support).astype(np.int32)
        column_of = np.full(data.n_items, -1, np.int32)
        column_of[items] = np.arange(len(items))
        return cls(items, column_of)


def to_matrix(
    data: Interactions, columns: Columns, values: NDArray[np.float32] | None = None
) -> sp.csr_matrix:
    """The users × columns matrix, binary unless `values (nnz,)` are given."""
    column = columns.column_of[data.items]
    kept = column >= 0
    cells = np.ones(len(column), np.float32) if values is None else np.asarray(values, np.float32)
    shape = (data.n_users, len(columns.items))
    return sp.csr_matrix((cells[kept], (data.rows()[kept], column[kept])), shape=shape)


def likeness(features: Any, some: Any, weight: float) -> NDArray[np.float32]:
    """``weight · features · someᵀ`` dense, of dense or sparse features."""
    product = features @ some.T
    return np.asarray(product.toarray() if sp.issparse(product) else product, np.float32) * np.float32(weight)


class Ease:
    """Exact EASE over all columns: n² float32 of memory twice, a Cholesky factorisation and its inverse.

    `side` holds (features ``(n, d)`` dense or sparse, weight): likeness in text or attributes that acts as further
    users (CEASE and L3AE's joint form); weights of zero or below leave one out.
    """

    def __init__(
        self, matrix: sp.csr_matrix, regularisation: float, side: Sequence[tuple[Any, float]] = ()
    ) -> None:
        n = matrix.shape[1]
        gram = np.zeros((n, n), np.float32, order="F")
        transposed = matrix.T.tocsr()
        for start in range(0, n, BLOCK):
            part = slice(start, min(n, start + BLOCK))
            gram[:, part] = (transposed @ matrix[:, part]).toarray()
            for features, weight in side:
                if weight > 0:
                    gram[:, part] += likeness(features, features[part], weight)
        gram[np.diag_indices(n)] += np.float32(regularisation)
        factor, fault = scipy.linalg.lapack.spotrf(gram, lower=True, overwrite_a=True)
        if fault == 0:
            inverse, fault = scipy.linalg.lapack.spotri(factor, lower=True, overwrite_c=True)
        if fault:
            raise np.linalg.LinAlgError(
                f"the Gram matrix is not positive definite (LAPACK {fault}); raise the regularisation"
            )
        diagonal = np.diag(inverse).copy()
        for start in range(0, n, BLOCK):
            stop = min(n, start + BLOCK)
            block = inverse[start:stop, start:stop]
            inverse[start:stop, start:stop] = np.tril(block) + np.tril(block, -1).T
            inverse[start:stop, stop:] = inverse[stop:, start:stop].T
        # Symmetric until now, so its rows lie in a row when it is turned: scipy copies any other matrix for each product.
        inverse = inverse.T
        inverse /= -diagonal[None, :]
        inverse[np.diag_indices(n)] = 0
        self.weights: NDArray[np.float32] = inverse

    def scores(self, query: sp.csr_matrix) -> NDArray[np.float32]:
        """Scores of weighted histories."""
        return np.asarray(query @ self.weights, np.float32)

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Rows of the weight matrix in order."""
        for start in range(0, len(self.weights), BLOCK):
            yield start, np.array(self.weights[start : start + BLOCK])


class Factors:
    """Singular vectors of the matrix, computed once and shared by every regularisation.

    ``right (n_columns, rank)`` and ``values (rank,)``; exact when there are few users, otherwise by the randomised
    range finder (Halko, Martinsson, Tropp 2011, https://arxiv.org/abs/0909.4061).
    """

    def __init__(self, matrix: sp.csr_matrix, rank: int, seed: int) -> None:
        n_users, n = matrix.shape
        rank = max(1, min(rank, n_users, n))
        if n_users <= EXACT_USERS:
            gram = (matrix @ matrix.T).toarray().astype(np.float64)
            values, left = scipy.linalg.eigh(
                gram, subset_by_index=(n_users - rank, n_users - 1), overwrite_a=True
            )
            keep = values > max(1e-6, values[-1] * 1e-9)
            values, left = values[keep][::-1], left[:, keep][:, ::-1]
            self.values: NDArray[np.float32] = np.sqrt(values).astype(np.float32)
            self.right: NDArray[np.float32] = np.asarray(
                matrix.T @ (left / np.sqrt(values)).astype(np.float32), np.float32
            )
            return
        rng = np.random.default_rng(seed)
        basis = np.asarray(matrix.T @ rng.standard_normal((n_users, rank + 16), np.float32))
        for _ in range(4):
            basis, _ = np.linalg.qr(np.asarray(matrix.T @ (matrix @ basis)))
        _, values, small = np.linalg.svd(np.asarray(matrix @ basis), full_matrices=False)
        self.values = values[:rank].astype(np.float32)
        self.right = np.asarray(basis @ small[:rank].T, np.float32)


class LowRankEase:
    """EASE on the leading singular vectors: P = (I − F Fᵀ) / λ with F = V · sqrt(s² / (s² + λ)).

    By the push-through identity this is EASE of the truncated matrix; with full rank it is EASE itself.
    Memory: n_columns × rank float32.
    """

    def __init__(self, factors: Factors, regularisation: float) -> None:
        s2 = factors.values**2
        self.left: NDArray[np.float32] = factors.right * np.sqrt(s2 / (s2 + regularisation)).astype(
            np.float32
        )
        slack = np.maximum(1.0 - (self.left**2).sum(1), 1e-3)
        self.right: NDArray[np.float32] = self.left / slack[:, None]
        self._self = (self.left * self.right).sum(1)

    def scores(self, query: sp.csr_matrix) -> NDArray[np.float32]:
        """Scores of weighted histories."""
        out = np.asarray(query @ self.left) @ self.right.T
        own = query.multiply(self._self[None, :]).tocoo()
        out[own.row, own.col] -= own.data
        return out

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Rows of the weight matrix in order."""
        for start in range(0, len(self.left), BLOCK):
            block = self.left[start : start + BLOCK] @ self.right.T
            block[np.arange(len(block)), np.arange(start, start + len(block))] = 0
            yield start, block


class ItemKnn:
    """Cosine item-kNN with shrinkage (Sarwar et al., WWW 2001): c_ij / (sqrt(c_ii c_jj) + shrink), best k a row."""

    def __init__(self, matrix: sp.csr_matrix, shrink: float = 10.0, k: int = 100) -> None:
        n = matrix.shape[1]
        norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(0)).ravel()).astype(np.float32)
        transposed = matrix.T.tocsr()
        self.ids = np.full((n, min(k, n)), -1, np.int32)
        self.values = np.zeros((n, min(k, n)), np.float32)

        def fill(start: int) -> None:
            block = (transposed[start : start + BLOCK] @ matrix).tocsr()
            # Only what two items share is looked at: a dense row would be mostly ties at zero.
            for line in range(block.shape[0]):
                part = slice(block.indptr[line], block.indptr[line + 1])
                ids, both = block.indices[part], block.data[part]
                value = both / (norms[start + line] * norms[ids] + np.float32(shrink))
                value[ids == start + line] = 0
                if len(ids) > k:
                    top = np.argpartition(-value, k)[:k]
                    ids, value = ids[top], value[top]
                order = np.lexsort((ids, -value))
                self.ids[start + line, : len(ids)] = np.where(value[order] > 0, ids[order], -1)
                self.values[start + line, : len(ids)] = value[order]

        each(range(0, n, BLOCK), fill)
        self._pruned = neighbours_matrix(self.ids, self.values)

    def scores(self, query: sp.csr_matrix) -> NDArray[np.float32]:
        """Scores of weighted histories, over each item's k best neighbours."""
        return np.asarray((query @ self._pruned).toarray(), np.float32)


def best_of_rows(
    blocks: Iterator[tuple[int, NDArray[np.float32]]], n: int, k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The k largest positive entries of each row, best first: ids ``(n, k) int32`` padded with -1, weights ``(n, k)``.

    Ties go to the lower column.
    """
    k = max(1, min(k, n))
    ids = np.full((n, k), -1, np.int32)
    weights = np.zeros((n, k), np.float32)

    def choose(numbered: tuple[int, NDArray[np.float32]]) -> None:
        start, block = numbered
        top = np.argpartition(block, -k, axis=1)[:, -k:] if k < n else np.tile(np.arange(n), (len(block), 1))
        top.sort(axis=1)
        value = np.take_along_axis(block, top, 1)
        order = np.argsort(-value, axis=1, kind="stable")
        top, value = np.take_along_axis(top, order, 1), np.take_along_axis(value, order, 1)
        ids[start : start + len(block)] = np.where(value > 0, top, -1)
        weights[start : start + len(block)] = np.maximum(value, 0)

    each(blocks, choose)
    return ids, weights


def neighbours_matrix(ids: NDArray[Any], weights: NDArray[Any]) -> sp.csr_matrix:
    """Neighbour lists as a sparse matrix ``(n, n)``."""
    n = len(ids)
    kept = ids >= 0
    ptr = np.concatenate([[0], np.cumsum(kept.sum(1))])
    return sp.csr_matrix((weights[kept].astype(np.float32), ids[kept], ptr), shape=(n, n))


def approximate_neighbours(model: LowRankEase, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The same for catalogues too large to compare all pairs: an HNSW index over the factors (`usearch`)."""
    from usearch.index import Index

    n, rank = model.right.shape
    index = Index(ndim=rank, metric="ip", dtype="f16")
    index.add(np.arange(n), model.right, threads=0)
    ids = np.full((n, k), -1, np.int32)
    weights = np.zeros((n, k), np.float32)
    for start in range(0, n, 8192):
        found = index.search(model.left[start : start + 8192], k + 1)
        keys, values = np.atleast_2d(found.keys).astype(np.int64), 1.0 - np.atleast_2d(found.distances)
        for line in range(len(keys)):
            mine = (keys[line] != start + line) & (values[line] > 0)
            chosen = keys[line][mine][:k]
            ids[start + line, : len(chosen)] = chosen
            weights[start + line, : len(chosen)] = values[line][mine][:k]
    return ids, weights


def shared_users(matrix: sp.csr_matrix, ids: NDArray[np.int32]) -> NDArray[np.uint16]:
    """How many users have both items, for each neighbour ``(n, k) uint16``; for reasons in words."""
    binary = matrix.copy()
    binary.data[:] = 1
    transposed = binary.T.tocsr()
    out = np.zeros(ids.shape, np.uint16)

    def count(start: int) -> None:
        part = ids[start : start + BLOCK]
        both = (transposed[start : start + BLOCK] @ binary).toarray()
        found = np.take_along_axis(both, np.maximum(part, 0), 1)
        out[start : start + BLOCK] = np.where(part >= 0, np.minimum(found, 65_535), 0)

    each(range(0, len(ids), BLOCK), count)
    return out
