"""In whose role a visitor of the console looks at data, and samples through the read door.

On this machine a visitor chooses any role. Where the server needs keys, a visitor has ``access.key_role`` until an API key is
given, and then the role of that key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from nicegui import app, ui

from wares.console.frame import shelf, t
from wares.console.words import add_words
from wares.core.access import Policy
from wares.core.config import Access
from wares.core.errors import AccessDenied, WaresError
from wares.pipeline.workspace import Workspace
from wares.serve.auth import Gate

if TYPE_CHECKING:
    from wares.serve.ranker import Ranker

T = TypeVar("T")

SAMPLE = 20
KEEPERS = ("owner", "steward")
"""Roles that may change things from the console."""

add_words(
    {
        "role": ("Role", "角色"),
        "looks_as": ("You look as", "当前角色"),
        "api_key": ("API key", "API 密钥"),
        "api_key_hint": ("Your role is that of your API key", "角色由 API 密钥决定"),
    }
)


def set_up(gate: Gate, workspace: Workspace) -> None:
    """Tell this module which gate and workspace the console has."""
    app.state.wares_gate, app.state.wares_workspace = gate, workspace


def workspace() -> Workspace:
    """The workspace that the console shows."""
    return app.state.wares_workspace  # type: ignore[no-any-return]


def role_of(gate: Gate, settings: Access, policy: Policy, stored: dict[str, Any]) -> tuple[str, str]:
    """The visitor as (who, role), from what the visitor's session holds."""
    if gate.required:
        try:
            key, role = gate.role(f"Bearer {stored.get('api_key', '')}", settings.key_role)
        except WaresError:
            return "console", settings.key_role
        return f"key:{key}", role
    chosen = str(stored.get("role", settings.console_role))
    return "console", chosen if chosen in policy.roles else settings.console_role


def current() -> tuple[str, str]:
    """The visitor of this page as (who, role)."""
    shop = workspace()
    return role_of(app.state.wares_gate, shop.config.access, shop.door.policy(), dict(app.storage.user))


def sample(
    shop: Workspace,
    name: str,
    role: str,
    who: str = "console",
    limit: int = SAMPLE,
    version: int | None = None,
) -> list[dict[str, Any]]:
    """Rows of a table for a page, as the role may see them.

    Raises:
        AccessDenied: when the role may read no single rows of it.
    """
    return shop.asset(name, role, who=who, version=version).to_arrow(limit).to_pylist()


def may_change(role: str) -> bool:
    """Whether a role may change the shop's data from the console: decide pairs, run checks."""
    return role in KEEPERS


def readable(name: str) -> bool:
    """Whether the visitor's role may read anything of a table; what is no table has no rows to read."""
    policy = workspace().door.policy()
    return name not in policy.tables or policy.may_read(current()[1], name)


def as_seen(asset: str, row: dict[str, Any]) -> dict[str, Any] | None:
    """Cells that were copied out of a table, as the visitor's role may see them; None when it may see no rows.

    Cells from elsewhere (a file) have no contract: they are for roles that read all tables row by row.
    """
    policy, (_, role) = workspace().door.policy(), current()
    found = policy.role(role)
    if found.is_owner:
        return row
    if asset not in policy.tables:
        return row if "*" in found.tables and found.people_rows else None
    try:
        seen = policy.redact(role, asset, [row])
        shown = policy.columns_shown(role, asset)
    except AccessDenied:
        return None
    if not seen:
        return None
    columns = {column.name for column in policy.tables[asset].columns}
    # A cell that is no column was made of columns: it is for roles that see all of them.
    whole = all(shown.get(name) == "visible" for name in columns)
    return seen[0] | {name: value for name, value in row.items() if whole and name not in columns}


def plain_columns(asset: str) -> dict[str, str] | None:
    """For each column that exists for the visitor's role, ``visible`` or its mask; None for what is no table.

    Raises:
        AccessDenied: when the role may not read the table.
    """
    policy = workspace().door.policy()
    return policy.columns_shown(current()[1], asset) if asset in policy.tables else None


def role_picker() -> None:
    """Where a visitor chooses the role, or gives the key that has one."""
    _, role = current()
    if app.state.wares_gate.required:
        field = (
            ui.input(f"{t('api_key')} · {t('role')}: {role}", password=True)
            .props("dense outlined")
            .classes("w-56 who")
        )
        field.tooltip(t("api_key_hint"))
        field.on("change", lambda: _remember("api_key", field.value or ""))
        return
    names = list(workspace().door.policy().roles)
    ui.select(names, value=role, label=t("looks_as"), on_change=lambda e: _remember("role", e.value)).props(
        "dense outlined"
    ).classes("w-40 who")


def _remember(key: str, value: str) -> None:
    app.storage.user[key] = value.strip()[:200]
    ui.navigate.reload()


def in_service(part: Callable[[Ranker], T | None], words: str, *tables: str) -> T | None:
    """A part of the bundle in service, where the visitor may read all `tables`; else the reason is shown, in the words
    ``WORDS_denied`` or, when an earlier version made the bundle, ``WORDS_old``."""
    if not all(readable(table) for table in tables):
        ui.label(t(f"{words}_denied")).classes("note")
        return None
    found = part(shelf().ranker)
    if found is None:
        ui.label(t(f"{words}_old")).classes("note")
    return found
