"""``wares label``: labelling projects, by hand in the console and by file here."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from wares.cli import output
from wares.cli.main import Json, Shop, _open
from wares.cli.tools import evaluate_app

label_app = typer.Typer(
    no_args_is_help=True,
    help="Labels: who said what, when, from which version. Example: `wares label create mood --kind sentiment --asset reviews`",
)
Name = Annotated[str, typer.Argument(help="The labelling project.")]
Who = Annotated[str, typer.Option("--annotator", "-a", envvar="WARES_ANNOTATOR", help="Whose work it is.")]
By = Annotated[str, typer.Option(envvar="WARES_ANNOTATOR", help="Who does this.")]


def register(app: typer.Typer) -> None:
    """Put the group onto `app`, once."""
    if any(group.name == "label" for group in app.registered_groups):
        return
    app.add_typer(label_app, name="label")


def _book(shop: Path) -> Any:
    from wares.data.labels import LabelBook

    return LabelBook.of(_open(shop))


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _landed(report: Any, as_json: bool, what: str) -> None:
    """Print what landed and what was refused; exit 3 when something was."""
    if as_json:
        output.print_json(asdict(report))
    else:
        output.out.print(f"{report.landed:,} {what}, {report.same:,} known already")
        if report.refused:
            output.print_table(
                ["line", "refused because", "mend"],
                [[r["line"], r["message"], r["mend"]] for r in report.refused[:50]],
            )
            output.err.print(f"{len(report.refused):,} refused; the others landed")
    raise typer.Exit(output.BROKEN if report.refused else output.DONE)


@label_app.command("projects", epilog="Example: `wares label projects`")
def projects(shop: Shop = Path(), json: Json = False) -> None:
    """All projects with their progress and agreement."""
    from wares.data.labels import measure

    book = _book(shop)
    rows = [{**asdict(p), **book.progress(p), "alpha": measure(book, p).alpha} for p in book.projects()]
    if json:
        output.print_json(rows)
        return
    output.print_table(
        ["project", "kind", "items", "done", "answers", "machine", "settled", "alpha"],
        [
            [r["name"], r["kind"], r["items"], r["done"], r["answers"], r["machine_answers"], r["adjudicated"], r["alpha"]]
            for r in rows
        ],
    )  # fmt: skip


@label_app.command(
    "create",
    epilog="Example: `wares label create mood --kind sentiment --overlap 2 --asset reviews --key review_id`",
)
def create(
    name: Name,
    kind: Annotated[
        str, typer.Option(help="sentiment, aspect, same-product, query-product, category, choice.")
    ],
    options: Annotated[str, typer.Option(help="Answers, with commas; a category or choice needs them.")] = "",
    question: Annotated[str, typer.Option(help="What people are asked.")] = "",
    level: Annotated[str, typer.Option(help="nominal, ordinal or interval, for agreement.")] = "",
    fields: Annotated[str, typer.Option(help="Parts of the payload to judge, with commas.")] = "",
    overlap: Annotated[int, typer.Option(min=1, max=50, help="Annotators for each item.")] = 1,
    lease: Annotated[int, typer.Option(min=1, help="Seconds an item is kept for whoever got it.")] = 900,
    by: By = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Make a project. Fill it with `wares label add`."""
    project = _book(shop).create(
        name, kind, options=_parts(options), question=question, level=level, fields=_parts(fields),
        overlap=overlap, lease_s=lease, by=by,
    )  # fmt: skip
    if json:
        output.print_json(asdict(project))
        return
    output.out.print(f"Made [bold]{project.name}[/]: {project.question} ({', '.join(project.options)})")
    output.out.print(f"  next: wares label add {name} --asset reviews   or   --file rows.csv")


@label_app.command(
    "add", epilog="Example: `wares label add mood --file reviews.csv --map text=review --limit 1000`"
)
def add(
    name: Name,
    asset: Annotated[str, typer.Option(help="A table of the workspace.")] = "",
    version: Annotated[int, typer.Option(help="Of the table; -1 is the newest.")] = -1,
    file: Annotated[
        Path | None, typer.Option(help="CSV, JSON Lines or Parquet, in place of --asset.")
    ] = None,
    key: Annotated[
        str, typer.Option(help="Column that identifies a row.", show_default="the table's key")
    ] = "",
    map_: Annotated[str, typer.Option("--map", help="Field=column, with commas: text=review.")] = "",
    subject: Annotated[str, typer.Option(help="Column of the person it is about, for erasure.")] = "",
    gold: Annotated[
        str, typer.Option(help="Column with known answers, to check annotators and rules by.")
    ] = "",
    aspects: Annotated[str, typer.Option(help="For kind aspect: price,quality,…")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many rows, evenly drawn by key.")] = 1_000_000,
    by: By = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Put rows into a project as items; each remembers the table and version it came from. Exit 3 when rows were refused."""
    from wares.cli.labelling import file_rows, table_rows
    from wares.core.errors import QueryError
    from wares.data.labels.files import add_rows

    if bool(asset) == (file is not None):
        raise QueryError("where from?", mend="Give --asset TABLE or --file FILE", parameter="asset")
    workspace, book = _open(shop), _book(shop)
    project = book.project(name)
    pairs = [part.partition("=") for part in _parts(map_)]
    if file is not None:
        rows, source, found = file_rows(file), f"file:{file.name}", None
    else:
        rows, found, key = table_rows(workspace, asset, version, key)
        source = asset
    if len(rows) > limit:
        from wares.cli.labelling import drawn

        rows = drawn(rows, limit, workspace.config.shop.seed)
    report = add_rows(
        book, project, rows, key=key, fields={field: column for field, _, column in pairs}, subject=subject,
        gold=gold, aspects=_parts(aspects), asset=source, version=found, by=by,
    )  # fmt: skip
    _landed(report, json, "items")


@label_app.command("next", epilog="Example: `wares label next mood -a mei --n 50 --out tasks.jsonl`")
def next_(
    name: Name,
    annotator: Who,
    n: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 1,
    out: Annotated[Path | None, typer.Option(help="JSON Lines to write.")] = None,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Take the next items out of the queue; nobody else gets them while the lease lasts."""
    from wares.data.labels import Queue
    from wares.data.labels.files import task_row, write_tasks

    book = _book(shop)
    project = book.project(name)
    items = Queue(book, project).next(annotator, n)
    if out is not None:
        write_tasks(project, items, out)
    if json:
        output.print_json([task_row(project, item) for item in items])
        return
    if out is not None:
        output.out.print(f"{len(items):,} items in {out}; answer with `wares label put {name} ANSWERS`")
        return
    output.print_table(
        ["key", "text", "reason"], [[i["key"], project.text(i["payload"])[:200], i["reason"]] for i in items]
    )


@label_app.command("put", epilog="Example: `wares label put mood answers.jsonl -a mei`")
def put(
    name: Name,
    answers: Annotated[
        Path, typer.Argument(help='JSON Lines: {"key": …, "value": …} or {"key": …, "skip": true}.')
    ],
    annotator: Who = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Record answers. Broken lines are named and the others land; then the exit code is 3."""
    from wares.data.labels.files import put_file

    book = _book(shop)
    _landed(put_file(book, book.project(name), answers, annotator=annotator), json, "answers")


@label_app.command("undo", epilog="Example: `wares label undo mood -a mei`")
def undo(name: Name, annotator: Who, shop: Shop = Path(), json: Json = False) -> None:
    """Take back an annotator's newest answer; the item is theirs again."""
    from wares.data.labels import Queue

    book = _book(shop)
    item = Queue(book, book.project(name)).undo(annotator)
    key = item and item["key"]
    output.print_json({"key": key}) if json else output.out.print(
        f"took back {key}" if key else "nothing to undo"
    )


@label_app.command(
    "export", epilog="Example: `wares label export mood --out mood.json --format label-studio`"
)
def export(
    name: Name,
    out: Annotated[Path, typer.Option(help="File to write.")],
    format_: Annotated[
        str,
        typer.Option(
            "--format", help="label-studio, label-studio-config, parquet, jsonl, or answers (full history)."
        ),
    ] = "parquet",
    method: Annotated[str, typer.Option(help="majority or weighted, where people differ.")] = "majority",
    machine: Annotated[bool, typer.Option(help="Take weak labels where no person answered.")] = False,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Write labels for training with their provenance, or everything for Label Studio."""
    from wares.cli.labelling import export_labels

    book = _book(shop)
    count = export_labels(book, book.project(name), out, format_, method=method, machine=machine)
    output.print_json({"path": str(out), "rows": count}) if json else output.out.print(
        f"{count:,} rows in {out}"
    )


@label_app.command("import", epilog="Example: `wares label import mood export.json`")
def import_(
    name: Name,
    file: Annotated[Path, typer.Argument(help="Label Studio's JSON export.")],
    config: Annotated[
        Path | None, typer.Option(help="Its labelling configuration (XML): makes the project.")
    ] = None,
    kind: Annotated[str, typer.Option(help="Kind of the project that --config makes.")] = "choice",
    by: By = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Bring in Label Studio's tasks, annotations and predictions. Exit 3 when some were refused."""
    from wares.cli.labelling import read_text
    from wares.data.labels.studio import import_tasks, read_config

    book = _book(shop)
    if config is not None:
        question, fields, options = read_config(read_text(config))
        book.create(name, kind, options=options, question=question, fields=fields, by=by)
    _landed(import_tasks(book, book.project(name), read_text(file)), json, "items and answers")


@label_app.command("agreement", epilog="Example: `wares label agreement mood`")
def agreement(name: Name, shop: Shop = Path(), json: Json = False) -> None:
    """Krippendorff's alpha, each annotator against the others, and who disagrees with everyone."""
    from wares.data.labels import measure

    book = _book(shop)
    report = measure(book, book.project(name))
    if json:
        output.print_json(asdict(report))
        return
    output.print_table(
        ["annotator", "answers", "in common", "same as the others", "alpha", "accuracy (estimated)", "on gold", "seconds"],
        [
            [a.name, a.answers, a.common, a.agreement, a.alpha, a.accuracy, a.gold_accuracy, a.median_s]
            for a in report.annotators
        ],
    )  # fmt: skip
    known = "–" if report.alpha is None else f"{report.alpha:.3f}"
    output.out.print(
        f"alpha ({report.level}): [bold]{known}[/], {report.items:,} items, {report.pairs:,} pairs"
    )
    for who in report.odd:
        output.out.print(
            f"[bold red]{who}[/] disagrees with everyone; leave them out with `wares label exclude {name} {who}`"
        )


@label_app.command("exclude", epilog="Example: `wares label exclude mood robo --reason 'always positive'`")
def exclude(
    name: Name,
    annotator: Annotated[str, typer.Argument(help="Whose answers shall not count.")],
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    back: Annotated[bool, typer.Option("--back", help="Let them count again.")] = False,
    by: By = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Leave an annotator's answers out of every result; their items go back to the queue, the answers stay on record."""
    book = _book(shop)
    project = book.project(name)
    if back:
        book.include(project, annotator, by=by)
    else:
        book.exclude(project, annotator, reason=reason, by=by)
    excluded = sorted(book.excluded(project))
    output.print_json({"excluded": excluded}) if json else output.out.print(
        f"excluded: {', '.join(excluded) or 'nobody'}"
    )


@label_app.command(
    "adjudicate", epilog="Example: `wares label adjudicate mood --method weighted --min-confidence 0.9`"
)
def adjudicate(
    name: Name,
    key: Annotated[str, typer.Option(help="One item; with --value.")] = "",
    value: Annotated[str, typer.Option(help="The decision.")] = "",
    method: Annotated[
        str, typer.Option(help="majority or weighted (by estimated accuracy), for all disputes.")
    ] = "",
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Leave less sure ones open.")] = 0.0,
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    by: By = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Settle disputes by hand or by a method; without options, list them."""
    from wares.data.labels import adjudicate as settle
    from wares.data.labels import adjudicate_all, disputes

    book = _book(shop)
    project = book.project(name)
    settled = 0
    if key:
        settle(book, project, key, value, by=by, comment=comment)
        settled = 1
    elif method:
        settled = adjudicate_all(book, project, method, by=by, min_confidence=min_confidence)
    left = disputes(book, project)
    rows = [
        {
            "key": d["key"],
            "answers": {a["annotator"]: a["value"] for a in d["answers"]},
            "text": project.text(d["payload"]),
        }
        for d in left
    ]
    if json:
        output.print_json({"settled": settled, "open": rows})
        return
    output.out.print(f"settled {settled:,}, open {len(left):,}")
    output.print_table(
        ["key", "answers", "text"],
        [
            [r["key"], ", ".join(f"{a}: {v}" for a, v in r["answers"].items()), r["text"][:120]]
            for r in rows[:50]
        ],
    )


@label_app.command(
    "weak",
    epilog="Examples: `wares label weak mood --stars rating` · `wares label weak mood --rules rules.toml`",
)
def weak(
    name: Name,
    rules: Annotated[
        Path | None, typer.Option(help="TOML with [[rule]]: name, label, words | pattern | when.")
    ] = None,
    stars: Annotated[str, typer.Option(help="Column with 1 to 5 stars.")] = "",
    method: Annotated[
        str, typer.Option(help="model weighs rules by accuracy; majority counts them.")
    ] = "model",
    store: Annotated[bool, typer.Option(help="Record them as a machine's answers.")] = True,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Weak labels from rules and stars, each with coverage and estimated accuracy; never mixed with people's."""
    from wares.cli.labelling import read_toml
    from wares.core.errors import QueryError
    from wares.data.labels.weak import read_rules, star_rules, weak_labels

    book = _book(shop)
    project = book.project(name)
    found = ([] if rules is None else read_rules(read_toml(rules))) + (
        star_rules(project, stars) if stars else []
    )
    if not found:
        raise QueryError("which rules?", mend="Give --rules FILE, --stars COLUMN, or both", parameter="rules")
    report = weak_labels(
        book, project, found, method=method, store=store, name="stars" if rules is None else rules.stem
    )
    if json:
        output.print_json(asdict(report))
        return
    output.print_table(
        ["rule", "label", "matched", "coverage", "conflicts", "accuracy", "from", "judged"],
        [
            [r.name, r.label, r.matched, r.coverage, r.conflicts, r.accuracy, r.estimated_from, r.judged]
            for r in report.rules
        ],
    )
    sure = "unknown" if report.accuracy is None else f"{report.accuracy:.3f}"
    output.out.print(
        f"{report.labelled:,} of {report.items:,} items labelled ({report.coverage:.1%}), accuracy {sure}, {report.stored:,} recorded"
    )


@label_app.command("doubt", epilog="Example: `wares label doubt mood --again`")
def doubt(
    name: Name,
    again: Annotated[bool, typer.Option("--again", help="Send them back to the queue, worst first.")] = False,
    need: Annotated[int, typer.Option(min=1, max=50, help="Fresh answers that each then needs.")] = 1,
    machine: Annotated[bool, typer.Option(help="Judge weak labels too.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
    encoder: Annotated[str, typer.Option(help="Sentence encoder as a further view: a name or folder.")] = "",
    by: By = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Labels that are probably wrong, worst first, by confident learning over out-of-fold predictions."""
    from wares.cli.labelling import encoder_of
    from wares.data.labels.doubt import doubtful

    book = _book(shop)
    with output.stage_progress("doubt", quiet=json) as stage:
        found = doubtful(
            book, book.project(name), vectors=encoder_of(encoder), machine=machine, again=again, need=need,
            limit=limit, by=by, progress=stage,
        )  # fmt: skip
    if json:
        output.print_json([asdict(d) for d in found])
        return
    output.print_table(
        ["key", "label", "suggested", "score", "text"],
        [[d.key, d.label, d.suggested, d.score, d.text[:120]] for d in found[:50]],
    )
    output.out.print(f"{len(found):,} doubtful labels" + (", back in the queue" if again else ""))


@label_app.command("suggest", epilog="Example: `wares label suggest mood --n 50`")
def suggest(
    name: Name,
    n: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 50,
    strategy: Annotated[str, typer.Option(help="diverse, margin, density, gradient or random.")] = "diverse",
    encoder: Annotated[str, typer.Option(help="Sentence encoder as a further view: a name or folder.")] = "",
    apply: Annotated[bool, typer.Option(help="Put them in front of the queue.")] = True,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Active learning: the open items that teach most, in front of the queue."""
    from wares.cli.labelling import encoder_of
    from wares.data.labels.active import suggest as find

    book = _book(shop)
    keys = find(book, book.project(name), n, strategy=strategy, vectors=encoder_of(encoder), apply=apply)
    output.print_json(keys) if json else output.out.print("\n".join(keys))


File = Annotated[Path, typer.Option("--data", help="CSV, JSON Lines or Parquet; plain, gz or zst.")]
TextColumn = Annotated[str, typer.Option("--text", help="Column with the text.")]
LabelColumn = Annotated[str, typer.Option("--label", help="Column with the label.")]
Encoder = Annotated[
    str, typer.Option(help="Sentence encoder as a further view: a Hugging Face name or a folder.")
]


@evaluate_app.command(
    "label-errors",
    epilog="Example: `wares evaluate label-errors --data reviews.csv.gz --text review --label label --json`",
)
def evaluate_label_errors(
    data: File,
    text: TextColumn,
    label: LabelColumn,
    plant: Annotated[float, typer.Option(min=0.001, max=0.45, help="Share of labels made wrong.")] = 0.05,
    n: Annotated[int, typer.Option(min=100, help="Rows drawn for each seed.")] = 5000,
    seeds: Annotated[int, typer.Option(min=1, max=50, help="Repetitions.")] = 5,
    encoder: Encoder = "",
    json: Json = False,
) -> None:
    """Plant wrong labels and look for them: precision, recall, F1 and average precision with their spread."""
    from wares.cli.labelling import columns_of, encoder_of
    from wares.evaluate.label_errors import evaluate_label_errors as run

    texts, labels = columns_of(data, text, label)
    with output.stage_progress("label errors", quiet=json) as stage:
        report = run(texts, labels, share=plant, n=n, seeds=seeds, encode=encoder_of(encoder), progress=stage)
    if json:
        output.print_json(report)
        return
    output.print_table(
        ["measure", "wares", "±", "baseline", "±"],
        [
            [name, ours["mean"], ours["sd"], report["baseline"][name]["mean"], report["baseline"][name]["sd"]]
            for name, ours in report["found"].items()
        ],
    )
    output.out.print(
        f"{report['rows']:,} rows, {seeds} seeds, {report['seconds']} s each; the file itself repeats "
        f"{report['file']['repeated']:,} texts, {report['file']['conflicting']:,} with conflicting labels"
    )


@evaluate_app.command(
    "active",
    epilog="Example: `wares evaluate active --data reviews.csv.gz --text review --label label --budget 500 --json`",
)
def evaluate_active(
    data: File,
    text: TextColumn,
    label: LabelColumn,
    budget: Annotated[int, typer.Option(min=40, help="Labels to buy.")] = 500,
    seeds: Annotated[int, typer.Option(min=1, max=50, help="Repetitions.")] = 5,
    pool: Annotated[int, typer.Option(min=100, help="Texts to choose from.")] = 5000,
    test: Annotated[int, typer.Option(min=50, help="Unseen texts to measure on.")] = 3000,
    batch: Annotated[int, typer.Option(min=1, help="Labels between two choices.")] = 25,
    strategy: Annotated[str, typer.Option(help="diverse, margin, density or gradient.")] = "diverse",
    encoder: Encoder = "",
    json: Json = False,
) -> None:
    """Accuracy after so many labels, chosen by active learning and at random: learning curve and paired interval."""
    from wares.cli.labelling import columns_of, encoder_of
    from wares.evaluate.active import evaluate_active as run

    texts, labels = columns_of(data, text, label)
    with output.stage_progress("active learning", quiet=json) as stage:
        report = run(
            texts, labels, budget=budget, seeds=seeds, pool=pool, test=test, batch=batch, strategy=strategy,
            encode=encoder_of(encoder), progress=stage,
        )  # fmt: skip
    if json:
        output.print_json(report)
        return
    output.print_table(
        ["labels", strategy, "±", "random", "±"],
        [
            [p["labels"], p[strategy]["mean"], p[strategy]["sd"], p["random"]["mean"], p["random"]["sd"]]
            for p in report["curve"]
        ],
    )
    low_high = report["gain"]["interval95"]
    output.out.print(
        f"gain at {budget}: {report['gain']['mean']:+.4f}"
        + (f" ({low_high[0]:+.4f} to {low_high[1]:+.4f})" if low_high else "")
        + f"; all {report['pool']:,} labelled: {report['full']['mean']:.4f}"
    )
