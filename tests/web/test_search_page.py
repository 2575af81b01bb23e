from __future__ import annotations

import pytest
from tests.conftest import running_server
from tests.web.browsing import MARKS, no_sideways_scroll, opened

pytestmark = MARKS


@pytest.fixture(scope="module")
def site(built):
    with running_server(built.root, "--console") as (_, port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(params=[1280, 390])
def page(request, site):
    with opened(request.param, 60_000) as found:
        found.goto(site)
        found.locator("a.card").first.wait_for()
        yield found


def box(page):
    return page.locator("input[type=search]")


def test_proposals_by_keyboard(page):
    box(page).fill("des")
    page.locator(".idea").first.wait_for()
    assert no_sideways_scroll(page)
    assert page.locator(".idea b").first.inner_text() == "des"
    assert page.locator("[role=combobox]").first.get_attribute("aria-expanded") == "true"
    page.keyboard.press("ArrowDown")
    page.locator(".idea.on[aria-selected=true]").wait_for()
    chosen = page.locator(".idea.on span").inner_text()
    page.keyboard.press("Enter")
    page.wait_for_function("text => document.querySelector('input[type=search]').value === text", arg=chosen)
    page.locator(".idea").first.wait_for(state="detached")
    page.locator("a.card mark").first.wait_for()
    # As a person types: just after Enter a late answer opens no list.
    box(page).fill("")
    box(page).press_sequentially("zisha", delay=250)
    page.locator(".idea").get_by_text("紫砂", exact=False).first.wait_for()
    page.keyboard.press("Escape")
    page.locator(".idea").first.wait_for(state="detached")
    assert box(page).input_value() == "zisha"


def test_a_correction_can_be_refused(page):
    box(page).fill("desk lmap")
    page.keyboard.press("Enter")
    page.get_by_text("Showing results for “desk lamp”").wait_for()
    page.get_by_role("button", name="Search instead for “desk lmap”").click()
    page.get_by_text("Results for exactly “desk lmap”").wait_for()
    assert no_sideways_scroll(page)


def test_structure_is_told_and_taken_away(page):
    box(page).fill("lamp under 20")
    page.keyboard.press("Enter")
    page.get_by_text("Price: under 20").wait_for()
    prices = [float(p.split()[0]) for p in page.locator("a.card .price").all_inner_texts()]
    assert prices
    assert max(prices) <= 20
    page.get_by_role("button", name="Remove “under 20”").click()
    page.get_by_text("Price: under 20").wait_for(state="detached")
    page.wait_for_function("document.querySelector('input[type=search]').value === 'lamp'")
    assert no_sideways_scroll(page)


def test_order_and_nothing_found(page):
    box(page).fill("lamp")
    page.keyboard.press("Enter")
    page.locator("a.card mark").first.wait_for()
    page.get_by_role("combobox", name="Sort by").click()
    page.get_by_text("Price, lowest first").click()
    page.wait_for_function(
        "() => { const p = [...document.querySelectorAll('a.card .price')].map(e => parseFloat(e.innerText));"
        " return p.length > 3 && p.every((v, i) => !i || p[i - 1] <= v); }"
    )
    box(page).fill("qqqq")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing found for “qqqq”.").wait_for()
    assert no_sideways_scroll(page)


def test_in_chinese(page):
    page.get_by_role("button", name="中文").click()
    page.get_by_text("工作台").wait_for()
    box(page).fill("20元以内的茶杯")
    page.keyboard.press("Enter")
    page.get_by_text("价格: 20元以内").wait_for()
    page.get_by_text("相关度").first.wait_for()
    assert no_sideways_scroll(page)
