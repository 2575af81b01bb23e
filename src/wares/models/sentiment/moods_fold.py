"""One cause, one alert: what is noticed in a category because of one of its products is part of the product's alarm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wares.models.sentiment.moods import COMPLAINTS, FELL, ROSE, SPAM_WAVE
from wares.models.sentiment.moods_noticed import Noticed
from wares.models.sentiment.series import Group

EXPLAINS = 0.5
"""Share of an alarm's texts that lie in a narrower one's series."""
TOGETHER = 30
"""Days between the beginnings."""
_ORDER = (
    (COMPLAINTS, "product_aspect"), (FELL, "product"), (ROSE, "product"), (SPAM_WAVE, "product"), (COMPLAINTS, "product"), (FELL, "product_aspect"),
    (ROSE, "product_aspect"), *((kind, scope) for scope in ("category_aspect", "category", "brand", "seller", "aspect", "query", "kind", "language", "shop") for kind in (COMPLAINTS, FELL, ROSE, SPAM_WAVE)),
)  # fmt: skip
_RANK = {pair: i for i, pair in enumerate(_ORDER)}


def folded(found: Sequence[Noticed], groups: Mapping[tuple[str, int, int], Group]) -> list[Noticed]:
    """Of the alarms that are told, each with ``part_of``: the place of the narrowest told one that explains it, or -1.

    One explains another when both point the same way, begin within `TOGETHER` days, and `EXPLAINS` of the texts that speak for the
    other are of its series. None explains one that explains it.
    """
    out = list(found)
    told = sorted(
        (i for i, one in enumerate(found) if one.told), key=lambda i: (_rank(found[i]), found[i].day, i)
    )
    texts = {i: _speaking(found[i], groups) for i in told}
    for place, i in enumerate(told):
        for j in told[:place]:
            one, other = found[i], found[j]
            if (
                out[j].part_of >= 0
                or _rank(other) >= _rank(one)
                or _good(one) != _good(other)
                or abs(one.since - other.since) > TOGETHER
            ):
                continue
            if SPAM_WAVE in (one.kind, other.kind) and one.kind != other.kind:
                continue
            own = groups.get((other.scope, other.key, other.aspect))
            if own is None or not len(texts[i]):
                continue
            if float(np.isin(texts[i], own.rows).mean()) >= EXPLAINS:
                out[i] = replace(one, part_of=j)
                break
    return out


def _rank(one: Noticed) -> int:
    return _RANK[(one.kind, one.scope)]


def _good(one: Noticed) -> bool:
    return one.kind == ROSE


def _speaking(one: Noticed, groups: Mapping[tuple[str, int, int], Group]) -> NDArray[np.int64]:
    """The texts of an alarm's window that speak for it."""
    group = groups.get((one.scope, one.key, one.aspect))
    if group is None:
        return np.zeros(0, np.int64)
    inside = (group.days >= one.since) & (group.days <= one.day)
    if one.kind != SPAM_WAVE:
        inside &= (group.values < 0.5) if one.kind == ROSE else (group.values > 0.5)
    return group.rows[inside]
