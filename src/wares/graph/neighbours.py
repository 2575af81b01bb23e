"""The products that the graph holds to be most alike, by relation weights learned from what shoppers took up next.

Everything of a moment is made from what was known before it: edges that shoppers drew are counted anew, with their
counts, and the weights are learned on a window that ends there. So a list of neighbours may be tuned and tested on what
comes after.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.arrays import save_arrays, seal
from wares.features.catalogue import Catalogue
from wares.features.interactions import Interactions
from wares.features.interactions_build import DAY, EventLog
from wares.graph.build import DRAWN, Deeds, deed_triples, deeds_before
from wares.graph.infer import Graph
from wares.graph.likeness import Channel, Learned, channels, learn_weights, neighbours

KIND = "graph_neighbours"
NEIGHBOURS = 60
HELD_OF_A_SHOPPER = 4
HISTORY = 200


@dataclass(frozen=True)
class Neighbours:
    """``ids (n_products, k) int32``, best first, -1 beyond, and ``sims (n_products, k) float16`` in 0..1; how they were learned."""

    ids: NDArray[np.int32]
    sims: NDArray[np.float16]
    learned: Learned

    def save(self, folder: Path, **facts: Any) -> dict[str, Any]:
        """Write the artefact."""
        save_arrays(folder, ids=self.ids, sims=self.sims)
        return seal(
            folder, KIND, products=len(self.ids), k=self.ids.shape[1], helps=self.learned.helps,
            weights={name: round(value, 4) for name, value in self.learned.weights.items()},
            loss_without=round(self.learned.loss_without, 4),
            loss_with=round(self.learned.loss_with, 4) if np.isfinite(self.learned.loss_with) else None, **facts,
        )  # fmt: skip


def nothing(n_products: int, k: int = NEIGHBOURS) -> Neighbours:
    """No neighbours: of a graph that is left out, or that does not help."""
    learned = Learned({}, 0.0, float("inf"))
    return Neighbours(np.full((n_products, k), -1, np.int32), np.zeros((n_products, k), np.float16), learned)


def neighbours_before(
    graph: Graph,
    products: Catalogue,
    log: EventLog | None,
    until: int | None,
    window_days: float,
    *,
    k: int = NEIGHBOURS,
    seed: int = 7,
    leave_out: Collection[str] = (),
    earlier: Deeds | None = None,
    tick: Callable[[int, int], None] = lambda *_: None,
) -> Neighbours:
    """Neighbours by what was known before `until` (Unix seconds; None for all that is known).

    Relation weights are learned on the last `window_days` before it (a quarter of the time where that is too little):
    what shoppers took up there that they did not have, from edges that are older than the window. Where the graph
    does not explain that better than chance, or there is nothing to learn from, all is empty.

    Args:
        graph: of the whole shop; its edges from columns, texts and undated files are of all times.
        products: the same catalogue.
        log: what shoppers did; None when nothing is known.
        until: the end of knowledge.
        window_days: length of the window that teaches.
        k: most neighbours of a product.
        seed: of the draws.
        leave_out: relations not to be used.
        earlier: the deeds before the window, where they are counted already.
        tick: told how far it is.
    """
    if log is None or not len(products):
        return nothing(len(products), k)
    found = window_before(log, until, window_days)
    if found is None:
        return nothing(len(products), k)
    since, end = found
    # What is known now is in the graph as it stands; of an earlier moment it is counted anew.
    now = None
    if earlier is None or earlier.until != since:
        earlier, *rest = deeds_before(log, [since] if until is None else [since, until])
        now = rest[0] if rest else None
    elif until is not None:
        (now,) = deeds_before(log, [until])
    tick(1, 4)
    taught = _channels(graph, products, earlier, leave_out, log.scratch)
    who, held = _held_out(earlier, since, end, seed)
    learned = learn_weights(taught, _histories(earlier.interactions), held, seed=seed, who=who)
    tick(2, 4)
    if not learned.helps:
        return Neighbours(*_empty(len(products), k), learned)
    known = (
        channels(graph, leave_out=tuple(leave_out))
        if now is None
        else _channels(graph, products, now, leave_out, log.scratch)
    )
    ids, values = neighbours(known, learned.weights, k)
    tick(4, 4)
    return Neighbours(ids, scaled(values), learned)


def window_before(log: EventLog, until: int | None, days: float) -> tuple[int, int] | None:
    """(start, end) in Unix seconds of the last `days` before `until`; a quarter of the time where that is too little."""
    first, last = log.span()
    end = last + 1 if until is None else min(until, last + 1)
    window = int(days * DAY)
    if end - first < 3 * window:
        window = (end - first) // 4
    return (end - window, end) if window > 0 and last else None


def scaled(values: NDArray[np.float32]) -> NDArray[np.float16]:
    """Likeness in units of the largest of all, so that half precision keeps its order."""
    return (values / max(float(values.max(initial=0)), 1e-9)).astype(np.float16)


def _empty(n: int, k: int) -> tuple[NDArray[np.int32], NDArray[np.float16]]:
    return np.full((n, k), -1, np.int32), np.zeros((n, k), np.float16)


def _channels(
    graph: Graph, products: Catalogue, deeds: Deeds, leave_out: Collection[str], scratch: Path
) -> list[Channel]:
    """Channels of a moment: what deeds drew is counted anew, of the rest what is old enough."""
    day = None if deeds.until is None else deeds.until // DAY
    found = channels(graph, day, [*DRAWN, *leave_out])
    if not set(DRAWN) & set(graph.relations):
        return found
    with tempfile.TemporaryDirectory(prefix="graph-", dir=scratch) as work:
        folder = Path(work)
        deed_triples(products, deeds, leave_out).save(folder)
        drawn = channels(Graph(folder))
    return sorted([*found, *drawn], key=lambda channel: channel.name)


def _held_out(
    before: Deeds, since: int, until: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(shopper, product) of things that shoppers took up for the first time in the window, at most four of each."""
    data = before.interactions
    truth, _ = before.log.window(since, until, before.users)
    rng = np.random.default_rng(seed)
    rows: list[int] = []
    held: list[int] = []
    for user in range(data.n_users):
        fresh = np.setdiff1d(truth[user], data.items[data.of(user)])
        drawn = rng.permutation(fresh)[:HELD_OF_A_SHOPPER]
        rows += [user] * len(drawn)
        held += drawn.tolist()
    return np.array(rows, np.int64), np.array(held, np.int64)


def _histories(data: Interactions) -> sp.csr_matrix:
    """What each shopper had, weighted by how much and how lately, of length one; at most the 200 strongest."""
    weight = np.log2(1.0 + data.decayed[:, -1]) if data.decayed.shape[1] else data.counts
    rows = data.rows()
    order = np.lexsort((data.items, -weight, rows))
    rank = np.arange(len(order)) - data.ptr[rows[order]]
    kept = order[rank < HISTORY]
    matrix = sp.csr_matrix(
        (weight[kept].astype(np.float32), (rows[kept], data.items[kept])), shape=(data.n_users, data.n_items)
    )
    norm = np.asarray(matrix.sum(1)).ravel()
    return sp.csr_matrix(sp.diags((1 / np.maximum(norm, 1e-9)).astype(np.float32)) @ matrix)


__all__ = ["KIND", "NEIGHBOURS", "Neighbours", "neighbours_before", "nothing", "scaled"]
