from __future__ import annotations

import numpy as np
import pytest

from wares.core.errors import ModelError
from wares.evaluate.cost import cost, measure, plan, shop


def test_the_generated_shop_has_circles():
    sequences = shop(400, 300, 1)
    assert len(sequences) == 300
    assert max(s.max() for s in sequences) < 400
    same = [np.mean(s // 40 == np.bincount(s // 40).argmax()) for s in sequences]
    assert np.mean(same) > 0.8


@pytest.mark.parametrize("model", ["knn", "next", "implicit cosine", "implicit als"])
def test_a_model_is_measured(model):
    found = measure(model, 200, 300, 1)
    assert found["fit_s"] >= 0
    assert found["peak_mb"] >= found["data_mb"]
    assert found["requests_per_s"] > 0
    assert found["batch_per_s"] > 0


def test_large_catalogues_leave_out_what_would_not_fit():
    assert "ease" not in [m for m, _ in plan([1_000_000])]
    assert "next" in [m for m, _ in plan([1_000_000])]


def test_runs_apart_and_names_what_failed(monkeypatch):
    runs = [("popular", 200), ("magic", 200)]
    monkeypatch.setattr("wares.evaluate.cost.plan", lambda sizes: runs)
    told = []
    found = cost([200], 1.0, 2, 3, seen=told.append)
    assert [r["model"] for r in found["rows"]] == ["popular"]
    assert [r["model"] for r in found["failed"]] == ["magic"]
    assert "no model 'magic'" in found["failed"][0]["reason"]
    assert [r["model"] for r in told] == ["popular", "magic", "popular"]
    del runs[0]
    with pytest.raises(ModelError, match="magic with 200 items"):
        cost([200], 1.0, 1, 3)


def test_a_run_that_takes_too_long_is_left(monkeypatch):
    monkeypatch.setattr("wares.evaluate.cost.plan", lambda sizes: [("popular", 200)])
    with pytest.raises(ModelError, match="took longer than"):
        cost([200], 1.0, 1, 3, limit_s=0.01)
