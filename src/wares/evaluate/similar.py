"""``wares evaluate similar``: held-out edges of a product graph, by each dimension alone and by fusions of them.

Pairs of products that the graph joins by shoppers (viewed or bought together) are split at random: 70 % stay in the
graph, 15 % teach the fusion, 15 % are asked for, once. A held-out pair is taken out of the graph in both directions and
under every such relation. The whole catalogue is ranked for each product with a held-out pair, without what the graph
already says of the same kind.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.errors import SourceError
from wares.core.files import file_digest
from wares.core.machine import peak_rss
from wares.evaluate.files import Task, encode_texts, folder_task, read_products
from wares.evaluate.metrics import bootstrap, per_user
from wares.evaluate.readers import LEAKY, read_attributes, read_columns, read_events
from wares.evaluate.report import Report
from wares.graph.infer import Graph
from wares.graph.triples import Triples
from wares.models.similar import sources
from wares.models.similar.dimensions import Dimension, VectorDimension
from wares.models.similar.fusion import Fusion
from wares.models.similar.fusion_train import Examples, Labels, base_fusion, examples, learn, prior, scores_of

SHARES = (0.7, 0.15, 0.15)
PLACES = 20
MOST_QUERIES = 1500
Say = Callable[[str], None]


@dataclass(frozen=True)
class SimilarTask:
    """What to evaluate on; `substitutes` and `complements` name relations of the graph. `limit` 0 asks for all."""

    events: Path
    graph: Path | None = None
    products: Path | None = None
    substitutes: tuple[str, ...] = ("also_viewed",)
    complements: tuple[str, ...] = ("also_bought", "bought_together")
    seeds: tuple[int, ...] = (7,)
    limit: int = 2000
    cache: Path | None = None


@dataclass
class Shop:
    """What the files say: item ids, dimensions that no edge changes, and the graph's triples by relation."""

    names: list[str]
    fixed: list[Any]
    sequences: list[NDArray[np.int32]]
    edges: dict[str, tuple[NDArray[np.int64], NDArray[np.int64], list[str]]]
    """Relation → (heads, tails as items or -1, tails as written)."""


def read_shop(task: SimilarTask, say: Say) -> tuple[SimilarTask, Shop]:
    """Read the files of a task.

    Raises:
        SourceError: when there is no graph, or none of its relations is one that was named.
    """
    say("read")
    files = (
        folder_task(task.events, Task(task.events, task.products, task.graph))
        if task.events.is_dir()
        else Task(task.events, task.products, task.graph)
    )
    if files.graph is None:
        raise SourceError(
            f"{task.events} comes without triples",
            mend="Name them with --graph, or put kg_triples.csv beside it",
            source=str(task.events),
        )
    items: dict[str, int] = {}
    rows = read_events(files.events, items, {})
    texts, categories, other, _ = (
        read_products(files.products, items) if files.products else ([], [], {}, None)
    )
    n = len(items)
    fixed: list[Any] = []
    if any(texts):
        vectors = encode_texts(texts + [""] * (n - len(texts)), task.cache, say)
        short = vectors @ sources.leading(vectors, sources.TEXT_DIM)[1]
        fixed.append(VectorDimension("text", short, np.arange(n, dtype=np.int32)))
    if files.attributes is not None:
        fixed.append(sources.set_dimension("attributes", read_attributes(files.attributes, items)))
    elif any(categories):
        blank = [""] * n
        sets = sources.attribute_sets(blank, categories + [""] * (n - len(categories)), blank, blank)
        fixed.append(sources.set_dimension("attributes", sets))
    sequences = [np.array([item for _, item in row], np.int32) for row in rows]
    edges = _edges(files.graph, items, other)
    wanted = set(task.substitutes) | set(task.complements)
    if not wanted & set(edges):
        raise SourceError(
            f"{files.graph.name} has none of {', '.join(sorted(wanted))}",
            mend=f"It has {', '.join(sorted(edges))}: name some with --substitutes and --complements",
            source=str(files.graph),
        )
    task = SimilarTask(
        files.events,
        files.graph,
        files.products,
        task.substitutes,
        task.complements,
        task.seeds,
        task.limit,
        task.cache,
    )
    return task, Shop(list(items), fixed, sequences, edges)


def _edges(path: Path, items: dict[str, int], other: dict[str, str]) -> dict[str, Any]:
    columns = read_columns(
        path,
        {
            "head": ("head", "head_id", "head_asin", "head_item", "subject"),
            "relation": ("relation", "rel", "predicate"),
            "tail": ("tail", "tail_id", "tail_asin", "tail_item", "object"),
        },
    )
    if len(columns) < 3:
        raise SourceError(
            f"{path} needs the columns head, relation, tail", mend="Rename its columns", source=str(path)
        )
    found: dict[str, tuple[list[int], list[int], list[str]]] = {}
    for head, relation, tail in zip(
        *(columns[x].to_pylist() for x in ("head", "relation", "tail")), strict=True
    ):
        row = items.get(head, items.get(other.get(head, ""), -1)) if head is not None else -1
        if row >= 0 and relation and tail:
            lists = found.setdefault(relation, ([], [], []))
            lists[0].append(row)
            lists[1].append(items.get(tail, items.get(other.get(tail, ""), -1)))
            lists[2].append(tail)
    return {r: (np.array(h, np.int64), np.array(t, np.int64), names) for r, (h, t, names) in found.items()}


@dataclass(frozen=True)
class Held:
    """Pairs ``a < b`` of products joined by shoppers, which part each is in (0 graph, 1 teach, 2 ask), and by relation
    whether it joins them."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    part: NDArray[np.int64]
    by: dict[str, NDArray[np.bool_]]


def hold_out(shop: Shop, relations: tuple[str, ...], seed: int) -> Held:
    """Split the pairs of all `relations` at random; a pair is in one part under every relation."""
    n = np.int64(len(shop.names))
    keys: dict[str, NDArray[np.int64]] = {}
    for relation in relations:
        if relation in shop.edges:
            heads, tails, _ = shop.edges[relation]
            fine = (tails >= 0) & (heads != tails)
            keys[relation] = np.unique(np.minimum(heads, tails)[fine] * n + np.maximum(heads, tails)[fine])
    every = np.unique(np.concatenate([np.zeros(0, np.int64), *keys.values()]))
    part = np.random.default_rng(seed).choice(3, len(every), p=SHARES)
    return Held(every // n, every % n, part, {r: np.isin(every, some) for r, some in keys.items()})


def known_graph(shop: Shop, held: Held, folder: Path) -> Graph:
    """The graph without the pairs that are held out."""
    n = np.int64(len(shop.names))
    hidden = (held.a * n + held.b)[held.part > 0]
    triples = Triples(shop.names)
    for relation, (heads, tails, names) in shop.edges.items():
        mine = heads.copy()
        inside = tails >= 0
        drawn = relation in held.by or relation in LEAKY
        gone = (
            inside & np.isin(np.minimum(mine, tails) * n + np.maximum(mine, tails), hidden)
            if drawn
            else np.zeros(len(mine), bool)
        )
        ends = np.array(
            [
                t if t >= 0 else triples.entity("outside" if drawn else relation, name)
                for t, name in zip(tails.tolist(), names, strict=True)
            ],
            np.int64,
        )
        triples.add(mine[~gone], relation, ends[~gone], "file")
    triples.save(folder)
    return Graph(folder)


def dimensions_of(task: SimilarTask, shop: Shop, held: Held, graph: Graph) -> list[Any]:
    """All dimensions of the files: text, attributes, behaviour, sequence, graph; ``view`` and ``basket`` are the
    neighbourhoods by the relations that name substitutes and complements, as far as they are not held out."""
    n = len(shop.names)
    users = np.repeat(np.arange(len(shop.sequences)), [len(x) for x in shop.sequences])
    flat = np.concatenate([np.zeros(0, np.int32), *shop.sequences])
    has = sp.csr_matrix((np.ones(len(flat), np.float32), (users, flat)), shape=(len(shop.sequences), n))
    has.data[:] = 1.0
    found = [*shop.fixed, sources.shopper_lists("behaviour", has, k=100)]
    a, b, weight = sources.sequence_pairs(shop.sequences)
    alone = np.bincount(np.r_[a, b], np.tile(weight, 2), n)
    found.append(sources.pair_lists("sequence", n, a, b, weight, alone, k=100))
    for name, relations in (("view", task.substitutes), ("basket", task.complements)):
        rows, members = _around(shop, held, relations)
        if len(rows):
            ones = np.ones(len(rows))
            found.append(sources.hood_dimension(name, n, rows, members, ones, ones))
    text = next((d for d in shop.fixed if d.name == "text"), None)
    found.append(sources.graph_dimension(graph, dict.fromkeys(graph.relations, 1.0), text))
    return [d for d in found if d.has.any()]


def _around(
    shop: Shop, held: Held, relations: tuple[str, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both directions of the known edges of some relations, which add up where both ends name each other; ends outside
    of the catalogue have numbers from n on."""
    n = np.int64(len(shop.names))
    hidden = (held.a * n + held.b)[held.part > 0]
    outside: dict[str, int] = {}
    rows, members = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for relation in relations:
        if relation not in shop.edges:
            continue
        heads, tails, names = shop.edges[relation]
        ends = np.array(
            [
                t if t >= 0 else int(n) + outside.setdefault(name, len(outside))
                for t, name in zip(tails.tolist(), names, strict=True)
            ],
            np.int64,
        )
        inside = tails >= 0
        kept = (heads != tails) & ~(
            inside & np.isin(np.minimum(heads, tails) * n + np.maximum(heads, tails), hidden)
        )
        rows += [heads[kept], tails[kept & inside]]
        members += [ends[kept], heads[kept & inside]]
    return np.concatenate(rows), np.concatenate(members)


def _labels(held: Held, relations: tuple[str, ...], part: int) -> Labels:
    of_kind = np.zeros(len(held.a), bool)
    for relation in relations:
        of_kind |= held.by.get(relation, False)
    mine, known = of_kind & (held.part == part), held.part < part
    a, b = held.a, held.b
    return Labels(
        np.r_[a[mine], b[mine]], np.r_[b[mine], a[mine]], np.r_[a[known], b[known]], np.r_[b[known], a[known]]
    )


def evaluate_similar(task: SimilarTask, command: str, say: Say = lambda _: None) -> Report:
    """Rank held-out substitutes and complements; see the top of this file."""
    begun = time.perf_counter()
    task, shop = read_shop(task, say)
    assert task.graph is not None
    facts: dict[str, Any] = {
        "file": task.graph.name, "sha256": file_digest(task.graph), "items": len(shop.names), "hold-out": "random pairs, 70 : 15 : 15",
        "seeds": list(task.seeds), "asked": task.limit or "all",
    }  # fmt: skip
    report = Report(command, facts, task.seeds[0])
    kinds = {"substitute": task.substitutes, "complement": task.complements}
    found: dict[tuple[str, str], list[dict[str, NDArray[np.float64]]]] = {}
    shares: dict[str, float] = {}
    for seed in task.seeds:
        held = hold_out(shop, tuple(dict.fromkeys((*task.substitutes, *task.complements))), seed)
        with tempfile.TemporaryDirectory(prefix="wares-similar-") as folder:
            say(f"seed {seed}: graph")
            dimensions = dimensions_of(task, shop, held, known_graph(shop, held, Path(folder)))
            shares = {d.name: float(d.has.mean()) for d in dimensions}
            base = base_fusion(dimensions, len(shop.names), seed)
            for kind, relations in kinds.items():
                labels, asked = _labels(held, relations, 1), _labels(held, relations, 2)
                if not len(asked.items) or not len(labels.items):
                    continue
                say(f"seed {seed}: learn {kind}")
                taught = examples(dimensions, labels, len(shop.names), seed, MOST_QUERIES)
                rankers, model = _rankers(kind, base, taught, dimensions, seed)
                report.model[f"{kind}_{seed}"] = model
                for name, values in _ask(
                    asked, dimensions, rankers, task.limit, seed, lambda t, k=kind: say(f"{k}: {t}")
                ).items():
                    found.setdefault((kind, name), []).append(values)
    _fill(report, found, shares)
    report.seconds, report.peak_rss_mb = time.perf_counter() - begun, peak_rss() / 2**20
    return report


Ranker = Callable[[NDArray[np.float32], NDArray[np.bool_]], NDArray[np.float32]]


def _rankers(
    kind: str, base: Fusion, taught: Examples, dimensions: list[Dimension], seed: int
) -> tuple[dict[str, Ranker], dict[str, Any]]:
    """Score functions by name over raw and known ``(n, D)``."""

    def by(fusion: Fusion) -> Ranker:
        def score(raw: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
            return fusion.parts(raw, known, fusion.weigh(None, known.any(0))).sum(1)

        return score

    def alone(d: int) -> Ranker:
        return lambda raw, known: np.where(known[:, d], raw[:, d], 0)

    rankers: dict[str, Ranker] = {dimension.name: alone(d) for d, dimension in enumerate(dimensions)}
    rankers["uniform fusion"] = by(base)
    meant = prior(kind, base)
    if meant is not None:
        rankers["meant weights"] = by(meant)
    learned = learn(kind, base, taught, seed)
    model: dict[str, Any] = {"learned": learned is not None}
    if learned is not None:
        rankers["learned fusion"] = by(learned)
        weights = dict(zip(learned.names, learned.weights.round(4).tolist(), strict=True))
        model |= {"weights": weights, **learned.facts}
    return rankers, model


def _ask(
    asked: Labels, dimensions: list[Dimension], rankers: dict[str, Ranker], limit: int, seed: int, say: Say
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Metrics of each ranker, a value for each product asked for."""
    n = len(dimensions[0].has)
    order = np.argsort(asked.items, kind="stable")
    queries, first = np.unique(asked.items[order], return_index=True)
    wanted = dict(zip(queries.tolist(), np.split(asked.others[order], first[1:]), strict=True))
    order = np.argsort(asked.known_items, kind="stable")
    names, first = np.unique(asked.known_items[order], return_index=True)
    known_of = dict(zip(names.tolist(), np.split(asked.known_others[order], first[1:]), strict=True))
    chosen = np.sort(np.random.default_rng(seed).permutation(queries)[: limit or len(queries)])
    every = np.arange(n)
    lists = {name: np.full((len(chosen), PLACES), -1, np.int32) for name in rankers}
    for line, item in enumerate(chosen.tolist()):
        raw, known = scores_of(dimensions, item, every)
        out = np.append(known_of.get(item, np.zeros(0, np.int64)), item)
        for name, ranker in rankers.items():
            score = np.array(ranker(raw, known), np.float64)
            score[out] = -np.inf
            top = np.argpartition(-score, PLACES)[: PLACES + 1]
            lists[name][line] = top[np.lexsort((top, -score[top]))][:PLACES]
        if line % 200 == 0:
            say(f"rank {line}/{len(chosen)}")
    truth = [wanted[item].astype(np.int32) for item in chosen.tolist()]
    return {name: per_user(one, truth, (10, PLACES)) for name, one in lists.items()}


def _fill(
    report: Report,
    found: dict[tuple[str, str], list[dict[str, NDArray[np.float64]]]],
    shares: dict[str, float],
) -> None:
    for (kind, name), runs in found.items():
        row: dict[str, Any] = {"kind": kind, "name": name, "seeds": len(runs), "known": shares.get(name)}
        for metric in ("ndcg@10", "recall@10", "recall@20", "mrr@20"):
            means = [float(np.nanmean(run[metric])) for run in runs]
            row[metric] = float(np.mean(means))
            if len(runs) > 1:
                row[f"{metric}_sd"] = float(np.std(means, ddof=1))
        report.parts.append(row)
        report.metrics |= {f"{kind}_{name}_{m}".replace(" ", "_"): row[m] for m in ("ndcg@10", "recall@10")}
    for kind in dict.fromkeys(kind for kind, _ in found):
        ours = found.get((kind, "learned fusion"))
        singles = [row for row in report.parts if row["kind"] == kind and row["name"] in shares]
        if ours is None or not singles:
            continue
        for metric in ("ndcg@10", "recall@10"):
            best = max(singles, key=lambda row: row[metric])["name"]
            for rival in (best, "uniform fusion"):
                apart = np.concatenate(
                    [a[metric] - b[metric] for a, b in zip(ours, found[kind, rival], strict=True)]
                )
                label = f"{kind}_{metric}" + ("" if rival == best else "_uniform")
                report.differences[label] = {
                    "against": rival, "mean": float(np.nanmean(apart)), "interval": bootstrap(apart, 1000, report.seed),
                }  # fmt: skip
