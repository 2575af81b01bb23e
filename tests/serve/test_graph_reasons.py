"""Reasons by a way through the graph, in both languages."""

from __future__ import annotations

import time

import numpy as np
import pytest

from wares.graph.infer import HUB, Graph
from wares.graph.triples import Triples
from wares.serve.graph_reasons import graph_reason, telling


@pytest.fixture
def graph(tmp_path) -> Graph:
    """0 and 1 of one maker and of oak; 2 a strap for 0; 3 fits what 0 is; 4 lonely; 5 may stand for 0."""
    triples = Triples(["desk", "shelf", "strap", "drawer", "lonely", "bureau"])
    maker, oak = triples.entity("brand", "acme"), triples.entity("attribute", "material=oak")
    model, band = triples.entity("model", "d-100"), triples.entity("price_band", "all: 3 of 5")
    triples.add([0, 1], "has_brand", [maker, maker], "columns")
    triples.add([0, 1], "has_attribute", [oak, oak], "columns")
    triples.add([0, 1, 5], "in_price_band", [band] * 3, "columns")
    triples.add([2], "accessory_of", [0], "events", 0.6, 20000)
    triples.add([0], "has_model", [model], "text")
    triples.add([3], "fits", [model], "text")
    triples.add([5], "substitute_of", [0], "events", 0.2)
    triples.add([1], "pairs_well_with", [3], "external")
    triples.save(tmp_path)
    return Graph(tmp_path)


@pytest.mark.parametrize(
    ("had", "row", "language", "text"),
    [
        (0, 1, "en", "same maker as desk that you had: acme, same material as it: oak"),
        (0, 1, "zh", "与您买过的 desk同品牌：acme，与其的material相同：oak"),
        (0, 2, "en", "made to go with desk that you had"),
        (2, 0, "en", "can be used with strap that you had"),
        (0, 3, "en", "fits desk that you had"),
        (3, 0, "en", "drawer that you had fits it"),
        (0, 5, "en", "can take the place of desk that you had, priced like it"),
        (1, 3, "en", "linked with shelf that you had (pairs well with)"),
    ],
)
def test_the_most_telling_ways_in_words(graph, had, row, language, text):
    title = graph.label(had)[1]
    found = graph_reason(graph, graph.between(had, row), title, language)
    assert found is not None
    assert found.text == text
    assert found.code == "graph"
    assert found.facts["paths"][0][-1]["entity"]["kind"]


def test_where_nothing_joins_them_nothing_is_said(graph):
    assert graph_reason(graph, graph.between(0, 4), "desk") is None
    assert graph_reason(graph, graph.between(0, 0), "desk") is None
    assert telling(graph, graph.between(0, 4)) == 0


def test_what_tells_more_has_the_larger_number(graph):
    assert telling(graph, graph.between(0, 2)) > telling(graph, graph.between(0, 1)) > 0


def test_a_thing_with_a_million_edges_explains_nothing_and_takes_no_time(tmp_path):
    n = 1_000_000
    triples = Triples(["a", "b"])
    hub = triples.entity("brand", "everyone")
    others = np.arange(n, dtype=np.int32) + len(triples.entities)
    triples._names += [f"thing:{i}" for i in range(n)]
    triples.add(others, "has_brand", np.full(n, hub), "columns")
    triples.add([0, 1], "has_brand", [hub, hub], "columns")
    triples.add(np.zeros(n, np.int32), "seen_with", others, "external")
    triples.save(tmp_path)
    graph = Graph(tmp_path)
    assert graph.degree(hub) == n + 2 > HUB
    begun = time.perf_counter()
    assert graph_reason(graph, graph.between(0, 1), "a") is None
    assert graph.paths(0, 1) == []
    assert len(graph.neighbours(hub, limit=10)) == 10
    # Generous: it takes some milliseconds on a quiet machine.
    assert time.perf_counter() - begun < 5
