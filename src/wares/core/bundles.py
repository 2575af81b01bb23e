"""Bundles: immutable folders named by their hash, and the one small file that says which is live."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wares.core.arrays import open_artifact
from wares.core.errors import NotFitted
from wares.core.files import read_json, write_json

KIND = "bundle"
POINTER = "live.json"
PARTS = (
    "catalogue",
    "encoder",
    "interactions",
    "recommend",
    "images",
    "similar",
    "sentiment",
    "moods",
    "search",
    "search_reader",
    "search_tuned",
    "suggest",
    "graph",
    "together",
    "rebuy",
    "segments",
    "trending",
    "price",
    "emerging",
    "elasticity",
    "mood_uses",
)


MATCHER = "matcher"
"""Beside the parts, where the configuration names a trained matcher."""


def bundles_folder(workspace: Path) -> Path:
    """Where a workspace keeps its bundles."""
    return workspace / "bundles"


def pointer(workspace: Path) -> dict[str, Any]:
    """``{"live": name or "", "before": [older names, newest first]}``."""
    path = bundles_folder(workspace) / POINTER
    return dict(read_json(path)) if path.is_file() else {"live": "", "before": []}


def live_bundle(workspace: Path) -> Path:
    """The folder of the live bundle.

    Raises:
        NotFitted: when nothing was published yet.
    """
    name = str(pointer(workspace)["live"])
    if not name:
        raise NotFitted(f"nothing is published in {workspace}", mend="Run `wares build` and `wares publish`")
    return bundles_folder(workspace) / name


def set_live(workspace: Path, name: str) -> None:
    """Switch to a bundle; one atomic rename, so a reader sees the old name or the new one."""
    now = pointer(workspace)
    if now["live"] == name:
        return
    before = [n for n in [now["live"], *now["before"]] if n and n != name]
    write_json(bundles_folder(workspace) / POINTER, {"live": name, "before": before})


def step_back(workspace: Path) -> str:
    """Make the bundle before the live one live; returns its name.

    Raises:
        NotFitted: when there is none.
    """
    now = pointer(workspace)
    there = [n for n in now["before"] if (bundles_folder(workspace) / n).is_dir()]
    if not there:
        raise NotFitted("there is no earlier bundle", mend="Publish twice before rolling back")
    write_json(bundles_folder(workspace) / POINTER, {"live": there[0], "before": there[1:]})
    return str(there[0])


def open_bundle(folder: Path, *, verify: bool = False) -> dict[str, Any]:
    """The manifest of a bundle, checked; with `verify`, every byte is checked too."""
    return open_artifact(folder, KIND, verify=verify)
