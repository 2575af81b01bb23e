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
    evaluate_app.command(
        "search-robust",
        epilog="Example: `wares evaluate search-robust --products offers.csv.gz --queries 10000 --json`",
    )(search_robust)


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


def search_robust(
    products: Annotated[Path, typer.Option(help="Products with titles: CSV, JSON Lines, Parquet; gz, zst.")],
    queries: Annotated[
        int, typer.Option(min=80, max=200_000, help="How many are made from titles.")
    ] = 10_000,
    most: Annotated[
        int, typer.Option(min=0, help="So many products at most, drawn at random; 0 for all.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Of the mistakes and of the bootstrap.")] = 0,
    json: Json = False,
) -> None:
    """Queries with mistakes made from titles: recall@10 by kind beside tantivy's fuzzy search, and names that were miscorrected."""
    from wares.evaluate.search_robust import evaluate_robust

    with output.stage_progress("evaluate", quiet=json) as stage:
        found = evaluate_robust(products, queries, most, seed, stage)
    if json:
        output.print_json(found)
        return
    rows = [
        [kind or "all", r["queries"], r["words"], r["fuzzy"], r["read"], f"{r['gain']:+.4f} ({r['interval'][0]:+.4f} to {r['interval'][1]:+.4f})"]
        for kind, r in found["kinds"].items()
        if r["queries"]
    ]  # fmt: skip
    output.print_table(
        ["mistake", "queries", "words", "tantivy fuzzy", "read", "read - fuzzy"],
        rows,
        f"Recall@10 over {found['products']} products",
    )
    for name, r in found["names"].items():
        output.out.print(f"{name} names: {r['miscorrected']} of {r['names']} miscorrected")
