"""Whether texts are still those that the classifier knows: their mix, and how sure and how right it is, lately against before.

Each measure has a size from which it matters and a permutation test over which texts are recent (Good, *Permutation Tests*,
2000), corrected for the number of measures (Holm 1979): a large shop's small differences and a small shop's noise both stay silent.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

RECENT_DAYS, REFERENCE_DAYS = 28, 365
LEAST_TEXTS = 50
"""Of either window; the recent one reaches further back until it has them."""
MOST_TEXTS = 3000
"""Of a window, drawn, are compared."""
PERMUTATIONS = 999
LEVEL = 0.01
"""Chance that a build without drift says there is some, over all measures together."""
GRAMS = 1024
BINS = 10
_TINY = 1e-4


@dataclass(frozen=True, slots=True)
class Measure:
    """How one thing differs: `name`, its `before` and `now` where they are numbers (NaN else), `size`, the `threshold` from which
    that matters, and the corrected `p`; `drifted` when both say so. `model` tells measures of the classifier from those of texts."""

    name: str
    before: float
    now: float
    size: float
    threshold: float
    p: float
    model: bool

    @property
    def drifted(self) -> bool:
        """Whether it is large and no chance."""
        return self.size >= self.threshold and self.p <= LEVEL


@dataclass(frozen=True)
class DriftReport:
    """The measures, the days ``[recent_from, recent_to]`` and ``[reference_from, recent_from)``, and texts in each window."""

    measures: tuple[Measure, ...]
    reference_from: int
    recent_from: int
    recent_to: int
    reference_texts: int
    recent_texts: int


@dataclass(frozen=True)
class Stream:
    """Texts in order of time: ``day``, ``language`` (place in a list), ``blank``, ``confidence``, ``sure``, ``mood`` and ``stars``
    (NaN without), each ``(n,)``; ``texts`` is asked for single ones by row."""

    day: NDArray[Any]
    language: NDArray[Any]
    blank: NDArray[Any]
    confidence: NDArray[Any]
    sure: NDArray[Any]
    mood: NDArray[Any]
    stars: NDArray[Any]
    texts: Sequence[str]


def windows(day: NDArray[Any]) -> tuple[int, int, int] | None:
    """(first row of the reference, first row of the recent window, end); None where either has too few texts."""
    n = len(day)
    if n < 2 * LEAST_TEXTS:
        return None
    start = int(np.searchsorted(day, day[-1] - RECENT_DAYS, side="right"))
    start = min(start, n - LEAST_TEXTS)
    first = int(np.searchsorted(day, day[start] - REFERENCE_DAYS, side="left"))
    return (first, start, n) if start - first >= LEAST_TEXTS else None


def psi(before: NDArray[Any], now: NDArray[Any]) -> NDArray[np.float64]:
    """Population stability index of shares ``(..., k)``: 0 for equal ones, 0.1 moderate, 0.25 large (Siddiqi 2006)."""
    a, b = (np.maximum(x / np.maximum(x.sum(-1, keepdims=True), 1e-12), _TINY) for x in (before, now))
    return np.asarray(((b - a) * np.log(b / a)).sum(-1))


def js_distance(before: NDArray[Any], now: NDArray[Any]) -> NDArray[np.float64]:
    """Jensen-Shannon distance of counts ``(..., k)``, 0..1 (Endres and Schindelin 2003)."""
    a, b = (x / np.maximum(x.sum(-1, keepdims=True), 1e-12) for x in (before, now))
    m = (a + b) / 2

    def kl(p: NDArray[Any]) -> NDArray[Any]:
        return np.where(p > 0, p * np.log2(np.maximum(p, 1e-12) / np.maximum(m, 1e-12)), 0.0).sum(-1)

    return np.sqrt(np.maximum((kl(a) + kl(b)) / 2, 0))


def grams_of(texts: Sequence[str]) -> sp.csr_matrix:
    """Hashed runs of three characters of each text, ``(n, GRAMS)``."""
    rows, columns = [], []
    for i, text in enumerate(texts):
        padded = f" {text[:1000].casefold()} "
        found = {
            zlib.crc32(padded[j : j + 3].encode("utf-8", "ignore")) % GRAMS for j in range(len(padded) - 2)
        }
        rows.extend([i] * len(found))
        columns.extend(found)
    return sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(len(texts), GRAMS))


def drift(stream: Stream, seed: int = 0) -> DriftReport | None:
    """Compare the recent window with the reference; None where there are too few texts."""
    found = windows(stream.day)
    if found is None:
        return None
    first, start, end = found
    rng = np.random.default_rng(seed)
    rows = np.concatenate([_drawn(first, start, rng), _drawn(start, end, rng)])
    recent = rows >= start
    # Column 0 is what is, the others are what chance makes of it.
    sides = np.stack([recent, *(rng.permutation(recent) for _ in range(PERMUTATIONS))], 1).astype(np.float32)
    texts = [stream.texts[int(i)] for i in rows]
    raw: list[tuple[str, float, float, NDArray[Any], float, bool]] = []

    def shares(name: str, parts: Any, threshold: float) -> None:
        now, all_ = np.asarray((parts.T @ sides).T), np.asarray(parts.sum(0)).ravel()
        raw.append((name, np.nan, np.nan, psi(all_ - now, now), threshold, False))

    def means(
        name: str, values: NDArray[Any], usable: NDArray[Any], threshold: float, sign: int, model: bool
    ) -> None:
        v, w = np.where(usable, values, 0.0), usable.astype(float)
        if min(w[recent].sum(), w[~recent].sum()) < LEAST_TEXTS:
            return
        tops, counts = v @ sides, w @ sides
        now, before = tops / np.maximum(counts, 1), (v.sum() - tops) / np.maximum(w.sum() - counts, 1)
        size = np.abs(now - before) if sign == 0 else sign * (now - before)
        raw.append((name, float(before[0]), float(now[0]), size, threshold, model))

    everything = np.ones(len(rows), bool)
    shares("languages", _one_hot(stream.language[rows]), 0.1)
    lengths = np.array([len(text) for text in texts], float)
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, BINS + 1)[1:-1]))
    shares("length", _one_hot(np.searchsorted(edges, lengths, side="right")), 0.1)
    grams = grams_of(texts)
    now, all_ = np.asarray((grams.T @ sides).T), np.asarray(grams.sum(0)).ravel()
    far = js_distance(all_ - now, now)
    # Two samples of the same texts are apart by chance already: only what goes beyond counts.
    raw.append(("wording", np.nan, np.nan, far - far[1:].mean(), 0.05, False))
    means("blank", stream.blank[rows], everything, 0.05, 0, model=False)
    read = ~stream.blank[rows]
    means("confidence", stream.confidence[rows], read, 0.03, -1, model=True)
    means("sure", stream.sure[rows], read, 0.1, -1, model=True)
    stars, mood = stream.stars[rows], stream.mood[rows]
    rated = read & np.isfinite(stars) & (np.nan_to_num(stars) != 3)
    means("agreement with stars", ((stars > 3) == (mood > 0)).astype(float), rated, 0.05, -1, model=True)
    p = [float((1 + (size[1:] >= size[0] - 1e-12).sum()) / len(size)) for _, _, _, size, _, _ in raw]
    measures = tuple(
        Measure(name, before, now_, float(size[0]), threshold, corrected, model)
        for (name, before, now_, size, threshold, model), corrected in zip(raw, holm(p), strict=True)
    )
    day = stream.day
    return DriftReport(
        measures, int(day[first]), int(day[start]), int(day[end - 1]), start - first, end - start
    )


def holm(p: Sequence[float]) -> list[float]:
    """Probabilities corrected for their number (Holm, *A Simple Sequentially Rejective Multiple Test Procedure*, 1979)."""
    order = np.argsort(p, kind="stable")
    out, largest = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - rank) * p[int(i)]))
        out[int(i)] = largest
    return out


def doubtful(stream: Stream, count: int) -> NDArray[np.int64]:
    """Rows of the recent window's texts whose verdict is the least sure, each text once: what a person should label."""
    found = windows(stream.day)
    first = found[1] if found is not None else 0
    rows = np.arange(first, len(stream.day))
    rows = rows[~stream.blank[rows]]
    seen: set[str] = set()
    out: list[int] = []
    for row in rows[np.argsort(stream.confidence[rows], kind="stable")]:
        text = stream.texts[int(row)]
        if text not in seen:
            seen.add(text)
            out.append(int(row))
        if len(out) == count:
            break
    return np.array(out, np.int64)


def _drawn(first: int, end: int, rng: np.random.Generator) -> NDArray[np.int64]:
    rows = np.arange(first, end)
    return rows if len(rows) <= MOST_TEXTS else np.sort(rng.choice(rows, MOST_TEXTS, replace=False))


def _one_hot(places: NDArray[Any]) -> sp.csr_matrix:
    n = len(places)
    values = np.unique(places)
    return sp.csr_matrix(
        (np.ones(n, np.float32), (np.arange(n), np.searchsorted(values, places))), (n, len(values))
    )
