"""Take a person out of files: shares, samples, reports, exports. Every kind of file has its way; what has none is removed."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
import zstandard

from wares.core.config import FILE
from wares.core.files import opened_apart, write_atomic
from wares.core.state import State
from wares.data.delimited import detect_encoding
from wares.data.privacy.history import SIDE, batches_of
from wares.data.privacy.records import clean_state, held_in_state
from wares.data.privacy.sieve import Count
from wares.data.privacy.subject import Subject
from wares.data.privacy.tags import plain
from wares.data.privacy.trace import guessed_id_names, sieve_for

_TEXT = {".html", ".svg", ".md", ".txt", ".log", ".yaml", ".yml"}
_ROWS = {".csv", ".tsv"}
_LINES = {".jsonl", ".ndjson"}
_PACKED = {".gz", ".zst"}
_BLOCK = 1 << 24

MADE = ("tables", "bundles", "build", "cache", "encoders")
"""Folders that have their own way of becoming clean: rewritten, built anew, or forgotten."""


def other_files(root: Path, *, exports: bool) -> Iterator[Path]:
    """Files of a workspace outside `MADE`, the state database and, unless asked for, the shop's exports."""
    for folder, names, files in os.walk(root):
        here = Path(folder)
        top = here.relative_to(root).parts[:1]
        if top in {(name,) for name in MADE} or top == ("tmp",) or (top == ("exports",) and not exports):
            names.clear()
            continue
        for name in sorted(files):
            path = here / name
            if top == ("state",) and (
                name.startswith(("state.db", "erasure.", "person.key", "landing.")) or name.endswith(".lock")
            ):
                continue
            if path.is_file() and not path.is_symlink():
                yield path


def clean_file(path: Path, subject: Subject, state: State | None, *, dry: bool = False) -> Count:
    """Take the person out of one file; with `dry`, only say what would go.

    A binary file of unknown kind that holds one of the tokens is removed whole; it can be made again.
    """
    suffixes = [s.lower() for s in path.suffixes]
    packed = suffixes.pop() if suffixes and suffixes[-1] in _PACKED else ""
    kind = suffixes[-1] if suffixes else ""
    if kind == ".parquet" and not packed:
        return _clean_parquet(path, subject, state, dry=dry)
    if kind in _TEXT | _ROWS | _LINES | {".json"}:
        raw = _unpacked(path, packed)
        new, count = _clean_bytes(kind, raw, subject)
        if count and not dry:
            if new is None:
                path.unlink()
            else:
                stamp = path.stat()
                write_atomic(path, _repacked(new, packed))
                path.chmod(stamp.st_mode & 0o777)
        return count
    if path.name == FILE:
        return Count()
    if _is_database(path):
        return _clean_database(path, subject, dry=dry)
    if not raw_hit(path, needles(subject)):
        return Count()
    if not dry:
        path.unlink()
    return Count(1, 0)


def _is_database(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(16) == b"SQLite format 3\x00"


def _clean_database(path: Path, subject: Subject, *, dry: bool) -> Count:
    engine = sa.create_engine(f"sqlite:///{path}")
    try:
        if dry:
            return Count(sum(1 for _ in held_in_state(engine, subject)))
        total = Count()
        for count in clean_state(engine, subject).values():
            total.rows += count.rows
            total.cells += count.cells
        if total:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return total
    finally:
        engine.dispose()


def needles(subject: Subject) -> list[bytes]:
    """The tokens as bytes, plain and as JSON writes them."""
    out: set[bytes] = set()
    for token in subject.tokens:
        out.add(token.encode())
        out.add(json.dumps(token)[1:-1].encode())
    return sorted(out)


def raw_hit(path: Path, wanted: list[bytes], *, apart: bool = False) -> bool:
    """Whether one of some byte strings stands in a file, as it lies on disk, in any case of its Latin letters.

    `apart` reads it by another process: a must for a database that is open in this one.
    """
    if not wanted:
        return False
    lower = sorted({w.lower() for w in wanted})
    longest = max(map(len, lower))
    tail = b""
    with opened_apart(path) if apart else path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            part = tail + block.lower()
            if any(w in part for w in lower):
                return True
            tail = part[-longest:]
    return False


def _unpacked(path: Path, packed: str) -> bytes:
    raw = path.read_bytes()
    if packed == ".gz":
        return gzip.decompress(raw)
    if packed == ".zst":
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw)) as stream:
            return stream.read()
    return raw


def _repacked(raw: bytes, packed: str) -> bytes:
    if packed == ".gz":
        return gzip.compress(raw, mtime=0)
    return zstandard.ZstdCompressor(level=3).compress(raw) if packed == ".zst" else raw


def _clean_bytes(kind: str, raw: bytes, subject: Subject) -> tuple[bytes | None, Count]:
    encoding = detect_encoding(raw[: 1 << 20]) if raw else "utf-8"
    text = raw.decode(encoding, "surrogateescape" if encoding.startswith("utf") else "replace")
    if kind == ".json":
        try:
            value = json.loads(text)
        except ValueError:
            kind = ".txt"
        else:
            clean, n = subject.clean_json(value)
            if not n:
                return raw, Count()
            if isinstance(value, dict) and not isinstance(clean, dict):
                return None, Count(1)
            return json.dumps(clean, ensure_ascii=False, indent=1).encode(), Count(0, n)
    if kind in _LINES:
        lines, count = _clean_lines(text, subject)
    elif kind in _ROWS:
        lines, count = _clean_rows(text, subject)
    else:
        clean = subject.without(text)
        lines, count = clean, Count(0, int(clean != text))
    if not count:
        return raw, count
    return lines.encode(encoding, "surrogateescape" if encoding.startswith("utf") else "replace"), count


def _clean_lines(text: str, subject: Subject) -> tuple[str, Count]:
    kept: list[str] = []
    count = Count()
    for line in text.splitlines(keepends=True):
        clean, n = subject.clean_text(line.strip()) if line.strip() else (line, 0)
        if clean is None:
            count.rows += 1
        elif n:
            count.cells += n
            kept.append(clean + "\n")
        else:
            kept.append(line)
    return "".join(kept), count


def _clean_rows(text: str, subject: Subject) -> tuple[str, Count]:
    """Drop the person's records of a delimited file; all other bytes stay as they were."""
    lines = text.splitlines(keepends=True)
    head = lines[0] if lines else ""
    delimiter = max(",;\t|", key=head.count)
    reader = csv.reader(lines, delimiter=delimiter)
    kept: list[str] = []
    names: list[str] = []
    count, begin, here = Count(), 0, subject
    for cells in reader:
        raw = "".join(lines[begin : reader.line_num])
        begin = reader.line_num
        if not names:
            names = cells
            known = guessed_id_names(names) | {n for n in names if plain(n) in map(plain, subject.names)}
            here = replace(subject, names=subject.names | known)
            kept.append(raw)
            continue
        if here.owns(dict(zip(names, cells, strict=False))):
            count.rows += 1
        elif subject.mentioned(raw):
            count.cells += 1
            kept.append(subject.without(raw))
        else:
            kept.append(raw)
    return "".join(kept), count


def _clean_parquet(path: Path, subject: Subject, state: State | None, *, dry: bool) -> Count:
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
    asset = next((part for part in (path.stem, path.parent.name) if part), path.stem)
    known = guessed_id_names(schema.names)
    sieve = sieve_for(asset, schema.names, subject, state)
    for name in known | subject.names:
        if name in sieve.tags:
            sieve.tags[name] = replace(sieve.tags[name], personal="yes", kinds=("user id",))
    total = Count()
    target = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with pq.ParquetWriter(target, schema, compression="zstd") as out:
            for batch in batches_of(path):
                kept, count = sieve.batch(batch)
                total.rows += count.rows
                total.cells += count.cells
                out.write_table(pa.Table.from_batches([kept], schema))
        if total and not dry:
            shutil.copymode(path, target)
            os.replace(target, path)
    finally:
        target.unlink(missing_ok=True)
    return total


def clear_scratch(root: Path, store_root: Path) -> int:
    """Empty ``tmp/`` and what killed writers left; called while nobody lands or builds. Returns how many entries went."""
    gone = 0
    for path in list((root / "tmp").iterdir()) if (root / "tmp").is_dir() else []:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        gone += 1
    for folder in (root, root / "state", root / "evaluations", root / "bundles", store_root / SIDE):
        for path in folder.glob(".*") if folder.is_dir() else []:
            # Files that `write_atomic` had not renamed yet when its process died.
            if path.is_file() and re.fullmatch(r"\..+\.[a-z0-9_]{8}", path.name):
                path.unlink()
                gone += 1
    return gone
