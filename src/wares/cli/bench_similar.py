"""The index over the fused space, measured on generated products."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.machine import peak_rss
from wares.models.similar.index import CHUNK, FusedIndex

SHARES = (0.5, 0.1, 0.01)
K = 10


def products(n: int, dim: int, rng: np.random.Generator, kinds: NDArray[Any]) -> NDArray[np.float16]:
    """Fused vectors of generated products: kinds of things, brands within them, variants of a model, and noise of their own.

    The share of each level is drawn once a product, so that some have many near twins and some stand alone.
    """
    out = np.empty((n, dim), np.float16)
    for start in range(0, n, CHUNK):
        m = min(CHUNK, n - start)
        kind = rng.integers(0, len(kinds), m)
        model = rng.integers(0, max(n // 8, 1), m)
        own = rng.standard_normal((m, dim), np.float32)
        share = rng.uniform(0.2, 0.8, (m, 1)).astype(np.float32)
        # A model's vector comes from its number, so that its variants share it.
        axis = (model[:, None] * 2_654_435_761 + np.arange(dim)[None, :] * 40_503) % 65_521
        variant = (axis / 65_521 - 0.5).astype(np.float32) * 3.46
        vectors = kinds[kind] + variant * 0.6 + share * own
        out[start : start + m] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return out


def bench(n: int, dim: int, queries: int, more: int, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Figures of an index of `n` generated products of `dim` numbers."""
    rng = np.random.default_rng(seed)
    kinds = rng.standard_normal((max(20, n // 500), dim), np.float32)
    say("generate")
    vectors = products(n, dim, rng, kinds)
    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    begun, worked = time.perf_counter(), time.process_time()
    index = FusedIndex.build(vectors, lambda done, total: say(f"build {done:,}/{total:,}"), threads=threads)
    found: dict[str, Any] = {
        "products": n,
        "dim": dim,
        "build_s": round(time.perf_counter() - begun, 1),
        "build_cpu_s": round(time.process_time() - worked, 1),
    }
    with tempfile.TemporaryDirectory(prefix="wares-bench-") as scratch:
        folder = Path(scratch)
        index.save(folder)
        found["disk_mb"] = round(sum(p.stat().st_size for p in folder.iterdir()) / 2**20, 1)
        index = FusedIndex.load(folder)
        found["mapped_mb"] = round(index.memory_bytes / 2**20, 1)
        asked = rng.integers(0, n, queries)
        say("exact")
        wanted = [v.astype(np.float32) for v in vectors[asked]]
        truth = exact(vectors, np.stack(wanted))
        say("search")
        hits = 0
        took: list[float] = []
        for vector, right in zip(wanted, truth, strict=True):
            begun = time.perf_counter()
            rows, _ = index.search(vector, K)
            took.append(time.perf_counter() - begun)
            hits += len(np.intersect1d(rows, right))
        found |= {"recall@10": round(hits / truth.size, 4), **_times("search", took)}
        for share in SHARES:
            allowed = rng.random(n) < share
            took, hits = [], 0
            some = min(queries, 200)
            right = exact(vectors, np.stack(wanted[:some]), allowed)
            for vector, row in zip(wanted[:some], right, strict=True):
                begun = time.perf_counter()
                rows, _ = index.search(vector, K, allowed)
                took.append(time.perf_counter() - begun)
                hits += len(np.intersect1d(rows, row))
            found |= {
                f"filtered_{share:g}_recall@10": round(hits / right.size, 4),
                **_times(f"filtered_{share:g}", took),
            }
        say("insert")
        fresh = products(more, dim, rng, kinds)
        begun = time.perf_counter()
        index.prepare()
        found["prepare_s"] = round(time.perf_counter() - begun, 2)
        begun = time.perf_counter()
        rows = index.add(fresh, threads=threads)
        found[f"insert_{more}_s"] = round(time.perf_counter() - begun, 2)
        own = [int(index.search(v.astype(np.float32), 1)[0][0]) for v in fresh[:200]]
        found["inserted_found"] = round(float(np.mean(np.array(own) == rows[:200])), 4)
    return {**found, "peak_rss_mb": round(peak_rss() / 2**20, 1), "cores": os.cpu_count(), "seed": seed}


def exact(
    vectors: NDArray[Any], queries: NDArray[np.float32], allowed: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """The ten rows with the largest products with each query, by comparing all."""
    best = np.full((len(queries), K), -np.inf, np.float32)
    rows = np.zeros((len(queries), K), np.int64)
    for start in range(0, len(vectors), CHUNK):
        near = queries @ vectors[start : start + CHUNK].astype(np.float32).T
        if allowed is not None:
            near[:, ~allowed[start : start + CHUNK]] = -np.inf
        both = np.concatenate([best, near], 1)
        names = np.concatenate([rows, np.tile(np.arange(start, start + near.shape[1]), (len(queries), 1))], 1)
        top = np.argpartition(-both, K - 1, axis=1)[:, :K]
        best, rows = np.take_along_axis(both, top, 1), np.take_along_axis(names, top, 1)
    return rows


def _times(name: str, took: list[float]) -> dict[str, float]:
    p50, p95 = (float(v) * 1000 for v in np.percentile(took, [50, 95]))
    return {f"{name}_p50_ms": round(p50, 3), f"{name}_p95_ms": round(p95, 3)}
