"""What a sentence says of an aspect that stands in it: encoders over the whole sentence, and n-grams near the aspect. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact
from wares.models.sentiment.aspect_states_infer import Floats as Pooled
from wares.models.sentiment.aspect_states_infer import Framed, States, closed
from wares.models.sentiment.calibration import Floats
from wares.models.sentiment.linear_infer import Linear
from wares.models.sentiment.opinion_seed import clauses_of, seed_phrases

KIND = "aspects"
FALL = 4.0
"""Pieces over which the weight of the aspect's surroundings falls to 1/e."""
WINDOW = 40
"""Characters on either side of the aspect whose n-grams are read once more, as near ones."""
NEAR_STEP, NEAR_STEPS = 8, 4
"""Characters of one step of distance between an opinion word and the aspect, and the steps told apart."""
PARTS = 4
"""Vectors of a sentence side by side: all pieces, the aspect's, its surroundings, the aspect after the sentence."""
Row = tuple[str, str, str]


def weights_of(framed: Framed) -> NDArray[np.float32]:
    """How the states of the pieces make the vectors of a sentence, ``(PARTS, pieces)``, each row summing to one.

    The surroundings weigh less the farther they are from the aspect, after the local context focus of Zeng et al. (*LCF*, 2019).
    """
    n = len(framed.ids)
    out = np.zeros((PARTS, n), np.float32)
    first, last = framed.said
    out[0, first : max(last, first + 1)] = 1
    a, b = framed.aspect
    out[1, a:b] = 1
    at = np.arange(first, max(last, first + 1))
    out[2, at] = np.exp(-np.maximum(np.maximum(a - at, at - b + 1), 0) / FALL)
    c, d = framed.again or framed.aspect
    out[3, c:d] = 1
    return out / np.maximum(out.sum(1, keepdims=True), 1e-9)


def near_text(left: str, aspect: str, right: str) -> tuple[str, str]:
    """The whole sentence with a mark in place of the aspect, and what stands near the aspect, for the n-grams.

    The second tells beside the words which built-in opinion words speak of the aspect, and on which side how near.
    """
    a, b, c = closed(left, aspect, right)
    return f"{a} ¤ {c}", f"{a[-WINDOW:]} ¤ {b} ¤ {c[:WINDOW]} {_spoken(a, b, c)}"


def _spoken(left: str, aspect: str, right: str) -> str:
    text, start, end = left + aspect + right, len(left), len(left) + len(aspect)
    out: list[str] = []
    total = 0.0
    for clause in clauses_of(text, seed_phrases()):
        if not (clause.start <= start < max(clause.end, clause.start + 1)):
            continue
        for word in clause.opinions:
            side, gap = ("v", start - word.end) if word.end <= start else ("n", word.start - end)
            mood = "o" if word.only_of else "g" if word.polarity > 0 else "b"
            total += 0.0 if word.only_of else word.polarity
            out.append(f"zq{mood}{side}{min(max(gap, 0) // NEAR_STEP, NEAR_STEPS)}")
            out.append(f"zq{mood}")
    return " ".join(
        [*out, "zqsum" + ("none" if not out else "g" if total > 0 else "b" if total < 0 else "o")]
    )


class PolarityPart:
    """Logits of the polarity of an aspect. `labels` from bad to good; `moods (c,)` where each lies in -1..1."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self.manifest: dict[str, Any] = open_artifact(folder, KIND)
        self.labels: tuple[str, ...] = tuple(self.manifest["labels"])
        self.factors: dict[str, float] = self.manifest["factors"]
        self.offsets = np.array(self.manifest["offsets"], np.float64)
        self.moods = np.array(self.manifest["moods"], np.float64)
        self.whole, self.near = Linear.load(folder / "whole"), Linear.load(folder / "near")
        self.members = [Member(folder / name, threads) for name in self.manifest["members"]]

    def parts(self, rows: Sequence[Row]) -> dict[str, Floats]:
        """Logits ``(n, c)`` of the n-grams and, where there are any, of the encoders."""
        out = {"linear": self.linear(rows)}
        if self.members:
            out["text"] = np.asarray(np.mean([member.logits(rows) for member in self.members], axis=0))
        return out

    def linear(self, rows: Sequence[Row]) -> Floats:
        """Logits of the n-grams: of the whole sentence and of what is near the aspect, added."""
        texts = [near_text(*row) for row in rows]
        return self.whole.logits([a for a, _ in texts]) + self.near.logits([b for _, b in texts])

    def logits(self, rows: Sequence[Row]) -> Floats:
        """Logits ``(len(rows), c)`` of (text before the aspect, aspect, text after it); calibrated by the factors of the parts."""
        if not rows:
            return np.zeros((0, len(self.labels)))
        found = self.parts(rows)
        return np.asarray(np.sum([self.factors[name] * found[name] for name in found], axis=0))

    def verdicts(self, rows: Sequence[Row]) -> NDArray[np.int64]:
        """The label of each row; logits are moved by what validation says of rare labels."""
        return (self.logits(rows) + self.offsets).argmax(1).astype(np.int64)


class Member:
    """One encoder with a layer over the vectors of a sentence: ``weights (PARTS * dim, c)``, ``bias (c,)``."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self.states = States(folder / "states", threads)
        self.weights: NDArray[np.float32] = load_array(folder, "weights")
        self.bias: NDArray[np.float32] = load_array(folder, "bias")
        self.temperature = float(load_array(folder, "temperature")[0])

    def pooled(self, rows: Sequence[Row]) -> Pooled:
        """Vectors ``(n, PARTS * dim)`` of sentences with their aspects."""
        framed = [self.states.frame(*row) for row in rows]
        out = np.zeros((len(rows), PARTS * self.states.dim), np.float32)
        for number, states in self.states.states(framed):
            out[number] = (weights_of(framed[number]) @ states).ravel()
        return out

    def logits(self, rows: Sequence[Row]) -> Floats:
        """Logits ``(n, c)``, divided by the member's temperature."""
        return (self.pooled(rows).astype(np.float64) @ self.weights + self.bias) / self.temperature
