"""What each part of the learned ranker adds: trees grown again without its features, on examples that tuning kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.features.trees_build import raw_scores
from wares.models.recommend.alike import LEADS
from wares.models.recommend.forest_train import Examples, grow
from wares.models.recommend.learn import load_examples, names_of, ndcg, platt, side_by_side
from wares.models.recommend.learned import HEADS
from wares.models.recommend.mood import LEADS as MOODS

GROUPS: dict[str, tuple[str, ...]] = {
    "what goes together": ("cf_raw", "cf"),
    "text": ("text", "in_text", "in_text_share", "text_"),
    "shoppers alike": ("near",),
    "graph": ("graph",),
    "lists of likeness": LEADS,
    "moods": MOODS,
    "popularity": ("popular", "buyers", "recent_", "trend", "trial", "age"),
    "timing": (
        "since", "since_visits", "since_first", "gap", "gap_visits", "due", "due_", "log_gap", "rate", "repurchase",
        "per_buyer",
    ),
    "category and brand": ("category_", "brand_", "in_category", "in_brand", "since_category", "n_category", "since_brand"),
    "price": ("log_price", "discount", "price_distance", "mean_log_price"),
    "the shopper's habits": ("n_items", "n_visits", "visits_28", "since_visit", "repeat_share", "new_share", "basket"),
}  # fmt: skip
"""Features of each part: whole names, or beginnings that end in an underscore."""


def columns_of(part: str, names: list[str]) -> list[int]:
    """Which features belong to a part."""
    return [
        i
        for i, name in enumerate(names)
        if any(name == one or (one.endswith("_") and name.startswith(one)) for one in GROUPS[part])
    ]


def without_parts(
    folder: Path, learned: dict[str, Any], n_decays: int, seed: int, threads: int
) -> list[dict[str, Any]]:
    """A row for the whole and one without each part, with NDCG@10 on validation: overall, of repeats and of new products.

    Candidates are drafted as ever, so that a row shows what a part adds to the order. Empty where nothing was learned.
    """
    if not learned:
        return []
    heads = [head for head in HEADS if learned.get(head, {}).get("kind") == "trees"]
    train = {head: load_examples("train", head, folder) for head in heads}
    judge = {head: load_examples("judge", head, folder) for head in heads}
    if not heads:
        return []
    whole = {head: _scores(train[head], judge[head], learned[head]["by"], seed, threads) for head in heads}
    rows = [_row("all parts", judge, whole)]
    for part in GROUPS:
        scores = dict(whole)
        for head in heads:
            columns = columns_of(part, names_of(head, n_decays))
            # A part that no example has a value of cannot matter.
            if columns and np.isfinite(train[head].features[:, columns]).any():
                scores[head] = _scores(
                    train[head].without(columns),
                    judge[head].without(columns),
                    learned[head]["by"],
                    seed,
                    threads,
                )
        if any(scores[head] is not whole[head] for head in heads):
            rows.append(_row(f"without {part}", judge, scores))
    return rows


def _scores(train: Examples, judge: Examples, kind: str, seed: int, threads: int) -> NDArray[np.float32]:
    raw = raw_scores(grow(train, kind, seed, threads), judge.features)
    slope, offset = platt(raw, judge.bought)
    return np.float32(slope) * raw + np.float32(offset)


def _row(name: str, judge: dict[str, Examples], scores: dict[str, NDArray[np.float32]]) -> dict[str, Any]:
    out, bought, _ = side_by_side(judge, scores)
    row: dict[str, Any] = {"part": name, "on": "validation"}
    row["ndcg@10"] = ndcg(out, bought, np.sum([one.wanted for one in judge.values()], axis=0))
    for head in scores:
        one, hits, _ = side_by_side(judge, {head: scores[head]})
        row[f"{head}_ndcg@10"] = ndcg(one, hits, judge[head].wanted)
    return row
