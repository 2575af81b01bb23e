"""``wares check``, ``wares contract`` and ``wares quarantine``: the quality of stored tables, and rows that were set aside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from wares.cli import output
from wares.cli.main import Json, Shop, _open
from wares.cli.tools import evaluate_app


class _DefaultsToList(TyperGroup):
    """``wares quarantine events`` means ``wares quarantine list events``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``list`` before arguments that begin with no subcommand."""
        if "--help" not in args and (not args or args[0] not in self.commands):
            args = ["list", *args]
        return super().parse_args(ctx, args)


contract_app = typer.Typer(
    no_args_is_help=True, help="What tables promise. Example: `wares contract diff events events.odcs.yaml`"
)
quarantine_app = typer.Typer(
    cls=_DefaultsToList,
    help="Rows that broke a rule: look, mend and release, or discard. Example: `wares quarantine events`",
)


def register(app: typer.Typer) -> None:
    """Put the commands onto `app`, once."""
    if any(group.name == "contract" for group in app.registered_groups):
        return
    app.command(epilog="Examples: `wares check` · `wares check events --against 3 --json`")(check)
    app.add_typer(contract_app, name="contract")
    app.add_typer(quarantine_app, name="quarantine")


def _checker(shop: Path) -> Any:
    from wares.data.quality.run import Checker

    workspace = _open(shop)
    return Checker(workspace.root, workspace.config, workspace.store, workspace.state, workspace.clock)


def check(
    table: Annotated[str, typer.Argument(help="One table; without it, all.")] = "",
    against: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="The version that teaches what to expect.",
            show_default="the newest that broke nothing",
        ),
    ] = None,
    version: Annotated[
        int | None, typer.Option(min=0, help="Check this version.", show_default="the newest")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Show checks that passed as well.")] = False,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Check stored tables: contract, references, freshness, volume, drift, own rules. Exit 3 when a blocking rule is broken, 2 when a rule cannot be run."""
    from wares.core import columns as c

    workspace = _open(shop)
    names = [table] if table else [t for t in c.TABLES if workspace.store.exists(t)]
    reports = []
    with output.step_progress(quiet=json) as tick:
        for number, name in enumerate(names):
            tick("check", number, len(names))
            reports.append(workspace.check(name, against, version))
        tick("check", len(names), max(len(names), 1))
    if json:
        output.print_json([report.to_json() for report in reports])
    else:
        _show(reports, all_=all_)
    if any(report.blocking for report in reports):
        raise typer.Exit(output.BROKEN)
    raise typer.Exit(output.USAGE if any(report.invalid for report in reports) else output.DONE)


def _show(reports: list[Any], *, all_: bool) -> None:
    rows = [
        [r.table, r.version, r.rows, r.score, len(r.checks), len(r.broken), r.quarantined, ", ".join(r.blocking), r.seconds]
        for r in reports
    ]  # fmt: skip
    output.print_table(
        ["table", "version", "rows", "score", "checks", "broken", "quarantined", "blocking", "seconds"], rows
    )
    for report in reports:
        shown = report.checks if all_ else [*report.broken, *report.invalid]
        if shown:
            taught = f", against version {report.against}" if report.against is not None else ""
            output.out.print(f"\n[bold]{report.table}[/], version {report.version}{taught}")
        for check in shown:
            output.out.print(_line(check), markup=False, highlight=False)
        if report.rules:
            counts = ", ".join(f"{rule} {rows:,}" for rule, rows in report.rules.items())
            output.out.print(f"{report.table}: in quarantine: {counts}", markup=False, highlight=False)


def _line(check: Any) -> str:
    if check.status == "passed":
        measured = f" {check.value:.4g}" if check.value is not None else ""
        return f"  passed    {check.label}{measured} ({check.expected})"
    keys = ", ".join("/".join(map(str, key.values())) for key in check.sample)
    return (
        f"  {check.severity if check.status == 'broken' else 'cannot run':<9} {check.label}: {check.message}"
        + (f" [{keys}]" if keys else "")
        + f"\n{'':12}→ {check.mend}"
    )


# -- contracts -----------------------------------------------------------------------------------------------


@contract_app.command("show", epilog="Example: `wares contract show events`")
def contract_show(
    table: Annotated[str, typer.Argument(help="Which table.")], shop: Shop = Path(), json: Json = False
) -> None:
    """Owner, purpose, service levels, roles, columns and rules of a table."""
    from dataclasses import asdict

    from wares.data.contract import contract_for

    found = contract_for(table, shop.resolve())
    if json:
        output.print_json({k: v for k, v in asdict(found).items() if k != "text"})
        return
    output.print_table(
        ["what", ""],
        [
            ["version", f"{found.version} ({found.hash})"], ["owner", found.owner], ["team", ", ".join(found.team)],
            ["purpose", found.purpose], ["service levels", ", ".join(f"{k} {v}" for k, v in found.sla)],
            ["roles", ", ".join(f"{r} ({a})" if a else r for r, a in found.roles)], ["blocking", ", ".join(found.blocking)],
        ],
        table,
    )  # fmt: skip
    marks = [
        [c.name, c.kind, "yes" if c.required or c.key else "", "key" if c.key else "unique" if c.unique else "", c.reference, c.classification, c.description]
        for c in found.columns
    ]  # fmt: skip
    output.print_table(["column", "type", "required", "unique", "refers to", "class", "meaning"], marks)
    rules = [
        [r.name, r.kind, r.column, r.severity, r.blocking, str(r.limits), r.text[:60]] for r in found.quality
    ]
    if rules:
        output.print_table(["rule", "kind", "column", "severity", "blocking", "must be", "text"], rules)
    for fault in found.faults:
        output.err.print(f"[yellow]{fault.message}[/] → {fault.mend}")


@contract_app.command("history", epilog="Example: `wares contract history events`")
def contract_history(
    table: Annotated[str, typer.Argument(help="Which table.")], shop: Shop = Path(), json: Json = False
) -> None:
    """The contracts that a table was checked under, newest first."""
    rows = _checker(shop).history.contracts(table)
    if json:
        output.print_json(rows)
        return
    output.print_table(
        ["hash", "version", "first seen (UTC)"], [[r["hash"], r["version"], r["at"][:19]] for r in rows]
    )


@contract_app.command(
    "diff",
    epilog="Examples: `wares contract diff old.yaml new.yaml` · `wares contract diff 1f2e3d events --table events`",
)
def contract_diff(
    old: Annotated[
        str, typer.Argument(help="A file, a table (its contract in force), or a hash from the history.")
    ],
    new: Annotated[str, typer.Argument(help="Likewise.")],
    table: Annotated[str, typer.Option(help="Whose contract; needed when neither tells.")] = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """What changed between two contracts, and whether it breaks those who read or deliver the table. Exit 3 when it does."""
    from dataclasses import asdict

    from wares.data.quality.changes import changes, find_contract

    history = _checker(shop).history if (shop / "wares.toml").is_file() else None
    found = changes(*(find_contract(name, table, shop.resolve(), history) for name in (old, new)))
    if json:
        output.print_json([asdict(change) for change in found])
    else:
        output.print_table(["breaking", "where", "what"], [[c.breaking, c.where, c.what] for c in found])
    raise typer.Exit(output.BROKEN if any(c.breaking for c in found) else output.DONE)


@contract_app.command("suggest", epilog="Example: `wares contract suggest products --write`")
def contract_suggest(
    table: Annotated[str, typer.Argument(help="Which table.")],
    version: Annotated[
        int | None, typer.Option(min=0, help="The trusted version.", show_default="the newest")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Put the rules into the workspace's contract.")
    ] = False,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Rules learned from a trusted version: null shares, ranges, closed sets of values, forms of text."""
    from wares.data.quality.suggest import suggest, write_rules

    checker = _checker(shop)
    number = checker.store.version(table) if version is None else version
    rules = suggest(checker.profile_of(table, number))
    path = write_rules(checker.root, table, rules) if write else None
    if json:
        output.print_json(
            {"table": table, "version": number, "rules": rules, "written": str(path) if path else None}
        )
        return
    output.print_table(
        ["column", "rule", "what"], [[column, r["id"], r.get("description", "")] for column, r in rules]
    )
    if path:
        output.out.print(f"written to {path}")


# -- quarantine ----------------------------------------------------------------------------------------------


@quarantine_app.command("list", epilog="Example: `wares quarantine events --rule reference --limit 10`")
def quarantine_list(
    table: Annotated[str, typer.Argument(help="One table; without it, all.")] = "",
    rule: Annotated[str, typer.Option(help="Only this rule.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many rows.")] = 20,
    done: Annotated[bool, typer.Option("--done", help="Those that were released or discarded.")] = False,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """The newest rows that broke a rule: place, rule, value and mend."""
    from wares.data.quality.release import entries

    workspace = _open(shop)
    rows = entries(workspace.store, workspace.state, table or None, rule or None, limit, done=done)
    if json:
        output.print_json(rows)
        return
    output.print_table(
        ["id", "source", "line", "rule", "column", "value", "mend", *(["became"] if done else [])],
        [
            [r["id"], r["source"], str(r["line"]), r["rule"], r["column"], (r["value"] or "")[:40], r["mend"], *([f"{r['action']} by {r['by']}"] if done else [])]
            for r in rows
        ],
    )  # fmt: skip


@quarantine_app.command(
    "release",
    epilog="Examples: `wares quarantine release 3f2a… --set price=4.20` · `wares quarantine release --file mended.csv --as products`",
)
def quarantine_release(
    ids: Annotated[list[str] | None, typer.Argument(help="Entries, or the beginnings of their ids.")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="column=value, for all of them; an empty value empties the cell."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Mended rows with a column `_id` that names the entry.")
    ] = None,
    by: Annotated[str, typer.Option(help="Who releases.", envvar="USER")] = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Land mended rows under the contract. Rows that still break it stay; exit 3 then."""
    from dataclasses import asdict

    from wares.data.quality.release import read_changes, read_mended, release

    workspace = _open(shop)
    mended = read_mended(file) if file else {}
    report = release(workspace, [*(ids or []), *mended], read_changes(change or []), mended, by=by or "cli")
    if json:
        output.print_json(asdict(report))
    else:
        output.out.print(f"released {len(report.released)}, still broken {len(report.broken)}")
        if report.broken:
            output.print_table(
                ["id", "rule", "mend"], [[b["id"], b["rule"], b["mend"]] for b in report.broken]
            )
    raise typer.Exit(output.BROKEN if report.broken else output.DONE)


@quarantine_app.command("discard", epilog="Example: `wares quarantine discard 3f2a…`")
def quarantine_discard(
    ids: Annotated[list[str], typer.Argument(help="Entries, or the beginnings of their ids.")],
    by: Annotated[str, typer.Option(help="Who discards.", envvar="USER")] = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Say that rows are not worth mending; they stay on record and are no longer counted."""
    from wares.data.quality.release import discard

    done = discard(_open(shop), ids, by=by or "cli")
    output.print_json({"discarded": done}) if json else output.out.print(f"discarded {len(done)}")


# -- measuring -----------------------------------------------------------------------------------------------


@evaluate_app.command("quality", epilog="Example: `wares evaluate quality --shop demo --json`")
def evaluate_quality(
    seed: Annotated[int, typer.Option(help="Of the plants.")] = 7,
    keep: Annotated[
        Path | None, typer.Option(help="Where to make the copy; a temporary folder without it.")
    ] = None,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Plant faults of 29 kinds in copies of the stored tables, one at a time: which check finds which, and what the clean copy alarms."""
    import tempfile

    from wares.testing.faults import evaluate

    workspace = _open(shop)
    with tempfile.TemporaryDirectory(dir=keep) as folder, output.step_progress(quiet=json) as tick:
        result = evaluate(workspace, Path(folder), seed, lambda done, of: tick("faults", done, of))
    if json:
        output.print_json(result)
    else:
        output.print_table(
            ["fault", "table", "found", "by", "seconds"],
            [
                [t["fault"], t["table"], t["found"], ", ".join(t["by"][:4]), t["seconds"]]
                for t in result["faults"]
            ],
        )
        output.out.print(
            f"found {result['found']} of {result['planted']}; false alarms on clean tables: {len(result['false_alarms'])} in {result['clean_checks']} checks"
        )
        for alarm in result["false_alarms"]:
            output.out.print(f"  {alarm}", markup=False)
    raise typer.Exit(
        output.DONE if result["found"] == result["planted"] and not result["false_alarms"] else output.FAULT
    )
