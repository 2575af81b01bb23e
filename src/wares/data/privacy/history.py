"""Take rows out of every version of a Delta table, and keep its versions.

Only data files that hold such rows are written anew. The log keeps its versions: each entry names the new file in
place of the old one, with its size and statistics, since minima and maxima may be a person's own values. The new
table is made in a folder beside the old one, with hard links for what did not change; then the two folders are
exchanged in one system call, so that a reader sees the old table or the new one. Killed before the exchange,
nothing has happened; killed after it, only the old folder has to be removed. The log's format: Delta Transaction
Log Protocol, https://github.com/delta-io/delta/blob/master/PROTOCOL.md.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.parquet as pq

from wares.core.errors import DataError
from wares.core.files import disk_error, file_digest, sync_folder
from wares.data.privacy.sieve import Count, Sieve
from wares.data.store import Store

SIDE = ".erasing"
LOG = "_delta_log"
_BATCH = 131_072
Checkpoint = Callable[[str], None]


@dataclass
class Outcome:
    """What is taken out of a table; ``files`` are old names and their new ones, digests are of the log."""

    asset: str
    count: Count = field(default_factory=Count)
    files: dict[str, str] = field(default_factory=dict)
    versions: int = 0
    digest_before: str = ""
    digest_after: str = ""


@dataclass
class _File:
    """A data file: unchanged, written anew as ``entries`` (add actions of the log), or dropped."""

    name: str
    count: Count
    entries: list[dict[str, Any]] = field(default_factory=list)


def data_files(folder: Path) -> list[Path]:
    """All Parquet files of a table, those of old versions and of killed writes included."""
    return sorted(p for p in folder.rglob("*.parquet") if LOG not in p.relative_to(folder).parts)


def batches_of(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """A Parquet file, or some of its columns, in parts of bounded memory."""
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=_BATCH, columns=columns)


def look_through(path: Path, sieve: Sieve) -> Count:
    """What a sieve would take out of a file."""
    total = Count()
    for batch in batches_of(path):
        _, count = sieve.batch(batch)
        total.rows += count.rows
        total.cells += count.cells
    return total


def rewrite(
    store: Store,
    asset: str,
    make: Callable[[], Sieve],
    promise: Callable[[Outcome], None] = lambda _: None,
    step: Checkpoint = lambda _: None,
) -> Outcome:
    """Pass every version of a table through a sieve; `make` gives a fresh one. The caller holds `Store.lock` and `Store.steady`, alone.

    `promise` is called with the outcome before the table changes, so that it can be written down: after a kill the
    rows are no longer there to be counted.

    Raises:
        DataError: when the new table cannot be read at every version that the old one could; the old one stays.
        Unavailable: when the disk is full; the old table stays.
    """
    folder = store.path(asset)
    side = store.root / SIDE / asset
    shutil.rmtree(side, ignore_errors=True)
    outcome = Outcome(asset, digest_before=log_digest(folder))
    changed: dict[str, _File] = {}
    for path in data_files(folder):
        count = look_through(path, make())
        if count:
            changed[str(path.relative_to(folder))] = _File(str(path.relative_to(folder)), count)
            outcome.count.rows += count.rows
            outcome.count.cells += count.cells
    noted = _notes_change(folder, make())
    if not changed and not noted:
        outcome.digest_after = outcome.digest_before
        return outcome
    step(f"{asset}: found")
    try:
        _fill(store, folder, side, changed, make)
        step(f"{asset}: written")
        _write_log(folder, side, changed, make(), outcome)
        _check(store, asset, side)
        outcome.files = {f.name: ",".join(unquote(e["path"]) for e in f.entries) for f in changed.values()}
        outcome.digest_after = log_digest(side)
        promise(outcome)
        step(f"{asset}: checked")
        _exchange(side, folder)
    except OSError as error:
        shutil.rmtree(side, ignore_errors=True)
        raise disk_error(error, side) from error
    except DataError:
        shutil.rmtree(side, ignore_errors=True)
        raise
    step(f"{asset}: exchanged")
    shutil.rmtree(side)
    with suppress(OSError):
        side.parent.rmdir()
    sync_folder(store.root)
    return outcome


def sweep_side(store: Store) -> int:
    """Remove what killed runs left beside the tables; returns how many folders."""
    side = store.root / SIDE
    left = list(side.iterdir()) if side.is_dir() else []
    for path in left:
        home = store.root / path.name.removesuffix(".old")
        if path.name.endswith(".old") and not home.exists():
            os.rename(path, home)
        else:
            shutil.rmtree(path)
    if side.is_dir():
        side.rmdir()
    return len(left)


def log_digest(folder: Path) -> str:
    """A hash over the log of a table: it names every file of every version."""
    import hashlib

    total = hashlib.sha256()
    for path in sorted((folder / LOG).glob("*.json")):
        total.update(f"{path.name}:{file_digest(path)}\n".encode())
    return total.hexdigest()


def _fill(
    store: Store, folder: Path, side: Path, changed: dict[str, _File], make: Callable[[], Sieve]
) -> None:
    """Data files of the new table: links to those that stay, new ones for those that change."""
    for path in data_files(folder):
        name = str(path.relative_to(folder))
        if name not in changed:
            (side / name).parent.mkdir(parents=True, exist_ok=True)
            _link(path, side / name)
            continue
        changed[name].entries = _anew(store, path, side, make())


def _anew(store: Store, path: Path, side: Path, sieve: Sieve) -> list[dict[str, Any]]:
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
    side.mkdir(parents=True, exist_ok=True)
    work = Store(store.root / SIDE / f"{side.name}.work")
    shutil.rmtree(work.root, ignore_errors=True)
    left = (sieve.batch(batch)[0] for batch in batches_of(path))
    kept = (batch for batch in left if batch.num_rows)
    first = next(kept, None)
    if first is None:
        return [_empty(schema, side)]

    def rows() -> Iterator[pa.RecordBatch]:
        yield first
        yield from kept

    plain = pa.schema([field.with_nullable(True) for field in schema])
    reader = pa.RecordBatchReader.from_batches(
        plain, (pa.RecordBatch.from_arrays(b.columns, schema=plain) for b in rows())
    )
    work.append("rows", reader)
    entries = []
    for action in _actions(work.path("rows") / LOG / f"{0:020}.json"):
        if "add" in action:
            entry = action["add"]
            os.rename(work.path("rows") / unquote(entry["path"]), side / unquote(entry["path"]))
            entries.append(entry)
    shutil.rmtree(work.root)
    return entries


def _empty(schema: pa.Schema, side: Path) -> dict[str, Any]:
    # A file without rows, because a version of no files at all could not tell its columns to a reader of files.
    name = f"part-00000-{uuid.uuid4()}-c000.zstd.parquet"
    pq.write_table(schema.empty_table(), side / name, compression="zstd")
    return {
        "path": name, "partitionValues": {}, "size": (side / name).stat().st_size, "modificationTime": 0, "dataChange": True,
        "stats": json.dumps({"numRecords": 0}),
    }  # fmt: skip


def _actions(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def _notes_change(folder: Path, sieve: Sieve) -> bool:
    for path in (folder / LOG).glob("*.json"):
        for action in _actions(path):
            if "commitInfo" in action:
                text = json.dumps(action["commitInfo"], ensure_ascii=False)
                if sieve.note(text) != text:
                    return True
    return False


def _write_log(folder: Path, side: Path, changed: dict[str, _File], sieve: Sieve, outcome: Outcome) -> None:
    (side / LOG).mkdir(parents=True, exist_ok=True)
    for path in sorted((folder / LOG).rglob("*")):
        target = side / LOG / path.relative_to(folder / LOG)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        elif path.suffix == ".json" and path.stem.isdigit():
            outcome.versions += _write_commit(path, target, folder, changed, sieve)
        elif path.name.endswith(".checkpoint.parquet"):
            _write_checkpoint(path, target, folder, changed)
        elif path.name == "_last_checkpoint":
            facts = json.loads(path.read_text("utf-8"))
            kept = {k: v for k, v in facts.items() if k in ("version", "size", "parts")}
            target.write_text(json.dumps(kept), "utf-8")
        elif not path.name.endswith(".crc"):
            # A checksum file of another engine speaks of the old log; engines do without it.
            _link(path, target)


def _write_commit(path: Path, target: Path, folder: Path, changed: dict[str, _File], sieve: Sieve) -> int:
    lines, touched = [], False
    actions = _actions(path)
    for action in actions:
        for entry in _rewritten(action, folder, changed):
            lines.append(entry)
        touched = touched or _concerns(action, changed)
    for entry in lines:
        if "commitInfo" in entry:
            clean = json.loads(sieve.note(json.dumps(entry["commitInfo"], ensure_ascii=False)))
            metrics = clean.get("operationMetrics")
            if touched and isinstance(metrics, dict) and "num_added_rows" in metrics:
                metrics["num_added_rows"] = sum(_records(e["add"]) for e in lines if "add" in e)
            entry["commitInfo"] = clean
    text = "\n".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in lines)
    if lines == actions:
        _link(path, target)
        return 0
    target.write_text(text + "\n", "utf-8")
    # Time travel by date goes by the file's own time.
    shutil.copystat(path, target)
    return 1


def _concerns(action: dict[str, Any], changed: dict[str, _File]) -> bool:
    return any(unquote(action[kind]["path"]) in changed for kind in ("add", "remove") if action.get(kind))


def _records(entry: dict[str, Any]) -> int:
    stats = json.loads(entry.get("stats") or "{}")
    return int(stats.get("numRecords") or 0)


def _rewritten(action: dict[str, Any], folder: Path, changed: dict[str, _File]) -> list[dict[str, Any]]:
    for kind in ("add", "remove"):
        entry = action.get(kind)
        if not entry:
            continue
        name = unquote(entry["path"])
        if name in changed:
            return [{kind: _adapted(kind, entry, new)} for new in changed[name].entries]
        if not (folder / name).exists() and entry.get("stats"):
            # A vacuumed version: its file cannot be looked into, and its bounds may be a person's values.
            stats = json.loads(entry["stats"])
            kept = {k: v for k, v in stats.items() if k not in ("minValues", "maxValues")}
            if kept != stats:
                return [{**action, kind: {**entry, "stats": json.dumps(kept)}}]
    return [action]


def _adapted(kind: str, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    out = {**old, "path": quote(unquote(new["path"]))}
    if "size" in old or kind == "add":
        out["size"] = new["size"]
    if kind == "add" or old.get("stats"):
        out["stats"] = new["stats"]
    return {k: v for k, v in out.items() if k not in ("stats_parsed",)}


def _write_checkpoint(path: Path, target: Path, folder: Path, changed: dict[str, _File]) -> None:
    table = pq.read_table(path)
    rows: list[dict[str, Any]] = []
    for row in table.to_pylist(maps_as_pydicts="strict"):
        action = {k: v for k, v in row.items() if v is not None}
        rows += [{**dict.fromkeys(table.column_names), **new} for new in _rewritten(action, folder, changed)]
    pq.write_table(pa.Table.from_pylist(rows, table.schema), target, compression="snappy")
    shutil.copystat(path, target)


def _check(store: Store, asset: str, side: Path) -> None:
    """Every version that could be read must be readable."""
    beside = Store(side.parent)
    newest = store.version(asset)
    for version in range(newest + 1):
        try:
            store.files(asset, version)
        except DataError:
            continue
        for part in beside.files(side.name, version):
            pq.read_metadata(part)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
            raise
        shutil.copy2(source, target)


def _exchange(one: Path, other: Path) -> None:
    """Let two folders change places at once; where the system has no call for it, in two renames."""
    libc = ctypes.CDLL(None, use_errno=True)
    call = getattr(libc, "renameat2", None)
    here, swap = -100, 2
    if call is not None and call(here, os.fsencode(one), here, os.fsencode(other), swap) == 0:
        sync_folder(one.parent)
        sync_folder(other.parent)
        return
    aside = one.with_name(f"{one.name}.old")
    os.rename(other, aside)
    os.rename(one, other)
    os.rename(aside, one)
    sync_folder(one.parent)
    sync_folder(other.parent)
