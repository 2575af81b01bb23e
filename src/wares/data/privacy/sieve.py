"""What of a table's rows goes: whole rows that are a person's, words in rows that are not."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from wares.core import columns as c
from wares.data.privacy.subject import GONE, Subject, telling
from wares.data.privacy.tags import Tag

_KEYS = {c.EVENTS: c.EVENT_ID, c.REVIEWS: c.REVIEW_ID, c.TEXTS: c.TEXT_ID, c.QUERIES: c.QUERY_ID}
_TEXTS = {c.REVIEWS: (c.TITLE, c.TEXT), c.TEXTS: (c.TEXT, c.QUERY), c.QUERIES: (c.TEXT,)}
_KEPT_COLUMNS = (c.PRODUCT_ID, c.KIND, c.CURRENCY)
_MAX_KEYS = 20_000


@dataclass
class Count:
    """Rows that went, and cells in which words were replaced."""

    rows: int = 0
    cells: int = 0

    def __bool__(self) -> bool:
        return bool(self.rows or self.cells)


class Sieve(Protocol):
    """Passes the rows of one table through."""

    def batch(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Count]:
        """The rows that stay, and what went."""
        ...

    def note(self, text: str) -> str:
        """A note of a commit, as it may stay."""
        ...


def _strings(array: Any) -> Any:
    return array if pa.types.is_string(array.type) else array.cast(pa.string())


def _is_text(kind: Any) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


@dataclass
class PersonSieve:
    """Removes a subject. Collects the keys and texts of what went, so that copies elsewhere can be found."""

    asset: str
    subject: Subject
    tags: dict[str, Tag]
    keys: list[str] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)
    survivors: set[str] = field(default_factory=set)

    @property
    def _base(self) -> str:
        return self.asset.removesuffix("_clean")

    def theirs(self, batch: pa.RecordBatch) -> Any:
        """Which rows are the person's, as a boolean array ``(rows,)``."""
        out = self._mask(batch.num_rows, [])
        for name in batch.schema.names:
            column = batch.column(name)
            tag = self.tags.get(name)
            if tag is not None and tag.identifies:
                out = pc.or_(out, self._among(column, self.subject.ids | self.subject.also))
            elif name in _KEYS.values():
                out = pc.or_(out, self._among(column, self.subject.keys | self.subject.also))
                out = pc.or_(out, self._in_key(column))
            elif self._base == c.QUARANTINE and name in ("row", "value"):
                out = pc.or_(out, self._in_raw(name, column))
            elif pa.types.is_nested(column.type):
                out = pc.or_(out, self._in_nested(column))
        return out

    def batch(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Count]:
        """The rows that stay, with mentions replaced, and what went."""
        out = self.theirs(batch)
        count = Count(int(pc.sum(out).as_py() or 0), 0)
        if count.rows:
            self._collect(batch.filter(out))
            batch = batch.filter(pc.invert(out))
        # As others wrote it, before mentions in it are replaced.
        self._note_survivors(batch)
        for place, name in enumerate(batch.schema.names):
            cells = self._mentions(name, batch.column(name))
            if cells:
                values = batch.column(name).to_pylist()
                for i, text in cells.items():
                    values[i] = text if text is not None else GONE
                kind = batch.schema.field(place)
                batch = batch.set_column(place, kind, pa.array(values, kind.type))
                count.cells += len(cells)
        return batch, count

    def note(self, text: str) -> str:
        """A commit's note without the person."""
        return self.subject.without(text)

    def _among(self, column: Any, values: frozenset[str]) -> Any:
        known = pa.array(sorted(values), pa.string())
        return pc.fill_null(pc.is_in(_strings(column), value_set=known), False)

    def _coarse(self, column: Any, pattern: str) -> list[int]:
        hits = pc.fill_null(pc.match_substring_regex(_strings(column), pattern), False)
        return [int(i) for i in pc.indices_nonzero(hits).to_pylist()] if pc.any(hits).as_py() else []

    def _mask(self, n: int, rows: list[int]) -> Any:
        mask = [False] * n
        for row in rows:
            mask[row] = True
        return pa.array(mask, pa.bool_())

    def _in_key(self, column: Any) -> Any:
        # A key may carry an address, but an id that happens to equal a key of something else is chance.
        only = Subject(frozenset(), self.subject.also)
        if not only.coarse or not _is_text(column.type):
            return self._mask(len(column), [])
        rows = [i for i in self._coarse(column, only.coarse) if only.mentioned(str(column[i].as_py()))]
        return self._mask(len(column), rows)

    def _in_raw(self, name: str, column: Any) -> Any:
        subject = self.subject
        wanted = sorted(subject.ids | subject.tokens)
        rows = []
        for i in self._coarse(column, "(?i)" + "|".join(map(re.escape, wanted))):
            text = column[i].as_py()
            try:
                cells = json.loads(text) if text[:1] == "{" else None
            except ValueError:
                cells = None
            if isinstance(cells, dict):
                hit = subject.owns(cells) or subject.mentioned(text)
            else:
                hit = subject.raw_mentions(text) if name == "row" else subject.mentioned(text)
            if hit:
                rows.append(i)
        return self._mask(len(column), rows)

    def _in_nested(self, column: Any) -> Any:
        if "string" not in str(column.type) or not self.subject.tokens:
            return self._mask(len(column), [])
        rows = [
            i for i, v in enumerate(column.to_pylist()) if v is not None and self.subject.mentioned(str(v))
        ]
        return self._mask(len(column), rows)

    def _mentions(self, name: str, column: Any) -> dict[int, str | None]:
        own = self._base == c.QUARANTINE and name in ("row", "value")
        tag = self.tags.get(name)
        if not self.subject.coarse or not _is_text(column.type) or name in (*_KEPT_COLUMNS, *_KEYS.values()):
            return {}
        if own or (tag is not None and tag.identifies):
            return {}
        out: dict[int, str | None] = {}
        for i in self._coarse(column, self.subject.coarse):
            text = column[i].as_py()
            clean, n = self.subject.clean_text(text)
            if n:
                out[i] = clean
        return out

    def _collect(self, gone: pa.RecordBatch) -> None:
        key = _KEYS.get(self._base)
        if key in gone.schema.names and len(self.keys) < _MAX_KEYS:
            self.keys += [v for v in _strings(gone.column(key)).to_pylist() if v]
        for name in _TEXTS.get(self._base, ()):
            if name in gone.schema.names:
                self.texts.update(t for t in gone.column(name).to_pylist() if telling(t))

    def _note_survivors(self, kept: pa.RecordBatch) -> None:
        # A sentence that others wrote, too, is no trace of this person.
        wanted = self.subject.texts
        if not wanted:
            return
        known = pa.array(sorted(wanted), pa.string())
        for name in _TEXTS.get(self._base, ()):
            if name in kept.schema.names:
                column = _strings(kept.column(name))
                hits = column.filter(pc.fill_null(pc.is_in(column, value_set=known), False))
                self.survivors.update(hits.unique().to_pylist())


@dataclass
class AgeSieve:
    """Removes rows that are older than a moment."""

    column: str
    before: datetime
    table: str = ""

    def batch(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Count]:
        """The rows that are young enough; rows without a time stay."""
        if self.column not in batch.schema.names:
            return batch, Count()
        old = pc.less(batch.column(self.column), pa.scalar(self.before, batch.column(self.column).type))
        if self.table:
            old = pc.and_(old, pc.equal(batch.column("table"), self.table))
        old = pc.fill_null(old, False)
        rows = int(pc.sum(old).as_py() or 0)
        return (batch.filter(pc.invert(old)) if rows else batch), Count(rows)

    def note(self, text: str) -> str:
        """Notes stay."""
        return text


def without_texts(subject: Subject) -> Subject:
    """For tables: what the person wrote is known by its row, and others may have written the same."""
    return replace(subject, texts=frozenset())
