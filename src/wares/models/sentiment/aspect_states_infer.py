"""What an encoder makes of each piece of a sentence, and where a sentence's terms are among its pieces. ONNX Runtime, no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from wares.core.arrays import open_artifact
from wares.core.text import HAN
from wares.features.sessions import open_session, open_tokenizer
from wares.models.sentiment.opinion_text import aligned

KIND = "aspect-states"
BATCH_TOKENS = 4096
MOST_AGAIN = 120
"""Characters of an aspect that are read once more after the sentence."""
_APART = re.compile(rf"(?<=[{HAN}]) (?=[{HAN}])")
_TOGETHER = re.compile(rf"[{HAN}][{HAN}]")
Floats = NDArray[np.float32]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Framed:
    """A sentence as the encoder reads it: piece `ids` and their `types`; `said` are the pieces of the sentence itself, `aspect` those of
    the aspect in it, and `again` those of the aspect after it (None without), each from the first to after the last. `offsets` are
    the characters of each piece of the sentence."""

    ids: list[int]
    types: list[int]
    said: Span
    aspect: Span
    again: Span | None
    offsets: list[Span]


def closed(left: str, aspect: str, right: str) -> tuple[str, str, str]:
    """The parts of a sentence made narrow and small; of Chinese written with a blank after each character the blanks go.

    Raises nothing; a part may be empty.
    """
    parts = (aligned(left), aligned(aspect), aligned(right))
    whole = "".join(parts)
    if _APART.search(whole) is not None and _TOGETHER.search(whole) is None:
        a, b, c = (_APART.sub("", part) for part in parts)
        return (a.rstrip() if a and not a.rstrip().isascii() else a), b.strip(), c.lstrip()
    return parts


def frame(
    tokenizer: Tokenizer, left: str, aspect: str, right: str, prefix: str, most: int, again: bool = True
) -> Framed:
    """Frame a sentence with an aspect: ``[CLS] left aspect right [SEP] aspect [SEP]`` (BERT-SPC; Song et al. 2019).

    Without an aspect, or with `again` False, the second part is left out. Of a sentence longer than `most` pieces those round the
    aspect are kept. `tokenizer` must neither cut nor pad.
    """
    text = prefix + left + aspect + right
    begin, end = len(prefix) + len(left), len(prefix) + len(left) + len(aspect)
    two = bool(aspect.strip()) and again
    encoded = tokenizer.encode(text, aspect[:MOST_AGAIN]) if two else tokenizer.encode(text)
    ids, types, offsets = encoded.ids, encoded.type_ids, encoded.offsets
    owner = encoded.sequence_ids
    own = [i for i, o in enumerate(owner) if o == 0]
    second = [i for i, o in enumerate(owner) if o == 1]
    first, last = (own[0], own[-1] + 1) if own else (1, 1)
    inside = [
        i for i in own if offsets[i][1] > begin and offsets[i][0] < end and offsets[i][1] > offsets[i][0]
    ]
    place = (inside[0], inside[-1] + 1) if aspect.strip() and inside else (first, last)
    cut_from, cut_to = first, last
    if last - first > most:
        middle = (
            (place[0] + min(place[1], place[0] + most)) // 2 if place != (first, last) else first + most // 2
        )
        cut_from = max(first, min(middle - most // 2, last - most))
        cut_to = cut_from + most
    keep = [*range(first), *range(cut_from, cut_to), *range(last, len(ids))]
    back, gone = cut_from - first, (last - first) - (cut_to - cut_from)
    a = max(place[0], cut_from) - back
    b = max(min(place[1], cut_to) - back, a + 1)
    shown = [
        (max(0, offsets[i][0] - len(prefix)), max(0, offsets[i][1] - len(prefix)))
        for i in range(cut_from, cut_to)
    ]
    return Framed(
        [ids[i] for i in keep], [types[i] for i in keep], (first, first + cut_to - cut_from), (a, b),
        (second[0] - gone, second[-1] + 1 - gone) if second else None, shown,
    )  # fmt: skip


class States:
    """An exported encoder that gives the state of every piece."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self.manifest: dict[str, Any] = open_artifact(folder, KIND)
        self.dim = int(self.manifest["dim"])
        self.prefix = str(self.manifest["prefix"])
        self.most = int(self.manifest["max_tokens"])
        self.tokenizer = open_tokenizer(folder, 512)
        self.tokenizer.no_truncation()
        self.session = open_session(folder / "model.onnx", threads)
        self.inputs = {i.name for i in self.session.get_inputs()}
        self.pad = int(self.manifest["pad_id"])

    def frame(self, left: str, aspect: str, right: str, again: bool = True) -> Framed:
        """Frame a sentence, see `frame`."""
        return frame(self.tokenizer, *closed(left, aspect, right), self.prefix, self.most, again)

    def states(self, framed: Sequence[Framed]) -> Iterator[tuple[int, Floats]]:
        """(number, states ``(pieces, dim)``) of each sentence, in batches of like length."""
        lengths = np.array([len(f.ids) for f in framed])
        order = np.argsort(-lengths, kind="stable")
        start = 0
        while start < len(order):
            width = max(1, int(lengths[order[start]]))
            rows = order[start : start + max(1, BATCH_TOKENS // width)]
            ids = np.full((len(rows), width), self.pad, np.int64)
            mask, types = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.int64)
            for line, row in enumerate(rows):
                n = len(framed[row].ids)
                ids[line, :n], mask[line, :n], types[line, :n] = framed[row].ids, 1, framed[row].types
            feed: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
            if "token_type_ids" in self.inputs:
                feed["token_type_ids"] = types
            found = np.asarray(self.session.run(None, feed)[0])
            for line, row in enumerate(rows):
                yield int(row), found[line, : len(framed[row].ids)]
            start += len(rows)
