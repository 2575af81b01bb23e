"""``wares recommend``: for one shopper, a visit, a newcomer with picks, or for everybody into a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from wares.cli import output
from wares.cli.main import Json, Shop, _load, _print_hits

BATCH = 20_000


def register(app: typer.Typer) -> None:
    """Put the command onto the application, once."""
    if not any(c.name == "recommend" for c in app.registered_commands):
        app.command(
            "recommend",
            epilog="Examples: `wares recommend --user 900 --tail 0.3` · `wares recommend --likes 1029743,1082185` · "
            "`wares recommend --all-users --out lists.csv.gz`",
        )(recommend)


def recommend(
    user: Annotated[str, typer.Option(help="The shopper; empty for a stranger.")] = "",
    session: Annotated[str, typer.Option(help="The visit of somebody who is not logged in.")] = "",
    likes: Annotated[str, typer.Option(help="Products picked, with commas between.")] = "",
    basket: Annotated[str, typer.Option(help="Products in the basket, with commas between.")] = "",
    segment: Annotated[str, typer.Option(help="A segment of the build: see `/v1/segments`.")] = "",
    category: Annotated[str, typer.Option(help="Only this category and what lies below it.")] = "",
    k: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 10,
    tail: Annotated[float | None, typer.Option(min=0, max=1, help="0: most accurate, 1: discovery.")] = None,
    diversity: Annotated[
        float, typer.Option(min=0, max=1, help="What a second hit of a category loses.")
    ] = 0.0,
    per_brand: Annotated[int, typer.Option(min=0, help="Most places of a brand; 0: no cap.")] = 0,
    new_only: Annotated[
        bool, typer.Option("--new-only", help="Nothing that the shopper had before.")
    ] = False,
    all_users: Annotated[bool, typer.Option("--all-users", help="For every shopper, into --out.")] = False,
    users: Annotated[Path | None, typer.Option(help="For the shoppers of this file, one id a line.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="File: .csv, .jsonl (both also .gz) or .parquet; whole or not at all.")
    ] = None,
    why: Annotated[bool, typer.Option(help="With the reasons, in the file.")] = True,
    language: Annotated[str, typer.Option(help="en or zh: of the reasons.")] = "en",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Recommendations of the live bundle, with reasons; for one shopper, or for many into a file."""
    from wares.core.errors import QueryError
    from wares.serve.situation import Situation
    from wares.serve.steering import Steering

    output.check_language(language)
    steering = Steering.asked((), (), per_brand, 0.0, diversity, 0.0)
    many = all_users or users is not None
    if many != (out is not None) or (all_users and users is not None):
        raise QueryError(
            "lists for many need either --all-users or --users, and --out",
            mend="wares recommend --all-users --out lists.csv.gz",
            parameter="out",
        )
    if many and (user or session or likes or basket):
        raise QueryError(
            "lists for many take no shopper, visit, picks or basket", mend="Leave them out", parameter="user"
        )
    ranker = _load(shop)
    if many and out is not None:
        options = {"tail": tail, "steering": steering, "new_only": new_only, "why": why, "language": language}
        found = mail(ranker, users, out, k, options, quiet=json)
        output.print_json(found) if json else output.out.print(
            f"{found['users']:,} lists in {out}: {found['seconds']:.1f} s, {found['users_per_s']:.0f} a second, "
            f"peak memory {found['peak_rss_mb']:.0f} MB"
        )
        return
    here = Situation.asked(session, [likes], [basket], segment, category, ranker.knows)
    hits = ranker.recommend(
        user or None, k, tail=tail, steering=steering, situation=here, language=language,
        repeats=False if new_only else None,
    )  # fmt: skip
    unheard = ranker.unheard(here)
    if unheard and not json:
        for name, value in unheard.items():
            output.err.print(
                f"{name.replace('_', ' ')}: {value if isinstance(value, str) else ', '.join(value)}"
            )
    _print_hits(hits, as_json=json, **unheard)


def mail(
    ranker: Any, users: Path | None, out: Path, k: int, options: dict[str, Any], *, quiet: bool
) -> dict[str, Any]:
    """Write the lists; how many, how fast, in how much memory."""
    from wares.core.machine import peak_rss
    from wares.serve.mailing import count_shoppers, named_in, rows_for, shoppers, writer

    total = sum(1 for _ in named_in(users)) if users is not None else count_shoppers(ranker)
    begun, lists, rows = time.perf_counter(), 0, 0
    with output.step_progress(quiet=quiet or not sys.stderr.isatty()) as bar, writer(out, parquet) as write:

        def tick(done: int) -> None:
            if done % 20 == 0 or done == total:
                bar("lists", done, total)

        who = named_in(users) if users is not None else shoppers(ranker)
        for found in rows_for(ranker, who, k, progress=tick, **options):
            write(found)
            lists, rows = lists + 1, rows + len(found)
    seconds = time.perf_counter() - begun
    return {
        "out": str(out), "users": lists, "rows": rows, "seconds": round(seconds, 3),
        "users_per_s": round(lists / max(seconds, 1e-9), 1), "peak_rss_mb": round(peak_rss() / 2**20, 1),
        "bundle": ranker.name,
    }  # fmt: skip


@contextmanager
def parquet(path: Path) -> Iterator[Callable[[list[dict[str, Any]]], None]]:
    """A writer of rows in groups of `BATCH`, so that memory does not grow with the number of shoppers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = ("user_id", "product_id", "title", "price", "currency", "why")
    schema = pa.schema(
        [("user_id", pa.string()), ("place", pa.int32())]
        + [(name, pa.string()) for name in text[1:5]]
        + [("score", pa.float64()), ("why", pa.string())]
    )
    waiting: list[dict[str, Any]] = []
    with pq.ParquetWriter(path, schema) as file:

        def write(rows: list[dict[str, Any]]) -> None:
            waiting.extend(rows)
            if len(waiting) >= BATCH:
                file.write_table(pa.Table.from_pylist(waiting, schema))
                waiting.clear()

        yield write
        if waiting:
            file.write_table(pa.Table.from_pylist(waiting, schema))
