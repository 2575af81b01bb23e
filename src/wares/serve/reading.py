"""Opens what reads the queries of a bundle, with the synonyms that people keep now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from wares.core.synonyms import Curated
from wares.models.search.read_infer import Reader

PART = "search_reader"


def open_reader(bundle: Path, curated: Callable[[], Curated] | None = None) -> Reader | None:
    """The reader of a bundle; None where the bundle, of an earlier version, has none."""
    folder = bundle / PART
    return Reader(folder, curated) if folder.is_dir() else None
