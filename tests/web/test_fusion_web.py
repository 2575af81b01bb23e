from __future__ import annotations

import shutil

import pytest
from tests.conftest import running_server
from tests.data.test_fusion_run import write_products

from wares.pipeline.workspace import open_workspace

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.web,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def shop(built, tmp_path_factory):
    root = tmp_path_factory.mktemp("fusion") / "shop"
    shutil.copytree(built.root, root, symlinks=True)
    write_products(root / "more")
    config = root / "wares.toml"
    config.write_text(
        config.read_text() + '\n[fusion]\nenabled = true\ndoubt = 0.5\ntrust = ["erp", "market"]\n'
    )
    shop = open_workspace(root)
    shop.ingest(str(root / "more" / "exports" / "products.jsonl"), "products")
    shop.fuser.fuse()
    if shop.fuser.book.left() < 4:
        # The model is sure of nearly all: put pairs of one thing and of two into the queue.
        clusters = shop.fuser.clusters()
        pairs = [("erp-1", "market-1"), ("erp-2", "market-2"), ("erp-1", "erp-4"), ("erp-5", "outlet-5")]
        shop.fuser.book.fill(
            [
                {"left_id": a, "right_id": b, "probability": 0.5, "version": 0, "evidence": {"joined": clusters[a] == clusters[b]}}
                for a, b in pairs
            ]
        )  # fmt: skip
    return shop


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_doubtful_pairs_are_decided_by_keyboard(shop, width, tmp_path):
    from playwright.sync_api import sync_playwright

    book = shop.fuser.book
    with running_server(shop.root, "--console") as (_, port), sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": width, "height": 900})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.set_default_timeout(30_000)
        page.goto(f"http://127.0.0.1:{port}/workshop/fusion")
        page.get_by_text("one and the same product").wait_for()
        before, first = book.left(), book.waiting(1)[0]
        page.get_by_text(first["left_id"], exact=True).first.wait_for()
        page.screenshot(path=tmp_path / f"fusion-{width}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")
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
        browser.close()
        assert errors == []
