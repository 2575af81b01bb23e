"""Opens the search of a bundle with what it takes from the other parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from wares.core.search_rules import RuleBook
from wares.core.state import State
from wares.core.synonyms import SynonymBook
from wares.features.catalogue import Catalogue
from wares.models.search.asked import Read
from wares.models.search.infer import Arrange, Order, Searcher
from wares.models.search.tuned import KIND, Shares
from wares.models.similar.around import Surroundings
from wares.models.similar.infer import Similar
from wares.serve.ordering import open_order
from wares.serve.reading import open_reader
from wares.serve.rules import Merchandiser


class Hooks(NamedTuple):
    """What stands around retrieval: what reads queries, the learned order, and the merchant's rules; None for what is not there."""

    read: Read | None = None
    order: Order | None = None
    rules: Arrange | None = None


NO_HOOKS = Hooks()


def hooks_of(bundle: Path, catalogue: Catalogue, state: State | None) -> Hooks:
    """Those of a bundle, with the synonyms and rules that people keep in the `state`."""
    reader = open_reader(bundle, SynonymBook(state).curated if state is not None else None)
    return Hooks(
        None if reader is None else reader.read,
        open_order(bundle, catalogue),
        None if state is None else Merchandiser(RuleBook(state), catalogue).arrange,
    )


def open_searcher(
    bundle: Path,
    catalogue: Catalogue,
    encode: Callable[[str], NDArray[Any]],
    similar: Similar,
    hooks: Hooks = Hooks(),
) -> Searcher:
    """The search of a bundle; its parts, likeness to the best hits and moods count as much as the shop's clicks have shown to help."""
    tuned = Shares.read(bundle / KIND)
    return Searcher(
        bundle / "search",
        catalogue,
        encode,
        Surroundings(similar),
        tuned.alike,
        tuned.moods,
        tuned.mood,
        read=hooks.read,
        learned=tuned.learned,
        order=hooks.order,
        rules=hooks.rules,
    )
