"""Implicit alternating least squares (Hu, Koren, Volinsky, ICDM 2008), fitted by `implicit`, asked in numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wares.models.recommend.parts import Histories, query_matrix


class Als:
    """Item factors ``(n_items, dim)``; a history is folded in by one least-squares step, so sessions need no fit."""

    def __init__(self, items: NDArray[np.float32], regularisation: float, alpha: float, decay: float) -> None:
        self.items, self.regularisation, self.alpha, self.decay = items, regularisation, alpha, decay
        self._base = items.T @ items + np.float32(regularisation) * np.eye(items.shape[1], dtype=np.float32)

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        """Folded-in vector times item factors."""
        query = query_matrix(histories, len(self.items), self.decay)
        users = np.zeros((len(histories), self.items.shape[1]), np.float32)
        for row in range(len(histories)):
            part = slice(query.indptr[row], query.indptr[row + 1])
            if part.start == part.stop:
                continue
            known, weight = self.items[query.indices[part]], self.alpha * query.data[part]
            left = self._base + known.T @ (known * weight[:, None])
            users[row] = np.linalg.solve(left, known.T @ (1.0 + weight))
        return np.asarray(users @ self.items.T, np.float32)


def fit_ials(
    sequences: Sequence[NDArray[np.int32]],
    n_items: int,
    *,
    factors: int = 128,
    regularisation: float = 0.1,
    alpha: float = 5.0,
    decay: float = 0.8,
    iterations: int = 12,
    seed: int = 7,
) -> Als:
    """Fit on what each user has, all with the same confidence ``1 + alpha``; on one thread, so that it repeats."""
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    # implicit warns, rightly, when BLAS would start threads inside its own.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=factors, regularization=regularisation, alpha=alpha, iterations=iterations, random_state=seed, num_threads=1,
        )  # fmt: skip
        model.fit(query_matrix(sequences, n_items, 1.0, longest=10**6), show_progress=False)
    return Als(np.asarray(model.item_factors, np.float32), regularisation, alpha, decay)
