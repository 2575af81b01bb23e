"""Which aspects a review speaks of, what it says of each, and where: trained, or by the built-in catalogue. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import open_artifact
from wares.core.errors import QueryError
from wares.models.sentiment.aspect_polarity_infer import PolarityPart
from wares.models.sentiment.aspect_quads_infer import QuadPart
from wares.models.sentiment.calibration import softmax
from wares.models.sentiment.infer import Sentiment
from wares.models.sentiment.opinion_seed import Found, clauses_of, opinions_of, phrases_of, seed_phrases
from wares.models.sentiment.opinion_text import aligned, sentences
from wares.models.sentiment.opinion_words import TERMS

KIND = "aspects"
Polarity = Callable[[Sequence[str]], NDArray[np.float64]]
"""Clauses → moods ``(n,)`` in -1..1, such as a trained classifier of reviews gives."""
SEED_CONFIDENCE = 0.5
"""Nobody has measured the built-in catalogue on the shop's reviews: it is as likely wrong as right."""
BATCH = 4096
"""Texts whose clauses are judged in one call."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """An aspect and what a text says of it, -1..1; `start` and `end` of the evidence, of the term that names the aspect and of the
    opinion's words, in characters of the text; -1 where it is implied."""

    aspect: str
    polarity: float
    start: int
    end: int
    term_start: int
    term_end: int
    opinion_start: int
    opinion_end: int
    confidence: float


class AspectReader:
    """Reads opinions about aspects.

    With a folder of `wares tune aspects`: by that model; one of polarities alone looks for terms by the catalogue. With None: by the
    built-in catalogue, `trained` False. `more` are terms of further aspects, as confirmed ones of the shop; `polarity` judges clauses
    in place of the built-in opinion words.
    """

    def __init__(
        self, folder: Path | None = None, *, more: Mapping[str, Sequence[str]] | None = None, polarity: Polarity | None = None,
        threads: int = 0,
    ) -> None:  # fmt: skip
        self.manifest: dict[str, Any] = {} if folder is None else open_artifact(folder, KIND)
        self.trained = folder is not None
        task = self.manifest.get("task", "")
        self.quads = QuadPart(folder, threads) if folder is not None and task == "quadruples" else None
        self.judge = PolarityPart(folder, threads) if folder is not None and task == "polarity" else None
        self.polarity = polarity
        self.phrases = phrases_of(more) if more else seed_phrases()
        own = (*TERMS, *(name for name in more or {} if name not in TERMS))
        self.aspects: tuple[str, ...] = self.quads.aspects if self.quads is not None else own

    def read(self, texts: Sequence[str]) -> list[list[Opinion]]:
        """Opinions of each text, in the order in which they stand there; none of a blank text. At most its first 20,000 characters are read."""
        if self.quads is not None:
            return self._extracted(texts)
        out: list[list[Opinion]] = []
        for start in range(0, len(texts), BATCH):
            out += self._by_catalogue(texts[start : start + BATCH])
        return out

    def _by_catalogue(self, texts: Sequence[str]) -> list[list[Opinion]]:
        judged = self.judge is not None or self.polarity is not None
        seen = [aligned(text) for text in texts]
        found = [
            [one for clause in clauses_of(text, self.phrases) for one in opinions_of(text, clause, judged)]
            for text in seen
        ]
        if not judged:
            return [
                [_opinion(one, text) for one in _merged(ones)] for ones, text in zip(found, seen, strict=True)
            ]
        merged = [_merged(ones) for ones in found]
        flat = [(one, text) for ones, text in zip(merged, texts, strict=True) for one in ones]
        moods, sure = self._judged(flat)
        out: list[list[Opinion]] = []
        at = 0
        for ones, text in zip(merged, seen, strict=True):
            mine: list[Opinion] = []
            for one in ones:
                mine.append(_opinion(one, text, float(moods[at]), float(sure[at])))
                at += 1
            out.append(mine)
        return out

    def _judged(self, flat: Sequence[tuple[Found, str]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Moods and confidences ``(n,)``."""
        if not flat:
            return np.zeros(0), np.zeros(0)
        if self.judge is not None:
            rows: list[tuple[str, str, str]] = []
            for one, text in flat:
                mark = one.term or one.word
                assert mark is not None
                rows.append(
                    (
                        text[one.clause.start : mark.start],
                        text[mark.start : mark.end],
                        text[mark.end : one.clause.end],
                    )
                )
            p = softmax(self.judge.logits(rows))
            return p @ self.judge.moods, p.max(1)
        assert self.polarity is not None
        said = [text[slice(*evidence_of(one, text))] for one, text in flat]
        distinct = list(dict.fromkeys(said))
        moods = dict(zip(distinct, np.asarray(self.polarity(distinct), float).tolist(), strict=True))
        found = np.array([moods[clause] for clause in said])
        return found, (1 + np.abs(found)) / 2

    def _extracted(self, texts: Sequence[str]) -> list[list[Opinion]]:
        assert self.quads is not None
        places = [[(a, b) for a, b in sentences(aligned(text))] for text in texts]
        said = [text[a:b] for text, spans in zip(texts, places, strict=True) for a, b in spans]
        found = iter(self.quads.read(said))
        out: list[list[Opinion]] = []
        for spans in places:
            mine: list[Opinion] = []
            for start, end in spans:
                for quad in next(found):
                    t, o = _moved(quad.term, start), _moved(quad.opinion, start)
                    mine.append(Opinion(quad.category, quad.mood, start, end, *t, *o, quad.confidence))
            out.append(mine)
        return out


def _moved(span: tuple[int, int], by: int) -> tuple[int, int]:
    return span if span[0] < 0 else (span[0] + by, span[1] + by)


def _merged(found: Sequence[Found]) -> list[Found]:
    """One opinion of a term, or of an implied aspect, in a clause: several words say the mean of what they say."""
    out: dict[tuple[int, str, int], list[Found]] = {}
    for one in found:
        out.setdefault((one.clause.start, one.aspect, -1 if one.term is None else one.term.start), []).append(
            one
        )
    merged: list[Found] = []
    for ones in out.values():
        mean = sum(one.polarity for one in ones) / len(ones)
        strongest = max(ones, key=lambda one: one.polarity * (1 if mean >= 0 else -1))
        merged.append(Found(ones[0].aspect, mean, ones[0].clause, ones[0].term, strongest.word))
    return sorted(merged, key=_place)


def _place(one: Found) -> tuple[int, int]:
    mark = one.term or one.word
    return one.clause.start, mark.start if mark is not None else one.clause.end


def _opinion(
    one: Found, text: str, polarity: float | None = None, confidence: float = SEED_CONFIDENCE
) -> Opinion:
    start, end = evidence_of(one, text)
    term = (-1, -1) if one.term is None else (one.term.start, one.term.end)
    word = (-1, -1) if one.word is None else (one.word.start, one.word.end)
    return Opinion(
        one.aspect, one.polarity if polarity is None else polarity, start, end, *term, *word, confidence
    )


def evidence_of(one: Found, text: str) -> tuple[int, int]:
    """The characters that show an opinion: its clause, between the commas round its term and its words.

    A term of which no word says anything keeps its whole clause.
    """
    start, end = one.clause.start, one.clause.end
    marks = [mark for mark in (one.term, one.word) if mark is not None]
    if one.word is not None:
        first, last = min(mark.start for mark in marks), max(mark.end for mark in marks)
        start = max(start, *(text.rfind(comma, start, first) + 1 for comma in ",，"))
        ends = [at for at in (text.find(comma, last, end) for comma in ",，") if at >= 0]
        end = min([end, *ends])
    said = text[start:end]
    return start + len(said) - len(said.lstrip()), start + len(said.rstrip())


def moods_by(folder: Path, threads: int = 0) -> Polarity:
    """The moods that a trained classifier of reviews gives clauses.

    Raises:
        QueryError: when its labels have no order.
    """
    model = Sentiment(folder, threads)
    moods = model.moods
    if moods is None:
        raise QueryError(
            f"the labels of {folder} have no order",
            mend="Train on negative and positive, or on stars",
            parameter="moods",
        )
    return lambda texts: model.probabilities(texts) @ moods
