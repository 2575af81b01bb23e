"""``wares audience``: who is likely to want a product, a category or a coupon; and ``wares evaluate audiences``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from wares.cli import output
from wares.cli.main import Json, Shop, _open
from wares.cli.tools import evaluate_app

audience_app = typer.Typer(
    invoke_without_command=True,
    help="Whom to write to about a product, a category or a coupon. Example: `wares audience --product 1029743 --size 500 --consent consent.csv --out milk.csv`",
)


def register(app: typer.Typer) -> None:
    """Put the group and the evaluation onto the application, once."""
    if any(group.name == "audience" for group in app.registered_groups):
        return
    app.add_typer(audience_app, name="audience")
    audience_app.callback()(make)
    audience_app.command("uplift", epilog="Example: `wares audience uplift cheese.csv --days 14`")(uplift)
    evaluate_app.command(
        "audiences", epilog="Example: `wares evaluate audiences --days 28 --share 0.05 --json`"
    )(evaluate)


def make(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option(help="The CSV to write; a JSON of facts goes beside it.")
    ] = None,
    size: Annotated[int, typer.Option(min=0, help="Most people, the hold-out group counted.")] = 0,
    product: Annotated[str, typer.Option(help="Product ids with commas between.")] = "",
    category: Annotated[str, typer.Option(help="A category and what lies below it.")] = "",
    coupon: Annotated[
        Path | None, typer.Option(help="A file with a column product_id: what the coupon is for.")
    ] = None,
    consent: Annotated[
        Path | None,
        typer.Option(help="user_id and consent (yes or no) of customers; who is not in it is left out."),
    ] = None,
    holdout: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share set aside at random, not to be written to.")
    ] = 0.1,
    owners: Annotated[
        str, typer.Option(help="Who has it already: auto (out unless it is bought again), keep, exclude.")
    ] = "auto",
    seed: Annotated[
        int | None, typer.Option(help="Of the hold-out group.", show_default="the shop's")
    ] = None,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Choose those likeliest to want it, by what they bought of it, of its kind and of what is like it; set some aside."""
    if context.invoked_subcommand is not None:
        return
    from wares.core.errors import QueryError

    if out is None or not size:
        raise QueryError(
            "how many people, into which file?", mend="Give --size 500 --out FILE", parameter="size"
        )
    from wares.data.access.door import user
    from wares.pipeline.audience import Wanted, make_audience

    with output.stage_progress("audience", quiet=json) as stage:
        stage("choose")
        found = make_audience(
            _open(shop), Wanted(product, category, coupon), size, out, consent=consent, holdout=holdout, owners=owners, seed=seed, who=user()
        )  # fmt: skip
    if json:
        output.print_json({"path": str(out), **found})
        return
    output.out.print(
        f"{out}: {found['target']:,} to write to and {found['holdout']:,} set aside, of {found['with_consent']:,} shoppers with consent "
        f"({found['shoppers']:,} in all); owners {found['owners']}."
    )
    output.out.print(f"After the campaign: `wares audience uplift {out}`")


def uplift(
    audience: Annotated[Path, typer.Argument(help="The file that `wares audience` wrote.")],
    outcome: Annotated[
        Path | None,
        typer.Option(
            help="Who took it up: user_id and, if there is, value. Without: purchases in the shop's events."
        ),
    ] = None,
    days: Annotated[
        float, typer.Option(min=0.5, max=365, help="How long after the audience was made purchases count.")
    ] = 14.0,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """What it brought: the target group beside those set aside, with a 95 % interval."""
    from wares.pipeline.uplifting import uplift as compare

    found = compare(_open(shop), audience, outcome, days)
    if json:
        output.print_json(found)
        return
    rows = [
        [
            name,
            found[name]["target"],
            found[name]["holdout"],
            found[name]["difference"],
            *found[name]["interval"],
        ]
        for name in ("rate", "value")
        if name in found
    ]
    output.print_table(["", "written to", "set aside", "difference", "from", "to"], rows, found["outcome"])
    low, high = found["rate"]["interval"]
    verdict = (
        "it brought something"
        if low > 0
        else "it did harm"
        if high < 0
        else "chance alone could explain the difference"
    )
    output.out.print(f"{found['rate']['n_target']:,} and {found['rate']['n_holdout']:,} people: {verdict}.")


def evaluate(
    days: Annotated[float, typer.Option(min=1, max=180, help="Length of the window that judges.")] = 28.0,
    share: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="Size of an audience, of all shoppers.")
    ] = 0.05,
    targets: Annotated[int, typer.Option(min=5, max=2000, help="Products, and categories, to try.")] = 100,
    split: Annotated[
        str, typer.Option(help="The day that parts past and test.", show_default="--days before the end")
    ] = "",
    coupons: Annotated[Path | None, typer.Option(help="coupon_upc and product_id.")] = None,
    redemptions: Annotated[
        Path | None, typer.Option(help="household_id or user_id, coupon_upc, redemption_date.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 7,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Audiences chosen before a day and judged after it: lift over random, beside buyers of the thing and of its category."""
    from wares.pipeline.audience_trials import evaluate_audiences

    command = shlex.join(["wares", *sys.argv[1:]])
    with output.stage_progress("evaluate", quiet=json) as stage:
        found = evaluate_audiences(
            _open(shop), command, days=days, targets=targets, share=share, split=split, coupons=coupons, redemptions=redemptions, seed=seed, progress=stage
        )  # fmt: skip
    if json:
        output.print_json(found)
        return
    names = {
        "wares": "wares",
        "bought_it": "bought it most, lately",
        "category": "bought its category most, lately",
        "active": "buys most",
    }
    for kind, figures in found["audiences"].items():
        rows: list[list[Any]] = []
        for name, label in names.items():
            cells = [
                f"{figures[who][name]['lift']:.2f} ({figures[who][name]['interval'][0]:.2f}–{figures[who][name]['interval'][1]:.2f})"
                for who in ("all", "new")
            ]
            rows.append([label, *cells])
        gaps = [
            f"{figures[who]['difference']['lift']:+.2f} ({figures[who]['difference']['interval'][0]:+.2f}–{figures[who]['difference']['interval'][1]:+.2f})"
            for who in ("all", "new")
        ]
        rows.append(["wares less category", *gaps])
        output.print_table(
            ["", "lift, all shoppers", "lift, who never had it"],
            rows,
            f"{kind}: {figures['trials']} audiences of {share:.1%}",
        )
    output.out.print(
        f"split {found['split']}, {found['days']:g} days after it, {found['shoppers']:,} shoppers; seed {found['seed']}; {found['seconds']:.0f} s"
    )
