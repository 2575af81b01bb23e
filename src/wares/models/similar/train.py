"""Put text neighbours and co-occurrence neighbours together for serving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import save_arrays, seal
from wares.models.similar.infer import KIND


def fit(
    text_of: NDArray[np.int32],
    text_ids: NDArray[np.int32],
    text_sims: NDArray[np.float16],
    sold: NDArray[np.int64],
    columns: NDArray[np.int32],
    ids: NDArray[np.int32],
    values: NDArray[np.float32],
    shared: NDArray[np.uint16],
    folder: Path,
) -> dict[str, Any]:
    """Write the similarity artefact.

    `text_ids, text_sims (n_texts, k)`; `sold (n_items,)` orders products of one text; `columns (n_columns,)` are
    the items with behaviour, `ids (n_columns, k)` their neighbours as columns, `values` shrunk cosines, `shared`
    shoppers in common.
    """
    order = np.lexsort((np.arange(len(sold)), -sold, text_of)).astype(np.int32)
    ptr = np.concatenate([[0], np.cumsum(np.bincount(text_of, minlength=len(text_ids)))]).astype(np.int64)
    row = np.full(len(text_of), -1, np.int32)
    row[columns] = np.arange(len(columns))
    # A shrunk cosine rarely passes 0.5; its root spreads it over 0..1 as text likeness is.
    save_arrays(
        folder, text_of=text_of, text_ids=text_ids, text_sims=text_sims, members_ptr=ptr, members=order, behaviour_row=row,
        behaviour_ids=np.where(ids >= 0, columns[np.maximum(ids, 0)] if len(columns) else ids, -1).astype(np.int32),
        behaviour_values=np.sqrt(np.clip(values, 0, 1)).astype(np.float16), behaviour_shared=shared,
    )  # fmt: skip
    return seal(folder, KIND, n_items=len(text_of), columns=len(columns))
