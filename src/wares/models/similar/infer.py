"""What is like this product, by text and by behaviour. numpy only, memory-mapped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact, put_largest
from wares.core.errors import QueryError

KIND = "similar"
DIMENSIONS = ("text", "behaviour")
DEFAULT = {"text": 1.0, "behaviour": 1.0}


@dataclass(slots=True)
class Likeness:
    """Products like another, best first: rows, scores 0..1, what each dimension adds ``(k, 2)``, shoppers in common."""

    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    parts: NDArray[np.float32]
    shared: NDArray[np.int64]


class Similar:
    """The similarity of a bundle."""

    def __init__(self, folder: Path) -> None:
        self.manifest = open_artifact(folder, KIND)
        self.text_of: NDArray[Any] = load_array(folder, "text_of")
        self.text_ids: NDArray[Any] = load_array(folder, "text_ids")
        self.text_sims: NDArray[Any] = load_array(folder, "text_sims")
        self.members_ptr: NDArray[Any] = load_array(folder, "members_ptr")
        self.members: NDArray[Any] = load_array(folder, "members")
        self.behaviour_row: NDArray[Any] = load_array(folder, "behaviour_row")
        self.behaviour_ids: NDArray[Any] = load_array(folder, "behaviour_ids")
        self.behaviour_values: NDArray[Any] = load_array(folder, "behaviour_values")
        self.behaviour_shared: NDArray[Any] = load_array(folder, "behaviour_shared")

    def near_texts(
        self, texts: NDArray[Any], sims: NDArray[Any], a_text: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The products of some texts, at most `a_text` of each, with the likeness of their text."""
        rows: list[NDArray[Any]] = []
        values: list[NDArray[Any]] = []
        for text, value in zip(texts.tolist(), sims.tolist(), strict=True):
            if text >= 0 and value > 0:
                members = self.members[int(self.members_ptr[text]) : int(self.members_ptr[text + 1])][:a_text]
                rows.append(members)
                values.append(np.full(len(members), value, np.float32))
        if not rows:
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        return np.concatenate(rows).astype(np.int32), np.concatenate(values)

    def rank(
        self,
        item: int,
        k: int,
        weights: Mapping[str, float] | None = None,
        allowed: NDArray[np.bool_] | None = None,
    ) -> Likeness:
        """The `k` products most like `item`, never itself; ties go to the lower row.

        Score: the weighted mean over the dimensions that the item has, so that a missing one never punishes.

        Raises:
            QueryError: for an unknown dimension or a negative weight.
        """
        weight = check_weights(weights)
        text = self.text_of[item]
        near, near_value = (
            self.near_texts(self.text_ids[text], self.text_sims[text].astype(np.float32), max(k, 20))
            if len(self.text_ids)
            else (np.zeros(0, np.int32), np.zeros(0, np.float32))
        )
        row = int(self.behaviour_row[item])
        ids = self.behaviour_ids[row] if row >= 0 else np.zeros(0, np.int32)
        kept = ids >= 0
        candidates = np.unique(np.concatenate([near, ids[kept]]))
        candidates = candidates[candidates != item]
        if allowed is not None:
            candidates = candidates[allowed[candidates]]
        parts = np.zeros((len(candidates), 2), np.float32)
        shared = np.zeros(len(candidates), np.int64)
        if len(candidates):
            put_largest(parts[:, 0], candidates, near, near_value)
            if row >= 0:
                put_largest(
                    parts[:, 1], candidates, ids[kept], self.behaviour_values[row][kept].astype(np.float32)
                )
                put_largest(shared, candidates, ids[kept], self.behaviour_shared[row][kept])
        present = np.array(
            [weight["text"] * bool(len(near)), weight["behaviour"] * bool(kept.any())], np.float32
        )
        total = float(present.sum())
        parts *= present / total if total > 0 else 0
        scores = parts.sum(1)
        order = np.lexsort((candidates, -scores))
        order = order[scores[order] > 0][:k]
        return Likeness(candidates[order].astype(np.int32), scores[order], parts[order], shared[order])


def check_weights(weights: Mapping[str, float] | None) -> dict[str, float]:
    """Weights of all dimensions; what is not named has weight zero, and nothing named means the default."""
    if not weights:
        return dict(DEFAULT)
    unknown = [name for name in weights if name not in DIMENSIONS]
    if unknown:
        raise QueryError(
            f"unknown dimension {unknown[0]!r}", mend=f"Known: {', '.join(DIMENSIONS)}", parameter="weights"
        )
    if any(not np.isfinite(value) or value < 0 for value in weights.values()) or sum(weights.values()) <= 0:
        raise QueryError(
            "weights must not be negative, and one must be above zero",
            mend="Write text:1,behaviour:2",
            parameter="weights",
        )
    return {name: float(weights.get(name, 0.0)) for name in DIMENSIONS}
