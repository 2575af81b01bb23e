"""Labels that are probably wrong: out-of-fold predictions of several views, stacked, judged by confident learning.

Method: each view (character and word n-grams, each as TF-IDF and reweighted by naive-Bayes log-count ratios (Wang and
Manning, 2012); latent factors with an RBF kernel; sentence vectors when given) predicts every label from the other
folds; a logistic regression over their scores, again out of fold, gives the probabilities; ``cleanlab`` compares them
with the labels given (Northcutt, Jiang and Chuang, JAIR 70, 2021). No threshold is set by hand.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import DataError
from wares.data.labels.book import LabelBook, Project
from wares.data.labels.queue import Queue
from wares.data.labels.resolve import labels as resolved
from wares.data.labels.views import Views, tidy

FOLDS = 10
MIN_PER_LABEL = 5


@dataclass(frozen=True)
class Doubts:
    """What was found among ``n`` labels. `score (n,)` is the probability that the label is wrong, NaN where its class is too
    small to judge; `found (n,)` marks those that confident learning takes for errors; `suggested (n,)` is the likeliest label.
    """

    score: NDArray[np.float64]
    found: NDArray[np.bool_]
    suggested: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    @property
    def order(self) -> NDArray[np.int64]:
        """The found ones, most doubtful first; ties by place."""
        rows = np.nonzero(self.found)[0]
        return rows[np.argsort(-self.score[rows], kind="stable")]


def find_doubts(
    texts: Sequence[str],
    labels: NDArray[np.int64],
    *,
    vectors: NDArray[np.float32] | None = None,
    seed: int = 7,
    progress: Callable[[str], None] = lambda _: None,
) -> Doubts:
    """Judge ``labels (n,)`` (small whole numbers) of `texts`, with `vectors (n, dim)` if there are any.

    Raises:
        DataError: when fewer than two labels have five texts each.
    """
    from threadpoolctl import threadpool_limits

    names, counts = np.unique(labels, return_counts=True)
    large = names[counts >= MIN_PER_LABEL]
    if len(large) < 2:
        raise DataError(
            f"label errors need at least two labels with {MIN_PER_LABEL} texts each",
            mend="Label some more first",
            table="labels",
        )
    rows = np.nonzero(np.isin(labels, large))[0]
    y = np.searchsorted(large, labels[rows])
    # One thread: many small fits lose more to threads that wait for each other than they gain.
    with threadpool_limits(1):
        part = probabilities(
            [texts[i] for i in rows], y, vectors=None if vectors is None else vectors[rows], seed=seed, progress=progress
        )  # fmt: skip
    progress("confident learning")
    bad = confident(y, part)
    score, found = np.full(len(labels), np.nan), np.zeros(len(labels), bool)
    score[rows], found[rows] = 1 - part[np.arange(len(y)), y], bad
    suggested = np.array(labels, np.int64)
    suggested[rows] = large[part.argmax(1)]
    return Doubts(score, found, suggested, part)


def confident(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], how: str = "confident_learning"
) -> NDArray[np.bool_]:
    """Which labels `how` of cleanlab's filters takes for errors, and that the model would itself have given otherwise."""
    from cleanlab.filter import find_label_issues

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = find_label_issues(labels, probabilities, filter_by=how, n_jobs=1)
    return np.asarray(found, bool) & (probabilities.argmax(1) != labels)


def probabilities(
    texts: Sequence[str],
    labels: NDArray[np.int64],
    *,
    vectors: NDArray[np.float32] | None = None,
    seed: int = 7,
    progress: Callable[[str], None] = lambda _: None,
) -> NDArray[np.float64]:
    """Out-of-fold probabilities ``(n, n_labels)`` for labels 0 … n_labels-1. Repeated texts always share a fold."""
    from sklearn.linear_model import LogisticRegression

    progress("views")
    views = Views.of(texts, vectors, seed)
    folds = fold_of(texts, labels, seed)
    n_labels = int(labels.max()) + 1
    score = np.hstack([s for _, s in view_scores(views, labels, n_labels, folds, progress)])
    progress("stacking")
    out = np.zeros((len(labels), n_labels))
    score /= score.std(0) + 1e-9
    for fold in range(folds.max() + 1):
        test = folds == fold
        model = LogisticRegression(C=1.0, max_iter=500).fit(score[~test], labels[~test])
        out[np.ix_(test, model.classes_)] = model.predict_proba(score[test])
    return out


def fold_of(texts: Sequence[str], labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """A fold for each row ``(n,)``, labels spread evenly, equal texts together."""
    group: dict[str, int] = {}
    groups = np.array([group.setdefault(tidy(text), len(group)) for text in texts])
    first = np.unique(groups, return_index=True)[1]
    small = int(np.unique(labels[first], return_counts=True)[1].min())
    n_folds = max(2, min(FOLDS, small))
    from sklearn.model_selection import StratifiedKFold

    fold = np.zeros(len(first), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        split = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(first, labels[first])
        for number, (_, test) in enumerate(split):
            fold[test] = number
    return fold[groups]


def view_scores(
    views: Views,
    labels: NDArray[np.int64],
    n_labels: int,
    folds: NDArray[np.int64],
    progress: Callable[[str], None] = lambda _: None,
) -> list[tuple[str, NDArray[np.float64]]]:
    """(name, out-of-fold scores) of each view; scores are log odds or distances, one column a label (one in all for two)."""
    jobs: list[tuple[str, Any, str]] = [
        ("characters", views.chars, "linear"), ("words", views.words, "linear"),
        ("characters nb", views.chars, "bayes"), ("words nb", views.words, "bayes"), ("latent", views.kernel, "kernel"),
    ]  # fmt: skip
    if views.dense is not None:
        jobs.append(("vectors", views.dense, "dense"))
    found = []
    for name, matrix, how in jobs:
        progress(name)
        columns = range(1, n_labels) if n_labels == 2 else range(n_labels)
        found.append(
            (name, np.stack([_oof(matrix, (labels == c).astype(np.int64), folds, how) for c in columns], 1))
        )
    return found


def _oof(matrix: Any, y: NDArray[np.int64], folds: NDArray[np.int64], how: str) -> NDArray[np.float64]:
    from scipy.sparse import diags
    from sklearn.linear_model import LogisticRegression

    out = np.zeros(len(y))
    for fold in range(folds.max() + 1):
        test = folds == fold
        train, apply, target = matrix[~test], matrix[test], y[~test]
        if target.min() == target.max():
            out[test] = 8.0 * (2 * target[0] - 1)
            continue
        if how == "bayes":
            there = (train > 0).astype(np.float64)
            p, q = 1.0 + there[target == 1].sum(0), 1.0 + there[target == 0].sum(0)
            ratio = diags(np.asarray(np.log((p / p.sum()) / (q / q.sum()))).ravel())
            train, apply = train @ ratio, apply @ ratio
        if how == "kernel":
            model: Any = LogisticRegression(C=30.0, max_iter=200)
        elif how == "dense":
            model = LogisticRegression(C=6.0, max_iter=500)
        else:
            model = LogisticRegression(C=0.5 if how == "bayes" else 4.0, solver="liblinear", max_iter=300)
        out[test] = model.fit(train, target).decision_function(apply)
    return out


@dataclass(frozen=True)
class Doubt:
    """A doubted label of a project: what it is, what it probably should be, and why."""

    key: str
    text: str
    label: str
    suggested: str
    score: float
    reason: str


def doubtful(
    book: LabelBook,
    project: Project,
    *,
    vectors: Callable[[Sequence[str]], NDArray[np.float32]] | None = None,
    machine: bool = False,
    again: bool = False,
    need: int = 1,
    limit: int = 1000,
    seed: int = 7,
    by: str = "",
    progress: Callable[[str], None] = lambda _: None,
) -> list[Doubt]:
    """The doubted labels of a project, worst first; settled ones are trusted. With `again` they go back to the queue, in front.

    Raises:
        DataError: when there are too few labels to judge by.
    """
    rows = resolved(book, project, machine=machine).to_pylist()
    texts = [row["text"] for row in rows]
    y = np.array([project.options.index(row["label"]) for row in rows], np.int64)
    found = find_doubts(texts, y, vectors=vectors(texts) if vectors else None, seed=seed, progress=progress)
    twins: dict[str, set[str]] = {}
    for row in rows:
        twins.setdefault(tidy(row["text"]), set()).add(row["label"])
    doubts = []
    for n in found.order:
        row = rows[int(n)]
        if row["method"] == "adjudicated":
            continue
        suggested, score = project.options[int(found.suggested[n])], float(found.score[n])
        others = twins[tidy(row["text"])] - {row["label"]}
        reason = f"labelled {row['label']}, reads like {suggested} ({score:.0%} sure)"
        if others:
            reason += f"; the same text is also labelled {', '.join(sorted(others))}"
        doubts.append(Doubt(row["key"], row["text"], row["label"], suggested, round(score, 4), reason))
    doubts = doubts[:limit]
    if again and doubts:
        queue = Queue(book, project)
        queue.again([d.key for d in doubts], reason={d.key: d.reason for d in doubts}, need=need, by=by)
    return doubts
