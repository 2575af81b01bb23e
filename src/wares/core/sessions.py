"""Whose a visit is: the table that links sessions to the shoppers who logged in with them.

A link is written once and by sequence number, like an event, so that every worker sees the same and a restart loses
nothing. What an anonymous visitor did before the first log-in of a session belongs to whoever logged in; what is done
anonymously later belongs to whoever logged in last. A session that many people log in with, as a till's or one that a
shop writes for all, is nobody's: see `MOST_USERS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from wares.core.state import WRITE_LOCK, State, online_events, stamp

MOST_USERS = 5
"""A session with more people than this says nothing about one of them."""
KEPT_DAYS = 90

metadata = sa.MetaData()

session_users = sa.Table(
    "session_users",
    metadata,
    sa.Column(
        "seq", sa.Integer().with_variant(sa.BigInteger, "postgresql"), primary_key=True, autoincrement=True
    ),
    sa.Column("session_id", sa.Text, nullable=False, index=True),
    sa.Column("user_id", sa.Text, nullable=False, index=True),
    sa.Column("after", sa.BigInteger, nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class Link:
    """From the event `after` on, `session_id` belongs to `user_id`."""

    seq: int
    session_id: str
    user_id: str
    after: int


class Links:
    """All links, in order. Not thread-safe: `Online` exchanges it under its lock."""

    def __init__(self) -> None:
        self.by_session: dict[str, list[Link]] = {}
        self.by_user: dict[str, dict[str, int]] = {}
        self.last = 0

    def add(self, links: Iterable[Link]) -> None:
        """Take in further links, oldest first."""
        for link in links:
            # New lists, not appends: a request may be reading the old ones.
            self.by_session[link.session_id] = [*self.by_session.get(link.session_id, []), link]
            sessions = self.by_user.get(link.user_id, {})
            self.by_user[link.user_id] = {**sessions, link.session_id: link.seq}
            self.last = link.seq

    def shared(self, session_id: str) -> bool:
        """Whether so many people logged in with a session that it is nobody's."""
        return len({link.user_id for link in self.by_session.get(session_id, [])}) > MOST_USERS

    def owner(self, session_id: str, seq: int) -> str:
        """Whose an anonymous event is: of the last log-in before it, or of the first one at all; empty for nobody's."""
        links = self.by_session.get(session_id, [])
        if not links or self.shared(session_id):
            return ""
        before = [link for link in links if link.after < seq]
        return (before[-1] if before else links[0]).user_id

    def now(self, session_id: str) -> str:
        """Who logged in last with a session; empty for nobody."""
        links = self.by_session.get(session_id, [])
        return "" if not links or self.shared(session_id) else links[-1].user_id

    def without(self, users: set[str]) -> Links:
        """The links of all but some people."""
        out = Links()
        out.add(
            sorted(
                (k for links in self.by_session.values() for k in links if k.user_id not in users),
                key=lambda k: k.seq,
            )
        )
        out.last = self.last
        return out


def link(state: State, pairs: Sequence[tuple[str, str]]) -> int:
    """Write down that people logged in: (session, user) each; on disk when the call returns.

    A person who is the last of a session already, and a session that is nobody's, makes no new row.
    Returns how many rows were written.
    """
    if not pairs:
        return 0
    state.ensure(session_users)
    written = 0
    with state.engine.begin() as connection:
        if not state.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITE_LOCK)))
        after = int(connection.execute(sa.select(sa.func.max(online_events.c.seq))).scalar() or 0)
        for session, user in dict.fromkeys(pairs):
            query = (
                sa.select(session_users.c.user_id)
                .where(session_users.c.session_id == session)
                .order_by(session_users.c.seq)
            )
            known = list(connection.execute(query).scalars())
            if (known and known[-1] == user) or len(set(known)) > MOST_USERS:
                continue
            connection.execute(
                session_users.insert(),
                {"session_id": session, "user_id": user, "after": after, "at": stamp()},
            )
            written += 1
    return written


def links_after(state: State, seq: int) -> list[Link]:
    """Links with a higher sequence number, in order."""
    query = sa.select(session_users).where(session_users.c.seq > seq).order_by(session_users.c.seq)
    with state.engine.connect() as connection:
        return [
            Link(int(r["seq"]), r["session_id"], r["user_id"], int(r["after"]))
            for r in connection.execute(query).mappings()
        ]


def sessions_of(state: State, users: Iterable[str]) -> set[str]:
    """Sessions that only these people logged in with."""
    state.ensure(session_users)
    wanted, links = set(users), Links()
    links.add(links_after(state, 0))
    return {
        session
        for session, known in links.by_session.items()
        if known and all(link.user_id in wanted for link in known)
    }


def anonymous_events(state: State, sessions: Iterable[str], until: int) -> list[dict[str, Any]]:
    """Events up to a sequence number that came without a shopper in some sessions, in order."""
    wanted, rows = sorted(set(sessions)), list[dict[str, Any]]()
    with state.engine.connect() as connection:
        for start in range(0, len(wanted), 400):
            query = sa.select(online_events).where(
                online_events.c.user_id == "",
                online_events.c.session_id.in_(wanted[start : start + 400]),
                online_events.c.seq <= until,
            )
            rows += [dict(row) for row in connection.execute(query).mappings()]
    return sorted(rows, key=lambda row: int(row["seq"]))


def forget_old(state: State, now: datetime | None = None) -> int:
    """Drop links that are `KEPT_DAYS` old, whose events the tables have long since; returns how many."""
    before = ((now or datetime.now(UTC)) - timedelta(days=KEPT_DAYS)).astimezone(UTC).isoformat()
    with state.engine.begin() as connection:
        done = connection.execute(session_users.delete().where(session_users.c.at < before))
        return int(done.rowcount)
