"""BM25 (tantivy) over the same candidates as the vectors: what an adapted encoder has to beat, and where it falls back to."""

from __future__ import annotations

import numpy as np
import tantivy
from numpy.typing import NDArray

from wares.features.pairs import PairSet
from wares.models.search.analysis import ANALYZER, analyzer, prepare

DEEP = 1000
_HEAP = 64 << 20


class Words:
    """Texts of some nodes as an index in memory. Letters and digits are parted and Chinese is cut into words, as in search."""

    def __init__(self, pairs: PairSet, candidates: NDArray[np.int64]) -> None:
        self.pairs, self.candidates = pairs, candidates
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("text", tokenizer_name=ANALYZER)
        builder.add_integer_field("row", stored=True, fast=True)
        self.schema = builder.build()
        self.index = tantivy.Index(self.schema)
        self.index.register_tokenizer(ANALYZER, analyzer())
        writer = self.index.writer(_HEAP, 1)
        for row, node in enumerate(candidates.tolist()):
            writer.add_document(tantivy.Document(row=row, text=prepare(pairs.texts[node])))
        writer.commit()
        writer.wait_merging_threads()
        self.index.reload()
        self.searcher = self.index.searcher()

    def scores(self, rows: NDArray[np.int64], deep: int = DEEP) -> NDArray[np.float32]:
        """BM25 ``(b, n_candidates)`` of some nodes' texts as queries; -inf beyond the `deep` best, which include all sharers of rare words."""
        out = np.full((len(rows), len(self.candidates)), -np.inf, np.float32)
        for i, node in enumerate(rows.tolist()):
            tokens = dict.fromkeys(analyzer().analyze(prepare(self.pairs.texts[node])))
            some = [
                (tantivy.Occur.Should, tantivy.Query.term_query(self.schema, "text", token, "freq"))
                for token in tokens
            ]
            if not some:
                continue
            found = self.searcher.search(
                tantivy.Query.boolean_query(some), min(deep, len(self.candidates)), count=False
            )
            for score, address in found.hits:
                out[i, self.searcher.doc(address)["row"][0]] = score
        return out
