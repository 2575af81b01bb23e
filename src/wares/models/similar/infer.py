"""What is like a product, in every dimension that the shop has, fused by kind. numpy and usearch only, memory-mapped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact
from wares.core.errors import IncompatibleArtifact
from wares.models.similar.dimensions import (
    Dimension,
    HoodDimension,
    ListDimension,
    VectorDimension,
    load_dimensions,
)
from wares.models.similar.fusion import Fusion, check_kind, check_weights
from wares.models.similar.index import Blocks, FusedIndex

KIND = "similar"
POOL = 120
MEMBERS = 30
NEAR_TEXTS = 30
Floats = NDArray[np.float32]


@dataclass(slots=True)
class Likeness:
    """Products like another, best first: rows, scores 0..1, what each dimension adds ``(k, D)`` (rows sum to scores),
    which of that is known of both rather than assumed ``(k, D)``, and how many shoppers or baskets have both, by
    dimension ``(k, D)``, 0 where a dimension does not count."""

    items: NDArray[np.int32]
    scores: Floats
    parts: Floats
    known: NDArray[np.bool_]
    shared: NDArray[np.int64]


class Similar:
    """The similarity of a bundle."""

    def __init__(self, folder: Path) -> None:
        self.manifest = open_artifact(folder, KIND)
        if "dimensions" not in self.manifest:
            raise IncompatibleArtifact(
                f"{folder} has an earlier form of similarity",
                mend="Build and publish again",
                path=str(folder),
            )
        self.dimensions: list[Dimension] = load_dimensions(folder, self.manifest["dimensions"])
        self.names: tuple[str, ...] = tuple(d.name for d in self.dimensions)
        self.fusions = {
            name: _fusion(folder, name, self.names, facts) for name, facts in self.manifest["kinds"].items()
        }
        self.kinds: tuple[str, ...] = tuple(self.fusions)
        self.index = FusedIndex.load(folder)
        self.blocks = Blocks(tuple(self.manifest["blocks"]), tuple(self.manifest["widths"]))
        self.text_axes: NDArray[Any] = load_array(folder, "text_axes")
        self.text_of: NDArray[Any] = load_array(folder, "text_of")
        self.text_ids: NDArray[Any] = load_array(folder, "text_ids")
        self.members_ptr: NDArray[Any] = load_array(folder, "members_ptr")
        self.members: NDArray[Any] = load_array(folder, "members")

    def of_texts(self, texts: NDArray[Any], a_text: int) -> NDArray[np.int32]:
        """The products of some texts, at most `a_text` of each, best-selling first."""
        rows = [
            self.members[int(self.members_ptr[text]) : int(self.members_ptr[text + 1])][:a_text]
            for text in texts.tolist()
            if text >= 0
        ]
        return np.concatenate(rows).astype(np.int32) if rows else np.zeros(0, np.int32)

    def rank(
        self,
        item: int,
        k: int,
        weights: Mapping[str, float] | None = None,
        allowed: NDArray[np.bool_] | None = None,
        kind: str = "",
    ) -> Likeness:
        """The `k` products most like `item`, never itself; ties go to the lower row.

        `weights` by dimension set those of the kind aside. A dimension that `item` lacks takes no part; where a
        candidate lacks one it counts what an ordinary candidate gets there.

        Raises:
            QueryError: for an unknown dimension or kind, or a negative weight.
        """
        fusion, asked = self.asked(kind, weights)
        has = np.array([bool(d.has[item]) for d in self.dimensions], bool)
        weight = fusion.weigh(asked, has)
        pool = self.candidates(item, dict(zip(self.names, weight.tolist(), strict=True)), k, allowed)
        return self.choose(item, pool, fusion, weight, k)

    def choose(self, item: int, pool: NDArray[np.int32], fusion: Fusion, weight: Floats, k: int) -> Likeness:
        """The best `k` of some candidates under weights ``(D,)``."""
        parts, known = self.contributions(item, pool, fusion, weight)
        return self._best(item, pool, parts, known, weight, k)

    def contributions(
        self, item: int, others: NDArray[Any], fusion: Fusion, weight: Floats
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """What each dimension adds to the score of each of `others` ``(n, D)``, and which of it is known of both."""
        raw = np.zeros((len(others), len(self.dimensions)), np.float32)
        known = np.zeros(raw.shape, bool)
        for d, dimension in enumerate(self.dimensions):
            # What weighs nothing costs nothing.
            if weight[d] > 0:
                raw[:, d] = dimension.raw(item, others)
                known[:, d] = dimension.has[others]
        return fusion.parts(raw, known, weight), known

    def _best(
        self, item: int, pool: NDArray[Any], parts: Floats, known: NDArray[np.bool_], weight: Floats, k: int
    ) -> Likeness:
        scores = parts.sum(1)
        # Nothing is known of a candidate that has none of the dimensions asked for, so it is not like anything.
        scores[~(known & (weight > 0)).any(1)] = 0
        order = np.lexsort((pool, -scores))
        order = order[scores[order] > 0][:k]
        items = pool[order].astype(np.int32)
        return Likeness(items, scores[order], parts[order], known[order], self._shared(item, items))

    def _shared(self, item: int, items: NDArray[np.int32]) -> NDArray[np.int64]:
        out = np.zeros((len(items), len(self.dimensions)), np.int64)
        for d, dimension in enumerate(self.dimensions):
            if item >= 0 and isinstance(dimension, ListDimension | HoodDimension):
                out[:, d] = dimension.shared(item, items)
        return out

    def candidates(
        self, item: int, weights: Mapping[str, float], k: int, allowed: NDArray[np.bool_] | None
    ) -> NDArray[np.int32]:
        """Rows worth a closer look: of the fused index, of the nearest texts, of each dimension's own list."""
        some: list[NDArray[np.int32]] = []
        wanted = max(POOL, 2 * k)
        if any(weights.get(name, 0) > 0 for name in self.blocks.names):
            query = self.blocks.query(self.index.vectors[item], weights)
            some.append(self.index.search(query, wanted, allowed)[0].astype(np.int32))
        if weights.get("text", 0) > 0 and len(self.text_ids):
            near = np.asarray(self.text_ids[int(self.text_of[item])][: max(NEAR_TEXTS, k)])
            some.append(self.of_texts(near, max(MEMBERS, k)))
        some += [d.near(item, wanted) for d in self.dimensions if weights.get(d.name, 0) > 0]
        pool = np.unique(np.concatenate(some)) if some else np.zeros(0, np.int32)
        pool = pool[pool != item]
        return pool if allowed is None else pool[allowed[pool]]

    def asked(self, kind: str, weights: Mapping[str, float] | None) -> tuple[Fusion, dict[str, float] | None]:
        """The fusion of a kind and the checked weights of a request.

        Raises:
            QueryError: for an unknown dimension or kind, or a negative weight.
        """
        return self.fusions[check_kind(kind, self.kinds)], check_weights(weights, self.names)

    def has(self, dimension: str) -> NDArray[np.bool_]:
        """Which products have a dimension ``(n,)``; none where the shop lacks it."""
        if dimension not in self.names:
            return np.zeros(len(self.text_of), bool)
        return self.dimensions[self.names.index(dimension)].has

    def rank_vector(
        self, dimension: str, vector: Floats, pool: NDArray[np.int32], k: int, fusion: Fusion
    ) -> Likeness:
        """The best of `pool` for a thing of which only a vector of one dimension is known: a new product, an image.

        `vector` is in that dimension's own space.
        """
        weight = np.zeros(len(self.names), np.float32)
        raw = np.zeros((len(pool), len(self.names)), np.float32)
        known = np.zeros(raw.shape, bool)
        if dimension in self.names:
            at = self.names.index(dimension)
            found = self.dimensions[at]
            weight[at] = 1.0
            if isinstance(found, VectorDimension):
                raw[:, at], known[:, at] = found.to(vector, pool), found.has[pool]
        return self._best(-1, pool, fusion.parts(raw, known, weight), known, weight, k)

    def short_text(self, vector: Floats) -> Floats:
        """A text vector as the encoder gives it, brought into the dimension ``text``."""
        axes = np.asarray(self.text_axes, np.float32)
        if not axes.size:
            return np.zeros(axes.shape[1], np.float32)
        short = np.asarray(vector, np.float32) @ axes
        return np.asarray(short / max(float(np.linalg.norm(short)), 1e-9), np.float32)

    def text_vector(self, item: int) -> Floats | None:
        """The vector of a product in the dimension ``text``; None for one without a word."""
        if not self.has("text")[item]:
            return None
        found = self.dimensions[self.names.index("text")]
        assert isinstance(found, VectorDimension)
        return np.asarray(found.vectors[int(found.row_of[item])], np.float32)

    def near_text(self, vector: Floats, k: int, allowed: NDArray[np.bool_]) -> NDArray[np.int32]:
        """About `k` products whose text is nearest to a vector of the dimension ``text``."""
        if "text" not in self.names:
            return np.zeros(0, np.int32)
        found = self.dimensions[self.names.index("text")]
        assert isinstance(found, VectorDimension)
        value = np.asarray(found.vectors, np.float32) @ vector
        wanted = min(k, len(value))
        best = np.argpartition(-value, wanted - 1)[:wanted] if wanted else np.zeros(0, np.int64)
        pool = np.unique(self.of_texts(best, MEMBERS))
        return pool[allowed[pool]]

    def near_pairs(
        self, least: float, a_text: int, block: NDArray[Any]
    ) -> Iterator[tuple[int, NDArray[np.int32]]]:
        """Each product with later ones whose texts are the same, or near with a cosine of `least`, and whose `block (n,)`
        is the same or -1; of each text at most `a_text` products, best-selling first."""
        if "text" not in self.names:
            return
        found = self.dimensions[self.names.index("text")]
        assert isinstance(found, VectorDimension)
        for text in range(len(self.text_ids)):
            rows = self.of_texts(np.array([text]), a_text)
            ids = np.asarray(self.text_ids[text][:NEAR_TEXTS])
            ids = ids[ids > text]
            cosines = np.asarray(found.vectors[ids], np.float32) @ np.asarray(found.vectors[text], np.float32)
            near = self.of_texts(ids[cosines >= least], a_text)
            for place, row in enumerate(rows.tolist()):
                others = np.concatenate([rows[place + 1 :], near])
                mine = block[row]
                kept = others if mine < 0 else others[(block[others] == mine) | (block[others] < 0)]
                if len(kept):
                    yield row, kept

    def unknown_but_text(
        self, item: int, cosines: Floats, fusion: Fusion, asked: Mapping[str, float] | None
    ) -> Likeness:
        """Scores of things of which only the text is known, beside those that `rank` gives for `item` (-1: a new one)."""
        has = np.array([bool(d.has[item]) if item >= 0 else d.name == "text" for d in self.dimensions], bool)
        weight = fusion.weigh(asked, has)
        raw = np.zeros((len(cosines), len(self.names)), np.float32)
        known = np.zeros(raw.shape, bool)
        at = self.names.index("text")
        raw[:, at], known[:, at] = cosines, True
        parts = fusion.parts(raw, known, weight)
        rows = np.arange(len(cosines), dtype=np.int32)
        return Likeness(rows, parts.sum(1), parts, known, np.zeros(parts.shape, np.int64))


def _fusion(folder: Path, kind: str, names: tuple[str, ...], facts: dict[str, Any]) -> Fusion:
    knots, values, weights, neutral = (
        load_array(folder, f"kind_{kind}_{part}", mmap=False)
        for part in ("knots", "values", "weights", "neutral")
    )
    return Fusion(kind, names, knots, values, weights, neutral, facts)
