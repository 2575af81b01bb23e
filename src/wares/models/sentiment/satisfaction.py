"""How products stand by what is said of them, and how satisfied buyers are with what a search returns. numpy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.sentiment.readings import Readings

PULL = 5.0
"""Texts of the shop's mean that stand beside a product's own."""
SHOWN = 10
TOP = 3
"""Places of a list that are seen without looking further: what is better belongs there."""
DEEPER = 40
STRENGTH = 10.0
"""Searches of the shop's mean that stand beside a query's own."""
BAD = -0.1
LEAST_BAD = 0.25
"""Share of bad opinions on an aspect, position weighted, from which a search is said to be bad at it."""
Z = 1.959964


@dataclass(frozen=True, slots=True)
class ProductMoods:
    """Moods shrunk to the shop's mean: ``mood, volume (n,) float32``, ``aspect_mood, aspect_volume (n, a) float32``; `spread` of
    the mood of single texts, ``bad (n, a) float32`` how many opinions on each aspect are bad, `whole` the shop's mean,
    ``aspect_whole (a,)`` those of the aspects and ``bad_whole (a,)`` the shares of bad opinions. Volumes count texts and opinions, not people."""

    mood: NDArray[np.float32]
    volume: NDArray[np.float32]
    aspect_mood: NDArray[np.float32]
    aspect_volume: NDArray[np.float32]
    bad: NDArray[np.float32]
    whole: float
    spread: float
    aspect_whole: NDArray[np.float64]
    bad_whole: NDArray[np.float64]


def product_moods(readings: Readings, n: int, until: int | None = None) -> ProductMoods:
    """Moods of `n` products by the texts that count, of before `until` (microseconds since 1970) where that is given; a text
    without a date then counts for nothing."""
    kept = readings.counted & (readings.product >= 0) & (readings.product < n)
    if until is not None:
        kept &= (readings.at >= 0) & (readings.at < until)
    product, value = readings.product[kept], np.asarray(readings.mood[kept], np.float64)
    volume = np.bincount(product, minlength=n).astype(np.float64)
    whole = float(value.mean()) if len(value) else 0.0
    mood = (np.bincount(product, value, n) + PULL * whole) / (volume + PULL)
    a = len(readings.aspects)
    mine = kept[readings.op_text]
    of, aspect = (
        readings.product[readings.op_text[mine]].astype(np.int64),
        readings.op_aspect[mine].astype(np.int64),
    )
    polarity = np.asarray(readings.op_polarity[mine], np.float64)
    cell, size = of * max(a, 1) + aspect, n * a
    counts, sums = np.bincount(cell, minlength=size)[:size], np.bincount(cell, polarity, size)[:size]
    bad = np.bincount(cell, polarity < 0, size)[:size]
    often = np.bincount(aspect, minlength=a)
    usual = np.bincount(aspect, polarity, a) / np.maximum(often, 1)
    shape = (n, a)
    aspect_mood = (sums.reshape(shape) + PULL * usual) / (counts.reshape(shape) + PULL)
    return ProductMoods(
        mood.astype(np.float32), volume.astype(np.float32), aspect_mood.astype(np.float32), counts.reshape(shape).astype(np.float32),
        bad.reshape(shape).astype(np.float32), whole, float(value.std()) if len(value) > 1 else 1.0, usual,
        bad.reshape(shape).sum(0) / np.maximum(often, 1),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of the searches for one text. `clicked` searches had a click, `reformulated` were followed by another text of
    the same visitor at once (`into`: which, most often first), `good` had a click, no other text at once and nothing sent back; of
    `bought` products found so, `returned` came back (`back`: their rows). `shown` are rows of the catalogue, best first, and
    `deeper` those behind. `remarks` texts are about the results of this search, `remarks_mood` their mean mood. Counts that the shop's
    tables cannot tell are 0."""

    text: str
    searches: int
    clicked: int = 0
    reformulated: int = 0
    good: int = 0
    bought: int = 0
    returned: int = 0
    into: tuple[tuple[str, int], ...] = ()
    back: tuple[int, ...] = ()
    shown: tuple[int, ...] = ()
    deeper: tuple[int, ...] = ()
    remarks: int = 0
    remarks_mood: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """What to do about a query: `code` with its facts, as ``aspect`` (push `push` in place of what is bad at `aspect`)."""

    code: str
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Satisfied:
    """How satisfied buyers are with a query, from 0 to 1, with the ends of the 95 % interval; `mood` of what is shown (-1 to 1,
    position weighted, NaN where nothing is said of any), `said` texts about it, `behaviour` the share of searches that went
    well (NaN without clicks in the shop), and what to change, most pressing first."""

    asked: Asked
    score: float
    low: float
    high: float
    mood: float
    said: float
    behaviour: float
    changes: tuple[Change, ...]


def weights_of(places: int) -> NDArray[np.float64]:
    """What each place of a list counts, of sum one: as the discount of NDCG."""
    out = 1 / np.log2(np.arange(2, places + 2))
    return out / out.sum() if places else out


def satisfied(
    asked: Sequence[Asked], moods: ProductMoods, aspects: Sequence[str], *, clicks: bool, linked: bool
) -> list[Satisfied]:
    """Every query with its satisfaction, worst first; ties go to the query asked more often, then by its text.

    Behaviour is the share of good searches, pulled to the shop's mean as by `STRENGTH` searches (beta posterior); the mood is
    that of the products shown, each shrunk and weighted by its place; remarks about the search itself are a third part. What is
    known counts alike. `clicks`: the shop
    records them; `linked`: its searches name visitors, so that a next text can be told.
    """
    total = sum(one.searches for one in asked)
    usual = sum(one.good for one in asked) / total if total else 0.5
    out = [_one(one, moods, aspects, usual, clicks, linked) for one in asked]
    return sorted(out, key=lambda one: (one.score, -one.asked.searches, one.asked.text))


def _one(
    asked: Asked, moods: ProductMoods, aspects: Sequence[str], usual: float, clicks: bool, linked: bool
) -> Satisfied:
    rows = np.array(asked.shown[:SHOWN], np.int64)
    parts: list[tuple[float, float]] = []
    behaviour = float("nan")
    if clicks:
        a, b = asked.good + STRENGTH * usual, asked.searches - asked.good + STRENGTH * (1 - usual)
        behaviour = a / (a + b)
        parts.append((behaviour, behaviour * (1 - behaviour) / (a + b + 1)))
    if asked.remarks:
        spread = max(moods.spread, 0.1) ** 2
        felt = (asked.remarks * asked.remarks_mood + PULL * moods.whole) / (asked.remarks + PULL)
        parts.append(((1 + felt) / 2, spread / (asked.remarks + PULL) / 4))
    mood, said = float("nan"), float(moods.volume[rows].sum()) if len(rows) else 0.0
    if said:
        w = weights_of(len(rows))
        mood = float((w * moods.mood[rows]).sum())
        spread = max(moods.spread, 0.1) ** 2
        parts.append(((1 + mood) / 2, float((w**2 * spread / (moods.volume[rows] + PULL)).sum()) / 4))
    elif not len(rows):
        # A search that finds nothing satisfies nobody, whatever its few visitors clicked.
        parts = [(0.0, 1e-4)]
    if not parts:
        parts = [(usual if clicks else (1 + moods.whole) / 2, 0.25)]
    score = float(np.mean([value for value, _ in parts]))
    half = Z * float(np.sqrt(sum(variance for _, variance in parts))) / len(parts)
    changes = _changes(asked, rows, moods, aspects, usual, clicks, linked)
    return Satisfied(
        asked, score, max(score - half, 0.0), min(score + half, 1.0), mood, said, behaviour, tuple(changes)
    )


def _changes(
    asked: Asked, rows: NDArray[np.int64], moods: ProductMoods, aspects: Sequence[str], usual: float, clicks: bool, linked: bool
) -> list[Change]:  # fmt: skip
    out: list[Change] = []
    lower = np.array([*asked.shown[TOP:SHOWN], *asked.deeper], np.int64)
    if not len(rows):
        out.append(Change("nothing", {"into": asked.into[0][0] if asked.into else ""}))
    if asked.bought >= 2 and asked.returned / asked.bought > 0.2:
        out.append(
            Change(
                "returned",
                {"returned": asked.returned, "bought": asked.bought, "products": list(asked.back[:3])},
            )
        )
    if len(rows) and (found := _aspect(rows, lower, moods, aspects)) is not None:
        out.append(found)
    elif len(rows) and moods.volume[rows].sum() >= 3:
        w = weights_of(len(rows))
        mood = float((w * moods.mood[rows]).sum())
        best = _better(lower, moods.mood, moods.volume, mood)
        if mood < min(BAD, moods.whole) and best is not None:
            out.append(Change("push", {"mood": round(mood, 3), "push": best}))
    if linked and asked.reformulated >= 2 and asked.into and asked.reformulated > 0.3 * asked.searches:
        out.append(
            Change(
                "reformulated",
                {
                    "into": asked.into[0][0],
                    "times": asked.into[0][1],
                    "share": asked.reformulated / asked.searches,
                },
            )
        )
    idle = 1 - asked.clicked / max(asked.searches, 1)
    if clicks and len(rows) and asked.searches >= 5 and idle > 0.5 and idle > 1.3 * (1 - usual):
        out.append(Change("no_clicks", {"share": round(idle, 3)}))
    return out


def _aspect(
    rows: NDArray[np.int64], deeper: NDArray[np.int64], moods: ProductMoods, aspects: Sequence[str]
) -> Change | None:
    """The aspect that is worst in what is shown, if it is bad, and the product to push for it."""
    if not len(aspects):
        return None
    w = weights_of(len(rows))
    volume = moods.aspect_volume[rows].sum(0)
    share = w @ ((moods.bad[rows] + PULL * moods.bad_whole) / (moods.aspect_volume[rows] + PULL))
    # As bad as in the whole shop is the shop's trouble, not this search's.
    pressing = np.where((volume >= 3) & (share > LEAST_BAD), share / np.maximum(moods.bad_whole, 0.05), 0.0)
    worst = int(pressing.argmax())
    if not pressing[worst] > 1:
        return None
    mood = w @ moods.aspect_mood[rows]
    best = _better(deeper, moods.aspect_mood[:, worst], moods.aspect_volume[:, worst], float(mood[worst]))
    main = int(
        rows[
            np.argmin(
                np.where(moods.aspect_volume[rows, worst] > 0, moods.aspect_mood[rows, worst] * w, np.inf)
            )
        ]
    )
    facts = {
        "aspect": aspects[worst],
        "mood": round(float(mood[worst]), 3),
        "opinions": int(volume[worst]),
        "product": main,
        "push": best,
    }
    return Change("aspect", facts)


def _better(rows: NDArray[np.int64], mood: NDArray[Any], volume: NDArray[Any], than: float) -> int | None:
    """Of products further down, the one of the best shrunk mood, if at least two speak of it and it is clearly better."""
    rows = rows[(volume[rows] >= 2) & (mood[rows] > than + 0.2)] if len(rows) else rows
    return int(rows[np.lexsort((rows, -mood[rows]))][0]) if len(rows) else None
