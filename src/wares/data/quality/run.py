"""Check a version of a table: profile it, test its contract, compare it with a trusted version, keep and tell the result."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from wares.core import columns as c
from wares.core.clock import SYSTEM, Clock
from wares.core.config import Config
from wares.core.errors import ConfigError, DataError, VersionErased
from wares.core.state import State, stamp
from wares.data.contract import SUFFIX, Contract, contract_for
from wares.data.engine import Engine, Table
from wares.data.privacy.tags import tags_of
from wares.data.quality import relations
from wares.data.quality.alerts import alert
from wares.data.quality.expect import compare, ks, psi_of_bins, psi_of_values
from wares.data.quality.history import History
from wares.data.quality.profile import Profile, profile, values_of
from wares.data.quality.promises import Promises
from wares.data.quality.release import open_counts
from wares.data.quality.report import INVALID, CheckResult, QualityReport, score
from wares.data.quality.rules import ERROR, QualityRule
from wares.data.store import Store

_SEVERE = ("error", "critical")


class Checker:
    """Checks the stored tables of one workspace."""

    def __init__(self, root: Path, config: Config, store: Store, state: State, clock: Clock = SYSTEM) -> None:
        self.root, self.config, self.store, self.state, self.clock = root, config, store, state, clock
        self.history = History(state)
        self._against: int | None = None

    def check(
        self, table: str, *, version: int | None = None, against: int | None = None, remember: bool = True
    ) -> QualityReport:
        """Check one version (the newest by default).

        Args:
            table: which.
            version: which version; its rows must still be there.
            against: the version that teaches what to expect; by default ``quality.against`` decides.
            remember: keep the result in the history and send alerts.

        Raises:
            VersionNotFound, VersionErased: for a version that never was, or whose files are gone.
            DataError: when the table is not loaded.
            ConfigError: when the contract itself cannot be read.
        """
        begun = time.perf_counter()
        contract = contract_for(table, self.root)
        if not self.store.exists(table):
            raise DataError(f"{table} is not loaded", mend=f"wares ingest PATH --as {table}", table=table)
        number = self.store.version(table) if version is None else version
        with self._engine() as engine:
            found, checks = self._checks(engine, contract, number, against)
        self.history.note_contract(contract, self.clock.now())
        report = self._report(contract, number, found, checks)
        report.seconds = round(time.perf_counter() - begun, 2)
        if remember:
            run = self.history.record(report)
            alert(self.history, report, run, self.config.quality, self.config.shop.name, self.clock.now())
        return report

    def _engine(self) -> Engine:
        folder = self.root / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return Engine(self.config.build.memory_gb / 2, self.config.build.threads, folder)

    def profile_of(self, table: str, version: int) -> Profile:
        """The profile of a version: the kept one, or made now from its rows.

        Raises:
            VersionErased: when it was never profiled and its rows are gone.
        """
        kept = self.history.profile(table, version)
        if kept is not None:
            return kept
        contract = contract_for(table, self.root)
        with self._engine() as engine:
            rows = engine.parquet(self.store.files(table, version))
            return self._profile(engine, contract, rows, values_of(engine, contract, rows), version)

    def _profile(
        self, engine: Engine, contract: Contract, rows: Table, values: dict[str, Table], version: int
    ) -> Profile:
        tags = tags_of(self.state, contract.table, rows.columns)
        personal = contract.personal | {name for name, tag in tags.items() if tag.hidden}
        found = profile(engine, contract, rows, values, personal)
        found.version = version
        others = self._others(engine, contract)
        for shares in (
            relations.across_tables(engine, contract, rows, others),
            relations.across_columns(engine, contract, values, found),
            relations.repeats(engine, contract, rows),
        ):
            found.shares |= shares
        self.history.put_profile(found, version)
        return found

    def _others(self, engine: Engine, contract: Contract) -> dict[str, Table]:
        names = [name for name in self.store.names() if name not in (contract.table, c.QUARANTINE)]
        return {name: engine.parquet(self.store.files(name)) for name in names}

    def _checks(
        self, engine: Engine, contract: Contract, number: int, against: int | None
    ) -> tuple[Profile, list[CheckResult]]:
        rows = engine.parquet(self.store.files(contract.table, number))
        values = values_of(engine, contract, rows)
        found = self._profile(engine, contract, rows, values, number)
        promises = Promises(
            engine, contract, rows, values, found, self._others(engine, contract), self.clock.now()
        )
        checks = promises.structural()
        base = self._baseline(contract, number, against, checks)
        self._against = base.version if base is not None else None
        checks += [promises.run(rule, lambda r: self._distance(r, found, base)) for rule in contract.quality]
        checks += [
            CheckResult("rule", f.column, INVALID, ERROR, rule=f.rule, message=f.message, mend=f.mend)
            for f in contract.faults
        ]
        checks += self._cycles(contract)
        if base is not None:
            checks += compare(base, found, self.history.sizes(contract.table, base.version or 0))
        return found, [check for check in checks if not self._muted(contract.table, check)]

    def _muted(self, table: str, check: CheckResult) -> bool:
        return any(fnmatchcase(f"{table}:{check.label}", pattern) for pattern in self.config.quality.mute)

    def _baseline(
        self, contract: Contract, number: int, against: int | None, checks: list[CheckResult]
    ) -> Profile | None:
        if against is not None:
            return self.profile_of(contract.table, against)
        mode = self.config.quality.against
        if mode == "none" or number == 0:
            return None
        chosen = self.history.trusted(contract.table, number) if mode == "trusted" else None
        chosen = number - 1 if chosen is None else chosen
        try:
            return self.profile_of(contract.table, chosen)
        except VersionErased as error:
            checks.append(
                CheckResult("baseline", "", INVALID, ERROR, message=error.message, mend="Name another version with --against")
            )  # fmt: skip
            return None

    def _distance(self, rule: QualityRule, found: Profile, base: Profile | None) -> tuple[float, Any]:
        other = base if rule.against is None else self.profile_of(found.table, rule.against)
        if other is None:
            return 0.0, None
        now, was = found.columns[rule.column], other.columns.get(rule.column)
        if was is None:
            raise ConfigError(
                f"rule {rule.name!r}: version {other.version} has no column {rule.column!r}",
                mend="Choose another version", key=rule.name, source=rule.name,
            )  # fmt: skip
        bins = (was.bins, now.bins) if was.bins or now.bins else (was.lengths, now.lengths)
        if rule.kind == "ks":
            return ks(*bins)[0], other.version
        categorical = bool(was.top) and (was.distinct or 0) <= len(was.top) and not was.bins
        return (psi_of_values(was, now) if categorical else psi_of_bins(*bins))[0], other.version

    def _cycles(self, contract: Contract) -> list[CheckResult]:
        """References that lead from the table back to itself through another: neither could be loaded first."""
        roads: dict[str, dict[str, str]] = {}
        for name in sorted({contract.table, *c.TABLES, *self._contracts()}):
            try:
                columns = (
                    contract_for(name, self.root).columns if name != contract.table else contract.columns
                )
            except (ConfigError, FileNotFoundError):
                continue
            roads[name] = {
                to: f"{name}.{column.name}"
                for column in columns
                if column.reference and (to := column.reference.partition(".")[0]) != name
            }
        path = _way_back(roads, contract.table, contract.table, ())
        if not path:
            return []
        way = " → ".join((*path, contract.table))
        return [
            CheckResult("cycle", path[0].partition(".")[2], INVALID, ERROR, message=f"the references go in a circle: {way}", mend="Take one of these `relationships` out of its contract")
        ]  # fmt: skip

    def _contracts(self) -> list[str]:
        return [path.name.removesuffix(SUFFIX) for path in (self.root / "contracts").glob(f"*{SUFFIX}")]

    def _report(
        self, contract: Contract, number: int, found: Profile, checks: list[CheckResult]
    ) -> QualityReport:
        kept = {
            f"{row['rule']}:{row['column']}" if row["column"] else row["rule"]: row["rows"]
            for row in open_counts(self.store, self.state)
            if row["table"] == contract.table
        }
        landed = next((v for v in self.state.versions(contract.table) if v["version"] == number), None)
        report = QualityReport(
            contract.table, number, found.rows, stamp(self.clock.now()), contract.hash,
            landed["source"] if landed else "", self._against, checks=checks, quarantined=sum(kept.values()), rules=kept,
            warnings=landed["quality"]["warnings"] if landed else [],
        )  # fmt: skip
        report.score = score(checks)
        stored = [check.label for check in report.broken if check.blocking]
        report.blocking = sorted(
            {*stored, *(rule for rule in kept if rule.split(":")[0] in contract.blocking)}
        )
        return report


def _way_back(
    roads: dict[str, dict[str, str]], here: str, goal: str, seen: tuple[str, ...]
) -> tuple[str, ...]:
    for to, column in roads.get(here, {}).items():
        if to == goal and here != goal:
            return (column,)
        if to not in seen and to != goal and (rest := _way_back(roads, to, goal, (*seen, to))):
            return (column, *rest)
    return ()
