"""Does an item answer a Chinese query? What search knows of a pair, against BM25 over characters."""

from __future__ import annotations

import gzip
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError, WaresError
from wares.evaluate.bm25 import Bm25
from wares.evaluate.search import Say
from wares.evaluate.search_shop import make_searcher
from wares.features.retrieval import paired
from wares.models.search.infer import Searcher

MATCHING = "query_item_matching.jsonl.gz"
FOLDS = 5
SIGNS = ("titled", "cover", "said", "phrase", "words")


def read_matching(folder: Path) -> tuple[list[str], list[str], NDArray[np.bool_]]:
    """Queries, items and whether they match.

    Raises:
        QueryError: when the folder has no such file, or a row is not understood.
    """
    path = folder / MATCHING
    if not path.is_file():
        raise QueryError(f"there is no {MATCHING} in {folder}", mend="Name the folder", parameter="zh-tasks")
    queries, items, same = list[str](), list[str](), list[bool]()
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            row = json.loads(line)
            query, mark, item = str(row["sentences"]).partition("\nDoc: ")
            if not mark:
                raise QueryError(f"line {number} of {MATCHING} names no Doc", mend="Check the file", parameter="zh-tasks")  # fmt: skip
            queries.append(query.removeprefix("Query: "))
            items.append(item)
            same.append(row["labels"]["en"] == ["match"])
    return queries, items, np.array(same)


def _texts(folder: Path) -> list[str]:
    """Titles of goods in the other tasks, for a larger catalogue: their first line, at most 200 characters."""
    found: dict[str, None] = {}
    for path in sorted(folder.glob("item_*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            for line in stream:
                text = str(json.loads(line)["sentences"]).replace("#:#", " ").replace("#;#", " ")
                for part in text.splitlines():
                    if clean := part.strip()[:200]:
                        found[clean] = None
    return list(found)


def evaluate_zh(folder: Path, queries_file: Path | None, *, seed: int, most: int, say: Say) -> dict[str, Any]:
    """Accuracy on pairs, cross-validated by query, and `most` real queries over a catalogue of Chinese texts without an error.

    Both systems get a threshold (ours: weights and a threshold) from the other folds.
    """
    queries, items, same = read_matching(folder)
    catalogue = list(dict.fromkeys([*items, *_texts(folder)]))
    place = {text: i for i, text in enumerate(catalogue)}
    rows = np.array([place[item] for item in items])
    say("index")
    with tempfile.TemporaryDirectory(prefix="wares-search-") as scratch:
        searcher = make_searcher(
            Path(scratch), {"product_id": [f"z{i}" for i in range(len(catalogue))], "title": catalogue}, catalogue,
            np.zeros((len(catalogue), 1), np.float32), None,
        )  # fmt: skip
        values = _features(searcher, queries, rows)
        characters = Bm25([[ch for ch in text if ch.isalnum()] for text in catalogue])
        words = np.array([characters.scores([ch for ch in q if ch.isalnum()])[row] for q, row in zip(queries, rows, strict=True)])  # fmt: skip
        # A long query reaches more: the share of what its characters could reach is fairer, and the better of both is the baseline.
        reach = np.array([sum(float(characters.idf[characters.terms[c]]) for c in set(q) if c in characters.terms) for q in queries])  # fmt: skip
        real = _real(searcher, queries_file, most, seed, say) if queries_file is not None else {}
    unit = np.unique(queries, return_inverse=True)[1]
    fold = np.random.default_rng(seed).permutation(int(unit.max()) + 1)[unit] % FOLDS
    right = {
        "search": _accuracy(values, same, fold),
        "bm25 over characters": _accuracy(words[:, None], same, fold),
        "bm25 over characters, share": _accuracy((words / np.maximum(reach, 1e-9))[:, None], same, fold),
    }
    return {
        "task": "query_item_matching", "pairs": len(same), "same": int(same.sum()), "folds": FOLDS, "seed": seed,
        "majority": round(float(max(same.mean(), 1 - same.mean())), 4),
        "accuracy": {name: round(float(v.mean()), 4) for name, v in right.items()},
        "differences": {
            f"search - {name}": paired(right["search"].astype(float), right[name].astype(float), unit, seed)
            for name in right if name != "search"
        },
        **real,
    }  # fmt: skip


def _features(searcher: Searcher, queries: list[str], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """What retrieval knows of each pair ``(p, len(SIGNS))``."""
    assert searcher.forward is not None
    out = np.zeros((len(rows), len(SIGNS)))
    for i, (query, row) in enumerate(zip(queries, rows, strict=True)):
        asked = searcher.understand(query)
        # BM25 as a share needs something to compare with: the whole catalogue's best.
        found = searcher.search(query, 300)
        some = np.unique(np.concatenate([[row], found.rows[:100]])).astype(np.int32)
        parts = searcher.forward.parts(asked.words, (), some)
        at = int(np.searchsorted(some, row))
        place = np.flatnonzero(found.rows == row)
        for j, name in enumerate(SIGNS):
            if name == "words":
                out[i, j] = float(found.words[place[0]]) if len(place) else 0.0
            else:
                out[i, j] = float(parts[name][at])
    return out


def _accuracy(
    values: NDArray[np.float64], same: NDArray[np.bool_], fold: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether each pair is told right by a logistic regression on the other folds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    right = np.zeros(len(same), bool)
    for k in range(FOLDS):
        test = fold == k
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
        model.fit(values[~test], same[~test])
        right[test] = model.predict(values[test]) == same[test]
    return right


def _real(searcher: Searcher, path: Path, most: int, seed: int, say: Say) -> dict[str, Any]:
    """Real queries, drawn at random; one that is refused counts as an error, any other fault ends the run."""
    say("real queries")
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as stream:
        lines = [line.rstrip("\n").split("\t")[-1] for line in stream]
    drawn = np.random.default_rng(seed).permutation(len(lines))[:most]
    spent, empty, refused = np.zeros(len(drawn)), 0, 0
    for i, at in enumerate(drawn):
        begun = time.perf_counter()
        try:
            empty += not len(searcher.search(lines[int(at)], 10).rows)
        except WaresError:
            refused += 1
        spent[i] = 1e3 * (time.perf_counter() - begun)
    return {
        "real queries": {
            "asked": len(drawn), "products": len(searcher.catalogue), "errors": refused, "without a hit": empty,
            "p50_ms": round(float(np.median(spent)), 2), "p95_ms": round(float(np.quantile(spent, 0.95)), 2),
        }
    }  # fmt: skip
