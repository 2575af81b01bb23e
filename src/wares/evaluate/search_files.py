"""Products, queries and judgements from plain files in any encoding: CSV, JSON Lines, Parquet."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wares.core.config import Encoder, SourceConfig
from wares.core.errors import QueryError
from wares.core.text import plain
from wares.data.mapping import guess, text_of
from wares.data.sources import read_file
from wares.evaluate.search import Bench, Question, Say
from wares.evaluate.search_shop import make_searcher
from wares.features.pair_files import columns_of

FIELDS = ("title", "brand", "category", "size", "description")
GRADES = ("grade", "relevance", "label", "gain", "rating")


@dataclass(frozen=True, slots=True)
class Judgements:
    """Questions, and what of the files could not be used, by reason."""

    questions: list[Question]
    left_out: dict[str, int]


def read_catalogue(path: Path) -> tuple[dict[str, list[str]], NDArray[np.float64]]:
    """Columns of products as text, ``product_id`` among them, and their prices, NaN where there is none. A repeated id counts once.

    Raises:
        QueryError: when nothing names a title.
        SourceError: when the file cannot be read.
    """
    config = SourceConfig.model_validate({"as": "products", "path": str(path)})
    chunks = [chunk.table for chunk in read_file(path, config) if chunk.table.num_columns]
    if not chunks:
        raise QueryError(f"{path.name} holds no rows", mend="Check the file", parameter="products")
    table = pa.concat_tables(chunks, promote_options="permissive")
    names = table.column_names
    mapping = guess(names, "products")
    key = mapping.get("product_id", names[0])
    if "title" not in mapping:
        raise QueryError(
            f"no column of {path.name} is a title", mend=f"Name one title; the file has {', '.join(names)}",
            parameter="products",
        )  # fmt: skip
    ids = [v or "" for v in text_of(table[key]).to_pylist()]
    places: dict[str, int] = {}
    for i, name in enumerate(ids):
        if name:
            places.setdefault(name, i)
    first = list(places.values())
    out = {"product_id": [ids[i] for i in first]}
    for ours in FIELDS:
        if ours in mapping:
            cells = text_of(table[mapping[ours]]).to_pylist()
            out[ours] = [plain(cells[i] or "") for i in first]
    prices = np.full(len(first), np.nan)
    if "price" in mapping:
        cells = text_of(table[mapping["price"]]).to_pylist()
        for place, i in enumerate(first):
            try:
                prices[place] = float(cells[i])
            except (TypeError, ValueError):
                continue  # No number: a product without a price, as a build would have it.
    return out, prices


def read_judgements(queries: Path, judgements: Path, ids: dict[str, int]) -> Judgements:
    """Questions of two files; grades of 0 and below are not wanted, and without a column of grades all that is listed is wanted.

    Raises:
        QueryError, SourceError: when columns are missing, a grade is no number, or nothing can be asked.
    """
    asked = columns_of(queries, ("query_id",), ("text", "query"))
    texts = asked.get("text") or asked.get("query")
    if texts is None:
        raise QueryError(f"no column of {queries.name} is a text", mend="Name one text", parameter="queries")
    judged = columns_of(judgements, ("query_id", "product_id"), GRADES)
    grades = next((judged[name] for name in GRADES if name in judged), None)
    wanted: dict[str, dict[int, float]] = {}
    left = {"judgements of unknown products": 0, "judgements of unknown queries": 0, "queries without a wanted product": 0}  # fmt: skip
    known = set(asked["query_id"])
    for at, (query, product) in enumerate(zip(judged["query_id"], judged["product_id"], strict=True)):
        try:
            grade = 1.0 if grades is None else float(grades[at])
        except ValueError:
            raise QueryError(
                f"row {at + 2} of {judgements.name}: the grade {grades[at][:40]!r} is no number" if grades else "",
                mend="Write grades as numbers; 0 is not wanted", parameter="judgements",
            ) from None  # fmt: skip
        if query not in known:
            left["judgements of unknown queries"] += 1
        elif product not in ids:
            left["judgements of unknown products"] += 1
        elif grade > 0:
            row = ids[product]
            mine = wanted.setdefault(query, {})
            mine[row] = max(mine.get(row, 0.0), grade)
    none = np.zeros(0, np.int32)
    questions = [
        Question(text, wanted[query], none, i)
        for i, (query, text) in enumerate(zip(asked["query_id"], texts, strict=True))
        if query in wanted
    ]
    left["queries without a wanted product"] = len(texts) - len(questions)
    if not questions:
        raise QueryError(
            "no query has a wanted product in the catalogue",
            mend="Compare the ids of the three files",
            parameter="judgements",
        )
    return Judgements(questions, {reason: n for reason, n in left.items() if n})


def evaluate_search(
    products: Path,
    queries: Path,
    judgements: Path,
    training: tuple[Path, Path] | None,
    encoder: Encoder,
    *,
    seed: int,
    say: Say,
) -> dict[str, Any]:
    """Every system on the judged queries; BM25's constants and the fusion are chosen on the training queries, where given."""
    from wares.features.encoder import TextEncoder
    from wares.features.encoder_train import export_encoder

    say("read")
    columns, prices = read_catalogue(products)
    ids = {name: row for row, name in enumerate(columns["product_id"])}
    tested = read_judgements(queries, judgements, ids)
    learn = None if training is None else read_judgements(*training, ids)
    n = len(ids)
    texts = [". ".join(filter(None, (columns[f][i] for f in ("title", "brand", "category") if f in columns))) for i in range(n)]  # fmt: skip
    whole = [" ".join(columns[f][i] for f in FIELDS if f in columns) for i in range(n)]
    with tempfile.TemporaryDirectory(prefix="wares-search-") as scratch:
        say("encode")
        (Path(scratch) / "encoder").mkdir()
        export_encoder(encoder, Path(scratch) / "encoder")
        model = TextEncoder(Path(scratch) / "encoder", 1)
        unique = sorted(set(texts))
        table = model.encode(unique, progress=lambda done: say(f"encode {done}/{len(unique)}"))
        place = {text: i for i, text in enumerate(unique)}
        vectors = table[[place[t] for t in texts]]

        def encode(text: str) -> NDArray[np.float32]:
            return model.encode([text[:500]], "query")[0]

        say("index")
        searcher = make_searcher(Path(scratch) / "shop", columns, texts, vectors, encode, prices=prices)
        bench = Bench(searcher, whole, vectors, encode)
        if learn is not None:
            bench.tune(learn.questions, seed, say)
        found = bench.run(tested.questions, seed, say)
    return {
        "task": "judged queries", "encoder": {"model": encoder.model}, "trained on": 0 if learn is None else len(learn.questions),
        "left out": tested.left_out, **found,
    }  # fmt: skip
