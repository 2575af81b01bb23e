"""Learn what sentences say of the aspects that stand in them: encoders fine-tuned over sentence and aspect, and n-grams near it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import save_arrays, seal
from wares.core.errors import MissingExtra, QueryError
from wares.models.sentiment.aspect_labelled import AspectRows, Reviews
from wares.models.sentiment.aspect_polarity_infer import KIND, PARTS, PolarityPart, near_text, weights_of
from wares.models.sentiment.aspect_states_train import Learner, StatesOptions
from wares.models.sentiment.calibration import (
    Floats,
    expected_error,
    fit_blend,
    fit_temperature,
    log_loss,
    softmax,
)
from wares.models.sentiment.infer import moods_of
from wares.models.sentiment.linear_train import Choice, fit_linear, logits_of, matrix
from wares.models.sentiment.prepare import bags

Say = Callable[[str], None]
BALANCES = (0.0, 0.5, 1.0)
"""Powers of a label's rarity that its examples may weigh by."""
STRENGTHS = (1.0, 4.0)
SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0)
CLEAR = 1.5
"""Validation rows by which a choice must be better than a plainer one: fewer are chance."""
UNREAD = 0.5
LEAST_ROWS = 16
PROBES = 24
PRETRAIN_PIECES = 48
"""A review is read so far when it only teaches the encoder what praise and blame sound like."""
PRETRAIN_SHARE = 0.4
"""Of the time: at most so much for other labelled texts."""


@dataclass(frozen=True)
class PolarityOptions:
    """`encoders` to fine-tune, each with its options; `pretrain` are reviews or other labelled aspects that they read first."""

    encoders: tuple[StatesOptions, ...] = ()
    pretrain: Reviews | None = None
    pretrain_aspects: AspectRows | None = None
    aim: str = "accuracy"


def macro_f1(said: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> float:
    """Mean F1 over the labels that occur."""
    scores = [
        2
        * float(((said == c) & (labels == c)).sum())
        / max(float((said == c).sum() + (labels == c).sum()), 1.0)
        for c in range(classes)
        if (labels == c).any()
    ]
    return float(np.mean(scores)) if scores else 0.0


def train_polarity(
    train: AspectRows, valid: AspectRows, folder: Path, options: PolarityOptions | None = None, say: Say = lambda _: None
) -> dict[str, Any]:  # fmt: skip
    """Write the artefact into `folder`; returns what was chosen and how it does on `valid`.

    Weights of labels, strengths, epochs, the factors of the parts and the shift towards rare labels are chosen on `valid` alone.

    Raises:
        QueryError: when a label has nothing to learn from.
        ConfigError: when a model cannot be loaded.
        ModelError: when an exported model differs from torch's.
    """
    begun, options = time.monotonic(), options or PolarityOptions()
    names, classes = train.names, len(train.names)
    counts = np.bincount(train.labels, minlength=classes)
    if classes < 2 or not counts.all():
        missing = [name for name, n in zip(names, counts, strict=True) if not n]
        raise QueryError(
            f"there is nothing to learn from for {', '.join(missing)}" if missing else f"all rows have one polarity, {names[0]!r}",
            mend="Give rows of at least two polarities, and some of each", parameter="polarity",
        )  # fmt: skip
    say("n-grams")
    balance, linear = _linear(train, valid, folder)
    weights = _weights(counts, balance)
    members: list[str] = []
    reports: list[dict[str, Any]] = []
    for number, one in enumerate(options.encoders):
        name = f"member{number}"
        report = _member(
            train,
            valid,
            folder / name,
            one,
            options,
            weights,
            lambda text, n=number: say(f"encoder {n + 1}: {text}"),
        )
        reports.append(report)
        if not report["why"]:
            members.append(name)
    moods = moods_of(names)
    facts: dict[str, Any] = {
        "task": "polarity", "labels": list(names), "members": members, "balance": balance, "counts": counts.tolist(),
        "moods": (np.zeros(classes) if moods is None else moods).tolist(), "rows": len(train) + len(valid),
    }  # fmt: skip
    blank: dict[str, Any] = {"factors": {"linear": 1.0, "text": 1.0}, "offsets": [0.0] * classes}
    seal(folder, KIND, **facts, **blank)
    part = PolarityPart(folder)
    found: dict[str, Floats] = {"linear": linear}
    if members:
        found["text"] = np.asarray(np.mean([m.logits(valid.rows) for m in part.members], axis=0))
    factors = dict(zip(found, fit_blend(list(found.values()), valid.labels), strict=True))
    logits = np.asarray(np.sum([factors[name] * found[name] for name in found], axis=0))
    offsets = _offsets(logits, valid.labels, counts, options.aim)
    facts.update(factors=factors, offsets=offsets.tolist())
    seal(folder, KIND, **facts)
    said = (logits + offsets).argmax(1)
    return {
        **facts,
        "encoders": reports,
        "valid": {
            "rows": len(valid), "accuracy": float((said == valid.labels).mean()), "macro_f1": macro_f1(said, valid.labels, classes),
            "ece": expected_error(softmax(logits), valid.labels),
            "parts": {
                name: {"accuracy": float((one.argmax(1) == valid.labels).mean()), "macro_f1": macro_f1(one.argmax(1), valid.labels, classes)}
                for name, one in found.items()
            },
        },
        "minutes": (time.monotonic() - begun) / 60,
    }  # fmt: skip


def _weights(counts: NDArray[np.int64], balance: float) -> NDArray[np.float32]:
    """A weight for each label, one on average over the examples."""
    raw = (counts.sum() / (len(counts) * counts)) ** balance
    return (raw * counts.sum() / (raw * counts).sum()).astype(np.float32)


def _linear(train: AspectRows, valid: AspectRows, folder: Path) -> tuple[float, Floats]:
    """Fit the n-grams with the weights of labels that validation likes; the power of these weights, and the validation logits."""
    classes = len(train.names)
    counts = np.bincount(train.labels, minlength=classes)
    texts, held = [near_text(*row) for row in train.rows], [near_text(*row) for row in valid.rows]
    x = [matrix(*bags([t[i] for t in texts])) for i in (0, 1)]
    v = [matrix(*bags([t[i] for t in held])) for i in (0, 1)]
    best: tuple[float, float, float, Floats] | None = None
    margin = CLEAR / max(len(valid), 1)
    for balance in BALANCES:
        each = _weights(counts, balance)[train.labels]
        for strength in STRENGTHS:
            models = [
                fit_linear(x[i], train.labels, classes, Choice("ratio", strength), each) for i in (0, 1)
            ]
            logits = logits_of(models[0], v[0]) + logits_of(models[1], v[1])
            said = logits.argmax(1)
            # Accuracy alone would never pay for a label that one row in fifty has.
            score = float((said == valid.labels).mean()) + macro_f1(said, valid.labels, classes)
            if best is None or score > best[0] + (2 * margin if balance != best[1] else 0):
                best = (score, balance, strength, logits)
    assert best is not None
    _, balance, strength, logits = best
    labels = np.concatenate([train.labels, valid.labels])
    both = [near_text(*row) for row in (*train.rows, *valid.rows)]
    for i, name in enumerate(("whole", "near")):
        model = fit_linear(
            matrix(*bags([t[i] for t in both])), labels, classes, Choice("ratio", strength), _weights(counts, balance)[labels]
        )  # fmt: skip
        model.save(folder / name)
    return balance, logits


def _offsets(
    logits: Floats, labels: NDArray[np.int64], counts: NDArray[np.int64], aim: str
) -> NDArray[np.float64]:
    """What is added to the logits of rare labels (Menon et al., *Long-tail learning via logit adjustment*, ICLR 2021)."""
    rare = -np.log(counts / counts.sum())
    best, top = np.zeros(len(counts)), -1.0
    for shift in SHIFTS:
        said = (logits + shift * rare).argmax(1)
        accuracy, f1 = float((said == labels).mean()), macro_f1(said, labels, len(counts))
        score = f1 if aim == "macro_f1" else accuracy if aim == "accuracy" else accuracy + f1
        if score > top + (CLEAR / max(len(labels), 1) if shift else 0):
            best, top = shift * rare, score
    return best


def _member(
    train: AspectRows, valid: AspectRows, folder: Path, one: StatesOptions, options: PolarityOptions,
    weights: NDArray[np.float32], say: Say,
) -> dict[str, Any]:  # fmt: skip
    report: dict[str, Any] = {
        "model": one.model,
        "method": one.method,
        "why": "",
        "epochs": 0.0,
        "seconds": 0.0,
    }
    if len(train) < LEAST_ROWS:
        return {**report, "why": f"{len(train)} rows are too few to fine-tune on"}
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("fine-tuning an encoder", "train") from error
    begun, before = time.monotonic(), torch.get_num_threads()
    torch.set_num_threads(one.threads or before)
    try:
        tuner = _Tuner(train, valid, one, weights)
        if tuner.unread > UNREAD:
            return {**report, "why": f"the encoder cannot read {tuner.unread:.0%} of the sentences"}
        seconds = one.minutes * 60
        report["pretrained"] = tuner.prepare(options, PRETRAIN_SHARE * seconds, say)
        report["epochs"], report["valid_log_loss"] = tuner.run(seconds - (time.monotonic() - begun), say)
        say("export")
        report["precision"] = tuner.export(folder)["precision"]
    finally:
        torch.set_num_threads(before)
    return {**report, "seconds": round(time.monotonic() - begun, 1), "options": asdict(one)}


class _Tuner:
    def __init__(self, train: AspectRows, valid: AspectRows, one: StatesOptions, weights: NDArray[np.float32]) -> None:  # fmt: skip
        import torch

        self.torch, self.classes = torch, len(train.names)
        self.learner = Learner(one, self._layer)
        self.train = [self.learner.frame(*row) for row in train.rows]
        self.valid = [self.learner.frame(*row) for row in valid.rows]
        self.labels, self.held = torch.from_numpy(train.labels), valid.labels
        self.weights = torch.from_numpy(weights)
        self.unread = self.learner.unread(self.train)

    def _layer(self, dim: int) -> Any:
        layer = self.torch.nn.Linear(PARTS * dim, self.classes)
        self.torch.nn.init.zeros_(layer.weight)
        self.torch.nn.init.zeros_(layer.bias)
        return layer

    def _logits(self, states: Any, framed: Sequence[Any], learning: bool) -> Any:
        torch = self.torch
        pool = torch.zeros((len(framed), PARTS, states.shape[1]))
        for i, f in enumerate(framed):
            pool[i, :, : len(f.ids)] = torch.from_numpy(weights_of(f))
        vectors = (pool @ states).flatten(1)
        return self.learner.layers(torch.nn.functional.dropout(vectors, 0.1, learning))

    def prepare(self, options: PolarityOptions, seconds: float, say: Say) -> dict[str, Any]:
        """Let the encoder learn from other labelled texts first; the layer over it begins anew afterwards."""
        torch, out = self.torch, dict[str, Any]()
        tasks: list[tuple[str, list[Any], NDArray[np.int64]]] = []
        if options.pretrain is not None:
            kept = self.learner.options
            self.learner.options = replace(kept, most=min(kept.most, PRETRAIN_PIECES))
            framed = [self.learner.frame("", "", text[:400]) for text in options.pretrain.texts]
            self.learner.options = kept
            tasks.append(("reviews", framed, options.pretrain.labels))
        if options.pretrain_aspects is not None:
            rows = options.pretrain_aspects
            tasks.append(("aspects", [self.learner.frame(*row) for row in rows.rows], rows.labels))
        for name, framed, labels in tasks:
            answers = torch.from_numpy(labels)
            layer = torch.nn.Linear(PARTS * self.learner.body.dim, int(labels.max()) + 1)
            self.learner.layers = layer

            def loss(states: Any, rows: Sequence[int], framed: Any = framed, answers: Any = answers) -> Any:
                logits = self._logits(states, [framed[i] for i in rows], True)
                return torch.nn.functional.cross_entropy(logits, answers[rows])

            epochs = 1.0 if name == "reviews" else 2.0
            done, _ = self.learner.learn(
                framed, loss, epochs, seconds / len(tasks), lambda t, n=name: say(f"{n} first, {t}")
            )
            out[name] = {"rows": len(framed), "epochs": round(done, 2)}
        if tasks:
            self.learner.layers = self._layer(self.learner.body.dim)
        return out

    def run(self, seconds: float, say: Say) -> tuple[float, list[float]]:
        torch = self.torch

        def loss(states: Any, rows: Sequence[int]) -> Any:
            logits = self._logits(states, [self.train[i] for i in rows], True)
            return torch.nn.functional.cross_entropy(logits, self.labels[list(rows)], weight=self.weights)

        done, losses = self.learner.learn(
            self.train, loss, self.learner.options.epochs, max(5.0, seconds), say, lambda: self._held()[0]
        )
        return round(done, 2), [round(x, 5) for x in losses]

    def _held(self) -> tuple[float, float]:
        """(validation loss once sharpened or softened best, that temperature): too sure of itself is mended, wrong is not."""
        logits = np.zeros((len(self.valid), self.classes))
        for rows, states in self.learner.each(self.valid):
            with self.torch.no_grad():
                logits[rows] = self._logits(states, [self.valid[i] for i in rows], False).double().numpy()
        heat = fit_temperature(logits, self.held)
        return log_loss(logits / heat, self.held), heat

    def export(self, folder: Path) -> dict[str, Any]:
        # Before the export: it may merge adapters into the encoder.
        heat, layer = self._held()[1], self.learner.layers
        facts = self.learner.export(folder / "states", self.train[:PROBES])
        arrays = {"weights": layer.weight.detach().numpy().T, "bias": layer.bias.detach().numpy()}
        save_arrays(
            folder, temperature=np.array([heat], np.float32), **{k: v.astype(np.float32) for k, v in arrays.items()}
        )  # fmt: skip
        return facts
