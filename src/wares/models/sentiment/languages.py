"""Which language a text is in, by script and small words: Chinese, English, a mixture of both, or another. No model, so that serving has it."""

from __future__ import annotations

import re

from wares.core.text import HAN

ZH, EN, MIXED, OTHER, NONE = "zh", "en", "mixed", "other", ""
LANGUAGES = (ZH, EN, MIXED, OTHER, NONE)
LONGEST = 2000
"""Characters that are looked at."""
HAN_PER_WORD = 1.7
"""Chinese characters that say about as much as one word of English."""
LEAST_SHARE = 0.2


def _words(text: str) -> list[str]:
    return text.split()


_HAN = re.compile(f"[{HAN}]")
_KANA_HANGUL = re.compile(r"[぀-ヿ가-힯]")
_LATIN = re.compile(r"[A-Za-zÀ-ɏ]+(?:['’][A-Za-z]+)?")
_LETTER = re.compile(r"[^\W\d_]")
_ENGLISH = frozenset(
    _words(
        "the a an and or but is it its was were are be been this that these those i my me we you your he she his her they them of to in on for "
        "with at from as not no so very too just have has had do does did will would can could if when than then there what which who all "
        "one out up about after before because only also more most much good great like love nice buy bought product quality price size fit "
        "works work use used get got well bad poor really don't didn't doesn't it's i'm"
    )
)
_OTHERS = frozenset(
    _words(
        "der die das und ist nicht ich ein eine einen mit auf für von zu im den sehr auch wie aber le la les et est une un des du pas je que qui "
        "dans pour avec sur très mais el los las y es no una por con para muy pero como lo al il che di non per sono molto anche della o e é "
        "não um uma com para muito os do da het een en niet voor van zijn maar och att det som är inte med på jag"
    )
)


def language_of(text: str) -> str:
    """``zh``, ``en``, ``mixed`` (a fifth or more of each), ``other``, or ``""`` where there is no letter."""
    text = text[:LONGEST]
    if not _LETTER.search(text):
        return NONE
    if _KANA_HANGUL.search(text):
        return OTHER
    han = len(_HAN.findall(text)) / HAN_PER_WORD
    words = [word.casefold() for word in _LATIN.findall(text)]
    if han:
        # A brand or a unit of measure in a Chinese text makes it no mixture.
        latin = float(sum(len(word) > 1 for word in words))
        share = latin / (latin + han)
        if share < LEAST_SHARE or latin < 2:
            return ZH
        if share <= 1 - LEAST_SHARE:
            return MIXED
    if not words:
        return OTHER
    letters = len(_LETTER.findall(text))
    if sum(len(word) for word in words) < 0.5 * letters:
        return OTHER
    english, others = (sum(word in some for word in words) for some in (_ENGLISH, _OTHERS))
    foreign = any(not word.isascii() for word in words)
    return OTHER if others > english or (foreign and not english) else EN
