from __future__ import annotations

import pytest
from tests.conftest import copy_workspace, running_server
from tests.web.browsing import MARKS, no_sideways_scroll, opened

from wares.data.labels import LabelBook, Queue, disputes
from wares.data.labels.files import add_rows
from wares.pipeline.workspace import open_workspace

pytestmark = MARKS

TEXTS = (
    "很好用，就是有点贵 👍",
    "Broke after a day.",
    "<b>Fine</b>, I suppose",
    "x" * 100_000,
    "Wonderful lamp",
)


@pytest.fixture(scope="module")
def shop(built, tmp_path_factory):
    root = tmp_path_factory.mktemp("labels") / "shop"
    copy_workspace(built.root, root)
    shop = open_workspace(root)
    book = LabelBook.of(shop)
    project = book.create("mood", "sentiment", overlap=2)
    rows = [{"id": f"r{n}", "text": text, "rating": n + 1} for n, text in enumerate(TEXTS)]
    add_rows(book, project, rows, key="id", asset="reviews", version=1)
    Queue(book, project).put_many([{"key": f"r{n}", "value": "negative"} for n in range(5)], annotator="bo")
    return shop


@pytest.fixture(scope="module")
def site(shop):
    with running_server(shop.root, "--console") as (_, port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def page(site):
    with opened(390) as found:
        yield found


def test_a_person_labels_by_keyboard_alone_and_settles_what_is_disputed(page, site, shop):
    book = LabelBook.of(shop)
    project = book.project("mood")

    def mine():
        return {r["key"]: r["value"] for r in book.answers(project) if r["annotator"] == "mei"}

    page.goto(f"{site}/workshop/labels")
    page.get_by_role("link", name="mood", exact=True).wait_for()
    assert no_sideways_scroll(page)
    page.goto(f"{site}/workshop/labels/mood/desk")
    page.get_by_placeholder("It stays with every label").wait_for()
    page.keyboard.type("mei")
    page.keyboard.press("Enter")
    page.get_by_text("很好用").wait_for()
    assert mine() == {}, "typing a name answers nothing"
    page.keyboard.press("3")
    page.get_by_text("Broke after a day.").wait_for()
    page.keyboard.press("2")
    page.get_by_text("<b>Fine</b>, I suppose").wait_for()
    page.keyboard.press("u")
    page.get_by_text("Broke after a day.").wait_for()
    page.keyboard.press("1")
    page.get_by_text("<b>Fine</b>, I suppose").wait_for()
    page.keyboard.press("s")
    page.get_by_text("Show all 100,000 characters").wait_for()
    assert no_sideways_scroll(page)
    page.keyboard.press("ArrowLeft")
    page.get_by_text("Your answer: negative").wait_for()
    page.keyboard.press("ArrowRight")
    page.get_by_text("Show all 100,000 characters").wait_for()
    page.keyboard.press("9")
    page.keyboard.press("1")
    page.get_by_text("Wonderful lamp").wait_for()
    page.keyboard.press("3")
    page.get_by_text("Nothing left for you here").wait_for()
    assert mine() == {"r0": "positive", "r1": "negative", "r3": "negative", "r4": "positive"}
    first = next(r for r in book.answers(project) if r["annotator"] == "mei" and r["key"] == "r0")
    assert (first["source"], first["asset_version"]) == ("console", 1)
    assert first["seconds"] >= 0

    page.goto(f"{site}/workshop/labels/mood")
    page.get_by_role("link", name="Settle disputes (2)").click()
    page.get_by_text("bo", exact=True).wait_for()
    assert no_sideways_scroll(page)
    page.keyboard.press("3")
    page.get_by_text("Wonderful lamp").wait_for()
    page.keyboard.press("3")
    page.get_by_text("No open disputes.").wait_for()
    assert disputes(book, project) == []
