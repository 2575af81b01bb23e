"""``wares graph`` and ``wares evaluate graph``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from wares.cli import output
from wares.cli.main import Json, Shop, _open
from wares.cli.tools import _command, evaluate_app

graph_app = typer.Typer(
    no_args_is_help=True, help="The knowledge graph of the shop. Example: `wares graph show 1029743`"
)


def register(app: typer.Typer) -> None:
    """Put the group and the evaluation onto `app`, once."""
    if any(group.name == "graph" for group in app.registered_groups):
        return
    app.add_typer(graph_app, name="graph")
    evaluate_app.command(
        "graph",
        epilog="Examples: `wares evaluate graph --ratings user_artists.dat.gz --links item2entity.txt.gz --kg kg.txt.gz --json` · "
        "`wares evaluate graph --events amazon5core_beauty --json`",
    )(evaluate_graph)


def _live(shop: Path) -> tuple[Any, Any]:
    """(graph, catalogue) of the live bundle."""
    from wares.core import bundles
    from wares.core.errors import NotFitted
    from wares.features.catalogue import Catalogue
    from wares.graph.infer import Graph

    folder = bundles.live_bundle(shop)
    if not (folder / "graph").is_dir():
        raise NotFitted("the live bundle has no graph", mend="Run `wares build` and `wares publish`")
    return Graph(folder / "graph"), Catalogue(folder / "catalogue")


def _row(graph: Any, catalogue: Any, product: str) -> int:
    from wares.core.errors import NotFound

    row = catalogue.row(product)
    if row < 0:
        raise NotFound(f"there is no product {product[:80]!r}", mend="Check the id", id=product[:80])
    return int(row)


def _named(graph: Any, catalogue: Any, edge: Any) -> str:
    kind, value = graph.label(edge.tail)
    title = f" {catalogue.product(edge.tail).title}" if edge.tail < graph.n_products else ""
    return f"{kind} {value}{title}"


@graph_app.command(
    "show", epilog="Examples: `wares graph show 1029743` · `wares graph show --entity brand:acme --limit 20`"
)
def show(
    product: Annotated[str, typer.Argument(help="Its id.", show_default=False)] = "",
    entity: Annotated[str, typer.Option(help="Another entity, as `kind:value`.")] = "",
    relation: Annotated[str, typer.Option(help="Only this relation, as has_brand.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most edges, strongest first.")] = 30,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """What the graph says of a product or another entity: its edges with weight, source and day."""
    from wares.core.errors import QueryError
    from wares.serve.graph_reasons import edge_json

    if bool(product) == bool(entity) or (entity and ":" not in entity):
        raise QueryError(
            "name a product, or an entity",
            mend="`wares graph show ID` or `--entity brand:acme`",
            parameter="entity",
        )
    graph, catalogue = _live(shop)
    row = graph.entity(*entity.split(":", 1)) if entity else _row(graph, catalogue, product)
    edges = graph.neighbours(row, relation or None, limit)
    kind, value = graph.label(row)
    if json:
        output.print_json(
            {
                "entity": {"kind": kind, "value": value}, "relations": graph.counts(row),
                "edges": [edge_json(graph, edge) for edge in edges],
            }
        )  # fmt: skip
        return
    rows = [
        [
            edge.relation if edge.forward else f"is {edge.relation} of", _named(graph, catalogue, edge), edge.weight, edge.source,
            edge_json(graph, edge)["since"] or "always",
        ]
        for edge in edges
    ]  # fmt: skip
    output.print_table(["relation", "entity", "weight", "source", "since"], rows, f"{kind} {value}")


@graph_app.command("path", epilog="Example: `wares graph path 1029743 1106523`")
def path(
    one: Annotated[str, typer.Argument(help="A product.")],
    other: Annotated[str, typer.Argument(help="Another one.")],
    hops: Annotated[int, typer.Option(min=1, max=4, help="Most steps.")] = 3,
    limit: Annotated[int, typer.Option(min=1, max=50, help="Most paths.")] = 5,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """How two products hang together: the shortest paths, the strongest first."""
    from wares.serve.graph_reasons import graph_reason, steps_json

    graph, catalogue = _live(shop)
    a, b = _row(graph, catalogue, one), _row(graph, catalogue, other)
    found = graph.paths(a, b, hops, limit)
    said = graph_reason(graph, graph.between(a, b), catalogue.product(a).title, own=False) if a != b else None
    if json:
        paths = [steps_json(graph, p) for p in found]
        output.print_json({"from": one, "to": other, "why": said.text if said else "", "paths": paths})
        return
    if said is not None:
        output.out.print(said.text, markup=False)
    for steps in found:
        words = [f"product {one} {catalogue.product(a).title}"]
        for edge in steps:
            arrow = f"–{edge.relation}→" if edge.forward else f"←{edge.relation}–"
            words += [arrow, _named(graph, catalogue, edge)]
        output.out.print("  " + " ".join(words), markup=False)
    if not found:
        output.out.print("no path of so few steps")


@graph_app.command("triples", epilog="Example: `wares graph triples --out triples.csv.gz`")
def triples(
    out: Annotated[Path, typer.Option(help="File to write: .csv, .csv.gz or .parquet.")],
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Export all triples: head, relation, tail, weight, source and day (days since 1970, -1 for always)."""
    from wares.graph.export import export_triples

    workspace = _open(shop)
    with output.stage_progress("export", quiet=json) as stage:
        reading = workspace.asset("graph_triples")
        written = export_triples(reading.batches(), out, lambda n: stage(f"{n:,} triples"))
    output.print_json({"file": str(out), "triples": written}) if json else output.out.print(
        f"{written:,} triples in {out}", markup=False
    )


@graph_app.command("add", epilog="Example: `wares graph add compatible.csv`")
def add(
    file: Annotated[
        Path, typer.Argument(help="Columns head, relation, tail and, if there are, weight and date.")
    ],
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Take external triples into the workspace, as a copy in `graph/`; the next build uses them. Nothing is taken from a broken file."""
    from wares.core.errors import NotFitted
    from wares.core.strings import StringTable
    from wares.graph.files import add_file
    from wares.graph.triples import Triples
    from wares.pipeline.graphing import FOLDER, other_names

    output.check_files(file)
    workspace = _open(shop)
    latest = workspace.root / "build" / "latest.json"
    if not latest.is_file():
        raise NotFitted("nothing is built yet, so no product is known", mend="Run `wares build` first")
    from wares.core.files import read_json

    folder = workspace.root / read_json(latest)["done"]["catalogue"]
    made = Triples(list(StringTable.load(folder, "product_id")))
    read = add_file(made, file, other_names(folder))
    known = sum(int((chunk[0] < made.n_products).sum()) for chunk in made.chunks)
    target = workspace.root / FOLDER / file.name
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(file, target)
    workspace.audit.record(
        "cli", "graph.add", file.name, {"triples": read, "of_products": known}, role="owner"
    )
    facts = {
        "file": str(target),
        "triples": read,
        "of_products": known,
        "entities": len(made.entities) - made.n_products,
    }
    if json:
        output.print_json(facts)
        return
    output.out.print(
        f"{read:,} triples, {known:,} of them about products; `wares build` uses them", markup=False
    )
    if not known:
        output.out.print("[yellow]warning[/] no head is a product id or the URL of one")


def evaluate_graph(
    ratings: Annotated[
        Path | None, typer.Option(help="Users and items they took up: userID, artistID or user_id, item_id.")
    ] = None,
    links: Annotated[
        Path | None, typer.Option(help="An item and its entity of the graph in each line.")
    ] = None,
    kg: Annotated[
        Path | None, typer.Option(help="Triples; a .txt has no line of names and tabs between the three.")
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(
            help="Sequences, as for `wares evaluate recommend`; or a folder with kg_triples.csv beside them."
        ),
    ] = None,
    products: Annotated[Path | None, typer.Option(help="Products with texts, for text vectors.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=20, help="How often what is random is drawn.")] = 3,
    seed: Annotated[int, typer.Option(help="The first seed.")] = 7,
    tuning_users: Annotated[int, typer.Option(min=0, help="Validation users that choose (0: all).")] = 2000,
    test_users: Annotated[
        int, typer.Option(min=0, help="Users that are tested, drawn by the seed (0: all).")
    ] = 0,
    cache: Annotated[Path | None, typer.Option(help="Keep text vectors here.")] = None,
    json: Json = False,
) -> None:
    """What a knowledge graph is worth: click-through prediction by the protocol of KGCN, or a product graph's own recommendations.

    With --ratings, --links and --kg: AUC and F1 of behaviour, graph and both. With --events: leave-last over the whole catalogue,
    by equal and by learned relation weights and by vectors spread over 1 to 3 hops, with and without what shoppers drew.
    """
    from wares.core.errors import QueryError
    from wares.evaluate import graph_files

    given = [path for path in (ratings, links, kg, events, products) if path is not None]
    output.check_files(*given, folder=events)
    drawn = [seed + i for i in range(seeds)]
    with output.stage_progress("evaluate", quiet=json) as stage:
        if ratings is not None and links is not None and kg is not None and events is None:
            report = graph_files.evaluate_ratings(ratings, links, kg, _command(), drawn, stage)
        elif events is not None and ratings is None and links is None:
            task = graph_files.sequence_task(
                events,
                kg,
                products,
                seeds=tuple(drawn),
                tuning_users=tuning_users,
                limit=test_users,
                cache=cache,
            )
            report = graph_files.evaluate_sequences(task, _command(), stage)
        else:
            raise QueryError(
                "what shall be evaluated?",
                mend="Give --ratings, --links and --kg; or --events with its triples",
                parameter="events",
            )
    if json:
        output.print_json(report.to_json())
        return
    names = [
        n for n in ("auc", "f1", "valid_ndcg@10", "ndcg@10", "hr@10", "recall@20") if n in report.parts[0]
    ]
    rows = [
        [row["name"], row.get("graph", ""), *(_spread(row, name) for name in names)] for row in report.parts
    ]
    output.print_table(["variant", "graph", *names], rows, "Knowledge graph")
    for name, values in report.baselines.items():
        output.out.print(f"published, {name}: " + ", ".join(f"{k} {v}" for k, v in values.items()))
    output.out.print(f"{report.seconds:.0f} s, peak memory {report.peak_rss_mb:.0f} MB")


def _spread(row: dict[str, Any], name: str) -> str:
    spread = row.get(f"{name}_sd", 0.0)
    return f"{row[name]:.4f}" + (f" ± {spread:.4f}" if row["seeds"] > 1 and spread else "")
