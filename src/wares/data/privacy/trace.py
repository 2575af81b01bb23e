"""Follow a person through the tables: their visits, the keys of their rows, what they wrote."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wares.core import columns as c
from wares.core.config import Config
from wares.core.sessions import sessions_of
from wares.core.state import State
from wares.data.mapping import guess, template_fields
from wares.data.privacy.history import batches_of, data_files
from wares.data.privacy.sieve import PersonSieve
from wares.data.privacy.subject import Subject
from wares.data.privacy.tags import tags_of
from wares.data.store import Store


def id_names(config: Config) -> frozenset[str]:
    """How the shop's own exports name the columns that become user and session ids."""
    names: set[str] = set()
    for source in config.sources:
        for ours in (c.USER_ID, c.SESSION_ID):
            theirs = source.map.get(ours, "")
            names.update(template_fields(theirs) or [theirs] if theirs and not theirs.startswith("=") else [])
    return frozenset(n for n in names if n)


def files_of(store: Store) -> Iterator[tuple[str, Path]]:
    """Every data file of every table, of all versions."""
    for asset in store.names():
        for path in data_files(store.path(asset)):
            yield asset, path


def sieve_for(asset: str, names: list[str], subject: Subject, state: State | None) -> PersonSieve:
    """A sieve that knows which columns of a table identify people."""
    return PersonSieve(asset, subject, tags_of(state, asset, names))


def follow(store: Store, state: State, subject: Subject) -> Subject:
    """The subject with the ids of their visits, the keys of their rows and the texts that only they wrote.

    A visit counts as theirs when nobody else has it: shops that write one session for all do exist.
    """
    sessions = _sessions(store, subject) | sessions_of(state, subject.ids)
    subject = replace(subject, ids=subject.ids | sessions)
    keys: set[str] = set()
    texts: set[str] = set()
    for asset, path in files_of(store):
        sieve = sieve_for(asset, pq.read_schema(path).names, subject, state)
        for batch in batches_of(path):
            sieve.batch(batch)
        keys.update(sieve.keys)
        texts.update(sieve.texts)
    subject = replace(subject, keys=subject.keys | keys)
    if texts:
        asked = replace(subject, texts=frozenset(texts))
        for asset, path in files_of(store):
            if asset.removesuffix("_clean") not in (c.REVIEWS, c.TEXTS, c.QUERIES):
                continue
            sieve = sieve_for(asset, pq.read_schema(path).names, asked, state)
            for batch in batches_of(path):
                sieve.batch(batch)
            texts -= sieve.survivors
    return replace(subject, texts=subject.texts | texts)


def _sessions(store: Store, subject: Subject) -> frozenset[str]:
    ids = pa.array(sorted(subject.ids), pa.string())
    found: set[str] = set()
    for users, sessions in _visits(store):
        theirs = sessions.filter(pc.fill_null(pc.is_in(users, value_set=ids), False))
        found.update(v for v in theirs.unique().to_pylist() if v)
    if not found:
        return frozenset()
    wanted = pa.array(sorted(found), pa.string())
    for users, sessions in _visits(store):
        other = pc.and_(
            pc.is_in(sessions, value_set=wanted),
            pc.and_(pc.is_valid(users), pc.invert(pc.fill_null(pc.is_in(users, value_set=ids), True))),
        )
        found -= set(sessions.filter(pc.fill_null(other, False)).unique().to_pylist())
    return frozenset(found)


def _visits(store: Store) -> Iterator[tuple[Any, Any]]:
    for _, path in files_of(store):
        names = pq.read_schema(path).names
        if c.USER_ID in names and c.SESSION_ID in names:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(131_072, columns=[c.USER_ID, c.SESSION_ID]):
                    yield (
                        batch.column(c.USER_ID).cast(pa.string()),
                        batch.column(c.SESSION_ID).cast(pa.string()),
                    )


def guessed_id_names(names: list[str]) -> frozenset[str]:
    """Columns of an export that hold user or session ids, by their names."""
    found = guess(names, c.EVENTS)
    return frozenset(found[k] for k in (c.USER_ID, c.SESSION_ID) if k in found)
