"""Planted columns: one that explains shopping, its twin, noise, a constant, and one made from the future."""

from __future__ import annotations

import numpy as np
import pytest

from wares.core.errors import QueryError
from wares.evaluate.columns import auc, corrected, encode, evaluate_columns, information
from wares.pipeline.workspace import init_workspace
from wares.testing.shop import write_rows


@pytest.fixture(scope="module")
def ranked(tmp_path_factory, shop_data):
    folder = tmp_path_factory.mktemp("columns")
    rng = np.random.default_rng(3)
    last = max(row["time"] for row in shop_data.events)
    sold = {row["sku"] for row in shop_data.events}
    extra, late = [], []
    for n in range(40):
        # Products that appear for the first time in the last days; their mark is written when they sell.
        extra.append(
            {
                "sku": f"n{n:02d}",
                "name": f"thing {n}",
                "brand": f"Brand{n % 7}",
                "category": "Lamps",
                "price": "5",
            }
        )
        if n % 2:
            sold.add(f"n{n:02d}")
            late.append(
                {
                    "customer": f"u{n:03d}",
                    "sku": f"n{n:02d}",
                    "type": "purchase",
                    "time": last,
                    "qty": "1",
                    "price": "5",
                }
            )
    products = [
        {
            **row,
            "twin": row["category"][:2],
            "noise": f"x{rng.integers(6)}",
            "same": "1",
            "mark": "yes" if row["sku"] in sold else "",
        }
        for row in [*shop_data.products, *extra]
    ]
    write_rows(folder / "products.csv", products)
    write_rows(folder / "events.csv", [*shop_data.events, *late])
    shop = init_workspace(folder / "shop")
    shop.ingest(str(folder / "products.csv"), "products")
    shop.ingest(str(folder / "events.csv"), "events")
    (shop.root / "tmp").mkdir(exist_ok=True)
    report = evaluate_columns(shop.store, "products", shop.root / "tmp")
    return shop, {row["column"]: row for row in report["columns"]}, report


def test_what_explains_shopping_comes_first_and_noise_last(ranked):
    _, by, report = ranked
    order = [row["column"] for row in report["columns"]]
    assert by["category"]["following"] > 0.5
    assert order.index("category") < 3
    assert by["attributes.noise"]["following"] < 0.05
    assert by["attributes.same"]["advice"] == "drop"


def test_a_twin_is_redundant(ranked):
    _, by, _ = ranked
    pair = [by["category"], by["attributes.twin"]]
    repeated = next(row for row in pair if row["repeats"])
    assert repeated["repeated"] > 0.95
    assert repeated["advice"] == "drop"


def test_a_column_written_after_the_sale_is_suspected(ranked):
    _, by, _ = ranked
    assert by["attributes.mark"]["leak"] > 0.95
    assert "AUC" in by["attributes.mark"]["why"][-1]
    assert by["attributes.noise"]["leak"] < 0.8


def test_events_are_ranked_and_other_tables_refused(ranked):
    shop, _, _ = ranked
    report = evaluate_columns(shop.store, "events", shop.root / "tmp")
    by = {row["column"]: row for row in report["columns"]}
    assert by["kind"]["advice"] == "drop"
    assert by["user_id"]["following"] > by["at.weekday"]["following"]
    with pytest.raises(QueryError, match="--table products"):
        evaluate_columns(shop.store, "reviews", shop.root / "tmp")


def test_information_is_in_bits_and_free_of_chance():
    rng = np.random.default_rng(1)
    one = rng.integers(4, size=4000).astype(np.int32)
    assert information(one, one) == pytest.approx(2, abs=0.01)
    wide = rng.integers(300, size=4000).astype(np.int32)
    other = rng.integers(300, size=4000).astype(np.int32)
    assert information(wide, other) > 1
    assert corrected(wide, other, rng) < 0.05
    assert auc(np.array([0.1, 0.1, 0.9]), np.array([False, True, True])) == 0.75
    assert auc(np.ones(3), np.ones(3, bool)) is None


def test_values_become_codes_and_missing_is_zero():
    import pyarrow as pa

    assert encode(pa.array([1.0, None, float("nan"), 5.0])).tolist()[1:3] == [0, 0]
    assert encode(pa.array(["a", None, "b", "a"])).tolist() == [1, 0, 2, 1]
    assert encode(pa.array([None, None], pa.string())).tolist() == [0, 0]
