"""What a verdict shall not hang on: who speaks, of which gender people are, in which dialect. Read in one form, so that it cannot.

Texts are read with gender words, dialect words and spellings in one form and without people who introduce themselves or
sign ("blindness"; the counterfactual tests are those of Kusner et al., *Counterfactual Fairness*, 2017, on the words).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from wares.core.text import has_han
from wares.models.sentiment.prepare import prepared

GENDER = (
    ("he", "she"), ("his", "her"), ("him", "her"), ("himself", "herself"), ("husband", "wife"), ("boyfriend", "girlfriend"), ("son", "daughter"),
    ("father", "mother"), ("dad", "mom"), ("brother", "sister"), ("man", "woman"), ("men", "women"), ("boy", "girl"), ("boys", "girls"),
    ("grandpa", "grandma"), ("grandfather", "grandmother"), ("grandson", "granddaughter"), ("uncle", "aunt"), ("nephew", "niece"),
    ("他", "她"), ("老公", "老婆"), ("儿子", "女儿"), ("爸爸", "妈妈"), ("老爸", "老妈"), ("男朋友", "女朋友"), ("男友", "女友"), ("哥哥", "姐姐"),
    ("弟弟", "妹妹"), ("爷爷", "奶奶"), ("先生", "女士"), ("男生", "女生"), ("男孩", "女孩"), ("男士", "女性"), ("父亲", "母亲"), ("外公", "外婆"),
    ("孙子", "孙女"), ("丈夫", "妻子"),
)  # fmt: skip
DIALECT = (
    ("colour", "color"), ("favourite", "favorite"), ("flavour", "flavor"), ("grey", "gray"), ("mum", "mom"), ("whilst", "while"),
    ("parcel", "package"), ("y'all", "you all"), ("gonna", "going to"), ("wanna", "want to"), ("gotta", "have to"), ("kinda", "kind of"),
    ("cuz", "because"), ("em", "them"), ("ain't", "isn't"), ("咱们", "我们"), ("俺", "我"), ("啥", "什么"), ("咋", "怎么"), ("甭", "不用"),
    ("这儿", "这里"), ("那儿", "那里"), ("东东", "东西"), ("木有", "没有"), ("滴", "的"), ("灰常", "非常"), ("晓得", "知道"), ("忒", "太"),
)  # fmt: skip
"""Dialect, slang or spelling, and the word of most writers."""
_NAME_ZH = r"[一-鿿·]{2,4}|[A-Za-z]{2,15}"
_INTRODUCED = re.compile(
    rf"(?:我的?名字(?:叫|是)|我叫|名叫|本人叫)(?:{_NAME_ZH})(?=[,，。.!！;；~\s]|$)[,，。.!！;；~\s]*"
    r"|\b(?:my name is|my name's|i am called)\s+\w+(?:\s+\w+)?(?=[,.!;]|$)[,.!;\s]*"
    r"|(?<=[.!?。！？~])\s*(?:[-—–]{1,2}\s*|(?:yours|cheers|regards|thanks),?\s+)\w+\s*$",
    re.IGNORECASE,
)


def _other(there: dict[str, str]) -> tuple[re.Pattern[str], Callable[[re.Match[str]], str]]:
    """A pattern of the words (English ones whole) and what each becomes, with its capital."""
    han = sorted((w for w in there if has_han(w)), key=lambda w: (-len(w), w))
    spoken = sorted((w for w in there if not has_han(w)), key=lambda w: (-len(w), w))
    parts = [f"(?<![A-Za-z'’])(?:{'|'.join(map(re.escape, spoken))})(?![A-Za-z'’])"] if spoken else []

    def other(match: re.Match[str]) -> str:
        said = match[0]
        found = there[said.lower()]
        return found.capitalize() if said[0].isupper() else found

    return re.compile("|".join([*map(re.escape, han), *parts]), re.IGNORECASE), other


def _forms() -> dict[str, str]:
    """Each word that has another form, and the one form of all that pairs bind together."""
    one: dict[str, str] = {}
    for other, first in (*((b, a) for a, b in GENDER), *DIALECT):
        kept, gone = one.get(first, first), one.get(other, other)
        one |= {word: kept for word, form in one.items() if form == gone} | {other: kept, gone: kept}
    return {word: form for word, form in one.items() if word != form}


_ONE_FORM = _other(_forms())


def neutral(text: str) -> str:
    """`prepared`, without who introduces themselves or signs, gender and dialect words in one form."""
    text = prepared(text)
    found = _INTRODUCED.sub(" ", text).strip()
    return _ONE_FORM[0].sub(_ONE_FORM[1], found or text)


def swapped(text: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Each word of a pair by the other; English ones as whole words, with their capital."""
    there: dict[str, str] = {}
    for a, b in pairs:
        there.setdefault(a, b)
        there.setdefault(b, a)
    pattern, other = _other(there)
    return pattern.sub(other, text)
