"""Texts as people really type them: slips, emoji, HTML, case, storms of marks; and the same said of other people and in other words.

For training beside clean texts (`with_noise`), and for the test of robustness, which draws anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from wares.core.text import has_han
from wares.models.sentiment.labelled import LabelledTexts
from wares.models.sentiment.neutral import GENDER, swapped

WORD_SLIPS, HAN_SLIPS = 0.1, 0.05
"""Shares of English words of four letters or more, and of Chinese characters, with a slip."""
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
NEAR: dict[str, str] = {
    ch: "".join(
        other
        for r, other_row in enumerate(_ROWS)
        for c, other in enumerate(other_row)
        if other != ch and abs(r - row) <= 1 and abs(c - column) <= 1
    )
    for row, keys in enumerate(_ROWS)
    for column, ch in enumerate(keys)
}
SOUNDS_ALIKE = (
    "的得地", "在再", "做作坐座", "他她它", "已以", "那哪", "像象向", "买卖", "有又友", "是事试", "很狠", "带戴代", "到道", "快块筷", "长常场",
    "号好", "只之指知", "件建见", "发法", "才材财", "点店", "价架", "客课", "服付", "质制", "量亮", "用永", "给个", "不步", "喜西", "换还", "后候",
    "和合", "想响", "新心", "家加", "书树", "时十", "看刊", "没每", "太态", "了乐", "吗嘛妈", "送宋", "装庄", "包报", "色涩", "样羊", "本笨", "起气",
)  # fmt: skip
_ALIKE = {ch: group.replace(ch, "") for group in SOUNDS_ALIKE for ch in group}
NEUTRAL_EMOJI = "📦🛒🏠📱👕🕐📷🚚🎒🧾🛏🧴"
SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文"
GIVEN = "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂华玲辉红鹏飞宇浩轩子涵欣怡梓雨婷雪佳慧建国志文俊思琪晨阳嘉博远航美玉春海燕波斌凯旭东峰琳莹倩颖璐瑶"
GIVEN_EN = """james mary robert patricia john jennifer michael linda david elizabeth william barbara richard susan joseph jessica thomas sarah
charles karen christopher lisa daniel nancy matthew betty anthony sandra mark ashley donald kimberly steven donna andrew michelle ahmed aisha
chen mei lin hiroshi yuki carlos maria jose sofia ivan olga raj ananya kofi amara deshawn latoya tyrone ebony abdul zainab pedro lucia"""
MENTIONS_ZH = ("{}也说，{}", "和{}一起买的，{}", "给{}用的。{}", "{}看了。{}")
MENTIONS_EN = ("{} and I ordered it. {}", "my friend {} saw it. {}", "{} told me. {}", "for {}: {}")
_ASCII_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
_MARKS = re.compile(r"[.!?,;:。！？，；：~…]+")
Change = Callable[[str, np.random.Generator], str]


def slips(text: str, rng: np.random.Generator) -> str:
    """A key beside the right one, a letter left out, doubled or swapped in some words; in Chinese a character that sounds alike,
    left out, doubled or swapped with the next."""

    def slip(match: re.Match[str]) -> str:
        word = match[0]
        if len(word) < 4 or rng.random() >= WORD_SLIPS:
            return word
        at, kind = int(rng.integers(1, len(word) - 1)), int(rng.integers(4))
        if kind == 0:
            near = NEAR.get(word[at].lower(), "")
            return word[:at] + near[int(rng.integers(len(near)))] + word[at + 1 :] if near else word
        if kind == 1:
            return word[:at] + word[at + 1 :]
        if kind == 2:
            return word[:at] + word[at] + word[at:]
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    text = _ASCII_WORD.sub(slip, text)
    if not has_han(text):
        return text
    out: list[str] = []
    drawn = rng.random(len(text))
    for ch, chance in zip(text, drawn, strict=True):
        if chance >= HAN_SLIPS or not has_han(ch):
            out.append(ch)
            continue
        alike = _ALIKE.get(ch, "")
        kind = int(rng.integers(4))
        if alike and kind < 3:
            out.append(alike[int(rng.integers(len(alike)))])
        elif kind == 0:
            out.append(ch + ch)
        elif kind == 1 and out:
            out.insert(len(out) - 1, ch)
        elif kind != 2:
            out.append(ch)
    return "".join(out)


def emoji(text: str, rng: np.random.Generator) -> str:
    """Some emoji that say nothing of moods, at the end of the text and after some of its marks."""

    def one() -> str:
        return NEUTRAL_EMOJI[int(rng.integers(len(NEUTRAL_EMOJI)))]

    some = _MARKS.sub(lambda m: m[0] + (one() if rng.random() < 0.3 else ""), text)
    return some + "".join(one() for _ in range(int(rng.integers(1, 4))))


def html(text: str, rng: np.random.Generator) -> str:
    """As a form or an editor sends it: paragraphs, line breaks, entities, spans."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    broken = _MARKS.sub(lambda m: m[0] + ("<br/>" if rng.random() < 0.3 else ""), escaped)
    spaced = broken.replace(" ", "&nbsp;", int(rng.integers(4)))
    return f'<div class="review"><p>{spaced}</p><span style="color:red"></span></div>'


def case(text: str, rng: np.random.Generator) -> str:
    """All capitals, capitals at the beginning of words, or letters of full width."""
    kind = int(rng.integers(3))
    if kind == 0:
        return text.upper()
    if kind == 1:
        return text.title()
    return "".join(chr(ord(ch) + 0xFEE0) if "!" <= ch <= "~" else ch for ch in text)


def storm(text: str, rng: np.random.Generator) -> str:
    """Marks many times over, other marks among them, or hardly any."""
    kind = int(rng.integers(3))
    if kind == 0:
        return _MARKS.sub(lambda m: m[0] * int(rng.integers(3, 9)), text) + "!" * int(rng.integers(3, 12))
    if kind == 1:
        return _MARKS.sub(lambda m: m[0] + "~~~...", text) + "。。。。。"
    return _MARKS.sub(" ", text)


def mentioned(text: str, rng: np.random.Generator) -> str:
    """Someone's name put before a text, of common surnames and given names."""
    if has_han(text):
        name = SURNAMES[int(rng.integers(len(SURNAMES)))]
        name += "".join(GIVEN[int(rng.integers(len(GIVEN)))] for _ in range(int(rng.integers(1, 3))))
        return MENTIONS_ZH[int(rng.integers(len(MENTIONS_ZH)))].format(name, text)
    known = GIVEN_EN.split()
    name = known[int(rng.integers(len(known)))].capitalize()
    return MENTIONS_EN[int(rng.integers(len(MENTIONS_EN)))].format(name, text)


CHANGES: dict[str, Change] = {
    "typos": slips,
    "emoji": emoji,
    "html": html,
    "case": case,
    "punctuation": storm,
}


def with_noise(train: LabelledTexts, seed: int) -> LabelledTexts:
    """The texts, and each once more with noise of a kind drawn at random, about half of the time with someone's name and other
    gender words."""
    rng = np.random.default_rng(seed + 101)
    kinds = list(CHANGES.values())
    noisy: list[str] = []
    for text in train.texts:
        turned = mentioned(swapped(text, GENDER), rng) if rng.random() < 0.5 else text
        # Slips hurt most, and are drawn as often as the rest together.
        change = slips if rng.random() < 0.5 else kinds[int(rng.integers(len(kinds)))]
        noisy.append(change(turned, rng))
    return LabelledTexts(
        [*train.texts, *noisy], np.tile(train.labels, 2), train.names,
        None if train.targets is None else np.tile(train.targets, (2, 1)), train.groups * 2,
    )  # fmt: skip
