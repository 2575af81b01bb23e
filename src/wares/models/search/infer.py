"""Answer a query: words by tantivy, meaning by vectors, one fused list with facets. No torch, no data engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

# Loaded after usearch (2.26) it crashes the process.
import onnxruntime  # noqa: F401  # pyright: ignore[reportUnusedImport]
import tantivy
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA
from usearch.index import Index

from wares.core.arrays import load_array, open_artifact
from wares.core.strings import StringTable
from wares.features.catalogue import Catalogue
from wares.models.search.analysis import ANALYZER, analyzer, as_typed, surface_words
from wares.models.search.asked import Asked, Read
from wares.models.search.candidates import Candidates
from wares.models.search.facets import facet
from wares.models.search.filters import Filters, Limits, Names, limits_of
from wares.models.search.forward import Forward
from wares.models.search.found import Found, Part, Reached, Rows
from wares.models.search.fuse import fused, weights_of, with_learned
from wares.models.search.pages import first_of_groups, sorted_rows
from wares.models.search.reach import DEPTH, Reaching
from wares.models.search.schema import EXACT, FIELDS, KIND, NUMBERS, schema, title_key
from wares.models.search.tuned import Surroundings
from wares.models.search.words import WordQueries

__all__ = ["FIELDS", "KIND", "Filters", "Found", "Searcher", "schema"]

RESCORED = 300
SEEDS = 5
SEED_FLOOR = 0.5
"""A hit with less than this share of the best one's score does not say what was meant."""
Order = Callable[[Asked, Candidates, Mapping[int, float] | None], Part]
"""Scores candidates ``(n,)`` anew, of the shopper's liking of categories by code, where one is known."""
Arrange = Callable[[Asked, Rows, Part | None, Callable[[int], bool]], Rows]
"""The merchant's rules over an ordered list ``(n,)`` with its scores, if it has any: what is banned goes, and what is pinned comes
in where it is allowed, that is, passes the filters."""


class Searcher(Reaching):
    """The search of a bundle."""

    def __init__(
        self,
        folder: Path,
        catalogue: Catalogue,
        encode: Callable[[str], NDArray[np.float32]] | None,
        around: Surroundings | None = None,
        alike: float = 0.0,
        moods: NDArray[np.float32] | None = None,
        mood: float = 0.0,
        *,
        read: Read | None = None,
        learned: Mapping[str, float] | None = None,
        order: Order | None = None,
        rules: Arrange | None = None,
    ) -> None:
        """Open the artefact in `folder`; `alike` is the share of likeness to the best hits, told by `around`, and `mood` that of
        the capped moods ``(n_items,)``.

        `read` understands what was typed; without it, all of it is words. `learned` are weights of parts from judgements
        (`wares.models.search.fuse_train`), `order` scores the candidates at last, and `rules` arranges the list.
        """
        self.manifest = open_artifact(folder, KIND)
        self.config: dict[str, Any] = self.manifest["config"]
        self.catalogue, self.encode, self.around, self.alike = catalogue, encode, around, alike
        self.moods, self.mood = moods, mood
        self.read, self.learned, self.order, self.rules = read, learned, order, rules
        self.schema = schema()
        index = tantivy.Index.open(str(folder / "words"))
        index.register_tokenizer(ANALYZER, analyzer())
        self.words = index.searcher()
        self.near: Any = Index.restore(str(folder / "meaning.usearch"), view=True)
        self.vectors: NDArray[Any] = load_array(folder, "vectors")
        self.members: NDArray[Any] = load_array(folder, "members")
        self.members_ptr: NDArray[Any] = load_array(folder, "members_ptr")
        self.log_sold: NDArray[Any] = load_array(folder, "log_sold")
        self.brands = StringTable.load(folder, "brands")
        self.categories = StringTable.load(folder, "categories")
        self.category_names: list[str] = list(self.categories)
        # A bundle of an earlier version has none of these.
        rich = bool(self.manifest.get("rich"))
        self.forward = Forward(folder) if rich else None
        self.size_of: NDArray[Any] | None = load_array(folder, "size_of") if rich else None
        self.variant_of: NDArray[Any] | None = load_array(folder, "variant_of") if rich else None
        self.since: NDArray[Any] | None = load_array(folder, "since") if rich else None
        self.sizes: list[str] = list(StringTable.load(folder, "sizes")) if rich else []
        self.names = Names(list(self.brands), self.category_names, self.sizes)
        self.queries = WordQueries(self.words, self.schema, self.config["boosts"], rich=rich)
        self.vocabulary: list[str] = list(StringTable.load(folder, "words"))
        self.word_counts: NDArray[Any] = load_array(folder, "word_counts")
        self._everything: tuple[Rows, dict[str, list[tuple[str, int]]]] | None = None

    # -- reaching ----------------------------------------------------------------------------------------------

    def correct(self, word: str) -> str:
        """The word of this catalogue that was probably meant; empty when there is none.

        Numbers and words of up to three letters are not misspelt, they are other words. Up to seven letters may
        have one mistake (a swap counts one), longer ones two; the nearest wins, then the commonest.
        """
        if len(word) < 4 or not word.isascii() or any(ch.isdigit() for ch in word):
            return ""
        limit = 1 if len(word) < 8 else 2
        near = process.extract(word, self.vocabulary, scorer=OSA.distance, score_cutoff=limit, limit=20)
        if not near:
            return ""
        return min(near, key=lambda hit: (hit[1], hit[0][0] != word[0], -self.word_counts[hit[2]], hit[0]))[0]

    def understand(self, text: str) -> Asked:
        """What was typed, read; without a reader all of it is words."""
        return self.read(text) if self.read is not None else as_typed(text)

    # -- answers ---------------------------------------------------------------------------------------------

    def search(
        self,
        text: str,
        k: int,
        offset: int = 0,
        filters: Filters | None = None,
        affinity: dict[int, float] | None = None,
        hidden: NDArray[np.int32] | None = None,
        *,
        asked: Asked | None = None,
        sort: str = "",
        group: str = "",
        mend: bool = True,
    ) -> Found:
        """Products for `text`: places `offset` to `offset + k` of the fused list.

        The best by words, with what is near in meaning and, where clicks showed that it helps, like the best hits, are scored by the
        weighted sum of their parts (`wares.models.search.fuse`), or by `order`; what is further down by words follows as it
        stands, so that every page is cut from one list. An empty text gives what passes the filters, best-sellers first. Ties
        go to the lower row. `hidden` rows are left out (a newer form of the product is elsewhere).

        `asked` is the query where it was read already; `sort` one of `wares.models.search.pages.SORTS` (others than relevance order
        the best `DEPTH` hits), `group` ``variant`` shows one product of each group of variants. Without `mend` no word is
        taken for another.
        """
        filters = filters or Filters()
        asked = _with_words(self.understand(text) if asked is None else asked)
        if not asked.words and (text.strip() and not asked.structured):
            return Found.nothing(asked)
        if not asked.words:
            return self._browse(asked, k, offset, filters, hidden, sort, group)
        corrected = dict(asked.corrected)
        depth = max(DEPTH, offset + k + 2 * RESCORED) if offset + k > DEPTH - RESCORED else DEPTH
        reached, vector = self._reach(
            asked, filters, depth, corrected, hidden, mend=mend and self.read is None
        )
        rows, scores, parts, extra = self._ranked(reached, vector, affinity, hidden)
        found = Found.nothing(replace(reached.asked, corrected=corrected))
        found.corrected, found.total = corrected, reached.total + extra
        found.relaxed = ", ".join(reached.said)
        found.facets = self._facets(reached, filters, rows, corrected)
        if self.rules is not None:
            arranged = self.rules(
                _within(reached.asked, filters), rows, scores, self._passing(reached.limits, hidden)
            )
            found.total += len(arranged) - len(rows)
            rows, scores, parts = _arranged(rows, arranged, scores, parts)
        if sort not in ("", "relevance"):
            sure = np.flatnonzero(np.isin(rows, reached.rows)) if len(reached.rows) else np.arange(len(rows))
            best = sure[:DEPTH]
            best = best[sorted_rows(rows[best], sort, self.catalogue, self.log_sold, self.since)]
            rows, scores, parts = rows[best], scores[best], {n: p[best] for n, p in parts.items()}
            found.total = len(rows)
        return self._page(found, rows, scores, parts, k, offset, group)

    def _passing(self, limits: Limits, hidden: NDArray[np.int32] | None) -> Callable[[int], bool]:
        """Whether a product passes the limits."""

        def passes(row: int) -> bool:
            gone = hidden is not None and row in hidden
            return not gone and bool(limits.keep(self.catalogue, self.size_of, np.array([row]))[0])

        return passes

    def _page(
        self, found: Found, rows: Rows, scores: Part, parts: dict[str, Part], k: int, offset: int, group: str
    ) -> Found:
        chosen, others = np.arange(len(rows)), np.zeros(len(rows), np.int64)
        if group and self.variant_of is not None:
            chosen, others = first_of_groups(self.variant_of[rows])
            found.total -= int(others.sum())
        at = chosen[offset : offset + k]
        found.rows, found.scores, found.variants = rows[at], scores[at], others[offset : offset + k]
        found.parts = {name: part[at] for name, part in parts.items()}
        none = np.zeros(len(at), np.float32)
        found.words, found.meaning = found.parts.get("words", none), found.parts.get("meaning", none)
        found.alike = found.parts.get("alike", none)
        return found

    def weights(self) -> dict[str, float]:
        """What each part counts now."""
        weights = weights_of(float(self.config["vector_weight"]), self.alike, self.mood)
        return weights if self.learned is None else with_learned(weights, self.learned)

    def _ranked(
        self,
        reached: Reached,
        vector: NDArray[np.float32] | None,
        affinity: dict[int, float] | None,
        hidden: NDArray[np.int32] | None,
    ) -> tuple[Rows, Part, dict[str, Part], int]:
        """Everything reached in its order, with scores and parts, and how many of it words did not reach."""
        weights = self.weights()
        word_part = reached.lexical / max(float(reached.lexical.max(initial=0)), 1e-9)
        before = {"words": word_part} | self._known_parts(reached.asked, reached.rows, affinity)
        # Far down the word list meaning cannot lift a product into sight any more.
        quick = fused(before, weights)
        best = np.lexsort((reached.rows, -quick))[:RESCORED]
        extra = reached.near[~np.isin(reached.near, reached.rows)]
        rows = np.concatenate([reached.rows[best], extra])
        words = np.concatenate([word_part[best], np.zeros(len(extra), np.float32)])
        parts = self._parts(reached.asked, rows, words, vector, affinity)
        scores = fused(parts, weights)
        if self.alike > 0 and self.around is not None and len(rows):
            around = self.around(*_seeds(rows, scores))
            more = around.rows[
                reached.limits.keep(self.catalogue, self.size_of, around.rows)
                & ~np.isin(around.rows, np.concatenate([reached.rows, extra]))
            ]
            more = self._allowed(reached.asked, more if hidden is None else more[~np.isin(more, hidden)])
            added = self._parts(reached.asked, more, np.zeros(len(more), np.float32), vector, affinity)
            rows = np.concatenate([rows, more])
            parts = {name: np.concatenate([part, added[name]]) for name, part in parts.items()}
            parts["alike"] = around.scores(rows)
            scores = fused(parts, weights)
            extra = np.concatenate([extra, more])
        if self.order is not None and len(rows):
            first = np.lexsort((rows, -scores))
            given = {name: part[first] for name, part in parts.items()} | {"score": scores[first]}
            scores[first] = self.order(reached.asked, Candidates(rows[first], given), affinity)
        head = np.lexsort((rows, -scores))
        rest = np.setdiff1d(np.arange(len(reached.rows)), best)
        rest = rest[np.lexsort((reached.rows[rest], -reached.lexical[rest]))]
        floor = float(scores.min(initial=0.0)) if len(scores) else 0.0
        nothing = np.zeros(len(rest), np.float32)
        out = {name: np.concatenate([part[head], nothing]) for name, part in parts.items()}
        out["words"][len(head) :] = word_part[rest]
        return (
            np.concatenate([rows[head], reached.rows[rest]]),
            np.concatenate([scores[head], np.minimum(quick[rest], floor)]).astype(np.float32),
            out,
            len(extra),
        )

    def _known_parts(self, asked: Asked, rows: Rows, affinity: Mapping[int, float] | None) -> dict[str, Part]:
        """Parts that need no look at words or vectors."""
        parts: dict[str, Part] = {"popularity": np.asarray(self.log_sold[rows], np.float32)}
        if self.mood > 0 and self.moods is not None:
            parts["mood"] = np.asarray(self.moods[rows], np.float32)
        for name, given in (("affinity", affinity), ("likely", asked.likely)):
            if given:
                table = np.zeros(len(self.category_names) + 1, np.float32)
                for category, value in given.items():
                    if 0 <= category < len(self.category_names):
                        table[category] = value
                parts[name] = table[self.catalogue.category_of[rows]]
        return parts

    def _parts(
        self,
        asked: Asked,
        rows: Rows,
        words: Part,
        vector: NDArray[np.float32] | None,
        affinity: Mapping[int, float] | None,
    ) -> dict[str, Part]:
        """All parts of candidates but likeness, each ``(len(rows),)``."""
        parts = {"words": words, "meaning": self._nearness(rows, vector)}
        parts |= self._known_parts(asked, rows, affinity)
        parts["code"] = parts["exact"] = parts["model"] = np.zeros(len(rows), np.float32)
        typed = asked.text.strip().lower()
        own = self.catalogue.row(asked.text.strip()) if len(typed) <= 200 else -1
        if own >= 0:
            parts["code"] = (rows == own).astype(np.float32)
        if self.forward is not None:
            said = (
                asked.words if not asked.corrected else tuple(asked.corrected.get(w, w) for w in asked.words)
            )
            parts |= self.forward.parts(said, asked.sizes, rows)
            parts["exact"] = self._having(EXACT, [(title_key(asked.text), 1)], rows)
            parts["model"] = self._having(NUMBERS, self.queries.numbers(asked.text), rows)
        return parts

    def _having(self, name: str, terms: list[tuple[str, int]], rows: Rows) -> Part:
        """The share of some terms of a field, each by its rarity, that products have ``(len(rows),)``."""
        out = np.zeros(len(rows), np.float32)
        whole = 0.0
        for term, count in terms:
            weight = float(np.log1p(len(self.catalogue) / max(count, 1)))
            whole += weight
            if term and count <= DEPTH:
                have, _, _ = self._run(
                    tantivy.Query.term_query(self.schema, name, term, "basic"), DEPTH, count=False
                )
                out += weight * np.isin(rows, have)
        return out / max(whole, 1e-9)

    def _nearness(self, rows: NDArray[Any], vector: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """How near in meaning products are to the query, scaled to 0..1."""
        if vector is None or not len(rows):
            return np.zeros(len(rows), np.float32)
        low = self.config["min_cosine"]
        return np.clip((self._cosines(rows, vector) - low) / (1 - low), 0, 1).astype(np.float32)

    def _browse(
        self,
        asked: Asked,
        k: int,
        offset: int,
        filters: Filters,
        hidden: NDArray[np.int32] | None,
        sort: str,
        group: str,
    ) -> Found:
        """What passes the filters and the limits of the query, best-sellers first."""
        limits = limits_of(filters, asked, self.names)
        plain = not limits and not asked.not_words and not asked.attributes
        whole = plain and (hidden is None or not len(hidden))
        found = Found.nothing(asked)
        if whole and self._everything is not None:
            rows, found.facets = self._everything
        else:
            rows = self._within(asked, limits, hidden)
            found.facets = {
                name: facet(
                    name,
                    rows
                    if not self._filtered(name, filters)
                    else self._within(asked, limits_of(filters.without(name), asked, self.names), hidden),
                    self.catalogue,
                    {"brand": self.brands, "category": self.categories, "size": self.sizes},
                    self.size_of,
                )
                for name in self._facet_names()
            }
            if whole:
                self._everything = (rows, found.facets)
        if self.rules is not None:
            rows = self.rules(_within(asked, filters), rows, None, self._passing(limits, hidden))
        found.facets = {name: values for name, values in found.facets.items() if values}
        if sort not in ("", "relevance", "popular"):
            rows = rows[sorted_rows(rows, sort, self.catalogue, self.log_sold, self.since)]
        found.total = len(rows)
        return self._page(found, rows, np.asarray(self.log_sold[rows], np.float32), {}, k, offset, group)

    def _within(self, asked: Asked, limits: Limits, hidden: NDArray[np.int32] | None) -> Rows:
        mask = limits.keep(self.catalogue, self.size_of, np.arange(len(self.catalogue)))
        if hidden is not None and len(hidden):
            mask[hidden] = False
        rows = self._allowed(asked, np.flatnonzero(mask).astype(np.int32))
        return rows[np.lexsort((rows, -self.log_sold[rows]))]

    # -- facets ----------------------------------------------------------------------------------------------

    def _facet_names(self) -> list[str]:
        beside = ["size", "available"] if self.size_of is not None else []
        return [*self.config["facets"], *beside, "price"]

    @staticmethod
    def _filtered(name: str, filters: Filters) -> bool:
        if name == "price":
            return filters.price_min is not None or filters.price_max is not None
        return getattr(filters, name) not in ((), None)

    def _facets(
        self, reached: Reached, filters: Filters, rows: Rows, corrected: dict[str, str]
    ) -> dict[str, list[tuple[str, int]]]:
        """Counts over the best hits; those of a facet that filters do not heed its own filter."""
        names = {"brand": self.brands, "category": self.categories, "size": self.sizes}
        out: dict[str, list[tuple[str, int]]] = {}
        for name in self._facet_names():
            among = rows
            if self._filtered(name, filters):
                limits = limits_of(filters.without(name), reached.asked, self.names)
                among, _, _ = self._lexical(
                    reached.asked, limits, some=reached.some, depth=DEPTH, corrected=corrected, count=False
                )
                among = np.union1d(among, rows).astype(np.int32)
            if values := facet(name, among, self.catalogue, names, self.size_of):
                out[name] = values
        return out


def _with_words(asked: Asked) -> Asked:
    """A size alone is looked for as it was typed."""
    if asked.words or not asked.sizes:
        return asked
    typed = " ".join(span for span, kind, _ in asked.notes if kind == "size")
    typed = typed or " ".join(f"{size.amount:g} {size.unit}" for size in asked.sizes)
    return replace(asked, words=tuple(surface_words(typed)))


def _within(asked: Asked, filters: Filters) -> Asked:
    """The same with the categories that were set beside it, for rules of a category."""
    return replace(asked, categories=(*asked.categories, *filters.category)) if filters.category else asked


def _arranged(
    rows: Rows, arranged: Rows, scores: Part, parts: dict[str, Part]
) -> tuple[Rows, Part, dict[str, Part]]:
    """Scores and parts for a list that rules made of `rows`; what they put in has no parts.

    Scores are given out anew from the top, so that a list merged into this one later does not undo what was pinned or buried.
    """
    if np.array_equal(rows, arranged):
        return rows, scores, parts
    order = np.argsort(rows, kind="stable")
    at = np.minimum(np.searchsorted(rows[order], arranged), max(len(rows) - 1, 0))
    if not len(rows):
        nothing = np.zeros(len(arranged), np.float32)
        return arranged, nothing, dict.fromkeys(parts, nothing)
    known = rows[order][at] == arranged
    place = order[at]
    out = {name: np.where(known, part[place], 0).astype(np.float32) for name, part in parts.items()}
    given = np.where(known, scores[place], 0).astype(np.float32)
    return arranged, np.sort(given)[::-1], out


def _seeds(rows: NDArray[Any], scores: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The best hits and their shares, of sum one."""
    best = np.lexsort((rows, -scores))[:SEEDS]
    value = np.maximum(scores[best], 1e-9)
    sure = value >= SEED_FLOOR * value[0]
    return rows[best][sure].astype(np.int32), (value[sure] / value[sure].sum()).astype(np.float32)
