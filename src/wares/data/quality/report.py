"""What came of a check of a table: one row a rule, a score, and what was already known from landing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from wares.core.errors import ConfigError, ContractViolation
from wares.data.quality.rules import ERROR, weight

PASSED, BROKEN, INVALID = "passed", "broken", "invalid"
CONTRACT, BUILT_IN, LEARNED = "contract", "built-in", "learned"


@dataclass
class CheckResult:
    """One rule, run once.

    `value` is what was measured (a number of rows, a share, a distance), `expected` the bound in words. `sample`
    holds keys of broken rows, never other cells.
    """

    kind: str
    column: str
    status: str = PASSED
    severity: str = ERROR
    blocking: bool = False
    origin: str = CONTRACT
    value: float | None = None
    expected: str = ""
    broken: int = 0
    message: str = ""
    mend: str = ""
    rule: str = ""
    sample: list[dict[str, Any]] = field(default_factory=list)

    @property
    def label(self) -> str:
        """Kind and column, and the rule's own name when a contract gave one."""
        name = f"{self.kind}:{self.column}" if self.column else self.kind
        return f"{name}#{self.rule}" if self.rule else name


@dataclass
class QualityReport:
    """The state of one version of one table.

    `rules`, `quarantined` and `blocking` keep their meaning from landing: rows in quarantine by rule, and what stops a
    pipeline; `blocking` also names broken blocking checks of the stored rows.
    """

    table: str
    version: int
    rows: int
    at: str
    contract: str
    source: str = ""
    against: int | None = None
    seconds: float = 0.0
    score: float = 100.0
    checks: list[CheckResult] = field(default_factory=list)
    quarantined: int = 0
    rules: dict[str, int] = field(default_factory=dict)
    blocking: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def broken(self) -> list[CheckResult]:
        """Checks that did not pass, worst first."""
        found = [check for check in self.checks if check.status == BROKEN]
        return sorted(found, key=lambda check: (-weight(check.severity), check.label))

    @property
    def invalid(self) -> list[CheckResult]:
        """Rules that could not be run."""
        return [check for check in self.checks if check.status == INVALID]

    @property
    def state(self) -> str:
        """``passed``, or the worst severity that is broken, or ``invalid``."""
        if self.broken:
            return self.broken[0].severity
        return INVALID if self.invalid else PASSED

    def raise_for_errors(self) -> None:
        """Raise when a blocking rule is broken, or when a rule could not be run.

        Raises:
            ContractViolation: for a blocking rule.
            ConfigError: for a rule of the contract that cannot be run.
        """
        if self.blocking:
            rows = self.quarantined + sum(check.broken for check in self.broken if check.blocking)
            raise ContractViolation(
                f"{self.table}: {self.quarantined} rows in quarantine; blocking: {', '.join(self.blocking)}",
                mend=f"See `wares check {self.table}` and `wares quarantine`; mend the export and ingest it again",
                table=self.table, rule=self.blocking[0], rows=rows,
            )  # fmt: skip
        for check in self.invalid:
            raise ConfigError(
                check.message,
                mend=check.mend,
                key=f"quality.{check.rule}",
                source=f"the contract of {self.table}",
            )

    def to_json(self) -> dict[str, Any]:
        """As JSON-like values; every check with its label."""
        checks = [{"label": check.label, **asdict(check)} for check in self.checks]
        return {**asdict(self), "state": self.state, "checks": checks}


def score(checks: Iterable[CheckResult]) -> float:
    """0 to 100: the weight of the checks that passed among all that were run (warning 1, error 3, critical 10)."""
    run = [check for check in checks if check.status != INVALID]
    total = sum(weight(check.severity) for check in run)
    good = sum(weight(check.severity) for check in run if check.status == PASSED)
    return round(100.0 * good / total, 2) if total else 100.0
