"""``wares bench recommend``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from wares.cli import output
from wares.cli.main import Json
from wares.cli.tools import bench_app


def register(app: typer.Typer) -> None:
    """Put the command onto the group, once."""
    if not any(command.name == "recommend" for command in bench_app.registered_commands):
        bench_app.command("recommend", epilog="Example: `wares bench recommend --items 12000 --rounds 3`")(
            bench_recommend
        )


def bench_recommend(
    items: Annotated[str, typer.Option(help="Sizes of the catalogue, with commas between.")] = "12000,70000",
    users: Annotated[float, typer.Option(min=0.01, help="Customers for each item.")] = 2.0,
    rounds: Annotated[int, typer.Option(min=1, max=9, help="How often each is run, in turns.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the generated shop.")] = 7,
    limit: Annotated[float, typer.Option(min=0.1, help="Minutes that one model may take.")] = 20.0,
    json: Json = False,
) -> None:
    """Seconds and peak memory of fits on a generated shop, and lists a second, beside implicit and RecTools."""
    from wares.core.errors import QueryError
    from wares.evaluate.cost import cost

    try:
        sizes = [int(part) for part in items.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 100:
        raise QueryError(
            f"cannot read --items {items!r}",
            mend="Write whole numbers from 100: 12000,70000",
            parameter="items",
        )
    with output.stage_progress("bench", quiet=json) as stage:
        found = cost(
            sizes,
            users,
            rounds,
            seed,
            stage,
            limit_s=limit * 60,
            seen=lambda run: None if json else _tell(run),
        )
    if json:
        output.print_json(found)
        return
    rows = [
        [r["model"], f"{r['items']:,}", r["fit_s"], r["peak_mb"], r["requests_per_s"], r["batch_per_s"]]
        for r in found["rows"]
    ]
    output.print_table(
        ["model", "items", "fit s", "peak MB", "lists/s, one by one", "lists/s, 200 at once"], rows, "Cost"
    )
    rows = [
        [r["ours"], r["peer"], f"{r['items']:,}", r["fit"], r["memory"], r["requests"], r["batch"]]
        for r in found["ratios"]
    ]
    output.print_table(
        ["ours", "peer", "items", "fit ×", "memory ×", "one by one ×", "at once ×"],
        rows,
        "Ours against the peer; above 1 is ours",
    )
    if found["left_out"]:
        output.out.print(f"Not installed and left out: {', '.join(found['left_out'])}")


def _tell(run: dict[str, Any]) -> None:
    """One run as it ends, so that a bench that is stopped has said something."""
    name = f"{run['model']}, {run['items']:,} items"
    if "reason" in run:
        output.err.print(f"[red]{name}: {run['reason']}[/]")
        return
    output.err.print(
        f"{name}: fit {run['fit_s']:g} s, {run['peak_mb']:,.0f} MB, {run['requests_per_s']:,.0f} lists/s,"
        f" {run['batch_per_s']:,.0f} at once"
    )
