"""``wares clean``: make clean tables by the rules of the contracts, and show what changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from wares.cli import output
from wares.cli.main import Json, Shop, _open
from wares.cli.tools import bench_app, evaluate_app


def register(app: typer.Typer) -> None:
    """Put the command onto `app`, once."""
    if any(command.name == "clean" for command in app.registered_commands):
        return
    app.command(
        "clean",
        epilog="Examples: `wares clean` · `wares clean products --json` · `wares clean products --proposals review.csv`",
    )(clean)
    evaluate_app.command("columns", epilog="Example: `wares evaluate columns --table products --json`")(
        evaluate_columns
    )
    bench_app.command(
        "data", epilog="Example: `wares bench data --rows 5000000 --memory-gb 4 --scratch /tmp`"
    )(bench_data)


def clean(
    table: Annotated[str, typer.Argument(help="One table; without it, all that declare rules.")] = "",
    rules: Annotated[bool, typer.Option("--rules", help="Only list the rules that there are.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also when nothing changed.")] = False,
    proposals: Annotated[
        Path | None, typer.Option(help="Write proposed category mappings here as CSV, for review.")
    ] = None,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Clean tables by the rules of their contracts into `TABLE_clean`; raw values stay. Shows cells changed by rule, with samples."""
    if rules:
        _show_rules(as_json=json)
        return
    from wares.core import columns as c
    from wares.core.errors import ConfigError
    from wares.data.clean.run import proposals_csv

    workspace = _open(shop)
    if table and table not in c.TABLES:
        raise ConfigError(
            f"there is no table {table!r}",
            mend=f"Use one of {', '.join(c.TABLES)}",
            key="table",
            source="clean",
        )
    with output.step_progress(quiet=json) as tick:
        if table:
            found = [
                workspace.cleaner.clean(table, lambda done, total: tick(table, done, total), force=force)
            ]
        else:
            found = workspace.cleaner.all(tick, force=force)
    if proposals is not None:
        from wares.core.files import write_atomic

        write_atomic(proposals, "".join(proposals_csv(report) for report in found if report.proposals))
    if json:
        output.print_json([report.to_json() for report in found])
        return
    for report in found:
        _show(report)


def _show(report: Any) -> None:
    state = "nothing changed since" if report.fresh else f"{report.seconds:.1f} s"
    output.out.print(
        f"[bold]{report.table}[/] version {report.source_version} → {report.table}_clean version {report.version}: {report.rows:,} rows ({state})"
    )
    rows = []
    for change in report.changes:
        nothing = {"before": "personal: not shown" if change.withheld else "", "after": ""}
        sample = change.samples[0] if change.samples else nothing
        rows.append(
            [
                change.column,
                change.rule,
                change.does,
                change.cells,
                sample["before"][:60],
                sample["after"][:60],
            ]
        )
    output.print_table(["column", "rule", "did", "cells", "for example", "became"], rows)
    for warning in report.warnings:
        output.out.print(f"  [yellow]{warning}[/]")
    waiting = [p for p in report.proposals if not p["applied"]]
    if waiting:
        output.out.print(
            f"  {len({p['from'] for p in waiting})} categories wait for a person: `wares clean {report.table} --proposals review.csv`"
        )
    output.out.print()


def _show_rules(*, as_json: bool) -> None:
    from wares.data.clean.rules import SPECS

    if as_json:
        output.print_json(
            [
                {
                    "rule": spec.name, "does": spec.about, "columns": list(spec.kinds), "adds": list(spec.adds),
                    "options": {name: option.default for name, option in spec.options.items()},
                }
                for spec in SPECS.values()
            ]
        )  # fmt: skip
        return
    output.print_table(
        ["rule", "does", "options and defaults"],
        [
            [spec.name, spec.about, ", ".join(f"{n}: {o.default}" for n, o in spec.options.items())]
            for spec in SPECS.values()
        ],
    )


def bench_data(
    rows: Annotated[int, typer.Option(min=1_000, help="Events to generate.")] = 1_000_000,
    memory_gb: Annotated[float, typer.Option(min=1.0, help="The process must stay within.")] = 4.0,
    scratch: Annotated[Path, typer.Option(help="Where there is room: about 400 bytes a row.")] = Path(),
    seed: Annotated[int, typer.Option(help="Of the generated events.")] = 7,
    compare: Annotated[
        int, typer.Option(min=0, help="Also so many rows in pandas, held in memory, for comparison.")
    ] = 0,
    json: Json = False,
) -> None:
    """Generated events through ingestion, checks, cleaning and two versions: minutes, rows a second, peak memory. Exit 1 above the limit."""
    from wares.cli.bench_data import bench, pandas_peak

    with output.stage_progress("bench", quiet=json) as stage:
        result = bench(rows, memory_gb, scratch.resolve(), seed, stage)
        if compare:
            stage("pandas")
            result["pandas"] = pandas_peak(compare, scratch.resolve(), seed)
    if json:
        output.print_json(result)
    else:
        output.print_table(
            ["phase", "seconds", "rows/s", "peak memory GB"],
            [[p["phase"], p["seconds"], p["rows_per_s"], p["peak_rss_gb"]] for p in result["phases"]],
        )
        output.out.print(
            f"{rows:,} events in {result['minutes']} minutes, peak {result['peak_rss_gb']} GB of {memory_gb:g} GB; on disk {result['store_gb']} GB"
        )
    raise typer.Exit(output.DONE if result["within"] else output.FAULT)


def evaluate_columns(
    table: Annotated[str, typer.Option(help="products or events.")] = "products",
    seed: Annotated[int, typer.Option(help="Of draws and shuffles.")] = 7,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Rank columns by what they tell about shopping, in bits; show what repeats another column, is missing, or knows the future."""
    from wares.core.files import write_json
    from wares.evaluate.columns import evaluate_columns as rank

    workspace = _open(shop)
    folder = workspace.root / "tmp"
    folder.mkdir(exist_ok=True)
    with output.stage_progress("columns", quiet=json) as stage:
        report = rank(
            workspace.store,
            table,
            folder,
            memory_gb=workspace.config.build.memory_gb / 2,
            seed=seed,
            progress=stage,
        )
    write_json(workspace.root / "evaluations" / f"columns-{table}.json", report)
    if json:
        output.print_json(report)
        return
    output.print_table(
        ["column", "bits together", "bits next", "bits popularity", "missing", "distinct", "leak", "repeats", "advice", "why"],
        [
            [
                r["column"], r["together"], r["following"], r["popularity"], f"{r['missing']:.0%}", r["distinct"],
                "" if r["leak"] is None else f"{r['leak']:.2f}", f"{r['repeats']} {r['repeated']:.0%}" if r["repeats"] else "",
                r["advice"], "; ".join(r["why"]),
            ]
            for r in report["columns"]
        ],
    )  # fmt: skip
    from wares.features.columns import CHOSEN

    drop = [n for n in report["drop"] if table == "products" and (n in CHOSEN or n.startswith("attributes."))]
    if drop:
        names = ", ".join(f'"{n}"' for n in drop)
        output.out.print(f"To leave out what is advised, in wares.toml:\n\n  \\[columns]\n  drop = [{names}]")
