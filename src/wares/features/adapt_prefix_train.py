"""Prefix tuning: keys and values before every layer that learn while the encoder's own weights stay as they are.

A prefix cannot be merged into the weights, so its folder is of another form than that of the other methods: ``base/`` is
an ordinary Hugging Face and sentence-transformers folder, ``prefix/`` what `peft` writes, ``1_Pooling/`` as in ``base/``.
There is no model at its top, so that a library which knows nothing of prefixes fails to open it instead of leaving the
prefix out. `wares.features.encoder_train.load_parts` puts both together, and the ONNX export traces through `peft`: keys
and values become constants of a graph with the same two inputs as any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from wares.core.errors import ConfigError
from wares.features.encoder_train import BASE, PREFIX, quiet

NOISE = 0.02
"""Standard deviation, as a share of that of all, by which pieces of a prefix differ in the beginning."""


def has_prefix(model: Any) -> bool:
    """Whether a transformer carries a prefix."""
    config = getattr(model, "active_peft_config", None)
    return config is not None and bool(config.is_prompt_learning)


def with_prefix(model: Any, tokenizer: Any, length: int, max_tokens: int) -> Any:
    """The model, frozen, with a prefix of `length` keys and values a layer that learns (Li & Liang 2021), without reparametrisation.

    It begins as the activations of the closing piece, to which heads of BERT attend when they look for nothing (Clark et
    al. 2019), so that the first step is close to the untuned encoder. Positions of the text go on after the prefix.

    Raises:
        ConfigError: for an architecture that takes no keys and values from outside, or has too few positions.
    """
    from peft import PrefixTuningConfig, get_peft_model

    places = int(getattr(model.config, "max_position_embeddings", 0) or 0)
    if places and length + max_tokens > places:
        raise ConfigError(
            f"a prefix of {length} and texts of {max_tokens} pieces do not fit into {places} positions",
            mend="Lower encoder.tune.rank or encoder.tune.max_tokens", key="encoder.tune.rank", source="wares.toml",
        )  # fmt: skip
    close = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    ids = torch.full((1, length + 1), int(close or 0))
    if tokenizer.cls_token_id is not None:
        ids[0, 0] = int(tokenizer.cls_token_id)
    try:
        with quiet(), torch.no_grad():
            start = _activations(model, ids)[1:]
            bare = model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
            config = PrefixTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=length)
            out = get_peft_model(model, config)
            weight = out.prompt_encoder["default"].embedding.weight
            fits = weight.shape == start.shape
            if fits:
                weight.copy_(start + NOISE * start.std() * torch.randn(start.shape))
                led = out.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
                # An architecture may swallow keys and values that it does not use.
                fits = led.shape == bare.shape and not torch.allclose(led, bare)
    except (TypeError, ValueError, AttributeError, KeyError, IndexError, RuntimeError) as error:
        raise _refused(model, str(error)[:200]) from error
    if not fits:
        raise _refused(model, "it leaves the prefix out")
    return out


def save_prefix(model: Any, folder: Path) -> Path:
    """Write the prefix of a model; returns the folder into which its base belongs."""
    model.save_pretrained(str(folder / PREFIX))
    (folder / PREFIX / "README.md").unlink(missing_ok=True)
    return folder / BASE


def _activations(model: Any, ids: Any) -> Any:
    """Keys and values of every layer for the pieces ``ids (1, n)``, as `peft` lays them out: ``(n, layers * 2 * heads * size)``."""
    from transformers import DynamicCache

    cache = DynamicCache()
    model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids), past_key_values=cache)
    rows = [
        state[0].permute(1, 0, 2).reshape(ids.shape[1], -1)
        for layer in cache.layers
        for state in (layer.keys, layer.values)
    ]
    return torch.cat(rows, 1)


def _refused(model: Any, why: str) -> ConfigError:
    kind = str(getattr(model.config, "model_type", "unknown"))
    return ConfigError(
        f"a prefix cannot be put before the layers of a {kind} encoder: {why}",
        mend="Use method lora or full", key="encoder.tune.method", source="wares.toml",
    )  # fmt: skip
