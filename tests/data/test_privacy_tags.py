from __future__ import annotations

import pytest

from wares.core.errors import QueryError
from wares.core.state import State
from wares.data.privacy.tags import MAYBE, NO, YES, all_tags, default_tag, set_tag, tags_of


@pytest.fixture
def state(tmp_path):
    state = State.at(tmp_path)
    yield state
    state.close()


@pytest.mark.parametrize(
    ("asset", "column", "personal"),
    [
        ("events", "user_id", YES),
        ("events", "session_id", YES),
        ("events", "product_id", NO),
        ("events_clean", "user_id", YES),
        ("reviews", "text", MAYBE),
        ("reviews", "title", MAYBE),
        ("products", "title", NO),
        ("quarantine", "row", YES),
        ("anything", "E-Mail", YES),
        ("anything", "收货地址", YES),
        ("anything", "colour", NO),
    ],
)
def test_defaults(asset, column, personal):
    assert default_tag(asset, column).personal == personal


def test_a_scan_settles_free_text_but_does_not_free_an_id(state):
    set_tag(state, "reviews", "text", NO, source="scan", version=3)
    set_tag(state, "reviews", "user_id", NO, source="scan")
    tags = tags_of(state, "reviews", ["text", "user_id", "rating"])
    assert (tags["text"].personal, tags["text"].version) == (NO, 3)
    assert tags["user_id"].personal == YES
    assert tags["user_id"].identifies
    assert not tags["rating"].hidden


def test_what_a_person_said_stands_against_a_scan(state):
    set_tag(state, "reviews", "text", NO)
    set_tag(state, "reviews", "text", YES, ["email"], source="scan")
    assert tags_of(state, "reviews", ["text"])["text"].personal == NO
    set_tag(state, "events", "session_id", NO)
    assert tags_of(state, "events", ["session_id"])["session_id"].personal == NO
    assert {(t.asset, t.column) for t in all_tags(state)} == {("reviews", "text"), ("events", "session_id")}


def test_only_three_answers(state):
    with pytest.raises(QueryError):
        set_tag(state, "reviews", "text", "perhaps")
