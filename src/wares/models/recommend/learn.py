"""Fit the learned ranker: repeat and explore apart, on windows that roll back from validation, then mixed.

Features at a cut are made of what happened before it, labels are what was taken up in the window after it. The kinds of
trees, their calibration (Platt 1999) and whether the whole is better than the plain blend are decided on validation;
then the trees are grown once more with the validation window among the examples. The split into repeat and explore
follows Li et al. 2021 (https://arxiv.org/abs/2109.14233).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, save_arrays
from wares.core.errors import NotFitted
from wares.features.interactions import Interactions
from wares.features.trees_build import raw_scores, save_trees
from wares.models.recommend.forest_train import KINDS, Examples, grow
from wares.models.recommend.infer import Candidates, Recommender
from wares.models.recommend.learned import HEADS, WIDTH, best_places
from wares.models.recommend.moments import (
    Items,
    Shopper,
    explore_features,
    names_explore,
    names_repeat,
    repeat_features,
)
from wares.models.recommend.mood import LEADS as MOODS
from wares.models.recommend.train import Params, history_of

K = 10
USERS = 700
LEAST_BOUGHT = 400
LEAST_USERS = 100
SURE = 1.96
SAVED_ROWS = {"train": 80_000, "judge": 200_000}


@dataclass(frozen=True)
class Cut:
    """A moment of training: what was known at it, what each user (by row) took up in the window after it, and the facts
    of products at it."""

    data: Interactions
    truth: Sequence[NDArray[np.int32]]
    popular: NDArray[np.float32]
    facts: NDArray[np.float32]


@dataclass(frozen=True)
class Drafted:
    """A model fitted at a cut, with its collaborative draft for some users where it has no neighbour lists."""

    model: Recommender
    draft: Callable[[NDArray[np.int64]], Sequence[tuple[NDArray[Any], NDArray[Any]] | None]]


class Table:
    """Examples of both heads over the same shoppers, so that their lists can be mixed and measured."""

    def __init__(
        self, cut: Cut, model: Recommender, drafts: Sequence[Any], brand_of: NDArray[np.int32], params: Params,
        users: NDArray[np.int64],
    ) -> None:  # fmt: skip
        items = Items.of(cut.facts, model.category_of, brand_of, model.text_of)
        parts: dict[str, list[tuple[Any, ...]]] = {head: [] for head in HEADS}
        # Where nothing is bought again, what the shopper had is neither offered nor wanted.
        self.wanted = np.zeros(len(users), np.int64)
        plain: list[float] = []
        self.sold: dict[str, list[NDArray[np.float32]]] = {head: [] for head in HEADS}
        for line, (user, drafted) in enumerate(zip(users.tolist(), drafts, strict=True)):
            history = history_of(cut.data, user, params)
            truth = cut.truth[user] if params.repeat else np.setdiff1d(cut.truth[user], history.items)
            self.wanted[line] = len(truth)
            found = model.candidates(history, repeats=params.repeat, drafted=drafted)
            cheap, shopper = model.cheap(history, found), Shopper(history, items)
            blend = found.signals @ model.weights[params.repeat]
            bought = np.isin(found.items, truth).astype(np.float32)
            if len(truth):
                plain.append(ndcg(blend[None, :], bought[None, :], self.wanted[line : line + 1]))
            had = int(np.isin(truth, history.items).sum())
            for head, number in (("repeat", had), ("explore", len(truth) - had)):
                close = _close(found, cheap, head)
                ids, own, leads = found.items[close], found.own[close], found.leads[close]
                features = (
                    repeat_features(shopper, own, leads)
                    if head == "repeat"
                    else explore_features(shopper, ids, leads)
                )
                parts[head].append((features, np.isin(ids, truth), len(close), cheap[close], number))
                self.sold[head].append(model.log_sold[ids])
        self.n_decays = cut.data.decayed.shape[1]
        self.plain = float(np.mean(plain)) if plain else 0.0
        self.heads = {head: _examples(rows) for head, rows in parts.items()}

    def side_by_side(
        self, scores: dict[str, NDArray[np.float32]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """See `side_by_side`; with the log of sales of each."""
        out, bought, place = side_by_side(self.heads, scores)
        sold = np.zeros_like(out)
        for head, (line, column) in place.items():
            sold[line, column] = np.concatenate(self.sold[head])
        return out, bought, sold


def side_by_side(
    heads: dict[str, Examples], scores: dict[str, NDArray[np.float32]]
) -> tuple[NDArray[np.float32], NDArray[np.float32], dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]]:
    """Padded ``(users, width)``: the scores of heads beside each other and whether each was bought; and where the rows of
    each head went."""
    n = len(next(iter(heads.values())).sizes)
    width = sum(int(heads[head].sizes.max(initial=0)) for head in scores)
    out, bought = np.full((n, width), -np.inf, np.float32), np.zeros((n, width), np.float32)
    place: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
    shift = 0
    for head, values in scores.items():
        sizes = heads[head].sizes
        line = np.repeat(np.arange(n), sizes)
        column = shift + np.arange(len(line)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        out[line, column], bought[line, column] = values, heads[head].bought
        place[head] = line, column
        shift += int(sizes.max(initial=0))
    return out, bought, place


def _close(found: Candidates, cheap: NDArray[np.float32], head: str) -> NDArray[np.int64]:
    mine = np.flatnonzero(found.own >= 0 if head == "repeat" else found.own < 0)
    return mine[best_places(cheap[mine], WIDTH[head])]


def _examples(rows: list[tuple[Any, ...]]) -> Examples:
    """The lists of all shoppers as one.

    Raises:
        NotFitted: where there is no shopper at all.
    """
    if not rows:
        raise NotFitted(
            "there is nobody to learn a ranking from at this moment",
            mend="Draw shoppers who had something before it and took something up after it",
        )
    return Examples(
        np.concatenate([r[0] for r in rows]),
        np.concatenate([r[1] for r in rows]),
        np.array([r[2] for r in rows], np.int64),
        np.concatenate([r[3] for r in rows]),
        np.array([r[4] for r in rows], np.int64),
    )


def ndcg(scores: NDArray[np.float32], bought: NDArray[np.float32], wanted: NDArray[np.int64]) -> float:
    """Mean NDCG@10 of padded lists ``(users, width)``, over the users who wanted something."""
    found = gains(scores, bought, wanted)
    return float(found.mean()) if len(found) else 0.0


def gains(
    scores: NDArray[np.float32], bought: NDArray[np.float32], wanted: NDArray[np.int64]
) -> NDArray[np.float64]:
    """NDCG@10 of each of the users who wanted something, in order; see `ndcg`."""
    asked = wanted > 0
    if not asked.any() or not scores.shape[1]:
        return np.zeros(int(asked.sum()))
    scores, bought = scores[asked], bought[asked]
    k = min(K, scores.shape[1])
    top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable")
    hits = np.take_along_axis(bought, np.take_along_axis(top, order, 1), 1)
    discount = 1 / np.log2(np.arange(2, K + 2))
    ideal = np.cumsum(discount)[np.minimum(wanted[asked], K) - 1]
    return hits @ discount[:k] / ideal


def sample(cut: Cut, seed: int, most: int = USERS) -> NDArray[np.int64]:
    """Some users who had something before a cut and took something up after it, ascending."""
    sizes = np.diff(cut.data.ptr)
    active = np.array(
        [u for u in range(cut.data.n_users) if u < len(cut.truth) and len(cut.truth[u]) and sizes[u]],
        np.int64,
    )
    return (
        active
        if len(active) <= most
        else np.sort(np.random.default_rng(seed).choice(active, most, replace=False))
    )


def platt(raw: NDArray[np.float32], bought: NDArray[np.bool_]) -> tuple[float, float]:
    """(slope, offset) that make raw scores log-odds: logistic regression on one variable by Newton's method."""
    x, y = raw.astype(np.float64), bought.astype(np.float64)
    center, scale = float(x.mean()), max(float(x.std()), 1e-9)
    z = np.column_stack([(x - center) / scale, np.ones(len(x))])
    w = np.array([1.0, np.log((y.mean() + 1e-6) / (1 - y.mean() + 1e-6))])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(z @ w, -30, 30)))
        gradient = z.T @ (p - y) + 1e-3 * w
        hessian = (z * (p * (1 - p))[:, None]).T @ z + 1e-3 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        w -= step
        if float(np.abs(step).max()) < 1e-8:
            break
    # A score that orders wrongly must not be turned over on the strength of one window.
    slope = max(float(w[0]), 1e-3) / scale
    return slope, float(w[1]) - slope * center


def learn(
    earlier: Iterable[tuple[Cut, Drafted]], validation: tuple[Cut, Drafted], brand_of: NDArray[np.int32], params: Params,
    folder: Path, *, seed: int = 7, threads: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Write the trees into `folder` and return what serving needs to know of them; empty where the plain blend is not
    beaten on validation, or where there is too little to learn from.

    `earlier` are cuts whose windows end where validation begins, or before; one is in memory at a time.
    """
    heads = HEADS if params.repeat else HEADS[1:]
    trained: list[dict[bool, Table]] = []
    for number, (cut, fitted) in enumerate(earlier):
        # Of a moment at which nobody both had something and took something up there is nothing to learn.
        if len(users := sample(cut, seed + number)):
            trained.append(_tables(cut, fitted, brand_of, params, users))
    if not trained or len(users := sample(validation[0], seed)) < LEAST_USERS:
        return {}
    judges = _tables(*validation, brand_of, params, users)
    about: dict[str, Any] = {}
    about["alike"], use, first = _gate_alike(trained, judges, seed, threads)
    judge = judges[use]
    examples = {head: Examples.joined([t[use].heads[head] for t in trained]) for head in heads}
    if min(int(e.bought.sum()) for e in examples.values()) < LEAST_BOUGHT:
        return {}
    if not all(judge.heads[head].bought.any() for head in heads):
        return {}
    about["validation"] = {"plain_ndcg@10": round(judges[False].plain, 5)}
    about["mood"], first = _gate_mood(examples, judge, first, seed, threads)
    about["graph"], gated = _gate_graph(examples, judge, first, seed, threads)
    best: dict[str, NDArray[np.float32]] = {}
    for head in heads:
        tried: dict[str, tuple[float, NDArray[np.float32]]] = {
            "blend": (_measured(judge, head, judge.heads[head].cheap), judge.heads[head].cheap)
        }
        for kind in KINDS:
            progress(f"{head}: {kind}")
            raw = gated if head == "explore" and kind == KINDS[0] else None
            if raw is None:
                raw = raw_scores(grow(examples[head], kind, seed, threads), judge.heads[head].features)
            tried[kind] = _measured(judge, head, raw), raw
        kind = max(tried, key=lambda name: tried[name][0])
        slope, offset = platt(tried[kind][1], judge.heads[head].bought)
        best[head] = np.float32(slope) * tried[kind][1] + np.float32(offset)
        about[head] = {
            "kind": "blend" if kind == "blend" else "trees",
            "by": kind,
            "slope": slope,
            "offset": offset,
        }
        about["validation"] |= {
            f"{head}_ndcg@10 {name}": round(value, 5) for name, (value, _) in tried.items()
        }
    scores, bought, sold = judge.side_by_side(best)
    mixed = ndcg(scores, bought, judge.wanted)
    about["validation"]["ndcg@10"] = round(mixed, 5)
    about["validation"]["expected"] = {
        head: round(float((1 / (1 + np.exp(-best[head]))).sum() / max(judge.heads[head].bought.sum(), 1)), 4)
        for head in heads
    }
    if mixed <= judges[False].plain:
        return {}
    about["tail_scale"] = round(float(np.mean([_span(row) for row in scores])), 4)
    about["tails"] = {
        f"{tail:g}": ndcg(scores - np.float32(tail * about["tail_scale"]) * sold, bought, judge.wanted)
        for tail in TAILS
    }  # fmt: skip
    for head in heads:
        if about[head]["kind"] == "trees":
            progress(f"{head}: again with validation")
            whole = Examples.joined([examples[head], judge.heads[head]])
            trees = grow(whole, about[head]["by"], seed, threads)
            save_trees(
                trees, whole.features.shape[1], folder / f"{head}.onnx", judge.heads[head].features[:2000]
            )
    for name, one in (("train", examples), ("judge", {head: judge.heads[head] for head in heads})):
        _save_examples(name, one, folder, seed)
    return about


TAILS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)


def _tables(
    cut: Cut, fitted: Drafted, brand_of: NDArray[np.int32], params: Params, users: NDArray[np.int64]
) -> dict[bool, Table]:
    """The examples of a moment with lists of likeness, where there are any, and without: other candidates, not only
    other features."""
    model, drafts = fitted.model, fitted.draft(users)
    lists, found = model.alike, dict[bool, Table]()
    for use in (True, False) if lists is not None else (False,):
        model.alike = lists if use else None
        found[use] = Table(cut, model, drafts, brand_of, params, users)
    model.alike = lists
    return found


def _gate_alike(
    trained: Sequence[dict[bool, Table]], judges: dict[bool, Table], seed: int, threads: int
) -> tuple[dict[str, Any], bool, NDArray[np.float32] | None]:
    """Whether lists of likeness are used: where they find more new products, the 95% interval of the mean gain, paired by
    shopper, being above zero. With the scores that the first kind of trees gave to new products, where
    they were grown."""
    if True not in judges:
        return {"kept": False, "why": "there are none"}, False, None
    values: dict[bool, NDArray[np.float64]] = {}
    raw: dict[bool, NDArray[np.float32]] = {}
    for use, judge in judges.items():
        train = Examples.joined([one[use].heads["explore"] for one in trained])
        held = judge.heads["explore"]
        if int(train.bought.sum()) < LEAST_BOUGHT or not held.bought.any():
            return {"kept": False, "why": "too little is bought to tell"}, False, None
        raw[use] = raw_scores(grow(train, KINDS[0], seed, threads), held.features)
        scores, bought, _ = judge.side_by_side({"explore": raw[use]})
        values[use] = gains(scores, bought, held.wanted)
    gain = values[True] - values[False]
    error = float(gain.std(ddof=1) / np.sqrt(len(gain))) if len(gain) > 1 else float("inf")
    kept = bool(gain.mean() > SURE * error)
    about = {
        "kept": kept,
        "explore_ndcg@10 with": round(float(values[True].mean()), 5),
        "explore_ndcg@10 without": round(float(values[False].mean()), 5),
        "gain_error": round(error, 5),
    }
    return about, kept, raw[kept]


def _gate_mood(
    examples: dict[str, Examples], judge: Table, whole: NDArray[np.float32] | None, seed: int, threads: int
) -> tuple[dict[str, Any], NDArray[np.float32] | None]:
    """Leave moods out of all examples unless they help: both heads side by side, the 95% interval of the mean gain, paired by
    shopper, being above zero. With the scores that the first kind of trees gave to new products, where they are known."""
    columns = {head: [names_of(head, judge.n_decays).index(name) for name in MOODS] for head in examples}
    if not any(np.isfinite(one.features[:, columns[head]]).any() for head, one in examples.items()):
        return {"kept": False, "why": "nothing is said of any product"}, whole
    raw: dict[bool, dict[str, NDArray[np.float32]]] = {True: {}, False: {}}
    for head, one in examples.items():
        held = judge.heads[head]
        # One kind of trees for each head is enough to tell; the kinds are compared once it is known what they look at.
        known = whole if head == "explore" else None
        raw[True][head] = (
            known if known is not None else raw_scores(grow(one, KINDS[0], seed, threads), held.features)
        )
        bare = held.without(columns[head])
        raw[False][head] = raw_scores(
            grow(one.without(columns[head]), KINDS[0], seed, threads), bare.features
        )
    values: dict[bool, NDArray[np.float64]] = {}
    for use, scores in raw.items():
        calibrated = {}
        for head, some in scores.items():
            slope, offset = platt(some, judge.heads[head].bought)
            calibrated[head] = np.float32(slope) * some + np.float32(offset)
        values[use] = gains(*judge.side_by_side(calibrated)[:2], judge.wanted)
    gain = values[True] - values[False]
    error = float(gain.std(ddof=1) / np.sqrt(len(gain))) if len(gain) > 1 else float("inf")
    kept = bool(gain.mean() > SURE * error)
    if not kept:
        for head in examples:
            examples[head], judge.heads[head] = (
                examples[head].without(columns[head]),
                judge.heads[head].without(columns[head]),
            )
    about = {
        "kept": kept,
        "ndcg@10 with": round(float(values[True].mean()), 5),
        "ndcg@10 without": round(float(values[False].mean()), 5),
        "gain": round(float(gain.mean()), 5),
        "gain_error": round(error, 5),
    }
    return about, raw[kept].get("explore", whole)


def _gate_graph(
    examples: dict[str, Examples], judge: Table, whole: NDArray[np.float32] | None, seed: int, threads: int
) -> tuple[dict[str, Any], NDArray[np.float32] | None]:
    """Leave the graph out of all examples where it does not help to find new products; with both figures, and the scores
    that the first kind of trees gave to new products, where they were grown; `whole` are those with the graph if known."""
    column = [names_explore(judge.n_decays).index("graph")]
    if not np.isfinite(examples["explore"].features[:, column]).any():
        return {"kept": False, "why": "there is none"}, whole
    if whole is None:
        whole = raw_scores(
            grow(examples["explore"], KINDS[0], seed, threads), judge.heads["explore"].features
        )
    bare = judge.heads["explore"].without(column)
    trees = grow(examples["explore"].without(column), KINDS[0], seed, threads)
    found = [whole, raw_scores(trees, bare.features)]
    values = [_measured(judge, "explore", raw) for raw in found]
    kept = values[0] > values[1]
    if not kept:
        for head in examples:
            at = [names_of(head, judge.n_decays).index("graph")]
            examples[head], judge.heads[head] = examples[head].without(at), judge.heads[head].without(at)
    about = {
        "kept": kept,
        "explore_ndcg@10 with": round(values[0], 5),
        "explore_ndcg@10 without": round(values[1], 5),
    }
    return about, found[0 if kept else 1]


def _measured(judge: Table, head: str, raw: NDArray[np.float32]) -> float:
    scores, bought, _ = judge.side_by_side({head: raw})
    return ndcg(scores, bought, judge.heads[head].wanted)


def _span(row: NDArray[np.float32]) -> float:
    """From the best to the median of a list: what the tail slider at 1 takes from the best-seller."""
    there = row[np.isfinite(row)]
    return float(there.max() - np.median(there)) if len(there) else 0.0


def _save_examples(name: str, examples: dict[str, Examples], folder: Path, seed: int) -> None:
    """Keep the lists of some shoppers, so that an evaluation can grow trees without one part or another."""
    some = next(iter(examples.values()))
    share = min(SAVED_ROWS[name] / max(len(one.bought), 1) for one in examples.values())
    kept = np.random.default_rng(seed).random(len(some.sizes)) < share
    for head, one in examples.items():
        line = np.repeat(kept, one.sizes)
        save_arrays(
            folder,
            **{
                f"{name}_{head}_features": np.clip(one.features[line], -6e4, 6e4).astype(np.float16),
                f"{name}_{head}_bought": one.bought[line],
                f"{name}_{head}_sizes": one.sizes[kept],
                f"{name}_{head}_cheap": one.cheap[line],
                f"{name}_{head}_wanted": one.wanted[kept],
            },
        )


def load_examples(name: str, head: str, folder: Path) -> Examples:
    """What `learn` kept: `name` is ``train`` or ``judge``."""
    arrays = {field: load_array(folder, f"{name}_{head}_{field}") for field in Examples.__dataclass_fields__}
    return Examples(**{**arrays, "features": np.asarray(arrays["features"], np.float32)})


def names_of(head: str, n_decays: int) -> list[str]:
    """The features of a head, in order."""
    return names_repeat(n_decays) if head == "repeat" else names_explore(n_decays)
