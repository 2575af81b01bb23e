"""Table computation: Ibis expressions on an in-memory DuckDB. The only file that knows DuckDB and makes expressions."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.expr.types import BooleanValue, Table, Value

from wares.core import observe
from wares.core.errors import DataError, Unavailable
from wares.data.lineage.expressions import lineage_of, operations
from wares.data.lineage.origin import NO_VERSION, Lineage, Origin, attach, attached

__all__ = [
    "BooleanValue",
    "Engine",
    "Table",
    "Value",
    "any_of",
    "cases",
    "desc",
    "literal",
    "row_number",
    "window",
]

cases = ibis.cases
literal = ibis.literal
desc = ibis.desc
row_number = ibis.row_number
window = ibis.window


def any_of(conditions: Sequence[BooleanValue]) -> BooleanValue:
    """True where one of the conditions is."""
    return ibis.or_(*conditions) if conditions else ibis.literal(False)


class Engine:
    """A private computing space. Close it, or use it in a ``with``."""

    def __init__(self, memory_gb: float = 4.0, threads: int = 0, scratch: Path | None = None) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="wares-", dir=scratch)
        settings: dict[str, Any] = {
            "memory_limit": f"{max(0.25, memory_gb):.2f}GB",
            "temp_directory": self._scratch.name,
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        if threads:
            settings["threads"] = threads
        self._backend = ibis.duckdb.connect(**settings)
        self._n = 0
        self._origins: dict[str, Lineage] = {}
        self._staged: dict[str, Path] = {}

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free memory and scratch files."""
        self._backend.disconnect()
        self._scratch.cleanup()

    def _name(self) -> str:
        self._n += 1
        return f"t{self._n}"

    def parquet(self, files: Sequence[str], lineage: Lineage | None = None) -> Table:
        """Parquet files as one table; columns by name.

        Files that the store handed out know their table and version; for others `lineage` may say where the
        columns come from. It goes with every result that is made from them.
        """
        table = self._backend.read_parquet(
            [str(f) for f in files], table_name=self._name(), union_by_name=True
        )
        asset, version = getattr(files, "asset", ""), getattr(files, "version", NO_VERSION)
        if len(files) == 1 and "://" not in str(files[0]):
            self._staged[table.get_name()] = Path(files[0])
        if lineage is not None:
            self._origins[table.op().name] = lineage
        elif asset:
            self._origins[table.op().name] = Lineage(
                {name: frozenset({Origin(asset, version, name)}) for name in table.columns}
            )
        return table

    def lineage(self, expression: Any) -> Lineage:
        """Which columns of which tables each column of an expression comes from."""
        return lineage_of(expression, self._origins.get)

    def _note(self, expression: Any) -> None:
        if observe.observed():
            observe.note_operations(operations(expression))
            seen = ((o.asset, o.version, o.column) for o in self.lineage(expression).origins())
            observe.note_columns(seen)

    def rows(self, table: pa.Table) -> Table:
        """An Arrow table (through a scratch file: Ibis 12 sends DuckDB 2 a statement that it no longer parses)."""
        path = Path(self._scratch.name) / f"{self._name()}.parquet"
        pq.write_table(table, path)
        return self.parquet([str(path)], attached(table.schema) or Lineage())

    def keep(self, expression: Table) -> Table:
        """Compute now and hold the result (spilling to disk beyond the memory limit), for several uses."""
        if observe.observed():
            # What is read shows when something is made of the kept table; here only the operations count.
            observe.note_operations(operations(expression))
        lineage = self.lineage(expression)
        with _clear_errors():
            kept = self._backend.create_table(self._name(), expression, temp=True)
        self._origins[kept.op().name] = lineage
        return kept

    def stage(self, expression: Table) -> Table:
        """Compute now and hold the result in a scratch file, for several uses of any size in little memory."""
        if self._file_of(expression) is not None:
            return expression
        path = Path(self._scratch.name) / f"{self._name()}.parquet"
        self.to_parquet(expression, path)
        return self.parquet([str(path)], self.lineage(expression))

    def _file_of(self, expression: Table) -> Path | None:
        """The file that holds a table as it stands, if there is exactly one."""
        return self._staged.get(getattr(expression.op(), "name", ""))

    def arrow(self, expression: Any) -> pa.Table:
        """The result as an Arrow table, with its lineage in the schema's metadata."""
        self._note(expression)
        with _clear_errors():
            table = expression.to_pyarrow()
        if isinstance(table, pa.Table):
            return table.cast(attach(table.schema, self.lineage(expression)))
        return table

    def scalar(self, expression: Any) -> Any:
        """The result of an aggregate."""
        self._note(expression)
        with _clear_errors():
            return expression.to_pyarrow().as_py()

    def count(self, expression: Table) -> int:
        """How many rows."""
        return int(self.scalar(expression.count()))

    def batches(
        self, expression: Table, size: int = 100_000, only: Sequence[str] = ()
    ) -> pa.RecordBatchReader:
        """The result, or `only` some of its columns, as a stream of bounded memory. It goes through a scratch file: DuckDB 2 has no Arrow stream that Ibis 12 knows."""
        path = self._file_of(expression)
        if path is None:
            path = Path(self._scratch.name) / f"{self._name()}.parquet"
            self.to_parquet(expression, path)
        else:
            self._note(expression)
        return self.stream(path, self.lineage(expression), size, only)

    def stream(
        self, path: Path, lineage: Lineage, size: int = 100_000, only: Sequence[str] = ()
    ) -> pa.RecordBatchReader:
        """The rows of a Parquet file as a stream of bounded memory, with their lineage in the schema's metadata."""
        file = pq.ParquetFile(path)
        # DuckDB marks a column without nulls as required, and a Delta table would hold the next rows to that.
        fields = [field.with_nullable(True) for field in file.schema_arrow if not only or field.name in only]
        schema = attach(pa.schema(fields), lineage)
        names = schema.names
        batches = (
            pa.RecordBatch.from_arrays(b.columns, schema=schema)
            for b in file.iter_batches(batch_size=size, columns=names)
        )
        return pa.RecordBatchReader.from_batches(schema, batches)

    def query(self, sql: str, tables: Mapping[str, Table]) -> Table:
        """A SELECT over named tables. The caller has made sure that it only reads them (``data/quality/sqltext.py``)."""
        for name, table in tables.items():
            self._backend.create_view(name, table, overwrite=True)
        # Ibis 12 asks DuckDB 2 for the result's columns by a method that is gone, so the result is kept instead.
        target = self._name()
        with _clear_errors():
            self._backend.raw_sql(f"CREATE TEMP TABLE {target} AS {sql}")
        return self._backend.table(target)

    def to_parquet(self, expression: Table, path: Path) -> None:
        """Write the result to a Parquet file."""
        self._note(expression)
        with _clear_errors():
            expression.to_parquet(path)


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise Unavailable(
            f"the data engine ran out of its memory: {str(error)[:200]}",
            mend="Raise `build.memory_gb`, or free disk space for its scratch files",
        ) from error
    except duckdb.IOException as error:
        raise Unavailable(
            f"the data engine could not read or write: {str(error)[:300]}", mend="Check the disk"
        ) from error
    except duckdb.Error as error:
        raise DataError(
            f"the data engine refused: {str(error)[:300]}", mend="Check the contract and the mapping"
        ) from error
