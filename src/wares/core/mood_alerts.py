"""What was noticed about moods over time: which alerts are new, which a person has seen, which stay silent, and who said so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from wares.core.errors import NotFound, QueryError
from wares.core.state import State, stamp

OPEN, ACKNOWLEDGED, MUTED, RESOLVED = "open", "acknowledged", "muted", "resolved"
STATES = (OPEN, ACKNOWLEDGED, MUTED, RESOLVED)
DRIFT, CONFIDENCE = "drift", "confidence"
KINDS = ("fell", "rose", "complaints", "spam", DRIFT, CONFIDENCE)

_metadata = sa.MetaData()
mood_alerts = sa.Table(
    "mood_alerts",
    _metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("scope", sa.String(20), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("aspect", sa.String(100), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("day", sa.String(10), nullable=False),
    sa.Column("since", sa.String(10), nullable=False),
    sa.Column("numbers", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("first_seen", sa.String(40), nullable=False),
    sa.Column("changed", sa.String(40), nullable=False),
    sa.Column("who", sa.String(200), nullable=False),
)
mood_alert_history = sa.Table(
    "mood_alert_history",
    _metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("alert", sa.String(16), nullable=False, index=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("event", sa.String(20), nullable=False),
    sa.Column("who", sa.String(200), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class MoodAlert:
    """What holds now: a `kind` of alert on a series (`scope`, its `key` by name, `aspect` or empty), noticed on `day` and begun on
    `since` (ISO dates).

    `numbers` are its figures (before, after, their intervals, counts, the rate of false alarms). `evidence` names texts by ``id`` with the span
    ``start``..``end`` and ``mood``: the texts themselves stay where an erasure finds them.
    """

    kind: str
    scope: str
    key: str
    aspect: str
    day: str
    since: str
    numbers: dict[str, Any] = field(default_factory=dict)
    evidence: tuple[dict[str, Any], ...] = ()

    @property
    def series(self) -> tuple[str, str, str, str]:
        """What the alert is of, whenever it was."""
        return self.kind, self.scope, self.key, self.aspect

    @property
    def id(self) -> str:
        """A name for it: of what it is of, and the day."""
        said = "\x1f".join((*self.series, self.day))
        return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


class MoodAlerts:
    """The alerts of a workspace's state and what became of each."""

    def __init__(self, state: State) -> None:
        self.state = state
        state.ensure(mood_alerts, mood_alert_history)

    def all(self, states: Sequence[str] = STATES, limit: int = 1000) -> list[dict[str, Any]]:
        """Alerts in these states, newest first; ``numbers`` and ``evidence`` are parsed."""
        t = mood_alerts.c
        query = (
            sa.select(mood_alerts)
            .where(t.state.in_(list(states)))
            .order_by(t.day.desc(), t.first_seen.desc(), t.id)
            .limit(limit)
        )
        with self.state.engine.connect() as connection:
            return [_parsed(row) for row in connection.execute(query).mappings()]

    def one(self, alert: str) -> dict[str, Any]:
        """An alert by its id.

        Raises:
            NotFound: when there is none.
        """
        with self.state.engine.connect() as connection:
            row = (
                connection.execute(sa.select(mood_alerts).where(mood_alerts.c.id == alert)).mappings().first()
            )
        if row is None:
            raise NotFound(
                f"there is no alert {alert!r}", mend="List them with `wares alerts list --all`", id=alert
            )
        return _parsed(row)

    def history(self, alert: str) -> list[dict[str, Any]]:
        """What became of an alert, oldest first: when, what, who, and a note."""
        t = mood_alert_history
        query = sa.select(t.c.at, t.c.event, t.c.who, t.c.note).where(t.c.alert == alert).order_by(t.c.seq)
        with self.state.engine.connect() as connection:
            return [_plain(row) for row in connection.execute(query).mappings()]

    def watch(
        self, found: Sequence[MoodAlert], now: datetime
    ) -> tuple[list[MoodAlert], list[dict[str, Any]]]:
        """Compare with what was known: (new ones, those resolved since). All in one transaction.

        An alert stays the same while its series holds one, also when a later build dates it otherwise; what a person decided
        stays. A muted series raises nothing. One that is resolved comes again only with a later day.
        """
        at, t = stamp(now), mood_alerts.c
        present = {one.series: one for one in sorted(found, key=lambda one: one.day)}
        with self.state.engine.begin() as connection:
            rows = [_parsed(row) for row in connection.execute(sa.select(mood_alerts)).mappings()]
            alive = {_series(row): row for row in rows if row["state"] != RESOLVED}
            closed = {
                _series(row): row["day"]
                for row in sorted(rows, key=lambda r: str(r["day"]))
                if row["state"] == RESOLVED
            }
            fresh = [
                one
                for series, one in present.items()
                if series not in alive and one.day > closed.get(series, "")
            ]
            gone = [row for series, row in alive.items() if series not in present and row["state"] != MUTED]
            for series, row in alive.items():
                if series in present:
                    now_ = present[series]
                    values = {"numbers": _dumped(now_.numbers), "evidence": _dumped(list(now_.evidence))}
                    connection.execute(mood_alerts.update().where(t.id == row["id"]).values(**values))
            for row in gone:
                connection.execute(
                    mood_alerts.update().where(t.id == row["id"]).values(state=RESOLVED, changed=at)
                )
            if fresh:
                connection.execute(mood_alerts.insert(), [_row(one, at) for one in fresh])
            notes = [(one.id, "noticed") for one in fresh] + [(str(row["id"]), RESOLVED) for row in gone]
            if notes:
                connection.execute(
                    mood_alert_history.insert(),
                    [
                        {"alert": alert, "at": at, "event": event, "who": "", "note": ""}
                        for alert, event in notes
                    ],
                )
        return fresh, gone

    def decide(self, alert: str, state: str, who: str, now: datetime, note: str = "") -> dict[str, Any]:
        """Acknowledge or mute an alert, or open it again; returns it.

        Raises:
            QueryError: for another state, or for one that is resolved.
            NotFound: when there is no such alert.
        """
        if state not in (OPEN, ACKNOWLEDGED, MUTED):
            raise QueryError(
                f"an alert cannot be set to {state!r}",
                mend=f"Use {OPEN}, {ACKNOWLEDGED} or {MUTED}", parameter="state",
            )  # fmt: skip
        known = self.one(alert)
        if known["state"] == RESOLVED and state != MUTED:
            raise QueryError(
                f"alert {alert} is resolved",
                mend="It comes again by itself when it is noticed again",
                parameter="state",
            )
        at = stamp(now)
        with self.state.engine.begin() as connection:
            connection.execute(
                mood_alerts.update()
                .where(mood_alerts.c.id == alert)
                .values(state=state, who=who[:200], changed=at)
            )
            connection.execute(
                mood_alert_history.insert(),
                {"alert": alert, "at": at, "event": state, "who": who[:200], "note": note[:1000]},
            )
        return self.one(alert)


def _series(row: dict[str, Any]) -> tuple[str, str, str, str]:
    return str(row["kind"]), str(row["scope"]), str(row["key"]), str(row["aspect"])


def _parsed(row: Any) -> dict[str, Any]:
    plain = _plain(row)
    return {**plain, "numbers": json.loads(row["numbers"]), "evidence": json.loads(row["evidence"])}


def _plain(row: Any) -> dict[str, Any]:
    # SQLAlchemy names a reserved word's column by a string of its own kind.
    return {"".join(name): value for name, value in row.items()}


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _row(one: MoodAlert, at: str) -> dict[str, Any]:
    return {
        "id": one.id, "kind": one.kind, "scope": one.scope, "key": one.key, "aspect": one.aspect, "state": OPEN, "day": one.day,
        "since": one.since, "numbers": _dumped(one.numbers), "evidence": _dumped(list(one.evidence)), "first_seen": at, "changed": at, "who": "",
    }  # fmt: skip
