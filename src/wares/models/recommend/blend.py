"""Blend parts: each drafts its best items, and a model of which draft came true on validation puts them in order.

Two blends are tried. A conditional logit (McFadden 1974): score = Σ weight · z with weights of its own for each level
of activity, fitted by the likelihood of what was really taken among all drafted, with weights at or above zero. And
LambdaMART (LightGBM) over the same scores, places and facts about the item. Whichever has the better NDCG@10 on the
half of the validation users that it was not fitted on is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from wares.models.recommend.draft import Draft
from wares.models.recommend.parts import Histories

LEVELS = (3, 6, 12)
PULL = 2.0
LEARN_USERS = 6000
TREE_DEPTH = 50
LEANS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)


@dataclass(slots=True)
class Table:
    """Candidates of many histories, flat: ``items (m,)``, ``z (m, parts)``, ``place (m, parts)`` and where each history
    begins, ``ptr (n + 1,)``."""

    items: NDArray[np.int32]
    z: NDArray[np.float32]
    place: NDArray[np.float32]
    ptr: NDArray[np.int64]

    @classmethod
    def join(cls, drafts: Sequence[Draft]) -> Table:
        """All that any part drafted. What a part did not draft gets the score of its last draft."""
        n = len(drafts[0].ids)
        owner = np.concatenate([np.repeat(np.arange(n), d.ids.shape[1]) for d in drafts])
        items = np.concatenate([d.ids.ravel() for d in drafts])
        kept = items >= 0
        key = owner * np.int64(2**31) + items
        unique = np.unique(key[kept])
        z = np.empty((len(unique), len(drafts)), np.float32)
        place = np.empty((len(unique), len(drafts)), np.float32)
        row = (unique >> 31).astype(np.int64)
        for column, draft in enumerate(drafts):
            there = draft.ids >= 0
            last = np.where(there, draft.scores.astype(np.float32), np.inf).min(1)
            last[~there.any(1)] = 0
            z[:, column] = last[row]
            place[:, column] = draft.ids.shape[1]
            mine = np.searchsorted(unique, (np.arange(n)[:, None] * np.int64(2**31) + draft.ids)[there])
            z[mine, column] = draft.scores[there]
            place[mine, column] = np.broadcast_to(np.arange(draft.ids.shape[1]), draft.ids.shape)[there]
        return cls((unique & (2**31 - 1)).astype(np.int32), z, place, np.searchsorted(row, np.arange(n + 1)))

    def owner(self) -> NDArray[np.int64]:
        """The history of each candidate."""
        return np.repeat(np.arange(len(self.ptr) - 1), np.diff(self.ptr))

    def lists(self, scores: NDArray[Any], k: int) -> NDArray[np.int32]:
        """The best `k` of each history ``(n, k)``, -1 pads."""
        owner = self.owner()
        order = np.lexsort((self.items, -scores, owner))
        place = np.arange(len(order)) - self.ptr[owner[order]]
        out = np.full((len(self.ptr) - 1, k), -1, np.int32)
        good = place < k
        out[owner[order][good], place[good]] = self.items[order][good]
        return out


def level_of(histories: Histories) -> NDArray[np.int64]:
    """The level of activity of each history: how many of the bounds its length is above."""
    return np.searchsorted(np.array(LEVELS), [len(h) for h in histories]).astype(np.int64)


def ndcg(lists: NDArray[np.int32], truth: Sequence[NDArray[np.int32]]) -> float:
    """Mean NDCG at the lists' length over those who wanted something."""
    values = [gains(one, wanted) for one, wanted in zip(lists, truth, strict=True) if len(wanted)]
    return float(np.mean(values)) if values else 0.0


def gains(one: NDArray[np.int32], wanted: NDArray[np.int32]) -> float:
    """NDCG of one list."""
    hits = np.isin(one, wanted)
    ideal = (1 / np.log2(np.arange(2, min(len(one), len(wanted)) + 2))).sum()
    return float((hits / np.log2(np.arange(2, len(one) + 2))).sum() / ideal)


class Logit:
    """The conditional logit: ``weights (levels, parts)``."""

    name = "logit"

    def __init__(self, weights: NDArray[np.float64]) -> None:
        self.weights = weights

    @classmethod
    def fit(cls, table: Table, labels: NDArray[np.bool_], level: NDArray[np.int64]) -> Logit:
        """Maximum likelihood with weights ≥ 0; a level is pulled towards the weights of all, by how few it has."""
        parts = table.z.shape[1]
        common = _likelihood(
            table, labels, np.ones(len(table.ptr) - 1, bool), np.full(parts, 0.3), np.zeros(parts), 1e-4
        )
        weights = np.tile(common, (len(LEVELS) + 1, 1))
        for at in range(len(weights)):
            mine = level == at
            if mine.sum() >= 50:
                weights[at] = _likelihood(table, labels, mine, common, common, PULL / np.sqrt(mine.sum()))
        return cls(weights)

    def score(
        self, table: Table, level: NDArray[np.int64], facts: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Scores of the candidates ``(m,)``."""
        return (table.z * self.weights[level[table.owner()]]).sum(1)


def _likelihood(
    table: Table, labels: NDArray[np.bool_], rows: NDArray[np.bool_], begin: NDArray[np.float64],
    centre: NDArray[np.float64], pull: float,
) -> NDArray[np.float64]:  # fmt: skip
    owner = table.owner()
    found = np.zeros(len(rows), bool)
    found[owner[labels]] = True
    use = (rows & found)[owner]
    z, hit = table.z[use].astype(np.float64), labels[use]
    _, group = np.unique(owner[use], return_inverse=True)
    if not len(group):
        return begin
    n = int(group[-1]) + 1
    starts = np.searchsorted(group, np.arange(n))
    hits = np.bincount(group, hit, n)

    def negative(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        score = z @ weights
        top = np.maximum.reduceat(score, starts)
        e = np.exp(score - top[group])
        total = np.add.reduceat(e, starts)
        wanted = np.bincount(group, np.where(hit, score, 0), n)
        value = (hits * (np.log(total) + top) - wanted).sum() / n
        chance = e / total[group] * hits[group]
        gradient = z.T @ (chance - hit) / n
        off = weights - centre
        return value + pull * float(off @ off), gradient + 2 * pull * off

    found_weights = minimize(negative, begin, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(begin))
    return np.asarray(found_weights.x, np.float64)


class Trees:
    """LambdaMART over the candidates that the logit puts first."""

    name = "lambdamart"

    def __init__(self, booster: Any, first: Logit) -> None:
        self.booster, self.first = booster, first

    @classmethod
    def fit(
        cls,
        table: Table,
        labels: NDArray[np.bool_],
        level: NDArray[np.int64],
        facts: NDArray[np.float32],
        first: Logit,
        seed: int,
    ) -> Trees:
        """Fit on each history's first fifty candidates by the logit."""
        import lightgbm

        score = first.score(table, level, facts)
        kept = _first(table, score, TREE_DEPTH)
        owner = table.owner()[kept]
        has = np.bincount(owner, labels[kept], len(table.ptr) - 1) > 0
        kept = kept[has[owner]]
        rows = _features(table, score, level, facts)[kept]
        sizes = np.bincount(table.owner()[kept], minlength=len(table.ptr) - 1)
        settings = {
            "objective": "lambdarank", "lambdarank_truncation_level": 20, "learning_rate": 0.05, "num_leaves": 15,
            "min_data_in_leaf": 200, "feature_fraction": 0.7, "bagging_fraction": 0.8, "bagging_freq": 1,
            "lambda_l2": 10.0, "verbose": -1, "seed": seed, "deterministic": True, "force_row_wise": True, "num_threads": 1,
        }  # fmt: skip
        data = lightgbm.Dataset(rows, labels[kept].astype(int), group=sizes[sizes > 0])
        return cls(lightgbm.train(settings, data, num_boost_round=150), first)

    def score(
        self, table: Table, level: NDArray[np.int64], facts: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Scores of the candidates ``(m,)``; those beyond the first fifty keep the logit's order below them."""
        first = self.first.score(table, level, facts)
        kept = _first(table, first, TREE_DEPTH)
        rows = _features(table, first, level, facts)[kept]
        out = first - 1e6
        out[kept] = self.booster.predict(rows, num_threads=1)
        return out


def _first(table: Table, score: NDArray[np.float64], depth: int) -> NDArray[np.int64]:
    owner = table.owner()
    order = np.lexsort((table.items, -score, owner))
    kept = order[np.arange(len(order)) - table.ptr[owner[order]] < depth]
    kept.sort()
    return kept


def _features(
    table: Table, score: NDArray[np.float64], level: NDArray[np.int64], facts: NDArray[np.float32]
) -> NDArray[np.float32]:
    owner = table.owner()
    top = (
        np.maximum.reduceat(score, np.minimum(table.ptr[:-1], max(len(score) - 1, 0)))
        if len(score)
        else score
    )
    return np.column_stack(
        [table.z, np.log1p(table.place), score, score - top[owner], level[owner], facts[table.items]]
    ).astype(np.float32)


@dataclass
class Blend:
    """Named parts and the model that orders what they draft."""

    names: list[str]
    model: Logit | Trees
    validation: dict[str, float]
    spread: float = 1.0
    lean: float = 0.0

    def rank(
        self,
        drafts: Mapping[str, Draft],
        histories: Histories,
        facts: NDArray[np.float32],
        k: int,
        *,
        tail: float = 0.0,
    ) -> NDArray[np.int32]:
        """Lists ``(n, k)`` of the histories whose drafts these are; -1 pads.

        `tail` from 0 to 1, and ``lean`` always, takes from each item that share of its ``facts[:, 0]`` (log of its count,
        over the largest) times the distance between a list's first and last places; 0 is the most accurate list.
        """
        return self.along(drafts, histories, facts, k, (tail,))[0]

    def along(
        self, drafts: Mapping[str, Draft], histories: Histories, facts: NDArray[np.float32], k: int, tails: Sequence[float]
    ) -> NDArray[np.int32]:  # fmt: skip
        """The lists of `rank` at each place of the slider ``(n_tails, n, k)``; candidates are scored once."""
        facts = np.asarray(facts, np.float32)
        known = _known(facts)
        out = np.full((len(tails), len(histories), k), -1, np.int32)
        level = level_of(histories)
        for start in range(0, len(histories), 2000):
            some = np.arange(start, min(len(histories), start + 2000))
            table = Table.join([drafts[name].take(some) for name in self.names])
            score = self.model.score(table, level[some], facts)
            for place, tail in enumerate(tails):
                out[place, some] = table.lists(
                    score - (self.lean + tail) * self.spread * known[table.items], k
                )
        return out

    def weights(self) -> dict[str, list[float]]:
        """The logit's weight of each part by level of activity, each level summing to one."""
        logit = self.model if isinstance(self.model, Logit) else self.model.first
        total = np.maximum(logit.weights.sum(1, keepdims=True), 1e-9)
        return {
            n: [round(float(w), 4) for w in (logit.weights / total)[:, i]] for i, n in enumerate(self.names)
        }


def learn(
    drafts: Mapping[str, Draft], histories: Histories, truth: Sequence[NDArray[np.int32]], facts: NDArray[np.float32],
    *, names: Sequence[str] | None = None, k: int = 10, seed: int = 7, trees: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> Blend:  # fmt: skip
    """Choose the blend on validation. `facts (n_items, f)` are features of items for the trees.

    Each kind is judged by two-fold cross-fitting over users and the better one is fitted on all of them. Where `trees` may
    see facts, so is how far the list leans away from what sells: models learn from items that sell, and lean to them.
    """
    names = list(names or drafts)
    level = level_of(histories)
    asked = np.array([i for i, t in enumerate(truth) if len(t)], np.int64)
    rng = np.random.default_rng(seed)
    if len(asked) > LEARN_USERS:
        asked = np.sort(rng.choice(asked, LEARN_USERS, replace=False))
    table = Table.join([drafts[n].take(asked) for n in names])
    owner = table.owner()
    wanted = np.concatenate(
        [
            np.zeros(0, np.int64),
            *(i * np.int64(2**31) + truth[u].astype(np.int64) for i, u in enumerate(asked)),
        ]
    )
    labels = np.isin(owner * np.int64(2**31) + table.items, wanted)
    level, truths = level[asked], [truth[u] for u in asked]
    fold = rng.integers(0, 2, len(asked))
    leans = LEANS if trees else LEANS[:1]
    known = _known(np.asarray(facts, np.float32))
    values: dict[str, list[list[float]]] = {"logit": [], "lambdamart": []}
    for side in (0, 1):
        train, held = _rows(table, fold != side), _rows(table, fold == side)
        lab = labels[(fold != side)[owner]]
        logit = Logit.fit(train, lab, level[fold != side])
        kinds: list[Logit | Trees] = [logit]
        if trees and lab.sum() >= 200:
            kinds.append(Trees.fit(train, lab, level[fold != side], facts, logit, seed))
        wanted_here = [truths[i] for i in np.flatnonzero(fold == side)]
        for kind in kinds:
            score = kind.score(held, level[fold == side], facts)
            step = _spread(held, score) * known[held.items]
            values[kind.name].append(
                [ndcg(held.lists(score - lean * step, k), wanted_here) for lean in leans]
            )
    means = {name: np.mean(v, axis=0) for name, v in values.items() if v}
    name = max(means, key=lambda kind: float(means[kind].max()))
    lean = leans[int(means[name].argmax())]
    told = {f"ndcg@{k}_{kind}": round(float(v[0]), 5) for kind, v in means.items()}
    progress(f"blend {told}, leaning {lean:g}: {float(means[name].max()):.5f}")
    model: Logit | Trees = Logit.fit(table, labels, level)
    if name == "lambdamart":
        model = Trees.fit(table, labels, level, facts, model, seed)
    return Blend(list(names), model, told, _spread(table, model.score(table, level, facts)), lean)


def _known(facts: NDArray[np.float32]) -> NDArray[np.float32]:
    """How well known each item is ``(n_items,)``, 0..1."""
    return facts[:, 0] / max(float(facts[:, 0].max(initial=0)), 1e-9)


def _spread(table: Table, score: NDArray[np.float64]) -> float:
    """Three times the distance between the first place of a list and the twentieth."""
    ends = [
        np.sort(score[a:b])[::-1]
        for a, b in zip(table.ptr[:500], table.ptr[1:501], strict=False)
        if b - a >= 2
    ]
    return 3 * float(np.mean([e[0] - e[min(len(e) - 1, 19)] for e in ends])) if ends else 1.0


def _rows(table: Table, rows: NDArray[np.bool_]) -> Table:
    use = rows[table.owner()]
    sizes = np.diff(table.ptr)[rows]
    return Table(
        table.items[use],
        table.z[use],
        table.place[use],
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
    )
