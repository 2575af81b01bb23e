"""Learn to extract aspect, opinion, category and polarity: terms tagged and pairs judged over one encoder, trained at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wares.core.arrays import save_arrays, seal
from wares.core.errors import QueryError
from wares.models.sentiment.aspect_labelled import NULL, Quad, QuadTexts, place_of
from wares.models.sentiment.aspect_quads_infer import (
    ASPECT,
    KIND,
    NOWHERE,
    OPINION,
    QuadPart,
    Thresholds,
    spans_of,
)
from wares.models.sentiment.aspect_scores import scores_of
from wares.models.sentiment.aspect_states_infer import Framed, Span, frame
from wares.models.sentiment.aspect_states_train import Learner, StatesOptions
from wares.models.sentiment.calibration import softmax
from wares.models.sentiment.infer import moods_of
from wares.models.sentiment.labelled import ordered
from wares.models.sentiment.opinion_text import aligned

HIDDEN = 256
TERM_LEVELS = (0.2, 0.35, 0.5)
PAIR_LEVELS = (0.3, 0.4, 0.5, 0.6, 0.7)
LEAST_TEXTS = 16
PROBES = 24
GUESSED = 0.3
"""From where on the tagger's own guesses are pairs to reject, so that it learns what it will be asked."""
AFTER = 1.0
"""Epochs before its guesses are worth rejecting."""
Say = Callable[[str], None]


class Layers(torch.nn.Module):
    """Tags, pairs, categories and polarities over states. A category ``ENTITY#ATTRIBUTE`` shares what is learned of its two parts."""

    def __init__(self, dim: int, categories: Sequence[str], polarities: int) -> None:
        super().__init__()
        self.tag = torch.nn.Linear(dim, 6)
        self.null = torch.nn.Parameter(torch.randn(2, dim) * 0.1)
        self.hidden = torch.nn.Linear(4 * dim, HIDDEN)
        self.category = torch.nn.Linear(HIDDEN, len(categories) + 1)
        parts = [c.partition("#") for c in categories]
        self.entities, self.attributes = _places(p[0] for p in parts), _places(p[2] for p in parts)
        self.entity = torch.nn.Parameter(torch.zeros(int(self.entities.max()) + 1, HIDDEN))
        self.attribute = torch.nn.Parameter(torch.zeros(int(self.attributes.max()) + 1, HIDDEN))
        self.polarity = torch.nn.Linear(HIDDEN, polarities)

    def category_weights(self) -> Any:
        """Weights ``(n_categories + 1, HIDDEN)``; the last row is that of no pair."""
        shared = self.entity[self.entities] + self.attribute[self.attributes]
        return self.category.weight + torch.cat([shared, torch.zeros(1, HIDDEN)])

    def judge(self, vectors: Any) -> tuple[Any, Any]:
        """Logits of category and of polarity for pairs ``(p, 4 * dim)``."""
        drop = torch.nn.functional.dropout
        hidden = drop(torch.relu(self.hidden(drop(vectors, 0.1, self.training))), 0.2, self.training)
        return hidden @ self.category_weights().T + self.category.bias, self.polarity(hidden)


def _places(names: Iterable[str]) -> Any:
    known: dict[str, int] = {}
    return torch.tensor([known.setdefault(name, len(known)) for name in names])


@dataclass(frozen=True)
class _Example:
    """A sentence's pieces, its terms by kind, and its pairs: (aspect, opinion) → (category, polarity); None for a term is NULL."""

    framed: Framed
    terms: tuple[list[Span], list[Span]]
    pairs: dict[tuple[Span | None, Span | None], tuple[int, int]]


def train_quads(
    train: QuadTexts, valid: QuadTexts, folder: Path, options: StatesOptions, say: Say = lambda _: None
) -> dict[str, Any]:
    """Write the artefact into `folder`; thresholds are chosen on `valid`. Returns what was learned.

    Raises:
        QueryError: when there is too little to learn from, or one polarity only.
        ConfigError: when the model cannot be loaded.
        ModelError: when the exported model differs from torch's.
    """
    begun = time.monotonic()
    said = [quad for quads in train.quads for quad in quads]
    labels = ordered([quad.polarity for quad in said])
    categories = tuple(sorted({quad.category for quad in said}))
    if len(train) < LEAST_TEXTS or len(labels) < 2:
        raise QueryError(
            f"{len(train)} texts are too few to learn from" if len(train) < LEAST_TEXTS else f"all labels have one polarity, {''.join(labels)!r}",
            mend="Give more labelled texts, of at least two polarities", parameter="train",
        )  # fmt: skip
    before = torch.get_num_threads()
    torch.set_num_threads(options.threads or before)
    try:
        tuner = _Tuner(train, valid, options, categories, labels)
        epochs = tuner.run(options.minutes * 60 - (time.monotonic() - begun), say)
        say("export")
        exported = tuner.export(folder)
    finally:
        torch.set_num_threads(before)
    moods = moods_of(labels)
    facts: dict[str, Any] = {
        "task": "quadruples", "categories": list(categories), "labels": list(labels), "texts": len(train) + len(valid),
        "moods": (np.zeros(len(labels)) if moods is None else moods).tolist(),
    }  # fmt: skip
    seal(folder, KIND, **facts, term=0.5, pair=0.5)
    say("thresholds")
    part = QuadPart(folder)
    best, scores = Thresholds(0.5, 0.5), {"f1": -1.0}
    for term in TERM_LEVELS:
        # The pairs of a level are judged once, each with how sure it is.
        found = part.read_at(valid.texts, Thresholds(term, min(PAIR_LEVELS)))
        for pair in PAIR_LEVELS:
            kept = [[e for e in ones if e.sure >= pair] for ones in found]
            score = scores_of(valid, kept)["quadruples"]
            if score["f1"] > scores["f1"]:
                best, scores = Thresholds(term, pair), score
    seal(folder, KIND, **facts, term=best.term, pair=best.pair)
    return {
        **facts, "thresholds": asdict(best), "valid": {"texts": len(valid), **scores}, "epochs": round(epochs, 2), "unplaced": tuner.unplaced,
        "precision": exported["precision"], "options": asdict(options), "minutes": (time.monotonic() - begun) / 60,
    }  # fmt: skip


class _Tuner:
    def __init__(
        self, train: QuadTexts, valid: QuadTexts, options: StatesOptions, categories: Sequence[str], labels: Sequence[str]
    ) -> None:  # fmt: skip
        self.learner = Learner(options, partial(Layers, categories=categories, polarities=len(labels)))
        self.category = {name: i for i, name in enumerate(categories)}
        self.polarity = {name: i for i, name in enumerate(labels)}
        self.unplaced = 0
        self.train = [self._example(*row) for row in zip(train.texts, train.quads, strict=True)]
        self.valid = [self._example(*row) for row in zip(valid.texts, valid.quads, strict=True)]
        self.seen = 0

    def _example(self, text: str, quads: Sequence[Quad]) -> _Example:
        framed = frame(
            self.learner.backend,
            "",
            "",
            aligned(text),
            self.learner.options.prefix,
            self.learner.options.most,
            False,
        )
        terms: tuple[list[Span], list[Span]] = ([], [])
        pairs: dict[tuple[Span | None, Span | None], tuple[int, int]] = {}
        for quad in quads:
            spans = [self._pieces(text, framed, said) for said in (quad.aspect, quad.opinion)]
            if any(span == NOWHERE for span in spans):
                self.unplaced += 1
                continue
            for kind, span in enumerate(spans):
                if span is not None and span not in terms[kind]:
                    terms[kind].append(span)
            if quad.category in self.category and quad.polarity in self.polarity:
                pairs[(spans[0], spans[1])] = (self.category[quad.category], self.polarity[quad.polarity])
        return _Example(framed, terms, pairs)

    @staticmethod
    def _pieces(text: str, framed: Framed, said: str) -> Span | None:
        """The pieces of a term; None for an implied one, `NOWHERE` for one that the pieces do not hold."""
        if said == NULL:
            return None
        place = place_of(text, said)
        if place is None:
            return NOWHERE
        inside = [i for i, (a, b) in enumerate(framed.offsets) if b > place[0] and a < place[1] and b > a]
        return (inside[0], inside[-1] + 1) if inside else NOWHERE

    def run(self, seconds: float, say: Say) -> float:
        each = max(len(self.train), 1)

        def loss(states: Any, rows: Sequence[int]) -> Any:
            self.seen += len(rows)
            guess = self.seen > AFTER * each
            return self._loss(states, [self.train[i] for i in rows], guess)

        done, _ = self.learner.learn(
            [e.framed for e in self.train], loss, self.learner.options.epochs, seconds, say, self._held
        )
        return done

    def _held(self) -> float:
        total, n = 0.0, 0
        for rows, states in self.learner.each([e.framed for e in self.valid]):
            with torch.no_grad():
                total += float(self._loss(states, [self.valid[i] for i in rows], True)) * len(rows)
            n += len(rows)
        return total / max(n, 1)

    def _loss(self, states: Any, examples: Sequence[_Example], guess: bool) -> Any:
        layers: Layers = self.learner.layers
        tags = layers.tag(states)
        truth = torch.full((len(examples), states.shape[1], 2), -100)
        vectors: list[Any] = []
        categories: list[int] = []
        polarities: list[int] = []
        sure = tags.detach()
        for i, example in enumerate(examples):
            first, last = example.framed.said
            own = states[i, first:last]
            for kind in (ASPECT, OPINION):
                truth[i, first:last, kind] = 0
                for a, b in example.terms[kind]:
                    truth[i, first + a, kind] = 1
                    truth[i, first + a + 1 : first + b, kind] = 2
            if last <= first:
                continue
            options: list[list[Span | None]] = [[*example.terms[kind], None] for kind in (ASPECT, OPINION)]
            if guess:
                for kind in (ASPECT, OPINION):
                    p = softmax(sure[i, first:last, 3 * kind : 3 * kind + 3].double().numpy())
                    more = [(c.first, c.last) for c in spans_of(p, GUESSED)[:3]]
                    options[kind] += [span for span in more if span not in options[kind]]
            whole = own.mean(0)
            halves = [
                {span: layers.null[kind] if span is None else own[span[0] : span[1]].mean(0) for span in options[kind]}
                for kind in (ASPECT, OPINION)
            ]  # fmt: skip
            for a in options[ASPECT]:
                for o in options[OPINION]:
                    left, right = halves[ASPECT][a], halves[OPINION][o]
                    vectors.append(torch.cat([left, right, whole, left * right]))
                    c, p = example.pairs.get((a, o), (len(self.category), -100))
                    categories.append(c)
                    polarities.append(p)
        cross = torch.nn.functional.cross_entropy
        value = cross(tags[..., :3].flatten(0, 1), truth[..., 0].flatten()) + cross(
            tags[..., 3:].flatten(0, 1), truth[..., 1].flatten()
        )
        if vectors:
            category, polarity = layers.judge(torch.stack(vectors))
            value = value + cross(category, torch.tensor(categories))
            if any(p >= 0 for p in polarities):
                value = value + cross(polarity, torch.tensor(polarities))
        return value

    def export(self, folder: Path) -> dict[str, Any]:
        facts = self.learner.export(folder / "states", [e.framed for e in self.train[:PROBES]])
        layers: Layers = self.learner.layers
        arrays: dict[str, Any] = {
            "tag_weights": layers.tag.weight.T, "tag_bias": layers.tag.bias, "null": layers.null, "hidden_weights": layers.hidden.weight.T,
            "hidden_bias": layers.hidden.bias, "category_weights": layers.category_weights().T, "category_bias": layers.category.bias,
            "polarity_weights": layers.polarity.weight.T, "polarity_bias": layers.polarity.bias,
        }  # fmt: skip
        saved: dict[str, NDArray[np.float32]] = {
            k: v.detach().numpy().astype(np.float32) for k, v in arrays.items()
        }
        save_arrays(folder, **saved)
        return facts
