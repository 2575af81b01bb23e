"""What cleaning did: for each rule, how many cells it changed, with samples."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

SAMPLES = 5
SHOWN = 160
"""Samples of a rule, and characters of a sample."""


@dataclass
class Change:
    """One rule of one column: ``cells`` changed, filled (rules that add columns) or flagged.

    Of personal columns no samples are kept (``withheld``): the report is read by people who may not see them.
    """

    column: str
    rule: str
    does: str
    cells: int = 0
    samples: list[dict[str, str]] = field(default_factory=list)
    withheld: bool = False

    def sample(self, key: object, before: object, after: object) -> None:
        """Keep an example, unless there are enough, the same one is there, or the column is personal."""
        if not self.withheld and len(self.samples) < SAMPLES:
            entry = {"key": shown(key), "before": shown(before), "after": shown(after)}
            if all((s["before"], s["after"]) != (entry["before"], entry["after"]) for s in self.samples):
                self.samples.append(entry)


@dataclass
class CleanReport:
    """What became of one table. ``version`` is that of the clean table; ``fresh`` says that nothing was to do."""

    table: str
    source: str
    source_version: int
    version: int = -1
    rows: int = 0
    changes: list[Change] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    proposals: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    key: str = ""
    fresh: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> CleanReport:
        """The reverse of `to_json`."""
        return cls(**{**value, "changes": [Change(**change) for change in value["changes"]]})


def shown(value: object) -> str:
    """A value as a short line, invisible characters made visible."""
    text = "" if value is None else str(value)
    if len(text) > SHOWN:
        text = text[:SHOWN] + "…"
    return (
        text
        if text.isprintable()
        else "".join(ch if ch.isprintable() else f"\\u{ord(ch):04x}" for ch in text)
    )
