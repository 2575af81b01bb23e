"""External triples from a file: head, relation, tail and, if there are, weight, day or date."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wares.core.errors import SourceError
from wares.data.mapping import text_of
from wares.data.sources import read_whole
from wares.data.types import NUMBER, TIMESTAMP, to_type
from wares.graph.infer import ALWAYS, PRODUCT
from wares.graph.triples import Triples

NAMES = {
    "head": ("head", "head_id", "head_asin", "head_item", "subject"),
    "relation": ("relation", "rel", "predicate"),
    "tail": ("tail", "tail_id", "tail_asin", "tail_item", "object"),
    "weight": ("weight", "confidence"),
    "at": ("at", "date", "day", "timestamp"),
}
EXTERNAL = "external"


def add_file(
    triples: Triples,
    path: Path,
    other: Mapping[str, str] | None = None,
    leave_out: frozenset[str] = frozenset(),
) -> int:
    """Add a file's triples; returns how many.

    A file speaks of products by one kind of name: our ids, or their other names (`other`: ASIN, SKU … to id),
    whichever more of its heads are. Whatever else is named is an entity of the kind ``external``: a brand in the
    file is not our brand unless products link both.

    Raises:
        SourceError: naming the line that cannot be read, or the columns that are missing.
    """
    plain = path.name.removesuffix(".gz").endswith(".txt")
    tables = [_headless(path)] if plain else [_wanted(table, path) for table in read_whole(path)]
    if not tables:
        return 0
    table = pa.concat_tables(tables, promote_options="default")
    fine = pc.and_(_filled(table["head"]), _filled(table["tail"]))
    if leave_out:
        fine = pc.and_(fine, pc.invert(pc.is_in(table["relation"], pa.array(sorted(leave_out)))))
    table = table.filter(fine)
    return _add(triples, table, path, other or {})


def _headless(path: Path) -> pa.Table:
    """Lines of head, relation and tail between tabs, or between blanks where there are none; no line of names."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    rows: list[list[str]] = []
    with opener(path, "rt", encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            text = line.rstrip("\r\n")
            parts = text.split("\t") if "\t" in text else text.split()
            if not text.strip():
                continue
            if len(parts) != 3:
                raise SourceError(
                    f"{path.name}, line {number}: {len(parts)} values",
                    mend="Write head, relation and tail in each line, with tabs between",
                    source=str(path),
                    line=number,
                )
            rows.append([part.strip() for part in parts])
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return pa.table(
        {
            name: pa.array(list(column), pa.string())
            for name, column in zip(("head", "relation", "tail"), columns, strict=True)
        }
    )


def _wanted(table: pa.Table, path: Path) -> pa.Table:
    found = {
        ours: next((t for t in theirs if t in table.column_names), None) for ours, theirs in NAMES.items()
    }
    if found["head"] is None or found["tail"] is None:
        raise SourceError(
            f"{path} needs the columns head, relation, tail; it has {', '.join(table.column_names)}",
            mend="Rename its columns",
            source=str(path),
        )
    columns = {
        ours: text_of(table[name]).cast(pa.string()) for ours, name in found.items() if name is not None
    }
    related = columns.get("relation", pa.repeat(pa.scalar("related"), table.num_rows))
    columns["relation"] = pc.if_else(_filled(related), related, "related")
    return pa.table(columns)


def _filled(column: Any) -> Any:
    return pc.and_(pc.is_valid(column), pc.not_equal(pc.fill_null(column, ""), ""))


def _add(triples: Triples, table: pa.Table, path: Path, other: Mapping[str, str]) -> int:
    heads, tails = (table[name].combine_chunks().dictionary_encode() for name in ("head", "tail"))
    known = triples.entities

    def as_id(name: str) -> str | None:
        return f"{PRODUCT}:{name}"

    def as_other(name: str) -> str | None:
        return f"{PRODUCT}:{other[name]}" if name in other else None

    names = heads.dictionary.to_pylist()
    resolve = max((as_id, as_other), key=lambda how: sum(how(name) in known for name in names))

    def rows_of(column: Any) -> NDArray[np.int64]:
        rows = [
            known[name] if (name := resolve(value)) in known else triples.entity(EXTERNAL, value)
            for value in column.dictionary.to_pylist()
        ]
        return np.array(rows, np.int64)[column.indices.to_numpy(zero_copy_only=False)]

    head, tail = rows_of(heads), rows_of(tails)
    weight = _typed(table, "weight", NUMBER, path)
    at = _typed(table, "at", TIMESTAMP, path)
    weights = (
        np.ones(len(head)) if weight is None else pc.fill_null(weight.cast(pa.float64()), 1.0).to_numpy()
    )
    days = np.full(len(head), ALWAYS)
    if at is not None:
        seconds = pc.divide(at.cast(pa.timestamp("us", "UTC")).cast(pa.int64()), 86_400_000_000)
        days = pc.fill_null(seconds, ALWAYS).to_numpy(zero_copy_only=False)
    relations = table["relation"].combine_chunks().dictionary_encode()
    codes = relations.indices.to_numpy(zero_copy_only=False)
    for code, relation in enumerate(relations.dictionary.to_pylist()):
        mine = codes == code
        triples.add(head[mine], relation, tail[mine], EXTERNAL, weights[mine], days[mine])
    return table.num_rows


def _typed(table: pa.Table, name: str, kind: str, path: Path) -> Any:
    if name not in table.column_names:
        return None
    typed = to_type(table[name], kind)
    if typed.bad:
        raise SourceError(
            f"{path}, row {typed.bad[0] + 2}: {table[name][typed.bad[0]].as_py()!r} in {name} is no {kind}",
            mend=typed.mend,
            source=str(path),
            line=typed.bad[0] + 2,
        )
    values = typed.values
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
