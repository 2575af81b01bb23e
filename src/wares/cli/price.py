"""``wares price``: prices that look wrong, what is expected, alerts; and ``wares evaluate prices``."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from wares.cli import output
from wares.cli.main import Json, Shop, _open
from wares.cli.tools import evaluate_app

price_app = typer.Typer(
    no_args_is_help=True,
    help="Prices: which look wrong and why, what is expected, alerts. Example: `wares price anomalies --k 20`",
)
Product = Annotated[str, typer.Argument(help="Its id.")]


def register(app: typer.Typer) -> None:
    """Put the group and the evaluation onto the application, once."""
    if any(group.name == "price" for group in app.registered_groups):
        return
    app.add_typer(price_app, name="price")
    for name, command, example in (
        ("anomalies", anomalies, "wares price anomalies --k 50 --json"),
        ("show", show, "wares price show 1029743"),
        ("watch", watch, "wares price watch"),
        ("alerts", alerts, "wares price alerts --all"),
        ("ack", ack, "wares price ack 1029743"),
        ("mute", mute, "wares price mute 1029743"),
    ):
        price_app.command(name, epilog=f"Example: `{example}`")(command)
    app.command("emerging", epilog='Example: `wares emerging --category "Grocery > Cheese"`')(emerging)
    evaluate_app.command("prices", epilog="Example: `wares evaluate prices --seeds 5 --json`")(evaluate)


def _book(shop: Path) -> tuple[Any, Any, Any]:
    """The workspace, its prices and its catalogue, of the last build.

    Raises:
        NotFitted: when nothing is built, or by an earlier version.
    """
    from wares.core.errors import NotFitted
    from wares.features.catalogue import Catalogue
    from wares.models.price.infer import PriceBook
    from wares.pipeline.pricing import PRICE

    workspace = _open(shop)
    done = workspace._latest()["done"]
    if PRICE not in done:
        raise NotFitted("the last build knows nothing of prices", mend="Run `wares build`")
    return workspace, PriceBook(workspace.root / done[PRICE]), Catalogue(workspace.root / done["catalogue"])


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def anomalies(
    k: Annotated[int, typer.Option(min=1, max=2000, help="How many.")] = 50,
    history: Annotated[bool, typer.Option("--history", help="Also prices that held before.")] = False,
    least: Annotated[float, typer.Option(min=0, max=1, help="Least probability.")] = 0.0,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Prices that look wrong, likeliest first: held against comparable products and against the product's own past."""
    from wares.models.price.words import evidence_words, money, verdict_words
    from wares.serve.prices import anomaly_json

    _, book, catalogue = _book(shop)
    found = book.anomalies(k, past=history, least=least)
    facts = {name: book.manifest[name] for name in ("prices", "priced_products", "left_out", "currency")}
    if json:
        output.print_json({**facts, "anomalies": [anomaly_json(one, catalogue) for one in found]})
        return
    for one in found:
        product = catalogue.product(one.item)
        past = "" if one.current else f" (held on {_day(one.at)})"
        output.out.print(
            f"[bold]{one.probability:.0%}[/]  {escape(product.product_id)}  {escape(product.title[:80])}  [bold]{money(one.price)}[/]{past}"
        )
        output.out.print(f"      {escape(evidence_words(one))}", highlight=False)
        output.out.print(f"      [green]→[/] {escape(verdict_words(one))}", highlight=False)
    left = ", ".join(f"{count:,} {why}" for why, count in facts["left_out"].items())
    output.out.print(
        f"{facts['prices']:,} prices of {facts['priced_products']:,} products"
        + (f"; left out: {left}" if left else "")
    )


def show(product: Product, shop: Shop = Path(), json: Json = False) -> None:
    """What a product is expected to cost, by which products, and what its own past says."""
    from wares.core.errors import NotFound
    from wares.models.price.words import money
    from wares.serve.prices import range_json

    _, book, catalogue = _book(shop)
    row = catalogue.row(product)
    if row < 0:
        raise NotFound(f"there is no product {product!r}", mend="See `wares search`", id=product)
    found = range_json(book, catalogue, row)
    if json:
        output.print_json(found)
        return
    rows = [
        [one["product_id"], one["title"][:60], one["price"] or "–", one["per_unit"] or "–"]
        for one in found["comparable"]
    ]
    output.print_table(
        ["id", "comparable product", "price", "per unit"],
        rows,
        f"{product} {found['title']}: {found['price'] or 'no price'}",
    )
    wanted = found["expected"]
    if wanted is None:
        output.out.print("Nothing is comparable to it.")
        return
    text = f"expected {money(wanted['low'])} to {money(wanted['high'])}, middle {money(wanted['middle'])} {found['currency']}"
    if wanted["per_unit"]:
        per = wanted["per_unit"]
        text += f" ({money(per['low'])} to {money(per['high'])} per {per['unit']})"
    output.out.print(text)
    if found["why"]:
        output.out.print(
            f"{found['why']['probability']:.0%} wrong: {found['why']['evidence']}. {found['why']['verdict']}"
        )


def watch(shop: Shop = Path(), json: Json = False) -> None:
    """Take up what looks wrong in the last build; new ones become alerts. Every build does so itself."""
    found = _open(shop).watch_prices()
    if json:
        output.print_json(found)
        return
    output.out.print(f"{len(found['new'])} new, {len(found['mended'])} mended, {found['open']} open")


def alerts(
    all_: Annotated[bool, typer.Option("--all", help="Also acknowledged, muted and mended ones.")] = False,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Alerts on prices, newest first."""
    from wares.core.price_alerts import OPEN, STATES, PriceAlerts

    found = PriceAlerts(_open(shop).state).all(STATES if all_ else (OPEN,))
    if json:
        output.print_json(found)
        return
    rows = [
        [r["product_id"], r["price"], r["state"], f"{r['probability']:.0%}", r["first_seen"][:10], r["words"]]
        for r in found
    ]
    output.print_table(["id", "price", "state", "wrong", "since", "why"], rows, "Price alerts")


def _decide(shop: Path, product: str, state: str, json: bool) -> None:
    from wares.core.price_alerts import PriceAlerts
    from wares.data.access.door import user

    workspace = _open(shop)
    count = PriceAlerts(workspace.state).decide(product, state, user(), workspace.clock.now())
    output.print_json({"product_id": product, "state": state, "alerts": count}) if json else output.out.print(
        f"{product}: {state}"
    )


def ack(product: Product, shop: Shop = Path(), json: Json = False) -> None:
    """This price is right: no more alerts while it holds."""
    _decide(shop, product, "acknowledged", json)


def mute(product: Product, shop: Shop = Path(), json: Json = False) -> None:
    """No alerts on this product, whatever its price."""
    _decide(shop, product, "muted", json)


def emerging(
    k: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 20,
    category: Annotated[str, typer.Option(help="Only this category and what lies below it.")] = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Products whose demand rises against their own past and their neighbours' trend; and categories that rise."""
    from wares.core.errors import NotFitted
    from wares.features.catalogue import Catalogue
    from wares.models.price.emerging_infer import Emerging
    from wares.pipeline.emerging import EMERGING_STEP
    from wares.serve.prices import risers_json

    workspace = _open(shop)
    done = workspace._latest()["done"]
    if EMERGING_STEP not in done:
        raise NotFitted("the last build knows nothing of what emerges", mend="Run `wares build`")
    catalogue = Catalogue(workspace.root / done["catalogue"])
    found = risers_json(Emerging(workspace.root / done[EMERGING_STEP]), catalogue, k, category)
    if json:
        output.print_json(found)
        return
    if not found["windows"]:
        output.out.print("There are too few weeks of events to tell.")
        return
    for one in found["products"]:
        output.out.print(
            f"[bold]{one['ratio']:.1f}×[/]  {escape(one['product_id'])}  {escape(one['title'][:80])}  ({escape(one['category'])})"
        )
        output.out.print(f"      {escape(one['why'])}", highlight=False)
    if found["categories"]:
        output.out.print("[bold]Categories that rise against the shop[/]")
    for one in found["categories"]:
        output.out.print(
            f"[bold]{one['ratio']:.1f}×[/]  {escape(one['category'])}: {escape(one['why'])}", highlight=False
        )
    output.out.print(
        f"{found['windows'][1]} to {found['windows'][2]} against {found['windows'][0]} to {found['windows'][1]}; about {found['false_rate']:.0%} are chance"
    )


def evaluate(
    sales: Annotated[
        Path | None,
        typer.Option(
            help="A file of sales in place of the workspace: product, time, price, title by their names."
        ),
    ] = None,
    currency: Annotated[str, typer.Option(help="Currency of the file's prices, ISO 4217.")] = "GBP",
    planted: Annotated[int, typer.Option(min=10, max=5000, help="Errors to plant.")] = 200,
    seeds: Annotated[int, typer.Option(min=1, max=20, help="How often, with other errors.")] = 3,
    seed: Annotated[int, typer.Option(help="The first of the seeds.")] = 1,
    views: Annotated[
        str, typer.Option(help="current, history, alone (nothing earlier is known).")
    ] = "current,history,alone",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Plant price errors (×10, ÷100, currency swapped, pack size lost); precision and recall beside z-scores.

    Real prices have errors of their own that count as misses, so precision is a lower bound.
    """
    from wares.evaluate.prices import evaluate_prices

    command = shlex.join(["wares", *sys.argv[1:]])
    with output.stage_progress("evaluate", quiet=json) as stage:
        if sales is not None:
            from wares.evaluate.price_files import read_case

            stage("read")
            case = read_case(sales, currency)
        else:
            from wares.pipeline.pricing import case_of

            case = case_of(_open(shop))
        wanted = tuple(part.strip() for part in views.split(",") if part.strip())
        found = evaluate_prices(
            case, command, planted=planted, seeds=seeds, seed=seed, views=wanted, progress=stage
        )
    if json:
        output.print_json(found)
        return
    names = {"": "wares", "z_category_": "z by category", "z_category_log_": "z by category, of logarithms",
             "z_category_robust_": "the same, by median", "z_own_past_": "z by own past"}  # fmt: skip
    for view, figures in found["views"].items():
        rows = [
            [
                name,
                *(
                    figures[f"{base}{part}"]
                    for part in ("precision", "precision@50", "recall_twice", "average_precision")
                ),
            ]
            for base, name in names.items()
        ]
        heads = [
            "",
            f"precision and recall at {planted}",
            "precision at 50",
            f"recall at {2 * planted}",
            "average precision",
        ]
        output.print_table(
            heads,
            rows,
            f"{found['data']}, {view}: {found['prices']:,} prices of {found['priced_products']:,} products",
        )
        kinds = ", ".join(f"{kind} {figures[f'recall_{kind}']:.2f}" for kind in found["kinds"])
        output.out.print(
            f"  recall by kind: {kinds}; kind named right {figures['named']:.2f}, price mended {figures['mended']:.2f}"
        )
    output.out.print(f"{found['seeds']} seeds from {found['seed']}; {found['note']} {found['seconds']:.0f} s")
