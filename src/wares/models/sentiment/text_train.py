"""Fine-tune an encoder to tell labels of texts, within a budget of time, and export it for serving.

The encoder and its training settings are those of the similarity room (`wares.features.adapt_body_train`): whole or by
LoRA. A layer over the sentence vector gives the logits; the least validation loss is kept.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.config import Encoder
from wares.core.errors import ConfigError, MissingExtra
from wares.core.machine import bf16_pays
from wares.features.batches import of_like_length
from wares.models.sentiment.calibration import Floats, log_loss
from wares.models.sentiment.labelled import LabelledTexts
from wares.models.sentiment.prepare import prepared
from wares.models.sentiment.text_infer import ENCODER, TextPart

BATCH = 32
EPOCHS = 4
RATES = {"full": 5e-5, "lora": 3e-4, "adalora": 5e-4}
HEAD_RATE = 1e-2
WARM = 0.1
PATIENCE = 1
CHECKS = 2
"""Times an epoch that validation is looked at."""
MOST_VALID = 2000
FIRST, REPLAN = 8, 32
"""Steps after which the pace is looked at: once, and again and again."""
PIECES = 4096
"""Of texts that are held in memory at once while they teach."""
FROZEN_SHARE = 1 / 3
"""Of the layers, the lowest, that stay as they are: they cost a quarter of the time and change little (Lee, Tang and Lin, *What
Would Elsa Do? Freezing Layers During Transformer Fine-Tuning*, 2019)."""
UNREAD = 0.5
LEAST_TEXTS = 16
MIN_COSINE = 0.97
Say = Callable[[str], None]


@dataclass(frozen=True)
class TextOptions:
    """Which encoder and how it learns: `method` is full, lora, adalora, or frozen, which fits the layer over it alone; about
    `minutes` of training. Of several `layers` only the first are kept, where it is not zero; the trained body is also written
    to `keep` as a Hugging Face folder."""

    model: str = ""
    method: str = "full"
    minutes: float = 20.0
    max_tokens: int = 256
    rank: int = 16
    prefix: str = ""
    seed: int = 7
    threads: int = 0
    layers: int = 0
    keep: Path | None = None


@dataclass
class TextReport:
    """What the training did; `why` says why there is no encoder's part, when there is none."""

    model: str = ""
    method: str = ""
    why: str = ""
    share: float = 0.0
    planned_epochs: float = 0.0
    checks: list[dict[str, float]] = field(default_factory=list)
    int8: bool = False
    seconds: float = 0.0


def train_text(
    train: LabelledTexts, valid: LabelledTexts, folder: Path, options: TextOptions, progress: Say = lambda _: None,
    weights: NDArray[np.float64] | None = None,
) -> TextReport:  # fmt: skip
    """Write the encoder's part into `folder`, or say why not. `weights (n,)` are of the texts of `train`; where these have
    targets, it learns those: numbers by squared error, probabilities by cross-entropy.

    Raises:
        ConfigError: when the model cannot be loaded.
        ModelError: when the exported model differs from torch's.
    """
    report = TextReport(options.model, options.method)
    if not options.model:
        report.why = "no model is named"
        return report
    if len(train) < LEAST_TEXTS:
        report.why = f"{len(train)} texts are too few to fine-tune on"
        return report
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("fine-tuning an encoder", "train") from error
    begun, before = time.monotonic(), torch.get_num_threads()
    torch.set_num_threads(options.threads or before)
    try:
        tuner = _Tuner(train, valid, options, report, weights)
        if not report.why:
            tuner.run(options.minutes * 60 - (time.monotonic() - begun), progress)
        if not report.why:
            progress("text: export")
            tuner.export(folder)
    finally:
        torch.set_num_threads(before)
    report.seconds = round(time.monotonic() - begun, 1)
    return report


class _Tuner:
    def __init__(
        self, train: LabelledTexts, valid: LabelledTexts, options: TextOptions, report: TextReport,
        weights: NDArray[np.float64] | None,
    ) -> None:  # fmt: skip
        import torch

        from wares.features.adapt_body_train import Body, Build

        self.torch, self.options, self.report = torch, options, report
        self.rng = np.random.default_rng(options.seed)
        self.body = Body.load(
            Build(
                options.model, options.method, options.rank, options.max_tokens, split_digits=False, freeze_embeddings=True,
                prefix_passage=options.prefix, seed=options.seed,
            )
        )  # fmt: skip
        self.body.bf16 = bf16_pays()
        self.tokens = self._tokens(train.texts)
        unread = self.body.unread(self.tokens)
        if unread.mean() > UNREAD:
            report.why = f"the encoder cannot read {unread.mean():.0%} of the texts"
        if options.layers:
            self._cut(options.layers)
        if options.method == "full":
            self._spare()
        goals = train.labels if train.targets is None else train.targets.astype(np.float32)
        self.goals, self.numbers = torch.from_numpy(goals), train.targets is not None and goals.shape[1] == 1
        self.middle, self.scale = 0.0, 1.0
        if self.numbers:
            # Numbers around zero and of about one are learned at the same rates as logits.
            self.middle, self.scale = float(goals.mean()), float(max(goals.std(), 1e-6))
            self.goals = (self.goals - self.middle) / self.scale
        self.weights = None if weights is None else torch.from_numpy((weights / weights.mean()).astype(np.float32))  # fmt: skip
        self.length = np.array([len(t) for t in self.tokens])
        some = self.rng.permutation(len(valid))[:MOST_VALID]
        self.valid = valid.some(some)
        self.valid_tokens = self._tokens(self.valid.texts)
        self.head = torch.nn.Linear(self.body.dim, 1 if self.numbers else len(train.names))
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)
        report.share = round(self.body.share, 4)

    def _cut(self, layers: int) -> None:
        """Keep the first layers alone: what the rest adds is learned anew.

        Raises:
            ConfigError: when the encoder has no list of layers, or fewer.
        """
        inner = getattr(self.body.model, "encoder", None)
        every = getattr(inner, "layer", None)
        if inner is None or every is None or len(every) < layers:
            raise ConfigError(
                f"{layers} layers cannot be cut out of the encoder {self.options.model!r}",
                mend="Ask for fewer, or distil into n-grams", key="layers", source="command line",
            )  # fmt: skip
        inner.layer = every[:layers]
        self.body.model.config.num_hidden_layers = layers

    def _spare(self) -> None:
        """Leave out what takes long and helps little within a budget of time: learning of the lowest layers, and dropout inside of
        attention, whose random numbers cost a fifth of a step."""
        inner = getattr(self.body.model, "encoder", None)
        every = list(getattr(inner, "layer", None) or ())
        for layer in every[: int(FROZEN_SHARE * len(every))]:
            layer.requires_grad_(False)
        if every:
            self.body.model.embeddings.requires_grad_(False)
        for module in self.body.model.modules():
            if "SelfAttention" in type(module).__name__ and hasattr(module, "dropout"):
                module.dropout = self.torch.nn.Dropout(0.0)

    def _cost(self, logits: Any, rows: Any) -> Any:
        f, goals = self.torch.nn.functional, self.goals[rows]
        each = (
            ((logits - goals) ** 2).mean(1)
            if self.numbers
            else f.cross_entropy(logits, goals, reduction="none")
        )
        return each.mean() if self.weights is None else (each * self.weights[rows]).mean()

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        return self.body.tokens([prepared(t) for t in texts], np.zeros(len(texts), bool))

    def logits(self, vectors: Any) -> Any:
        """Vectors have length one; times the root of their length a weight of one moves a logit by about one."""
        return self.head(vectors * math.sqrt(self.body.dim))

    def run(self, seconds: float, progress: Say) -> None:
        torch, body, report = self.torch, self.body, self.report
        begun, each = time.monotonic(), math.ceil(len(self.tokens) / BATCH)
        optimiser = torch.optim.AdamW(
            [
                {"params": body.learning(), "lr": RATES.get(self.options.method, 1e-4)},
                {"params": self.head.parameters(), "lr": HEAD_RATE},
            ],
            weight_decay=0.01,
        )
        rates = [group["lr"] for group in optimiser.param_groups]
        planned, done, worse = EPOCHS * each, 0, 0
        looked, looked_at = 0, begun
        best, best_loss = None, math.inf
        every = max(1, math.ceil(each / CHECKS))
        body.model.train()
        while done < planned and worse <= PATIENCE * CHECKS:
            for rows in of_like_length(self.length, BATCH, self.rng):
                warm = max(1, int(WARM * planned))
                share = min((done + 1) / warm, max(0.0, (planned - done) / max(planned - warm, 1)))
                for group, rate in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = rate * share
                for part in self._parts(rows):
                    vectors = body.forward([self.tokens[i] for i in part.tolist()])
                    loss = self._cost(self.logits(vectors), torch.from_numpy(part))
                    (loss * (len(part) / len(rows))).backward()
                torch.nn.utils.clip_grad_norm_(body.learning(), 1.0)
                optimiser.step()
                optimiser.zero_grad()
                done += 1
                now = time.monotonic()
                if done == FIRST or done % REPLAN == 0:
                    # By the pace of late: a shared machine is not equally fast all the time. Looking at validation costs about a
                    # third of a step for each batch.
                    pace = (now - looked_at) / (done - looked)
                    look = pace * 0.35 * math.ceil(len(self.valid) / BATCH)
                    fits = (seconds - (now - begun) - look) / (pace + look / every)
                    planned = min(EPOCHS * each, done + max(1, int(fits)))
                    looked, looked_at = done, now
                if done % 10 == 0:
                    left = (now - begun) / done * (planned - done) / 60
                    progress(
                        f"text: epoch {done / each:.1f} of {planned / each:.1f}, about {left:.1f} min left"
                    )
                if done % every == 0 or done >= planned:
                    found = self._loss()
                    report.checks.append(
                        {
                            "epoch": round(done / each, 2),
                            ("valid_squared_error" if self.numbers else "valid_log_loss"): round(found, 5),
                        }
                    )
                    if found < best_loss:
                        best, best_loss, worse = self._state(), found, 0
                    else:
                        worse += 1
                if done >= planned or worse > PATIENCE * CHECKS:
                    break
        report.planned_epochs = round(planned / each, 2)
        assert best is not None
        with torch.no_grad():
            for kept, weights in zip(best, self._weights(), strict=True):
                weights.copy_(kept)

    def _parts(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """A batch in parts whose gradients add up to its own: attention over long texts would fill the memory."""
        each = max(1, PIECES // int(self.length[rows].max(initial=1)))
        return [rows[at : at + each] for at in range(0, len(rows), each)]

    def _weights(self) -> list[Any]:
        return [*self.body.learning(), *self.head.parameters()]

    def _state(self) -> list[Any]:
        """What learns, copied; the rest, often the larger part, stays what it is."""
        return [weights.detach().clone() for weights in self._weights()]

    def _loss(self) -> float:
        vectors = self.body.encode(self.valid_tokens)
        with self.torch.no_grad():
            logits: Floats = self.logits(self.torch.from_numpy(vectors)).double().numpy()
        if self.numbers:
            assert self.valid.targets is not None
            return float(np.mean((logits * self.scale + self.middle - self.valid.targets) ** 2))
        return log_loss(logits, self.valid.labels)

    def export(self, folder: Path) -> None:
        """The encoder as ONNX with its own gates, and the layer over it as arrays."""
        from wares.features.encoder_train import export_encoder

        weights = self.head.weight.detach().numpy().T * math.sqrt(self.body.dim) * self.scale
        bias = self.head.bias.detach().numpy() * self.scale + self.middle
        TextPart.save(folder, weights.astype(np.float32), bias.astype(np.float32))
        with tempfile.TemporaryDirectory(prefix="wares-sentiment-") as scratch:
            self.body.save(Path(scratch) / "body", {"wares": "sentiment"})
            if self.options.keep is not None:
                shutil.copytree(Path(scratch) / "body", self.options.keep)
            config = Encoder(
                model=str(Path(scratch) / "body"), max_tokens=self.options.max_tokens, prefix_passage=self.options.prefix,
                min_cosine=MIN_COSINE,
            )  # fmt: skip
            (folder / ENCODER).mkdir()
            facts = export_encoder(config, folder / ENCODER, self.options.model)
        self.report.int8 = facts["precision"] == "int8"
