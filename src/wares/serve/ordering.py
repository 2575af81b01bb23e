"""Opens the learned order of a bundle."""

from __future__ import annotations

from pathlib import Path

from wares.features.catalogue import Catalogue
from wares.models.search.order_infer import KIND, Order


def open_order(bundle: Path, catalogue: Catalogue) -> Order | None:
    """The order of a bundle, for the searcher's hook ``order``; None where the bundle has none or it changes nothing."""
    folder = bundle / KIND
    if not folder.is_dir():
        return None
    order = Order(folder, catalogue)
    return order if order.works else None
