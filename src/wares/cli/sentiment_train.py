"""``wares tune sentiment`` and ``wares evaluate sentiment``: train a classifier of texts, keep it or score it."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from wares.cli import output
from wares.cli.main import Json
from wares.cli.sentiment import (
    ENCODER,
    MINUTES,
    Encoder,
    Label,
    Method,
    Minutes,
    Precision,
    Prefix,
    Seed,
    Text,
    Tokens,
    Train,
    Valid,
    learns,
)
from wares.core.errors import QueryError

By = Annotated[
    str, typer.Option(help="A column, as the category: scored value by value, with thresholds of their own.")
]  # fmt: skip
Task = Annotated[
    str, typer.Option(help="classes, or regression: labels are numbers, as stars, and stay numbers.")
]  # fmt: skip
Classes = Annotated[
    int, typer.Option(help="Stars 1 to 5 become 2 labels (3 stars are left out), 3, or 5; 0: labels as they are.")
]  # fmt: skip
Weights = Annotated[
    str, typer.Option(help="none; balanced: every label counts alike, for the macro-F1; auto: as validation says.")
]  # fmt: skip
Calibration = Annotated[str, typer.Option(help="temperature, isotonic, or auto: as validation says.")]
CostWrong = Annotated[
    float | None, typer.Option(min=0, help="What a wrong answer costs; thresholds are then the cheapest ones.")
]  # fmt: skip
CostAbstain = Annotated[float | None, typer.Option(min=0, help="What it costs not to answer.")]
Costs = Annotated[
    Path | None, typer.Option(help='JSON in place of --cost-wrong: {"TRUTH": {"SAID": COST, …}, …}.')
]
Noisy = Annotated[
    bool, typer.Option("--noisy/--clean", help="Train also on each text with slips, storms of marks, other gender words.")
]  # fmt: skip
Shots = Annotated[
    int, typer.Option(min=0, max=512, help="Learn from so many texts of each label alone, as 16.")
]


def evaluate_sentiment_(
    train: Train,
    test: Annotated[
        Path | None, typer.Option(help="Labelled texts to score; without it, a tenth of the texts by hash.")
    ] = None,
    valid: Valid = None,
    text: Text = "text",
    label: Label = "label",
    by: By = "",
    folds: Annotated[
        int, typer.Option(min=0, max=20, help="Without --test: so many folds, each tested once.")
    ] = 0,
    leave_out: Annotated[
        str, typer.Option(help="A column: tested on each of its values, trained on all others.")
    ] = "",
    shots: Shots = 0,
    seeds: Annotated[int, typer.Option(min=1, max=50, help="How often shots are drawn.")] = 5,
    task: Task = "classes",
    classes: Classes = 0,
    weights: Weights = "none",
    calibration: Calibration = "auto",
    precision: Precision = 0.99,
    cost_wrong: CostWrong = None,
    cost_abstain: CostAbstain = None,
    costs: Costs = None,
    noisy: Noisy = False,
    encoder: Encoder = ENCODER,
    method: Method = "",
    minutes: Minutes = MINUTES,
    tokens: Tokens = 256,
    prefix: Prefix = "",
    seed: Seed = 7,
    robust: Annotated[
        bool,
        typer.Option("--robust", help="Also under typos, emoji, HTML, case, marks, other names and words."),
    ] = False,
    save: Annotated[Path | None, typer.Option(help="Keep the classifier in this folder.")] = None,
    json: Json = False,
) -> None:
    """Train a classifier, calibrate it on validation, and score the test: accuracy, macro-F1, calibration, the sure part."""
    from wares.evaluate.sentiment import SentimentTask, evaluate_sentiment
    from wares.evaluate.sentiment_robust import robust_of
    from wares.evaluate.sentiment_transfer import few_shots
    from wares.evaluate.sentiment_transfer import leave_out as leave_each_out

    output.check_files(*train, test, valid, costs)
    if folds and test is not None:
        raise QueryError("--folds splits the training file; there is a --test too", mend="Leave one out", parameter="folds")  # fmt: skip
    if folds == 1:
        raise QueryError("one fold leaves nothing to train on", mend="Ask for 2 or more", parameter="folds")
    ways = [
        name for name, given in (("--leave-out", leave_out), ("--shots", shots), ("--folds", folds)) if given
    ]
    if len(ways) > 1:
        raise QueryError(
            f"{' and '.join(ways)} are two ways to test", mend="Leave one out", parameter="folds"
        )
    if robust and (leave_out or shots):
        raise QueryError("--robust goes with one classifier", mend="Leave out --leave-out and --shots", parameter="robust")  # fmt: skip
    asked = SentimentTask(
        tuple(train), valid, test, text, label, by, folds, seed, precision, save, learns(encoder, method or ("frozen" if leave_out else "full"), minutes, tokens, prefix, seed), classes,
        _numbers(task), weights, calibration, cost_wrong, cost_abstain, costs, noisy,
    )  # fmt: skip
    with output.stage_progress("sentiment", quiet=json) as stage:
        if leave_out:
            report = leave_each_out(asked, leave_out, stage)
        elif shots:
            report = few_shots(asked, shots, seeds, stage)
        elif robust:
            report = robust_of(asked, stage)
        else:
            report = evaluate_sentiment(asked, stage)
    if json:
        output.print_json(report)
    elif leave_out:
        _tell_groups(report)
    elif shots:
        _tell_shots(report)
    else:
        _tell(report)


def evaluate_robust(
    model: Annotated[Path, typer.Option(help="A trained classifier: from `wares tune sentiment`.")],
    test: Annotated[Path, typer.Option(help="Labelled texts that it has not seen.")],
    text: Text = "text",
    label: Label = "label",
    most: Annotated[int, typer.Option(min=10, help="At most so many texts, drawn by --seed.")] = 2000,
    seed: Seed = 7,
    json: Json = False,
) -> None:
    """What noise costs a classifier, and how often its verdict turns when the same is said of others or in dialect."""
    from wares.evaluate.sentiment_robust import robust_file

    output.check_files(test, folder=model)
    with output.stage_progress("sentiment-robust", quiet=json) as stage:
        report = robust_file(model, test, text, label, most, seed, stage)
    if json:
        output.print_json(report)
    else:
        tell_robust(report)


def _numbers(task: str) -> bool:
    if task not in ("classes", "regression"):
        raise QueryError(f"there is no task {task!r}", mend="Use classes or regression", parameter="task")
    return task == "regression"


def _tell(report: dict[str, Any]) -> None:
    low, high = report["interval"]
    output.out.print(
        f"accuracy [bold]{report['accuracy']:.4f}[/] ({low:.4f} to {high:.4f}), macro-F1 {report['macro_f1']:.4f}, "
        f"the commonest label alone {report['baseline']:.4f}; {report['texts']} texts"
    )
    sure = report["sure"]
    right = "none" if sure["precision"] is None else f"{sure['precision']:.1%} of them right"
    if len(report["parts"]) > 1:
        output.out.print(", ".join(f"{name} alone {value:.4f}" for name, value in report["parts"].items()))
    output.out.print(f"calibration error {report['ece']:.4f}; sure of {sure['coverage']:.1%}, {right}")
    if "numbers" in report:
        n = report["numbers"]
        output.out.print(
            f"off by {n['mae']:.3f} on average (root of squares {n['rmse']:.3f}), rank correlation {n['spearman']:.3f}, "
            f"rounded right {n['rounding_accuracy']:.1%}"
        )
    if "cost" in report:
        c = report["cost"]
        output.out.print(
            f"a text costs {c['a_text']:.4f}; always answering {c['always_answering']:.4f}, never {c['never_answering']:.4f}"
        )
    rows = [[name, *counts] for name, counts in zip(report["labels"], report["confusion"], strict=True)]
    output.print_table(["is \\ said", *report["labels"]], rows, "Confusion")
    for name, values in report["slices"].items():
        cells = [[v, s["texts"], s["accuracy"], s["macro_f1"], s["ece"]] for v, s in values.items()]
        if len(cells) > 1:
            output.print_table([name, "texts", "accuracy", "macro-F1", "calibration error"], cells)
    if "robust" in report:
        tell_robust(report["robust"])
    for run in report["trained"]:
        if run["text"]["why"]:
            output.out.print(f"n-grams alone: {escape(run['text']['why'])}")
    ms = report["single_ms"]
    output.out.print(
        f"{report['minutes']:.1f} min to train; one text in {ms['p50']:.2f} ms (p95 {ms['p95']:.2f})"
    )


def tell_robust(found: dict[str, Any]) -> None:
    """Drops under noise, and verdicts that turn when others are spoken of."""
    rows = [
        [name, f["accuracy"], f"{f['drop_points']:.2f}", f"{f['interval'][0]:.2f} to {f['interval'][1]:.2f}"]
        for name, f in found["noise"].items()
    ]
    output.print_table(["noise", "accuracy", "points lost", "95 %"], rows, f"Clean: {found['accuracy']:.4f}")
    rows = [
        [name, f["texts"], f["flips"], f"{f['share']:.2%}", f"{f['bound']:.2%}", f["sure_flips"]]
        for name, f in found["counterfactual"].items()
    ]
    output.print_table(["said of others", "texts", "turned", "share", "at most (95 %)", "though sure"], rows)


def _tell_groups(report: dict[str, Any]) -> None:
    rows = [
        [name, g["texts"], g["accuracy"], f"{g['interval'][0]:.4f} to {g['interval'][1]:.4f}", g["macro_f1"], g["ece"]]
        for name, g in report["groups"].items()
    ]  # fmt: skip
    columns = [f"{report['left_out']} left out", "texts", "accuracy", "95 %", "macro-F1", "calibration error"]
    output.print_table(columns, rows)
    mean, both = report["mean"], report["together"]
    output.out.print(
        f"mean accuracy [bold]{mean['accuracy']:.4f}[/], of all texts together {both['accuracy']:.4f}"
    )


def _tell_shots(report: dict[str, Any]) -> None:
    rows = [[d["seed"], d["accuracy"], d["macro_f1"], d["ece"], d["used"]] for d in report["draws"]]
    output.print_table(["seed", "accuracy", "macro-F1", "calibration error", "used"], rows, f"{report['shots']} texts of each label")  # fmt: skip
    a = report["accuracy"]
    output.out.print(
        f"accuracy [bold]{a['mean']:.4f}[/] ± {a['deviation']:.4f} ({a['least']:.4f} to {a['most']:.4f})"
    )


def tune_sentiment(
    train: Train,
    out: Annotated[Path, typer.Option(help="Folder for the classifier; an earlier one in it is replaced.")],
    valid: Valid = None,
    text: Text = "text",
    label: Label = "label",
    by: By = "",
    shots: Shots = 0,
    task: Task = "classes",
    classes: Classes = 0,
    weights: Weights = "none",
    calibration: Calibration = "auto",
    precision: Precision = 0.99,
    cost_wrong: CostWrong = None,
    cost_abstain: CostAbstain = None,
    costs: Costs = None,
    noisy: Noisy = False,
    stars_only: Annotated[
        bool,
        typer.Option(
            "--stars-only",
            help="Labels are stars and noisy: estimate the noise, weigh doubtful rows down, n-grams.",
        ),
    ] = False,
    distil: Annotated[
        str,
        typer.Option(
            help="Keep a small student of the classifier: ngrams, or layers (the encoder's first ones)."
        ),
    ] = "",
    layers: Annotated[int, typer.Option(min=1, max=48, help="Layers that the student keeps.")] = 3,
    unlabelled: Annotated[
        Path | None,
        typer.Option(help="More texts, without labels, that the student learns from its teacher."),
    ] = None,
    body: Annotated[
        Path | None, typer.Option(help="Also keep the fine-tuned encoder here, as a new Hugging Face folder.")
    ] = None,
    encoder: Encoder = ENCODER,
    method: Method = "full",
    minutes: Minutes = MINUTES,
    tokens: Tokens = 256,
    prefix: Prefix = "",
    seed: Seed = 7,
    json: Json = False,
) -> None:
    """Train a classifier of texts on labelled ones; `wares sentiment --model` uses it."""
    from wares.core.arrays import keep_artifact
    from wares.evaluate.sentiment_files import SentimentTask, Texts, parts_of, read_texts
    from wares.models.sentiment.infer import KIND
    from wares.models.sentiment.train import train_sentiment

    output.check_files(*train, valid, costs, unlabelled)
    if unlabelled is not None and not distil:
        raise QueryError("--unlabelled is for a student", mend="Add --distil ngrams or --distil layers", parameter="unlabelled")  # fmt: skip
    if sum(bool(way) for way in (shots, stars_only, distil)) > 1:
        raise QueryError(
            "--shots, --stars-only and --distil are three ways", mend="Leave two out", parameter="distil"
        )
    if body is not None and body.exists():
        raise QueryError(f"{body} exists", mend="Name a new folder", parameter="body")
    learning = replace(learns(encoder, method, minutes, tokens, prefix, seed), keep=body)
    asked = SentimentTask(
        tuple(train), valid, None, text, label, by, 0, seed, precision, None, learning, classes,
        _numbers(task), weights, calibration, cost_wrong, cost_abstain, costs, noisy,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="wares-sentiment-") as scratch:
        folder = Path(scratch) / "model"
        folder.mkdir()
        with output.stage_progress("sentiment", quiet=json) as stage:
            rows = read_texts(asked.train, asked)
            if shots:
                report = _few(asked, rows, shots, folder, stage)
            elif stars_only:
                report = _from_stars(asked, rows, folder, stage)
            else:
                learned, held, _ = parts_of(asked, rows, Texts([], [], []))
                options = asked.options(learned.names)
                report = train_sentiment(learned, held, folder, progress=stage, options=options)
                if distil:
                    report, folder = _distilled(report, learned, held, folder, distil, layers, unlabelled, text, options, stage)  # fmt: skip
        keep_artifact(folder, out, KIND)
    if json:
        output.print_json({"folder": str(out), **report})
        return
    _tell_tuned(report, out)


def _few(asked: Any, rows: Any, shots: int, folder: Path, stage: Any) -> dict[str, Any]:
    from wares.evaluate.sentiment import frozen_of
    from wares.evaluate.sentiment_files import labelled, names_of
    from wares.models.sentiment.few_train import sample_shots, train_few

    pool = labelled(rows, names_of(rows, asked), asked)
    frozen = frozen_of(replace(asked, encoder=replace(asked.encoder, method="frozen")))
    return train_few(
        sample_shots(pool, shots, asked.seed), folder, frozen, asked.precision, asked.seed, stage
    )


def _from_stars(asked: Any, rows: Any, folder: Path, stage: Any) -> dict[str, Any]:
    from wares.models.sentiment.spam import screen
    from wares.models.sentiment.stars import stars_of
    from wares.models.sentiment.weak_train import train_from_stars

    stars = [stars_of(name, i) for i, name in enumerate(rows.labels, 1)]
    counted = screen(rows.texts).flags == 0
    return train_from_stars(
        rows.texts, stars, folder, counted=counted, precision=asked.precision, seed=asked.seed, progress=stage
    )


def _distilled(
    report: dict[str, Any], learned: Any, held: Any, folder: Path, student: str, layers: int, unlabelled: Path | None, text: str, options: Any, stage: Any
) -> tuple[dict[str, Any], Path]:  # fmt: skip
    from wares.features.pair_files import columns_of
    from wares.models.sentiment.distil_train import distil

    more = columns_of(unlabelled, (text,))[text] if unlabelled is not None else []
    small = folder.parent / "student"
    small.mkdir()
    deep = replace(options, text=replace(options.text, layers=layers, method="full", keep=None))
    found = distil(folder, learned, held, small, student, deep, more, stage)
    return {
        **found,
        "teacher": {**found["teacher"], **report["valid"]},
        "teacher_minutes": report["minutes"],
    }, small


def _tell_tuned(report: dict[str, Any], out: Path) -> None:
    if "student" in report:
        rows = [
            [name, f["accuracy"], f["ece"], f["megabytes"], f["single_p50_ms"]]
            for name, f in ((n, report[n]) for n in ("teacher", "student"))
        ]
        output.print_table(["", "validation accuracy", "calibration error", "MB", "one text, ms"], rows)
    elif "used" in report:
        output.out.print(f"{report['texts']} texts; used: {report['used']}; {report['minutes']:.1f} min")
    else:
        v = report["valid"]
        output.out.print(
            f"validation accuracy [bold]{v['accuracy']:.4f}[/], calibration error {v['ece']:.4f}; {report['minutes']:.1f} min"
        )
        if "noise" in report:
            output.out.print(f"{report['noise']['share']:.1%} of the stars say another label than the text; {report['noise']['doubted']} rows weigh less")  # fmt: skip
    output.out.print(f"written to {out}")
