"""One step of contrastive training, and what a killed run needs to go on: weights, optimiser, chance, place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from wares.core.errors import DataError
from wares.core.files import folder_atomic, read_json, write_json
from wares.features.adapt_body_train import Body
from wares.features.batches import Batch

CHUNK = 64


@dataclass(frozen=True)
class Loss:
    """What is minimised; see `contrast`."""

    temperature: float = 0.05
    dims: tuple[int, ...] = ()
    distil: float = 0.0


def contrast(
    vectors: Any, positive: Any, negative: Any, temperature: float, emphasis: Any | None = None
) -> Any:
    """Multiple-negatives ranking loss (Henderson et al. 2017) over all texts of a batch, both ways, with masks.

    Every text is an anchor; each of its positives competes with its negatives, never with another positive, and what
    is neither (the same text, a known mate of a mate) takes no part. With ``emphasis (b,)`` the mean over anchors is weighted.
    """
    scores = vectors @ vectors.T / temperature
    against = scores.masked_fill(~negative, -math.inf).logsumexp(1, keepdim=True)
    against = against.clamp(min=-1e4)  # no negatives at all: minus infinity, whose gradient is not a number
    each = functional.softplus(against - scores) * positive
    anchors = positive.sum(1) > 0
    if not bool(anchors.any()):
        return (vectors * 0.0).sum()
    if emphasis is None:
        return each.sum(1)[anchors].mean()
    return (each.sum(1) * emphasis)[anchors].sum() / emphasis[anchors].sum().clamp(min=1e-9)


def loss_of(vectors: Any, batch: Batch, loss: Loss, teacher: NDArray[np.float32] | None) -> Any:
    """The loss of a batch from its vectors ``(b, dim)``: summed over Matryoshka dimensions (Kusupati et al. 2022).

    With a teacher, its likenesses within the batch are the target of ours (Kullback–Leibler, rows without themselves).
    """
    positive = torch.from_numpy(batch.positive).to(vectors.device)
    negative = torch.from_numpy(batch.negative).to(vectors.device)
    weigh = None if batch.emphasis is None else torch.from_numpy(batch.emphasis).to(vectors.device)
    sizes = loss.dims or (vectors.shape[1],)
    total = sum(
        contrast(functional.normalize(vectors[:, :size], dim=1), positive, negative, loss.temperature, weigh)
        for size in sizes
    ) / len(sizes)
    if teacher is not None and loss.distil > 0:
        told = torch.from_numpy(teacher).to(vectors.device)
        own = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
        ours = (vectors @ vectors.T / loss.temperature).masked_fill(own, -1e4).log_softmax(1)
        theirs = (told @ told.T / loss.temperature).masked_fill(own, -1e4).log_softmax(1)
        total = total + loss.distil * functional.kl_div(ours, theirs, reduction="batchmean", log_target=True)
    return total


def dropped(
    tokens: Sequence[int],
    rng: np.random.Generator,
    share: float,
    keep: frozenset[int],
    figures: frozenset[int] = frozenset(),
) -> list[int]:
    """Tokens with about `share` of them left out, never all and never the special ones: augmentation by word dropout.

    Pieces of numbers, `figures`, stay, and so does what follows one, as it may be its unit.
    """
    before = [None, *tokens[:-1]]
    stay = [
        t in keep or t in figures or b in figures or rng.random() >= share
        for b, t in zip(before, tokens, strict=True)
    ]
    out = [t for t, s in zip(tokens, stay, strict=True) if s]
    return out if any(t not in keep for t in out) else list(tokens)


def step(
    body: Body,
    rows: list[list[int]],
    batch: Batch,
    loss: Loss,
    teacher: NDArray[np.float32] | None,
    cached: bool,
) -> tuple[float, NDArray[np.float32]]:
    """Gradients of one batch onto the parameters; (loss, vectors ``(b, dim)``).

    Texts run in chunks of like length. With `cached`, gradients are cached (Gao et al. 2021): vectors first without a
    graph, then each chunk again for its own gradients, so that memory is that of one chunk whatever the batch.
    """
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i]), i))
    chunks = [order[i : i + CHUNK] for i in range(0, len(order), CHUNK)]
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    if not cached:
        vectors = torch.cat([body.forward([rows[i] for i in chunk]) for chunk in chunks])[
            back.to(body.device)
        ]
        value = loss_of(vectors, batch, loss, teacher)
        value.backward()
        return float(value.detach()), vectors.detach().cpu().numpy()
    chance, parts = [], []
    with torch.no_grad():
        for chunk in chunks:
            chance.append(_chance())
            parts.append(body.forward([rows[i] for i in chunk]))
    vectors = torch.cat(parts)[back.to(body.device)].requires_grad_(True)
    value = loss_of(vectors, batch, loss, teacher)
    value.backward()
    assert vectors.grad is not None
    end = _chance()
    for chunk, state in zip(chunks, chance, strict=True):
        _set_chance(state)
        again = body.forward([rows[i] for i in chunk])
        (again * vectors.grad[torch.tensor(chunk, device=body.device)]).sum().backward()
    _set_chance(end)
    return float(value.detach()), vectors.detach().cpu().numpy()


def orthogonal(body: Body) -> Any:
    """AdaLoRA's penalty (Zhang et al. 2023, eq. 4): how far its two factors of each matrix are from orthogonal, mean Frobenius norm.

    `peft` adds it to losses of its own only.
    """
    parts = []
    for name, factor in body.model.named_parameters():
        if factor.requires_grad and ("lora_A" in name or "lora_B" in name):
            square = factor @ factor.T if "lora_A" in name else factor.T @ factor
            parts.append(torch.linalg.matrix_norm(square - torch.eye(len(square), device=square.device)))
    return 0.5 * torch.stack(parts).mean()


def _chance() -> list[Any]:
    cuda = [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
    return [torch.get_rng_state(), *cuda]


def _set_chance(states: list[Any]) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state(states[1])


def rate_at(done: float, step_number: int, warm: int, peak: float) -> float:
    """Learning rate: linear warm-up over `warm` steps, then linear to nothing; `done` in 0..1."""
    return peak * min(1.0, (step_number + 1) / max(warm, 1)) * max(0.0, 1.0 - done)


def save_state(
    folder: Path, body: Body, optimiser: Any, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]
) -> None:
    """Write a checkpoint, whole or not at all; tensors as safetensors, the rest as JSON: no pickle."""
    from safetensors.torch import save_file

    state = optimiser.state_dict()
    moments = {
        f"{index}.{name}": value.detach().cpu().contiguous()
        for index, row in state["state"].items()
        for name, value in row.items()
        if isinstance(value, torch.Tensor)
    }
    learning = {n: p.detach().cpu().contiguous() for n, p in body.model.named_parameters() if p.requires_grad}
    with folder_atomic(folder) as work:
        save_file(learning, str(work / "weights.safetensors"))
        save_file(
            {**moments, **{f"chance.{i}": t for i, t in enumerate(_chance())}},
            str(work / "optimiser.safetensors"),
        )
        for name, array in arrays.items():
            np.save(work / f"{name}.npy", array, allow_pickle=False)
        write_json(work / "state.json", facts)


def load_state(
    folder: Path, body: Body, optimiser: Any, names: Sequence[str]
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Put a checkpoint back into `body` and `optimiser`; (arrays, facts).

    Raises:
        DataError: when it belongs to other parameters.
    """
    from safetensors.torch import load_file

    weights, saved = (
        load_file(str(folder / "weights.safetensors")),
        load_file(str(folder / "optimiser.safetensors")),
    )
    learning = {n: p for n, p in body.model.named_parameters() if p.requires_grad}
    if learning.keys() != weights.keys():
        raise DataError(
            "the checkpoint is of another set-up", mend="Start again without --resume", folder=str(folder)
        )
    with torch.no_grad():
        for name, parameter in learning.items():
            parameter.copy_(weights[name])
    state = optimiser.state_dict()
    rows: dict[int, dict[str, Any]] = {}
    for key, value in saved.items():
        index, name = key.split(".", 1)
        if index != "chance":
            rows.setdefault(int(index), {})[name] = value
    state["state"] = rows
    optimiser.load_state_dict(state)
    _set_chance([saved[k] for k in sorted(k for k in saved if k.startswith("chance."))])
    return {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in names}, read_json(
        folder / "state.json"
    )
