"""``wares bench search``: search over generated products, beside LanceDB and PostgreSQL on the same data."""

from __future__ import annotations

import shlex
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from wares.cli import output
from wares.cli.main import Json
from wares.cli.tools import bench_app


def register(app: typer.Typer) -> None:
    """Put the command onto its group, once."""
    if any(command.name == "search" for command in bench_app.registered_commands):
        return
    bench_app.command(
        "search", epilog="Example: `wares bench search --items 92331 --others lancedb,postgres`"
    )(search)


def search(
    items: Annotated[
        int, typer.Option(min=1000, help="Generated products; the demo shop has 92,331.")
    ] = 92_331,
    queries: Annotated[
        int, typer.Option(min=50, help="Asked of each system; the first fifth warms up.")
    ] = 300,
    others: Annotated[str, typer.Option(help="lancedb (pip install lancedb), postgres; with commas.")] = "",
    encoder: Annotated[bool, typer.Option(help="Let each of our queries pay for the text encoder.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Of products and queries.")] = 7,
    json: Json = False,
) -> None:
    """p50 and p95 of hybrid search, answers a second, recall@10, index time; others as ratios of ours."""
    from wares.core.config import Encoder
    from wares.core.errors import QueryError
    from wares.evaluate.search_bench import bench
    from wares.evaluate.search_peers import PEERS

    chosen = [name for name in others.split(",") if name]
    if unknown := [name for name in chosen if name not in PEERS]:
        raise QueryError(f"there is no {unknown[0]!r}", mend=f"Use {', '.join(PEERS)}", parameter="others")
    with (
        output.stage_progress("bench search", quiet=json) as say,
        tempfile.TemporaryDirectory(prefix="wares-bench-") as scratch,
    ):
        encode = None
        if encoder:
            from wares.features.encoder import TextEncoder
            from wares.features.encoder_train import export_encoder

            say("encoder")
            (Path(scratch) / "encoder").mkdir()
            export_encoder(Encoder.model_validate({}), Path(scratch) / "encoder")
            model = TextEncoder(Path(scratch) / "encoder", 1)

            def encode(text: str) -> object:
                return model.encode([text], "query")

        found = bench(items, queries, seed, chosen, encode, Path(scratch), say)
    found = {"command": shlex.join(["wares", *sys.argv[1:]]), **found}
    if json:
        output.print_json(found)
        return
    columns = ["p50_ms", "p95_ms", "per_second", "recall@10"]
    rows = [[name, *(v[c] for c in columns), found["index_s"][name]] for name, v in found["systems"].items()]
    output.print_table(["system", *columns, "index_s"], rows, f"{items:,} products")
    for name, ratio in found["others over ours"].items():
        output.out.print(f"{name}: p50 {ratio['p50']} times ours, our throughput {ratio['throughput']} times")
