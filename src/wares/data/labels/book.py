"""Labelling projects and what is in them: make one, add items, read answers with who, when and from which version."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from wares.core.audit import Audit
from wares.core.clock import SYSTEM, Clock
from wares.core.errors import DataError, NotFound, QueryError
from wares.core.state import State, stamp
from wares.data.labels import tables as t
from wares.data.labels.kinds import check_options, kind_of

MAX_PAYLOAD = 1_000_000
_NAME = re.compile(r"[\w][\w.\-]{0,99}")
_LOCK = 0x6C61626C


@dataclass(frozen=True)
class Project:
    """A labelling project. `fields` are the parts of an item's payload that are judged; the rest is evidence."""

    id: int
    name: str
    kind: str
    question: str
    options: tuple[str, ...]
    level: str
    fields: tuple[str, ...]
    overlap: int
    lease_s: int
    created: str
    by: str

    def check(self, value: Any) -> str:
        """The answer, if it is one of the options.

        Raises:
            QueryError: when it is not.
        """
        text = str(value).strip() if value is not None else ""
        if text not in self.options:
            raise QueryError(
                f"{text[:80]!r} is no answer of {self.name}",
                mend=f"Use one of: {', '.join(self.options)}",
                parameter="value",
            )
        return text

    def text(self, payload: dict[str, Any]) -> str:
        """The judged parts of a payload as one text, for models."""
        return "\n".join(str(payload.get(name) or "") for name in self.fields)


@dataclass
class Landed:
    """What a file brought: how many landed, were known already, and were refused (line, message, mend)."""

    landed: int = 0
    same: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)

    def refuse(self, line: int, error: QueryError | DataError) -> None:
        """Note a line that cannot land."""
        self.refused.append({"line": line, "message": error.message, "mend": error.mend})


class LabelBook:
    """Every labelling project of a workspace. Imports, answers, decisions and exclusions go to the audit log."""

    def __init__(self, state: State, clock: Clock = SYSTEM, audit: Audit | None = None) -> None:
        self.state, self.clock, self._audit = state, clock, audit
        state.ensure(*t.TABLES)

    @classmethod
    def of(cls, workspace: Any) -> LabelBook:
        """The labelling room of a workspace, with its audit log."""
        return cls(workspace.state, workspace.clock, workspace.audit)

    def audit(self, action: str, project: str, by: str, **facts: Any) -> None:
        """Put an entry into the audit log, if there is one. Never inside a transaction: the log has its own."""
        if self._audit is not None:
            self._audit.record(by or "labels", action, f"labels/{project}", facts)

    def now(self) -> str:
        """The present moment as text."""
        return stamp(self.clock.now())

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that has the writer's lock from its first statement on, so that what it reads stays true."""
        with self.state.engine.begin() as connection:
            if self.state.is_sqlite:
                # A write that touches nothing makes SQLite take the lock before the first read.
                connection.execute(t.leases.delete().where(sa.false()))
            else:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            yield connection

    def rows(self, query: Any) -> list[dict[str, Any]]:
        """The rows of a query."""
        with self.state.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    # -- projects --------------------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        kind: str,
        *,
        options: Sequence[str] = (),
        question: str = "",
        level: str = "",
        fields: Sequence[str] = (),
        overlap: int = 1,
        lease_s: int = 900,
        by: str = "",
    ) -> Project:
        """Make a project.

        Raises:
            QueryError: a bad name, kind, option, level or overlap, or the name is taken.
        """
        known = kind_of(kind)
        if not _NAME.fullmatch(name):
            raise QueryError(
                f"{name!r} is no name for a project",
                mend="Use letters, digits, dots and hyphens",
                parameter="name",
            )
        if not 1 <= overlap <= 50 or not 1 <= lease_s <= 7 * 86_400:
            raise QueryError(
                "overlap must be 1 to 50 and a lease 1 second to 7 days", mend="", parameter="overlap"
            )
        level = level or known.level
        answers = check_options(tuple(options) or known.options, level)
        row = {
            "name": name, "kind": kind, "question": question or known.question, "level": level,
            "options": json.dumps(answers, ensure_ascii=False), "overlap": overlap, "lease_s": lease_s,
            "fields": json.dumps(list(fields) or list(known.fields), ensure_ascii=False), "created": self.now(), "by": by,
        }  # fmt: skip
        with self.writing() as connection:
            if connection.scalar(sa.select(t.projects.c.id).where(t.projects.c.name == name)) is not None:
                raise QueryError(
                    f"there is a project {name!r} already", mend="Choose another name", parameter="name"
                )
            connection.execute(t.projects.insert(), row)
        self.audit("label.create", name, by, kind=kind)
        return self.project(name)

    def project(self, name: str) -> Project:
        """The project of that name.

        Raises:
            NotFound: when there is none.
        """
        rows = self.rows(sa.select(t.projects).where(t.projects.c.name == name))
        if not rows:
            raise NotFound(
                f"there is no labelling project {name!r}", mend="See `wares label projects`", id=name
            )
        return _project(rows[0])

    def projects(self) -> list[Project]:
        """All projects, oldest first."""
        return [_project(row) for row in self.rows(sa.select(t.projects).order_by(t.projects.c.id))]

    def progress(self, project: Project) -> dict[str, int]:
        """Counts: items, done (enough answers in this round), answers of people and of machines, adjudicated, waiting again."""
        i, a, d = t.items.c, t.annotations.c, t.adjudications.c
        with self.state.engine.connect() as connection:
            total, done, again = connection.execute(
                sa.select(
                    sa.func.count(),
                    sa.func.coalesce(sa.func.sum(sa.case((i.given >= i.need, 1), else_=0)), 0),
                    sa.func.coalesce(
                        sa.func.sum(sa.case((sa.and_(i.round > 0, i.given < i.need), 1), else_=0)), 0
                    ),
                ).where(i.project == project.id)
            ).one()
            counts = {
                bool(machine): n
                for machine, n in connection.execute(
                    sa.select(a.machine, sa.func.count())
                    .where(a.project == project.id, a.live)
                    .group_by(a.machine)
                )
            }
            judged = connection.scalar(
                sa.select(sa.func.count()).select_from(t.adjudications).where(d.project == project.id, d.live)
            )
        return {
            "items": int(total), "done": int(done), "again": int(again), "answers": counts.get(False, 0),
            "machine_answers": counts.get(True, 0), "adjudicated": int(judged or 0),
        }  # fmt: skip

    # -- items -----------------------------------------------------------------------------------------------

    def add(
        self,
        project: Project,
        rows: Iterable[dict[str, Any]],
        *,
        asset: str = "",
        version: int | None = None,
        by: str = "",
    ) -> Landed:
        """Put items into the project. A row has ``key`` and ``payload``, and may have subject, priority, gold, asset, version.

        A key that the project has is left as it is. Broken rows are refused by number; the others land.
        """
        report, fresh = Landed(), {}
        for line, row in enumerate(rows, 1):
            try:
                item = _item(project, row, asset, version)
            except (QueryError, DataError) as error:
                report.refuse(line, error)
                continue
            if item["key"] in fresh:
                report.same += 1
            else:
                fresh[item["key"]] = item
        keys = list(fresh)
        with self.writing() as connection:
            known: set[str] = set()
            for start in range(0, len(keys), 500):
                known.update(
                    connection.execute(
                        sa.select(t.items.c.key).where(
                            t.items.c.project == project.id,
                            t.items.c.key.in_(keys[start : start + 500]),
                        )
                    ).scalars()
                )
            new = [item for key, item in fresh.items() if key not in known]
            if new:
                connection.execute(t.items.insert(), new)
        report.landed, report.same = len(new), report.same + len(known)
        self.audit("label.import", project.name, by, items=len(new), asset=asset, version=version)
        return report

    def items(self, project: Project) -> list[dict[str, Any]]:
        """All items of a project in the order they came, payload parsed."""
        query = sa.select(t.items).where(t.items.c.project == project.id).order_by(t.items.c.id)
        return [{**row, "payload": json.loads(row["payload"])} for row in self.rows(query)]

    def answers(self, project: Project, *, live: bool = True, excluded: bool = False) -> list[dict[str, Any]]:
        """Answers in the order they came, each with its item's ``key``.

        Without `live` also those that were replaced or taken back; excluded annotators only with `excluded`.
        """
        query = (
            sa.select(t.annotations, t.items.c.key)
            .join(t.items, t.items.c.id == t.annotations.c.item)
            .where(t.annotations.c.project == project.id)
            .order_by(t.annotations.c.id)
        )
        if live:
            query = query.where(t.annotations.c.live)
        out = set() if excluded else self.excluded(project)
        return [row for row in self.rows(query) if row["annotator"] not in out]

    def exclude(self, project: Project, annotator: str, *, reason: str = "", by: str = "") -> None:
        """Leave an annotator's answers out of agreement and results, and give their items back to the queue.

        The answers stay on record. `include` takes it back.
        """
        a = t.annotations.c
        with self.writing() as connection:
            if annotator in self._excluded(connection, project):
                return
            connection.execute(
                t.exclusions.insert(),
                {"project": project.id, "annotator": annotator, "reason": reason, "by": by, "at": self.now()},
            )
            self._count(connection, project, a.annotator == annotator, -1)
        self.audit("label.exclude", project.name, by, annotator=annotator, reason=reason)

    def include(self, project: Project, annotator: str, *, by: str = "") -> None:
        """Let an excluded annotator's answers count again."""
        e = t.exclusions
        with self.writing() as connection:
            done = connection.execute(e.delete().where(e.c.project == project.id, e.c.annotator == annotator))
            if done.rowcount:
                self._count(connection, project, t.annotations.c.annotator == annotator, 1)
        self.audit("label.include", project.name, by, annotator=annotator)

    def _count(self, connection: sa.Connection, project: Project, which: Any, step: int) -> None:
        a = t.annotations.c
        mine = sa.select(a.item).where(
            a.project == project.id, a.live, sa.not_(a.machine), which, a.round == t.items.c.round
        )
        connection.execute(
            t.items.update()
            .where(t.items.c.project == project.id, t.items.c.id.in_(mine.correlate(t.items)))
            .values(given=t.items.c.given + step)
        )

    @staticmethod
    def _excluded(connection: sa.Connection, project: Project) -> set[str]:
        e = t.exclusions.c
        return set(connection.execute(sa.select(e.annotator).where(e.project == project.id)).scalars())

    def excluded(self, project: Project) -> set[str]:
        """Annotators whose answers do not count."""
        with self.state.engine.connect() as connection:
            return self._excluded(connection, project)


def _project(row: dict[str, Any]) -> Project:
    return Project(
        **{**row, "options": tuple(json.loads(row["options"])), "fields": tuple(json.loads(row["fields"]))}
    )


def _item(project: Project, row: dict[str, Any], asset: str, version: int | None) -> dict[str, Any]:
    payload, key = row.get("payload"), str(row.get("key") or "").strip()
    if not isinstance(payload, dict) or not project.text(payload).strip():
        raise QueryError(
            f"the item has nothing in {', '.join(project.fields)}",
            mend="Give it a payload with these parts",
            parameter="payload",
        )
    if not key or len(key) > 300:
        raise QueryError(
            "the item has no key, or one longer than 300 characters",
            mend="Name the column that identifies a row",
            parameter="key",
        )
    text = json.dumps(payload, ensure_ascii=False, default=str)
    if len(text) > MAX_PAYLOAD:
        raise QueryError(
            f"the item has {len(text):,} characters",
            mend=f"Shorten it to {MAX_PAYLOAD:,}",
            parameter="payload",
        )
    subject = row.get("subject", payload.get("user_id"))
    found = row.get("version", version)
    return {
        "project": project.id, "key": key, "payload": text.replace("\\u0000", "\ufffd"),
        "subject": None if subject in (None, "") else str(subject), "asset": str(row.get("asset") or asset),
        "version": None if found is None else int(found), "priority": float(row.get("priority") or 0.0),
        "reason": str(row.get("reason") or ""), "gold": None if row.get("gold") in (None, "") else project.check(row["gold"]),
        "need": project.overlap, "given": 0, "round": 0,
    }  # fmt: skip
