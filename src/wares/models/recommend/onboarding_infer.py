"""Well-known products that cover a shop, for a newcomer to pick from. numpy only.

Greedy facility location: each place goes to the product that adds most to Σ_j p_j · max over the chosen i of s_ij, over
the best-known products j with popularity p_j and likeness s_ij, times the product's own share of what sells (to a power
below one, so that the well-known come first). Greedy choice is within 1 − 1/e of the best cover (Nemhauser, Wolsey,
Fisher 1978).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

POOL = 400
SAME_CATEGORY = 0.35
KNOWN = 0.5


def cover(popular: NDArray[Any], vectors: NDArray[Any], category: NDArray[Any], k: int) -> NDArray[np.int64]:
    """Positions of at most `k` of a pool, in order.

    `popular (n,)` positive, `vectors (n, dim)` of unit length or ``(n, 0)`` for none, `category (n,)` with -1 for none.
    """
    n = len(popular)
    like = (
        np.maximum(vectors.astype(np.float32) @ vectors.astype(np.float32).T, 0)
        if vectors.shape[1]
        else np.zeros((n, n), np.float32)
    )
    same = (category[:, None] == category[None, :]) & (category[:, None] >= 0)
    like = (1 - SAME_CATEGORY) * like + SAME_CATEGORY * same
    np.fill_diagonal(like, 1.0)
    # The root, so that the ten best-sellers do not outweigh the rest of the shop.
    weight = np.sqrt(popular.astype(np.float64))
    own = (popular / max(float(popular.max(initial=0)), 1e-9)) ** KNOWN
    reached = np.zeros(n)
    chosen: list[int] = []
    for _ in range(min(k, n)):
        gain = (np.maximum(like - reached[None, :], 0) @ weight) * own
        gain[chosen] = -1
        best = int(np.argmax(gain))
        chosen.append(best)
        reached = np.maximum(reached, like[best])
    return np.array(chosen, np.int64)
