"""Which pairs are worth comparing: nearest neighbours by rare words and by character pieces, and exact keys.

All pairs of 28,000 offers are 400 million; a few dozen neighbours of each hold nearly every true match that a text
can show. Sparse TF-IDF products find them. Words so common that their products would cost more than `BUDGET`
multiplications are left out, rarest first kept, so that time stays linear whatever the texts are (Papadakis et al.,
"Blocking and Filtering Techniques for Entity Resolution: A Survey", ACM CSUR 2020, calls it block purging).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.words import Reading

BUDGET = 2_000
"""Multiplications allowed a row in one sparse product."""
GRAM = 4
SAME_BLOCK = 12
"""So many neighbours each row gets among rows whose key is the same, however many share it."""

Pairs = NDArray[np.int64]
"""Shape (pairs, 2); the first of each is the smaller row; sorted and unique."""


def word_matrix(rows: Iterable[Iterable[str]], n: int) -> tuple[sp.csr_matrix, dict[str, int]]:
    """Rows × words, 1 where the row has the word; columns in the order of the words, whatever order sets come in."""
    vocabulary: dict[str, int] = {}
    indices: list[int] = []
    ends = np.zeros(n + 1, np.int64)
    for at, row in enumerate(rows):
        indices += [vocabulary.setdefault(word, len(vocabulary)) for word in dict.fromkeys(row)]
        ends[at + 1] = len(indices)
    words = sorted(vocabulary)
    place = np.zeros(max(1, len(words)), np.int64)
    place[[vocabulary[word] for word in words]] = np.arange(len(words))
    matrix = sp.csr_matrix(
        (np.ones(len(indices), np.float32), place[np.asarray(indices, np.int64)], ends),
        shape=(n, max(1, len(vocabulary))),
    )
    matrix.sort_indices()
    return matrix, {word: at for at, word in enumerate(words)}


def gram_rows(readings: Sequence[Reading]) -> Iterable[set[str]]:
    """Character pieces of each reading's words; words with digits also keep their beginning apart."""
    known: dict[str, tuple[str, ...]] = {}
    for reading in readings:
        pieces: set[str] = set()
        for word in reading.words:
            found = known.get(word)
            if found is None:
                whole = f"^{word}" if any(ch.isdigit() for ch in word) else word
                found = tuple(whole[i : i + GRAM] for i in range(max(1, len(whole) - GRAM + 1)))
                known[word] = found
            pieces.update(found)
        yield pieces


def weights(matrix: sp.csr_matrix) -> NDArray[np.float32]:
    """Inverse document frequency of each column, ``ln((n + 1) / (df + 1)) + 0.1``."""
    frequency = np.bincount(matrix.indices, minlength=matrix.shape[1])
    return (np.log((matrix.shape[0] + 1) / (frequency + 1)) + 0.1).astype(np.float32)


def unit_rows(matrix: sp.csr_matrix, weight: NDArray[np.float32]) -> sp.csr_matrix:
    """The matrix weighted, every row of length one (rows without words stay empty)."""
    weighted = matrix.copy()
    weighted.data = weight[weighted.indices]
    length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    weighted.data /= np.repeat(np.maximum(length, 1e-9), np.diff(weighted.indptr)).astype(np.float32)
    return weighted


def neighbours(
    unit: sp.csr_matrix, k: int, budget: int = BUDGET, side: NDArray[np.int32] | None = None
) -> Pairs:
    """Pairs of each row with its `k` nearest by cosine; with `side`, only between rows of different sides."""
    n = unit.shape[0]
    frequency = np.bincount(unit.indices, minlength=unit.shape[1])
    order = np.argsort(frequency, kind="stable")
    cost = np.cumsum(frequency[order].astype(np.float64) ** 2)
    keep = np.zeros(len(frequency), bool)
    keep[order[cost <= budget * max(n, 1)]] = True
    keep &= frequency > 1
    rare = unit[:, np.flatnonzero(keep)].tocsr()
    turned = rare.T.tocsr()
    found: list[Pairs] = []
    step = 2000
    for start in range(0, n, step):
        product = (rare[start : start + step] @ turned).tocsr()
        for at in range(product.shape[0]):
            row, span = start + at, slice(product.indptr[at], product.indptr[at + 1])
            columns, values = product.indices[span], product.data[span]
            fit = columns != row if side is None else side[columns] != side[row]
            columns, values = columns[fit], values[fit]
            if len(columns) > k:
                columns = columns[np.argpartition(-values, k)[:k]]
            found.append(np.column_stack([np.full(len(columns), row), columns]))
    return ordered_pairs(np.concatenate(found) if found else np.zeros((0, 2), np.int64))


def same_key(keys: Sequence[str], limit: int = SAME_BLOCK) -> Pairs:
    """Pairs of rows with the same non-empty key. In a large block each row meets the next `limit` only, in a ring."""
    blocks: dict[str, list[int]] = {}
    for at, key in enumerate(keys):
        if key:
            blocks.setdefault(key, []).append(at)
    found: list[tuple[int, int]] = []
    for block in blocks.values():
        size = len(block)
        for at in range(size):
            found += [(block[at], block[(at + step) % size]) for step in range(1, min(limit + 1, size))]
    return ordered_pairs(np.asarray(found, np.int64).reshape(-1, 2))


def ordered_pairs(pairs: Pairs) -> Pairs:
    """Smaller row first, sorted, each pair once, no row with itself."""
    pairs = pairs[pairs[:, 0] != pairs[:, 1]].astype(np.int64)
    low, high = pairs.min(axis=1, initial=2**62), pairs.max(axis=1, initial=-1)
    order = np.lexsort((high, low))
    low, high = low[order], high[order]
    fresh = np.ones(len(low), bool)
    fresh[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    return np.column_stack([low[fresh], high[fresh]])


def union(*parts: Pairs) -> Pairs:
    """All pairs of several sets, once."""
    return ordered_pairs(
        np.concatenate([part for part in parts if len(part)] or [np.zeros((0, 2), np.int64)])
    )
