"""A graph out of a products file alone: what its columns and titles say, as memberships of items in entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse as sp

from wares.evaluate.readers import MAX_ENTITY, memberships
from wares.graph.columns import COLUMNS, category_steps, normal
from wares.graph.text import add_texts
from wares.graph.triples import Triples


def own_graph(cells: Mapping[str, Sequence[str | None]], rows: Sequence[int], n_items: int) -> sp.csr_matrix:
    """Memberships ``(n_items, n_entities)`` of brands, category steps, and what titles and descriptions tell.

    `cells` has any of ``title``, ``brand``, ``category``, ``description`` by name, one value a line of the file; `rows`
    says which item each line is. Entities of one item, or of more than 2,000, are left out.
    """
    n = len(rows)
    columns = {
        name: [value or "" for value in cells.get(name, [""] * n)]
        for name in ("title", "brand", "category", "description")
    }
    triples = Triples([str(line) for line in range(n)])
    for line in range(n):
        if brand := normal(columns["brand"][line]):
            triples.add(line, "has_brand", triples.entity("brand", brand), COLUMNS)
        for step in category_steps(columns["category"][line]):
            triples.add(line, "in_category", triples.entity("category", step), COLUMNS)
    add_texts(triples, columns["title"], columns["brand"], columns["category"], columns["description"])
    found: list[tuple[int, int]] = []
    for heads, _, tails, _, _, _ in triples.chunks:
        found += [(rows[int(h)], int(t) - n) for h, t in zip(heads, tails, strict=True) if h < n <= t]
    matrix = memberships(found, n_items, max(len(triples.entities) - n, 1))
    size = np.asarray(matrix.sum(0)).ravel()
    return sp.csr_matrix(matrix[:, np.flatnonzero(size <= MAX_ENTITY)])
