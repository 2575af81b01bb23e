"""``wares moods``: moods put to use; and ``wares evaluate moods``: whether they help to rank."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from wares.cli import output
from wares.cli.main import Json, Shop, _open
from wares.cli.tools import evaluate_app

moods_app = typer.Typer(
    no_args_is_help=True,
    help="Moods put to use: searches that disappoint, whom to answer first, what to better, stock. Example: `wares moods queries --k 20`",
)
K = Annotated[int, typer.Option(min=1, max=500, help="How many.")]
Words = Annotated[str, typer.Option(help="Language of the words: en or zh.")]


def register(app: typer.Typer) -> None:
    """Put the group and the evaluation onto the application, once."""
    if any(group.name == "moods" for group in app.registered_groups):
        return
    app.add_typer(moods_app, name="moods")
    for name, command, example in (
        ("queries", queries, 'wares moods queries --k 20` · `wares moods queries "desk lamp" --json'),
        ("service", service, "wares moods service --k 20` · `wares moods service --llm"),
        ("improve", improve, "wares moods improve 1029743` · `wares moods improve --k 10"),
        ("stock", stock, "wares moods stock --k 30 --json"),
        ("prices", prices, "wares moods prices"),
    ):
        moods_app.command(name, epilog=f"Example: `{example}`")(command)
    evaluate_app.command(
        "moods", epilog="Examples: `wares evaluate moods --shop shop --json` · `wares evaluate moods --reviews train.csv.gz --product 'Clothing ID' --text 'Review Text' --rating Rating`"
    )(evaluate)  # fmt: skip


def _notes(found: dict[str, Any]) -> None:
    for note in found["notes"]:
        output.out.print(escape(note))


def queries(
    query: Annotated[str, typer.Argument(help="Only this search text.")] = "",
    k: K = 20,
    language: Words = "en",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """How satisfied buyers are with what searches return, worst first, and what to change."""
    from wares.core.errors import NotFound
    from wares.pipeline.mood_uses import uses_of
    from wares.serve.mood_uses import notes, queries_json, query_json

    uses, catalogue = uses_of(_open(shop))
    language = output.check_language(language)
    if query:
        row = uses.query(query)
        if row is None:
            raise NotFound(
                f"nothing is known of the search {query[:80]!r}", mend="See `wares moods queries`", id=query
            )
        found: dict[str, Any] = {
            "queries": [query_json(row, catalogue, language)],
            "total": 1,
            "notes": notes(uses, language, "queries"),
        }
    else:
        found = queries_json(uses, catalogue, k, 0, language)
    if json:
        output.print_json(found)
        return
    for one in found["queries"]:
        low, high = one["interval"]
        said = "" if one["mood"] is None else f", mood {one['mood']:+.2f} of {one['texts']} texts"
        output.out.print(
            f"[bold]{one['satisfaction']:.2f}[/] ({low:.2f} to {high:.2f})  “{escape(one['query'])}”  {one['searches']} searches, {one['clicked']} clicked, "
            f"{one['reformulated']} reformulated, {one['returned']} of {one['bought']} sent back{said}", highlight=False,
        )  # fmt: skip
        for change in one["changes"]:
            output.out.print(f"      [green]→[/] {escape(change['words'])}", highlight=False)
    _notes(found)


def service(
    k: K = 20,
    llm: Annotated[bool, typer.Option("--llm", help="Better the suggested answers with the model of [graph.llm].")] = False,
    language: Words = "en",
    shop: Shop = Path(),
    json: Json = False,
) -> None:  # fmt: skip
    """Whom to answer first: danger, anger, urgency, money, waiting; each with a suggested answer in the customer's language."""
    from wares.pipeline.mood_uses import uses_of
    from wares.serve.mood_uses import cases_json

    workspace = _open(shop)
    uses, catalogue = uses_of(workspace)
    found = cases_json(uses, catalogue, k, 0, output.check_language(language))
    if llm:
        from wares.pipeline.mood_service import draft_answers

        with output.stage_progress("answers", quiet=json) as stage:
            found["llm"] = draft_answers(workspace, found["cases"], stage)
    if json:
        output.print_json(found)
        return
    for one in found["cases"]:
        signs = ", ".join(sign["words"] for sign in one["signs"])
        product = f" · {escape(one['product']['title'][:60])}" if one["product"] else ""
        output.out.print(
            f"[bold]{one['score']:.2f}[/]  {one['at']} {one['kind_words']}{product}  [dim]{escape(signs)}[/]",
            highlight=False,
        )
        output.out.print(f"      “{escape(one['text'][:300])}”", highlight=False)
        output.out.print(f"      [green]→[/] {escape(one['answer'])}", highlight=False)
    for failed in found.get("llm", {}).get("failed", []):
        output.err.print(escape(f"{failed['id']}: {failed['reason']}; the template stays"))
    _notes(found)


def improve(
    product: Annotated[
        str, typer.Argument(help="Its id; without one, the products with most to better.")
    ] = "",
    k: K = 10,
    language: Words = "en",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """What to better about a product: its complaints with counts, quotes and trend, against its category."""
    from wares.core.errors import NotFound
    from wares.pipeline.mood_uses import uses_of
    from wares.serve.mood_uses import report_json, risks_json

    uses, catalogue = uses_of(_open(shop))
    language = output.check_language(language)
    if product:
        row = int(catalogue.row(product))
        if row < 0:
            raise NotFound(f"there is no product {product!r}", mend="See `wares search`", id=product)
        one = report_json(uses, catalogue, row, language)
        output.print_json(one) if json else _print_report(one)
        return
    found = risks_json(uses, catalogue, k, language)
    if json:
        output.print_json(found)
        return
    for one in found["products"]:
        _print_report({**one, "notes": []})
    _notes(found)


def _print_report(one: dict[str, Any]) -> None:
    mood = (
        ""
        if one["mood"] is None
        else f": mood {one['mood']:+.2f} of {one['texts']} texts, category {one['category_mood']:+.2f}"
    )
    output.out.print(f"[bold]{escape(one['product']['title'])}[/]{mood}", highlight=False)
    rows = [
        [c["aspect_words"], c["texts"], f"{c['share']:.0%} ({c['interval'][0]:.0%} to {c['interval'][1]:.0%})", f"{c['category_share']:.0%}", "worse" if c["worse"] else "", c["trend_words"]]
        for c in one["complaints"]
    ]  # fmt: skip
    if rows:
        output.print_table(["complaint", "texts", "share", "category", "", "trend"], rows)
    for complaint in one["complaints"]:
        for quote in complaint["quotes"]:
            output.out.print(
                f"  {escape(complaint['aspect_words'])}: “{escape(quote['text'])}” {quote['at']}",
                highlight=False,
            )
    if one["praise"]:
        output.out.print(
            "praised: " + ", ".join(f"{escape(p['words'])} ({p['texts']})" for p in one["praise"])
        )
    _notes(one)


def stock(k: K = 30, language: Words = "en", shop: Shop = Path(), json: Json = False) -> None:
    """Products of which more or less will be wanted: interest and mood, and how sure that is."""
    from wares.pipeline.mood_uses import uses_of
    from wares.serve.mood_uses import stock_json

    uses, catalogue = uses_of(_open(shop))
    found = stock_json(uses, catalogue, k, output.check_language(language))
    if json:
        output.print_json(found)
        return
    for one in found["hints"]:
        title = one["product"]["title"] if one["product"] else ""
        output.out.print(f"[bold]{one['hint']}[/]  {escape(title[:80])}", highlight=False)
        output.out.print(f"      {escape(one['words'])}", highlight=False)
    _notes(found)


def prices(language: Words = "en", shop: Shop = Path(), json: Json = False) -> None:
    """What is said of prices at each price level within the categories, cheapest first."""
    from wares.pipeline.mood_uses import uses_of
    from wares.serve.mood_uses import levels_json

    uses, _ = uses_of(_open(shop))
    found = levels_json(uses, output.check_language(language))
    if json:
        output.print_json(found)
        return
    rows = [[one["level"] + 1, one["products"], one["opinions"], one["mood"], f"{one['interval'][0]:.2f} to {one['interval'][1]:.2f}"] for one in found["levels"]]  # fmt: skip
    output.print_table(
        ["price level", "products", "opinions", "mood", "95 %"], rows, "Price and value, as said"
    )
    _notes(found)


def evaluate(
    reviews: Annotated[Path | None, typer.Option(help="A file of reviews without dates or users in place of a workspace.")] = None,
    product: Annotated[str, typer.Option(help="Its column of products.")] = "product_id",
    text: Annotated[str, typer.Option(help="Its column of texts.")] = "text",
    rating: Annotated[str, typer.Option(help="Its column of stars.")] = "rating",
    recommended: Annotated[str, typer.Option(help="Its column of 0 and 1, if there is one: what is to be foretold.")] = "",
    seed: Annotated[int, typer.Option(help="Of splits and intervals.")] = 7,
    shop: Annotated[Path | None, typer.Option("--shop", "-C", help="A workspace: NDCG@10 on a time split, with and without moods.")] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Whether moods help: to foretell which products please next beyond stars and counts, or to rank in a workspace."""
    from wares.core.errors import QueryError

    command = shlex.join(["wares", *sys.argv[1:]])
    if (reviews is None) == (shop is None):
        raise QueryError("name --reviews or a --shop", mend="One of the two", parameter="reviews")
    with output.stage_progress("moods", quiet=json) as stage:
        if reviews is not None:
            from wares.evaluate.mood_uses import ReviewFile, evaluate_reviews

            output.check_files(reviews)
            found = evaluate_reviews(
                ReviewFile(reviews, product, text, rating, recommended), command, seed=seed, progress=stage
            )
        else:
            from wares.pipeline.mood_trial import evaluate_shop

            assert shop is not None
            found = evaluate_shop(_open(shop), command, stage)
    if json:
        output.print_json(found)
        return
    for name, value in found.items():
        if not isinstance(value, dict):
            output.out.print(f"{name}: {escape(str(value))}", highlight=False)
    for name, rows in found.items():
        if isinstance(rows, dict) and rows and all(isinstance(v, dict) for v in rows.values()):
            heads = list(next(iter(rows.values())))
            output.print_table(
                [name, *heads], [[key, *(str(v.get(h)) for h in heads)] for key, v in rows.items()]
            )
        elif isinstance(rows, dict):
            output.print_table([name, ""], [[key, str(v)] for key, v in rows.items()])
