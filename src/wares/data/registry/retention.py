"""Which versions stay: the newest, the young, the tagged, and those that something in use was made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from wares.core.registry import Version


@dataclass
class Plan:
    """``keep``: version → why it stays; ``erase``: versions whose content goes."""

    asset: str
    keep: dict[int, str] = field(default_factory=dict)
    erase: list[int] = field(default_factory=list)
    files: int = 0


def plan(
    asset: str,
    versions: Iterable[Version],
    now: datetime,
    *,
    keep: int,
    days: float,
    tagged: Mapping[int, str],
    used: Mapping[int, str],
) -> Plan:
    """Decide version by version: one of the newest `keep`, younger than `days`, tagged, or used by what is live."""
    out = Plan(asset)
    oldest = now - timedelta(days=days)
    place = -1
    for version in sorted(versions, key=lambda v: -v.version):
        # Clearing away writes versions of its own, which hold no rows of their own.
        upkeep = version.action.startswith("vacuum")
        place += not upkeep
        if version.erased:
            continue
        number = version.version
        if number in tagged:
            out.keep[number] = f"tagged {tagged[number]}"
        elif number in used:
            out.keep[number] = used[number]
        elif place < max(keep, 1):
            out.keep[number] = "one of the newest"
        elif datetime.fromisoformat(version.at) >= oldest:
            out.keep[number] = f"younger than {days:g} days"
        else:
            out.erase.append(number)
    return out
