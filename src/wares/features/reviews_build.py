"""What shoppers write about products as vectors: the mean of the sentence vectors of each product's reviews."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.arrays import save_arrays, seal
from wares.core.strings import StringTable
from wares.data.engine import Engine
from wares.features.encoder import TextEncoder
from wares.features.vectors_build import cached_vectors

KIND = "review-vectors"
MOST_REVIEWS = 12
MOST_SENTENCES = 24
MOST_LETTERS = 240
_ENDS = re.compile(r"(?<=[.!?。！？])\s*|\n+")


def sentences(text: str) -> list[str]:
    """The sentences of a review, long ones cut; those without any letter are left out."""
    parts = (part.strip()[:MOST_LETTERS] for part in _ENDS.split(text[:5000]))
    return [part for part in parts if any(letter.isalpha() for letter in part)]


def build_reviews(
    files: Sequence[str] | None, catalogue: Path, encoder_folder: Path, cache: Path, folder: Path, memory_gb: float,
    threads: int, progress: Callable[[int, int], None],
) -> dict[str, Any]:  # fmt: skip
    """Write ``vectors (m, dim) float16`` of length one and ``row_of (n,) int32``, -1 for products without reviews, of the
    files of a version of the reviews (None: there are none).

    Of each product the 12 longest reviews speak, by at most 24 sentences. A shop without reviews pays nothing.
    """
    ids = StringTable.load(catalogue, c.PRODUCT_ID)
    row_of = np.full(len(ids), -1, np.int32)
    said = _read(files, ids, folder, memory_gb) if files else {}
    vectors: NDArray[Any] = np.zeros((0, 1), np.float16)
    if said:
        encoder = TextEncoder(encoder_folder, threads)
        flat = sorted({line for lines in said.values() for line in lines})
        place = {line: i for i, line in enumerate(flat)}
        every = cached_vectors(StringTable.of(flat), encoder, cache, progress)
        means = np.stack(
            [np.asarray(every[[place[x] for x in lines]], np.float32).mean(0) for lines in said.values()]
        )
        vectors = (means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)).astype(np.float16)
        row_of[list(said)] = np.arange(len(said))
    save_arrays(folder, vectors=vectors, row_of=row_of)
    return seal(folder, KIND, products=len(said))


def _read(files: Sequence[str], ids: StringTable, scratch: Path, memory_gb: float) -> dict[int, list[str]]:
    with Engine(memory_gb, scratch=scratch) as engine:
        reviews = engine.parquet(files)
        table = engine.arrow(
            reviews.filter(reviews[c.TEXT].notnull()).select(c.PRODUCT_ID, c.REVIEW_ID, c.TEXT).order_by([c.PRODUCT_ID, c.REVIEW_ID])
        )  # fmt: skip
    texts: dict[int, list[str]] = {}
    for name, text in zip(table[c.PRODUCT_ID].to_pylist(), table[c.TEXT].to_pylist(), strict=True):
        row = ids.find(str(name)) if name is not None else -1
        if row >= 0:
            texts.setdefault(row, []).append(text)
    found = {
        row: [s for text in sorted(some, key=lambda t: -len(t))[:MOST_REVIEWS] for s in sentences(text)][
            :MOST_SENTENCES
        ]
        for row, some in sorted(texts.items())
    }
    return {row: lines for row, lines in found.items() if lines}
