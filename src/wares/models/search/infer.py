"""Answer a query: words by tantivy, meaning by vectors, one fused list with facets. No torch, no data engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tantivy
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA
from usearch.index import Index

from wares.core.arrays import load_array, open_artifact
from wares.core.strings import StringTable
from wares.features.catalogue import PRICE_SCALE, Catalogue
from wares.models.search.analysis import ANALYZER, analyzer, stem, surface_words
from wares.models.search.tuned import Surroundings

KIND = "search"
FIELDS = ("title", "brand", "category", "size", "description")
DEPTH = 1500
RESCORED = 300
NEAR_TEXTS = 64
A_TEXT = 30
POPULARITY = 0.12
AFFINITY = 0.15
PRICE_BANDS = 5
SEEDS = 5
SEED_FLOOR = 0.5
"""A hit with less than this share of the best one's score does not say what was meant."""


def schema() -> tantivy.Schema:
    """The fields of the word index."""
    builder = tantivy.SchemaBuilder()
    for name in FIELDS:
        builder.add_text_field(name, tokenizer_name=ANALYZER)
    builder.add_text_field("code", tokenizer_name="raw", index_option="basic")
    for name in ("row", "brand_code", "category_code", "price", "available"):
        builder.add_integer_field(name, fast=True, indexed=True)
    return builder.build()


@dataclass(frozen=True, slots=True)
class Filters:
    """What a hit must be. ``category`` also takes everything below a path."""

    brand: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    price_min: float | None = None
    price_max: float | None = None
    available: bool | None = None

    def __bool__(self) -> bool:
        return bool(
            self.brand
            or self.category
            or self.available is not None
            or self.price_min is not None
            or self.price_max is not None
        )


@dataclass(slots=True)
class Found:
    """An answer by row, best first, with ``words``, ``meaning`` and ``alike`` parts, the total, facets, and what was done
    to the query."""

    rows: NDArray[np.int32]
    scores: NDArray[np.float32]
    words: NDArray[np.float32]
    meaning: NDArray[np.float32]
    alike: NDArray[np.float32]
    total: int
    facets: dict[str, list[tuple[str, int]]]
    relaxed: str = ""
    corrected: dict[str, str] = field(default_factory=dict[str, str])


class Searcher:
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
    ) -> None:
        """Open the artefact in `folder`; `alike` is the share of likeness to the best hits, told by `around`, and `mood` that of
        the capped moods ``(n_items,)``."""
        self.manifest = open_artifact(folder, KIND)
        self.config: dict[str, Any] = self.manifest["config"]
        self.catalogue, self.encode, self.around, self.alike = catalogue, encode, around, alike
        self.moods, self.mood = moods, mood
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
        self.vocabulary: list[str] = list(StringTable.load(folder, "words"))
        self.word_counts: NDArray[Any] = load_array(folder, "word_counts")
        self._everything: Found | None = None

    # -- words -----------------------------------------------------------------------------------------------

    def _word(self, word: str, *, prefix: bool, corrected: dict[str, str]) -> Any:
        query = tantivy.Query
        token = stem(word)
        if not token:
            return None
        boosts = self.config["boosts"]

        def exact(token: str) -> list[Any]:
            fields = [name for name in FIELDS if self.words.doc_freq(name, token) > 0]
            return [
                query.boost_query(query.term_query(self.schema, f, token), float(boosts.get(f, 1.0)))
                for f in fields
            ]

        def begun() -> list[Any]:
            if not prefix or len(word) < 2:
                return []
            return [
                query.boost_query(query.fuzzy_term_query(self.schema, f, word, 0, prefix=True), 0.5)
                for f in ("title", "brand", "category")
            ]

        found = exact(token)
        if not found:
            near = self.correct(word)
            if near:
                corrected[word] = near
                found = exact(stem(near))
        found += begun()
        return query.disjunction_max_query(found, 0.1) if found else None

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

    def _limits(self, filters: Filters, limited: dict[str, NDArray[Any]]) -> list[Any]:
        query, out = tantivy.Query, []
        kind = tantivy.FieldType.Integer
        for name, codes in limited.items():
            out.append(
                query.term_set_query(self.schema, f"{name}_code", [int(c) for c in codes])
                if len(codes)
                else query.empty_query()
            )
        if filters.price_min is not None or filters.price_max is not None:
            low, high = _price_bounds(filters)
            out.append(query.range_query(self.schema, "price", kind, low, high))
        if filters.available is not None:
            out.append(query.term_query(self.schema, "available", int(filters.available)))
        return [query.const_score_query(q, 0.0) for q in out]

    def _codes(self, filters: Filters) -> dict[str, NDArray[Any]]:
        limited: dict[str, NDArray[Any]] = {}
        if filters.brand:
            limited["brand"] = np.array(
                [row for name in filters.brand if (row := self.brands.find(name)) >= 0], np.int32
            )
        if filters.category:
            hits = [
                i
                for i, name in enumerate(self.category_names)
                if any(name == f or name.startswith(f"{f} >") for f in filters.category)
            ]
            limited["category"] = np.array(hits, np.int32)
        return limited

    def _keep(
        self, rows: NDArray[Any], filters: Filters, limited: dict[str, NDArray[Any]]
    ) -> NDArray[np.bool_]:
        keep = np.ones(len(rows), bool)
        if "brand" in limited:
            keep &= np.isin(self.catalogue.brand_of[rows], limited["brand"])
        if "category" in limited:
            keep &= np.isin(self.catalogue.category_of[rows], limited["category"])
        if filters.price_min is not None or filters.price_max is not None:
            low, high = _price_bounds(filters)
            price = self.catalogue.prices[rows]
            keep &= (price >= low) & (price <= high)
        if filters.available is not None:
            keep &= self.catalogue.available[rows] == int(filters.available)
        return keep

    def _by_words(
        self, text: str, words: list[str], limits: list[Any], found: Found
    ) -> tuple[NDArray[Any], NDArray[Any], int]:
        query, occur = tantivy.Query, tantivy.Occur
        parts = [
            self._word(t, prefix=i == len(words) - 1 and not text.endswith(" "), corrected=found.corrected)
            for i, t in enumerate(words)
        ]
        known = [p for p in parts if p is not None]
        code = query.boost_query(query.term_query(self.schema, "code", text.strip().lower()[:200]), 50.0)
        must = [(occur.Must, q) for q in limits]
        if len(known) == len(parts) and known:
            every = query.boolean_query([(occur.Must, q) for q in known])
            rows, scores, total = self._run(
                query.boolean_query([(occur.Must, query.disjunction_max_query([every, code])), *must])
            )
            if total or len(known) == 1:
                return rows, scores, total
        some = [*known, code]
        rows, scores, total = self._run(
            query.boolean_query([(occur.Must, query.boolean_query([(occur.Should, q) for q in some])), *must])
        )
        if total and len(words) > 1:
            found.relaxed = "any of the words"
        return rows, scores, total

    def _run(self, query: Any) -> tuple[NDArray[Any], NDArray[Any], int]:
        result = self.words.search(query, DEPTH, count=True)
        scores = np.array([score for score, _ in result.hits], np.float32)
        rows = self.words.fast_field_values("row", [address for _, address in result.hits])
        return np.array(rows, np.int32), scores, int(getattr(result, "count", 0) or 0)

    # -- meaning ---------------------------------------------------------------------------------------------

    def _by_meaning(self, vector: NDArray[np.float32]) -> NDArray[Any]:
        """Products of the texts nearest to the query."""
        found = self.near.search(vector, NEAR_TEXTS)
        keys = np.asarray(found.keys).astype(np.int64)[
            1.0 - np.asarray(found.distances) >= self.config["min_cosine"]
        ]
        rows = [
            self.members[int(self.members_ptr[key]) : int(self.members_ptr[key + 1])][:A_TEXT] for key in keys
        ]
        return np.concatenate(rows).astype(np.int32) if rows else np.zeros(0, np.int32)

    def _cosines(self, rows: NDArray[Any], vector: NDArray[np.float32]) -> NDArray[np.float32]:
        texts, back = np.unique(self.catalogue.text_of[rows], return_inverse=True)
        return (self.vectors[texts].astype(np.float32) @ vector)[back]

    # -- answers ---------------------------------------------------------------------------------------------

    def search(
        self,
        text: str,
        k: int,
        offset: int = 0,
        filters: Filters | None = None,
        affinity: dict[int, float] | None = None,
        hidden: NDArray[np.int32] | None = None,
    ) -> Found:
        """Products for `text`: places `offset` to `offset + k` of the fused list.

        score = (1 − v) · words/max + v · scaled cosine + a little popularity and, for a known shopper, `affinity` to
        a category (by code, 0..1). Where the shop's clicks showed that moods help, so does the capped mood. Where the clicks showed that it helps, likeness to the best hits adds to it, and
        brings in products that neither words nor meaning found. An empty text gives what passes the filters, best-sellers first. Ties go to
        the lower row. `hidden` rows are left out (a newer form of the product is elsewhere).
        """
        filters = filters or Filters()
        words = surface_words(text)
        none = np.zeros(0, np.float32)
        found = Found(np.zeros(0, np.int32), none, none, none, none, 0, {})
        limited = self._codes(filters)
        if not words:
            return self._browse(text, k, offset, filters, limited, found, hidden)
        rows, lexical, total = self._by_words(text, words, self._limits(filters, limited), found)
        meant = (
            " ".join(found.corrected.get(word, word) for word in text[:500].lower().split())
            if found.corrected
            else text[:500]
        )
        vector = self.encode(meant) if self.encode is not None and len(self.vectors) else None
        near = self._by_meaning(vector) if vector is not None else np.zeros(0, np.int32)
        near = near[self._keep(near, filters, limited)]
        extra = near[~np.isin(near, rows)]
        everything = np.concatenate([rows, extra])
        if hidden is not None and len(hidden):
            mask = ~np.isin(everything, hidden)
            total -= int((~mask[: len(rows)]).sum())
            lexical = lexical[mask[: len(rows)]]
            extra = extra[mask[len(rows) :]]
            everything = everything[mask]
        word_part = np.zeros(len(everything), np.float32)
        word_part[: len(lexical)] = lexical / max(float(lexical.max(initial=0)), 1e-9)
        # Far down the word list meaning cannot lift a product into sight any more.
        shown = np.concatenate(
            [np.arange(min(RESCORED, len(lexical))), np.arange(len(lexical), len(everything))]
        )
        near_part = np.zeros(len(everything), np.float32)
        near_part[shown] = self._nearness(everything[shown], vector)
        scores = self._scores(everything, word_part, near_part, affinity)
        alike_part = np.zeros(len(everything), np.float32)
        if self.alike > 0 and self.around is not None and len(everything):
            around = self.around(*_seeds(everything, scores))
            more = around.rows[self._keep(around.rows, filters, limited) & ~np.isin(around.rows, everything)]
            if hidden is not None:
                more = more[~np.isin(more, hidden)]
            nothing = np.zeros(len(more), np.float32)
            meant_part = self._nearness(more, vector)
            shown = np.concatenate([shown, np.arange(len(everything), len(everything) + len(more))])
            everything = np.concatenate([everything, more])
            word_part = np.concatenate([word_part, nothing])
            near_part = np.concatenate([near_part, meant_part])
            alike_part = np.zeros(len(everything), np.float32)
            alike_part[shown] = around.scores(everything[shown])
            scores = np.concatenate([scores, self._scores(more, nothing, meant_part, affinity)])
            scores = scores + self.alike * alike_part
            total += len(more)
        order = np.lexsort((everything, -scores))
        page = order[offset : offset + k]
        found.rows, found.scores = everything[page], scores[page].astype(np.float32)
        found.words, found.meaning, found.alike = word_part[page], near_part[page], alike_part[page]
        found.total = total + len(extra)
        found.facets = self._facets(everything)
        return found

    def _nearness(self, rows: NDArray[Any], vector: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """How near in meaning products are to the query, scaled to 0..1."""
        if vector is None or not len(rows):
            return np.zeros(len(rows), np.float32)
        low = self.config["min_cosine"]
        return np.clip((self._cosines(rows, vector) - low) / (1 - low), 0, 1).astype(np.float32)

    def _scores(
        self,
        rows: NDArray[Any],
        word_part: NDArray[np.float32],
        near_part: NDArray[np.float32],
        affinity: dict[int, float] | None,
    ) -> NDArray[np.float32]:
        v = float(self.config["vector_weight"])
        scores = (1 - v) * word_part + v * near_part + POPULARITY * self.log_sold[rows]
        if self.mood > 0 and self.moods is not None:
            scores = scores + self.mood * self.moods[rows]
        if affinity:
            like = np.zeros(len(self.category_names) + 1, np.float32)
            for category, value in affinity.items():
                like[category] = value
            scores = scores + AFFINITY * like[self.catalogue.category_of[rows]]
        return np.asarray(scores, np.float32)

    def _browse(
        self,
        text: str,
        k: int,
        offset: int,
        filters: Filters,
        limited: dict[str, NDArray[Any]],
        found: Found,
        hidden: NDArray[np.int32] | None,
    ) -> Found:
        if text.strip():
            return found
        whole = not filters and (hidden is None or not len(hidden))
        if whole and self._everything is not None:
            ranked, facets = self._everything.rows, self._everything.facets
        else:
            mask = self._keep(np.arange(len(self.catalogue)), filters, limited)
            if hidden is not None and len(hidden):
                mask[hidden] = False
            rows = np.flatnonzero(mask).astype(np.int32)
            ranked, facets = rows[np.lexsort((rows, -self.log_sold[rows]))], self._facets(rows)
        found.rows, found.total, found.facets = ranked[offset : offset + k], len(ranked), facets
        found.scores = np.asarray(self.log_sold[found.rows])
        nothing = found.words = found.meaning = found.alike = np.zeros(len(found.rows), np.float32)
        if whole and self._everything is None:
            self._everything = Found(ranked, found.scores, nothing, nothing, nothing, len(ranked), facets)
        return found

    def _facets(self, rows: NDArray[Any]) -> dict[str, list[tuple[str, int]]]:
        out: dict[str, list[tuple[str, int]]] = {}
        for name, code_of, names in (
            ("brand", self.catalogue.brand_of, self.brands),
            ("category", self.catalogue.category_of, self.categories),
        ):
            if name not in self.config["facets"]:
                continue
            codes = code_of[rows]
            counts = np.bincount(codes[codes >= 0], minlength=len(names))
            best = np.lexsort((np.arange(len(counts)), -counts))[:20] if len(counts) else []
            out[name] = [(str(names[int(code)]), int(counts[code])) for code in best if counts[code]]
        prices = self.catalogue.prices[rows]
        prices = prices[prices >= 0]
        if len(prices):
            edges = np.unique(
                np.quantile(prices, np.linspace(0, 1, PRICE_BANDS + 1)).round(-2).astype(np.int64)
            )
            edges[-1] = max(edges[-1], int(prices.max()))
            bands = [(a, b) for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)] or [
                (int(edges[0]), int(edges[0]))
            ]
            counts = [int(((prices >= a) & ((prices < b) | (b == bands[-1][1]))).sum()) for a, b in bands]
            out["price"] = [
                (f"{a / PRICE_SCALE:.2f}-{b / PRICE_SCALE:.2f}", c)
                for (a, b), c in zip(bands, counts, strict=True)
            ]
        return out


def _seeds(rows: NDArray[Any], scores: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The best hits and their shares, of sum one."""
    best = np.lexsort((rows, -scores))[:SEEDS]
    value = np.maximum(scores[best], 1e-9)
    sure = value >= SEED_FLOOR * value[0]
    return rows[best][sure].astype(np.int32), (value[sure] / value[sure].sum()).astype(np.float32)


def _price_bounds(filters: Filters) -> tuple[int, int]:
    low = 0 if filters.price_min is None else int(filters.price_min * PRICE_SCALE)
    high = 2**62 if filters.price_max is None else int(filters.price_max * PRICE_SCALE)
    return low, high
