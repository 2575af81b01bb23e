"""``wares asset``: the registry, versions, lineage and training sets."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from wares.cli import output
from wares.cli.main import Json, Shop, _open
from wares.cli.tools import asset_app

Name = Annotated[str, typer.Argument(help="Which asset.")]


def register(app: typer.Typer) -> None:
    """The commands attach to `wares asset` when this module is imported."""


def _assets(shop: Path) -> Any:
    found = _open(shop).assets
    found.sync()
    return found


def _print_assets(assets: Any, found: list[Any], *, as_json: bool) -> None:
    newest = assets.registry.newest()
    rows = []
    for asset in found:
        version = newest.get(asset.name)
        rows.append(
            {
                "asset": asset.name, "kind": asset.kind, "version": version.version if version else None, "rows": version.rows if version else None,
                "at": version.at if version else None, "owner": asset.owner, "description": asset.description, "columns": len(asset.columns),
            }
        )  # fmt: skip
    if as_json:
        output.print_json(rows)
        return
    output.print_table(
        ["asset", "kind", "version", "rows", "made (UTC)", "owner", "what it is"],
        [[r["asset"], r["kind"], r["version"], r["rows"], (r["at"] or "")[:19], r["owner"], r["description"]] for r in rows],
    )  # fmt: skip


@asset_app.command("list", epilog="Examples: `wares asset list` · `wares asset list --kind feature`")
def asset_list(
    kind: Annotated[str, typer.Option(help="table, derived table, feature, model, bundle, training set …")] = "",
    shop: Shop = Path(), json: Json = False,
) -> None:  # fmt: skip
    """Everything the shop holds: tables, features, models, bundles, training sets; with version, rows and age."""
    assets = _assets(shop)
    _print_assets(assets, [a for a in assets.registry.all() if kind in ("", a.kind)], as_json=json)


@asset_app.command("search", epilog='Examples: `wares asset search "brand"` · `wares asset search 价格`')
def asset_search(
    query: Annotated[str, typer.Argument(help="Words; all must be there, and may be cut short.")],
    shop: Shop = Path(), json: Json = False,
) -> None:  # fmt: skip
    """Find assets by name, description, column, tag or owner, best first."""
    assets = _assets(shop)
    _print_assets(assets, assets.search(query), as_json=json)


@asset_app.command("show", epilog="Examples: `wares asset show events` · `wares asset show text_vectors`")
def asset_show(name: Name, shop: Shop = Path(), json: Json = False) -> None:
    """One asset: columns, facts (dimension, encoder, evaluation), tags, versions, what it is made from and who uses it."""
    found = _assets(shop).show(name)
    if json:
        output.print_json(found)
        return
    output.out.print(f"[bold]{found['name']}[/]  {found['kind']}  {found['owner']}\n{found['description']}")
    for label, key in (("made from", "made_from"), ("used by", "consumers")):
        if found[key]:
            output.out.print(f"{label}: {', '.join(found[key])}", highlight=False)
    if found["tags"]:
        said = [
            f"{t['tag']}"
            + (
                f" ({t['column']})"
                if t["column"]
                else f" (v{t['version']})"
                if t["version"] is not None
                else ""
            )
            for t in found["tags"]
        ]
        output.out.print(f"tags: {', '.join(said)}", highlight=False)
    output.print_table(
        ["column", "type", "meaning"], [[c["name"], c["type"], c["description"]] for c in found["columns"]]
    )
    if found["facts"]:
        output.print_table(["fact", "value"], [[k, _short(v)] for k, v in found["facts"].items()])
    _print_versions(found["versions"][:10])


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in list(value.items())[:12]
        )
    return str(value)


def _print_versions(versions: list[dict[str, Any]]) -> None:
    output.print_table(
        ["version", "made (UTC)", "by", "rows", "new", "changed", "from", "state"],
        [
            [
                v["version"], v["at"][:19], v["action"], v["rows"], v["facts"].get("added"), v["facts"].get("changed"),
                str(v["facts"].get("source", v["hash"])), "erased" if v["erased"] else "",
            ]
            for v in versions
        ],
    )  # fmt: skip


@asset_app.command("history", epilog="Example: `wares asset history events`")
def asset_history(name: Name, shop: Shop = Path(), json: Json = False) -> None:
    """All versions of an asset, newest first, with their tags."""
    assets = _assets(shop)
    assets.registry.get(name)
    versions = [v.__dict__ for v in assets.registry.versions(name)]
    if json:
        tags = assets.registry.tags(name)
        output.print_json(
            [{**v, "tags": [t["tag"] for t in tags if t["version"] == v["version"]]} for v in versions]
        )
        return
    _print_versions(versions)


@asset_app.command(
    "diff", epilog="Examples: `wares asset diff products 3` · `wares asset diff products 2026-11-01 latest`"
)
def asset_diff(
    name: Name,
    old: Annotated[str, typer.Argument(help="A version, a tag or a day.")],
    new: Annotated[str, typer.Argument(help="A version, a tag or a day.")] = "latest",
    shop: Shop = Path(), json: Json = False,
) -> None:  # fmt: skip
    """What differs between two versions: rows by key, cells by column, columns, and how far distributions moved (PSI, KS). Never values."""
    found = _assets(shop).diff(name, old, new)
    if json:
        output.print_json(asdict(found))
        return
    output.out.print(
        f"[bold]{name}[/] v{found.old} → v{found.new}: {found.rows[0]:,} → {found.rows[1]:,} rows"
    )
    if found.added is not None:
        output.out.print(
            f"  by {', '.join(found.key)}: {found.added:,} added, {found.removed:,} removed, {found.changed:,} changed, {found.same:,} the same"
        )
    for word, columns in (("new columns", found.columns_added), ("columns gone", found.columns_removed)):
        if columns:
            output.out.print(f"  {word}: {', '.join(columns)}")
    for column, (a, b) in found.types_changed.items():
        output.out.print(f"  {column}: {a} → {b}")
    rows = [
        [
            s.column,
            found.changed_cells.get(s.column, 0),
            s.psi,
            s.ks,
            f"{s.nulls[0]:.2%} → {s.nulls[1]:.2%}",
            f"{s.distinct[0]:,} → {s.distinct[1]:,}",
        ]
        for s in found.shifts
    ]
    output.print_table(["column", "changed cells", "PSI", "KS", "empty", "distinct"], rows)


@asset_app.command(
    "tag",
    epilog="Examples: `wares asset tag products@4 christmas` · `wares asset tag products checked --column brand`",
)
def asset_tag(
    name: Annotated[str, typer.Argument(help="An asset, or asset@version to name a version.")],
    tag: Annotated[str, typer.Argument(help="Letters, digits, - _ and .")],
    column: Annotated[str, typer.Option(help="Tag this column.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take the tag away.")] = False,
    shop: Shop = Path(), json: Json = False,
) -> None:  # fmt: skip
    """Name a version (it is then never cleared away), or tag an asset or a column for search."""
    assets = _assets(shop)
    whole, _, version = name.partition("@")
    if remove:
        done = assets.untag(whole, tag, column=column)
    else:
        assets.tag(whole, tag, column=column, version=version or None)
        done = True
    output.print_json(
        {"asset": name, "tag": tag, "column": column, "done": done}
    ) if json else output.out.print("done" if done else "it was not there")


@asset_app.command("restore", epilog="Example: `wares asset restore products 3`")
def asset_restore(
    name: Name, version: Annotated[str, typer.Argument(help="A version, a tag or a day.")], shop: Shop = Path(), json: Json = False
) -> None:  # fmt: skip
    """Make an old version the newest again, as a new version. Nothing is rewritten; what came after stays in the history."""
    made = _assets(shop).restore(name, version)
    output.print_json({"asset": name, "version": made}) if json else output.out.print(
        f"{name} is now at version {made}, equal to {version}"
    )


@asset_app.command(
    "vacuum",
    epilog="Examples: `wares asset vacuum --dry-run` · `wares asset vacuum events --keep 5 --days 30`",
)
def asset_vacuum(
    names: Annotated[list[str] | None, typer.Argument(help="Tables; without one, all.")] = None,
    keep: Annotated[int | None, typer.Option(min=1, help="Keep so many newest versions.", show_default="from wares.toml")] = None,
    days: Annotated[float | None, typer.Option(min=0, help="Keep younger ones.", show_default="from wares.toml")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    shop: Shop = Path(), json: Json = False,
) -> None:  # fmt: skip
    """Remove the content of old versions. Tagged ones, and those that a kept bundle or training set was made from, stay."""
    with output.stage_progress("vacuum", quiet=json) as stage:
        plans = _assets(shop).vacuum(names or [], keep=keep, days=days, dry_run=dry_run, progress=stage)
    if json:
        output.print_json([asdict(p) for p in plans])
        return
    rows = []
    for made in plans:
        special = [
            f"{n}: {why}"
            for n, why in sorted(made.keep.items())
            if why.startswith(("tagged", "the ", "bundle"))
        ]
        rows.append(
            [made.asset, len(made.keep), ", ".join(map(str, made.erase)), made.files, "; ".join(special)]
        )
    output.print_table(["table", "kept", "would go" if dry_run else "erased", "files", "kept because"], rows)


@asset_app.command(
    "lineage",
    epilog="Examples: `wares asset lineage bundle --up` · `wares asset lineage products.brand --down`",
)
def asset_lineage(
    what: Annotated[str, typer.Argument(help="asset, asset@version, asset.column, or the name of a bundle.")],
    direction: Annotated[str, typer.Option("--direction", help="up or down.")] = "up",
    up: Annotated[bool, typer.Option("--up", help="Which columns went into it.")] = False,
    down: Annotated[bool, typer.Option("--down", help="What hangs on it.")] = False,
    values: Annotated[bool, typer.Option("--values", help="Leave out what only chooses rows: filters, joins, order.")] = False,
    edges: Annotated[bool, typer.Option("--edges", help="Show every step of the way.")] = False,
    shop: Shop = Path(), json: Json = False,
) -> None:  # fmt: skip
    """Which columns fed this? (--up) What breaks if this changes? (--down)"""
    from wares.core.errors import QueryError

    direction = "down" if down else "up" if up else direction
    if direction not in ("up", "down") or (up and down):
        raise QueryError("choose one direction", mend="Use --up or --down", parameter="direction")
    assets = _assets(shop)
    answer = assets.lineage(what, direction, rows=not values)
    consumers = assets.consumers(what) if direction == "down" else []
    if json:
        output.print_json({**answer.to_json(), **({"consumers": consumers} if consumers else {})})
        return
    output.out.print(f"[bold]{what}[/] " + ("is made from" if direction == "up" else "goes into"))
    output.print_table(
        ["asset", "columns"],
        [
            [name, ", ".join("all" if c == "*" else c for c in columns)]
            for name, columns in answer.assets.items()
        ],
    )
    for consumer in consumers:
        output.out.print(f"  would notice a change: {consumer}", highlight=False)
    if edges:
        output.print_table(
            ["from", "how", "to"],
            [
                [
                    f"{e.from_asset}.{e.from_column}",
                    f"{e.kind} {e.via}".strip(),
                    f"{e.to_asset}.{e.to_column}",
                ]
                for e in answer.edges
            ],
        )


@asset_app.command(
    "trainset", epilog="Example: `wares asset trainset recipes/repeat.toml --as-of 2025-06-01`"
)
def asset_trainset(
    recipe: Annotated[Path, typer.Argument(help="A recipe in TOML; see docs/registry.md.")],
    as_of: Annotated[str, typer.Option(help="Use nothing that happened on this day or later.")] = "",
    shop: Shop = Path(), json: Json = False,
) -> None:  # fmt: skip
    """Make a training set: labels with every feature as it was just before each label. The same inputs give the same content."""
    from wares.data.registry.training import Recipe

    made = _open(shop).training_set(Recipe.load(recipe, as_of))
    if json:
        output.print_json(asdict(made))
        return
    output.out.print(
        f"{made.asset} version {made.version}: {made.rows:,} rows, content {made.content}"
        + ("" if made.new else " (as before)")
    )


@asset_app.command("operations", epilog="Example: `wares asset operations > docs/operations.md`")
def asset_operations(json: Json = False) -> None:
    """The table operations that the whole flow uses, each with its support on Apache Spark, as Markdown. Takes a minute."""
    from wares.testing.operations import observe_flow, page

    found = observe_flow()
    if json:
        output.print_json(sorted(found))
        return
    sys.stdout.write(page(found))
