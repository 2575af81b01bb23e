from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wares.models.sentiment.drift import LEAST_TEXTS, Stream, doubtful, drift, holm, js_distance, psi

WORDS = [
    "the",
    "lamp",
    "is",
    "bright",
    "and",
    "I",
    "like",
    "it",
    "very",
    "much",
    "but",
    "price",
    "delivery",
    "box",
    "cable",
    "switch",
    "shade",
    "colour",
    "night",
]


def _stream(rng, n: int = 900, days: int = 300, **changes: Any) -> Stream:
    facts: dict[str, Any] = {
        "day": np.sort(rng.integers(0, days, n)), "language": np.zeros(n, int), "blank": np.zeros(n, bool),
        "confidence": rng.uniform(0.6, 1, n), "sure": rng.random(n) < 0.5, "mood": rng.uniform(-1, 1, n),
        "stars": np.full(n, np.nan), "texts": [" ".join(rng.choice(WORDS, rng.integers(3, 12))) for _ in range(n)],
    }  # fmt: skip
    facts["stars"] = np.where(facts["mood"] > 0, 5.0, 1.0)
    return Stream(**{**facts, **changes})


def _drifted(stream: Stream) -> set[str]:
    found = drift(stream)
    assert found is not None
    return {m.name for m in found.measures if m.drifted}


def test_nothing_drifts_where_nothing_does():
    for seed in range(8):
        assert _drifted(_stream(np.random.default_rng(seed))) == set()


def test_each_kind_of_drift_is_named():
    rng = np.random.default_rng(20)
    base = _stream(rng)
    late = base.day > 272
    n = len(late)
    assert _drifted(_stream(np.random.default_rng(20), language=np.where(late, 1, 0))) == {"languages"}
    assert "wording" in _drifted(
        _stream(
            np.random.default_rng(20),
            texts=["谢谢 客服 退款 很慢" if late[i] else base.texts[i] for i in range(n)],
        )
    )
    assert "blank" in _drifted(_stream(np.random.default_rng(20), blank=late & (rng.random(n) < 0.4)))
    assert "confidence" in _drifted(
        _stream(np.random.default_rng(20), confidence=np.where(late, 0.55, base.confidence))
    )
    assert "sure" in _drifted(_stream(np.random.default_rng(20), sure=base.sure & ~late))
    turned = np.where(late & (rng.random(n) < 0.5), -base.mood, base.mood)
    assert "agreement with stars" in _drifted(
        _stream(np.random.default_rng(20), mood=turned, stars=base.stars)
    )


def test_too_few_texts_say_nothing():
    assert drift(_stream(np.random.default_rng(1), n=2 * LEAST_TEXTS - 1)) is None
    assert drift(_stream(np.random.default_rng(1), n=0)) is None


def test_the_least_sure_recent_texts_are_asked_for_once_each():
    rng = np.random.default_rng(2)
    stream = _stream(rng)
    stream.texts[-1] = stream.texts[-2] = "odd"
    stream.confidence[-2:] = 0.1
    rows = doubtful(stream, 5)
    assert rows[0] == len(stream.day) - 2
    assert len({stream.texts[int(i)] for i in rows}) == 5
    assert (np.diff(stream.confidence[rows]) >= 0).all()
    assert (stream.day[rows] > 200).all()


def test_distances_and_corrections():
    assert psi(np.array([5, 5]), np.array([50, 50])) == pytest.approx(0)
    assert psi(np.array([90, 10]), np.array([50, 50])) > 0.25
    assert js_distance(np.array([1, 0]), np.array([0, 1])) == pytest.approx(1)
    assert js_distance(np.array([3, 1]), np.array([3, 1])) == pytest.approx(0)
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
