"""Another shop's wording: one offer's title is the query, the other offers of its cluster are wanted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.config import Encoder
from wares.core.errors import QueryError
from wares.evaluate.search import Bench, Question, Say
from wares.evaluate.search_shop import make_searcher
from wares.features.pairs import TEST, VALID, PairSet, split_nodes
from wares.models.search.analysis import surface_words

Encode = Callable[[str], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of all offers ``(n, dim)``, as taught on the training clusters and as they were before."""

    taught: NDArray[np.float32]
    untuned: NDArray[np.float32]
    facts: dict[str, Any]


def questions_of(pairs: PairSet, part: NDArray[np.int8], which: int, most: int, seed: int) -> list[Question]:
    """Offers of a part with a mate that reads differently, drawn at random; whatever reads like the query is set apart."""
    rng = np.random.default_rng([seed, which])
    order = np.argsort(pairs.text_id, kind="stable")
    sorted_ids = pairs.text_id[order]
    out: list[Question] = []
    for node in rng.permutation(np.flatnonzero((part == which) & ~pairs.blank)).tolist():
        same = order[
            np.searchsorted(sorted_ids, pairs.text_id[node]) : np.searchsorted(
                sorted_ids, pairs.text_id[node], side="right"
            )
        ]
        mates = np.setdiff1d(pairs.mates(node), same)
        if len(mates):
            wanted = {int(m): 1.0 for m in mates}
            out.append(Question(pairs.texts[node], wanted, same.astype(np.int32), int(pairs.group[node])))
        if most and len(out) == most:
            break
    return out


def evaluate_clusters(
    pairs: PairSet, vectors: Callable[[NDArray[np.int8]], Vectors], *, seed: int, most: int, say: Say
) -> dict[str, Any]:
    """Clusters split 70 / 10 / 20: the encoder learns on the first, fusion and BM25's constants on the second, the third is asked.

    All offers are in the index, those of training among them; what reads exactly like the query is left out of its answer.

    Raises:
        QueryError: when there are fewer than 50 queries to test or to learn by.
    """
    part = split_nodes(pairs, seed)
    training = questions_of(pairs, part, VALID, 1000, seed)
    testing = questions_of(pairs, part, TEST, most, seed)
    if min(len(training), len(testing)) < 50:
        raise QueryError(
            f"{len(training)} queries to learn by, {len(testing)} to test",
            mend="Bring 50 of each: clusters of at least two offers that read differently",
            parameter="clusters",
        )
    given = vectors(part)
    place = {text: i for i, text in enumerate(pairs.texts)}
    with tempfile.TemporaryDirectory(prefix="wares-search-") as scratch:
        say("index")
        searcher = make_searcher(
            Path(scratch), {"product_id": [f"o{i}" for i in range(len(pairs))], "title": pairs.texts}, pairs.texts, given.taught,
            lambda text: given.taught[place[text]],
        )  # fmt: skip
        bench = Bench(searcher, pairs.texts, given.untuned, lambda text: given.untuned[place[text]])
        bench.tune(training, seed, say)
        found = bench.run(testing, seed, say)
    return {
        "task": "an offer's title as the query; wanted: the other offers of its cluster; what reads like the query is left out",
        "split": "70 % of the clusters teach the encoder, 10 % the fusion and BM25's constants, 20 % are asked",
        "encoder": given.facts, "words a query": round(float(np.mean([len(surface_words(q.text)) for q in testing])), 1), **found,
    }  # fmt: skip


def plain_vectors(pairs: PairSet, config: Encoder, say: Say) -> Vectors:
    """Vectors of the encoder as it is."""
    from wares.features.encoder import TextEncoder
    from wares.features.encoder_train import export_encoder

    with tempfile.TemporaryDirectory(prefix="wares-search-") as scratch:
        export_encoder(config, Path(scratch))
        unique = sorted(set(pairs.texts))
        table = TextEncoder(Path(scratch)).encode(
            unique, progress=lambda done: say(f"encode {done}/{len(unique)}")
        )
    place = {text: i for i, text in enumerate(unique)}
    vectors = table[[place[text] for text in pairs.texts]]
    return Vectors(vectors, vectors, {"model": config.model, "adapted": False})
