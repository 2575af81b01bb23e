"""Who did what: a sparse user × item matrix in flat arrays, readable with numpy alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact, save_arrays, seal
from wares.core.strings import StringTable

KIND = "interactions"
ARRAYS = ("ptr", "items", "counts", "times", "last", "decayed", "first", "visit_ptr", "visit_days")


@dataclass(frozen=True, slots=True)
class Interactions:
    """One row a (user, item) pair, grouped by user.

    ``ptr (n_users + 1,) int64``; ``items (nnz,) int32``; ``counts (nnz,) float32`` the summed kind weights;
    ``times (nnz,) int32`` how many deeds; ``last (nnz,) int64`` Unix seconds, or the position in the sequence
    where there are no times; ``decayed (nnz, n_decays) float32`` the sums under each forgetting of `decays`
    (half-lives in days, or factors a position when ``by_position``). ``first (nnz,) int64`` is the first deed.
    ``visit_ptr (n_users + 1,) int64`` and ``visit_days (v,) int32``: the distinct days since 1970 on which each user
    did something, ascending; empty where there are no times.
    """

    n_items: int
    ptr: NDArray[np.int64]
    items: NDArray[np.int32]
    counts: NDArray[np.float32]
    times: NDArray[np.int32]
    last: NDArray[np.int64]
    decayed: NDArray[np.float32]
    decays: tuple[float, ...]
    as_of: int
    by_position: bool = False
    first: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    visit_ptr: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    visit_days: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))

    def __post_init__(self) -> None:
        if len(self.first) != len(self.last):
            object.__setattr__(self, "first", self.last)
        if len(self.visit_ptr) != len(self.ptr):
            object.__setattr__(self, "visit_ptr", np.zeros(len(self.ptr), np.int64))

    @property
    def n_users(self) -> int:
        """How many users."""
        return len(self.ptr) - 1

    def of(self, user: int) -> slice:
        """Where a user's pairs lie."""
        return slice(int(self.ptr[user]), int(self.ptr[user + 1]))

    def visits(self, user: int) -> NDArray[np.int32]:
        """The days on which a user did something, ascending."""
        return self.visit_days[int(self.visit_ptr[user]) : int(self.visit_ptr[user + 1])]

    def rows(self) -> NDArray[np.int64]:
        """The user of each pair ``(nnz,)``."""
        return np.repeat(np.arange(self.n_users), np.diff(self.ptr))

    def item_counts(self) -> NDArray[np.int64]:
        """How many users have each item ``(n_items,)``."""
        return np.bincount(self.items, minlength=self.n_items)

    def without(self, users: NDArray[np.bool_]) -> Interactions:
        """The same rows, with nothing left of the marked `users (n_users,)`."""
        kept = ~users[self.rows()]
        sizes = np.where(users, 0, np.diff(self.ptr))
        days = np.diff(self.visit_ptr)
        stay = ~np.repeat(users, days)
        return Interactions(
            self.n_items, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), self.items[kept], self.counts[kept], self.times[kept],
            self.last[kept], self.decayed[kept], self.decays, self.as_of, self.by_position,
            self.first[kept], np.concatenate([[0], np.cumsum(np.where(users, 0, days))]).astype(np.int64), self.visit_days[stay],
        )  # fmt: skip

    def save(self, folder: Path, users: StringTable, **facts: Any) -> dict[str, Any]:
        """Write the artefact."""
        users.save(folder, "users")
        save_arrays(
            folder,
            ptr=self.ptr,
            items=self.items,
            counts=self.counts,
            times=self.times,
            last=self.last,
            decayed=self.decayed,
            first=self.first,
            visit_ptr=self.visit_ptr,
            visit_days=self.visit_days,
        )
        return seal(
            folder, KIND, n_items=self.n_items, n_users=self.n_users, pairs=len(self.items),
            decays=list(self.decays), as_of=self.as_of, by_position=self.by_position, **facts,
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> tuple[Interactions, StringTable]:
        """Read the artefact, memory-mapped."""
        manifest = open_artifact(folder, KIND)
        arrays = {name: load_array(folder, name) for name in ARRAYS}
        known = {
            "n_items": manifest["n_items"],
            "decays": tuple(manifest["decays"]),
            "as_of": manifest["as_of"],
        }
        return cls(**arrays, **known, by_position=manifest["by_position"]), StringTable.load(folder, "users")


def from_sequences(
    sequences: list[NDArray[np.int32]], n_items: int, decays: tuple[float, ...]
) -> Interactions:
    """Interactions of item sequences, oldest first, without times: an item's weight is factor ** (steps from the end).

    A repeated item sums its weights.
    """
    ptr, items, counts, times, last, decayed = [0], [], [], [], [], []
    factors = np.array(decays, np.float64)
    for sequence in sequences:
        steps = np.arange(len(sequence) - 1, -1, -1)
        unique, inverse = np.unique(sequence, return_inverse=True)
        weights = np.zeros((len(unique), len(decays)))
        np.add.at(weights, inverse, factors[None, :] ** steps[:, None])
        newest = np.zeros(len(unique), np.int64)
        np.maximum.at(newest, inverse, np.arange(len(sequence)))
        number = np.bincount(inverse, minlength=len(unique))
        ptr.append(ptr[-1] + len(unique))
        items.append(unique)
        counts.append(number)
        times.append(number)
        last.append(newest)
        decayed.append(weights)

    def flat(parts: list[Any], kind: Any) -> Any:
        return np.concatenate(parts).astype(kind) if parts else np.zeros(0, kind)

    return Interactions(
        n_items, np.array(ptr, np.int64), flat(items, np.int32), flat(counts, np.float32), flat(times, np.int32), flat(last, np.int64),
        np.concatenate(decayed).astype(np.float32) if decayed else np.zeros((0, len(decays)), np.float32), tuple(decays), 0, True,
    )  # fmt: skip
