"""Choose regularisation, forgetting and blend on validation: what users took up after the training data ends."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.config import Recommend
from wares.features.interactions import Interactions
from wares.models.recommend import closed_form as cf
from wares.models.recommend.facts import Products
from wares.models.recommend.infer import SIGNALS, Recommender
from wares.models.recommend.learn import Cut, Drafted, learn
from wares.models.recommend.lists import CANDIDATES
from wares.models.recommend.train import (
    Collaborative,
    GraphSide,
    Params,
    TextSide,
    fit,
    history_of,
    matrix_of,
    tries_next,
)

SAMPLE = 1200
SIDE_WEIGHTS = (0.3, 0.6, 1.0)
REPEAT_SHARE = 0.1
GRID = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 4.0)
K = 10
TAILS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
TAIL_KEEPS = 0.995


def tune(
    data: Interactions,
    truth: Sequence[NDArray[np.int32]],
    popular: NDArray[np.float32],
    text: TextSide,
    category_of: NDArray[np.int32],
    config: Recommend,
    *,
    memory_gb: float = 4.0,
    seed: int = 7,
    side: sp.csr_matrix | None = None,
    products: Products | None = None,
    earlier: Sequence[Window] = (),
    graph: GraphSide | None = None,
    folder: Path | None = None,
    threads: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> Params:
    """Parameters that give the best NDCG@10 on `truth`, the items that each user (by row) took up later.

    With windows from `earlier` times, a ranker is learned from them (see ``learn.py``) and kept, if it is better, with
    its trees in `folder`. `graph` are neighbours by what was known before the first of those windows; they stay only
    where they help.
    """
    params = Params(tail=max(config.tail, 0.0), diversity=config.diversity, new_share=config.new_share)
    active = np.array([u for u in range(data.n_users) if u < len(truth) and len(truth[u])], np.int64)
    if not len(active) or not len(data.items):
        params.validation = {"users": 0.0}
        return params
    rng = np.random.default_rng(seed)
    users = np.sort(rng.choice(active, SAMPLE, replace=False)) if len(active) > SAMPLE else active
    fresh = [np.setdiff1d(truth[u], data.items[data.of(u)]) for u in users]
    share = 1 - sum(map(len, fresh)) / sum(len(truth[u]) for u in users)
    params.repeat = share >= REPEAT_SHARE if config.repeat == "auto" else config.repeat == "include"
    progress("regularisation")
    part = Collaborative(data, config, memory_gb, seed)
    model = _choose_regularisation(data, part, users, fresh, config, params)
    if tries_next(data, config):
        progress("next item")
        part, model = _try_next(data, part, model, users, fresh, config, params, memory_gb, seed)
    if side is not None and params.model != "next":
        progress("graph")
        part, model = _choose_side(data, part, model, users, fresh, config, params, memory_gb, seed, side)
    progress("blend")
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "model"
        fit(
            data,
            popular,
            text,
            category_of,
            params,
            config,
            place,
            memory_gb=memory_gb,
            seed=seed,
            part=part,
            model=model,
            near=bool(earlier),
            graph=graph if earlier else None,
        )
        del model
        fitted = Recommender(place)
        table, weights = _choose_blend(fitted, data, users, truth, fresh, params)
        if config.tail < 0:
            params.tail = table.furthest_tail(weights, params.tail_scale)
        if earlier and folder is not None:
            fitted.weigh(params.to_json())
            products = products or Products.plain(category_of)
            cut = Cut(data, truth, popular, products.facts(data))
            drafts = _drafts(earlier, text, products, params, config, Path(scratch), memory_gb, seed, graph)
            params.learned = learn(
                drafts, (cut, Drafted(fitted, lambda some: [None] * len(some))), products.brand_of, params, folder,
                seed=seed, threads=threads, progress=progress,
            )  # fmt: skip
            if params.learned and config.tail < 0:
                tails = params.learned["tails"]
                params.tail = max(float(t) for t in tails if tails[t] >= TAIL_KEEPS * tails["0"])
    params.validation["users"] = float(len(users))
    params.validation["repeat_share"] = round(float(share), 4)
    return params


@dataclass(frozen=True)
class Window:
    """What was known at a moment, what each user (by row) took up in the window after it, and popularity before it."""

    data: Interactions
    truth: Sequence[NDArray[np.int32]]
    popular: NDArray[np.float32]


def _drafts(
    earlier: Sequence[Window], text: TextSide, products: Products, params: Params, config: Recommend, scratch: Path,
    memory_gb: float, seed: int, graph: GraphSide | None,
) -> Iterator[tuple[Cut, Drafted]]:  # fmt: skip
    """A model for each earlier window, fitted on what was known before it."""
    for number, window in enumerate(earlier):
        data = window.data
        if not len(data.items):
            continue
        kind = "next" if params.model == "next" else ""
        part = Collaborative(data, config, memory_gb, seed, kind=kind)
        model = part.at(params.regularisation)
        lists = not isinstance(model, cf.LowRankEase)
        place = scratch / f"earlier{number}"
        fit(
            data, window.popular, text, products.category_of, params, config, place, memory_gb=memory_gb, seed=seed,
            part=part, model=model, lists=lists, near=True, graph=graph,
        )  # fmt: skip

        def draft(some: NDArray[np.int64], model: Any = model, part: Collaborative = part) -> list[Any]:
            if not isinstance(model, cf.LowRankEase):
                return [None] * len(some)
            query = matrix_of(part.data, part.columns, some, params.query)
            out: list[Any] = []
            for start in range(0, len(some), 64):
                scores = model.scores(query[start : start + 64])
                had = query[start : start + 64].tocoo()
                scores[had.row, had.col] = -np.inf
                width = min(CANDIDATES, scores.shape[1])
                top = np.argpartition(-scores, width - 1, axis=1)[:, :width]
                out += [(part.columns.items[one], line[one]) for one, line in zip(top, scores, strict=True)]
            return out

        yield (
            Cut(data, window.truth, window.popular, products.facts(data)),
            Drafted(Recommender(place), draft),
        )


def _choose_regularisation(
    data: Interactions,
    part: Collaborative,
    users: NDArray[np.int64],
    fresh: list[NDArray[np.int32]],
    config: Recommend,
    params: Params,
) -> cf.ItemModel:
    """Walk the ordered grid from its middle uphill; each lambda is judged with its best forgetting."""
    grid = sorted(config.regularisation)
    params.model = part.kind
    tried: dict[int, tuple[float, int, cf.ItemModel]] = {}

    def judge(at: int) -> float:
        if at not in tried:
            model = part.at(grid[at])
            scored = [
                (_discovery(model, part, data, users, fresh, decay), -decay)
                for decay in range(len(data.decays))
            ]
            value, decay = max(scored)
            for other in [o for o in tried if tried[o][0] <= value]:
                tried[other] = (*tried[other][:2], None)  # type: ignore[assignment]
            tried[at] = (value, -decay, model)
        return tried[at][0]

    here = 0 if part.kind == "knn" else (len(grid) - 1) // 2
    best = judge(here)
    if part.kind != "knn":
        for step in (1, -1):
            moved = False
            while 0 <= here + step < len(grid) and judge(here + step) > best:
                here, best, moved = here + step, tried[here + step][0], True
            if moved:
                break
    params.regularisation = grid[here]
    params.query = tried[here][1]
    params.validation["cf_ndcg@10"] = round(best, 5)
    return tried[here][2] or part.at(grid[here])


def _try_next(
    data: Interactions, part: Collaborative, model: cf.ItemModel, users: NDArray[np.int64], fresh: list[NDArray[np.int32]],
    config: Recommend, params: Params, memory_gb: float, seed: int,
) -> tuple[Collaborative, cf.ItemModel]:  # fmt: skip
    """The next-item model in place of what goes together, when it is better on validation."""
    other = Collaborative(data, config, memory_gb, seed, kind="next")
    trial = replace(params, validation={})
    candidate = _choose_regularisation(data, other, users, fresh, config, trial)
    value = trial.validation["cf_ndcg@10"]
    params.validation["next_ndcg@10"] = value
    if value <= params.validation["cf_ndcg@10"]:
        return part, model
    params.regularisation, params.query, params.model = trial.regularisation, trial.query, "next"
    params.validation["cf_ndcg@10"] = value
    return other, candidate


def _choose_side(
    data: Interactions, part: Collaborative, model: cf.ItemModel, users: NDArray[np.int64], fresh: list[NDArray[np.int32]],
    config: Recommend, params: Params, memory_gb: float, seed: int, side: sp.csr_matrix,
) -> tuple[Collaborative, cf.ItemModel]:  # fmt: skip
    """Give the graph the weight that helps most on validation; none when none helps."""
    best = params.validation["cf_ndcg@10"]
    for weight in SIDE_WEIGHTS:
        other = Collaborative(data, config, memory_gb, seed, side, weight)
        candidate = other.at(params.regularisation)
        value = _discovery(candidate, other, data, users, fresh, params.query)
        params.validation[f"cf_ndcg@10_graph_{weight:g}"] = round(value, 5)
        if value > best:
            best, params.side_weight, part, model = value, weight, other, candidate
    return part, model


def _discovery(
    model: cf.ItemModel,
    part: Collaborative,
    data: Interactions,
    users: NDArray[np.int64],
    fresh: list[NDArray[np.int32]],
    decay: int,
) -> float:
    """Mean NDCG@10 of the collaborative part alone on what users had not taken up before."""
    query = matrix_of(data, part.columns, users, decay)
    total = count = 0.0
    for start in range(0, len(users), 256):
        scores = model.scores(query[start : start + 256])
        for line, user in enumerate(users[start : start + 256]):
            wanted = fresh[start + line]
            if not len(wanted):
                continue
            seen = part.columns.column_of[data.items[data.of(user)]]
            scores[line, seen[seen >= 0]] = -np.inf
            top = _top(scores[line], K)
            total += _dcg(np.isin(part.columns.items[top], wanted)) / _dcg(np.ones(min(K, len(wanted))))
            count += 1
    return total / count if count else 0.0


def _top(scores: NDArray[Any], k: int) -> NDArray[np.int64]:
    k = min(k, len(scores))
    top = np.argpartition(-scores, k - 1)[:k]
    return top[np.argsort(-scores[top], kind="stable")]


def _dcg(hits: NDArray[Any]) -> float:
    return float((hits / np.log2(np.arange(2, len(hits) + 2))).sum())


def _choose_blend(
    model: Recommender,
    data: Interactions,
    users: NDArray[np.int64],
    truth: Sequence[NDArray[np.int32]],
    fresh: list[NDArray[np.int32]],
    params: Params,
) -> tuple[_Table, NDArray[np.float32]]:
    """Weigh the signals, with and without repeats; returns the table and weights of the mode that the shop uses."""
    best = -1.0
    headline: tuple[_Table, NDArray[np.float32]] | None = None
    if params.repeat:
        for decay in range(len(data.decays)):
            params.rebuy = decay
            table = _Table(model, data, users, [truth[u] for u in users], params, repeats=True)
            weights, value = table.ascend(np.array([0.5, 0.1, 0.05, 1.0], np.float32))
            if value > best:
                best, chosen, scale = value, (decay, weights), table.scale(weights)
                headline = table, weights
        params.rebuy, weights = chosen
        params.blend = _named(weights)
        params.validation["ndcg@10"] = round(best, 5)
        params.tail_scale = scale
    table = _Table(model, data, users, fresh, params, repeats=False)
    weights, value = table.ascend(np.array([1.0, 0.1, 0.05, 0.0], np.float32), frozen=(3,))
    params.blend_new = _named(weights)
    params.validation["discovery_ndcg@10"] = round(value, 5)
    if not params.repeat:
        params.blend = params.blend_new
        params.validation["ndcg@10"] = round(value, 5)
        params.tail_scale = table.scale(weights)
    return headline or (table, weights)


def _named(weights: NDArray[np.float32]) -> dict[str, float]:
    return {name: round(float(w), 4) for name, w in zip(SIGNALS, weights, strict=True)}


class _Table:
    """Candidates of many users in one padded array, so that a trial of weights is one matrix product."""

    def __init__(
        self,
        model: Recommender,
        data: Interactions,
        users: NDArray[np.int64],
        truth: list[NDArray[np.int32]],
        params: Params,
        *,
        repeats: bool,
    ) -> None:
        pairs = [(u, t) for u, t in zip(users, truth, strict=True) if len(t)]
        found = [model.candidates(history_of(data, int(u), params), repeats=repeats) for u, _ in pairs]
        width = max((len(f.items) for f in found), default=1)
        self.signals = np.zeros((len(pairs), width, len(SIGNALS)), np.float32)
        self.hits = np.zeros((len(pairs), width), np.float32)
        self.there = np.zeros((len(pairs), width), bool)
        self.sold = np.zeros((len(pairs), width), np.float32)
        self.ideal = np.array([_dcg(np.ones(min(K, len(t)))) for _, t in pairs])
        for line, (found_one, (_, wanted)) in enumerate(zip(found, pairs, strict=True)):
            n = len(found_one.items)
            self.signals[line, :n] = found_one.signals
            self.hits[line, :n] = np.isin(found_one.items, wanted)
            self.there[line, :n] = True
            self.sold[line, :n] = model.log_sold[found_one.items]

    def ndcg(self, weights: NDArray[np.float32], penalty: float = 0.0) -> float:
        """Mean NDCG@10 under these weights, with `penalty` on the log of sales."""
        if not len(self.hits):
            return 0.0
        scores = np.where(self.there, self.signals @ weights - np.float32(penalty) * self.sold, -np.inf)
        k = min(K, scores.shape[1])
        top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable")
        hits = np.take_along_axis(self.hits, np.take_along_axis(top, order, 1), 1)
        return float((hits / np.log2(np.arange(2, k + 2)) @ np.ones(k) / self.ideal).mean())

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
                for value in GRID:
                    trial = weights.copy()
                    trial[axis] = value
                    if trial.any() and (score := self.ndcg(trial)) > best + 1e-6:
                        weights, best = trial, score
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
        return round(float((self.signals @ weights).max(1).mean()), 4) if len(self.hits) else 1.0
