"""Build the search artefact: a tantivy index, and a vector index."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# Loaded after usearch (2.26) it crashes the process.
import onnxruntime  # noqa: F401  # pyright: ignore[reportUnusedImport]
import tantivy
from numpy.typing import NDArray
from usearch.index import Index

from wares.core.arrays import load_array, save_arrays, seal
from wares.core.config import Search
from wares.core.files import digest
from wares.core.strings import StringTable
from wares.features.catalogue import Catalogue, codes
from wares.models.search.analysis import ANALYZER, analyzer, prepare, surface_words
from wares.models.search.forward import save_forward
from wares.models.search.schema import (
    ATTRIBUTES,
    EXACT,
    FIELDS,
    KIND,
    NUMBERS,
    product_numbers,
    schema,
    title_key,
)
from wares.models.search.variants import variant_codes

HEAP = 256 << 20


def fit(
    catalogue: Catalogue,
    vectors_folder: Path,
    sold: NDArray[np.int64],
    config: Search,
    folder: Path,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Write the artefact into `folder`; `sold (n_items,)` ranks ties."""
    home = folder / "words"
    home.mkdir(parents=True)
    index = tantivy.Index(schema(), str(home))
    index.register_tokenizer(ANALYZER, analyzer())
    writer = index.writer(HEAP, 1)
    prices, available = catalogue.prices, catalogue.available
    n = len(catalogue)
    columns = [list(catalogue.columns[name]) for name in FIELDS]
    size_of, sizes = codes(columns[FIELDS.index("size")])
    attributes = catalogue.columns["attributes"]
    for row, cells in enumerate(zip(*columns, strict=True)):
        values = _values(attributes[row])
        fields: dict[str, Any] = {
            name: prepare(cell) for name, cell in zip(FIELDS, cells, strict=True) if cell
        }
        writer.add_document(
            tantivy.Document(
                row=row,
                code=catalogue.ids[row].lower(),
                brand_code=int(catalogue.brand_of[row]),
                category_code=int(catalogue.category_of[row]),
                price=int(prices[row]),
                available=int(available[row]),
                size_code=int(size_of[row]),
                **fields,
                **_beside(cells[0], values),
            )
        )
        if row % 5000 == 0:
            progress(row, n)
    writer.commit()
    writer.wait_merging_threads()
    vectors = np.asarray(load_array(vectors_folder, "vectors"))
    graph = Index(
        ndim=vectors.shape[1] if vectors.ndim == 2 else 1,
        metric="ip",
        dtype="f16",
        connectivity=16,
        expansion_add=96,
    )
    if len(vectors):
        graph.add(
            np.arange(len(vectors)), vectors.astype(np.float32), threads=1
        )  # one thread: the same graph every time
    graph.save(str(folder / "meaning.usearch"))
    names = (
        sorted({v for v in catalogue.columns["brand"] if v}),
        sorted({v for v in catalogue.columns["category"] if v}),
    )
    StringTable.of(names[0]).save(folder, "brands")
    StringTable.of(names[1]).save(folder, "categories")
    titles, brands, categories, _, _ = columns
    texts = columns[FIELDS.index("size")]
    save_forward(zip(titles, brands, texts, strict=True), folder)
    StringTable.of(sizes).save(folder, "sizes")
    words, word_counts = _vocabulary(catalogue)
    words.save(folder, "words")
    log_sold = np.log1p(sold).astype(np.float32)
    order = np.lexsort((np.arange(n), -sold, catalogue.text_of)).astype(np.int32)
    ptr = np.concatenate([[0], np.cumsum(np.bincount(catalogue.text_of, minlength=len(vectors)))]).astype(
        np.int64
    )
    save_arrays(
        folder, word_counts=word_counts, members=order, members_ptr=ptr,
        log_sold=log_sold / max(float(log_sold.max(initial=0)), 1.0), vectors=vectors, size_of=size_of, since=_since(catalogue),
        variant_of=variant_codes(zip(titles, brands, categories, texts, strict=True)),
    )  # fmt: skip
    # Index files carry random names, so the artefact is named by what went in.
    content = digest(
        [
            catalogue.manifest["hash"],
            config.model_dump(),
            digest(vectors[:1000].tolist()),
            int(sold.sum()),
        ]
    )
    return seal(
        folder, KIND, content=content, n_items=n, texts=len(vectors), rich=True, config=config.model_dump()
    )


def _values(cell: str) -> list[str]:
    """The values of a product's attributes."""
    found: Any = json.loads(cell) if cell else {}
    return [str(value) for value in found.values()] if isinstance(found, dict) else []


def _beside(title: str, values: list[str]) -> dict[str, Any]:
    """What is indexed beside the texts: attributes, the whole title, product numbers."""
    said = " ".join(values)
    out: dict[str, Any] = {ATTRIBUTES: prepare(said)} if said else {}
    if whole := title_key(title):
        out[EXACT] = whole
    if numbers := product_numbers(f"{title} {said}"):
        out[NUMBERS] = " ".join(numbers)
    return out


def _since(catalogue: Catalogue) -> NDArray[np.int64]:
    """The first known price of each product in Unix seconds ``(n,)``, 0 where there is none: how new it is."""
    ptr, at = np.asarray(catalogue.price_ptr), np.asarray(catalogue.price_at)
    out = np.zeros(len(catalogue), np.int64)
    some = np.flatnonzero(ptr[1:] > ptr[:-1])
    out[some] = at[ptr[:-1][some]]
    return out


def _vocabulary(catalogue: Catalogue) -> tuple[StringTable, NDArray[np.int64]]:
    """The words of titles, brands and categories as they are written, with how many cells hold them."""
    counts: Counter[str] = Counter()
    for name in ("title", "brand", "category"):
        for cell, times in Counter(catalogue.columns[name]).items():
            for word in surface_words(cell):
                if len(word) >= 4 and word.isascii() and word.isalpha():
                    counts[word] += times
    words = sorted(counts)
    return StringTable.of(words), np.array([counts[w] for w in words], np.int64)
