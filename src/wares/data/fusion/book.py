"""What people decided about pairs, what waits for a decision, and what became of clusters: tables in the state database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from wares.core.audit import Audit
from wares.core.clock import SYSTEM, Clock
from wares.core.errors import NotFound, QueryError
from wares.core.state import State, stamp

metadata = sa.MetaData()

decisions = sa.Table(
    "fusion_decisions", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("left_id", sa.Text, nullable=False, index=True),
    sa.Column("right_id", sa.Text, nullable=False, index=True),
    sa.Column("verdict", sa.String(10), nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=True),
    sa.Column("withdrawn", sa.String(40), nullable=True),
)  # fmt: skip

queue = sa.Table(
    "fusion_queue", metadata,
    sa.Column("left_id", sa.Text, primary_key=True),
    sa.Column("right_id", sa.Text, primary_key=True),
    sa.Column("place", sa.Integer, nullable=False, index=True),
    sa.Column("probability", sa.Float, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=True),
)  # fmt: skip

events = sa.Table(
    "fusion_events", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False, index=True),
    sa.Column("cluster", sa.String(60), nullable=False, index=True),
    sa.Column("detail", sa.Text, nullable=False),
)  # fmt: skip

SAME, DIFFERENT, SKIP = "same", "different", "skip"
VERDICTS = (SAME, DIFFERENT, SKIP)


def ordered(left: str, right: str) -> tuple[str, str]:
    """A pair of ids in the order in which it is kept."""
    return (left, right) if left <= right else (right, left)


class FusionBook:
    """Decisions, queue and history of fusion."""

    def __init__(self, state: State, clock: Clock = SYSTEM, audit: Audit | None = None) -> None:
        state.ensure(decisions, queue, events)
        self.state, self.clock, self.audit = state, clock, audit

    # -- decisions -------------------------------------------------------------------------------------------

    def decide(
        self, left: str, right: str, verdict: str, who: str, why: str = "review", version: int | None = None
    ) -> int:
        """Keep a verdict on a pair; it replaces an earlier one. Returns its number.

        Raises:
            QueryError: when the verdict is unknown, or a product is compared with itself.
        """
        return self.decide_many([(left, right)], verdict, who, why, version)[0]

    def decide_many(
        self, pairs: Iterable[tuple[str, str]], verdict: str, who: str, why: str, version: int | None = None
    ) -> list[int]:
        """Keep one verdict on several pairs, all or none."""
        if verdict not in VERDICTS:
            raise QueryError(
                f"{verdict!r} is no verdict", mend=f"Use one of {', '.join(VERDICTS)}", parameter="verdict"
            )
        if not who.strip():
            raise QueryError("a decision needs a name", mend="Say who decides with --who", parameter="who")
        pairs, at, made = [ordered(*pair) for pair in pairs], stamp(self.clock.now()), []
        with self.state.engine.begin() as connection:
            for left, right in pairs:
                if left == right:
                    raise QueryError(
                        f"{left!r} is compared with itself", mend="Name two products", parameter="right"
                    )
                same_pair = (decisions.c.left_id == left) & (decisions.c.right_id == right)
                connection.execute(
                    decisions.update().where(same_pair & decisions.c.withdrawn.is_(None)).values(withdrawn=at)
                )
                row = {
                    "left_id": left, "right_id": right, "verdict": verdict, "who": who, "at": at, "why": why, "version": version,
                }  # fmt: skip
                key = connection.execute(decisions.insert(), row).inserted_primary_key
                made.append(int(key[0]) if key is not None else 0)
        self._log(who, f"fusion.{verdict}", [f"{left} / {right}" for left, right in pairs], {"why": why})
        return made

    def withdraw(self, number: int, who: str) -> dict[str, Any]:
        """Take a decision back.

        Raises:
            NotFound: when there is no such decision in force.
        """
        with self.state.engine.begin() as connection:
            row = connection.execute(sa.select(decisions).where(decisions.c.id == number)).mappings().first()
            if row is None or row["withdrawn"]:
                raise NotFound(
                    f"there is no decision {number} in force",
                    mend="See `wares fusion history`",
                    id=str(number),
                )
            connection.execute(
                decisions.update().where(decisions.c.id == number).values(withdrawn=stamp(self.clock.now()))
            )
        self._log(who, "fusion.withdraw", [f"{row['left_id']} / {row['right_id']}"], {"decision": number})
        return dict(row)

    def decided(self) -> list[dict[str, Any]]:
        """Decisions in force, oldest first."""
        query = sa.select(decisions).where(decisions.c.withdrawn.is_(None)).order_by(decisions.c.id)
        with self.state.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    # -- queue -----------------------------------------------------------------------------------------------

    def fill(self, rows: Sequence[dict[str, Any]]) -> None:
        """Make `rows` the queue, in their order; pairs that have a verdict are left out."""
        done = {(row["left_id"], row["right_id"]) for row in self.decided()}
        fresh: dict[tuple[str, str], dict[str, Any]] = {}
        for row in rows:
            pair = ordered(row["left_id"], row["right_id"])
            if pair not in done and pair not in fresh:
                fresh[pair] = {
                    **row, "left_id": pair[0], "right_id": pair[1], "place": len(fresh),
                    "evidence": json.dumps(row["evidence"], ensure_ascii=False),
                }  # fmt: skip
        with self.state.engine.begin() as connection:
            connection.execute(queue.delete())
            if fresh:
                connection.execute(queue.insert(), list(fresh.values()))

    def waiting(self, limit: int = 20, offset: int = 0) -> list[dict[str, Any]]:
        """Pairs that wait for a verdict, most doubtful first; pairs decided since are left out."""
        query = self._open().order_by(queue.c.place).limit(limit).offset(offset)
        with self.state.engine.connect() as connection:
            rows = connection.execute(query).mappings()
            return [{**row, "evidence": json.loads(row["evidence"])} for row in rows]

    def left(self) -> int:
        """How many wait."""
        with self.state.engine.connect() as connection:
            return int(
                connection.execute(
                    sa.select(sa.func.count()).select_from(self._open().subquery())
                ).scalar_one()
            )

    @staticmethod
    def _open() -> sa.Select[Any]:
        told = sa.exists().where(
            decisions.c.left_id == queue.c.left_id,
            decisions.c.right_id == queue.c.right_id,
            decisions.c.withdrawn.is_(None),
        )
        return sa.select(queue).where(~told)

    # -- history ---------------------------------------------------------------------------------------------

    def note(self, rows: Sequence[tuple[str, str, dict[str, Any]]], who: str) -> None:
        """Keep what became of clusters: (kind, cluster, detail)."""
        if not rows:
            return
        at = stamp(self.clock.now())
        values = [
            {
                "at": at,
                "who": who,
                "kind": kind,
                "cluster": cluster,
                "detail": json.dumps(detail, ensure_ascii=False),
            }
            for kind, cluster, detail in rows
        ]
        with self.state.engine.begin() as connection:
            connection.execute(events.insert(), values)
        kinds = sorted({kind for kind, _, _ in rows})
        self._log(who, "fusion.clusters", [cluster for _, cluster, _ in rows], {"kinds": kinds})

    def history(self, cluster: str = "", limit: int = 50) -> list[dict[str, Any]]:
        """What became of clusters, newest first."""
        query = sa.select(events).order_by(events.c.id.desc()).limit(limit)
        if cluster:
            query = query.where(events.c.cluster == cluster)
        with self.state.engine.connect() as connection:
            return [
                {**row, "detail": json.loads(row["detail"])} for row in connection.execute(query).mappings()
            ]

    def _log(self, who: str, action: str, what: Sequence[str], detail: dict[str, Any]) -> None:
        if self.audit is not None:
            shown = ", ".join(what[:5]) + (f" and {len(what) - 5} more" if len(what) > 5 else "")
            self.audit.record(who, action, shown, {**detail, "count": len(what)})
