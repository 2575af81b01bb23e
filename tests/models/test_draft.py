"""Drafts of parts that reach few items are those of the whole catalogue."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from wares.models.recommend.draft import Draft
from wares.models.recommend.parts import Own, Weights, query_matrix

ITEMS = 60


def weights(seed: int, density: float, *, negative: bool) -> sp.csr_matrix:
    rng = np.random.default_rng(seed)
    # Few distinct values, so that ties are many.
    values = rng.choice([-2.0, -1.0, 1.0, 2.0, 3.0] if negative else [1.0, 2.0, 3.0], (ITEMS, ITEMS))
    return sp.csr_matrix((values * (rng.random((ITEMS, ITEMS)) < density)).astype(np.float32))


def expected(scores, histories, c, allowed, exclude):
    """The lists by sorting all items, and their deviations from the mean."""
    out = []
    for row, history in zip(scores.astype(np.float64), histories, strict=True):
        shown = np.ones(ITEMS, bool) if allowed is None else allowed.copy()
        if exclude:
            shown[history] = False
        if row.std() <= 1e-9:
            out.append(([], []))
            continue
        order = np.lexsort((np.arange(ITEMS), -row))
        order = order[shown[order]][:c]
        out.append((order.tolist(), ((row - row.mean()) / row.std())[order]))
    return out


@given(
    seed=st.integers(0, 10**6),
    density=st.sampled_from([0.0, 0.02, 0.2, 1.0]),
    negative=st.booleans(),
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    c=st.sampled_from([1, 5, 40, 200]),
    hide=st.booleans(),
    exclude=st.booleans(),
)
def test_few_items_are_drafted_as_from_the_whole_catalogue(
    seed, density, negative, lengths, c, hide, exclude
):
    rng = np.random.default_rng(seed)
    histories = [rng.integers(0, ITEMS, n).astype(np.int32) for n in lengths]
    allowed = rng.random(ITEMS) < 0.5 if hide else None
    before = None if allowed is None else allowed.copy()
    part = Weights(weights(seed, density, negative=negative), 0.5)
    draft = Draft.of(part, histories, ITEMS, c=c, allowed=allowed, exclude=exclude)
    for line, (ids, z) in enumerate(expected(part.scores(histories), histories, c, allowed, exclude)):
        found = draft.ids[line]
        assert found[found >= 0].tolist() == ids
        assert np.allclose(draft.scores[line][: len(ids)], z, atol=2e-2)
    assert before is None or np.array_equal(before, allowed)


def test_one_history_and_many_lead_to_the_same_items():
    rng = np.random.default_rng(5)
    part = Weights(weights(3, 0.1, negative=True), 0.7)
    histories = [rng.integers(0, ITEMS, n).astype(np.int32) for n in (0, 1, 4, 9, 120, 3, 2, 7, 5, 6, 8)]
    many = part.reached(histories)
    assert np.allclose(many.dense(ITEMS), part.scores(histories), atol=1e-5)
    for row, history in enumerate(histories):
        assert np.allclose(part.reached([history]).dense(ITEMS)[0], many.dense(ITEMS)[row], atol=1e-5)


def test_dense_weights_reach_everything():
    assert Weights(np.eye(4, dtype=np.float32), 0.5).reached([np.array([1], np.int32)]) is None


def test_weights_that_are_no_numbers_propose_nothing_infinite():
    matrix = weights(1, 0.3, negative=False)
    matrix.data[:5] = np.nan
    draft = Draft.of(Weights(matrix, 0.5), [np.arange(4, dtype=np.int32)], ITEMS, c=10)
    assert np.isfinite(draft.scores).all()


def test_what_was_had_counts_as_often_as_it_was_had():
    part = Own(6, 0.5)
    assert part.scores([np.array([1, 2, 1], np.int32)])[0] == pytest.approx([0, 1.25, 0.5, 0, 0, 0])


def test_a_repeated_item_counts_once_by_its_newest_place():
    assert query_matrix([np.array([1, 2, 1], np.int32)], 4, 0.5).toarray()[0].tolist() == [0, 1, 0.5, 0]
