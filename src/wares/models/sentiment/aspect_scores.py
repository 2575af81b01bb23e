"""How much of what texts say was found: exact matches of quadruples and of their parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wares.models.sentiment.aspect_labelled import NULL, Quad, QuadTexts
from wares.models.sentiment.aspect_quads_infer import NOWHERE, Extracted

Key = tuple[str, ...]
VIEWS: dict[str, Callable[[Quad], Key]] = {
    "quadruples": lambda q: (q.aspect, q.opinion, q.polarity, q.category),
    "aspect_polarity": lambda q: (q.aspect, q.polarity),
    "category_polarity": lambda q: (q.category, q.polarity),
    "aspect_opinion": lambda q: (q.aspect, q.opinion),
}
IMPLICIT: dict[str, tuple[bool, bool]] = {
    "both_said": (False, False), "aspect_implied": (True, False), "opinion_implied": (False, True), "both_implied": (True, True),
}  # fmt: skip
"""Whether the aspect, and whether the opinion, is implied."""


def scores_of(texts: QuadTexts, found: Sequence[Sequence[Extracted]]) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 by exact match: whole quadruples, aspect with polarity, category with polarity, aspect with opinion.

    What is said twice of a text counts once; `NULL`, an implied term, is an answer like any other.
    """
    read = _read(texts, found)
    return {name: _score(texts, read, view, lambda _: True) for name, view in VIEWS.items()}


def implicit_scores(texts: QuadTexts, found: Sequence[Sequence[Extracted]]) -> dict[str, dict[str, float]]:
    """The same for quadruples whose aspect or opinion is implied, and those where words say both."""
    read = _read(texts, found)
    return {
        name: _score(
            texts, read, VIEWS["quadruples"],
            lambda q, kind=kind: ((q.aspect == NULL.casefold()), (q.opinion == NULL.casefold())) == kind,
        )
        for name, kind in IMPLICIT.items()
    }  # fmt: skip


def _score(
    texts: QuadTexts, read: Sequence[Sequence[Quad]], view: Callable[[Quad], Key], which: Callable[[Quad], bool]
) -> dict[str, float]:  # fmt: skip
    hit = said = there = 0
    for truth, mine in zip(texts.quads, read, strict=True):
        a = {view(q) for q in map(_plain, truth) if which(q)}
        b = {view(q) for q in map(_plain, mine) if which(q)}
        hit, said, there = hit + len(a & b), said + len(b), there + len(a)
    precision, recall = hit / max(said, 1), hit / max(there, 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return {"precision": precision, "recall": recall, "f1": f1, "there": there, "found": said}


def _read(texts: QuadTexts, found: Sequence[Sequence[Extracted]]) -> list[list[Quad]]:
    return [[_quad(text, one) for one in ones] for text, ones in zip(texts.texts, found, strict=True)]


def _quad(text: str, one: Extracted) -> Quad:
    term, opinion = (NULL if span == NOWHERE else text[span[0] : span[1]] for span in (one.term, one.opinion))
    return Quad(term, opinion, one.polarity, one.category)


def _plain(quad: Quad) -> Quad:
    return Quad(quad.aspect.strip().casefold(), quad.opinion.strip().casefold(), quad.polarity, quad.category)
