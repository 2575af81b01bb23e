from __future__ import annotations

import numpy as np
import pytest

from wares.evaluate.report import Setting, differences


def test_differences_are_paired_and_against_the_best():

    truth = [np.array([u], np.int32) for u in range(40)]
    ours = np.stack([np.array([u, 99]) for u in range(40)]).astype(np.int32)
    second = np.stack([np.array([99, u]) for u in range(40)]).astype(np.int32)
    never = np.full((40, 2), 98, np.int32)
    nothing = np.zeros(100, np.int8)
    setting = Setting([1, 2], 100, 40, nothing, nothing > 0, nothing.astype(np.int32), nothing, 100, 3)
    found = differences({"wares": ours, "second": second, "never": never}, truth, setting)
    assert found["ndcg@2"]["against"] == "second"
    assert found["ndcg@2"]["mean"] == pytest.approx(1 - 1 / np.log2(3))
    # Every shopper gains the same, so that the paired interval has no width, however far shoppers differ.
    assert found["ndcg@2"]["interval"] == pytest.approx((1 - 1 / np.log2(3),) * 2)
    assert found["recall@2"]["mean"] == 0
    assert differences({"wares": ours}, truth, setting) == {}
