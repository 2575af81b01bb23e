"""The audit log: an append-only, hash-chained record of who read, shared and changed what.

Every entry carries a keyed digest (HMAC-SHA256, RFC 2104) over its own fields and the digest of the entry before,
with sequence numbers that leave no gap. So a changed, inserted, dropped or reordered entry is found, and whoever
writes to the database without the key file can forge none. A chain alone cannot show that its newest entries were
cut off, or that an old copy of the whole database was put back; so the head (count and digest) is also written to
an anchor file, after the commit and before `record` returns. Put the anchor on another disk, or note the head that
`wares audit verify` prints, and the database, key and folder together cannot hide a cut.

Personal data never enters in clear: a person is `Audit.subject(user)`, a keyed hash, so that erasing the person
elsewhere leaves the chain whole.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from wares.core.clock import SYSTEM, Clock
from wares.core.errors import ConfigError, DataError
from wares.core.files import canonical, locked, sync_folder, write_atomic
from wares.core.state import State, stamp

metadata = sa.MetaData()
audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("role", sa.String(100), nullable=False),
    sa.Column("action", sa.String(60), nullable=False, index=True),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)

START = "0" * 64
KEY_FILE, ANCHOR_FILE, LOCK_FILE = "audit.key", "audit.head", "audit.lock"
BROKEN = "audit.broken"
_PG_LOCK = 0x61756469
_FIELDS = ("seq", "at", "who", "role", "action", "what", "detail", "previous")
_MAX_FAULTS = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was done. `detail` holds plain JSON values and no personal data."""

    who: str
    action: str
    what: str
    detail: dict[str, Any] = field(default_factory=dict[str, Any])
    role: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """How long the chain is and the digest of its last entry."""

    count: int
    hash: str

    def __str__(self) -> str:
        return f"{self.count}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Read ``count:hash``.

        Raises:
            ConfigError: when it is something else.
        """
        count, _, value = text.strip().partition(":")
        if not count.isdigit() or len(value) != 64:
            raise ConfigError(
                f"{text!r} is no head of an audit log",
                mend="Give it as `wares audit verify` printed it: COUNT:HASH",
                key="head",
                source="audit",
            )
        return cls(int(count), value)


@dataclass
class AuditReport:
    """What a verification found; `faults` holds (sequence number, fault), at most 100 of `n_faults`."""

    entries: int = 0
    head: str = ""
    anchored: int = 0
    faults: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    n_faults: int = 0

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return self.n_faults == 0

    def add(self, seq: int, fault: str) -> None:
        """Note a fault."""
        self.n_faults += 1
        if len(self.faults) < _MAX_FAULTS:
            self.faults.append((seq, fault))

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "whole": self.whole,
            "entries": self.entries,
            "head": self.head,
            "anchored": self.anchored,
            "n_faults": self.n_faults,
            "faults": [{"seq": seq, "fault": fault} for seq, fault in self.faults],
        }


class Audit:
    """The log of a workspace. Safe with several threads and processes; an entry is on disk when `record` returns."""

    def __init__(
        self,
        state: State,
        folder: Path | None = None,
        *,
        key: str = "",
        anchor: str = "",
        clock: Clock = SYSTEM,
    ) -> None:
        """The log in `state`; its lock, and unless named otherwise its key and anchor, lie in `folder`.

        Raises:
            ConfigError: when the database is no local file and no folder is given.
        """
        if folder is None:
            database = state.engine.url.database
            if not state.is_sqlite or not database:
                raise ConfigError(
                    "the audit log needs a folder for its key and anchor",
                    mend="Use `shop.audit`, or pass the workspace's state folder",
                    key="audit",
                    source="state",
                )
            folder = Path(database).parent
        self.state, self.folder, self.clock = state, folder, clock
        self.key_path = _under(folder, key, KEY_FILE)
        self.anchor_path = _under(folder, anchor, ANCHOR_FILE)
        self._secret = b""
        state.ensure(audit_log)

    # -- writing ---------------------------------------------------------------------------------------------

    def record(
        self, who: str, action: str, what: str, detail: dict[str, Any] | None = None, *, role: str = ""
    ) -> int:
        """Append one entry and return its number.

        Args:
            who: the account, key or program that acted; staff, never a shopper.
            action: a word or two with dots, as ``read``, ``share.create``, ``erase``.
            what: the asset or thing acted on.
            detail: JSON-like facts. Persons only as `subject(…)`; no cell values.
            role: the role in whose name it was done.

        Raises:
            DataError: when the detail is no JSON.
        """
        return self.record_many([Entry(who, action, what, detail or {}, role)])[0]

    def record_many(self, entries: Sequence[Entry]) -> list[int]:
        """Append entries in one commit, all or none; returns their numbers."""
        if not entries:
            return []
        texts = [_detail(entry) for entry in entries]
        with self._exclusive() as connection:
            head = self._head(connection)
            self._ready(head)
            breach = self._breach(connection, head)
            if breach:
                entries = [Entry("wares", BROKEN, "audit", {"found": breach}), *entries]
                texts = [_detail(entries[0]), *texts]
            rows: list[dict[str, Any]] = []
            at = stamp(self.clock.now())
            for entry, detail in zip(entries, texts, strict=True):
                row = {
                    "seq": head.count + 1, "at": at, "who": entry.who, "role": entry.role, "action": entry.action,
                    "what": entry.what, "detail": detail, "previous": head.hash,
                }  # fmt: skip
                row["hash"] = self._digest(row)
                rows.append(row)
                head = Head(head.count + 1, str(row["hash"]))
            connection.execute(audit_log.insert(), rows)
            connection.commit()
            # Still under the lock: the anchor only ever moves forward, and before the entry is acknowledged.
            self._anchor(head, breach)
        numbers = [int(row["seq"]) for row in rows]
        return numbers[1:] if breach else numbers

    def subject(self, person: str) -> str:
        """A person as the log may name them: a keyed hash of 32 hex digits."""
        if not self._secret:
            with self._exclusive() as connection:
                self._ready(self._head(connection))
        return hmac.new(
            self._secret, b"subject\x00" + person.encode("utf-8", "surrogatepass"), "sha256"
        ).hexdigest()[:32]

    @contextmanager
    def _exclusive(self) -> Generator[sa.Connection]:
        """One write transaction at a time, on this machine and, with PostgreSQL, on all of them."""
        with (
            locked(self.folder / LOCK_FILE, "a write to the audit log"),
            self.state.engine.connect() as connection,
        ):
            if self.state.is_sqlite:
                # Not deferred: the head is read and continued under the same write lock.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_PG_LOCK)))
            yield connection

    @staticmethod
    def _head(connection: sa.Connection) -> Head:
        last = connection.execute(
            sa.select(audit_log.c.seq, audit_log.c.hash).order_by(audit_log.c.seq.desc()).limit(1)
        ).first()
        return Head(0, START) if last is None else Head(int(last.seq), str(last.hash))

    def _ready(self, head: Head) -> None:
        """Load the key; make one only for a log that is empty."""
        if self._secret:
            return
        if not self.key_path.is_file():
            if head.count or self.anchor_path.is_file():
                raise ConfigError(
                    f"the key of the audit log is gone: {self.key_path}",
                    mend="Put it back from your backup; without it the log can be neither continued nor verified",
                    key="audit.key_file",
                    source=str(self.key_path),
                )
            self.key_path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.key_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as stream:
                stream.write(secrets.token_hex(32))
                stream.flush()
                os.fsync(stream.fileno())
            sync_folder(self.key_path.parent)
        self._secret = self._read_key()

    def _read_key(self) -> bytes:
        secret = self.key_path.read_bytes().strip() if self.key_path.is_file() else b""
        if len(secret) < 32:
            raise ConfigError(
                f"{self.key_path} holds no key",
                mend="Put it back from your backup",
                key="audit.key_file",
                source=str(self.key_path),
            )
        return secret

    def _digest(self, row: Any) -> str:
        return hmac.new(self._secret, canonical([row[name] for name in _FIELDS]), hashlib.sha256).hexdigest()

    # -- the second place ------------------------------------------------------------------------------------

    def _read_anchor(self) -> tuple[Head, list[str]] | None:
        """The anchored head and the breaches seen so far; None when the file is missing.

        Raises:
            ValueError: when the file is not what we wrote.
        """
        if not self.anchor_path.is_file():
            return None
        content = json.loads(self.anchor_path.read_text("utf-8"))
        mac = content.pop("mac")
        if not hmac.compare_digest(str(mac), self._mac(content)):
            raise ValueError("wrong digest")
        return Head(int(content["count"]), str(content["hash"])), [str(b) for b in content["breaches"]]

    def _mac(self, content: Any) -> str:
        return hmac.new(self._secret, b"anchor\x00" + canonical(content), hashlib.sha256).hexdigest()

    def _breach(self, connection: sa.Connection, head: Head) -> str:
        """What is wrong between chain and anchor before a write; empty when nothing is."""
        try:
            found = self._read_anchor()
        except (ValueError, KeyError, TypeError, AttributeError):
            return "the anchor file is not what this log wrote"
        if found is None:
            return f"the anchor file was missing when the log held {head.count} entries" if head.count else ""
        anchor = found[0]
        if anchor.count == head.count:
            same = anchor.hash == head.hash
        else:
            row = connection.execute(
                sa.select(audit_log.c.hash).where(audit_log.c.seq == anchor.count)
            ).scalar()
            same = row == anchor.hash if anchor.count else True
        return (
            ""
            if same
            else f"the log held {head.count} entries and did not have the anchored one, number {anchor.count}"
        )

    def _anchor(self, head: Head, breach: str) -> None:
        try:
            found = self._read_anchor()
        except (ValueError, KeyError, TypeError, AttributeError):
            found = None
        breaches = ([] if found is None else found[1]) + (
            [f"before entry {head.count}: {breach}"] if breach else []
        )
        content: dict[str, Any] = {"count": head.count, "hash": head.hash, "breaches": breaches[-20:]}
        write_atomic(self.anchor_path, json.dumps({**content, "mac": self._mac(content)}))

    # -- reading ---------------------------------------------------------------------------------------------

    def entries(
        self,
        *,
        who: str = "",
        action: str = "",
        what: str = "",
        role: str = "",
        since: str = "",
        after: int = 0,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """The newest entries first, with `detail` parsed.

        Args:
            who, what, role: exact; empty for all.
            action: exact, or the beginning when it ends with a dot, as ``share.``.
            since: ISO time; entries from then on.
            after: entries with a higher number.
            limit: at most so many.
        """
        query = sa.select(audit_log).order_by(audit_log.c.seq.desc()).limit(limit)
        for column, value in (("who", who), ("what", what), ("role", role)):
            if value:
                query = query.where(audit_log.c[column] == value)
        if action.endswith("."):
            query = query.where(audit_log.c.action.startswith(action, autoescape=True))
        elif action:
            query = query.where(audit_log.c.action == action)
        if since:
            query = query.where(audit_log.c.at >= since)
        if after:
            query = query.where(audit_log.c.seq > after)
        with self.state.engine.connect() as connection:
            return [_parsed(dict(row)) for row in connection.execute(query).mappings()]

    def actions(self) -> list[str]:
        """The actions that occur, by name."""
        query = sa.select(audit_log.c.action).distinct().order_by(audit_log.c.action)
        with self.state.engine.connect() as connection:
            return [str(action) for action in connection.execute(query).scalars()]

    def stream(self) -> Iterator[dict[str, Any]]:
        """All entries, oldest first, as they are stored."""
        after: int | None = None
        while True:
            query = sa.select(audit_log).order_by(audit_log.c.seq).limit(5000)
            if after is not None:
                query = query.where(audit_log.c.seq > after)
            with self.state.engine.connect() as connection:
                rows = [dict(row) for row in connection.execute(query).mappings()]
            if not rows:
                return
            yield from rows
            after = int(rows[-1]["seq"])

    def count(self) -> int:
        """How many entries there are."""
        with self.state.engine.connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(audit_log)).scalar_one())

    def verify(self, known_head: str = "") -> AuditReport:
        """Walk the chain and compare it with the anchor and, if given, a head noted earlier (``count:hash``).

        Raises:
            ConfigError: when the key is gone, or `known_head` cannot be read.
        """
        noted = Head.parse(known_head) if known_head else None
        report = AuditReport(head=str(Head(0, START)))
        if not self.key_path.is_file() and self.count() == 0 and not self.anchor_path.is_file():
            if noted is not None and noted.count:
                report.add(noted.count, "the noted head is not in the log")
            return report
        self._secret = self._read_key()
        # The anchor is read first: whatever is appended meanwhile comes after it.
        wanted: dict[int, str] = {}
        try:
            found = self._read_anchor()
        except (ValueError, KeyError, TypeError, AttributeError):
            report.add(0, "the anchor file is not what this log wrote")
            found = Head(0, START), []
        if found is not None:
            report.anchored = found[0].count
            if found[0].count:
                wanted[found[0].count] = found[0].hash
            for breach in found[1]:
                report.add(0, breach)
        expected, previous = 1, START
        noted_seen = noted is None or noted.count == 0
        for row in self.stream():
            seq = int(row["seq"])
            if seq != expected:
                gap = f"entries {expected} to {seq - 1} are missing"
                report.add(expected, gap if seq > expected else "stands outside the sequence")
            if row["previous"] != previous:
                report.add(seq, "does not follow the entry before it")
            if not hmac.compare_digest(str(row["hash"]), self._digest(row)):
                report.add(seq, "was changed, or written without the key")
            if seq in wanted and wanted.pop(seq) != row["hash"]:
                report.add(seq, "is not the entry that was anchored")
            if noted is not None and seq == noted.count:
                noted_seen = True
                if noted.hash != row["hash"]:
                    report.add(seq, "is not the entry of the noted head")
            report.entries += 1
            expected, previous = seq + 1, str(row["hash"])
        if report.entries:
            report.head = str(Head(expected - 1, previous))
        for seq in wanted:
            report.add(seq, f"the newest entries are missing: {seq} were anchored, {expected - 1} are here")
        if noted is not None and not noted_seen:
            report.add(noted.count, "the newest entries are missing: the noted head is not in the log")
        if found is None and report.entries:
            report.add(0, "the anchor file is missing")
        return report


def _detail(entry: Entry) -> str:
    try:
        return json.dumps(
            entry.detail,
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
            default=_plain,
        )
    except (TypeError, ValueError) as error:
        raise DataError(
            f"the detail of the audit entry {entry.action!r} is no JSON",
            mend="Use strings, numbers, lists and dictionaries",
        ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset | tuple):
        return sorted(str(v) for v in value)  # pyright: ignore[reportUnknownVariableType]
    if hasattr(value, "isoformat") or isinstance(value, Path):
        return str(value)
    raise TypeError


def _parsed(row: dict[str, Any]) -> dict[str, Any]:
    try:
        return {**row, "detail": json.loads(row["detail"])}
    except ValueError:
        # A tampered detail is shown as it stands; `verify` names it.
        return {**row, "detail": {"unreadable": row["detail"]}}


def _under(folder: Path, name: str, default: str) -> Path:
    return folder / (name or default)
