from __future__ import annotations

import numpy as np
import pytest

import wares
from wares.core.errors import NotFound, QueryError
from wares.models.search.analysis import surface_words
from wares.models.search.infer import Filters


@pytest.fixture(scope="module")
def ranker(built):
    return wares.load(built.root)


def titles(hits):
    return [hit.product.title for hit in hits]


def test_words_and_reasons(ranker):
    page = ranker.search("red desk lamp", k=5)
    assert page.hits[0].product.title == "red desk lamp"
    assert "lamp" in page.hits[0].why.text
    assert page.total >= len(page.hits)


def test_typos_are_mended_and_said(ranker):
    page = ranker.search("desk lmap", k=3)
    assert "desk lamp" in page.hits[0].product.title
    assert page.corrected == "desk lamp"


def test_chinese_is_segmented(ranker):
    assert surface_words("紫砂茶壶500ml")[-2:] == ["500", "ml"]
    hits = ranker.search("紫砂 茶壶", k=3, language="zh").hits
    assert all("紫砂茶壶" in title for title in titles(hits))
    assert all("紫砂" in hit.why.text for hit in hits)


def test_meaning_finds_what_words_miss(ranker):
    assert any(
        "knife" in t or "board" in t or "pan" in t
        for t in titles(ranker.search("something to cook with", k=5).hits)
    )


def test_filters_facets_and_pages(ranker):
    page = ranker.search("", k=10, filters=Filters(category=("Garden",), price_max=20))
    assert page.hits
    assert all(h.product.category == "Garden" and h.product.price <= 20 for h in page.hits)
    assert dict(page.facets["category"])["Garden"] == page.total
    assert len(page.facets["category"]) > 1
    both = [h.product.product_id for h in ranker.search("lamp", k=6).hits]
    paged = [h.product.product_id for o in (0, 3) for h in ranker.search("lamp", k=3, offset=o).hits]
    assert both == paged
    assert ranker.search("lamp", filters=Filters(brand=("Nobody",))).hits == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        "   ",
        "😀😀",
        "x" * 5000,
        "the of and",
        "'; DROP TABLE x; --",
        'a AND (b "',
        "שלום",
        "%%%",
        "[* TO *]",
        "\ud800",
        "-",
        "title:red^5",
    ],
)
def test_odd_queries_answer(ranker, query):
    page = ranker.search(query, k=5)
    assert page.total >= len(page.hits)


def test_suggestions(ranker):
    assert any("lamp" in s for s in ranker.suggest("desk l"))
    assert ranker.suggest("茶")
    assert ranker.suggest("") == []
    assert ranker.suggest("zzzz") == []


def test_recommendations_follow_the_taste(ranker, shop_data):
    right = total = 0
    for user in list(shop_data.taste)[:40]:
        for hit in ranker.recommend(user, k=5):
            right += hit.product.category == shop_data.taste[user]
            total += 1
            assert hit.why.text
    assert right / total > 0.75


def test_strangers_and_bad_arguments(ranker):
    assert len(ranker.recommend(None, k=8)) == 8
    assert len(ranker.recommend("nobody at all", k=8)) == 8
    assert len({h.product.category for h in ranker.recommend(None, k=8)}) > 1
    for call in (
        lambda: ranker.recommend("u", k=0),
        lambda: ranker.recommend("u", tail=2),
        lambda: ranker.search("a", offset=-1),
        lambda: ranker.similar("p0001", weights={"smell": 1}),
    ):
        with pytest.raises(QueryError):
            call()


def test_similar_products(ranker):
    hits = ranker.similar("p0000", k=8)
    assert "p0000" not in [h.product.product_id for h in hits]
    assert all(h.why.text for h in hits)
    assert sum(h.product.category == "Lamps" for h in hits) >= 6
    by_text = ranker.similar("p0000", k=3, weights={"text": 1})
    assert all("lamp" in t for t in titles(by_text))
    with pytest.raises(NotFound, match="PUT"):
        ranker.similar("ghost")


def test_cold_products_have_likeness_and_can_be_recommended(ranker, shop_data):
    cold = shop_data.cold[0]
    assert ranker.similar(cold, k=3)
    shown = {
        h.product.product_id for user in shop_data.taste for h in ranker.recommend(user, k=20, repeats=False)
    }
    assert shown & set(shop_data.cold)


def test_reasons_in_chinese(ranker):
    assert (
        "顾客" in " ".join(h.why.text for h in ranker.recommend("u001", k=20, repeats=False, language="zh"))
        or "热销" in ranker.recommend(None, language="zh")[0].why.text
    )


def test_scores_are_ordered(ranker):
    for hits in (ranker.search("lamp", k=20).hits, ranker.similar("p0003", k=20)):
        assert np.all(np.diff([h.score for h in hits]) <= 1e-6)
