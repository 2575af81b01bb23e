"""The query of words: fields with weights, other ways to say a word, product numbers, whole titles, what must not be there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import tantivy

from wares.models.search.analysis import stem
from wares.models.search.asked import LONGEST_PHRASE, Asked
from wares.models.search.forward import tokens_of
from wares.models.search.schema import ATTRIBUTES, EXACT, FIELDS, NUMBERS, product_numbers, title_key

PREFIXES = 12
"""Words of the catalogue that an unfinished last word may stand for."""
RARE = 30
"""A last word that fewer products have may be unfinished."""
ALSO = 0.7
"""What another way to say a word counts."""
CODE, WHOLE, NUMBER = 50.0, 20.0, 8.0
ENOUGH = 0.4
"""Share of the words that a hit must have where all of them find nothing."""
Mend = Callable[[str], str]


class WordQueries:
    """Builds queries over the word index of a bundle."""

    def __init__(
        self, searcher: tantivy.Searcher, schema: tantivy.Schema, boosts: Mapping[str, float], *, rich: bool
    ) -> None:
        """`rich` says that the index has product numbers, whole titles and attributes (bundles since they are read)."""
        self.searcher, self.schema, self.rich = searcher, schema, rich
        fields = (*FIELDS, ATTRIBUTES) if rich else FIELDS
        self.boosts = {name: float(boosts.get(name, 0.8 if name == ATTRIBUTES else 1.0)) for name in fields}
        self.known = lru_cache(50_000)(self._known)
        self.numbers = lru_cache(4096)(self._numbers)

    def _known(self, token: str) -> tuple[tuple[str, int], ...]:
        """The fields that have a token, with how many products have it there."""
        counts = ((name, self.searcher.doc_freq(name, token)) for name in self.boosts)
        return tuple((name, count) for name, count in counts if count > 0)

    def _term(self, token: str, share: float = 1.0) -> Any:
        """A token in the best of its fields, the others a little; ``None`` when no product has it."""
        query = tantivy.Query
        found = [
            query.boost_query(query.term_query(self.schema, name, token, "freq"), share * self.boosts[name])
            for name, _ in self.known(token)
        ]
        return query.disjunction_max_query(found, 0.1) if found else None

    def _said(self, words: str, share: float = 1.0) -> Any:
        """All tokens of some words, in whatever fields."""
        terms = [self._term(token, share) for token in tokens_of(words)]
        if not terms or any(term is None for term in terms):
            return None
        if len(terms) == 1:
            return terms[0]
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, term) for term in terms])

    def _begun(self, word: str) -> list[Any]:
        """Words of the catalogue that begin so, the commonest."""
        if len(word) < 2:
            return []
        found: dict[str, int] = {}
        for name in ("title", "brand", "category"):
            for token, count in self.searcher.terms_with_prefix(name, word, limit=PREFIXES):
                found[token] = max(found.get(token, 0), count)
        best = sorted(found, key=lambda t: (-found[t], t))[:PREFIXES]
        return [term for token in best if (term := self._term(token, 0.5)) is not None]

    def word(
        self, word: str, also: Sequence[str], *, last: bool, mend: Mend | None, corrected: dict[str, str]
    ) -> Any:
        """A word, what says the same, what it may be the beginning of, or what was probably meant; ``None`` for nothing."""
        exact = self._said(word)
        found = [] if exact is None else [exact]
        found += [q for phrase in also if (q := self._said(phrase, ALSO)) is not None]
        token = stem(word)
        if last and token and sum(count for _, count in self.known(token)) < RARE:
            found += self._begun(word.lower())
        if not found and mend is not None and (near := mend(word)):
            corrected[word] = near
            if (mended := self._said(near)) is not None:
                found.append(mended)
        if not found:
            return None
        return found[0] if len(found) == 1 else tantivy.Query.disjunction_max_query(found, 0.1)

    def named(self, text: str) -> list[Any]:
        """The product of this id, with this product number, or with just this title."""
        query, clean = tantivy.Query, text.strip().lower()[:200]
        out = [query.boost_query(query.term_query(self.schema, "code", clean, "basic"), CODE)]
        if self.rich:
            if whole := title_key(text):
                out.append(query.boost_query(query.term_query(self.schema, EXACT, whole, "basic"), WHOLE))
            out += [
                query.boost_query(query.term_query(self.schema, NUMBERS, number, "basic"), NUMBER)
                for number, _ in self.numbers(text)
            ]
        return out

    def _numbers(self, text: str) -> list[tuple[str, int]]:
        """Product numbers in a query that some product has, with how many have each."""
        if not self.rich:
            return []
        counts = ((n, self.searcher.doc_freq(NUMBERS, n)) for n in product_numbers(text, typed=True))
        return [(number, count) for number, count in counts if count > 0]

    def not_these(self, asked: Asked) -> list[tuple[Any, Any]]:
        """Clauses that keep out products with an unwanted word anywhere."""
        found = [self._said(words) for words in asked.not_words]
        return [(tantivy.Occur.MustNot, query) for query in found if query is not None]

    def attributes(self, asked: Asked) -> list[tuple[Any, Any]]:
        """Clauses that ask for the values of attributes, in whatever field."""
        query = tantivy.Query
        return [
            (
                tantivy.Occur.Must,
                query.const_score_query(said, 0.2) if said is not None else query.empty_query(),
            )
            for _, value in asked.attributes
            for said in (self._said(value),)
        ]

    def query(
        self,
        asked: Asked,
        limits: list[tuple[Any, Any]],
        *,
        some: bool,
        mend: Mend | None = None,
        corrected: dict[str, str] | None = None,
    ) -> Any:
        """All words of a query, or with `some` enough of them, within `limits`; ``None`` when there is nothing to look for."""
        query, occur = tantivy.Query, tantivy.Occur
        mended: dict[str, str] = {} if corrected is None else corrected
        words = asked.words
        open_end = not asked.text.endswith(" ")
        parts: list[Any] = []
        for first, end, said in runs(words, asked.also):
            each = [
                self.word(
                    words[i], asked.also.get(words[i], ()), last=open_end and i == len(words) - 1, mend=mend, corrected=mended
                )
                for i in range(first, end)
            ]  # fmt: skip
            others = [q for phrase in said if (q := self._said(phrase, ALSO)) is not None]
            if not others:
                parts += each
                continue
            if None not in each:
                others.insert(0, query.boolean_query([(occur.Must, one) for one in each]))
            parts.append(others[0] if len(others) == 1 else query.disjunction_max_query(others, 0.1))
        known = [part for part in parts if part is not None]
        named = self.named(asked.text)
        narrow = [*limits, *self.not_these(asked), *self.attributes(asked)]
        if not some:
            if not known or len(known) < len(parts):
                # A word that no product has: only the product so named can be it.
                core = query.disjunction_max_query(named)
            else:
                every = known[0] if len(known) == 1 else query.boolean_query([(occur.Must, q) for q in known])
                core = query.disjunction_max_query([every, *named])
        elif known:
            least = max(1, round(ENOUGH * len(parts)) if len(parts) > 2 else 1)
            enough = query.boolean_query(
                [(occur.Should, q) for q in known], minimum_number_should_match=min(least, len(known))
            )
            core = query.boolean_query([(occur.Should, q) for q in (enough, *named)])
        else:
            core = query.boolean_query([(occur.Should, q) for q in named])
        return query.boolean_query([(occur.Must, core), *narrow]) if narrow else core


def runs(words: Sequence[str], also: Mapping[str, Sequence[str]]) -> list[tuple[int, int, tuple[str, ...]]]:
    """Words in runs ``(first, end, what says the same as the run)``: the longest phrases of several words that `also` knows, and
    the words between one by one, with nothing."""
    out: list[tuple[int, int, tuple[str, ...]]] = []
    first = 0
    while first < len(words):
        end, said = first + 1, ()
        for n in range(min(LONGEST_PHRASE, len(words) - first), 1, -1):
            run = words[first : first + n]
            found = (*also.get(" ".join(run), ()), *also.get("".join(run), ()))
            if found:
                end, said = first + n, found
                break
        out.append((first, end, said))
        first = end
    return out
