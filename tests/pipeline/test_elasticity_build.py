"""Elasticities from a shop's tables: weeks, prices of weeks without sales, other currencies; and what is answered from them."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from tests.conftest import new_workspace

from wares.core.errors import NotIdentified
from wares.features.catalogue import Catalogue
from wares.models.price.elasticity import Elasticities
from wares.models.price.elasticity_panel import WEEK
from wares.models.price.elasticity_planted import make_demand
from wares.models.price.elasticity_train import FEW, OK, UNSEEN, find
from wares.models.price.strategy import PriceMood, Rails
from wares.pipeline import plan
from wares.pipeline.elasticity import ELASTICITY_STEP, panel_now
from wares.pipeline.plan import Context, execute
from wares.pipeline.steps import STEPS
from wares.pipeline.workspace import init_workspace
from wares.serve.elasticity import advise_json, elasticity_json, listed_json, simulate_json

CONFIG = """
[shop]
name = "Weeks"
currency = "EUR"
[[sources]]
as = "products"
path = "products.csv"
[[sources]]
as = "events"
path = "events.csv"
[[sources]]
as = "prices"
path = "prices.csv"
[build]
threads = 1
"""


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def day(week, days=1):
    return str(np.datetime64(int(week) * WEEK + days * 86_400, "s")) + "Z"


def context_of(shop):
    """The steps up to elasticities alone, run on the newest versions."""
    versions = {t: shop.store.version(t) for t in shop.store.names() if t in ("products", "events", "prices")}
    context = Context(shop.root, shop.config, shop.store, versions, {})
    wanted = [step for step in STEPS if step.name in ("catalogue", ELASTICITY_STEP)]
    for step in wanted:
        plan.STEP_KINDS[step.name] = step.kind
    list(execute(wanted, context, lambda *_: None))
    return context


@pytest.fixture(scope="module")
def planted():
    return make_demand(4, products=24, categories=2, weeks=80)


@pytest.fixture(scope="module")
def context(planted, tmp_path_factory):
    root = tmp_path_factory.mktemp("elasticity") / "shop"
    panel = planted.panel
    products = [
        {
            "product_id": f"p{i:02d}",
            "title": f"thing {i}",
            "category": f"C{planted.category_of[i]}",
            "price": "9.00",
            "cost": "4.00",
        }
        for i in range(24)
    ]
    products += [
        {"product_id": name, "title": name, "category": "C0", "price": "9.00", "cost": ""}
        for name in ("unsold", "seldom")
    ]
    events = [
        {"user_id": f"u{row % 50}", "product_id": f"p{panel.item[row]:02d}", "kind": "purchase", "at": day(panel.week[row]),
         "quantity": int(panel.units[row]), "price": f"{panel.price[row]:.2f}", "currency": "EUR"}
        for row in np.flatnonzero(panel.units > 0)
    ]  # fmt: skip
    events += [{**events[0], "product_id": "seldom", "quantity": 1, "at": day(2805)}]
    events += [{**events[0], "currency": "USD", "price": "999.00", "at": day(2801, 2)}]
    # The table of prices knows all weeks, also those in which nothing was sold.
    prices = [
        {
            "product_id": f"p{panel.item[row]:02d}",
            "at": day(panel.week[row], 0),
            "price": f"{panel.price[row]:.2f}",
            "currency": "EUR",
        }
        for row in range(len(panel))
    ]
    for name, rows in (("products", products), ("events", events), ("prices", prices)):
        write(root / f"{name}.csv", rows)
    shop = init_workspace(root, CONFIG)
    shop.ingest()
    return context_of(shop)


@pytest.fixture(scope="module")
def book(context):
    return Elasticities(context.done[ELASTICITY_STEP]), Catalogue(context.done["catalogue"])


def test_weeks_are_what_was_sold_at_the_prices_that_were_asked(context, planted):
    panel, bought = panel_now(context)
    assert panel.left_out == {"in another currency": 1}
    truth = planted.panel
    first = {i: int(truth.week[(truth.item == i) & (truth.units > 0)].min()) for i in range(24)}
    last = {i: int(truth.week[(truth.item == i) & (truth.units > 0)].max()) for i in range(24)}
    kept = np.array([first[i] <= w <= last[i] for i, w in zip(truth.item, truth.week, strict=True)])
    mine = panel.item < 24
    catalogue = Catalogue(context.done["catalogue"])
    rows = np.array([catalogue.row(f"p{i:02d}") for i in range(24)])
    order = np.lexsort((truth.week[kept], rows[truth.item[kept]]))
    named = np.isin(panel.item, rows)
    assert np.array_equal(panel.item[named], rows[truth.item[kept]][order])
    assert np.array_equal(panel.units[named], truth.units[kept][order])
    assert panel.price[named] == pytest.approx(truth.price[kept][order], abs=0.006)
    assert bought[catalogue.row("unsold")] == 0
    assert mine.any()


def test_planted_elasticities_come_back_and_the_rest_says_why(book, planted):
    found, catalogue = book
    rows = [catalogue.row(f"p{i:02d}") for i in range(24)]
    ones = [found.of(row) for row in rows]
    assert sum(one.identified for one in ones) >= 22
    inside = [
        one.low <= truth <= one.high for one, truth in zip(ones, planted.theta, strict=True) if one.identified
    ]
    assert np.mean(inside) > 0.75
    unsold = elasticity_json(found.of(catalogue.row("unsold")), catalogue, catalogue.row("unsold"))
    assert (unsold["identified"], unsold["elasticity"], unsold["verdict"]) == (False, None, "never sold")
    listed = listed_json(found, catalogue, 5)
    assert listed["products"]["identified"] >= 22
    assert all(one["interval"][1] < -1 for one in listed["sensitive"])


def test_a_price_is_simulated_and_advised_with_the_cost_of_the_product(book):
    found, catalogue = book
    row = next(int(r) for r in found.sensitive(50) if str(catalogue.ids[int(r)]).startswith("p"))
    price = found.of(row).price
    answer = simulate_json(found, catalogue, row, [price * 0.9, price * 1.1], None)
    assert answer["cost"] == 4.0
    cheap, dear = answer["at"]
    assert (
        cheap["weekly_units"]["middle"]
        > answer["now"]["weekly_units"]["middle"]
        > dear["weekly_units"]["middle"]
    )
    assert cheap["margin"]["low"] <= cheap["margin"]["middle"] <= cheap["margin"]["high"]
    bad = PriceMood(-0.5, -0.7, -0.3, 40)
    advice = advise_json(found, catalogue, row, Rails(0.2), None, bad)
    assert advice["price_mood"]["bad"]
    assert advice["advice"]["price"] <= max(price, 4.0) + 0.011
    with pytest.raises(NotIdentified):
        simulate_json(found, catalogue, catalogue.row("unsold"), [3.0], None)


def test_the_same_tables_give_the_same_artefact(context):
    panel, bought = panel_now(context)
    category = np.asarray(Catalogue(context.done["catalogue"]).category_of)
    one, other = (find(panel, category, 7, 1, bought) for _ in range(2))
    assert np.array_equal(one.theta, other.theta, equal_nan=True)
    verdicts = {OK, FEW, UNSEEN} & set(one.verdict.tolist())
    assert verdicts >= {OK, UNSEEN}


def test_unsold_weeks_take_the_higher_price_where_the_table_says_another(tmp_path):
    root = tmp_path / "shop"
    write(root / "products.csv", [{"product_id": "a", "title": "a", "category": "C", "price": "9"}])
    rows = [(2800, 10.0), (2801, 8.0), (2804, 10.0), (2805, 10.0)]
    write(root / "events.csv", [
        {"user_id": "u", "product_id": "a", "kind": "purchase", "at": day(week), "quantity": 2, "price": price, "currency": "EUR"} for week, price in rows
    ])  # fmt: skip
    write(root / "prices.csv", [{"product_id": "a", "at": day(2790), "price": 30.0, "currency": "EUR"}])
    shop = init_workspace(root, CONFIG)
    shop.ingest()
    panel, _ = panel_now(context_of(shop))
    assert panel.week.tolist() == list(range(2800, 2806))
    assert panel.units.tolist() == [2, 2, 0, 0, 2, 2]
    assert panel.price.tolist() == [10, 8, 10, 10, 10, 10]


def test_a_shop_without_events_has_an_empty_book(tmp_path, shop_data):
    shop = new_workspace(tmp_path / "shop", shop_data)
    shop.ingest(str(tmp_path / "shop" / "exports" / "products.csv"), "products")
    context = context_of(shop)
    found = Elasticities(context.done[ELASTICITY_STEP])
    assert found.manifest["products"]["never sold"] == len(found)
    assert len(found.sensitive(10)) == 0
