"""``wares evaluate moods``: do moods tell which products please next, beyond stars and counts?

A file of reviews is cut in its order: of each product what its earlier reviews say (stars, how many, the mood and the aspects of
their texts) is to tell what its later ones think. Moods come of a classifier that learned from the stars of earlier reviews in
other folds, so that no text is judged by its own stars. Without dates the order of rows stands for time, and shuffled orders
show how much hangs on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.core.machine import peak_rss
from wares.features.pair_files import columns_of
from wares.models.sentiment.linear_train import Choice, fit_linear, logits_of, matrix
from wares.models.sentiment.opinions import AspectReader
from wares.models.sentiment.prepare import bags

FOLDS = 5
PULL = 5.0
LEAST = 3
"""Earlier reviews without which a product is left out."""
MIDDLE, CUT = 0.4, 0.7
"""Shares of the rows: what stands before the first is past while weights are learned, what stands after the second is the test."""
SHUFFLES = 10
RESAMPLES = 2000
ASPECTS_KEPT = 8
RIDGE = 3.0
BASE = ("stars", "happy share", "count")


@dataclass(frozen=True)
class ReviewFile:
    """A file of reviews and its columns; `recommended` may be empty: then four stars and more please."""

    path: Path
    product: str
    text: str
    rating: str
    recommended: str = ""


@dataclass(frozen=True)
class Reviews:
    """Reviews in the order of the file: ``product (n,)``, ``stars (n,)``, ``pleased (n,)``, ``mood (n,)`` and, of the aspects that are
    spoken of most, ``aspects (n, a)`` in -1..1, 0 where nothing is said."""

    product: NDArray[np.int64]
    stars: NDArray[np.float64]
    pleased: NDArray[np.bool_]
    mood: NDArray[np.float64]
    aspects: NDArray[np.float64]
    names: tuple[str, ...]

    def some(self, order: NDArray[np.int64]) -> Reviews:
        """The reviews in another order."""
        return Reviews(
            self.product[order], self.stars[order], self.pleased[order], self.mood[order], self.aspects[order], self.names
        )  # fmt: skip


def read_reviews(file: ReviewFile, seed: int, progress: Callable[[str], None] = lambda _: None) -> Reviews:
    """Read a file and its texts' moods and aspects.

    Raises:
        QueryError: for a missing column, stars that are no numbers, or too few reviews.
    """
    wanted = tuple(name for name in (file.product, file.text, file.rating, file.recommended) if name)
    columns = columns_of(file.path, wanted)
    texts = columns[file.text]
    try:
        stars = np.array([float(cell) if cell.strip() else np.nan for cell in columns[file.rating]])
        said = (
            np.array([float(cell) if cell.strip() else np.nan for cell in columns[file.recommended]])
            if file.recommended
            else None
        )
    except ValueError as error:
        raise QueryError(f"{error} in {file.path.name}", mend="Stars and recommendations are numbers", parameter="rating") from None  # fmt: skip
    kept = np.flatnonzero(np.isfinite(stars) & (np.array([bool(name) for name in columns[file.product]])))
    if len(kept) < 200:
        raise QueryError(
            f"{len(kept)} rated reviews are too few", mend="Give 200 or more", parameter="reviews"
        )
    _, product = np.unique([columns[file.product][i] for i in kept], return_inverse=True)
    stars, texts = stars[kept], [texts[i] for i in kept]
    pleased = stars >= 4 if said is None else said[kept] > 0.5
    progress("moods")
    mood = cross_moods(texts, stars, seed)
    progress("aspects")
    aspects, names = _aspects(texts)
    return Reviews(product.astype(np.int64), stars, pleased, mood, aspects, names)


def cross_moods(texts: list[str], stars: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """The mood ``(n,)`` of each text in -1..1, by a classifier (four stars and more against the rest) that learned from the
    other folds; equal texts share a fold."""
    known: dict[str, int] = {}
    key = np.array([known.setdefault(text, len(known)) for text in texts])
    fold = np.random.default_rng(seed).integers(FOLDS, size=len(known))[key]
    x = matrix(*bags(texts))
    good = (stars >= 4).astype(np.int64)
    out = np.zeros(len(texts))
    for f in range(FOLDS):
        held, learned = np.flatnonzero(fold == f), np.flatnonzero(fold != f)
        if not len(held) or len(np.unique(good[learned])) < 2:
            continue
        model = fit_linear(x[learned], good[learned], 2, Choice("ratio", 4.0))
        logit = logits_of(model, x[held])
        out[held] = np.tanh((logit[:, 1] - logit[:, 0]) / 2)
    return out


def _aspects(texts: list[str]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    reader = AspectReader()
    place = {name: i for i, name in enumerate(reader.aspects)}
    table, often = np.zeros((len(texts), len(place))), np.zeros(len(place))
    for row, opinions in enumerate(reader.read(texts)):
        count = np.zeros(len(place))
        for one in opinions:
            table[row, place[one.aspect]] += one.polarity
            count[place[one.aspect]] += 1
        table[row] /= np.maximum(count, 1)
        often += count > 0
    best = np.sort(np.argsort(-often, kind="stable")[:ASPECTS_KEPT])
    return table[:, best], tuple(reader.aspects[i] for i in best)


def features_of(past: Reviews, n: int) -> dict[str, NDArray[np.float64]]:
    """Features ``(n, f)`` of products by their past: ``stars`` and counts alone, with ``mood``, and with moods and ``aspects``; means are
    shrunk to the shop's."""
    count = np.bincount(past.product, minlength=n).astype(float)

    def mean(values: NDArray[Any]) -> NDArray[np.float64]:
        whole = float(np.mean(values))
        return (np.bincount(past.product, values, n) + PULL * whole) / (count + PULL)

    base = np.column_stack([mean(past.stars), mean(past.pleased), np.log1p(count)])
    mood = np.column_stack([mean(past.mood), mean(past.mood < 0)])
    of = [mean(past.aspects[:, i]) for i in range(past.aspects.shape[1])]
    aspects = np.column_stack(of) if of else np.zeros((n, 0))
    return {
        "stars": base, "moods alone": np.column_stack([mood, np.log1p(count)]), "stars and moods": np.column_stack([base, mood]),
        "stars, moods and aspects": np.column_stack([base, mood, aspects]),
    }  # fmt: skip


def _outcome(later: Reviews, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    count = np.bincount(later.product, minlength=n).astype(float)
    return np.bincount(later.product, later.pleased, n) / np.maximum(count, 1), count


def foretold(
    reviews: Reviews,
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64], NDArray[np.float64]]:
    """(scores of products by each set of features, share pleased later, later reviews) of products with enough of both.

    Weights (ridge, by later reviews) are learned on an earlier pair of past and future, and used on the last one.
    """
    n, total = int(reviews.product.max()) + 1, len(reviews.product)
    a, b = int(MIDDLE * total), int(CUT * total)
    index = np.arange(total)
    first, second = features_of(reviews.some(index[:a]), n), features_of(reviews.some(index[:b]), n)
    y, weight = _outcome(reviews.some(index[a:b]), n)
    told = np.bincount(reviews.product[:a], minlength=n) >= LEAST
    share, later = _outcome(reviews.some(index[b:]), n)
    kept = (np.bincount(reviews.product[:b], minlength=n) >= LEAST) & (later > 0)
    scores: dict[str, NDArray[np.float64]] = {}
    for name, x in first.items():
        rows = told & (weight > 0)
        centre, scale = x[rows].mean(0), np.maximum(x[rows].std(0), 1e-9)
        z = np.column_stack([np.ones(rows.sum()), (x[rows] - centre) / scale])
        penalty = RIDGE * np.eye(z.shape[1]) * weight[rows].mean()
        penalty[0, 0] = 0
        beta = np.linalg.solve(
            (z * weight[rows][:, None]).T @ z + penalty, (z * weight[rows][:, None]).T @ y[rows]
        )
        scores[name] = np.column_stack([np.ones(kept.sum()), (second[name][kept] - centre) / scale]) @ beta
    return scores, share[kept], later[kept]


def auc(score: NDArray[np.float64], share: NDArray[np.float64], count: NDArray[np.float64]) -> float:
    """Probability that a later pleased review belongs to a product scored higher than that of a displeased one; ties count half."""
    good, bad = share * count, (1 - share) * count
    _, place = np.unique(score, return_inverse=True)
    g, b = np.bincount(place, good), np.bincount(place, bad)
    below = np.cumsum(b) - b
    whole = float(good.sum() * bad.sum())
    return float((g * (below + b / 2)).sum() / whole) if whole else 0.5


def ndcg(score: NDArray[np.float64], share: NDArray[np.float64], k: int = 10) -> float:
    """NDCG@k of products in the order of their scores, with the share pleased later as gain; ties by place."""
    discount = 1 / np.log2(np.arange(2, min(k, len(share)) + 2))
    order = np.argsort(-score, kind="stable")[:k]
    best = np.sort(share)[::-1][:k]
    return float((share[order] * discount).sum() / max(float((best * discount).sum()), 1e-12))


def evaluate_reviews(
    file: ReviewFile, command: str, *, seed: int = 7, progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Whether moods help to tell what pleases next, on the order of the rows and on shuffled ones.

    ``gain`` is the difference to stars and counts alone in AUC, with its 95 % interval by bootstrap over products, paired;
    moods ``help`` where it lies above zero. NDCG@10 beside it is of one list of all products.
    """
    begun = time.perf_counter()
    reviews = read_reviews(file, seed, progress)
    progress("foretell")
    scores, share, count = foretold(reviews)
    rng = np.random.default_rng(seed)
    draws = [rng.integers(0, len(share), len(share)) for _ in range(RESAMPLES)]
    table: dict[str, dict[str, Any]] = {}
    plain = np.array([auc(scores["stars"][d], share[d], count[d]) for d in draws])
    shuffled: dict[str, list[float]] = {name: [] for name in scores}
    for number in range(SHUFFLES):
        progress(f"order {number + 1} of {SHUFFLES}")
        again, s, c = foretold(reviews.some(rng.permutation(len(reviews.product))))
        for name, one in again.items():
            shuffled[name].append(auc(one, s, c) - auc(again["stars"], s, c))
    for name, one in scores.items():
        gains = np.array([auc(one[d], share[d], count[d]) for d in draws]) - plain
        low, high = (float(v) for v in np.quantile(gains, (0.025, 0.975)))
        orders = np.array(shuffled[name])
        table[name] = {
            "auc": round(auc(one, share, count), 4), "gain": round(auc(one, share, count) - auc(scores["stars"], share, count), 4),
            "interval": [round(low, 4), round(high, 4)], "helps": bool(low > 0), "ndcg@10": round(ndcg(one, share), 4),
            "gain over orders": round(float(orders.mean()), 4), "orders sd": round(float(orders.std(ddof=1)), 4),
            "orders better": f"{int((orders > 0).sum())} of {SHUFFLES}",
        }  # fmt: skip
    return {
        "command": command, "data": file.path.name, "reviews": len(reviews.product), "products": int(reviews.product.max()) + 1, "tested": len(share),
        "later_reviews": int(count.sum()), "later_pleased": round(float((share * count).sum() / count.sum()), 4), "aspects": list(reviews.names),
        "note": "The file's order of rows stands for time: it has no dates. Shuffled orders show how much hangs on it.",
        "helps": any(one["helps"] for name, one in table.items() if name != "moods alone"), "features": table,
        "seconds": round(time.perf_counter() - begun, 1), "peak_rss_mb": round(peak_rss() / 2**20, 1),
    }  # fmt: skip
