"""Copies, advertising and noise among texts; and the language of a text."""

from __future__ import annotations

import numpy as np
import pytest
from tests.models.test_sentiment import reviews

from wares.models.sentiment.languages import language_of
from wares.models.sentiment.spam import BLANK, DUPLICATE, SPAM, copies, screen

LONG = "The kettle boils within two minutes, the handle stays cool and the lid closes well; we use it every morning."


def test_a_thousand_copies_count_once():
    found = screen(
        [
            LONG,
            *[LONG + "!" * (n % 3) for n in range(1000)],
            "another one, quite different: the lamp fell apart at once",
        ]
    )
    assert found.copy_of[0] == -1
    assert (found.copy_of[1:1001] == 0).all()
    assert (found.flags == 0).sum() == 2
    assert found.flags[1] == DUPLICATE


def test_near_copies_are_found_and_other_texts_are_none():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghijklmnop"), 6)) for _ in range(3000)]
    originals = [" ".join(rng.choice(words, 25)) for _ in range(200)]
    changed = [text[:-8] + " and more" for text in originals]
    found = copies([*originals, *changed])
    assert (found[:200] == -1).all()
    assert (found[200:] == np.arange(200)).mean() > 0.9


def test_short_texts_are_copies_only_of_the_same_author():
    assert (copies(["good", "good", "好评", "好评"]) == -1).all()
    assert copies(["good", "good", "good"], ["a", "b", "a"]).tolist() == [-1, -1, 0]
    assert (copies(["good", "good"], [None, None]) == -1).all()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("add me on wechat: dealer_2026 for cheap goods", "contact"), ("加微信号 abc12345 领优惠", "contact"), ("联系我13812345678", "contact"),
        ("https://shop.example/abc", "link"), ("兼职刷单，日赚500", "offer"), ("asdfghjkl qwertyuiop zxcvbnm", "noise"), ("果然又是一篇说教的滥文章!" * 10, "noise"),
        ("the manual is at www.maker.com and it helped me to set it up", ""), ("the seller asked for a review: 好评返现，很烦", ""), (LONG, ""),
        ("", ""), ("👍👍👍", ""),
    ],
)  # fmt: skip
def test_spam_says_why(text, why):
    assert screen([text]).spam == (why,)


def test_flags_add_up_and_bad_rows_spoil_no_other():
    found = screen(["", "\x00 ", LONG, LONG, "加微信 abc12345", "\ud800", "x" * 100_000])
    assert found.flags.dtype == np.uint8
    assert found.flags.tolist()[:5] == [BLANK, BLANK, 0, DUPLICATE, SPAM]
    assert screen([]).flags.shape == (0,)
    some = reviews(200).texts
    assert (copies(some) < np.arange(200)).all()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The lamp is nice", "en"), ("这个灯很好", "zh"), ("这个iPhone很好用", "zh"), ("the lamp is great 这个灯非常好用推荐购买", "mixed"),
        ("Es una lámpara muy buena para el dormitorio", "other"), ("とても良いランプです", "other"), ("Очень хорошая лампа", "other"), ("👍 123", ""), ("", ""),
        ("works", "en"), ("Die Lampe ist sehr gut und nicht teuer", "other"),
    ],
)  # fmt: skip
def test_languages(text, language):
    assert language_of(text) == language
