"""What was noticed in a series, before it is written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Noticed:
    """An alarm with its series; levels are moods, or counts of a burst. See `wares.models.sentiment.moods.Alarm`."""

    kind: str
    scope: str
    key: int
    aspect: int
    day: int
    since: int
    before: tuple[float, float, float]
    after: tuple[float, float, float]
    texts_before: float
    texts_after: float
    rate: float
    told: bool = False
    over: bool = False
    part_of: int = -1
