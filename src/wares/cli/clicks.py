"""``wares evaluate clicks``: click models and learning to rank, on sessions of a file or with the truth planted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from wares.cli import output
from wares.cli.main import Json
from wares.cli.tools import evaluate_app

KINDS = ("places", "reading")
"""Habits of the planted shoppers."""


def register(app: typer.Typer) -> None:
    """Put the command onto its group, once."""
    if any(command.name == "clicks" for command in evaluate_app.registered_commands):
        return
    evaluate_app.command(
        "clicks",
        epilog="Examples: `wares evaluate clicks --seeds 5` · `wares evaluate clicks --products products.csv.gz --sessions click_sessions.csv.gz --json`",
    )(clicks)


def clicks(
    products: Annotated[Path | None, typer.Option(help="Products with texts, beside --sessions.")] = None,
    sessions: Annotated[
        Path | None,
        typer.Option(
            help="One line a product shown: session, query, rank, product, clicked. Without it: planted logs."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=20, help="How often everything random is drawn.")] = 5,
    cache: Annotated[Path | None, typer.Option(help="Where vectors of texts are kept.")] = None,
    json: Json = False,
) -> None:
    """Click models: is a planted position bias recovered; what do sessions of a file teach, and does it carry to other queries."""
    from wares.core.errors import QueryError
    from wares.evaluate.clicks import evaluate_planted, evaluate_sessions
    from wares.testing.click_log import make_click_log

    output.check_files(products, sessions)
    drawn = tuple(range(1, seeds + 1))
    with output.stage_progress("evaluate", quiet=json) as stage:
        if sessions is None and products is None:
            logs = ((seed, kind, make_click_log(seed, kind=kind)) for seed in drawn for kind in KINDS)
            planted = evaluate_planted(logs, stage)
            found: dict[str, Any] = {"seeds": list(drawn), "planted": planted}
        elif sessions is None or products is None:
            raise QueryError(
                "one of --products and --sessions is missing",
                mend="Give both, or neither for planted logs",
                parameter="sessions" if sessions is None else "products",
            )
        else:
            found = evaluate_sessions(products, sessions, drawn, cache, stage)
    if json:
        output.print_json(found)
    elif "planted" in found:
        _print_planted(found["planted"])
    else:
        _print_sessions(found)


def _mean(values: list[float]) -> str:
    import numpy as np

    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"


def _print_planted(rows: list[dict[str, Any]]) -> None:
    for kind in KINDS:
        some = [row for row in rows if row["kind"] == kind]
        table = [
            [name, *(_mean([row["models"][name][figure] for row in some]) for figure in ("rank_correlation", "ndcg@10", "error", "log_likelihood"))]
            for name in some[0]["models"]
        ]  # fmt: skip
        title = (
            "Shoppers look by place" if kind == "places" else "Shoppers read down until they are satisfied"
        )
        output.print_table(
            ["model", "rank correlation", "NDCG@10", "error", "log-likelihood"],
            table,
            f"{title}: mean ± sd over {len(some)} seeds",
        )
    places = [row["examined_error"] for row in rows if row["kind"] == "places"]
    output.out.print(f"Error of the planted habit of looking, mean over places: {_mean(places)}")


def _print_sessions(found: dict[str, Any]) -> None:
    models, ranking = found["models"], found["ranking"]
    table = [
        [
            name,
            *(f"{by[gold]['mean']:.3f} ± {by[gold]['sd']:.3f}" for gold in ("sdbn", "pbm")),
            f"{models['log_likelihood'][name]['mean']:.4f}" if name in models["log_likelihood"] else "",
        ]
        for name, by in models["ndcg@10_against"].items()
    ]
    output.print_table(
        ["model", "NDCG@10 to SDBN", "NDCG@10 to PBM", "log-likelihood"],
        table,
        "Half of the sessions against the other half",
    )
    output.out.print(
        "How often places are looked at: " + " ".join(f"{v:.2f}" for v in models["examined"]), highlight=False
    )
    rows = [["BM25", ranking["bm25"], "", ""], ["meaning", ranking["meaning"], "", ""]]
    rows += [
        [f"learned, {name}", one["ndcg@10"], f"{one['over_bm25']:+.4f}", "{:+.4f} to {:+.4f}".format(*one["interval"])]
        for name, one in ranking.items()
        if isinstance(one, dict)
    ]  # fmt: skip
    output.print_table(
        ["order", "NDCG@10", "over BM25", "95 %"], rows, f"Queries not seen; gold: {found['gold']}"
    )
