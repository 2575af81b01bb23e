"""Delimited text as shops really export it: any encoding, odd quoting, files cut in half.

Python's ``csv`` parses; this module feeds it line by line so that every fault has a line number and one
unbalanced quote does not swallow the rest of the file.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa

from wares.core.errors import SourceError

if TYPE_CHECKING:
    from wares.data.sources import Chunk, Fault

MAX_LINE = 32 << 20
MAX_RECORD_LINES = 500
DELIMITERS = ",;\t|"
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

csv.field_size_limit(MAX_LINE)


def detect_encoding(sample: bytes) -> str:
    """The likeliest encoding of the first bytes of a file: BOM, UTF-8, else GB18030 or Windows-1252 by their look."""
    for bom, name in _BOMS:
        if sample.startswith(bom):
            return name
    lines = sample.split(b"\n")
    lines = lines[:-1] if len(lines) > 1 else lines
    wrong = sum(1 for line in lines if not _decodes(line, "utf-8"))
    # A few spoiled lines do not make a file GB18030: those lines go to quarantine instead.
    if wrong <= max(0.2 * sum(1 for line in lines if not line.isascii()), 0.02 * len(lines)):
        return "utf-8"
    from charset_normalizer import from_bytes

    best = from_bytes(
        sample[:100_000], cp_isolation=["gb18030", "cp1252", "big5", "shift_jis", "euc_kr"]
    ).best()
    return best.encoding if best is not None else "cp1252"


def _decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def numbered_lines(
    stream: BinaryIO, encoding: str, cut: tuple[type[Exception], ...]
) -> Iterator[tuple[int, str | None, bytes]]:
    """Lines with their numbers from 1: (number, text or None when undecodable, raw bytes).

    The last item of a file that was cut while compressed is (number, None, b"").
    """
    if encoding.replace("_", "-").lower() in ("utf-16", "utf-16-le", "utf-16-be"):
        yield from ((i, text, text.encode()) for i, text in enumerate(codecs.getreader(encoding)(stream), 1))
        return
    name = "utf-8" if encoding == "utf-8-sig" else encoding
    "".encode(name)  # an unknown encoding fails here, as LookupError, and not in the first row
    number = 0
    while True:
        number += 1
        try:
            raw = stream.readline(MAX_LINE)
            if len(raw) >= MAX_LINE:
                while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                    pass
                yield number, None, raw
                continue
        except cut:
            yield number, None, b""
            return
        if not raw:
            return
        if number == 1 and raw.startswith(codecs.BOM_UTF8):
            raw = raw[3:]
        try:
            yield number, raw.decode(name), raw
        except UnicodeDecodeError:
            yield number, None, raw


def detect_delimiter(sample: str, path: Path) -> str:
    """The delimiter that splits the first lines most evenly; a tie goes to the one that makes more columns."""
    if ".tsv" in path.suffixes:
        return "\t"
    lines = sample.splitlines()[:200]
    if len(lines) > 2:
        lines = lines[:-1]

    def evenness(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        if not widths or widths[0] < 2:
            return (0.0, 0)
        return (sum(w == widths[0] for w in widths) / len(widths), widths[0])

    best = max(DELIMITERS, key=evenness)
    return best if evenness(best)[0] > 0 else ","


class _Feed:
    """Hands lines to ``csv.reader`` and remembers those of the record under way."""

    def __init__(self, lines: Iterator[tuple[int, str | None, bytes]]) -> None:
        self.lines = lines
        self.back: list[tuple[int, str]] = []
        self.record: list[tuple[int, str]] = []
        self.unreadable: list[tuple[int, bytes]] = []

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if len(self.record) >= MAX_RECORD_LINES:
            raise csv.Error("runaway quote")
        while True:
            if self.back:
                number, text = self.back.pop()
            else:
                number, maybe, raw = next(self.lines)
                if maybe is None:
                    self.unreadable.append((number, raw))
                    continue
                text = maybe
            self.record.append((number, text))
            # csv refuses bare carriage returns; exports of old spreadsheets have them inside cells.
            return text.replace("\r\n", "\n").replace("\r", " ") if "\r" in text else text

    def retreat(self) -> tuple[int, str]:
        """Give up the record under way: its first line is returned, the others will be read again."""
        first, *rest = self.record
        self.back.extend(reversed(rest))
        self.record = []
        return first


def read_delimited(
    path: Path, lines: Iterator[tuple[int, str | None, bytes]], sample: bytes, encoding: str, delimiter: str
) -> Iterator[Chunk]:
    """Rows of a delimited file, by its header.

    Raises:
        SourceError: when the header cannot be used.
    """
    from wares.data.sources import CHUNK, Chunk, Fault, unreadable

    text = sample.decode(encoding, "replace").removeprefix("﻿")
    delimiter = (
        detect_delimiter(text, path)
        if delimiter == "auto"
        else {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter)
    )
    if len(delimiter) != 1:
        raise SourceError(
            f"delimiter {delimiter!r} is not one character",
            mend="Set `delimiter` to one of , ; | or tab",
            source=str(path),
        )
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=delimiter, strict=False)
    header = _header(next(reader, []), path, delimiter)
    feed.record = []
    width = len(header)
    rows: list[list[str]] = []
    numbers: list[int] = []
    faults: list[Fault] = []

    def chunk() -> Chunk:
        columns: list[Any] = list(zip(*rows, strict=True)) if rows else [()] * width
        table = pa.table(
            {name: pa.array(column, pa.string()) for name, column in zip(header, columns, strict=True)}
        )
        return Chunk(path.name, table, list(numbers), list(faults))

    while True:
        try:
            row = next(reader, None)
            ended = row is None
            # At the end of a file csv closes an open quote by itself; only these records can be such a one.
            doubtful = len(feed.record) > 1 or (feed.record and not feed.record[-1][1].endswith("\n"))
            if row is not None and doubtful and not _closed(feed.record, delimiter):
                raise csv.Error("unclosed quote")
        except csv.Error as error:
            number, line = feed.retreat()
            mend = "A quote opens here and never closes; close it or double it"
            faults.append(Fault(number, "quote", "", str(error), line[:2000], mend))
            reader = csv.reader(feed, delimiter=delimiter, strict=False)
            continue
        faults.extend(unreadable(number, raw) for number, raw in feed.unreadable)
        feed.unreadable = []
        if ended:
            break
        if row:
            number = feed.record[0][0]
            if len(row) == width:
                rows.append(row)
                numbers.append(number)
            else:
                line = "".join(t for _, t in feed.record)[:2000].rstrip("\n")
                mend = f"The header has {width} columns, this row {len(row)}; quote cells that hold {delimiter!r}"
                faults.append(Fault(number, "fields", "", str(len(row)), line, mend))
        feed.record = []
        if len(rows) + len(faults) >= CHUNK:
            yield chunk()
            rows, numbers, faults = [], [], []
    if rows or faults:
        yield chunk()


def _closed(record: list[tuple[int, str]], delimiter: str) -> bool:
    """Whether a record of several lines really ended with a closed quote."""
    try:
        list(csv.reader([text for _, text in record], delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "unexpected end" not in str(error)
    return True


def _header(cells: list[str], path: Path, delimiter: str) -> list[str]:
    names = [cell.strip() for cell in cells]
    if len(names) == 1 and any(d in names[0] for d in DELIMITERS if d != delimiter):
        right = next(d for d in DELIMITERS if d != delimiter and d in names[0])
        raise SourceError(
            f"{path.name}: the header reads as one column {names[0][:80]!r}",
            mend=f"Set `delimiter = {right!r}` for this source",
            source=str(path),
            line=1,
        )
    names = [name or f"column_{i + 1}" for i, name in enumerate(names)]
    seen: dict[str, int] = {}
    for i, name in enumerate(names):
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            names[i] = f"{name}_{seen[name]}"
    if not names:
        raise SourceError(
            f"{path.name} has no header",
            mend="The first line must name the columns",
            source=str(path),
            line=1,
        )
    return names
