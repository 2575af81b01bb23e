"""What a piece of work reads: table columns through the data engine, arrays of artefacts. Off unless someone looks."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Reads:
    """``tables``: (table, version) → columns; ``arrays``: folder of an artefact → names of its arrays;
    ``operations``: names of the table operations that were computed.
    """

    tables: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    arrays: dict[str, set[str]] = field(default_factory=dict)
    operations: set[str] = field(default_factory=set)


_observers: ContextVar[tuple[Reads, ...]] = ContextVar("observers", default=())


@contextmanager
def observing() -> Generator[Reads]:
    """Collect what the block reads; blocks may be nested, and each sees all."""
    reads = Reads()
    token = _observers.set((*_observers.get(), reads))
    try:
        yield reads
    finally:
        _observers.reset(token)


def observed() -> bool:
    """Whether someone looks."""
    return bool(_observers.get())


def note_array(folder: Path, name: str) -> None:
    """Say that an array of an artefact is read."""
    for reads in _observers.get():
        reads.arrays.setdefault(str(folder), set()).add(name)


def note_columns(columns: Iterable[tuple[str, int, str]]) -> None:
    """Say that columns of tables are read, as (table, version, column)."""
    found = list(columns)
    for reads in _observers.get():
        for table, version, column in found:
            reads.tables.setdefault((table, version), set()).add(column)


def note_operations(names: Iterable[str]) -> None:
    """Say that table operations are computed."""
    found = set(names)
    for reads in _observers.get():
        reads.operations |= found
