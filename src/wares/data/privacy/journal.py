"""The journal of an erasure: what is to be done, what is done. It survives ``kill -9`` and is gone at the end.

While the journal exists it names the person in clear, because a resumed run must know whom to look for; the file
is readable by its owner only. The receipt that replaces it names the person by keyed hash only.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wares.core.errors import Unavailable
from wares.core.files import locked, write_atomic

FILE = "erasure.journal"
LOCK = "erasure.lock"
LANDING = "landing.lock"


@dataclass
class Journal:
    """``done`` steps are not done again; ``found`` counts what went, by place; ``known`` is what later steps look for."""

    id: str
    kind: str
    begun: str
    values: list[str] = field(default_factory=list)
    also: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    known: dict[str, list[str]] = field(default_factory=dict)
    places: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    receipt: dict[str, Any] | None = None

    def save(self, root: Path) -> None:
        """Write it, for its owner's eyes only."""
        write_atomic(root / "state" / FILE, json.dumps(asdict(self), ensure_ascii=False))
        (root / "state" / FILE).chmod(0o600)

    @classmethod
    def open(cls, root: Path) -> Journal | None:
        """The journal of an unfinished erasure, or None."""
        path = root / "state" / FILE
        return cls(**json.loads(path.read_text("utf-8"))) if path.is_file() else None

    def put(self, place: dict[str, Any]) -> None:
        """Note what was done at a place; the same place again replaces it, larger counts stay."""
        for old in self.places:
            if old["where"] == place["where"]:
                for key, value in place.items():
                    if isinstance(value, int) and isinstance(old.get(key), int):
                        old[key] = max(old[key], value)
                    elif key != "before" or key not in old:
                        old[key] = value
                return
        self.places.append(place)

    def remember(self, kind: str, values: list[str]) -> None:
        """Add to what later steps look for."""
        self.known[kind] = list(dict.fromkeys([*self.known.get(kind, []), *values]))


def close(root: Path) -> None:
    """Forget the journal: nothing names the person any more."""
    (root / "state" / FILE).unlink(missing_ok=True)


def refuse_if_unfinished(root: Path) -> None:
    """Called before building, publishing and ingesting.

    Raises:
        Unavailable: while an erasure runs, or when one was killed and not resumed.
    """
    if (root / "state" / FILE).is_file() and not is_ours(root):
        raise Unavailable(
            "an erasure of this workspace is not finished",
            mend="Wait for it to end; if it was killed, run `wares asset erase --resume`",
        )


_running: set[tuple[int, str]] = set()


def is_ours(root: Path) -> bool:
    """Whether this process is the one that erases."""
    return (os.getpid(), str(root.resolve())) in _running


@contextmanager
def erasing(root: Path) -> Generator[None]:
    """Held by the one process that erases; its own builds are let through.

    Raises:
        Unavailable: when another process erases.
    """
    with locked(root / "state" / LOCK, "an erasure of this workspace", wait=False):
        mark = (os.getpid(), str(root.resolve()))
        _running.add(mark)
        try:
            yield
        finally:
            _running.discard(mark)


@contextmanager
def landing(root: Path) -> Generator[None]:
    """Held, by any number of processes at once, while rows are on their way into tables.

    Raises:
        Unavailable: when an erasure was killed and not resumed.
    """
    refuse_if_unfinished(root)
    with _flock(root / "state" / LANDING, fcntl.LOCK_SH):
        refuse_if_unfinished(root)
        yield


@contextmanager
def nobody_landing(root: Path) -> Generator[None]:
    """Waits until no rows are on their way, and holds new ones back."""
    with _flock(root / "state" / LANDING, fcntl.LOCK_EX):
        yield


@contextmanager
def _flock(path: Path, how: int) -> Generator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as stream:
        fcntl.flock(stream, how)
        try:
            yield
        finally:
            fcntl.flock(stream, fcntl.LOCK_UN)
