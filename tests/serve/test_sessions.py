from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from wares.core import bundles
from wares.core.sessions import MOST_USERS, Link, Links, link, links_after, sessions_of
from wares.core.state import State
from wares.serve.online import Deed
from wares.serve.ranker import Ranker


def open_ranker(root, state=None):
    return Ranker(bundles.live_bundle(root), state or State.at(root / "state"))


def event(n, product, *, user="", session="", kind="view", at=None):
    at = at or datetime.now(UTC)
    return {
        "event_id": f"e{n}", "user_id": user, "product_id": product, "kind": kind, "at": at.isoformat(),
        "quantity": "1", "price": None, "session_id": session,
    }  # fmt: skip


def ids(hits):
    return [hit.product.product_id for hit in hits]


def had(ranker, user="", session=""):
    return {str(ranker.catalogue.ids[int(i)]) for i in ranker.history(user, session).items}


def test_whose_an_anonymous_event_is():
    links = Links()
    links.add([Link(1, "s", "ann", 10), Link(2, "s", "bob", 20)])
    assert [links.owner("s", seq) for seq in (5, 10, 15, 20, 21)] == ["ann", "ann", "ann", "ann", "bob"]
    assert links.now("s") == "bob"
    assert links.owner("other", 1) == ""
    assert links.without({"bob"}).now("s") == "ann"


def test_a_session_of_many_people_is_nobodys(tmp_path):
    state = State.at(tmp_path)
    for n in range(MOST_USERS + 3):
        link(state, [("till", f"u{n}")])
    links = Links()
    links.add(links_after(state, 0))
    assert len(links.by_session["till"]) == MOST_USERS + 1
    assert links.shared("till")
    assert links.owner("till", 1) == links.now("till") == ""
    assert link(state, [("s", "ann"), ("s", "ann")]) == 1
    assert link(state, [("s", "ann")]) == 0
    assert sessions_of(state, ["ann"]) == {"s"}
    assert sessions_of(state, ["u1"]) == set()


def test_a_visit_gets_a_list_of_its_own_and_merges_on_login(copy_of_built):
    state = State.at(copy_of_built.root / "state")
    one, two = open_ranker(copy_of_built.root, state), open_ranker(copy_of_built.root)
    stranger = ids(one.recommend(None, k=8))
    state.append_events([event(n, f"p{n:04d}", session="v1") for n in (48, 49, 50)])
    two.refresh()
    assert had(two, session="v1") == {"p0048", "p0049", "p0050"}
    assert had(two, session="unknown") == had(two, "nobody") == set()
    from wares.serve.situation import Situation

    assert ids(two.recommend(None, k=8, situation=Situation("v1"))) != stranger
    assert ids(two.recommend(None, k=8, situation=Situation("never seen"))) == stranger

    assert one.log_in("v1", "ann") == (3, True)
    assert one.log_in("v1", "ann") == (3, False)
    for ranker in (one, two, open_ranker(copy_of_built.root)):
        ranker.refresh()
        assert had(ranker, "ann") == {"p0048", "p0049", "p0050"}
        assert had(ranker, session="v1") == had(ranker, "ann")
    # Another person who logs in later gets nothing of what Ann did.
    one.log_in("v1", "bob")
    state.append_events([event("b", "p0001", session="v1")])
    one.refresh()
    assert had(one, "bob") == {"p0001"}
    assert had(one, "ann") == {"p0048", "p0049", "p0050"}


def test_a_request_that_names_both_merges(copy_of_built):
    from wares.serve.situation import Situation

    state = State.at(copy_of_built.root / "state")
    ranker = open_ranker(copy_of_built.root, state)
    ranker.recommend("ann", k=3, situation=Situation("empty visit"))
    assert links_after(state, 0) == []
    state.append_events([event(1, "p0048", session="v2")])
    ranker.recommend("ann", k=3, situation=Situation("v2"))
    assert [(k.session_id, k.user_id) for k in links_after(state, 0)] == [("v2", "ann")]
    assert had(ranker, "ann") == {"p0048"}


def rows_of(shop, session):
    rows = [row for file in shop.store.files("events") for row in pq.read_table(file).to_pylist()]
    return {row["event_id"]: row["user_id"] for row in rows if row["session_id"] == session}


@pytest.mark.slow
def test_the_next_build_and_erasure_know_the_link(copy_of_built):
    state = copy_of_built.state
    state.append_events([event(n, f"p{n:04d}", session="visit-77") for n in (48, 49)])
    copy_of_built.build()
    copy_of_built.publish()
    assert rows_of(copy_of_built, "visit-77") == {"e48": None, "e49": None}
    ranker = open_ranker(copy_of_built.root)
    # Before the build, linked after it: the visit stands in the bundle under its own name.
    assert had(ranker, session="visit-77") == {"p0048", "p0049"}
    assert ranker.log_in("visit-77", "shopper-ann-1")[1]
    assert had(ranker, "shopper-ann-1") == {"p0048", "p0049"}
    state.append_events([event(50, "p0050", session="visit-77")])
    assert had_after(ranker, "shopper-ann-1") == {"p0048", "p0049", "p0050"}
    assert copy_of_built.absorb() == {"events": 1, "products": 0}
    assert set(rows_of(copy_of_built, "visit-77").values()) == {"shopper-ann-1"}
    assert copy_of_built.absorb() == {"events": 0, "products": 0}

    receipt = copy_of_built.erase("shopper-ann-1")
    assert receipt["verified"]["found"] == 0
    assert links_after(state, 0) == []
    assert rows_of(copy_of_built, "visit-77") == {}
    assert state.events_after(0) == []
    ranker.refresh()
    assert had(ranker, "shopper-ann-1") == had(ranker, session="visit-77") == set()
    assert ranker.log_in("visit-77", "shopper-ann-1") == (0, False)


def had_after(ranker, user):
    ranker.refresh()
    return had(ranker, user)


def test_deeds_of_one_minute_weigh_by_their_order(built):
    ranker = Ranker(bundles.live_bundle(built.root))
    now = int(time.time())
    deeds = [Deed(f"p{n:04d}", "view", now + n, session="s") for n in range(50)]
    history = ranker.people.history(None, deeds)
    weight = dict(zip(history.items.tolist(), history.query.tolist(), strict=True))
    ordered = [weight[ranker.catalogue.row(f"p{n:04d}")] for n in range(50)]
    assert ordered == sorted(ordered)
    assert len(set(ordered[-20:])) == 20
    assert (2 ** ordered[-2] - 1) / (2 ** ordered[-1] - 1) == pytest.approx(0.7, rel=1e-3)
    # A pause makes a new visit, and another session fades by itself.
    apart = [Deed("p0001", "view", now - 7200, session="s"), Deed("p0002", "view", now, session="s")]
    assert ranker.people._fading(apart) == [1.0, 1.0]
    mixed = [Deed("p0001", "view", now, session=s) for s in "abab"]
    assert ranker.people._fading(mixed) == [0.7, 0.7, 1.0, 1.0]


def test_an_event_of_the_future_counts_as_now(copy_of_built):
    state = State.at(copy_of_built.root / "state")
    ranker = open_ranker(copy_of_built.root, state)
    state.append_events([event(1, "p0001", user="ann", at=datetime.now(UTC) + timedelta(days=900))])
    ranker.refresh()
    (deed,) = ranker.online.deeds["ann"]
    assert deed.at <= time.time()
