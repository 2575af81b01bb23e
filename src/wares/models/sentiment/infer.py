"""What a review says, as calibrated probabilities of its labels. numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import open_artifact
from wares.models.sentiment.calibration import Floats, bent, softmax
from wares.models.sentiment.decision import Decision
from wares.models.sentiment.languages import language_of
from wares.models.sentiment.linear_infer import Linear
from wares.models.sentiment.neutral import neutral
from wares.models.sentiment.prepare import prepared, words_of
from wares.models.sentiment.stars import logits_of
from wares.models.sentiment.text_infer import TextPart

KIND = "sentiment"
MOST_WORDS = 60
"""A longer text is explained by its first words only: each asks once."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The label said, its probability, all `probabilities` by label, and `mood` in -1..1 (None where the labels have
    no order); `sure` is False where the classifier would rather not say. `stars` is the number itself, of a regression."""

    label: str
    probability: float
    probabilities: dict[str, float]
    mood: float | None
    sure: bool
    stars: float | None = None


class Sentiment:
    """A trained classifier of texts."""

    trained = True

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self.manifest: dict[str, Any] = open_artifact(folder, KIND)
        self.labels: tuple[str, ...] = tuple(self.manifest["labels"])
        self.factors: dict[str, float] = self.manifest["factors"]
        self.threshold = float(self.manifest["threshold"])
        self.decision = Decision.of(self.manifest)
        self.spread: float | None = self.manifest.get("spread")
        ranks: list[float] | None = self.manifest["moods"]
        self.moods = None if ranks is None else np.array(ranks)
        self.linear = Linear.load(folder)
        self.text = TextPart(folder, threads) if "text" in self.factors else None

    def probabilities(self, texts: Sequence[str]) -> Floats:
        """Probabilities ``(len(texts), n_labels)``; a blank text gets what is usual."""
        if not texts:
            return np.zeros((0, len(self.labels)))
        return self.calibrated(self.parts(texts))

    def calibrated(self, parts: Mapping[str, Floats]) -> Floats:
        """Probabilities ``(n, n_labels)`` of the logits of each part."""
        return calibrated(parts, self.manifest)

    def stars(self, parts: Mapping[str, Floats]) -> Floats | None:
        """The numbers ``(n,)`` of a regression; None of any other."""
        return None if self.spread is None else blended(parts, self.manifest)[:, 0]

    def parts(self, texts: Sequence[str], vectors: NDArray[np.float32] | None = None) -> dict[str, Floats]:
        """Logits ``(len(texts), n_labels)`` of each part of the classifier, or numbers ``(len(texts), 1)``; `vectors
        (len(texts), dim)` are the encoder's, where they are known already."""
        if self.manifest.get("neutral"):
            texts = [neutral(text) for text in texts]
        found = {"linear": self.linear.logits(texts)}
        if self.text is not None:
            found["text"] = self.text.logits(texts, vectors)
        return found

    def read(self, texts: Sequence[str], groups: Sequence[str] | None = None) -> list[Verdict]:
        """A verdict for each text, in their order; of a blank one nothing is sure. `groups` are the texts' categories, where
        thresholds were chosen for them.

        Raises:
            ValueError: when there are not as many groups as texts.
        """
        if groups is not None and len(groups) != len(texts):
            raise ValueError(f"{len(groups)} groups for {len(texts)} texts")
        if not texts:
            return []
        parts = self.parts(texts)
        p, stars = self.calibrated(parts), self.stars(parts)
        said, confidence = self.decision.said(p)
        least = self.decision.thresholds([language_of(text) for text in texts], groups)
        moods = None if self.moods is None else p @ self.moods
        return [
            Verdict(
                self.labels[int(b)],
                float(row[b]),
                {label: float(v) for label, v in zip(self.labels, row, strict=True)},
                None if moods is None else float(moods[i]),
                bool(confidence[i] >= least[i] and prepared(text)),
                None if stars is None else float(stars[i]),
            )
            for i, (text, row, b) in enumerate(zip(texts, p, said, strict=True))
        ]

    def why(self, text: str) -> list[tuple[str, float]]:
        """The words of a text in their order, each with what the probability of the verdict loses without it (occlusion;
        Zeiler and Fergus 2014). Above zero speaks for the verdict, below against it."""
        words = words_of(prepared(text))[:MOST_WORDS]
        glue = "" if len(words) > 1 and "".join(words) in prepared(text) else " "
        without = [glue.join(words[:i] + words[i + 1 :]) for i in range(len(words))]
        p = self.probabilities([glue.join(words), *without])
        verdict = int(self.decision.said(p[:1])[0][0])
        return [(word, float(p[0, verdict] - p[i + 1, verdict])) for i, word in enumerate(words)]


def sum_of(parts: Mapping[str, Floats], factors: Mapping[str, float]) -> Floats:
    """The logits of several parts, each by its factor."""
    weighed = [factors[name] * logits for name, logits in parts.items()]
    return np.asarray(np.sum(weighed, axis=0))


def blended(parts: Mapping[str, Floats], facts: Mapping[str, Any]) -> Floats:
    """The sum of the parts' logits, or numbers, as an artefact's facts have it, with what it adds to each."""
    out = sum_of(parts, facts["factors"])
    return out + np.array(facts["bias"]) if facts.get("bias") is not None else out


def calibrated(parts: Mapping[str, Floats], facts: Mapping[str, Any]) -> Floats:
    """Probabilities ``(n, n_labels)`` of the parts' logits, or of a regression's numbers, as the facts have it."""
    out = blended(parts, facts)
    if facts.get("spread") is not None:
        out = logits_of(out[:, 0], facts["labels"], float(facts["spread"]))
    return bent(softmax(out), facts.get("curves") or ())


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
