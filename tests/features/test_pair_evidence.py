"""Evidence of a pair: what the numbers and the words say, whichever way round, and of records that say little."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wares.features.pair_bags import Bag, frequencies, idf
from wares.features.pair_evidence import PairReader
from wares.features.pair_fields import Fields, clean, number
from wares.features.pair_rivals import Known, are_catalogues
from wares.features.pair_words import reasons

RECORDS = [
    {"title": "Onkyo TX-NR906 receiver black", "brand": "Onkyo", "price": "1497.99", "gtin": ""},
    {"title": "onkyo txnr906 7.1 receiver", "brand": "onkyo", "price": "1,499", "gtin": ""},
    {"title": "Whole milk 2 l", "brand": "Arla", "price": "2.10", "gtin": "4006381333931"},
    {"title": "Whole milk 500 ml", "brand": "Arla", "price": "0.70", "gtin": "4006381333931"},
    {"title": "Adobe Photoshop CS3 upgrade for mac", "brand": "", "price": "", "gtin": ""},
    {"title": "Adobe Photoshop CS2 upgrade for mac", "brand": "Adobe", "price": "199", "gtin": ""},
    {"title": "", "brand": "", "price": "", "gtin": ""},
    {"title": "台灯 护眼 学生 LED", "brand": "小米", "price": "99", "gtin": ""},
]


@pytest.fixture(scope="module")
def reader():
    return PairReader.of(RECORDS * 3)


def said(reader, left, right):
    sheet = reader.read([left, right])
    values, names = reader.compare(sheet, np.array([[0, 1]]))
    return dict(zip(names, values[0].tolist(), strict=True)), [r.text for r in reasons(sheet, 0, 1)]


def test_roles_are_found():
    fields = Fields.of(RECORDS)
    assert fields == Fields("title", (), ("brand",), ("price",), ("gtin",))
    assert Fields.from_json(fields.to_json()) == fields


def test_ids_of_rows_are_no_evidence():
    rows = [{"id": str(n), "cluster_id": str(n // 2), "title": f"thing {n}"} for n in range(20)]
    assert Fields.of(rows).names == ("title",)


def test_a_model_number_written_apart_agrees(reader):
    values, words = said(reader, {**RECORDS[0], "title": "Onkyo TX-NR 906"}, RECORDS[1])
    assert values["title_code_apart"] > 0
    assert values["title_code_in_max"] == 1
    assert "model number agrees: txnr906" in words


def test_sizes_that_disagree_are_said(reader):
    values, words = said(reader, RECORDS[2], RECORDS[3])
    assert values["title_measures_conflict"] == 1
    assert values["gtin_same"] == 1
    assert "volumes disagree: 2 l against 500 ml" in words
    assert "price far apart: 2.1 against 0.7" in words
    assert any(text.startswith("gtin agrees") for text in words)


def test_versions_and_prices(reader):
    values, words = said(reader, RECORDS[4], RECORDS[5])
    assert "model numbers disagree" not in " ".join(words)  # cs3 is too short for a model number
    assert np.isnan(values["price_ratio"])
    assert values["price_missing"] == 1
    assert np.isnan(values["brand_same"])
    assert values["brand_inside_max"] == 1  # Adobe stands in the other's title
    again, _ = said(reader, RECORDS[0], RECORDS[1])
    assert again["price_ratio"] == pytest.approx(1497.99 / 1499)


@pytest.mark.parametrize("at", range(len(RECORDS)))
def test_swapping_sides_changes_nothing(reader, at):
    sheet = reader.read(RECORDS)
    pairs = np.array([[at, other] for other in range(len(RECORDS))])
    straight, _ = reader.compare(sheet, pairs)
    turned, _ = reader.compare(sheet, pairs[:, ::-1])
    np.testing.assert_array_equal(straight, turned)


def test_company_changes_nothing(reader):
    sheet = reader.read(RECORDS)
    together, names = reader.compare(sheet, np.array([[0, 1], [2, 3], [4, 5], [6, 7]]))
    for row, (a, b) in enumerate([(0, 1), (2, 3), (4, 5), (6, 7)]):
        alone, _ = reader.compare(reader.read([RECORDS[a], RECORDS[b]]), np.array([[0, 1]]))
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-6, err_msg=str(names))


def test_empty_and_endless_titles(reader):
    values, words = said(reader, RECORDS[6], RECORDS[0])
    assert values["title_word_shared"] == 0
    assert np.isnan(values["title_code_like"])
    assert not any("agree" in text for text in words)
    long = {"title": "tx-nr906 " + "x" * 10_000, "brand": "", "price": "", "gtin": ""}
    assert np.isfinite(said(reader, long, long)[0]["title_word_cosine"])
    assert len(clean("y" * 10_000)) <= 4000


def test_what_is_read_from_json_compares_alike(reader):
    again = PairReader.from_json(reader.to_json())
    pairs = np.array([[0, 1], [2, 3], [6, 7]])
    np.testing.assert_array_equal(
        reader.compare(reader.read(RECORDS), pairs)[0], again.compare(again.read(RECORDS), pairs)[0]
    )


def test_nothing_says_anything():
    with pytest.raises(ValueError, match="no record"):
        Fields.of([{"title": ""}, {}])


def test_missing_values_and_numbers():
    assert [clean(v) for v in (None, float("nan"), "NaN", " n/a ", "-", " a  b ")] == [
        "",
        "",
        "",
        "",
        "",
        "a b",
    ]
    assert [number(v) for v in ("$1,299.00", "12", "abc", "inf", "nan", "")] == [
        1299.0,
        12.0,
        None,
        None,
        None,
        None,
    ]


def test_values_that_slipped_columns_do_not_change_a_role():
    rows = [{"title": f"thing number {i}", "price": "9.5" if i % 4 else "blue"} for i in range(40)]
    assert Fields.of(rows).numbers == ("price",)


WORDS = st.lists(st.sampled_from(["a", "b", "c", "d1", "e2"]), max_size=5)


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=2, max_size=6), st.data())
def test_bags_agree_with_sets(rows, data):
    known, n = frequencies(rows), len(rows)
    bag = Bag(rows, known, n)
    a, b = (data.draw(st.integers(0, n - 1)) for _ in range(2))
    found = {k: float(v[0]) for k, v in bag.compare(np.array([a]), np.array([b])).items()}
    x, y = set(rows[a]), set(rows[b])
    weight = {w: np.float32(idf(known.get(w, 0), n)) for w in x | y}
    assert found["shared"] == pytest.approx(sum(weight[w] for w in x & y), abs=1e-5)
    assert found["shared_n"] == len(x & y)
    assert found["rest_min"] == pytest.approx(
        min(sum(weight[w] for w in s) for s in (x - y, y - x)), abs=1e-5
    )
    assert found["rest_top_max"] == pytest.approx(max((weight[w] for w in x ^ y), default=0), abs=1e-5)
    assert int(bag.counts(np.array([a]), np.array([b]))[0]) == len(x & y)


def known_pool(reader):
    left = [{**RECORDS[4]}, {**RECORDS[0]}]
    right = [
        {**RECORDS[5]},
        {**RECORDS[1]},
        {"title": "Adobe Photoshop CS3 upgrade mac", "brand": "", "price": ""},
    ]
    side = np.array([False, False, True, True, True])
    return (
        left,
        right,
        Known(reader, [*left, *right], side, np.array([[0, 4], [0, 2]]), np.array([True, False])),
    )


def test_a_known_match_speaks_against_another(reader):
    left, right, known = known_pool(reader)
    sheet = reader.read([*left, *right])
    values, names = known.compare(sheet, np.array([[0, 2], [0, 4], [1, 3]]))
    found = [dict(zip(names, row.tolist(), strict=True)) for row in values]
    assert found[0]["known_matched_max"] == 1  # the left one is known to match the third of the right
    assert found[0]["known_word_rank_max"] == 1
    assert found[0]["known_word_lead_min"] < 0
    assert found[1]["known_matched_max"] == 0  # its own label is never looked at
    assert found[1]["known_word_rank_max"] == 0
    assert found[2]["known_matched_max"] == 0


def test_known_records_may_stand_the_other_way_round(reader):
    left, right, known = known_pool(reader)
    sheet = reader.read([*left, *right])
    straight, _ = known.compare(sheet, np.array([[0, 2], [1, 3]]))
    turned, _ = known.compare(sheet, np.array([[2, 0], [3, 1]]))
    np.testing.assert_array_equal(straight, turned)
    again = Known.from_json(reader, known.to_json())
    np.testing.assert_array_equal(straight, again.compare(sheet, np.array([[0, 2], [1, 3]]))[0])


def test_a_pool_may_grow_and_holds_each_record_once(reader):
    left, right, known = known_pool(reader)
    more = known.extended(reader, left, [*right, RECORDS[7], RECORDS[7]])
    assert len(more.records) == len(known.records) + 1


def test_when_sides_are_two_catalogues():
    left, right = [f"l{i % 20}" for i in range(100)], [f"r{i % 25}" for i in range(100)]
    same = np.array([i < 15 for i in range(100)])
    assert are_catalogues(left, right, same)
    assert not are_catalogues(left, [*left[50:], *left[:50]], same)  # one pool of offers
    assert not are_catalogues(
        [f"l{i}" for i in range(100)], [f"r{i}" for i in range(100)], same
    )  # nothing known of rivals
    many = np.array([True] * 100)
    assert not are_catalogues(left, right, many)  # a thing is listed many times
    assert not are_catalogues(left, right, ~many)
