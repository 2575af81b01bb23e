"""BM25 with its two constants to choose: the baseline that search has to beat, as tantivy's own are fixed at 1.2 and .75."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

K1 = (0.2, 0.6, 1.2, 2.0)
B = (0.0, 0.4, 0.75, 1.0)


class Bm25:
    """BM25 (Robertson & Zaragoza 2009) over lists of tokens, as a sparse table ``(n_documents, n_terms)``."""

    def __init__(self, documents: Sequence[Sequence[str]]) -> None:
        self.terms: dict[str, int] = {}
        rows, columns, counts = list[int](), list[int](), list[int]()
        for row, tokens in enumerate(documents):
            for token, count in Counter(tokens).items():
                rows.append(row)
                columns.append(self.terms.setdefault(token, len(self.terms)))
                counts.append(count)
        shape = (len(documents), max(len(self.terms), 1))
        self.counts = sp.csc_matrix((np.array(counts, np.float32), (rows, columns)), shape)
        self.lengths = np.asarray(self.counts.sum(1)).ravel()
        df = np.diff(self.counts.indptr)
        self.idf = np.log1p((shape[0] - df + 0.5) / (df + 0.5)).astype(np.float32)
        self.tuned = self.weigh(1.2, 0.75)

    def weigh(self, k1: float, b: float) -> sp.csc_matrix:
        """What each term adds to each document's score; takes these constants from now on."""
        norm = k1 * (1 - b + b * self.lengths / max(float(self.lengths.mean()), 1e-9))
        tf = self.counts.data
        weight = tf * (k1 + 1) / (tf + norm[self.counts.indices])
        weight *= np.repeat(self.idf, np.diff(self.counts.indptr))
        self.tuned = sp.csc_matrix((weight.astype(np.float32), self.counts.indices, self.counts.indptr), self.counts.shape)  # fmt: skip
        return self.tuned

    def scores(self, tokens: Sequence[str]) -> NDArray[np.float32]:
        """Scores of all documents ``(n,)``; 0 without a common term."""
        out = np.zeros(self.counts.shape[0], np.float32)
        table = self.tuned
        for token in dict.fromkeys(tokens):
            term = self.terms.get(token)
            if term is not None:
                span = slice(table.indptr[term], table.indptr[term + 1])
                out[table.indices[span]] += table.data[span]
        return out
