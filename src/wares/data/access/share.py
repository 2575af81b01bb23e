"""Shares: a filtered, masked snapshot as Parquet with its contract, terms, purpose, receiver and expiry.

A share is a folder: ``data.parquet``, ``contract.odcs.yaml``, ``TERMS.txt`` and ``manifest.json`` with the SHA-256 of the others.
Hashes in it are made for its receiver alone: two receivers cannot join what they got, one can join all that it got.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from wares.core.access import OWNER, TableAccess
from wares.core.clock import SYSTEM, Clock
from wares.core.errors import AccessDenied, ConfigError, DataError, IncompatibleArtifact, NotFound
from wares.core.files import (
    canonical,
    disk_error,
    file_digest,
    folder_atomic,
    read_json,
    write_atomic,
    write_json,
)
from wares.core.state import State, stamp
from wares.data.access.door import Door, Reading, user

metadata = sa.MetaData()
shares = sa.Table(
    "shares",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("asset", sa.String(100), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("role", sa.String(100), nullable=False),
    sa.Column("receiver", sa.String(200), nullable=False),
    sa.Column("purpose", sa.String(100), nullable=False),
    sa.Column("columns", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("created", sa.String(40), nullable=False),
    sa.Column("expires", sa.String(40), nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("manifest", sa.String(64), nullable=False),
    sa.Column("revoked", sa.String(40), nullable=True),
)

FORMAT = "wares.share/1"
DATA, CONTRACT, TERMS, MANIFEST = "data.parquet", "contract.odcs.yaml", "TERMS.txt", "manifest.json"
_LOGICAL = {"number": "number", "integer": "integer", "timestamp": "timestamp", "boolean": "boolean"}


@dataclass(frozen=True, slots=True)
class Share:
    """A share that was read and found whole and in time."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def terms(self) -> str:
        """What the receiver agreed to."""
        return (self.folder / TERMS).read_text("utf-8")

    def to_arrow(self) -> pa.Table:
        """The rows."""
        import pyarrow.parquet as pq

        return pq.read_table(self.folder / DATA)


class Shares:
    """The shares of a workspace: make, list, revoke."""

    def __init__(self, state: State, door: Door, clock: Clock = SYSTEM) -> None:
        self.state, self.door, self.clock = state, door, clock
        state.ensure(shares)

    def create(
        self,
        name: str,
        out: Path,
        *,
        role: str,
        receiver: str,
        expires: date,
        terms: str,
        purpose: str = "sharing",
        columns: Sequence[str] | None = None,
        where: str | None = None,
        version: int | None = None,
        who: str = "",
    ) -> dict[str, Any]:
        """Write a share into the new folder `out` and register it; returns its manifest.

        Args:
            name: the table.
            out: a folder that does not exist yet; nothing is left there when something fails.
            role: whose masks and rows it holds.
            receiver: who gets it.
            expires: the last day, in UTC, on which it may be read.
            terms: the text of the terms.
            purpose, columns, where, version, who: as for a reading.

        Raises:
            ConfigError: when the folder exists, the terms or the receiver are empty, or the day is past.
            AccessDenied: when the role may not read this, or so few people are in it that it would point at them.
            Unavailable: when the disk is full.
        """
        self._check(out, receiver, expires, terms)
        if role == OWNER:
            raise ConfigError(
                "a share in the owner's role would hold everything in clear",
                mend="Choose the receiver's role, as partner",
                key="role",
                source="share",
            )
        who = who or user()
        reading = self.door.read(
            name, role, version=version, purpose=purpose, columns=columns, where=where, who=who,
            realm=f"share:{receiver}",
        )  # fmt: skip
        created, until = self.clock.now(), datetime.combine(expires, time.max, UTC)
        share_id = secrets.token_hex(6)
        names = list(columns or reading.access.allowed)
        manifest: dict[str, Any] = {
            "format": FORMAT, "id": share_id, "asset": name, "version": reading.version, "role": role,
            "receiver": receiver, "purpose": reading.access.purpose, "created": stamp(created), "expires": stamp(until),
            "columns": {n: str(reading.access.columns[n].mask) for n in names}, "filtered": bool(where),
        }  # fmt: skip
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, out) from error
        try:
            self._write(reading, names, manifest, out, terms, who)
        except BaseException:
            with self.state.engine.begin() as connection:
                connection.execute(shares.delete().where(shares.c.id == share_id))
            raise
        return manifest

    def _write(
        self, reading: Reading, names: list[str], manifest: dict[str, Any], out: Path, terms: str, who: str
    ) -> None:
        name, role = reading.access.table, reading.access.role.name
        with folder_atomic(out) as work:
            manifest["rows"] = reading.to_parquet(work / DATA)
            if reading.suppressed:
                raise AccessDenied(
                    f"this selection of {name} is of fewer than {reading.access.threshold} people",
                    mend="Widen the condition",
                    who=role,
                    what=name,
                )
            write_atomic(work / CONTRACT, _contract(reading.access, names, manifest, terms))
            write_atomic(work / TERMS, terms)
            manifest["files"] = {part: file_digest(work / part) for part in (DATA, CONTRACT, TERMS)}
            write_json(work / MANIFEST, manifest)
            mark = hashlib.sha256(canonical(manifest)).hexdigest()
            facts = {
                k: manifest[k]
                for k in ("id", "version", "receiver", "purpose", "expires", "columns", "rows", "filtered")
            }
            self.door.audit.record(who, "share.create", name, {**facts, "manifest": mark}, role=role)
            row = {
                **{k: manifest[k] for k in ("id", "version", "role", "receiver", "purpose", "rows", "created", "expires")},
                "asset": name, "columns": ", ".join(f"{n} ({m})" for n, m in manifest["columns"].items()),
                "path": str(out.resolve()), "manifest": mark, "revoked": None,
            }  # fmt: skip
            # Registered before it appears: there is no share that the list does not know.
            with self.state.engine.begin() as connection:
                connection.execute(shares.insert(), row)

    def _check(self, out: Path, receiver: str, expires: date, terms: str) -> None:
        today = self.clock.now().astimezone(UTC).date()
        faults = {
            "out": f"{out} exists" if out.exists() or out.is_symlink() else "",
            "receiver": "" if receiver.strip() and len(receiver) <= 200 else "a share needs a receiver",
            "terms": "" if terms.strip() else "a share needs terms",
            "expires": "" if expires >= today else f"{expires} is past",
        }
        mends = {
            "out": "Name a new folder",
            "receiver": "Say who gets it",
            "terms": "Give a file that holds them",
            "expires": "Give a day to come",
        }
        for key, fault in faults.items():
            if fault:
                raise ConfigError(fault, mend=mends[key], key=key, source="share")

    def list(self) -> list[dict[str, Any]]:
        """All shares, newest first, with ``status`` live, expired or revoked."""
        now = stamp(self.clock.now())
        with self.state.engine.connect() as connection:
            rows = [
                dict(r)
                for r in connection.execute(sa.select(shares).order_by(shares.c.created.desc())).mappings()
            ]
        for row in rows:
            row["status"] = "revoked" if row["revoked"] else "expired" if row["expires"] < now else "live"
        return rows

    def revoke(self, share_id: str, *, who: str = "") -> dict[str, Any]:
        """Take a share back: mark it, and remove its folder if it still lies where it was written.

        A copy that the receiver made is beyond reach: the terms bind it, and `read_share` refuses it after its expiry.

        Raises:
            NotFound: when there is no such share.
        """
        row = next((r for r in self.list() if r["id"] == share_id), None)
        if row is None:
            raise NotFound(
                f"there is no share {share_id[:40]!r}", mend="See `wares asset shares`", id=share_id[:40]
            )
        folder = Path(row["path"])
        ours = (folder / MANIFEST).is_file() and read_json(folder / MANIFEST).get("id") == share_id
        self.door.audit.record(
            who or user(), "share.revoke", row["asset"], {"id": share_id, "removed": ours}, role=row["role"]
        )
        with self.state.engine.begin() as connection:
            connection.execute(
                shares.update().where(shares.c.id == share_id).values(revoked=stamp(self.clock.now()))
            )
        if ours:
            shutil.rmtree(folder)
        return {"id": share_id, "removed": ours, "path": str(folder)}


def _contract(access: TableAccess, names: Sequence[str], manifest: dict[str, Any], terms: str) -> str:
    from open_data_contract_standard.model import (
        CustomProperty,
        Description,
        OpenDataContractStandard,
        Role,
        SchemaObject,
        SchemaProperty,
    )

    def prop(name: str) -> SchemaProperty:
        decision = access.columns[name]
        kind = "string" if decision.mask.kind == "hash" else _LOGICAL.get(decision.kind, "string")
        custom = [CustomProperty(property="mask", value=str(decision.mask))] if decision.mask.hides else None
        return SchemaProperty(name=name, logicalType=kind, customProperties=custom)

    keys = ("id", "receiver", "expires", "version")
    document = OpenDataContractStandard(
        apiVersion="v3.1.0",
        kind="DataContract",
        id=f"wares.share.{manifest['id']}",
        name=access.table,
        version="1.0.0",
        status="active",
        description=Description(purpose=manifest["purpose"], limitations=terms),
        roles=[Role(role=access.role.name, access="read")],
        customProperties=[CustomProperty(property=k, value=manifest[k]) for k in keys],
        schema=[SchemaObject(name=access.table, properties=[prop(name) for name in names])],
    )
    return document.to_yaml()


def read_share(folder: str | Path, *, clock: Clock = SYSTEM) -> Share:
    """Open a share: its files must be what was written, and its time not over.

    Raises:
        DataError: when the folder is no share.
        IncompatibleArtifact: when a file is missing or was changed.
        AccessDenied: after the expiry.
    """
    home = Path(folder)
    try:
        manifest = dict(read_json(home / MANIFEST))
        until = datetime.fromisoformat(str(manifest["expires"]))
        files = dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{home} is no share", mend="Name the folder that holds manifest.json") from None
    if manifest.get("format") != FORMAT or set(files) != {DATA, CONTRACT, TERMS}:
        raise IncompatibleArtifact(
            f"{home} is a share of another kind", mend=f"This wares reads {FORMAT}", path=str(home)
        )
    if clock.now() > until:
        raise AccessDenied(
            f"this share expired on {until.date()}",
            mend="Ask its sender for a new one",
            who=str(manifest["receiver"]),
            what=str(manifest["asset"]),
        )
    for part, digest in files.items():
        path = home / part
        if not path.is_file() or file_digest(path) != digest:
            raise IncompatibleArtifact(
                f"{path} is missing or was changed", mend="Ask its sender for it again", path=str(path)
            )
    return Share(home, manifest)
