"""Means of few texts, drawn towards those of what they belong to: as far as the texts leave them uncertain.

A value is a share of badness in 0..1 (0 the best mood, 1 the worst). How much groups truly differ, and so how many texts
the parent's mean weighs, comes from the groups themselves by the method of moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_STRENGTH = 200.0
"""A parent weighs at most so many texts: groups that look alike so far may still come apart."""
LEAST_STRENGTH = 1.0
DEFAULT_STRENGTH = 3.0
"""Where fewer than three groups have two texts, nothing can be estimated."""
LEVEL = 0.9
"""Of credible intervals."""
_CLIP = 1e-4


@dataclass(frozen=True, slots=True)
class Prior:
    """What is expected of a group before its own texts: `mean` in 0..1, weighing `strength` texts.

    `dispersion` is the variance of one text's value over ``mean * (1 - mean)`` of its group: 1 for zeros and ones, less for values
    between.
    """

    mean: float
    strength: float
    dispersion: float


def prior_of(sums: Floats, squares: Floats, counts: Floats) -> Prior:
    """The prior of groups with ``sums``, ``squares`` (of values) and ``counts``, each ``(n_groups,)``.

    Between-group variance by the ANOVA estimator (DerSimonian and Laird 1986; empirical Bayes as in Morris, *Parametric
    Empirical Bayes Inference*, JASA 1983); the strength is the variance within over the variance between.
    """
    total = float(counts.sum())
    if total <= 0:
        return Prior(0.5, DEFAULT_STRENGTH, 1.0)
    mean = float(np.clip(sums.sum() / total, _CLIP, 1 - _CLIP))
    there = counts > 0
    n, s = counts[there], sums[there]
    within = float((squares[there] - s * s / n).sum())
    free = float((n - 1).sum())
    spread = mean * (1 - mean)
    variance = within / free if free > 0 else spread
    dispersion = (
        float(np.clip(within / max(float((s - s * s / n).sum()), 1e-9), 0.02, 1.0)) if free > 0 else 1.0
    )
    if (n >= 2).sum() < 3:
        return Prior(mean, DEFAULT_STRENGTH, dispersion)
    between = float((n * (s / n - mean) ** 2).sum() - (len(n) - 1) * variance)
    between /= max(total - float((n * n).sum()) / total, 1e-9)
    strength = MOST_STRENGTH if between <= 0 else variance / between
    return Prior(mean, float(np.clip(strength, LEAST_STRENGTH, MOST_STRENGTH)), dispersion)


def shrunk(
    sums: NDArray[Any], counts: NDArray[Any], parents: NDArray[Any] | float, strength: float
) -> Floats:
    """Posterior means: own texts and `strength` texts of the parent's mean, any shape."""
    return np.asarray((sums + strength * np.asarray(parents, float)) / (np.asarray(counts) + strength))


def interval(
    means: NDArray[Any], counts: NDArray[Any], strength: float, dispersion: float, level: float = LEVEL
) -> tuple[Floats, Floats]:
    """Credible interval of posterior means: the Beta distribution with their mean and variance
    ``dispersion * mean * (1 - mean) / (count + strength)``."""
    from scipy.special import betaincinv

    m = np.clip(np.asarray(means, float), _CLIP, 1 - _CLIP)
    weight = (np.asarray(counts, float) + strength) / dispersion
    a, b = m * weight, (1 - m) * weight
    tail = (1 - level) / 2
    low, high = betaincinv(a, b, tail), betaincinv(a, b, 1 - tail)
    return np.asarray(low), np.asarray(high)


def grouped(
    values: NDArray[Any], groups: NDArray[Any], n: int, weights: NDArray[Any] | None = None
) -> tuple[Floats, Floats, Floats]:
    """Sums, sums of squares and counts of values by group, each ``(n,)``; a group of -1 is left out."""
    there = groups >= 0
    v, g = np.asarray(values, float)[there], groups[there]
    w = np.ones(len(v)) if weights is None else np.asarray(weights, float)[there]
    sums, squares, counts = (np.asarray(np.bincount(g, x, n), float) for x in (w * v, w * v * v, w))
    return sums, squares, counts


@dataclass(frozen=True)
class Shrunk:
    """Groups' posterior: ``mean``, ``low``, ``high``, ``counts`` and each one's ``parent`` mean, all ``(n,)``; and the prior."""

    mean: Floats
    low: Floats
    high: Floats
    counts: Floats
    parent: Floats
    prior: Prior


def hierarchy(
    values: NDArray[Any], levels: Sequence[NDArray[Any]], sizes: Sequence[int]
) -> tuple[Shrunk, ...]:
    """Shrink down a tree: everything, then each of `levels` (say category, then product) towards the level above.

    `levels` hold the group of each value, -1 for none; a group of a lower level hangs below the group of the upper one
    that most of its values are in, else below everything. Returns one `Shrunk` a level.
    """
    whole = float(np.clip(np.mean(values), _CLIP, 1 - _CLIP)) if len(values) else 0.5
    out: list[Shrunk] = []
    above: tuple[NDArray[Any], Floats] | None = None
    for groups, n in zip(levels, sizes, strict=True):
        parent = np.full(n, whole)
        if above is not None:
            upper, means = above
            both = (groups >= 0) & (upper >= 0)
            owner = _commonest(groups[both], upper[both], n)
            parent = np.where(owner >= 0, means[owner], whole) if len(means) else parent
        sums, squares, counts = grouped(values, groups, n)
        # Differences inside one parent alone say how alike its children are.
        prior = replace(
            prior_of(sums, squares, counts), mean=whole, strength=_strength(sums, squares, counts, parent)
        )
        mean = shrunk(sums, counts, parent, prior.strength)
        low, high = interval(mean, counts, prior.strength, prior.dispersion)
        out.append(Shrunk(mean, low, high, counts, parent, prior))
        above = (groups, mean)
    return tuple(out)


def _strength(sums: Floats, squares: Floats, counts: Floats, parent: Floats) -> float:
    there = counts > 0
    n, s, p = counts[there], sums[there], parent[there]
    free = float((n - 1).sum())
    if (n >= 2).sum() < 3 or free <= 0:
        return DEFAULT_STRENGTH
    variance = float((squares[there] - s * s / n).sum()) / free
    between = float((n * (s / n - p) ** 2).sum() - len(n) * variance) / max(float(n.sum()), 1e-9)
    if between <= 0:
        return MOST_STRENGTH
    return float(np.clip(variance / between, LEAST_STRENGTH, MOST_STRENGTH))


def _commonest(groups: NDArray[Any], uppers: NDArray[Any], n: int) -> NDArray[np.int64]:
    """The upper group that most values of each group are in, -1 for none; ties go to the smaller number."""
    owner = np.full(n, -1, np.int64)
    if not len(groups):
        return owner
    pairs, counts = np.unique(np.stack([groups, uppers], 1), axis=0, return_counts=True)
    order = np.lexsort((-pairs[:, 1], counts))
    owner[pairs[order, 0]] = pairs[order, 1]
    return owner
