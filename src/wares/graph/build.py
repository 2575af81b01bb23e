"""Make the graph of a shop: columns, texts, behaviour and external files, as a versioned table and as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from wares.core import columns as c
from wares.data.engine import Engine
from wares.data.store import Store
from wares.features.catalogue import Catalogue
from wares.features.interactions import Interactions
from wares.graph import behaviour
from wares.graph.columns import add_columns, category_steps
from wares.graph.files import add_file
from wares.graph.text import add_texts
from wares.graph.triples import Triples

TABLE = "graph_triples"
FEWEST_DEEDS = 5


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The events that draw edges: a version of the table, read before `until` (Unix seconds; None for all)."""

    store: Store
    version: int
    memory_gb: float
    scratch: Path
    until: int | None = None


def build_triples(
    products: Catalogue,
    events: Behaviour | None = None,
    files: Sequence[Path] = (),
    interactions: Interactions | None = None,
    tick: Callable[[int, int], None] = lambda *_: None,
) -> Triples:
    """All triples of a shop. Columns and texts are always there; the rest where there is something to read."""
    triples = Triples(list(products.ids))
    add_columns(triples, products)
    tick(1, 5)
    text = products.columns
    add_texts(
        triples, list(text["title"]), list(text["brand"]), list(text["category"]), list(text["description"])
    )
    tick(2, 5)
    if events is not None:
        _add_behaviour(triples, products, events)
    tick(3, 5)
    if interactions is not None and interactions.n_users:
        add_segments(triples, products, interactions)
    tick(4, 5)
    other = {
        str(products.columns["url"][row]): i
        for row, i in enumerate(products.ids)
        if products.columns["url"][row]
    }
    for path in files:
        add_file(triples, path, other)
    tick(5, 5)
    return triples


def _add_behaviour(triples: Triples, products: Catalogue, events: Behaviour) -> None:
    ids = pa.array(list(products.ids), pa.string())
    facts = (events.store, events.version, ids)
    limits = (events.memory_gb, events.scratch, events.until)
    bought = behaviour.pairs_of(*facts, (c.PURCHASE,), *limits)
    viewed = behaviour.pairs_of(*facts, (c.VIEW, c.CLICK), *limits)
    behaviour.add_together(triples, bought, "bought_with")
    behaviour.add_together(triples, viewed, "viewed_with")
    behaviour.add_roles(
        triples,
        bought,
        viewed if len(viewed.a) else None,
        list(products.columns["category"]),
        np.asarray(products.prices),
    )
    behaviour.add_seasons(triples, *facts, *limits)


def add_segments(triples: Triples, products: Catalogue, data: Interactions) -> None:
    """Segments of shoppers: the top category that each takes most above the shop's average; see `add_segments`."""
    tops = [steps[0] if (steps := category_steps(name)) else "" for name in products.columns["category"]]
    names = sorted({top for top in tops if top})
    if len(names) < 2:
        return
    index = {name: i for i, name in enumerate(names)}
    top_of = np.array([index.get(top, -1) for top in tops], np.int64)
    users, kind = data.rows(), top_of[data.items]
    known = kind >= 0
    counts = np.bincount(
        users[known] * len(names) + kind[known], minlength=data.n_users * len(names)
    ).reshape(data.n_users, len(names))
    total = counts.sum(1, keepdims=True)
    usual = counts.sum(0) / max(counts.sum(), 1)
    lift = (counts + 5 * usual) / (total + 5) / np.maximum(usual, 1e-9)
    segment_of = np.where(total[:, 0] >= FEWEST_DEEDS, lift.argmax(1), -1).astype(np.int32)
    behaviour.add_segments(triples, segment_of, users, data.items, names)


def store_triples(triples: Triples, store: Store, source: str, memory_gb: float, scratch: Path) -> int:
    """Keep the triples as the versioned table ``graph_triples``; the same triples again make no new version."""
    table = triples.to_arrow()
    with store.lock(TABLE):
        if store.exists(TABLE):
            with Engine(memory_gb, scratch=scratch) as engine:
                old, new = engine.parquet(store.files(TABLE)), engine.rows(table)
                same = engine.count(old) == table.num_rows and not engine.count(new.difference(old))
            if same:
                return store.version(TABLE)
        return store.replace(TABLE, table, {"source": source})
