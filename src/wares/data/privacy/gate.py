"""At the door of the tables: pseudonyms for ids, and no rows of people who were erased."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from wares.core import columns as c
from wares.core.config import Config
from wares.core.people import People
from wares.core.state import State
from wares.data.engine import Engine, Table
from wares.data.privacy.tags import ID_KINDS, kind_of_name

IDS = (c.USER_ID, c.SESSION_ID)


class Gate:
    """What an ingest asks before rows are stored."""

    def __init__(self, root: Path, config: Config, state: State) -> None:
        self.people = People(root, state, pseudonymise=config.privacy.pseudonymise)

    def pseudonymise(self, columns: dict[str, Any]) -> None:
        """Replace ids in Arrow columns by their pseudonyms, in place, where the workspace wants that."""
        if not self.people.pseudonymise:
            return
        for name in IDS:
            if name in columns:
                columns[name] = self._mapped(columns[name])

    def _mapped(self, column: Any) -> Any:
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        out: list[Any] = []
        for chunk in chunks:
            coded = chunk.cast(pa.string()).dictionary_encode()
            names = [None if v is None else self.people.known_as(v) for v in coded.dictionary.to_pylist()]
            out.append(pc.take(pa.array(names, pa.string()), coded.indices))
        return pa.chunked_array(out, pa.string())

    def without_erased(self, engine: Engine, rows: Table) -> tuple[Table, int]:
        """Rows, less those of erased people, and how many those were."""
        names = [name for name in IDS if name in rows.columns]
        if not self.people.any_erased or not names:
            return rows, 0
        kept, before = rows, engine.count(rows)
        for name in names:
            present = engine.arrow(rows.select(rows[name]).distinct())[name].to_pylist()
            gone = sorted(self.people.erased_among(present))
            if gone:
                kept = kept.filter(kept[name].isnull() | ~kept[name].isin(gone))
        return kept, before - engine.count(kept)

    def safe_quarantine(self, rows: pa.Table, sources: dict[str, str]) -> pa.Table:
        """Quarantine entries as they may be stored. `sources` maps our id columns to the source's names.

        Entries of erased people go. Under pseudonyms, ids inside the raw row are replaced, and raw text whose
        cells are not known is withheld: the entry still names file and line.
        """
        if not rows.num_rows or not (self.people.any_erased or self.people.pseudonymise):
            return rows
        theirs = {*IDS, *(sources[name] for name in IDS if name in sources)}
        kept: list[dict[str, Any]] = []
        for entry in rows.to_pylist():
            safe = self._safe_entry(entry, theirs)
            if safe is not None:
                kept.append(safe)
        return pa.Table.from_pylist(kept, rows.schema)

    def _safe_entry(self, entry: dict[str, Any], names: set[str]) -> dict[str, Any] | None:
        try:
            cells = json.loads(entry["row"] or "")
        except ValueError:
            cells = None
        if not isinstance(cells, dict):
            return {**entry, "row": "", "value": ""} if self.people.pseudonymise else entry
        ids = {
            k: str(v)
            for k, v in cells.items()
            if v is not None and (k in names or kind_of_name(str(k)) in ID_KINDS)
        }
        if any(self.people.is_erased(value) for value in ids.values()):
            return None
        if not self.people.pseudonymise:
            return entry
        cells.update({k: self.people.known_as(value) for k, value in ids.items()})
        value = entry["value"]
        if entry["column"] in IDS or value in ids.values():
            value = self.people.known_as(str(value))
        return {**entry, "row": json.dumps(cells, ensure_ascii=False), "value": value}
