"""What speaks for and against two records being one thing: a row of numbers for each candidate pair.

Symmetric by construction: every one-sided quantity enters as its smaller and its larger side.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.words import Reading, pieces, read_texts, runs
from wares.data.fusion.blocking import Pairs, gram_rows, unit_rows, weights, word_matrix
from wares.data.fusion.offers import Offers, coded

CHUNK = 100_000
COMMON_KIND = 0.01
"""A kind of quantity that this share of rows names is compared on its own."""
HEADS = 10
"""A word that opens so many texts, and mostly stands first, is taken for a brand."""
Features = NDArray[np.float32]
"""Shape (pairs, features); NaN where one of the two says nothing."""


@dataclass(frozen=True)
class _Bag:
    """Rows × things with a weight for each thing."""

    weighted: sp.csr_matrix
    total: NDArray[np.float32]

    @classmethod
    def of(cls, matrix: sp.csr_matrix, weight: NDArray[np.float32]) -> _Bag:
        weighted = matrix.copy()
        weighted.data = weight[weighted.indices].astype(np.float32)
        return cls(weighted, np.asarray(weighted.sum(axis=1)).ravel().astype(np.float32))

    def compare(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        a, b = self.weighted[left], self.weighted[right]
        has_b = b.copy()
        has_b.data = np.ones_like(has_b.data)
        shared = a.multiply(has_b).tocsr()
        has = shared.copy()
        has.data = np.ones_like(has.data)
        only_a, only_b = (a - shared).tocsr(), (b - shared).tocsr()
        common = np.asarray(shared.sum(axis=1)).ravel()
        rest_a, rest_b = self.total[left] - common, self.total[right] - common
        top_a, top_b = _row_max(only_a), _row_max(only_b)
        return {
            "shared": common, "shared_top": _row_max(shared), "shared_n": np.diff(shared.indptr).astype(np.float32),
            "rest_min": np.minimum(rest_a, rest_b), "rest_max": np.maximum(rest_a, rest_b),
            "rest_top_min": np.minimum(top_a, top_b), "rest_top_max": np.maximum(top_a, top_b),
            "jaccard": common / np.maximum(common + rest_a + rest_b, 1e-6),
            "inside": common / np.maximum(np.minimum(self.total[left], self.total[right]), 1e-6),
        }  # fmt: skip


def _row_max(matrix: sp.csr_matrix) -> NDArray[np.float32]:
    return np.asarray(matrix.max(axis=1).todense()).ravel().astype(np.float32)


class Evidence:
    """Everything read once about a table, so that any pairs of its rows can be compared quickly."""

    def __init__(self, offers: Offers, readings: list[Reading] | None = None) -> None:
        """Read the titles, unless their `readings` are given."""
        self.offers = offers
        self.readings = read_texts([t or "" for t in offers.title]) if readings is None else readings
        n = len(offers)
        self.words, self.vocabulary = word_matrix((r.words for r in self.readings), n)
        self.word_weight = weights(self.words)
        self.word_unit = unit_rows(self.words, self.word_weight)
        grams, _ = word_matrix(gram_rows(self.readings), n)
        self.gram_unit = unit_rows(grams, weights(grams))
        digits = np.fromiter(
            (any(ch.isdigit() for ch in w) for w in self.vocabulary), bool, len(self.vocabulary)
        )
        digits = digits if len(digits) else np.zeros(1, bool)
        self._bags = {
            "word": _Bag.of(self.words, self.word_weight),
            "digit": _Bag.of(self.words, np.where(digits, self.word_weight, 0).astype(np.float32)),
        }
        self._bags["digit"].weighted.eliminate_zeros()
        codes, _ = word_matrix((r.codes for r in self.readings), n)
        self._codes = _Bag.of(codes, weights(codes))
        for name, things in (
            ("run", map(runs, self.readings)),
            ("next", (r.nexts for r in self.readings)),
            ("piece", map(pieces, self.readings)),
        ):
            matrix, _ = word_matrix(things, n)
            self._bags[name] = _Bag.of(matrix, weights(matrix))
        heads = _heads(self.readings)
        self._heads, _ = word_matrix(([w for w in r.words if w in heads] for r in self.readings), n)
        values, _ = word_matrix(([f"{d}:{v:g}" for d, v in r.measures] for r in self.readings), n)
        kinds, _ = word_matrix(([d for d, _ in r.measures] for r in self.readings), n)
        self._measures, self._kinds = values, kinds
        self._by_kind = _quantities(self.readings)
        self.main_code = [max(r.codes, key=lambda c: (len(c), c), default="") for r in self.readings]
        self._squeezed = [r.text.replace(" ", "") for r in self.readings]
        self._labels = {name: coded(column) for name, column in offers.labels.items()}
        self._source = coded(offers.source) if offers.source is not None else None
        self._texts: dict[str, sp.csr_matrix] = {}
        for name, column in offers.texts.items():
            matrix, _ = word_matrix((r.words for r in read_texts([t or "" for t in column])), n)
            self._texts[name] = unit_rows(matrix, weights(matrix))
        self._identifiers = {name: coded(column) for name, column in offers.identifiers.items()}
        self.idf_sum = self._bags["word"].total
        self.repeats = np.bincount(text := coded([r.text or "?" for r in self.readings]), minlength=1)[text]

    def compare(self, pairs: Pairs) -> tuple[Features, list[str]]:
        """The evidence for each pair, and the names of the columns."""
        parts: list[Features] = []
        names: list[str] = []
        for start in range(0, max(len(pairs), 1), CHUNK):
            columns = self._compare(pairs[start : start + CHUNK])
            names = list(columns)
            parts.append(np.column_stack([np.asarray(c, np.float32) for c in columns.values()]))
        return np.concatenate(parts), names

    def _code_in(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float32]:
        """How much of the left text's longest code stands in one piece in the right text; NaN without a code."""
        from rapidfuzz import fuzz, process

        codes, texts = [self.main_code[i] for i in left], [self._squeezed[i] for i in right]
        found = process.cpdist(codes, texts, scorer=fuzz.partial_ratio, dtype=np.float32) / 100
        found[np.fromiter((not code for code in codes), bool, len(codes))] = np.nan
        return found

    def _compare(self, pairs: Pairs) -> dict[str, NDArray[np.float32]]:
        from rapidfuzz import fuzz, process
        from rapidfuzz.distance import JaroWinkler, Prefix

        left, right = pairs[:, 0], pairs[:, 1]
        out: dict[str, NDArray[np.float32]] = {}
        for name, bag in self._bags.items():
            out |= {f"{name}_{k}": v for k, v in bag.compare(left, right).items()}
        out["word_cosine"] = _dots(self.word_unit, left, right)
        out["gram_cosine"] = _dots(self.gram_unit, left, right)
        codes = self._codes.compare(left, right)
        out |= {f"code_{k}": codes[k] for k in ("shared", "shared_top", "rest_min", "rest_max")}
        agree = np.asarray(self._measures[left].multiply(self._measures[right]).sum(axis=1)).ravel()
        both = np.asarray(self._kinds[left].multiply(self._kinds[right]).sum(axis=1)).ravel()
        out["measures_agree"], out["measures_conflict"] = agree, np.maximum(both - agree, 0)
        for kind, (has, exact) in self._by_kind.items():
            equal = np.asarray(exact[left].multiply(exact[right]).sum(axis=1)).ravel() > 0
            out[f"kind_{kind}"] = np.where(has[left] & has[right], equal, np.nan)
        headed = np.diff(self._heads.indptr) > 0
        equal = np.asarray(self._heads[left].multiply(self._heads[right]).sum(axis=1)).ravel() > 0
        out["heads_agree"] = np.where(headed[left] & headed[right], equal, np.nan)
        out["heads_there"] = headed[left].astype(np.float32) + headed[right]

        def paired(column: list[str], scorer: object, scale: float = 1.0) -> NDArray[np.float32]:
            a, b = [column[i] for i in left], [column[i] for i in right]
            return process.cpdist(a, b, scorer=scorer, dtype=np.float32) / scale  # type: ignore[arg-type]

        texts = [r.text for r in self.readings]
        out["token_set"] = paired(texts, fuzz.token_set_ratio, 100)
        out["edit"] = paired(self._squeezed, fuzz.ratio, 100)
        out["head"] = paired(self._squeezed, Prefix.similarity)
        missing = np.fromiter((not c for c in self.main_code), bool, len(self.main_code))
        void = missing[left] | missing[right]
        out["code_head"] = np.where(void, np.nan, paired(self.main_code, Prefix.normalized_similarity))
        out["code_like"] = np.where(void, np.nan, paired(self.main_code, JaroWinkler.similarity))
        found = np.stack([self._code_in(left, right), self._code_in(right, left)])
        with np.errstate(invalid="ignore"):
            out["code_in_min"], out["code_in_max"] = np.fmin(*found), np.fmax(*found)
        out["codes_missing"] = missing[left].astype(np.float32) + missing[right]
        total = self.idf_sum
        out["said_min"], out["said_max"] = (
            np.minimum(total[left], total[right]),
            np.maximum(total[left], total[right]),
        )
        repeats = self.repeats
        out["repeats_min"], out["repeats_max"] = (
            np.minimum(repeats[left], repeats[right]),
            np.maximum(repeats[left], repeats[right]),
        )
        for name, column in {**self._labels, **self._identifiers}.items():
            a, b = column[left], column[right]
            out[f"same_{name}"] = np.where((a < 0) | (b < 0), np.nan, a == b)
        if self._source is not None:
            out["same_source"] = (self._source[left] == self._source[right]).astype(np.float32)
        for name, number in self.offers.numbers.items():
            a, b = np.abs(number[left]), np.abs(number[right])
            with np.errstate(invalid="ignore", divide="ignore"):
                out[f"ratio_{name}"] = np.minimum(a, b) / np.maximum(a, b)
        for name, unit in self._texts.items():
            out[f"cosine_{name}"] = _dots(unit, left, right)
        if self.offers.vectors is not None:
            out["vector_cosine"] = np.einsum(
                "ij,ij->i", self.offers.vectors[left], self.offers.vectors[right]
            )
        return out


def _heads(readings: list[Reading]) -> set[str]:
    first = Counter(r.words[0] for r in readings if r.words)
    ever = Counter(word for r in readings for word in r.words)
    return {w for w, count in first.items() if count >= HEADS and count > ever[w] / 2 and w.isalpha()}


def _quantities(readings: list[Reading]) -> dict[str, tuple[NDArray[np.bool_], sp.csr_matrix]]:
    """For each common kind of quantity: which rows name it, and rows × values."""
    named = Counter(kind for r in readings for kind in {kind for kind, _ in r.measures})
    out: dict[str, tuple[NDArray[np.bool_], sp.csr_matrix]] = {}
    for kind in sorted(kind for kind, count in named.items() if count >= max(2, COMMON_KIND * len(readings))):
        matrix, _ = word_matrix(
            ([f"{value:g}" for name, value in r.measures if name == kind] for r in readings), len(readings)
        )
        out[kind] = (np.diff(matrix.indptr) > 0, matrix)
    return out


def _dots(unit: sp.csr_matrix, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.asarray(unit[left].multiply(unit[right]).sum(axis=1)).ravel().astype(np.float32)


def rivals(pairs: Pairs, score: NDArray[np.float32], n: int) -> dict[str, NDArray[np.float32]]:
    """How a pair stands among the other pairs of its two rows by `score`: rank and distance to the best, both sides."""
    ends = np.concatenate([pairs[:, 0], pairs[:, 1]])
    values = np.concatenate([score, score])
    order = np.lexsort((-values, ends))
    first = np.searchsorted(ends[order], ends[order], side="left")
    rank = np.empty(len(ends), np.float32)
    rank[order] = np.arange(len(ends)) - first
    best = np.full(n, -np.inf, np.float32)
    np.maximum.at(best, ends, values)
    gap = best[ends] - values
    half = len(pairs)
    return {
        "rank_min": np.minimum(rank[:half], rank[half:]), "rank_max": np.maximum(rank[:half], rank[half:]),
        "gap_min": np.minimum(gap[:half], gap[half:]), "gap_max": np.maximum(gap[:half], gap[half:]),
    }  # fmt: skip
