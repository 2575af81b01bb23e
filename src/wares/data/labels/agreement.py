"""How far annotators agree: Krippendorff's alpha, each annotator against the rest, and their estimated accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.data.labels.book import LabelBook, Project

ODD_ONE = 0.0
"""An annotator whose alpha against the others lies at or below this agrees no more than chance would."""
ODD_ITEMS = 10


@dataclass(frozen=True)
class Annotator:
    """One annotator. `agreement` and `alpha` are over all pairs of answers with the others who are not `odd`; None without any.

    `accuracy` is estimated (Dawid–Skene); `gold_accuracy` is on items with a known answer.
    """

    name: str
    answers: int
    common: int
    agreement: float | None
    alpha: float | None
    accuracy: float | None
    gold_accuracy: float | None
    median_s: float | None
    odd: bool


@dataclass(frozen=True)
class Agreement:
    """Agreement within a project. `alpha` is 1 for perfect, 0 for chance, below 0 for systematic disagreement; None when undefined."""

    alpha: float | None
    level: str
    items: int
    pairs: int
    annotators: tuple[Annotator, ...]
    odd: tuple[str, ...]
    excluded: tuple[str, ...]


def alpha(matrix: NDArray[np.float64], n_options: int, level: str) -> float | None:
    """Krippendorff's alpha of ``matrix (n_annotators, n_items)`` of option indexes (values at interval level), NaN where there is no answer.

    None when no item has two answers. When all answers are the same there is no variation to judge by: 1.0.
    Source: Krippendorff, Content Analysis, 4th ed., 2018, ch. 12.
    """
    import krippendorff

    counts = (~np.isnan(matrix)).sum(0) if matrix.size else np.zeros(0)
    common = matrix[:, counts >= 2] if matrix.size else matrix
    if not common.size:
        return None
    values = np.unique(common[~np.isnan(common)])
    if len(values) < 2:
        return 1.0
    domain = values if level == "interval" else np.arange(n_options, dtype=float)
    return float(krippendorff.alpha(reliability_data=common, value_domain=domain, level_of_measurement=level))


def dawid_skene(
    matrix: NDArray[np.float64], n_options: int, rounds: int = 100, tolerance: float = 1e-6
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """True answers and annotators' confusion by expectation–maximisation, started from the majority.

    Returns ``(posterior (n_items, n_options), confusion (n_annotators, n_options, n_options))`` with confusion[a, true, given].
    Each row of a confusion matrix is smoothed by one answer spread so that the diagonal has 0.7 of it, so that few
    answers say little. Source: Dawid and Skene, Applied Statistics 28(1), 1979.
    """
    n_annotators, n_items = matrix.shape
    seen = ~np.isnan(matrix)
    given = np.zeros((n_annotators, n_items, n_options))
    where = np.nonzero(seen)
    given[where[0], where[1], matrix[where].astype(int)] = 1.0
    votes = given.sum(0)
    posterior = (votes + 0.5 / n_options) / (votes.sum(1, keepdims=True) + 0.5)
    prior_row = np.full((n_options, n_options), 0.3 / max(1, n_options - 1))
    np.fill_diagonal(prior_row, 0.7)
    confusion = np.repeat(prior_row[None], n_annotators, 0)
    for _ in range(rounds):
        confusion = np.einsum("ij,aik->ajk", posterior, given) + prior_row
        confusion /= confusion.sum(2, keepdims=True)
        share = posterior.mean(0) + 1e-9
        score = np.log(share / share.sum()) + np.einsum("aik,ajk->ij", given, np.log(confusion))
        score -= score.max(1, keepdims=True)
        fresh = np.exp(score)
        fresh /= fresh.sum(1, keepdims=True)
        moved = float(np.abs(fresh - posterior).max()) if n_items else 0.0
        posterior = fresh
        if moved < tolerance:
            break
    return posterior, confusion


def answer_matrix(
    project: Project, answers: Sequence[dict[str, Any]]
) -> tuple[NDArray[np.float64], list[str], list[str]]:
    """``(matrix (n_annotators, n_items), annotators, keys)`` of option indexes, NaN where there is no answer."""
    people = sorted({row["annotator"] for row in answers})
    keys = list(dict.fromkeys(row["key"] for row in answers))
    at_person, at_key = {p: n for n, p in enumerate(people)}, {k: n for n, k in enumerate(keys)}
    place = {option: n for n, option in enumerate(project.options)}
    matrix = np.full((len(people), len(keys)), np.nan)
    for row in answers:
        matrix[at_person[row["annotator"]], at_key[row["key"]]] = place[row["value"]]
    return matrix, people, keys


def measure(book: LabelBook, project: Project, *, machines: bool = False) -> Agreement:
    """Agreement between people (with `machines` between all), and which annotator disagrees with everyone."""
    answers = [row for row in book.answers(project) if machines or not row["machine"]]
    matrix, people, keys = answer_matrix(project, answers)
    n = len(project.options)
    scale = (
        np.array([float(option) for option in project.options])
        if project.level == "interval"
        else np.arange(n, dtype=float)
    )
    posterior, confusion = dawid_skene(matrix, n) if people else (np.zeros((0, n)), np.zeros((0, n, n)))
    share = posterior.mean(0) if len(posterior) else np.full(n, 1 / n)
    gold = {item["key"]: item["gold"] for item in book.items(project) if item["gold"] is not None}
    odd = _odd(_scaled(matrix, scale, project.level), n, project.level)
    found = []
    for a, name in enumerate(people):
        mine = [row for row in answers if row["annotator"] == name]
        others = [b for b in range(len(people)) if b != a and b not in odd] or [
            b for b in range(len(people)) if b != a
        ]
        pair = _pairs(matrix, a, others)
        checked = [row["value"] == gold[row["key"]] for row in mine if row["key"] in gold]
        times = [row["seconds"] for row in mine if row["seconds"] is not None]
        on_gold = float(np.mean(checked)) if checked else None
        common = int((~np.isnan(matrix[a]) & (~np.isnan(matrix[others])).any(0)).sum())
        found.append(
            Annotator(
                name, len(mine), common, float((pair[0] == pair[1]).mean()) if common else None,
                alpha(_scaled(pair, scale, project.level), n, project.level) if common else None,
                float((np.diagonal(confusion[a]) * share).sum()) if common else None, on_gold,
                float(np.median(times)) if times else None,
                a in odd or (on_gold is not None and len(checked) >= ODD_ITEMS and on_gold <= 1 / n),
            )
        )  # fmt: skip
    counts = (~np.isnan(matrix)).sum(0) if matrix.size else np.zeros(0)
    return Agreement(
        alpha(_scaled(matrix, scale, project.level), n, project.level), project.level, len(keys),
        int((counts * (counts - 1) // 2).sum()), tuple(found), tuple(a.name for a in found if a.odd),
        tuple(sorted(book.excluded(project))),
    )  # fmt: skip


def _scaled(matrix: NDArray[np.float64], scale: NDArray[np.float64], level: str) -> NDArray[np.float64]:
    if level != "interval":
        return matrix
    return np.where(np.isnan(matrix), np.nan, scale[np.nan_to_num(matrix).astype(int)])


def _pairs(matrix: NDArray[np.float64], a: int, others: Sequence[int]) -> NDArray[np.float64]:
    """Answers of `a` over those of each other annotator on the items they share: ``(2, n_pairs)``."""
    parts = [np.stack([matrix[a], matrix[b]])[:, ~np.isnan(matrix[a]) & ~np.isnan(matrix[b])] for b in others]
    return np.hstack(parts) if parts else np.zeros((2, 0))


def _odd(matrix: NDArray[np.float64], n_options: int, level: str) -> set[int]:
    """Annotators who disagree with everyone: the one who agrees least, then the next among the rest, while one is no better than chance.

    One at a time, because a single contrary annotator drags everybody's agreement down; and never of the last two,
    between whom agreement alone cannot tell.
    """
    left, odd = list(range(len(matrix))), set[int]()
    while len(left) > 2:
        found = []
        for a in left:
            pair = _pairs(matrix, a, [b for b in left if b != a])
            value = alpha(pair, n_options, level) if pair.shape[1] >= ODD_ITEMS else None
            found.append((1.0 if value is None else value, a))
        worst, a = min(found)
        if worst > ODD_ONE:
            break
        odd.add(a)
        left.remove(a)
    return odd
