"""``wares label propose-aspects`` and ``confirm-aspects``: aspects out of a shop's own reviews, confirmed by people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from wares.cli import output
from wares.cli.label import By, label_app
from wares.cli.main import Json, Shop, _open
from wares.core import columns as c
from wares.core.errors import NotFound, QueryError

NEW, NO = "new aspect", "no aspect"
QUESTION = "Which aspect of a product do these words name?"
PROJECT = "aspects"
Project = Annotated[str, typer.Option(help="The labelling project.")]


def register() -> None:
    """Put the commands onto the group of labels, once."""
    if any(command.name == "propose-aspects" for command in label_app.registered_commands):
        return
    label_app.command(
        "propose-aspects",
        epilog="Examples: `wares label propose-aspects` · `wares label propose-aspects --file reviews.csv --text review --category department --most 10`",
    )(propose_aspects)
    label_app.command("confirm-aspects", epilog="Example: `wares label confirm-aspects --out aspects.json`")(
        confirm_aspects
    )


def propose_aspects(
    project: Project = PROJECT,
    file: Annotated[
        Path | None, typer.Option(help="Reviews in a file, in place of those of the workspace.")
    ] = None,
    text: Annotated[str, typer.Option(help="The column of texts in --file.")] = "text",
    category: Annotated[str, typer.Option(help="The column of product categories in --file.")] = "",
    encoder: Annotated[
        str, typer.Option(help="Encoder that puts alike phrases together; without it, the words they stand with.")
    ] = "",
    most: Annotated[int, typer.Option(min=1, help="Proposals for each category.")] = 30,
    least: Annotated[int, typer.Option(min=1, help="Texts that a phrase must be in.")] = 5,
    by: By = "",
    shop: Shop = Path(),
    json: Json = False,
) -> None:  # fmt: skip
    """Propose aspects from noun phrases that opinions are said of, and put them into the labelling queue."""
    from wares.cli.labelling import encoder_of
    from wares.data.labels import LabelBook
    from wares.data.privacy.masking import masked
    from wares.models.sentiment.aspect_propose import propose

    workspace = _open(shop)
    texts, categories = _from_file(file, text, category) if file is not None else _from_shop(workspace)
    with output.stage_progress("aspects", quiet=json) as stage:
        stage("phrases")
        found = propose(texts, categories, encoder_of(encoder), most, least)
    book = LabelBook.of(workspace)
    held = _project(book, project, by)
    rows = [
        {
            "key": f"{one.category}:{one.terms[0]}"[:300], "priority": float(len(found) - rank),
            "payload": {
                "text": ", ".join(one.terms), "category": one.category, "suggested": one.near or NEW, "texts": one.texts,
                "spoken": one.spoken, "quotes": [masked(quote) for quote in one.quotes],
            },
        }
        for rank, one in enumerate(found)
    ]  # fmt: skip
    landed = book.add(held, rows, asset=c.REVIEWS if file is None else f"file:{file.name}", by=by)
    if json:
        output.print_json({"project": project, **asdict(landed), "proposals": [asdict(one) for one in found]})
        return
    output.print_table(
        ["category", "phrases", "texts", "with an opinion", "near"],
        [[one.category, ", ".join(one.terms[:4]), one.texts, f"{one.spoken:.0%}", one.near] for one in found],
    )
    output.out.print(f"{landed.landed:,} into the project {project}, {landed.same:,} known already")
    output.out.print(
        f"  next: answer them (console, or `wares label next {project}`), then `wares label confirm-aspects`"
    )


def confirm_aspects(
    out: Annotated[Path, typer.Option(help="The catalogue; what an earlier one in it holds stays.")],
    project: Project = PROJECT,
    method: Annotated[
        str, typer.Option(help="How several answers become one: majority, weighted.")
    ] = "majority",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Write the aspects that people confirmed into a catalogue; `wares aspects --catalogue` reads it."""
    import json as json_

    from wares.data.labels import LabelBook, labels
    from wares.models.sentiment.aspect_catalogue import AspectCatalogue

    book = LabelBook.of(_open(shop))
    catalogue = AspectCatalogue.load(out) if out.is_file() else AspectCatalogue()
    taken = refused = 0
    for row in labels(book, book.project(project), method=method).to_pylist():
        payload = json_.loads(row["payload"])
        terms = [term for term in payload["text"].split(", ") if term]
        if row["label"] == NO or not terms:
            refused += 1
            continue
        aspect = terms[0].replace(" ", "_") if row["label"] == NEW else row["label"]
        taken += catalogue.add(aspect, terms, payload.get("category", ""))
    catalogue.save(out)
    facts = {"catalogue": str(out), "aspects": len(catalogue.entries), "new_terms": taken, "refused": refused}
    if json:
        output.print_json(facts)
        return
    output.out.print(
        f"{taken:,} new terms, {refused:,} proposals refused; {len(catalogue.entries):,} aspects in {out}"
    )


def _project(book: Any, name: str, by: str) -> Any:
    from wares.models.sentiment.opinion_words import TERMS

    try:
        held = book.project(name)
    except NotFound:
        return book.create(name, "choice", options=(*TERMS, NEW, NO), question=QUESTION, by=by)
    if not {NEW, NO} <= set(held.options):
        raise QueryError(
            f"the project {name!r} asks something else",
            mend="Name another with --project",
            parameter="project",
        )
    return held


def _from_file(path: Path, text: str, category: str) -> tuple[list[str], list[str]]:
    from wares.features.pair_files import columns_of

    output.check_files(path)
    table = columns_of(path, (text, *((category,) if category else ())))
    return table[text], table[category] if category else [""] * len(table[text])


def _from_shop(workspace: Any) -> tuple[list[str], list[str]]:
    """The texts of the workspace's reviews and the category of each one's product."""
    from wares.cli.labelling import table_rows

    try:
        reviews, _, _ = table_rows(workspace, c.REVIEWS, -1, "")
    except NotFound as error:
        raise QueryError("the workspace has no reviews", mend="Ingest some, or give --file", parameter="file") from error  # fmt: skip
    products, _, _ = table_rows(workspace, c.PRODUCTS, -1, "")
    of = {row[c.PRODUCT_ID]: str(row.get(c.CATEGORY) or "") for row in products}
    texts = ["\n".join(part for part in (row.get(c.TITLE), row.get(c.TEXT)) if part) for row in reviews]
    return texts, [of.get(row.get(c.PRODUCT_ID), "") for row in reviews]
