"""Lists of what is like each product, could be taken instead of it, or goes with it: for others to draw candidates from.

The same fusions as those that serve, applied once to the products that shoppers ask with most. A value is how much more
alike a product is than an ordinary candidate, so that what is only not known counts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.similar.dimensions import Dimension
from wares.models.similar.fusion import Fusion
from wares.models.similar.fusion_train import scores_of
from wares.models.similar.train import Texts

LISTED = ("like", "substitute", "complement")
LENGTH = 20
MOST_LISTED = 4000
NEAR_TEXTS = 30
A_TEXT = 4


def listed_rows(sold: NDArray[Any], most: int = MOST_LISTED) -> NDArray[np.int32]:
    """The products that get lists, ascending: those sold to most, ties to the lower row; none that nobody had."""
    order = np.lexsort((np.arange(len(sold)), -sold))[:most]
    return np.sort(order[sold[order] > 0]).astype(np.int32)


def lists_of(
    dimensions: Sequence[Dimension],
    fusions: Mapping[str, Fusion],
    texts: Texts,
    rows: NDArray[np.int32],
    k: int = LENGTH,
) -> tuple[NDArray[np.int32], NDArray[np.float16]]:
    """``ids (m, 3, k) int32`` of `rows` by the kinds `LISTED`, best first, -1 beyond, and ``sims (m, 3, k) float16`` above 0.

    Candidates are the products of the nearest texts, four of each, best-selling first, and the heads of each dimension's
    own lists. A kind for which the shop has no signals has no list.
    """
    shape = (len(rows), len(LISTED), k)
    ids, sims = np.full(shape, -1, np.int32), np.zeros(shape, np.float16)
    if not len(dimensions):
        return ids, sims
    of_text = _members(texts)
    for line, item in enumerate(rows.tolist()):
        near = texts.text_ids[int(texts.text_of[item])][:NEAR_TEXTS] if len(texts.text_ids) else []
        some = [of_text[int(text)] for text in near if text >= 0]
        some += [dimension.near(item, 2 * k) for dimension in dimensions]
        pool = np.unique(np.concatenate(some)) if some else np.zeros(0, np.int32)
        pool = pool[pool != item]
        if not len(pool):
            continue
        raw, known = scores_of(dimensions, item, pool)
        has = np.array([bool(dimension.has[item]) for dimension in dimensions], bool)
        for place, kind in enumerate(LISTED):
            if kind not in fusions:
                continue
            fusion = fusions[kind]
            weight = fusion.weigh(None, has)
            value = fusion.parts(raw, known, weight).sum(1) - float((fusion.neutral * weight).sum())
            value[~(known & (weight > 0)).any(1)] = 0
            order = np.lexsort((pool, -value))[:k]
            order = order[value[order] > 1e-4]
            ids[line, place, : len(order)] = pool[order]
            sims[line, place, : len(order)] = value[order]
    return ids, sims


def _members(texts: Texts) -> list[NDArray[np.int32]]:
    """The best-selling products of each text."""
    order = np.lexsort((np.arange(len(texts.text_of)), -texts.sold, texts.text_of)).astype(np.int32)
    ends = np.cumsum(np.bincount(texts.text_of, minlength=len(texts.text_ids)))
    return [part[:A_TEXT] for part in np.split(order, ends[:-1])] if len(ends) else []
