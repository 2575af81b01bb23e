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
from wares.models.recommend.alike import AlikeSide
from wares.models.recommend.facts import Products
from wares.models.recommend.history import History
from wares.models.recommend.infer import Recommender
from wares.models.recommend.learn import Cut, Drafted, learn
from wares.models.recommend.lists import CANDIDATES
from wares.models.recommend.mood import MoodSide
from wares.models.recommend.newcomers_train import choose_thin
from wares.models.recommend.table import TAIL_KEEPS, K, Table, dcg, named
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
    alike: AlikeSide | None = None,
    mood: MoodSide | None = None,
    folder: Path | None = None,
    threads: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> Params:
    """Parameters that give the best NDCG@10 on `truth`, the items that each user (by row) took up later.

    With windows from `earlier` times, a ranker is learned from them (see ``learn.py``) and kept, if it is better, with
    its trees in `folder`. `graph` and `alike` are neighbours by what was known before the first of those windows; each
    stays only where it helps. `mood` is what was said before `data` ends, as each window has its own; it stays where it helps.
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
            reasons=False,
            graph=graph if earlier else None,
            alike=alike if earlier else None,
            mood=mood if earlier else None,
        )
        del model
        fitted = Recommender(place)
        # Lists of likeness and moods are for the learned ranker; the blend is chosen without them.
        lists, fitted.alike = fitted.alike, None
        table, weights = _choose_blend(fitted, data, users, truth, fresh, params)
        if config.tail < 0:
            params.tail = table.furthest_tail(weights, params.tail_scale)
        choose_thin(fitted, data, [truth[u] for u in users], config.session_decay, params, seed)
        if earlier and folder is not None:
            fitted.weigh(params.to_json())
            fitted.alike = lists
            products = products or Products.plain(category_of)
            cut = Cut(data, truth, popular, products.facts(data))
            drafts = _drafts(
                earlier, text, products, params, config, Path(scratch), memory_gb, seed, graph, alike
            )
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
    """What was known at a moment, what each user (by row) took up in the window after it, popularity before it, and what was
    said before it."""

    data: Interactions
    truth: Sequence[NDArray[np.int32]]
    popular: NDArray[np.float32]
    mood: MoodSide | None = None


def _drafts(
    earlier: Sequence[Window], text: TextSide, products: Products, params: Params, config: Recommend, scratch: Path,
    memory_gb: float, seed: int, graph: GraphSide | None, alike: AlikeSide | None,
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
            part=part, model=model, lists=lists, near=True, graph=graph, alike=alike,
            mood=window.mood,
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
            total += dcg(np.isin(part.columns.items[top], wanted)) / dcg(np.ones(min(K, len(wanted))))
            count += 1
    return total / count if count else 0.0


def _top(scores: NDArray[Any], k: int) -> NDArray[np.int64]:
    k = min(k, len(scores))
    top = np.argpartition(-scores, k - 1)[:k]
    return top[np.argsort(-scores[top], kind="stable")]


def _choose_blend(
    model: Recommender,
    data: Interactions,
    users: NDArray[np.int64],
    truth: Sequence[NDArray[np.int32]],
    fresh: list[NDArray[np.int32]],
    params: Params,
) -> tuple[Table, NDArray[np.float32]]:
    """Weigh the signals, with and without repeats; returns the table and weights of the mode that the shop uses."""

    def told() -> Iterator[History]:
        return (history_of(data, int(u), params) for u in users)

    best = -1.0
    headline: tuple[Table, NDArray[np.float32]] | None = None
    if params.repeat:
        for decay in range(len(data.decays)):
            params.rebuy = decay
            table = Table(model, told(), [truth[u] for u in users], repeats=True)
            weights, value = table.ascend(np.array([0.5, 0.1, 0.05, 1.0], np.float32))
            if value > best:
                best, chosen, scale = value, (decay, weights), table.scale(weights)
                headline = table, weights
        params.rebuy, weights = chosen
        params.blend = named(weights)
        params.validation["ndcg@10"] = round(best, 5)
        params.tail_scale = scale
    table = Table(model, told(), fresh, repeats=False)
    weights, value = table.ascend(np.array([1.0, 0.1, 0.05, 0.0], np.float32), frozen=(3,))
    params.blend_new = named(weights)
    params.validation["discovery_ndcg@10"] = round(value, 5)
    if not params.repeat:
        params.blend = params.blend_new
        params.validation["ndcg@10"] = round(value, 5)
        params.tail_scale = table.scale(weights)
    return headline or (table, weights)
