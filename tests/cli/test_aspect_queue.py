"""Aspects proposed out of reviews, answered in the labelling queue, and confirmed into the reader's catalogue."""

from __future__ import annotations

import csv
import json

import pytest
from typer.testing import CliRunner

from wares.cli import main
from wares.cli.aspect_labels import NEW, NO
from wares.core.errors import QueryError
from wares.data.labels import LabelBook, Queue
from wares.pipeline.workspace import open_workspace

for name in main.GROUPS:
    __import__(f"wares.cli.{name}", fromlist=["register"]).register(main.app)


def run(*words):
    return CliRunner().invoke(main.app, list(words))


@pytest.fixture
def shop(tmp_path):
    root = tmp_path / "shop"
    assert run("init", str(root)).exit_code == 0
    return root


@pytest.fixture
def reviews(tmp_path):
    said = ["the zipper is great", "the zipper is awful", "I love the zipper, call me at jo@example.org", "hate the strap", "the strap is great", "the strap is poor", "great strap"] * 3  # fmt: skip
    rows = [[text, "bags"] for text in said] + [[f"ordered on monday number {i}", "bags"] for i in range(60)]
    path = tmp_path / "reviews.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["review", "department"], *rows])
    return path


def test_people_confirm_what_becomes_an_aspect(shop, reviews, tmp_path):
    ask = (
        "label",
        "propose-aspects",
        "--file",
        str(reviews),
        "--text",
        "review",
        "--category",
        "department",
        "--least",
        "3",
        "--shop",
        str(shop),
    )
    made = json.loads(run(*ask, "--json").stdout)
    assert made["landed"] >= 2
    assert {"zipper", "strap"} <= {one["terms"][0] for one in made["proposals"]}
    assert json.loads(run(*ask, "--json").stdout)["landed"] == 0
    book = LabelBook.of(open_workspace(shop))
    project = book.project("aspects")
    payloads = {item["key"]: item["payload"] for item in book.items(project)}
    assert "jo@example.org" not in json.dumps(list(payloads.values()))
    assert payloads["bags:zipper"]["suggested"] == NEW
    queue = Queue(book, project)
    answers = {"bags:zipper": NEW, "bags:strap": "comfort"}
    queue.put_many([{"key": key, "value": answers.get(key, NO)} for key in payloads], annotator="mei")
    out = tmp_path / "aspects.json"
    facts = json.loads(
        run("label", "confirm-aspects", "--out", str(out), "--shop", str(shop), "--json").stdout
    )
    assert (facts["aspects"], facts["refused"]) == (2, len(payloads) - 2)
    again = json.loads(
        run("label", "confirm-aspects", "--out", str(out), "--shop", str(shop), "--json").stdout
    )
    assert again["new_terms"] == 0
    found = run(
        "aspects",
        "the zipper is awful",
        "the strap is great",
        "--catalogue",
        str(out),
        "--category",
        "bags",
        "--json",
    )
    assert [[o["aspect"] for o in one["opinions"]] for one in json.loads(found.stdout)] == [
        ["zipper"],
        ["comfort"],
    ]
    other = run("aspects", "the zipper is awful", "--catalogue", str(out), "--category", "lamps", "--json")
    assert json.loads(other.stdout)[0]["opinions"] == []


def test_a_project_that_asks_something_else_and_a_shop_without_reviews(shop, reviews):
    run("label", "create", "mood", "--kind", "sentiment", "--shop", str(shop))
    wrong = run(
        "label",
        "propose-aspects",
        "--project",
        "mood",
        "--file",
        str(reviews),
        "--text",
        "review",
        "--shop",
        str(shop),
    )
    assert isinstance(wrong.exception, QueryError)
    none = run("label", "propose-aspects", "--shop", str(shop))
    assert isinstance(none.exception, Exception)
    assert "reviews" in str(none.exception)
