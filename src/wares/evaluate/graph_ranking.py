"""What a graph alone recommends: with equal and with learned relation weights, and by propagated vectors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import svds

from wares.evaluate.lab import Quad
from wares.evaluate.metrics import per_user
from wares.evaluate.report import Report
from wares.graph.infer import Graph
from wares.graph.likeness import Channel, channels, learn_weights
from wares.graph.propagate import adjacency, over_hops

BLOCK = 256
DECAYS = (0.5, 0.8, 1.0)
ALPHAS = (0.3, 0.6, 0.9)
SHARES = (0.1, 0.3, 1.0, 3.0, 10.0)
HOPS = (1, 2, 3)
DIM = 128
K = 20
Score = Callable[[sp.csr_matrix], NDArray[np.float32]]


@dataclass(frozen=True)
class Ranking:
    """A graph over the items of `quad`, and vectors of items; `tuning_users` and `limit` bound the users (0: all)."""

    graph: Graph
    quad: Quad
    vectors: Mapping[str, NDArray[np.float32]]
    seeds: Sequence[int]
    tuning_users: int = 2000
    limit: int = 0


def histories(sequences: Sequence[NDArray[np.int32]], n: int, decay: float) -> sp.csr_matrix:
    """Weights ``decay ** steps from the end`` ``(n_users, n_items)``, of sum one in each row."""
    sizes = np.array([len(s) for s in sequences], np.int64)
    rows = np.repeat(np.arange(len(sequences)), sizes)
    flat = np.concatenate([np.zeros(0, np.int32), *sequences])
    steps = np.repeat(np.cumsum(sizes), sizes) - 1 - np.arange(len(flat))
    weight = (decay**steps).astype(np.float32)
    matrix = sp.csr_matrix((weight, (rows, flat)), shape=(len(sequences), n))
    norm = np.asarray(matrix.sum(1)).ravel()
    return sp.csr_matrix(sp.diags((1 / np.maximum(norm, 1e-9)).astype(np.float32)) @ matrix)


def by_channels(found: Sequence[Channel], weights: Mapping[str, float]) -> Score:
    """Σ ω log(1 + 10 f) over the channels: what the weights were learned for."""
    used = [(c, np.float32(weights[c.name])) for c in found if weights.get(c.name, 0) > 0]
    other = [None if c.shared is None else sp.csr_matrix(c.shared.T) for c, _ in used]

    def score(block: sp.csr_matrix) -> NDArray[np.float32]:
        total = np.zeros(block.shape, np.float32)
        for (channel, weight), turned in zip(used, other, strict=True):
            reached = channel.reach(block)
            cells = reached if turned is None else sp.csr_matrix(reached @ turned)
            cells.data = np.log1p(cells.data * np.float32(10)) * weight
            cells.sum_duplicates()
            lines = np.repeat(np.arange(cells.shape[0]), np.diff(cells.indptr))
            total[lines, cells.indices] += cells.data
        return total

    return score


def by_vectors(vectors: NDArray[np.float32]) -> Score:
    """Cosine of a history's mean vector and each item."""
    turned = np.ascontiguousarray(vectors.T)

    def score(block: sp.csr_matrix) -> NDArray[np.float32]:
        mean = np.asarray(block @ vectors, np.float32)
        mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)
        return mean @ turned

    return score


def together(one: Score, other: Score, share: float) -> Score:
    """The first score plus `share` of the second, each in units of its spread over the catalogue."""

    def score(block: sp.csr_matrix) -> NDArray[np.float32]:
        a, b = one(block), other(block)
        a = a / np.maximum(a.std(1, keepdims=True), 1e-9)
        return a + np.float32(share) * b / np.maximum(b.std(1, keepdims=True), 1e-9)

    return score


def lists(
    score: Score, asked: sp.csr_matrix, seen: Sequence[NDArray[np.int32]], k: int = K
) -> NDArray[np.int32]:
    """The best `k` items ``(n_users, k)`` that a user does not have; ties go to the lower row; -1 where nothing speaks."""
    out = np.full((asked.shape[0], k), -1, np.int32)
    for start in range(0, asked.shape[0], BLOCK):
        values = score(asked[start : start + BLOCK])
        for line, mine in enumerate(seen[start : start + BLOCK]):
            values[line, mine] = -np.inf
        width = min(k, values.shape[1])
        top = np.sort(np.argpartition(-values, width - 1, axis=1)[:, :width], axis=1)
        best = np.take_along_axis(values, top, 1)
        order = np.argsort(-best, axis=1, kind="stable")
        items, best = np.take_along_axis(top, order, 1), np.take_along_axis(best, order, 1)
        out[start : start + BLOCK, :width] = np.where((best > 0) & np.isfinite(best), items, -1)
    return out


def behaviour_vectors(
    sequences: Sequence[NDArray[np.int32]], n: int, dim: int, seed: int
) -> NDArray[np.float32]:
    """Singular vectors of the items of the binary user × item matrix ``(n_items, dim)``, by the square root of their value."""
    matrix = histories(sequences, n, 1.0)
    matrix.data[:] = 1.0
    degree = np.asarray(matrix.sum(0)).ravel()
    matrix = sp.csr_matrix(matrix @ sp.diags((1 / np.sqrt(np.maximum(degree, 1))).astype(np.float32)))
    k = min(dim, min(matrix.shape) - 1)
    if k < 1:
        return np.zeros((n, 1), np.float32)
    start = np.random.default_rng(seed).random(min(matrix.shape))
    _, values, right = svds(matrix.astype(np.float64), k=k, v0=start)
    out = (right.T * np.sqrt(values)).astype(np.float32)
    return unit(out)


class _Bench:
    """Measures scores on validation users and, once, on the test."""

    def __init__(self, task: Ranking) -> None:
        quad, self.n = task.quad, task.graph.n_products
        rng = np.random.default_rng(task.seeds[0])
        valid = np.array([u for u, t in enumerate(quad.valid) if len(t) and len(quad.fit[u])], np.int64)
        test = np.array([u for u, t in enumerate(quad.test) if len(t) and len(quad.whole[u])], np.int64)
        self.learners = valid
        self.valid = np.sort(rng.permutation(valid)[: task.tuning_users or None])
        self.test = np.sort(rng.permutation(test)[: task.limit or None])
        self.quad, self.decay = quad, DECAYS[-1]

    def ask(self, sequences: Sequence[NDArray[np.int32]], users: NDArray[np.int64]) -> sp.csr_matrix:
        return histories([sequences[u] for u in users], self.n, self.decay)

    def on_validation(self, score: Score) -> float:
        seen = [self.quad.fit[u] for u in self.valid]
        ranked = lists(score, self.ask(self.quad.fit, self.valid), seen, 10)
        return float(np.nanmean(per_user(ranked, [self.quad.valid[u] for u in self.valid], [10])["ndcg@10"]))

    def on_test(self, score: Score) -> dict[str, float]:
        seen = [self.quad.whole[u] for u in self.test]
        ranked = lists(score, self.ask(self.quad.whole, self.test), seen, K)
        values = per_user(ranked, [self.quad.test[u] for u in self.test], [10, 20])
        return {name: float(np.nanmean(values[name])) for name in ("ndcg@10", "hr@10", "recall@20")}

    def best(self, choices: Sequence[Any], make: Callable[[Any], Score]) -> tuple[Any, float]:
        """The choice that is best on validation, and its NDCG@10 there; the first of equals."""
        figures = [self.on_validation(make(choice)) for choice in choices]
        at = int(np.argmax(figures))
        return choices[at], figures[at]


def rank_by_graph(task: Ranking, name: str, report: Report, say: Callable[[str], None]) -> None:
    """Measure every variant of one graph and add a row for each to ``report.parts``."""
    bench, graph = _Bench(task), task.graph
    found = channels(graph)
    equal = {channel.name: 1.0 for channel in found}

    def add(variant: str, scores: Sequence[Score], valid: float, begun: float, **facts: Any) -> None:
        say(f"graph {name}: {variant}, test")
        rows = [bench.on_test(score) for score in scores]
        row: dict[str, Any] = {"name": variant, "graph": name, "seeds": len(rows), "valid_ndcg@10": valid}
        for metric in rows[0]:
            row[metric] = float(np.mean([r[metric] for r in rows]))
            row[f"{metric}_sd"] = float(np.std([r[metric] for r in rows]))
        report.parts.append({**row, **facts, "seconds": time.perf_counter() - begun})
        say(f"graph {name}: {variant}: NDCG@10 {row['ndcg@10']:.4f}")

    begun = time.perf_counter()
    score = by_channels(found, equal)
    say(f"graph {name}: equal weights")
    figures = []
    for decay in DECAYS:
        bench.decay = decay
        figures.append(bench.on_validation(score))
    bench.decay = DECAYS[int(np.argmax(figures))]
    add("equal weights", [score], max(figures), begun, decay=bench.decay)

    begun = time.perf_counter()
    say(f"graph {name}: learn weights")
    asked = bench.ask(task.quad.fit, bench.learners)
    held = np.array([int(task.quad.valid[u][0]) for u in bench.learners], np.int64)
    learned = [learn_weights(found, asked, held, seed=seed) for seed in task.seeds]
    scores = [by_channels(found, one.weights) for one in learned]
    weights = {c.name: float(np.mean([one.weights[c.name] for one in learned])) for c in found}
    add("learned weights", scores, bench.on_validation(scores[0]), begun, decay=bench.decay)
    report.model.setdefault("weights", {})[name] = {k: round(v, 4) for k, v in sorted(weights.items())}

    for kind in (*task.vectors, "behaviour"):
        say(f"graph {name}: {kind} vectors")
        _by_propagation(bench, task, kind, weights, scores[0], name == "without deeds", add)


def _by_propagation(
    bench: _Bench,
    task: Ranking,
    kind: str,
    weights: Mapping[str, float],
    learned: Score,
    first: bool,
    add: Callable[..., None],
) -> None:
    """Vectors of one kind: as they are (for the first graph), over 1 to 3 hops, and beside the learned weights."""
    begun = time.perf_counter()
    given = task.vectors.get(kind)

    def own(sequences: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        # Vectors of behaviour know what the history knows: up to validation to tune, up to the test to be tested.
        return given if given is not None else behaviour_vectors(sequences, bench.n, DIM, task.seeds[0])

    known, later = own(task.quad.fit), own(task.quad.whole)
    matrix = adjacency(task.graph, weights)

    def spread(alpha: float, vectors: NDArray[np.float32]) -> list[Score]:
        return [
            by_vectors(unit(v[: bench.n])) for v in over_hops(task.graph, vectors, matrix, HOPS[-1], alpha)
        ]

    if first:
        add(f"{kind} vectors, no graph", [by_vectors(later)], bench.on_validation(by_vectors(known)), begun)
    begun = time.perf_counter()
    tuning = {alpha: spread(alpha, known) for alpha in ALPHAS}
    found: list[tuple[float, int, float]] = []
    for hops in HOPS:
        alpha, valid = bench.best(ALPHAS, lambda a, hops=hops: tuning[a][hops - 1])
        found.append((valid, hops, alpha))
    tested = {alpha: spread(alpha, later) for alpha in {alpha for _, _, alpha in found}}
    for valid, hops, alpha in found:
        add(f"{kind} vectors, {hops} hops", [tested[alpha][hops - 1]], valid, begun, alpha=alpha)
        begun = time.perf_counter()
    _, hops, alpha = max(found)
    tuned = tuning[alpha][hops - 1]
    share, valid = bench.best(SHARES, lambda s: together(learned, tuned, s))
    both = together(learned, tested[alpha][hops - 1], share)
    add(f"learned weights + {kind} vectors", [both], valid, begun, alpha=alpha, hops=hops, share=share)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length one, or zero."""
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(norm > 1e-6, vectors / np.maximum(norm, 1e-9), 0).astype(np.float32)
