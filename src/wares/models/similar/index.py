"""An index over the fused space: exact below 50,000 products, HNSW above; grows, filters, is memory-mapped.

A product's fused vector holds one block a dimension, all of one length (zero where missing). A query scales its blocks
by the weights that were asked for, so that one index serves all weights: q · p ∝ Σ_d W_d cos_d. HNSW after Malkov and
Yashunin 2018 (https://arxiv.org/abs/1603.09320), by `usearch`.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # noqa: F401  # pyright: ignore[reportUnusedImport]
from numpy.typing import NDArray
from usearch.compiled import MetricKind
from usearch.index import Index, search

# Loaded after usearch 2.26, ONNX Runtime 1.31 ends the process: it goes first, above.
from wares.core.arrays import load_array, save_arrays
from wares.core.errors import DataError, IncompatibleArtifact, QueryError

EXACT = 50_000
SELECTIVE = 20_000
"""Where a filter leaves fewer than these, they are all compared: quicker than to walk a graph past what is filtered."""
CONNECTIVITY = 16
EXPANSION_ADD = 96
EXPANSION_SEARCH = 128
CHUNK = 50_000
_FILE = "index.usearch"
_ROWS = "index_vectors.npy"
Tick = Callable[[int, int], None]


@dataclass(frozen=True)
class Blocks:
    """Where the block of each dimension lies: names and widths, in order."""

    names: tuple[str, ...]
    widths: tuple[int, ...]

    @property
    def dim(self) -> int:
        """Length of a fused vector."""
        return sum(self.widths)

    def slices(self) -> dict[str, slice]:
        """Where each block lies."""
        ends = np.cumsum([0, *self.widths]).tolist()
        return {name: slice(ends[i], ends[i + 1]) for i, name in enumerate(self.names)}

    def query(self, vector: NDArray[Any], weights: Mapping[str, float]) -> NDArray[np.float32]:
        """A product's fused vector with its blocks scaled for a request."""
        out = np.array(vector, np.float32)
        for name, part in self.slices().items():
            out[part] *= weights.get(name, 0.0)
        return out


class FusedIndex:
    """Rows 0 … n - 1 with their vectors ``(n, dim) float16``. Rows are added at the end; none is removed: filter instead.
    Several threads may search at once, none while rows are added."""

    def __init__(self, vectors: NDArray[Any], graph: Index | None) -> None:
        self._parts: list[NDArray[Any]] = [vectors]
        self._graph = graph
        self._whole: NDArray[Any] | None = vectors
        self._asking = threading.Lock()

    @classmethod
    def build(cls, vectors: NDArray[Any], progress: Tick | None = None, *, threads: int = 0) -> FusedIndex:
        """Index vectors ``(n, dim)``.

        Raises:
            DataError: when one holds NaN or infinity.
        """
        half = _checked(vectors)
        index = cls(half, None)
        if len(half) > EXACT:
            index._graph = _grown(half.shape[1])
            for start in range(0, len(half), CHUNK):
                stop = min(len(half), start + CHUNK)
                index._graph.add(np.arange(start, stop), half[start:stop], threads=threads)
                if progress is not None:
                    progress(stop, len(half))
        return index

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    @property
    def vectors(self) -> NDArray[Any]:
        """All vectors ``(n, dim) float16``."""
        if self._whole is None:
            self._whole = np.concatenate(self._parts)
            self._parts = [self._whole]
        return self._whole

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self._parts[0].shape[1])

    @property
    def memory_bytes(self) -> int:
        """What vectors and links take."""
        own = sum(part.nbytes for part in self._parts)
        return own + (int(self._graph.memory_usage) if self._graph is not None else 0)

    def add(self, vectors: NDArray[Any], *, threads: int = 0) -> NDArray[np.int64]:
        """Add vectors ``(m, dim)`` at the end; returns their rows. An exact index becomes a graph when it grows past 50,000.

        Raises:
            DataError: when one holds NaN or infinity, or has another length.
        """
        half = _checked(vectors)
        if half.shape[1] != self.dim:
            raise DataError(
                f"vectors of length {half.shape[1]} do not fit an index of {self.dim}",
                mend="Build the index again",
                column="vectors",
            )
        start = len(self)
        rows = np.arange(start, start + len(half))
        if self._graph is None and start + len(half) > EXACT:
            whole = np.concatenate([self.vectors, half])
            self._graph = FusedIndex.build(whole, threads=threads)._graph
        elif self._graph is not None:
            self.prepare()
            self._graph.add(rows, half, threads=threads)
        self._parts, self._whole = [*self._parts, half], None
        return rows

    def prepare(self) -> None:
        """Take a mapped graph, which is read-only, into memory; the first insertion does it otherwise."""
        graph = self._graph
        if graph is None or not getattr(graph, "_mapped", False):
            return
        with tempfile.TemporaryDirectory(prefix="wares-index-") as folder:
            path = Path(folder) / _FILE
            graph.save(str(path))
            fresh = _grown(self.dim)
            fresh.load(str(path))
        self._graph = fresh

    def search(
        self, query: NDArray[Any], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The `k` rows with the largest product with `query (dim,)`, best first, and the products; of `allowed (n,)` only.

        Raises:
            QueryError: when the query holds NaN or infinity.
        """
        wanted = np.asarray(query, np.float32)
        if not np.isfinite(wanted).all():
            raise QueryError(
                "the query vector holds NaN or infinity", mend="Encode it again", parameter="vector"
            )
        n = len(self)
        k = min(k, n)
        if k <= 0:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        if allowed is None:
            return self._nearest(wanted, k)
        there = np.flatnonzero(allowed)
        if len(there) <= SELECTIVE or self._graph is None:
            return self._among(wanted, there, k)
        # As many more as the filter will take, and a few; twice as many again while too few are left.
        ask = min(n, int(k * n / len(there) * 1.3) + 16)
        while ask < 4096:
            rows, values = self._nearest(wanted, ask)
            kept = allowed[rows]
            if kept.sum() >= k or ask >= n:
                return rows[kept][:k], values[kept][:k]
            ask = min(n, ask * 2)
        return self._among(wanted, there, k)

    def _nearest(self, query: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        if self._graph is None:
            if len(self) < 256:
                return self._among(query, np.arange(len(self)), k)
            found: Any = search(self.vectors, query.astype(np.float16), k, MetricKind.IP, exact=True)
        else:
            # One at a time: how far to look is a property of the graph, not of the question.
            with self._asking:
                self._graph.expansion_search = max(EXPANSION_SEARCH, k)
                found = self._graph.search(query.astype(np.float16), k)
        keys, values = np.asarray(found.keys).astype(np.int64), 1 - np.asarray(found.distances, np.float32)
        order = np.lexsort((keys, -values))
        return keys[order], values[order]

    def _among(
        self, query: NDArray[np.float32], rows: NDArray[np.int64], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        values = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            values[start : start + CHUNK] = self.vectors[part].astype(np.float32) @ query
        k = min(k, len(rows))
        if k and k < len(rows):
            best = np.argpartition(-values, k - 1)[:k]
            rows, values = rows[best], values[best]
        order = np.lexsort((rows, -values))
        return rows[order].astype(np.int64), values[order]

    def save(self, folder: Path) -> None:
        """Write the vectors and, if there is one, the graph."""
        save_arrays(folder, index_vectors=np.asarray(self.vectors, np.float16))
        if self._graph is not None:
            self._graph.save(str(folder / _FILE))

    @classmethod
    def load(cls, folder: Path) -> FusedIndex:
        """Map what `save` wrote; nothing is read before it is needed.

        Raises:
            IncompatibleArtifact: when both files do not belong together.
        """
        vectors = load_array(folder, _ROWS.removesuffix(".npy"))
        path = folder / _FILE
        if not path.is_file():
            return cls(vectors, None)
        graph = _grown(int(vectors.shape[1]))
        graph.view(str(path))
        if len(graph) != len(vectors):
            raise IncompatibleArtifact(
                f"{path} holds {len(graph)} rows, the vectors {len(vectors)}",
                mend="Build and publish again",
                path=str(path),
            )
        setattr(graph, "_mapped", True)  # noqa: B010
        return cls(vectors, graph)

    def copy(self, folder: Path) -> FusedIndex:
        """A copy whose files lie in `folder`, which may grow while this one serves."""
        folder.mkdir(parents=True, exist_ok=True)
        self.save(folder)
        return FusedIndex.load(folder)


def _grown(dim: int) -> Index:
    return Index(
        ndim=dim, metric=MetricKind.IP, dtype="f16", connectivity=CONNECTIVITY, expansion_add=EXPANSION_ADD,
        expansion_search=EXPANSION_SEARCH,
    )  # fmt: skip


def _checked(vectors: NDArray[Any]) -> NDArray[np.float16]:
    full = np.asarray(vectors)
    if full.ndim != 2:
        raise DataError(f"vectors have the shape {full.shape}", mend="Give (n, dim)", column="vectors")
    for start in range(0, len(full), CHUNK):
        broken = np.flatnonzero(~np.isfinite(np.asarray(full[start : start + CHUNK], np.float32)).all(1))
        if len(broken):
            raise DataError(
                f"the vector in row {start + broken[0]} holds NaN or infinity",
                mend="Encode it again, or leave it out",
                column="vectors",
                rows=(start + broken[:20]).tolist(),
            )
    return np.ascontiguousarray(full, np.float16)


def fused(blocks: Blocks, parts: Sequence[NDArray[Any]], n: int) -> NDArray[np.float16]:
    """Fused vectors ``(n, dim)`` of blocks ``(n, width)`` whose rows have length one or, where missing, zero.

    Each row is brought to length one, so that who lacks a dimension is found by the others as easily as anyone.
    """
    out = np.zeros((n, blocks.dim), np.float16)
    there = np.zeros(n, np.float32)
    for part in parts:
        there += np.abs(part).sum(1) > 0
    scale = 1 / np.sqrt(np.maximum(there, 1))
    for part, place in zip(parts, blocks.slices().values(), strict=True):
        out[:, place] = part * scale[:, None]
    return out
