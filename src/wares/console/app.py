"""Mount the console's pages on the API's application."""

from __future__ import annotations

import secrets
from pathlib import Path

from fastapi import FastAPI
from nicegui import app as pages
from nicegui import ui
from nicegui.storage import Storage

from wares.console import (
    access,
    assets,
    cleaning,
    emerging,
    fusion,
    labels,
    lineage,
    mood_alerts,
    mood_heat,
    mood_try,
    moods,
    prices,
    quality,
    quarantine,
    satisfaction,
    search_gaps,
    search_rules,
    service,
    storefront,
    workshop,
)
from wares.console.assets_api import mount_assets
from wares.console.frame import arrange
from wares.console.roles import set_up
from wares.core.config import FILE, load_config
from wares.core.files import write_atomic
from wares.pipeline.workspace import open_workspace


def mount(app: FastAPI, workspace: Path) -> None:
    """Add the storefront at ``/`` and the workshop at ``/workshop``."""
    pages.state.wares_shelf = app.state.shelf
    pages.state.wares_language = load_config(workspace / FILE).shop.language
    secret = workspace / "state" / "console.secret"
    if not secret.is_file():
        write_atomic(secret, secrets.token_urlsafe(32))
        secret.chmod(0o600)
    # What a visitor chose (language, shopper) stays in the workspace, not in whatever folder the server was started from.
    Storage.path = workspace / "state" / "console"
    shop = open_workspace(workspace)
    set_up(app.state.gate, shop)
    mount_assets(app, shop, app.state.gate)
    storefront.register()
    workshop.register(workspace)
    assets.register()
    lineage.register()
    labels.register(workspace)
    quality.register(workspace)
    quarantine.register(workspace)
    cleaning.register(workspace)
    access.register()
    fusion.register(workspace)
    moods.register()
    mood_heat.register()
    mood_alerts.register()
    mood_try.register()
    prices.register()
    emerging.register()
    satisfaction.register()
    search_gaps.register()
    search_rules.register()
    service.register()
    arrange()
    ui.run_with(app, title="wares", storage_secret=secret.read_text(), show_welcome_message=False)
