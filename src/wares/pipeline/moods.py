"""The build step of moods: from what each text says to moods of products over time, and what changed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from wares.core import columns as c
from wares.core.arrays import load_array
from wares.core.strings import StringTable
from wares.models.sentiment.infer import Sentiment
from wares.models.sentiment.moods_build import Catalog, Rule
from wares.models.sentiment.moods_build import build_moods as fit_moods
from wares.models.sentiment.reader import GIVEN, MODEL, Reader
from wares.models.sentiment.readings import Readings
from wares.pipeline.plan import Context, Tick
from wares.pipeline.reading import READINGS, SENTIMENT

MOODS = "moods"
_PARTS = (
    "moods", "moods_build", "moods_detect", "moods_fold", "moods_noticed", "moods_quotes", "series", "shrink", "change", "change_counts",
    "drift", "label_shift",
)  # fmt: skip
MODULES = (*(f"wares.models.sentiment.{name}" for name in _PARTS), "wares.pipeline.moods")
INPUTS = ("catalogue", SENTIMENT, READINGS)
SETTINGS = ("sentiment.false_alarms", "sentiment.false_told")
DAY = 86_400_000_000


def build_moods(context: Context, folder: Path, tick: Tick) -> Any:
    """Write the artefact: see `wares.models.sentiment.moods_build`."""
    read = Readings.load(context.done[READINGS])
    settings = context.config.sentiment
    rule = Rule(settings.false_alarms, settings.false_told, context.config.shop.seed)
    # Clocks of shops differ; what claims to be later than tomorrow has no date.
    now = int(time.time() * 1e6) + DAY
    return fit_moods(read, catalog_of(context), now, folder, rule, _trained_bad(context.done[SENTIMENT]))


def catalog_of(context: Context) -> Catalog:
    """Ids, categories and brands of the catalogue's products."""
    folder = context.done["catalogue"]
    category_of = np.asarray(load_array(folder, "category_of"))
    names = list(StringTable.load(folder, c.CATEGORY))
    categories = [""] * (int(category_of.max(initial=-1)) + 1)
    for number, name in zip(category_of.tolist(), names, strict=True):
        if number >= 0:
            categories[number] = name
    return Catalog(
        StringTable.load(folder, c.PRODUCT_ID),
        category_of,
        categories,
        list(StringTable.load(folder, c.BRAND)),
    )


def _trained_bad(folder: Path) -> float | None:
    """The share of bad texts that a classifier of two labels learned from, where it came from elsewhere."""
    reader = Reader(folder)
    if reader.source != GIVEN:
        return None
    facts = Sentiment(folder / MODEL).manifest
    counts, moods = facts.get("counts"), facts.get("moods")
    if not counts or not moods or len(moods) != 2 or not min(counts):
        return None
    return float(counts[int(np.argmin(moods))] / sum(counts))
