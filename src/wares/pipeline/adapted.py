"""Which adapted encoder is live in a workspace: ``encoders/NAME`` and one small file that names it."""

from __future__ import annotations

import shutil
from pathlib import Path

from wares.core.config import Encoder
from wares.core.files import read_json, write_json

FOLDER = "encoders"
POINTER = "live.json"


def live_encoder(root: Path, config: Encoder) -> Path | None:
    """The folder of the adapted encoder that a build uses; None when there is none, or it was made of another model."""
    path = root / FOLDER / POINTER
    if not config.adapted or not path.is_file():
        return None
    live = read_json(path)
    folder = root / FOLDER / str(live["name"])
    same = [live["model"], live["prefix_query"], live["prefix_passage"]] == [
        config.model,
        config.prefix_query,
        config.prefix_passage,
    ]
    return folder if same and folder.is_dir() else None


def set_live(root: Path, name: str, config: Encoder) -> None:
    """Make an adapted encoder the one that the next build uses."""
    facts = {
        "name": name,
        "model": config.model,
        "prefix_query": config.prefix_query,
        "prefix_passage": config.prefix_passage,
    }
    write_json(root / FOLDER / POINTER, facts)


def forget_adapted(root: Path) -> int:
    """Remove adapted encoders and half-done runs: they learned from deeds and words that are erased now. Returns how many files went."""
    home = root / FOLDER
    if not home.is_dir():
        return 0
    files = sum(1 for path in home.rglob("*") if path.is_file())
    shutil.rmtree(home)
    return files
