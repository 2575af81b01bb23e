"""Rules on an ordered list: a pure function, so every case is small."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from wares.core.search_rules import Rule
from wares.core.strings import StringTable
from wares.features.catalogue import codes
from wares.models.search.rules import Goods, apply_rules, meant

N = 8


class Shop(SimpleNamespace):
    def row(self, product_id):
        return int(product_id[1:]) if product_id[1:].isdigit() and int(product_id[1:]) < N else -1

    def __len__(self):
        return N


COLUMNS = {
    "brand": ["Acme", "ACME", "Bolt", "Bolt", "", "Acme", "Coil", "Coil"],
    "category": ["Home > Lamps", "Home > Lamps > Desk", "Home", "Toys", "Toys", "Toys", "Homeware", "Home > Lamps"],
    "title": ["red lamp", "desk lamp", "water gun", "toy guns", "ball", "台灯 蓝色", "gundog whistle", "ｌａｍｐ shade, batteries, überzug"],
    "description": [""] * N,
}  # fmt: skip


@pytest.fixture
def goods():
    numbers = {name: codes(COLUMNS[name])[0] for name in ("brand", "category")}
    tables = {name: StringTable.of(values) for name, values in COLUMNS.items()}
    return Goods(Shop(columns=tables, brand_of=numbers["brand"], category_of=numbers["category"]))


def order(rules, goods, rows=range(6), allowed=lambda _: True):
    rows = np.array(list(rows), np.int32)
    return apply_rules(rules, rows, np.linspace(1, 0.1, len(rows)).astype(np.float32), goods, allowed)


def test_nothing_changes_without_rules(goods):
    found = order([], goods)
    assert found.rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert found.source.tolist() == [0, 1, 2, 3, 4, 5]


def test_pins_stand_in_their_places_and_bring_what_is_not_there(goods):
    rules = [
        Rule("pin", "product", "p4", "lamp", amount=1, id=2),
        Rule("pin", "product", "p7", "lamp", amount=3, id=1),
    ]
    found = order(rules, goods)
    assert found.rows.tolist() == [4, 0, 7, 1, 2, 3, 5]
    assert found.source.tolist() == [4, 0, -1, 1, 2, 3, 5]
    assert (np.diff(found.scores) <= 0).all()
    assert found.why[7].id == 1
    assert order(rules, goods, allowed=lambda row: row != 7).rows.tolist() == [4, 0, 1, 2, 3, 5]


def test_pins_to_one_place_stand_by_age_and_far_pins_at_the_end(goods):
    rules = [
        Rule("pin", "product", "p3", "q", amount=1, id=9),
        Rule("pin", "product", "p5", "q", amount=1, id=4),
    ]
    assert order(rules, goods).rows.tolist() == [5, 3, 0, 1, 2, 4]
    far = [Rule("pin", "product", "p0", "q", amount=50, id=1)]
    assert order(far, goods).rows.tolist() == [1, 2, 3, 4, 5, 0]
    assert order(far, goods, rows=[]).rows.tolist() == [0]
    assert order([Rule("pin", "product", "ghost", "q", amount=1)], goods).rows.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_ban_is_stronger_than_a_pin(goods):
    rules = [Rule("pin", "product", "p2", "q", amount=1), Rule("ban", "word", "gun")]
    found = order(rules, goods)
    assert found.rows.tolist() == [0, 1, 4, 5]
    assert found.banned == 2
    assert order([Rule("ban", "word", "gun")], goods, rows=[2, 6]).rows.tolist() == [6]
    assert order([Rule("ban", "word", "台灯")], goods).rows.tolist() == [0, 1, 2, 3, 4]


def test_what_is_buried_keeps_its_order_at_the_end(goods):
    found = order([Rule("bury", "brand", "acme")], goods)
    assert found.rows.tolist() == [2, 3, 4, 0, 1, 5]
    assert (np.diff(found.scores) <= 0).all()
    # Homeware lies beside Home, not below it.
    below = order([Rule("bury", "category", "Home")], goods, rows=range(8)).rows.tolist()
    assert below == [3, 4, 5, 6, 0, 1, 2, 7]


def test_boosts_multiply_and_below_one_lower(goods):
    up = [Rule("boost", "category", "Toys", amount=2), Rule("boost", "brand", "Acme", amount=1.5)]
    assert order(up, goods).rows.tolist()[0] == 0
    assert order([Rule("boost", "category", "Toys", amount=4)], goods).rows.tolist()[:2] == [3, 0]
    assert order([Rule("boost", "product", "p0", amount=0.01)], goods).rows.tolist()[-2:] == [0, 5]


def test_which_rules_a_query_means():
    exact, holds = Rule("ban", "product", "p1", "desk lamp"), Rule("ban", "product", "p1", "lamp", "contains")
    within, every = Rule("ban", "product", "p1", category="Home > Lamps"), Rule("ban", "word", "gun")
    rules = [exact, holds, within, every]
    assert meant(rules, "  Desk  LAMP ") == [exact, holds, every]
    assert meant(rules, "two lamps") == [holds, every]
    assert meant(rules, "", ["Home > Lamps > Desk"]) == [within, every]
    assert meant(rules, "ｄｅｓｋ lamp", ["Home > Lampshades"]) == [exact, holds, every]
    assert meant([Rule("ban", "product", "p1", "蓝牙", "contains")], "蓝牙耳机") != []


def test_long_lists_are_told_as_short_ones(goods, monkeypatch):
    rows = np.arange(N, dtype=np.int32)
    for word in ("gun", "lamp", "LAMPS", "battery", "台灯", "desk lamp", "nothing", "a", "uberzug"):
        rule = Rule("ban", "word", word)
        short = goods.of(rule, rows)
        monkeypatch.setattr("wares.models.search.rules.LONG", 0)
        assert goods.of(rule, rows).tolist() == short.tolist(), word
        monkeypatch.undo()
    assert goods.of(Rule("ban", "word", "lamp"), rows).tolist() == [True, True, *[False] * 5, True]
    assert goods.of(Rule("ban", "word", "battery"), rows)[7]
