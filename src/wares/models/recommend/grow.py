"""A next-item model that grows with new events: nothing is counted twice, and nothing is forgotten unseen.

The model is a function of two sums over all prefixes, SᵀS and SᵀT (see ``next_item.py``). New events add their own
prefixes to them; only the solve is repeated, and in the sparse form not even that matters. One customer in twenty, by
the hash of the name, is never learned from: on them the old and the new model are compared by segment before the new
one is taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact, save_arrays, seal
from wares.core.errors import QueryError
from wares.core.strings import StringTable
from wares.models.recommend.blend import LEVELS, gains
from wares.models.recommend.draft import Draft
from wares.models.recommend.next_item import best_rows, next_item_weights, prefixes
from wares.models.recommend.parts import Part, Weights

KIND = "growing-model"
HELD = 20
FEWEST = 20
SEGMENTS = ("1 to 3 items", "4 to 6 items", "7 to 12 items", "13 items and more")


@dataclass(frozen=True)
class Growth:
    """What came of new events: whether they were `taken`, how many `events`, new users and new items there were, and
    NDCG@10 by segment of the held-out customers before and after."""

    taken: bool
    events: int
    users: int
    items: int
    before: dict[str, float]
    after: dict[str, float]
    worse: list[str]


class Growing:
    """The state: names, every customer's sequence, and the two sums."""

    def __init__(
        self, decay: float = 0.7, fade: float = 0.6, regularisation: float = 120.0, dense: int = 20_000
    ) -> None:
        if not 0 < decay <= 1 or not 0 < fade <= 1 or regularisation <= 0:
            raise QueryError(
                "decay and fade must lie in (0, 1], regularisation above 0",
                mend="Mend the parameters",
                parameter="decay",
            )
        self.decay, self.fade, self.regularisation, self.dense = decay, fade, regularisation, dense
        self.items: dict[str, int] = {}
        self.users: dict[str, int] = {}
        self.sequences: list[NDArray[np.int32]] = []
        self.within, self.following = (
            sp.csr_matrix((0, 0), dtype=np.float32),
            sp.csr_matrix((0, 0), dtype=np.float32),
        )
        self.model: Part | None = None

    def held(self) -> NDArray[np.bool_]:
        """Which customers are never learned from ``(n_users,)``."""
        return np.array([hashlib.sha256(u.encode()).digest()[0] % HELD == 0 for u in self.users], bool)

    def grow(self, new: Mapping[str, Sequence[str]], *, tolerance: float = 0.05) -> Growth:
        """Take in what customers did since: name → product ids, oldest first.

        The new model is kept unless the NDCG@10 of a segment of held-out customers, on what they did before these
        events, falls by more than the share `tolerance`; then the state stays as it was. Segments with fewer than 20
        customers do not vote.
        """
        if not 0 <= tolerance <= 1:
            raise QueryError(
                "tolerance must be between 0 and 1", mend="0.05 is five percent", parameter="tolerance"
            )
        trial = self._copy()
        known = np.array([len(s) for s in trial.sequences], np.int64)
        for name, done in new.items():
            row = trial.users.setdefault(name, len(trial.users))
            if row == len(trial.sequences):
                trial.sequences.append(np.zeros(0, np.int32))
            rows = [trial.items.setdefault(item, len(trial.items)) for item in done]
            trial.sequences[row] = np.concatenate([trial.sequences[row], np.array(rows, np.int32)])
        known = np.concatenate([known, np.zeros(len(trial.sequences) - len(known), np.int64)])
        trial._add(known)
        trial.model = trial._solve() if trial.items else None
        before, after = self.quality(self.model, known), self.quality(trial.model, known)
        worse = [s for s in before if after[s] < (1 - tolerance) * before[s]]
        growth = Growth(
            not worse, sum(map(len, new.values())), len(trial.users) - len(self.users), len(trial.items) - len(self.items),
            before, after, worse,
        )  # fmt: skip
        if not worse:
            self.__dict__.update(trial.__dict__)
        return growth

    def _copy(self) -> Growing:
        out = Growing(self.decay, self.fade, self.regularisation, self.dense)
        out.items, out.users, out.sequences = dict(self.items), dict(self.users), list(self.sequences)
        out.within, out.following = self.within, self.following
        return out

    def _add(self, known: NDArray[np.int64]) -> None:
        """Add the prefixes that end in new events of those who may be learned from."""
        n = len(self.items)
        learned = [s if not h else s[:0] for s, h in zip(self.sequences, self.held(), strict=True)]
        past, target = prefixes(learned, n, self.decay, known=known)
        flipped = past.T.tocsr()
        if n <= self.dense:
            within = flipped @ past
        else:
            # The sparse form needs the diagonal alone.
            within = sp.diags(np.asarray(past.multiply(past).sum(0)).ravel()).tocsr()
        self.within = _widened(self.within, n) + within
        self.following = _widened(self.following, n) + flipped @ target

    def _solve(self) -> Part:
        if len(self.items) <= self.dense:
            return Weights(next_item_weights(self.within, self.following, self.regularisation), self.fade)
        scale = 1.0 / (self.within.diagonal() + self.regularisation)
        return Weights(
            best_rows(sp.csr_matrix(sp.diags(scale.astype(np.float32)) @ self.following), 200), self.fade
        )

    def quality(self, model: Part | None, known: NDArray[np.int64]) -> dict[str, float]:
        """NDCG@10 by segment on the last item that each held-out customer had before; empty without a model."""
        if model is None:
            return {}
        held = np.flatnonzero(self.held())
        rows = [u for u in held.tolist() if u < len(self.sequences) and known[u] >= 2]
        pasts = [self.sequences[u][: known[u] - 1] for u in rows]
        n = model.scores([np.zeros(0, np.int32)]).shape[1]
        draft = Draft.of(model, pasts, n, c=10) if rows else None
        out: dict[str, float] = {}
        level = np.searchsorted(np.array(LEVELS), [len(p) for p in pasts])
        for at, segment in enumerate(SEGMENTS):
            mine = np.flatnonzero(level == at)
            if len(mine) >= FEWEST and draft is not None:
                wanted = [self.sequences[rows[i]][known[rows[i]] - 1 : known[rows[i]]] for i in mine]
                out[segment] = float(
                    np.mean([gains(draft.ids[i], w) for i, w in zip(mine, wanted, strict=True)])
                )
        return out

    def save(self, folder: Path) -> dict[str, Any]:
        """Write arrays and a manifest; the model itself is solved again on loading."""
        StringTable.of(list(self.items)).save(folder, "items")
        StringTable.of(list(self.users)).save(folder, "users")
        ptr = np.concatenate([[0], np.cumsum([len(s) for s in self.sequences])]).astype(np.int64)
        save_arrays(folder, ptr=ptr, done=np.concatenate([np.zeros(0, np.int32), *self.sequences]))
        for name, matrix in (("within", self.within), ("following", self.following)):
            save_arrays(
                folder,
                **{
                    f"{name}_data": matrix.data,
                    f"{name}_indices": matrix.indices,
                    f"{name}_indptr": matrix.indptr,
                },
            )
        facts = {
            "decay": self.decay,
            "fade": self.fade,
            "regularisation": self.regularisation,
            "dense": self.dense,
        }
        return seal(folder, KIND, settings=facts)

    @classmethod
    def load(cls, folder: Path) -> Growing:
        """Read what `save` wrote."""
        manifest = open_artifact(folder, KIND)
        out = cls(**manifest["settings"])
        out.items = {name: i for i, name in enumerate(StringTable.load(folder, "items"))}
        out.users = {name: i for i, name in enumerate(StringTable.load(folder, "users"))}
        ptr, done = load_array(folder, "ptr"), load_array(folder, "done", mmap=False)
        out.sequences = np.split(done, ptr[1:-1]) if len(ptr) > 1 else []
        n = len(out.items)
        for name in ("within", "following"):
            cells = tuple(
                load_array(folder, f"{name}_{part}", mmap=False) for part in ("data", "indices", "indptr")
            )
            setattr(out, name, sp.csr_matrix(cells, shape=(n, n)))
        out.model = out._solve() if n else None
        return out


def _widened(matrix: sp.csr_matrix, n: int) -> sp.csr_matrix:
    out = matrix.copy()
    out.resize((n, n))
    return out
