"""``wares together``, ``substitutes``, ``accessories``, ``basket``, ``again``, ``trending``, ``onboarding``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from wares.cli import output
from wares.cli.main import Json, Shop, _load, _print_hits

Product = Annotated[str, typer.Argument(help="Its id.")]
K = Annotated[int, typer.Option(min=1, max=200, help="How many.")]


def register(app: typer.Typer) -> None:
    """Put the commands onto the application, once."""
    if any(c.name == "together" for c in app.registered_commands):
        return
    for name, command, example in (
        ("together", together, "wares together 1029743"),
        ("substitutes", substitutes, "wares substitutes 1029743"),
        ("accessories", accessories, "wares accessories 1029743"),
        ("basket", basket, "wares basket 1029743,1082185"),
        ("again", again, "wares again 900 --days 7"),
        ("trending", trending, "wares trending --hours 168 --category Produce"),
        ("onboarding", onboarding, "wares onboarding --k 12"),
    ):
        app.command(name, epilog=f"Example: `{example}`")(command)


def together(product: Product, k: K = 10, shop: Shop = Path(), json: Json = False) -> None:
    """What is bought together with a product: more often than by chance."""
    _print_hits(_load(shop).services.related("together", product, k), as_json=json)


def substitutes(product: Product, k: K = 10, shop: Shop = Path(), json: Json = False) -> None:
    """What shoppers take instead of a product; by likeness where too little is known, and then it says so."""
    _print_hits(_load(shop).services.related("substitutes", product, k), as_json=json)


def accessories(product: Product, k: K = 10, shop: Shop = Path(), json: Json = False) -> None:
    """What goes with a product: of another category, cheaper, and bought for its sake."""
    _print_hits(_load(shop).services.related("accessories", product, k), as_json=json)


def basket(
    items: Annotated[str, typer.Argument(help="Product ids with commas between.")],
    k: K = 10,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """What completes a basket."""
    from wares.serve.situation import MOST_OF_A_BASKET, id_list

    ranker = _load(shop)
    names = id_list([items], ranker.knows, MOST_OF_A_BASKET, "items")
    unknown = [name for name in names if not ranker.knows(name)]
    if unknown and not json:
        output.err.print(f"unknown products: {', '.join(unknown)}")
    more: dict[str, Any] = {"unknown_products": unknown} if unknown else {}
    _print_hits(ranker.services.basket(names, k), as_json=json, **more)


def again(
    user: Annotated[str, typer.Argument(help="The shopper.")],
    days: Annotated[float, typer.Option(min=1, max=90, help="Due within so many days.")] = 14,
    k: K = 20,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """What a shopper buys repeatedly and when it is due; the score is the probability within --days."""
    _print_hits(_load(shop).services.again(user, k, days=days), as_json=json)


def trending(
    category: Annotated[str, typer.Option(help="Only this category and what lies below it.")] = "",
    hours: Annotated[int, typer.Option(min=1, max=336, help="The window that is looked at.")] = 24,
    k: K = 20,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """What rises now against its own past, online events counted."""
    _print_hits(_load(shop).services.trending(k, hours=hours, category=category), as_json=json)


def onboarding(
    k: K = 12,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Well-known products that cover the shop, for a newcomer to pick from."""
    _print_hits(_load(shop).services.onboarding(k), as_json=json)
