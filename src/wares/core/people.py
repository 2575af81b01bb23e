"""People by keyed hash: the workspace's key, the pseudonyms it makes, and the list of those who were erased.

A keyed hash (HMAC-SHA-256, RFC 2104) and not a plain one, because a shop's user numbers can be tried out one by
one. The key lies in ``state/person.key``, readable by its owner only; it is in no bundle, share or export.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from wares.core.config import FILE, load_config
from wares.core.errors import ConfigError
from wares.core.files import sync_folder
from wares.core.state import State, stamp

KEY_FILE = "person.key"
_PSEUDONYM = re.compile(r"p_[0-9a-f]{32}\Z")

metadata = sa.MetaData()

erased_people = sa.Table(
    "erased_people",
    metadata,
    sa.Column("mark", sa.String(64), primary_key=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("receipt", sa.String(40), nullable=False),
)


class PersonKey:
    """The secret of a workspace that turns ids into pseudonyms."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def of(cls, workspace: Path) -> PersonKey:
        """The key of a workspace; made on first use.

        Raises:
            ConfigError: when the key file is damaged: with another key, no pseudonym would be found again.
        """
        path = workspace / "state" / KEY_FILE
        if not path.is_file():
            _make_key(path)
        text = path.read_text("ascii", "replace").strip()
        if not re.fullmatch(r"[0-9a-f]{64}", text):
            raise ConfigError(
                f"{path} is damaged",
                mend="Bring it back from a backup; a new key would part everyone from their past",
                key=KEY_FILE,
                source=str(path),
            )
        return cls(bytes.fromhex(text))

    def _hash(self, purpose: str, value: str) -> str:
        raw = f"{purpose}\x00{value}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._secret, raw, "sha256").hex()

    def pseudonym(self, value: str) -> str:
        """What stands for an id in tables and bundles, ``p_`` and 32 hex digits. A pseudonym stays as it is."""
        return value if _PSEUDONYM.match(value) else f"p_{self._hash('pseudonym', value)[:32]}"

    def mark(self, value: str) -> str:
        """What stands for an id in receipts and in the list of erased people; says nothing without the key."""
        return self._hash("erased", value)[:32]


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".person-")
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(secrets.token_hex(32))
            stream.flush()
            os.fsync(stream.fileno())
        try:
            # A link, not a rename: when two processes make a key at once, the first one counts.
            os.link(name, path)
        except FileExistsError:
            return
        sync_folder(path.parent)
    finally:
        Path(name).unlink(missing_ok=True)


class People:
    """Who may be known here: pseudonyms where the workspace wants them, and the list of those who were erased."""

    def __init__(self, workspace: Path, state: State | None, *, pseudonymise: bool) -> None:
        self.state, self.pseudonymise = state, pseudonymise
        self.key = PersonKey.of(workspace)
        self._marks: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        if state is not None:
            state.ensure(erased_people)
        self.refresh()

    @classmethod
    def of_bundle(cls, folder: Path, state: State | None) -> People | None:
        """The people of the workspace that a bundle folder lies in; None for a bundle that stands alone."""
        workspace = folder.resolve().parent.parent
        if not (workspace / FILE).is_file():
            return None
        pseudonymise = load_config(workspace / FILE).privacy.pseudonymise
        return cls(workspace, state, pseudonymise=pseudonymise) if state or pseudonymise else None

    def refresh(self) -> None:
        """Read the list of erased people again."""
        if self.state is None:
            return
        with self._lock, self.state.engine.connect() as connection:
            self._marks = frozenset(connection.execute(sa.select(erased_people.c.mark)).scalars())

    @property
    def any_erased(self) -> bool:
        """Whether the list has entries; when not, nobody needs to be looked up."""
        return bool(self._marks)

    def known_as(self, value: str) -> str:
        """The form of an id that tables, bundles and online state hold."""
        return self.key.pseudonym(value) if self.pseudonymise and value else value

    def is_erased(self, value: str | None) -> bool:
        """Whether this id, raw or as a pseudonym, was erased and not allowed again."""
        if not self._marks or not value:
            return False
        return self.key.mark(value) in self._marks or self.key.mark(self.key.pseudonym(value)) in self._marks

    def erased_among(self, values: Iterable[str | None]) -> set[str]:
        """Those of some ids that were erased."""
        return {v for v in values if v and self.is_erased(v)} if self._marks else set()

    def admit(self, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Events as they may be stored: under pseudonyms where wanted, and without those of erased people."""
        kept: list[dict[str, Any]] = []
        for row in rows:
            if self.is_erased(row.get("user_id")) or self.is_erased(row.get("session_id")):
                continue
            ids = {k: self.known_as(str(row[k])) for k in ("user_id", "session_id") if row.get(k)}
            kept.append({**row, **ids})
        return kept

    def erase(self, values: Iterable[str], receipt: str) -> None:
        """Put ids onto the list; from now on their rows are turned away."""
        marks = {self.key.mark(v) for v in values if v}
        assert self.state is not None
        with self.state.engine.begin() as connection:
            known = set(connection.execute(sa.select(erased_people.c.mark)).scalars())
            fresh = [{"mark": m, "at": stamp(), "receipt": receipt} for m in sorted(marks - known)]
            if fresh:
                connection.execute(erased_people.insert(), fresh)
        self.refresh()

    def allow(self, values: Iterable[str]) -> int:
        """Take ids, and all that were erased with them, off the list; returns how many entries went."""
        marks = [self.key.mark(v) for v in values if v]
        assert self.state is not None
        with self.state.engine.begin() as connection:
            query = sa.select(erased_people.c.receipt).where(erased_people.c.mark.in_(marks))
            receipts = set(connection.execute(query).scalars())
            done = connection.execute(
                erased_people.delete().where(erased_people.c.receipt.in_(sorted(receipts)))
            )
        self.refresh()
        return int(done.rowcount)
