"""Make the graph of a shop: columns, texts, behaviour and external files, as a versioned table and as arrays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wares.core import columns as c
from wares.core.arrays import MANIFEST
from wares.core.files import read_json
from wares.data.lineage.origin import Lineage
from wares.data.store import Store
from wares.features.catalogue import Catalogue
from wares.features.interactions import Interactions
from wares.features.interactions_build import DAY, EventLog
from wares.graph import behaviour
from wares.graph.columns import add_columns, category_steps
from wares.graph.files import add_file
from wares.graph.text import add_texts
from wares.graph.triples import Triples

TABLE = c.GRAPH_TRIPLES
CONTENT = "wares.content"
FEWEST_DEEDS = 5
DRAWN = ("bought_with", "viewed_with", "substitute_of", "accessory_of", "in_season", "liked_by")
"""Relations that are drawn from what shoppers did."""


@dataclass(frozen=True)
class Deeds:
    """What shoppers did before a moment (Unix seconds; None for all): pairs bought and viewed together, and who did what.

    ``users`` are the names of the interactions' rows.
    """

    log: EventLog
    bought: behaviour.Pairs
    viewed: behaviour.Pairs
    interactions: Interactions
    users: Sequence[str]
    until: int | None = None


def pairs_before(log: EventLog, cuts: Sequence[int | None]) -> list[tuple[behaviour.Pairs, behaviour.Pairs]]:
    """(bought together, viewed together) before each cut, counted in one pass."""
    bought = behaviour.pairs_of(log, (c.PURCHASE,), cuts)
    viewed = behaviour.pairs_of(log, (c.VIEW, c.CLICK), cuts)
    return list(zip(bought, viewed, strict=True))


def deeds_of(log: EventLog, until: int | None, pairs: tuple[behaviour.Pairs, behaviour.Pairs]) -> Deeds:
    """The deeds before `until`, of which the pairs are counted already."""
    return Deeds(log, *pairs, *log.interactions(until), until)


def deeds_before(log: EventLog, cuts: Sequence[int | None]) -> list[Deeds]:
    """The deeds before each cut."""
    return [deeds_of(log, cut, pairs) for cut, pairs in zip(cuts, pairs_before(log, cuts), strict=True)]


def build_triples(
    products: Catalogue,
    deeds: Deeds | None = None,
    files: Sequence[Path] = (),
    read: Callable[[Triples], object] | None = None,
    leave_out: Collection[str] = (),
    tick: Callable[[int, int], None] = lambda *_: None,
) -> Triples:
    """All triples of a shop but those of the relations in `leave_out`. `read` adds what a language model read, if one did.

    Columns and texts are always there; the rest where there is something to read.

    Raises:
        SourceError: when a file cannot be read, naming its place.
    """
    triples = Triples(list(products.ids))
    add_columns(triples, products)
    tick(1, 4)
    text = products.columns
    add_texts(
        triples, list(text["title"]), list(text["brand"]), list(text["category"]), list(text["description"])
    )
    tick(2, 4)
    if deeds is not None:
        add_deeds(triples, products, deeds)
    if read is not None:
        read(triples)
    tick(3, 4)
    other = {url: i for url, i in zip(products.columns["url"], products.ids, strict=True) if url}
    for path in files:
        add_file(triples, path, other)
    triples.leave_out(leave_out)
    tick(4, 4)
    return triples


def deed_triples(products: Catalogue, deeds: Deeds, leave_out: Collection[str] = ()) -> Triples:
    """The relations that shoppers drew, alone: what the graph of an earlier day says otherwise than today's."""
    triples = Triples(list(products.ids))
    add_deeds(triples, products, deeds)
    triples.leave_out(leave_out)
    return triples


def add_deeds(triples: Triples, products: Catalogue, deeds: Deeds) -> None:
    """Add the relations that shoppers drew."""
    bought, viewed = deeds.bought, deeds.viewed
    behaviour.add_together(triples, bought, "bought_with")
    behaviour.add_together(triples, viewed, "viewed_with")
    behaviour.add_roles(
        triples, bought, viewed if len(viewed.a) else None, list(products.columns["category"]),
        np.asarray(products.prices),
    )  # fmt: skip
    behaviour.add_seasons(triples, deeds.log, deeds.until)
    if deeds.interactions.n_users:
        add_segments(triples, products, deeds.interactions)


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
    # A segment is of all deeds so far, so it is known from the last of them on.
    behaviour.add_segments(triples, segment_of, users, data.items, names, data.as_of // DAY)


def store_triples(triples: Triples, store: Store, content: str, source: str, lineage: Lineage) -> int:
    """Keep the triples as the versioned table ``graph_triples``; its version.

    `content` names what they are: when the newest version has that name, no new one is made.
    """
    with store.lock(TABLE):
        if store.exists(TABLE) and store.history(TABLE)[0].get(CONTENT) == content:
            return store.version(TABLE)
        return store.replace(TABLE, triples.to_arrow(), {"source": source, CONTENT: content}, lineage)


def content_of(folder: Path) -> str:
    """The name of what a graph artefact holds."""
    return str(read_json(folder / MANIFEST)["hash"])
