"""The neighbourhood of several products at once: one point of the fused space and what lies near it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.similar.infer import Similar

CONTENT = ("text", "attributes", "reviews", "image", "price")
"""What a product is. What was done with it is left out: clicks that teach a share would be read back out of it."""
KINDS = ("substitute", "like")
NEAR = 30
LEAST = 0.5
"""Less near than this, a product is no candidate."""


class Neighbourhood:
    """What lies around some products, by their content.

    The centre is the mean of their fused vectors by their shares (Rocchio 1971, with the best hits taken for relevant),
    each dimension scaled by its weight for substitutes; nearness is 1 for a product that equals it in all it has.
    """

    def __init__(
        self, similar: Similar, items: NDArray[Any], shares: NDArray[Any], weights: dict[str, float]
    ):
        self._vectors = similar.index.vectors
        blocks = similar.blocks
        centre = np.zeros(similar.index.dim, np.float32)
        for item, share in zip(items.tolist(), np.asarray(shares, np.float32).tolist(), strict=True):
            centre += share * blocks.query(self._vectors[item], weights)
        # Blocks have length one, so the largest product with a block is the length of the centre there.
        most = sum(float(np.linalg.norm(centre[part])) for part in blocks.slices().values())
        self._centre = centre / max(most, 1e-9)
        found, values = similar.index.search(self._centre, NEAR)
        self._rows = found[values >= LEAST].astype(np.int32)

    @property
    def rows(self) -> NDArray[np.int32]:
        """The nearest products, nearest first; the ones asked about are among them."""
        return self._rows

    def scores(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Nearness 0..1 ``(len(rows),)``."""
        vectors = np.asarray(self._vectors[rows], np.float32)
        return np.clip(vectors @ self._centre, 0, 1).astype(np.float32)


class Surroundings:
    """Gives neighbourhoods of a bundle's products."""

    def __init__(self, similar: Similar) -> None:
        self.similar = similar
        fusion = similar.fusions[next((k for k in KINDS if k in similar.kinds), similar.kinds[0])]
        own = dict(zip(fusion.names, fusion.weights.tolist(), strict=True))
        self.weights = {n: float(own.get(n, 0)) for n in similar.blocks.names if n in CONTENT}
        if sum(self.weights.values()) <= 0:
            # The kind leans on deeds alone: then every dimension of content counts alike.
            self.weights = dict.fromkeys(self.weights, 1.0)

    def __call__(self, items: NDArray[Any], shares: NDArray[Any]) -> Neighbourhood:
        """The neighbourhood of products ``(s,)`` by their shares ``(s,)`` of sum one."""
        return Neighbourhood(self.similar, items, shares, self.weights)
