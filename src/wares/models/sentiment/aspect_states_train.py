"""Fine-tune an encoder whose every piece's state counts, within a budget of time, and export it for serving.

The encoder and its training settings are those of the similarity room (`wares.features.adapt_body_train`): whole or by LoRA.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wares.core.arrays import seal
from wares.core.errors import ModelError
from wares.core.machine import bf16_pays
from wares.features.adapt_body_train import Body, Build
from wares.features.batches import of_like_length
from wares.features.encoder_train import load_parts, quantise, save_tokenizer
from wares.models.sentiment.aspect_states_infer import KIND, Framed, States, closed, frame

BATCH = 32
RATES = {"full": 8e-5, "lora": 4e-4, "adalora": 6e-4}
E5_RATE = 5e-5
HEAD_RATE = 1e-3
WARM = 0.1
FP32_COSINE = 0.9999
INT8_COSINE = 0.98
Say = Callable[[str], None]


@dataclass(frozen=True)
class StatesOptions:
    """Which encoder and how it learns: at most `epochs`, about `minutes`, `most` pieces of a sentence round its aspect."""

    model: str
    method: str = "full"
    minutes: float = 8.0
    epochs: float = 5.0
    most: int = 96
    prefix: str = ""
    seed: int = 7
    threads: int = 0
    rate: float = 0.0


class Learner:
    """An encoder with layers over the states of its pieces, while they learn."""

    def __init__(self, options: StatesOptions, layers: Any) -> None:
        self.options = options
        self.body = Body.load(
            Build(options.model, options.method, 16, options.most + 32, split_digits=False, freeze_embeddings=True, seed=options.seed)
        )  # fmt: skip
        self.body.bf16 = bf16_pays()
        torch.manual_seed(options.seed)
        self.layers = layers(self.body.dim)
        self.backend = self.body.tokenizer.backend_tokenizer
        self.backend.no_truncation()
        self.backend.no_padding()
        self.types = int(getattr(self.body.model.config, "type_vocab_size", 1)) > 1
        self.rng = np.random.default_rng(options.seed)

    def frame(self, left: str, aspect: str, right: str, again: bool = True) -> Framed:
        """Frame a sentence as serving does."""
        return frame(
            self.backend, *closed(left, aspect, right), self.options.prefix, self.options.most, again
        )

    def unread(self, framed: Sequence[Framed]) -> float:
        """The share of sentences that the encoder does not know."""
        return float(self.body.unread([f.ids for f in framed]).mean()) if framed else 0.0

    def states(self, framed: Sequence[Framed]) -> Any:
        """States ``(b, pieces, dim)`` with gradients, padded to the longest."""
        width = max(len(f.ids) for f in framed)
        ids = torch.full((len(framed), width), self.body.pad, dtype=torch.long)
        mask, types = torch.zeros_like(ids), torch.zeros_like(ids)
        for i, f in enumerate(framed):
            n = len(f.ids)
            ids[i, :n], mask[i, :n], types[i, :n] = torch.tensor(f.ids), 1, torch.tensor(f.types)
        more: dict[str, Any] = {"token_type_ids": types.to(self.body.device)} if self.types else {}
        with self.body.precision():
            hidden = self.body.model(
                input_ids=ids.to(self.body.device), attention_mask=mask.to(self.body.device), **more
            ).last_hidden_state
        return hidden.float()

    def learn(
        self, framed: Sequence[Framed], loss: Callable[[Any, Sequence[int]], Any], epochs: float, seconds: float,
        say: Say = lambda _: None, look: Callable[[], float] | None = None,
    ) -> tuple[float, list[float]]:  # fmt: skip
        """Train on sentences for so many epochs, fewer where `seconds` are short; `loss` of states and row numbers is minimised.

        With `look`, a loss on validation, the state after the epoch with the least is kept. Returns the epochs done and the
        validation losses.
        """
        each = math.ceil(len(framed) / BATCH)
        planned, done = max(1, int(epochs * each)), 0
        length = np.array([len(f.ids) for f in framed])
        rate = self.options.rate or (
            E5_RATE if self.body.model.config.num_hidden_layers > 6 and self.options.method == "full" else RATES.get(self.options.method, 1e-4)
        )  # fmt: skip
        optimiser = torch.optim.AdamW(
            [
                {"params": self.body.learning(), "lr": rate},
                {"params": self.layers.parameters(), "lr": HEAD_RATE},
            ],
            weight_decay=0.01,
        )
        rates = [group["lr"] for group in optimiser.param_groups]
        begun, best, losses = time.monotonic(), None, list[float]()
        while done < planned:
            for rows in of_like_length(length, BATCH, self.rng):
                self.body.model.train()
                self.layers.train()
                warm = max(1, int(WARM * planned))
                share = min((done + 1) / warm, max(0.0, (planned - done) / max(planned - warm, 1)))
                for group, top in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = top * share
                some = rows.tolist()
                value = loss(self.states([framed[i] for i in some]), some)
                value.backward()
                torch.nn.utils.clip_grad_norm_([*self.body.learning(), *self.layers.parameters()], 1.0)
                optimiser.step()
                optimiser.zero_grad()
                done += 1
                spent = time.monotonic() - begun
                if done in (8, 32, each):
                    planned = min(planned, max(done + 1, int(seconds / (spent / done))))
                if done % 10 == 0:
                    left = spent / done * (planned - done) / 60
                    say(f"epoch {done / each:.1f} of {planned / each:.1f}, about {left:.1f} min left")
                if look is not None and (done % each == 0 or done >= planned):
                    losses.append(look())
                    if losses[-1] == min(losses):
                        best = [_copied(self.body.model), _copied(self.layers)]
                if done >= planned:
                    break
        if best is not None:
            self.body.model.load_state_dict(best[0])
            self.layers.load_state_dict(best[1])
        return done / each, losses

    def each(self, framed: Sequence[Framed], size: int = 64) -> Any:
        """(row numbers, states) of sentences without gradients, in batches of like length."""
        order = sorted(range(len(framed)), key=lambda i: (len(framed[i].ids), i))
        self.body.model.eval()
        self.layers.eval()
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            with torch.no_grad():
                yield rows, self.states([framed[i] for i in rows])

    def export(self, folder: Path, probes: Sequence[Framed]) -> dict[str, Any]:
        """Write the encoder as ONNX into `folder`: its states must equal torch's (cosine at least 0.9999), and int8 is kept where they
        are alike enough on `probes` (mean cosine at least 0.98).

        Raises:
            ModelError: when the export differs from torch.
        """
        with tempfile.TemporaryDirectory(prefix="wares-aspects-") as scratch:
            self.body.save(Path(scratch) / "body", {"wares": "aspects"})
            return export_states(Path(scratch) / "body", folder, self.options, probes, self.types)


def _copied(module: Any) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def export_states(
    body: Path, folder: Path, options: StatesOptions, probes: Sequence[Framed], types: bool
) -> dict[str, Any]:
    """See `Learner.export`.

    Raises:
        ModelError: when the export differs from torch.
    """
    model, tokenizer = load_parts(str(body), options.model)
    folder.mkdir(parents=True, exist_ok=True)

    class Wrapped(torch.nn.Module):
        """Ids, mask and types → states."""

        def __init__(self) -> None:
            super().__init__()
            self.body = model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            more = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
            return self.body(input_ids=input_ids, attention_mask=attention_mask, **more).last_hidden_state

    wrapper = Wrapped().eval()
    feed = [torch.ones((2, 7), dtype=torch.long), torch.ones((2, 7), dtype=torch.long)]
    names = ["input_ids", "attention_mask"]
    if types:
        feed.append(torch.zeros((2, 7), dtype=torch.long))
        names.append("token_type_ids")
    fp32 = folder / "fp32.onnx"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            wrapper, tuple(feed), str(fp32), input_names=names, output_names=["states"], opset_version=17, dynamo=False,
            dynamic_axes={name: {0: "batch", 1: "tokens"} for name in (*names, "states")},
        )  # fmt: skip
    wrapper.eval()  # the exporter may have flipped it back to training
    save_tokenizer(tokenizer, folder)
    facts: dict[str, Any] = {
        "model": options.model, "dim": int(model.config.hidden_size), "max_tokens": options.most, "prefix": options.prefix,
        "pad_id": int(tokenizer.pad_token_id or 0),
    }  # fmt: skip
    truth = list[Any]()
    with torch.no_grad():
        for f in probes:
            one = [torch.tensor([f.ids]), torch.ones((1, len(f.ids)), dtype=torch.long)]
            truth.append(wrapper(*one, *([torch.tensor([f.types])] if types else []))[0].numpy())
    shutil.copyfile(fp32, folder / "model.onnx")
    cosine = _cosine(folder, facts, probes, truth)
    if cosine < FP32_COSINE:
        raise ModelError(
            f"the exported encoder differs from torch (cosine {cosine:.4f})", mend="Report this model; try another", path=str(folder)
        )  # fmt: skip
    facts.update(precision="fp32", cosine_fp32=round(cosine, 6))
    int8 = quantise(fp32, folder)
    cosine = _cosine(folder, facts, probes, truth)
    if cosine >= INT8_COSINE:
        facts.update(precision="int8", cosine_int8=round(cosine, 4))
    else:
        shutil.copyfile(fp32, int8)
        facts.update(int8_refused=round(cosine, 4))
    fp32.unlink()
    return seal(folder, KIND, **facts)


def _cosine(folder: Path, facts: dict[str, Any], probes: Sequence[Framed], truth: Sequence[Any]) -> float:
    seal(folder, KIND, **facts)
    alike: list[float] = []
    for number, states in States(folder).states(probes):
        a, b = states, truth[number]
        if not np.isfinite(a).all():
            return 0.0
        norms = np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-9)
        alike.append(float(((a * b).sum(1) / norms).mean()))
    return float(np.mean(alike)) if alike else 0.0
