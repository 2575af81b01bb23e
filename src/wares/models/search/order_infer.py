"""The learned order while serving: features of candidates, trees over them, variety where a query means several things."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact
from wares.core.search_rules import normal_query
from wares.features.catalogue import Catalogue
from wares.features.trees import Trees
from wares.models.search.asked import Asked
from wares.models.search.candidates import Candidates
from wares.models.search.judge import Rates
from wares.models.search.spread import tail_floor, various

KIND = "search_order"
PERSONAL = "affinity"
AFFINITY = 0.15
"""What a shopper's liking of a category weighs in the retrieval's score: as much it weighs here."""
SHARED = (
    "place",
    "below_best",
    "likely_here",
    "price",
    "price_level",
    "available",
    "query_words",
    "candidates",
)
RATE_NAMES = tuple(f"{of}_{name}" for of in ("pair", "product") for name in ("click", "cart", "purchase", "looks"))  # fmt: skip


class Features:
    """Features of candidates: their parts, what is known of the products, and rates of behaviour.

    ``facts (n_items, f) float32`` with names `fact_names`: popularity, freshness, mood and what else the build knows. `part_names` are
    the parts that the trees know; what retrieval does not say of a candidate is NaN, and other parts are passed over.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        part_names: tuple[str, ...],
        facts: NDArray[Any],
        fact_names: tuple[str, ...],
        rates: Rates,
    ) -> None:
        self.catalogue, self.part_names, self.facts, self.rates = catalogue, part_names, facts, rates
        self.names = (*part_names, *SHARED, *fact_names, *RATE_NAMES)

    def of(self, asked: Asked, candidates: Candidates) -> NDArray[np.float32]:
        """One row a candidate ``(n, len(names))``; NaN where nothing is known."""
        rows, n = candidates.rows, len(candidates)
        unknown = np.full(n, np.nan, np.float32)
        score = impersonal(candidates)
        known = candidates.parts | {"score": score}
        parts = [known.get(name, unknown) for name in self.part_names]
        price = np.asarray(self.catalogue.prices[rows], np.float32)
        price = np.where(price >= 0, np.log1p(np.maximum(price, 0)), np.nan)
        level = price - np.nanmedian(price) if np.isfinite(price).any() else price
        place = np.empty(n, np.float32)
        place[np.argsort(-score, kind="stable")] = np.log1p(np.arange(n, dtype=np.float32))
        likely = np.array(
            [asked.likely.get(int(code), 0.0) for code in self.catalogue.category_of[rows]]
            if asked.likely
            else np.zeros(n),
            np.float32,
        )
        best = float(score.max(initial=0))
        shared = [
            place, score / best if best > 0 else unknown, likely, price, level, np.asarray(self.catalogue.available[rows], np.float32),
            np.full(n, len(asked.words)), np.full(n, n),
        ]  # fmt: skip
        table = np.column_stack([*parts, *shared]).astype(np.float32)
        return np.hstack(
            [table, self.facts[rows].astype(np.float32), self.rates.look_up(normal_query(asked.text), rows)]
        )


def impersonal(candidates: Candidates) -> NDArray[np.float32]:
    """The retrieval's score ``(n,)`` without the shopper's share: what the trees learned from."""
    score = candidates.parts.get("score")
    if score is None:
        return np.arange(len(candidates), 0, -1, dtype=np.float32)
    liked = candidates.parts.get(PERSONAL)
    return score if liked is None else (score - AFFINITY * liked).astype(np.float32)


class Order:
    """The order that the shop's searches taught: scores candidates of a query anew. The searcher's hook ``order``."""

    def __init__(self, folder: Path, catalogue: Catalogue) -> None:
        """Open the artefact in `folder`.

        Raises:
            IncompatibleArtifact: when it is of another version, or damaged.
        """
        self.manifest = open_artifact(folder, KIND)
        self.facts: dict[str, Any] = self.manifest["facts"]
        self.kept = bool(self.facts["gate"]["kept"])
        self.catalogue = catalogue
        self.diversity = float(self.facts["diversity"])
        self.tail_share = float(self.facts["tail_share"])
        self.tail: NDArray[Any] = load_array(folder, "tail")
        self._trees = Trees(folder / "order.onnx") if self.kept else None
        self._features = (
            Features(
                catalogue, tuple(self.facts["parts"]), load_array(folder, "facts"), tuple(self.facts["fact_names"]), Rates.load(folder),
            )
            if self.kept
            else None
        )  # fmt: skip

    @property
    def works(self) -> bool:
        """Whether it changes anything: trees that were proven, or variety or a long-tail floor that the shop asked for."""
        return self.kept or self.diversity > 0 or self.tail_share > 0

    def _learned(self, asked: Asked, candidates: Candidates) -> NDArray[np.float32]:
        """Scores of the trees ``(n,)``, in which a shopper's liking moves products as far as it does in retrieval; the retrieval's
        own where no trees were proven."""
        if self._trees is None or self._features is None:
            return candidates.parts.get("score", impersonal(candidates))
        scores = self._trees.scores(self._features.of(asked, candidates))
        liked = candidates.parts.get(PERSONAL)
        if liked is None:
            return scores
        scale = float(scores.std()) / max(float(impersonal(candidates).std()), 1e-6)
        return (scores + AFFINITY * scale * liked).astype(np.float32)

    def __call__(
        self, asked: Asked, candidates: Candidates, affinity: Mapping[int, float] | None = None
    ) -> NDArray[np.float32]:
        """Scores of the candidates ``(n,) float32``, the best highest, all finite. Ties are left to the searcher.

        `affinity` is taken for the hook's sake: it already lies in the part ``affinity``.
        """
        if not len(candidates):
            return np.zeros(0, np.float32)
        scores = self._learned(asked, candidates)
        if self.diversity <= 0 and self.tail_share <= 0:
            return scores
        order = np.argsort(-scores, kind="stable")
        if self.diversity > 0:
            category = np.asarray(self.catalogue.category_of[candidates.rows])
            order = various(order, scores, category, self.diversity)
        if self.tail_share > 0:
            order = tail_floor(order, np.asarray(self.tail[candidates.rows]), self.tail_share)
        # The same scores, given out in the new order: what is merged with the list later still compares.
        out = np.empty(len(order), np.float32)
        out[order] = np.sort(scores)[::-1]
        # Equal scores would fall back to the lower row.
        return (out - 1e-5 * np.argsort(order)).astype(np.float32)
