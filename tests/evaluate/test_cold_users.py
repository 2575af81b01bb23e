from __future__ import annotations

import numpy as np
import pytest

from wares.core import bundles
from wares.evaluate import cold_users as cold
from wares.models.recommend.infer import Recommender
from wares.pipeline.services import evaluate_again, evaluate_cold_users
from wares.serve.ranker import load_ranker


@pytest.fixture(scope="module")
def known(built):
    ranker = load_ranker(built.root)
    data = ranker.interactions
    categories = [str(name) for name in ranker.catalogue.columns["category"]]
    recent = data.rows(), data.items.astype(np.int64)
    vectors = np.asarray(ranker.searcher.vectors)[ranker.catalogue.text_of].astype(np.float32)
    return cold.knowledge(
        Recommender(bundles.live_bundle(built.root) / "recommend"), data, recent, categories, vectors
    )


def test_a_fifth_is_unseen_and_always_the_same():
    names = [f"u{n}" for n in range(2000)]
    hidden = cold.unseen(names, 7)
    assert 0.15 < hidden.mean() < 0.25
    assert np.array_equal(hidden, cold.unseen(names, 7))
    assert not np.array_equal(hidden, cold.unseen(names, 8))


def test_deeds_of_one_taste_help_a_newcomer(known):
    rng = np.random.default_rng(7)
    sequences = []
    for taste in (0, 1, 2, 3) * 10:
        pool = np.flatnonzero((known.top_of == taste) & (known.popular > 0))
        sequences.append(rng.choice(pool, 9, replace=False).astype(np.int32))
    found = cold.figures(known, cold.Newcomers(sequences, sequences), 2.0, 0.7)
    assert found["newcomers"] == 40
    assert found["after3_ndcg@10"] > found["popular_after3_ndcg@10"] * 1.5
    assert found["after3_ndcg@10"] > found["after0_ndcg@10"]
    assert found["segment_after3_ndcg@10"] > found["popular_after3_ndcg@10"]
    assert found["picks1_newcomers"] > 0
    # What was revealed is in no list.
    assert not set(sequences[0][:3]) & set(cold.ranked(known, sequences[0][:3], 2.0, 0.7, 20).tolist())


def test_nobody_new_is_no_fault(known):
    assert cold.figures(known, cold.Newcomers([], []), 0.0, 0.7) == {"newcomers": 0.0}


def test_reports_are_flat(built):
    again = evaluate_again(built, (7, 14), "wares evaluate again", lambda _: None)
    assert {"command", "seed", "metrics", "seconds", "peak_rss_mb", "split"} <= again.keys()
    assert again["metrics"]["pairs"] > 0
    assert all(isinstance(v, float) for v in again["metrics"].values())
    cold_report = evaluate_cold_users(built, "wares evaluate cold-users", lambda _: None)
    assert cold_report["metrics"]["newcomers"] >= 0
    assert set(cold_report["validation_ndcg@10"]) == {"0.0", "0.5", "2.0", "8.0"}
