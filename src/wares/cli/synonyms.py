"""``wares synonyms``: which phrases say the same in search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from wares.cli import output
from wares.cli.main import Json, Shop, _open

synonyms_app = typer.Typer(
    no_args_is_help=True,
    help="Which phrases say the same in search, live and without a build. Example: `wares synonyms add couch sofa`",
)
Phrase = Annotated[str, typer.Argument(help="What is typed.")]
Also = Annotated[str, typer.Argument(help="What says the same.")]
OneWay = Annotated[bool, typer.Option("--one-way", help="Only who types the first is also shown the second.")]


def register(app: typer.Typer) -> None:
    """Put the group onto the application, once."""
    if any(group.name == "synonyms" for group in app.registered_groups):
        return
    app.add_typer(synonyms_app, name="synonyms")
    for name, command, example in (
        ("list", list_, "wares synonyms list` · `wares synonyms list --history --json"),
        ("add", add, 'wares synonyms add couch sofa` · `wares synonyms add "power bank" 充电宝` · `wares synonyms add trainers "running shoes" --one-way'),
        ("refuse", refuse, "wares synonyms refuse mouse keyboard"),
        ("remove", remove, "wares synonyms remove couch sofa"),
        ("propose", propose, "wares synonyms propose --k 20"),
    ):  # fmt: skip
        synonyms_app.command(name, epilog=f"Examples: `{example}`")(command)


def _book(shop: Path) -> tuple[Any, Any]:
    from wares.core.synonyms import SynonymBook

    workspace = _open(shop)
    return SynonymBook(workspace.state, workspace.audit), workspace


def _bundle(workspace: Any) -> Path | None:
    from wares.core.bundles import live_bundle
    from wares.core.errors import NotFitted

    try:
        return live_bundle(workspace.root)
    except NotFitted:
        return None


def _cosine(value: float) -> str:
    return "–" if value < 0 else f"{value:.2f}"


def _pairs(found: list[dict[str, Any]], title: str) -> None:
    rows = [[escape(p["one"]), escape(p["other"]), *(_cosine(p[n]) for n in ("clicks", "meaning", "context"))] for p in found]  # fmt: skip
    output.print_table(["one", "other", "clicks", "meaning", "context"], rows, title)


def list_(
    history: Annotated[bool, typer.Option("--history", help="Also who said what, newest first.")] = False,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """What people keep and refuse, and what the live bundle learned."""
    from wares.serve.synonyms import listed

    book, workspace = _book(shop)
    found = listed(_bundle(workspace), book, history=1000 if history else 0)
    if json:
        output.print_json(found)
        return
    rows = [[escape(s["phrase"]), escape(s["also"]), s["state"], escape(s["who"]), s["changed"][:16]] for s in found["synonyms"]]  # fmt: skip
    if rows:
        output.print_table(["phrase", "also", "state", "by", "since"], rows, "Synonyms of people")
    if found["learned"]:
        _pairs(found["learned"], "Learned and in use")
    if not rows and not found["learned"]:
        output.out.print("No synonyms.")
    for row in found["history"]:
        output.out.print(escape(f"{row['at'][:16]}  {row['event']}: {row['phrase']} → {row['also']}  ({row['who']})"), highlight=False)  # fmt: skip


def _said(made: list[Any], json: bool, word: str) -> None:
    if json:
        output.print_json([one.to_json() for one in made])
        return
    for one in made:
        output.out.print(escape(f"{word}: {one.phrase} → {one.also}"), highlight=False)


def add(phrase: Phrase, also: Also, one_way: OneWay = False, shop: Shop = Path(), json: Json = False) -> None:
    """Let two phrases say the same; it counts at once."""
    from wares.data.access.door import user

    book, workspace = _book(shop)
    _said(book.add(phrase, also, user(), workspace.clock.now(), both=not one_way), json, "kept")


def refuse(
    phrase: Phrase, also: Also, one_way: OneWay = False, shop: Shop = Path(), json: Json = False
) -> None:
    """Say that two phrases are not the same: what was learned no longer counts, nor is it proposed again."""
    from wares.data.access.door import user

    book, workspace = _book(shop)
    _said(book.refuse(phrase, also, user(), workspace.clock.now(), both=not one_way), json, "refused")


def remove(phrase: Phrase, also: Also, shop: Shop = Path(), json: Json = False) -> None:
    """Take back what was said of two phrases, in both directions; its history stays."""
    from wares.data.access.door import user

    book, workspace = _book(shop)
    _said(book.remove(phrase, also, user(), workspace.clock.now()), json, "removed")


def propose(
    k: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 30,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Pairs near in meaning that nothing proves, and that nobody has decided on: to add or to refuse."""
    from wares.core.bundles import live_bundle
    from wares.serve.synonyms import proposed

    book, workspace = _book(shop)
    found = proposed(live_bundle(workspace.root), book, k)
    if json:
        output.print_json(found)
    elif found:
        _pairs(found, "Perhaps the same")
    else:
        output.out.print("Nothing to propose.")
