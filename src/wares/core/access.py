"""Who may see what: roles, purposes and, for each role and column, whether it is visible, masked or denied.

Pure: it knows neither files nor tables, so that the server and the console decide by the very same object as the read
door. ``data/access/policy.py`` fills it from contracts, tags and ``[access]`` in ``wares.toml``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wares.core import columns as c
from wares.core.errors import AccessDenied, ConfigError
from wares.core.masks import DENY, HASH, NULL, VISIBLE, Mask, Masker, realm_key

OWNER = "owner"
PUBLIC_CLASS, INTERNAL, CONFIDENTIAL, RESTRICTED = "public", "internal", "confidential", "restricted"
CLASSES = (PUBLIC_CLASS, INTERNAL, CONFIDENTIAL, RESTRICTED)
_CLEAR = Mask()
_DENIED = Mask(DENY)

PURPOSES = {
    "analytics": "Understand what sells and why",
    "quality": "Find and mend faults in data",
    "research": "Train and evaluate models",
    "service": "Answer shoppers in search, recommendations and support",
    "marketing": "Plan offers and campaigns",
    "sharing": "Hand data to a partner under terms",
    "legal": "Answer a request of a person or an authority",
}
"""Purposes that ship; ``[access.purposes]`` adds more."""


@dataclass(frozen=True, slots=True)
class Role:
    """What one kind of reader may do.

    `masks` maps ``table.column``, ``column``, ``personal``, ``personal.id`` or ``personal.text`` to a mask; the first
    of these that fits wins. `rows` maps a table to the condition its rows must meet. A count, group or selection
    of fewer than `threshold` people is suppressed. Without `people_rows` tables about people give counts and
    aggregates only. An empty `purposes` allows all.
    """

    name: str
    description: str = ""
    tables: tuple[str, ...] = ("*",)
    purposes: tuple[str, ...] = ()
    masks: Mapping[str, Mask] = field(default_factory=dict[str, Mask])
    rows: Mapping[str, str] = field(default_factory=dict[str, str])
    threshold: int = 5
    clearance: str = CONFIDENTIAL
    people_rows: bool = True

    @property
    def is_owner(self) -> bool:
        """Whether nothing is hidden."""
        return self.name == OWNER


def default_roles() -> dict[str, Role]:
    """The roles that ship; ``[access.roles]`` changes them and adds others."""
    no_people = {"personal": Mask(DENY)}
    roles = (
        Role(OWNER, "Owns the shop's data; sees everything", threshold=0),
        Role("steward", "Keeps data in order: quality, contracts, quarantine", purposes=("quality", "legal")),
        Role(
            "analyst",
            "Studies what shoppers do, without knowing who they are",
            purposes=("analytics", "research"),
        ),
        Role(
            "marketer",
            "Plans offers; sees products, and people only in groups",
            tables=(c.PRODUCTS, c.PRICES, c.EVENTS, c.REVIEWS, c.TEXTS, c.QUERIES),
            purposes=("marketing", "analytics"),
            threshold=20,
            clearance=INTERNAL,
            people_rows=False,
        ),
        Role("service", "Engines and programs of the shop", purposes=("service", "research")),
        Role(
            "partner",
            "A company that receives a share",
            tables=(c.PRODUCTS, c.PRICES, c.EVENTS),
            purposes=("sharing",),
            masks={"personal.id": Mask(HASH), **no_people},
            threshold=10,
            clearance=PUBLIC_CLASS,
        ),
        Role(
            "public",
            "Anyone: the catalogue and its prices",
            tables=(c.PRODUCTS, c.PRICES),
            masks=no_people,
            threshold=10,
            clearance=PUBLIC_CLASS,
        ),
    )
    return {role.name: role for role in roles}


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What a policy must know of a column.

    `classification` is empty (for every role that has the table) or one of `CLASSES`. `personal` is empty, ``id`` or ``text``. `family` joins columns whose equal values must stay equal under a hash.
    `key` says that rows are found or joined by it. `masks` comes from the contract: a role or ``*`` to a mask.
    """

    name: str
    kind: str = "string"
    classification: str = ""
    personal: str = ""
    key: bool = False
    family: str = ""
    masks: Mapping[str, Mask] = field(default_factory=dict[str, Mask])
    declared: bool = True


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What a policy must know of a table. `roles` is None when the contract names none; `rows` maps a role to a condition."""

    name: str
    columns: tuple[ColumnFacts, ...]
    roles: tuple[str, ...] | None = None
    rows: Mapping[str, str] = field(default_factory=dict[str, str])
    source: str = ""

    @property
    def people(self) -> tuple[str, ...]:
        """The columns that say whose row it is; empty for a table that is not about people."""
        ids = [column.name for column in self.columns if column.personal == "id"]
        return tuple(sorted(ids, key=lambda name: (name != c.USER_ID, name != c.SESSION_ID)))


@dataclass(frozen=True, slots=True)
class Decision:
    """What a role sees of a column, and which rule said so."""

    column: str
    kind: str
    mask: Mask
    family: str
    because: str

    @property
    def how(self) -> str:
        """``visible``, ``masked`` or ``denied``."""
        return {VISIBLE: "visible", DENY: "denied"}.get(self.mask.kind, "masked")


@dataclass(frozen=True, slots=True)
class TableAccess:
    """What a role may do with a table for a purpose. `columns` holds the denied ones as well."""

    role: Role
    table: str
    purpose: str
    columns: Mapping[str, Decision]
    row_filter: str
    people: tuple[str, ...]

    @property
    def allowed(self) -> tuple[str, ...]:
        """The columns that exist for the role, in the table's order."""
        return tuple(name for name, decision in self.columns.items() if decision.mask.kind != DENY)

    @property
    def threshold(self) -> int:
        """The least number of people in a count, group or selection; 0 where rows are not about people."""
        return self.role.threshold if self.people else 0

    @property
    def rows_allowed(self) -> bool:
        """Whether single rows may be read, or only counts and aggregates."""
        return self.role.people_rows or not self.people

    def choose(self, columns: Sequence[str] | None) -> tuple[str, ...]:
        """The wanted columns, or all that are allowed.

        Raises:
            AccessDenied: when one is denied or does not exist; the role cannot tell which.
        """
        if columns is None and self.allowed:
            return self.allowed
        columns = columns or ()
        wrong = [name for name in columns if name not in self.allowed]
        if wrong or not columns:
            raise AccessDenied(
                f"the role {self.role.name!r} has no column {wrong[0][:100]!r} in {self.table}"
                if wrong
                else f"no column of {self.table} is left for the role {self.role.name!r}",
                mend=f"It may read {', '.join(self.allowed) or 'none'}",
                who=self.role.name,
                what=self.table,
            )
        return tuple(dict.fromkeys(columns))


class Policy:
    """All decisions. Immutable; made anew when contracts, tags or settings change."""

    def __init__(
        self,
        roles: Mapping[str, Role],
        tables: Mapping[str, TableFacts],
        purposes: Mapping[str, str] | None = None,
        secret: bytes = b"",
    ) -> None:
        """Check all roles against all tables.

        Raises:
            ConfigError: for a mask that a column cannot bear, masks that make a join impossible, or unknown names.
        """
        self.roles = dict(roles)
        self.tables = dict(tables)
        self.purposes = {**PURPOSES, **(purposes or {})}
        self._secret = secret
        self._check()

    def __repr__(self) -> str:
        # The secret stays out of logs and tracebacks.
        return f"Policy(roles={sorted(self.roles)}, tables={sorted(self.tables)})"

    # -- decisions -------------------------------------------------------------------------------------------

    def role(self, name: str) -> Role:
        """A role by its name.

        Raises:
            AccessDenied: when there is no such role.
        """
        found = self.roles.get(name)
        if found is None:
            near = difflib.get_close_matches(name, self.roles, n=1)
            raise AccessDenied(
                f"there is no role {name[:100]!r}",
                mend=f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(self.roles)}",
                who=name[:100],
                what="role",
            )
        return found

    def purpose(self, role: Role, purpose: str | None) -> str:
        """The purpose of a reading: the given one if the role may have it, or the role's first.

        Raises:
            AccessDenied: for an unknown purpose or one that the role may not have.
        """
        if not purpose:
            return role.purposes[0] if role.purposes else ""
        allowed = role.purposes or tuple(self.purposes)
        if purpose not in allowed:
            raise AccessDenied(
                f"the role {role.name!r} may not read for the purpose {purpose[:100]!r}",
                mend=f"It may for {', '.join(allowed)}",
                who=role.name,
                what="purpose",
            )
        return purpose

    def may_read(self, role_name: str, table: str) -> bool:
        """Whether a role may read anything of a table."""
        role = self.role(role_name)
        facts = self.tables.get(table)
        if role.is_owner:
            return True
        if facts is None or ("*" not in role.tables and table not in role.tables):
            return False
        return facts.roles is None or role.name in facts.roles

    def readable(self, role_name: str) -> list[str]:
        """The tables that a role may read, by name."""
        return sorted(table for table in self.tables if self.may_read(role_name, table))

    def decide(self, role_name: str, table: str, purpose: str | None = None) -> TableAccess:
        """What a role may do with a table.

        Raises:
            AccessDenied: when it may not read the table at all, or not for this purpose.
        """
        role = self.role(role_name)
        chosen = self.purpose(role, purpose)
        facts = self.tables.get(table)
        if facts is None or not self.may_read(role_name, table):
            raise AccessDenied(
                f"the role {role.name!r} has no table {table[:100]!r}",
                mend=f"It may read {', '.join(self.readable(role_name)) or 'nothing'}",
                who=role.name,
                what=table[:100],
            )
        conditions = [f"({text})" for text in (role.rows.get(table), facts.rows.get(role.name)) if text]
        return TableAccess(
            role,
            table,
            chosen,
            {column.name: self._decide(role, facts, column) for column in facts.columns},
            "" if role.is_owner else " and ".join(conditions),
            () if role.is_owner else facts.people,
        )

    def _decide(self, role: Role, facts: TableFacts, column: ColumnFacts) -> Decision:
        mask, because = self._mask(role, facts, column)
        return Decision(column.name, column.kind, mask, column.family or column.name, because)

    def _mask(self, role: Role, facts: TableFacts, column: ColumnFacts) -> tuple[Mask, str]:
        if role.is_owner:
            return _CLEAR, "owner"
        if not column.declared:
            return _DENIED, "not in the contract"
        level = column.classification or PUBLIC_CLASS
        if (
            level not in CLASSES
            or level == RESTRICTED
            or CLASSES.index(level) > CLASSES.index(role.clearance)
        ):
            return _DENIED, f"classified {level}"
        for key in (f"{facts.name}.{column.name}", column.name):
            if key in role.masks:
                return role.masks[key], f"access.roles.{role.name}: {key}"
        for key in (role.name, "*"):
            if key in column.masks:
                return column.masks[key], f"contract: {key}"
        if not column.personal:
            return _CLEAR, "not personal"
        for key in (f"personal.{column.personal}", "personal"):
            if key in role.masks:
                return role.masks[key], f"access.roles.{role.name}: {key}"
        # A key keeps its joins; everything else about a person is taken out.
        return Mask(HASH if column.personal == "id" or column.key else NULL), f"personal {column.personal}"

    def masker(self, realm: str) -> Masker:
        """What applies masks for a role or a receiver.

        Raises:
            ConfigError: when the policy was made without a secret.
        """
        if not self._secret:
            raise ConfigError(
                "this policy has no key for its masks", mend="Use `shop.policy`", key="access", source=""
            )
        return Masker(realm_key(self._secret, realm))

    def redact(
        self, role_name: str, table: str, rows: Iterable[Mapping[str, Any]], purpose: str | None = None
    ) -> list[dict[str, Any]]:
        """Sample rows of a table as a role may see them: denied columns are gone, masked cells masked.

        For samples in quality reports, quarantine, lineage and review queues. Row filters are not applied, and a role that may
        read no single rows of the table gets none.

        Raises:
            AccessDenied: when the role may not read the table.
        """
        access = self.decide(role_name, table, purpose)
        if not access.rows_allowed or (access.row_filter and not access.role.is_owner):
            return []
        masker = None if access.role.is_owner else self.masker(role_name)
        out: list[dict[str, Any]] = []
        for row in rows:
            seen: dict[str, Any] = {}
            for name in access.allowed:
                if name in row:
                    d = access.columns[name]
                    seen[name] = row[name] if masker is None else masker.apply(d.mask, d.family, row[name])
            out.append(seen)
        return out

    def columns_shown(self, role_name: str, table: str) -> dict[str, str]:
        """For each column that exists for the role, ``visible`` or its mask; profiles are for visible columns only.

        Statistics of a masked column (least, greatest, frequent values, examples) are values of it: show them only where
        this says ``visible``.
        """
        access = self.decide(role_name, table)
        return {name: str(access.columns[name].mask) for name in access.allowed}

    # -- checks ----------------------------------------------------------------------------------------------

    def _check(self) -> None:
        for role in self.roles.values():
            source = f"access.roles.{role.name}"
            unknown = [purpose for purpose in role.purposes if purpose not in self.purposes]
            if unknown or role.clearance not in CLASSES:
                what = f"purpose {unknown[0]!r}" if unknown else f"clearance {role.clearance!r}"
                known = ", ".join(self.purposes) if unknown else ", ".join(CLASSES)
                raise ConfigError(
                    f"{source}: unknown {what}", mend=f"Known: {known}", key=source, source="wares.toml"
                )
            self._check_names(role, source)
            if role.is_owner:
                continue
            families: dict[str, dict[Mask, str]] = {}
            keys: set[str] = set()
            for table, facts in self.tables.items():
                if not self.may_read(role.name, table):
                    continue
                for column in facts.columns:
                    decision = self._decide(role, facts, column)
                    decision.mask.check(
                        f"{table}.{column.name}", column.kind, key=column.key, source=facts.source or source
                    )
                    if decision.mask.kind != DENY:
                        families.setdefault(decision.family, {}).setdefault(
                            decision.mask, f"{table}.{column.name}"
                        )
                    if column.key:
                        keys.add(decision.family)
            for family in sorted(keys):
                if len(families.get(family, {})) > 1:
                    (one, here), (two, there) = list(families[family].items())[:2]
                    raise ConfigError(
                        f"{source}: {here} is {one} and {there} is {two}, so they could not be joined, and one would tell the other",
                        mend=f"Give the same mask to every {family} column, or deny some",
                        key=source,
                        source="wares.toml",
                    )

    def _check_names(self, role: Role, source: str) -> None:
        """A mistyped name would leave a column open, so it is an error."""
        known = {"personal", "personal.id", "personal.text"}
        for table, facts in self.tables.items():
            known |= {name for column in facts.columns for name in (column.name, f"{table}.{column.name}")}
        for name, names in [(n, known) for n in role.masks] + [(n, set(self.tables)) for n in role.rows]:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                raise ConfigError(
                    f"{source}: there is no {name!r} to mask or filter",
                    mend=f"Did you mean {near[0]!r}?" if near else "Load the table first, or mend the name",
                    key=source,
                    source="wares.toml",
                )


def extend(role: Role, **changes: Any) -> Role:
    """A role with some of its fields replaced and its masks and row conditions added to."""
    for name in ("masks", "rows"):
        if name in changes:
            changes[name] = {**getattr(role, name), **changes[name]}
    return replace(role, **changes)
