"""Triples as a file for other programs."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from wares.core.errors import QueryError


def export_triples(
    batches: Iterable[pa.RecordBatch], path: Path, tick: Callable[[int], None] = lambda _: None
) -> int:
    """Write triples as ``.csv``, ``.csv.gz`` or ``.parquet`` by the file's name, in bounded memory; returns how many.

    Raises:
        QueryError: when the name is another, or there are none.
    """
    if not path.name.endswith((".csv", ".csv.gz", ".parquet")):
        raise QueryError(
            f"cannot write {path.name}", mend="Name it .csv, .csv.gz or .parquet", parameter="out"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    done = 0
    writer: Any = None
    with ExitStack() as stack:
        for batch in batches:
            if writer is None:
                writer = stack.enter_context(_writer(path, batch.schema, stack))
            writer.write_batch(batch)
            done += batch.num_rows
            tick(done)
    if writer is None:
        raise QueryError("the graph has no triples", mend="Build it with `wares build`", parameter="out")
    return done


def _writer(path: Path, schema: pa.Schema, stack: ExitStack) -> Any:
    if path.name.endswith(".parquet"):
        return pq.ParquetWriter(path, schema)
    opener: Any = gzip.open if path.name.endswith(".gz") else open
    return csv.CSVWriter(stack.enter_context(opener(path, "wb")), schema)
