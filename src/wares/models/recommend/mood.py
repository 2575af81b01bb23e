"""What shoppers say of products, held against what a shopper cares about: features, and steps back. numpy only.

Moods and opinions come from elsewhere, as arrays. A mood counts by how much was said: |effect| is at most `CAP` · volume /
(volume + `HALF`), so that a few reviews can neither bury a product nor lift it. What a shopper cares about are the aspects of
their own bad opinions, those they mention, and those that others find bad in what the shopper sent back.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, save_arrays
from wares.core.errors import DataError

LEADS = ("mood", "mood_volume", "mood_match")
"""Features: capped mood of the product, logarithm of how much was said, and moods of the aspects that the shopper cares about."""
CAP = 0.5
HALF = 6.0
"""Opinions with which half of the cap is reached."""
STEP = 0.5
"""The share of the span of a list that the worst possible mood on the only aspect one cares about costs."""
MENTION = 0.25
"""What a mention that is not bad says of caring, beside a bad opinion or a return."""
DOUBT = 1.0


def capped(mood: NDArray[Any], volume: NDArray[Any]) -> NDArray[np.float32]:
    """Moods in -1..1 as they count, by the volume behind each: at most `CAP` · volume / (volume + `HALF`) away from zero."""
    mood, volume = (
        np.nan_to_num(np.asarray(mood, np.float64)),
        np.maximum(np.nan_to_num(np.asarray(volume, np.float64)), 0),
    )
    return (np.clip(mood, -1, 1) * CAP * volume / (volume + HALF)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Concerns:
    """What each user cares about: of user ``u`` the entries ``ptr[u]:ptr[u + 1]`` of ``aspect int16`` and ``weight float32`` in
    0..1, the heaviest first, and ``returned uint8``: whether a return speaks for it."""

    ptr: NDArray[np.int64]
    aspect: NDArray[np.int16]
    weight: NDArray[np.float32]
    returned: NDArray[np.uint8]

    @classmethod
    def none(cls, users: int) -> Concerns:
        """Of nobody anything."""
        return cls(
            np.zeros(users + 1, np.int64),
            np.zeros(0, np.int16),
            np.zeros(0, np.float32),
            np.zeros(0, np.uint8),
        )


def concerns(
    users: int, aspects: int, opinions: tuple[NDArray[Any], NDArray[Any], NDArray[Any]], returns: tuple[NDArray[Any], NDArray[Any]],
    complaints: NDArray[Any],
) -> Concerns:  # fmt: skip
    """Concerns from `opinions` (user, aspect, polarity in -1..1), ``(o,)`` each, `returns` (user, product), ``(r,)`` each, and
    `complaints (n_items, aspects)`: how often others find each aspect of a product bad. Rows below zero say nothing.

    A weight is the evidence of the aspect over all evidence of the user and `DOUBT`.
    """
    evidence = np.zeros(users * max(aspects, 1))
    back = np.zeros(users * max(aspects, 1))
    user, aspect, polarity = (np.asarray(part) for part in opinions)
    kept = (user >= 0) & (user < users) & (aspect >= 0) & (aspect < aspects)
    user, aspect, polarity = user[kept].astype(np.int64), aspect[kept].astype(np.int64), polarity[kept]
    value = np.where(polarity < 0, np.maximum(-polarity, MENTION), MENTION)
    np.add.at(evidence, user * aspects + aspect, value)
    user, product = (np.asarray(part, np.int64) for part in returns)
    kept = (user >= 0) & (user < users) & (product >= 0) & (product < len(complaints))
    user, product = user[kept], product[kept]
    if len(user) and aspects:
        said = np.asarray(complaints, np.float64)[product]
        # Why a thing was sent back nobody said: what others find bad in it is the likeliest reason.
        share = said / (said.sum(1, keepdims=True) + DOUBT)
        cell = (user[:, None] * aspects + np.arange(aspects)).ravel()
        np.add.at(evidence, cell, share.ravel())
        np.add.at(back, cell, share.ravel())
    table = evidence.reshape(users, max(aspects, 1))
    weight = table / (table.sum(1, keepdims=True) + DOUBT)
    line, column = np.nonzero(weight > 1e-4)
    order = np.lexsort((column, -weight[line, column], line))
    line, column = line[order], column[order]
    ptr = np.concatenate([[0], np.cumsum(np.bincount(line, minlength=users))]).astype(np.int64)
    returned = back.reshape(users, max(aspects, 1))[line, column] > 0
    return Concerns(
        ptr, column.astype(np.int16), weight[line, column].astype(np.float32), returned.astype(np.uint8)
    )


@dataclass(frozen=True, slots=True)
class MoodSide:
    """Moods for the ranker: ``mood, volume (n_items,)``, ``aspect_mood, aspect_volume (n_items, a)``, and the concerns of the
    users by their rows.

    Raises:
        DataError: for arrays of other shapes, or moods that are no numbers.
    """

    mood: NDArray[Any]
    volume: NDArray[Any]
    aspect_mood: NDArray[Any]
    aspect_volume: NDArray[Any]
    concerns: Concerns

    def __post_init__(self) -> None:
        n = len(self.mood)
        if (
            len(self.volume) != n
            or self.aspect_mood.shape != self.aspect_volume.shape
            or len(self.aspect_mood) != n
        ):
            raise DataError(
                f"moods have the shapes {self.mood.shape}, {self.volume.shape}, {self.aspect_mood.shape} and {self.aspect_volume.shape}",
                mend="Give (n,), (n,), (n, aspects) and (n, aspects)",
            )
        if not (np.isfinite(self.mood).all() and np.isfinite(self.aspect_mood).all()):
            raise DataError("a mood is NaN or infinite", mend="Give 0 where nothing is said", column="mood")

    def save(self, folder: Path) -> None:
        """Write what `Mood` reads."""
        save_arrays(
            folder, mood_capped=capped(self.mood, self.volume), mood_volume=np.asarray(self.volume, np.float32),
            mood_aspects=capped(self.aspect_mood, self.aspect_volume), mood_ptr=self.concerns.ptr, mood_aspect=self.concerns.aspect,
            mood_weight=self.concerns.weight, mood_returned=self.concerns.returned,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """Why a product stands lower or suits: the aspect, its capped mood, how much the shopper cares (0..1), and whether a return
    says so."""

    aspect: int
    mood: float
    weight: float
    returned: bool


class Mood:
    """The moods when they serve."""

    def __init__(self, folder: Path) -> None:
        names = ("capped", "volume", "aspects", "ptr", "aspect", "weight", "returned")
        self.capped, self.volume, self.aspects, self.ptr, self.aspect, self.weight, self.returned = (
            load_array(folder, f"mood_{name}") for name in names
        )

    def of(self, row: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """(aspects, weights) that the user of a row cares about, heaviest first; empty for strangers."""
        if not 0 <= row < len(self.ptr) - 1:
            return self.aspect[:0], self.weight[:0]
        part = slice(int(self.ptr[row]), int(self.ptr[row + 1]))
        return self.aspect[part], self.weight[part]

    def leads(self, row: int, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Features ``(n, len(LEADS))`` of candidates; NaN where nothing is said of a product, or the user cares about nothing
        known."""
        out = np.full((len(ids), len(LEADS)), np.nan, np.float32)
        volume = self.volume[ids]
        said = volume > 0
        out[said, 0] = self.capped[ids[said]]
        out[said, 1] = np.log1p(volume[said])
        aspect, weight = self.of(row)
        if len(aspect):
            out[said, 2] = self.aspects[ids[said]][:, aspect] @ weight
        return out

    def demotion(self, row: int, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """How far products step back ``(n,)``, as a share of the span of a list: `STEP` · Σ weight · bad mood of the aspect / `CAP`;
        never more than `STEP` · volume / (volume + `HALF`) for the volume of the aspect most spoken of."""
        aspect, weight = self.of(row)
        if not len(aspect) or not len(ids):
            return np.zeros(len(ids), np.float32)
        bad = np.maximum(-self.aspects[ids][:, aspect], 0)
        return (STEP / CAP * (bad @ weight)).astype(np.float32)

    def said(self, row: int, item: int, least: float = 0.02) -> Said | None:
        """The aspect that speaks most against a product for this user, or else for it; None where none does notably."""
        aspect, weight = self.of(row)
        if not len(aspect):
            return None
        effect = self.aspects[item, aspect] * weight
        place = int(effect.argmin()) if float(effect.min()) < -least else int(effect.argmax())
        if abs(float(effect[place])) < least:
            return None
        returned = bool(self.returned[int(self.ptr[row]) + place])
        return Said(
            int(aspect[place]), float(self.aspects[item, aspect[place]]), float(weight[place]), returned
        )


def stepped(scores: NDArray[np.float32], demotion: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores less the demotion of each in units of the span from the best to the median: nothing moves further than that."""
    if not len(scores) or not demotion.any():
        return scores
    span = float(scores.max() - np.median(scores))
    return np.asarray(scores - np.float32(span) * demotion, np.float32)
