from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wares.data.clean.packs import parse_pack

# text, packs, amount of one, unit, total
CASES = [
    ("2x500ml", 2, "0.5", "l", "1"),
    ("6 x 330 ml", 6, "0.33", "l", "1.98"),
    ("6X330ML", 6, "0.33", "l", "1.98"),
    ("６ｘ３３０ｍｌ", 6, "0.33", "l", "1.98"),
    ("10X15g", 10, "0.015", "kg", "0.15"),
    ("24 x 0.5 ltr", 24, "0.5", "l", "12"),
    ("6*1.5L", 6, "1.5", "l", "9"),
    ("100ml x 3", 3, "0.1", "l", "0.3"),
    ("3×100 g", 3, "0.1", "kg", "0.3"),
    ("12 pk/12 oz", 12, "0.340194", "kg", "4.082331"),
    ("12 oz/12 pk", 12, "0.340194", "kg", "4.082331"),
    ("12 pk x 12 oz", 12, "0.340194", "kg", "4.082331"),
    ("6 pk/500 ml", 6, "0.5", "l", "3"),
    ("6 pk 8 oz", 6, "0.226796", "kg", "1.360777"),
    ("6/12 oz", 6, "0.340194", "kg", "2.041166"),
    ("6/.5 l", 6, "0.5", "l", "3"),
    ("24/16.9 oz", 24, "0.479107", "kg", "11.498567"),
    ("2 - 7.5 oz", 2, "0.212621", "kg", "0.425243"),
    ("Coca-Cola 6 Pack 330ml cans", 6, "0.33", "l", "1.98"),
    ("pack of 3, 100 g", 3, "0.1", "kg", "0.3"),
    ("case of 12 750 ml", 12, "0.75", "l", "9"),
    ("500克", 1, "0.5", "kg", "0.5"),
    ("2升", 1, "2", "l", "2"),
    ("一升", 1, "1", "l", "1"),
    ("半斤", 1, "0.25", "kg", "0.25"),
    ("5斤装", 1, "2.5", "kg", "2.5"),
    ("2.5公斤", 1, "2.5", "kg", "2.5"),
    ("三两", 1, "0.15", "kg", "0.15"),
    ("500ml*6瓶", 6, "0.5", "l", "3"),
    ("6瓶x500ml", 6, "0.5", "l", "3"),
    ("330毫升x24听", 24, "0.33", "l", "7.92"),
    ("牛奶250ml*12盒/箱", 12, "0.25", "l", "3"),
    ("净含量：500克×2袋", 2, "0.5", "kg", "1"),
    ("三瓶 500ml", 3, "0.5", "l", "1.5"),
    ("5kg/袋*2", 2, "5", "kg", "10"),
    ("纸巾 120抽*24包", 24, "120", "piece", "2880"),
    ("4包x110抽", 4, "110", "piece", "440"),
    ("12 rolls x 200 sheets", 12, "200", "piece", "2400"),
    ("鸡蛋30枚", 1, "30", "piece", "30"),
    ("100片", 1, "100", "piece", "100"),
    ("12 CT", 1, "12", "piece", "12"),
    ("12-ct", 1, "12", "piece", "12"),
    ("1 dz", 1, "12", "piece", "12"),
    ("24 pack", 1, "24", "piece", "24"),
    ("32 loads", 1, "32", "load", "32"),
    ("50 sq ft", 1, "4.645152", "m2", "4.645152"),
    ("16 OZ", 1, "0.453592", "kg", "0.453592"),
    ("13 fl oz", 1, "0.384456", "l", "0.384456"),
    ("10 3/4 oz", 1, "0.304757", "kg", "0.304757"),
    ("1 1/8 oz", 1, "0.031893", "kg", "0.031893"),
    ("½ lb", 1, "0.226796", "kg", "0.226796"),
    ("3/4 oz", 1, "0.021262", "kg", "0.021262"),
    ("1/2 gal", 1, "1.892706", "l", "1.892706"),
    ("half gal", 1, "1.892706", "l", "1.892706"),
    ("gal", 1, "3.785412", "l", "3.785412"),
    (".5 oz", 1, "0.014175", "kg", "0.014175"),
    ("1.5 kg", 1, "1.5", "kg", "1.5"),
    ("1,5 l", 1, "1.5", "l", "1.5"),
    ("1,000 g", 1, "1", "kg", "1"),
    ("75 cl", 1, "0.75", "l", "0.75"),
    ("3-lb bag", 1, "1.360777", "kg", "1.360777"),
    ("750 ml.", 1, "0.75", "l", "0.75"),
    ("10 ct/17.5 z", 1, "0.496117", "kg", "0.496117"),
    ("20 oz/24 ct", 1, "0.56699", "kg", "0.56699"),
    ("4 in/10 oz", 1, "0.283495", "kg", "0.283495"),
    ("30×40×50 cm box 2 kg", 1, "2", "kg", "2"),
    ("ab    8 oz", 1, "0.226796", "kg", "0.226796"),
]
NONE = ["", "x", "5 green", "iPhone 12 128GB", "12 x12 in/ea", "3 x 4 in", "large", "986315 pk", "红色", "0 ml", "1/0 oz", "x" * 10_000, "🙂" * 500]  # fmt: skip


@pytest.mark.parametrize(("text", "count", "amount", "unit", "total"), CASES)
def test_a_pack_size_is_read(text, count, amount, unit, total):
    pack = parse_pack(text)
    assert pack is not None
    assert (pack.count, pack.amount, pack.unit, pack.total) == (count, Decimal(amount), unit, Decimal(total))


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_pack_size_is_left(text):
    assert parse_pack(text) is None


def test_a_size_is_found_at_both_ends_of_a_very_long_title():
    assert parse_pack("very " * 2500 + "2x500ml").total == 1


@settings(deadline=None)
@given(st.integers(1, 99), st.integers(1, 5000), st.sampled_from(["x", " x ", "*", "×", " × "]))
def test_a_multiple_is_the_sum_of_its_items(count, amount, times):
    pack = parse_pack(f"{count}{times}{amount} ml")
    assert (pack.count, pack.amount) == (count, Decimal(amount) / 1000)
    assert pack.total == pack.count * pack.amount


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_gives_a_sane_pack_or_none(text):
    pack = parse_pack(text)
    assert pack is None or (pack.count > 0 and pack.total >= 0)
