from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from wares.data.contract import contract_for
from wares.data.engine import Engine
from wares.data.quality.expect import compare, ks, psi_of_bins
from wares.data.quality.profile import Profile, edge, profile, values_of


def profile_of(rows, personal=()):
    with Engine(0.5) as engine:
        contract = contract_for("products")
        table = engine.rows(rows)
        found = profile(engine, contract, table, values_of(engine, contract, table), personal)
    found.version = 0
    return found


def goods(n=2000, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "product_id": [f"p{i}" for i in range(n)],
            "title": [f"thing number {i % 97}" for i in range(n)],
            "brand": [f"b{i}" for i in rng.integers(0, 20, n)],
            "price": (rng.lognormal(2, 1, n) * scale).round(2),
        }
    )


def broken(base, now):
    return {check.label for check in compare(base, now) if check.status == "broken"}


@pytest.fixture(scope="module")
def base():
    return profile_of(goods())


def test_what_a_profile_holds(base):
    price = base.columns["price"]
    table = goods()
    values = table["price"].to_numpy()
    assert (price.low, price.high) == (values.min(), values.max())
    assert price.mean == pytest.approx(values.mean())
    assert sum(price.bins.values()) == 2000
    for number, count in list(price.bins.items())[::5]:
        assert (
            count == ((values >= edge(number) * (1 - 1e-9)) & (values < edge(number + 1) * (1 - 1e-9))).sum()
        )
    assert base.columns["title"].distinct == 97
    assert base.columns["product_id"].repeats == 0
    assert dict(base.columns["brand"].top)["b3"] == table["brand"].to_pylist().count("b3")
    assert Profile.from_json(base.to_json()) == base


def test_personal_columns_leave_no_values():
    found = profile_of(goods(), personal={"title", "product_id"})
    text = str(found.to_json())
    assert "thing number" not in text
    assert "'p7'" not in text
    assert found.columns["title"].distinct == 97


def test_another_sample_of_the_same_source_is_no_drift(base):
    alarms = set()
    for seed in range(1, 6):
        alarms |= broken(base, profile_of(goods(seed=seed)))
    assert alarms == set()


@pytest.mark.parametrize("n", [60, 200])
def test_small_tables_do_not_alarm_by_chance(n):
    small = profile_of(goods(n))
    for seed in range(1, 5):
        assert broken(small, profile_of(goods(n, seed))) == set()


def test_drift(base):
    assert {"drift_ks_number:price", "drift_psi_number:price"} <= broken(
        base, profile_of(goods(seed=1, scale=3))
    )
    few = goods().slice(0, 1000)
    assert "volume" in broken(base, profile_of(few))


def test_distances_against_their_definitions():
    a, b = {1: 50, 2: 30, 3: 20}, {1: 20, 2: 30, 3: 50}
    assert ks(a, b)[0] == pytest.approx(0.3)
    assert ks(a, a)[0] == 0
    many, other = ({k: 1000 * v for k, v in counts.items()} for counts in (a, b))
    expected = (0.5 - 0.2) * np.log(0.5 / 0.2) + (0.2 - 0.5) * np.log(0.2 / 0.5)
    assert psi_of_bins(many, other)[0] == pytest.approx(expected, rel=1e-3)
    assert psi_of_bins(a, a)[0] == 0
    rng = np.random.default_rng(0)
    from scipy.stats import ks_2samp

    x, y = rng.integers(0, 12, 800), rng.integers(2, 14, 700)
    counts = [{int(v): int((s == v).sum()) for v in np.unique(s)} for s in (x, y)]
    assert ks(*counts)[0] == pytest.approx(ks_2samp(x, y).statistic)


def test_a_column_that_goes_or_changes_its_type(base):
    gone = goods().drop_columns(["brand"])
    assert "schema_change:brand" in broken(base, profile_of(gone))
    text = goods().set_column(3, "price", pa.array([str(v) for v in goods()["price"].to_pylist()]))
    assert "schema_change:price" in broken(base, profile_of(text))


def test_text_cut_at_a_fixed_width():
    titles = pa.array(["x" * (8 + i % 26) for i in range(2000)])
    rows = goods().set_column(1, "title", titles)
    base = profile_of(rows)
    cut = pa.array([title[:20] for title in titles.to_pylist()])
    assert "truncated:title" in broken(base, profile_of(rows.set_column(1, "title", cut)))
    # The long ones are gone, but nothing lies heaped up where they were cut: other goods, not cut texts.
    shorter = rows.filter(pa.array([len(title) <= 20 for title in titles.to_pylist()]))
    assert "truncated:title" not in broken(base, profile_of(shorter))
