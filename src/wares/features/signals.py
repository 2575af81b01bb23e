"""What the pairs of each signal weigh while an encoder learns: rare ones more, uncertain ones less."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.features.pairs import TRAIN, PairSet

GROUPS = "groups"
"""The name under which pairs of one group are counted: members of a cluster."""
PSEUDO = "pseudo"
"""The name of pairs that nobody gave: their weight is the confidence in them, and they are no signal to be balanced."""


@dataclass(frozen=True)
class Signals:
    """``weights`` by signal; ``table (n, n)`` holds the weight of each edge."""

    pairs: PairSet
    weights: dict[str, float]
    table: sp.csr_matrix

    def emphasis(self, rows: NDArray[np.int64], share: NDArray[np.float32]) -> NDArray[np.float32]:
        """What each of the nodes ``rows (b,)`` weighs as an anchor ``(b,)``: the mean over its positives, ``share (b, b)``."""
        edges = np.asarray(self.table[rows][:, rows].todense(), np.float32)
        group = self.pairs.group[rows]
        same = (group[:, None] == group[None, :]) & (group >= 0)[:, None]
        each = np.maximum(edges, same * np.float32(self.weights.get(GROUPS, 1.0)))
        return np.asarray((share * each).sum(1), np.float32)


def counted(pairs: PairSet, part: NDArray[np.int8]) -> dict[str, int]:
    """Training pairs of each signal; a group of k different texts counts as k - 1."""
    inside = (part == TRAIN) & ~pairs.blank
    kept = inside[pairs.edges].all(1) if len(pairs.edges) else np.zeros(0, bool)
    out = {name: int((kept & (pairs.source == i)).sum()) for i, name in enumerate(pairs.sources)}
    grouped = sum(
        len(np.unique(pairs.text_id[m[inside[m]]])) - 1 for m in pairs.members.values() if inside[m].any()
    )
    return out | ({GROUPS: grouped} if grouped else {})


def balanced(pairs: PairSet, part: NDArray[np.int8], cap: float) -> Signals | None:
    """Weights by inverse frequency: the largest count over that of the signal, at most `cap`; pseudo pairs weigh their confidence.

    None when all pairs weigh the same: one signal, a cap of 1, no pseudo pairs.
    """
    counts = {name: n for name, n in counted(pairs, part).items() if n}
    known = {name: n for name, n in counts.items() if name != PSEUDO}
    most = max(known.values(), default=0)
    weights = {name: round(float(min(max(cap, 1.0), most / n)), 4) for name, n in known.items()}
    if PSEUDO not in counts and len(set(weights.values())) < 2:
        return None
    value = np.ones(len(pairs.edges), np.float32)
    for i, name in enumerate(pairs.sources):
        of = pairs.source == i
        value[of] = pairs.weight[of] if name == PSEUDO else weights.get(name, 1.0)
    a, b = pairs.edges[:, 0], pairs.edges[:, 1]
    half = sp.csr_matrix((value, (a, b)), (len(pairs), len(pairs)))
    return Signals(pairs, weights, half.maximum(half.T).tocsr())
