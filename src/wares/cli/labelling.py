"""What the labelling commands read and write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wares.core.errors import QueryError, SourceError


def read_text(path: Path) -> str:
    """A UTF-8 file.

    Raises:
        SourceError: when it cannot be read, or is another encoding.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read: {error.strerror}", mend="Check the path", source=str(path)
        ) from None
    except UnicodeDecodeError:
        raise SourceError(f"{path} is not UTF-8", mend="Save it as UTF-8", source=str(path)) from None


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file.

    Raises:
        QueryError: when it does not parse.
    """
    import tomllib

    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise QueryError(
            f"{path.name} is no TOML: {error}", mend="Mend that place", parameter="rules"
        ) from None


def file_rows(path: Path) -> list[dict[str, Any]]:
    """All rows of a CSV, JSON Lines or Parquet file, plain or packed.

    Raises:
        SourceError: when it cannot be read.
    """
    from wares.core.config import SourceConfig
    from wares.data.sources import read_file

    if not path.is_file():
        raise SourceError(f"there is no file {path}", mend="Check the path", source=str(path))
    config = SourceConfig.model_validate({"as": "reviews", "path": str(path)})
    return [row for chunk in read_file(path, config) for row in chunk.table.to_pylist()]


def table_rows(workspace: Any, asset: str, version: int, key: str) -> tuple[list[dict[str, Any]], int, str]:
    """(rows, version, key column) of a workspace's table."""
    from wares.core import columns as c
    from wares.data.engine import Engine

    found = workspace.store.version(asset) if version < 0 else version
    with Engine(workspace.config.build.memory_gb) as engine:
        table = engine.arrow(engine.parquet(workspace.store.files(asset, found)))
    return table.to_pylist(), found, key or c.KEYS.get(asset, ("",))[0]


def drawn(rows: list[dict[str, Any]], limit: int, seed: int) -> list[dict[str, Any]]:
    """`limit` rows at random, in their order."""
    import numpy as np

    picked = np.sort(np.random.default_rng(seed).permutation(len(rows))[:limit])
    return [rows[int(n)] for n in picked]


def export_labels(book: Any, project: Any, out: Path, kind: str, *, method: str, machine: bool) -> int:
    """Write a project's labels; returns how many rows.

    Raises:
        QueryError: for an unknown format.
    """
    import json

    from wares.core.files import write_atomic
    from wares.data.labels import labels
    from wares.data.labels.files import write_lines
    from wares.data.labels.studio import config_xml, export_tasks

    out.parent.mkdir(parents=True, exist_ok=True)
    if kind == "label-studio":
        tasks = export_tasks(book, project)
        write_atomic(out, json.dumps(tasks, ensure_ascii=False, indent=1, default=str))
        return len(tasks)
    if kind == "label-studio-config":
        write_atomic(out, config_xml(project))
        return 1
    if kind == "answers":
        rows = book.answers(project, live=False, excluded=True)
        write_lines(rows, out)
        return len(rows)
    table = labels(book, project, method=method, machine=machine)
    if kind == "jsonl":
        write_lines(table.to_pylist(), out)
    elif kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        write_atomic(out, sink.getvalue().to_pybytes())
    else:
        raise QueryError(
            f"unknown format {kind!r}",
            mend="Use label-studio, label-studio-config, parquet, jsonl or answers",
            parameter="format",
        )
    return table.num_rows


def columns_of(path: Path, text: str, label: str) -> tuple[list[str], list[str]]:
    """Two columns of a file as text.

    Raises:
        QueryError: when a column is missing.
    """
    rows = file_rows(path)
    for column in (text, label):
        if not rows or column not in rows[0]:
            raise QueryError(
                f"{path.name} has no column {column!r}",
                mend=f"It has: {', '.join(map(str, rows[0])) if rows else 'no rows'}",
                parameter="column",
            )

    def cell(value: Any) -> str:
        return "" if value is None else str(value).strip()

    return [cell(row[text]) for row in rows], [cell(row[label]) for row in rows]


def encoder_of(model: str) -> Any:
    """(texts) → vectors ``(n, dim)`` of length one by the encoder of that name or folder; None for none.

    Texts are encoded once: a later call with the same ones takes them from memory.
    """
    if not model:
        return None
    import tempfile

    import numpy as np

    from wares.core.config import Encoder as Settings
    from wares.features.encoder import TextEncoder
    from wares.features.encoder_train import export_encoder

    folder = tempfile.TemporaryDirectory(prefix="wares-encoder-")
    if (Path(model) / "manifest.json").is_file():
        loaded = TextEncoder(Path(model))
    else:
        prefix = "query: " if "e5" in Path(model).name.casefold() else ""
        export_encoder(Settings(model=model, prefix_query=prefix, prefix_passage=prefix), Path(folder.name))
        loaded = TextEncoder(Path(folder.name))
    known: dict[str, Any] = {}

    def encode(texts: Any) -> Any:
        new = [t for t in dict.fromkeys(texts) if t not in known]
        for t, vector in zip(new, loaded.encode(new), strict=True):
            known[t] = vector.astype(np.float16)
        return np.stack([known[t] for t in texts]).astype(np.float32)

    encode.keep = folder  # type: ignore[attr-defined]
    return encode
