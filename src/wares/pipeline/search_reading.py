"""The build step that learns to read queries: from the catalogue, and from what shoppers typed and clicked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core import columns as c
from wares.features.catalogue import Catalogue
from wares.features.encoder import TextEncoder
from wares.models.search.analysis import lower
from wares.models.search.read_infer import KIND
from wares.models.search.read_tokens import normal, tokens
from wares.models.search.read_train import Shelf, fit_reader
from wares.models.search.synonyms_train import learn_synonyms
from wares.pipeline.plan import Context, Step, Tick
from wares.pipeline.searching import clicked_queries

SEARCH_READER = "search_reader"
QUERIES = 50_000
"""Clicked queries that teach; the ones clicked most often."""
_PARTS = (
    "read_train",
    "read_infer",
    "read_lexicon",
    "read_tokens",
    "spelling",
    "units",
    "synonyms_train",
    "analysis",
)
MODULES = (*(f"wares.models.search.{name}" for name in _PARTS), "wares.pipeline.search_reading")


def build_reader(context: Context, folder: Path, tick: Tick) -> Any:
    """Fit the reader of queries on the catalogue; clicked queries, where there are any, tell categories and synonyms."""
    catalogue = Catalogue(context.done["catalogue"])
    shelf = Shelf.of(catalogue)
    clicks = clicked_queries(context, catalogue, QUERIES)
    encoder = TextEncoder(context.done["encoder"], context.config.build.threads or 1)

    def encode(words: list[str]) -> NDArray[np.float32]:
        return encoder.encode(words, "query")

    names = frozenset(
        token.text for brand in set(shelf.brands) for token in tokens(lower(normal(brand))) if brand
    )
    pairs = learn_synonyms(shelf.titles, clicks, encode, names)
    return fit_reader(shelf, folder, clicks=clicks, pairs=pairs, progress=tick)


def reader_step() -> Step:
    """The step, for the list of all steps."""
    return Step(
        SEARCH_READER, KIND, build_reader, (c.QUERIES, c.clean_name(c.QUERIES)), ("catalogue", "encoder"), (), MODULES
    )  # fmt: skip
