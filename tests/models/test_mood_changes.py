from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from wares.models.sentiment import change, change_counts
from wares.models.sentiment.shrink import Prior

PRIOR = Prior(0.15, 10.0, 0.8)


def _scores(rng, bad):
    """What a classifier that is right on nine of ten says of texts that are bad or not."""
    right = rng.random(len(bad)) < 0.9
    return np.where(bad == right, rng.uniform(0.7, 1, len(bad)), rng.uniform(0, 0.3, len(bad)))


@cache
def _tables():
    rng = np.random.default_rng(0)
    pool = _scores(rng, rng.random(4000) < 0.15)
    prior = Prior(float(pool.mean()), 10.0, 0.7)
    return prior, change.simulate_thresholds(pool, prior, 0.1, 1, histories=300)


def _year(rng, rate, shift=0.0, at=10**9, volume=2.0, days=365):
    day = np.repeat(np.arange(days), rng.poisson(volume, days))
    bad = rng.random(len(day)) < np.where(day >= at, rate + shift, rate)
    unique, place = np.unique(day, return_inverse=True)
    return (
        unique,
        np.bincount(place, _scores(rng, bad), len(unique)),
        np.bincount(place, minlength=len(unique)).astype(float),
    )


def test_false_alarms_are_those_that_are_stated():
    prior, (worse, better) = _tables()
    rng = np.random.default_rng(5)
    count = 0
    for _ in range(200):
        volume = float(np.exp(rng.uniform(np.log(0.2), np.log(4))))
        count += len(
            change.changes(*_year(rng, float(rng.beta(1.5, 8.5)), volume=volume), prior, worse, better)
        )
    # 0.1 a year and direction; up to twice that, the simulated threshold and 200 years being what they are.
    assert 0.05 <= count / 200 <= 0.4


def test_a_planted_change_is_found_where_it_is():
    prior, (worse, better) = _tables()
    rng = np.random.default_rng(6)
    found = [change.changes(*_year(rng, 0.1, 0.4, 200), prior, worse, better) for _ in range(40)]
    hits = [next((c for c in some if c.day >= 200 and c.up), None) for some in found]
    there = [c for c in hits if c is not None]
    assert len(there) >= 38
    assert np.median([c.day - 200 for c in there]) <= 12
    assert np.median([abs(c.since - 200) for c in there]) <= 6
    one = there[0]
    assert one.before[1] < one.before[0] < one.before[2] < one.after[0]
    assert one.texts_after >= 3
    assert 0 < one.rate <= 0.1


def test_recovery_is_a_change_for_the_better():
    prior, (worse, better) = _tables()
    rng = np.random.default_rng(7)
    day = np.repeat(np.arange(400), 3)
    bad = rng.random(len(day)) < np.where((day >= 150) & (day < 260), 0.7, 0.1)
    unique, place = np.unique(day, return_inverse=True)
    found = change.changes(
        unique, np.bincount(place, _scores(rng, bad)), np.bincount(place).astype(float), prior, worse, better
    )
    assert [c.up for c in found][:2] == [True, False]
    assert 258 <= found[1].since <= 266


def test_what_is_bad_from_the_start_did_not_change():
    prior, (worse, better) = _tables()
    found = change.changes(np.arange(100), np.full(100, 0.9), np.ones(100), prior, worse, better)
    assert found == []


def test_busy_days_raise_nothing_by_themselves():
    prior, (worse, better) = _tables()
    rng = np.random.default_rng(8)
    volume = np.where((np.arange(365) >= 200) & (np.arange(365) < 230), 12, 1)
    count = 0
    for _ in range(40):
        day = np.repeat(np.arange(365), rng.poisson(volume))
        unique, place = np.unique(day, return_inverse=True)
        sums = np.bincount(place, _scores(rng, rng.random(len(day)) < 0.15), len(unique))
        found = change.changes(unique, sums, np.bincount(place).astype(float), prior, worse, better)
        count += sum(200 <= c.day < 230 for c in found)
    assert count <= 4


def test_only_the_past_is_used():
    prior, (worse, better) = _tables()
    days, sums, counts = _year(np.random.default_rng(9), 0.1, 0.5, 180)
    whole = change.changes(days, sums, counts, prior, worse, better)
    half = int(np.searchsorted(days, whole[0].day)) + 1
    assert change.changes(days[:half], sums[:half], counts[:half], prior, worse, better) == whole[:1]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_series_of_hardly_a_text_are_silent(n):
    prior, (worse, better) = _tables()
    assert change.changes(np.arange(n), np.ones(n), np.ones(n), prior, worse, better) == []


def test_thresholds_grow_with_volume_and_come_back_from_a_manifest():
    _, (worse, _) = _tables()
    assert (np.diff(worse.level) >= 0).all()
    assert worse.at(4000) > worse.at(20)
    again = change.Thresholds.of(worse.to_json())
    assert again.rate(9.0, 300) == pytest.approx(worse.rate(9.0, 300))
    assert worse.rate(9.0, 300) < worse.rate(7.0, 300)
    assert worse.rate(float(worse.at(300)), 300) == pytest.approx(0.1)


def test_thresholds_are_raised_where_histories_exceed_them():
    prior, (worse, better) = _tables()
    rng = np.random.default_rng(10)
    low = worse.raised(-4.0)
    series = []
    for _ in range(30):
        day = np.repeat(np.arange(365), rng.poisson(1.0, 365))
        series.append((day, _scores(rng, rng.random(len(day)) < 0.15), prior))
    mended, _, facts = change.calibrated(series, low, better, years=300)
    assert facts["rate_worse"] > 0.3
    assert facts["raised_worse"] > 1.5
    assert (mended.level > low.level).all()


# -- bursts


@cache
def _burst_shop():
    rng = np.random.default_rng(1)
    season = 1 + 0.8 * np.sin(np.arange(730) / 365 * 2 * np.pi)
    week = np.tile([0.8, 0.8, 0.9, 0.9, 1.1, 1.4, 1.1], 105)[:730]
    shop = rng.poisson(20 * season * week)
    used = np.concatenate([[0.0], np.cumsum(change_counts.exposure(shop))])
    return (
        season * week,
        np.repeat(np.arange(730), shop),
        used,
        change_counts.simulate_thresholds(1.0, 0.1, 0, 300),
    )


def test_exposure_keeps_the_whole_and_follows_the_season():
    shop = np.array([0, 0, 10, 10, 10, 0, 0, 0, 0, 0])
    found = change_counts.exposure(shop)
    assert found.sum() == pytest.approx(30)
    assert found[4] == found.max()
    assert found[0] > 0
    assert change_counts.exposure(np.zeros(5)).tolist() == [1] * 5
    assert len(change_counts.exposure(np.zeros(0))) == 0


def test_bursts_are_found_and_seasons_are_none():
    busy, traffic, used, limits = _burst_shop()
    rng = np.random.default_rng(2)
    quiet = [np.repeat(np.arange(730), rng.poisson(rng.gamma(2, 5) / 365 * busy)) for _ in range(150)]
    rate = float(np.mean([len(d) for d in quiet])) / used[-1]
    limits, facts = change_counts.calibrated(quiet, traffic, 0, used, rate, 1.0, limits, years=600)
    false = sum(len(change_counts.bursts(d, 0, used, rate, 1.0, limits)) for d in quiet) / 300
    assert false <= 0.25
    assert facts["years"] >= 600
    found = []
    for _ in range(40):
        mean = 10 / 365 * busy
        mean[500:520] += 0.6
        days = np.repeat(np.arange(730), rng.poisson(mean))
        found.append(
            [b for b in change_counts.bursts(days, 0, used, rate, 1.0, limits) if 500 <= b.day < 530]
        )
    hits = [some[0] for some in found if some]
    assert len(hits) >= 36
    assert np.median([b.day - 500 for b in hits]) <= 14
    assert all(b.low < b.expected < b.high < b.count for b in hits)


def test_two_events_are_no_burst():
    _, _, used, limits = _burst_shop()
    assert change_counts.bursts(np.array([5, 5]), 0, used, 0.001, 1.0, limits) == []
    assert change_counts.bursts(np.zeros(0, int), 0, used, 0.001, 1.0, limits) == []


def test_counts_that_swing_ask_for_more():
    calm = np.full(30, 4.0)
    assert change_counts.dispersion_of(np.random.default_rng(0).poisson(calm), calm) < 2
    assert change_counts.dispersion_of(np.tile([0, 0, 12], 10), calm) > 5
    assert change_counts.dispersion_of(np.ones(3), np.ones(3)) == 1
