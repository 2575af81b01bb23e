"""A list of strings in three flat arrays, so that ten million ids load in microseconds and are shared by workers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, save_arrays


def _hash(raw: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little")


class StringTable(Sequence[str]):
    """An immutable list of strings with a reverse look-up.

    Arrays: ``blob (bytes,) uint8``, ``ends (n,) int64`` and, for look-up, ``hashes (n,) uint64`` ascending
    with ``order (n,) int32`` the row of each hash.
    """

    def __init__(
        self, blob: NDArray[Any], ends: NDArray[Any], hashes: NDArray[Any], order: NDArray[Any]
    ) -> None:
        self.blob, self.ends, self.hashes, self.order = blob, ends, hashes, order
        self._bytes = memoryview(np.ascontiguousarray(blob))  # pyright: ignore[reportArgumentType]
        self._end = self.ends.item

    @classmethod
    def of(cls, strings: Iterable[str]) -> StringTable:
        """Build from strings, kept in their order."""
        raws = [s.encode("utf-8", "surrogatepass") for s in strings]
        ends = np.cumsum([len(r) for r in raws], dtype=np.int64) if raws else np.zeros(0, np.int64)
        hashes = np.fromiter((_hash(r) for r in raws), np.uint64, len(raws))
        order = np.argsort(hashes, kind="stable").astype(np.int32)
        return cls(np.frombuffer(b"".join(raws), np.uint8), ends, hashes[order], order)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        row = int(row)
        if row < 0:
            row += len(self)
        if not 0 <= row < len(self):
            raise IndexError(row)
        start = self._end(row - 1) if row else 0
        return str(self._bytes[start : self._end(row)], "utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        blob, start = self.blob.tobytes(), 0
        for end in self.ends.tolist():
            yield blob[start:end].decode("utf-8", "surrogatepass")
            start = end

    def find(self, string: str) -> int:
        """The row of `string`, or -1."""
        raw = string.encode("utf-8", "surrogatepass")
        key = np.uint64(_hash(raw))
        at = int(np.searchsorted(self.hashes, key))
        while at < len(self.hashes) and self.hashes[at] == key:
            row = int(self.order[at])
            if self[row] == string:
                return row
            at += 1
        return -1

    def save(self, folder: Path, name: str) -> None:
        """Write the four arrays as ``<name>_*.npy``."""
        save_arrays(
            folder,
            **{
                f"{name}_blob": self.blob,
                f"{name}_ends": self.ends,
                f"{name}_hashes": self.hashes,
                f"{name}_order": self.order,
            },
        )

    @classmethod
    def load(cls, folder: Path, name: str) -> StringTable:
        """Read what `save` wrote, memory-mapped."""
        return cls(*(load_array(folder, f"{name}_{part}") for part in ("blob", "ends", "hashes", "order")))
