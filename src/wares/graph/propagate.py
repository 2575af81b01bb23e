"""Vectors of entities by weighted propagation: v(e) = Σ_j w(j) v(e_j) over several hops.

With the symmetric normalisation and restart of Klicpera et al. 2019 (personalised propagation, APPNP):
v⁰ are the vectors of the products (text), v^{h+1} = (1 - α) v⁰ + α Σ_r ω_r Â_r v^h, where Â_r = D^-1/2 A_r D^-1/2 over
the edges of relation r. An entity without a vector of its own takes over its neighbours' mean.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.errors import DataError
from wares.graph.infer import Graph


def adjacency(graph: Graph, weights: Mapping[str, float], until: int | None = None) -> sp.csr_matrix:
    """Â = Σ_r ω_r Â_r ``(n_entities, n_entities)``, with ω scaled to sum to one over the relations in use.

    `weights` by relation name; the two channels of a relation (``r`` and ``r>``) add up. Weights that are
    negative or not finite are errors of the caller.
    """
    heads = np.repeat(np.arange(len(graph)), np.diff(graph.ptr))
    relation_of = np.asarray(graph.relation_of) % max(len(graph.relations), 1)
    total = np.zeros(len(graph.relations))
    for name, value in weights.items():
        if not np.isfinite(value) or value < 0:
            raise DataError(f"the weight of {name} is {value}", mend="Give weights of 0 or more", column=name)
        relation = name.rstrip(">")
        if relation in graph.relations:
            total[graph.relations.index(relation)] += value
    total /= max(total.sum(), 1e-12)
    known = np.ones(len(heads), bool) if until is None else np.asarray(graph.days) < until
    n = len(graph)
    out = sp.csr_matrix((n, n), dtype=np.float32)
    for code in np.flatnonzero(total):
        mine = known & (relation_of == code)
        cells = sp.csr_matrix(
            (np.asarray(graph.weights)[mine], (heads[mine], np.asarray(graph.tails)[mine])), shape=(n, n)
        )
        scale = sp.diags((1 / np.sqrt(np.maximum(np.asarray(cells.sum(1)).ravel(), 1e-9))).astype(np.float32))
        out = out + (scale @ cells @ scale) * np.float32(total[code])
    return sp.csr_matrix(out)


def propagate(
    graph: Graph,
    product_vectors: NDArray[np.float32],
    weights: Mapping[str, float],
    *,
    hops: int = 3,
    alpha: float = 0.5,
    until: int | None = None,
) -> NDArray[np.float32]:
    """Entity vectors ``(n_entities, dim) float32`` of unit length, or zero where nothing reaches.

    `product_vectors (n_products, dim)` may hold rows of NaN or zero for products without a vector; they take part
    as unknown. `alpha` in 0..1 is how far the neighbourhood outweighs the product's own vector.

    Raises:
        DataError: when the vectors do not fit the graph, or a weight is negative.
    """
    matrix = adjacency(graph, weights, until)
    last = deque(over_hops(graph, product_vectors, matrix, hops, alpha), maxlen=1)
    return _lengthened(last[0] if last else _own(graph, product_vectors))


def over_hops(
    graph: Graph, product_vectors: NDArray[np.float32], matrix: sp.csr_matrix, hops: int, alpha: float
) -> Iterator[NDArray[np.float32]]:
    """Entity vectors after each hop over `matrix`, which `adjacency` makes; not of unit length. See `propagate`.

    Raises:
        DataError: when the vectors do not fit the graph.
    """
    own = _own(graph, product_vectors)
    has = np.abs(own).sum(1) > 0
    vectors = own
    for _ in range(hops):
        spread = _lengthened(np.asarray(matrix @ vectors))
        # Who has no vector of its own lives on its neighbours' alone, or hops would fade it out.
        vectors = np.where(has[:, None], np.float32(1 - alpha) * own + np.float32(alpha) * spread, spread)
        yield vectors


def _own(graph: Graph, product_vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    if product_vectors.ndim != 2 or len(product_vectors) != graph.n_products:
        raise DataError(
            f"{graph.n_products} products need vectors of shape ({graph.n_products}, dim), not {product_vectors.shape}",
            mend="Build the vectors of this catalogue",
            column="product_vectors",
        )
    own = np.zeros((len(graph), product_vectors.shape[1]), np.float32)
    own[: graph.n_products] = np.nan_to_num(product_vectors, nan=0.0, posinf=0.0, neginf=0.0)
    return own


def _lengthened(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(norm > 1e-9, vectors / np.maximum(norm, 1e-9), 0).astype(np.float32)
