"""Sentiment before there are labels: a short list of words, negation, strength, contrast and emoji. Untrained, and it says so.

Method: words vote by a list of their own, turned by a negation shortly before, strengthened or weakened by an adverb, and
weighed up after a contrast (the shape of Taboada et al., *Lexicon-Based Methods for Sentiment Analysis*, 2011). Probabilities
are those of the vote, not calibrated; nothing is ever `sure`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from wares.models.sentiment import lexicon_words as lists
from wares.models.sentiment.calibration import softmax
from wares.models.sentiment.infer import Verdict
from wares.models.sentiment.prepare import prepared

NEGATIVE, NEUTRAL, POSITIVE = "negative", "neutral", "positive"
REACH = 3
"""Words, or characters of Chinese, before a word where a negation or an adverb speaks of it."""
TURNED = -0.8
STRONGER, WEAKER = 1.5, 0.7
BEFORE_BUT, AFTER_BUT = 0.6, 1.4
NEUTRAL_LOGIT = 0.8

_VOTE: dict[str, float] = (
    dict.fromkeys((*lists.GOOD_EN, *lists.GOOD_ZH), 1.0)
    | dict.fromkeys((*lists.BAD_EN, *lists.BAD_ZH), -1.0)
    | dict.fromkeys(lists.GOOD_MARKS, 1.5)
    | dict.fromkeys(lists.BAD_MARKS, -1.5)
)


def _any_of(words: Sequence[str]) -> str:
    return "|".join(re.escape(w) for w in sorted(set(words), key=lambda w: (-len(w), w)))


_ZH_LISTS = (*lists.GOOD_ZH, *lists.BAD_ZH)
# The longest word wins: 不满意 is one word of blame, no negation of praise.
_PIECE = re.compile(
    f"(?P<vote>{_any_of(_ZH_LISTS)})|(?P<turn>{_any_of(lists.NOT_ZH)})|(?P<but>{_any_of(lists.BUT_ZH)})"
    f"|(?P<more>{_any_of([m for m in lists.MORE_ZH if m not in _ZH_LISTS])})|(?P<less>{_any_of(lists.LESS_ZH)})"
    f"|(?P<mark>[{lists.GOOD_MARKS}{lists.BAD_MARKS}])|(?P<word>[a-z]+(?:['’][a-z]+)*)|(?P<stop>[.!?;,。！？；，~\\n])|(?P<other>[^\\s])"
)


class Lexicon:
    """Reads texts by words alone. `trained` is False: these are no calibrated answers."""

    trained = False
    labels: tuple[str, ...] = (NEGATIVE, NEUTRAL, POSITIVE)

    def read(self, texts: Sequence[str]) -> list[Verdict]:
        """A verdict for each text, in their order; moods lie in -1..1, and none is sure."""
        votes = np.array([vote(text) for text in texts])
        if not len(votes):
            return []
        p = softmax(np.column_stack([-votes, np.where(votes == 0, 2.0, NEUTRAL_LOGIT), votes]))
        moods = votes / np.sqrt(1 + votes * votes)
        best = p.argmax(1)
        return [
            Verdict(
                self.labels[int(b)],
                float(row[b]),
                {name: float(v) for name, v in zip(self.labels, row, strict=True)},
                float(mood),
                False,
            )
            for b, row, mood in zip(best, p, moods, strict=True)
        ]

    def why(self, text: str) -> list[tuple[str, float]]:
        """The words that voted, in their order, each with its vote: above zero praises."""
        return [(word, value) for word, value in votes_of(text) if value]


def vote(text: str) -> float:
    """What the words of a text say in sum; above zero praises."""
    return sum(value for _, value in votes_of(text))


def votes_of(text: str) -> list[tuple[str, float]]:
    """Each word that votes with its vote, in order of the text."""
    text = prepared(text).replace("’", "'")
    found: list[tuple[str, float]] = []
    start = 0  # of the sentence, in `found`
    turned, strength, since = False, 1.0, REACH + 1
    weight = 1.0
    for match in _PIECE.finditer(text):
        kind, said = str(match.lastgroup), match[0]
        if kind == "word":
            kind = _kind(said)
        if kind in ("vote", "mark"):
            value = _VOTE[said] * weight
            if kind == "vote" and since <= REACH:
                value *= (TURNED if turned else 1.0) * strength
            found.append((said, value))
            turned, strength, since = False, 1.0, REACH + 1
        elif kind in ("turn", "more", "less"):
            if since > REACH:
                turned, strength = False, 1.0
            # 不是不好: two negations.
            turned = turned != (kind == "turn")
            strength *= STRONGER if kind == "more" else WEAKER if kind == "less" else 1.0
            since = 0
        elif kind == "but":
            found[start:] = [(w, v * BEFORE_BUT) for w, v in found[start:]]
            weight, since = AFTER_BUT, REACH + 1
        elif kind == "stop":
            since = REACH + 1
            if said not in ",，":
                start, weight = len(found), 1.0
        else:
            since += 1
    if any(mark in text for mark in lists.IRONY):
        found = [(w, -v if v > 0 else v) for w, v in found]
    return found


def _kind(word: str) -> str:
    if word in lists.NOT_EN:
        return "turn"
    if word in lists.BUT_EN:
        return "but"
    if word in lists.MORE_EN:
        return "more"
    if word in lists.LESS_EN:
        return "less"
    return "vote" if word in _VOTE else "other"
