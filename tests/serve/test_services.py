from __future__ import annotations

import time
from datetime import UTC, datetime

import numpy as np
import pytest
from fastapi.testclient import TestClient
from tests.conftest import CONFIG

from wares.core.errors import NotFound, QueryError
from wares.core.state import State
from wares.serve.app import create_app
from wares.serve.ranker import load_ranker
from wares.serve.services import Services
from wares.serve.situation import Situation
from wares.serve.steering import Steering
from wares.testing.baskets import EVERY, make_basket_shop
from wares.testing.shop import write_rows


@pytest.fixture(scope="module")
def planted():
    return make_basket_shop()


@pytest.fixture(scope="module")
def shop(planted, tmp_path_factory):
    from wares.pipeline.workspace import init_workspace

    root = tmp_path_factory.mktemp("baskets") / "shop"
    write_rows(root / "exports" / "products.csv", planted.products)
    write_rows(root / "exports" / "events.csv", planted.events)
    found = init_workspace(root, CONFIG + "[build]\nthreads = 1\n")
    found.ingest()
    found.build()
    found.publish()
    return found


@pytest.fixture(scope="module")
def client(shop):
    with TestClient(create_app(shop.root)) as found:
        yield found


@pytest.fixture(scope="module")
def ranker(shop):
    return load_ranker(shop.root)


def ids(hits):
    return [hit.product.product_id for hit in hits]


def asked(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()["hits"]


def names(hits):
    return [hit["product"]["product_id"] for hit in hits]


def test_together_has_a_reason_and_a_count(client, planted):
    one, other = planted.together
    hits = asked(client, f"/v1/together/{one}")
    assert names(hits)[0] == other
    assert hits[0]["reason"] == {"code": "basket", "title": "white bread", "count": 39}
    assert "39 baskets with white bread" in hits[0]["why"]
    assert "购物篮" in asked(client, f"/v1/together/{one}?language=zh")[0]["why"]


def test_accessories_go_one_way(client, planted):
    hits = asked(client, f"/v1/accessories/{planted.main}")
    assert names(hits) == [planted.accessory]
    assert hits[0]["reason"]["code"] == "goes_with"
    assert asked(client, f"/v1/accessories/{planted.accessory}") == []


def test_substitutes_are_apart_from_what_is_bought_together(client, planted):
    one, other = planted.rivals
    hits = asked(client, f"/v1/substitutes/{one}")
    assert names(hits)[0] == other
    assert hits[0]["reason"]["code"] == "instead"
    assert other not in names(asked(client, f"/v1/together/{one}"))
    assert planted.together[1] not in names(asked(client, f"/v1/substitutes/{planted.together[0]}"))


def test_a_product_without_behaviour_gets_substitutes_by_likeness(client):
    hits = asked(client, "/v1/substitutes/pan-new")
    assert set(names(hits)) == {"pan-a", "pan-b"}
    assert {h["reason"]["code"] for h in hits} == {"like_instead"}
    assert "same category" in hits[0]["why"]
    assert asked(client, "/v1/accessories/pan-new") == asked(client, "/v1/together/pan-new") == []


def test_a_basket_is_completed(client, planted):
    hits = asked(client, "/v1/basket?items=lamp,bread,ghost")
    assert set(names(hits)) >= {"bulb", "butter"}
    assert not {"lamp", "bread"} & set(names(hits))
    assert client.get("/v1/basket?items=lamp,ghost").json()["unknown_products"] == ["ghost"]
    assert asked(client, "/v1/basket") == asked(client, "/v1/basket?items=") == []
    assert names(asked(client, "/v1/basket?items=pan-a&k=200")).count("pan-b") == 0


def test_again_tells_when(client, ranker, planted):
    hits = asked(client, "/v1/again?user=u000")
    (first,) = [h for h in hits if h["product"]["product_id"] == planted.habit]
    assert abs(first["parts"]["every_days"] - EVERY) < 2
    assert 0 <= first["score"] <= 1
    last, due = (datetime.fromisoformat(first["reason"][k]) for k in ("last", "due"))
    assert abs((due - last).days - EVERY) <= 2
    assert asked(client, "/v1/again?user=nobody") == asked(client, "/v1/again") == []
    # More days, more chance; and what was bought a moment ago is not due.
    near, far = (
        next(
            h["score"]
            for h in asked(client, f"/v1/again?user=u000&days={d}")
            if h["product"]["product_id"] == planted.habit
        )
        for d in (3, 28)
    )
    assert near < far


def test_a_purchase_of_this_hour_moves_what_is_due(shop, planted, tmp_path):
    from tests.conftest import copy_workspace

    root = copy_workspace(shop.root, tmp_path / "shop")
    state = State.at(root / "state")
    ranker = load_ranker(root, state)

    def due():
        return next(h for h in ranker.services.again("u000") if h.product.product_id == planted.habit)

    before = due()
    at = datetime.fromtimestamp(ranker.services.now(), UTC)
    state.append_events(
        [{"event_id": "e1", "user_id": "u000", "product_id": planted.habit, "kind": "purchase", "at": at.isoformat(),
          "quantity": "1", "price": None, "session_id": ""}]
    )  # fmt: skip
    after = due()
    assert after.parts["due_in_days"] > before.parts["due_in_days"]
    assert after.why.facts["times"] == before.why.facts["times"] + 1


def test_trending_rises_against_its_own_past(client, ranker, planted):
    hits = asked(client, "/v1/trending?hours=24")
    assert names(hits)[0] == planted.rising
    assert hits[0]["reason"]["shoppers"] == 20
    assert planted.habit not in names(hits)
    assert names(asked(client, "/v1/trending?category=Toys"))[0] == planted.rising
    assert (
        asked(client, "/v1/trending?category=Kitchen") == asked(client, "/v1/trending?category=Nothing") == []
    )


def test_online_events_make_a_trend(shop, tmp_path):
    from tests.conftest import copy_workspace

    root = copy_workspace(shop.root, tmp_path / "shop")
    state = State.at(root / "state")
    assert "toy-3" not in ids(load_ranker(root, state).services.trending(hours=24))
    now = datetime.now(UTC).isoformat()
    state.append_events(
        [{"event_id": f"e{n}", "user_id": f"new{n}" if n % 2 else "", "product_id": "toy-3", "kind": "view", "at": now,
          "quantity": "1", "price": None, "session_id": f"s{n}"} for n in range(30)]
    )  # fmt: skip
    hits = load_ranker(root, state).services.trending(hours=24)
    assert ids(hits)[0] == "toy-3"
    assert hits[0].why.facts["shoppers"] == 30


def test_first_picks_are_well_known_and_spread(client):
    hits = asked(client, "/v1/onboarding?k=4")
    assert len({h["product"]["category"].split(" > ")[0] for h in hits}) >= 3
    assert len(names(asked(client, "/v1/onboarding?k=200"))) == len(
        set(names(asked(client, "/v1/onboarding?k=200")))
    )


def test_segments_and_pages(client):
    known = client.get("/v1/segments").json()["segments"]
    assert {"Grocery", "Home", "Kitchen", "Toys"} == {s["name"] for s in known}
    grocery = asked(client, "/v1/recommend?segment=grocery&k=3")
    toys = asked(client, "/v1/recommend?segment=Toys&k=3")
    assert grocery[0]["product"]["category"].startswith("Grocery")
    assert names(grocery) != names(toys)
    page = asked(client, "/v1/recommend?category=Kitchen&user=u000&k=20")
    assert {h["product"]["category"] for h in page} == {"Kitchen > Pans"}
    assert len(page) == 4
    odd = client.get("/v1/recommend?segment=Moon&k=3").json()
    assert odd["unknown_segment"] == "Moon"
    assert names(odd["hits"]) == names(asked(client, "/v1/recommend?k=3"))
    assert asked(client, "/v1/recommend?category=Nothing") == []


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/v1/together/ghost", 404, "PUT"),
        ("/v1/substitutes/ghost", 404, "no product"),
        ("/v1/accessories/lamp?k=0", 422, "query.k"),
        ("/v1/trending?hours=0", 422, "hours"),
        ("/v1/again?days=1000", 422, "days"),
        ("/v1/basket?items=" + ",".join(map(str, range(5000))), 400, "more than 200"),
    ],
)
def test_bad_requests_are_named(client, path, status, words):
    answer = client.get(path)
    assert answer.status_code == status
    assert words in answer.text


def test_the_same_limits_hold_in_python(ranker):
    with pytest.raises(QueryError, match="days"):
        ranker.services.again("u000", days=0)
    with pytest.raises(QueryError, match="hours"):
        ranker.services.trending(hours=10_000)
    with pytest.raises(NotFound):
        ranker.services.related("together", "ghost")
    with pytest.raises(QueryError, match="k must"):
        ranker.services.basket(["lamp"], k=1000)


def test_an_archived_shop_is_shown_at_its_last_day(ranker):
    as_of = ranker.interactions.as_of
    folder = ranker.folder
    assert Services(ranker, folder, lambda: as_of + 5 * 86_400).now() == as_of + 5 * 86_400
    assert Services(ranker, folder, lambda: as_of + 500 * 86_400).now() == as_of + 1


def test_more_than_the_catalogue_has(client, planted):
    for path in ("/v1/recommend?k=200", "/v1/recommend?k=200&segment=Toys", "/v1/onboarding?k=200"):
        found = names(asked(client, path))
        assert len(found) == len(set(found)) <= len(planted.products)


def test_new_products_have_places_in_every_list(shop, tmp_path):
    from tests.conftest import copy_workspace

    root = copy_workspace(shop.root, tmp_path / "shop")
    state = State.at(root / "state")
    for name, brand in (("toy-new", "Maker"), ("toy-newer", "Maker")):
        state.append_product(
            name,
            {"product_id": name, "title": "wooden toy number 99", "category": "Toys > Wood", "brand": brand,
             "price": "9", "available": True},
        )  # fmt: skip
    state.append_events(
        [{"event_id": f"e{n}", "user_id": "", "product_id": f"toy-{n}", "kind": "view", "at": datetime.now(UTC).isoformat(),
          "quantity": "1", "price": None, "session_id": "s1"} for n in range(3)]
    )  # fmt: skip
    ranker = load_ranker(root, state)
    new = {"toy-new", "toy-newer"}
    user = next(u for u in ranker.users if any(h.startswith("toy-") for h in had(ranker, u)))
    lists = {
        "plain": ranker.recommend(user, 12),
        "steered": ranker.recommend(user, 12, steering=Steering(diversity=0.5)),
        "pinned": ranker.recommend(user, 12, steering=Steering(pin=("lamp",))),
        "session": ranker.recommend(None, 12, situation=Situation(session="s1")),
        "picks": ranker.recommend(None, 12, situation=Situation(likes=("toy-1", "toy-2"))),
        "segment": ranker.recommend(user, 12, situation=Situation(segment="Toys")),
        "page": ranker.recommend(user, 12, situation=Situation(category="Toys")),
    }
    for name, hits in lists.items():
        assert new & set(ids(hits)), name
    assert ids(lists["pinned"])[0] == "lamp"
    assert not new & set(ids(ranker.recommend(user, 12, steering=Steering(exclude=tuple(new)))))
    assert len(new & set(ids(ranker.recommend(user, 12, steering=Steering(per_brand=1))))) == 1
    assert not new & set(ids(ranker.recommend(user, 12, situation=Situation(category="Kitchen"))))
    assert len(ranker.recommend(user, 1)) == 1


def had(ranker, user):
    return [str(ranker.catalogue.ids[int(i)]) for i in ranker.history(user).items]


def test_fifty_deeds_are_answered_from_memory(ranker):
    from wares.serve.online import Deed

    now = int(time.time())
    deeds = [Deed(f"toy-{n % 12}", "view", now + n, session="s") for n in range(50)]
    assert len(ranker.people.history(None, deeds).items) == 12


def test_arrays_are_sorted_and_without_self(ranker):
    relations = ranker.services.relations
    for name in ("together", "substitutes", "accessories"):
        for row in range(len(ranker.catalogue)):
            rows, scores, counts = relations.of(name, row)
            assert row not in rows
            assert np.all(np.diff(scores) <= 0)
            assert np.all(counts >= 1)
