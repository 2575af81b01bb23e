"""Which products the graph holds to be alike, with the weight of each relation learned from held-out behaviour.

A *channel* is one way for two products to be related: ``brand`` (both lead to the same entity by this relation) or
``also_viewed>`` (one leads straight to the other). For a history h and a product i a channel says
f_c(h, i) = Σ_{j in h} q_j (B_c B_cᵀ)_{ji}, with rows of B_c scaled so that an entity shared by few says more:
b_{je} = w_{je} / sqrt(degree_e), and then to unit length. The score is Σ_c ω_c f_c with ω ≥ 0 from a sampled
softmax over held-out items against sampled others (Jean et al. 2015), under an L1 penalty, so that a relation that
does not help gets exactly zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import minimize

from wares.core.threads import each
from wares.graph.infer import Graph

MAX_ENTITY = 5_000
"""Entities shared by more products than this say nothing about likeness and cost time."""
DENSE = 20_000_000
"""Cells of the dense blocks in which pairs are looked up."""
PRODUCTS_OF = 250_000_000
"""Multiplications that neighbours may cost; entities shared by most are left out beyond it."""
NEGATIVES = 100
SAMPLE = 4_000
L1 = 1e-3


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to be related: ``shared (n_products, n_entities)``, or ``direct (n_products, n_products)``."""

    name: str
    shared: sp.csr_matrix | None
    direct: sp.csr_matrix | None

    def reach(self, histories: sp.csr_matrix) -> sp.csr_matrix:
        """What weighted histories ``(n_users, n_products)`` lead to: entities, or products."""
        return sp.csr_matrix(histories @ (self.shared if self.shared is not None else self.direct))

    def of_pairs(
        self, reached: sp.csr_matrix, rows: NDArray[np.int64], items: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The channel's value for each (history row, product) pair.

        Reached rows are made dense a few at a time, so that long histories cost no more memory than short ones.
        """
        if len(rows) and (np.diff(rows) < 0).any():
            order = np.argsort(rows, kind="stable")
            out = np.zeros(len(rows))
            out[order] = self.of_pairs(reached, rows[order], items[order])
            return out
        out = np.zeros(len(rows))
        step = max(1, DENSE // max(reached.shape[1], 1))
        for start in range(0, reached.shape[0], step):
            part = slice(*np.searchsorted(rows, (start, start + step)).tolist())
            if part.start == part.stop:
                continue
            dense = reached[start : start + step].toarray()
            row, item = rows[part] - start, items[part]
            if self.shared is None:
                out[part] = dense[row, item]
                continue
            cells = self.shared[item]
            line = np.repeat(np.arange(len(item)), np.diff(cells.indptr))
            out[part] = np.bincount(line, cells.data * dense[row[line], cells.indices], len(item))
        return out


def channels(
    graph: Graph, until: int | None = None, leave_out: Sequence[str] = (), max_entity: int = MAX_ENTITY
) -> list[Channel]:
    """The channels of a graph, made of edges known before day `until` (all, if None), in the order of their names."""
    n, heads = graph.n_products, np.repeat(np.arange(len(graph)), np.diff(graph.ptr))
    tails, relation_of = np.asarray(graph.tails), np.asarray(graph.relation_of)
    weights, forward = np.asarray(graph.weights), relation_of < len(graph.relations)
    known = np.ones(len(tails), bool) if until is None else np.asarray(graph.days) < until
    found: list[Channel] = []
    for code, name in enumerate(graph.relations):
        if name in leave_out:
            continue
        mine = known & (relation_of % len(graph.relations) == code) & (heads < n)
        between = mine & (tails < n)
        if (between & forward).any():
            both = sp.csr_matrix((weights[between], (heads[between], tails[between])), shape=(n, n))
            both.data = np.minimum(both.data, 1)
            found.append(Channel(f"{name}>", None, _unit(both, both.getnnz(axis=0), max_entity)))
        if mine.any():
            cells = sp.csr_matrix((weights[mine], (heads[mine], tails[mine])), shape=(n, len(graph)))
            if between.any():
                # A product is itself one of the products that it shares its neighbourhood with.
                own = np.unique(tails[between])
                cells = cells + sp.csr_matrix(
                    (np.ones(len(own), np.float32), (own, own)), shape=(n, len(graph))
                )
            degree = cells.getnnz(axis=0)
            used = np.flatnonzero((degree >= 2) & (degree <= max_entity))
            if len(used):
                found.append(
                    Channel(name, _unit(sp.csr_matrix(cells[:, used]), degree[used], max_entity), None)
                )
    return found


def _unit(cells: sp.csr_matrix, degree: NDArray[Any], most: int) -> sp.csr_matrix:
    scale = np.where(degree <= most, 1 / np.sqrt(np.maximum(degree, 1)), 0).astype(np.float32)
    scaled = sp.csr_matrix(cells @ sp.diags(scale))
    norm = np.sqrt(np.asarray(scaled.multiply(scaled).sum(1)).ravel())
    return sp.csr_matrix(sp.diags((1 / np.maximum(norm, 1e-9)).astype(np.float32)) @ scaled)


@dataclass(frozen=True, slots=True)
class Learned:
    """Weight ω ≥ 0 of each channel, and the loss without and with the graph on the held-out half of the sample."""

    weights: dict[str, float]
    loss_without: float
    loss_with: float

    @property
    def helps(self) -> bool:
        """Whether the graph explains held-out behaviour at all; if not, every weight is zero."""
        return any(value > 0 for value in self.weights.values())


def learn_weights(
    found: list[Channel],
    histories: sp.csr_matrix,
    held_out: NDArray[np.int64],
    *,
    seed: int = 7,
    negatives: int = NEGATIVES,
    sample: int = SAMPLE,
    who: NDArray[np.int64] | None = None,
) -> Learned:
    """Fit the weight of each channel.

    `histories (n_users, n_products)` are weighted deeds before the held-out item of each user, `held_out
    (n_users,)`; -1 where there is none. With `who (n,)`, `held_out (n,)` has any number of items of the users named
    there. Half of the users fit, the other half judge: a graph that does not beat the
    empty score there gets weight zero everywhere. Negatives are drawn half by popularity, half uniformly.
    """
    nothing = Learned({channel.name: 0.0 for channel in found}, float(np.log(negatives + 1)), np.inf)
    rng = np.random.default_rng(seed)
    who = np.arange(len(held_out)) if who is None else who
    cases = np.flatnonzero((held_out >= 0) & (np.diff(histories.indptr)[who] > 0))
    if not found or len(cases) < 20:
        return nothing
    cases = rng.permutation(cases)[:sample]
    # In the order of users, so that the cases of one shopper do not both fit and judge.
    users, place = np.unique(who[cases], return_inverse=True)
    order = np.argsort(rng.permutation(len(users))[place], kind="stable")
    features = _features(found, histories, who[cases][order], held_out[cases][order], rng, negatives)
    half = len(features) // 2
    scale = np.maximum(features[:half].std(axis=(0, 1)), 1e-9)
    features = features / scale
    weights = _fit(features[:half])
    empty, full = _loss(np.zeros(len(found)), features[half:])[0], _loss(weights, features[half:])[0]
    if full >= empty:
        return Learned(nothing.weights, empty, full)
    weights = _fit(features) / scale
    top = max(float(weights.max()), 1e-12)
    return Learned({c.name: float(w / top) for c, w in zip(found, weights, strict=True)}, empty, full)


def _features(
    found: list[Channel],
    histories: sp.csr_matrix,
    who: NDArray[np.int64],
    held_out: NDArray[np.int64],
    rng: np.random.Generator,
    negatives: int,
) -> NDArray[np.float64]:
    """``(n_cases, 1 + negatives, n_channels)``: the held-out product first. What a user has is no candidate."""
    n_cases, n = len(who), histories.shape[1]
    sold = np.asarray(histories.getnnz(axis=0), np.float64) + 1e-3
    others = np.concatenate(
        [
            rng.choice(n, (n_cases, negatives - negatives // 2), p=sold / sold.sum()),
            rng.integers(0, n, (n_cases, negatives // 2)),
        ],
        axis=1,
    )
    items = np.concatenate([held_out[:, None], others], axis=1)
    users, place = np.unique(who, return_inverse=True)
    mine = sp.csr_matrix(histories[users])
    rows, flat = np.repeat(place, negatives + 1), items.ravel()
    values = [c.of_pairs(c.reach(mine), rows, flat) for c in found]
    out = np.log1p(np.stack(values, 1) * 10).reshape(n_cases, negatives + 1, len(found))
    # A sampled product that the user has, or the held-out one once more, is no negative: it scores as nothing.
    had = Channel("had", None, mine).of_pairs(mine, rows, flat).reshape(items.shape) > 0
    had[:, 1:] |= items[:, 1:] == held_out[:, None]
    had[:, 0] = False
    out[had] = 0.0
    return out


def _loss(weights: NDArray[np.float64], features: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    scores = features @ weights
    scores -= scores.max(1, keepdims=True)
    p = np.exp(scores)
    p /= p.sum(1, keepdims=True)
    loss = -np.log(np.maximum(p[:, 0], 1e-12)).mean()
    gradient = (np.einsum("un,unc->c", p, features) - features[:, 0].sum(0)) / len(features)
    return float(loss), gradient


def _fit(features: NDArray[np.float64]) -> NDArray[np.float64]:
    def objective(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        loss, gradient = _loss(weights, features)
        return loss + L1 * float(weights.sum()), gradient + L1

    k = features.shape[2]
    result = minimize(objective, np.full(k, 0.1), jac=True, method="L-BFGS-B", bounds=[(0, None)] * k)
    weights = np.asarray(result.x)
    weights[weights < 1e-4] = 0.0
    return weights


def neighbours(
    found: list[Channel],
    weights: dict[str, float],
    k: int,
    *,
    block: int = 512,
    tick: Callable[[int, int], None] = lambda *_: None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The k most alike products of each ``(n_products, k)``, best first (ties by row), -1 beyond; values in 0..1.

    Entities are taken from the rarest on until they would cost more than `PRODUCTS_OF` multiplications, so that a
    million products of one brand take bounded time; block by block, so that they take bounded memory.
    """
    used = [c for c in found if weights.get(c.name, 0) > 0]
    n = _size(found)
    ids, values = np.full((n, k), -1, np.int32), np.zeros((n, k), np.float32)
    if not used or not k:
        return ids, values
    total = sum(weights[c.name] for c in used)
    shares = {c.name: np.float32(weights[c.name] / total) for c in used}
    shared, direct = _joined(used, shares, n)
    other = sp.csr_matrix(shared.T)
    done = iter(range(1, n + 1))

    def choose(start: int) -> None:
        rows = slice(start, min(start + block, n))
        score = sp.csr_matrix(shared[rows] @ other + direct[rows])
        for row in range(score.shape[0]):
            at = slice(score.indptr[row], score.indptr[row + 1])
            items, likes = score.indices[at], score.data[at]
            other_one = (items != start + row) & (likes > 1e-6)
            items, likes = items[other_one], likes[other_one]
            if len(items) > k:
                least = np.partition(likes, len(likes) - k)[len(likes) - k]
                best = np.flatnonzero(likes >= least)
                items, likes = items[best], likes[best]
            order = np.lexsort((items, -likes))[:k]
            ids[start + row, : len(order)], values[start + row, : len(order)] = items[order], likes[order]
        tick(min(next(done) * block, n), n)

    each(range(0, n, block), choose)
    return ids, np.minimum(values, 1)


def _joined(
    used: list[Channel], shares: dict[str, np.float32], n: int
) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """All channels of a kind as one: ``B (n, entities)`` with likeness B Bᵀ, and ``D (n, n)``."""
    parts = [c.shared * np.sqrt(shares[c.name]) for c in used if c.shared is not None]
    shared = sp.csc_matrix(sp.hstack(parts)) if parts else sp.csc_matrix((n, 1), dtype=np.float32)
    degree = np.diff(shared.indptr).astype(np.float64)
    order = np.argsort(degree, kind="stable")
    kept = order[np.cumsum(degree[order] ** 2) <= PRODUCTS_OF]
    direct = sp.csr_matrix((n, n), dtype=np.float32)
    for channel in used:
        if channel.direct is not None:
            direct = direct + channel.direct * shares[channel.name]
    return sp.csr_matrix(shared[:, np.sort(kept)], dtype=np.float32), sp.csr_matrix(direct, dtype=np.float32)


def _size(found: list[Channel]) -> int:
    if not found:
        return 0
    first = found[0].shared if found[0].shared is not None else found[0].direct
    assert first is not None
    return int(first.shape[0])
