"""Opinions about aspects without anything labelled: the built-in catalogue, clauses, negation, contrast, and bad texts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wares.core.errors import IncompatibleArtifact
from wares.models.sentiment.aspect_catalogue import AspectCatalogue, Entry
from wares.models.sentiment.aspect_labelled import place_of
from wares.models.sentiment.aspect_prior import mix_of
from wares.models.sentiment.aspect_propose import propose
from wares.models.sentiment.opinion_text import aligned, sentences
from wares.models.sentiment.opinion_words import BAD, GOOD, OF_ASPECT, TELLING, TERMS
from wares.models.sentiment.opinions import AspectReader

READER = AspectReader()


def signs(text, reader=READER):
    return {(one.aspect, int(np.sign(one.polarity))) for one in reader.read([text])[0]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The screen is great but the battery dies quickly.", {("screen", 1), ("battery", -1)}),
        ("很好用，就是有点贵", {("price", -1)}),
        ("质量不错，物流很快，但是客服态度差", {("quality", 1), ("delivery", 1), ("service", -1)}),
        ("runs small", {("size", -1)}),
        ("too expensive for what it is", {("price", -1)}),
        ("坐了一个月就塌了", {("durability", -1)}),
        ("the quality is not good", {("quality", -1)}),
        ("not bad quality", {("quality", 1)}),
        ("质量不好", {("quality", -1)}),
        ("包装没有破损", {("packaging", 1)}),
        ("no problems with delivery", {("delivery", 1)}),
        ("价格便宜", {("price", 1)}),
        ("the price is high", {("price", -1)}),
        ("The keyboard, screen and speakers are excellent", {("features", 1), ("screen", 1), ("sound", 1)}),
        ("屏 幕 非 常 清 晰", {("screen", 1)}),
        ("I bought it in May.", set()),
    ],
)
def test_clauses_negation_contrast_and_what_is_implied(text, expected):
    assert signs(text) == expected


def test_one_sentence_may_praise_and_blame_one_aspect():
    found = READER.read(["The battery is great at first, but the battery is terrible after a month."])[0]
    assert [one.aspect for one in found] == ["battery", "battery"]
    assert found[0].polarity > 0 > found[1].polarity
    assert found[0].end <= found[1].start


def test_evidence_term_and_words_are_quoted_from_the_text_as_it_was_written():
    text = "Loved it!  The FABRIC is really SOFT， 就是有点贵。"
    fabric, price = READER.read([text])[0]
    assert text[fabric.term_start : fabric.term_end] == "FABRIC"
    assert text[fabric.opinion_start : fabric.opinion_end] == "SOFT"
    assert text[fabric.start : fabric.end] == "The FABRIC is really SOFT"
    assert (price.term_start, price.term_end) == (-1, -1)
    assert text[price.opinion_start : price.opinion_end] == "贵"
    assert text[price.start : price.end] == "就是有点贵"
    assert fabric.polarity == 1.0
    assert price.polarity == -0.5


def test_it_says_that_it_is_untrained():
    assert not READER.trained
    assert set(READER.aspects) == set(TERMS)


@pytest.mark.parametrize(
    "text",
    ["", "   \n\t", "\x00\x07", "👍", "great " * 20_000, "差" * 100_000, "<b></b>", "\u202eabc", "\ud800", "é" * 50, "<script>" * 3000, "but but but", "İ" * 400 + "quality is good"],
)  # fmt: skip
def test_any_text_gets_an_answer_and_a_bad_one_spoils_no_other(text):
    good = "great quality, 物流很快"
    alone = READER.read([good])[0]
    found = READER.read([text, good])
    assert found[1] == alone
    assert all(0 <= one.start < one.end <= len(text) for one in found[0])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "屏幕",
                "great",
                "but",
                "，",
                " ",
                "不",
                "not",
                "battery",
                "太差",
                "。",
                "<b>",
                "贵",
                "\n",
                "İ",
                "👍",
                "the",
            ]
        ),
        max_size=30,
    )
)
def test_places_lie_inside_the_text(parts):
    text = "".join(parts)
    for one in READER.read([text])[0]:
        assert 0 <= one.start < one.end <= len(text)
        for start, end in ((one.term_start, one.term_end), (one.opinion_start, one.opinion_end)):
            assert (start, end) == (-1, -1) or one.start <= start < end <= one.end
        assert -1 <= one.polarity <= 1


def test_aligned_keeps_every_place():
    text = "ＡB<i>c</i>\x00İ Ｄ"
    assert len(aligned(text)) == len(text)
    assert aligned("ＡB") == "ab"
    assert [text[a:b] for a, b in sentences(aligned(text))]


def test_a_classifier_of_the_shop_judges_clauses_and_mentions():
    asked = []

    def judge(texts):
        asked.extend(texts)
        return np.array([-1.0 if "died" in t or "坏" in t else 1.0 for t in texts])

    reader = AspectReader(polarity=judge)
    text = "The battery died after a week, the screen is bad"
    assert signs("The battery died after a week", reader) == {("battery", -1)}
    # Ours would call it bad; the classifier decides.
    assert ("screen", 1) in signs(text, reader)
    assert "The battery died after a week" in asked


def test_the_lists_do_not_contradict_themselves():
    assert not set(GOOD) & set(BAD)
    assert {aspect for aspect, _ in OF_ASPECT} | set(TELLING) <= set(TERMS)
    for good, bad in TELLING.values():
        assert not set(good.split("|")) & set(bad.split("|")) - {""}


def test_confirmed_aspects_extend_the_reader_by_category(tmp_path):
    catalogue = AspectCatalogue()
    assert catalogue.add("neckline", ["neckline", "neck line"], "dresses") == 2
    assert catalogue.add("neckline", ["neckline"], "dresses") == 0
    assert catalogue.add("size", ["hip room"]) == 1
    catalogue.save(tmp_path / "aspects.json")
    held = AspectCatalogue.load(tmp_path / "aspects.json")
    assert held.entries == [
        Entry("neckline", ("neckline", "neck line"), "dresses"),
        Entry("size", ("hip room",), ""),
    ]
    dresses, shoes = AspectReader(more=held.terms("dresses")), AspectReader(more=held.terms("shoes"))
    assert signs("the neckline is beautiful", dresses) == {("neckline", 1)}
    assert ("neckline", 1) not in signs("the neckline is beautiful", shoes)
    assert signs("the hip room is terrible", shoes) == {("size", -1)}
    assert "neckline" in dresses.aspects


def test_a_damaged_catalogue_is_named(tmp_path):
    (tmp_path / "a.json").write_text('{"format": 9}')
    with pytest.raises(IncompatibleArtifact, match="catalogue"):
        AspectCatalogue.load(tmp_path / "a.json")


def test_noun_phrases_that_opinions_are_said_of_are_proposed_by_category():
    english = ["the zipper is great", "the zipper is terrible and broke", "I love the zipper", "the zipper line looks awful", "great zipper", "we went home on monday"] * 3  # fmt: skip
    chinese = [
        "拉链很好用",
        "拉链太差了",
        "拉链非常顺滑",
        "昨天去了一次公园",
        "拉链不好，失望",
        "拉链满意",
    ] * 3
    filler = [f"ordered on monday number {i}" for i in range(60)]
    found = propose(
        [*english, *filler, *chinese, *filler],
        ["bags"] * (len(english) + 60) + ["箱包"] * (len(chinese) + 60),
        least=3,
    )
    bags = next(one for one in found if one.category == "bags")
    box = next(one for one in found if one.category == "箱包")
    assert "zipper" in bags.terms
    assert "拉链" in box.terms
    assert bags.spoken > 0.9
    assert bags.quotes
    assert all(term not in terms for one in found for term in one.terms for terms in TERMS.values())


def test_alike_phrases_come_together_by_the_encoder_and_name_the_known_aspect_that_is_near():
    def encode(texts):
        out = np.zeros((len(texts), 2), np.float32)
        for i, text in enumerate(texts):
            out[i] = (1, 0) if text in ("zipper", "fastener", "stitching") else (0, 1)
        return out

    rows = [
        "the zipper is great",
        "the fastener is awful",
        "love the zipper",
        "hate the fastener",
        "the clasp is nice",
    ] * 3
    rows += [f"ordered on monday number {i}" for i in range(60)]
    first = propose(rows, None, encode, least=3)[0]
    assert {"zipper", "fastener"} <= set(first.terms)
    assert "clasp" not in first.terms
    assert first.near == "quality"


def test_nothing_is_proposed_out_of_nothing():
    assert propose([]) == []
    assert propose(["", "👍", "差" * 10_000]) == []


@pytest.mark.parametrize(
    ("text", "phrase", "place"),
    [("a card in the cardboard", "card", (2, 6)), ("cardboard", "card", (0, 4)), ("Screen", "screen", (0, 6)), ("x", "y", None), ("x", "", None)],
)  # fmt: skip
def test_a_phrase_is_found_as_whole_words_first(text, phrase, place):
    assert place_of(text, phrase) == place


def test_the_mix_of_new_texts_is_found_without_labels():
    rng = np.random.default_rng(0)
    labels = (rng.random(4000) < 0.8).astype(int)
    seen = rng.normal(size=4000) + 2.0 * labels
    # Calibrated for as many of either.
    odds = np.exp(2.0 * seen - 2.0)
    p = np.stack([1 / (1 + odds), odds / (1 + odds)], 1)
    mix, moved = mix_of(p, np.array([0.5, 0.5]))
    assert mix[1] == pytest.approx(0.8, abs=0.03)
    assert (moved.argmax(1) == labels).mean() > (p.argmax(1) == labels).mean()
    same, kept = mix_of(p[:0], np.array([0.5, 0.5]))
    assert same.tolist() == [0.5, 0.5]
    assert kept.shape == (0, 2)
