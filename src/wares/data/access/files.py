"""Rows of a reading as a file, whole or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path

from wares.core.errors import QueryError, WaresError
from wares.core.files import disk_error
from wares.data.access.door import Reading


def write_rows(reading: Reading, path: Path) -> int:
    """Write all rows of a reading to a ``.parquet`` or ``.csv`` file; returns how many.

    Raises:
        QueryError: for another kind of file.
        Unavailable: when the disk is full; what was at `path` before is untouched.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise QueryError(f"what kind of file is {path}?", mend="Name it .parquet or .csv", parameter="out")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # On the same disk, so that the rename is atomic.
        with tempfile.TemporaryDirectory(prefix=".wares-", dir=path.parent) as folder:
            work = Path(folder) / path.name
            rows = reading.to_parquet(work) if path.suffix == ".parquet" else _csv(reading, work)
            work.replace(path)
    except OSError as error:
        if isinstance(error, WaresError):
            raise
        raise disk_error(error, path) from error
    return rows


def _csv(reading: Reading, path: Path) -> int:
    from pyarrow import csv

    rows, writer = 0, None
    try:
        for batch in reading.batches():
            writer = writer or csv.CSVWriter(path, batch.schema)
            writer.write_batch(batch)
            rows += batch.num_rows
        if writer is None:
            csv.write_csv(reading.schema.empty_table(), path)
    finally:
        if writer is not None:
            writer.close()
    return rows
