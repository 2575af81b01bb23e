"""The rows that a query reaches: by words within limits, by meaning, and by ever weaker readings where there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import tantivy
from numpy.typing import NDArray

from wares.features.catalogue import Catalogue
from wares.models.search.asked import Asked
from wares.models.search.filters import Filters, Limits, Names, limits_of
from wares.models.search.found import Part, Reached, Rows
from wares.models.search.relax import ANY, steps
from wares.models.search.words import WordQueries

DEPTH = 1500
NEAR_TEXTS = 64
A_TEXT = 30
FEW = 10
"""Hits with all words below which some of the words are enough for more."""
MORE = 100
EXACT_ROWS = 5000
"""Products within limits up to which meaning is compared with each."""


class Reaching:
    """The part of a searcher that finds candidates; `wares.models.search.infer.Searcher` opens what it needs."""

    catalogue: Catalogue
    encode: Callable[[str], NDArray[np.float32]] | None
    config: dict[str, Any]
    schema: tantivy.Schema
    words: tantivy.Searcher
    queries: WordQueries
    names: Names
    near: Any
    vectors: NDArray[Any]
    members: NDArray[Any]
    members_ptr: NDArray[Any]
    size_of: NDArray[Any] | None

    def correct(self, word: str) -> str:
        """The word that was probably meant; empty when there is none."""
        raise NotImplementedError

    def _run(self, query: Any, depth: int = DEPTH, *, count: bool = True) -> tuple[Rows, Part, int]:
        result: Any = self.words.search(query, depth, count=count)
        scores = np.array([score for score, _ in result.hits], np.float32)
        rows = self.words.fast_field_values("row", [address for _, address in result.hits])
        return np.array(rows, np.int32), scores, int(result.count or 0)

    def _lexical(
        self, asked: Asked, limits: Limits, *, some: bool, depth: int, corrected: dict[str, str], count: bool = True, mend: bool = False
    ) -> tuple[Rows, Part, int]:  # fmt: skip
        query = self.queries.query(
            self._mended(asked, corrected), limits.queries(self.schema), some=some,
            mend=self.correct if mend else None, corrected=corrected,
        )  # fmt: skip
        return self._run(query, depth, count=count)

    @staticmethod
    def _mended(asked: Asked, corrected: Mapping[str, str]) -> Asked:
        """The same with words mended that were mended before."""
        if not any(word in corrected for word in asked.words):
            return asked
        return replace(asked, words=tuple(corrected.get(word, word) for word in asked.words))

    def _by_meaning(self, vector: NDArray[np.float32], limits: Limits) -> Rows:
        """The products nearest in meaning within limits; compared one by one where the limits leave few."""
        found = self.near.search(vector, min(NEAR_TEXTS, max(len(self.vectors), 1)))
        keys = np.asarray(found.keys)[1 - np.asarray(found.distances) >= self.config["min_cosine"]]
        rows = self._members(keys)
        rows = rows[limits.keep(self.catalogue, self.size_of, rows)]
        if not limits or len(rows) >= NEAR_TEXTS // 4:
            return rows
        inside, _, total = self._run(
            tantivy.Query.boolean_query([(tantivy.Occur.Must, tantivy.Query.all_query()), *limits.queries(self.schema)]), EXACT_ROWS,
        )  # fmt: skip
        if total > EXACT_ROWS or not total:
            return rows
        cosine = self._cosines(inside, vector)
        best = np.argsort(-cosine, kind="stable")[:NEAR_TEXTS]
        return np.union1d(rows, inside[best[cosine[best] >= self.config["min_cosine"]]]).astype(np.int32)

    def _members(self, keys: NDArray[Any]) -> Rows:
        rows = [
            self.members[int(self.members_ptr[key]) : int(self.members_ptr[key + 1])][:A_TEXT] for key in keys
        ]
        return np.concatenate(rows).astype(np.int32) if rows else np.zeros(0, np.int32)

    def _cosines(self, rows: NDArray[Any], vector: NDArray[np.float32]) -> NDArray[np.float32]:
        texts, back = np.unique(self.catalogue.text_of[rows], return_inverse=True)
        return (self.vectors[texts].astype(np.float32) @ vector)[back]

    def _allowed(self, asked: Asked, rows: Rows) -> Rows:
        """Those of `rows` that have no unwanted word and the attributes asked for: told by the word index."""
        clauses = [*self.queries.not_these(asked), *self.queries.attributes(asked)]
        if not clauses or not len(rows):
            return rows
        query, occur = tantivy.Query, tantivy.Occur
        these = query.term_set_query(self.schema, "row", [int(r) for r in rows])
        kept, _, _ = self._run(query.boolean_query([(occur.Must, these), *clauses]), len(rows))
        return rows[np.isin(rows, kept)]

    def _meant(self, asked: Asked, corrected: Mapping[str, str]) -> str:
        """The words for the encoder: as typed, mended, or, where structure was found, what is left with its brands."""
        if asked.structured:
            return " ".join((*asked.brands, *asked.words))[:500]
        return (
            " ".join(corrected.get(word, word) for word in asked.text[:500].lower().split())
            if corrected
            else asked.text[:500]
        )

    def _reach(
        self,
        asked: Asked,
        filters: Filters,
        depth: int,
        corrected: dict[str, str],
        hidden: NDArray[np.int32] | None,
        *,
        mend: bool,
    ) -> tuple[Reached, NDArray[np.float32] | None]:
        """The first reading of a query that reaches anything, and the vector of its words."""
        vector: NDArray[np.float32] | None = None
        nothing = np.zeros(0, np.int32)
        reached = Reached(asked, Limits(), True, (), nothing, np.zeros(0, np.float32), 0, nothing)
        for reading, some, said in steps(asked):
            limits = limits_of(filters, reading, self.names)
            rows, lexical, total = self._lexical(
                reading, limits, some=some, depth=depth, corrected=corrected, mend=mend
            )
            if hidden is not None and len(hidden):
                seen = ~np.isin(rows, hidden)
                rows, lexical, total = rows[seen], lexical[seen], total - int((~seen).sum())
            if not len(rows) and not some and len(reading.words) > 1:
                continue
            near = nothing
            # What is near within the limits is an answer where words find none at all; before, words go on with fewer limits.
            if (len(rows) or not len(reached.near)) and self.encode is not None and len(self.vectors):
                vector = self.encode(self._meant(reading, corrected))
                near = self._by_meaning(vector, limits)
                near = self._allowed(reading, near if hidden is None else near[~np.isin(near, hidden)])
            if len(rows) or (len(near) and not len(reached.near)):
                said = said if len(rows) else tuple(name for name in said if name != ANY)
                reached = Reached(reading, limits, some, said, rows, lexical, total, near)
            if len(rows):
                break
        if not reached.some and 0 < reached.total < FEW and len(reached.asked.words) > 2:
            self._fill(reached, corrected, hidden)
        return reached, vector

    def _fill(self, reached: Reached, corrected: dict[str, str], hidden: NDArray[np.int32] | None) -> None:
        """Behind the few that have all words, those that have some of them."""
        rows, lexical, _ = self._lexical(
            reached.asked, reached.limits, some=True, depth=MORE, corrected=corrected, count=False
        )
        fresh = ~np.isin(rows, reached.rows if hidden is None else np.concatenate([reached.rows, hidden]))
        ceiling = float(reached.lexical.min())
        reached.rows = np.concatenate([reached.rows, rows[fresh]])
        reached.lexical = np.concatenate([reached.lexical, np.minimum(lexical[fresh], ceiling)])
        reached.total += int(fresh.sum())
