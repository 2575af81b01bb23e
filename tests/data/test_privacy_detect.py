from __future__ import annotations

import pyarrow as pa
import pytest

from wares.core.errors import VersionNotFound
from wares.core.state import State
from wares.data.privacy.detect import find, resident_id_is_valid
from wares.data.privacy.names import name_share
from wares.data.privacy.scan import scan_table
from wares.data.privacy.tags import MAYBE, NO, YES, tags_of
from wares.data.store import Store
from wares.testing.personal_texts import measure


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("请联系我13812345678谢谢", "phone", "13812345678"),
        ("写到ann.lee@example.co.uk就行", "email", "ann.lee@example.co.uk"),
        ("身份证11010519491231002X。", "identity number", "11010519491231002X"),
        ("tel 4155552671", "phone", "4155552671"),
        ("paid with 4111 1111 1111 1111", "payment", "4111 1111 1111 1111"),
        ("2001:db8::ff00:42:8329 did it", "ip address", "2001:db8::ff00:42:8329"),
        ("地址：浙江省杭州市西湖区文三路478号3栋", "address", "浙江省杭州市西湖区文三路478号3栋"),
        ("Mr. O'Brien said so", "name", "Mr. O'Brien"),
    ],
)
def test_what_is_found(text, kind, value):
    assert (kind, value) in [(f.kind, text[f.start : f.end]) for f in find(text)]


@pytest.mark.parametrize(
    "text",
    [
        "order 31198437603 of 2025-03-04 at 10:32, EAN 9780306406157",
        "version 1.2.0.4, size 10-12-14, 2x500ml, 4.5/5 of 1,204",
        "身份证110105194912310021",
        "4111 1111 1111 1112",
        "Mrs. Meyer's soap, Dr. Oetker pizza",
        "",
    ],
)
def test_what_only_looks_so(text):
    assert find(text) == []


def test_the_check_character_of_resident_numbers():
    assert resident_id_is_valid("11010519491231002x")
    assert not resident_id_is_valid("110105194912310029")


def test_planted_values():
    result = measure(600, 5)
    assert result["precision"] >= 0.98
    assert result["recall_without_hard"] >= 0.98
    assert result["by_kind"]["name, no cue"]["recall"] == 0  # What docs/privacy.md says is missed.


def test_columns_of_names():
    assert name_share(["Anna Miller", "John Smith", "Peter Okafor", "Maria Lopez", "Wei Chen"]) > 0.9
    assert name_share(["王小明", "李静", "张伟", "刘洋", "陈思远"]) == 1.0
    assert name_share(["desk lamp", "red kettle", "frying pan", "tea pot", "spade"]) == 0.0
    assert name_share(["紫砂茶壶", "玻璃茶杯", "竹制茶盘", "陶瓷茶罐", "台灯"]) < 0.3


def test_a_scan_counts_and_tags(tmp_path):
    store, state = Store(tmp_path / "tables"), State.at(tmp_path / "state")
    rows = {
        "review_id": [f"r{i}" for i in range(40)],
        "user_id": [f"u{i}" for i in range(40)],
        "title": ["fine"] * 40,
        "text": ["ok"] * 37 + ["mail a@example.org", "call 415-555-2671", "ok"],
        "contact": ["Anna Miller", "John Smith", "Peter Okafor", "Maria Lopez"] * 10,
    }
    store.append(
        "reviews",
        pa.table({**rows, "signed": ["Paul Berg", "Emma Roth", "Lisa Ray", "Jack Orr", "Amy Poe"] * 8}),
    )
    found = scan_table(store, state, "reviews")
    assert {(f["column"], f["kind"], f["cells"]) for f in found} >= {
        ("text", "email", 1), ("text", "phone", 1), ("signed", "name", 40), ("user_id", "user id", 40),
    }  # fmt: skip
    assert "example.org" not in str(found)
    tags = tags_of(state, "reviews", rows.keys())
    assert (tags["text"].personal, tags["title"].personal, tags["user_id"].personal) == (YES, NO, YES)
    # Of a sample, nothing found proves nothing.
    scan_table(store, state, "reviews", rows=10)
    assert tags_of(state, "reviews", ["title"])["title"].personal == MAYBE
    with pytest.raises(VersionNotFound):
        scan_table(store, state, "nothing")
    state.close()
