"""``wares evaluate search-robust``: is a product found in spite of mistakes, and is no brand or model number taken for one."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tantivy

from wares.core.errors import QueryError
from wares.evaluate.metrics import bootstrap
from wares.evaluate.readers import read_columns
from wares.evaluate.search_mistakes import KINDS, Mistaken, mistaken_queries
from wares.evaluate.search_shop import make_searcher
from wares.models.search.analysis import ANALYZER, analyzer, lower, prepare, stem, surface_words
from wares.models.search.asked import Asked
from wares.models.search.infer import Searcher
from wares.models.search.read_infer import Reader
from wares.models.search.read_lexicon import size_key
from wares.models.search.read_tokens import normal, tokens
from wares.models.search.read_train import Shelf, fit_reader
from wares.models.search.units import quantities, sizes_in

DEPTH = 10
NAMES = 500
RESAMPLES = 1000
Progress = Callable[[str], None]
Answer = Callable[[str], list[int]]
_COLUMNS = {
    "title": ("title", "product_title", "name", "product_name"), "brand": ("brand", "manufacturer"), "category": ("category", "category_label"),
    "cluster": ("cluster_id",), "size": ("size",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Goods:
    """Products of a file: the columns that a reader learns from, and what counts as the same product for each row."""

    shelf: Shelf
    same: list[str]


def read_goods(path: Path, most: int = 0, seed: int = 0) -> Goods:
    """Products of a file with a title column; those of one cluster, where the file has clusters, or of one title are the same.

    Raises:
        QueryError: when there is no title column, or fewer than ten titles.
    """
    found = read_columns(path, _COLUMNS)
    if "title" not in found:
        raise QueryError(
            f"{path.name} has no column of titles",
            mend=f"Name it one of {', '.join(_COLUMNS['title'])}",
            parameter="products",
        )
    cells = {
        name: [str(v) if v is not None else "" for v in column.to_pylist()] for name, column in found.items()
    }
    rows = [i for i, title in enumerate(cells["title"]) if title.strip()]
    if len(rows) < 10:
        raise QueryError(f"{path.name} has {len(rows)} titles", mend="Give ten or more", parameter="products")
    if most and len(rows) > most:
        rows = sorted(np.random.default_rng(seed).choice(rows, most, replace=False).tolist())
    empty = [""] * len(cells["title"])
    title, brand, category, size = (
        [cells.get(name, empty)[i] for i in rows] for name in ("title", "brand", "category", "size")
    )
    same = [cells["cluster"][i] for i in rows] if "cluster" in cells else title
    return Goods(Shelf(title, brand, category, size), same)


class WordIndex:
    """One field of titles in tantivy with the analyser of search, and one of sizes: the same for every way to ask it."""

    def __init__(self, goods: Goods) -> None:
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("title", tokenizer_name=ANALYZER)
        builder.add_text_field("size", tokenizer_name="raw")
        builder.add_integer_field("row", fast=True, indexed=True)
        self.schema = builder.build()
        self.index = tantivy.Index(self.schema)
        self.index.register_tokenizer(ANALYZER, analyzer())
        writer = self.index.writer(64 << 20, 1)
        for row, (title, brand, category) in enumerate(
            zip(goods.shelf.titles, goods.shelf.brands, goods.shelf.categories, strict=True)
        ):
            document = tantivy.Document(row=row, title=prepare(f"{title} {brand} {category}"))
            for size in sizes_in(normal(title, 1000)):
                document.add_text("size", size_key(size))
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
        self.index.reload()
        self.searcher = self.index.searcher()

    def run(self, parts: list[Any]) -> list[int]:
        """Rows for a disjunction of queries, best first."""
        if not parts:
            return []
        query = tantivy.Query.boolean_query([(tantivy.Occur.Should, part) for part in parts])
        hits = self.searcher.search(query, DEPTH, count=False).hits
        return [int(v) for v in self.searcher.fast_field_values("row", [address for _, address in hits])]

    def word(self, word: str) -> Any:
        """The query of one word: all of its tokens."""
        found = [tantivy.Query.term_query(self.schema, "title", t) for t in analyzer().analyze(prepare(word))]
        return tantivy.Query.boolean_query([(tantivy.Occur.Should, q) for q in found]) if found else None

    def plain(self, text: str) -> list[int]:
        """Words as they were typed."""
        return self.run([q for w in surface_words(text) if (q := self.word(w)) is not None])

    def fuzzy(self, text: str) -> list[int]:
        """Words as they were typed or near to it: one mistake from four letters on, two from eight (as Elasticsearch's AUTO nearly).

        The exact word counts twice; without that tantivy's fuzzy terms, which all weigh the same, find much less.
        """
        query, parts = tantivy.Query, list[Any]()
        for word in surface_words(text):
            token = stem(word)
            exact = self.word(word)
            if exact is None:
                continue
            some = [query.boost_query(exact, 2.0)]
            if len(token) >= 4 and token.isalpha():
                distance = 1 if len(token) < 8 else 2
                some.append(query.fuzzy_term_query(self.schema, "title", token, distance, True))
            parts.append(query.disjunction_max_query(some, 0.1))
        return self.run(parts)

    def asked(self, asked: Asked) -> list[int]:
        """What a reader made of the query: words and what says the same, brands as words, sizes, what is not wanted left out."""
        query, parts = tantivy.Query, list[Any]()
        for word in (*asked.words, *asked.brands, *asked.categories):
            said = [q for phrase in (word, *asked.also.get(word, ())) if (q := self.word(phrase)) is not None]
            if said:
                parts.append(query.disjunction_max_query(said, 0.1))
        parts += [self.word(value) for _, value in asked.attributes if self.word(value) is not None]
        spans = {value: span for span, kind, value in asked.notes if kind == "size"}
        for size in asked.sizes:
            said = [query.term_query(self.schema, "size", size_key(size))]
            written = self.word(spans.get(f"{size.amount:g} {size.unit}", ""))
            parts.append(
                query.disjunction_max_query([*said, *([written] if written is not None else [])], 0.3)
            )
        return self.run(parts)


def evaluate_robust(
    path: Path, total: int = 10_000, most: int = 0, seed: int = 0, progress: Progress = lambda _: None
) -> dict[str, Any]:
    """Recall@10 by kind of mistake for three ways to ask one word index and for the search itself, and the names that were miscorrected.

    ``words`` asks the index what was typed, ``fuzzy`` allows mistakes in every word, ``read`` asks it what the reader understood;
    ``search`` is the search of a bundle with its reader, without vectors. Intervals are of the paired differences of ``read`` and of ``search``
    to ``fuzzy`` (bootstrap over queries).
    """
    goods = read_goods(path, most, seed)
    queries = mistaken_queries(goods.shelf.titles, total, seed)
    of_same: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(goods.same):
        of_same[name].append(row)
    with TemporaryDirectory(prefix="wares-") as folder:
        progress("fit")
        fit_reader(goods.shelf, Path(folder))
        reader, index = Reader(Path(folder)), WordIndex(goods)
        searcher = _searcher(goods, reader, Path(folder) / "search")
        ways: dict[str, Answer] = {
            "words": index.plain,
            "fuzzy": index.fuzzy,
            "read": lambda text: index.asked(reader.read(text)),
            "search": lambda text: [int(row) for row in searcher.search(text, DEPTH).rows],
        }
        recall: dict[str, list[float]] = {}
        took: dict[str, list[float]] = {}
        for name, answer in ways.items():
            recall[name], took[name] = [], []
            for number, query in enumerate(queries):
                if number % 500 == 0:
                    progress(f"{name} {number}/{len(queries)}")
                begun = time.perf_counter()
                rows = answer(query.text)
                took[name].append(time.perf_counter() - begun)
                right = of_same[goods.same[query.row]]
                recall[name].append(len(set(rows) & set(right)) / min(DEPTH, len(right)))
        reading: list[float] = []
        for query in queries[:2000]:
            begun = time.perf_counter()
            reader.read(query.text)
            reading.append(time.perf_counter() - begun)
        progress("names")
        known = _miscorrected(reader, names_of(goods, NAMES, seed))
    return {
        "file": path.name, "products": len(goods.shelf.titles), "queries": len(queries), "seed": seed,
        "kinds": {kind: _figures(queries, recall, kind, seed) for kind in (*KINDS, "")},
        "ms": {name: round(1000 * float(np.median(v)), 3) for name, v in took.items()} | {"reading": round(1000 * float(np.median(reading)), 3)},
        "names": {"known": known, "unseen": _unseen(goods, seed)},
    }  # fmt: skip


def _figures(queries: list[Mistaken], recall: dict[str, list[float]], kind: str, seed: int) -> dict[str, Any]:
    at = np.array([i for i, q in enumerate(queries) if not kind or q.kind == kind])
    if not len(at):
        return {"queries": 0}
    values = {name: np.asarray(v)[at] for name, v in recall.items()}
    out: dict[str, Any] = {
        "queries": len(at),
        **{name: round(float(v.mean()), 4) for name, v in values.items()},
    }
    for name in ("read", "search"):
        apart = values[name] - values["fuzzy"]
        low, high = bootstrap(apart, RESAMPLES, seed)
        out[f"{name}_gain"] = round(float(apart.mean()), 4)
        out[f"{name}_interval"] = [round(low, 4), round(high, 4)]
    return out


def _searcher(goods: Goods, reader: Reader, folder: Path) -> Searcher:
    """The search of a shop with these products; no vectors, so that mistakes are told apart from meaning."""
    shelf = goods.shelf
    columns = {
        "product_id": [f"row {i}" for i in range(len(shelf.titles))], "title": shelf.titles, "brand": shelf.brands,
        "category": shelf.categories, "size": shelf.sizes,
    }  # fmt: skip
    texts = [""] * len(shelf.titles)
    vectors = np.zeros((len(texts), 1), np.float32)
    return make_searcher(folder, columns, texts, vectors, None, read=reader.read)


def names_of(goods: Goods, most: int, seed: int) -> list[str]:
    """Names in the titles that must not be corrected: half of them brands (of the column, else words that begin titles of many products),
    half of them model numbers (words of letters and digits that are no quantity)."""
    starts: Counter[str] = Counter()
    models: Counter[str] = Counter()
    for title, brand in zip(goods.shelf.titles, goods.shelf.brands, strict=True):
        low = lower(normal(title, 1000))
        row = tokens(low)
        if brand.strip():
            starts[lower(normal(brand))] += 1
        elif row and row[0].text.isalpha() and len(row[0].text) >= 3:
            starts[row[0].text] += 1
        taken = [(q.start, q.end) for q in quantities(low, lambda _: True)]
        models.update(
            t.text
            for t in row
            if len(t.text) >= 4
            and any(ch.isdigit() for ch in t.text)
            and any(ch.isalpha() for ch in t.text)
            and not any(a <= t.start < b for a, b in taken)
        )
    rng = np.random.default_rng(seed)
    brands = sorted(name for name, n in starts.items() if n >= 3)
    numbers = sorted(models)
    out: list[str] = []
    for names in (brands, numbers):
        some = rng.choice(len(names), min(most // 2, len(names)), replace=False) if names else []
        out += [names[int(i)] for i in some]
    return out


def _miscorrected(reader: Reader, names: Sequence[str]) -> dict[str, Any]:
    """How many names are changed when they are typed, alone and beside other words."""
    wrong: dict[str, str] = {}
    for name in names:
        for text in (name, f"{name} black", f"new {name} case"):
            for was, now in reader.read(text).corrected.items():
                if was in name or name in was:
                    wrong[name] = now
    return {"names": len(names), "miscorrected": len(wrong), "which": dict(sorted(wrong.items())[:50])}


def _unseen(goods: Goods, seed: int) -> dict[str, Any]:
    """The same for names that the catalogue does not have: of the half of its categories (else of its products) that is held out."""
    rng = np.random.default_rng(seed)
    groups = goods.shelf.categories if len(set(goods.shelf.categories)) > 3 else goods.same
    names = sorted(set(groups))
    held = {names[int(i)] for i in rng.permutation(len(names))[: len(names) // 2]}
    parts: list[Goods] = []
    for side in (False, True):
        rows = [i for i, group in enumerate(groups) if (group in held) == side]
        columns = [
            [column[i] for i in rows]
            for column in (goods.shelf.titles, goods.shelf.brands, goods.shelf.categories)
        ]
        parts.append(Goods(Shelf(*columns, [""] * len(rows)), [goods.same[i] for i in rows]))
    here, there = parts
    with TemporaryDirectory(prefix="wares-") as folder:
        fit_reader(here.shelf, Path(folder))
        reader = Reader(Path(folder))
        strange = [
            name
            for name in names_of(there, 20 * NAMES, seed)
            if not any(reader.lexicon.count(t.text) for t in tokens(name))
        ]
        rng.shuffle(strange)
        return _miscorrected(reader, strange[:NAMES])
