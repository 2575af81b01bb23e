"""The system of record: every table a Delta table with versions. The only file that knows ``deltalake``.

Tables are unpartitioned, without deletion vectors and column mapping, so that any engine can read the list of
Parquet files of a version.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from wares.core.errors import CommitConflict, DataError, Unavailable, VersionErased, VersionNotFound
from wares.core.files import locked

_WRITER = WriterProperties(compression="ZSTD", compression_level=3)


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

    def files(self, name: str, version: int | None = None) -> list[str]:
        """The Parquet files of a version.

        Raises:
            VersionNotFound: when there never was such a version.
            VersionErased: when its files are gone.
        """
        files = [uri.removeprefix("file://") for uri in self._open(name, version).file_uris()]
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
        return [dict(entry) for entry in self._open(name).history()]

    def lock(self, name: str) -> AbstractContextManager[None]:
        """Held while reading a table to decide what to write, so that two writers do not both win."""
        return locked(self.root / f".{name}.lock", f"a write to {name}")

    def append(
        self, name: str, rows: pa.RecordBatchReader | pa.Table, note: dict[str, str] | None = None
    ) -> int:
        """Add rows as a new version; returns its number."""
        return self._write(name, rows, "append", note)

    def replace(
        self, name: str, rows: pa.RecordBatchReader | pa.Table, note: dict[str, str] | None = None
    ) -> int:
        """Make these rows the whole table as a new version; returns its number."""
        return self._write(name, rows, "overwrite", note)

    def _write(self, name: str, rows: Any, mode: Any, note: dict[str, str] | None) -> int:
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            write_deltalake(
                str(self.path(name)),
                rows,
                mode=mode,
                schema_mode="overwrite" if mode == "overwrite" and self.exists(name) else None,
                writer_properties=_WRITER,
                commit_properties=CommitProperties(custom_metadata=note or {}, max_commit_retries=50),
            )
        except CommitFailedError as error:
            raise CommitConflict(
                f"another writer changed {name} first", mend="Run the command again", asset=name
            ) from error
        except OSError as error:
            if error.errno == 28 or "No space left" in str(error):
                raise Unavailable(
                    f"the disk is full while writing {name}",
                    mend="Free some space and run the command again; the previous version is untouched",
                    path=str(self.path(name)),
                ) from error
            raise DataError(
                f"{name} cannot be written: {error}", mend="The previous version is untouched", table=name
            ) from error
        except DeltaError as error:
            raise DataError(
                f"{name} cannot be written: {error}", mend="The previous version is untouched", table=name
            ) from error
        return self.version(name)
