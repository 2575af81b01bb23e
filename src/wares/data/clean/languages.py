"""The language of a text: by its script where that decides, else by py3langid."""

from __future__ import annotations

import re
from functools import lru_cache

_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af]")),
    ("zh", re.compile("[\u3400-\u9fff]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
)
LONGEST = 400
"""Characters that are looked at: more of them change nothing and cost time."""


@lru_cache(50_000)
def language_of(text: str, min_letters: int = 4) -> str | None:
    """ISO 639-1 code, or None when there are fewer letters than `min_letters` (two Han characters are enough)."""
    text = text[:LONGEST]
    letters = sum(ch.isalpha() for ch in text)
    if letters == 0:
        return None
    for code, script in _SCRIPTS:
        found = len(script.findall(text))
        # One kana makes a text Japanese; other scripts must carry a fifth of the letters.
        if found and (code == "ja" or found * 5 >= letters) and found >= min(2, letters):
            return code
    if letters < min_letters:
        return None
    import py3langid

    return str(py3langid.classify(text)[0])
