"""``wares evaluate recommend``: the same evaluation on any file of user, item and, if there is one, time."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.config import Encoder, Evaluate, Recommend, SourceConfig
from wares.core.errors import SourceError
from wares.core.files import file_digest
from wares.core.text import fill, plain, template_parts
from wares.data.mapping import guess, text_of
from wares.data.sources import read_file
from wares.data.types import TIMESTAMP, to_type
from wares.evaluate.recommend import Catalog, Split, evaluate_split
from wares.evaluate.report import Report
from wares.features.interactions import from_sequences
from wares.models.recommend.train import TextSide
from wares.models.recommend.tune import tune

DECAYS = (1.0, 0.9, 0.8, 0.65, 0.5)
REGULARISATION = [30.0, 100.0, 300.0, 1000.0]
MAX_ENTITY = 2000
PROTOCOLS = ("leave-last", "time", "given")


@dataclass(frozen=True)
class Task:
    """What to evaluate on. `test` goes with the protocol ``given``."""

    events: Path
    products: Path | None = None
    graph: Path | None = None
    test: Path | None = None
    protocol: str = "leave-last"
    ks: tuple[int, ...] = (5, 10, 20)
    repeat: str = "exclude"
    seed: int = 7
    memory_gb: float = 4.0
    bootstrap: int = 1000


def read_columns(path: Path, wanted: dict[str, tuple[str, ...]]) -> dict[str, pa.Array]:
    """Columns of a file by any of their names, as strings; those that are not there are left out.

    Raises:
        SourceError: when a row cannot be read, or the file has none.
    """
    config = SourceConfig.model_validate({"as": "events", "path": str(path)})
    parts: dict[str, list[Any]] = {name: [] for name in wanted}
    names: list[str] = []
    for chunk in read_file(path, config):
        if chunk.faults:
            fault = chunk.faults[0]
            raise SourceError(
                f"{path.name}, line {fault.line}: {fault.rule} {fault.value}",
                mend=fault.mend,
                source=str(path),
                line=fault.line,
            )
        names = chunk.table.column_names
        for ours, theirs in wanted.items():
            found = next((t for t in theirs if t in names), None)
            if found is not None:
                column = text_of(chunk.table[found])
                parts[ours] += column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    if not names:
        raise SourceError(f"{path} holds no rows", mend="Check the file", source=str(path))
    return {name: pa.chunked_array(chunks).combine_chunks() for name, chunks in parts.items() if chunks}


def _sequences(
    columns: dict[str, pa.Array], items: dict[str, int], users: dict[str, int], path: Path
) -> list[list[tuple[float, int]]]:
    """(time, item) of each user in time order; the row number is the time where there is none."""
    if "user" not in columns or "item" not in columns:
        raise SourceError(
            f"{path} needs the columns user_id and item_id", mend="Rename its columns", source=str(path)
        )
    if "at" in columns:
        typed = to_type(columns["at"], TIMESTAMP)
        if typed.bad:
            raise SourceError(
                f"{path}, row {typed.bad[0] + 2}: {columns['at'][typed.bad[0]]} is no time",
                mend=typed.mend,
                source=str(path),
                line=typed.bad[0] + 2,
            )
        at = typed.values.cast(pa.int64()).to_numpy(zero_copy_only=False).astype(np.float64) / 1e6
    else:
        at = np.arange(len(columns["user"]), dtype=np.float64)
    rows: list[list[tuple[float, int]]] = [[] for _ in users]
    for when, user, item in zip(at, columns["user"].to_pylist(), columns["item"].to_pylist(), strict=True):
        if user is None or item is None:
            continue
        row = users.setdefault(user, len(users))
        if row == len(rows):
            rows.append([])
        rows[row].append((float(when), items.setdefault(item, len(items))))
    for row in rows:
        row.sort(key=lambda pair: pair[0])
    return rows


_EVENTS = {
    "user": ("user_id", "user"),
    "item": ("item_id", "product_id", "item"),
    "at": ("at", "timestamp", "time"),
    "kind": ("kind", "event"),
}


def evaluate_file(task: Task, command: str, progress: Callable[[str], None] = lambda _: None) -> Report:
    """Tune on validation, fit again with validation included, and touch the test once.

    - ``leave-last``: a user's last item is the test, the one before it validation;
    - ``time``: the last tenth of the events is the test, the tenth before it validation;
    - ``given``: the test is a file; the last item of each training user is validation.
    """
    begun = time.perf_counter()
    progress("read")
    items: dict[str, int] = {}
    users: dict[str, int] = {}
    rows = _sequences(read_columns(task.events, _EVENTS), items, users, task.events)
    test_rows = (
        _sequences(read_columns(task.test, _EVENTS), items, users, task.test) if task.test is not None else []
    )
    rows += [[] for _ in range(len(users) - len(rows))]
    catalog, names = _catalogue(task, items, progress)
    n = len(items)
    fitted, valid, test_data, test = _split(task, rows, test_rows)
    config = Recommend.model_validate(
        {
            "regularisation": REGULARISATION,
            "repeat": task.repeat,
            "min_support": 1,
            "diversity": 0.0,
            "tail": 0.0,
            "new_share": 0.0,
        }
    )
    side = _graph(task.graph, items, names) if task.graph is not None else None

    def build(sequences: list[NDArray[np.int32]]) -> Any:
        return from_sequences(sequences, n, DECAYS)

    def popular(sequences: list[NDArray[np.int32]]) -> NDArray[np.float32]:
        return np.bincount(np.concatenate([*sequences, np.zeros(0, np.int32)]), minlength=n).astype(
            np.float32
        )

    progress("tune")
    params = tune(
        build(fitted), valid, popular(fitted), catalog.text, catalog.category_of, config,
        memory_gb=task.memory_gb, seed=task.seed, side=side, progress=progress,
    )  # fmt: skip
    facts = {
        "file": task.events.name,
        "sha256": file_digest(task.events),
        "protocol": task.protocol,
        "ranking": "full catalogue",
    }
    report = Report(command, facts, task.seed)
    rules = Evaluate.model_validate({"k": list(task.ks), "bootstrap": task.bootstrap})
    with tempfile.TemporaryDirectory() as scratch:
        split = Split(build(test_data), test, popular(test_data), task.protocol)
        evaluate_split(
            split, catalog, params, config, rules, report, Path(scratch) / "model",
            memory_gb=task.memory_gb, seed=task.seed, side=side, hide_cold=False, progress=progress,
        )  # fmt: skip
    report.seconds = time.perf_counter() - begun
    report.peak_rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return report


def _split(
    task: Task, rows: list[list[tuple[float, int]]], test_rows: list[list[tuple[float, int]]]
) -> tuple[Any, Any, Any, Any]:
    """(fit, validation truth, fit for the test, test truth): sequences and item lists by user."""

    def line(pairs: list[tuple[float, int]]) -> NDArray[np.int32]:
        return np.array([item for _, item in pairs], np.int32)

    if task.protocol == "time":
        ats = np.sort(np.concatenate([[at for at, _ in row] for row in rows if row] or [[0.0]]))
        one, two = (float(ats[int(len(ats) * share)]) for share in (0.8, 0.9))
        fitted = [line([p for p in row if p[0] < one]) for row in rows]
        valid = [np.unique(line([p for p in row if one <= p[0] < two])) for row in rows]
        test_data = [line([p for p in row if p[0] < two]) for row in rows]
        test = [np.unique(line([p for p in row if p[0] >= two])) for row in rows]
        # Users without any history are strangers; they are not ranked here.
        valid = [v if len(f) else v[:0] for v, f in zip(valid, fitted, strict=True)]
        test = [t if len(d) else t[:0] for t, d in zip(test, test_data, strict=True)]
        return fitted, valid, test_data, test
    if task.protocol == "given":
        test_data = [line(row) for row in rows]
        fitted = [s[:-1] if len(s) > 1 else s for s in test_data]
        valid = [s[-1:] if len(s) > 1 else s[:0] for s in test_data]
        test = [np.unique(line(row)) for row in test_rows] + [np.zeros(0, np.int32)] * (
            len(rows) - len(test_rows)
        )
        test = [t if len(d) else t[:0] for t, d in zip(test, test_data, strict=True)]
        return fitted, valid, test_data, test
    whole = [line(row) for row in rows]
    fitted = [s[:-2] if len(s) > 2 else s[:-1] for s in whole]
    valid = [s[-2:-1] if len(s) > 2 else s[:0] for s in whole]
    test_data = [s[:-1] for s in whole]
    test = [s[-1:] if len(s) > 1 else s[:0] for s in whole]
    return fitted, valid, test_data, test


def _catalogue(
    task: Task, items: dict[str, int], progress: Callable[[str], None]
) -> tuple[Catalog, dict[str, str]]:
    """Text neighbours and categories from the products file; items only it knows join the catalogue.

    The second value maps other ids of a product (asin …) to its item id, for graph files that use those.
    """
    if task.products is None:
        return Catalog(TextSide.none(len(items)), np.full(len(items), -1, np.int32)), {}
    from wares.features.catalogue import codes
    from wares.features.encoder import TextEncoder
    from wares.features.encoder_train import export_encoder
    from wares.features.text_neighbours_build import nearest

    chunks = [
        c.table
        for c in read_file(
            task.products, SourceConfig.model_validate({"as": "products", "path": str(task.products)})
        )
    ]
    table = pa.concat_tables([c for c in chunks if c.num_columns])
    names = table.column_names
    key = "item_id" if "item_id" in names else guess(names, "products").get("product_id", names[0])
    mapping = guess([n for n in names if n != key], "products")
    ids = text_of(table[key]).to_pylist()
    other: dict[str, str] = {}
    for name in names:
        if name != key and name.lower() in ("asin", "sku", "product_id"):
            other.update(zip(text_of(table[name]).to_pylist(), ids, strict=True))
    for item in ids:
        items.setdefault(item, len(items))
    chosen = {
        ours: mapping[ours] for ours in ("title", "brand", "category", "description") if ours in mapping
    }
    if not chosen:
        chosen = {n: n for n in names if n != key}
    cells = {ours: text_of(table[theirs]).to_pylist() for ours, theirs in chosen.items()}
    parts = template_parts(". ".join(f"{{{name}}}" for name in chosen))
    texts, categories = [""] * len(items), [""] * len(items)
    for row, item in enumerate(ids):
        texts[items[item]] = plain(fill(parts, {name: column[row] for name, column in cells.items()}))[:2000]
        categories[items[item]] = (
            (cells.get("category", [""] * len(ids))[row] or "") if "category" in cells else ""
        )
    unique = sorted(set(texts))
    index = {text: i for i, text in enumerate(unique)}
    progress("encode")
    with tempfile.TemporaryDirectory() as scratch:
        export_encoder(Encoder.model_validate({}), Path(scratch))
        vectors = TextEncoder(Path(scratch)).encode(
            unique, progress=lambda done: progress(f"encode {done}/{len(unique)}")
        )
    ids_, sims = nearest(vectors, 50, lambda *_: None)
    text = TextSide(ids_, scaled(sims), np.array([index[t] for t in texts], np.int32))
    return Catalog(text, codes(categories)[0]), other


def scaled(sims: NDArray[Any]) -> NDArray[np.float16]:
    """Cosines as evidence: what unrelated texts have (0.3) counts nothing."""
    return np.clip((np.asarray(sims, np.float32) - 0.3) / 0.7, 0, 1).astype(np.float16)


def _graph(path: Path, items: dict[str, int], other: dict[str, str]) -> sp.csr_matrix:
    """A file of head, relation, tail as entity × item; each relation and tail is an entity that its heads share.

    A tail that is itself an item becomes an entity that it shares with its heads. Entities with one item, or
    with more than 2,000, say nothing about likeness and are left out; rows are scaled by 1 / sqrt(size).
    """
    wanted = {
        "head": ("head", "head_id", "subject"),
        "relation": ("relation", "rel", "predicate"),
        "tail": ("tail", "tail_id", "object"),
    }
    columns = read_columns(
        path, {ours: (*theirs, f"{ours}_asin", f"{ours}_item") for ours, theirs in wanted.items()}
    )
    if "head" not in columns or "tail" not in columns:
        raise SourceError(
            f"{path} needs the columns head, relation, tail", mend="Rename its columns", source=str(path)
        )

    def item(name: str | None) -> int:
        return -1 if name is None else items.get(name, items.get(other.get(name, ""), -1))

    entity: dict[tuple[str, str], int] = {}
    cells: set[tuple[int, int]] = set()
    relations = columns["relation"].to_pylist() if "relation" in columns else [""] * len(columns["head"])
    for head, relation, tail in zip(
        columns["head"].to_pylist(), relations, columns["tail"].to_pylist(), strict=True
    ):
        source = item(head)
        if source < 0 or tail is None:
            continue
        row = entity.setdefault((relation or "", tail), len(entity))
        cells.add((row, source))
        if (target := item(tail)) >= 0:
            cells.add((row, target))
    pairs = np.array(sorted(cells), np.int64).reshape(-1, 2)
    matrix = sp.csr_matrix(
        (np.ones(len(pairs), np.float32), (pairs[:, 0], pairs[:, 1])), shape=(max(len(entity), 1), len(items))
    )
    size = np.diff(matrix.indptr)
    matrix = matrix[(size >= 2) & (size <= MAX_ENTITY)]
    scale = 1.0 / np.sqrt(np.maximum(np.diff(matrix.indptr), 1))
    return sp.csr_matrix(sp.diags(scale.astype(np.float32)) @ matrix)
