"""``wares tune``: find parameters on validation within a budget of time."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import Annotated, Any

import typer

from wares.cli import output
from wares.cli.main import Json

tune_app = typer.Typer(
    no_args_is_help=True,
    help="Find parameters on validation. Example: `wares tune recommend --events sales.csv --minutes 30`",
)


def register(app: typer.Typer) -> None:
    """Put the group onto `app`, once."""
    if not any(group.name == "tune" for group in app.registered_groups):
        app.add_typer(tune_app, name="tune")


@tune_app.callback()
def tune() -> None:
    """A group."""


@tune_app.command(
    "recommend",
    epilog="Example: `wares tune recommend --events sequences.csv.gz --minutes 30 --out parts.json`",
)
def tune_recommend(
    events: Annotated[Path, typer.Option(help="As for `wares evaluate recommend`: a file or a folder.")],
    out: Annotated[
        Path, typer.Option(help="Where the parameters go; `--params` of the evaluation reads them.")
    ],
    products: Annotated[Path | None, typer.Option(help="Products with texts.")] = None,
    attributes: Annotated[Path | None, typer.Option(help="JSON object of item → attributes.")] = None,
    graph: Annotated[Path | None, typer.Option(help="Triples: head, relation, tail.")] = None,
    protocol: Annotated[str, typer.Option(help="leave-last or time: where validation lies.")] = "leave-last",
    parts: Annotated[str, typer.Option(help="Which parts, with commas between; all when empty.")] = "",
    minutes: Annotated[float, typer.Option(min=0.05, help="About how long it may take.")] = 30.0,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 7,
    logs: Annotated[
        Path | None, typer.Option(help="Training curves go here, for `tensorboard --logdir`.")
    ] = None,
    json: Json = False,
) -> None:
    """Tune each part alone by Optuna's TPE on validation NDCG@10; the test items are never looked at."""
    from wares.core.errors import QueryError
    from wares.core.files import write_json
    from wares.evaluate.files import Task, prepare
    from wares.evaluate.lab import Lab
    from wares.models.recommend.ensemble import tune_part

    if protocol not in ("leave-last", "time"):
        raise QueryError(f"protocol {protocol!r}", mend="Use leave-last or time", parameter="protocol")
    output.check_files(events, products, attributes, graph, folder=events)
    names = tuple(name.strip() for name in parts.split(",") if name.strip())
    task = Task(
        events, products, graph, None, protocol, seed=seed, attributes=attributes, parts=names, minutes=minutes, refit=False,
    )  # fmt: skip
    with output.stage_progress("tune", quiet=json) as stage:
        _, quad, side, plan, category = prepare(task, stage)
        lab = Lab(quad, len(category), side, plan, stage)
        lab.tune()
        slow = [name for name in plan.names if name not in lab.tuned]
        for name in slow:
            lab.tuned[name], lab.alone[name] = tune_part(
                name, quad.fit, quad.valid, len(category), side, seconds=minutes * 60 * 0.6 / len(slow), seed=seed, logs=logs, progress=stage,
            )  # fmt: skip
    found: dict[str, Any] = {"parts": lab.tuned, "validation_ndcg@10": lab.alone, "seed": seed}
    write_json(out, found)
    if json:
        output.print_json(found)
        return
    rows = [[n, f"{lab.alone[n]:.4f}", json_.dumps(p)] for n, p in lab.tuned.items()]
    output.print_table(["part", "validation NDCG@10", "parameters"], rows)
    output.out.print(f"Written to {out}")
