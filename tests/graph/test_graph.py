"""The graph's store, paths, likeness and propagation; its words and roles."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import scipy.sparse as sp

from wares.core.errors import DataError, NotFound, SourceError
from wares.graph.behaviour import Pairs, add_roles, add_segments
from wares.graph.columns import category_steps
from wares.graph.files import add_file
from wares.graph.infer import HUB, Graph
from wares.graph.likeness import channels, learn_weights, neighbours
from wares.graph.propagate import propagate
from wares.graph.text import add_texts, fits_in, model_numbers, words
from wares.graph.triples import Triples


def saved(triples: Triples, folder) -> Graph:
    folder.mkdir(exist_ok=True)
    triples.save(folder)
    return Graph(folder)


@pytest.fixture
def small(tmp_path) -> Graph:
    """Five products: a, b of one maker; b, c seen together; d alone; e hangs on a hub."""
    triples = Triples(["a", "b", "c", "d", "e"])
    maker = triples.entity("brand", "acme")
    triples.add([0, 1], "has_brand", [maker, maker], "columns")
    triples.add([1, 1], "viewed_with", [2, 2], "events", [0.4, 0.9], [20, 10])
    triples.add([3], "viewed_with", [3], "events")
    return saved(triples, tmp_path / "g")


class TestStore:
    def test_of_equal_triples_the_surest_stays_with_the_earliest_day(self, small):
        (edge,) = small.neighbours(1, "viewed_with")
        assert (edge.tail, round(edge.weight, 3), edge.day) == (2, 0.9, 10)

    def test_a_loop_is_no_edge(self, small):
        assert small.degree(3) == 0

    def test_both_directions_are_there(self, small):
        (edge,) = small.neighbours(2)
        assert (edge.tail, edge.relation, edge.forward) == (1, "viewed_with", False)

    def test_an_edge_of_the_future_is_unknown(self, small):
        assert small.neighbours(1, "viewed_with", until=10) == []
        assert len(small.neighbours(1, until=11)) == 2

    def test_unknown_names_are_errors_with_a_mend(self, small):
        with pytest.raises(NotFound, match="has_brand"):
            small.neighbours(0, "likes")
        with pytest.raises(NotFound):
            small.entity("brand", "nobody")

    def test_an_empty_graph_answers(self, tmp_path):
        graph = saved(Triples(["a", "b"]), tmp_path / "g")
        assert graph.neighbours(0) == []
        assert graph.paths(0, 1) == []
        assert channels(graph) == []


class TestPaths:
    def test_the_way_from_one_product_to_another(self, small):
        (path,) = small.paths(0, 2)
        assert [(e.relation, e.tail) for e in path] == [
            ("has_brand", 5),
            ("has_brand", 1),
            ("viewed_with", 2),
        ]

    def test_nothing_leads_to_a_lonely_one(self, small):
        assert small.paths(0, 3) == []

    def test_no_way_leads_through_a_hub(self, tmp_path):
        triples = Triples([str(i) for i in range(HUB + 2)])
        hub = triples.entity("brand", "everyone")
        triples.add(np.arange(HUB + 2), "has_brand", np.full(HUB + 2, hub), "columns")
        graph = saved(triples, tmp_path / "g")
        assert graph.paths(0, 1) == []

    def test_every_edge_of_a_path_is_in_the_graph(self, tmp_path):
        rng = np.random.default_rng(3)
        triples = Triples([str(i) for i in range(40)])
        triples.add(rng.integers(0, 40, 90), "near", rng.integers(0, 40, 90), "test", rng.random(90))
        graph = saved(triples, tmp_path / "g")
        for end in range(1, 40):
            for path in graph.paths(0, end):
                assert path[0].head == 0
                assert path[-1].tail == end
                assert len({0, *(e.tail for e in path)}) == len(path) + 1
                for edge in path:
                    assert edge.tail in {e.tail for e in graph.neighbours(edge.head, limit=1000)}


def planted(tmp_path, n=300, users=400, seed=1):
    """Products of 30 makers; shoppers stay with a maker; a second relation is noise."""
    rng = np.random.default_rng(seed)
    maker = rng.integers(0, 30, n)
    triples = Triples([str(i) for i in range(n)])
    for relation, code in (("has_brand", maker), ("noise", rng.integers(0, 30, n))):
        tails = [triples.entity(relation, str(c)) for c in code]
        triples.add(np.arange(n), relation, tails, "test")
    rows, held = [], np.full(users, -1)
    for user in range(users):
        mine = rng.permutation(np.flatnonzero(maker == rng.integers(0, 30)))
        if len(mine) > 2:
            rows += [(user, item) for item in mine[1:3]]
            held[user] = mine[0]
    histories = sp.csr_matrix((np.ones(len(rows), np.float32), np.array(rows).T), shape=(users, n))
    return saved(triples, tmp_path / "g"), histories, held, maker


class TestLikeness:
    def test_the_relation_that_shoppers_follow_is_found_and_noise_is_not(self, tmp_path):
        graph, histories, held, maker = planted(tmp_path)
        found = channels(graph)
        learned = learn_weights(found, histories, held)
        assert learned.helps
        assert learned.loss_with < learned.loss_without
        assert learned.weights["has_brand"] == 1.0
        assert learned.weights["noise"] < 0.05
        ids, values = neighbours(found, learned.weights, 5)
        first = ids[:, 0]
        assert (maker[first[first >= 0]] == maker[first >= 0]).mean() > 0.95
        assert values.max() <= 1.0 + 1e-6
        assert (np.diff(values, axis=1) <= 1e-6).all()

    def test_a_graph_that_does_not_help_gets_weight_zero(self, tmp_path):
        graph, histories, held, _ = planted(tmp_path)
        rng = np.random.default_rng(5)
        held = np.where(held >= 0, rng.integers(0, graph.n_products, len(held)), -1)
        found = [c for c in channels(graph) if c.name == "noise"]
        learned = learn_weights(found, histories, held)
        assert not learned.helps
        ids, _ = neighbours(found, learned.weights, 5)
        assert (ids == -1).all()

    def test_the_same_seed_gives_the_same_weights(self, tmp_path):
        graph, histories, held, _ = planted(tmp_path)
        one, two = (learn_weights(channels(graph), histories, held, seed=4) for _ in range(2))
        assert one == two


class TestPropagation:
    def test_a_product_without_a_vector_takes_over_its_makers(self, small):
        own = np.zeros((5, 4), np.float32)
        own[0, 0], own[3, 1] = 1, np.nan
        vectors = propagate(small, own, {"has_brand": 1.0}, hops=2)
        assert vectors[1] @ vectors[0] > 0.99
        assert not vectors[3].any()
        assert np.isfinite(vectors).all()

    @pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
    def test_a_weight_that_is_none(self, small, weight):
        with pytest.raises(DataError, match="has_brand"):
            propagate(small, np.ones((5, 4), np.float32), {"has_brand": weight})

    def test_vectors_of_another_catalogue(self, small):
        with pytest.raises(DataError, match="5 products"):
            propagate(small, np.ones((4, 4), np.float32), {"has_brand": 1.0})

    def test_all_weights_zero_leave_the_vectors_alone(self, small):
        own = np.eye(5, dtype=np.float32)
        assert np.allclose(propagate(small, own, {"has_brand": 0.0})[:5], own)


class TestFiles:
    def test_a_file_speaks_of_products_by_one_kind_of_name(self, tmp_path):
        path = tmp_path / "kg.csv.gz"
        with gzip.open(path, "wt") as stream:
            stream.write("head,relation,tail\nB01,brand,2\nB02,brand,2\nB01,also,B02\nB01,,X9\n,brand,2\n")
        triples = Triples(["1", "2"])
        assert add_file(triples, path, {"B01": "1", "B02": "2"}) == 4
        graph = saved(triples, tmp_path / "g")
        # The brand "2" is no product, though a product has this id.
        assert {graph.label(e.tail) for e in graph.neighbours(0)} == {
            ("external", "2"), ("product", "2"), ("external", "X9"),
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "place"),
        [("a,b\n1,2\n", "head, relation, tail"), ("head,relation,tail,weight\n1,r,2,much\n", "row 2")],
    )
    def test_a_broken_file_is_named_with_its_place(self, tmp_path, text, place):
        path = tmp_path / "kg.csv"
        path.write_text(text)
        with pytest.raises(SourceError, match=place):
            add_file(Triples(["1", "2"]), path)


class TestText:
    def test_model_numbers_are_no_measures(self):
        some = words("Makita XPH14Z drill 18v, 500ml 4pk18pk wh-1000xm4 2x500ml i7")
        assert model_numbers(some) == ["xph14z", "wh-1000xm4"]

    def test_what_a_text_says_it_fits(self):
        models, brands = {"xph14z"}, {"makita", "华为"}
        assert fits_in("Charger compatible with Makita XPH14Z (2 pcs)", models, brands) == [
            ("brand", "makita"), ("model", "xph14z"),
        ]  # fmt: skip
        assert ("brand", "华为") in fits_in("手机壳 适用于华为", models, brands)
        assert fits_in("gift for her", models, brands) == []

    def test_terms_are_shared_by_brands_and_a_line_name_is_not(self, tmp_path):
        titles, brands = [], []
        for i in range(60):
            brands.append(f"maker {i % 6}")
            line = "aurora" if i % 6 == 0 else "plain"
            material = ("stainless steel", "oak", "glass", "cotton", "leather")[i % 5]
            titles.append(f"{line} lamp {i}, {material}")
        triples = Triples([str(i) for i in range(60)])
        add_texts(triples, titles, brands, ["x"] * 60)
        terms = {name.split(":", 1)[1] for name in triples.entities if name.startswith("term:")}
        assert "stainless steel" in terms
        assert "oak" in terms
        assert "stainless" not in terms
        assert "aurora" not in terms

    def test_a_brand_in_a_title_fills_the_empty_column(self, tmp_path):
        triples = Triples(["a", "b"])
        add_texts(triples, ["Acme lamp", "Lamp by acme"], ["Acme", ""], ["", ""])
        graph = saved(triples, tmp_path / "g")
        (edge,) = graph.neighbours(1, "has_brand")
        assert graph.label(edge.tail) == ("brand", "acme")
        assert edge.weight == 0.5
        assert edge.source == "text"

    def test_paths_of_categories(self):
        assert category_steps(" Home >Kitchen|  Pots ") == (
            "home", "home > kitchen", "home > kitchen > pots",
        )  # fmt: skip
        assert category_steps("") == ()


class TestRoles:
    def test_substitutes_are_looked_at_together_and_accessories_bought_together(self, tmp_path):
        # 0 and 1 are cameras looked at together; 2 is a strap that comes with camera 0.
        bought = Pairs(
            np.array([0], np.int32), np.array([2], np.int32), np.array([40]), np.array([7], np.int32),
            np.array([200, 200, 50]), 4000,
        )  # fmt: skip
        viewed = Pairs(
            np.array([0, 0], np.int32), np.array([1, 2], np.int32), np.array([90, 90]), np.array([3, 3], np.int32),
            np.array([200, 200, 200]), 4000,
        )  # fmt: skip
        triples = Triples(["camera a", "camera b", "strap"])
        add_roles(
            triples, bought, viewed, ["cameras", "cameras", "straps"], np.array([900_0000, 800_0000, 20_0000])
        )
        graph = saved(triples, tmp_path / "g")
        assert [(e.tail, e.day) for e in graph.neighbours(0, "substitute_of")] == [(1, 3)]
        (edge,) = graph.neighbours(2, "accessory_of")
        assert (edge.tail, edge.forward) == (0, True)

    def test_a_segment_likes_what_it_takes_twice_as_often(self, tmp_path):
        triples = Triples(["milk", "toy"])
        users = np.repeat(np.arange(20), 2)
        items = np.where(users < 10, 0, 1).astype(np.int32)
        add_segments(triples, np.array([0] * 10 + [1] * 10, np.int32), users, items, ["grocer", "parent"])
        graph = saved(triples, tmp_path / "g")
        assert [graph.label(e.tail) for e in graph.neighbours(1, "liked_by")] == [("segment", "parent")]
