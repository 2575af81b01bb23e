from __future__ import annotations

import pytest
from tests.conftest import running_server
from tests.web.browsing import MARKS, no_sideways_scroll
from tests.web.test_console import page

pytestmark = MARKS
__all__ = ["page"]


@pytest.fixture(scope="module")
def site(built):
    with running_server(built.root, "--console") as (_, port):
        yield f"http://127.0.0.1:{port}"


def names_of(found):
    return [card.inner_text() for card in found.locator("section[aria-live=polite] a.card .name").all()]


def test_kinds_weights_and_contributions(page, site):
    page.goto(f"{site}/product/p0000")
    bars = page.locator("section[aria-live=polite] .parts")
    bars.first.wait_for()
    assert bars.count() == page.locator("section[aria-live=polite] a.card").count()
    said = bars.first.get_attribute("aria-label")
    shares = [int(part.rsplit(" ", 1)[1].strip("%")) for part in said.split(", ")]
    assert abs(sum(shares) - 100) <= len(shares)
    assert "Description" in said
    assert no_sideways_scroll(page)
    before = names_of(page)
    page.get_by_text("What counts").click()
    slider = page.locator('.q-slider[aria-label="Price and pack"] [tabindex]').first
    slider.wait_for()
    # The panel unfolds; a slider that still moves loses the focus.
    page.wait_for_timeout(500)
    slider.focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.parts')].every(e => e.getAttribute('aria-label') === 'Price and pack 100%')"
    )
    assert names_of(page) != before
    assert no_sideways_scroll(page)


def test_another_kind(page, site):
    page.goto(f"{site}/product/p0000")
    page.locator("section[aria-live=polite] .parts").first.wait_for()
    page.get_by_role("button", name="The same", exact=True).click()
    page.wait_for_function(
        "() => { const all = [...document.querySelectorAll('.parts')]; return all.length > 0 && !all.some(e => e.getAttribute('aria-label').includes('Same shoppers')) }"
    )
    assert no_sideways_scroll(page)
