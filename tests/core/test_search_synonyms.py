from __future__ import annotations

from datetime import UTC, datetime

import pytest

from wares.core.audit import Audit
from wares.core.errors import NotFound, QueryError
from wares.core.state import State
from wares.core.synonyms import A_PHRASE, SynonymBook

NOW = datetime(2026, 11, 27, tzinfo=UTC)


@pytest.fixture
def state(tmp_path):
    state = State.at(tmp_path / "state")
    yield state
    state.close()


def test_two_phrases_say_the_same_until_that_is_taken_back(state):
    book = SynonymBook(state)
    made = book.add(" Couch ", "SOFA", "ann", NOW)
    assert [(s.phrase, s.also) for s in made] == [("couch", "sofa"), ("sofa", "couch")]
    assert book.curated().kept == {"couch": ("sofa",), "sofa": ("couch",)}
    assert len(book.remove("sofa", "couch", "ben", NOW)) == 2
    assert book.curated().kept == {}
    assert [(row["event"], row["who"]) for row in book.history()][:1] == [("removed", "ben")]


def test_one_way_and_refused(state):
    book = SynonymBook(state)
    book.add("trainers", "running shoes", "ann", NOW, both=False)
    book.refuse("salt", "pepper", "ann", NOW)
    found = book.curated()
    assert found.kept == {"trainers": ("running shoes",)}
    assert found.refused == {"salt": ("pepper",), "pepper": ("salt",)}
    # Who keeps what was refused takes the refusal back.
    book.add("salt", "pepper", "ann", NOW)
    assert book.curated().refused == {}


def test_another_process_sees_it_within_the_freshness(state):
    one, other = SynonymBook(state), SynonymBook(state)
    assert one.curated().kept == {}
    other.add("couch", "sofa", "ann", NOW)
    one._lately.forget()
    assert one.curated().kept["couch"] == ("sofa",)


@pytest.mark.parametrize(
    ("phrase", "also"),
    [("", "sofa"), ("couch", " "), ("couch", "Couch"), ("x" * 81, "sofa"), ("a\x00b", "sofa"), ("!!!", "sofa"), ("couch", "ｃｏｕｃｈ")],
)  # fmt: skip
def test_what_is_no_synonym_is_refused_with_its_mend(state, phrase, also):
    with pytest.raises(QueryError) as caught:
        SynonymBook(state).add(phrase, also, "ann", NOW)
    assert caught.value.mend
    assert caught.value.fields["parameter"] in ("phrase", "also")


def test_there_is_a_most_and_nothing_half_is_put_down(state):
    book = SynonymBook(state)
    for n in range(A_PHRASE):
        book.add("couch", f"sofa {n}", "ann", NOW)
    with pytest.raises(QueryError, match="already"):
        book.add("settee", "couch", "ann", NOW)
    assert "settee" not in book.curated().kept


def test_what_nobody_said_cannot_be_removed(state):
    with pytest.raises(NotFound):
        SynonymBook(state).remove("couch", "sofa", "ann", NOW)


def test_changes_are_in_the_audit_log(state, tmp_path):
    audit = Audit(state, tmp_path / "state")
    book = SynonymBook(state, audit)
    book.add("couch", "sofa", "ann", NOW)
    book.remove("couch", "sofa", "ann", NOW)
    assert [row["action"] for row in audit.stream()] == ["search_synonym.add", "search_synonym.remove"]
    assert audit.verify().whole
