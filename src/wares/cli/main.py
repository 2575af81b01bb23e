"""``wares``: every command, with examples in its help. Rooms are imported only by the commands that need them."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from wares.cli import output
from wares.core.errors import WaresError
from wares.core.extras import missing_extra
from wares.core.machine import share_cores

share_cores()
app = typer.Typer(
    name="wares", no_args_is_help=True, add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False,
    help="The open, self-hosted intelligence of a shop: exports in; search, recommendations and governed data out.\n\n"
    "First steps: `wares demo shop`, then `wares serve --shop shop --console`. Exit codes: 0 done, 1 fault, 2 usage, 3 contract broken.",
)  # fmt: skip

GROUPS = (
    "tools",
    "registry",
    "label",
    "clean",
    "quality",
    "access",
    "privacy",
    "fusion",
    "tune",
    "encoder",
    "bench_recommend",
    "graph",
    "recommend",
    "services",
    "evaluate_services",
    "search_evaluate",
    "match",
    "price",
    "elasticity",
    "audience",
    "similar",
    "sentiment",
    "bench_sentiment",
    "bench_suggest",
    "aspects",
    "mood",
    "mood_uses",
    "search_reading",
    "synonyms",
)
"""Modules of this package that put further commands onto the application; each has a ``register(app)``."""

Shop = Annotated[
    Path, typer.Option("--shop", "-C", envvar="WARES_SHOP", help="The workspace.", show_default="this folder")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


def _open(shop: Path) -> Any:
    from wares.pipeline.workspace import open_workspace

    return open_workspace(shop)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        import wares

        sys.stdout.write(f"wares {wares.__version__}\n")
        raise typer.Exit()


@app.command(epilog="Example: `wares demo shop`")
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to make it.")] = Path("shop"),
    evaluate: Annotated[bool, typer.Option(help="Measure how good the recommendations are.")] = True,
    json: Json = False,
) -> None:
    """Make the demo shop, a real grocer's year: export, ingest, build, evaluate, publish. Done steps are not done again."""
    from wares.cli.work import make_demo

    report = make_demo(folder, evaluate=evaluate, quiet=json)
    output.print_json(report) if json else None


@app.command(
    epilog="Example: `wares init myshop --name Lamps --currency EUR --products exports/products.csv`"
)
def init(
    folder: Annotated[Path, typer.Argument(help="Where to make it.")],
    name: Annotated[str, typer.Option(help="Name of the shop.")] = "",
    currency: Annotated[str, typer.Option(help="ISO 4217 code.")] = "",
    products: Annotated[str, typer.Option(help="Path of the product export.")] = "",
    events: Annotated[str, typer.Option(help="Path of the event export.")] = "",
    json: Json = False,
) -> None:
    """Make a workspace for your own data: a commented `wares.toml` and a contract for each table. Asks what you leave out."""
    from wares.pipeline.workspace import init_workspace, starter_config

    if sys.stdin.isatty() and not json:
        name = name or typer.prompt("Name of the shop", default=folder.name or "My shop")
        currency = currency or typer.prompt("Currency", default="EUR")
        products = products or typer.prompt(
            "Product export (file, folder or glob; empty for later)", default="", show_default=False
        )
        events = events or typer.prompt("Event export (empty for later)", default="", show_default=False)
    sources = tuple(
        (table, str(Path(path).resolve()))
        for table, path in (("products", products), ("events", events))
        if path
    )
    shop = init_workspace(
        folder, starter_config(name or folder.name or "My shop", currency or "EUR", sources)
    )
    if json:
        output.print_json({"workspace": str(shop.root), "config": str(shop.root / "wares.toml")})
        return
    output.out.print(f"Made [bold]{shop.root}[/]. Next: look at wares.toml, then")
    output.out.print(
        f"  wares ingest --shop {folder}    wares build --shop {folder}    wares publish --shop {folder}    wares serve --shop {folder} --console"
    )


@app.command(epilog="Examples: `wares ingest exports/items.csv.gz --as products` · `wares ingest`")
def ingest(
    path: Annotated[
        str, typer.Argument(help="File, folder or glob; without it, all configured sources.")
    ] = "",
    table: Annotated[str, typer.Option("--as", help="products, events, reviews, queries or prices.")] = "",
    encoding: Annotated[str, typer.Option(help="As utf-8, gb18030, latin-1.")] = "auto",
    delimiter: Annotated[str, typer.Option(help="One character, or tab.")] = "auto",
    duplicates: Annotated[str, typer.Option(help="quarantine, first or last.")] = "quarantine",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Land exports under contract: good rows in the table, broken ones in quarantine. Exit 3 when a blocking rule broke."""
    from wares.cli.work import run_ingest

    options = {"encoding": encoding, "delimiter": delimiter, "duplicates": duplicates} if path else {}
    broken = run_ingest(_open(shop), path, table, options, as_json=json)
    raise typer.Exit(output.BROKEN if broken else output.DONE)


@app.command(epilog="Example: `wares build`")
def build(shop: Shop = Path(), json: Json = False) -> None:
    """Make what is stale: vectors, models, indexes. A killed build goes on where it stopped."""
    from wares.cli.work import run_build

    run_build(_open(shop), as_json=json)


@app.command(epilog="Example: `wares publish`")
def publish(shop: Shop = Path(), json: Json = False) -> None:
    """Make the last build live, atomically; running servers take it up within a second."""
    folder = _open(shop).publish()
    output.print_json({"bundle": folder.name, "path": str(folder)}) if json else output.out.print(
        f"live: [bold]{folder.name}[/]"
    )


@app.command(epilog="Example: `wares rollback`")
def rollback(shop: Shop = Path(), json: Json = False) -> None:
    """Make the bundle before the live one live again."""
    name = _open(shop).rollback()
    output.print_json({"bundle": name}) if json else output.out.print(f"live: [bold]{name}[/]")


@app.command(epilog="Examples: `wares serve --console` · `wares serve --host 0.0.0.0 --workers 2`")
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "",
    port: Annotated[
        int, typer.Option(min=-1, max=65535, help="0 takes a free one.", show_default="from wares.toml")
    ] = -1,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes; they share the bundle's memory.")
    ] = 1,
    console: Annotated[bool, typer.Option("--console", help="With the web pages (one worker).")] = False,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Serve the live bundle over HTTP. Beyond loopback every request needs a key: `wares key create`."""
    from wares.core.config import FILE, load_config
    from wares.core.errors import ConfigError
    from wares.serve.runner import free_port
    from wares.serve.runner import serve as run_server

    if console and workers > 1:
        raise ConfigError(
            "the console runs in single-worker mode",
            mend="Leave out --workers or --console",
            key="workers",
            source="serve",
        )
    settings = load_config(shop / FILE).serve
    settings = settings.model_copy(
        update={"host": host or settings.host, "port": port if port >= 0 else settings.port}
    )
    settings = settings.model_copy(update={"port": free_port(settings.host, settings.port)})
    address = f"http://{settings.host}:{settings.port}"
    if json:
        output.print_json({"address": address, "workers": workers, "console": console})
        sys.stdout.flush()
    else:
        output.err.print(
            f"[bold]{address}[/]  API at {address}/docs"
            + (f", console at {address}/" if console else "")
            + "  (Ctrl-C ends)"
        )
    run_server(shop.resolve(), settings, workers=workers, console=console)


@app.command("console", epilog="Example: `wares console`")
def console_(
    port: Annotated[int, typer.Option(min=-1, max=65535, show_default="from wares.toml")] = -1,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Serve the API with the web pages: storefront and workshop."""
    serve(host="", port=port, workers=1, console=True, shop=shop, json=json)


def _print_hits(hits: list[Any], *, as_json: bool, **more: Any) -> None:
    from wares.serve.schemas import hit_json

    if as_json:
        output.print_json({"hits": [hit_json(hit) for hit in hits], **more})
        return
    rows = [
        [h.product.product_id, h.product.title, str(h.product.price or ""), h.score, h.why.text] for h in hits
    ]
    output.print_table(["id", "title", "price", "score", "why"], rows)


def _load(shop: Path) -> Any:
    from wares.core.config import FILE, load_config
    from wares.core.state import State
    from wares.serve.ranker import load_ranker

    return load_ranker(shop, State.at(shop / "state", load_config(shop / FILE).state.url))


@app.command(epilog='Example: `wares search "chocolate cookies" --user 900`')
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    user: Annotated[str, typer.Option(help="The shopper.")] = "",
    k: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 10,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Ask the live bundle, without a server."""
    page = _load(shop).search(query, user or None, k)
    _print_hits(page.hits, as_json=json, total=page.total, relaxed=page.relaxed, corrected=page.corrected)


def run() -> None:
    """The entry point: turns our errors into a message, a mend and an exit code."""
    for group in GROUPS:
        importlib.import_module(f"wares.cli.{group}").register(app)
    try:
        app(standalone_mode=True)
    except WaresError as error:
        output.show_error(error, as_json="--json" in sys.argv)
        sys.exit(output.exit_code(error))
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        output.show_error(missing, as_json="--json" in sys.argv)
        sys.exit(output.FAULT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(output.DONE)
    except KeyboardInterrupt:
        output.err.print("stopped; what was finished is kept")
        sys.exit(130)
