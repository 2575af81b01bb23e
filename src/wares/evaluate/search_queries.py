"""Are queries read as a person reads them: exact match of structure, on queries written by hand with what is right for each."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from wares.core.errors import SourceError
from wares.core.text import has_han
from wares.evaluate.metrics import bootstrap
from wares.models.search.asked import Asked
from wares.models.search.read_infer import Reader
from wares.models.search.read_train import Shelf, fit_reader

FIELDS = (
    "words", "brands", "categories", "price_min", "price_max", "sizes", "attributes", "not_words", "not_brands",
)  # fmt: skip
CLOSE = 1e-3
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Written:
    """A query with its language and what is right for it, by field; a field that is missing is empty."""

    text: str
    language: str
    right: dict[str, Any]


def read_file(path: Path) -> tuple[Shelf, list[Written]]:
    """Products and queries of a JSON Lines file: ``{"product", "title", "brand", "category", "size", "attributes"}`` or
    ``{"query", "language", "right": {"words", "brands", "price_max", ...}}`` in each line.

    Raises:
        SourceError: naming the line, when one is neither.
    """
    products: list[dict[str, Any]] = []
    queries: list[Written] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if "product" in row:
                products.append(row)
            else:
                queries.append(Written(str(row["query"]), str(row.get("language", "")), dict(row["right"])))
        except (ValueError, KeyError, TypeError) as error:
            raise SourceError(
                f"{path.name}, line {number}, is neither a product nor a query: {error}",
                mend='Write {"query": …, "language": …, "right": {…}} or {"product": …, "title": …}',
                source=str(path),
                line=number,
            ) from None
        wrong = [key for key in queries[-1].right if key not in FIELDS] if queries else []
        if wrong:
            raise SourceError(
                f"{path.name}, line {number}, names {wrong[0]!r} as right",
                mend=f"Use {', '.join(FIELDS)}",
                source=str(path),
                line=number,
            )
    if not queries:
        raise SourceError(f"{path.name} has no queries", mend="Write some", source=str(path), line=0)
    shelf = Shelf(*([str(p.get(name) or "") for p in products] for name in ("title", "brand", "category", "size")),
                  attributes=[dict(p.get("attributes") or {}) for p in products])  # fmt: skip
    return shelf, queries


def wrong_fields(asked: Asked, right: dict[str, Any]) -> list[str]:
    """The fields in which a reading differs: words in their order (Chinese without regard to where it is segmented), the others
    as sets, amounts to a thousandth."""
    out: list[str] = []
    for name in FIELDS:
        want = right.get(name)
        got = getattr(asked, name)
        if name == "words":
            same = _spoken(" ".join(got)) == _spoken(want or "")
        elif name.startswith("price"):
            same = (got is None) == (want is None) and (got is None or abs(got - want) <= CLOSE * abs(want))
        elif name == "sizes":
            same = _same_sizes([(s.amount, s.unit) for s in got], want or [])
        elif name == "attributes":
            same = {tuple(map(str.lower, pair)) for pair in got} == {
                tuple(map(str.lower, pair)) for pair in want or ()
            }
        else:
            same = {str(v).lower() for v in got} == {str(v).lower() for v in want or ()}
        if not same:
            out.append(name)
    return out


def _spoken(words: str) -> str:
    return "".join(words.lower().split()) if has_han(words) else " ".join(words.lower().split())


def _same_sizes(got: list[tuple[float, str]], want: list[Any]) -> bool:
    left = list(want)
    for amount, unit in got:
        hit = next((w for w in left if w[1] == unit and abs(amount - w[0]) <= CLOSE * w[0]), None)
        if hit is None:
            return False
        left.remove(hit)
    return not left


def evaluate_queries(path: Path, seed: int = 0) -> dict[str, Any]:
    """Fit a reader on the products of a file and read its queries; returns accuracy with a 95% interval (bootstrap over queries)."""
    shelf, queries = read_file(path)
    with TemporaryDirectory(prefix="wares-") as folder:
        fit_reader(shelf, Path(folder))
        reader = Reader(Path(folder))
        reader.read(queries[0].text)
        read: list[Asked] = []
        took: list[float] = []
        for query in queries:
            started = time.perf_counter()
            read.append(reader.read(query.text))
            took.append(time.perf_counter() - started)
    faults: list[dict[str, Any]] = []
    by_language: dict[str, list[bool]] = defaultdict(list)
    by_field: Counter[str] = Counter()
    for query, asked in zip(queries, read, strict=True):
        wrong = wrong_fields(asked, query.right)
        by_language[query.language].append(not wrong)
        by_field.update(wrong)
        if wrong:
            got = {name: getattr(asked, name) for name in wrong}
            got |= {"sizes": [(s.amount, s.unit) for s in asked.sizes]} if "sizes" in got else {}
            want = {name: query.right.get(name) for name in wrong}
            faults.append({"query": query.text, "got": got, "right": want})
    exact = np.array([ok for found in by_language.values() for ok in found], float)
    low, high = bootstrap(exact, RESAMPLES, seed)
    return {
        "file": path.name,
        "queries": len(queries),
        "products": len(shelf.titles),
        "exact": round(float(exact.mean()), 4),
        "interval": [round(float(low), 4), round(float(high), 4)],
        "by_language": {
            name: {"queries": len(found), "exact": round(float(np.mean(found)), 4)}
            for name, found in sorted(by_language.items())
        },
        "language_right": round(
            float(np.mean([a.language == q.language for a, q in zip(read, queries, strict=True)])), 4
        ),
        "faults_by_field": dict(by_field.most_common()),
        "faults": faults,
        "ms_a_query": round(1000 * float(np.median(took)), 3),
        "seed": seed,
    }
