"""Encode the catalogue's texts once each; texts that any earlier build encoded are taken from the cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, save_arrays, seal
from wares.core.files import folder_atomic
from wares.core.strings import StringTable
from wares.features.encoder import TextEncoder

KIND = "text-vectors"
SHARD = 8192


def build_vectors(
    catalogue: Path,
    encoder_folder: Path,
    cache: Path,
    folder: Path,
    threads: int,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Write ``vectors (n_texts, dim) float16`` of length one for the texts of a catalogue.

    Work is kept in `cache` shard by shard, so a killed build goes on where it stopped and the next build
    encodes new texts only.
    """
    texts = StringTable.load(catalogue, "texts")
    encoder = TextEncoder(encoder_folder, threads)
    out = cached_vectors(texts, encoder, cache, progress)
    save_arrays(folder, vectors=out)
    return seal(
        folder,
        KIND,
        texts=len(texts),
        dim=encoder.dim,
        encoder=encoder.manifest["hash"],
        model=encoder.manifest["model"],
        unread=int((~np.asarray(out).any(axis=1)).sum()),
    )


def cached_vectors(
    texts: StringTable, encoder: TextEncoder, cache: Path, progress: Callable[[int, int], None]
) -> NDArray[np.float16]:
    """Vectors ``(n_texts, dim)`` of distinct texts; those that `cache` has are not encoded again."""
    home = cache / encoder.manifest["hash"]
    known = _Cache(home)
    hashes = np.array(texts.hashes[np.argsort(texts.order)]) if len(texts) else np.zeros(0, np.uint64)
    missing = np.flatnonzero(~known.has(hashes))
    done = len(texts) - len(missing)
    progress(done, len(texts))
    # Shards take texts of like length, so that batches do too.
    missing = (
        missing[np.argsort([len(texts[int(i)]) for i in missing], kind="stable")] if len(missing) else missing
    )
    for start in range(0, len(missing), SHARD):
        rows = missing[start : start + SHARD]
        base = done + start
        vectors = encoder.encode(
            [texts[int(i)] for i in rows], progress=lambda n, base=base: progress(base + n, len(texts))
        )
        known.add(hashes[rows], vectors.astype(np.float16))
    return known.get(hashes, encoder.dim)


class _Cache:
    """Vectors by the 64-bit hash of their text, in append-only shards."""

    def __init__(self, home: Path) -> None:
        self.home = home
        shards = sorted(home.glob("shard-*")) if home.is_dir() else []
        self.keys = [load_array(s, "keys") for s in shards]
        self.vectors = [load_array(s, "vectors") for s in shards]

    def has(self, hashes: Any) -> Any:
        return np.isin(hashes, np.concatenate(self.keys)) if self.keys else np.zeros(len(hashes), bool)

    def add(self, keys: Any, vectors: Any) -> None:
        with folder_atomic(self.home / f"shard-{len(self.keys):06d}") as work:
            save_arrays(work, keys=keys, vectors=vectors)
        self.keys.append(keys)
        self.vectors.append(vectors)

    def get(self, hashes: Any, dim: int) -> Any:
        out = np.zeros((len(hashes), dim), np.float16)
        for keys, vectors in zip(self.keys, self.vectors, strict=True):
            order = np.argsort(keys)
            at = np.searchsorted(keys, hashes, sorter=order)
            at[at == len(keys)] = 0
            hit = np.asarray(keys)[order[at]] == hashes if len(keys) else np.zeros(len(hashes), bool)
            out[hit] = np.asarray(vectors)[order[at[hit]]]
        return out
