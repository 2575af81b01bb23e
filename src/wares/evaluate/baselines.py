"""What a recommender has to beat, on the same split and with the same rule about seen products."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wares.features.interactions import Interactions
from wares.models.recommend.closed_form import Columns, ItemKnn, to_matrix

KNN_NEIGHBOURS = 200
KNN_SHRINK = 10.0


def by_popularity(
    data: Interactions,
    users: NDArray[np.int64],
    popular: NDArray[np.float32],
    k: int,
    *,
    repeats: bool,
    only_had: bool = False,
) -> NDArray[np.int32]:
    """The best-sellers of the recent window, the same for everybody but for what they have. ``(n_users, k)``.

    With `only_had`, only what a user has.
    """
    order = np.lexsort((np.arange(data.n_items), -data.item_counts(), -popular)).astype(np.int32)
    place = np.empty(data.n_items, np.int64)
    place[order] = np.arange(data.n_items)
    order = order[: k + 3000]
    out = np.full((len(users), k), -1, np.int32)
    for line, user in enumerate(users):
        if only_had:
            own = data.items[data.of(int(user))]
            out[line, : min(k, len(own))] = own[np.argsort(place[own])][:k]
            continue
        left = order if repeats or user < 0 else order[~np.isin(order, data.items[data.of(int(user))])]
        out[line, : len(left[:k])] = left[:k]
    return out


class ItemKnnBaseline:
    """Cosine item-kNN over all items (Sarwar et al. 2001; shrinkage 10, 200 neighbours, binary)."""

    def __init__(self, data: Interactions, min_support: int = 1) -> None:
        self.data, self.columns = data, Columns.supported(data, min_support)
        self.matrix = to_matrix(data, self.columns)
        self.model = ItemKnn(self.matrix, KNN_SHRINK, KNN_NEIGHBOURS)

    def lists(
        self, users: NDArray[np.int64], k: int, *, repeats: bool, only_had: bool = False
    ) -> NDArray[np.int32]:
        """The best `k` of each user ``(n_users, k)``, without what they have, or with `only_had` of nothing else."""
        out = np.full((len(users), k), -1, np.int32)
        for start in range(0, len(users), 256):
            part = users[start : start + 256]
            scores = self.model.scores(self.matrix[part])
            for line, user in enumerate(part):
                row = scores[line]
                seen = self.columns.column_of[self.data.items[self.data.of(int(user))]]
                seen = seen[seen >= 0]
                if only_had:
                    kept = row[seen]
                    row = np.zeros_like(row)
                    row[seen] = kept
                elif not repeats:
                    row[seen] = 0
                top = np.argpartition(-row, min(k, len(row) - 1))[:k]
                top = top[np.lexsort((top, -row[top]))]
                top = top[row[top] > 0]
                out[start + line, : len(top)] = self.columns.items[top]
        return out


def by_own_history(data: Interactions, users: NDArray[np.int64], decay: int, k: int) -> NDArray[np.int32]:
    """What the shopper did most, lately: a very strong baseline where things are bought again. ``(n_users, k)``."""
    out = np.full((len(users), k), -1, np.int32)
    for line, user in enumerate(users):
        part = data.of(int(user))
        weight = data.decayed[part][:, decay]
        top = np.lexsort((data.items[part], -weight))[:k]
        out[line, : len(top)] = data.items[part][top]
    return out
