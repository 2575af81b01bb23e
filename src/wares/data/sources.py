"""Where rows come from: files of several kinds, and databases. Rows that cannot be read become faults, not crashes."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from wares.core.config import SourceConfig
from wares.core.errors import SourceError
from wares.data.delimited import MAX_LINE, detect_encoding, numbered_lines, read_delimited

CHUNK = 65_536
SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
}
PACKED = {".gz", ".zst"}
_CUT = (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError)


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that could not be read or typed: where it stands, which rule it broke, and the mend."""

    line: int
    rule: str
    column: str
    value: str
    row: str
    mend: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a source, as it wrote them: strings, or the source's own types. ``lines (n,)`` counts from 1."""

    source: str
    table: pa.Table
    lines: list[int]
    faults: list[Fault] = field(default_factory=list)


def expand(path: str, base: Path) -> list[Path]:
    """The files that `path` names: a file, all readable files of a folder, or a glob.

    Raises:
        SourceError: when there are none.
    """
    given = Path(path) if Path(path).is_absolute() else base / path
    if given.is_file():
        return [given]
    if given.is_dir():
        files = sorted(p for p in given.rglob("*") if p.is_file() and kind_of(p) is not None)
    else:
        root = Path(given.anchor) if given.is_absolute() else Path()
        files = sorted(
            p
            for p in root.glob(str(given.relative_to(root) if given.is_absolute() else given))
            if p.is_file()
        )
    if not files:
        known = ", ".join(sorted(SUFFIXES))
        raise SourceError(
            f"nothing to read at {path}",
            mend=f"Check the path; file names end in {known}, plain or with .gz or .zst",
            source=path,
        )
    return files


def kind_of(path: Path) -> str | None:
    """``csv``, ``jsonl`` or ``parquet`` by the file's name; None when it is none of them."""
    parts = [s.lower() for s in path.suffixes]
    if parts and parts[-1] in PACKED:
        parts.pop()
    return SUFFIXES.get(parts[-1]) if parts else None


def _binary(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if path.suffix == ".zst":
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(path.open("rb"), closefd=True))
    return path.open("rb")


def sample_of(path: Path, size: int = 1 << 20) -> bytes:
    """The first bytes of a file, unpacked; as many as can be read when it was cut."""
    out = b""
    with _binary(path) as stream:
        try:
            while len(out) < size and (block := stream.read(min(65_536, size - len(out)))):
                out += block
        except _CUT:
            return out
    return out


def read_source(config: SourceConfig, base: Path) -> Iterator[Chunk]:
    """All rows of a configured source, in chunks of at most 65,536."""
    if config.sql:
        yield from read_sql(config)
        return
    for path in expand(config.path, base):
        yield from read_file(path, config)


def read_file(path: Path, config: SourceConfig) -> Iterator[Chunk]:
    """All rows of one file.

    Raises:
        SourceError: when nothing of it can be read.
    """
    kind = config.format if config.format != "auto" else kind_of(path) or "csv"
    try:
        if kind == "parquet":
            yield from _read_parquet(path)
            return
        sample = sample_of(path)
        if not sample.strip():
            raise SourceError(f"{path.name} is empty", mend="Export it again", source=str(path))
        encoding = config.encoding if config.encoding != "auto" else detect_encoding(sample)
        with _binary(path) as stream:
            lines = numbered_lines(stream, encoding, _CUT)
            if kind == "jsonl":
                yield from _read_jsonl(path, lines)
            else:
                yield from read_delimited(path, lines, sample, encoding, config.delimiter)
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read: {error}", mend="Check the file and its permissions", source=str(path)
        ) from error
    except LookupError as error:
        raise SourceError(
            f"unknown encoding {config.encoding!r}", mend="Use utf-8, gb18030, latin-1 …", source=str(path)
        ) from error


def read_whole(path: Path) -> Iterator[pa.Table]:
    """Read a file of which every row must be readable, as benchmarks and graphs are; quarantine is for `read_file`.

    Raises:
        SourceError: naming the first line that cannot be read.
    """
    for chunk in read_file(path, SourceConfig.model_validate({"as": "events", "path": str(path)})):
        if chunk.faults:
            fault = chunk.faults[0]
            raise SourceError(
                f"{path.name}, line {fault.line}: {fault.rule} {fault.value}",
                mend=fault.mend,
                source=str(path),
                line=fault.line,
            )
        yield chunk.table


def _read_parquet(path: Path) -> Iterator[Chunk]:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, pa.ArrowException) as error:
        raise SourceError(
            f"{path.name} is not a whole Parquet file: {error}",
            mend="It was probably cut while copying; export it again",
            source=str(path),
        ) from error
    at = 1
    with file:
        batches = file.iter_batches(batch_size=CHUNK)
        while True:
            try:
                batch = next(batches, None)
            except (OSError, pa.ArrowException) as error:
                fault = Fault(
                    at,
                    "truncated",
                    "",
                    str(error)[:200],
                    "",
                    "The file is damaged from this row on; export it again",
                )
                yield Chunk(path.name, pa.table({}), [], [fault])
                return
            if batch is None:
                return
            yield Chunk(path.name, pa.Table.from_batches([batch]), list(range(at, at + batch.num_rows)))
            at += batch.num_rows


def _read_jsonl(path: Path, lines: Iterator[tuple[int, str | None, bytes]]) -> Iterator[Chunk]:
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    faults: list[Fault] = []
    for number, text, raw in lines:
        if text is None:
            faults.append(unreadable(number, raw))
        elif text.strip():
            try:
                row = json.loads(text)
                if not isinstance(row, dict):
                    raise TypeError("not an object")
            except (ValueError, TypeError, RecursionError) as error:
                mend = "Each line must be one whole JSON object {…}"
                faults.append(Fault(number, "json", "", str(error)[:200], text[:2000], mend))
            else:
                rows.append(row)
                numbers.append(number)
        if len(rows) + len(faults) >= CHUNK:
            yield Chunk(path.name, _text_table(rows), numbers, faults)
            rows, numbers, faults = [], [], []
    if rows or faults:
        yield Chunk(path.name, _text_table(rows), numbers, faults)


def unreadable(number: int, raw: bytes) -> Fault:
    """The fault of a line whose bytes are no text, or that is endless, or where the file was cut."""
    if not raw:
        return Fault(
            number, "truncated", "", "", "", "The compressed file ends in the middle; export it again"
        )
    if len(raw) >= MAX_LINE:
        return Fault(
            number,
            "too long",
            "",
            f"{len(raw)} bytes",
            "",
            "A line may have 32 MiB; is this the right delimiter or file?",
        )
    shown = raw[:2000].decode("utf-8", "backslashreplace")
    return Fault(
        number,
        "encoding",
        "",
        shown[:200],
        shown,
        "Save the file as UTF-8, or set `encoding` for this source",
    )


def _text_table(rows: list[dict[str, Any]]) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row))

    def cell(value: Any) -> str | None:
        if value is None or isinstance(value, str):
            return value
        return json.dumps(value, ensure_ascii=False)

    return pa.table({name: pa.array([cell(row.get(name)) for row in rows], pa.string()) for name in names})


def read_sql(config: SourceConfig) -> Iterator[Chunk]:
    """All rows of a table or SELECT, streamed.

    Raises:
        SourceError: when the database refuses.
    """
    import sqlalchemy as sa

    query = config.query.strip()
    if not query:
        raise SourceError(
            "a database source needs `query`", mend="Write a table name or a SELECT", source="sql"
        )
    try:
        engine = sa.create_engine(config.sql)
        statement = (
            sa.text(query)
            if query.lower().startswith(("select", "with"))
            else sa.select(sa.text("*")).select_from(
                sa.table(*reversed(query.split(".", 1)))
                if "." not in query
                else sa.table(query.split(".", 1)[1], schema=query.split(".", 1)[0])
            )
        )
        at = 1
        with engine.connect().execution_options(stream_results=True, yield_per=CHUNK) as connection:
            result = connection.execute(statement)
            names = list(result.keys())
            for part in result.partitions(CHUNK):
                columns = list(zip(*part, strict=True))
                table = pa.table(
                    {name: _sql_column(list(values)) for name, values in zip(names, columns, strict=True)}
                )
                yield Chunk(f"sql:{query[:60]}", table, list(range(at, at + len(part))))
                at += len(part)
        engine.dispose()
    except (sa.exc.SQLAlchemyError, ModuleNotFoundError) as error:
        reason = str(getattr(error, "orig", None) or error)
        raise SourceError(
            f"the database source failed: {reason[:300]}",
            mend="Check URL, driver, table name and rights",
            source="sql",
        ) from error


def _sql_column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if v is None else str(v) for v in values], pa.string())
