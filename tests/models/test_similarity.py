"""Dimensions, their fusion and the index: sums, masks, weights, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from wares.core.arrays import seal
from wares.core.errors import DataError, IncompatibleArtifact, QueryError
from wares.models.similar import fusion_train as learning
from wares.models.similar import index as indexing
from wares.models.similar import sources
from wares.models.similar.dimensions import (
    HoodDimension,
    PriceDimension,
    VectorDimension,
    load_dimensions,
    save_dimensions,
)
from wares.models.similar.fusion import Fusion, check_kind, check_weights
from wares.models.similar.index import Blocks, FusedIndex, fused
from wares.models.similar.infer import KIND, Similar

N = 400
KINDS = 20


@pytest.fixture(scope="module")
def planted():
    """Products of 20 kinds: text tells the kind weakly, attributes well, price a little; some lack a dimension."""
    rng = np.random.default_rng(7)
    kind = np.arange(N) % KINDS
    centres = rng.standard_normal((KINDS, 24))
    text = centres[kind] + 3 * rng.standard_normal((N, 24))
    graph = centres[kind] + 1.6 * rng.standard_normal((N, 24))
    noise = rng.standard_normal((N, 24))
    row_of = np.arange(N, dtype=np.int32)
    brands = [f"b{b}" for b in rng.integers(0, 5, N)]
    categories = [f"top > c{k // 7}" for k in kind]
    sets = sources.attribute_sets(brands, categories, [""] * N, [""] * N)
    some = np.where(rng.random(N) < 0.7, row_of, -1).astype(np.int32)
    dimensions = [
        VectorDimension("text", text, row_of),
        sources.set_dimension("attributes", sets),
        VectorDimension("reviews", noise, row_of),
        sources.centred("graph", graph, some),
        sources.price_dimension((100 + 30 * kind + rng.integers(0, 500, N)).astype(np.int64), 1, [[""]] * N),
    ]
    return dimensions, kind


def labels_of(kind, rng, some=100):
    asked = rng.permutation(N)[:some]
    mates = [np.flatnonzero((kind == kind[i]) & (np.arange(N) != i)) for i in asked]
    none = np.zeros(0, np.int64)
    return learning.Labels(np.repeat(asked, [len(m) for m in mates]), np.concatenate(mates), none, none)


@pytest.fixture(scope="module")
def learned(planted):
    dimensions, kind = planted
    base = learning.base_fusion(dimensions, N, 7)
    found = learning.examples(dimensions, labels_of(kind, np.random.default_rng(1)), N, 7)
    fusion = learning.learn("substitute", base, found, 7)
    assert fusion is not None
    return base, fusion, found


def test_learning_beats_equal_weights_and_leaves_out_what_says_nothing(learned):
    base, fusion, _ = learned
    assert fusion.facts["ndcg"] > fusion.facts["ndcg_uniform"]
    weight = dict(zip(fusion.names, fusion.weights.tolist(), strict=True))
    assert weight["reviews"] < 0.1 < weight["graph"]
    assert abs(sum(weight.values()) - 1) < 1e-5
    assert np.allclose(base.weights, 0.2)


def test_likeness_counts_more_the_more_there_is(learned):
    for values in learned[1].values:
        assert (np.diff(values) >= -1e-6).all()
        assert values.min() >= 0
        assert values.max() <= 1 + 1e-6


def test_learning_is_repeatable(planted, learned):
    dimensions, _ = planted
    again = learning.learn("substitute", learned[0], learned[2], 7)
    assert again is not None
    assert np.array_equal(again.weights, learned[1].weights)
    assert np.array_equal(learning.base_fusion(dimensions, N, 7).knots, learned[0].knots)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_contributions_sum_to_the_score_and_stay_in_bounds(learned, data):
    fusion: Fusion = learned[1]
    d = len(fusion.names)
    rows = data.draw(st.integers(1, 6))
    raw = np.array(
        data.draw(
            st.lists(
                st.lists(st.floats(-1, 1, width=32), min_size=d, max_size=d), min_size=rows, max_size=rows
            )
        ),
        np.float32,
    )
    known = np.array(
        data.draw(st.lists(st.lists(st.booleans(), min_size=d, max_size=d), min_size=rows, max_size=rows))
    )
    has = np.array(data.draw(st.lists(st.booleans(), min_size=d, max_size=d)))
    asked = data.draw(st.none() | st.dictionaries(st.sampled_from(fusion.names), st.floats(0, 5), min_size=1))
    if asked is not None and sum(asked.values()) <= 0:
        asked = None
    weights = fusion.weigh(asked, has)
    parts = fusion.parts(raw, known, weights)
    score = sum(parts[:, i] for i in range(d))
    assert np.allclose(parts.sum(1), score, atol=1e-6)
    assert (parts >= 0).all()
    assert (parts.sum(1) <= 1 + 1e-5).all()
    assert (parts[:, ~has] == 0).all()


def test_removing_the_leading_dimension_changes_the_rank(planted, learned):
    dimensions, _ = planted
    fusion = learned[1]
    rng = np.random.default_rng(3)
    changed = pairs = 0
    every = np.arange(N)
    while pairs < 1000:
        item = int(rng.integers(N))
        raw, known = learning.scores_of(dimensions, item, every)
        has = np.array([bool(d.has[item]) for d in dimensions])
        weights = fusion.weigh(None, has)
        parts = fusion.parts(raw, known, weights)
        score = parts.sum(1)
        score[item] = -1
        for other in rng.choice(np.argsort(-score, kind="stable")[:100], 5, replace=False).tolist():
            without = weights.copy()
            without[int(parts[other].argmax())] = 0
            less = fusion.parts(raw, known, without).sum(1)
            less[item] = -1
            changed += int((score > score[other]).sum() != (less > less[other]).sum())
            pairs += 1
    assert changed / pairs > 0.9


def test_missing_counts_as_an_ordinary_candidate(learned):
    fusion = learned[1]
    at = fusion.names.index("graph")
    weights = fusion.weigh(None, np.ones(len(fusion.names), bool))
    raw = np.zeros((3, len(fusion.names)), np.float32)
    raw[0, at], raw[1, at] = fusion.knots[at, 0], fusion.knots[at, -1]
    known = np.ones(raw.shape, bool)
    known[2, at] = False
    worst, best, unknown = fusion.parts(raw, known, weights).sum(1)
    assert worst < unknown < best


def test_a_dimension_that_the_product_lacks_takes_no_part(learned):
    fusion = learned[1]
    has = np.ones(len(fusion.names), bool)
    has[fusion.names.index("attributes")] = False
    weights = fusion.weigh(None, has)
    assert weights[fusion.names.index("attributes")] == 0
    assert abs(weights.sum() - 1) < 1e-5
    assert fusion.weigh(None, np.zeros(len(has), bool)).sum() == 0


def test_weights_that_are_asked_for_replace_the_learned(learned):
    fusion = learned[1]
    weights = fusion.weigh({"text": 1, "price": 0}, np.ones(len(fusion.names), bool))
    assert dict(zip(fusion.names, weights.tolist(), strict=True))["text"] == 1
    names = fusion.names
    for wrong in ({"smell": 1.0}, {"text": -1.0}, {"text": 0.0}, {"text": float("nan")}):
        with pytest.raises(QueryError):
            check_weights(wrong, names)
    assert check_weights({"image": 1.0, "text": 1.0}, names) == {"image": 1.0, "text": 1.0}
    with pytest.raises(QueryError, match="no signals"):
        check_kind("style", ("like", "same"))
    with pytest.raises(QueryError, match="unknown kind"):
        check_kind("smell", ("like",))


def test_labels_that_are_all_positive_are_refused(learned):
    base, _, found = learned
    with pytest.raises(DataError, match="are positive"):
        learning.learn("substitute", base, _all_wanted(found), 7)


def _all_wanted(found):
    return learning.Examples(
        found.raw, found.known, found.query, np.ones_like(found.wanted), found.stands_for
    )


def test_too_few_labels_leave_the_meant_weights(planted, learned):
    dimensions, kind = planted
    few = learning.examples(dimensions, labels_of(kind, np.random.default_rng(2), 10), N, 7)
    assert learning.learn("substitute", learned[0], few, 7) is None
    assert learning.prior("complement", learned[0]) is None
    assert learning.prior("style", learned[0]) is None
    assert learning.prior("same", learned[0]) is not None


def test_nan_is_an_error_and_zero_is_missing():
    vectors = np.eye(3, dtype=np.float32)
    vectors[1] = 0
    dimension = VectorDimension("text", vectors, np.arange(3, dtype=np.int32))
    assert dimension.has.tolist() == [True, False, True]
    assert dimension.raw(1, np.arange(3)).tolist() == [0, 0, 0]
    vectors[2, 0] = np.nan
    with pytest.raises(DataError, match="row 2"):
        VectorDimension("text", vectors, np.arange(3, dtype=np.int32))
    with pytest.raises(DataError, match="row 2"):
        FusedIndex.build(vectors)
    index = FusedIndex.build(np.eye(3))
    with pytest.raises(QueryError, match="NaN"):
        index.search(np.array([np.nan, 0, 0]), 1)
    with pytest.raises(DataError, match="length"):
        index.add(np.eye(4))


def test_prices_compare_by_unit_and_pack():
    texts = [["500 g"], ["1 kg"], ["250 ml"], [""], [""]]
    found = sources.price_dimension(np.array([200, 400, 200, 200, -1]), 100, texts)
    assert isinstance(found, PriceDimension)
    assert found.has.tolist() == [True, True, True, True, False]
    to = found.raw(0, np.arange(5))
    assert to[0] == pytest.approx(1)
    # The same price for a kilogram in twice the pack: near, but not the same.
    assert 0.3 < to[1] < 0.7
    # Another unit is compared by the price of the whole.
    assert to[2] == pytest.approx(1, abs=1e-3)
    assert to[3] == pytest.approx(1, abs=1e-3)


def test_neighbourhoods_know_direct_and_shared_company():
    # 0 and 1 are both taken with 2, and with something that the shop does not sell; 3 and 4 only with each other.
    rows, members = np.array([0, 2, 1, 2, 0, 1, 3, 4]), np.array([2, 0, 2, 1, 7, 7, 4, 3])
    hood = sources.hood_dimension("view", 5, rows, members, np.ones(8), np.full(8, 3))
    assert isinstance(hood, HoodDimension)
    to = hood.raw(0, np.arange(5))
    assert to[1] > 0.3
    assert to[2] > 0.3
    assert to[3] == to[4] == 0
    assert hood.near(0, 5).tolist() == [2]
    assert hood.shared(0, np.array([0, 2, 1])).tolist() == [0, 3, 0]


def test_sets_say_the_same_of_all_as_of_some():
    rng = np.random.default_rng(1)
    sets = sources.set_dimension("attributes", sp.random(5000, 60, 0.05, "csr", random_state=rng))
    every = np.arange(5000)
    assert np.allclose(
        sets.raw(3, every), np.concatenate([sets.raw(3, part) for part in np.split(every, 5)]), atol=1e-5
    )
    assert sets.raw(3, every)[3] == pytest.approx(1, abs=1e-3)


def test_lists_of_shoppers_in_common():
    has = sp.csr_matrix(np.array([[1, 1, 0, 0], [1, 1, 0, 1], [1, 0, 1, 0], [0, 0, 1, 0]], np.float32))
    found = sources.shopper_lists("behaviour", has, k=2)
    assert found.has.tolist() == [True, True, True, False]
    assert found.near(0, 5).tolist() == [1, 2]
    assert found.shared(0, np.array([1, 2])).tolist() == [2, 1]
    assert found.raw(0, np.array([1]))[0] > found.raw(0, np.array([2]))[0] > 0


def test_all_forms_are_read_back(planted, tmp_path):
    dimensions, _ = planted
    hood = sources.hood_dimension("view", N, np.array([0, 1]), np.array([1, 0]), np.ones(2), np.ones(2))
    lists = sources.shopper_lists("behaviour", sp.csr_matrix(np.ones((3, N), np.float32)), k=3)
    every = [*dimensions, hood, lists]
    back = load_dimensions(tmp_path, save_dimensions(tmp_path, every))
    for before, after in zip(every, back, strict=True):
        assert before.name == after.name
        assert np.array_equal(before.has, after.has)
        assert np.allclose(before.raw(0, np.arange(N)), after.raw(0, np.arange(N)), atol=2e-3)


def test_a_dimension_that_came_later_is_known_of_nobody(planted):
    dimensions, kind = planted
    names = ["text", "attributes", "reviews", "graph", "basket", "price"]
    before = sources.aligned(dimensions, names, N)
    assert [d.name for d in before] == names
    assert not before[4].has.any()
    base = learning.base_fusion(before, N, 7)
    fusion = learning.learn(
        "substitute", base, learning.examples(before, labels_of(kind, np.random.default_rng(1)), N, 7), 7
    )
    assert fusion is not None
    assert fusion.weights[4] == 0


def test_sequences_make_pairs():
    a, b, weight = sources.sequence_pairs([np.array([0, 1, 2]), np.array([1, 0])], window=2)
    assert dict(zip(zip(a.tolist(), b.tolist(), strict=True), weight.tolist(), strict=True)) == {
        (0, 1): 2.0, (1, 2): 1.0, (0, 2): 0.5,
    }  # fmt: skip


# -- the index ----------------------------------------------------------------------------------------------------


@pytest.fixture
def graph_index(monkeypatch):
    """An index of 3,000 rows that is a graph."""
    monkeypatch.setattr(indexing, "EXACT", 1000)
    monkeypatch.setattr(indexing, "SELECTIVE", 100)
    rng = np.random.default_rng(7)
    vectors = rng.standard_normal((60, 16))[rng.integers(0, 60, 3000)] + 0.4 * rng.standard_normal((3000, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    return vectors, FusedIndex.build(vectors, threads=1)


def truth(vectors, query, k, allowed=None):
    value = vectors.astype(np.float32) @ query.astype(np.float32)
    if allowed is not None:
        value = np.where(allowed, value, -np.inf)
    return np.argsort(-value, kind="stable")[:k]


def test_the_graph_finds_what_comparing_all_finds(graph_index):
    vectors, index = graph_index
    found = [len(np.intersect1d(index.search(v, 10)[0], truth(vectors, v, 10))) for v in vectors[:100]]
    assert np.mean(found) >= 9.7


@pytest.mark.parametrize("share", [0.5, 0.05, 0.01])
def test_filters_are_kept_and_still_fill_the_list(graph_index, share):
    vectors, index = graph_index
    allowed = np.random.default_rng(1).random(len(vectors)) < share
    for v in vectors[:30]:
        rows, values = index.search(v, 10, allowed)
        assert allowed[rows].all()
        assert len(rows) == 10
        assert (np.diff(values) <= 1e-6).all()
        assert len(np.intersect1d(rows, truth(vectors, v, 10, allowed))) >= 9
    assert len(index.search(vectors[0], 5, np.zeros(len(vectors), bool))[0]) == 0


def test_the_index_is_mapped_and_grows(graph_index, tmp_path):
    vectors, index = graph_index
    index.save(tmp_path)
    mapped = FusedIndex.load(tmp_path)
    assert np.array_equal(mapped.search(vectors[5], 5)[0], index.search(vectors[5], 5)[0])
    fresh = -vectors[:20]
    rows = mapped.add(fresh, threads=1)
    assert rows.tolist() == list(range(3000, 3020))
    assert all(
        int(mapped.search(v.astype(np.float32), 1)[0][0]) == r for v, r in zip(fresh, rows, strict=True)
    )
    # What is on disk is as it was.
    assert len(FusedIndex.load(tmp_path)) == 3000


def test_a_small_index_is_exact_and_becomes_a_graph(monkeypatch):
    monkeypatch.setattr(indexing, "EXACT", 500)
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((600, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    index = FusedIndex.build(vectors[:400])
    assert np.array_equal(index.search(vectors[3], 10)[0], truth(vectors[:400], vectors[3], 10))
    index.add(vectors[400:], threads=1)
    assert len(index) == 600
    assert index.memory_bytes > 600 * 16
    assert int(index.search(vectors[599].astype(np.float32), 1)[0][0]) == 599
    assert len(index.search(vectors[0], 10_000)[0]) == 600


def test_blocks_weigh_for_a_request():
    blocks = Blocks(("text", "price"), (2, 2))
    one = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    other = np.array([[1, 0], [1, 0], [0, 0]], np.float32)
    vectors = fused(blocks, [one, other], 3)
    # The third lacks a price, and is as long as the others.
    assert np.allclose(np.linalg.norm(vectors.astype(np.float32), axis=1), 1, atol=1e-3)
    index = FusedIndex.build(vectors)
    by_price = index.search(blocks.query(vectors[0], {"price": 1}), 3)
    assert by_price[0][:2].tolist() == [0, 1]
    by_text = index.search(blocks.query(vectors[0], {"text": 1}), 3)
    assert by_text[0][0] == 2
    assert by_text[1][-1] == 0


def test_an_artefact_of_an_earlier_form_says_what_to_do(tmp_path):
    seal(tmp_path, KIND)
    with pytest.raises(IncompatibleArtifact, match="earlier form"):
        Similar(tmp_path)
