"""Quality rules as the Open Data Contract Standard writes them (``quality`` on a table or a column), read into one form.

What each ODCS type becomes here:

- ``library``: ``metric`` nullValues, missingValues, invalidValues, duplicateValues or rowCount with a ``mustBe…``
- ``sql``: a SELECT; with a ``mustBe…`` its one number is compared, without one every row it returns is a broken row
- ``custom``: ``implementation`` is an expression that good rows fulfil, or a mapping with ``expression``, ``drift``
  (``psi`` or ``ks``, ``against`` a version), ``volume`` or ``fresh``
- ``text``: words for people; not run
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from open_data_contract_standard.model import DataQuality

WARNING, ERROR, CRITICAL = "warning", "error", "critical"
SEVERITIES = (WARNING, ERROR, CRITICAL)
METRICS = ("nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount")
_DRIFTS = ("psi", "ks")
_WEIGHT = {WARNING: 1.0, ERROR: 3.0, CRITICAL: 10.0}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a measured number must be. Bounds are inclusive unless ``open`` names the side."""

    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False
    outside: bool = False
    percent: bool = False

    @property
    def given(self) -> bool:
        """Whether anything is demanded."""
        return self.low is not None or self.high is not None

    def holds(self, value: float) -> bool:
        """Whether a number is allowed."""
        low = self.low is None or (value > self.low if self.open_low else value >= self.low)
        high = self.high is None or (value < self.high if self.open_high else value <= self.high)
        return not (low and high) if self.outside else low and high

    def __str__(self) -> str:
        unit = " %" if self.percent else ""
        if self.outside:
            return f"not {self.low:g} to {self.high:g}{unit}"
        if self.low is not None and self.low == self.high:
            return f"{self.low:g}{unit}"
        parts = []
        if self.low is not None:
            parts.append(f"{'above' if self.open_low else 'at least'} {self.low:g}{unit}")
        if self.high is not None:
            parts.append(f"{'below' if self.open_high else 'at most'} {self.high:g}{unit}")
        return " and ".join(parts)


@dataclass(frozen=True, slots=True)
class QualityRule:
    """One rule of a contract beyond the columns' own promises."""

    name: str
    kind: str
    column: str = ""
    severity: str = ERROR
    blocking: bool = False
    text: str = ""
    limits: Limits = field(default_factory=Limits)
    against: int | None = None
    arguments: tuple[tuple[str, Any], ...] = ()
    description: str = ""

    def argument(self, name: str, default: Any = None) -> Any:
        """One of the rule's arguments."""
        return dict(self.arguments).get(name, default)


@dataclass(frozen=True, slots=True)
class RuleFault:
    """A rule that cannot be run: where it stands, why, and how to mend it. The other rules run."""

    rule: str
    column: str
    message: str
    mend: str


def weight(severity: str) -> float:
    """How much a broken check of a severity costs the table's score."""
    return _WEIGHT[severity]


def read_rules(
    entries: Sequence[DataQuality], column: str, place: str
) -> tuple[list[QualityRule], list[RuleFault]]:
    """The rules of one table or column; those that make no sense come back as faults, and the others stand."""
    rules: list[QualityRule] = []
    faults: list[RuleFault] = []
    for number, entry in enumerate(entries, 1):
        name = entry.id or entry.name or f"{column or 'table'}-{number}"
        try:
            rule = _rule(entry, name, column)
        except ValueError as error:
            message, _, mend = str(error).partition(" | ")
            faults.append(RuleFault(name, column, f"{place}: quality rule {name!r}: {message}", mend))
            continue
        if rule is not None:
            rules.append(rule)
    return rules, faults


def _rule(entry: DataQuality, name: str, column: str) -> QualityRule | None:
    custom = {p.property: p.value for p in entry.customProperties or []}
    severity = str(entry.severity or ERROR).lower()
    if severity not in SEVERITIES:
        raise ValueError(f"severity {severity!r} | Use one of {', '.join(SEVERITIES)}")
    common: dict[str, Any] = {
        "name": name, "column": column, "severity": severity,
        "blocking": bool(custom.get("blocking", severity == CRITICAL)),
        "description": (entry.description or "").strip(), "limits": _limits(entry),
        "arguments": tuple(sorted((entry.arguments or {}).items(), key=lambda item: item[0])),
    }  # fmt: skip
    kind = (entry.type or ("sql" if entry.query else "library")).lower()
    if kind == "text":
        return None
    if kind == "sql":
        if not (entry.query or "").strip():
            raise ValueError("has no query | Write `query: SELECT …`; the rows that it returns are broken")
        return QualityRule(kind="sql", text=str(entry.query), **common)
    if kind == "library":
        return _library(entry, column, common)
    if kind == "custom":
        return _custom(entry, column, common)
    raise ValueError(f"type {kind!r} | Use library, sql, custom or text")


def _library(entry: DataQuality, column: str, common: dict[str, Any]) -> QualityRule:
    metric = entry.metric or entry.rule
    if metric not in METRICS:
        raise ValueError(f"metric {metric!r} | Use one of {', '.join(METRICS)}")
    if metric in ("nullValues", "missingValues", "invalidValues") and not column:
        raise ValueError(f"metric {metric} needs a column | Move the rule to the column's own `quality`")
    if not common["limits"].given:
        if metric == "rowCount":
            raise ValueError("says no limit | Add `mustBeGreaterThan: 0` or the like")
        common["limits"] = Limits(high=0.0)
    return QualityRule(kind=metric, **common)


def _custom(entry: DataQuality, column: str, common: dict[str, Any]) -> QualityRule:
    if (entry.engine or "wares") != "wares":
        raise ValueError(
            f"engine {entry.engine!r} | Only `engine: wares` is run here; use type text for others"
        )
    body = entry.implementation
    if isinstance(body, str) and body.strip():
        return QualityRule(kind="expression", text=body, **common)
    if not isinstance(body, dict):
        raise ValueError("has no implementation | Write an expression such as `price > 0`")
    if "expression" in body:
        return QualityRule(kind="expression", text=str(body["expression"]), **common)
    if "drift" in body:
        drift, against = str(body["drift"]), body.get("against")
        if drift not in _DRIFTS:
            raise ValueError(f"drift {drift!r} | Use psi or ks")
        if not column:
            raise ValueError("drift needs a column | Move the rule to the column's own `quality`")
        if against is not None and (not isinstance(against, int) or against < 0):
            raise ValueError(f"against {against!r} | Give the number of a version")
        if not common["limits"].given:
            common["limits"] = Limits(high=0.25 if drift == "psi" else 0.15)
        return QualityRule(kind=drift, against=against, **common)
    if "volume" in body:
        return QualityRule(kind="volume", **common)
    if "fresh" in body:
        if not isinstance(body["fresh"], int | float):
            raise ValueError(f"fresh {body['fresh']!r} | Give days as a number")
        return QualityRule(kind="fresh", **{**common, "limits": Limits(high=float(body["fresh"]))})
    raise ValueError(f"cannot run {sorted(body)} | Use expression, drift, volume or fresh")


def _limits(entry: DataQuality) -> Limits:
    percent = (entry.unit or "").lower() in ("percent", "%")
    try:
        if entry.mustBeBetween is not None:
            low, high = (float(v) for v in entry.mustBeBetween)
            return Limits(low, high, percent=percent)
        if entry.mustNotBeBetween is not None:
            low, high = (float(v) for v in entry.mustNotBeBetween)
            return Limits(low, high, outside=True, percent=percent)
        if entry.mustBe is not None:
            return Limits(float(entry.mustBe), float(entry.mustBe), percent=percent)
        if entry.mustNotBe is not None:
            return Limits(float(entry.mustNotBe), float(entry.mustNotBe), outside=True, percent=percent)
    except (TypeError, ValueError):
        raise ValueError("its limit is no number | Write numbers after mustBe…") from None
    above, least = entry.mustBeGreaterThan, entry.mustBeGreaterOrEqualTo
    below, most = entry.mustBeLessThan, entry.mustBeLessOrEqualTo
    return Limits(
        above if above is not None else least,
        below if below is not None else most,
        above is not None,
        below is not None,
        percent=percent,
    )
