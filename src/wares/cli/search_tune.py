"""``wares tune search``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wares.cli import output
from wares.cli.main import Json, Shop, _open
from wares.cli.tune import tune_app


def register(app: typer.Typer) -> None:
    """Put the command onto its group, once."""
    if any(command.name == "search" for command in tune_app.registered_commands):
        return
    tune_app.command(
        "search",
        epilog="Examples: `wares tune search --minutes 5` · `wares tune search --minutes 30 --out search.json --json`",
    )(tune_search)


def tune_search(
    minutes: Annotated[float, typer.Option(min=0.02, max=600, help="About how long it may take.")] = 5.0,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 7,
    out: Annotated[
        Path | None, typer.Option(help="Where the result goes as JSON, beside what is printed.")
    ] = None,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Weights of fields and the share of meaning, chosen on half of the judged searches and proven on the other half."""
    from wares.core.files import write_json
    from wares.pipeline.search_tune import as_toml
    from wares.pipeline.search_tune import tune_search as tuned

    workspace = _open(shop)
    with output.stage_progress("tune", quiet=json) as stage:
        found = tuned(workspace, minutes * 60, seed, stage)
    if out is not None:
        write_json(out, found)
    if json:
        output.print_json(found)
        return
    proof = found["proven_ndcg@10"]
    output.out.print(
        f"NDCG@10 on {found['texts'][1]} searches that did not choose: {proof['before']:.4f} → {proof['after']:.4f} "
        f"({found['interval'][0]:+.4f} to {found['interval'][1]:+.4f}); {found['trials']} trials in {found['seconds']:.0f} s, seed {seed}"
    )
    if found["better"]:
        output.out.print("Better. Write this into wares.toml, then build and publish:\n")
        output.out.print(as_toml(found["setting"]), highlight=False, markup=False)
    else:
        output.out.print("Not proven to be better: leave the settings as they are.")
