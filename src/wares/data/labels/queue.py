"""The queue: who gets which item next, answers, skips and undo. Several people at once never collide."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from wares.core.errors import NotFound, QueryError
from wares.core.state import stamp
from wares.data.labels import tables as t
from wares.data.labels.book import LabelBook, Landed, Project


class Queue:
    """The queue of one project.

    An item is handed out while it has fewer answers and running leases than it needs, to an annotator who has neither
    answered nor skipped it in this round. Highest priority first, then oldest. A lease that runs out gives the item
    back; an answer that comes later than its lease still counts.
    """

    def __init__(self, book: LabelBook, project: Project) -> None:
        self.book, self.project = book, project

    def next(self, annotator: str, n: int = 1) -> list[dict[str, Any]]:
        """Lease the next `n` items to `annotator`; those they hold already come first and are held on.

        Raises:
            QueryError: for an empty name, a machine's name, or one who is excluded.
        """
        self._person(annotator)
        now = self.book.clock.now().timestamp()
        i, lease = t.items, t.leases
        with self.book.writing() as connection:
            if annotator in self.book._excluded(connection, self.project):
                raise QueryError(
                    f"{annotator} is excluded from {self.project.name}",
                    mend="`wares label include` lets them in again",
                    parameter="annotator",
                )
            connection.execute(lease.delete().where(lease.c.project == self.project.id, lease.c.until <= now))
            a, s = t.annotations.c, t.skips.c
            others = (
                sa.select(sa.func.count())
                .select_from(lease)
                .where(lease.c.item == i.c.id, lease.c.annotator != annotator)
                .scalar_subquery()
            )
            held = sa.exists().where(lease.c.item == i.c.id, lease.c.annotator == annotator)
            answered = sa.exists().where(
                a.item == i.c.id, a.annotator == annotator, a.live, a.round == i.c.round
            )
            skipped = sa.exists().where(s.item == i.c.id, s.annotator == annotator, s.round == i.c.round)
            query = (
                sa.select(i, held.label("held"))
                .where(i.c.project == self.project.id, i.c.given + others < i.c.need, ~answered, ~skipped)
                .order_by(sa.desc("held"), i.c.priority.desc(), i.c.id)
                .limit(n)
            )
            rows = [dict(row) for row in connection.execute(query).mappings()]
            ids = [row["id"] for row in rows]
            connection.execute(lease.delete().where(lease.c.annotator == annotator, lease.c.item.in_(ids)))
            if ids:
                until = now + self.project.lease_s
                connection.execute(
                    lease.insert(),
                    [
                        {"item": item, "annotator": annotator, "project": self.project.id, "until": until}
                        for item in ids
                    ],
                )
        return [
            {
                **{k: v for k, v in row.items() if k not in ("held", "gold")},
                "payload": json.loads(row["payload"]),
            }
            for row in rows
        ]

    def put(
        self,
        annotator: str,
        key: str,
        value: Any,
        *,
        seconds: float | None = None,
        comment: str = "",
        source: str = "api",
    ) -> bool:
        """Record an answer; False when the annotator had given the same one. An earlier answer of theirs is replaced, not lost.

        Raises:
            QueryError: for an answer outside the options, or an unknown item (NotFound).
        """
        report = self.put_many(
            [{"key": key, "value": value, "annotator": annotator, "seconds": seconds, "comment": comment}],
            source=source,
            strict=True,
        )
        return bool(report.landed)

    def put_many(
        self,
        rows: Iterable[dict[str, Any]],
        *,
        annotator: str = "",
        source: str = "file",
        machine: bool = False,
        strict: bool = False,
    ) -> Landed:
        """Record many answers: rows with ``key`` and ``value`` (or ``skip``), perhaps annotator, seconds, comment, at, confidence.

        Broken rows are refused by number and the others land; with `strict` the first broken one raises.
        """
        report, good = Landed(), []
        for line, row in enumerate(rows, 1):
            try:
                good.append((line, self._answer(row, annotator, source, machine)))
            except QueryError as error:
                if strict:
                    raise
                report.refuse(int(row.get("_line", line)) if isinstance(row, dict) else line, error)
        with self.book.writing() as connection:
            items = self._items(connection, [answer["key"] for _, answer in good])
            out = self.book._excluded(connection, self.project)
            for line, answer in good:
                item = items.get(answer["key"])
                if item is None:
                    error = NotFound(
                        f"{self.project.name} has no item {answer['key'][:80]!r}",
                        mend="Take keys from `wares label next` or `wares label export`",
                        id=answer["key"],
                    )
                    if strict:
                        raise error
                    report.refuse(answer["_line"] or line, error)
                elif answer["value"] is None:
                    self._skip(connection, item, answer["annotator"])
                    report.landed += 1
                elif self._record(connection, item, answer, answer["annotator"] in out):
                    report.landed += 1
                else:
                    report.same += 1
        if report.landed:
            by = annotator or good[0][1]["annotator"]
            self.book.audit("label.put", self.project.name, by, answers=report.landed, source=source)
        return report

    def _person(self, annotator: str) -> str:
        name = annotator.strip()
        if not name or len(name) > 100 or name.startswith("machine:"):
            raise QueryError(
                f"{annotator[:80]!r} cannot be an annotator's name",
                mend="Use 1 to 100 characters that do not begin with machine:",
                parameter="annotator",
            )
        return name

    def _answer(self, row: Any, annotator: str, source: str, machine: bool) -> dict[str, Any]:
        if not isinstance(row, dict) or "key" not in row or not ("value" in row or row.get("skip")):
            raise QueryError(
                "an answer needs key and value",
                mend='Write {"key": …, "value": …} or {"key": …, "skip": true}',
                parameter="value",
            )
        who = str(row.get("annotator") or annotator)
        try:
            seconds = None if row.get("seconds") is None else max(0.0, float(row["seconds"]))
            confidence = None if row.get("confidence") is None else float(row["confidence"])
        except (TypeError, ValueError):
            raise QueryError(
                "seconds and confidence are numbers", mend="Leave them out, or mend them", parameter="seconds"
            ) from None
        return {
            "key": str(row["key"]), "value": None if row.get("skip") else self.project.check(row["value"]),
            "annotator": who if machine else self._person(who), "machine": machine, "seconds": seconds,
            "confidence": confidence, "comment": str(row.get("comment") or "")[:10_000], "at": _moment(row.get("at")),
            "source": str(row.get("source") or source)[:200], "_line": row.get("_line"),
        }  # fmt: skip

    def _items(self, connection: sa.Connection, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        i, found = t.items.c, {}
        for start in range(0, len(keys), 500):
            query = sa.select(i.id, i.key, i.version, i.round).where(
                i.project == self.project.id, i.key.in_(list(keys[start : start + 500]))
            )
            for row in connection.execute(query).mappings():
                found[row["key"]] = dict(row)
        return found

    def _record(
        self, connection: sa.Connection, item: dict[str, Any], answer: dict[str, Any], excluded: bool
    ) -> bool:
        a, now = t.annotations, self.book.now()
        before = (
            connection.execute(
                sa.select(a).where(a.c.item == item["id"], a.c.annotator == answer["annotator"], a.c.live)
            )
            .mappings()
            .first()
        )
        if before is not None and before["round"] == item["round"] and before["value"] == answer["value"]:
            return False
        if before is not None:
            connection.execute(a.update().where(a.c.id == before["id"]).values(live=False, ended=now))
        connection.execute(
            a.insert(),
            {
                **{k: v for k, v in answer.items() if k not in ("key", "_line")},
                "at": answer["at"] or now, "project": self.project.id, "item": item["id"], "round": item["round"],
                "asset_version": item["version"], "replaces": before["id"] if before else None, "live": True, "ended": None,
            },
        )  # fmt: skip
        first = before is None or before["round"] != item["round"]
        if first and not answer["machine"] and not excluded:
            self._given(connection, item["id"], 1)
        self._free(connection, item["id"], answer["annotator"])
        return True

    @staticmethod
    def _given(connection: sa.Connection, item: int, step: int) -> None:
        connection.execute(t.items.update().where(t.items.c.id == item).values(given=t.items.c.given + step))

    @staticmethod
    def _free(connection: sa.Connection, item: int, annotator: str) -> None:
        lease = t.leases
        connection.execute(lease.delete().where(lease.c.item == item, lease.c.annotator == annotator))

    def _skip(self, connection: sa.Connection, item: dict[str, Any], annotator: str) -> None:
        s = t.skips
        row = {"item": item["id"], "annotator": annotator, "round": item["round"]}
        connection.execute(s.delete().where(*(s.c[name] == value for name, value in row.items())))
        connection.execute(s.insert(), {**row, "project": self.project.id, "at": self.book.now()})
        self._free(connection, item["id"], annotator)

    def skip(self, annotator: str, key: str) -> None:
        """Leave an item to others; it does not come back to this annotator in this round."""
        self.put_many([{"key": key, "skip": True, "annotator": self._person(annotator)}], strict=True)

    def undo(self, annotator: str) -> dict[str, Any] | None:
        """Take back the annotator's newest answer or skip; returns the item, leased to them again, or None.

        The answer stays on record, no longer live; an answer that it had replaced is live again.
        """
        a, s, now = t.annotations, t.skips, self.book.now()
        with self.book.writing() as connection:
            last = (
                connection.execute(
                    sa.select(a)
                    .where(
                        a.c.project == self.project.id,
                        a.c.annotator == annotator,
                        a.c.live,
                        sa.not_(a.c.machine),
                    )
                    .order_by(a.c.id.desc())
                    .limit(1)
                )
                .mappings()
                .first()
            )
            skipped = (
                connection.execute(
                    sa.select(s)
                    .where(s.c.project == self.project.id, s.c.annotator == annotator)
                    .order_by(s.c.at.desc(), s.c.item.desc())
                    .limit(1)
                )
                .mappings()
                .first()
            )
            if last is None and skipped is None:
                return None
            if last is None or (skipped is not None and skipped["at"] > last["at"]):
                assert skipped is not None
                item = skipped["item"]
                connection.execute(
                    s.delete().where(
                        s.c.item == item, s.c.annotator == annotator, s.c.round == skipped["round"]
                    )
                )
            else:
                item = last["item"]
                connection.execute(a.update().where(a.c.id == last["id"]).values(live=False, ended=now))
                older = None
                if last["replaces"] is not None:
                    connection.execute(
                        a.update().where(a.c.id == last["replaces"]).values(live=True, ended=None)
                    )
                    older = connection.scalar(sa.select(a.c.round).where(a.c.id == last["replaces"]))
                if older != last["round"] and annotator not in self.book._excluded(connection, self.project):
                    current = connection.scalar(sa.select(t.items.c.round).where(t.items.c.id == item))
                    if current == last["round"]:
                        self._given(connection, item, -1)
            self._free(connection, item, annotator)
            connection.execute(
                t.leases.insert(),
                {
                    "item": item, "annotator": annotator, "project": self.project.id,
                    "until": self.book.clock.now().timestamp() + self.project.lease_s,
                },
            )  # fmt: skip
            row = dict(connection.execute(sa.select(t.items).where(t.items.c.id == item)).mappings().one())
        self.book.audit("label.undo", self.project.name, annotator, item=row["id"])
        return {**row, "payload": json.loads(row["payload"])}

    def again(self, keys: Sequence[str], *, reason: str | dict[str, str], need: int = 1, by: str = "") -> int:
        """Send items back into the queue, in front, for `need` fresh answers each; returns how many.

        Old answers stay live until the same annotator replaces them. `reason` may be one for each key.
        """
        count = self._front(keys, reason, {"round": t.items.c.round + 1, "given": 0, "need": need})
        self.book.audit("label.again", self.project.name, by, items=count)
        return count

    def prioritise(self, keys: Sequence[str], *, reason: str | dict[str, str]) -> int:
        """Put items in front of all others, in this order; returns how many there are."""
        return self._front(keys, reason, {})

    def _front(self, keys: Sequence[str], reason: str | dict[str, str], more: dict[str, Any]) -> int:
        i = t.items
        with self.book.writing() as connection:
            found = self._items(connection, list(keys))
            highest = sa.func.coalesce(sa.func.max(i.c.priority), 0.0)
            top = connection.scalar(sa.select(highest).where(i.c.project == self.project.id))
            for place, key in enumerate(keys):
                if key in found:
                    why = reason if isinstance(reason, str) else reason.get(key, "")
                    ahead = float(top or 0.0) + 1.0 + (len(keys) - place) / (len(keys) + 1)
                    connection.execute(
                        i.update()
                        .where(i.c.id == found[key]["id"])
                        .values(reason=why, priority=ahead, **more)
                    )
        return len(found)


def _moment(value: Any) -> str:
    from datetime import UTC, datetime

    if value in (None, ""):
        return ""
    try:
        found = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        raise QueryError(
            f"{str(value)[:40]!r} is no moment",
            mend="Write ISO 8601, as 2026-11-22T08:30:00Z",
            parameter="at",
        ) from None
    return stamp(found if found.tzinfo else found.replace(tzinfo=UTC))
