"""Weights of the signals by coordinate ascent over validation's candidates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.recommend.history import History
from wares.models.recommend.infer import SIGNALS, Recommender

GRID = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 4.0)
K = 10
TAILS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
TAIL_KEEPS = 0.995


def named(weights: NDArray[np.float32]) -> dict[str, float]:
    """Weights by the name of their signal."""
    return {name: round(float(w), 4) for name, w in zip(SIGNALS, weights, strict=True)}


def dcg(hits: NDArray[Any]) -> float:
    """Discounted gain of hits ``(k,)``, best place first."""
    return float((hits / np.log2(np.arange(2, len(hits) + 2))).sum())


class Table:
    """Candidates of many users in one padded array ``(signals, users, width)``, so that a trial of weights is one sum."""

    def __init__(
        self,
        model: Recommender,
        histories: Iterable[History],
        truth: Sequence[NDArray[np.int32]],
        *,
        repeats: bool,
    ) -> None:
        pairs = [(h, t) for h, t in zip(histories, truth, strict=True) if len(t)]
        self.asked = len(pairs)
        # Where no candidate was taken up, no order of them is better than another: such lists only count.
        told = ((model.candidates(history, repeats=repeats), wanted) for history, wanted in pairs)
        kept = [
            (found, hits, len(wanted))
            for found, wanted in told
            if (hits := np.isin(found.items, wanted)).any()
        ]
        width = max((len(found.items) for found, _, _ in kept), default=1)
        self.signals = np.zeros((len(SIGNALS), len(kept), width), np.float32)
        self.hits = np.zeros((len(kept), width), np.float32)
        self.there = np.zeros((len(kept), width), bool)
        self.sold = np.zeros((len(kept), width), np.float32)
        self.ideal = np.array([dcg(np.ones(min(K, wanted))) for _, _, wanted in kept])
        for line, (found, hits, _) in enumerate(kept):
            n = len(found.items)
            self.signals[:, line, :n] = found.signals.T
            self.hits[line, :n] = hits
            self.there[line, :n] = True
            self.sold[line, :n] = model.log_sold[found.items]

    def ndcg(self, weights: NDArray[np.float32], penalty: float = 0.0) -> float:
        """Mean NDCG@10 under these weights, with `penalty` on the log of sales."""
        return self._of(self._scores(weights) - np.float32(penalty) * self.sold)

    def _scores(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """The blend of every candidate ``(users, width)``, minus infinity beyond."""
        scores = np.where(self.there, np.float32(0), np.float32(-np.inf))
        for signal, weight in zip(self.signals, weights, strict=True):
            scores += np.float32(weight) * signal
        return scores

    def _of(self, scores: NDArray[np.float32]) -> float:
        if not len(self.hits):
            return 0.0
        k = min(K, scores.shape[1])
        top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable")
        hits = np.take_along_axis(self.hits, np.take_along_axis(top, order, 1), 1)
        return float((hits / np.log2(np.arange(2, k + 2)) @ np.ones(k) / self.ideal).sum() / self.asked)

    def ascend(
        self, weights: NDArray[np.float32], frozen: tuple[int, ...] = ()
    ) -> tuple[NDArray[np.float32], float]:
        """Coordinate ascent over the grid, until a whole round changes nothing."""
        best = self.ndcg(weights)
        for _ in range(4):
            before = best
            for axis in range(len(weights)):
                if axis in frozen:
                    continue
                others = weights.copy()
                others[axis] = 0
                base = self._scores(others)
                for value in GRID:
                    if not value and not others.any():
                        continue
                    score = self._of(base + np.float32(value) * self.signals[axis])
                    if score > best + 1e-6:
                        best, weights = score, others.copy()
                        weights[axis] = value
            if best - before < 1e-5:
                break
        return weights, best

    def furthest_tail(self, weights: NDArray[np.float32], scale: float) -> float:
        """The furthest place of the slider that keeps 99.5% of NDCG@10."""
        kept = TAIL_KEEPS * self.ndcg(weights)
        good = [tail for tail in TAILS if self.ndcg(weights, tail * scale) >= kept]
        return max(good, default=0.0)

    def scale(self, weights: NDArray[np.float32]) -> float:
        """The mean best score: what the tail slider at 1 takes from the best-seller."""
        return round(float(self._scores(weights).max(1).mean()), 4) if len(self.hits) else 1.0
