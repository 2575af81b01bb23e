"""Loops, hubs, empty catalogues, broken files, and what a language model may say."""

from __future__ import annotations

import time

import numpy as np
import pytest

from wares.core.config import GraphLlm
from wares.core.errors import ConfigError, DataError, SourceError
from wares.graph import likeness
from wares.graph.asking import Refused
from wares.graph.files import add_file
from wares.graph.infer import Graph
from wares.graph.likeness import channels, neighbours
from wares.graph.llm import Reader, add_facts, parse
from wares.graph.propagate import propagate
from wares.graph.text import add_texts
from wares.graph.triples import Triples


def saved(triples, folder):
    folder.mkdir(exist_ok=True)
    triples.save(folder)
    return Graph(folder)


def test_categories_in_a_circle_end_everywhere(tmp_path):
    triples = Triples(["a", "b"])
    one, two, three = (triples.entity("category", n) for n in "123")
    triples.add([0, 1], "in_category", [one, three], "columns")
    triples.add([one, two, three, one], "is_a", [two, three, one, one], "columns")
    graph = saved(triples, tmp_path / "g")
    (path, *_) = graph.paths(0, 1, hops=4)
    assert [e.tail for e in path][-1] == 1
    vectors = propagate(graph, np.eye(2, dtype=np.float32), {"in_category": 1, "is_a": 1}, hops=50)
    assert np.isfinite(vectors).all()
    ids, _ = neighbours(channels(graph), {"in_category": 1.0}, 5)
    assert (ids == -1).all()


def test_an_entity_that_everything_shares_costs_bounded_time(tmp_path, monkeypatch):
    """Where it would cost more than the bound it is left out, and rarer entities still speak."""
    n = 20_000
    triples = Triples([str(i) for i in range(n)])
    hub = triples.entity("brand", "everyone")
    pairs = [triples.entity("set", str(i // 2)) for i in range(n)]
    triples.add(np.arange(n), "has_brand", np.full(n, hub), "columns")
    triples.add(np.arange(n), "in_set", pairs, "columns")
    graph = saved(triples, tmp_path / "g")
    monkeypatch.setattr(likeness, "PRODUCTS_OF", 1_000_000)
    found = channels(graph, max_entity=n)
    assert [c.name for c in found] == ["has_brand", "in_set"]
    begun = time.perf_counter()
    ids, values = neighbours(found, {"has_brand": 1.0, "in_set": 1.0}, 5)
    # Four hundred million pairs would take minutes.
    assert time.perf_counter() - begun < 60
    assert (ids[:, 0] == (np.arange(n) ^ 1)).all()
    assert (ids[:, 1:] == -1).all()
    assert values[:, 0] == pytest.approx(0.5)


def test_an_empty_catalogue_has_a_graph_without_anything(tmp_path):
    triples = Triples([])
    add_texts(triples, [], [], [], [])
    graph = saved(triples, tmp_path / "g")
    assert len(graph) == graph.n_products == 0
    assert channels(graph) == []
    ids, _ = neighbours([], {}, 5)
    assert ids.shape == (0, 5)
    assert propagate(graph, np.zeros((0, 3), np.float32), {}).shape == (0, 3)


def test_weights_of_relations_that_are_not_there_do_nothing(tmp_path):
    triples = Triples(["a", "b"])
    triples.add([0], "near", [1], "x")
    graph = saved(triples, tmp_path / "g")
    own = np.eye(2, dtype=np.float32)
    assert np.allclose(propagate(graph, own, {"likes": 1.0}), own)
    with pytest.raises(DataError, match="shape"):
        propagate(graph, np.ones((2,), np.float32), {"near": 1.0})


def test_weights_that_are_no_confidence_make_no_triple():
    triples = Triples(["a", "b", "c"])
    triples.add([0, 0, 1, 1], "near", [1, 2, 2, 0], "x", [np.nan, -1, 0, 7])
    (chunk,) = triples.chunks
    assert chunk[3].tolist() == [1.0]


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("kg.csv", "head,tail,date\n1,2,soon\n", "row 2"),
        ("kg.csv", "name\n1\n", "head, relation, tail"),
        ("kg.csv", "", "empty"),
        ("kg.jsonl", '{"head": "1", "tail": "2"}\n{"head": \n', "line 2"),
        ("kg.txt", "1 r 2\n1 r\n", "line 2"),
    ],
)
def test_a_broken_file_says_where_and_how_to_mend_it(tmp_path, name, text, place):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(SourceError, match=place) as caught:
        add_file(Triples(["1", "2"]), path)
    assert caught.value.mend


GOOD = '{"product": 1, "relation": "material", "value": " Oak  Wood", "confidence": 0.8}'


class TestLanguageModel:
    def test_only_what_is_exactly_in_form_is_taken(self):
        bad = [
            '{"product": 3, "relation": "material", "value": "x", "confidence": 1}',
            '{"product": true, "relation": "material", "value": "x", "confidence": 1}',
            '{"product": 1, "relation": "price", "value": "x", "confidence": 1}',
            '{"product": 1, "relation": "use", "value": "", "confidence": 1}',
            '{"product": 1, "relation": "use", "value": 7, "confidence": 1}',
            '{"product": 1, "relation": "use", "value": "x", "confidence": 1.5}',
            '{"product": 1, "relation": "use", "value": "x"}',
            "null",
        ]
        found, refused = parse(f'{{"triples": [{GOOD}, {GOOD}, {", ".join(bad)}]}}', 2)
        assert found == [[("material", "oak wood", 0.8)], []]
        assert refused == len(bad)

    @pytest.mark.parametrize(
        "content", ["", "Here you are: {}", "[]", '{"triples": {}}', None, "[" * 100_000]
    )
    def test_an_answer_in_another_form_is_refused_as_a_whole(self, content):
        with pytest.raises(Refused):
            parse(content, 1)

    def test_facts_are_triples_with_source_and_confidence(self, tmp_path):
        triples = Triples(["a", "b"])
        facts = [[("material", "oak", 0.8), ("compatible_with", "e27", 0.6)], []]
        assert add_facts(triples, [1, 0], facts, "llm:m@1") == 2
        graph = saved(triples, tmp_path / "g")
        said = {(e.relation, graph.label(e.tail), round(e.weight, 2), e.source) for e in graph.neighbours(1)}
        assert said == {
            ("has_attribute", ("attribute", "material=oak"), 0.8, "llm:m@1"),
            ("fits", ("term", "e27"), 0.6, "llm:m@1"),
        }

    def test_nothing_is_asked_beyond_the_budget(self, tmp_path):
        config = GraphLlm(base_url="http://127.0.0.1:9/v1", model="m", max_tokens=10)
        found, report = Reader(config, tmp_path).read(["a lamp"] * 3)
        assert found == [[], [], []]
        assert (report.left, report.failed) == (3, [])
        assert "budget" in report.stopped

    def test_an_endpoint_that_does_not_answer_is_left_after_three_batches(self, tmp_path):
        config = GraphLlm(base_url="http://127.0.0.1:9/v1", model="m", batch=1)
        _, report = Reader(config, tmp_path).read([f"lamp {i}" for i in range(5)])
        assert len(report.failed) == 3
        assert report.left == 2
        assert "no answer" in report.failed[0]["reason"]

    def test_what_is_missing_is_said_before_anything_is_asked(self, tmp_path, monkeypatch):
        monkeypatch.delenv("SHOP_KEY", raising=False)
        with pytest.raises(ConfigError, match="no model"):
            Reader(GraphLlm(base_url="http://127.0.0.1:9/v1"), tmp_path)
        with pytest.raises(ConfigError, match="SHOP_KEY"):
            Reader(GraphLlm(base_url="http://127.0.0.1:9/v1", model="m", key_env="SHOP_KEY"), tmp_path)
