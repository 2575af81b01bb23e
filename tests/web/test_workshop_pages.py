"""Every page of the workshop in a real browser: wide and narrow, English and Chinese; and one deed on each."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.conftest import copy_workspace, running_server
from tests.data.test_fusion_run import write_products
from tests.web.browsing import ARGUMENTS, CHROMIUM, MARKS, no_sideways_scroll

from wares.console import app, frame, words
from wares.data.labels import LabelBook, Queue
from wares.data.labels.files import add_rows
from wares.data.quality.release import open_counts
from wares.pipeline.workspace import open_workspace
from wares.testing.faults import FAULTS, read

pytestmark = MARKS

PAGES = {
    "/workshop": ("Waiting for you", "待办事项"),
    "/workshop/assets": ("products_clean", "products_clean"),
    "/workshop/asset/events": ("What shoppers did", "数据样例"),
    "/workshop/asset/ghost": ("There is no such asset", "没有这个资产"),
    "/workshop/lineage": ("Choose a box", "点击方框"),
    "/workshop/lineage?what=products.brand&direction=down": ("Would notice", "同样会受影响"),
    "/workshop/quality": ("What is broken", "未通过的检查"),
    "/workshop/quality/events": ("Score over the last checks", "最近检查的得分"),
    "/workshop/quarantine": ("Mend and release", "修正并放行"),
    "/workshop/cleaning": ("Columns worth keeping", "值得保留的列"),
    "/workshop/fusion": ("Are these one and the same product?", "这两条是同一件商品吗？"),
    "/workshop/labels": ("mood", "mood"),
    "/workshop/labels/mood": ("Settle disputes (1)", "裁决分歧（1）"),
    "/workshop/labels/mood/desk": ("Begin", "开始"),
    "/workshop/labels/mood/settle": ("Begin", "开始"),
    "/workshop/prices": ("held against the product's own past", "自身的历史价格"),
    "/workshop/emerging": ("with the trend of its neighbours taken out", "扣除同类走势"),
    "/workshop/satisfaction": ("The shop has no table of searches", "店铺没有搜索记录"),
    "/workshop/search-gaps": ("The shop has no table of searches", "店铺没有搜索记录"),
    "/workshop/rules": ("Rules count at once", "规则立即生效"),
    "/workshop/service": ("most pressing first", "最紧迫在前"),
    "/workshop/improve": ("complaints go furthest beyond", "投诉明显多于同类"),
    "/workshop/improve?product=ghost": ("There is no such product", "没有这个商品"),
    "/workshop/access": ("Who sees what", "谁能看到什么"),
    "/workshop/audit": ("The log is whole", "日志完整"),
    "/workshop/moods": ("Moods", "评价情绪"),
    "/workshop/moods/aspects": ("Aspects", "方面热力图"),
    "/workshop/moods/alerts": ("Alerts", "提醒"),
    "/workshop/moods/try": ("Write or paste a review", "输入或粘贴一段评价"),
}


@pytest.fixture(scope="module")
def shop(built, tmp_path_factory):
    """The built shop with something on every page: cleaned, checked twice, fused, rows set aside, texts to label."""
    root = tmp_path_factory.mktemp("workshop") / "shop"
    copy_workspace(built.root, root)
    write_products(root / "more")
    config = root / "wares.toml"
    config.write_text(
        config.read_text() + '\n[fusion]\nenabled = true\ndoubt = 0.5\ntrust = ["erp", "market"]\n'
    )
    shop = open_workspace(root)
    shop.check("events")
    shop.cleaner.clean("products")
    shop.ingest(str(root / "more" / "exports" / "products.jsonl"), "products")
    late = root / "late.csv"
    late.write_text(
        "customer,sku,type,time,qty,price\nu001,p0001,purchase,2025-03-01T10:00:00,1,cheap\n"
        "u002,p0002,teleported,2025-03-01T11:00:00,1,3.50\n"
    )
    shop.ingest(str(late), "events")
    fault = next(f for f in FAULTS if f.name == "wrong enumeration")
    shop.store.replace("events", fault.plant(read(shop.store, "events"), np.random.default_rng(1)))
    shop.check("events")
    shop.fuser.fuse()
    clusters = shop.fuser.clusters()
    pairs = [("erp-1", "market-1"), ("erp-2", "market-2"), ("erp-1", "erp-4"), ("erp-5", "outlet-5")]
    shop.fuser.book.fill(
        [
            {"left_id": a, "right_id": b, "probability": 0.5, "version": 0, "evidence": {"joined": clusters[a] == clusters[b]}}
            for a, b in pairs
        ]
    )  # fmt: skip
    book = LabelBook.of(shop)
    project = book.create("mood", "sentiment", overlap=2)
    add_rows(
        book,
        project,
        [{"id": "r1", "text": "很好用，就是有点贵"}, {"id": "r2", "text": "Broke after a day."}],
        key="id",
        asset="reviews",
        version=1,
    )
    for who, value in (("bo", "negative"), ("mei", "positive")):
        Queue(book, project).put_many([{"key": "r1", "value": value}], annotator=who)
    return shop


@pytest.fixture(scope="module")
def site(shop):
    with running_server(shop.root, "--console") as (_, port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture
def page(browser):
    """A fresh visitor; what the page or the console of the browser complains of fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    found = context.new_page()
    errors: list[str] = []
    found.on("pageerror", lambda error: errors.append(str(error)))
    found.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    found.set_default_timeout(20_000)
    yield found
    context.close()
    assert errors == []


def raw_keys(text: str) -> set[str]:
    """Names of texts that stand on the page in place of the texts; one is an asset too."""
    return {w for w in re.findall(r"\b[a-z]+_[a-z_]+\b", text) if w in words.WORDS} - {"price_history"}


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_opens_wide_and_narrow_without_fault(page, site, language):
    if language == "zh":
        page.goto(f"{site}/workshop/access")
        page.get_by_role("button", name="中文").click()
        page.get_by_text("谁能看到什么").wait_for()
    for path, texts in PAGES.items():
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(site + path)
        page.get_by_text(texts[language == "zh"]).first.wait_for()
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            assert no_sideways_scroll(page), (path, width)
        assert page.get_by_role("heading", level=1).count() == 1, path
        assert raw_keys(page.locator("body").inner_text()) == set(), path
        # One row of links, and the visitor's own among those that are to be seen.
        row = page.locator(".sections .in")
        assert row.bounding_box()["height"] < 60, path
        here = page.locator(".sections [aria-current=page]")
        if "ghost" not in path:
            assert here.count() == 1, path


def test_sections_stand_in_the_order_of_the_work(page, site):
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{site}/workshop/audit")
    links = page.locator(".sections a")
    links.first.wait_for()
    assert links.all_inner_texts() == [
        "Overview", "Assets", "Lineage", "Quality", "Quarantine", "Cleaning", "Fusion", "Labels", "Moods", "Prices", "Rising", "Searches", "Lost searches", "Search rules", "Service", "To improve", "Access", "Audit",
    ]  # fmt: skip
    page.wait_for_function("document.querySelector('.sections .in').scrollLeft > 0")
    box = page.locator(".sections .on").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390


def test_an_asset_is_searched_opened_and_looked_at_in_another_role(page, site):
    page.goto(f"{site}/workshop/assets")
    page.get_by_placeholder("Name, description").fill("shoppers did")
    page.get_by_role("link", name="events").wait_for()
    page.wait_for_function("document.querySelectorAll('.q-table tbody tr').length < 4")
    page.get_by_role("link", name="events").click()
    page.get_by_role("cell", name=re.compile(r"^u\d{3}$")).first.wait_for()
    choose_role(page, "analyst")
    page.get_by_role("cell", name=re.compile(r"^[0-9a-f]{32}$")).first.wait_for()
    assert page.get_by_role("cell", name=re.compile(r"^u\d{3}$")).count() == 0
    choose_role(page, "public")
    page.get_by_text("Your role may not read").wait_for()
    for path in ("/workshop/quality/events", "/workshop/quarantine", "/workshop/audit", "/workshop/fusion"):
        page.goto(site + path)
        page.get_by_role("heading", level=1).wait_for()
        text = page.locator("#main").inner_text()
        assert "teleported" not in text, path
        assert page.get_by_role("button").count() <= 1, f"{path}: only the language can be changed"
    page.goto(f"{site}/workshop/labels/mood/desk")
    page.get_by_placeholder("It stays with every label").fill("eve")
    page.keyboard.press("Enter")
    page.get_by_text("Your role (public) may not read these texts").wait_for()
    assert "Broke after" not in page.locator("body").inner_text()
    page.keyboard.press("1")
    page.wait_for_timeout(300)


def choose_role(page, role):
    page.get_by_label("You look as").click()
    page.get_by_role("option", name=role, exact=True).click()
    page.wait_for_function(
        "role => document.querySelector('header')?.innerText.includes(role) || [...document.querySelectorAll('header input')].some(i => i.value === role)",
        arg=role,
    )


def test_nothing_was_labelled_by_who_may_not_read(shop):
    book = LabelBook.of(shop)
    assert {row["annotator"] for row in book.answers(book.project("mood"))} == {"bo", "mei"}


def test_the_history_of_a_check_is_opened(page, site):
    page.goto(f"{site}/workshop/quality")
    page.get_by_role("link", name="events · enumeration:kind").click()
    page.get_by_text("History of this check").wait_for()
    assert page.locator("#main svg polyline").count() >= 3
    page.get_by_role("cell", name="passed", exact=True).first.wait_for()


def test_a_row_is_mended_and_released(page, site, shop):
    before = sum(row["rows"] for row in open_counts(shop.store, shop.state))
    page.goto(f"{site}/workshop/quarantine")
    entry = page.locator(".set-aside", has_text="enumeration kind")
    entry.get_by_role("button", name="Mend and release").click()
    page.get_by_role("textbox", name="kind", exact=True).fill("purchase")
    page.get_by_role("button", name="Release", exact=True).click()
    page.get_by_text("Released into events").wait_for()
    assert sum(row["rows"] for row in open_counts(shop.store, shop.state)) == before - 1


@pytest.mark.parametrize("width", [1280, 390])
def test_doubtful_pairs_are_decided_by_keyboard(page, site, shop, width):
    page.set_viewport_size({"width": width, "height": 900})
    book = shop.fuser.book
    page.goto(f"{site}/workshop/fusion")
    page.get_by_text("one and the same product").wait_for()
    before, first = book.left(), book.waiting(1)[0]
    page.get_by_text(first["left_id"], exact=True).first.wait_for()
    page.keyboard.press("n")
    page.get_by_text("1 by you").wait_for()
    assert book.left() == before - 1
    assert book.decided()[-1]["verdict"] == "different"
    page.keyboard.press("u")
    page.get_by_text("0 by you").wait_for()
    assert book.left() == before
    page.get_by_role("button", name="Same").click()
    page.get_by_text("1 by you").wait_for()
    assert (book.decided()[-1]["left_id"], book.decided()[-1]["verdict"]) == (first["left_id"], "same")
    page.keyboard.press("u")
    page.get_by_text("0 by you").wait_for()


def test_lineage_answers_and_its_boxes_lead_on(page, site):
    page.goto(f"{site}/workshop/lineage")
    page.get_by_placeholder("An asset, a column").fill("products.brand")
    page.get_by_text("What breaks if this changes?").click()
    page.get_by_role("cell", name="products_clean").wait_for()
    page.locator("svg a", has_text="products_clean").click()
    page.get_by_text("after the cleaning rules").wait_for()


def test_all_sections_have_a_place_and_a_text():
    assert {name for name, _ in frame.SECTIONS} <= set(frame.ORDER)
    assert app.arrange is frame.arrange
    assert all(english.strip() and chinese.strip() for english, chinese in words.WORDS.values())


def test_sentences_of_other_rooms_are_read_in_chinese():
    assert words.sentence("Use one of view, click", "zh") == "请使用以下之一：view, click"
    assert words.sentence("At most 40 characters", "zh") == "不得超过 40 个字符"
    assert words.sentence("At most 2100", "en") == "At most 2100"
    assert words.sentence("Something new", "zh") == "Something new"
