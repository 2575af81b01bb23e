"""The policy of a workspace: roles from ``wares.toml``, tables from contracts, personal columns from their tags."""

from __future__ import annotations

import os
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from open_data_contract_standard.model import OpenDataContractStandard
from pydantic import ValidationError

from wares.core import columns as c
from wares.core.access import CLASSES, OWNER, ColumnFacts, Policy, Role, TableFacts, default_roles, extend
from wares.core.config import Access
from wares.core.errors import ConfigError, DataError
from wares.core.files import locked, sync_folder, write_json
from wares.core.masks import HASH, Mask
from wares.core.policy_file import POLICY_FILE, facts_json
from wares.core.state import State
from wares.data.contract import SUFFIX, default_text
from wares.data.privacy.tags import Tag, tags_of
from wares.data.store import Store

KEY_FILE = "access.key"
_CLEANED, _RAW = "_clean", "_raw"
_QUARANTINE_OPEN = ("id", "table", "source", "line", "rule", "column", "value", "row", "mend", "at")


class PolicySource:
    """Reads the policy of a workspace, and again when a contract, a tag or a table changed."""

    def __init__(self, root: Path, settings: Access, store: Store, state: State) -> None:
        self.root, self.settings, self.store, self.state = root, settings, store, state
        self._seen: Any = None
        self._policy: Policy | None = None

    def policy(self) -> Policy:
        """The policy in force.

        Raises:
            ConfigError: for roles, masks or contracts that cannot be.
        """
        mark = self._mark()
        if self._policy is None or mark != self._seen:
            roles = roles_of(self.settings)
            tables = {name: self._facts(name) for name in self._names()}
            self._policy = Policy(roles, tables, self.settings.purposes, self._secret())
            self._seen = mark
            _write_facts(self.root / "state" / POLICY_FILE, self._policy)
        return self._policy

    def _names(self) -> list[str]:
        own = self.root / "contracts"
        named = [p.name.removesuffix(SUFFIX) for p in own.glob(f"*{SUFFIX}")] if own.is_dir() else []
        return list(dict.fromkeys([*c.TABLES, *sorted(named), *self.store.names()]))

    def _mark(self) -> Any:
        own = self.root / "contracts"
        files = sorted(own.glob(f"*{SUFFIX}")) if own.is_dir() else []
        logs = self.store.root.glob("*/_delta_log") if self.store.root.is_dir() else ()
        return (
            [(p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in files],
            sorted((p.parent.name, p.stat().st_mtime_ns) for p in logs),
            _tag_mark(self.state),
        )

    def _secret(self) -> bytes:
        """The key of all masks; made on first use, outside the database and the tables."""
        path = self.root / "state" / KEY_FILE
        if not path.is_file():
            with locked(self.root / "state" / f".{KEY_FILE}.lock", "making the key of the masks"):
                if not path.is_file():
                    work = path.with_name(f".{KEY_FILE}.new")
                    work.unlink(missing_ok=True)
                    handle = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                    with os.fdopen(handle, "w") as stream:
                        stream.write(secrets.token_hex(32))
                        stream.flush()
                        os.fsync(stream.fileno())
                    os.replace(work, path)
                    sync_folder(path.parent)
        secret = path.read_bytes().strip()
        if len(secret) < 32:
            raise ConfigError(
                f"{path} holds no key", mend="Put it back from your backup", key="access", source=str(path)
            )
        return secret

    # -- tables ----------------------------------------------------------------------------------------------

    def _facts(self, table: str) -> TableFacts:
        contract, source = _contract(table, self.root)
        schema = self._schema(table)
        declared = _declared(contract, source)
        if table == c.QUARANTINE:
            declared = {name: ColumnFacts(name) for name in _QUARANTINE_OPEN}
        elif contract is None and table.endswith(_CLEANED):
            declared = self._cleaned(table, schema)
        names = list(dict.fromkeys([*declared, *(schema.names if schema is not None else [])]))
        tags = tags_of(self.state, table, names)
        kinds = {field.name: _kind(field.type) for field in schema or ()}
        columns = [_column(name, declared.get(name), tags[name], kinds.get(name, "string")) for name in names]
        if any(column.personal == "id" for column in columns):
            own = f"{table.removesuffix(_CLEANED)}."
            columns = [_row_id(column, own) for column in columns]
        roles, rows = _contract_roles(contract, source)
        if table == c.QUARANTINE:
            roles = ("steward",)
        return TableFacts(table, tuple(columns), roles, rows, source)

    def _cleaned(self, table: str, schema: pa.Schema | None) -> dict[str, ColumnFacts]:
        """A cleaned table keeps the promises of its raw one; a raw value kept beside is as private as the column."""
        base = _declared(*_contract(table.removesuffix(_CLEANED), self.root))
        out: dict[str, ColumnFacts] = {}
        personal = any(tag.hidden for tag in tags_of(self.state, table, base).values())
        for name in schema.names if schema is not None else base:
            found = base.get(name) or base.get(name.removesuffix(_RAW))
            if found is not None:
                out[name] = replace(found, name=name, key=found.key and name in base)
            elif not personal and schema is not None:
                # What cleaning derives from columns that tell of nobody tells of nobody.
                out[name] = ColumnFacts(name, _kind(schema.field(name).type), family=name)
        return out

    def _schema(self, table: str) -> pa.Schema | None:
        if not self.store.exists(table):
            return None
        try:
            files = self.store.files(table)
        except DataError:
            return None
        schemas = [pq.read_schema(path) for path in (files[:1] + files[-1:])]
        return pa.unify_schemas(schemas, promote_options="permissive") if schemas else None


def roles_of(settings: Access) -> dict[str, Role]:
    """The shipped roles with the changes of ``[access.roles]``.

    Raises:
        ConfigError: for a wrong mask, a changed owner, or a role in the settings that does not exist.
    """
    roles = default_roles()
    for name, change in settings.roles.items():
        source = f"access.roles.{name}"
        if name == OWNER:
            raise ConfigError(
                "the owner sees everything and cannot be changed",
                mend="Give people another role, and set `access.default_role`",
                key=source,
                source="wares.toml",
            )
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in change.model_dump(exclude_none=True).items()
        }
        values["masks"] = {key: Mask.parse(text, source) for key, text in change.masks.items()}
        for text in change.rows.values():
            _check_condition(text, source)
        roles[name] = extend(roles.get(name, Role(name)), **values)
    for key in ("default_role", "key_role", "console_role"):
        if getattr(settings, key) not in roles:
            raise ConfigError(
                f"access.{key}: there is no role {getattr(settings, key)!r}",
                mend=f"Use one of {', '.join(roles)}",
                key=f"access.{key}",
                source="wares.toml",
            )
    return roles


def _check_condition(text: str, source: str) -> None:
    from wares.core.errors import QueryError
    from wares.data.access.where import Where

    try:
        Where(text)
    except QueryError as error:
        raise ConfigError(
            f"{source}: {error.message}", mend=error.mend, key=source, source="wares.toml"
        ) from None


def _contract(table: str, root: Path) -> tuple[OpenDataContractStandard | None, str]:
    own = root / "contracts" / f"{table}{SUFFIX}"
    if own.is_file():
        text, source = own.read_text("utf-8"), str(own)
    elif table in c.TABLES:
        text, source = default_text(table), f"the default contract of {table}"
    else:
        return None, ""
    try:
        return OpenDataContractStandard.from_string(text), source
    except (yaml.YAMLError, ValidationError, TypeError, AttributeError):
        raise ConfigError(
            f"{source} is no valid data contract, so nobody may read {table}",
            mend=f"Mend it: `wares check {table}` names the place",
            key="",
            source=source,
        ) from None


def _declared(contract: OpenDataContractStandard | None, source: str) -> dict[str, ColumnFacts]:
    if contract is None or not contract.schema_:
        return {}
    out: dict[str, ColumnFacts] = {}
    for prop in contract.schema_[0].properties or []:
        name = prop.name or ""
        target = next((r.to for r in prop.relationships or []), None)
        reference = str(target[0] if isinstance(target, list) else target or "")
        level = (prop.classification or "").strip().lower()
        level = "personal" if level == "sensitive" else level
        if level and level not in (*CLASSES, "personal"):
            raise ConfigError(
                f"{source}: column {name!r} is classified {level!r}",
                mend=f"Use one of {', '.join((*CLASSES, 'personal'))}",
                key=name,
                source=source,
            )
        custom = {p.property: p.value for p in prop.customProperties or []}
        tagged = level == "personal" or "personal" in [str(tag).lower() for tag in prop.tags or []]
        out[name] = ColumnFacts(
            name,
            _LOGICAL.get(prop.logicalType or "string", "string"),
            "" if level == "personal" else level,
            "text" if tagged else "",
            bool(prop.primaryKey) or bool(reference),
            reference or (f"{contract.schema_[0].name}.{name}" if prop.primaryKey else name),
            _contract_masks(custom.get("mask"), source),
        )
    return out


_LOGICAL = {
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
    "date": "timestamp",
    "timestamp": "timestamp",
}


def _contract_masks(value: Any, source: str) -> dict[str, Mask]:
    if value is None:
        return {}
    pairs = value if isinstance(value, dict) else {"*": value}
    return {str(role): Mask.parse(str(text), source) for role, text in pairs.items()}


def _contract_roles(
    contract: OpenDataContractStandard | None, source: str
) -> tuple[tuple[str, ...] | None, dict[str, str]]:
    if contract is None or not contract.roles:
        return None, {}
    rows: dict[str, str] = {}
    for role in contract.roles:
        custom = {p.property: p.value for p in role.customProperties or []}
        if custom.get("rowFilter"):
            _check_condition(str(custom["rowFilter"]), source)
            rows[str(role.role)] = str(custom["rowFilter"])
    return tuple(str(role.role) for role in contract.roles if role.role), rows


def _column(name: str, declared: ColumnFacts | None, tag: Tag, kind: str) -> ColumnFacts:
    personal = "" if not tag.hidden else "id" if tag.identifies else "text"
    if declared is None:
        # A column that no contract promises is shut, until a scan or a person has said that it is not personal.
        known = tag.source in ("scan", "person") and not tag.hidden
        return ColumnFacts(name, kind, "", personal, False, name, declared=known)
    if declared.personal and not personal and tag.source != "person":
        personal = declared.personal
    return replace(declared, personal=personal)


def _row_id(column: ColumnFacts, own: str) -> ColumnFacts:
    # A row's id may be a plain digest of the whole row, user included, which a guesser could search.
    row_id = column.family == own + column.name and not column.personal and not column.masks
    return replace(column, masks={"*": Mask(HASH)}) if row_id else column


def _kind(arrow: pa.DataType) -> str:
    types = pa.types
    if types.is_decimal(arrow) or types.is_floating(arrow):
        return "number"
    if types.is_integer(arrow):
        return "integer"
    if types.is_timestamp(arrow) or types.is_date(arrow):
        return "timestamp"
    if types.is_boolean(arrow):
        return "boolean"
    return "string" if types.is_string(arrow) or types.is_large_string(arrow) else "other"


def _tag_mark(state: State) -> Any:
    import sqlalchemy as sa

    from wares.data.privacy.tags import column_tags

    state.ensure(column_tags)
    with state.engine.connect() as connection:
        return tuple(connection.execute(sa.select(sa.func.count(), sa.func.max(column_tags.c.at))).one())


def _write_facts(path: Path, policy: Policy) -> None:
    """What the server decides by; it holds no key and no cell."""
    write_json(path, facts_json(policy))
