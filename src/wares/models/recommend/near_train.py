"""Shoppers whose fading histories are alike, for the learned ranker.

After TIFU-KNN (Hu et al., SIGIR 2020, https://arxiv.org/abs/2006.00556): each shopper is a vector of products with
forgetting, and the nearest others vouch for what they take up. Likeness is the cosine of those vectors with each product
weighted by the square root of its inverse document frequency.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.features.interactions import Interactions

POOL = 20_000
NEAR = 60
KEPT = 200
BLOCK = 512


@dataclass(frozen=True, slots=True)
class Near:
    """``ids`` and ``sims (n_users, k)`` of the nearest shoppers as rows of the pool, -1 for none; ``items`` and
    ``weights (n_pool, 200)`` what each of the pool does most, a share of all that they do."""

    ids: NDArray[np.int32]
    sims: NDArray[np.float16]
    items: NDArray[np.int32]
    weights: NDArray[np.float16]


def near_shoppers(data: Interactions, decay: int, seed: int) -> Near:
    """The 60 nearest of at most 20,000 shoppers, drawn by seed where there are more."""
    n = data.n_users
    weight = np.log1p(data.decayed[:, decay]).astype(np.float32)
    share = np.sqrt(np.log(n / np.maximum(data.item_counts(), 1) + 1e-9).clip(0)).astype(np.float32)
    shape = (n, data.n_items)
    vectors = sp.csr_matrix((weight * share[data.items], data.items, data.ptr), shape=shape)
    norm = np.sqrt(np.asarray(vectors.multiply(vectors).sum(1)).ravel())
    vectors = (sp.diags_array(1 / np.maximum(norm, 1e-6).astype(np.float32)) @ vectors).tocsr()
    pool = np.arange(n) if n <= POOL else np.sort(np.random.default_rng(seed).choice(n, POOL, replace=False))
    others = vectors[pool].T.tocsc()
    k = min(NEAR, max(len(pool) - 1, 0))
    ids = np.full((n, max(k, 1)), -1, np.int32)
    sims = np.zeros((n, max(k, 1)), np.float16)
    for start in range(0, n if k else 0, BLOCK):
        block = (vectors[start : start + BLOCK] @ others).toarray()
        lines = np.arange(start, start + len(block))
        me = np.searchsorted(pool, lines)
        mine = (me < len(pool)) & (pool[np.minimum(me, len(pool) - 1)] == lines)
        block[np.flatnonzero(mine), me[mine]] = 0
        top = np.argpartition(-block, k - 1, axis=1)[:, :k]
        top.sort(axis=1)
        value = np.take_along_axis(block, top, 1)
        ids[lines] = np.where(value > 0, top, -1)
        sims[lines] = value
    items = np.full((len(pool), KEPT), -1, np.int32)
    weights = np.zeros((len(pool), KEPT), np.float16)
    for line, user in enumerate(pool.tolist()):
        part = data.of(user)
        own, values = data.items[part], weight[part] / max(float(weight[part].sum()), 1e-6)
        top = np.lexsort((own, -values))[:KEPT]
        items[line, : len(top)], weights[line, : len(top)] = own[top], values[top]
    return Near(ids, sims, items, weights)
