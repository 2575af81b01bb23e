"""Which words of a catalogue and its shoppers say the same.

Two kinds of witness. *Behaviour*: two things typed that lead to the same products (the cosine of what was clicked after them). *Texts*:
two words near to each other for the encoder, which alone is no proof, since "salt" is near to "pepper"; so the words must also stand
among the same neighbours in titles (cosine of positive pointwise mutual information, Bullinaria and Levy 2007), or lead to
the same products. Two names of one thing stand seldom in one title or one query; pairs that do are left out. What is near but not
proven is proposed to people.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.text import has_han
from wares.models.search.analysis import lower, stem
from wares.models.search.read_infer import STOP
from wares.models.search.read_tokens import normal, tokens

Encode = Callable[[list[str]], NDArray[np.float32]]
CLICK_COSINE = 0.5
CLICK_QUERIES = 3
"""Distinct clicked products both sides must have."""
TEXT_COSINE = 0.75
CONTEXT_COSINE = 0.35
TOGETHER = 0.1
"""Where more than this share of the rarer one's texts have both, they are two things."""
LEAST = 3
MOST_WORDS = 4000
AROUND = 2
A_WORD = 4
A_PRODUCT = 40


@dataclass(frozen=True, slots=True)
class Pair:
    """Two phrases that may say the same, with their evidence: cosines, -1 where there was none to have."""

    one: str
    other: str
    clicks: float
    meaning: float
    context: float
    proven: bool

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {name: round(v, 4) if isinstance(v, float) else v for name, v in asdict(self).items()}


def learn_synonyms(
    titles: Sequence[str],
    clicks: Mapping[str, Mapping[int, float]],
    encode: Encode | None = None,
    names: frozenset[str] = frozenset(),
) -> list[Pair]:
    """Pairs of phrases that say the same, proven ones first, then by their evidence.

    `titles (n,)`; `clicks` has for each typed text the rows of the products clicked with weights; `encode` gives vectors of length
    one; `names` are words that are names of brands, which have no synonyms.
    """
    queries = [(_words(text), found) for text, found in clicks.items()]
    led = _led_to(queries)
    texts = [_words(title) for title in titles]
    in_titles = Counter(word for row in texts for word in set(row))
    found: dict[tuple[str, str], list[float]] = {}
    close = _by_clicks(led)
    asked = _standing([row for row, _ in queries], {word for pair in close for word in pair})
    for pair, cosine in close.items():
        if not _apart(*pair, names) and not _often_together(*pair, asked):
            found[pair] = [cosine, -1.0, -1.0]
    if encode is not None:
        candidates = _by_meaning(in_titles, encode, names)
        words = {word for pair in candidates for word in pair}
        contexts, said = _contexts(texts, words), _standing(texts, words)
        for pair, cosine in candidates.items():
            if _often_together(*pair, said):
                continue
            evidence = found.setdefault(pair, [_cosine(led.get(pair[0]), led.get(pair[1])), -1.0, -1.0])
            evidence[1] = cosine
            evidence[2] = _cosine(contexts.get(pair[0]), contexts.get(pair[1]))
    pairs = [
        Pair(one, other, *evidence, proven=evidence[0] >= CLICK_COSINE or evidence[2] >= CONTEXT_COSINE)
        for (one, other), evidence in found.items()
    ]
    return sorted(pairs, key=lambda p: (not p.proven, -(p.clicks + p.meaning + p.context), p.one, p.other))


def proven(pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    """Proven pairs in both directions, at most `A_WORD` for a phrase, the strongest first."""
    count: Counter[str] = Counter()
    out: list[tuple[str, str]] = []
    for pair in pairs:
        if not pair.proven:
            continue
        for one, other in ((pair.one, pair.other), (pair.other, pair.one)):
            if count[one] < A_WORD:
                count[one] += 1
                out.append((one, other))
    return out


def _words(text: str) -> list[str]:
    return [t.text for t in tokens(lower(normal(text, 1000))) if t.text not in STOP]


def _phrase(words: Sequence[str]) -> str:
    return "".join(words) if all(has_han(w) for w in words) else " ".join(words)


def _led_to(queries: list[tuple[list[str], Mapping[int, float]]]) -> dict[str, dict[int, float]]:
    """Words, and whole queries of two or three words, with the products they lead to, weighted against common products."""
    led: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for words, found in queries:
        phrases = {w for w in words if len(w) > 1 and not any(ch.isdigit() for ch in w)}
        if 2 <= len(words) <= 3 and not any(ch.isdigit() for w in words for ch in w):
            phrases.add(_phrase(words))
        for phrase in phrases:
            for product, weight in found.items():
                led[phrase][product] += weight / len(phrases)
    known = {phrase: found for phrase, found in led.items() if len(found) >= CLICK_QUERIES}
    many = Counter(product for found in known.values() for product in found)
    for found in known.values():
        for product in found:
            found[product] *= log(1 + len(known) / many[product])
    return {phrase: dict(found) for phrase, found in known.items()}


def _by_clicks(led: Mapping[str, Mapping[int, float]]) -> dict[tuple[str, str], float]:
    by_product: dict[int, list[tuple[float, str]]] = defaultdict(list)
    for phrase, found in led.items():
        for product, weight in found.items():
            by_product[product].append((weight, phrase))
    close: set[tuple[str, str]] = set()
    for row in by_product.values():
        best = [phrase for _, phrase in sorted(row, key=lambda item: (-item[0], item[1]))[:A_PRODUCT]]
        close.update((min(a, b), max(a, b)) for a, b in combinations(best, 2))
    return {
        pair: cosine
        for pair in sorted(close)
        if not set(pair[0].split()) & set(pair[1].split())
        and pair[0] not in pair[1]
        and pair[1] not in pair[0]
        and (cosine := _cosine(led[pair[0]], led[pair[1]])) >= CLICK_COSINE
    }


def _by_meaning(
    in_titles: Counter[str], encode: Encode, names: frozenset[str]
) -> dict[tuple[str, str], float]:
    words = [
        word
        for word, count in sorted(in_titles.items(), key=lambda item: (-item[1], item[0]))
        if count >= LEAST
        and word not in names
        and (len(word) >= 2 if has_han(word) else len(word) >= 3 and word.isalpha())
    ][:MOST_WORDS]
    if len(words) < 2:
        return {}
    vectors = np.asarray(encode(words), np.float32)
    out: dict[tuple[str, str], float] = {}
    for start in range(0, len(words), 512):
        near = vectors[start : start + 512] @ vectors.T
        for line in range(len(near)):
            near[line, start + line] = -1
        best = np.argsort(-near, axis=1, kind="stable")[:, :A_WORD]
        for line, row in enumerate(best):
            for other in row:
                one, two = words[start + line], words[int(other)]
                cosine = float(near[line, int(other)])
                if cosine >= TEXT_COSINE and not _apart(one, two, names):
                    out[(min(one, two), max(one, two))] = cosine
    return out


def _apart(one: str, other: str, names: frozenset[str]) -> bool:
    """Whether two phrases cannot be synonyms: endings of one word, names, or numbers."""
    if one in names or other in names or any(ch.isdigit() for ch in one + other):
        return True
    return " " not in one + other and bool(stem(one)) and stem(one) == stem(other)


def _standing(texts: Sequence[Sequence[str]], words: set[str]) -> dict[str, set[int]]:
    """The texts that have each word."""
    where: dict[str, set[int]] = {word: set() for word in words}
    for at, row in enumerate(texts):
        for word in row:
            if word in where:
                where[word].add(at)
    return where


def _often_together(one: str, other: str, where: Mapping[str, set[int]]) -> bool:
    first, second = where.get(one, set()), where.get(other, set())
    fewer = min(len(first), len(second))
    return bool(fewer) and len(first & second) > TOGETHER * fewer


def _contexts(texts: Sequence[Sequence[str]], words: set[str]) -> dict[str, dict[str, float]]:
    """For each word its neighbours in titles, by positive pointwise mutual information."""
    near: dict[str, Counter[str]] = {word: Counter() for word in words}
    single: Counter[str] = Counter()
    total = 0
    for row in texts:
        single.update(row)
        total += len(row)
        for at, word in enumerate(row):
            if word in near:
                near[word].update(row[max(0, at - AROUND) : at])
                near[word].update(row[at + 1 : at + 1 + AROUND])
    return {
        word: {
            other: value
            for other, n in found.items()
            if n > 1
            and (value := log(n * total / (sum(found.values()) * single[other]) if single[other] else 1)) > 0
        }
        for word, found in near.items()
    }


def _cosine(one: Mapping[Any, float] | None, other: Mapping[Any, float] | None) -> float:
    if not one or not other:
        return -1.0
    if len(one) > len(other):
        one, other = other, one
    dot = sum(value * other.get(key, 0.0) for key, value in one.items())
    return dot / sqrt(sum(v * v for v in one.values()) * sum(v * v for v in other.values()))
