"""Opinions by the built-in catalogue: terms, opinion words, negation and contrast, clause by clause. Trained on nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from wares.models.sentiment import opinion_words as words
from wares.models.sentiment.opinion_text import Phrases, Piece, is_stop, pieces

NEAR = 40
"""Characters within which an opinion word still speaks of a term."""
BEFORE = 14
"""Characters that an opinion word may stand before its term: "a great little screen", "好看的外观"."""
COMMA = 15
"""What a comma between them costs, in characters."""
STRENGTH: Final = {"": 0.8, "stronger": 1.0, "weaker": 0.5}
JOINS: Final = frozenset(
    {"and", "or", "&", ",", "，", "、", "和", "与", "跟", "及", "或", "the", "a", "its", "of", "/"}
)


@dataclass(slots=True)
class Mark:
    """A phrase of a clause: what it means and where it stands. `first` and `last` count pieces."""

    first: int
    last: int
    start: int
    end: int
    aspect: str = ""
    polarity: float = 0.0
    told: str = ""
    word: str = ""
    only_of: bool = False


@dataclass(slots=True)
class Clause:
    """A part of a text with one drift: up to a mark that ends a sentence, or a word of contrast."""

    start: int
    end: int
    terms: list[Mark] = field(default_factory=list)
    opinions: list[Mark] = field(default_factory=list)


@cache
def seed_phrases() -> Phrases:
    """The phrases of the built-in catalogue."""
    return phrases_of({})


def phrases_of(more: Mapping[str, Sequence[str]]) -> Phrases:
    """The built-in phrases, and more terms of aspects."""
    out = Phrases()
    for aspect, terms in (*words.TERMS.items(), *more.items()):
        out.add(terms, "term", aspect)
    for aspect, (good, bad) in words.TELLING.items():
        out.add(good.split("|"), "good", aspect)
        out.add(bad.split("|"), "bad", aspect)
    out.add(words.GOOD, "good")
    out.add(words.BAD, "bad")
    out.add(words.GOOD_PHRASES, "good")
    out.add(words.BAD_PHRASES, "bad")
    for aspect, word in words.OF_ASPECT:
        out.add((word,), "of", aspect)
    out.add(words.NEGATION, "not")
    out.add(words.CHINESE_NEGATION, "not")
    out.add(words.CONTRAST, "contrast")
    out.add(words.STRONGER, "stronger")
    out.add(words.WEAKER, "weaker")
    out.add(words.NO_OPINION, "none")
    return out


def clauses_of(text: str, phrases: Phrases) -> list[Clause]:
    """The clauses of an aligned text with their terms and opinion words, negation applied."""
    found = pieces(text)
    out: list[Clause] = []
    now = Clause(0, 0)
    turned = degree = -99
    how = ""
    begun = False
    marks = phrases.find(text, found)
    ahead = next(marks, None)
    at = 0
    while at < len(found):
        piece = found[at]
        if ahead is None or at < ahead[0]:
            if is_stop(piece.text):
                now.end = piece.start
                out.append(now)
                now, turned, degree, begun = Clause(piece.end, piece.end), -99, -99, False
            else:
                begun = True
                now.end = piece.end
            at += 1
            continue
        first, last, meanings = ahead
        start, end = found[first].start, found[last - 1].end
        kinds = dict(meanings)
        if "contrast" in kinds:
            if begun:
                now.end = start
                out.append(now)
                now = Clause(start, end)
            turned = degree = -99
        elif "not" in kinds:
            # Twice not: "没有不好".
            turned = -99 if _reaches(turned, first, start, found) else last - 1
        elif "stronger" in kinds or "weaker" in kinds:
            degree, how = last - 1, "stronger" if "stronger" in kinds else "weaker"
        elif "none" not in kinds:
            sign = 0.0
            if "good" in kinds or "bad" in kinds:
                sign = 1.0 if "good" in kinds else -1.0
            if sign or "of" in kinds:
                near = how if degree >= first - 2 else ""
                size = STRENGTH[near]
                if _reaches(turned, first, start, found):
                    size = -0.8 * size
                    turned = -99
                told = kinds.get("good") or kinds.get("bad") or ""
                word = text[start:end]
                now.opinions.append(
                    Mark(first, last, start, end, "", sign * size if sign else size, told, word, not sign)
                )
            if "term" in kinds:
                now.terms.append(Mark(first, last, start, end, kinds["term"]))
        begun = True
        now.end = end
        at = last
        ahead = next(marks, None)
    out.append(now)
    return [clause for clause in out if clause.terms or clause.opinions]


def _reaches(turned: int, first: int, start: int, found: Sequence[Piece]) -> bool:
    """Whether a negation that ended with piece `turned` is near enough to turn what begins at piece `first`."""
    if turned < 0 or any(p.text in ",，、" for p in found[turned + 1 : first]):
        return False
    chinese = not found[turned].text.isascii()
    return first - turned - 1 <= (words.CHINESE_REACH if chinese else words.NEGATION_REACH)


@dataclass(frozen=True, slots=True)
class Found:
    """An opinion of a clause: its aspect, the term (None where it is implied), the opinion word (None: mentioned only)."""

    aspect: str
    polarity: float
    clause: Clause
    term: Mark | None
    word: Mark | None


def opinions_of(text: str, clause: Clause, mentions: bool = False) -> list[Found]:
    """What a clause says of which aspect; with `mentions` also terms that no opinion word is said of (polarity 0)."""
    groups = _groups(text, clause.terms)
    out: list[Found] = []
    spoken: set[int] = set()
    for opinion in clause.opinions:
        group = _nearest(text, opinion, groups)
        if group is not None:
            sure = [t for t in groups[group] if _polarity(opinion, t.aspect)]
            if sure:
                spoken.add(group)
                out += [Found(t.aspect, _polarity(opinion, t.aspect), clause, t, opinion) for t in sure]
                continue
        if opinion.told:
            out.append(Found(opinion.told, opinion.polarity, clause, None, opinion))
    if mentions:
        for number, group_ in enumerate(groups):
            if number not in spoken:
                out += [Found(t.aspect, 0.0, clause, t, None) for t in group_]
    return out


def _polarity(opinion: Mark, aspect: str) -> float:
    """How good an opinion word is of an aspect; 0 where it says nothing of it."""
    of = words.OF_ASPECT.get((aspect, opinion.word))
    if opinion.only_of:
        return 0.0 if of is None else of * opinion.polarity
    if of is not None and not opinion.told:
        # The word's own sign was put in before: -0.64 of "not bad" is a turned bad.
        own = -1 if opinion.word in _BAD else 1
        return of * own * opinion.polarity
    return opinion.polarity


_BAD = frozenset(words.BAD)


def _groups(text: str, terms: Sequence[Mark]) -> list[list[Mark]]:
    """Terms that are named together: "screen and keyboard", "屏幕、键盘"."""
    out: list[list[Mark]] = []
    for term in terms:
        between = text[out[-1][-1].end : term.start].strip() if out else ""
        if out and all(word in JOINS for word in between.replace(",", " , ").replace("，", " ， ").split()):
            out[-1].append(term)
        else:
            out.append([term])
    return out


def _nearest(text: str, opinion: Mark, groups: Sequence[Sequence[Mark]]) -> int | None:
    best, least = None, NEAR + 1
    for number, group in enumerate(groups):
        before = opinion.start - group[-1].end
        after = group[0].start - opinion.end
        if before >= 0:
            gap, between = before, text[group[-1].end : opinion.start]
        elif after >= 0:
            between = text[opinion.end : group[0].start]
            if after > BEFORE or any(ch in ",，" for ch in between):
                continue
            gap = after
        else:
            gap, between = 0, ""
        gap += COMMA * sum(ch in ",，" for ch in between)
        # A word that tells its aspect leaves it only for a term that stands close by.
        if opinion.told and gap > BEFORE:
            continue
        if gap < least:
            best, least = number, gap
    return best
