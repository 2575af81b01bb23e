"""``wares price elasticity``, ``simulate``, ``advise``; and ``wares evaluate elasticity``: how demand answers to prices."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from wares.cli import output
from wares.cli.main import Json, Shop, _open
from wares.cli.price import Product, price_app
from wares.cli.tools import evaluate_app

Cost = Annotated[
    float | None, typer.Option(help="What a piece costs the shop; by default its attribute `cost`.")
]


def register(app: typer.Typer) -> None:
    """Put the commands into the groups of prices and evaluations, once."""
    if any(command.name == "elasticity" for command in price_app.registered_commands):
        return
    for name, command, example in (
        ("elasticity", elasticity, "wares price elasticity 1029743` · `wares price elasticity --k 20 --json"),
        ("simulate", simulate, "wares price simulate 1029743 --price 2.49 --price 2.79"),
        ("advise", advise, "wares price advise 1029743 --cost 1.80 --step 0.1 --ending nines"),
    ):
        price_app.command(name, epilog=f"Example: `{example}`")(command)
    evaluate_app.command(
        "elasticity", epilog="Examples: `wares evaluate elasticity --runs 100 --json` · `wares evaluate elasticity --shop shop`"
    )(evaluate)  # fmt: skip


def _book(shop: Path) -> tuple[Any, Any, Any]:
    """The workspace, its elasticities and its catalogue, of the last build.

    Raises:
        NotFitted: when nothing is built, or by an earlier version.
    """
    from wares.core.errors import NotFitted
    from wares.features.catalogue import Catalogue
    from wares.models.price.elasticity import Elasticities
    from wares.pipeline.elasticity import ELASTICITY_STEP

    workspace = _open(shop)
    done = workspace._latest()["done"]
    if ELASTICITY_STEP not in done:
        raise NotFitted("the last build knows nothing of elasticities", mend="Run `wares build`")
    found = Elasticities(workspace.root / done[ELASTICITY_STEP])
    return workspace, found, Catalogue(workspace.root / done["catalogue"])


def _row(catalogue: Any, product: str) -> int:
    from wares.core.errors import NotFound

    row = int(catalogue.row(product))
    if row < 0:
        raise NotFound(f"there is no product {product!r}", mend="See `wares search`", id=product)
    return row


def _said(one: dict[str, Any]) -> str:
    if not one["identified"]:
        return f"not identified: {one['why']}"
    low, high = one["interval"]
    return f"{one['elasticity']:.2f} ({low:.2f} to {high:.2f}), by its {one['basis']}"


def elasticity(
    product: Annotated[str, typer.Argument(help="Its id; without one, what is known of the shop.")] = "",
    k: Annotated[int, typer.Option(min=1, max=1000, help="How many of the most sensitive.")] = 20,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """How demand answers to prices: elasticities with intervals, or why they are not identified."""
    from wares.serve.elasticity import elasticity_json, listed_json

    _, book, catalogue = _book(shop)
    if product:
        row = _row(catalogue, product)
        found = elasticity_json(book.of(row), catalogue, row)
        output.print_json(found) if json else output.out.print(
            f"{escape(found['title'])}: [bold]{escape(_said(found))}[/]; {found['weeks']} weeks, {found['units']:g} units"
        )
        return
    found = listed_json(book, catalogue, k)
    if json:
        output.print_json(found)
        return
    rows = [[one["product_id"], one["title"][:60], _said(one), one["weekly_units"], one["price"]] for one in found["sensitive"]]  # fmt: skip
    output.print_table(["id", "product", "elasticity", "units a week", "price"], rows, "Most sensitive to the price")  # fmt: skip
    for name in ("products", "categories"):
        output.out.print(
            f"{name}: " + ", ".join(f"{count:,} {why}" for why, count in found[name].items() if count)
        )


def _three(values: dict[str, Any] | None) -> str:
    return (
        "–" if values is None else f"{values['middle']:,.2f} ({values['low']:,.2f} to {values['high']:,.2f})"
    )


def _print_weeks(weeks: list[dict[str, Any]], title: str) -> None:
    rows = [
        [f"{w['price']:.2f}", _three(w["weekly_units"]), _three(w["revenue"]), _three(w["margin"]), "" if w["seen"] else "never asked"]
        for w in weeks
    ]  # fmt: skip
    output.print_table(["price", "units a week", "revenue", "margin", ""], rows, title)


def simulate(
    product: Product,
    price: Annotated[list[float], typer.Option(help="A price; may be given several times.")],
    cost: Cost = None,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Demand, revenue and margin of a week at other prices, with 95 % intervals."""
    from wares.serve.elasticity import simulate_json

    _, book, catalogue = _book(shop)
    found = simulate_json(book, catalogue, _row(catalogue, product), price, cost)
    if json:
        output.print_json(found)
        return
    _print_weeks([found["now"], *found["at"]], f"{found['title']}: elasticity {_said(found)}")


def advise(
    product: Product,
    cost: Cost = None,
    step: Annotated[float, typer.Option(help="Largest change, as a share of the price.")] = 0.1,
    margin: Annotated[float, typer.Option(help="Least margin, as a share of the cost.")] = 0.0,
    ending: Annotated[str, typer.Option(help="How prices end: none, nines, fives, tens, whole.")] = "none",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """The price to ask, within guard rails: only where a gain is likely, and never up where shoppers find the price bad."""
    from wares.models.price.strategy import Rails
    from wares.pipeline.mood_uses import price_mood_of
    from wares.serve.elasticity import advise_json

    workspace, book, catalogue = _book(shop)
    row = _row(catalogue, product)
    mood = price_mood_of(workspace, row)
    found = advise_json(book, catalogue, row, Rails(step, margin, ending), cost, mood)
    if json:
        output.print_json(found)
        return
    advice = found["advice"]
    _print_weeks([advice["now"], *([advice["then"]] if advice["changes"] else [])], found["title"])
    said = f"ask [bold]{advice['price']:.2f}[/]" if advice["changes"] else "keep the price"
    why = f"; {advice['goal']} +{advice['gain_per_week']:.2f} a week, {advice['probability']:.0%} likely" if advice["changes"] else ""  # fmt: skip
    output.out.print(f"{said}{why}" + "".join(f"; {words}" for words in advice["words"]))


def evaluate(
    runs: Annotated[int, typer.Option(min=0, max=1000, help="Synthetic shops with known elasticities; 0: none.")] = 100,
    seed: Annotated[int, typer.Option(help="The first of the seeds.")] = 1,
    shop: Annotated[
        Path | None, typer.Option("--shop", "-C", help="Also how much of this workspace's last build is identified.")
    ] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Is the true elasticity inside its interval, on shops that were made with a known one; how much of a real shop is identified."""
    from wares.core.errors import QueryError

    command = shlex.join(["wares", *sys.argv[1:]])
    if not runs and shop is None:
        raise QueryError("nothing to evaluate", mend="Ask for --runs, or name a --shop", parameter="runs")
    found: dict[str, Any] = {}
    with output.stage_progress("elasticity", quiet=json) as stage:
        if runs:
            from wares.evaluate.elasticity import evaluate_synthetic

            found["synthetic"] = evaluate_synthetic(command, runs=runs, seed=seed, progress=stage)
        if shop is not None:
            from wares.pipeline.elasticity import evaluate_shop

            found["shop"] = evaluate_shop(_open(shop), command, stage)
    if json:
        output.print_json(found)
        return
    if runs:
        made = found["synthetic"]
        rows = [
            [name, one["inside"], one["inside_error"], one["identified"], one["width"], one["error"]]
            for name, one in (("products", made["products"]), ("categories", made["categories"]))
        ]
        output.print_table(
            ["", "truth inside 95 %", "±", "identified", "width", "error"], rows, f"{made['runs']} synthetic shops, seeds from {made['seed']}"
        )  # fmt: skip
        output.out.print(
            f"first category inside in {made['runs_inside']:.0%} of runs; without controls {made['naive']['inside']:.0%} inside, error {made['naive']['error']:.2f}"
        )
        for kind, share in made["refused"].items():
            output.out.print(f"prices that are {kind}: " + ", ".join(f"{v:.0%} {name}" for name, v in share.items()))  # fmt: skip
    if shop is not None:
        one = found["shop"]
        output.out.print(
            f"{one['data']}: {one['verdicts']['identified']:,} of {one['products_sold']:,} sold products identified "
            f"({', '.join(f'{v:,} by {k}' for k, v in one['identified_by'].items())}), {one['units_identified']:.0%} of units"
        )
        output.print_table(["verdict", "products", "categories"], [[v, n, one["categories"][v]] for v, n in one["verdicts"].items()])  # fmt: skip
