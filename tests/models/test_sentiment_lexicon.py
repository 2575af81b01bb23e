"""The untrained baseline: words, negation, contrast, emoji, and that it says what it is."""

from __future__ import annotations

import pytest

from wares.models.sentiment.lexicon import Lexicon


def mood(text):
    return Lexicon().read([text])[0].mood


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("it works great", "it broke"), ("not bad", "not good"), ("very good", "good"), ("good", "slightly good"),
        ("很好用", "很差"), ("不错", "不好"), ("非常满意", "不满意"), ("不是不好", "不好"), ("👍", "👎"), ("bad but great in the end", "great but bad in the end"),
        ("质量真好", "呵呵，质量真好"), ("没有问题", "有问题"),
    ],
)  # fmt: skip
def test_praise_stands_above_blame(better, worse):
    assert mood(better) > mood(worse)


def test_it_is_never_sure_and_says_that_it_is_untrained():
    verdicts = Lexicon().read(["great", "awful", "", "🙂", "a" * 100_000, "\x00"])
    assert Lexicon.trained is False
    assert not any(v.sure for v in verdicts)
    assert [v.label for v in verdicts[:3]] == ["positive", "negative", "neutral"]
    for v in verdicts:
        assert -1 <= v.mood <= 1
        assert sum(v.probabilities.values()) == pytest.approx(1)
    assert Lexicon().read([]) == []


def test_the_words_that_voted_are_told():
    assert Lexicon().why("not good, but fast") == [
        ("good", pytest.approx(-0.48)),
        ("fast", pytest.approx(1.4)),
    ]
    assert Lexicon().why("the lamp") == []
