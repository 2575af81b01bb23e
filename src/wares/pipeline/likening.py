"""The build step of similarity: dimensions as of now, and as they were before the days that teach how they fuse."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.arrays import load_array, open_artifact, save_arrays
from wares.core.strings import StringTable
from wares.features.catalogue import PRICE_SCALE, Catalogue
from wares.features.interactions import Interactions
from wares.features.interactions_build import DAY, EventLog
from wares.features.scene_build import Counts, beside, scene_counts
from wares.graph.behaviour import Pairs
from wares.graph.build import pairs_before
from wares.graph.infer import Graph
from wares.graph.neighbours import window_before
from wares.models.recommend.segments_train import segments_of, tops_of
from wares.models.similar import sources as s
from wares.models.similar import train
from wares.models.similar.dimensions import ORDER, VectorDimension
from wares.models.similar.fusion_train import Examples, Labels, base_fusion, examples
from wares.models.similar.infer import KIND
from wares.models.similar.lists_train import LENGTH, LISTED, listed_rows, lists_of
from wares.pipeline.graphing import PAIRS, event_log, read_pairs
from wares.pipeline.plan import Context, Tick

QUERIES = 500
LIST_QUERIES = 200
"""Products whose labels teach the fusion of an earlier moment: it only draws candidates, and is made once a build."""
FEWEST_OF_A_LABEL = 2
GRAPH = "graph"
Lists = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float16]]
"""``rows (m,)`` with lists, ``ids`` and ``sims (m, 3, k)`` by kind: see `wares.models.similar.lists_train`."""
_S, _F = "wares.models.similar.", "wares.features."
MODULES = (
    f"{_S}dimensions", f"{_S}fusion", f"{_S}fusion_train", f"{_S}index", f"{_S}lists_train", f"{_S}sources", f"{_S}train", f"{_F}scene_build",
    "wares.graph.propagate", "wares.pipeline.likening",
)  # fmt: skip


@dataclass(frozen=True)
class Moment:
    """What was known at a moment: pairs of products, who had what, scenes, and the end of knowledge (None: now)."""

    bought: Pairs
    viewed: Pairs
    data: Interactions
    scene: Counts
    until: int | None
    users: list[str]


def build_similar(context: Context, folder: Path, tick: Tick) -> Any:
    """Write the similarity artefact of a build."""
    products = Catalogue(context.done["catalogue"])
    data, _ = Interactions.load(context.done["interactions"])
    vectors = np.asarray(load_array(context.done["vectors"], "vectors"), np.float32)
    axes = s.leading(vectors, s.TEXT_DIM)[1] if len(vectors) else np.zeros((0, 0), np.float32)
    fixed = _fixed(context, products, vectors, axes)
    tick(1, 10)
    log = event_log(context)
    cuts = context.manifest(PAIRS)["cuts"]
    now, before = _moments(context, log, data, products, cuts)
    tick(3, 10)
    graph = _graph(context)
    behaviour = _of_behaviour(now, products, fixed, graph, None, context.config.recommend.min_support)
    dimensions = sorted([*fixed, *behaviour], key=lambda d: ORDER.index(d.name))
    tick(5, 10)
    labelled: dict[str, Examples] = {}
    if log is not None and before is not None:
        names = [d.name for d in dimensions]
        labelled = _labelled(log, now, before, products, fixed, graph, names, context.config.shop.seed)
    tick(7, 10)
    texts = _texts(context, products, axes, data)
    seed = context.config.shop.seed
    rows, ids, sims = _lists([d for d in dimensions if d.name != GRAPH], labelled, dimensions, texts, seed)
    save_arrays(folder, list_rows=rows, list_ids=ids, list_sims=sims)
    return train.fit(
        dimensions, labelled, texts, folder, seed=context.config.shop.seed, threads=context.config.build.threads,
        tick=lambda done, total: tick(7 * total + 3 * done, 10 * total),
    )  # fmt: skip


def lists_before(context: Context, until: int) -> Lists:
    """The lists that a build would have made of what was known before `until` (Unix seconds): for tuning and testing.

    How dimensions fuse is learned on the days before that moment, from what was known before those days. The graph takes
    no part, here and in the lists of the build: the recommender has its neighbours as a source of their own.
    Needs the steps ``catalogue``, ``vectors``, ``text_neighbours``, ``images`` and ``review_vectors`` done.
    """
    products, log = Catalogue(context.done["catalogue"]), event_log(context)
    found = None if log is None else window_before(log, until, context.config.evaluate.test_days)
    if log is None or found is None:
        return no_lists()
    since, end = found
    vectors = np.asarray(load_array(context.done["vectors"], "vectors"), np.float32)
    axes = s.leading(vectors, s.TEXT_DIM)[1] if len(vectors) else np.zeros((0, 0), np.float32)
    fixed = _fixed(context, products, vectors, axes)
    top_of, names = tops_of(list(products.columns[c.CATEGORY]))
    cuts = [end, since]
    scenes = scene_counts(log, [*cuts])
    moments: list[Moment] = []
    for cut, pairs, scene in zip(cuts, pairs_before(log, [*cuts]), scenes, strict=True):
        known, users = log.interactions(cut)
        moments.append(Moment(*pairs, known, scene, cut, users))
        _complete(moments[-1], top_of, len(names), len(products))
    now, before = moments
    texts = _texts(context, products, axes, now.data)
    support = context.config.recommend.min_support
    behaviour = _of_behaviour(now, products, fixed, None, listed_rows(texts.sold), support)
    dimensions = sorted([*fixed, *behaviour], key=lambda d: ORDER.index(d.name))
    seed = context.config.shop.seed
    labelled = _labelled(
        log, now, before, products, fixed, None, [d.name for d in dimensions], seed, LIST_QUERIES
    )
    return _lists(dimensions, labelled, dimensions, texts, seed)


def read_lists(folder: Path) -> Lists:
    """The lists of the artefact ``similar``."""
    open_artifact(folder, KIND)
    rows, ids, sims = (np.asarray(load_array(folder, f"list_{name}")) for name in ("rows", "ids", "sims"))
    return rows, ids, sims


def no_lists() -> Lists:
    """Of a shop of which nothing is known."""
    shape = (0, len(LISTED), LENGTH)
    return np.zeros(0, np.int32), np.zeros(shape, np.int32), np.zeros(shape, np.float16)


def _lists(
    dimensions: list[Any],
    labelled: dict[str, Examples],
    labelled_by: list[Any],
    texts: train.Texts,
    seed: int,
) -> Lists:
    """Lists by `dimensions`, which are some of those that the examples have columns of."""
    rows = listed_rows(texts.sold)
    if not len(rows) or not dimensions:
        return no_lists()
    names = [d.name for d in labelled_by]
    columns = [names.index(d.name) for d in dimensions]
    some = {
        kind: replace(one, raw=one.raw[:, columns], known=one.known[:, columns])
        for kind, one in labelled.items()
    }
    base = base_fusion(dimensions, len(texts.text_of), seed)
    return rows, *lists_of(dimensions, train.fuse_kinds(base, some, seed), texts, rows)


def _texts(
    context: Context, products: Catalogue, axes: NDArray[np.float32], data: Interactions
) -> train.Texts:
    near = np.asarray(load_array(context.done["text_neighbours"], "ids"))
    return train.Texts(np.asarray(products.text_of), near, axes, data.item_counts())


def _fixed(
    context: Context, products: Catalogue, vectors: NDArray[np.float32], axes: NDArray[np.float32]
) -> list[Any]:
    """What does not depend on the moment: text, attributes, reviews, image, price."""
    column = {
        name: list(products.columns[name]) for name in ("title", "brand", "category", "size", "attributes")
    }
    found: list[Any] = []
    if len(vectors):
        # Of a product without a word nothing is known: its vector would be like those of all others without.
        said = StringTable.load(context.done["catalogue"], "texts")
        blank = np.array([not any(sign.isalnum() for sign in text) for text in said], bool)
        text_of = np.asarray(products.text_of)
        found.append(VectorDimension("text", vectors @ axes, np.where(blank[text_of], -1, text_of)))
    sets = s.attribute_sets(column["brand"], column["category"], column["size"], column["attributes"])
    found.append(s.set_dimension("attributes", sets))
    pictures = context.done["images"]
    row_of = np.asarray(load_array(pictures, "row_of"))
    if (row_of >= 0).any():
        found.append(VectorDimension("image", np.asarray(load_array(pictures, "vectors")), row_of))
    reviews = context.done["review_vectors"]
    row_of = np.asarray(load_array(reviews, "row_of"))
    if (row_of >= 0).any():
        full = np.asarray(load_array(reviews, "vectors"), np.float32)
        found.append(VectorDimension("reviews", full @ s.leading(full, s.TEXT_DIM, centred=True)[1], row_of))
    prices = np.asarray(products.prices)
    if (prices > 0).sum() > 1:
        texts = zip(column["size"], column["title"], strict=True)
        found.append(s.price_dimension(prices, PRICE_SCALE, texts))
    return [d for d in found if d.has.any()]


def _moments(
    context: Context, log: EventLog | None, data: Interactions, products: Catalogue, cuts: list[int | None]
) -> tuple[Moment, Moment | None]:
    n = len(products)
    if log is None or not len(data.items):
        bought, viewed = read_pairs(context, 0)
        return Moment(bought, viewed, data, {}, None, []), None
    until = int(cuts[1]) if len(cuts) > 1 and cuts[1] is not None else None
    scenes = scene_counts(log, [None] if until is None else [None, until])
    top_of, names = tops_of(list(products.columns[c.CATEGORY]))
    now = Moment(*read_pairs(context, 0), data, scenes[0], None, [])
    _complete(now, top_of, len(names), n)
    if until is None:
        return now, None
    earlier, users = log.interactions(until)
    before = Moment(*read_pairs(context, 1), earlier, scenes[1], until, users)
    _complete(before, top_of, len(names), n)
    return now, before


def _complete(moment: Moment, top_of: NDArray[np.int64], n_tops: int, n: int) -> None:
    """Add to the scene which segment of shoppers a product is bought by, and beside what."""
    data = moment.data
    if n_tops > 1 and len(data.items):
        segment = segments_of(data, top_of, n_tops)[data.rows()]
        known = segment >= 0
        keys, often = np.unique(
            data.items[known].astype(np.int64) * n_tops + segment[known], return_counts=True
        )
        moment.scene["segment"] = (keys // n_tops, keys % n_tops, often.astype(np.float64))
    if n_tops > 1 and len(moment.bought.a):
        moment.scene["beside"] = beside(moment.bought.a, moment.bought.b, moment.bought.together, top_of)


def _graph(context: Context) -> tuple[Graph, dict[str, float]] | None:
    """The graph with the weight of each relation: as learned, or all alike where nothing was."""
    graph = Graph(context.done["graph"])
    if not len(graph.tails):
        return None
    learned = context.manifest("graph_neighbours")["weights"]
    weights = dict.fromkeys(graph.relations, 0.1)
    for channel, value in learned.items():
        name = channel.rstrip(">")
        if name in weights:
            weights[name] += float(value)
    return graph, weights


def _of_behaviour(
    moment: Moment, products: Catalogue, fixed: list[Any], graph: tuple[Graph, dict[str, float]] | None, rows: NDArray[Any] | None,
    support: int,
) -> list[Any]:  # fmt: skip
    """The dimensions that grow with what shoppers do; lists of shoppers in common only of `rows` if given."""
    n, data = len(products), moment.data
    found: list[Any] = []
    if len(data.items):
        cells = (np.ones(len(data.items), np.float32), (data.rows(), data.items))
        found.append(
            s.shopper_lists("behaviour", sp.csr_matrix(cells, (data.n_users, n)), rows, least=support)
        )
    for name, pairs in (("view", moment.viewed), ("basket", moment.bought)):
        if len(pairs.a):
            found.append(s.pair_hoods(name, n, pairs.a, pairs.b, pairs.together, pairs.alone))
    if moment.scene:
        found.append(s.scene_dimension(moment.scene, n))
    if graph is not None:
        text = next((d for d in fixed if d.name == "text"), None)
        day = None if moment.until is None else moment.until // DAY
        found.append(s.graph_dimension(graph[0], graph[1], text, day))
    return [d for d in found if d.has.any()]


def _labelled(
    log: EventLog,
    now: Moment,
    before: Moment,
    products: Catalogue,
    fixed: list[Any],
    graph: Any,
    names: list[str],
    seed: int,
    most: int = QUERIES,
) -> dict[str, Examples]:
    """Examples of substitutes and complements out of the last days, with features of the time before them."""
    labels = {
        "substitute": _substitutes(log, now, before, products),
        "complement": _apart(_fresh(now.bought, before.bought), np.asarray(products.category_of)),
    }
    rng = np.random.default_rng(seed)
    some = {kind: _some(pairs, rng, most) for kind, pairs in labels.items()}
    rows = np.unique(np.concatenate([x[0] for x in some.values()]))
    if not len(rows):
        return {}
    # What nobody did before those days is a dimension of which nothing was known.
    behaviour = _of_behaviour(before, products, fixed, graph, rows, 1)
    dimensions = s.aligned([*fixed, *behaviour], names, len(products))
    out: dict[str, Examples] = {}
    for kind, (items, others) in some.items():
        if len(items):
            out[kind] = examples(
                dimensions, Labels(items, others, items[:0], others[:0]), len(products), seed, most
            )
    return out


def _apart(
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]], category_of: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of different categories: two milks in one basket are no complements."""
    a, b = pairs
    kept = (category_of[a] != category_of[b]) | (category_of[a] < 0)
    return a[kept], b[kept]


def _some(
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]], rng: np.random.Generator, most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both directions of pairs, of at most `most` products."""
    items, others = np.r_[pairs[0], pairs[1]], np.r_[pairs[1], pairs[0]]
    queries = rng.permutation(np.unique(items))[:most]
    kept = np.isin(items, queries)
    return items[kept], others[kept]


def _fresh(now: Pairs, before: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs that came together in the last days, oftener than by chance."""
    n = np.int64(len(now.alone))
    keys, old = now.a * n + now.b, before.a * n + before.b
    order = np.argsort(old)
    at = (
        order[np.minimum(np.searchsorted(old, keys, sorter=order), max(len(old) - 1, 0))]
        if len(old)
        else np.zeros(len(keys), np.int64)
    )
    had = np.where(old[at] == keys, before.together[at], 0) if len(old) else np.zeros(len(keys), np.int64)
    fresh = (now.together - had >= FEWEST_OF_A_LABEL) & (now.lift() >= 2)
    return now.a[fresh].astype(np.int64), now.b[fresh].astype(np.int64)


def _substitutes(
    log: EventLog, now: Moment, before: Moment, products: Catalogue
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What was looked at together in the last days; in a shop without views, what shoppers changed to: a product of the
    same category as one that they had before and did not take again."""
    if len(now.viewed.a):
        return _fresh(now.viewed, before.viewed)
    data, leaf = before.data, np.asarray(products.category_of)
    taken, _ = log.window(int(before.until or 0), now.until or log.span()[1] + 1, before.users)
    items: list[NDArray[Any]] = []
    others: list[NDArray[Any]] = []
    for user in range(data.n_users):
        part = data.of(user)
        had, last = data.items[part], data.last[part]
        fresh = np.setdiff1d(taken[user], had)
        gone = ~np.isin(had, taken[user])
        had, last = had[gone], last[gone]
        # Of a category the one that was taken last is the one that was left.
        order = np.argsort(-last, kind="stable")
        kinds, first = np.unique(leaf[had[order]], return_index=True)
        at = np.searchsorted(kinds, leaf[fresh])
        at[at == len(kinds)] = 0
        found = (leaf[fresh] >= 0) & (kinds[at] == leaf[fresh]) if len(kinds) else np.zeros(len(fresh), bool)
        items.append(had[order][first[at[found]]])
        others.append(fresh[found])
    a, b = np.concatenate(items).astype(np.int64), np.concatenate(others).astype(np.int64)
    pairs = np.unique(np.minimum(a, b) * len(products) + np.maximum(a, b))
    return pairs // len(products), pairs % len(products)
