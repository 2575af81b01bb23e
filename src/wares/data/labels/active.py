"""Which items to label next: those the model is unsure of, spread over what there is (uncertainty and diversity).

The first batch represents the pool: the middles of k-means clusters (as TypiClust, Hacohen, Dekel and Weinshall, ICML
2022). Later ones take the least certain items, cluster them weighted by their uncertainty, and label each cluster's middle
(diverse mini-batches, Zhdanov, arXiv:1901.05954). The model is a mean of two logistic regressions, on latent factors (with
sentence vectors, if given) and on n-grams.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.data.labels.book import LabelBook, Project
from wares.data.labels.queue import Queue
from wares.data.labels.resolve import labels as resolved
from wares.data.labels.views import Views

STRATEGIES = ("diverse", "margin", "density", "gradient", "random")
SHORTLIST = 10
"""Least certain items that are clustered, for each one to be chosen."""
FIRST = 20
"""Labels that the representative start chooses before any model is asked."""


@dataclass
class Learner:
    """A text classifier for few labels over a fixed pool: fitted on some rows of `views`, it predicts any."""

    views: Views
    names: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    models: list[Any] = field(default_factory=list)

    def _parts(self, rows: NDArray[np.int64]) -> list[Any]:
        return [self.views.latent[rows], self.views.words[rows], self.views.chars[rows]]

    def fit(self, rows: NDArray[np.int64], labels: NDArray[np.int64]) -> Learner:
        """Fit on ``rows (k,)`` of the pool with ``labels (k,)``; at least two different ones."""
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        self.names = np.unique(labels)
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")
            self.models = [
                LogisticRegression(C=c, max_iter=300).fit(part, labels)
                for part, c in zip(self._parts(rows), (8.0, 8.0, 8.0), strict=True)
            ]
        return self

    def predict(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Probabilities ``(len(rows), n_labels)`` in the order of `names`."""
        parts = [m.predict_proba(part) for m, part in zip(self.models, self._parts(rows), strict=True)]
        return (2 * parts[0] + parts[1] + parts[2]) / 4


def choose(
    views: Views,
    labelled: NDArray[np.int64],
    labels: NDArray[np.int64],
    open_rows: NDArray[np.int64],
    n: int,
    *,
    strategy: str = "diverse",
    seed: int = 7,
) -> NDArray[np.int64]:
    """The `n` rows of ``open_rows`` to label next, best first, given ``labels (k,)`` of ``labelled (k,)``.

    With fewer than `FIRST` labels, or only one kind of them, the choice represents the pool.

    Raises:
        QueryError: for an unknown strategy.
    """
    if strategy not in STRATEGIES:
        raise QueryError(
            f"unknown strategy {strategy!r}", mend=f"Use one of {', '.join(STRATEGIES)}", parameter="strategy"
        )
    n = min(n, len(open_rows))
    rng = np.random.default_rng([seed, len(labelled)])
    if n == 0 or strategy == "random":
        return rng.permutation(open_rows)[:n]
    if len(labelled) < FIRST or len(np.unique(labels)) < 2:
        return open_rows[_middles(views.latent[open_rows], n, None, seed)]
    p = Learner(views).fit(labelled, labels).predict(open_rows)
    top = np.sort(p, 1)
    doubt = 1.0 - (top[:, -1] - top[:, -2])
    if strategy == "gradient":
        return open_rows[_far_apart(views.latent[open_rows], p, n, rng)]
    if strategy == "density":
        near = views.latent[open_rows] @ views.latent[open_rows].mean(0)
        return open_rows[np.argsort(-doubt * np.clip(near - near.min(), 1e-6, None), kind="stable")[:n]]
    order = np.argsort(-doubt, kind="stable")
    if strategy == "margin":
        return open_rows[order[:n]]
    short = order[: SHORTLIST * n]
    picked = _middles(views.latent[open_rows[short]], n, doubt[short], seed)
    chosen = short[picked]
    return open_rows[chosen[np.argsort(-doubt[chosen], kind="stable")]]


def _middles(
    matrix: NDArray[np.float64], n: int, weight: NDArray[np.float64] | None, seed: int
) -> NDArray[np.int64]:
    """Rows nearest to the centres of `n` clusters, largest cluster first; `n` of them, never one twice."""
    from sklearn.cluster import KMeans

    if n >= len(matrix):
        return np.arange(len(matrix))
    from threadpoolctl import threadpool_limits

    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        found = KMeans(n, n_init=1, random_state=seed, max_iter=30).fit(matrix, sample_weight=weight)
    far = found.transform(matrix)
    sizes = np.bincount(found.labels_, minlength=n)
    taken: list[int] = []
    for cluster in np.argsort(-sizes, kind="stable"):
        near = np.argsort(far[:, cluster], kind="stable")
        taken.append(int(next(row for row in near if row not in taken)))
    return np.array(taken, np.int64)


def _far_apart(
    matrix: NDArray[np.float64], p: NDArray[np.float64], n: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """k-means++ over gradient embeddings (BADGE, Ash et al., ICLR 2020) of the last layer."""
    best = p.argmax(1)
    gap = p.copy()
    gap[np.arange(len(p)), best] -= 1.0
    length = (gap**2).sum(1)
    taken = [int(np.argmax(length))]
    norm = (matrix**2).sum(1) * length
    away = np.full(len(p), np.inf)
    for _ in range(n - 1):
        last = taken[-1]
        away = np.minimum(away, norm + norm[last] - 2 * (matrix @ matrix[last]) * (gap @ gap[last]))
        chance = np.clip(away, 0, None)
        chance[taken] = 0
        total = chance.sum()
        if total <= 0:
            rest = np.setdiff1d(np.arange(len(p)), taken)
            taken.append(int(rng.choice(rest)))
        else:
            taken.append(int(rng.choice(len(p), p=chance / total)))
    return np.array(taken, np.int64)


def suggest(
    book: LabelBook,
    project: Project,
    n: int,
    *,
    strategy: str = "diverse",
    vectors: Callable[[Sequence[str]], NDArray[np.float32]] | None = None,
    seed: int = 7,
    apply: bool = True,
) -> list[str]:
    """Keys of the `n` open items that teach most, best first; with `apply` they go to the front of the queue."""
    items = book.items(project)
    texts = [project.text(item["payload"]) for item in items]
    at = {item["key"]: row for row, item in enumerate(items)}
    known = resolved(book, project).to_pylist()
    labelled = np.array([at[row["key"]] for row in known], np.int64)
    labels = np.array([project.options.index(row["label"]) for row in known], np.int64)
    is_open = np.array([item["given"] < item["need"] for item in items], bool)
    is_open[labelled] = False
    views = Views.of(texts, vectors(texts) if vectors else None, seed)
    rows = choose(views, labelled, labels, np.nonzero(is_open)[0], n, strategy=strategy, seed=seed)
    keys = [items[int(row)]["key"] for row in rows]
    if apply and keys:
        Queue(book, project).prioritise(keys, reason=f"suggested ({strategy})")
    return keys
