"""``wares evaluate cold-users`` and ``wares evaluate again``; ``wares bench sessions`` and ``wares bench newproduct``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from wares.cli import output
from wares.cli.main import Json, Shop, _open
from wares.cli.tools import bench_app, evaluate_app


def register(app: typer.Typer) -> None:
    """Put the commands onto their groups, once."""
    if any(command.name == "again" for command in evaluate_app.registered_commands):
        return
    evaluate_app.command("cold-users", epilog="Example: `wares evaluate cold-users --seeds 3 --json`")(
        cold_users
    )
    evaluate_app.command("again", epilog="Example: `wares evaluate again --days 7,14 --json`")(again)
    bench_app.command("sessions", epilog="Example: `wares bench sessions --deeds 50`")(bench_sessions)
    bench_app.command("newproduct", epilog="Example: `wares bench newproduct --rounds 5`")(bench_newproduct)


def _command() -> str:
    return shlex.join(["wares", *sys.argv[1:]])


def _print(found: dict[str, Any], columns: list[str], rows: list[list[Any]], title: str, json: bool) -> None:
    if json:
        output.print_json(found)
        return
    output.print_table(columns, rows, title)
    output.out.print(
        f"{found['split']}; seed {found['seed']}; {found['seconds']:.0f} s, peak {found['peak_rss_mb']:.0f} MB"
    )


def cold_users(
    seeds: Annotated[int, typer.Option(min=1, max=20, help="How often other shoppers are held out.")] = 1,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Shoppers held out whole: NDCG@10 and recall@20 after 0, 1, 2, 3, 5 first deeds or picks, beside popularity."""
    from wares.pipeline.services import evaluate_cold_users

    with output.stage_progress("evaluate", quiet=json) as stage:
        found = evaluate_cold_users(_open(shop), _command(), stage, seeds)
    m = found["metrics"]
    rows = [
        [f"{kind} {n}", *(m.get(f"{base}{kind}{n}_{figure}") for base in ("", "popular_", "segment_") for figure in ("ndcg@10", "recall@20"))]
        for kind in ("after", "picks")
        for n in (0, 1, 2, 3, 5)
        if f"{kind}{n}_ndcg@10" in m
    ]  # fmt: skip
    names = [
        f"{figure} {base}"
        for base in ("wares", "popularity", "segment")
        for figure in ("NDCG@10", "recall@20")
    ]
    _print(
        found,
        ["known", *names],
        rows,
        f"{m['newcomers']:.0f} newcomers; segments weigh {found['prior_deeds']} deeds",
        json,
    )


def again(
    days: Annotated[str, typer.Option(help="Horizons in days, with commas between.")] = "7,14",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Is it bought again within days? AUC, NDCG@10 and calibration beside frequency, recency and the unlearned formula."""
    from wares.core.errors import QueryError
    from wares.pipeline.services import evaluate_again

    try:
        horizons = tuple(sorted({int(part) for part in days.split(",")}))
    except ValueError:
        raise QueryError(f"cannot read --days {days!r}", mend="Write 7,14", parameter="days") from None
    with output.stage_progress("evaluate", quiet=json) as stage:
        found = evaluate_again(_open(shop), horizons, _command(), stage)
    m = found["metrics"]
    rows = [
        [f"{n} days: {name or 'wares'}".replace("_", ""), m[f"{name}auc@{n}d"], m[f"{name}ndcg@10@{n}d"], m[f"{name}recall@10@{n}d"],
         m[f"ece@{n}d"] if not name else None]
        for n in horizons
        for name in ("", "frequency_", "recency_", "due_")
        if f"{name}auc@{n}d" in m
    ]  # fmt: skip
    _print(found, ["within", "AUC", "NDCG@10", "recall@10", "calibration error"], rows, "Bought again", json)


def bench_sessions(
    deeds: Annotated[int, typer.Option(min=1, max=500, help="Events of each visit.")] = 50,
    visits: Annotated[int, typer.Option(min=1, max=10_000, help="How many visits.")] = 200,
    k: Annotated[int, typer.Option(min=1, max=200, help="Length of the lists.")] = 20,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Lists for visits of 50 events, in process: milliseconds from the next event to the answer. The state is a copy's."""
    from wares.cli.bench_services import sessions

    with output.stage_progress("bench", quiet=json) as stage:
        found = sessions(shop.resolve(), deeds, visits, k, stage)
    if json:
        output.print_json(found)
        return
    rows = [[name, r["p50_ms"], r["p95_ms"], r["p99_ms"], r["n"]] for name, r in found["rows"].items()]
    output.print_table(["what", "p50 ms", "p95 ms", "p99 ms", "n"], rows, f"Visits of {deeds} events")


def bench_newproduct(
    rounds: Annotated[int, typer.Option(min=1, max=100, help="How many new products.")] = 10,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Seconds from `PUT /v1/products` to the product in the list of a shopper whom it suits, over HTTP, on a copy's state."""
    from wares.cli.bench_services import newproduct

    with output.stage_progress("bench", quiet=json) as stage:
        found = newproduct(shop.resolve(), rounds, stage)
    if json:
        output.print_json(found)
        return
    output.print_table(
        ["new products", "found", "p50 s", "worst s"],
        [[found["rounds"], found["found"], found["p50_s"], found["max_s"]]],
        "From PUT to the list",
    )
