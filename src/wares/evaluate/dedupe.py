"""``wares evaluate dedupe``: how well fusion finds the offers of one thing, on any file with a column of truth."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.config import SourceConfig
from wares.core.errors import QueryError
from wares.core.identifiers import clean_identifier, is_identifier_name
from wares.data.fusion.matcher import Matching, Settings, Truth, match_offers, pairwise
from wares.data.fusion.offers import Offers, coded
from wares.data.mapping import text_of
from wares.data.sources import read_file

TITLES = (
    "title",
    "name",
    "product_title",
    "product_name",
    "productname",
    "item_name",
    "description",
    "text",
    "商品名称",
    "标题",
)
SOURCES = (
    "source",
    "vendor",
    "vendor_id",
    "seller",
    "seller_id",
    "merchant",
    "merchant_id",
    "shop",
    "shop_id",
    "store",
    "retailer",
    "site",
    "catalogue",
)
MISSING = frozenset({"", "nan", "none", "null", "n/a", "na", "-"})
MOST_VALUES = 0.35
"""A column whose values are hardly ever shared by two rows (this share distinct or more) is no label to agree on."""


@dataclass(frozen=True)
class DedupeTask:
    """What to evaluate: the file, its column of truth, and, if guessing is not wanted, the roles of other columns."""

    products: Path
    truth: str
    title: str = ""
    source: str = ""
    columns: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    tune_share: float = 0.5
    seed: int = 7
    threads: int = 0
    unsupervised: bool = True


@dataclass(frozen=True)
class Roles:
    """What became of each column, and why some were left out."""

    title: str
    source: str
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    numbers: tuple[str, ...]
    identifiers: tuple[str, ...]
    excluded: dict[str, str]


def read_table(path: Path) -> dict[str, list[str]]:
    """All columns of a file as text; what stands for "missing" becomes ``""``.

    Raises:
        SourceError: when nothing can be read.
        QueryError: when the file has no rows.
    """
    config = SourceConfig.model_validate({"as": "products", "path": str(path)})
    columns: dict[str, list[str]] = {}
    rows = 0
    for chunk in read_file(path, config):
        for name in chunk.table.column_names:
            values = text_of(chunk.table[name]).to_pylist()
            columns.setdefault(name, [""] * rows).extend(
                "" if value is None or value.strip().casefold() in MISSING else value for value in values
            )
        rows += chunk.table.num_rows
        for values in columns.values():
            values.extend([""] * (rows - len(values)))
    if not rows:
        raise QueryError(f"{path} holds no rows", mend="Check the file", parameter="products")
    return columns


def roles_of(columns: dict[str, list[str]], task: DedupeTask) -> Roles:
    """Decide what each column is for. Columns that give the truth away are left out, and said to be.

    A column gives the truth away when it determines the truth and the truth determines it (another name of the
    cluster), when it is a row number, or when the truth determines it without exception in a file whose clusters
    have several rows: then it was most likely written on the cluster, not on the offer.

    Raises:
        QueryError: when the truth or a named column is not there, or nothing reads like a title.
    """
    for name in (task.truth, task.title, task.source, *task.columns, *task.ignore):
        if name and name not in columns:
            near = ", ".join(columns)
            raise QueryError(f"there is no column {name!r}", mend=f"The file has: {near}", parameter=name)
    truth = coded(columns[task.truth])
    if (truth >= 0).sum() < 2:
        raise QueryError(
            f"the column {task.truth!r} is empty",
            mend="Name the column that says which rows are one thing",
            parameter="truth",
        )
    excluded = dict.fromkeys(task.ignore, "left out by --ignore")
    free = [name for name in columns if name not in (task.truth, *task.ignore)]
    if task.columns:
        keep = {*task.columns, task.title, task.source}
        excluded |= {name: "not among --columns" for name in free if name not in keep}
        free = [name for name in free if name in keep]
    texts, labels, numbers, identifiers = [], [], [], []
    source = task.source
    for name in free:
        values = columns[name]
        filled = [v for v in values if v]
        named = name in task.columns or name in (task.title, task.source)
        if not filled:
            excluded[name] = "empty"
            continue
        if not named and (reason := _gives_away(coded(values), truth, values)):
            excluded[name] = reason
            continue
        if is_identifier_name(name):
            identifiers.append(name)
        elif name == task.source or (not task.source and not source and name.lower() in SOURCES):
            source = name
        elif _share_numeric(filled) > 0.95 and not named and len(set(filled)) > 0.98 * len(filled):
            excluded[name] = "a number of its own for each row"
        elif _share_numeric(filled) > 0.9 and _fractional(filled):
            numbers.append(name)
        elif float(np.mean([len(v.split()) for v in filled[:2000]])) >= 2.5 or _is_cjk(filled):
            texts.append(name)
        elif len(set(filled)) < MOST_VALUES * len(filled):
            labels.append(name)
        elif name.lower() in TITLES or name == task.title:
            texts.append(name)
        else:
            excluded[name] = "short values that hardly two rows share"
    title = task.title or next((t for t in TITLES for name in texts if name.lower() == t), "")
    if not title:
        title = max(texts, key=lambda name: len(set(columns[name])), default="")
    title = next((name for name in texts if name.lower() == title), title)
    if not title:
        raise QueryError(
            "no column reads like a title", mend="Name it with --title COLUMN", parameter="title"
        )
    return Roles(
        title, source, tuple(t for t in texts if t != title), tuple(labels), tuple(numbers), tuple(identifiers), excluded
    )  # fmt: skip


def _gives_away(column: NDArray[np.int32], truth: NDArray[np.int32], values: Sequence[str]) -> str:
    known = (column >= 0) & (truth >= 0)
    column, truth = column[known], truth[known]
    sizes = np.bincount(truth)
    shared = sizes[truth] > 1
    if not shared.any():
        return ""
    of_truth = _determined(truth[shared], column[shared])
    of_column = _determined(column, truth)
    distinct = len(np.unique(column))
    if distinct == len(column) and _share_numeric([values[i] for i in np.flatnonzero(known)]) > 0.95:
        return "a number of its own for each row"
    if of_truth > 0.98 and of_column > 0.9 and distinct > 1:
        return "another name of the truth"
    if of_truth == 1.0 and distinct > 1 and len(np.unique(truth[shared])) >= 200:
        return "never differs inside a true cluster: most likely derived from it"
    return ""


def _determined(by: NDArray[np.int32], what: NDArray[np.int32]) -> float:
    """Share of rows that have the most frequent `what` of their `by`."""
    pairs, counts = np.unique(np.column_stack([by, what]), axis=0, return_counts=True)
    best = np.zeros(int(by.max()) + 1, np.int64)
    np.maximum.at(best, pairs[:, 0], counts)
    return float(best.sum() / len(by))


def _share_numeric(values: Sequence[str]) -> float:
    return float(np.mean([_number(v) is not None for v in values])) if values else 0.0


def _fractional(values: Sequence[str]) -> bool:
    return any("." in v or "," in v for v in values) or len(set(values)) > 50


def _is_cjk(values: Sequence[str]) -> bool:
    return float(np.mean([sum("\u3400" <= ch <= "\u9fff" for ch in v) >= 4 for v in values[:2000]])) > 0.5


def _number(text: str) -> float | None:
    try:
        value = float(text.strip().lstrip("$€£¥").replace(",", ""))
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def offers_of(columns: dict[str, list[str]], roles: Roles) -> Offers:
    """The columns in their roles, as fusion takes them."""
    return Offers(
        title=columns[roles.title],
        texts={name: columns[name] for name in roles.texts},
        labels={name: [v.casefold().strip() for v in columns[name]] for name in roles.labels},
        numbers={
            name: np.asarray([np.nan if (v := _number(t)) is None else v for t in columns[name]])
            for name in roles.numbers
        },
        identifiers={name: [clean_identifier(v) for v in columns[name]] for name in roles.identifiers},
        source=columns[roles.source] if roles.source else None,
    )


def b_cubed(found: NDArray[np.int64], truth: NDArray[np.int64]) -> dict[str, float]:
    """B³ precision, recall and F1 (Bagga & Baldwin 1998): the mean over rows of how pure and how whole their cluster is."""
    if not len(found):
        return {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    cell, counts = np.unique(np.column_stack([found, truth]), axis=0, return_counts=True)
    said = dict(zip(*np.unique(found, return_counts=True), strict=True))
    there = dict(zip(*np.unique(truth, return_counts=True), strict=True))
    n = len(found)
    precision = sum(c * c / said[f] for (f, _), c in zip(cell, counts, strict=True)) / n
    recall = sum(c * c / there[t] for (_, t), c in zip(cell, counts, strict=True)) / n
    return _rounded(precision, recall, 2 * precision * recall / (precision + recall))


def _rounded(precision: float, recall: float, f1: float) -> dict[str, float]:
    return {
        "precision": round(float(precision), 4),
        "recall": round(float(recall), 4),
        "f1": round(float(f1), 4),
    }


def _scores(matching: Matching, truth: NDArray[np.int64], rows: NDArray[np.bool_]) -> dict[str, Any]:
    found, there = matching.cluster[rows], truth[rows]
    return {
        "offers": int(rows.sum()), "clusters": len(np.unique(there)), "found_clusters": len(np.unique(found)),
        "pairwise": _rounded(*pairwise(found, there)), "b3": b_cubed(found, there),
    }  # fmt: skip


def evaluate_dedupe(task: DedupeTask, progress: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Match the rows of a file and score the clusters against its truth.

    The true clusters are split by a hash of their name: the truth of `tune_share` of them teaches and tunes, the
    others are the test. All rows are matched together, so test offers compete with all others; the headline counts
    pairs of test offers. The rows are shuffled first: files often stand in the order of their truth.

    Raises:
        QueryError: when the truth is not there or nothing reads like a title.
        SourceError: when the file cannot be read.
    """
    begun = time.perf_counter()
    progress("read")
    columns = read_table(task.products)
    roles = roles_of(columns, task)
    order = np.random.default_rng(task.seed).permutation(len(columns[task.truth]))
    columns = {name: [values[i] for i in order] for name, values in columns.items()}
    names = columns[task.truth]
    truth = coded(names).astype(np.int64)
    known = truth >= 0
    tune = known & np.fromiter(
        (zlib.crc32(f"{task.seed}:{name}".encode()) / 2**32 < task.tune_share for name in names),
        bool,
        len(names),
    )
    test = known & ~tune
    offers = offers_of(columns, roles)
    settings = Settings(seed=task.seed, threads=task.threads)
    reading = time.perf_counter() - begun
    matching = match_offers(
        offers, Truth(np.where(tune, truth, -1)) if tune.any() else None, settings, progress
    )
    seconds = time.perf_counter() - begun
    report: dict[str, Any] = {
        "file": task.products.name, "truth": task.truth, "roles": {**roles.__dict__}, "seed": task.seed,
        "tune_share": task.tune_share, "supervised": matching.supervised, "one_per_source": matching.exclusive,
        "threshold": matching.threshold, "candidate_pairs": len(matching.pairs),
        "blocking_recall": _blocking_recall(matching, truth, test),
        "test": _scores(matching, truth, test), "tune": _scores(matching, truth, tune), "all": _scores(matching, truth, known),
        "seconds": round(seconds, 1), "seconds_by_step": {"file": round(reading, 2), **matching.seconds},
    }  # fmt: skip
    if task.unsupervised and matching.supervised:
        again = time.perf_counter()
        progress("without labels")
        plain = match_offers(offers, None, settings, progress, prepared=matching)
        report["unsupervised"] = {
            "test": _scores(plain, truth, test), "all": _scores(plain, truth, known), "one_per_source": plain.exclusive,
            "seconds": round(time.perf_counter() - again + reading, 1), "learned": plain.learned,
        }  # fmt: skip
    elif not matching.supervised:
        report["learned"] = matching.learned
    return report


def _blocking_recall(matching: Matching, truth: NDArray[np.int64], rows: NDArray[np.bool_]) -> float:
    pairs = matching.pairs[rows[matching.pairs].all(axis=1)] if len(matching.pairs) else matching.pairs
    sizes = np.unique(truth[rows], return_counts=True)[1]
    there = int((sizes * (sizes - 1) // 2).sum())
    return round(float((truth[pairs[:, 0]] == truth[pairs[:, 1]]).sum() / max(there, 1)), 4)
