"""Evaluate the recommender: full ranking of the catalogue on what users took up after the training data ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.config import Evaluate, Recommend
from wares.evaluate.ablate import without_parts
from wares.evaluate.baselines import ItemKnnBaseline, by_own_history, by_popularity
from wares.evaluate.metrics import per_user, popularity_groups
from wares.evaluate.report import Report, Setting, differences, lorenz, measure, recall_by_decile
from wares.features.interactions import Interactions
from wares.models.recommend.alike import AlikeSide
from wares.models.recommend.facts import Products
from wares.models.recommend.history import History
from wares.models.recommend.infer import Recommender
from wares.models.recommend.mood import MoodSide
from wares.models.recommend.train import GraphSide, Params, TextSide, fit, history_of

COLD_SHARE = 0.05
TAILS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
CURVE_USERS = 600
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Split:
    """Training data, and for each user by row (then newcomers) what was taken up afterwards; ``baskets`` is of that what
    each user took up first, on one day."""

    data: Interactions
    truth: Sequence[NDArray[np.int32]]
    popular: NDArray[np.float32]
    name: str
    baskets: Sequence[NDArray[np.int32]] = ()


@dataclass(frozen=True)
class Catalog:
    """What the evaluation needs of products: text neighbours, ``category_of (n_items,)``, brands and prices, and
    neighbours in the graph, lists of likeness and moods by what was known before the test."""

    text: TextSide
    category_of: NDArray[np.int32]
    products: Products | None = None
    graph: GraphSide | None = None
    alike: AlikeSide | None = None
    mood: MoodSide | None = None


def rank_users(model: Recommender, histories: list[History], k: int, **options: Any) -> NDArray[np.int32]:
    """Lists ``(n, k)`` padded with -1."""
    out = np.full((len(histories), k), -1, np.int32)
    for line, history in enumerate(histories):
        found = model.rank(history, k, **options).items
        out[line, : len(found)] = found
    return out


def evaluate_split(
    split: Split, catalog: Catalog, params: Params, config: Recommend, rules: Evaluate, report: Report, scratch: Path,
    *, memory_gb: float, seed: int, trees: Path | None = None, side: Any = None, hide_cold: bool = True, parts: bool = True, threads: int = 0, progress: Progress = lambda _: None,
) -> Report:  # fmt: skip
    """Fit on the training part, rank for everybody who took something up, and fill `report`.

    A twentieth of the users, drawn by seed, is taken out of training and ranked as strangers together with
    true newcomers: the cold users. With `parts`, trees are grown again without one part or another, to tell what each adds.
    """
    rng = np.random.default_rng(seed)
    n = split.data.n_users
    active = np.array([u for u in range(n) if len(split.truth[u])], np.int64)
    hidden = np.zeros(n, bool)
    if hide_cold and len(active) >= 100:
        hidden[rng.choice(active, max(1, int(COLD_SHARE * len(active))), replace=False)] = True
    data = split.data.without(hidden) if hidden.any() else split.data
    warm = active[~hidden[active]]
    cold_truth = [split.truth[u] for u in np.flatnonzero(hidden)] + [t for t in split.truth[n:] if len(t)]
    progress("fit")
    fit(
        data,
        split.popular,
        catalog.text,
        catalog.category_of,
        params,
        config,
        scratch,
        memory_gb=memory_gb,
        seed=seed,
        side=side,
        products=catalog.products,
        trees=trees,
        graph=catalog.graph,
        alike=catalog.alike,
        mood=catalog.mood,
        reasons=False,
    )
    model = Recommender(scratch)
    counts = data.item_counts()
    deeds = np.bincount(data.items, data.times, minlength=data.n_items)
    group = popularity_groups(deeds, rules.head, rules.tail)
    setting = Setting(
        rules.k,
        data.n_items,
        data.n_users,
        group,
        counts == 0,
        catalog.category_of,
        counts,
        rules.bootstrap,
        seed,
    )
    k = max(*rules.k, 20)
    progress("rank")
    histories = [history_of(data, int(u), params) for u in warm]
    truth = [
        split.truth[u] if model.repeats else np.setdiff1d(split.truth[u], data.items[data.of(int(u))])
        for u in warm
    ]
    had = [data.items[data.of(int(u))] for u in warm]
    ours = rank_users(model, histories, k)
    progress("baselines")
    knn = ItemKnnBaseline(data, config.min_support)
    lists = {
        "wares": ours,
        "popularity": by_popularity(data, warm, split.popular, k, repeats=model.repeats),
        "item-knn": knn.lists(warm, k, repeats=model.repeats),
    }
    if model.repeats:
        lists["own history"] = by_own_history(data, warm, params.rebuy, k)
    progress("measure")
    report.metrics, report.intervals = measure(ours, truth, setting)
    for name, one in list(lists.items())[1:]:
        report.baselines[name], report.baseline_intervals[name] = measure(one, truth, setting)
    report.differences = differences(lists, truth, setting)
    _cold_users(report, model, cold_truth, split.popular, data, k, setting)
    views = [("", lists, truth, "")]
    if model.repeats:
        again = _only(model, histories, data.n_items, k)
        repeat = {
            "wares": again,
            "popularity": by_popularity(data, warm, split.popular, k, repeats=True, only_had=True),
            "item-knn": knn.lists(warm, k, repeats=True, only_had=True),
            "own history": lists["own history"],
        }
        explore = {
            "wares": rank_users(model, histories, k, repeats=False),
            "popularity": by_popularity(data, warm, split.popular, k, repeats=False),
            "item-knn": knn.lists(warm, k, repeats=False),
        }
        views += [
            ("repeat_", repeat, [np.intersect1d(t, h) for t, h in zip(truth, had, strict=True)], "repeat"),
            ("explore_", explore, [np.setdiff1d(t, h) for t, h in zip(truth, had, strict=True)], "explore"),
        ]
    for prefix, ranked, wanted, _ in views[1:]:
        _prefixed(report, prefix, ranked, wanted, setting)
    if len(split.baskets):
        first = [split.baskets[u] for u in warm]
        for prefix, ranked, _, kind in views:
            wanted = [
                b
                if kind == "" and model.repeats
                else np.intersect1d(b, h)
                if kind == "repeat"
                else np.setdiff1d(b, h)
                for b, h in zip(first, had, strict=True)
            ]
            _prefixed(report, f"next_basket_{prefix}", ranked, wanted, setting)
    if model.learned is not None and trees is not None and parts:
        progress("parts")
        report.parts = without_parts(trees, params.learned, len(data.decays), seed, threads)
    progress("curves")
    some = (
        np.arange(len(warm))
        if len(warm) <= CURVE_USERS
        else np.sort(rng.choice(len(warm), CURVE_USERS, replace=False))
    )
    report.curves = {
        "tail": _tail_curve(model, [histories[i] for i in some], [truth[i] for i in some], setting),
        "lorenz": {name: lorenz(one, data.n_items, 10) for name, one in lists.items()},
        "deciles": {name: recall_by_decile(one, truth, counts, 20) for name, one in lists.items()},
    }
    report.model = params.to_json()
    report.data |= {
        "users": len(warm), "cold_users": len(cold_truth), "items": data.n_items, "pairs": len(data.items),
        "wanted": int(sum(map(len, truth))), "wanted_cold": int(sum(int((counts[t] == 0).sum()) for t in truth)),
        "split": split.name, "repeats": model.repeats,
        "tail_items": int((group == 2).sum()), "head_items": int((group == 0).sum()),
    }  # fmt: skip
    return report


def _cold_users(
    report: Report,
    model: Recommender,
    truth: list[NDArray[np.int32]],
    popular: NDArray[np.float32],
    data: Interactions,
    k: int,
    setting: Setting,
) -> None:
    if not truth:
        return
    strangers = rank_users(model, [History.empty()] * len(truth), k)
    nobody = np.full(len(truth), -1, np.int64)
    sold = by_popularity(data, nobody, popular, k, repeats=True)
    _prefixed(report, "cold_users_", {"wares": strangers, "popularity": sold}, truth, setting)


def _only(model: Recommender, histories: list[History], n_items: int, k: int) -> NDArray[np.int32]:
    """Lists of what each had, and nothing else."""
    out = np.full((len(histories), k), -1, np.int32)
    for line, history in enumerate(histories):
        own = np.zeros(n_items, bool)
        own[history.items] = True
        found = model.rank(history, k, repeats=True, allowed=own).items
        out[line, : len(found)] = found
    return out


def _prefixed(
    report: Report, prefix: str, lists: dict[str, NDArray[np.int32]], truth: Sequence[NDArray[np.int32]], setting: Setting
) -> None:  # fmt: skip
    """Put the metrics of a view of the lists into the report, with `prefix` before their names."""
    for who, one in lists.items():
        metrics, intervals = measure(one, truth, setting, groups=False)
        into, bounds = (
            (report.metrics, report.intervals)
            if who == "wares"
            else (report.baselines[who], report.baseline_intervals[who])
        )
        into.update({prefix + name: value for name, value in metrics.items()})
        bounds.update({prefix + name: value for name, value in intervals.items()})
    found = differences(lists, truth, setting)
    report.differences.update({prefix + name: value for name, value in found.items()})


def _tail_curve(
    model: Recommender, histories: list[History], truth: Sequence[NDArray[np.int32]], setting: Setting
) -> list[dict[str, float]]:  # fmt: skip
    """Accuracy, share of the tail and coverage along the slider; candidates are weighed once for all its places."""
    chosen = float(model.params["tail"])
    tails = sorted({*TAILS, chosen})
    lists = np.full((len(tails), len(histories), 10), -1, np.int32)
    for line, history in enumerate(histories):
        weighed = model.weighed(history)
        for place, tail in enumerate(tails):
            found = model.arranged(weighed, 10, tail=tail).items
            lists[place, line, : len(found)] = found
    out: list[dict[str, float]] = []
    for tail, one in zip(tails, lists, strict=True):
        values = per_user(one, truth, [10])["ndcg@10"]
        shown = one[one >= 0]
        out.append(
            {
                "tail": tail,
                "chosen": int(tail == chosen),
                "ndcg@10": float(np.nanmean(values)),
                "tail_share@10": float((setting.group[shown] == 2).mean()) if len(shown) else 0.0,
                "coverage@10": len(np.unique(shown)) / max(setting.n_items, 1),
            }
        )
    return out
