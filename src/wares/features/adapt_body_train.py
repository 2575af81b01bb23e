"""The encoder while it learns: loaded whole or with adapters, run in chunks of like length, saved as a usual folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from wares.core.errors import ConfigError, DataError
from wares.core.files import read_json, write_json
from wares.features.adapt_prefix_train import has_prefix, save_prefix, with_prefix
from wares.features.encoder_train import is_cls, load_parts, quiet, resolve

NOTE = "wares.json"
"""What an adapted folder says of itself, beside the files that every library reads."""
UNKNOWN = 0.5
"""A text more than half of whose pieces are unknown to the tokeniser is one that the encoder cannot read."""
METHODS = ("full", "lora", "adalora", "prefix")


@dataclass(frozen=True)
class Build:
    """How the encoder is set up: what `Body.load` needs. ``rank`` is that of adapters, or the length of a prefix."""

    model: str
    method: str = "lora"
    rank: int = 16
    max_tokens: int = 48
    split_digits: bool = True
    freeze_embeddings: bool = False
    prefix_query: str = ""
    prefix_passage: str = ""
    seed: int = 7
    total_steps: int = 1000


class Body:
    """A transformer with pooling; `share` is the part of its parameters that learn."""

    def __init__(self, build: Build, model: Any, tokenizer: Any, source: str) -> None:
        self.build, self.model, self.tokenizer, self.source = build, model, tokenizer, source
        self.cls = is_cls(Path(source))
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model.to(self.device)
        self.bf16 = False
        self.pad = int(tokenizer.pad_token_id or 0)
        learn = sum(p.numel() for p in self.learning())
        self.share = learn / max(sum(p.numel() for p in self.model.parameters()), 1)

    @classmethod
    def load(cls, build: Build, *, plain: bool = False) -> Body:
        """Read the model; with `plain` as it is, else with the parameters of the chosen method set to learn.

        Raises:
            ConfigError: when the model cannot be loaded, or its method is unknown.
        """
        source = resolve(build.model)
        model, tokenizer = load_parts(source, build.model)
        if build.split_digits:
            part_digits(tokenizer)
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # a layer over the first piece that sentence vectors do not use
        torch.manual_seed(build.seed)
        if not plain:
            if has_prefix(model):
                raise ConfigError(
                    f"the encoder {build.model!r} carries a trained prefix and cannot be adapted again",
                    mend="Name the encoder that it was made of", key="encoder.model", source="wares.toml",
                )  # fmt: skip
            model = _prepared(model, build, tokenizer)
        return cls(build, model, tokenizer, source)

    def learning(self) -> list[Any]:
        """The parameters that learn."""
        return [p for p in self.model.parameters() if p.requires_grad]

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.model.config.hidden_size)

    def tokens(self, texts: Sequence[str], query: NDArray[np.bool_]) -> list[list[int]]:
        """Piece ids of each text, with its prefix, cut to ``max_tokens``."""
        said = [
            (self.build.prefix_query if asked else self.build.prefix_passage) + text
            for text, asked in zip(texts, query, strict=True)
        ]
        if not said:
            return []
        return self.tokenizer(said, truncation=True, max_length=self.build.max_tokens)["input_ids"]

    def unread(self, tokens: Sequence[Sequence[int]]) -> NDArray[np.bool_]:
        """Texts that the encoder does not know: most of their pieces are the unknown one, ``(n,)``."""
        unknown = self.tokenizer.unk_token_id
        special = set(self.tokenizer.all_special_ids) - {unknown}
        out = np.zeros(len(tokens), bool)
        for i, ids in enumerate(tokens):
            said = [t for t in ids if t not in special]
            out[i] = not said or sum(t == unknown for t in said) > UNKNOWN * len(said)
        return out

    @contextmanager
    def precision(self) -> Any:
        """bf16 where it was found to be faster."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            yield

    def forward(self, tokens: Sequence[Sequence[int]]) -> Any:
        """Vectors ``(b, dim)`` of length one, with gradients."""
        width = max(len(t) for t in tokens)
        ids = torch.full((len(tokens), width), self.pad, dtype=torch.long)
        mask = torch.zeros((len(tokens), width), dtype=torch.long)
        for i, row in enumerate(tokens):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        ids, mask = ids.to(self.device), mask.to(self.device)
        with self.precision():
            hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        hidden = hidden.float()
        if self.cls:
            return functional.normalize(hidden[:, 0], dim=1)
        each = mask.unsqueeze(-1).float()
        return functional.normalize((hidden * each).sum(1) / each.sum(1).clamp(min=1e-9), dim=1)

    def encode(
        self, tokens: Sequence[Sequence[int]], progress: Callable[[int], None] | None = None, chunk: int = 128
    ) -> NDArray[np.float32]:
        """Vectors ``(n, dim) float32`` without gradients."""
        out = np.zeros((len(tokens), self.dim), np.float32)
        order = sorted(range(len(tokens)), key=lambda i: (len(tokens[i]), i))
        was = self.model.training
        self.model.eval()
        with torch.no_grad():
            for start in range(0, len(order), chunk):
                rows = order[start : start + chunk]
                out[rows] = self.forward([tokens[i] for i in rows]).cpu().numpy()
                if progress is not None:
                    progress(start + len(rows))
        self.model.train(was)
        return out

    def save(self, folder: Path, note: dict[str, Any]) -> None:
        """Write an ordinary Hugging Face folder that sentence-transformers opens too, adapters merged; `note` beside it.

        A prefix cannot be merged: its folder is of its own form, see `wares.features.adapt_prefix_train`.

        Raises:
            DataError: when a weight is not finite.
        """
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

        model, whole = self.model, folder
        prefixed = has_prefix(model)
        if not prefixed and hasattr(model, "merge_and_unload"):
            model = model.merge_and_unload()
        if not all(bool(torch.isfinite(p).all()) for p in model.parameters()):
            raise DataError(
                "training ended with weights that are not finite",
                mend="Lower encoder.tune.learning_rate",
                folder=str(folder),
            )
        with quiet():
            if prefixed:
                folder = save_prefix(model.float().cpu(), whole)
                model = model.get_base_model()
            model.float().cpu().save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
            _keep_pre_tokenizer(folder)
            body = Transformer(str(folder), max_seq_length=self.build.max_tokens)
            parts = [body, Pooling(self.dim, "cls" if self.cls else "mean"), Normalize()]
            SentenceTransformer(modules=parts, device="cpu").save(str(folder), create_model_card=False)
            _keep_pre_tokenizer(folder)
        if prefixed:
            shutil.copytree(folder / "1_Pooling", whole / "1_Pooling")
        write_json(whole / NOTE, note)


def note_of(folder: Path) -> dict[str, Any]:
    """What an adapted folder says of itself; empty for any other."""
    path = folder / NOTE
    return dict(read_json(path)) if path.is_file() else {}


def part_digits(tokenizer: Any) -> None:
    """Part letters from digits before pieces are made, so that ``64gb`` reads as ``64 gb``; saved with the tokeniser.

    Raises:
        ConfigError: for a tokeniser of another kind than WordPiece or Unigram.
    """
    from tokenizers import pre_tokenizers

    backend = tokenizer.backend_tokenizer
    kind = type(backend.model).__name__
    now = backend.pre_tokenizer
    if "Digits" in str(now):
        return
    digits = pre_tokenizers.Digits(individual_digits=False)
    if kind == "WordPiece":
        backend.pre_tokenizer = pre_tokenizers.Sequence([now, digits])
    elif kind == "Unigram":
        backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), digits, now])
    else:
        raise ConfigError(
            f"letters and digits cannot be parted in a {kind} tokeniser",
            mend="Set encoder.tune.split_digits = false", key="encoder.tune.split_digits", source="wares.toml",
        )  # fmt: skip


def _keep_pre_tokenizer(folder: Path) -> None:
    # The class of a model's own tokeniser is rebuilt from its vocabulary, which would lose how words are parted.
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text("utf-8"))
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    write_json(path, config)


def _prepared(model: Any, build: Build, tokenizer: Any) -> Any:
    if build.freeze_embeddings:
        for p in model.get_input_embeddings().parameters():
            p.requires_grad_(False)
    if build.method == "full":
        return model
    if build.method not in METHODS:
        raise ConfigError(
            f"encoder.tune.method = {build.method!r}", mend=f"Use {', '.join(METHODS)}", key="encoder.tune.method", source="wares.toml",
        )  # fmt: skip
    if build.method == "prefix":
        return with_prefix(model, tokenizer, build.rank, build.max_tokens)
    from peft import AdaLoraConfig, LoraConfig, get_peft_model

    common: dict[str, Any] = {"target_modules": "all-linear", "lora_dropout": 0.05}
    if build.method == "lora":
        config: Any = LoraConfig(r=build.rank, lora_alpha=2 * build.rank, **common)
    else:
        # Ranks are cut from 1.5 times the wanted one down to it between a tenth and seven tenths of training.
        config = AdaLoraConfig(
            init_r=max(2, round(1.5 * build.rank)), target_r=build.rank, lora_alpha=2 * build.rank,
            tinit=build.total_steps // 10, tfinal=max(1, (3 * build.total_steps) // 10), deltaT=max(1, build.total_steps // 50),
            total_step=build.total_steps, **common,
        )  # fmt: skip
    with quiet():
        return get_peft_model(model, config)
