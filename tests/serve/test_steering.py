from __future__ import annotations

import pytest

from wares.core.errors import NotFound
from wares.serve.ranker import load_ranker
from wares.serve.steering import Steering


@pytest.fixture(scope="module")
def ranker(built):
    return load_ranker(built.root)


def ids(hits):
    return [h.product.product_id for h in hits]


def test_nothing_asked_is_no_steering():
    assert Steering.asked(None, [], 0, 0.0, 0.0, 0.0) is None


def test_rules_reach_the_list(ranker):
    plain = ids(ranker.recommend("u001", k=8))
    last = str(ranker.catalogue.ids[0])
    found = ranker.recommend("u001", k=8, steering=Steering(exclude=(plain[0], "ghost"), pin=(last,)))
    assert ids(found)[0] == last
    assert plain[0] not in ids(found)
    assert all(h.why.text for h in found)
    capped = ranker.recommend("u001", k=8, steering=Steering(per_brand=1))
    brands = [h.product.brand for h in capped if h.product.brand]
    assert len(brands) == len(set(brands))


def test_calibration_and_diversity_change_the_mix(ranker):
    plain = {h.product.category for h in ranker.recommend("u001", k=8)}
    wide = {h.product.category for h in ranker.recommend("u001", k=8, steering=Steering(diversity=1.0))}
    assert len(wide) >= len(plain)
    assert ranker.recommend("u001", k=8, steering=Steering(calibrate=1.0, margin=1.0))


def test_an_unknown_pin_is_named(ranker):
    with pytest.raises(NotFound, match="ghost"):
        ranker.recommend("u001", steering=Steering(pin=("ghost",)))
