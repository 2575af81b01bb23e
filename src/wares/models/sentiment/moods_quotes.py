"""Which texts stand for a series or an alarm: clear, lately said, each once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import save_arrays
from wares.core.strings import StringTable
from wares.models.sentiment.moods import ROSE, SPAM_WAVE
from wares.models.sentiment.moods_noticed import Noticed
from wares.models.sentiment.readings import Readings
from wares.models.sentiment.series import Group, mood_of
from wares.models.sentiment.spam import DUPLICATE, SPAM

BAD, GOOD = 3, 2
"""Quotes of a series."""
EVIDENCE = 5
"""Quotes of an alarm."""
CLEAR = 0.2
"""From neutral: what is less clear is not quoted."""
FADES_DAYS = 180.0


class Quoted:
    """Collects quotes; a text quoted with the same span is stored once."""

    def __init__(self, read: Readings, day: NDArray[Any]) -> None:
        self.read, self.day = read, day
        self.confidence = np.asarray(read.confidence, float)
        self._place: dict[tuple[int, int, int], int] = {}
        self._mood: list[float] = []

    def _add(self, row: int, span: NDArray[Any] | tuple[int, int], badness: float) -> int:
        key = (int(row), int(span[0]), int(span[1]))
        if key not in self._place:
            self._place[key] = len(self._mood)
            self._mood.append(float(mood_of(badness)))
        return self._place[key]

    def of_text(self, row: int) -> int:
        """A text as a whole."""
        return self._add(row, (-1, -1), (1 - float(self.read.mood[row])) / 2)

    def of_group(self, group: Group) -> list[int]:
        """Quotes of a series: its worst, then its best."""
        return [*self._best(group, 1, BAD), *self._best(group, -1, GOOD)]

    def _best(self, group: Group, sign: int, count: int, some: NDArray[np.bool_] | None = None) -> list[int]:
        strength = sign * (group.values - 0.5)
        usable = strength >= CLEAR / 2
        if some is not None:
            usable &= some
        rows = np.flatnonzero(usable)
        if not len(rows):
            return []
        newest = int(self.day.max(initial=0))
        age = np.where(group.days[rows] >= 0, newest - group.days[rows], 2 * FADES_DAYS)
        value = strength[rows] * self.confidence[group.rows[rows]] * np.exp(-age / FADES_DAYS)
        out: list[int] = []
        seen: set[str] = set()
        for i in rows[np.argsort(-value, kind="stable")]:
            row, span = int(group.rows[i]), group.spans[i]
            whole = str(self.read.texts[row])
            said = " ".join(
                (whole[int(span[0]) : int(span[1])] if span[0] >= 0 else whole).casefold().split()
            )
            if not said or said in seen:
                continue
            seen.add(said)
            out.append(self._add(row, span, float(group.values[i])))
            if len(out) == count:
                break
        return out

    def of_alarm(self, one: Noticed, group: Group | None) -> list[int]:
        """Quotes of an alarm, from its begin to the day it was noticed on."""
        if one.kind == SPAM_WAVE:
            flags, product = np.asarray(self.read.flags), np.asarray(self.read.product)
            some = ((flags & (DUPLICATE | SPAM)) > 0) & (self.day >= one.since) & (self.day <= one.day)
            if one.scope == "product":
                some &= product == one.key
            badness = (1 - np.asarray(self.read.mood, float)) / 2
            rows = np.flatnonzero(some)[-EVIDENCE:]
            return [self._add(int(row), (-1, -1), float(badness[row])) for row in rows]
        if group is None:
            return []
        inside = (group.days >= one.since) & (group.days <= one.day)
        if one.kind == ROSE:
            return self._best(group, -1, EVIDENCE, inside)
        return self._best(group, 1, EVIDENCE, inside)

    def save(self, folder: Path) -> None:
        """Write the arrays of quotes into the artefact."""
        keys = list(self._place)
        StringTable.of(str(self.read.ids[row]) for row, _, _ in keys).save(folder, "quote_ids")
        StringTable.of(str(self.read.texts[row]) for row, _, _ in keys).save(folder, "quote_texts")
        save_arrays(
            folder, quote_start=np.array([start for _, start, _ in keys], np.int32), quote_end=np.array([end for _, _, end in keys], np.int32),
            quote_mood=np.array(self._mood, np.float32), quote_day=np.array([self.day[row] for row, _, _ in keys], np.int32),
        )  # fmt: skip
