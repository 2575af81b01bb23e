"""``wares grow``: a next-item model of its own that takes in new events without starting again."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from wares.cli import output
from wares.cli.main import Json


def register(app: typer.Typer) -> None:
    """Put the command onto `app`, once."""
    if not any(command.name == "grow" for command in app.registered_commands):
        app.command("grow", epilog="Example: `wares grow --model model/ --events new.csv`")(grow)


def grow(
    model: Annotated[Path, typer.Option(help="Folder of the model; made when it is not there.")],
    events: Annotated[
        Path,
        typer.Option(
            help="New events: user_id, item_id and, if there is, a time; or lines of a user and items."
        ),
    ],
    tolerance: Annotated[
        float,
        typer.Option(min=0, max=1, help="The share of NDCG@10 that no segment of known customers may lose."),
    ] = 0.05,
    json: Json = False,
) -> None:
    """Add new events to a next-item model; refused when a segment of held-out customers would be served worse.

    Exit code 1 when the events were refused; the model is then as before.
    """
    from wares.core.arrays import MANIFEST
    from wares.core.errors import QueryError
    from wares.core.files import folder_atomic
    from wares.evaluate.readers import read_events
    from wares.models.recommend.grow import Growing

    if not events.is_file():
        raise QueryError(f"there is no file {events}", mend="Check the path", parameter="events")
    items: dict[str, int] = {}
    users: dict[str, int] = {}
    rows = read_events(events, items, users)
    names = list(items)
    new = {user: [names[i] for _, i in rows[row]] for user, row in users.items()}
    held = Growing.load(model) if (model / MANIFEST).is_file() else Growing()
    with output.stage_progress("grow", quiet=json) as stage:
        stage(f"{sum(map(len, new.values())):,} events of {len(new):,} customers")
        growth = held.grow(new, tolerance=tolerance)
    if growth.taken:
        old = model.with_name(model.name + ".old")
        if model.exists():
            model.rename(old)
        with folder_atomic(model) as work:
            held.save(work)
        shutil.rmtree(old, ignore_errors=True)
    if json:
        output.print_json(asdict(growth))
    else:
        said = [[s, f"{growth.before[s]:.4f}", f"{growth.after[s]:.4f}"] for s in growth.before]
        output.print_table(["held-out customers with", "NDCG@10 before", "after"], said)
        output.out.print(
            f"{'Taken' if growth.taken else 'Refused'}: {growth.events:,} events, {growth.users:,} new customers, {growth.items:,} new products"
        )
    raise typer.Exit(output.DONE if growth.taken else output.FAULT)
