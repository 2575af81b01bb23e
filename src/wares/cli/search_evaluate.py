"""``wares evaluate search``: how well search finds what was judged right, beside tuned BM25 and untuned vectors."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from wares.cli import output
from wares.cli.main import Json
from wares.cli.tools import evaluate_app


def register(app: typer.Typer) -> None:
    """Put the command onto its group, once."""
    if any(command.name == "search" for command in evaluate_app.registered_commands):
        return
    evaluate_app.command(
        "search",
        epilog="Examples: `wares evaluate search --products p.csv --queries q.csv --judgements j.csv --json` · `wares evaluate search --clusters offers.csv.gz --adapt-steps 60`",
    )(search)


def search(
    products: Annotated[Path | None, typer.Option(help="product_id, title, and more if there is.")] = None,
    queries: Annotated[Path | None, typer.Option(help="query_id, text.")] = None,
    judgements: Annotated[
        Path | None, typer.Option(help="query_id, product_id, grade (0: not wanted).")
    ] = None,
    train_queries: Annotated[Path | None, typer.Option(help="Other queries, to tune by.")] = None,
    train_judgements: Annotated[Path | None, typer.Option(help="Their judgements.")] = None,
    clusters: Annotated[
        Path | None, typer.Option(help="Offers and what is one thing: a title asks for its cluster.")
    ] = None,
    text: Annotated[str, typer.Option(help="With --clusters: the column of titles.")] = "product_title",
    group: Annotated[str, typer.Option(help="With --clusters: the column of clusters.")] = "cluster_id",
    adapt_steps: Annotated[
        int,
        typer.Option(min=0, help="With --clusters: steps that adapt the encoder on the training clusters."),
    ] = 0,
    zh_tasks: Annotated[Path | None, typer.Option(help="Folder with query_item_matching.jsonl.gz.")] = None,
    zh_queries: Annotated[
        Path | None,
        typer.Option(help="With --zh-tasks: a file of real queries, the last column of each line."),
    ] = None,
    most: Annotated[
        int, typer.Option(min=50, help="With --clusters and --zh-queries: queries asked.")
    ] = 1000,
    model: Annotated[str, typer.Option(help="An encoder other than the usual one.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of the split and the resampling.")] = 7,
    work: Annotated[
        Path | None, typer.Option(help="With --adapt-steps: keep the adapted encoder's vectors here.")
    ] = None,
    json: Json = False,
) -> None:
    """NDCG@10, MRR, recall@10 and @100, empty answers and time of search, beside tuned BM25 and untuned vectors, with intervals."""
    from wares.core.config import Encoder
    from wares.core.errors import QueryError

    judged = (products, queries, judgements)
    chosen = [any(judged), clusters is not None, zh_tasks is not None]
    if sum(chosen) != 1 or (any(judged) and not all(judged)):
        raise QueryError(
            "nothing, or more than one thing, to evaluate",
            mend="Give --products, --queries and --judgements; or --clusters; or --zh-tasks",
            parameter="products",
        )
    if (train_queries is None) != (train_judgements is None):
        raise QueryError(
            "training queries and their judgements go together", mend="Give both", parameter="train-queries"
        )
    output.check_files(products, queries, judgements, train_queries, train_judgements, clusters, zh_queries)
    encoder = Encoder.model_validate({"model": model} if model else {})
    with output.stage_progress("evaluate search", quiet=json) as say:
        if clusters is not None:
            found = _clusters(clusters, text, group, encoder, adapt_steps, seed, most, work, say)
        elif zh_tasks is not None:
            from wares.evaluate.search_zh import evaluate_zh

            found = evaluate_zh(zh_tasks, zh_queries, seed=seed, most=most, say=say)
        else:
            from wares.evaluate.search_files import evaluate_search

            assert products is not None
            assert queries is not None
            assert judgements is not None
            training = (
                None
                if train_queries is None or train_judgements is None
                else (train_queries, train_judgements)
            )
            found = evaluate_search(products, queries, judgements, training, encoder, seed=seed, say=say)
    found = {"command": shlex.join(["wares", *sys.argv[1:]]), **found}
    if json:
        output.print_json(found)
    else:
        _print(found)


def _clusters(
    path: Path,
    text: str,
    group: str,
    encoder: Any,
    steps: int,
    seed: int,
    most: int,
    work: Path | None,
    say: Any,
) -> dict[str, Any]:
    from dataclasses import replace

    from wares.evaluate.encoder import EncoderTask, adapted_vectors
    from wares.evaluate.search_clusters import Vectors, evaluate_clusters, plain_vectors
    from wares.features.pair_files import read_groups
    from wares.pipeline.adapting import recipe_of

    pairs = read_groups(path, text, group)

    def vectors(part: Any) -> Vectors:
        if not steps:
            return plain_vectors(pairs, encoder, say)
        recipe = recipe_of(encoder, seed, steps=steps, gate_pool=0)
        recipe = replace(recipe, build=replace(recipe.build, method="full"))
        task = EncoderTask(pairs, str(path), recipe, ("full",), (seed,), blend=False)
        taught, untuned, facts = adapted_vectors(task, "full", seed, part, work, say)
        return Vectors(taught, untuned, {"model": encoder.model, "adapted": facts})

    return evaluate_clusters(pairs, vectors, seed=seed, most=most, say=say)


def _print(found: dict[str, Any]) -> None:
    if "accuracy" in found:
        output.print_table(["system", "accuracy"], list(found["accuracy"].items()), found["task"])
        for name, d in found["differences"].items():
            output.out.print(f"{name}: {d['mean']:+.4f} ({d['interval'][0]:+.4f} to {d['interval'][1]:+.4f})")
        if real := found.get("real queries"):
            output.out.print(", ".join(f"{name} {value}" for name, value in real.items()))
        return
    names = ["ndcg@10", "mrr", "recall@10", "recall@100", "zero", "p50_ms", "p95_ms"]
    rows = [[system, *(values[n] for n in names)] for system, values in found["systems"].items()]
    output.print_table(["system", *names], rows, f"{found['queries']} queries, {found['products']} products")
    for name, each in found["differences"].items():
        d = each["recall@10"]
        output.out.print(
            f"{name}, recall@10: {d['mean']:+.4f} ({d['interval'][0]:+.4f} to {d['interval'][1]:+.4f})"
        )
    fusion = found["fusion"]
    output.out.print(
        f"fusion: {fusion['weights'] or fusion['reason']}; NDCG@10 on the other half {fusion['without']:.4f} → {fusion['with_it']:.4f}"
    )
