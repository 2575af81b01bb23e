"""``wares evaluate graph`` on files: ratings with a knowledge graph (KGCN), or sequences with a product graph."""

from __future__ import annotations

import gzip
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import SourceError
from wares.core.files import file_digest
from wares.core.machine import peak_rss
from wares.evaluate.files import Task, encode_texts, folder_task, read_texts, split
from wares.evaluate.graph import evaluate_graph, positives_of, read_ratings
from wares.evaluate.graph_ranking import Ranking, rank_by_graph
from wares.evaluate.readers import LEAKY, read_events
from wares.evaluate.report import Report
from wares.graph.files import add_file
from wares.graph.infer import Graph
from wares.graph.triples import Triples

PUBLISHED = {"KGCN-sum": {"auc": 0.796}, "CKAN": {"auc": 0.842}}
"""As the folder of the data quotes them; each paper draws its negatives anew."""
BOUGHT = ("also_bought",)
Say = Callable[[str], None]


@contextmanager
def graph_of(triples: Triples) -> Iterator[Graph]:
    """A graph that lives while it is needed."""
    with tempfile.TemporaryDirectory(prefix="wares-graph-") as folder:
        triples.save(Path(folder))
        yield Graph(Path(folder))


def read_links(path: Path) -> dict[str, str]:
    """Item → entity of a file with an item and its entity a line, between blanks or commas; a line of names may come first.

    Raises:
        SourceError: naming the line that is none.
    """
    opener: Any = gzip.open if path.suffix == ".gz" else open
    found: dict[str, str] = {}
    with opener(path, "rt", encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            words = line.replace(",", " ").split()
            if not words:
                continue
            if len(words) != 2:
                raise SourceError(
                    f"{path.name}, line {number}: {len(words)} values",
                    mend="Write an item and its entity in each line",
                    source=str(path),
                    line=number,
                )
            found[words[0]] = words[1]
    return found


def evaluate_ratings(
    ratings: Path, links: Path, kg: Path, command: str, seeds: Sequence[int], say: Say = lambda _: None
) -> Report:
    """The protocol of KGCN (Wang et al., WWW 2019): click-through prediction on pairs split 6:2:2 at random.

    Raises:
        SourceError: when a file cannot be read, or no rated item is linked.
    """
    begun = time.perf_counter()
    say("read")
    entity_of = read_links(links)
    products = list(dict.fromkeys(entity_of.values()))
    triples = Triples(products)
    add_file(triples, kg)
    row = {entity: i for i, entity in enumerate(products)}
    users, items = read_ratings(ratings)
    positives = positives_of(users, items, {item: row[entity] for item, entity in entity_of.items()})
    if not positives:
        raise SourceError(
            f"no item of {ratings.name} is in {links.name}",
            mend="Check that both use the same ids",
            source=str(ratings),
        )
    facts = {
        "file": ratings.name, "sha256": file_digest(ratings), "protocol": "ctr 6:2:2, a negative for each positive",
        "users": len(positives), "items": len(products), "positives": int(sum(map(len, positives))), "triples": len(triples),
    }  # fmt: skip
    with graph_of(triples) as graph:
        found = evaluate_graph(graph, positives, seeds, facts, say)
    report = Report(command, {**facts, "seeds": list(seeds)}, seeds[0], baselines=PUBLISHED)
    for name in found.auc:
        row_of = {"name": name, "seeds": len(seeds)}
        for metric, values in (("auc", found.auc[name]), ("f1", found.f1[name])):
            row_of |= {metric: float(np.mean(values)), f"{metric}_sd": float(np.std(values))}
        report.parts.append(row_of)
        report.metrics |= {
            f"{name}_{key}": value for key, value in row_of.items() if isinstance(value, float)
        }
    report.model = {"share_of_gain": found.relations}
    report.seconds, report.peak_rss_mb = time.perf_counter() - begun, peak_rss() / 2**20
    return report


@dataclass(frozen=True)
class SequenceTask:
    """Sequences with a product graph. `tuning_users` choose on validation; `limit` users are tested (0: all)."""

    events: Path
    graph: Path
    products: Path | None = None
    seeds: tuple[int, ...] = (7,)
    tuning_users: int = 2000
    limit: int = 0
    cache: Path | None = None


def sequence_task(events: Path, graph: Path | None, products: Path | None, **options: Any) -> SequenceTask:
    """The task of files, or of a folder that holds them.

    Raises:
        SourceError: when there is no graph.
    """
    if events.is_dir():
        found = folder_task(events, Task(events, products, graph))
        events, graph, products = found.events, found.graph, found.products
    if graph is None:
        raise SourceError(
            f"{events} comes without triples",
            mend="Name them with --kg, or put kg_triples.csv beside it",
            source=str(events),
        )
    return SequenceTask(events, graph, products, **options)


def evaluate_sequences(task: SequenceTask, command: str, say: Say = lambda _: None) -> Report:
    """What relation weights and propagation add to a product graph: leave-last, the whole catalogue ranked, seen items out.

    Everything is chosen on validation (the item before the last) and the test (the last) is touched once. The graph is
    taken three times: whole; without `also_bought`; and without all that shoppers drew, which may be later than the split.
    """
    begun = time.perf_counter()
    say("read")
    items: dict[str, int] = {}
    rows = read_events(task.events, items, {})
    texts, _, other = read_texts(task.products, items) if task.products is not None else ([], [], {})
    quad = split("leave-last", rows, [])
    vectors: dict[str, NDArray[np.float32]] = {}
    if any(texts):
        vectors["text"] = encode_texts(texts + [""] * (len(items) - len(texts)), task.cache, say)
    facts = {
        "file": task.events.name, "sha256": file_digest(task.events), "protocol": "leave-last", "ranking": "full catalogue",
        "users": sum(len(t) > 0 for t in quad.test), "items": len(items), "seeds": list(task.seeds), "tested": task.limit or "all",
    }  # fmt: skip
    report = Report(command, facts, task.seeds[0])
    for name, leave_out in _graphs(task.graph):
        say(f"graph {name}: read")
        triples = Triples(list(items))
        add_file(triples, task.graph, other, frozenset(leave_out))
        facts[f"triples_{name}"] = len(triples)
        with graph_of(triples) as graph:
            rank_by_graph(
                Ranking(graph, quad, vectors, task.seeds, task.tuning_users, task.limit), name, report, say
            )
    best = max(
        (row for row in report.parts if row["graph"] == "without deeds"), key=lambda r: r["valid_ndcg@10"]
    )
    report.metrics = {key: value for key, value in best.items() if isinstance(value, float)}
    report.model["headline"] = f"{best['name']}, graph {best['graph']}"
    report.seconds, report.peak_rss_mb = time.perf_counter() - begun, peak_rss() / 2**20
    return report


def _graphs(path: Path) -> list[tuple[str, Collection[str]]]:
    return [("without deeds", LEAKY), ("without also_bought", BOUGHT), ("whole", ())]
