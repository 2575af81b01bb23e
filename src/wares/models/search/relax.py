"""What to let go of, and in which order, when a query finds nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from wares.models.search.asked import Asked

ANY = "any of the words"
"""Said where a hit has only some of the words."""
ORDER = ("attributes", "categories", "brands", "price")
"""After all words are no longer asked for, these limits go, one after the other. What must not be there never comes in."""


def steps(asked: Asked) -> Iterator[tuple[Asked, bool, tuple[str, ...]]]:
    """Ever weaker readings of a query: (what is asked, whether some of its words are enough, what was let go of).

    First as it is; then with some of the words; then without attributes, categories, brands and prices, each first with all
    words. What named a brand or category, as it was typed, becomes words again. Last comes the text, word by word.
    """
    yield asked, False, ()
    if len(asked.words) > 1:
        yield asked, True, (ANY,)
    said: tuple[str, ...] = ()
    for name in ORDER:
        weaker = _without(asked, name)
        if weaker is None:
            continue
        asked, said = weaker, (*said, name)
        yield asked, False, said
        if len(asked.words) > 1:
            yield asked, True, (*said, ANY)
    if said:
        plain = replace(asked.plain(), not_words=asked.not_words, not_brands=asked.not_brands)
        yield plain, True, (*said, ANY)


def _without(asked: Asked, name: str) -> Asked | None:
    if name == "price":
        if asked.price_min is None and asked.price_max is None:
            return None
        return replace(asked, price_min=None, price_max=None)
    values: tuple[object, ...] = getattr(asked, name)
    if not values:
        return None
    kind = {"brands": "brand", "categories": "category", "attributes": "attribute"}[name]
    typed = [span for span, what, _ in asked.notes if what == kind]
    if not typed and name != "attributes":
        typed = [str(value) for value in values]
    back = tuple(word for span in typed for word in span.lower().split() if word not in asked.words)
    if name == "brands":
        return replace(asked, brands=(), words=(*back, *asked.words))
    if name == "categories":
        return replace(asked, categories=(), words=(*asked.words, *back))
    return replace(asked, attributes=(), words=(*asked.words, *back))
