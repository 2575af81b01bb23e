from __future__ import annotations

import numpy as np
import pytest

from wares.models.price.emerging_infer import Emerging, riser_words
from wares.models.price.emerging_train import FALSE_RATE, fit, rises, windows


def counts(seed, n=2000, groups=40):
    rng = np.random.default_rng(seed)
    group = rng.integers(groups, size=n)
    rate = np.exp(rng.normal(1.5, 1.0, n))
    return rng, group, rng.poisson(3 * rate), rng.poisson(rate), rate


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_chance_alone_lists_nothing_much(seed):
    _, group, past, recent, _ = counts(seed)
    assert (rises(recent, past, group).q <= FALSE_RATE).mean() < 0.002


def test_noisier_demand_than_poisson_does_not_fill_the_list():
    rng, group, past, _, rate = counts(4)
    recent = rng.poisson(rate * rng.gamma(4, 1 / 4, len(rate)))
    found = rises(recent, past, group)
    assert found.dispersion > 1.0
    assert (found.q <= FALSE_RATE).mean() < 0.02


def test_a_product_rises_but_not_with_its_whole_category():
    rng, group, past, recent, rate = counts(5)
    chosen = np.flatnonzero((group > 5) & (rate > 5))[:25]
    recent[chosen] = rng.poisson(4 * rate[chosen])
    feast = group == 2
    recent[feast] = rng.poisson(3 * rate[feast])
    found = rises(recent, past, group)
    listed = found.q <= FALSE_RATE
    assert listed[chosen].mean() > 0.8
    assert listed[feast].mean() < 0.1
    assert (found.ratio[chosen] > 1.3).mean() > 0.8
    assert (found.low < found.ratio).all()
    assert found.trend[feast].mean() > 2
    wrong = listed.sum() - listed[chosen].sum()
    assert wrong <= 0.2 * listed.sum()


def test_the_category_itself_is_listed(tmp_path):
    rng, group, past, recent, rate = counts(6)
    feast = group == 2
    recent[feast] = rng.poisson(3 * rate[feast])
    days = (0, 84, 112)
    fit(recent, past, group.astype(np.int32), days, tmp_path / "e")
    book = Emerging(tmp_path / "e")
    first = book.categories(5)[0]
    assert group[first.row] == 2
    assert book.days == list(days)
    assert "4 weeks" in riser_words(first, (4, 12), category=True)
    assert "周" in riser_words(first, (4, 12), "zh")


def test_nothing_and_too_little(tmp_path):
    none = np.zeros(3, int)
    assert (rises(none, none, none).q == 1).all()
    assert (rises(np.ones(3), none, np.full(3, -1)).q == 1).all()
    assert len(rises(np.zeros(0), np.zeros(0), np.zeros(0, int)).q) == 0
    assert windows(0, 20 * 86_400) is None
    assert windows(0, 200 * 86_400) == (89, 173, 201)
    fit(none, none, np.full(3, -1), None, tmp_path / "e")
    assert Emerging(tmp_path / "e").products(5) == []
    assert Emerging(tmp_path / "e").categories(5) == []
