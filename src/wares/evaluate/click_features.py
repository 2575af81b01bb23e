"""What the words of a query and of a product's fields say about one another: BM25 and simpler signs, one row a product."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from wares.models.search.analysis import analyzer, prepare

K1, B = 1.2, 0.75


def tokens(text: str) -> list[str]:
    """The tokens of a text as the index has them."""
    return list(analyzer().analyze(prepare(text[:4000])))


class Corpus:
    """How common words are in a field, over the whole catalogue: BM25's statistics (Robertson, Zaragoza 2009)."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts, total = Counter[str](), 0
        for text in texts:
            found = tokens(text)
            total += len(found)
            counts.update(set(found))
        self.n, self.mean = len(texts), total / max(len(texts), 1) or 1.0
        self.counts = counts

    def idf(self, token: str) -> float:
        """How much a word tells."""
        n = self.counts[token]
        return math.log(1 + (self.n - n + 0.5) / (n + 0.5))

    def bm25(self, query: Sequence[str], document: Sequence[str]) -> float:
        """BM25 of a document for a query, both as tokens."""
        tf = Counter(document)
        norm = K1 * (1 - B + B * len(document) / self.mean)
        return sum(self.idf(w) * tf[w] * (K1 + 1) / (tf[w] + norm) for w in dict.fromkeys(query) if tf[w])


def names(fields: Sequence[str]) -> list[str]:
    """What the columns of `features` are."""
    out = ["bm25", "title_phrase", "title_begins", "title_length", "title_first", "title_rest"]
    return out + [f"{kind}_{field}" for field in fields for kind in ("bm25", "share", "there")]


def features(
    query: str, documents: Mapping[str, Sequence[str]], corpora: Mapping[str, Corpus]
) -> NDArray[np.float32]:
    """Features ``(n, len(names(fields)))`` of products for a query; `documents` has a text a product by field, "title" among them."""
    asked = tokens(query)
    fields = list(documents)
    n = len(documents["title"])
    out = np.zeros((n, len(names(fields))), np.float32)
    wanted = set(asked)
    for row in range(n):
        read = {field: tokens(documents[field][row]) for field in fields}
        title = read["title"]
        joined, phrase = f" {' '.join(title)} ", f" {' '.join(asked)} "
        at = [i for i, word in enumerate(title) if word in wanted]
        cells = [
            sum(corpora[field].bm25(asked, read[field]) for field in fields),
            float(phrase in joined),
            float(joined.startswith(phrase)),
            float(len(title)),
            float(at[0]) if at else float("nan"),
            sum(corpora["title"].idf(word) for word in title if word not in wanted) / max(len(title), 1),
        ]
        for field in fields:
            found = read[field]
            share = len(wanted & set(found)) / max(len(wanted), 1)
            cells += [corpora[field].bm25(asked, found), share, float(len(found))]
        out[row] = cells
    return out
