"""Vectors, words and model numbers together: a ranker grown on validation queries, for held-out ones."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from wares.data.fusion.evidence import Evidence
from wares.data.fusion.offers import Offers
from wares.evaluate.words import Words
from wares.features.retrieval import Retrieval

NEAR = 30
"""Nearest by each of the vectors and by words that are ranked anew."""
TREES = 250


class Blend:
    """Gradient-boosted ranking (LambdaMART; Burges 2010) over likenesses of vectors, BM25, and what fusion reads out of titles.

    The titles' evidence (`wares.data.fusion.evidence`) holds shared and missing model codes, numbers and measures that
    agree or disagree, and rare words. Groups of the queries it learns from must not be among those it is asked about.
    """

    def __init__(self, task: Retrieval, tables: list[NDArray[np.float32]], words: Words, seed: int) -> None:
        self.pairs, self.candidates, self.words, self.seed = task.pairs, task.candidates, words, seed
        self.tables = tables
        self.pools = [np.ascontiguousarray(t[task.candidates].T) for t in tables]
        self.evidence = Evidence(Offers(self.pairs.texts))
        self.model: lgb.Booster | None = None

    def _look(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32], list[int]]:
        """Pairs ``(p, 2)`` of (query node, place of a candidate), their features, and how many each query has."""
        pairs, values, sizes = [], [], []
        text = self.pairs.text_id[self.candidates]
        for start in range(0, len(rows), 256):
            some = rows[start : start + 256]
            lexical = self.words.scores(some, 200)
            likes = [t[some] @ pool for t, pool in zip(self.tables, self.pools, strict=True)]
            for i, node in enumerate(some.tolist()):
                own = text == self.pairs.text_id[node]
                ranks, chosen = [], []
                for scores in (*(like[i] for like in likes), lexical[i]):
                    mine = np.where(own, -np.inf, scores)
                    top = np.argpartition(-mine, min(NEAR, len(mine) - 1))[:NEAR]
                    chosen.append(top[np.isfinite(mine[top])])
                places = np.unique(np.concatenate(chosen))
                columns = []
                for scores in (*(like[i] for like in likes), np.maximum(lexical[i], 0)):
                    mine = scores[places]
                    order = np.empty(len(mine))
                    order[np.argsort(-mine, kind="stable")] = np.arange(len(mine))
                    ranks.append(order)
                    columns += [mine, mine.max(initial=0.0) - mine, order]
                pairs.append(np.column_stack([np.full(len(places), node), places]))
                values.append(np.column_stack(columns))
                sizes.append(len(places))
        joined = np.concatenate(pairs).astype(np.int64)
        ends = np.column_stack([joined[:, 0], self.candidates[joined[:, 1]]]).astype(np.int64)
        said, _ = self.evidence.compare(ends.astype(np.int32))
        return joined, np.column_stack([np.concatenate(values), said]).astype(np.float32), sizes

    def learn(self, task: Retrieval) -> None:
        """Grow the trees on the queries of `task`, whose candidates are the same."""
        pairs, values, sizes = self._look(task.queries)
        wanted = [set(np.searchsorted(self.candidates, w).tolist()) for w in task.wanted]
        owner = np.repeat(np.arange(len(sizes)), sizes)
        label = np.fromiter(
            (int(p) in wanted[o] for p, o in zip(pairs[:, 1], owner, strict=True)), np.int8, len(pairs)
        )
        settings: dict[str, Any] = {
            "objective": "lambdarank", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 40, "feature_fraction": 0.6,
            "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 5.0, "lambdarank_truncation_level": 15, "num_threads": 1,
            "verbose": -1, "seed": self.seed, "deterministic": True,
        }  # fmt: skip
        self.model = lgb.train(settings, lgb.Dataset(values, label, group=sizes), TREES)

    def scores(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores ``(b, n_candidates)``; what is near in no way is -inf."""
        assert self.model is not None
        pairs, values, sizes = self._look(rows)
        found = np.asarray(self.model.predict(values, num_threads=1), np.float32)
        out = np.full((len(rows), len(self.candidates)), -np.inf, np.float32)
        out[np.repeat(np.arange(len(rows)), sizes), pairs[:, 1]] = found
        return out
