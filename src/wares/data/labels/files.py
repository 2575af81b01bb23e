"""Tasks and answers as files, so that a program can work through a queue: JSON Lines, and CSV for tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from wares.core.errors import QueryError, SourceError
from wares.core.files import write_atomic
from wares.data.labels.book import LabelBook, Project
from wares.data.labels.queue import Landed, Queue


def task_row(project: Project, item: dict[str, Any]) -> dict[str, Any]:
    """An item as a program reads it: key, question, options, payload, why it is here, where it comes from."""
    return {
        "key": item["key"], "question": project.question, "options": list(project.options), "payload": item["payload"],
        "reason": item["reason"], "asset": item["asset"], "version": item["version"], "round": item["round"],
    }  # fmt: skip


def write_tasks(project: Project, items: Iterable[dict[str, Any]], path: Path) -> None:
    """Write leased items, one JSON object a line."""
    write_lines((task_row(project, item) for item in items), path)


def write_lines(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Write JSON Lines, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows))


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Objects of a JSON Lines file, each with its ``_line``; a line that is no object comes as ``{"_line", "_broken"}``.

    Raises:
        SourceError: when there is no such file, or it is not UTF-8.
    """
    try:
        # Only \n ends a line here: str.splitlines would also cut at U+2028 inside a text.
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read: {error.strerror}", mend="Check the path", source=str(path)
        ) from None
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path} is not UTF-8 at byte {error.start}", mend="Save it as UTF-8", source=str(path)
        ) from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            yield {"_line": number, "_broken": f"no JSON: {error}"}
            continue
        yield (
            {**row, "_line": number}
            if isinstance(row, dict)
            else {"_line": number, "_broken": "no JSON object"}
        )


def put_file(book: LabelBook, project: Project, path: Path, *, annotator: str = "") -> Landed:
    """Record the answers of a JSON Lines file; broken lines are named by number and the others land."""
    good, broken = [], []
    for row in read_lines(path):
        if "_broken" in row:
            broken.append(
                {"line": row["_line"], "message": row["_broken"], "mend": "Write one JSON object a line"}
            )
        else:
            good.append(row)
    report = Queue(book, project).put_many(good, annotator=annotator, source=f"file:{path.name}")
    report.refused = sorted(broken + report.refused, key=lambda row: row["line"])
    return report


def add_rows(
    book: LabelBook,
    project: Project,
    rows: Iterable[dict[str, Any]],
    *,
    key: str = "",
    fields: dict[str, str] | None = None,
    subject: str = "",
    gold: str = "",
    aspects: tuple[str, ...] = (),
    asset: str = "",
    version: int | None = None,
    where: str = "",
    by: str = "",
) -> Landed:
    """Make items out of table rows: all columns go into the payload as evidence.

    `key` names the column that identifies a row (a number is given otherwise); `fields` maps the project's fields to
    columns where they are named differently; `aspects` makes one item for each aspect of each row. `where` goes before
    each key, so that two files do not collide.

    Raises:
        QueryError: when a named column is missing from the first row.
    """
    source, report_rows = list(rows), []
    wanted = {**{name: name for name in project.fields if name != "aspect" or not aspects}, **(fields or {})}
    if source:
        for column in [*wanted.values(), *(c for c in (key, subject, gold) if c)]:
            if column not in source[0]:
                raise QueryError(
                    f"there is no column {column!r}",
                    mend=f"There are: {', '.join(map(str, list(source[0])[:30]))}",
                    parameter="column",
                )
    for number, row in enumerate(source, 1):
        payload = {
            k: v for k, v in row.items() if v not in (None, "") and k not in wanted.values() and k != gold
        }
        payload = {**{name: row.get(column) for name, column in wanted.items()}, **payload}
        name = f"{where}{row[key] if key else number}"
        base = {
            "subject": row.get(subject or "user_id"),
            "gold": row.get(gold) if gold else None,
            "asset": asset,
            "version": version,
        }
        if aspects:
            report_rows += [
                {**base, "key": f"{name}#{aspect}", "payload": {**payload, "aspect": aspect}}
                for aspect in aspects
            ]
        else:
            report_rows.append({**base, "key": name, "payload": payload})
    return book.add(project, report_rows, by=by)
