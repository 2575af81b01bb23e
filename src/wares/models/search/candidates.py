"""What retrieval hands to the order: products with what is known of each for the query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Candidates:
    """Products that retrieval found, best first by its own score.

    ``rows (n,) int32`` in the catalogue; ``parts`` names what speaks for each, every one ``(n,) float32``: ``words``,
    ``meaning``, ``alike``, ``popularity``, ``score`` and others of the searcher.
    """

    rows: NDArray[np.int32]
    parts: dict[str, NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.rows)
