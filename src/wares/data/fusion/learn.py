"""Matching with labels: boosted trees over the evidence, then a linear model over the words that agree and differ.

The trees learn how evidence combines; the linear model learns which words decide ("plus", "64gb") and which do not
("gold", "sim free"): it starts from the trees' log-odds and adds a weight for each word shared and each word that only
one side has. Both are cross-fitted: a labelled pair is scored only by models that saw neither of its two clusters, so
that thresholds and the second round are tuned on honest probabilities.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.errors import MissingExtra
from wares.data.fusion.blocking import Pairs
from wares.data.fusion.evidence import Features

FOLDS = 3
LEAST = 60
"""Fewer matching, or fewer other, labelled pairs teach nothing."""
NEGATIVES = 6
WORD_SEEN = 8
_EDGE = 1e-4


@dataclass(frozen=True)
class Labels:
    """What is known of pairs: `same` counts where `known`; `fold` (pairs, 2) is the fold of each side, -1 if it has no labels."""

    known: NDArray[np.bool_]
    same: NDArray[np.bool_]
    fold: NDArray[np.int8]

    def enough(self) -> bool:
        """Whether each fold's complement has enough of both kinds to learn from."""
        for fold in range(FOLDS):
            rows = self.known & (self.fold != fold).all(axis=1)
            if min(int(self.same[rows].sum()), int((~self.same[rows]).sum())) < LEAST:
                return False
        return True


def learned(
    features: Features,
    pairs: Pairs,
    words: sp.csr_matrix | None,
    labels: Labels,
    seed: int = 7,
    threads: int = 0,
    rounds: int = 110,
) -> NDArray[np.float64]:
    """Match probability of each pair, out of fold for labelled ones.

    Args:
        features: Evidence, one row a pair.
        pairs: Candidates.
        words: Rows × words, for the second model; None leaves it out.
        labels: What is known.
        seed: Of sampling and trees.
        threads: 0 takes all cores.
        rounds: Trees of each model.

    Raises:
        MissingExtra: when LightGBM or scikit-learn is not installed.
    """
    try:
        import lightgbm
        from sklearn.linear_model import LogisticRegression
    except ModuleNotFoundError:
        raise MissingExtra("Fusion with labels", "all") from None

    def trees(rows: NDArray[np.bool_], fold: int) -> NDArray[np.float64]:
        rng = np.random.default_rng(seed + fold)
        yes, no = np.flatnonzero(rows & labels.same), np.flatnonzero(rows & ~labels.same)
        kept = min(len(no), max(NEGATIVES * len(yes), 5000))
        chosen = np.sort(np.concatenate([yes, rng.choice(no, kept, replace=False)]))
        weight = np.where(labels.same[chosen], 1.0, len(no) / kept)
        parameters = {
            "objective": "binary", "num_leaves": 31, "learning_rate": 0.1, "min_data_in_leaf": 30, "feature_fraction": 0.6,
            "bagging_fraction": 0.8, "bagging_freq": 1, "max_bin": 127, "num_threads": 1, "seed": seed + fold,
            "deterministic": True, "force_row_wise": True, "verbose": -1,
        }  # fmt: skip
        data = lightgbm.Dataset(
            features[chosen], labels.same[chosen].astype(float), weight=weight, params=parameters
        )
        model = lightgbm.train(parameters, data, rounds)
        mine = _scored_by(labels, fold)
        out = np.full(len(features), np.nan)
        # Most candidates are plainly different after a few trees, and need not go through all of them.
        out[mine] = model.predict(
            features[mine],
            num_threads=1,
            pred_early_stop=True,
            pred_early_stop_freq=10,
            pred_early_stop_margin=9.0,
        )
        return out

    probability = _crossed(labels, trees, threads)
    if words is None:
        return probability
    clipped = np.clip(probability, _EDGE, 1 - _EDGE)
    start = sp.csr_matrix(np.log(clipped / (1 - clipped))[:, None])
    design = sp.hstack([start, word_design(pairs, words)]).tocsr()

    def linear(rows: NDArray[np.bool_], fold: int) -> NDArray[np.float64]:
        model = LogisticRegression(C=0.02, max_iter=60)
        model.fit(design[np.flatnonzero(rows)], labels.same[rows])
        out = np.full(len(features), np.nan)
        mine = _scored_by(labels, fold)
        out[mine] = model.predict_proba(design[np.flatnonzero(mine)])[:, 1]
        return out

    return _crossed(labels, linear, threads)


def _scored_by(labels: Labels, fold: int) -> NDArray[np.bool_]:
    """Pairs that the model without this fold may score: those that it could not have seen."""
    return (
        (labels.fold == fold).any(axis=1)
        | (labels.fold < 0).all(axis=1)
        | ~labels.known & (labels.fold < 0).any(axis=1)
    )


def _crossed(
    labels: Labels, fit: Callable[[NDArray[np.bool_], int], NDArray[np.float64]], threads: int
) -> NDArray[np.float64]:
    """Each pair's mean over the models that may score it. Folds run side by side, each on one core.

    Several threads inside one model wait for each other at every split; on a busy machine that took three times as long.
    """

    def one(fold: int) -> NDArray[np.float64]:
        rows = labels.known & (labels.fold != fold).all(axis=1) & (labels.fold >= 0).all(axis=1)
        return fit(rows, fold)

    total, count = np.zeros(len(labels.known)), np.zeros(len(labels.known))
    with ThreadPoolExecutor(min(FOLDS, threads or os.cpu_count() or 1)) as pool:
        for values in pool.map(one, range(FOLDS)):
            told = ~np.isnan(values)
            total[told] += values[told]
            count[told] += 1
    return total / np.maximum(count, 1)


def word_design(pairs: Pairs, words: sp.csr_matrix) -> sp.csr_matrix:
    """For each pair, a 1 for each frequent word that both have and, in further columns, for each that one has."""
    frequent = words[
        :, np.flatnonzero(np.bincount(words.indices, minlength=words.shape[1]) >= WORD_SEEN)
    ].tocsr()
    left, right = frequent[pairs[:, 0]], frequent[pairs[:, 1]]
    both = left.multiply(right).tocsr()
    one = (left + right - 2 * both).tocsr()
    one.eliminate_zeros()
    return sp.hstack([both, one]).tocsr()
