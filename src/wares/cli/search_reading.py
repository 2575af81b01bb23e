"""``wares evaluate search-queries`` and ``wares evaluate search-robust``: are queries read right, and found in spite of mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wares.cli import output
from wares.cli.main import Json
from wares.cli.tools import evaluate_app


def register(app: typer.Typer) -> None:
    """Put the commands onto their group, once."""
    if any(command.name == "search-queries" for command in evaluate_app.registered_commands):
        return
    evaluate_app.command(
        "search-queries",
        epilog="Example: `wares evaluate search-queries --file tests/data_search/structured_queries.jsonl --json`",
    )(search_queries)


def search_queries(
    file: Annotated[
        Path, typer.Option(help="JSON Lines: products, and queries with what is right for each.")
    ],
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    json: Json = False,
) -> None:
    """Structure read from queries: the share that is right in every field, by language, with each fault."""
    from wares.evaluate.search_queries import evaluate_queries

    found = evaluate_queries(file, seed)
    if json:
        output.print_json(found)
        return
    rows = [[name, r["queries"], r["exact"]] for name, r in found["by_language"].items()]
    rows.append(["all", found["queries"], found["exact"]])
    low, high = found["interval"]
    output.print_table(["language", "queries", "exact match"], rows, f"95% interval {low:.3f} to {high:.3f}")
    for fault in found["faults"]:
        output.out.print(f"{fault['query']}: read {fault['got']}, right {fault['right']}", markup=False)
