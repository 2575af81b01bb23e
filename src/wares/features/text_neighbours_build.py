"""The nearest texts of every text: exact below 50,000, by an HNSW index (`usearch`) above."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, save_arrays, seal

KIND = "text-neighbours"
EXACT = 50_000
BLOCK = 1024


def nearest(
    vectors: NDArray[Any], k: int, progress: Callable[[int, int], None]
) -> tuple[NDArray[np.int32], NDArray[np.float16]]:
    """Ids ``(n, k) int32`` padded with -1 and cosines ``(n, k) float16``, best first; the text itself comes first."""
    n = len(vectors)
    k = max(1, min(k, n)) if n else 1
    ids, sims = np.full((n, k), -1, np.int32), np.zeros((n, k), np.float16)
    if n > EXACT:
        return _approximate(vectors, ids, sims, progress)
    full = np.asarray(vectors, np.float32)
    for start in range(0, n, BLOCK):
        block = full[start : start + BLOCK] @ full.T
        block[np.arange(len(block)), np.arange(start, start + len(block))] = 2.0
        top = np.argpartition(-block, k - 1, axis=1)[:, :k]
        top.sort(axis=1)
        value = np.take_along_axis(block, top, 1)
        order = np.argsort(-value, axis=1, kind="stable")
        ids[start : start + BLOCK] = np.take_along_axis(top, order, 1)
        sims[start : start + BLOCK] = np.minimum(np.take_along_axis(value, order, 1), 1.0)
        progress(min(n, start + BLOCK), n)
    return ids, sims


def _approximate(
    vectors: NDArray[Any], ids: NDArray[Any], sims: NDArray[Any], progress: Callable[[int, int], None]
) -> tuple[Any, Any]:
    from usearch.index import Index

    n, k = ids.shape
    index = Index(ndim=vectors.shape[1], metric="ip", dtype="f16")
    for start in range(0, n, 50_000):
        index.add(
            np.arange(start, min(n, start + 50_000)),
            np.asarray(vectors[start : start + 50_000], np.float32),
            threads=0,
        )
        progress(min(n, start + 50_000) // 2, n)
    for start in range(0, n, 8192):
        block = np.asarray(vectors[start : start + 8192], np.float32)
        found = index.search(block, k)
        keys = np.atleast_2d(found.keys).astype(np.int64)
        value = 1.0 - np.atleast_2d(found.distances)
        own = np.arange(start, start + len(block))[:, None]
        rank = np.where(keys == own, -2.0, -value)
        order = np.argsort(rank, axis=1, kind="stable")
        ids[start : start + len(block), : keys.shape[1]] = np.take_along_axis(keys, order, 1)
        sims[start : start + len(block), : keys.shape[1]] = np.take_along_axis(value, order, 1)
        progress(n // 2 + min(n, start + 8192) // 2, n)
    return ids, sims


def build_text_neighbours(
    vectors_folder: Path, k: int, folder: Path, progress: Callable[[int, int], None]
) -> dict[str, Any]:
    """Write ``ids`` and ``sims`` for the text vectors of a build."""
    vectors = load_array(vectors_folder, "vectors")
    ids, sims = nearest(vectors, k, progress)
    save_arrays(folder, ids=ids, sims=sims)
    return seal(folder, KIND, texts=len(vectors), k=int(ids.shape[1]))
