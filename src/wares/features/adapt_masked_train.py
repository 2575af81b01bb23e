"""Continued masked-language pre-training: the encoder reads the catalogue's text before it learns what belongs together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from wares.core.errors import DataError
from wares.core.files import folder_atomic
from wares.features.adapt_body_train import Body, Build
from wares.features.adapt_steps_train import rate_at
from wares.features.encoder_train import quiet

SHARE = 0.15
BATCH = 64
RATE = 5e-5


def read_on(
    build: Build, texts: Sequence[str], steps: int, folder: Path, say: Callable[[str], None] = lambda _: None
) -> float:
    """Train the whole encoder to fill in masked pieces of `texts` (Devlin et al. 2019; Gururangan et al. 2020) and write it to `folder`.

    Of 15 % of the pieces, eight in ten are masked, one is another piece, one stays. A head that the model's folder
    does not hold begins at random. Returns the mean loss of the last tenth of the steps.

    Raises:
        DataError: when the tokeniser has no mask, or there is no text.
    """
    from transformers import AutoModelForMaskedLM

    body = Body.load(build, plain=True)
    tokenizer = body.tokenizer
    if tokenizer.mask_token_id is None or not texts:
        raise DataError(
            "this encoder cannot be trained to fill in masked text",
            mend="Set encoder.tune.masked_steps = 0",
            model=build.model,
        )
    torch.manual_seed(build.seed)
    with quiet():
        model = AutoModelForMaskedLM.from_pretrained(
            body.source, attn_implementation="eager", dtype=torch.float32
        )
    model.train()
    tokens = body.tokens(texts, np.zeros(len(texts), bool))
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    special = torch.tensor(sorted(tokenizer.all_special_ids))
    rng = np.random.default_rng(build.seed)
    begun, losses = time.perf_counter(), list[float]()
    for number in range(steps):
        rows = [tokens[i] for i in rng.integers(0, len(tokens), BATCH)]
        width = max(len(t) for t in rows)
        ids = torch.full((len(rows), width), body.pad, dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
        chosen = (torch.rand(ids.shape) < SHARE) & mask.bool() & ~torch.isin(ids, special)
        if not bool(chosen.any()):
            continue
        labels = torch.where(chosen, ids, torch.tensor(-100))
        dice = torch.rand(ids.shape)
        seen = torch.where(chosen & (dice < 0.8), torch.tensor(int(tokenizer.mask_token_id)), ids)
        other = torch.randint(0, len(tokenizer), ids.shape)
        seen = torch.where(chosen & (dice >= 0.9), other, seen)
        for group in optimiser.param_groups:
            group["lr"] = rate_at(number / steps, number, max(1, steps // 10), RATE)
        loss = model(input_ids=seen, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
        left = (time.perf_counter() - begun) / (number + 1) * (steps - number - 1) / 60
        say(f"masked text: step {number + 1:,} of {steps:,}, loss {losses[-1]:.3f}, {left:.1f} min left")
    body.model = model.base_model
    with folder_atomic(folder) as work:
        body.save(work, {})
    return float(np.mean(losses[-max(1, len(losses) // 10) :])) if losses else float("nan")
