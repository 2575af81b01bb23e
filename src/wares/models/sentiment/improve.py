"""What to better about a product: its complaints by aspect, counted, quoted, over time, against its category. numpy only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.sentiment.readings import Readings

DAY = 86_400_000_000
PULL = 10.0
"""Texts of the category beside the product's own when a share is estimated."""
QUOTES = 3
MOST_QUOTE = 240
Z = 1.959964


@dataclass(frozen=True, slots=True)
class Complaint:
    """An aspect of a product that people complain of: `texts` with a bad opinion of it out of `read`; the `share` shrunk to that of
    the category (`usual`), the ends of its 95 % interval, and `ratio` of both; `recent` and `before` are shares of the later and
    the earlier half of the product's dated texts and `trend` is ``rising``, ``falling``, ``steady`` or ``unknown``; `good` texts
    praise it; rows of opinions to quote, the plainest first."""

    aspect: str
    texts: int
    read: int
    share: float
    low: float
    high: float
    usual: float
    ratio: float
    recent: float
    before: float
    trend: str
    good: int
    quotes: tuple[int, ...]

    @property
    def worse(self) -> bool:
        """Whether it is surely worse than in the category."""
        return self.low > self.usual


@dataclass(frozen=True, slots=True)
class Improvement:
    """What people say of a product: texts read, its mood and its category's, complaints by what bettering them would bring
    (texts beyond the category's share first), and praise by aspect (aspect, texts)."""

    product: int
    read: int
    mood: float
    category_mood: float
    complaints: tuple[Complaint, ...]
    praise: tuple[tuple[str, int], ...]


class Complaints:
    """Readings arranged for reports on one product after the other; `category_of (n_items,)` is -1 for none."""

    def __init__(self, readings: Readings, category_of: NDArray[Any]) -> None:
        self.readings, self.category_of = readings, np.asarray(category_of)
        counted = readings.counted & (readings.product >= 0) & (readings.product < len(category_of))
        rows = np.flatnonzero(counted)
        self._rows = rows[np.argsort(readings.product[rows], kind="stable")]
        self._product = readings.product[self._rows]
        a = max(len(readings.aspects), 1)
        said = counted[readings.op_text]
        ops = np.flatnonzero(said)
        # One text complains once of an aspect, however often it says so.
        key = readings.op_text[ops].astype(np.int64) * a + readings.op_aspect[ops]
        worst = np.full(len(readings) * a, np.inf, np.float32)
        best = np.full(len(readings) * a, -np.inf, np.float32)
        np.minimum.at(worst, key, readings.op_polarity[ops])
        np.maximum.at(best, key, readings.op_polarity[ops])
        self._bad = worst.reshape(len(readings), a) < 0
        self._good = (best.reshape(len(readings), a) > 0) & ~self._bad
        of = np.where(readings.product >= 0, self.category_of[np.maximum(readings.product, 0)], -1) if len(self.category_of) else np.full(len(readings), -1)  # fmt: skip
        self._category = np.where(counted, of, -1)

    def rows_of(self, product: int) -> NDArray[np.int64]:
        """The texts of a product that count, in the order of time."""
        low, high = np.searchsorted(self._product, [product, product + 1])
        return self._rows[low:high]

    def report(self, product: int, most: int = 8) -> Improvement:
        """The report on a product, of at most `most` complaints; empty where nothing is said of it."""
        readings, rows = self.readings, self.rows_of(product)
        category = int(self.category_of[product]) if 0 <= product < len(self.category_of) else -1
        peers = np.flatnonzero(self._category == category) if category >= 0 else rows
        mood = float(readings.mood[rows].mean()) if len(rows) else 0.0
        usual_mood = float(readings.mood[peers].mean()) if len(peers) else 0.0
        found: list[Complaint] = []
        praise: list[tuple[str, int]] = []
        for place, aspect in enumerate(readings.aspects):
            bad = self._bad[rows, place] if len(rows) else np.zeros(0, bool)
            good = int(self._good[rows, place].sum()) if len(rows) else 0
            if good:
                praise.append((aspect, good))
            if bad.any():
                usual = float(self._bad[peers, place].mean())
                found.append(self._complaint(aspect, place, rows, bad, usual, good))
        found.sort(key=lambda one: (-(one.share - one.usual) * one.read, -one.texts, one.aspect))
        praise.sort(key=lambda one: (-one[1], one[0]))
        return Improvement(product, len(rows), mood, usual_mood, tuple(found[:most]), tuple(praise[:5]))

    def _complaint(
        self,
        aspect: str,
        place: int,
        rows: NDArray[np.int64],
        bad: NDArray[np.bool_],
        usual: float,
        good: int,
    ) -> Complaint:
        n, k = len(rows), int(bad.sum())
        a, b = k + PULL * usual, n - k + PULL * (1 - usual)
        share = a / (a + b)
        half = Z * math.sqrt(share * (1 - share) / (a + b + 1))
        recent, before, trend = _trend(self.readings.at[rows], bad)
        return Complaint(
            aspect, k, n, share, max(share - half, 0.0), min(share + half, 1.0), usual, share / max(usual, 1e-3), recent, before, trend, good,
            self._quotes(rows[bad], place),
        )  # fmt: skip

    def _quotes(self, texts: NDArray[np.int64], place: int) -> tuple[int, ...]:
        """Opinions to quote: the worst of each text, newest texts first among equals, each sentence once."""
        readings = self.readings
        best: list[tuple[float, int, int]] = []
        for text in texts.tolist():
            mine = [o for o in readings.opinions_of(text) if int(readings.op_aspect[o]) == place]
            worst = min(mine, key=lambda o: float(readings.op_polarity[o]))
            best.append((round(float(readings.op_polarity[worst]), 1), -int(readings.at[text]), worst))
        out: dict[str, int] = {}
        for _, _, opinion in sorted(best):
            said = str(readings.texts[int(readings.op_text[opinion])])
            start, end = int(readings.op_start[opinion]), int(readings.op_end[opinion])
            out.setdefault(sentence_around(said, start, end).casefold(), opinion)
            if len(out) == QUOTES:
                break
        return tuple(out.values())


_ENDS = ".!?。！？；;\n"


def sentence_around(text: str, start: int, end: int, most: int = MOST_QUOTE) -> str:
    """The sentence around an opinion, so that a quote of two words can be understood; cut at the sides where it is long."""
    low = max((text.rfind(mark, 0, start) for mark in _ENDS), default=-1) + 1
    stops = [place for mark in _ENDS if (place := text.find(mark, max(end - 1, start))) >= 0]
    high = min(stops, default=len(text) - 1) + 1
    if high - low > most:
        low = max(low, start - max(most - (end - start), 0) // 2)
        high = min(high, max(low + most, min(end, low + most)))
    return " ".join(text[low:high].split())


def _trend(at: NDArray[Any], bad: NDArray[np.bool_]) -> tuple[float, float, str]:
    """(share in the later half, in the earlier half, word) of a product's dated texts: a word only beyond chance (95 %)."""
    dated = at >= 0
    bad = bad[dated]
    half = len(bad) // 2
    if half < 3:
        return math.nan, math.nan, "unknown"
    before, recent = bad[:half], bad[half:]
    p, q = float(before.mean()), float(recent.mean())
    pooled = (before.sum() + recent.sum() + 1) / (len(bad) + 2)
    error = math.sqrt(pooled * (1 - pooled) * (1 / len(before) + 1 / len(recent)))
    if abs(q - p) <= Z * error:
        return q, p, "steady"
    return q, p, "rising" if q > p else "falling"
