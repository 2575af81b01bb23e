"""``wares similar``; ``wares evaluate similar`` and ``images``; ``wares bench similar``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from wares.cli import output
from wares.cli.main import Json, Shop, _load, _print_hits
from wares.cli.tools import bench_app, evaluate_app
from wares.core.errors import QueryError


def register(app: typer.Typer) -> None:
    """Put the commands onto the application, once."""
    if any(command.name == "similar" for command in app.registered_commands):
        return
    app.command(
        "similar", epilog="Example: `wares similar 1029743 --kind substitute --weights text:1,price:1`"
    )(similar)
    evaluate_app.command(
        "similar", epilog="Example: `wares evaluate similar --events FOLDER --seeds 3 --json`"
    )(evaluate_similar)
    evaluate_app.command("images", epilog="Example: `wares evaluate images --images FOLDER --json`")(
        evaluate_images
    )
    bench_app.command("similar", epilog="Example: `wares bench similar --items 1000000`")(bench_similar)


def _command() -> str:
    return shlex.join(["wares", *sys.argv[1:]])


def weights_of(text: str) -> dict[str, float] | None:
    """``text:1,price:0`` as weights by dimension; None for nothing.

    Raises:
        QueryError: when it cannot be read.
    """
    if not text:
        return None
    try:
        pairs = (part.split(":", 1) for part in text.split(","))
        return {name.strip(): float(value) for name, value in pairs}
    except ValueError:
        raise QueryError(
            f"cannot read weights {text[:80]!r}", mend="Write text:1,behaviour:2", parameter="weights"
        ) from None


def similar(
    product: Annotated[str, typer.Argument(help="Its id; empty with --image, --words or --groups.")] = "",
    k: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 10,
    kind: Annotated[
        str,
        typer.Option(
            help="like, same, substitute, complement or style; those that the shop has signals for."
        ),
    ] = "like",
    weights: Annotated[
        str, typer.Option(help="By dimension, as text:1,price:0; what is not named counts nothing.")
    ] = "",
    image: Annotated[Path | None, typer.Option(help="An image file in place of a product.")] = None,
    words: Annotated[str, typer.Option(help="What a product's picture shows, in place of a product.")] = "",
    groups: Annotated[
        bool, typer.Option("--groups", help="Near-duplicates and variants of the whole catalogue instead.")
    ] = False,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Products like one, like an image, or fitting words; each with what every dimension adds to its score."""
    if sum((bool(product), image is not None, bool(words), groups)) != 1:
        raise QueryError(
            "name one of a product, --image, --words and --groups",
            mend="See `wares similar --help`",
            parameter="product",
        )
    if groups:
        _groups(shop, k, json)
        return
    ranker = _load(shop)
    if image is not None:
        _print_hits(ranker.alike.by_image(image, k), as_json=json)
        return
    if words:
        _print_hits(ranker.alike.by_words(words, k), as_json=json)
        return
    hits = ranker.similar(product, k, weights=weights_of(weights), kind=kind)
    if json:
        _print_hits(
            hits, as_json=True, kinds=list(ranker.likeness.kinds), dimensions=list(ranker.likeness.names)
        )
        return
    rows = [
        [hit.product.product_id, hit.product.title, hit.score, _made_of(hit.parts), hit.why.text]
        for hit in hits
    ]
    output.print_table(["product", "title", "score", "made of", "why"], rows)
    output.out.print(escape(f"Kinds of this shop: {', '.join(ranker.likeness.kinds)}"))


def _made_of(parts: Mapping[str, float]) -> str:
    """What the dimensions add to a score, most first: a column each would be too narrow to read."""
    added = sorted(parts.items(), key=lambda part: -abs(part[1]))
    return ", ".join(f"{name} {value:.2f}" for name, value in added if abs(value) >= 0.005)


def _groups(shop: Path, k: int, json: bool) -> None:
    from wares.serve.groups import find_groups

    ranker = _load(shop)
    with output.step_progress(quiet=json) as tick:
        found = find_groups(
            ranker.catalogue, ranker.likeness, lambda done, total: tick("groups", done, total)
        )
    if json:
        output.print_json({"groups": [group.to_json(ranker.catalogue) for group in found]})
        return
    rows = [
        [group.kind, len(group.rows), str(ranker.catalogue.columns["title"][group.rows[0]]), ", ".join(str(ranker.catalogue.ids[r]) for r in group.rows[:6]), group.why]
        for group in found[:k]
    ]  # fmt: skip
    output.print_table(["kind", "products", "title", "ids", "they differ in"], rows)
    duplicates = sum(len(g.rows) - 1 for g in found if g.kind == "duplicate")
    variants = sum(len(g.rows) - 1 for g in found if g.kind == "variant")
    output.out.print(
        f"{len(found):,} groups: {duplicates:,} near-duplicates and {variants:,} variants could be folded"
    )


def evaluate_similar(
    events: Annotated[
        Path, typer.Option(help="A folder with sequences, items and kg_triples, or the events file.")
    ],
    graph: Annotated[Path | None, typer.Option(help="Triples of head, relation, tail.")] = None,
    products: Annotated[Path | None, typer.Option(help="Products with their texts.")] = None,
    substitutes: Annotated[
        str, typer.Option(help="Relations that name substitutes, with commas.")
    ] = "also_viewed",
    complements: Annotated[
        str, typer.Option(help="Relations that name complements, with commas.")
    ] = "also_bought,bought_together",
    seeds: Annotated[int, typer.Option(min=1, max=10, help="How often the edges are held out anew.")] = 1,
    limit: Annotated[int, typer.Option(min=0, help="Products asked for in the test; 0: all.")] = 2000,
    cache: Annotated[Path | None, typer.Option(help="Keep text vectors here.")] = None,
    json: Json = False,
) -> None:
    """Held-out edges of a product graph ranked by each dimension alone, by uniform and by learned fusion."""
    from wares.evaluate.similar import SimilarTask, evaluate_similar

    task = SimilarTask(
        events, graph, products, tuple(x.strip() for x in substitutes.split(",") if x.strip()),
        tuple(x.strip() for x in complements.split(",") if x.strip()), tuple(range(7, 7 + seeds)), limit, cache,
    )  # fmt: skip
    with output.stage_progress("evaluate", quiet=json) as stage:
        report = evaluate_similar(task, _command(), stage)
    if json:
        output.print_json(report.to_json())
        return
    names = ["ndcg@10", "recall@10", "recall@20", "mrr@20"]
    rows = [[r["kind"], r["name"], *(r[m] for m in names), r.get("known")] for r in report.parts]
    output.print_table(
        ["kind", "ranked by", *names, "of products"], rows, "Held-out edges, whole catalogue ranked"
    )
    for metric, apart in report.differences.items():
        low, high = apart["interval"]
        output.out.print(
            escape(
                f"{metric}: learned against {apart['against']} {apart['mean']:+.4f} ({low:+.4f} to {high:+.4f})"
            )
        )


def evaluate_images(
    images: Annotated[Path, typer.Option(help="A folder of train/CLASS/*.jpg and validation/CLASS/*.jpg.")],
    model: Annotated[str, typer.Option(help="As `image.model`; empty: the offline default.")] = "",
    seed: Annotated[int, typer.Option(help="Of folds and resamples.")] = 7,
    cache: Annotated[
        Path | None, typer.Option(help="Keep the exported encoder and text vectors here.")
    ] = None,
    json: Json = False,
) -> None:
    """What the image encoder tells apart: nearest neighbours, and images found by words through the learned projection."""
    from wares.core.config import ImageConfig
    from wares.evaluate.images import evaluate_images, to_rows

    config = ImageConfig.model_validate({"model": model} if model else {})
    with output.stage_progress("evaluate", quiet=json) as stage:
        report = evaluate_images(images, _command(), seed=seed, config=config, cache=cache, say=stage)
    if json:
        output.print_json(report.to_json())
        return
    output.print_table(
        ["figure", "value", "low", "high"],
        to_rows(report),
        f"{report.data['test']} images of {report.data['classes']} classes",
    )
    output.out.print(f"{report.seconds:.0f} s, peak {report.peak_rss_mb:.0f} MB")


def bench_similar(
    items: Annotated[int, typer.Option(min=1000, help="Generated products.")] = 1_000_000,
    dim: Annotated[int, typer.Option(min=8, max=1024, help="Length of a fused vector.")] = 128,
    queries: Annotated[int, typer.Option(min=10, help="Queries timed and compared with exact search.")] = 500,
    more: Annotated[int, typer.Option(min=1, help="Products inserted afterwards.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the products.")] = 7,
    json: Json = False,
) -> None:
    """The index over the fused space: recall@10 against exact search, filtered queries, memory, insertions."""
    from wares.cli.bench_similar import bench

    with output.stage_progress("bench", quiet=json) as stage:
        found: dict[str, Any] = bench(items, dim, queries, more, seed, stage)
    if json:
        output.print_json(found)
        return
    output.print_table(
        ["figure", "value"], [[name, value] for name, value in found.items()], f"{items:,} products"
    )
