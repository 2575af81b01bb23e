"""Aspect, opinion, category and polarity out of a text: terms are tagged, pairs of them are judged. ONNX Runtime and numpy, no torch.

Both steps read the states that one encoder makes of the pieces. An aspect or an opinion that no words say is one more candidate of
every pair, so that "broke after a week" is about the product though nothing names it (after Extract-Classify; Cai, Xia and Yu,
*Aspect-Category-Opinion-Sentiment Quadruple Extraction with Implicit Aspects and Opinions*, ACL 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact
from wares.models.sentiment.aspect_states_infer import Framed, Span, States, frame
from wares.models.sentiment.calibration import softmax
from wares.models.sentiment.opinion_text import aligned

KIND = "aspects"
MOST_TERMS = 6
"""Terms of a sentence that are paired, the surest ones."""
ASPECT, OPINION = 0, 1
NOWHERE: Span = (-1, -1)
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Extracted:
    """An opinion of a sentence; `term` and `opinion` are its characters, -1 where implied; `mood` in -1..1. `sure`
    is how probable the pair is, `confidence` how probable with its polarity."""

    category: str
    polarity: str
    mood: float
    term: Span
    opinion: Span
    sure: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """Pieces of a sentence that may be a term, and how probable that is."""

    first: int
    last: int
    probability: float


def spans_of(tags: Floats, least: float) -> list[Candidate]:
    """Terms out of probabilities ``(pieces, 3)`` of outside, begins, goes on: each that begins with at least `least`, the surest first."""
    out: list[Candidate] = []
    at = 0
    while at < len(tags):
        # A word that goes on though nothing began is one that begins.
        begins = tags[at, 1] if tags[at, 1] >= tags[at, 2] else (tags[at, 1] + tags[at, 2])
        if begins >= least:
            end = at + 1
            while end < len(tags) and tags[end, 2] > max(tags[end, 0], tags[end, 1]):
                end += 1
            out.append(Candidate(at, end, float(begins)))
            at = end
        else:
            at += 1
    return sorted(out, key=lambda c: (-c.probability, c.first))[:MOST_TERMS]


def mean_of(states: NDArray[Any], first: int, last: int) -> NDArray[Any]:
    """The mean state of some pieces ``(dim,)``."""
    return states[first:last].mean(0)


def whole_words(text: str, start: int, end: int) -> Span:
    """A span of characters widened to whole Latin words, without blanks at its ends."""
    while start > 0 and _latin(text[start - 1]) and start < len(text) and _latin(text[start]):
        start -= 1
    while end < len(text) and _latin(text[end]) and end > 0 and _latin(text[end - 1]):
        end += 1
    said = text[start:end]
    return start + len(said) - len(said.lstrip()), start + len(said.rstrip())


def _latin(ch: str) -> bool:
    return ch.isascii() and ch.isalnum()


@dataclass(frozen=True)
class Thresholds:
    """From where on a term begins, and from where on a pair counts."""

    term: float
    pair: float


class QuadPart:
    """A trained extractor. ``aspects`` are its categories."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self.manifest: dict[str, Any] = open_artifact(folder, KIND)
        self.aspects: tuple[str, ...] = tuple(self.manifest["categories"])
        self.labels: tuple[str, ...] = tuple(self.manifest["labels"])
        self.moods = np.array(self.manifest["moods"], np.float64)
        self.thresholds = Thresholds(float(self.manifest["term"]), float(self.manifest["pair"]))
        self.states = States(folder / "states", threads)
        names = ("tag_weights", "tag_bias", "null", "hidden_weights", "hidden_bias", "category_weights", "category_bias", "polarity_weights", "polarity_bias")  # fmt: skip
        self.layers = {name: load_array(folder, name).astype(np.float64) for name in names}

    def read(self, texts: Sequence[str]) -> list[list[Extracted]]:
        """What each sentence says."""
        return self.read_at(texts, self.thresholds)

    def read_at(self, texts: Sequence[str], at: Thresholds) -> list[list[Extracted]]:
        """What each sentence says, with other thresholds than those that were chosen."""
        framed = [self.frame(text) for text in texts]
        out: list[list[Extracted]] = [[] for _ in texts]
        for number, states in self.states.states(framed):
            out[number] = self._read(texts[number], framed[number], states.astype(np.float64), at)
        return out

    def frame(self, text: str) -> Framed:
        """The pieces of a sentence; every character stays where it is."""
        return frame(
            self.states.tokenizer, "", "", aligned(text), self.states.prefix, self.states.most, False
        )

    def _read(self, text: str, framed: Framed, states: Floats, at: Thresholds) -> list[Extracted]:
        first, last = framed.said
        if last <= first:
            return []
        own = states[first:last]
        tags = own @ self.layers["tag_weights"] + self.layers["tag_bias"]
        found = [spans_of(softmax(tags[:, 3 * kind : 3 * kind + 3]), at.term) for kind in (ASPECT, OPINION)]
        pairs: list[tuple[Candidate | None, Candidate | None]] = [
            (a, o) for a in (*found[ASPECT], None) for o in (*found[OPINION], None)
        ]
        vectors = np.stack([self._pair(own, a, o) for a, o in pairs])
        hidden = np.maximum(vectors @ self.layers["hidden_weights"] + self.layers["hidden_bias"], 0)
        category = softmax(hidden @ self.layers["category_weights"] + self.layers["category_bias"])
        polarity = softmax(hidden @ self.layers["polarity_weights"] + self.layers["polarity_bias"])
        out: list[Extracted] = []
        for (a, o), c, p in zip(pairs, category, polarity, strict=True):
            sure = 1 - float(c[-1])
            if sure < at.pair:
                continue
            out.append(
                Extracted(
                    self.aspects[int(c[:-1].argmax())], self.labels[int(p.argmax())], float(p @ self.moods),
                    self._characters(text, framed, a), self._characters(text, framed, o), sure, sure * float(p.max()),
                )
            )  # fmt: skip
        return sorted(out, key=lambda e: (max(e.term[0], e.opinion[0]), e.term, e.opinion))

    def _pair(self, own: Floats, a: Candidate | None, o: Candidate | None) -> Floats:
        null, whole = self.layers["null"], own.mean(0)
        left = null[ASPECT] if a is None else mean_of(own, a.first, a.last)
        right = null[OPINION] if o is None else mean_of(own, o.first, o.last)
        return np.concatenate([left, right, whole, left * right])

    @staticmethod
    def _characters(text: str, framed: Framed, one: Candidate | None) -> Span:
        if one is None:
            return NOWHERE
        start, end = framed.offsets[one.first][0], framed.offsets[one.last - 1][1]
        return whole_words(text, min(start, len(text)), min(end, len(text)))
