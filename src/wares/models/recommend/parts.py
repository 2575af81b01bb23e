"""Parts: score sources behind one face. Each is fitted on sequences and side information and scores whole catalogues.

A part is whatever has ``scores(histories) → (n, n_items)``; a blend takes any number of them by name. A history is an
``int32`` array of item rows, oldest first: a user's or a session's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.features.interactions import Interactions
from wares.models.recommend import closed_form as cf

Histories = Sequence[NDArray[np.int32]]
CELLS = 24_000_000
LONGEST = 100
FEW = 8


class Part(Protocol):
    """A fitted score source. One that may reach few items only also has ``reached(histories) → Reached | None``."""

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        """Scores ``(n_histories, n_items) float32``, higher is better; what a history holds is not left out."""
        ...


@dataclass(frozen=True, slots=True)
class Reached:
    """Scores of the items that some histories lead to: those of history i stand at ``ptr[i]:ptr[i + 1]``.

    ``items (m,)``, each once a history, and ``values (m,)``; every other item of the catalogue scores 0.
    """

    ptr: NDArray[Any]
    items: NDArray[np.int32]
    values: NDArray[np.float32]

    @classmethod
    def of(cls, matrix: sp.csr_matrix) -> Reached:
        """The stored cells of a matrix ``(n_histories, n_items)``."""
        return cls(matrix.indptr, matrix.indices, np.asarray(matrix.data, np.float32))

    def dense(self, n_items: int) -> NDArray[np.float32]:
        """Scores ``(n_histories, n_items)``."""
        out = np.zeros((len(self.ptr) - 1, n_items), np.float32)
        out[np.repeat(np.arange(len(out)), np.diff(self.ptr)), self.items] = self.values
        return out


@dataclass(frozen=True)
class Side:
    """What is known of items beside behaviour.

    ``vectors`` name → ``(n_items, dim) float32``, rows of zeros where there is none; ``features`` name → sparse
    ``(n_items, n_features)`` memberships (attributes, entities of a graph); ``weights`` name → sparse item × item
    likeness, made elsewhere. What is named in ``apart`` speaks by a part of its own only: a graph, so that it can be
    left out, and what may leak.
    """

    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict[str, NDArray[np.float32]])
    features: Mapping[str, sp.csr_matrix] = field(default_factory=dict[str, sp.csr_matrix])
    weights: Mapping[str, sp.csr_matrix] = field(default_factory=dict[str, sp.csr_matrix])
    apart: frozenset[str] = frozenset()

    def joint(self) -> Side:
        """What models of behaviour learn together with behaviour: all vectors and features but those set apart."""
        return Side(
            {n: v for n, v in self.vectors.items() if n not in self.apart},
            {n: f for n, f in self.features.items() if n not in self.apart},
        )

    def check(self, n_items: int) -> None:
        """Raise QueryError when an array is not about `n_items` items or holds what is no number."""
        shapes = {
            **{n: v.shape for n, v in self.vectors.items()},
            **{n: m.shape for n, m in self.features.items()},
        }
        for name, shape in [*shapes.items(), *((n, w.shape) for n, w in self.weights.items())]:
            if len(shape) != 2 or shape[0] != n_items or (name in self.weights and shape[1] != n_items):
                raise QueryError(
                    f"side information {name!r} has the shape {shape}, the catalogue {n_items:,} items",
                    mend="Give one row an item, in the order of the catalogue",
                    parameter=name,
                )
        for name, vectors in self.vectors.items():
            if not np.isfinite(vectors).all():
                raise QueryError(
                    f"the vectors {name!r} hold NaN or infinity", mend="Encode them again", parameter=name
                )


def sequences_of(data: Interactions) -> list[NDArray[np.int32]]:
    """Each user's items, oldest first by when they were last met; ties go to the lower row."""
    out = []
    for user in range(data.n_users):
        part = data.of(user)
        out.append(np.asarray(data.items[part][np.lexsort((data.items[part], data.last[part]))], np.int32))
    return out


def query_matrix(histories: Histories, n_items: int, decay: float, longest: int = LONGEST) -> sp.csr_matrix:
    """Histories as weights ``decay ** (steps from the end)``; of a repeated item the newest counts."""
    ptr, items, weights = _query_cells(histories, decay, longest)
    return sp.csr_matrix((weights, items, ptr), shape=(len(histories), n_items))


def _query_cells(
    histories: Histories, decay: float, longest: int = LONGEST
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The cells of `query_matrix`, row by row: (where each history begins, items, weights)."""
    recent = [np.asarray(history[-longest:]) for history in histories]
    lengths = np.array([len(r) for r in recent], np.int64)
    flat = np.concatenate([np.zeros(0, np.int64), *recent]).astype(np.int64)
    row = np.repeat(np.arange(len(recent)), lengths)
    age = np.repeat(np.cumsum(lengths), lengths) - 1 - np.arange(len(flat))
    order = np.lexsort((age, flat, row))
    row, flat, age = row[order], flat[order], age[order]
    newest = np.ones(len(flat), bool)
    newest[1:] = (row[1:] != row[:-1]) | (flat[1:] != flat[:-1])
    row, flat, age = row[newest], flat[newest], age[newest]
    ptr = np.searchsorted(row, np.arange(len(recent) + 1))
    return ptr, flat, np.power(decay, age).astype(np.float32)


def batches(n: int, n_items: int) -> Iterator[slice]:
    """Slices of `n` histories whose dense scores stay near a hundred megabytes."""
    step = max(1, min(1024, CELLS // max(n_items, 1)))
    for start in range(0, n, step):
        yield slice(start, min(n, start + step))


class Weights:
    """Item-to-item weights, dense or sparse, asked with a history that fades."""

    def __init__(self, weights: Any, decay: float) -> None:
        self.weights, self.decay = sp.csr_matrix(weights) if sp.issparse(weights) else weights, decay

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        """Weighted sums over the history."""
        found = query_matrix(histories, self.weights.shape[0], self.decay) @ self.weights
        return np.asarray(found.toarray() if sp.issparse(found) else found, np.float32)

    def reached(self, histories: Histories) -> Reached | None:
        """The neighbours of what the history holds; None for dense weights."""
        if not sp.issparse(self.weights):
            return None
        if len(histories) > FEW:
            return Reached.of(query_matrix(histories, self.weights.shape[0], self.decay) @ self.weights)
        return _gather(*_query_cells(histories, self.decay), self.weights)


def _gather(
    ptr: NDArray[np.int64], items: NDArray[np.int64], weights: NDArray[np.float32], rows: sp.csr_matrix
) -> Reached:
    """The product of a few sparse queries with a matrix; scipy's takes memory and time for every column."""
    n = rows.shape[1]
    begin, end = rows.indptr[items], rows.indptr[items + 1]
    parts = [slice(a, b) for a, b in zip(begin.tolist(), end.tolist(), strict=True)]
    none = slice(0, 0)
    key = np.concatenate([rows.indices[part] for part in parts or [none]]).astype(np.int64)
    value = np.concatenate([rows.data[part] for part in parts or [none]])
    value *= np.repeat(weights, end - begin)
    if len(ptr) > 2:
        key += np.repeat(np.repeat(np.arange(len(ptr) - 1), np.diff(ptr)), end - begin) * n
    order = np.argsort(key, kind="stable")
    key, value = key[order], value[order]
    first = np.flatnonzero(np.concatenate([np.ones(min(len(key), 1), bool), key[1:] != key[:-1]]))
    key = key[first]
    return Reached(
        np.searchsorted(key, np.arange(len(ptr)) * n),
        (key % n if len(ptr) > 2 else key).astype(np.int32),
        np.add.reduceat(value, first) if len(first) else value,
    )


class LowRank:
    """The factorised closed form of large catalogues, asked with a history that fades."""

    def __init__(self, model: cf.LowRankEase, decay: float) -> None:
        self.model, self.decay = model, decay

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        """Weighted sums over the history."""
        return self.model.scores(query_matrix(histories, len(self.model.left), self.decay))


class Near:
    """Items whose vectors are near what the history holds: the way in for items that nobody has bought.

    ``vectors (n_items, dim)`` are centred, whitened by `power` (0 is whole whitening, 1 none) and brought to length
    one; rows of zeros stay out.
    """

    def __init__(
        self, vectors: NDArray[np.float32], decay: float, power: float = 0.5, rank: int = 256
    ) -> None:
        self.vectors, self.decay = whitened(vectors, power, rank), decay

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        """Mean cosine with the history."""
        query = query_matrix(histories, len(self.vectors), self.decay)
        return np.asarray((query @ self.vectors) @ self.vectors.T, np.float32)


class Carried:
    """Behaviour carried over to items that have none by what they are like.

    An item gets the mean, over the `k` items that it is most like (``likeness (n_items, dim)`` rows of length one,
    dense or sparse; itself left out), of what the history says of them: that it holds them, and ``push`` times how
    strongly behaviour leads to them (``weights``: item-to-item, rows are asked). Warm items are scored from their
    neighbours alone, too, so that both compete on one scale. Neighbourhood smoothing after Nadaraya and Watson (1964).
    """

    def __init__(self, likeness: Any, weights: Any, decay: float, push: float, k: int = 50) -> None:
        self.weights, self.decay, self.push = weights, decay, push
        self.near = nearest_rows(likeness, k)

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        """Smoothed scores of the whole catalogue."""
        return self.reached(histories).dense(self.near.shape[0])

    def reached(self, histories: Histories) -> Reached:
        """The items like what the history holds or leads to."""
        n = self.near.shape[0]
        own = _unit_rows(query_matrix(histories, n, self.decay))
        led = sp.csr_matrix(query_matrix(histories, n, self.decay) @ self.weights)
        led.data = np.maximum(led.data, 0)
        return Reached.of(sp.csr_matrix((own + _unit_rows(led) * np.float32(self.push)) @ self.near.T))


def nearest_rows(likeness: Any, k: int) -> sp.csr_matrix:
    """The `k` largest positive cosines of each row with the others ``(n, n)``; rows must have length one or zero."""
    n = likeness.shape[0]
    k = min(k, n - 1)
    flipped = likeness.T.tocsr() if sp.issparse(likeness) else likeness.T
    ids, values = np.zeros((n, max(k, 0)), np.int32), np.zeros((n, max(k, 0)), np.float32)
    for some in batches(n, n):
        block = likeness[some] @ flipped
        block = np.asarray(block.toarray() if sp.issparse(block) else block, np.float32)
        block[np.arange(len(block)), np.arange(some.start, some.stop)] = 0
        if k > 0:
            top = np.argpartition(block, n - k, axis=1)[:, n - k :]
            ids[some], values[some] = top, np.maximum(np.take_along_axis(block, top, 1), 0)
    out = sp.csr_matrix((values.ravel(), ids.ravel(), np.arange(n + 1) * max(k, 0)), shape=(n, n))
    out.eliminate_zeros()
    return out


def _unit_rows(matrix: sp.csr_matrix) -> sp.csr_matrix:
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(1)).ravel())
    return sp.csr_matrix(sp.diags((1 / np.maximum(length, 1e-9)).astype(np.float32)) @ matrix)


class Popular:
    """What sells, the same for everybody. ``counts (n_items,)`` of a recent window."""

    def __init__(self, counts: NDArray[Any]) -> None:
        self.counts = np.log1p(np.asarray(counts, np.float32))

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        """The logarithm of the counts, for each history."""
        return np.tile(self.counts, (len(histories), 1))


class Own:
    """What the history itself holds, often and lately: for what is bought again."""

    def __init__(self, n_items: int, decay: float) -> None:
        self.n_items, self.decay = n_items, decay

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        """The sum of ``decay ** (steps from the end)`` of each item."""
        return self.reached(histories).dense(self.n_items)

    def reached(self, histories: Histories) -> Reached:
        """The items that the history holds."""
        lengths = np.array([len(h) for h in histories], np.int64)
        flat = np.concatenate([np.zeros(0, np.int64), *histories]).astype(np.int64)
        age = np.repeat(np.cumsum(lengths), lengths) - 1 - np.arange(len(flat))
        cells = (self.decay**age, (np.repeat(np.arange(len(lengths)), lengths), flat))
        # A matrix of pairs sums what stands twice in a row.
        return Reached.of(sp.coo_matrix(cells, shape=(len(lengths), self.n_items)).tocsr())


def whitened(vectors: NDArray[np.float32], power: float = 0.5, rank: int = 256) -> NDArray[np.float32]:
    """Centred vectors with singular values raised to `power`, of mean length one ``(n, ≤ rank) float32``.

    Sentence vectors crowd into a cone with few strong directions; whitening spreads what tells items apart (Su et al.
    2021, https://arxiv.org/abs/2103.15316).
    """
    vectors = np.asarray(vectors, np.float32)
    there = np.linalg.norm(vectors, axis=1) > 0
    out = np.zeros((len(vectors), max(1, min(rank, vectors.shape[1]))), np.float32)
    if there.sum() < 2:
        return out
    centred = vectors[there] - vectors[there].mean(0)
    values, axes = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    order = np.argsort(-values)[: out.shape[1]]
    scale = np.sqrt(np.maximum(values[order], 0.0))
    turned = (
        centred
        @ axes[:, order]
        * np.where(scale > scale[0] * 1e-6, np.maximum(scale, 1e-12) ** (power - 1), 0)
    )
    lengths = np.linalg.norm(turned, axis=1, keepdims=True)
    out[there] = turned / np.maximum(lengths, 1e-9)
    return out
