"""Moods as they are served: of every product, category, brand, aspect and more, over time, and when they changed. numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact
from wares.core.strings import StringTable
from wares.models.sentiment.series import SCOPES, mood_of

KIND = "moods"
FELL, ROSE, COMPLAINTS, SPAM_WAVE = "fell", "rose", "complaints", "spam"
ALARMS = (FELL, ROSE, COMPLAINTS, SPAM_WAVE)
WINDOW, POINTS = 28, 60
"""Days that a point of a curve looks back, and about how many points it has."""
WEEKS_ALIKE = 8.0
"""Within a series, its own mood weighs at most so many texts against those of a window."""
LATELY = 90
"""Days that a trend holds against the year before them."""
_Z = 1.645


@dataclass(frozen=True, slots=True)
class Level:
    """A series' mood -1..1 with its 90% credible interval, and how many texts (or opinions) it is of."""

    mood: float
    low: float
    high: float
    volume: float


@dataclass(frozen=True, slots=True)
class Quote:
    """A text as evidence: its id "KIND:ID", what it says, the span that says it (the whole where -1), its mood, and its day or -1."""

    id: str
    text: str
    start: int
    end: int
    mood: float
    day: int

    @property
    def evidence(self) -> dict[str, Any]:
        """The quote without its text, to be kept where no erasure looks."""
        return {"id": self.id, "start": self.start, "end": self.end, "mood": round(self.mood, 3)}


@dataclass(frozen=True, slots=True)
class Alarm:
    """What was noticed on `day` and began on `since` (days since 1970) in a series.

    For `fell` and `rose`, `before` and `after` are moods with their intervals; for `complaints` and `spam` counts: what was
    expected with its interval, and what came. `rate`: how often a year a series without a change shows as much. `told`: it
    also stands among all series of its week; `over`: the series has changed back since; `part_of`: the alarm, of fewer texts, that
    explains this one, or -1.
    """

    number: int
    kind: str
    series: int
    day: int
    since: int
    before: tuple[float, float, float]
    after: tuple[float, float, float]
    texts_before: float
    texts_after: float
    rate: float
    told: bool
    over: bool
    part_of: int


@dataclass(frozen=True)
class Curve:
    """A series over time, each ``(t,)``: the last day of each window, mood, low, high, and texts in the window."""

    day: NDArray[np.int64]
    mood: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    volume: NDArray[np.float64]


class Moods:
    """``aspects``; per product ``mood``, ``mood_low``, ``mood_high``, ``volume`` ``(n_products,) float32`` and ``aspect_mood``,
    ``aspect_volume``, ``aspect_bad``, ``aspect_good`` ``(n_products, a) float32``, moods shrunk; the same by category; and all series.

    A series is of a scope (`SCOPES`), a key in that scope's names, and an aspect or -1.
    """

    def __init__(self, folder: Path) -> None:
        self.manifest: dict[str, Any] = open_artifact(folder, KIND)
        self.aspects: tuple[str, ...] = tuple(self.manifest["aspects"])
        names = (
            "mood",
            "mood_low",
            "mood_high",
            "volume",
            "aspect_mood",
            "aspect_volume",
            "aspect_bad",
            "aspect_good",
        )
        (
            self.mood, self.mood_low, self.mood_high, self.volume, self.aspect_mood, self.aspect_volume, self.aspect_bad, self.aspect_good,
        ) = (load_array(folder, name) for name in names)  # fmt: skip
        self.category_aspect_mood, self.category_aspect_volume = (
            load_array(folder, f"category_{name}") for name in names[4:6]
        )
        self.series: dict[str, NDArray[Any]] = {
            name: load_array(folder, f"series_{name}")
            for name in ("scope", "key", "aspect", "mood", "low", "high", "volume", "parent", "ptr", "quote_ptr", "dispersion", "strength")
        }  # fmt: skip
        self.point_day, self.point_texts, self.point_bad = (
            load_array(folder, f"point_{name}") for name in ("day", "texts", "bad")
        )
        self.names = {scope: StringTable.load(folder, f"names_{scope}") for scope in self.manifest["named"]}
        self.quote_ids, self.quotes = (
            StringTable.load(folder, name) for name in ("quote_ids", "quote_texts")
        )
        self.quote: dict[str, NDArray[Any]] = {
            n: load_array(folder, f"quote_{n}") for n in ("start", "end", "mood", "day")
        }
        self.said, self.alarm_quotes = load_array(folder, "series_quotes"), load_array(folder, "alarm_quotes")
        self.alarm: dict[str, NDArray[Any]] = {
            name: load_array(folder, f"alarm_{name}")
            for name in ("kind", "series", "day", "since", "levels", "texts", "rate", "told", "over", "part_of", "quote_ptr")
        }  # fmt: skip
        self._find = {
            (int(s), int(k), int(a)): i
            for i, (s, k, a) in enumerate(zip(self.series["scope"], self.series["key"], self.series["aspect"], strict=True))
        }  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> Moods:
        """Map the artefact in `folder`."""
        return cls(folder)

    def __len__(self) -> int:
        return len(self.mood)

    @property
    def last_day(self) -> int:
        """The day of the newest dated text, -1 without any."""
        return int(self.manifest["last_day"])

    def find(self, scope: str, key: int, aspect: int = -1) -> int:
        """The number of a series, or -1 where no text is of it."""
        return self._find.get((SCOPES.index(scope), key, aspect), -1)

    def scope_of(self, series: int) -> tuple[str, int, int]:
        """Scope, key and aspect of a series."""
        return (
            SCOPES[int(self.series["scope"][series])],
            int(self.series["key"][series]),
            int(self.series["aspect"][series]),
        )

    def name_of(self, series: int) -> str:
        """The key of a series as a name: an id of a product, a brand, a category, a language; empty for the whole shop."""
        scope, key, _ = self.scope_of(series)
        base = scope.removesuffix("_aspect")
        return str(self.names[base][key]) if base in self.names and key >= 0 else ""

    def aspect_of(self, series: int) -> str:
        """The aspect of a series, or empty."""
        aspect = int(self.series["aspect"][series])
        return self.aspects[aspect] if aspect >= 0 else ""

    def of_scope(self, scope: str) -> NDArray[np.int64]:
        """All series of a scope."""
        return np.flatnonzero(self.series["scope"] == SCOPES.index(scope))

    def aspects_of(self, scope: str, key: int) -> list[int]:
        """The series of a product's or a category's aspects, most spoken of first."""
        there = [i for a in range(len(self.aspects)) if (i := self.find(f"{scope}_aspect", key, a)) >= 0]
        return sorted(there, key=lambda i: -float(self.series["volume"][i]))

    def level(self, series: int) -> Level:
        """The mood of a series over all its texts."""
        return Level(*(float(self.series[name][series]) for name in ("mood", "low", "high", "volume")))

    def days(self, series: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Days with texts, number of texts and sum of badness on each."""
        part = slice(int(self.series["ptr"][series]), int(self.series["ptr"][series + 1]))
        return self.point_day[part], self.point_texts[part], self.point_bad[part]

    def curve(self, series: int, window: int = WINDOW, points: int = POINTS) -> Curve:
        """Mood over time in about `points`: each of the last `window` days' texts, shrunk towards the series' own mood; where none came it is
        that, and the band is wide."""
        day, texts, bad = self.days(series)
        if not len(day):
            return Curve(np.zeros(0, np.int64), *(np.zeros(0) for _ in range(4)))
        step = max(1, (self.last_day - int(day[0])) // points)
        ends = np.arange(self.last_day, int(day[0]) - 1, -step, dtype=np.int64)[::-1]
        n, s = _between(day, texts, ends, window), _between(day, bad, ends, window)
        own = (1 - float(self.series["mood"][series])) / 2
        mean, low, high = self._posterior(series, s, n, own)
        return Curve(ends, mood_of(mean), mood_of(high), mood_of(low), n)

    def trend(self, series: int, days: int = LATELY) -> tuple[Level, Level] | None:
        """(the year before, the last `days`) up to the newest text of the shop; None where either has no text."""
        day, texts, bad = self.days(series)
        ends = np.array([self.last_day - days, self.last_day])
        n = np.array([_between(day, texts, ends[:1], 365)[0], _between(day, texts, ends[1:], days)[0]])
        s = np.array([_between(day, bad, ends[:1], 365)[0], _between(day, bad, ends[1:], days)[0]])
        if (n == 0).any():
            return None
        mean, low, high = self._posterior(series, s, n, (1 - float(self.series["mood"][series])) / 2)
        before, now = (
            Level(float(mood_of(mean[i])), float(mood_of(high[i])), float(mood_of(low[i])), float(n[i]))
            for i in range(2)
        )
        return before, now

    def _posterior(
        self, series: int, sums: NDArray[Any], counts: NDArray[Any], own: float
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        strength = min(float(self.series["strength"][series]), WEEKS_ALIKE)
        mean = np.clip((sums + strength * own) / (counts + strength), 1e-3, 1 - 1e-3)
        # Normal on the logit scale: close to the Beta quantiles that the artefact's own levels have.
        spread = np.sqrt(float(self.series["dispersion"][series]) / (mean * (1 - mean) * (counts + strength)))
        middle = np.log(mean / (1 - mean))
        return mean, 1 / (1 + np.exp(-(middle - _Z * spread))), 1 / (1 + np.exp(-(middle + _Z * spread)))

    def quotes_of(self, series: int) -> list[Quote]:
        """What stands for a series: its worst and its best texts, lately said first."""
        part = slice(int(self.series["quote_ptr"][series]), int(self.series["quote_ptr"][series + 1]))
        return self._quotes(self.said[part])

    def evidence(self, alarm: int) -> list[Quote]:
        """The texts behind an alarm."""
        part = slice(int(self.alarm["quote_ptr"][alarm]), int(self.alarm["quote_ptr"][alarm + 1]))
        return self._quotes(self.alarm_quotes[part])

    def quote_by_id(self, text_id: str) -> Quote | None:
        """A quoted text by its id; None where it is quoted no longer, or its author was erased."""
        row = self.quote_ids.find(text_id)
        return self._quotes([row])[0] if row >= 0 else None

    def quoted(self, evidence: Sequence[dict[str, Any]]) -> list[Quote]:
        """The quotes of kept `Quote.evidence`, as far as their texts are still there."""
        found = [(self.quote_by_id(str(one["id"])), one) for one in evidence]
        return [
            replace(q, start=one["start"], end=one["end"], mood=one["mood"])
            for q, one in found
            if q is not None
        ]

    def _quotes(self, rows: Sequence[int] | NDArray[Any]) -> list[Quote]:
        q = self.quote
        return [
            Quote(str(self.quote_ids[r]), str(self.quotes[r]), int(q["start"][r]), int(q["end"][r]), float(q["mood"][r]), int(q["day"][r]))
            for r in map(int, rows)
        ]  # fmt: skip

    def alarms(self, series: int | None = None, since: int = -1, told: bool = False) -> list[Alarm]:
        """Alarms noticed from day `since` on, newest first; of one series, and of those `told` alone, where asked."""
        a = self.alarm
        some = a["day"] >= since
        if series is not None:
            some &= a["series"] == series
        if told:
            some &= a["told"]
        rows = np.flatnonzero(some)
        return [self.alarm_at(int(i)) for i in rows[np.lexsort((a["rate"][rows], -a["day"][rows]))]]

    def alarm_at(self, i: int) -> Alarm:
        """The alarm of a number."""
        a = self.alarm
        levels = [float(x) for x in a["levels"][i]]
        return Alarm(
            i, ALARMS[int(a["kind"][i])], int(a["series"][i]), int(a["day"][i]), int(a["since"][i]), (levels[0], levels[1], levels[2]),
            (levels[3], levels[4], levels[5]), float(a["texts"][i][0]), float(a["texts"][i][1]), float(a["rate"][i]), bool(a["told"][i]), bool(a["over"][i]),
            int(a["part_of"][i]),
        )  # fmt: skip


def _between(day: NDArray[Any], values: NDArray[Any], ends: NDArray[Any], window: int) -> NDArray[np.float64]:
    """Sums of values of the `window` days that end with each of `ends`."""
    total = np.concatenate([[0.0], np.cumsum(np.asarray(values, float))])
    return np.asarray(
        total[np.searchsorted(day, ends, "right")] - total[np.searchsorted(day, ends - window, "right")]
    )
