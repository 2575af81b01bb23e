from __future__ import annotations

import gzip

import numpy as np
import pytest

from wares.core.errors import QueryError
from wares.evaluate.price_files import near_texts, read_case
from wares.evaluate.prices import Case, evaluate_prices, one_run
from wares.evaluate.uplift import difference_of_means, difference_of_shares
from wares.models.price.planting import plant
from wares.testing.prices import make_prices


@pytest.fixture(scope="module")
def case():
    prices, goods = make_prices(products=800, categories=16)
    return Case("synthetic", prices, goods, "USD")


def test_planted_errors_are_found_better_than_by_deviations(case):
    found = evaluate_prices(case, "wares evaluate prices", planted=30, seeds=2, views=("current", "alone"))
    for view in ("current", "alone"):
        figures = found["views"][view]
        assert figures["precision"] == figures["recall"]
        assert figures["precision"] > figures["z_category_precision"] + 0.1
        assert figures["average_precision"] > figures["z_category_log_average_precision"]
        assert 0 <= figures["precision_sd"] < 0.3
    assert found["views"]["current"]["precision"] >= found["views"]["current"]["z_own_past_precision"]
    assert "lower bound" in found["note"]


def test_a_seed_plants_the_same_errors_again(case):
    one, two = (one_run(case, "alone", 5, 20) for _ in range(2))
    one.pop("cpu_seconds")
    two.pop("cpu_seconds")
    assert one == two


def test_planting_writes_whole_cents_and_leaves_the_rest():
    value, pieces = np.full(500, 2.99), np.full(500, 6.0)
    errors = plant(value, pieces, np.arange(100), "USD", np.random.default_rng(1))
    assert (np.abs(errors.value * 100 - np.rint(errors.value * 100)) < 1e-9).all()
    assert (errors.value >= 0.01).all()
    assert (value == 2.99).all()
    packs = errors.value[errors.kind == "pack"]
    assert set(packs.round(2)) <= {17.94, 0.5}
    assert set(errors.value[errors.kind == "x10"].round(2)) == {29.9}


def test_what_cannot_be_evaluated_says_why(case):
    with pytest.raises(QueryError, match="too few"):
        evaluate_prices(case, "", planted=5000)
    with pytest.raises(QueryError, match="unknown view"):
        evaluate_prices(case, "", planted=10, views=("tomorrow",))


def test_a_file_of_sales_is_read(tmp_path):
    rows = ["StockCode,Description,Quantity,InvoiceDate,UnitPrice"]
    for product in range(30):
        for day in range(1, 4):
            rows.append(
                f"s{product},SET OF 6 RED CUPS {product % 7} HOLDER,2,2011-01-0{day} 10:00:00,{product + day / 10:.2f}"
            )
    rows += ["s1,,-3,2011-01-05 10:00:00,99", "s2,,1,2011-01-05 10:00:00,0", "s3,,1,not a day,5"]
    path = tmp_path / "sales.csv.gz"
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    case = read_case(path, "GBP")
    assert case.prices.n_items == 30
    assert len(case.prices.item) == 90
    assert case.goods.units == ("piece",)
    assert (case.goods.count == 6).all()
    # Seven titles are shared by thirty products.
    assert len(case.goods.near) == 7
    assert case.prices.value.max() == pytest.approx(29.3)


def test_a_file_without_prices_names_what_is_missing(tmp_path):
    path = tmp_path / "sales.csv"
    path.write_text("sku,name,date\n1,a,2011-01-01\n")
    with pytest.raises(QueryError, match="price"):
        read_case(path, "GBP")


def test_texts_alike_are_near_and_blank_ones_are_like_nothing():
    text_of, near, sims = near_texts(["red cup", "red cups", "", "garden hose", "red cup"])
    assert text_of[2] == -1
    assert text_of[0] == text_of[4]
    assert near[text_of[0], 0] == text_of[1]
    assert sims[text_of[0], 0] > 0.5
    assert near_texts(["", ""])[1].shape == (0, 0)


def test_differences_have_intervals_that_hold():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        gap = difference_of_shares(rng.random(400) < 0.10, rng.random(60) < 0.05)
        held += gap["interval"][0] <= 0.05 <= gap["interval"][1]
    assert held >= 180
    none = difference_of_shares(np.zeros(10, bool), np.zeros(5, bool))
    assert none["difference"] == 0
    assert none["lift"] is None
    assert none["interval"][0] < 0 < none["interval"][1]
    means = difference_of_means(rng.normal(5, 1, 300), rng.normal(4, 1, 300))
    assert means["interval"][0] > 0.7
    assert means["interval"][1] < 1.3
