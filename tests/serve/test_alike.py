"""Similar products as they are served: kinds, contributions, weights, new products, images, groups."""

from __future__ import annotations

import numpy as np
import pytest
from fastapi.testclient import TestClient

import wares
from wares.core.arrays import save_arrays, seal
from wares.core.errors import QueryError
from wares.core.strings import StringTable
from wares.features.catalogue import PRICE_SCALE, TEXTS, Catalogue
from wares.features.reviews_build import sentences
from wares.serve.app import create_app
from wares.serve.groups import _Said, compare, find_groups


@pytest.fixture(scope="module")
def ranker(built):
    return wares.load(built.root)


@pytest.fixture(scope="module")
def client(built):
    with TestClient(create_app(built.root)) as found:
        yield found


def test_the_shop_says_which_dimensions_and_kinds_it_has(ranker):
    names = ranker.likeness.names
    assert names[:2] == ("text", "attributes")
    assert {"behaviour", "graph", "price", "scene"} <= set(names)
    # No pictures, no reviews, nobody looks before buying.
    assert not {"image", "reviews", "view"} & set(names)
    assert {"like", "same", "substitute"} <= set(ranker.likeness.kinds)
    assert "style" not in ranker.likeness.kinds


@pytest.mark.parametrize("kind", ["like", "same", "substitute"])
def test_contributions_of_every_answer_sum_to_its_score(ranker, kind):
    for product in ("p0000", "p0009", "p0050"):
        hits = ranker.similar(product, k=10, kind=kind)
        assert hits
        for hit in hits:
            assert sum(hit.parts.values()) == pytest.approx(hit.score, abs=1e-5)
            assert 0 < hit.score <= 1 + 1e-5
            assert set(hit.why.facts["shares"]) <= set(ranker.likeness.names)
            assert hit.why.text
        assert np.all(np.diff([h.score for h in hits]) <= 1e-6)


def test_weights_steer(ranker):
    by_price = ranker.similar("p0000", k=5, weights={"price": 1})
    assert all(set(hit.parts) == {"price"} for hit in by_price)
    near = [abs(float(h.product.price - ranker.product("p0000").price)) for h in by_price]
    assert np.mean(near) < 5
    both = ranker.similar("p0000", k=5, weights={"text": 1, "price": 0})
    assert all(set(hit.parts) == {"text"} for hit in both)


def test_a_dimension_that_the_shop_lacks_is_no_error_and_an_unknown_one_is(ranker):
    assert ranker.similar("p0000", k=3, weights={"text": 1, "image": 1})
    assert ranker.similar("p0000", k=3, weights={"image": 1}) == []
    with pytest.raises(QueryError, match="unknown dimension"):
        ranker.similar("p0000", weights={"smell": 1})
    with pytest.raises(QueryError, match="no signals"):
        ranker.similar("p0000", kind="style")


def test_images_and_words_need_pictures(ranker):
    with pytest.raises(QueryError, match="no pictures"):
        ranker.alike.by_image(b"any")
    with pytest.raises(QueryError, match="too few pictures"):
        ranker.alike.by_words("red lamp")
    with pytest.raises(QueryError, match="no words"):
        ranker.alike.by_words("  ")


def test_the_api_gives_kinds_and_contributions(client):
    answer = client.get("/v1/similar/p0000", params={"k": 5, "kind": "substitute"})
    assert answer.status_code == 200
    body = answer.json()
    assert "substitute" in body["kinds"]
    assert "text" in body["dimensions"]
    for hit in body["hits"]:
        assert sum(hit["parts"].values()) == pytest.approx(hit["score"], abs=2e-5)
    assert client.get("/v1/similar/p0000", params={"weights": "text:1,price:2"}).status_code == 200
    assert client.get("/v1/similar/p0000", params={"kind": "style"}).status_code == 400
    assert client.get("/v1/similar/p0000", params={"kind": "smell"}).status_code == 422
    assert client.get("/v1/similar/p0000", params={"weights": "smell:1"}).status_code == 400
    assert client.post("/v1/similar-to-image", content=b"no image").status_code == 400


def test_new_products_are_compared_by_text_and_found(copy_of_built):
    with TestClient(create_app(copy_of_built.root)) as client:
        for name, title in (("n1", "red desk lamp"), ("n2", ""), ("n3", "lamp " * 100)):
            body = {"title": title or "?", "category": "Lamps"}
            assert client.put(f"/v1/products/{name}", json=body).status_code == 200
        body = {"title": "lamp " * 2000, "category": "Lamps"}
        assert client.put("/v1/products/n4", json=body).status_code == 422
        hits = client.get("/v1/similar/n1", params={"k": 8}).json()["hits"]
        assert sum("lamp" in h["product"]["title"] for h in hits) >= 6
        found = client.get("/v1/similar/p0000", params={"k": 20, "weights": "text:1"}).json()["hits"]
        assert "n1" in [h["product"]["product_id"] for h in found]
        assert client.get("/v1/similar/n3").status_code == 200
        assert client.get("/v1/similar/n2").status_code == 200


# -- groups ---------------------------------------------------------------------------------------------------------


def said(title, size="", brand="", price=1000, **attributes):
    words = frozenset(w for w in title.split() if not w[0].isdigit())
    numbers = frozenset(w for w in title.split() if w[0].isdigit())
    return _Said(words, numbers, brand, size, tuple(sorted(attributes.items())), price)


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        (said("red lamp"), said("red lamp"), ""),
        (said("red lamp"), said("blue lamp"), "colour"),
        (said("milk", "500 ml"), said("milk", "1 l"), "size"),
        (said("shirt xl blue"), said("shirt s"), "size, colour"),
        (said("milk 500 ml"), said("milk 1 l"), "size"),
        (said("lamp", voltage="12"), said("lamp", voltage="24"), "voltage"),
        (said("lamp"), said("lamp", price=2000), "price"),
        (said("lamp", brand="a"), said("lamp", brand="b"), None),
        (said("desk lamp"), said("desk chair"), None),
        (said(""), said(""), None),
        (said("iphone 14"), said("iphone 15"), "size"),
    ],
)
def test_duplicates_variants_and_others_are_told_apart(one, other, verdict):
    assert compare(one, other) == verdict
    assert compare(other, one) == verdict


class _AllNear:
    """Likeness that holds everything against everything."""

    def near_pairs(self, least, a_text, block):
        n = len(block)
        for row in range(n):
            yield row, np.arange(row + 1, n)


def test_groups_of_a_catalogue(tmp_path):
    titles = ["Red lamp", "red  lamp", "Blue lamp", "Milk", "Milk", "Milk", "", "", "Chair"]
    sizes = ["", "", "", "500 ml", "1 l", "500 ml", "", "", ""]
    prices = [20, 21, 20, 1, 2, 1, 5, 5, 70]
    columns = {"product_id": [f"p{i}" for i in range(9)], "title": titles, "size": sizes}
    for name in TEXTS:
        StringTable.of(columns.get(name, [""] * 9)).save(tmp_path, name)
    none = np.zeros(0, np.int64)
    blank = np.full(9, -1, np.int32)
    save_arrays(
        tmp_path, prices=np.array(prices) * PRICE_SCALE, available=np.ones(9, np.uint8), text_of=np.arange(9, dtype=np.int32),
        category_of=blank, brand_of=blank, price_ptr=np.zeros(10, np.int64), price_at=none, price_value=none,
    )  # fmt: skip
    seal(tmp_path, "catalogue", items=9, template="{title}")
    found = {(g.kind, g.rows): g.why for g in find_groups(Catalogue(tmp_path), _AllNear())}
    # Identical titles with different units are variants; nothing is known of the two without a title.
    assert found == {
        ("duplicate", (0, 1)): "", ("duplicate", (3, 5)): "", ("variant", (0, 2)): "colour", ("variant", (3, 4)): "size",
    }  # fmt: skip


def test_sentences_of_reviews():
    assert sentences("Good. Bad!  很好。!!! 12") == ["Good.", "Bad!", "很好。"]
    assert max(map(len, sentences("x" * 4000))) <= 240
    assert sentences("") == []
