"""``wares fuse``, ``wares fusion …`` and ``wares evaluate dedupe``: one catalogue from several, review, and how good it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from wares.cli import output
from wares.cli.main import Json, Shop, _open
from wares.cli.tools import evaluate_app

fusion_app = typer.Typer(
    no_args_is_help=True,
    help="Clusters of one thing: list, review, merge, unmerge, history. Example: `wares fusion review --limit 5`",
)
Who = Annotated[str, typer.Option("--who", envvar="WARES_WHO", help="Who decides; kept with the decision.")]


def register(app: typer.Typer) -> None:
    """Put the commands onto `app`, once."""
    if any(group.name == "fusion" for group in app.registered_groups):
        return
    app.command("fuse", epilog="Example: `wares fuse --json`")(fuse)
    app.add_typer(fusion_app, name="fusion")
    evaluate_app.command(
        "dedupe",
        epilog="Examples: `wares evaluate dedupe --products offers.csv.gz --truth cluster_id --json` · `… --columns title,price --source shop --tune-share 0`",
    )(dedupe)
    evaluate_app.command(
        "catalogues",
        epilog="Example: `wares evaluate catalogues --train train.csv.gz --train valid.csv.gz --test test.csv.gz --json`",
    )(catalogues)


def fuse(shop: Shop = Path(), json: Json = False, who: Who = "wares") -> None:
    """Join products of several sources into clusters and golden records. Needs `[fusion] enabled = true`."""
    workspace = _open(shop)
    with output.stage_progress("fuse", quiet=json) as stage:
        report = workspace.fuser.fuse(who, stage)
    if json:
        output.print_json(report.to_json())
        return
    output.out.print(
        f"{report.products:,} products of {report.source_table} → [bold]{report.clusters:,}[/] things "
        f"({report.joined:,} products share one) in {report.seconds:.1f} s"
    )
    output.out.print(
        f"new {report.made:,} · merged {report.merged:,} · split {report.split:,} · decided pairs {report.decided:,}"
    )
    output.out.print(
        f"product_clusters version {report.clusters_version}, products_fused version {report.fused_version}"
    )
    if report.waiting:
        output.out.print(
            f"{report.waiting:,} doubtful pairs wait: `wares fusion review`, or the console's Fusion page"
        )


@fusion_app.command("list", epilog="Example: `wares fusion list --limit 10`")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    doubtful: Annotated[bool, typer.Option("--doubtful", help="Least sure first.")] = False,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Clusters of more than one product, largest first."""
    rows = _open(shop).fuser.listing(limit, doubtful=doubtful)
    if json:
        output.print_json(rows)
        return
    output.print_table(
        ["cluster", "products", "confidence", "title", "members"],
        [
            [r["cluster_id"], r["size"], r["confidence"], r["title"] or "", ", ".join(r["members"][:6])]
            for r in rows
        ],
    )


@fusion_app.command(
    epilog="Examples: `wares fusion review` · `wares fusion review --pair a17 b40 --verdict same --who ann`"
)
def review(
    pair: Annotated[tuple[str, str] | None, typer.Option(help="Two product ids to decide on.")] = None,
    verdict: Annotated[str, typer.Option(help="same, different or skip.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many to show.")] = 10,
    who: Who = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Doubtful pairs, most doubtful first; or decide on one. Decisions bind the next `wares fuse` and teach it."""
    fuser = _open(shop).fuser
    if pair is not None:
        known = {str(row["product_id"]) for row in fuser.products()[2]}
        for product in pair:
            if product not in known:
                from wares.core.errors import NotFound

                raise NotFound(f"there is no product {product!r}", mend="Give two product ids", id=product)
        number = fuser.book.decide(*pair, verdict, who)
        output.print_json({"decision": number}) if json else output.out.print(f"decision {number} kept")
        return
    rows = fuser.book.waiting(limit)
    if json:
        output.print_json({"waiting": fuser.book.left(), "pairs": rows})
        return
    titles = fuser.titles({row[side] for row in rows for side in ("left_id", "right_id")})
    output.print_table(
        ["left", "", "right", "", "probability"],
        [
            [
                r["left_id"],
                titles.get(r["left_id"], ""),
                r["right_id"],
                titles.get(r["right_id"], ""),
                r["probability"],
            ]
            for r in rows
        ],
    )
    output.out.print(f"{fuser.book.left():,} pairs wait")


@fusion_app.command(epilog="Example: `wares fusion merge c1f3a9 c77b20 --who ann`")
def merge(
    left: Annotated[str, typer.Argument(help="A cluster.")],
    right: Annotated[str, typer.Argument(help="Another cluster.")],
    who: Who = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Join two clusters, now and in later runs; `wares fusion unmerge` takes it back."""
    kept = _open(shop).fuser.merge(left, right, who)
    output.print_json({"cluster": kept}) if json else output.out.print(f"joined as [bold]{escape(kept)}[/]")


@fusion_app.command(
    epilog="Examples: `wares fusion unmerge c1f3a9 --who ann` · `wares fusion unmerge c1f3a9 --product b40 --who ann`"
)
def unmerge(
    cluster: Annotated[str, typer.Argument(help="The cluster.")],
    product: Annotated[
        list[str] | None, typer.Option(help="A product that leaves; give it several times for several.")
    ] = None,
    who: Who = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Take a cluster apart, as it was before its last merge or by named products, and keep it apart."""
    made = _open(shop).fuser.unmerge(cluster, product or [], who)
    if json:
        output.print_json({"clusters": made})
        return
    output.print_table(["cluster", "products"], [[name, ", ".join(rows)] for name, rows in made.items()])


@fusion_app.command(epilog="Example: `wares fusion history c1f3a9`")
def history(
    cluster: Annotated[str, typer.Argument(help="One cluster; without it, all.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """What became of clusters, and the decisions in force."""
    book = _open(shop).fuser.book
    rows, decided = book.history(cluster, limit), book.decided()
    if json:
        output.print_json({"events": rows, "decisions": decided})
        return
    output.print_table(
        ["at", "who", "what", "cluster", "detail"],
        [[r["at"][:19], r["who"], r["kind"], r["cluster"], str(r["detail"])[:120]] for r in rows],
    )
    output.print_table(
        ["decision", "left", "right", "verdict", "who", "why"],
        [
            [str(d["id"]), d["left_id"], d["right_id"], d["verdict"], d["who"], d["why"]]
            for d in decided[-limit:]
        ],
        "Decisions in force",
    )


@fusion_app.command(epilog="Example: `wares fusion undo 12 --who ann`")
def undo(
    decision: Annotated[int, typer.Argument(help="Its number, from `wares fusion history`.")],
    who: Who = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Take a decision back; the next `wares fuse` decides anew."""
    row = _open(shop).fuser.book.withdraw(decision, who)
    output.print_json(row) if json else output.out.print(
        f"withdrawn: {row['left_id']} / {row['right_id']} {row['verdict']}"
    )


def dedupe(
    products: Annotated[Path, typer.Option(help="CSV, TSV, JSON Lines or Parquet; gz, zst.")],
    truth: Annotated[str, typer.Option(help="The column that says which rows are one thing.")],
    title: Annotated[str, typer.Option(help="The column that names the thing; guessed if left out.")] = "",
    source: Annotated[
        str, typer.Option(help="The column of the vendor or catalogue; guessed if left out.")
    ] = "",
    columns: Annotated[
        str, typer.Option(help="Use these columns only, whatever they are; with commas.")
    ] = "",
    ignore: Annotated[str, typer.Option(help="Never use these columns; with commas.")] = "",
    tune_share: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of true clusters to learn from; 0: no labels at all.")
    ] = 0.5,
    unsupervised: Annotated[bool, typer.Option(help="Also report the figure without any labels.")] = False,
    seed: Annotated[int, typer.Option(help="Of the split and the models.")] = 7,
    json: Json = False,
) -> None:
    """Find the offers of one thing in a file, and score it: pairwise precision, recall, F1, B³, seconds; on held-out clusters."""
    from wares.evaluate.dedupe import DedupeTask, evaluate_dedupe

    def names(text: str) -> tuple[str, ...]:
        return tuple(name.strip() for name in text.split(",") if name.strip())

    task = DedupeTask(
        products,
        truth,
        title,
        source,
        names(columns),
        names(ignore),
        tune_share,
        seed,
        unsupervised=unsupervised,
    )
    with output.stage_progress("dedupe", quiet=json) as stage:
        report = evaluate_dedupe(task, stage)
    if json:
        output.print_json(report)
        return
    _print_scores(report)


def catalogues(
    train: Annotated[
        list[Path], typer.Option(help="Labelled pairs to learn from; may be given several times.")
    ],
    test: Annotated[Path, typer.Option(help="Labelled pairs to score.")],
    seed: Annotated[int, typer.Option(help="Of the models.")] = 7,
    json: Json = False,
) -> None:
    """Match two catalogues, made of the distinct left and right records of pair files (left_*, right_*, label)."""
    from wares.evaluate.catalogues import evaluate_catalogues

    with output.stage_progress("catalogues", quiet=json) as stage:
        report = evaluate_catalogues(train, test, seed, stage)
    if json:
        output.print_json(report)
        return
    rows = [
        [f"{how}: {what}", scores["precision"], scores["recall"], scores["f1"]]
        for how in ("learned", "unsupervised")
        for what, scores in report[how]["scores"].items()
    ]
    output.print_table(["figure", "precision", "recall", "F1"], rows)


def _print_scores(report: dict[str, Any]) -> None:
    rows = []
    parts = [("test clusters", report["test"]), ("tuning clusters", report["tune"]), ("all", report["all"])]
    if "unsupervised" in report:
        parts += [
            ("no labels: test clusters", report["unsupervised"]["test"]),
            ("no labels: all", report["unsupervised"]["all"]),
        ]
    for name, scores in parts:
        pair, cubed = scores["pairwise"], scores["b3"]
        rows.append(
            [
                name,
                scores["offers"],
                pair["precision"],
                pair["recall"],
                pair["f1"],
                cubed["precision"],
                cubed["recall"],
                cubed["f1"],
            ]
        )
    output.print_table(
        ["scored on", "offers", "precision", "recall", "F1", "B³ precision", "B³ recall", "B³ F1"], rows
    )
    roles = report["roles"]
    output.out.print(
        f"title {roles['title']} · source {roles['source'] or 'none'} · labels {', '.join(roles['labels']) or 'none'} · {report['seconds']:.0f} s"
    )
    for name, reason in roles["excluded"].items():
        output.out.print(f"  left out: {escape(name)} ({reason})")
