"""The build step of what is proposed while typing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wares.core import columns as c
from wares.data.engine import Engine
from wares.features.catalogue import Catalogue
from wares.features.interactions import Interactions
from wares.models.search.suggest_train import fit_suggest
from wares.pipeline.plan import Context, Tick

SUGGEST_STEP = "suggest"
_S = "wares.models.search."
SUGGEST_MODULES = (
    f"{_S}suggest", f"{_S}suggest_past", f"{_S}suggest_phrases", f"{_S}suggest_text", f"{_S}suggest_train",
    f"{_S}suggest_trie", f"{_S}analysis", "wares.pipeline.suggesting",
)  # fmt: skip


def build_suggest(context: Context, folder: Path, tick: Tick) -> Any:
    """Phrases of the catalogue by what was sold, and past queries that enough people typed."""
    catalogue = Catalogue(context.done["catalogue"])
    data, _ = Interactions.load(context.done["interactions"])
    people = context.config.suggest.people
    return fit_suggest(
        catalogue, data.item_counts(), folder, lambda: past_queries(context, catalogue, people), people, tick
    )


def past_queries(context: Context, catalogue: Catalogue, people: int) -> Iterator[tuple[str, str, str, int]]:
    """(text, user, session, row of the clicked product or -1) of the texts that several shoppers or visits typed.

    The engine leaves out what too few typed before any text is read here; the exact count is made afterwards, on texts whose
    forms are one.
    """
    files = context.files(c.QUERIES)
    if files is None or people < 1:
        return
    with Engine(context.config.build.memory_gb / 2, scratch=context.scratch) as engine:
        rows = engine.parquet(files)
        rows = rows.select(
            key=rows[c.TEXT].lower().strip(), text=rows[c.TEXT], user=rows[c.USER_ID].fill_null(""),
            session=rows[c.SESSION_ID].fill_null(""), product=rows[c.PRODUCT_ID].fill_null(""),
        ).distinct()  # fmt: skip
        who = rows.group_by("key").agg(users=rows.user.nunique(), visits=rows.session.nunique())
        # Forms of a text that differ by spaces or width are counted apart here, so this lets a half through.
        some = who.filter(who.users + who.visits >= max(2, people // 2)).key
        found = engine.arrow(
            rows.filter(rows.key.isin(some)).order_by(["text", "user", "session", "product"])
        )
    for row in found.to_pylist():
        product = catalogue.row(row["product"]) if row["product"] else -1
        yield str(row["text"] or ""), row["user"], row["session"], product
