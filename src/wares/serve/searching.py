"""Opens the search of a bundle with what it takes from the other parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact
from wares.features.catalogue import Catalogue
from wares.models.search.asked import Read
from wares.models.search.infer import Arrange, Order, Searcher
from wares.models.search.tuned import KIND
from wares.models.similar.around import Surroundings
from wares.models.similar.infer import Similar


def open_searcher(
    bundle: Path,
    catalogue: Catalogue,
    encode: Callable[[str], NDArray[Any]],
    similar: Similar,
    *,
    read: Read | None = None,
    order: Order | None = None,
    rules: Arrange | None = None,
) -> Searcher:
    """The search of a bundle; its parts, likeness to the best hits and moods count as much as the shop's clicks have shown to help.

    `read`, `order` and `rules` are as `wares.models.search.infer.Searcher` takes them.
    """
    tuned = bundle / "search_tuned"
    # A bundle of an earlier version has none.
    found = open_artifact(tuned, KIND)["tuned"] if tuned.is_dir() else {}
    mood = float(found.get("mood", {}).get("share", 0.0))
    moods = load_array(tuned, "moods") if mood > 0 else None
    return Searcher(
        bundle / "search",
        catalogue,
        encode,
        Surroundings(similar),
        float(found.get("alike", 0.0)),
        moods,
        mood,
        read=read,
        learned=found.get("fusion", {}).get("weights") or None,
        order=order,
        rules=rules,
    )
