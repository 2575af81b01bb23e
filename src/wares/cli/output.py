"""What commands print: tables for people, JSON for programs, errors with their mend, and exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from wares.core.errors import ConfigError, ContractViolation, QueryError, WaresError

DONE, FAULT, USAGE, BROKEN = 0, 1, 2, 3
out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)


def check_language(language: str) -> str:
    """The language of words.

    Raises:
        QueryError: when there are none in it.
    """
    if language not in ("en", "zh"):
        raise QueryError(f"unknown language {language[:20]!r}", mend="Use en or zh", parameter="language")
    return language


def exit_code(error: WaresError) -> int:
    """0 done, 1 fault, 2 usage, 3 contract broken."""
    if isinstance(error, ContractViolation):
        return BROKEN
    return USAGE if isinstance(error, ConfigError | QueryError) else FAULT


def show_error(error: WaresError, *, as_json: bool) -> None:
    """Print an error to standard error."""
    if as_json:
        sys.stderr.write(
            json.dumps(
                {"error": type(error).__name__, "message": error.message, "mend": error.mend, **error.fields},
                default=str,
            )
            + "\n"
        )
        return
    err.print(f"[bold red]{escape(type(error).__name__)}[/] {escape(error.message)}")
    if error.mend:
        err.print(f"  [green]→[/] {escape(error.mend)}")


def check_files(*paths: Path | None, folder: Path | None = None) -> None:
    """Refuse a path that is no file; `folder` may be a folder too, and what is None was not given.

    Raises:
        QueryError: for the first that is missing.
    """
    for path in paths:
        if path is not None and not (path.is_file() or (path is folder and path.is_dir())):
            raise QueryError(f"there is no file {path}", mend="Check the path", parameter="file")


def print_json(value: Any) -> None:
    """Print one JSON value to standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> None:
    """Print a table; numbers are right-aligned."""
    table = Table(
        title=title or None, title_justify="left", header_style="bold", show_edge=False, pad_edge=False
    )
    for i, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[i], int | float) or row[i] is None for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(_cell(value)) for value in row))
    out.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


@contextmanager
def step_progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Bars, one a step: call it with (step, done, total)."""
    if quiet:
        yield lambda *_: None
        return
    bars = Progress(
        TextColumn("{task.description:<16}"),
        BarColumn(30),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        console=err,
    )
    known: dict[str, TaskID] = {}

    def tick(step: str, done: int, total: int) -> None:
        if step not in known:
            known[step] = bars.add_task(step.replace("_", " "), total=1.0)
        bars.update(known[step], completed=done / max(total, 1))
        if done >= total:
            bars.stop_task(known[step])

    with bars:
        yield tick


@contextmanager
def stage_progress(what: str, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A line that names the stage at work and the time it has taken."""
    if quiet:
        yield lambda _: None
        return
    bars = Progress(TextColumn("{task.description}"), TimeElapsedColumn(), console=err)
    with bars:
        task = bars.add_task(what, total=None)
        yield lambda stage: bars.update(task, description=f"{what}: {stage}")
