from __future__ import annotations

import numpy as np
import pytest

from wares.models.similar.dimensions import SetDimension, VectorDimension
from wares.models.similar.fusion_train import base_fusion, first_of, prior
from wares.models.similar.lists_train import LISTED, listed_rows, lists_of
from wares.models.similar.train import Texts

N, KINDS = 60, 6


@pytest.fixture(scope="module")
def shop():
    """Sixty products of six kinds, each with a text of its own near to those of its kind, the last one without."""
    rng = np.random.default_rng(3)
    kind = np.arange(N) % KINDS
    vectors = rng.normal(size=(KINDS, 16))[kind] + 0.2 * rng.normal(size=(N, 16))
    row_of = np.arange(N, dtype=np.int32)
    row_of[-1] = -1
    text = VectorDimension("text", vectors.astype(np.float32), row_of)
    empty = np.zeros(0, np.int32)
    nothing = SetDimension("basket", np.zeros(N + 1, np.int64), empty, empty.astype(np.float32))
    cosines = np.stack([text.raw(i, np.arange(N)) for i in range(N)])
    near = np.argsort(-cosines, axis=1, kind="stable")[:, :20].astype(np.int32)
    texts = Texts(np.arange(N, dtype=np.int32), near, np.eye(16, dtype=np.float32), np.arange(N)[::-1].copy())
    return kind, [text, nothing], texts


def test_lists_hold_what_is_like_and_never_the_product_itself(shop):
    kind, dimensions, texts = shop
    base = base_fusion(dimensions[:1], N, 7)
    rows = listed_rows(texts.sold, 30)
    assert rows.tolist() == list(range(30))
    found = {"like": base, "substitute": prior("substitute", base)}
    ids, sims = lists_of(dimensions[:1], found, texts, rows, k=5)
    assert ids.shape == sims.shape == (30, len(LISTED), 5)
    for place in (0, 1):
        assert (ids[:, place] >= 0).all()
        assert (kind[ids[:, place]] == kind[rows][:, None]).all()
        assert not (ids[:, place] == rows[:, None]).any()
    assert (np.diff(sims[:, 0].astype(np.float32), axis=1) <= 0).all()
    # No signals for a kind, no list of it.
    assert (ids[:, 2] == -1).all()
    assert (sims[:, 2] == 0).all()


def test_a_product_of_which_nothing_is_known_has_and_is_in_no_list(shop):
    _, dimensions, texts = shop
    ids, sims = lists_of(
        dimensions[:1], {"like": base_fusion(dimensions[:1], N, 7)}, texts, np.arange(N, dtype=np.int32)
    )
    assert (ids[-1] == -1).all()
    assert not (ids == N - 1).any()
    assert (sims[ids >= 0] > 0).all()
    assert np.isfinite(sims).all()


def test_no_dimensions_and_nothing_sold_give_empty_lists(shop):
    texts = shop[2]
    ids, sims = lists_of([], {}, texts, np.array([0, 1], np.int32))
    assert (ids == -1).all()
    assert not sims.any()
    assert listed_rows(np.array([0, 0])).tolist() == []
    assert listed_rows(np.array([1, 0, 3, 3]), 2).tolist() == [2, 3]


@pytest.mark.parametrize("n", [0, 5, 20, 21, 4000])
def test_the_first_few_are_those_of_a_stable_sort(n):
    value = np.random.default_rng(n).integers(0, 12, n).astype(np.float32)
    assert first_of(value, 20).tolist() == np.argsort(-value, kind="stable")[:20].tolist()
