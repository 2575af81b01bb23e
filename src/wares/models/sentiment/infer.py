"""What a review says, as calibrated probabilities of its labels. numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import open_artifact
from wares.models.sentiment.calibration import Floats, softmax
from wares.models.sentiment.linear_infer import Linear
from wares.models.sentiment.prepare import prepared, words_of
from wares.models.sentiment.text_infer import TextPart

KIND = "sentiment"
MOST_WORDS = 60
"""A longer text is explained by its first words only: each asks once."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The most probable label, its probability, all `probabilities` by label, and `mood` in -1..1 (None where the labels have
    no order); `sure` is False where the classifier would rather not say."""

    label: str
    probability: float
    probabilities: dict[str, float]
    mood: float | None
    sure: bool


class Sentiment:
    """A trained classifier of texts."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self.manifest: dict[str, Any] = open_artifact(folder, KIND)
        self.labels: tuple[str, ...] = tuple(self.manifest["labels"])
        self.factors: dict[str, float] = self.manifest["factors"]
        self.threshold = float(self.manifest["threshold"])
        ranks: list[float] | None = self.manifest["moods"]
        self.moods = None if ranks is None else np.array(ranks)
        self.linear = Linear.load(folder)
        self.text = TextPart(folder, threads) if "text" in self.factors else None

    def probabilities(self, texts: Sequence[str]) -> Floats:
        """Probabilities ``(len(texts), n_labels)``; a blank text gets what is usual."""
        if not texts:
            return np.zeros((0, len(self.labels)))
        return softmax(sum_of(self.parts(texts), self.factors))

    def parts(self, texts: Sequence[str]) -> dict[str, Floats]:
        """Logits ``(len(texts), n_labels)`` of each part of the classifier."""
        found = {"linear": self.linear.logits(texts)}
        if self.text is not None:
            found["text"] = self.text.logits(texts)
        return found

    def read(self, texts: Sequence[str]) -> list[Verdict]:
        """A verdict for each text, in their order; of a blank one nothing is sure."""
        p = self.probabilities(texts)
        best = p.argmax(1)
        moods = None if self.moods is None else p @ self.moods
        return [
            Verdict(
                self.labels[int(b)],
                float(row[b]),
                {label: float(v) for label, v in zip(self.labels, row, strict=True)},
                None if moods is None else float(moods[i]),
                bool(row[b] >= self.threshold and prepared(text)),
            )
            for i, (text, row, b) in enumerate(zip(texts, p, best, strict=True))
        ]

    def why(self, text: str) -> list[tuple[str, float]]:
        """The words of a text in their order, each with what the probability of the verdict loses without it (occlusion;
        Zeiler and Fergus 2014). Above zero speaks for the verdict, below against it."""
        words = words_of(prepared(text))[:MOST_WORDS]
        glue = "" if len(words) > 1 and "".join(words) in prepared(text) else " "
        without = [glue.join(words[:i] + words[i + 1 :]) for i in range(len(words))]
        p = self.probabilities([glue.join(words), *without])
        verdict = int(p[0].argmax())
        return [(word, float(p[0, verdict] - p[i + 1, verdict])) for i, word in enumerate(words)]


def sum_of(parts: Mapping[str, Floats], factors: Mapping[str, float]) -> Floats:
    """The logits of several parts, each by its factor."""
    weighed = [factors[name] * logits for name, logits in parts.items()]
    return np.asarray(np.sum(weighed, axis=0))


def moods_of(labels: Sequence[str]) -> NDArray[np.float64] | None:
    """Where each label lies between -1 and 1: by its number, or as negative, neutral, positive; None for other names."""
    named = {"negative": -1.0, "neg": -1.0, "neutral": 0.0, "positive": 1.0, "pos": 1.0}
    if all(label.casefold() in named for label in labels):
        return np.array([named[label.casefold()] for label in labels])
    try:
        values = np.array([float(label) for label in labels])
    except ValueError:
        return None
    if not np.isfinite(values).all() or values.max() == values.min():
        return None
    return np.asarray(2 * (values - values.min()) / (values.max() - values.min()) - 1)
