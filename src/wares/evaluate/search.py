"""How well a search finds what was judged right: NDCG, reciprocal rank, recall, time, beside tuned BM25 and untuned vectors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.evaluate.bm25 import K1, B, Bm25
from wares.features.retrieval import paired
from wares.models.search.forward import tokens_of
from wares.models.search.fuse import reciprocal_ranks, with_learned
from wares.models.search.fuse_train import Fusion, Judged, learn_fusion
from wares.models.search.infer import Searcher
from wares.models.search.tuned import gain

NAMES = ("ndcg@10", "mrr", "recall@10", "recall@100", "zero")
DEPTH = 100
CANDIDATES = 300
Rows = NDArray[np.int32]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Question:
    """A query with what it wants: rows and grades above 0. ``apart`` are rows that its answer must not hold (its own title);
    ``unit`` names queries that are resampled together."""

    text: str
    wanted: dict[int, float]
    apart: Rows
    unit: int


def measures(rows: Sequence[int] | Rows, wanted: Mapping[int, float]) -> tuple[float, ...]:
    """`NAMES` of one list: gains are grades (Järvelin & Kekäläinen 2002), the reciprocal rank looks 100 places deep."""
    found = [int(r) for r in rows[:DEPTH]]
    gains = np.array([wanted.get(r, 0.0) for r in found])
    hits = np.flatnonzero(gains > 0)
    return (
        gain(gains, np.fromiter(wanted.values(), float), 10),
        1.0 / (1 + float(hits[0])) if len(hits) else 0.0,
        float((gains[:10] > 0).sum() / len(wanted)),
        float((gains > 0).sum() / len(wanted)),
        float(not len(found)),
    )


def top(scores: NDArray[np.float32], apart: Rows, depth: int = DEPTH) -> Rows:
    """The best rows by score, those of no score left out; ties to the lower row."""
    mine = scores.copy()
    mine[apart] = -np.inf
    some = (
        np.argpartition(-mine, min(depth, len(mine) - 1))[:depth]
        if len(mine) > depth
        else np.arange(len(mine))
    )
    some = some[mine[some] > 0]
    return some[np.lexsort((some, -mine[some]))].astype(np.int32)


class Bench:
    """The systems over one catalogue: ``texts (n,)`` is what BM25 reads, ``untuned (n, dim)`` the vectors that nobody taught."""

    def __init__(
        self, searcher: Searcher, texts: Sequence[str], untuned: NDArray[np.float32], encode: Callable[[str], NDArray[np.float32]]
    ) -> None:  # fmt: skip
        self.searcher, self.untuned, self.encode = searcher, np.asarray(untuned, np.float32), encode
        self.bm25 = Bm25([tokens_of(text) for text in texts])
        self.constants = {"k1": 1.2, "b": 0.75, "tuned": False}
        self.fusion = Fusion(reason="no training queries")
        self.before = searcher.weights()

    def tune(self, training: Sequence[Question], seed: int, say: Say) -> None:
        """Choose BM25's constants by recall@10, and learn the fusion, on queries that are not those of the test."""
        say("tune BM25")
        asked = [(tokens_of(q.text), q) for q in training[:600]]
        best: tuple[float, float, float] = (-1.0, 1.2, 0.75)
        for k1 in K1:
            for b in B:
                self.bm25.weigh(k1, b)
                recall = float(np.mean([measures(top(self.bm25.scores(t), q.apart, 10), q.wanted)[2] for t, q in asked]))  # fmt: skip
                best = max(best, (recall, k1, b))
        self.bm25.weigh(best[1], best[2])
        self.constants = {"k1": best[1], "b": best[2], "tuned": True}
        say("learn the fusion")
        self.searcher.learned = None
        judged = [self.judged(q) for q in training]
        self.fusion = learn_fusion([j for j in judged if (j.gains > 0).any()], self.before, seed)

    def judged(self, question: Question) -> Judged:
        """The candidates of a query with their parts and gains."""
        found = self.searcher.search(question.text, CANDIDATES, hidden=question.apart)
        gains = np.array([question.wanted.get(int(r), 0.0) for r in found.rows], np.float32)
        return Judged(found.parts, gains, np.fromiter(question.wanted.values(), np.float32))

    def run(self, questions: Sequence[Question], seed: int, say: Say) -> dict[str, Any]:
        """Every system on every question, and paired differences with 95 % intervals (bootstrap over units)."""
        systems: dict[str, Callable[[Question], Rows]] = {
            "bm25": lambda q: top(self.bm25.scores(tokens_of(q.text)), q.apart),
            "untuned vectors": lambda q: top(self.untuned @ self.encode(q.text), q.apart),
            "reciprocal ranks": self._by_ranks,
            "hybrid, as configured": lambda q: self._ours(q, learned=False),
        }
        if self.fusion.weights:
            systems["hybrid"] = lambda q: self._ours(q, learned=True)
        values: dict[str, NDArray[np.float64]] = {}
        times: dict[str, NDArray[np.float64]] = {}
        for name, find in systems.items():
            say(name)
            spent, rows = np.zeros(len(questions)), list[tuple[float, ...]]()
            for i, question in enumerate(questions):
                begun = time.perf_counter()
                found = find(question)
                spent[i] = time.perf_counter() - begun
                rows.append(measures(found, question.wanted))
            values[name], times[name] = np.array(rows), 1e3 * spent
        unit = np.array([q.unit for q in questions])
        ours = "hybrid" if self.fusion.weights else "hybrid, as configured"
        return {
            "queries": len(questions), "products": len(self.searcher.catalogue), "seed": seed, "bm25": self.constants,
            "fusion": self.fusion.facts(),
            "systems": {
                name: {**{n: round(float(v), 4) for n, v in zip(NAMES, values[name].mean(0), strict=True)},
                       "p50_ms": round(float(np.median(times[name])), 2), "p95_ms": round(float(np.quantile(times[name], 0.95)), 2)}
                for name in systems
            },
            "differences": {
                f"{ours} - {other}": {n: paired(values[ours][:, i], values[other][:, i], unit, seed) for i, n in enumerate(NAMES)}
                for other in systems if other != ours
            },
        }  # fmt: skip

    def _ours(self, question: Question, *, learned: bool) -> Rows:
        self.searcher.learned = self.fusion.weights if learned else None
        return self.searcher.search(question.text, DEPTH, hidden=question.apart).rows

    def _by_ranks(self, question: Question) -> Rows:
        self.searcher.learned = None
        found = self.searcher.search(question.text, CANDIDATES, hidden=question.apart)
        if not len(found.rows):
            return found.rows
        scores = reciprocal_ranks(found.parts)
        return found.rows[np.lexsort((found.rows, -scores))][:DEPTH]

    def weights(self) -> dict[str, float]:
        """What the parts count with what was learned."""
        return with_learned(self.before, self.fusion.weights) if self.fusion.weights else self.before
