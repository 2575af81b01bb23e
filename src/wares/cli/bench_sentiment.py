"""``wares bench sentiment``: a classifier as it is served against the same one in transformers, in turns."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from wares.cli import output
from wares.cli.main import Json
from wares.cli.sentiment import ENCODER, Encoder, Label, Prefix, Seed, Text, Tokens, learns
from wares.cli.tools import bench_app
from wares.core.errors import QueryError

WARM = 2
Say = Callable[[str], None]


def register(app: typer.Typer) -> None:
    """Put the command onto the group, once."""
    if not any(command.name == "sentiment" for command in bench_app.registered_commands):
        bench_app.command(
            "sentiment",
            epilog="Examples: `wares bench sentiment --file reviews.csv --text review --label label` · `wares bench sentiment --model moods --body body --file reviews.csv`",
        )(bench_sentiment)


def bench_sentiment(
    file: Annotated[Path, typer.Option(help="Texts to read; with their labels, where a small model is trained.")],
    model: Annotated[Path | None, typer.Option(help="A trained classifier; without it, one is trained on the file.")] = None,
    body: Annotated[
        str, typer.Option(help="Its encoder as a Hugging Face folder (`wares tune sentiment --body`); without it, the one that it began as.")
    ] = "",
    text: Text = "text",
    label: Label = "label",
    texts: Annotated[int, typer.Option(min=32, help="How many texts are read.")] = 512,
    batch: Annotated[int, typer.Option(min=1, max=512, help="Texts at once.")] = 32,
    rounds: Annotated[int, typer.Option(min=1, max=50, help="How often, in turns.")] = 5,
    threads: Annotated[int, typer.Option(min=0, help="Of each; 0: as many as there are cores.")] = 0,
    encoder: Encoder = ENCODER,
    minutes: Annotated[float, typer.Option(min=0.05, help="About how long the small model learns.")] = 1.0,
    tokens: Tokens = 256,
    prefix: Prefix = "",
    seed: Seed = 7,
    json: Json = False,
) -> None:  # fmt: skip
    """Texts a second and the time of one text: the int8 classifier against the same encoder in transformers (torch, fp32)."""
    from wares.features.pair_files import columns_of

    output.check_files(file, folder=model)
    with tempfile.TemporaryDirectory(prefix="wares-bench-") as scratch, output.stage_progress("bench", quiet=json) as stage:  # fmt: skip
        if model is None:
            if encoder == "none":
                raise QueryError(
                    "n-grams have no peer in transformers", mend="Name an --encoder", parameter="encoder"
                )
            model, body = _small(Path(scratch), file, text, label, learns(encoder, "full", minutes, tokens, prefix, seed), stage)  # fmt: skip
        said = columns_of(file, (text,))[text]
        rng = np.random.default_rng(seed)
        some = [said[int(i)] for i in rng.permutation(len(said))[:texts]]
        found = compare(model, body, some, batch, rounds, threads or os.cpu_count() or 1, stage)
    if json:
        output.print_json(found)
        return
    rows = [
        [name, f["texts_per_s"], f["single_p50_ms"], f["single_p95_ms"]] for name, f in found["rows"].items()
    ]
    output.print_table(["", f"texts/s, {batch} at once", "one text, p50 ms", "p95 ms"], rows)
    for name in ("whole", "encoder"):
        r = found["ratios"][name]
        output.out.print(
            f"{name}: × {r['texts_per_s']['median']:.2f} texts a second ({r['texts_per_s']['least']:.2f} to {r['texts_per_s']['most']:.2f}), "
            f"one text × {r['single']['median']:.2f} ({r['single']['least']:.2f} to {r['single']['most']:.2f})"
        )
    if found["same_weights"]:
        output.out.print(f"verdicts of the encoder agree on {found['agree']:.2%}")


def _small(scratch: Path, file: Path, text: str, label: str, options: Any, stage: Say) -> tuple[Path, str]:
    from dataclasses import replace

    from wares.evaluate.sentiment_files import SentimentTask, Texts, parts_of, read_texts
    from wares.models.sentiment.train import train_sentiment

    task = SentimentTask((file,), text=text, label=label, seed=options.seed)
    train, valid, _ = parts_of(task, read_texts((file,), task), Texts([], [], []))
    # A few steps are enough: weights change no speed.
    rng = np.random.default_rng(options.seed)
    train, valid = (
        train.some(rng.permutation(len(train))[:4000]),
        valid.some(rng.permutation(len(valid))[:500]),
    )
    folder = scratch / "model"
    folder.mkdir()
    report = train_sentiment(
        train, valid, folder, text=replace(options, keep=scratch / "body"), progress=stage
    )
    if report["text"]["why"]:
        raise QueryError(f"there is no encoder to measure: {report['text']['why']}", mend="Name another --encoder", parameter="encoder")  # fmt: skip
    return folder, str(scratch / "body")


def compare(
    model: Path, body: str, texts: Sequence[str], batch: int, rounds: int, threads: int, say: Say
) -> dict[str, Any]:
    """Both read all texts in batches, then one by one, in turns; ratios are ours over the peer's, above one is faster."""
    from wares.models.sentiment.infer import Sentiment
    from wares.models.sentiment.peer_train import TorchPeer

    ours = Sentiment(model, threads)
    if ours.text is None:
        raise QueryError(f"{model} has no encoder", mend="Train one with --encoder", parameter="model")
    part, facts = ours.text, ours.text.encoder.manifest
    peer = TorchPeer(
        body or str(facts["model"]), part.encoder.prefixes.get("passage", ""), int(facts["max_tokens"]), part.weights, part.bias, threads
    )  # fmt: skip
    ways: dict[str, Callable[[Sequence[str]], Any]] = {
        "whole": ours.read, "encoder": lambda some: part.logits(some), "transformers": peer.logits,
    }  # fmt: skip
    groups = [texts[i : i + batch] for i in range(0, len(texts), batch)]
    for way in ways.values():
        for group in groups[:WARM]:
            way(group)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    singles: dict[str, list[list[float]]] = {name: [] for name in ways}
    for turn in range(rounds):
        say(f"round {turn + 1} of {rounds}")
        for name, way in _turned(ways, turn):
            begun = time.perf_counter()
            for group in groups:
                way(group)
            rates[name].append(len(texts) / (time.perf_counter() - begun))
        took: dict[str, list[float]] = {name: [] for name in ways}
        for n, text in enumerate(texts[turn * 50 : turn * 50 + 50] or texts[:50]):
            # Each follows each of the others as often: what ran before leaves its threads and caches.
            for name, way in _turned(ways, n):
                begun = time.perf_counter()
                way([text])
                took[name].append(1000 * (time.perf_counter() - begun))
        for name, values in took.items():
            singles[name].append(values)

    def p50(name: str) -> list[float]:
        return [float(np.median(values)) for values in singles[name]]

    rows = {
        name: {
            "texts_per_s": float(np.median(rates[name])), "single_p50_ms": float(np.median(np.concatenate(singles[name]))),
            "single_p95_ms": float(np.percentile(np.concatenate(singles[name]), 95)),
        }
        for name in ways
    }  # fmt: skip
    ratios = {
        name: {
            "texts_per_s": _spread([a / b for a, b in zip(rates[name], rates["transformers"], strict=True)]),
            "single": _spread([b / a for a, b in zip(p50(name), p50("transformers"), strict=True)]),
        }
        for name in ("whole", "encoder")
    }
    agree = [(part.logits(group).argmax(1) == peer.logits(group).argmax(1)).mean() for group in groups[:8]]
    return {
        "rows": rows, "ratios": ratios, "precision": facts["precision"], "same_weights": bool(body), "agree": float(np.mean(agree)) if body else None,
        "texts": len(texts), "letters": float(np.mean([len(text) for text in texts])), "batch": batch, "rounds": rounds, "threads": threads,
        "cores": os.cpu_count(),
    }  # fmt: skip


def _turned(ways: dict[str, Any], by: int) -> list[tuple[str, Any]]:
    """The ways, beginning with another."""
    every = list(ways.items())
    return every[by % len(every) :] + every[: by % len(every)]


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": float(np.median(values)), "least": float(min(values)), "most": float(max(values))}
