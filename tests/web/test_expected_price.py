from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest
from tests.conftest import running_server
from tests.web.browsing import CHROMIUM, no_sideways_scroll
from tests.web.test_console import page

import wares
from wares.console import expected as here
from wares.console import frame
from wares.console.expected import amount, expected, per, sentences
from wares.core.nouns import Product

__all__ = ["page"]


@pytest.fixture(scope="module")
def site(built):
    with running_server(built.root, "--console") as (_, port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def ranker(built):
    return wares.load(built.root)


def known(ranker):
    """(row, range) of a product with a price and comparable products."""
    for row in range(len(ranker.prices)):
        found, product = ranker.prices.expected(row), ranker.catalogue.product(row)
        if found is not None and len(found.nearest) and product.price is not None:
            return row, found, product
    raise AssertionError("the shop has no comparable prices")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1234.5, "1,234.50"),
        (2.1, "2.10"),
        (0.362, "0.36"),
        (0.0849, "0.085"),
        (0.00111, "0.0011"),
        (0, "0.00"),
    ],
)
def test_amounts_have_the_digits_that_tell(value, said):
    assert amount(value) == said


def test_units_in_words():
    assert per("kg", "en") == "per kg"
    assert per("piece", "zh") == "每件"
    assert per("acre", "en") == "per acre"


def test_nothing_is_shown_where_nothing_is_known():
    # Outside of a page any element would raise.
    catalogue = SimpleNamespace(row=lambda _: 0)
    expected(SimpleNamespace(prices=None, catalogue=catalogue), "p1")
    empty = SimpleNamespace(expected=lambda _: None)
    expected(SimpleNamespace(prices=empty, catalogue=catalogue), "p1")
    alone = SimpleNamespace(expected=lambda _: SimpleNamespace(nearest=[]))
    expected(SimpleNamespace(prices=alone, catalogue=catalogue), "p1")


@pytest.fixture
def english(monkeypatch):
    for module in (frame, here):
        monkeypatch.setattr(module, "language", lambda: "en")


def priced(*, same_unit, unit=None, currency="EUR"):
    """A book of one range of 2.10–3.40 for a pack of `unit`, and its product at 2.99."""
    found = SimpleNamespace(low=2.1, middle=2.7, high=3.4, nearest=[1, 2, 3], same_unit=same_unit)
    book = SimpleNamespace(manifest={"currency": "EUR"}, unit_of=lambda _: unit)
    return book, found, 0, Product("p1", "jam", price=Decimal("2.99"), currency=currency)


def test_a_range_is_said_for_one_unit_and_for_the_pack(english):
    assert sentences(*priced(same_unit=2, unit=("kg", 0.5))) == [
        "Expected from 3 comparable products: 4.20–6.80 EUR per kg; this one: 5.98",
        "For this size: 2.10–3.40 EUR",
    ]


def test_without_a_comparable_unit_the_pack_alone_is_said(english):
    said = ["Expected from 3 comparable products: 2.10–3.40 EUR; this one: 2.99"]
    assert sentences(*priced(same_unit=0, unit=("kg", 0.5))) == said
    assert sentences(*priced(same_unit=0)) == said


def test_a_price_in_another_currency_does_not_stand_beside_the_range(english):
    assert sentences(*priced(same_unit=0, currency="USD")) == [
        "Expected from 3 comparable products: 2.10–3.40 EUR"
    ]


@pytest.mark.web
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH: apt-get install chromium")
def test_a_product_shows_what_it_is_expected_to_cost(page, site, ranker, english):
    row, found, product = known(ranker)
    page.goto(f"{site}/product/{product.product_id}")
    block = page.locator(".expected-price")
    block.wait_for()
    assert block.locator(".note").first.inner_text() == sentences(ranker.prices, found, row, product)[0]
    page.get_by_text("Comparable products", exact=True).click()
    links = page.locator(".like-price a")
    links.first.wait_for()
    wanted = [str(ranker.catalogue.ids[i]) for i in found.nearest.tolist()]
    assert [a.get_attribute("href").rsplit("/", 1)[1] for a in links.all()] == wanted
    assert no_sideways_scroll(page)
