"""Texts as people really type them: slips, emoji, HTML, case, storms of marks; and the same said of other people and in other words.

For training beside clean texts (`with_noise`), and for the test of robustness, which draws anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from wares.models.sentiment.labelled import LabelledTexts
from wares.models.sentiment.prepare import is_chinese

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
GENDER = (
    ("he", "she"), ("his", "her"), ("him", "her"), ("husband", "wife"), ("boyfriend", "girlfriend"), ("son", "daughter"), ("father", "mother"),
    ("dad", "mom"), ("brother", "sister"), ("man", "woman"), ("boy", "girl"), ("grandpa", "grandma"), ("uncle", "aunt"), ("nephew", "niece"),
    ("他", "她"), ("老公", "老婆"), ("儿子", "女儿"), ("爸爸", "妈妈"), ("老爸", "老妈"), ("男朋友", "女朋友"), ("哥哥", "姐姐"), ("弟弟", "妹妹"),
    ("爷爷", "奶奶"), ("先生", "女士"), ("男生", "女生"), ("男孩", "女孩"), ("父亲", "母亲"), ("外公", "外婆"),
)  # fmt: skip
DIALECT = (
    ("colour", "color"), ("favourite", "favorite"), ("mum", "mom"), ("whilst", "while"), ("parcel", "package"), ("y'all", "you all"),
    ("gonna", "going to"), ("wanna", "want to"), ("gotta", "have to"), ("kinda", "kind of"), ("cuz", "because"), ("em", "them"),
    ("咱们", "我们"), ("俺", "我"), ("啥", "什么"), ("咋", "怎么"), ("甭", "不用"), ("这儿", "这里"), ("那儿", "那里"), ("东东", "东西"), ("娃", "孩子"),
    ("木有", "没有"), ("滴", "的"), ("灰常", "非常"), ("偶", "我"), ("银", "人"), ("造", "知道"),
)  # fmt: skip
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
    if not is_chinese(text):
        return text
    out: list[str] = []
    drawn = rng.random(len(text))
    for ch, chance in zip(text, drawn, strict=True):
        if chance >= HAN_SLIPS or not is_chinese(ch):
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


CHANGES: dict[str, Change] = {
    "typos": slips,
    "emoji": emoji,
    "html": html,
    "case": case,
    "punctuation": storm,
}


def swapped(text: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Each word of a pair by the other; English ones as whole words, with their capital."""
    there: dict[str, str] = {}
    for a, b in pairs:
        there.setdefault(a, b)
        there.setdefault(b, a)
    han = sorted((w for w in there if is_chinese(w)), key=lambda w: (-len(w), w))
    spoken = sorted((w for w in there if not is_chinese(w)), key=lambda w: (-len(w), w))

    def other(match: re.Match[str]) -> str:
        said = match[0]
        found = there[said.lower()]
        return found.capitalize() if said[0].isupper() else found

    parts = [f"(?<![A-Za-z'])(?:{'|'.join(map(re.escape, spoken))})(?![A-Za-z'])"] if spoken else []
    return re.sub("|".join([*map(re.escape, han), *parts]), other, text, flags=re.IGNORECASE)


def with_noise(train: LabelledTexts, seed: int) -> LabelledTexts:
    """The texts, and each once more with noise of a kind drawn at random, about half of the time with other gender words."""
    rng = np.random.default_rng(seed + 101)
    kinds = list(CHANGES.values())
    noisy: list[str] = []
    for text in train.texts:
        turned = swapped(text, GENDER) if rng.random() < 0.5 else text
        # Slips hurt most, and are drawn as often as the rest together.
        change = slips if rng.random() < 0.5 else kinds[int(rng.integers(len(kinds)))]
        noisy.append(change(turned, rng))
    return LabelledTexts(
        [*train.texts, *noisy], np.tile(train.labels, 2), train.names,
        None if train.targets is None else np.tile(train.targets, (2, 1)), train.groups * 2,
    )  # fmt: skip
