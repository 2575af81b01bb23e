"""What a verdict does not hang on, and noise for training."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.models.test_sentiment import reviews

from wares.models.sentiment.neutral import DIALECT, GENDER, neutral, swapped
from wares.models.sentiment.noise import CHANGES, with_noise
from wares.models.sentiment.prepare import prepared


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("She gave it to her mother", "He gave it to his father"), ("老公很喜欢", "老婆很喜欢"), ("俺觉得灰常好", "我觉得非常好"),
        ("My name is Lakisha Brown. Works well", "My name is Greg. Works well"), ("我叫买买提。质量很差", "我叫王伟，质量很差"),
        ("It broke. -- Emily", "It broke. — Mohammed"), ("Mum likes the colour", "Dad likes the color"),
    ],
)  # fmt: skip
def test_two_people_are_read_alike(one, other):
    assert neutral(one) == neutral(other)


@pytest.mark.parametrize(
    "text",
    ["my name is on the box and it is ugly", "我叫李娜", "the theme is them", "manual", "very good, thanks"],
)
def test_other_words_stay(text):
    assert neutral(text) == prepared(text)


def test_swapping_twice_is_the_text():
    text = "He told her: 老公喜欢这个颜色 and Mum's parcel came"
    assert swapped(text, GENDER[:4]).startswith("She told")
    assert swapped(swapped("老公和儿子", GENDER), GENDER) == "老公和儿子"
    assert swapped("俺喜欢啥", DIALECT) == "我喜欢什么"
    assert swapped("the thermos", GENDER) == "the thermos"


@given(st.text(max_size=200))
def test_any_text_survives_noise_and_one_form(text):
    assert isinstance(neutral(text), str)
    rng = np.random.default_rng(0)
    for change in CHANGES.values():
        prepared(change(text, rng))


@pytest.mark.parametrize("name", ["html", "case"])
def test_what_preparation_undoes_leaves_no_trace(name):
    rng = np.random.default_rng(1)
    for text in ("Works well, love it", "这个灯 质量很好！"):
        assert neutral(CHANGES[name](text, rng)).replace(" ", "") == neutral(text).replace(" ", "")


def test_noise_stands_beside_the_clean_texts_with_their_labels():
    rows = reviews(100)
    both = with_noise(rows, 3)
    assert both.texts[:100] == rows.texts
    assert (both.labels[100:] == rows.labels).all()
    assert sum(a != b for a, b in zip(rows.texts, both.texts[100:], strict=True)) > 60
    assert with_noise(rows, 3).texts == both.texts


def test_marks_of_irony_emoji_and_negation_stay():
    said = neutral("质量真是“好”啊，呵呵 [微笑] 🙄 … not bad at all /s")
    for mark in ("“好”", "呵呵", "[微笑]", "🙄", "...", "not", "/s"):
        assert mark in said
