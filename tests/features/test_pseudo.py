from __future__ import annotations

import numpy as np
import pytest
from tests.features.test_adapt import offers, recipe, tiny  # noqa: F401

from wares.core.errors import DataError
from wares.features.adapt_pseudo_train import adapt
from wares.features.pairs import TEST, TRAIN, VALID, PairSet, from_groups, split_nodes
from wares.features.pseudo import find, threshold, unlabelled, wilson, with_pseudo


def planted(groups=300, free=150, noise=0.25, seed=0):
    """Groups of two with vectors near each other; the last `free` groups are not named, and half of those have no mate at all."""
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=(groups, 24))
    texts, names, rows, truth = [], [], [], []
    for g in range(groups):
        hidden = g >= groups - free
        for k in range(1 if hidden and g % 2 else 2):
            texts.append(f"thing {g} {'ab'[k]}")
            names.append("" if hidden else str(g))
            truth.append(g)
            rows.append(centre[g] + noise * rng.normal(size=24) * (1 + 2 * (g % 3 == 0)))
    vectors = np.array(rows, np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return from_groups(texts, names), vectors, np.array(truth)


@pytest.mark.parametrize("precision", [0.8, 0.95])
def test_pairs_that_nobody_gave_are_found_at_about_the_wanted_precision(precision):
    pairs, vectors, truth = planted()
    part = split_nodes(pairs, 1, valid=0.5, test=0.1)
    found = find(pairs, part, np.ones(len(pairs), bool), vectors, precision, 3)
    assert found.facts["unlabelled"] == (pairs.group < 0).sum()
    assert found.facts["pairs"] == len(found.edges) > 30
    assert (pairs.group[found.edges] < 0).all()
    right = (truth[found.edges[:, 0]] == truth[found.edges[:, 1]]).mean()
    assert right > precision - 0.08
    assert found.facts["precision"] >= precision
    assert found.facts["interval"][0] < found.facts["precision"]
    assert ((found.confidence >= 0.5) & (found.confidence <= 1)).all()
    again = find(pairs, part, np.ones(len(pairs), bool), vectors, precision, 3)
    assert np.array_equal(again.edges, found.edges)
    more = with_pseudo(pairs, found)
    assert more.facts()["edges"]["pseudo"] == len(found.edges)
    assert more.digest != pairs.digest


def test_vectors_that_know_nothing_find_nothing():
    pairs, vectors, _ = planted()
    part = split_nodes(pairs, 1, valid=0.5, test=0.1)
    noise = np.random.default_rng(1).normal(size=vectors.shape).astype(np.float32)
    found = find(pairs, part, np.ones(len(pairs), bool), noise, 0.9, 3)
    assert not len(found.edges)
    assert "no margin" in found.facts["why"]
    assert with_pseudo(pairs, found) is pairs
    none = np.full_like(vectors, np.nan)
    assert not len(find(pairs, part, np.ones(len(pairs), bool), none, 0.9, 3).edges)


def test_what_is_labelled_held_out_asked_or_blank_is_never_taken():
    texts = ["a 1", "a 2", "b", "b", "", "c", "d", "a 1"]
    pairs = PairSet(
        texts, np.array([0, 0, 0, 0, 0, 1, 0, 0], bool), np.array([0, 0, -1, -1, -1, -1, 7, -1]),
        category=np.full(8, -1, np.int32),
    )  # fmt: skip
    part = np.full(8, TRAIN, np.int8)
    everything = np.ones(8, bool)
    assert unlabelled(pairs, part, everything).tolist() == [2, 6]
    part[3] = TEST
    assert unlabelled(pairs, part, everything).tolist() == [6]
    part[:2] = VALID
    nothing = find(pairs, part, everything, np.eye(8, dtype=np.float32), 0.9, 1)
    assert "no two texts" in nothing.facts["why"]


def test_the_threshold_is_the_lowest_that_holds_the_precision_and_needs_enough():
    score = np.linspace(2, 1, 100)
    correct = np.arange(100) < 50
    cut, n = threshold(score, correct, 0.8)
    assert n == 62
    assert (score >= cut).sum() == 62
    assert threshold(score[:10], correct[:10], 0.5) == (float("inf"), 0)
    assert threshold(score, ~correct, 0.9)[0] == float("inf")
    assert threshold(np.ones(40), np.arange(40) < 20, 0.6)[0] == float("inf")
    low, high = wilson(18, 20)
    assert 0.69 < low < 0.71
    assert 0.97 < high < 0.98
    assert wilson(0, 0) == (0.0, 1.0)


def few_labels(groups=200, named=130):
    """Offers of which only those of the first things are known to belong together."""
    full = offers(groups)
    names = [str(g) if g < named else "" for g in full.group.tolist()]
    return from_groups(full.texts, names)


@pytest.mark.parametrize("source", ["first", "untuned"])
def test_a_run_with_pairs_that_nobody_gave(tiny, tmp_path, source):  # noqa: F811
    pairs = few_labels()
    part = split_nodes(pairs, 1, valid=0.3, test=0.2)
    settings = recipe(tiny, pseudo=0.3, pseudo_from=source)
    said = []
    outcome = adapt(pairs, part, settings, tmp_path, say=said.append)
    facts = outcome.facts["pseudo"]
    assert facts["from"] == source
    assert facts["calibrated_on"] > 10
    if facts["pairs"]:
        assert facts["precision"] >= 0.3
        assert outcome.facts["signals"]["pairs"]["pseudo"] == facts["pairs"]
    else:
        assert "no margin" in facts["why"]
    assert any(s.startswith("first round") for s in said) == (source == "first")
    if source == "first":
        assert facts["pairs"] > 0, facts
        # What the held-out queries look for is what people gave.
        assert (outcome.test.pairs.group[outcome.test.queries] >= 0).all()
        again = []
        resumed = adapt(pairs, part, settings, tmp_path, resume=True, say=again.append)
        assert not any(s.startswith("first round") for s in again)
        assert resumed.facts["pseudo"] == facts
        assert np.array_equal(resumed.vectors, outcome.vectors)
        other = recipe(tiny, pseudo=0.5)
        with pytest.raises(DataError, match="no interrupted run"):
            adapt(pairs, part, other, tmp_path, resume=True)
