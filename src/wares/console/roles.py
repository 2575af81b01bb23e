"""In whose role a visitor of the console looks at data, and samples through the read door.

On this machine a visitor chooses any role. Where the server needs keys, a visitor has ``access.key_role`` until an API key is
given, and then the role of that key.
"""

from __future__ import annotations

from typing import Any

from nicegui import app, ui

from wares.console.frame import t
from wares.console.words import add_words
from wares.core.access import Policy
from wares.core.config import Access
from wares.core.errors import WaresError
from wares.pipeline.workspace import Workspace
from wares.serve.auth import Gate

SAMPLE = 20

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


def role_picker() -> None:
    """Where a visitor chooses the role, or gives the key that has one."""
    _, role = current()
    if app.state.wares_gate.required:
        field = (
            ui.input(f"{t('api_key')} · {t('role')}: {role}", password=True)
            .props("dense outlined")
            .classes("w-64")
        )
        field.tooltip(t("api_key_hint"))
        field.on("change", lambda: _remember("api_key", field.value or ""))
        return
    names = list(workspace().door.policy().roles)
    ui.select(names, value=role, label=t("looks_as"), on_change=lambda e: _remember("role", e.value)).props(
        "dense outlined"
    ).classes("w-48")


def _remember(key: str, value: str) -> None:
    app.storage.user[key] = value.strip()[:200]
    ui.navigate.reload()
