"""``wares evaluate search`` on files of any kind, and what it says of those it cannot use."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from wares.core.errors import QueryError
from wares.evaluate.search import Bench, Question
from wares.evaluate.search_clusters import Vectors, evaluate_clusters, questions_of
from wares.evaluate.search_files import read_catalogue, read_judgements
from wares.evaluate.search_shop import make_searcher
from wares.features.pairs import TEST, from_groups, split_nodes


def write(path, rows, encoding="utf-8"):
    with path.open("w", newline="", encoding=encoding) as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_files_are_read_in_any_encoding_and_what_is_left_out_is_said(tmp_path):
    products = write(
        tmp_path / "p.csv",
        [{"id": "a", "name": "Café crème", "price": "3.5"}, {"id": "b", "name": "Thé", "price": "?"}, {"id": "a", "name": "twice", "price": ""}],
        "cp1252",
    )  # fmt: skip
    columns, prices = read_catalogue(products)
    assert columns["product_id"] == ["a", "b"]
    assert columns["title"][0] == "Café crème"
    assert prices[0] == 3.5
    assert np.isnan(prices[1])
    queries = write(tmp_path / "q.csv", [{"query_id": "1", "text": "cafe"}, {"query_id": "2", "text": "x"}])
    judged = [("1", "a", "2"), ("1", "b", "0"), ("1", "ghost", "1"), ("9", "a", "1")]
    rows = [{"query_id": q, "product_id": p, "grade": g} for q, p, g in judged]
    found = read_judgements(queries, write(tmp_path / "j.csv", rows), {"a": 0, "b": 1})
    assert [(q.text, q.wanted) for q in found.questions] == [("cafe", {0: 2.0})]
    assert found.left_out == {
        "judgements of unknown products": 1,
        "judgements of unknown queries": 1,
        "queries without a wanted product": 1,
    }
    for wrong in ([{"query_id": "1", "product_id": "a", "grade": "good"}], [{"query_id": "1", "product_id": "z", "grade": "1"}]):  # fmt: skip
        with pytest.raises(QueryError):
            read_judgements(queries, write(tmp_path / "w.csv", wrong), {"a": 0})
    with pytest.raises(QueryError, match="title"):
        read_catalogue(write(tmp_path / "n.csv", [{"id": "a", "weight": "1"}]))


def groups_of(n, seed):
    """Offers of one thing share its model number and little else; many share the words."""
    rng = np.random.default_rng(seed)
    titles, groups = [], []
    for i in range(n):
        for shop in range(2):
            words = rng.permutation(["phone", "dual", "sim", "black", "smart", "unlocked", "new"])[:4]
            titles.append(f"{' '.join(words)} m{i}x {shop if shop else ''}".strip())
            groups.append(str(i))
    return from_groups(titles, groups)


def test_clusters_are_split_and_own_titles_set_apart(monkeypatch):
    pairs = groups_of(600, 1)
    part = split_nodes(pairs, 3)
    some = questions_of(pairs, part, TEST, 20, 3)
    assert len(some) == 20
    assert all(len(q.apart) >= 1 and q.apart[0] not in q.wanted for q in some)
    vectors = np.random.default_rng(1).standard_normal((len(pairs), 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = evaluate_clusters(
        pairs, lambda _: Vectors(vectors, vectors, {}), seed=3, most=60, say=lambda _: None
    )
    assert found["systems"]["bm25"]["recall@10"] > 0.5
    ours = found["systems"].get("hybrid", found["systems"]["hybrid, as configured"])
    assert ours["recall@10"] > 0.8
    with pytest.raises(QueryError, match="50"):
        evaluate_clusters(
            groups_of(20, 1), lambda _: Vectors(vectors, vectors, {}), seed=3, most=60, say=print
        )


def test_a_bench_without_training_says_so(tmp_path):
    titles = [f"thing {w}" for w in ("red", "blue", "green")]
    vectors = np.eye(3, dtype=np.float32)
    columns = {"product_id": ["a", "b", "c"], "title": titles}

    def encode(text):
        return vectors[0]

    searcher = make_searcher(tmp_path, columns, titles, vectors, encode)
    bench = Bench(searcher, titles, vectors, encode)
    found = bench.run([Question("red thing", {0: 1.0}, np.zeros(0, np.int32), 0)], 1, lambda _: None)
    assert found["fusion"]["reason"] == "no training queries"
    assert not found["bm25"]["tuned"]
    assert found["systems"]["hybrid, as configured"]["ndcg@10"] == 1.0
