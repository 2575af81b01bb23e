from __future__ import annotations

import pytest
from tests.conftest import running_server
from tests.web.browsing import MARKS, no_sideways_scroll, opened

pytestmark = MARKS


@pytest.fixture(scope="module")
def site(built):
    built.evaluate()
    with running_server(built.root, "--console") as (_, port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(params=[1280, 390])
def page(request, site):
    with opened(request.param) as found:
        yield found


def test_storefront(page, site):
    page.goto(site)
    page.locator("input[type=search]").fill("red desk lmap")
    page.get_by_text("Showing results for").wait_for()
    page.get_by_text("red desk lamp").first.wait_for()
    assert no_sideways_scroll(page)
    page.locator("input[type=search]").fill("lamp")
    page.keyboard.press("Enter")
    page.locator("a.card").get_by_text("desk lamp").first.wait_for()
    page.locator("a.card").first.click()
    page.get_by_text("Similar products").wait_for()
    page.locator("a.card").first.wait_for()
    assert "/product/" in page.url
    assert no_sideways_scroll(page)


def test_facets_and_keyboard(page, site):
    page.goto(site)
    page.locator("a.card").first.wait_for()
    if page.viewport_size["width"] < 760:
        page.get_by_text("Filters").click()
    page.get_by_text("Garden (", exact=False).first.click()
    page.get_by_text("Clear filters").wait_for()
    assert {c.inner_text() for c in page.locator("a.card .cat").all()} == {"Garden"}
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") in ("A", "BUTTON", "INPUT", "DIV")


def test_for_you_has_reasons_and_a_slider(page, site):
    page.goto(f"{site}/for-you?user=u001")
    page.locator("a.card .why").first.wait_for()
    before = [c.inner_text() for c in page.locator("a.card .name").all()]
    page.locator(".q-slider [tabindex]").first.focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => JSON.stringify([...document.querySelectorAll('a.card .name')].map(e => e.innerText)) !== JSON.stringify(before)",
        arg=before,
    )
    assert no_sideways_scroll(page)


def test_workshop(page, site):
    page.goto(f"{site}/workshop")
    page.get_by_role("cell", name="ndcg@10", exact=True).wait_for()
    assert page.locator(".plots svg").count() == 3
    page.get_by_text("Live bundle").wait_for()
    assert no_sideways_scroll(page)
    page.get_by_role("link", name="events").click()
    page.get_by_text("product_id").first.wait_for()


def test_chinese(page, site):
    page.goto(site)
    page.get_by_role("button", name="中文").click()
    page.get_by_text("工作台").wait_for()
    page.locator("input[type=search]").fill("紫砂茶壶")
    page.get_by_text("紫砂茶壶").first.wait_for()


def test_unknown_product_is_said(page, site):
    page.goto(f"{site}/product/ghost")
    page.get_by_text("There is no such product").wait_for()
