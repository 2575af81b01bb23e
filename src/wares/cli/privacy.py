"""``wares privacy …`` and ``wares asset erase``: personal data found, told, kept for so long, and removed."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from wares.cli import output
from wares.cli.main import Json, Shop, _open

privacy_app = typer.Typer(
    no_args_is_help=True,
    help="Personal data: find it, tag it, tell it, remove it. Example: `wares privacy scan reviews`",
)
Subject = Annotated[str, typer.Option(help="The user id, as the shop knows it, or its pseudonym.")]
Also = Annotated[
    list[str] | None,
    typer.Option(help="Another value that is this person anywhere: e-mail, telephone, full name; several are allowed."),
]  # fmt: skip


def register(app: typer.Typer) -> None:
    """Put the commands onto `app`, once."""
    if any(group.name == "privacy" for group in app.registered_groups):
        return
    from wares.cli.tools import asset_app, evaluate_app

    app.add_typer(privacy_app, name="privacy")
    evaluate_app.command(
        "personal", epilog="Example: `wares evaluate personal --texts 2000 --seed 11 --json`"
    )(evaluate_personal)
    asset_app.command("erase", epilog="Example: `wares asset erase --subject 900 --also ann@example.com`")(
        erase
    )


def erase(
    subject: Subject = "",
    also: Also = None,
    sources: Annotated[
        bool, typer.Option("--sources", help="Also rewrite the shop's own files under exports/.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an erasure that was killed or stopped.")
    ] = False,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Remove a person from every version of every table and all that was made from them; rebuild, publish, write a receipt.

    An unknown subject is no fault: the receipt says that nothing was removed, and they stay on the list of erased people.
    """
    from wares.core.errors import QueryError
    from wares.pipeline import erasure

    if not subject and not resume:
        raise QueryError("whom to erase?", mend="Name a user id: --subject USER", parameter="subject")
    workspace = _open(shop)
    with output.stage_progress("erase", quiet=json) as stage:
        receipt = erasure.erase(
            workspace, subject, also=tuple(also or ()), sources=sources, resume=resume, say=stage
        )
    output.print_json(receipt) if json else print_receipt(receipt, workspace.root)


def print_receipt(receipt: dict[str, Any], root: Path) -> None:
    """A receipt for people."""
    removed = receipt["removed"]
    if receipt["kind"] == "erasure" and not receipt["places"]:
        output.out.print(
            "Nothing of this subject is here. They are on the list of erased people from now on."
        )
    output.print_table(
        ["where", "rows", "mentions", "files"],
        [[p["where"], p.get("rows"), p.get("cells"), p.get("files")] for p in receipt["places"]],
    )
    for place in receipt["left_to_the_shop"]:
        output.out.print(
            f"  [yellow]{escape(place['where'])}[/]: {place.get('rows', 0):,} rows; erase them there, or run again with --sources"
        )
    output.out.print(
        f"Removed {removed['rows']:,} rows and {removed['cells']:,} mentions in {receipt['seconds']:.1f} s; rebuilt: "
        f"{', '.join(receipt['rebuilt']) or 'nothing'}; read afterwards: {receipt['verified']['versions_read']} versions, nothing found."
    )
    output.out.print(f"Receipt: {root / 'state' / 'receipts' / receipt['id']}.json")


@privacy_app.command(
    "tags", epilog="Examples: `wares privacy tags` · `wares privacy tags reviews text --personal no`"
)
def tags(
    table: Annotated[str, typer.Argument(help="One table; without it, all.")] = "",
    column: Annotated[str, typer.Argument(help="A column to tag.")] = "",
    personal: Annotated[str, typer.Option(help="yes, maybe or no: what you say stands against scans.")] = "",
    kind: Annotated[
        list[str] | None, typer.Option(help="As email, name, user id; several are allowed.")
    ] = None,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Which columns are personal, and so are masked for every role but the owner; or say it of one."""
    from wares.core.errors import NotFound
    from wares.data.privacy.scan import columns_of
    from wares.data.privacy.tags import set_tag, tags_of

    workspace = _open(shop)
    tables = [table] if table else workspace.store.names()
    if column:
        if column not in columns_of(workspace.store, table):
            raise NotFound(f"{table} has no column {column!r}", mend=f"wares asset show {table}", id=column)
        set_tag(workspace.state, table, column, personal or "yes", kind or ())
    found = [
        tag
        for name in tables
        for tag in tags_of(workspace.state, name, columns_of(workspace.store, name)).values()
    ]
    if json:
        output.print_json(
            [
                {"table": t.asset, "column": t.column, "personal": t.personal, "kinds": t.kinds, "share": t.share, "by": t.source}
                for t in found
            ]
        )  # fmt: skip
        return
    shown = [t for t in found if t.hidden or table]
    output.print_table(
        ["table", "column", "personal", "kinds", "share", "by"],
        [[t.asset, t.column, t.personal, ", ".join(t.kinds), t.share, t.source] for t in shown],
    )


@privacy_app.command("scan", epilog="Example: `wares privacy scan reviews --json`")
def scan(
    table: Annotated[str, typer.Argument(help="One table; without it, all.")] = "",
    rows: Annotated[
        int, typer.Option(min=100, help="Rows looked at in a table; a larger one is sampled.")
    ] = 20_000,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Look for personal data in the columns and texts of tables, and tag what is found. What it misses: docs/privacy.md."""
    from wares.data.privacy.scan import scan_table

    workspace = _open(shop)
    out: list[Any] = []
    with output.stage_progress("scan", quiet=json) as stage:
        for name in [table] if table else workspace.store.names():
            out += scan_table(
                workspace.store, workspace.state, name, rows=rows, say=lambda done, n=name: stage(f"{n}: {done:,} rows")
            )  # fmt: skip
    if json:
        output.print_json(out)
        return
    output.print_table(
        ["table", "column", "kind", "cells", "of", "share", "confidence"],
        [[f["table"], f["column"], f["kind"], f["cells"], f["of"], f["share"], f["confidence"]] for f in out],
    )
    output.out.print(
        "Columns with findings are tagged personal; see `wares privacy tags`. Names in free text are not found."
    )


@privacy_app.command("retain", epilog="Example: `wares privacy retain`")
def retain(shop: Shop = Path(), json: Json = False) -> None:
    """Remove rows older than `[privacy.retention]` from every version, as every build does; writes a receipt."""
    from wares.pipeline import erasure

    workspace = _open(shop)
    with output.stage_progress("retain", quiet=json) as stage:
        receipt = erasure.retain(workspace, say=stage)
    if json:
        output.print_json(receipt or {"removed": {"rows": 0, "cells": 0}, "places": []})
    elif receipt is None:
        limits = erasure.retention_of(workspace)
        output.out.print(
            "Nothing is older than its retention."
            if limits
            else "No retention is set: see `[privacy.retention]`."
        )
    else:
        print_receipt(receipt, workspace.root)


@privacy_app.command("export", epilog="Example: `wares privacy export --subject 900 --out person-900.jsonl`")
def export(
    subject: Subject,
    also: Also = None,
    out: Annotated[Path | None, typer.Option(help="File to write; without it, standard output.")] = None,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """All that is held on a person, as JSON Lines: the answer to a request for access."""
    from wares.core.files import write_atomic
    from wares.pipeline import erasure

    rows = list(erasure.held(_open(shop), subject, tuple(also or ())))
    lines = "".join(jsonlib.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
    if out is None:
        sys.stdout.write(lines)
        return
    write_atomic(out, lines)
    out.chmod(0o600)
    if json:
        output.print_json({"rows": len(rows), "file": str(out)})
    else:
        output.out.print(f"{len(rows):,} rows in {escape(str(out))}")


@privacy_app.command("receipts", epilog="Example: `wares privacy receipts`")
def receipts(shop: Shop = Path(), json: Json = False) -> None:
    """Receipts of erasures and retention, newest first; they name people by keyed hash only."""
    from wares.pipeline import erasure

    found = erasure.receipts(_open(shop).root)
    if json:
        output.print_json(found)
        return
    output.print_table(
        ["id", "kind", "ended (UTC)", "rows", "mentions", "seconds"],
        [
            [r["id"], r["kind"], r["ended"][:19], r["removed"]["rows"], r["removed"]["cells"], r["seconds"]]
            for r in found
        ],
    )


@privacy_app.command("allow", epilog="Example: `wares privacy allow --subject 900`")
def allow(subject: Subject, shop: Shop = Path(), json: Json = False) -> None:
    """Let an erased person be known again, when they come back and agree."""
    from wares.pipeline import erasure

    count = erasure.allow(_open(shop), subject)
    if json:
        output.print_json({"allowed": count})
    else:
        output.out.print(
            f"{count} ids may come in again" if count else "This subject is not on the list of erased people"
        )


def evaluate_personal(
    texts: Annotated[int, typer.Option(min=100, help="How many texts.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of the planted values.")] = 11,
    json: Json = False,
) -> None:
    """How much of the planted personal data the detection finds in made-up reviews, and how much of what it finds is right."""
    from wares.testing.personal_texts import measure

    result: dict[str, Any] = measure(texts, seed)
    if json:
        output.print_json(result)
        return
    output.print_table(
        ["kind", "recall", "planted"],
        [[kind, r["recall"], r["planted"]] for kind, r in result["by_kind"].items()],
    )
    output.out.print(
        f"precision {result['precision']:.4f}, recall {result['recall']:.4f}, without what needs a language model {result['recall_without_hard']:.4f}; {result['seconds']:.1f} s"
    )
