"""One text of every record, read once with fixed statistics, so that any two records can be compared by it.

The measures are those of `wares.data.fusion.evidence`, which reads a whole table at once and may weigh words by it; here
the weights are learned from known records and kept, so that one pair can be judged alone, without the data room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process
from rapidfuzz.distance import JaroWinkler, Prefix

from wares.core.words import Reading, is_whole, pieces, read_texts, runs, runs_together
from wares.features.pair_bags import Bag, Column, Rows, blank, frequencies, sides

GRAM = 4
COMMON_KIND = 0.01
"""A kind of quantity that this share of records names is compared on its own."""
HEADS = 10
"""A word that opens so many texts, and mostly stands first, is taken for a brand."""


@dataclass(frozen=True)
class Statistics:
    """What is known of a text field before a pair is read: `counts` of things by kind over `n` records, words taken for
    brands, and kinds of quantity worth comparing alone."""

    n: int
    counts: Mapping[str, Mapping[str, int]]
    heads: frozenset[str]
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, texts: Sequence[str], things: Sequence[str] = ()) -> Statistics:
        """Learn them from the texts of known records; `things` are the kinds to count, all of `THINGS` when empty."""
        readings = read_texts(texts, ())
        counts = {name: frequencies(map(THINGS[name], readings)) for name in things or THINGS}
        first = Counter(r.words[0] for r in readings if r.words)
        ever = Counter(word for r in readings for word in r.words)
        heads = {w for w, count in first.items() if count >= HEADS and count > ever[w] / 2 and w.isalpha()}
        named = Counter(kind for r in readings for kind in {kind for kind, _ in r.measures})
        least = max(2.0, COMMON_KIND * len(readings))
        return cls(
            len(readings), counts, frozenset(heads), tuple(sorted(k for k, c in named.items() if c >= least))
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """For the artefact."""
        return {
            "n": self.n, "counts": {kind: dict(found) for kind, found in self.counts.items()}, "heads": sorted(self.heads), "kinds": list(self.kinds),
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Statistics:
        """Back from the artefact."""
        return cls(
            int(value["n"]), value["counts"], frozenset(value["heads"]), tuple(value["kinds"])
        )  # fmt: skip


def grams(reading: Reading) -> set[str]:
    """Character pieces of the words; words with digits also keep their beginning apart."""
    out: set[str] = set()
    for word in reading.words:
        text = f"^{word}" if any(ch.isdigit() for ch in word) else word
        out.update(text[i : i + GRAM] for i in range(max(1, len(text) - GRAM + 1)))
    return out


def _words(reading: Reading) -> Iterable[str]:
    return reading.words


def _codes(reading: Reading) -> Iterable[str]:
    return reading.codes


def _nexts(reading: Reading) -> Iterable[str]:
    return reading.nexts


THINGS = {"word": _words, "code": _codes, "run": runs, "next": _nexts, "piece": pieces, "gram": grams}


class View:
    """The readings of `texts`, and everything that comparing two of them needs."""

    def __init__(
        self, texts: Sequence[str], known: Statistics, whole: Sequence[Collection[str]] | None = None
    ) -> None:
        """Read each text alone; `whole` are, for each text, the codes that it is known to write apart."""
        self.known, self.raw = known, texts
        self.readings = (
            read_texts(texts, ())
            if whole is None
            else [read_texts([text], codes)[0] for text, codes in zip(texts, whole, strict=True)]
        )
        self.texts = [r.text for r in self.readings]
        self.squeezed = [text.replace(" ", "") for text in self.texts]
        self.bags = {
            name: Bag(map(things, self.readings), known.counts[name], known.n)
            for name, things in THINGS.items()
        }
        words = known.counts["word"]
        self.digits = Bag(
            ([w for w in r.words if any(ch.isdigit() for ch in w)] for r in self.readings), words, known.n
        )
        self.heads = Bag(([w for w in r.words if w in known.heads] for r in self.readings), {}, 1)
        self.measures = Bag(([f"{d}:{v:g}" for d, v in r.measures] for r in self.readings), {}, 1)
        self.kinds = Bag(([d for d, _ in r.measures] for r in self.readings), {}, 1)
        self.by_kind = {
            kind: Bag(([f"{v:g}" for d, v in r.measures if d == kind] for r in self.readings), {}, 1)
            for kind in known.kinds
        }
        # What may be one code: words written as one, and neighbours that another text may write as one.
        self.wholes = [frozenset(filter(is_whole, r.words)) for r in self.readings]
        self.runs = [frozenset(runs_together(r.text)) for r in self.readings]
        self.main = [max(r.codes, key=lambda c: (len(c), c), default="") for r in self.readings]
        self.codeless = blank(self.main)

    def compare(self, left: Rows, right: Rows) -> dict[str, Column]:
        """The evidence of each pair of rows, in a fixed order of names; NaN where one of the two says nothing.

        Where one side writes a code apart that the other writes as one, both are read again with that code joined: what
        a pair says must not depend on which codes other records happen to hold.
        """
        out = self._compare(left, right)
        apart = [
            (self.wholes[a] & self.runs[b]) | (self.wholes[b] & self.runs[a])
            for a, b in zip(left.tolist(), right.tolist(), strict=True)
        ]
        out["code_apart"] = np.asarray([len(codes) for codes in apart], np.float32)
        rows = np.flatnonzero(out["code_apart"])
        if len(rows):
            texts = [self.raw[i] for side in (left, right) for i in side[rows]]
            joined = View(texts, self.known, [apart[i] for _ in (0, 1) for i in rows])
            again = joined._compare(np.arange(len(rows)), np.arange(len(rows)) + len(rows))
            for name, values in again.items():
                out[name][rows] = values
        return out

    def _compare(self, left: Rows, right: Rows) -> dict[str, Column]:
        out: dict[str, Column] = {}
        for name, bag in {**self.bags, "digit": self.digits}.items():
            found = bag.compare(left, right)
            if name == "gram":
                found = {key: found[key] for key in ("cosine", "inside")}
            elif name == "code":
                found = {key: found[key] for key in ("shared", "shared_top", "rest_min", "rest_max")}
            out |= {f"{name}_{key}": values for key, values in found.items()}
        agree, both = self.measures.counts(left, right), self.kinds.counts(left, right)
        out["measures_agree"], out["measures_conflict"] = agree, np.maximum(both - agree, 0)
        for kind, bag in self.by_kind.items():
            out[f"kind_{kind}"] = _equal(bag, left, right)
        out["heads_agree"] = _equal(self.heads, left, right)
        headed = self.heads.sizes() > 0
        out["heads_there"] = headed[left].astype(np.float32) + headed[right]
        void = self.codeless[left] | self.codeless[right]
        out["token_set"] = _paired(self.texts, left, right, fuzz.token_set_ratio, 100)
        out["edit"] = _paired(self.squeezed, left, right, fuzz.ratio, 100)
        out["head"] = _paired(self.squeezed, left, right, Prefix.similarity)
        out["code_head"] = _where(~void, _paired(self.main, left, right, Prefix.normalized_similarity))
        out["code_like"] = _where(~void, _paired(self.main, left, right, JaroWinkler.similarity))
        out |= sides("code_in", self._code_in(left, right), self._code_in(right, left))
        out["codes_missing"] = self.codeless[left].astype(np.float32) + self.codeless[right]
        total = self.bags["word"].total
        out |= sides("said", total[left], total[right])
        return out

    def _code_in(self, left: Rows, right: Rows) -> Column:
        """How much of the left text's longest code stands in one piece in the right text; NaN without a code."""
        codes, texts = [self.main[i] for i in left], [self.squeezed[i] for i in right]
        found = process.cpdist(codes, texts, scorer=fuzz.partial_ratio, dtype=np.float32) / 100
        return _where(~self.codeless[left], found)


def _equal(bag: Bag, left: Rows, right: Rows) -> Column:
    there = bag.sizes() > 0
    return _where(there[left] & there[right], (bag.counts(left, right) > 0).astype(np.float32))


def _where(there: NDArray[np.bool_], values: Column) -> Column:
    return np.where(there, values, np.float32(np.nan)).astype(np.float32)


def _paired(texts: list[str], left: Rows, right: Rows, scorer: Any, scale: float = 1.0) -> Column:
    a, b = [texts[i] for i in left], [texts[i] for i in right]
    return np.asarray(process.cpdist(a, b, scorer=scorer, dtype=np.float32), np.float32) / np.float32(scale)
