from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from wares.core.access import ColumnFacts, Policy, Role, TableFacts, default_roles
from wares.core.errors import AccessDenied, ConfigError
from wares.core.masks import Mask

EVENTS = TableFacts(
    "events",
    (
        ColumnFacts("event_id", key=True),
        ColumnFacts("user_id", personal="id"),
        ColumnFacts("session_id", personal="id"),
        ColumnFacts("product_id", key=True, family="product_id"),
        ColumnFacts("note", personal="text"),
        ColumnFacts("cost", "number", classification="confidential"),
        ColumnFacts("margin", "number", classification="restricted"),
        ColumnFacts("extra", declared=False),
    ),
)
PRODUCTS = TableFacts("products", (ColumnFacts("product_id", key=True), ColumnFacts("title")))
TABLES = {"events": EVENTS, "products": PRODUCTS}


def policy(**changes) -> Policy:
    return Policy({**default_roles(), **changes}, TABLES, secret=b"s" * 32)


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("owner", "visible visible visible visible visible visible visible visible"),
        ("steward", "visible hash hash visible null visible deny deny"),
        ("analyst", "visible hash hash visible null visible deny deny"),
        ("service", "visible hash hash visible null visible deny deny"),
        ("marketer", "visible hash hash visible null deny deny deny"),
        ("partner", "visible hash hash visible deny deny deny deny"),
    ],
)
def test_each_role_has_its_decision_for_each_column(role, expected):
    access = policy().decide(role, "events")
    assert " ".join(str(d.mask) for d in access.columns.values()) == expected


def test_a_table_that_is_not_the_roles_is_denied_without_saying_whether_it_exists():
    for table in ("events", "nothing"):
        with pytest.raises(AccessDenied, match=f"has no table '{table}'"):
            policy().decide("public", table)


def test_a_role_listed_by_no_contract_is_kept_out():
    tables = {"events": replace(EVENTS, roles=("analyst",)), "products": PRODUCTS}
    found = Policy(default_roles(), tables)
    assert [r for r in found.roles if found.may_read(r, "events")] == ["owner", "analyst"]


def test_a_purpose_must_be_the_roles():
    assert policy().decide("analyst", "events").purpose == "analytics"
    assert policy().decide("analyst", "events", "research").purpose == "research"
    with pytest.raises(AccessDenied, match="may not read for the purpose 'marketing'"):
        policy().decide("analyst", "events", "marketing")


@pytest.mark.parametrize("mask", ["null", "partial", "noise"])
def test_a_mask_that_spoils_a_key_is_refused(mask):
    with pytest.raises(ConfigError, match="key") as caught:
        policy(x=Role("x", masks={"events.event_id": Mask.parse(mask)}))
    assert "Use hash" in caught.value.mend


def test_a_key_masked_in_one_table_only_is_refused():
    with pytest.raises(ConfigError, match="could not be joined"):
        policy(x=Role("x", masks={"products.product_id": Mask.parse("hash")}))
    assert policy(x=Role("x", masks={"product_id": Mask.parse("hash")})).decide("x", "events")


def test_a_mistyped_column_is_an_error_and_not_an_open_column():
    with pytest.raises(ConfigError, match="user_idd") as caught:
        policy(x=Role("x", masks={"user_idd": Mask.parse("hash")}))
    assert "user_id" in caught.value.mend


@pytest.mark.parametrize(
    "text", ["", "hsah", "partial:0", "partial:1.5", "partial:x", "noise:2", "noise:nan", "hash:3"]
)
def test_a_wrong_mask_is_refused(text):
    with pytest.raises(ConfigError, match="is no mask"):
        Mask.parse(text)


def test_masks_by_kind():
    masker = policy().masker("analyst")
    at = datetime(2025, 3, 14, 9, 26, 53, tzinfo=UTC)

    def seen(mask, value):
        return masker.apply(Mask.parse(mask), "f", value)

    assert seen("partial", "Jane Doe-Smith") == "Ja***"
    assert seen("partial", "Jane") == "***"
    assert (seen("partial", 7391), seen("partial", Decimal("-42.5"))) == (1000, Decimal(-10))
    assert seen("partial", at) == datetime(2025, 3, 13, tzinfo=UTC)
    assert seen("hash", "u7") == seen("hash", "u7") != seen("hash", "u8")
    assert seen("hash", None) is None
    for value in (0, 1, 7, 10**6, Decimal("0.0000"), Decimal("3.99"), at):
        assert seen("noise", value) == seen("noise", value) != value
    assert policy().masker("partner").apply(Mask.parse("hash"), "f", "u7") != seen("hash", "u7")


def test_sample_rows_are_redacted():
    rows = [{"user_id": "u7", "note": "I am Jane", "cost": 3, "extra": "x", "product_id": "p1"}]
    seen = policy().redact("partner", "events", rows)
    assert list(seen[0]) == ["user_id", "product_id"]
    assert "u7" not in str(seen)
    assert policy().redact("marketer", "events", rows) == []
