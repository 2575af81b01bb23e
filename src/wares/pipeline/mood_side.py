"""What is said of products and what shoppers care about, for the ranker and for search: as it is, or as it was at a moment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.strings import StringTable
from wares.data.engine import Engine
from wares.features.interactions_build import EventLog
from wares.models.recommend.mood import MoodSide, capped, concerns
from wares.models.sentiment.readings import Readings
from wares.models.sentiment.satisfaction import product_moods
from wares.pipeline.graphing import event_log
from wares.pipeline.plan import Context
from wares.pipeline.reading import READINGS

MOOD_SIDE_MODULES = ("wares.models.sentiment.satisfaction", "wares.pipeline.mood_side")
MICROS = 1_000_000


def mood_side(
    context: Context, users: Sequence[str], until: int | None = None, log: EventLog | None = None
) -> MoodSide | None:
    """Moods and concerns for the ranker, of before `until` (Unix seconds) where that is given; `users` by their rows.

    None where no text that counts is about a product.
    """
    readings = Readings.load(context.done[READINGS])
    n = len(StringTable.load(context.done["catalogue"], c.PRODUCT_ID))
    micros = None if until is None else until * MICROS
    moods = product_moods(readings, n, micros)
    if not moods.volume.any():
        return None
    place = {name: row for row, name in enumerate(users)}
    row_of = np.array([place.get(name, -1) for name in readings.users], np.int64)
    kept = readings.counted[readings.op_text]
    if micros is not None:
        at = readings.at[readings.op_text]
        kept = kept & (at >= 0) & (at < micros)
    author = readings.author[readings.op_text[kept]]
    user = (
        np.where(author >= 0, row_of[np.maximum(author, 0)], -1) if len(row_of) else np.full(len(author), -1)
    )
    opinions = (user, readings.op_aspect[kept], readings.op_polarity[kept])
    back = _returns(log if log is not None else event_log(context), place, until)
    found = concerns(len(users), len(readings.aspects), opinions, back, moods.bad)
    return MoodSide(moods.mood, moods.volume, moods.aspect_mood, moods.aspect_volume, found)


def _returns(
    log: EventLog | None, place: dict[str, int], until: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(user, product) of everything that was sent back."""
    none = np.zeros(0, np.int64)
    if log is None:
        return none, none
    with Engine(log.memory_gb, scratch=log.scratch) as engine:
        lines = log.moments(engine, [c.RETURN], 0, (1 << 40) if until is None else until)
        table = engine.arrow(lines.select("user", "item").distinct().order_by(["user", "item"]))
    rows = pc.fill_null(pc.index_in(table["item"], value_set=log.item_ids), -1).to_numpy().astype(np.int64)
    user = np.array([place.get(name, -1) for name in table["user"].to_pylist()], np.int64)
    return user, rows


def product_mood(context: Context) -> NDArray[np.float32]:
    """The capped mood ``(n_items,)`` of each product, 0 where nothing is said; all 0 where nothing is said at all."""
    readings = Readings.load(context.done[READINGS])
    moods = product_moods(readings, len(StringTable.load(context.done["catalogue"], c.PRODUCT_ID)))
    return capped(moods.mood, moods.volume)
