"""Put dimensions, their fusions and the fused index together for serving."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import save_arrays, seal
from wares.core.files import digest, file_digest
from wares.models.similar.dimensions import (
    Dimension,
    HoodDimension,
    PriceDimension,
    SetDimension,
    VectorDimension,
    save_dimensions,
)
from wares.models.similar.fusion import KINDS, Fusion
from wares.models.similar.fusion_train import Examples, base_fusion, learn, prior
from wares.models.similar.index import Blocks, FusedIndex, fused
from wares.models.similar.infer import KIND
from wares.models.similar.sources import leading

WIDTHS = {"text": 64, "attributes": 48, "reviews": 32, "image": 48, "graph": 48, "price": 8, "scene": 16}
"""Length of each dimension's block in the fused space."""


@dataclass(frozen=True)
class Texts:
    """``text_of (n,)`` the text of each product, ``text_ids (n_texts, k)`` the nearest texts of each, ``axes (dim, d)``
    from the encoder's space into that of the dimension ``text``, ``sold (n,)`` which product of a text comes first."""

    text_of: NDArray[np.int32]
    text_ids: NDArray[np.int32]
    axes: NDArray[np.float32]
    sold: NDArray[np.int64]


def fuse_kinds(base: Fusion, labelled: Mapping[str, Examples], seed: int) -> dict[str, Fusion]:
    """A fusion for each kind for which the shop has signals: learned where there are labels and learning helps."""
    found: dict[str, Fusion] = {}
    for kind in KINDS:
        meant = prior(kind, base)
        learned = learn(kind, base, labelled[kind], seed) if kind in labelled else None
        if (fusion := learned or meant) is not None:
            found[kind] = fusion
    return found


def blocks_of(dimensions: Sequence[Dimension], seed: int) -> tuple[Blocks, list[NDArray[np.float32]]]:
    """The block of each dimension that is a vector or can be made one, ``(n, width)`` of length one or zero."""
    names: list[str] = []
    parts: list[NDArray[np.float32]] = []
    for dimension in dimensions:
        width = WIDTHS.get(dimension.name, 32)
        if isinstance(dimension, VectorDimension):
            part = _shortened(dimension, width)
        elif isinstance(dimension, SetDimension) and not isinstance(dimension, HoodDimension):
            part = _sketched(dimension, width, seed)
        elif isinstance(dimension, PriceDimension):
            part = _spread(dimension, width)
        else:
            continue
        names.append(dimension.name)
        parts.append(part)
    return Blocks(tuple(names), tuple(part.shape[1] for part in parts)), parts


def _unit(part: NDArray[Any]) -> NDArray[np.float32]:
    norm = np.linalg.norm(part, axis=1, keepdims=True)
    return np.where(norm > 1e-6, part / np.maximum(norm, 1e-6), 0).astype(np.float32)


def _shortened(dimension: VectorDimension, width: int) -> NDArray[np.float32]:
    vectors = np.asarray(dimension.vectors, np.float32)
    if vectors.shape[1] > width and len(vectors):
        vectors = _unit(vectors @ leading(vectors, width)[1])
    rows = np.asarray(dimension.row_of)
    if not len(vectors):
        return np.zeros((len(rows), width), np.float32)
    return np.where((rows >= 0)[:, None], vectors[np.maximum(rows, 0)], 0).astype(np.float32)


def _sketched(dimension: SetDimension, width: int, seed: int) -> NDArray[np.float32]:
    """Random projection of the sets (Achlioptas 2003): products of sketches are those of sets on average."""
    members = np.asarray(dimension.members)
    signs = np.random.default_rng(seed).choice(
        np.array([-1, 1], np.float32), (int(members.max(initial=0)) + 1, width)
    )
    n = len(dimension.has)
    out = np.zeros((n, width), np.float32)
    rows = np.repeat(np.arange(n), np.diff(dimension.ptr))
    weights = np.asarray(dimension.weights, np.float32)
    for column in range(width):
        out[:, column] = np.bincount(rows, weights * signs[members, column], n)
    return _unit(out)


def _spread(dimension: PriceDimension, width: int) -> NDArray[np.float32]:
    """Soft membership of the price in `width` steps between the cheapest and the dearest."""
    price = np.asarray(dimension.log_price, np.float32)
    known = np.isfinite(price)
    if not known.any():
        return np.zeros((len(price), width), np.float32)
    centres = np.quantile(price[known], np.linspace(0.02, 0.98, width))
    step = max(float(np.diff(centres).max(initial=0)), 0.3)
    out = np.exp(-(((np.where(known, price, 0)[:, None] - centres) / step) ** 2))
    return _unit(np.where(known[:, None], out, 0))


def fit(
    dimensions: Sequence[Any],
    labelled: Mapping[str, Examples],
    texts: Texts,
    folder: Path,
    *,
    seed: int,
    threads: int = 0,
    tick: Callable[[int, int], None] = lambda *_: None,
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the similarity artefact.

    `dimensions` are those that the shop has, as of now; `labelled` examples by kind, made of what was known before the
    labels.
    """
    n = len(texts.text_of)
    kept = [d for d in dimensions if d.has.any()]
    base = base_fusion(kept, n, seed)
    kinds = fuse_kinds(base, labelled, seed)
    for name, fusion in kinds.items():
        save_arrays(
            folder,
            **{
                f"kind_{name}_{part}": getattr(fusion, part)
                for part in ("knots", "values", "weights", "neutral")
            },
        )
    blocks, parts = blocks_of(kept, seed)
    FusedIndex.build(fused(blocks, parts, n), tick, threads=threads).save(folder)
    order = np.lexsort((np.arange(n), -texts.sold, texts.text_of)).astype(np.int32)
    ptr = np.concatenate([[0], np.cumsum(np.bincount(texts.text_of, minlength=len(texts.text_ids)))])
    save_arrays(
        folder,
        text_of=texts.text_of,
        text_ids=texts.text_ids,
        text_axes=texts.axes,
        members_ptr=ptr.astype(np.int64),
        members=order,
    )
    described = save_dimensions(folder, kept)
    # Several threads build the graph, each time another one; the artefact is named by what went into it.
    content = digest({path.name: file_digest(path) for path in sorted(folder.glob("*.npy"))})
    return seal(
        folder, KIND, content=content, n_items=n, dimensions=described, kinds={name: f.facts for name, f in kinds.items()},
        blocks=list(blocks.names), widths=list(blocks.widths), has={d.name: int(d.has.sum()) for d in kept}, **(facts or {}),
    )  # fmt: skip
