"""Dimensions made of plain arrays: what the build and evaluations hand to the fusion. Needs the extra `train`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.data.clean.packs import parse_pack
from wares.graph.infer import Graph
from wares.graph.propagate import propagate
from wares.models.similar.dimensions import (
    CentredDimension,
    HoodDimension,
    ListDimension,
    PriceDimension,
    SetDimension,
    VectorDimension,
)

TEXT_DIM = 128
IMAGE_DIM = 128
LIST = 60
HOPS, ALPHA = 4, 0.9
GRAPH_TEXT, GRAPH_FREE, FREE_SHARE = 64, 32, 0.7
SHRINK = 10.0
DRAWN = 2000
UNITS = ("kg", "l", "m", "m2", "load", "piece")
MOST_VALUE = 80
_STEPS = re.compile(r"\s*(?:>|/|\||»|→|::)\s*")


def leading(
    vectors: NDArray[Any], dim: int, *, centred: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """``(mean (d,), axes (d, dim))``: the directions with most of the vectors' length, or of their spread if `centred`.

    Zero rows count for nothing. Signs are fixed by the largest entry, so that equal input gives equal axes.
    """
    full = np.asarray(vectors, np.float32)
    known = np.abs(full).sum(1) > 0
    mean = full[known].mean(0) if centred and known.any() else np.zeros(full.shape[1], np.float32)
    some = full[known] - mean
    dim = min(dim, full.shape[1])
    values, axes = np.linalg.eigh((some.T @ some).astype(np.float64))
    axes = axes[:, np.argsort(-values, kind="stable")[:dim]]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(dim)])
    return mean.astype(np.float32), axes.astype(np.float32)


def set_dimension(name: str, members: sp.csr_matrix) -> SetDimension:
    """Sets ``(n, n_members)`` weighted by log(n / how many have it); what one product alone has says nothing."""
    cells = sp.csr_matrix(members, dtype=np.float32)
    n = cells.shape[0]
    degree = cells.getnnz(axis=0)
    shared = np.flatnonzero(degree >= 2)
    cells = sp.csr_matrix(cells[:, shared] @ sp.diags(np.log(n / degree[shared]).astype(np.float32) + 1e-3))
    norm = np.sqrt(np.asarray(cells.multiply(cells).sum(1)).ravel())
    cells = sp.csr_matrix(sp.diags((1 / np.maximum(norm, 1e-9)).astype(np.float32)) @ cells)
    cells.eliminate_zeros()
    cells.sort_indices()
    return SetDimension(
        name, cells.indptr.astype(np.int64), cells.indices.astype(np.int32), cells.data.astype(np.float32)
    )


def attribute_sets(
    brands: Sequence[str], categories: Sequence[str], sizes: Sequence[str], attributes: Sequence[str]
) -> sp.csr_matrix:
    """What columns state, as memberships: brand, every step of the category, size, and ``name=value`` of attributes."""
    names: dict[str, int] = {}
    rows: list[int] = []
    columns: list[int] = []
    steps_of: dict[str, list[str]] = {}
    for row, (brand, category, size, held) in enumerate(
        zip(brands, categories, sizes, attributes, strict=True)
    ):
        found = [f"brand={_normal(brand)}"] if brand.strip() else []
        found += [f"size={_normal(size)}"] if size.strip() else []
        if category not in steps_of:
            parts = [_normal(part) for part in _STEPS.split(category) if part.strip()]
            steps_of[category] = [f"category={' > '.join(parts[: i + 1])}" for i in range(len(parts))]
        found += steps_of[category]
        if held:
            found += [
                f"{_normal(str(key))}={_normal(str(value))}"
                for key, value in json.loads(held).items()
                if value is not None and 0 < len(str(value)) <= MOST_VALUE
            ]
        rows += [row] * len(found)
        columns += [names.setdefault(name, len(names)) for name in found]
    cells = (np.ones(len(rows), np.float32), (rows, columns))
    matrix = sp.csr_matrix(cells, shape=(len(brands), max(len(names), 1)))
    matrix.data[:] = 1.0
    return matrix


def _normal(value: str) -> str:
    return " ".join(value.casefold().split())


def price_dimension(prices: NDArray[Any], scale: int, texts: Iterable[Sequence[str]]) -> PriceDimension:
    """Prices ``(n,)`` in 1/`scale`, and for each product texts that may name its pack (size first, then title)."""
    n = len(prices)
    price = np.where(np.asarray(prices) > 0, np.asarray(prices) / scale, np.nan).astype(np.float64)
    log_price, log_pack, unit = np.log(price), np.full(n, np.nan), np.full(n, -1, np.int8)
    for row, some in enumerate(texts):
        pack = next((p for text in some if text and (p := parse_pack(text)) is not None), None)
        if pack is not None and pack.total > 0:
            unit[row] = UNITS.index(pack.unit)
            log_pack[row] = np.log(float(pack.total))
            log_price[row] -= log_pack[row]
    return PriceDimension("price", log_price.astype(np.float32), log_pack.astype(np.float32), unit)


def list_dimension(
    name: str,
    n: int,
    a: NDArray[Any],
    b: NDArray[Any],
    values: NDArray[Any],
    counts: NDArray[Any],
    k: int = LIST,
) -> ListDimension:
    """The `k` strongest neighbours of each product out of symmetric pairs; ties go to the lower row."""
    rows, others = np.r_[a, b].astype(np.int64), np.r_[b, a].astype(np.int64)
    value, both = np.tile(values, 2), np.tile(counts, 2)
    order = np.lexsort((others, -value, rows))
    rows, others, value, both = rows[order], others[order], value[order], both[order]
    first = np.r_[True, rows[1:] != rows[:-1]] if len(rows) else np.zeros(0, bool)
    place = np.arange(len(rows)) - np.maximum.accumulate(np.where(first, np.arange(len(rows)), 0))
    kept = (place < k) & (value > 0)
    rows, others, value, both, place = (x[kept] for x in (rows, others, value, both, place))
    there, line = np.unique(rows, return_inverse=True)
    shape = (len(there), k)
    ids, cells, shared = np.full(shape, -1, np.int32), np.zeros(shape, np.float16), np.zeros(shape, np.uint16)
    ids[line, place], cells[line, place] = others, value
    shared[line, place] = np.minimum(both, 65_535)
    row_of = np.full(n, -1, np.int32)
    row_of[there] = np.arange(len(there))
    return ListDimension(name, ids, cells, row_of, shared)


def aligned(dimensions: Sequence[Any], names: Sequence[str], n: int) -> list[Any]:
    """The dimensions by these names in their order; one that is not there is known of nobody."""
    by_name = {dimension.name: dimension for dimension in dimensions}
    none = np.zeros((0, 1), np.int32)
    return [
        by_name.get(name) or ListDimension(name, none, none, np.full(n, -1, np.int32), none) for name in names
    ]


def shopper_lists(
    name: str, has: sp.csr_matrix, rows: NDArray[Any] | None = None, k: int = LIST, least: int = 2
) -> ListDimension:
    """Shrunk cosines of products by their shoppers, ``has (n_users, n)`` binary; only of `rows` if given.

    cos(a, b) = |a ∩ b| / (√|a| √|b| + `SHRINK`) over shoppers, spread over 0..1 by its root.
    """
    n = has.shape[1]
    sold = has.getnnz(axis=0)
    wanted = np.flatnonzero(sold >= least) if rows is None else np.asarray(rows)[sold[rows] >= least]
    turned = sp.csr_matrix(has.T)
    ids = np.full((len(wanted), k), -1, np.int32)
    values, counts = np.zeros((len(wanted), k), np.float16), np.zeros((len(wanted), k), np.uint16)
    for start in range(0, len(wanted), 256):
        some = wanted[start : start + 256]
        shared = sp.csr_matrix(turned[some] @ has)
        for line, row in enumerate(some.tolist()):
            part = slice(shared.indptr[line], shared.indptr[line + 1])
            other, both = shared.indices[part], shared.data[part]
            value = both / (np.sqrt(sold[row] * sold[other].astype(np.float64)) + SHRINK)
            value[(other == row) | (sold[other] < least)] = 0
            if len(value) > 4 * k:
                best = np.argpartition(-value, 2 * k)[: 2 * k]
                other, both, value = other[best], both[best], value[best]
            order = np.lexsort((other, -value))[:k]
            order = order[value[order] > 0]
            at = start + line
            ids[at, : len(order)] = other[order]
            values[at, : len(order)] = np.sqrt(value[order])
            counts[at, : len(order)] = np.minimum(both[order], 65_535)
    row_of = np.full(n, -1, np.int32)
    row_of[wanted] = np.arange(len(wanted))
    return ListDimension(name, ids, values, row_of, counts)


def pair_lists(
    name: str,
    n: int,
    a: NDArray[Any],
    b: NDArray[Any],
    together: NDArray[Any],
    alone: NDArray[Any],
    k: int = LIST,
) -> ListDimension:
    """Neighbours out of counted pairs: the shrunk cosine of what they share, spread by its root."""
    return list_dimension(name, n, a, b, _closeness(a, b, together, alone), together, k)


def _closeness(
    a: NDArray[Any], b: NDArray[Any], together: NDArray[Any], alone: NDArray[Any]
) -> NDArray[np.float64]:
    weight = together / (
        np.sqrt(np.maximum(alone[a], 1) * np.maximum(alone[b], 1).astype(np.float64)) + SHRINK
    )
    return np.sqrt(np.minimum(weight, 1))


def pair_hoods(
    name: str,
    n: int,
    a: NDArray[Any],
    b: NDArray[Any],
    together: NDArray[Any],
    alone: NDArray[Any],
    k: int = LIST,
) -> HoodDimension:
    """Neighbourhoods of the `k` closest out of counted pairs."""
    lists = pair_lists(name, n, a, b, together, alone, k)
    there = lists.ids >= 0
    owner = np.flatnonzero(lists.row_of >= 0)
    rows = np.repeat(owner, there.sum(1))
    return hood_dimension(name, n, rows, lists.ids[there], lists.values[there], lists.counts[there])


def hood_dimension(
    name: str, n: int, rows: NDArray[Any], members: NDArray[Any], values: NDArray[Any], counts: NDArray[Any]
) -> HoodDimension:
    """Neighbourhoods out of (product, member, how close, how often), members from n on being no products of the shop.

    What is said twice, as by both ends of an edge, adds up. Every product that is anyone's neighbour is in its own
    neighbourhood. A member of many neighbourhoods says less:
    b_im = w_im / √degree_m, and each row to length one, as in `wares.graph.likeness`.
    """
    width = max(n, int(np.max(members, initial=0)) + 1)
    shape = (n, width)
    cells = sp.csr_matrix((np.asarray(values, np.float32), (rows, members)), shape)
    often = sp.csr_matrix((np.minimum(counts, 60_000).astype(np.float32), (rows, members)), shape)
    own = np.unique(np.r_[np.asarray(rows), np.asarray(members)[np.asarray(members) < n]])
    mine = sp.csr_matrix((np.ones(len(own), np.float32), (own, own)), shape)
    both = sp.csr_matrix(cells + mine)
    degree = np.maximum(both.getnnz(axis=0), 1)
    scaled = sp.csr_matrix(both @ sp.diags((1 / np.sqrt(degree)).astype(np.float32)))
    norm = np.sqrt(np.asarray(scaled.multiply(scaled).sum(1)).ravel())
    scaled = sp.csr_matrix(sp.diags((1 / np.maximum(norm, 1e-9)).astype(np.float32)) @ scaled)
    scaled.sort_indices()
    # The same cells, with how often in place of how close; 1 is added so that no cell is lost, and taken away again.
    pattern = sp.csr_matrix(
        (np.ones(scaled.nnz, np.float32), scaled.indices.copy(), scaled.indptr.copy()), shape
    )
    counted = sp.csr_matrix(pattern + often)
    counted.sort_indices()
    return HoodDimension(
        name, scaled.indptr.astype(np.int64), scaled.indices.astype(np.int32), scaled.data.astype(np.float32),
        np.clip(counted.data - 1, 0, 65_535).astype(np.uint16),
    )  # fmt: skip


def centred(name: str, vectors: NDArray[Any], row_of: NDArray[Any], seed: int = 7) -> CentredDimension:
    """A centred dimension: how near the nearest ten of two thousand products drawn at random are, on average."""
    plain = VectorDimension(name, vectors, row_of)
    full = np.asarray(plain.vectors, np.float32)
    there = np.unique(plain.row_of[plain.row_of >= 0])
    drawn = full[np.random.default_rng(seed).permutation(there)[:DRAWN]]
    nearest = max(1, len(drawn) // 200)
    centre = np.zeros(len(full), np.float32)
    for start in range(0, len(full) if len(drawn) else 0, 1024):
        near = full[start : start + 1024] @ drawn.T
        centre[start : start + 1024] = np.partition(near, -nearest, axis=1)[:, -nearest:].mean(1)
    return CentredDimension(name, full, plain.row_of, centre, checked=True)


def sequence_pairs(
    sequences: Sequence[NDArray[Any]], window: int = 3
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Products within `window` steps of each other, ``a < b``, with the sum of 1 / distance."""
    a, b, w = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    for sequence in sequences:
        for step in range(1, min(window, len(sequence) - 1) + 1):
            a.append(np.minimum(sequence[:-step], sequence[step:]).astype(np.int64))
            b.append(np.maximum(sequence[:-step], sequence[step:]).astype(np.int64))
            w.append(np.full(len(sequence) - step, 1 / step))
    one, other, weight = np.concatenate(a), np.concatenate(b), np.concatenate(w)
    apart = one != other
    top = int(other.max(initial=0)) + 1
    keys, place = np.unique(one[apart] * top + other[apart], return_inverse=True)
    return keys // top, keys % top, np.bincount(place, weight[apart], len(keys))


def scene_dimension(
    counts: dict[str, tuple[NDArray[Any], NDArray[Any], NDArray[Any]]], n: int, fewest: int = 10
) -> VectorDimension:
    """When, by whom and beside what products are bought: for each name (rows, buckets, how often).

    Each bucket holds log(share / usual share), the share shrunk by 20 deeds of the usual; each name counts alike.
    Products with fewer than `fewest` deeds have no scene.
    """
    blocks: list[NDArray[np.float32]] = []
    total = np.zeros(n)
    for rows, buckets, often in counts.values():
        width = int(buckets.max(initial=-1)) + 1
        table = np.zeros((n, width))
        np.add.at(table, (rows, buckets), often)
        mine = table.sum(1)
        usual = table.sum(0) / max(table.sum(), 1)
        kept = usual > 0
        lift = np.log((table[:, kept] + 20 * usual[kept]) / (mine[:, None] + 20) / usual[kept]) * np.sqrt(
            usual[kept]
        )
        spread = np.sqrt((lift[mine >= fewest] ** 2).sum(1).mean()) if (mine >= fewest).any() else 1.0
        blocks.append((lift / max(float(spread), 1e-9)).astype(np.float32))
        total = np.maximum(total, mine)
    there = np.flatnonzero(total >= fewest)
    row_of = np.full(n, -1, np.int32)
    row_of[there] = np.arange(len(there))
    vectors = np.concatenate(blocks, 1)[there] if blocks else np.zeros((0, 1), np.float32)
    return VectorDimension("scene", vectors, row_of)


def graph_dimension(
    graph: Graph, weights: Mapping[str, float], text: VectorDimension | None, until: int | None = None
) -> CentredDimension:
    """Entity vectors of the products, propagated over edges known before day `until`.

    They begin as what a product's words say, beside random vectors, by which two products are alike that share
    neighbours whatever their words (FastRP: Chen et al. 2019, https://arxiv.org/abs/1908.11512).
    """
    n = graph.n_products
    free = np.random.default_rng(7).standard_normal((n, GRAPH_FREE), np.float32)
    starts = [FREE_SHARE * free / np.linalg.norm(free, axis=1, keepdims=True)]
    if text is not None:
        words = np.asarray(text.vectors, np.float32)[np.maximum(text.row_of, 0), :GRAPH_TEXT]
        starts.append(words * (np.asarray(text.row_of) >= 0)[:, None])
    vectors = propagate(graph, np.concatenate(starts, 1), weights, hops=HOPS, alpha=ALPHA, until=until)
    return centred("graph", vectors[:n], np.arange(n, dtype=np.int32))
