from __future__ import annotations

from types import SimpleNamespace

import pytest
from tests.conftest import running_server
from tests.web.test_console import CHROMIUM, no_sideways_scroll, page

import wares
from wares.console.expected import amount, expected, per

__all__ = ["page"]


@pytest.fixture(scope="module")
def site(built):
    with running_server(built.root, "--console") as (_, port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def ranker(built):
    return wares.load(built.root)


def known(ranker):
    """(row, range) of a product with a price whose comparable ones are sold by the same unit."""
    for row in range(len(ranker.prices)):
        found = ranker.prices.expected(row)
        product = ranker.catalogue.product(row)
        if found is not None and found.same_unit and ranker.prices.unit_of(row) and product.price is not None:
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


@pytest.mark.web
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH: apt-get install chromium")
def test_a_product_shows_what_it_is_expected_to_cost(page, site, ranker):
    row, found, product = known(ranker)
    size = ranker.prices.unit_of(row)
    page.goto(f"{site}/product/{product.product_id}")
    block = page.locator(".expected-price")
    block.wait_for()
    low, high = amount(found.low / size[1]), amount(found.high / size[1])
    text = block.inner_text()
    assert f"{low}–{high} {ranker.prices.manifest['currency']} {per(size[0], 'en')}" in text
    assert f"this one: {amount(float(product.price) / size[1])}" in text
    page.get_by_text("Comparable products", exact=True).click()
    links = page.locator(".like-price a")
    links.first.wait_for()
    wanted = [str(ranker.catalogue.ids[i]) for i in found.nearest.tolist()]
    assert [a.get_attribute("href").rsplit("/", 1)[1] for a in links.all()] == wanted
    assert no_sideways_scroll(page)
