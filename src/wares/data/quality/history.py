"""What checks found, run by run; the profiles of versions; the contracts as they were; and what was alerted.

The server reads the first two tables without this room (``serve/quality.py``), so their columns are plain.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from wares.core.state import State, stamp
from wares.data.contract import Contract
from wares.data.quality.profile import PROFILE_VERSION, Profile
from wares.data.quality.report import BROKEN, PASSED, CheckResult, QualityReport

_metadata = sa.MetaData()

quality_runs = sa.Table(
    "quality_runs",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("asset", sa.String(100), nullable=False, index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("against", sa.Integer, nullable=True),
    sa.Column("contract", sa.String(40), nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
)
quality_checks = sa.Table(
    "quality_checks",
    _metadata,
    sa.Column("run", sa.Integer, primary_key=True),
    sa.Column("label", sa.String(300), primary_key=True),
    sa.Column("asset", sa.String(100), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("severity", sa.String(20), nullable=False),
    sa.Column("blocking", sa.Boolean, nullable=False),
    sa.Column("origin", sa.String(20), nullable=False),
    sa.Column("value", sa.Float, nullable=True),
    sa.Column("expected", sa.Text, nullable=False),
    sa.Column("broken", sa.BigInteger, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("mend", sa.Text, nullable=False),
    sa.Column("sample", sa.Text, nullable=False),
    sa.Index("quality_checks_by_label", "asset", "label"),
)
quality_profiles = sa.Table(
    "quality_profiles",
    _metadata,
    sa.Column("asset", sa.String(100), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("form", sa.Integer, primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("profile", sa.Text, nullable=False),
)
contract_versions = sa.Table(
    "contract_versions",
    _metadata,
    sa.Column("asset", sa.String(100), primary_key=True),
    sa.Column("hash", sa.String(40), primary_key=True),
    sa.Column("version", sa.String(40), nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)
quality_alerts = sa.Table(
    "quality_alerts",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("asset", sa.String(100), nullable=False, index=True),
    sa.Column("label", sa.String(300), nullable=False),
    sa.Column("severity", sa.String(20), nullable=False),
    sa.Column("event", sa.String(20), nullable=False),
    sa.Column("sent", sa.Text, nullable=False),
)


class History:
    """The quality tables of a workspace's state."""

    def __init__(self, state: State) -> None:
        self.state = state
        state.ensure(quality_runs, quality_checks, quality_profiles, contract_versions, quality_alerts)

    def _rows(self, query: Any) -> list[dict[str, Any]]:
        with self.state.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    # -- runs ------------------------------------------------------------------------------------------------

    def record(self, report: QualityReport) -> int:
        """Keep a report; returns the number of the run."""
        run = {
            "asset": report.table, "version": report.version, "at": report.at, "rows": report.rows, "score": report.score,
            "state": report.state, "against": report.against, "contract": report.contract, "seconds": report.seconds,
        }  # fmt: skip
        with self.state.engine.begin() as connection:
            key = connection.execute(quality_runs.insert(), run).inserted_primary_key
            number = int(key[0]) if key is not None else 0
            rows = {check.label: _row(number, report.table, check) for check in report.checks}
            if rows:
                connection.execute(quality_checks.insert(), list(rows.values()))
        return number

    def runs(self, asset: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Runs, newest first."""
        query = sa.select(quality_runs).order_by(quality_runs.c.id.desc()).limit(limit)
        return self._rows(query if asset is None else query.where(quality_runs.c.asset == asset))

    def checks(self, run: int) -> list[dict[str, Any]]:
        """The checks of a run; ``sample`` is parsed."""
        rows = self._rows(
            sa.select(quality_checks).where(quality_checks.c.run == run).order_by(quality_checks.c.label)
        )
        return [{**row, "sample": json.loads(row["sample"])} for row in rows]

    def latest(self) -> dict[str, dict[str, Any]]:
        """The newest run of every table."""
        newest = sa.select(sa.func.max(quality_runs.c.id)).group_by(quality_runs.c.asset)
        rows = self._rows(sa.select(quality_runs).where(quality_runs.c.id.in_(newest)))
        return {row["asset"]: row for row in sorted(rows, key=lambda row: row["asset"])}

    def trend(self, asset: str, label: str, limit: int = 200) -> list[dict[str, Any]]:
        """One check over time, oldest first."""
        query = (
            sa.select(quality_checks, quality_runs.c.at, quality_runs.c.version)
            .join(quality_runs, quality_runs.c.id == quality_checks.c.run)
            .where(quality_checks.c.asset == asset, quality_checks.c.label == label)
            .order_by(quality_checks.c.run.desc())
            .limit(limit)
        )
        return self._rows(query)[::-1]

    def trusted(self, asset: str, before: int) -> int | None:
        """The newest version below `before` whose last check broke nothing at error level or above."""
        query = (
            sa.select(quality_runs.c.version, quality_runs.c.state)
            .where(quality_runs.c.asset == asset, quality_runs.c.version < before)
            .order_by(quality_runs.c.version.desc(), quality_runs.c.id.desc())
        )
        seen: set[int] = set()
        for row in self._rows(query):
            if row["version"] in seen:
                continue
            seen.add(row["version"])
            if row["state"] not in ("error", "critical"):
                return int(row["version"])
        return None

    # -- profiles --------------------------------------------------------------------------------------------

    def put_profile(self, found: Profile, version: int) -> None:
        """Keep the profile of a version; the same again replaces it."""
        key = {"asset": found.table, "version": version, "form": PROFILE_VERSION}
        same = sa.and_(*(quality_profiles.c[name] == value for name, value in key.items()))
        text = json.dumps(found.to_json(), ensure_ascii=False)
        with self.state.engine.begin() as connection:
            connection.execute(quality_profiles.delete().where(same))
            connection.execute(quality_profiles.insert(), {**key, "rows": found.rows, "profile": text})

    def profile(self, asset: str, version: int) -> Profile | None:
        """The kept profile of a version."""
        columns = quality_profiles.c
        rows = self._rows(
            sa.select(columns.profile).where(
                columns.asset == asset, columns.version == version, columns.form == PROFILE_VERSION
            )
        )
        return Profile.from_json({**json.loads(rows[0]["profile"]), "version": version}) if rows else None

    def sizes(self, asset: str, upto: int) -> list[int]:
        """Rows of all profiled versions up to `upto`, oldest first."""
        columns = quality_profiles.c
        query = (
            sa.select(columns.rows)
            .where(columns.asset == asset, columns.version <= upto, columns.form == PROFILE_VERSION)
            .order_by(columns.version)
        )
        return [int(row["rows"]) for row in self._rows(query)]

    # -- contracts -------------------------------------------------------------------------------------------

    def note_contract(self, contract: Contract, at: datetime) -> bool:
        """Keep the text of a contract under its hash; True when it was not known."""
        columns = contract_versions.c
        query = sa.select(columns.hash).where(columns.asset == contract.table, columns.hash == contract.hash)
        if self._rows(query):
            return False
        row = {"asset": contract.table, "hash": contract.hash, "version": contract.version, "at": stamp(at), "text": contract.text}  # fmt: skip
        with self.state.engine.begin() as connection:
            connection.execute(contract_versions.insert(), row)
        return True

    def contracts(self, asset: str) -> list[dict[str, Any]]:
        """All contracts that a table was checked or loaded under, newest first."""
        columns = contract_versions.c
        return self._rows(
            sa.select(contract_versions).where(columns.asset == asset).order_by(columns.at.desc())
        )

    # -- alerts ----------------------------------------------------------------------------------------------

    def before(self, asset: str, run: int) -> dict[str, dict[str, Any]]:
        """The checks of the run before `run`, by label."""
        query = sa.select(sa.func.max(quality_runs.c.id)).where(
            quality_runs.c.asset == asset, quality_runs.c.id < run
        )
        with self.state.engine.connect() as connection:
            last = connection.execute(query).scalar()
        return {row["label"]: row for row in self.checks(int(last))} if last else {}

    def put_alerts(self, rows: list[dict[str, Any]]) -> None:
        """Note what was said and where."""
        if rows:
            with self.state.engine.begin() as connection:
                connection.execute(quality_alerts.insert(), rows)

    def alerts(self, asset: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Alerts, newest first."""
        query = sa.select(quality_alerts).order_by(quality_alerts.c.id.desc()).limit(limit)
        return self._rows(query if asset is None else query.where(quality_alerts.c.asset == asset))


def _row(run: int, asset: str, check: CheckResult) -> dict[str, Any]:
    return {
        "run": run, "label": check.label[:300], "asset": asset, "status": check.status, "severity": check.severity,
        "blocking": check.blocking, "origin": check.origin, "value": check.value, "expected": check.expected,
        "broken": check.broken, "message": check.message, "mend": check.mend,
        "sample": json.dumps(check.sample, ensure_ascii=False, default=str),
    }  # fmt: skip


def turned(before: dict[str, dict[str, Any]], checks: list[CheckResult]) -> tuple[list[CheckResult], list[CheckResult]]:  # fmt: skip
    """Checks that went from good (or unknown) to bad, and from bad to good."""
    worse = [c for c in checks if c.status == BROKEN and before.get(c.label, {}).get("status") != BROKEN]
    better = [c for c in checks if c.status == PASSED and before.get(c.label, {}).get("status") == BROKEN]
    return worse, better
