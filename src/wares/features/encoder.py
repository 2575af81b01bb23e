"""Texts to vectors with ONNX Runtime and a Rust tokeniser: no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from wares.core.arrays import open_artifact
from wares.features.sessions import open_session, open_tokenizer

KIND = "encoder"
BATCH_TOKENS = 4096


class TextEncoder:
    """A sentence encoder whose vectors have length one, so that a dot product is a cosine."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self.manifest = open_artifact(folder, KIND)
        self.dim = int(self.manifest["dim"])
        self.prefixes: dict[str, str] = self.manifest["prefixes"]
        self.tokenizer = open_tokenizer(folder, int(self.manifest["max_tokens"]))
        self.session = open_session(folder / "model.onnx", threads)
        self.inputs = {i.name for i in self.session.get_inputs()}
        self.pad = int(self.manifest["pad_id"])
        # Absent in bundles of an earlier version: then every text counts as read.
        self.unknown = int(self.manifest.get("unk_id", -1))

    def encode(
        self, texts: Sequence[str], kind: str = "passage", progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Vectors ``(len(texts), dim) float32`` of length one, in the order of the texts.

        A text that the encoder cannot read (nothing is left of it, or more than half of its pieces are unknown, as of a
        language that it never saw) gets a row of zeros: like nothing, where the vector of "unknown, unknown" would be
        like every other such text. Words alone find it.

        `kind` is ``query`` or ``passage``. Batches hold texts of like length, which is worth up to four times
        on a mixed list.
        """
        out = np.zeros((len(texts), self.dim), np.float32)
        if not texts:
            return out
        prefix = self.prefixes.get(kind, "")
        encoded = self.tokenizer.encode_batch([prefix + t[:20_000] for t in texts])
        lengths = np.array([len(e.ids) for e in encoded])
        order = np.argsort(-lengths, kind="stable")
        start = 0
        while start < len(order):
            width = max(1, int(lengths[order[start]]))
            rows = order[start : start + max(1, BATCH_TOKENS // width)]
            ids = np.full((len(rows), width), self.pad, np.int64)
            mask = np.zeros((len(rows), width), np.int64)
            for line, row in enumerate(rows):
                tokens = encoded[row].ids
                ids[line, : len(tokens)] = tokens
                mask[line, : len(tokens)] = 1
            feed: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
            if "token_type_ids" in self.inputs:
                feed["token_type_ids"] = np.zeros_like(ids)
            out[rows] = self.session.run(None, feed)[0]
            out[[row for row in rows if self._unread(encoded[row], len(prefix))]] = 0.0
            start += len(rows)
            if progress is not None:
                progress(start)
        return out

    def _unread(self, encoded: Encoding, skip: int) -> bool:
        """Whether most pieces after the first `skip` characters, the prefix, are unknown, or there are none."""
        said = [
            piece
            for piece, special, (_, end) in zip(
                encoded.ids, encoded.special_tokens_mask, encoded.offsets, strict=True
            )
            if not special and end > skip
        ]
        return self.unknown >= 0 and (not said or 2 * said.count(self.unknown) > len(said))
