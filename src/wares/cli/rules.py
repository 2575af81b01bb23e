"""``wares rules``: what merchandisers want of search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from wares.cli import output
from wares.cli.main import Json, Shop, _open

rules_app = typer.Typer(
    no_args_is_help=True,
    help='Pin, bury, boost or ban products in search, live and without a build. Example: `wares rules add pin p0007 --query "desk lamp"`',
)


def register(app: typer.Typer) -> None:
    """Put the group onto the application, once."""
    if any(group.name == "rules" for group in app.registered_groups):
        return
    app.add_typer(rules_app, name="rules")
    for name, command, example in (
        ("list", list_, "wares rules list` · `wares rules list --history --json"),
        ("add", add, 'wares rules add pin p0007 --query "desk lamp" --place 1` · `wares rules add boost Acme --target brand --factor 1.5 --until 2026-12-24` · `wares rules add ban gun --target word'),
        ("remove", remove, "wares rules remove 3 --note 'sold out'"),
    ):  # fmt: skip
        rules_app.command(name, epilog=f"Examples: `{example}`")(command)


def _book(shop: Path) -> tuple[Any, Any]:
    from wares.core.search_rules import RuleBook

    workspace = _open(shop)
    return RuleBook(workspace.state, workspace.audit), workspace.clock


def list_(
    history: Annotated[
        bool, typer.Option("--history", help="Also who added and removed what, newest first.")
    ] = False,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """All rules, those of other days too."""
    from wares.serve.rules import listed

    book, clock = _book(shop)
    found: dict[str, Any] = {"rules": listed(book, clock.now()), "history": book.history() if history else []}
    if json:
        output.print_json(found)
        return
    if not found["rules"]:
        output.out.print("No rules.")
    else:
        rows = [[r["id"], r["state"], escape(r["words"]), escape(r["who"]), escape(r["note"])] for r in found["rules"]]  # fmt: skip
        output.print_table(["id", "state", "rule", "by", "note"], rows, "Rules of search")
    for row in found["history"]:
        output.out.print(
            escape(f"{row['at'][:16]}  {row['event']} {row['rule']}: {row['words']}  ({row['who']}) {row['note']}"), highlight=False
        )  # fmt: skip


def add(
    action: Annotated[str, typer.Argument(help="pin, bury, boost or ban.")],
    value: Annotated[str, typer.Argument(help="The product's id; or the brand, category or word.")],
    target: Annotated[str, typer.Option(help="product, brand, category or word.")] = "product",
    query: Annotated[str, typer.Option(help="For this query; for all when left out.")] = "",
    contains: Annotated[
        bool, typer.Option("--contains", help="For queries that hold these words among others.")
    ] = False,
    category: Annotated[str, typer.Option(help="Only within this category and below it.")] = "",
    place: Annotated[int, typer.Option(help="Of a pin; 1 is first.", show_default="1")] = 0,
    factor: Annotated[float, typer.Option(help="Of a boost; below 1 it lowers.", show_default="2")] = 0.0,
    from_: Annotated[str, typer.Option("--from", help="First day, as 2026-11-27, UTC.")] = "",
    until: Annotated[str, typer.Option(help="Last day.")] = "",
    note: Annotated[str, typer.Option(help="Why; kept in its history.")] = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Put a rule down; it counts at once, or from its first day."""
    from wares.core.errors import QueryError
    from wares.core.search_rules import BOOST, CONTAINS, EXACT, PIN, Rule, parse_day
    from wares.data.access.door import user

    book, clock = _book(shop)
    for given, name, wanted in ((place, "place", PIN), (factor, "factor", BOOST)):
        if given and action != wanted:
            raise QueryError(f"--{name} is for {wanted} alone", mend=f"Leave --{name} out", parameter=name)
    rule = Rule(
        action, target, value, query, CONTAINS if contains else EXACT, category, float(place or factor), parse_day(from_, "from"),
        parse_day(until, "until"), note,
    )  # fmt: skip
    made = book.add(rule, user(), clock.now())
    if json:
        output.print_json(made.to_json())
        return
    output.out.print(f"rule {made.id}: {escape(made.words())}", highlight=False)
    if target == "product":
        _unknown(shop, value)


def _unknown(shop: Path, product: str) -> None:
    """Say so when the live bundle has no such product: it may come, or be a slip."""
    from wares.core.bundles import live_bundle
    from wares.core.errors import NotFitted
    from wares.features.catalogue import Catalogue

    try:
        known = Catalogue(live_bundle(shop.resolve()) / "catalogue").row(product) >= 0
    except NotFitted:
        return
    if not known:
        output.err.print(
            f"[yellow]The published catalogue has no product {escape(product)}[/]; the rule waits for it."
        )


def remove(
    rule: Annotated[int, typer.Argument(help="Its number, as `wares rules list` gives it.")],
    note: Annotated[str, typer.Option(help="Why; kept in its history.")] = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Take a rule away; its history stays."""
    from wares.data.access.door import user

    book, clock = _book(shop)
    gone = book.remove(rule, user(), clock.now(), note)
    output.print_json(gone.to_json()) if json else output.out.print(f"removed rule {gone.id}: {escape(gone.words())}", highlight=False)  # fmt: skip
