from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wares.data.clean.cells import ColumnCleaner
from wares.data.clean.rules import parse_rules
from wares.data.clean.text import DIRTY, run_chain, spelling_table, text_rule

ALL = ["unicode", "html", "width", "chinese", "control", "whitespace", "category_path"]


def chain(*names):
    return [text_rule(rule) for rule in parse_rules(list(names), "title", "string", "here")]


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ("unicode", "Cafe\u0301", "Café"),
        ({"unicode": {"form": "NFKC"}}, "ﬁg ½", "fig 1⁄2"),
        ("html", "Fish &amp;amp; chips", "Fish & chips"),
        ("html", "<p>Warm<br/>light</p>", " Warm light "),
        ("html", "a < b, I <3 tea", "a < b, I <3 tea"),
        ("html", "x<script>alert(1)</script>y<!-- no -->z", "x y z"),
        ("width", "ＡＢＣ　１２３！", "ABC 123!"),
        ("width", "ｶﾞﾗｽ ½™", "ガラス ½™"),
        ("chinese", "繁體電腦 tea", "繁体电脑 tea"),
        ({"chinese": {"to": "traditional"}}, "电脑", "電腦"),
        ("control", "a\x00b\tc\ufeff\u200bd", "ab cd"),
        ("control", "👩\u200d🍳 می\u200cخواهم", "👩\u200d🍳 می\u200cخواهم"),
        ("control", "safe\u202etxt.exe", "safetxt.exe"),
        ("whitespace", "  a \u3000 b\n", "a b"),
        ({"case": {"form": "upper"}}, "eur", "EUR"),
        ("category_path", "Home»Kitchen  |Kitchen > > Knives", "Home > Kitchen > Knives"),
        ("category_path", "Interior/exterior care", "Interior/exterior care"),
    ],
)
def test_each_rule(rule, before, after):
    (function,) = chain(rule)
    assert function(before) == after


def test_right_to_left_text_and_emoji_stay():
    for text in ("مصباح مكتب أسود", "מנורת שולחן", "💡🇨🇳 灯"):
        assert run_chain(text, chain("unicode", "html", "width", "control", "whitespace"))[0] == text


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet=st.one_of(st.characters(codec="utf-8"), st.sampled_from("<>&;ampltgb#x3c/＜＆　 >|")))
)
def test_cleaning_twice_is_cleaning_once(text):
    rules = chain(*ALL)
    once, _ = run_chain(text, rules)
    assert run_chain(once, rules)[0] == once


@settings(deadline=None)
@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_text_that_is_passed_over_unseen_would_not_change(text):
    import pyarrow as pa
    import pyarrow.compute as pc

    safe = chain("unicode", "html", "width", "chinese", "control", "whitespace")
    if not pc.match_substring_regex(pa.array([text]), DIRTY)[0].as_py():
        assert run_chain(text, safe)[0] == text


def test_brands_take_their_most_frequent_spelling():
    table = spelling_table({"NIKE": 3, "Nike": 9, "nike ": 1, "Lego": 2, "LEGO": 2, "H&M": 1})
    assert table == {"NIKE": "Nike", "nike ": "Nike", "LEGO": "Lego"}


def test_counts_and_samples_of_a_column():
    import pyarrow as pa

    cleaner = ColumnCleaner("title", list(parse_rules(["html", "whitespace"], "title", "string", "x")), True)
    values = pa.array(["a &amp; b", None, "a &amp; b", " c ", "<p></p>", "fine"])
    out = cleaner.apply(values, pa.array([f"k{n}" for n in range(6)]))
    assert out.to_pylist() == ["a & b", None, "a & b", "c", "<p></p>", "fine"]
    assert [(change.rule, change.cells) for change in cleaner.changes] == [("html", 2), ("whitespace", 1)]
    assert cleaner.changes[0].samples == [{"key": "k0", "before": "a &amp; b", "after": "a & b"}]
    assert cleaner.kept_raw == 1
