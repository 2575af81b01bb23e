"""``wares evaluate catalogues``: benchmarks of labelled pairs, used as two catalogues to be matched."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.data.fusion.matcher import Matching, Settings, Truth, match_offers
from wares.data.fusion.offers import Offers
from wares.evaluate.dedupe import TITLES, _number, _rounded, _share_numeric, read_table

LABEL = "label"


def _catalogues(
    tables: Sequence[dict[str, list[str]]],
) -> tuple[dict[str, list[str]], list[str], list[tuple[int, int, bool, int]]]:
    """Distinct records of both sides, their side, and the pairs as (row, row, same, table)."""
    sides = ("left", "right")
    fields = sorted({name.partition("_")[2] for name in tables[0] if name.partition("_")[0] in sides} - {""})
    known: dict[tuple[str, ...], int] = {}
    pairs: list[tuple[int, int, bool, int]] = []
    for number, table in enumerate(tables):
        missing = [
            name for name in (LABEL, *(f"{s}_{f}" for s in sides for f in fields)) if name not in table
        ]
        if missing or not fields:
            raise QueryError(
                f"the pair file lacks {', '.join(missing) or 'left_ and right_ columns'}",
                mend="Give left_*, right_* and label",
                parameter="train",
            )
        for row in range(len(table[LABEL])):
            ends = [
                known.setdefault((side, *(table[f"{side}_{f}"][row] for f in fields)), len(known))
                for side in sides
            ]
            pairs.append((ends[0], ends[1], table[LABEL][row] in ("1", "1.0", "true", "True"), number))
    records = list(known)
    columns = {name: [record[at + 1] for record in records] for at, name in enumerate(fields)}
    return columns, [record[0] for record in records], pairs


def _offers(columns: dict[str, list[str]], side: list[str]) -> Offers:
    title = next((t for t in TITLES if t in columns), next(iter(columns)))
    numbers, texts, labels = {}, {}, {}
    for name, values in columns.items():
        filled = [v for v in values if v]
        if name == title or not filled:
            continue
        if _share_numeric(filled) > 0.9:
            numbers[name] = np.asarray([np.nan if (v := _number(t)) is None else v for t in values])
        elif np.mean([len(v.split()) for v in filled]) > 3:
            texts[name] = values
        else:
            labels[name] = values
    return Offers(columns[title], texts, labels, numbers, source=side)


def evaluate_catalogues(
    train: Sequence[Path], test: Path, seed: int = 7, progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Match the two catalogues whole, with the labels of the training pairs and without any, and score the test pairs.

    A test pair counts as found by `pairs` when its own probability reaches the threshold, by `clusters` when both
    records end in one cluster. The threshold with labels is the one that is best on the training pairs (whose
    probabilities are out of fold); without labels it is one half.

    Raises:
        QueryError: when a file lacks left_*, right_* or label columns.
    """
    begun = time.perf_counter()
    columns, side, pairs = _catalogues([*(read_table(path) for path in train), read_table(test)])
    offers = _offers(columns, side)
    last = len(train)
    ends = np.asarray([(a, b) for a, b, _, _ in pairs], np.int64)
    same = np.asarray([label for _, _, label, _ in pairs], bool)
    tests = np.asarray([number == last for *_, number in pairs], bool)
    report: dict[str, Any] = {
        "train": [path.name for path in train], "test": test.name, "left": side.count("left"), "right": side.count("right"),
        "test_pairs": int(tests.sum()), "test_matches": int(same[tests].sum()), "seed": seed,
    }  # fmt: skip
    reading = time.perf_counter() - begun
    for name in ("learned", "unsupervised"):
        begun = time.perf_counter()
        truth = Truth(pairs=ends[~tests], same=same[~tests]) if name == "learned" else None
        # These benchmarks join one record with several of the other side.
        settings = Settings(one_per_source=False, across=True, seed=seed)
        matching = match_offers(offers, truth, settings, progress, ask=ends)
        value = _value(matching, ends)
        threshold = 0.5 if name == "unsupervised" else _best(value[~tests], same[~tests])
        joined = matching.cluster[ends[:, 0]] == matching.cluster[ends[:, 1]]
        report[name] = {
            "supervised": matching.supervised, "threshold": threshold,
            "scores": {
                "test pairs": _score(value[tests] >= threshold, same[tests]), "test pairs by clusters": _score(joined[tests], same[tests]),
                "all pairs by clusters": _score(joined, same),
            },
            "seconds": round(reading + time.perf_counter() - begun, 1),
        }  # fmt: skip
    return report


def _value(matching: Matching, ends: NDArray[np.int64]) -> NDArray[np.float64]:
    n = len(matching.cluster)
    key = matching.pairs[:, 0] * n + matching.pairs[:, 1]
    wanted = ends.min(axis=1) * n + ends.max(axis=1)
    at = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    return np.where(key[at] == wanted, matching.probability[at], 0.0)


def _best(value: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    tried = [(_score(value >= t, same)["f1"], -abs(t - 0.5), float(t)) for t in np.arange(0.1, 0.91, 0.05)]
    return round(max(tried)[2], 2)


def _score(found: NDArray[np.bool_], same: NDArray[np.bool_]) -> dict[str, float]:
    right = int((found & same).sum())
    precision, recall = right / max(int(found.sum()), 1), right / max(int(same.sum()), 1)
    return _rounded(precision, recall, 2 * right / max(int(found.sum()) + int(same.sum()), 1))
