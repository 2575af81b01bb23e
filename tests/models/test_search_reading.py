"""Retrieval with every field of a query that was read, over a small catalogue with vectors of words."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from wares.core.errors import QueryError
from wares.evaluate.search_shop import make_searcher
from wares.models.search.asked import Asked, Size
from wares.models.search.filters import Filters
from wares.models.search.forward import tokens_of
from wares.models.search.highlight import highlights
from wares.models.search.pages import check_page, make_cursor, read_cursor
from wares.models.search.relax import steps
from wares.models.search.schema import product_numbers
from wares.models.search.words import runs

ROWS = [
    ("h1", "Sony WH-1000XM4 wireless headphones black", "Sony", "Audio > Headphones", "", 249.0),
    ("h2", "Sony WH-1000XM5 wireless headphones silver", "Sony", "Audio > Headphones", "", 329.0),
    ("h3", "Bose wireless headphones 700", "Bose", "Audio > Headphones", "", 279.0),
    ("e1", "Acme wired earphones", "Acme", "Audio > Earphones", "", 9.0),
    ("s1", "Trail shoes gore-tex blue", "Peak", "Shoes > Trail", "42", 120.0),
    ("s2", "Trail shoes light red", "Peak", "Shoes > Trail", "43", 70.0),
    ("s3", "Road shoes light red", "Acme", "Shoes > Road", "43", 60.0),
    ("o1", "Oat drink 1 l", "Acme", "Food > Drinks", "1 l", 2.0),
    ("o2", "Oat drink 500 ml", "Acme", "Food > Drinks", "500 ml", 1.2),
    ("z1", "无线蓝牙耳机 降噪", "华为", "数码 > 耳机", "", 199.0),
    ("z2", "蓝牙音箱", "小米", "数码 > 音箱", "", 99.0),
]
DIM = 64


def encode(text):
    vector = np.zeros(DIM, np.float32)
    for token in tokens_of(text):
        vector[int(hashlib.sha256(token.encode()).hexdigest(), 16) % DIM] += 1
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reading")


@pytest.fixture(scope="module")
def searcher(folder):
    names = ("product_id", "title", "brand", "category", "size")
    columns = {name: [row[i] for row in ROWS] for i, name in enumerate(names)}
    columns["attributes"] = [
        '{"color": "silver", "model": "YY2954"}' if row[0] == "h2" else "" for row in ROWS
    ]
    vectors = np.stack([encode(t) for t in columns["title"]])
    prices = np.array([row[5] for row in ROWS])
    return make_searcher(folder, columns, columns["title"], vectors, encode, prices=prices)


def ids(searcher, found):
    return [str(searcher.catalogue.ids[int(row)]) for row in found.rows]


def ask(searcher, text, k=10, **fields):
    words = fields.pop("words", tuple(text.split()))
    return searcher.search(text, k, asked=Asked(text, words, **fields))


def test_structure_limits(searcher):
    found = ask(searcher, "shoes under 80", words=("shoes",), price_max=80.0)
    assert set(ids(searcher, found)) == {"s2", "s3"}
    found = ask(searcher, "trail shoes without gore-tex", words=("trail", "shoes"), not_words=("gore-tex",))
    assert "s1" not in ids(searcher, found)
    assert ids(searcher, found)[0] == "s2"
    found = ask(searcher, "headphones not sony", words=("headphones",), not_brands=("sony",))
    assert ids(searcher, found)[0] == "h3"
    assert not {"h1", "h2"} & set(ids(searcher, found))
    found = ask(searcher, "sony wireless", words=("wireless",), brands=("SONY",))
    assert set(ids(searcher, found)) == {"h1", "h2"}
    found = ask(searcher, "silver headphones", words=("headphones",), attributes=(("color", "silver"),))
    assert ids(searcher, found) == ["h2"]
    found = ask(searcher, "audio", words=(), categories=("audio",))
    assert set(ids(searcher, found)) == {"h1", "h2", "h3", "e1"}


def test_a_size_lifts_and_does_not_exclude(searcher):
    for size, first in ((Size(1000, "ml"), "o1"), (Size(500, "ml"), "o2")):
        found = ask(searcher, "oat drink", sizes=(size,))
        assert ids(searcher, found)[0] == first
        assert set(ids(searcher, found)[:2]) == {"o1", "o2"}
    assert ids(searcher, ask(searcher, "500ml", words=(), sizes=(Size(500, "ml"),)))[0] == "o2"


def test_other_ways_to_say_a_word(searcher):
    found = ask(searcher, "cans", also={"cans": ("headphones",)})
    assert set(ids(searcher, found)) >= {"h1", "h2", "h3"}


def test_what_was_relaxed_is_said(searcher):
    found = ask(
        searcher, "sony shoes", words=("shoes",), brands=("Sony",), notes=(("sony", "brand", "Sony"),)
    )
    assert found.relaxed.startswith("brands")
    assert len(found.rows)
    found = ask(searcher, "shoes under 1", words=("shoes",), price_max=1.0)
    assert found.relaxed == "price"
    assert set(ids(searcher, found)) >= {"s1", "s2", "s3"}
    assert "s1" not in ids(
        searcher, ask(searcher, "x", words=("shoes",), price_max=1.0, not_words=("gore-tex",))
    )
    assert ask(searcher, "wireless shoes").relaxed == "any of the words"


def test_the_order_of_letting_go():
    asked = Asked(
        "a b", ("a", "b"), brands=("c",), categories=("d",), price_max=3.0, attributes=(("e", "f"),)
    )
    said = [s for _, _, s in steps(asked)]
    assert said[0] == ()
    assert said[1] == ("any of the words",)
    assert [s for s in said if "any of the words" not in s][1:] == [
        ("attributes",),
        ("attributes", "categories"),
        ("attributes", "categories", "brands"),
        ("attributes", "categories", "brands", "price"),
    ]


@pytest.mark.parametrize("query", ["wh1000xm4", "WH-1000XM4", "wh 1000 xm4", "YY2954"])
def test_product_numbers(searcher, query):
    assert ids(searcher, searcher.search(query, 3))[0] == ("h2" if query == "YY2954" else "h1")


def test_product_numbers_are_no_measures():
    assert product_numbers("Galaxy S21 64gb 1080p 500 ml SM-G991B 12345 123") == [
        "s21",
        "smg991b",
        "g991b",
        "12345",
    ]


def test_exact_title_first(searcher):
    assert ids(searcher, searcher.search("oat drink 500 ML", 2))[0] == "o2"
    assert ids(searcher, searcher.search("蓝牙音箱", 2))[0] == "z2"


def test_facets_ignore_their_own_filter(searcher):
    found = searcher.search("headphones", 10, filters=Filters(brand=("Sony",)))
    assert set(ids(searcher, found)) == {"h1", "h2"}
    assert dict(found.facets["brand"]) == {"Sony": 2, "Bose": 1}
    assert dict(found.facets["category"]) == {"Audio > Headphones": 2}
    found = searcher.search("shoes", 10, filters=Filters(size=("43",)))
    assert set(ids(searcher, found)) == {"s2", "s3"}
    assert dict(found.facets["size"]) == {"42": 1, "43": 2}
    assert dict(found.facets["available"]) == {"true": 2}


def test_orders_and_groups(searcher):
    found = searcher.search("shoes", 10, sort="price")
    assert ids(searcher, found) == ["s3", "s2", "s1"]
    assert ids(searcher, searcher.search("shoes", 10, sort="-price")) == ["s1", "s2", "s3"]
    assert ids(searcher, searcher.search("", 2, sort="price")) == ["o2", "o1"]
    found = searcher.search("oat drink", 10, group="variant")
    assert len({"o1", "o2"} & set(ids(searcher, found))) == 1
    assert found.variants[0] == 1


def test_pages_are_cut_from_one_list(searcher):
    whole = ids(searcher, searcher.search("wireless shoes headphones", 10))
    parts = [
        i
        for at in range(0, 10, 3)
        for i in ids(searcher, searcher.search("wireless shoes headphones", 3, at))
    ]
    assert parts[: len(whole)] == whole


def test_cursors():
    cursor = make_cursor(["a", {}], 40)
    assert read_cursor(cursor, ["a", {}]) == 40
    for bad, question in ((cursor, ["b"]), ("%%%", ["a"]), ("", ["a"]), ("bm90anNvbg", ["a"])):
        with pytest.raises(QueryError):
            read_cursor(bad, question)
    for wrong in ((-1, "", ""), (0, "smell", ""), (0, "", "colour")):
        with pytest.raises(QueryError):
            check_page(*wrong)


def test_highlights():
    assert highlights("Trail Shoe gore-tex", ["shoes", "trail"]) == [(0, 5), (6, 10)]
    assert highlights("无线蓝牙耳机", ["蓝牙", "耳机"]) == [(2, 6)]
    assert highlights("İstanbul 500ml tea", ["500", "tea"]) == [(9, 12), (15, 18)]
    assert highlights("", ["a"]) == []
    assert highlights("tea", []) == []


def test_an_order_and_rules_have_the_last_word(searcher):
    searcher.order = lambda asked, some, liking: np.arange(len(some), dtype=np.float32)
    searcher.rules = lambda asked, rows, *_: np.concatenate([[10], rows[rows != 10]]).astype(np.int32)
    try:
        found = searcher.search("shoes", 10)
    finally:
        searcher.order = searcher.rules = None
    assert ids(searcher, found)[0] == ROWS[10][0] or found.rows[0] == 10
    assert set(ids(searcher, found)) >= {"s1", "s2", "s3"}


@pytest.mark.parametrize(
    "query",
    ["", " ", "😀", "x" * 5000, 'a AND (b "', "שלום", "\ud800", "-", "title:red^5", "1" * 300, "a1 " * 900],
)
def test_odd_queries(searcher, query):
    found = searcher.search(query, 5)
    assert found.total >= len(found.rows)


def test_contradictory_limits_find_nothing_or_say_so(searcher):
    found = searcher.search("shoes", 5, filters=Filters(price_min=50, price_max=1))
    assert len(found.rows) == 0
    found = searcher.search("shoes", 5, 10_000)
    assert len(found.rows) == 0
    assert found.total >= 3


def test_typos_are_mended_only_without_a_reader(searcher):
    found = searcher.search("wireless headpohnes", 3)
    assert found.corrected == {"headpohnes": "headphones"}
    assert not found.relaxed
    assert not searcher.search("wireless headpohnes", 3, mend=False).corrected


def test_a_phrase_of_several_words_that_says_the_same_is_found(searcher):
    """`also` may name a run of words; what says the same stands in place of the whole run."""
    assert runs(["big", "power", "bank"], {"power bank": ("charger",), "big": ("large",)}) == [
        (0, 1, ()),
        (1, 3, ("charger",)),
    ]
    asked = Asked("zqx vbn", ("zqx", "vbn"), also={"zqx vbn": ("shoes",)})
    found = searcher.search("zqx vbn", 10, asked=asked)
    assert set(ids(searcher, found)) >= {"s1", "s2", "s3"}
    assert found.relaxed == ""
