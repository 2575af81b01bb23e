"""The build step that tunes search on what the shop's shoppers typed and then clicked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.arrays import save_arrays, seal
from wares.data.engine import Engine
from wares.features.catalogue import Catalogue
from wares.features.encoder import TextEncoder
from wares.models.search.fuse_train import Fusion, Judged, learn_fusion
from wares.models.search.infer import RESCORED, Searcher
from wares.models.search.tuned import DEPTH, KIND, Tuned, choose
from wares.models.similar.around import Surroundings
from wares.models.similar.infer import Similar
from wares.pipeline.mood_side import MOOD_SIDE_MODULES, product_mood
from wares.pipeline.plan import Context, Tick

MOST = 600
"""Clicked queries that are tried; the ones clicked most often."""
SEARCH_TUNED_MODULES = (
    "wares.models.search.tuned", "wares.models.search.infer", "wares.models.search.fuse_train", "wares.models.similar.around", "wares.models.recommend.mood",
    *MOOD_SIDE_MODULES, "wares.pipeline.searching",
)  # fmt: skip


def build_tuned(context: Context, folder: Path, tick: Tick) -> Any:
    """Choose what parts, and then likeness to the best hits, count, and write it down with its proof."""
    catalogue = Catalogue(context.done["catalogue"])
    clicked = clicked_queries(context, catalogue)
    if not clicked:
        nothing = Fusion(reason="no clicked queries").facts()
        return seal(folder, KIND, tuned=Tuned(0.0, "no clicked queries").facts() | {"fusion": nothing})
    encode = query_encoder(context, 2 * MOST)
    moods = product_mood(context)
    searcher = Searcher(
        context.done["search"], catalogue, encode, Surroundings(Similar(context.done["similar"])), moods=moods
    )
    fusion = _fusion(searcher, clicked, context.config.shop.seed)
    searcher.learned = fusion.weights or None
    asked = 0

    def find(text: str, share: float) -> NDArray[Any]:
        nonlocal asked
        asked += 1
        tick(min(asked, 10 * MOST), 10 * MOST)
        searcher.alike = share
        return searcher.search(text, DEPTH).rows

    tuned = choose(find, clicked, context.config.shop.seed)

    def find_by_mood(text: str, share: float) -> NDArray[Any]:
        searcher.mood = share
        return find(text, tuned.alike)

    if moods.any():
        # Other halves than those that chose the likeness.
        found = choose(find_by_mood, clicked, context.config.shop.seed + 1).facts()
        mood = {"share": found.pop("alike")} | {
            name: value for name, value in found.items() if name != "mood"
        }
    else:
        mood = {"share": 0.0, "reason": "nothing is said of any product"}
    save_arrays(folder, moods=moods)
    return seal(folder, KIND, tuned=replace(tuned, mood=mood).facts() | {"fusion": fusion.facts()})


def query_encoder(context: Context, most: int) -> Callable[[str], NDArray[np.float32]]:
    """The vector of a query by the build's encoder ``(dim,)``; the last `most` are remembered."""
    encoder = TextEncoder(context.done["encoder"], context.config.build.threads or 1)

    @lru_cache(maxsize=most)
    def encode(text: str) -> NDArray[np.float32]:
        return np.asarray(encoder.encode([text], "query")[0], np.float32)

    return encode


def _fusion(searcher: Searcher, clicked: dict[str, dict[int, float]], seed: int) -> Fusion:
    """What each part of a candidate counts, by the clicks, where that is proven."""
    judged: list[Judged] = []
    for text, clicks in clicked.items():
        found = searcher.search(text, RESCORED)
        gains = np.array([clicks.get(int(row), 0.0) for row in found.rows], np.float32)
        if (gains > 0).any():
            judged.append(Judged(found.parts, gains, np.fromiter(clicks.values(), np.float32)))
    return learn_fusion(judged, searcher.weights(), seed)


def clicked_queries(context: Context, catalogue: Catalogue, most: int = MOST) -> dict[str, dict[int, float]]:
    """What was typed, with the rows of the products clicked for it and the logarithm of how often; most clicked first."""
    files = context.files(c.QUERIES)
    if files is None:
        return {}
    with Engine(context.config.build.memory_gb / 2, scratch=context.scratch) as engine:
        rows = engine.parquet(files)
        rows = rows.filter(rows[c.PRODUCT_ID].notnull())
        found = engine.arrow(rows.select(c.TEXT, c.PRODUCT_ID)).to_pylist()
    counts: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for row in found:
        text = " ".join(str(row[c.TEXT] or "").casefold().split())
        product = catalogue.row(str(row[c.PRODUCT_ID]))
        if text and product >= 0:
            counts[text][product] += 1
    best = sorted(counts, key=lambda text: (-sum(counts[text].values()), text))[:most]
    return {text: {p: float(np.log1p(n)) for p, n in sorted(counts[text].items())} for text in best}
