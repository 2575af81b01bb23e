"""The system of record: every table a Delta table with versions. The only file that knows ``deltalake``.

Tables are unpartitioned, without deletion vectors and column mapping, so that any engine can read the list of
Parquet files of a version.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from wares.core.errors import CommitConflict, DataError, Unavailable, VersionErased, VersionNotFound
from wares.core.files import locked
from wares.data.lineage.origin import NO_VERSION, Lineage, attached

_WRITER = WriterProperties(compression="ZSTD", compression_level=3)
# Delta forgets old log entries after 30 days and removed files after 7, whatever is tagged; ours go by `vacuum` only.
_FOREVER = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}
LINEAGE = "wares.lineage"
_MARK = "wares.commit"
_RETRIES = 200


class Files(list[str]):
    """The Parquet files of a version, which know whose they are."""

    def __init__(self, paths: Iterable[str], asset: str = "", version: int = NO_VERSION) -> None:
        super().__init__(paths)
        self.asset, self.version = asset, version


class Store:
    """Versioned tables under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        """Where the table lies."""
        return self.root / name

    def exists(self, name: str) -> bool:
        """Whether the table has any version."""
        return (self.path(name) / "_delta_log").is_dir() and DeltaTable.is_deltatable(str(self.path(name)))

    def names(self) -> list[str]:
        """All tables, by name."""
        return (
            sorted(p.name for p in self.root.iterdir() if self.exists(p.name)) if self.root.is_dir() else []
        )

    def _open(self, name: str, version: int | None = None) -> DeltaTable:
        try:
            table = DeltaTable(str(self.path(name)))
        except TableNotFoundError:
            raise VersionNotFound(
                f"there is no table {name!r}",
                mend=f"Load one with `wares ingest PATH --as {name}`",
                asset=name,
                version=version,
            ) from None
        if version is None:
            return table
        newest = int(table.version())
        if not 0 <= version <= newest:
            raise VersionNotFound(
                f"{name} has no version {version}", mend=f"It has 0 to {newest}", asset=name, version=version
            )
        try:
            table.load_as_version(version)
        except (DeltaError, FileNotFoundError) as error:
            raise VersionErased(
                f"version {version} of {name} was removed: {error}",
                mend="Use a newer version",
                asset=name,
                version=version,
            ) from None
        return table

    def version(self, name: str) -> int:
        """The newest version."""
        return int(self._open(name).version())

    def files(self, name: str, version: int | None = None) -> Files:
        """The Parquet files of a version.

        Raises:
            VersionNotFound: when there never was such a version.
            VersionErased: when its files are gone.
        """
        table = self._open(name, version)
        files = Files((uri.removeprefix("file://") for uri in table.file_uris()), name, int(table.version()))
        gone = [f for f in files if "://" not in f and not Path(f).exists()]
        if gone:
            raise VersionErased(
                f"version {version} of {name} was erased",
                mend="Use a newer version",
                asset=name,
                version=version,
            )
        return files

    def history(self, name: str) -> list[dict[str, Any]]:
        """Versions of a table, newest first, as Delta tells them."""
        table = self._open(name)
        entries = [dict(entry) for entry in table.history()]
        # Commits that came while the log was read stand before ours and shift the numbers.
        known = entries[-(int(table.version()) + 1) :]
        return [{**entry, "version": int(table.version()) - i} for i, entry in enumerate(known)]

    def lock(self, name: str) -> AbstractContextManager[None]:
        """Held while reading a table to decide what to write, so that two writers do not both win."""
        return locked(self.root / f".{name}.lock", f"a write to {name}")

    def steady(self, name: str, *, alone: bool = False) -> AbstractContextManager[None]:
        """Held by writers together, and `alone` by whoever exchanges the folder of a table for a rewritten one."""
        return locked(self.root / f".{name}.steady.lock", f"a rewrite of {name}", shared=not alone)

    def append(
        self,
        name: str,
        rows: pa.RecordBatchReader | pa.Table,
        note: dict[str, str] | None = None,
        lineage: Lineage | None = None,
    ) -> int:
        """Add rows as a new version; returns its number.

        The lineage that the engine put on its results goes into the commit; give `lineage` for rows that did
        not come from the engine.
        """
        return self._write(name, rows, "append", note, lineage)

    def replace(
        self,
        name: str,
        rows: pa.RecordBatchReader | pa.Table,
        note: dict[str, str] | None = None,
        lineage: Lineage | None = None,
    ) -> int:
        """Make these rows the whole table as a new version; returns its number."""
        return self._write(name, rows, "overwrite", note, lineage)

    def restore(self, name: str, version: int, note: dict[str, str] | None = None) -> int:
        """Make a new version that is equal to an old one; nothing is rewritten or lost. Returns its number.

        The newest version is equal to itself, and makes no new one.

        Raises:
            VersionErased: when files of the old version are gone.
            CommitConflict: when another writer comes in between.
        """
        with self.steady(name), _clear_errors(name, self.path(name)):
            self.files(name, version)
            if version == self.version(name):
                return version
            self._open(name).restore(version, commit_properties=_properties(note, None))
        return self.version(name)

    def vacuum(self, name: str, keep: Iterable[int], *, dry_run: bool = False) -> list[str]:
        """Remove the files that belong to none of the versions in `keep`, nor to the newest; returns their names.

        Files that no commit names yet are left alone: they may belong to a writer at work.
        """
        with self.steady(name), _clear_errors(name, self.path(name)):
            versions = sorted({*keep, self.version(name)})
            return list(
                self._open(name).vacuum(
                    0, dry_run=dry_run, enforce_retention_duration=False, keep_versions=versions
                )
            )

    def rows(self, name: str, version: int | None = None) -> int:
        """How many rows a version has, from the log alone."""
        actions = pa.table(self._open(name, version).get_add_actions(flatten=True))
        return sum(actions["num_records"].to_pylist())

    def schema(self, name: str, version: int | None = None) -> list[tuple[str, str]]:
        """Columns of a version with their types, from the log alone."""
        fields = pa.schema(self._open(name, version).schema().to_arrow())
        return [(field.name, str(field.type)) for field in fields]

    def _write(
        self, name: str, rows: Any, mode: Any, note: dict[str, str] | None, lineage: Lineage | None = None
    ) -> int:
        self.root.mkdir(parents=True, exist_ok=True)
        if not self.exists(name):
            # Two first writers cannot both make the table; the second appends to what the first made.
            with locked(self.root / f".{name}.first.lock", f"the first write to {name}"):
                if not self.exists(name):
                    return self._commit(name, rows, mode, note, lineage)
        return self._commit(name, rows, mode, note, lineage)

    def _commit(
        self, name: str, rows: Any, mode: Any, note: dict[str, str] | None, lineage: Lineage | None
    ) -> int:
        with self.steady(name):
            return self._commit_steady(name, rows, mode, note, lineage)

    def _commit_steady(
        self, name: str, rows: Any, mode: Any, note: dict[str, str] | None, lineage: Lineage | None
    ) -> int:
        there = self.exists(name)
        before, mark = self.version(name) if there else NO_VERSION, uuid.uuid4().hex
        with _clear_errors(name, self.path(name)):
            write_deltalake(
                str(self.path(name)),
                rows,
                mode=mode,
                schema_mode="overwrite" if mode == "overwrite" and there else None,
                configuration=None if there else _FOREVER,
                writer_properties=_WRITER,
                commit_properties=_properties(
                    {**(note or {}), _MARK: mark}, lineage or attached(rows.schema)
                ),
            )
        return next(v for v in range(before + 1, self.version(name) + 1) if mark in self._log(name, v))

    def _log(self, name: str, version: int) -> str:
        return (self.path(name) / "_delta_log" / f"{version:020d}.json").read_text("utf-8")


def _properties(note: dict[str, str] | None, lineage: Lineage | None) -> CommitProperties:
    facts = dict(note or {})
    if lineage is not None:
        facts[LINEAGE] = json.dumps(lineage.to_json(), ensure_ascii=False, separators=(",", ":"))
    return CommitProperties(custom_metadata=facts, max_commit_retries=_RETRIES)


@contextmanager
def _clear_errors(name: str, path: Path) -> Iterator[None]:
    try:
        yield
    except CommitFailedError as error:
        raise CommitConflict(
            f"another writer changed {name} first", mend="Run the command again", asset=name
        ) from error
    except (OSError, DeltaError) as error:
        if getattr(error, "errno", None) == 28 or "No space left" in str(error):
            raise Unavailable(
                f"the disk is full while writing {name}",
                mend="Free some space and run the command again; the previous version is untouched",
                path=str(path),
            ) from error
        raise DataError(
            f"{name} cannot be written: {error}", mend="The previous version is untouched", table=name
        ) from error
