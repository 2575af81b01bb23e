"""ONNX models and Rust tokenisers of an artefact, opened one way."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort
from tokenizers import Tokenizer


def open_session(path: Path, threads: int) -> ort.InferenceSession:
    """The model of a file on the CPU; 0 threads are all cores."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Spinning threads win a benchmark and lose the other core to it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def open_tokenizer(folder: Path, max_tokens: int) -> Tokenizer:
    """The tokeniser of an artefact; texts are cut at `max_tokens` and not padded."""
    tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(max_tokens)
    tokenizer.no_padding()
    return tokenizer
