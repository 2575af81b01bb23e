"""``wares evaluate graph``: click-through prediction with a knowledge graph, by the protocol of KGCN (Wang et al. 2019).

Every rating is a positive; each user gets as many negatives, drawn from the items that the user never touched; pairs
are split 6:2:2 at random. The first part trains the behaviour models, the second fits the blend, the third is
touched once. Each seed draws negatives and split anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.machine import peak_rss
from wares.graph.infer import Graph
from wares.graph.likeness import Channel, channels

ROUNDS = 400
LEARNERS = 3


@dataclass
class GraphReport:
    """AUC and F1 of each variant, by seed; ``relations`` is the share of gain that each channel brought."""

    facts: dict[str, Any]
    seeds: list[int]
    auc: dict[str, list[float]] = field(default_factory=dict)
    f1: dict[str, list[float]] = field(default_factory=dict)
    relations: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    peak_rss_mb: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Means and spreads by variant."""
        return {
            "data": self.facts,
            "seeds": self.seeds,
            "metrics": {
                name: {
                    "auc": round(float(np.mean(self.auc[name])), 4),
                    "auc_spread": round(float(np.std(self.auc[name])), 4),
                    "f1": round(float(np.mean(self.f1[name])), 4),
                    "f1_spread": round(float(np.std(self.f1[name])), 4),
                }
                for name in self.auc
            },
            "relations": self.relations,
            "seconds": round(self.seconds, 1),
            "peak_rss_mb": round(self.peak_rss_mb, 1),
        }


@dataclass(frozen=True, slots=True)
class Pairs:
    """``users``, ``items`` and ``labels``, all ``(n_pairs,)``."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    labels: NDArray[np.int64]

    def part(self, start: int, stop: int) -> Pairs:
        """Some of the pairs."""
        return Pairs(self.users[start:stop], self.items[start:stop], self.labels[start:stop])


def sample_pairs(positives: Sequence[NDArray[np.int64]], n_items: int, rng: np.random.Generator) -> Pairs:
    """All positives and as many negatives of each user, shuffled."""
    users, items, labels = [], [], []
    for user, mine in enumerate(positives):
        others = np.setdiff1d(np.arange(n_items), mine, assume_unique=False)
        drawn = rng.choice(others, min(len(mine), len(others)), replace=False)
        users += [np.full(len(mine) + len(drawn), user)]
        items += [mine, drawn]
        labels += [np.ones(len(mine), np.int64), np.zeros(len(drawn), np.int64)]
    order = rng.permutation(sum(map(len, users)))
    return Pairs(*(np.concatenate(x)[order].astype(np.int64) for x in (users, items, labels)))


def behaviour_scores(seen: sp.csr_matrix, seed: int) -> dict[str, NDArray[np.float32]]:
    """What behaviour alone says of every (user, item): closed form, item and user neighbours, factors."""
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    n = seen.shape[1]
    gram = np.asarray((seen.T @ seen).todense(), np.float64)
    degree = np.diag(gram).copy()
    scores: dict[str, NDArray[np.float32]] = {}
    for strength in (20.0, 100.0):
        inverse = np.linalg.inv(gram + strength * np.eye(n))
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0)
        scores[f"ease{strength:g}"] = np.asarray(seen @ weights, np.float32)
    cosine = gram / np.sqrt(np.outer(degree + 5, degree + 5))
    np.fill_diagonal(cosine, 0)
    scores["item_neighbours"] = np.asarray(seen @ cosine, np.float32)
    rows = sp.csr_matrix(seen.multiply(1 / np.sqrt(np.maximum(seen.sum(1), 1))))
    like = np.asarray((rows @ rows.T).todense())
    np.fill_diagonal(like, 0)
    scores["user_neighbours"] = np.asarray(like @ seen.toarray(), np.float32)
    scores["user_neighbours_scaled"] = scores["user_neighbours"] / np.sqrt(degree + 1).astype(np.float32)
    with threadpool_limits(1):
        factors = AlternatingLeastSquares(factors=32, regularization=5, alpha=5, random_state=seed)
        factors.fit(sp.csr_matrix(seen, dtype=np.float32), show_progress=False)
    scores["factors"] = np.asarray(factors.user_factors @ factors.item_factors.T, np.float32)
    return scores


def evaluate_graph(
    graph: Graph,
    positives: Sequence[NDArray[np.int64]],
    seeds: Sequence[int],
    facts: dict[str, Any],
    progress: Callable[[str], None] = lambda _: None,
) -> GraphReport:
    """Measure behaviour alone, graph alone and both; `positives` holds each user's items as rows of the graph's products."""
    from sklearn.metrics import f1_score, roc_auc_score

    begun = time.perf_counter()
    report = GraphReport(facts, list(seeds))
    found = channels(graph)
    n = graph.n_products
    for seed in seeds:
        progress(f"seed {seed}")
        pairs = sample_pairs(positives, n, np.random.default_rng(seed))
        one, two = int(0.6 * len(pairs.users)), int(0.8 * len(pairs.users))
        train, blend, test = pairs.part(0, one), pairs.part(one, two), pairs.part(two, len(pairs.users))
        liked = train.labels == 1
        seen = sp.csr_matrix(
            (np.ones(int(liked.sum()), np.float32), (train.users[liked], train.items[liked])),
            shape=(len(positives), n),
        )
        behaviour = _behaviour_features(seen, behaviour_scores(seen, seed), (blend, test))
        knowledge = _graph_features(graph, found, seen, (blend, test))
        variants = {
            "behaviour": behaviour,
            "graph": knowledge,
            "both": tuple(np.hstack([b, k]) for b, k in zip(behaviour, knowledge, strict=True)),
        }
        for name, (fitted, asked) in variants.items():
            chance, gain = _blend(fitted, blend.labels, asked, seed)
            report.auc.setdefault(name, []).append(float(roc_auc_score(test.labels, chance)))
            report.f1.setdefault(name, []).append(float(f1_score(test.labels, chance > 0.5)))
            if name == "graph":
                for channel, share in zip(found, gain, strict=False):
                    report.relations[channel.name] = round(
                        report.relations.get(channel.name, 0.0) + float(share) / len(seeds), 4
                    )
    report.seconds = time.perf_counter() - begun
    report.peak_rss_mb = peak_rss() / 2**20
    return report


def _behaviour_features(
    seen: sp.csr_matrix, scores: dict[str, NDArray[np.float32]], parts: tuple[Pairs, ...]
) -> tuple[NDArray[Any], ...]:
    sold, active = np.asarray(seen.sum(0)).ravel(), np.asarray(seen.sum(1)).ravel()
    return tuple(
        np.stack(
            [
                *(score[p.users, p.items] for score in scores.values()),
                np.log1p(sold[p.items]),
                np.log1p(active[p.users]),
            ],
            1,
        )
        for p in parts
    )


def _graph_features(
    graph: Graph, found: list[Channel], seen: sp.csr_matrix, parts: tuple[Pairs, ...]
) -> tuple[NDArray[Any], ...]:
    degree = np.diff(np.asarray(graph.ptr))[: graph.n_products]
    reached = [channel.reach(seen) for channel in found]
    out = []
    for p in parts:
        values = [c.of_pairs(r, p.users, p.items) for c, r in zip(found, reached, strict=True)]
        out.append(np.stack([*values, np.sum(values, axis=0), np.log1p(degree[p.items])], 1))
    return tuple(out)


def _blend(
    fitted: NDArray[Any], labels: NDArray[np.int64], asked: NDArray[Any], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Chance of a positive for each asked pair, and the share of gain of each feature."""
    import lightgbm as lgb

    cut = len(fitted) * 4 // 5
    chance, gain = np.zeros(len(asked)), np.zeros(fitted.shape[1])
    for learner in range(LEARNERS):
        settings = {
            "objective": "binary", "learning_rate": 0.03, "num_leaves": 15, "min_data_in_leaf": 40, "bagging_fraction": 0.8,
            "bagging_freq": 1, "feature_fraction": 0.7, "lambda_l2": 5.0, "seed": seed * 10 + learner, "verbosity": -1,
            "deterministic": True, "force_row_wise": True,
        }  # fmt: skip
        train = lgb.Dataset(fitted[:cut], labels[:cut])
        booster = lgb.train(
            settings, train, ROUNDS, valid_sets=[lgb.Dataset(fitted[cut:], labels[cut:], reference=train)],
            callbacks=[lgb.early_stopping(30, verbose=False)],
        )  # fmt: skip
        chance += np.asarray(booster.predict(asked)) / LEARNERS
        gain += booster.feature_importance("gain") / LEARNERS
    return chance, gain / max(gain.sum(), 1e-12)


def positives_of(users: pa.Array, items: pa.Array, rows: dict[str, int]) -> list[NDArray[np.int64]]:
    """Distinct items of each user as rows; items that `rows` does not know are left out, and users without any."""
    found: dict[str, set[int]] = {}
    for user, item in zip(users.to_pylist(), items.to_pylist(), strict=True):
        if user is not None and item in rows:
            found.setdefault(user, set()).add(rows[item])
    return [np.array(sorted(mine), np.int64) for mine in found.values()]


def read_ratings(path: Path) -> tuple[pa.Array, pa.Array]:
    """(users, items) of a ratings file by any of the usual column names."""
    from wares.core.errors import SourceError
    from wares.evaluate.readers import read_columns

    columns = read_columns(
        path,
        {
            "user": ("user_id", "user", "userID", "userId"),
            "item": ("item_id", "item", "product_id", "artistID", "itemId", "movieId"),
        },
    )
    if len(columns) < 2:
        raise SourceError(
            f"{path} needs the columns user_id and item_id", mend="Rename its columns", source=str(path)
        )
    return columns["user"], columns["item"]
