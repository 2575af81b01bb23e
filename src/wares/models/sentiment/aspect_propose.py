"""Propose aspects out of a shop's own reviews: noun phrases that opinions are said of, alike ones together, for people to confirm.

Frequent noun phrases near opinion words are aspects (Hu and Liu, *Mining and Summarizing Customer Reviews*, KDD 2004). They are ranked
by how much more often an opinion is said beside them than elsewhere (log-likelihood ratio; Dunning 1993) and clustered by an
encoder's vectors or, without one, by the words that they stand with.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import rjieba
from numpy.typing import NDArray

from wares.core.text import has_han
from wares.models.sentiment.opinion_seed import Clause, clauses_of, seed_phrases
from wares.models.sentiment.opinion_text import aligned, pieces
from wares.models.sentiment.opinion_words import (
    BAD,
    CONTRAST,
    GOOD,
    NEGATION,
    OF_ASPECT,
    STRONGER,
    TELLING,
    TERMS,
    WEAKER,
)

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
LEAST_TEXTS = 5
NOUN_SHARE = 0.35
"""Of an English phrase's places, those that look like a noun's."""
ALIKE = {"encoder": 0.72, "words": 0.5}
"""Cosine from which two phrases are one aspect."""
NEAREST = 0.6
"""Cosine to a known aspect's terms from which it is suggested."""
QUOTES = 3
QUOTE = 160
MOST_PHRASES = 400
COMMONEST = 0.2
"""Of a category's texts: a phrase of more names the product itself."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORD = re.compile(r"[a-z][a-z'’\-]*[a-z]")
_DETERMINERS: Final = _set(
    "the a an this that its my your his her our their these those no any some of each every one"
)
_AFTER: Final = _set("is was are were has had looks feels seems works did does could")
_STOP: Final = _set(
    "the a an and or but if then than so as of at by for with about into through during before after to from "
    "up down in out on off over under again further once here there when where why how all any both each few "
    "more most other some such no nor not only own same too very can will just should now i me my we our you "
    "your he him his she her it its they them their this that these those am is are was were be been being "
    "have has had having do does did doing would could what which who whom because while until also one two "
    "get got bought buy thing things lot bit way time times day days week weeks month months year years "
    "product products item items amazon review reviews star stars made true little something anything "
    "everything nothing someone people person im ive dont didnt cant much many even still back first last"
)
_NOUNS: Final = frozenset({"n", "nz", "vn", "an", "nr", "ng", "nt", "ns", "nrt", "j"})
_NO_NOUNS: Final = _set(
    "时候 东西 感觉 时间 朋友 老婆 老公 孩子 家人 京东 亚马逊 淘宝 天猫 产品 商品 宝贝 小时 分钟 问题 人 结果 原因 样子 方面 情况 地方 第一次 整体 总体 大家 购物 评论 家长 中国 网友 "
    "客户 顾客 消费者 本人 个人 同事 手里 有人"
)


@dataclass(frozen=True)
class Proposal:
    """Phrases of one category of products that may be one aspect, the commonest first; `texts` that hold any of them, the share in
    which an opinion is said beside it, quotes, and the known aspect that is nearest, if one is near."""

    category: str
    terms: tuple[str, ...]
    texts: int
    spoken: float
    near: str
    quotes: tuple[str, ...]


@dataclass
class _Seen:
    texts: int = 0
    spoken: int = 0
    places: int = 0
    nouns: int = 0
    beside: Counter[str] = field(default_factory=Counter)
    quotes: list[str] = field(default_factory=list)


def propose(
    texts: Sequence[str], categories: Sequence[str] | None = None, encode: Encode | None = None, most: int = 30, least: int = LEAST_TEXTS
) -> list[Proposal]:  # fmt: skip
    """At most `most` proposals for each category, the most telling first; phrases of the built-in catalogue are left out.

    `encode` gives vectors ``(n, dim)`` of length one. A phrase of fewer than `least` texts is left out.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for text, category in zip(texts, categories or [""] * len(texts), strict=True):
        groups[category].append(text)
    out: list[Proposal] = []
    for category in sorted(groups):
        out += _of_category(category, groups[category], encode, most, least)
    return out


def _of_category(category: str, texts: Sequence[str], encode: Encode | None, most: int, least: int) -> list[Proposal]:  # fmt: skip
    seen: dict[str, _Seen] = defaultdict(_Seen)
    clauses = spoken = 0
    for text in texts:
        narrow = aligned(text)
        here: set[str] = set()
        there: set[str] = set()
        for clause, said in _clauses(narrow):
            clauses += 1
            spoken += bool(clause.opinions)
            for phrase, noun, words in _phrases(said):
                one = seen[phrase]
                one.places += 1
                one.nouns += noun
                one.beside.update(words)
                if clause.opinions:
                    there.add(phrase)
                    if len(one.quotes) < QUOTES and phrase not in here:
                        one.quotes.append(text[clause.start : clause.end].strip()[:QUOTE])
                here.add(phrase)
        for phrase in here:
            seen[phrase].texts += 1
            seen[phrase].spoken += phrase in there
    usual = spoken / max(clauses, 1)
    ranked = [
        (score, phrase)
        for phrase, one in seen.items()
        if least <= one.texts <= max(least, COMMONEST * len(texts))
        and one.nouns >= NOUN_SHARE * one.places
        and (score := _telling(one, usual)) > 0
    ]
    ranked.sort(key=lambda found: (-found[0], found[1]))
    return _clustered(category, [p for _, p in ranked[:MOST_PHRASES]], seen, encode)[:most]


def _clauses(narrow: str) -> list[tuple[Clause, str]]:
    """Clauses with opinion words or known terms, and, as clauses without either, what is between them."""
    out: list[tuple[Clause, str]] = []
    at = 0
    for clause in clauses_of(narrow, seed_phrases()):
        if clause.start > at:
            out.append((Clause(at, clause.start), narrow[at : clause.start]))
        out.append((clause, narrow[clause.start : clause.end]))
        at = clause.end
    if narrow[at:].strip():
        out.append((Clause(at, len(narrow)), narrow[at:]))
    return out


def _telling(one: _Seen, usual: float) -> float:
    """Log-likelihood ratio of opinions being said beside a phrase more often than elsewhere; a little for mere frequency."""
    rate = one.spoken / one.texts
    if rate <= usual:
        return 0.0
    usual = min(max(usual, 1e-6), 1 - 1e-6)
    gain = one.spoken * math.log(rate / usual)
    if rate < 1:
        gain += (one.texts - one.spoken) * math.log((1 - rate) / (1 - usual))
    return 2 * gain * math.log1p(one.texts)


def _phrases(said: str) -> list[tuple[str, bool, list[str]]]:
    """(phrase, whether it looks like a noun here, words beside it) of a clause."""
    return _chinese_phrases(said) if has_han(said) else _english_phrases(said)


def _english_phrases(said: str) -> list[tuple[str, bool, list[str]]]:
    words = [piece.text.strip("'’-") for piece in pieces(said) if piece.text[0].isascii()]
    plain = [w if _WORD.fullmatch(w) and w not in _STOP and w not in _opinion_words() else "" for w in words]
    beside = [w for w in words if w in _opinion_words() or (w and w not in _STOP)]
    out: list[tuple[str, bool, list[str]]] = []
    for i in range(len(words)):
        for size in (1, 2):
            some = plain[i : i + size]
            if len(some) < size or not all(some) or (size == 1 and len(some[0]) < 3):
                continue
            phrase = " ".join([*some[:-1], _singular(some[-1])])
            if phrase in _known() or " ".join(some) in _known():
                continue
            before, after = words[i - 1] if i else "", words[i + size] if i + size < len(words) else ""
            noun = before in _DETERMINERS or before in _opinion_words() or after in _AFTER
            out.append((phrase, noun, [w for w in beside if w not in some]))
    return out


def _singular(word: str) -> str:
    return (
        word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
    )


def _chinese_phrases(said: str) -> list[tuple[str, bool, list[str]]]:
    tagged = [(str(word), str(tag)) for word, tag in rjieba.tag(said)]
    beside = [word for word, tag in tagged if tag[:1] in ("a", "v", "n") and len(word) > 1]
    out: list[tuple[str, bool, list[str]]] = []
    for i in range(len(tagged)):
        for size in (1, 2):
            some = tagged[i : i + size]
            if len(some) < size or not all(
                tag in _NOUNS and word not in _opinion_words() and word not in _NO_NOUNS for word, tag in some
            ):
                continue
            phrase = "".join(word for word, _ in some)
            if not 2 <= len(phrase) <= 8 or phrase in _known() or not all(has_han(word) for word, _ in some):
                continue
            out.append((phrase, True, [w for w in beside if w not in phrase]))
    return out


_cache: dict[str, frozenset[str]] = {}


def _opinion_words() -> frozenset[str]:
    if "opinions" not in _cache:
        telling = [word for good, bad in TELLING.values() for word in (*good.split("|"), *bad.split("|"))]
        _cache["opinions"] = frozenset(
            [
                *GOOD,
                *BAD,
                *(word for _, word in OF_ASPECT),
                *telling,
                *NEGATION,
                *CONTRAST,
                *STRONGER,
                *WEAKER,
            ]
        )
    return _cache["opinions"]


def _known() -> frozenset[str]:
    if "terms" not in _cache:
        _cache["terms"] = frozenset(term for terms in TERMS.values() for term in terms)
    return _cache["terms"]


def _clustered(category: str, phrases: Sequence[str], seen: dict[str, _Seen], encode: Encode | None) -> list[Proposal]:  # fmt: skip
    if not phrases:
        return []
    vectors = _vectors(phrases, seen) if encode is None else np.asarray(encode(list(phrases)))
    alike = vectors @ vectors.T
    least = ALIKE["words" if encode is None else "encoder"]
    near = _nearest(phrases, vectors, encode)
    owner: list[int] = []
    heads: list[int] = []
    for i, phrase in enumerate(phrases):
        # Phrases come best first, so that each joins the head of a cluster and no chain grows.
        mates = [h for h in heads if alike[i, h] >= least or _contains(phrase, phrases[h])]
        if mates:
            owner.append(max(mates, key=lambda h: float(alike[i, h])))
        else:
            owner.append(i)
            heads.append(i)
    out: list[Proposal] = []
    for head in heads:
        mine = [phrases[i] for i in range(len(phrases)) if owner[i] == head]
        quotes = list(dict.fromkeys(quote for phrase in mine for quote in seen[phrase].quotes))[:QUOTES]
        texts = max(seen[phrase].texts for phrase in mine)
        spoken = sum(seen[p].spoken for p in mine) / sum(seen[p].texts for p in mine)
        out.append(Proposal(category, tuple(mine), texts, round(spoken, 4), near[head], tuple(quotes)))
    return out


def _contains(a: str, b: str) -> bool:
    """Whether one phrase is the other with a word more."""
    if has_han(a) or has_han(b):
        return len(a) != len(b) and (a in b or b in a)
    left, right = set(a.split()), set(b.split())
    return left < right or right < left


def _vectors(phrases: Sequence[str], seen: dict[str, _Seen]) -> NDArray[np.float32]:
    """Vectors ``(n, words)`` of the words that phrases stand with, by positive pointwise mutual information, of length one."""
    words = sorted({word for phrase in phrases for word in seen[phrase].beside})
    place = {word: i for i, word in enumerate(words)}
    counts: NDArray[Any] = np.zeros((len(phrases), max(len(words), 1)), np.float64)
    for i, phrase in enumerate(phrases):
        for word, n in seen[phrase].beside.items():
            counts[i, place[word]] = n
    total = max(counts.sum(), 1.0)
    expected = np.outer(counts.sum(1), counts.sum(0)) / total
    with np.errstate(divide="ignore", invalid="ignore"):
        ppmi = np.where(counts > 1, np.maximum(np.log(counts / np.maximum(expected, 1e-9)), 0), 0.0)
    return (ppmi / np.maximum(np.linalg.norm(ppmi, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def _nearest(phrases: Sequence[str], vectors: NDArray[np.float32], encode: Encode | None) -> list[str]:
    """The known aspect of each phrase: one of whose terms it holds as a word, or is near by vectors; else empty."""
    out = [""] * len(phrases)
    for i, phrase in enumerate(phrases):
        for aspect, terms in TERMS.items():
            if any(
                (_contains(phrase, term) if not has_han(term) else len(term) > 1 and term in phrase)
                for term in terms
            ):
                out[i] = aspect
                break
    if encode is not None:
        flat = [(aspect, term) for aspect, terms in TERMS.items() for term in terms]
        known = np.asarray(encode([term for _, term in flat]))
        best = (vectors @ known.T).argmax(1)
        for i in range(len(phrases)):
            if not out[i] and float(vectors[i] @ known[best[i]]) >= NEAREST:
                out[i] = flat[int(best[i])][0]
    return out
