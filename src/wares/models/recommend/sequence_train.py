"""Fit the sequence model: SASRec with sampled softmax, in PyTorch on the CPU.

SASRec: Kang, McAuley, ICDM 2018, https://arxiv.org/abs/1808.09781. Sampled softmax with the correction for how likely
an item was drawn: Bengio, Senécal 2008. The gated block: LiGR (Borisyuk et al. 2025, https://arxiv.org/abs/2502.03417),
as eSASRec uses it (Tikhonovich et al., RecSys 2025, https://arxiv.org/abs/2508.06450). Places are known by a learned
bias on the distance between them (Raffel et al. 2020), which needs no padding to a fixed length. An item's vector is
its own plus a linear map of its text vector plus the mean of its features' vectors, so that rare items start from what
is said of them, and unseen items have a vector at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from wares.models.recommend.parts import Side, whitened
from wares.models.recommend.sequence import SequenceModel

BATCH_TOKENS = 1536


@dataclass(frozen=True)
class SequenceConfig:
    """How to train; the defaults were chosen on validation of several shops' data."""

    dim: int = 64
    heads: int = 2
    blocks: int = 2
    block: str = "ligr"
    dropout: float = 0.3
    longest: int = 50
    rate: float = 3e-3
    decay: float = 0.01
    negatives: int = 512
    epochs: int = 60
    patience: int = 4
    clip: float = 5.0
    threads: int = 1


class _Block(nn.Module):
    def __init__(self, config: SequenceConfig) -> None:
        super().__init__()
        d, self.heads, self.p = config.dim, config.heads, config.dropout
        self.gated = config.block == "ligr"
        norm = (lambda: nn.RMSNorm(d, eps=1e-6)) if self.gated else (lambda: nn.LayerNorm(d))
        self.norm1, self.norm2 = norm(), norm()
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = (
            nn.Linear(d, 4 * d, bias=not self.gated),
            nn.Linear(4 * d, d, bias=not self.gated),
        )
        if self.gated:
            self.side = nn.Linear(d, 4 * d, bias=False)
            self.gate1, self.gate2 = nn.Linear(d, d), nn.Linear(d, d)
        self.bias = nn.Parameter(torch.zeros(self.heads, config.longest))

    def forward(self, x: torch.Tensor, gap: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        n, length, dim = x.shape
        parts = (
            self.qkv(self.norm1(x)).view(n, length, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        )
        y = F.scaled_dot_product_attention(
            parts[0],
            parts[1],
            parts[2],
            attn_mask=self.bias[:, gap] + mask,
            dropout_p=self.p if self.training else 0.0,
        )
        y = F.dropout(self.out(y.transpose(1, 2).reshape(n, length, dim)), self.p, self.training)
        x = x + (y * torch.sigmoid(self.gate1(x)) if self.gated else y)
        y = self.norm2(x)
        y = (
            self.down(F.silu(self.up(y)) * self.side(y))
            if self.gated
            else self.down(F.gelu(self.up(y), approximate="tanh"))
        )
        y = F.dropout(y, self.p, self.training)
        return x + (y * torch.sigmoid(self.gate2(x)) if self.gated else y)


class _Net(nn.Module):
    def __init__(self, n_items: int, config: SequenceConfig, side: Side) -> None:
        super().__init__()
        d = config.dim
        self.config = config
        self.own = nn.Embedding(n_items, d)
        nn.init.normal_(self.own.weight, std=0.5 * d**-0.5)
        self.known: list[torch.Tensor] = [
            torch.from_numpy(whitened(v) * np.float32(np.sqrt(min(256, v.shape[1]))))
            for v in side.vectors.values()
        ]
        self.maps = nn.ModuleList(nn.Linear(v.shape[1], d, bias=False) for v in self.known)
        self.members: list[tuple[NDArray[Any], NDArray[Any]]] = []
        bags = []
        for matrix in side.features.values():
            self.members.append((matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64)))
            bags.append(nn.EmbeddingBag(matrix.shape[1], d, mode="mean"))
            nn.init.normal_(bags[-1].weight, std=0.05)
        self.bags = nn.ModuleList(bags)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(d)
        place = torch.arange(config.longest)
        self.gap = (place[:, None] - place[None, :]).clamp(min=0)
        self.mask = torch.where(place[:, None] >= place[None, :], 0.0, -1e4)

    def vectors(self, items: torch.Tensor) -> torch.Tensor:
        """Of distinct items ``(k,)``."""
        out = self.own(items)
        for known, linear in zip(self.known, self.maps, strict=True):
            out = out + linear(known[items])
        rows = items.numpy()
        for (ptr, indices), bag in zip(self.members, self.bags, strict=True):
            sizes = ptr[rows + 1] - ptr[rows]
            offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
            flat = np.repeat(ptr[rows] - offsets, sizes) + np.arange(sizes.sum())
            out = out + bag(torch.from_numpy(indices[flat]), torch.from_numpy(offsets))
        return out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        length = x.shape[1]
        x = F.dropout(x, self.config.dropout, self.training)
        for block in self.blocks:
            x = block(x, self.gap[:length, :length], self.mask[:length, :length])
        return self.norm(x)


def windows(sequences: Sequence[NDArray[np.int32]], longest: int) -> list[NDArray[np.int32]]:
    """Pieces of at most ``longest + 1`` items that overlap by one, so that every item but the first is a target once."""
    out = []
    for sequence in sequences:
        end = len(sequence)
        while end > 1:
            begin = max(0, end - longest - 1)
            out.append(np.asarray(sequence[begin:end]))
            end = begin + 1 if begin else 0
    return out


def _batches(sizes: NDArray[np.int64], rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Windows of like length together, so that little is padding; batches in random order."""
    order = np.lexsort((rng.random(len(sizes)), sizes + rng.integers(0, 2, len(sizes))))
    group = np.cumsum(sizes[order]) // BATCH_TOKENS
    parts = np.split(order, np.flatnonzero(np.diff(group)) + 1)
    return [parts[i] for i in rng.permutation(len(parts))]


def fit_sequence(
    sequences: Sequence[NDArray[np.int32]],
    n_items: int,
    side: Side | None = None,
    config: SequenceConfig | None = None,
    *,
    seed: int = 7,
    seconds: float | None = None,
    validate: Callable[[SequenceModel], float] | None = None,
    logs: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> SequenceModel:
    """Train until `validate` (higher is better) has not risen for ``patience`` epochs, or `seconds` of CPU
    time are over.

    Without `validate`, for all ``epochs``. The best epoch's model is returned; its number is in ``config["epochs"]``.
    `logs` takes TensorBoard files. Same inputs, seed and threads give the same model.

    Raises:
        QueryError: when side information is not about `n_items` items.
    """
    side, config = side or Side(), config or SequenceConfig()
    side.check(n_items)
    threads = torch.get_num_threads()
    torch.set_num_threads(config.threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return _train(sequences, n_items, side, config, seed, seconds, validate, logs, progress)
    finally:
        torch.set_num_threads(threads)


def _train(
    sequences: Sequence[NDArray[np.int32]], n_items: int, side: Side, config: SequenceConfig, seed: int,
    seconds: float | None, validate: Callable[[SequenceModel], float] | None, logs: Path | None, progress: Callable[[str], None],
) -> SequenceModel:  # fmt: skip
    rng = np.random.default_rng(seed)
    net = _Net(n_items, config, side)
    pieces = windows(sequences, config.longest)
    counts = np.bincount(np.concatenate([np.zeros(0, np.int64), *pieces]), minlength=n_items).astype(
        np.float64
    )
    share = counts / max(counts.sum(), 1.0)
    sizes = np.array([len(p) for p in pieces], np.int64)
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=config.rate, weight_decay=config.decay, betas=(0.9, 0.98)
    )
    writer = _writer(logs)
    # Time of this process, not of the wall: what else the machine does must not decide how long a model trains.
    begun, best, best_at, kept = time.process_time(), -np.inf, 0, None
    for epoch in range(1, config.epochs + 1):
        net.train()
        total = 0.0
        plan = _batches(sizes, rng) if len(pieces) else []
        for rows in plan:
            loss = _loss(net, [pieces[r] for r in rows], share, config, rng)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), config.clip)
            optimiser.step()
            total += float(loss.item())
        spent = time.process_time() - begun
        over = seconds is not None and spent * (1 + 1 / epoch) > seconds
        value = float("nan")
        if validate is not None:
            model = _export(net, config, epoch, counts > 0)
            value = validate(model)
            if value > best:
                best, best_at, kept = value, epoch, model
            over = over or epoch - best_at >= config.patience
        if writer is not None:
            writer.add_scalar("loss", total / max(len(plan), 1), epoch)
            if validate is not None:
                writer.add_scalar("validation", value, epoch)
        progress(
            f"sequence epoch {epoch}: loss {total / max(len(plan), 1):.3f}, validation {value:.4f}, {spent:.0f} s"
        )
        if over:
            break
    if writer is not None:
        writer.close()
    return kept if kept is not None else _export(net, config, epoch, counts > 0)


def _loss(
    net: _Net,
    pieces: list[NDArray[np.int32]],
    share: NDArray[np.float64],
    config: SequenceConfig,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Sampled softmax over the batch's own targets and uniform negatives, both corrected for their chance to be there."""
    length = max(len(p) for p in pieces)
    items = np.zeros((len(pieces), length), np.int64)
    there = np.zeros((len(pieces), length), bool)
    for row, piece in enumerate(pieces):
        items[row, : len(piece)] = piece
        there[row, : len(piece)] = True
    mask = there[:, 1:]
    targets = items[:, 1:][mask]
    drawn = rng.integers(0, len(share), config.negatives)
    # One look-up serves inputs, targets and negatives.
    unique, place = np.unique(np.concatenate([items.ravel(), drawn]), return_inverse=True)
    table = net.vectors(torch.from_numpy(unique))
    x = table[torch.from_numpy(place[: items.size].reshape(items.shape)[:, :-1])]
    y = net(x)[torch.from_numpy(mask)]
    where = np.full(int(unique[-1]) + 1, -1, np.int64)
    where[unique] = np.arange(len(unique))
    sampled = np.unique(np.concatenate([targets, drawn]))
    logits = y @ table[torch.from_numpy(where[sampled])].T
    expected = share[sampled] * len(targets) + config.negatives / len(share)
    logits = logits - torch.from_numpy(np.log(-np.expm1(-expected)).astype(np.float32))
    return F.cross_entropy(logits, torch.from_numpy(np.searchsorted(sampled, targets)))


def _export(net: _Net, config: SequenceConfig, epoch: int, known: NDArray[np.bool_]) -> SequenceModel:
    with torch.no_grad():
        items = net.vectors(torch.arange(net.own.num_embeddings)).numpy().copy()
        # An item that nobody met has learned nothing of its own but to be a negative.
        items[~known] -= net.own.weight.numpy()[~known]

    def array(tensor: torch.Tensor) -> NDArray[np.float32]:
        return np.array(tensor.detach().numpy(), np.float32)

    weights = {"norm": array(net.norm.weight), "norm_bias": array(net.norm.bias)}
    for number, block in enumerate(net.blocks):
        for name, parameter in block.named_parameters():
            plain = name.removesuffix(".weight").replace(".bias", "_bias")
            weights[f"{number}.{plain}"] = array(parameter)
    return SequenceModel(items, weights, {**asdict(config), "epochs": epoch})


def _writer(logs: Path | None) -> Any:
    if logs is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(logs))
