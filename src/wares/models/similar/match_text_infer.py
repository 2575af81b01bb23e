"""The language model's word on a pair, when it serves: a cross-encoder in ONNX Runtime with a Rust tokeniser, no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from wares.core.arrays import open_artifact
from wares.core.words import fold
from wares.features.pair_bags import idf
from wares.features.pair_fields import Fields, Record
from wares.features.sessions import open_session, open_tokenizer

KIND = "cross-encoder"
BATCH_TOKENS = 4096
TITLE_WORDS = 32
MORE_WORDS = 16
_EDGE = ".,;:!?\"'`()[]{}<>|/\\-–—_*+=~@#&▷…"


def compact(record: Record, fields: Fields, counts: Mapping[str, int], n: int) -> str:
    """A record as a short text: the title, then the rarest words of the other fields that it does not hold.

    Summing up by inverse document frequency is Ditto's (Li et al., VLDB 2020); `counts` are document frequencies among
    `n` known records. Pieces of punctuation go, since each costs a token.
    """
    title = _words(record.get(fields.title, ""))
    title = _rarest(title, TITLE_WORDS, counts, n)
    held = set(title)
    more: list[str] = []
    for name in fields.names[1:]:
        for word in _words(record.get(name, "")):
            if word not in held:
                held.add(word)
                more.append(word)
    more = _rarest(more, MORE_WORDS, counts, n)
    return " ".join(title) + (f" ; {' '.join(more)}" if more else "")


def _words(text: str) -> list[str]:
    return [word for raw in fold(text).split() if (word := raw.strip(_EDGE)) and word != "null"]


def _rarest(words: list[str], k: int, counts: Mapping[str, int], n: int) -> list[str]:
    """The `k` rarest words, in the order in which they stand."""
    if len(words) <= k:
        return words
    rare = sorted(range(len(words)), key=lambda at: (-idf(counts.get(words[at], 0), n), at))[:k]
    return [words[at] for at in sorted(rare)]


def encode_pairs(
    tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]], inputs: Sequence[str], pad: int
) -> dict[str, NDArray[np.int64]]:
    """A batch of text pairs as padded arrays ``(pairs, longest)``, by the names that the model takes."""
    found = tokenizer.encode_batch(list(pairs))
    width = max((len(one.ids) for one in found), default=1)
    out = {name: np.zeros((len(found), width), np.int64) for name in inputs}
    if "input_ids" in out:
        out["input_ids"][:] = pad
    for line, one in enumerate(found):
        columns = {"input_ids": one.ids, "attention_mask": one.attention_mask, "token_type_ids": one.type_ids}
        for name in inputs:
            out[name][line, : len(one.ids)] = columns[name]
    return out


class TextJudge:
    """Log-odds that the text adds to what the evidence says."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Open the artefact.

        Raises:
            IncompatibleArtifact: when the folder holds none, or a damaged one.
        """
        self.manifest = open_artifact(folder, KIND)
        self.tokenizer = open_tokenizer(folder, int(self.manifest["max_tokens"]))
        self.session = open_session(folder / "model.onnx", threads)
        self.inputs = [str(i.name) for i in self.session.get_inputs()]
        self.pad = int(self.manifest["pad_id"])
        # Texts of like length together: padding is most of the work otherwise. int8 scales its activations by the batch,
        # so that a pair would be judged by its company; one at a time costs it little.
        exact = self.manifest["precision"] == "fp32"
        self._batch = max(1, BATCH_TOKENS // int(self.manifest["max_tokens"])) if exact else 1

    def scores(
        self, pairs: Sequence[tuple[str, str]], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float64]:
        """Log-odds ``(len(pairs),)``, the mean of both orders of each pair, so that sides may be swapped."""
        out = np.zeros(len(pairs))
        for turned in (False, True):
            texts = [(b, a) if turned else (a, b) for a, b in pairs]
            order = sorted(
                range(len(texts)), key=lambda at: (len(texts[at][0]) + len(texts[at][1]), texts[at])
            )
            start = 0
            while start < len(order):
                rows = order[start : start + self._batch]
                feed: Any = encode_pairs(self.tokenizer, [texts[at] for at in rows], self.inputs, self.pad)
                out[rows] += np.asarray(self.session.run(None, feed)[0], np.float64).ravel() / 2
                start += len(rows)
                if progress is not None and turned:
                    progress(start)
        return out
