"""``wares asset read|access|share|shares|revoke`` and ``wares audit``."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from wares.cli import output
from wares.cli.main import Json, Shop, _open
from wares.cli.tools import asset_app

audit_app = typer.Typer(
    no_args_is_help=True, help="Who read, shared and changed what. Example: `wares audit verify`"
)
Role = Annotated[str, typer.Option(help="In whose name.", show_default="access.default_role")]
Columns = Annotated[str, typer.Option(help="Wanted columns, with commas; all allowed ones without it.")]
Where = Annotated[str, typer.Option(help="A condition, as \"kind = 'purchase' and quantity > 1\".")]
Version = Annotated[int, typer.Option(min=-1, help="-1: the newest.")]
Purpose = Annotated[str, typer.Option(help="What for; one of the role's purposes.")]


def register(app: typer.Typer) -> None:
    """Put the group onto `app`, once."""
    if not any(group.name == "audit" for group in app.registered_groups):
        app.add_typer(audit_app, name="audit")


def _wanted(version: int, purpose: str, columns: str, where: str) -> dict[str, Any]:
    names = [name.strip() for name in columns.split(",") if name.strip()]
    return {
        "version": None if version < 0 else version,
        "purpose": purpose or None,
        "columns": names or None,
        "where": where or None,
    }


@asset_app.command(
    "read",
    epilog="Example: `wares asset read events --role analyst --where \"kind = 'purchase'\" --out sales.parquet`",
)
def read(
    name: Annotated[str, typer.Argument(help="Which table.")],
    role: Role = "",
    columns: Columns = "",
    where: Where = "",
    version: Version = -1,
    purpose: Purpose = "",
    limit: Annotated[int, typer.Option(min=1, help="Rows to print.")] = 20,
    count: Annotated[bool, typer.Option("--count", help="Only how many rows.")] = False,
    by: Annotated[str, typer.Option(help="Group by these columns, with commas.")] = "",
    measure: Annotated[
        list[str] | None, typer.Option(help="For groups: count, people, sum:column, mean:column, …")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write all rows to this .parquet or .csv file.")] = None,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Read a table as a role may see it. Every reading is logged."""
    workspace = _open(shop)
    reading = workspace.asset(name, role, **_wanted(version, purpose, columns, where))
    facts: dict[str, Any] = {"asset": name, "version": reading.version, "role": reading.access.role.name}
    if count:
        rows = reading.count()
        _answer({**facts, "rows": rows, "suppressed": reading.suppressed}, reading, json)
        return
    if out is not None:
        from wares.data.access.files import write_rows

        with output.stage_progress("read", quiet=json):
            rows = write_rows(reading, out)
        _answer({**facts, "rows": rows, "suppressed": reading.suppressed, "file": str(out)}, reading, json)
        return
    if by or measure:
        groups = [part.strip() for part in by.split(",") if part.strip()]
        table = reading.aggregate(groups, **{m.replace(":", "_"): m for m in measure or ["count"]})
    else:
        table = reading.to_arrow(limit)
    found = table.to_pylist()
    if json:
        output.print_json({**facts, "suppressed": reading.suppressed, "rows": found})
        return
    output.print_table(table.column_names, [list(row.values()) for row in found])
    _note(reading)


def _answer(facts: dict[str, Any], reading: Any, as_json: bool) -> None:
    if as_json:
        output.print_json(facts)
        return
    rows = "suppressed" if facts["rows"] is None else f"{facts['rows']:,} rows"
    output.out.print(f"{rows}" + (f" in {facts['file']}" if "file" in facts else ""))
    _note(reading)


def _note(reading: Any) -> None:
    if reading.suppressed:
        output.err.print(f"held back: fewer than {reading.access.threshold} people")


@asset_app.command("access", epilog="Example: `wares asset access events`")
def access(
    name: Annotated[str, typer.Argument(help="One table; without it, all.")] = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """What each role sees of each column, and which rule says so."""
    from wares.core.errors import NotFound

    policy = _open(shop).door.policy()
    if name and name not in policy.tables:
        raise NotFound(f"there is no table {name!r}", mend="See `wares asset access`", id=name)
    rows: list[dict[str, Any]] = []
    for table in [name] if name else policy.tables:
        for column in policy.tables[table].columns:
            row: dict[str, Any] = {"table": table, "column": column.name}
            for role in policy.roles:
                if not policy.may_read(role, table):
                    row[role] = "–"
                    continue
                row[role] = str(policy.decide(role, table).columns[column.name].mask)
            rows.append(row)
    if json:
        output.print_json(rows)
        return
    names = ["table", "column", *policy.roles]
    short = {"visible": "✓"}
    output.print_table(names, [[short.get(row[n], row[n]) for n in names] for row in rows])
    groups = [r.name for r in policy.roles.values() if not r.people_rows]
    limits = ", ".join(f"{r.name} {r.threshold}" for r in policy.roles.values())
    output.out.print(f"least people: {limits}" + (f"; groups only: {', '.join(groups)}" if groups else ""))


@asset_app.command(
    "share",
    epilog="Example: `wares asset share events --role partner --receiver ACME --expires 2026-12-31 --terms terms.txt --out acme`",
)
def share(
    name: Annotated[str, typer.Argument(help="Which table.")],
    out: Annotated[Path, typer.Option(help="A folder that does not exist yet.")],
    receiver: Annotated[str, typer.Option(help="Who gets it.")],
    expires: Annotated[str, typer.Option(help="The last day it may be read, as 2026-12-31.")],
    terms: Annotated[Path, typer.Option(help="A text file with the terms.")],
    role: Annotated[str, typer.Option(help="Whose masks and rows it holds.")] = "partner",
    columns: Columns = "",
    where: Where = "",
    version: Version = -1,
    purpose: Purpose = "sharing",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Write a filtered, masked snapshot with its contract, terms and expiry. The receiver opens it with `wares.read_share`."""
    from wares.core.errors import QueryError

    try:
        day = date.fromisoformat(expires)
        text = terms.read_text("utf-8")
    except ValueError:
        raise QueryError(
            "cannot read --expires or --terms",
            mend="Write 2026-12-31, and a UTF-8 text file",
            parameter="expires",
        ) from None
    except OSError as error:
        raise QueryError(f"there is no file {terms}", mend="Check the path", parameter="terms") from error
    with output.stage_progress("share", quiet=json):
        manifest = _open(shop).shares.create(
            name, out, role=role, receiver=receiver, expires=day, terms=text, **_wanted(version, purpose, columns, where)
        )  # fmt: skip
    if json:
        output.print_json({**manifest, "path": str(out)})
        return
    output.out.print(f"share [bold]{manifest['id']}[/]: {manifest['rows']:,} rows in {out}, until {expires}")


@asset_app.command("shares", epilog="Example: `wares asset shares`")
def list_shares(shop: Shop = Path(), json: Json = False) -> None:
    """All shares with receiver, expiry and state."""
    rows = _open(shop).shares.list()
    if json:
        output.print_json(rows)
        return
    output.print_table(
        ["id", "asset", "version", "rows", "receiver", "role", "purpose", "expires", "state"],
        [
            [r["id"], r["asset"], r["version"], r["rows"], r["receiver"], r["role"], r["purpose"], r["expires"][:10], r["status"]]
            for r in rows
        ],
    )  # fmt: skip


@asset_app.command("revoke", epilog="Example: `wares asset revoke 687ccd40aa99`")
def revoke(
    share_id: Annotated[str, typer.Argument(help="Which share.")], shop: Shop = Path(), json: Json = False
) -> None:
    """Take a share back, and remove its folder where it still lies."""
    done = _open(shop).shares.revoke(share_id)
    if json:
        output.print_json(done)
        return
    output.out.print(
        f"revoked {share_id}" + (", folder removed" if done["removed"] else "; a copy elsewhere stays")
    )


@audit_app.command("list", epilog="Example: `wares audit list --action read --what events`")
def audit_list(
    who: Annotated[str, typer.Option(help="Account, key or program.")] = "",
    action: Annotated[str, typer.Option(help="As read, denied, or share. for all that begin so.")] = "",
    what: Annotated[str, typer.Option(help="Asset.")] = "",
    role: Annotated[str, typer.Option(help="Role.")] = "",
    since: Annotated[str, typer.Option(help="ISO time.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 30,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """The newest entries."""
    import json as js

    rows = _open(shop).audit.entries(who=who, action=action, what=what, role=role, since=since, limit=limit)
    if json:
        output.print_json(rows)
        return
    output.print_table(
        ["no.", "at (UTC)", "who", "role", "action", "what", "detail"],
        [
            [r["seq"], r["at"][:19], r["who"], r["role"], r["action"], r["what"], js.dumps(r["detail"], ensure_ascii=False)]
            for r in rows
        ],
    )  # fmt: skip


@audit_app.command("verify", epilog="Example: `wares audit verify --head 120:9ae0…`")
def audit_verify(
    head: Annotated[str, typer.Option(help="A head that an earlier verification printed.")] = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Is any entry changed, dropped, added or reordered? Exit 3 if so. Note the head elsewhere to prove it later."""
    with output.stage_progress("verify", quiet=json):
        report = _open(shop).audit.verify(head)
    if json:
        output.print_json(report.to_json())
    elif report.whole:
        output.out.print(f"whole: {report.entries:,} entries, {report.anchored:,} anchored")
        output.out.print(f"head {report.head}")
    else:
        output.print_table(["no.", "fault"], [[seq, fault] for seq, fault in report.faults])
        output.err.print(f"[bold red]{report.n_faults:,} faults[/] in {report.entries:,} entries")
    raise typer.Exit(output.DONE if report.whole else output.BROKEN)


@audit_app.command("export", epilog="Example: `wares audit export audit.jsonl`")
def audit_export(
    out: Annotated[Path, typer.Argument(help="A JSON Lines file.")], shop: Shop = Path(), json: Json = False
) -> None:
    """Write all entries, oldest first, with their digests."""
    from wares.data.audit import export

    rows = export(_open(shop).audit, out)
    output.print_json({"entries": rows, "file": str(out)}) if json else output.out.print(
        f"{rows:,} entries in {out}"
    )
