"""What a request knows beside the shopper: the visit, picks, a basket, a segment, the page that is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from wares.core.errors import QueryError

MAX_K = 200
MOST_PICKS = 100
MOST_OF_A_BASKET = 200


@dataclass(frozen=True, slots=True)
class Situation:
    """`session` is the visit; `likes` are products picked, `basket` those in the basket: both ask, and neither comes
    again. `segment` is one that the build knows; `category` keeps the list to a category and what lies below it."""

    session: str = ""
    likes: tuple[str, ...] = ()
    basket: tuple[str, ...] = ()
    segment: str = ""
    category: str = ""

    @classmethod
    def asked(
        cls,
        session: str | None,
        likes: Sequence[str] | None,
        basket: Sequence[str] | None,
        segment: str | None,
        category: str | None,
        knows: Callable[[str], bool],
    ) -> Situation:
        """The situation of a request; lists may come as one text with commas between.

        Raises:
            QueryError: for more picks than a person makes.
        """
        return cls(
            session or "",
            id_list(likes, knows, MOST_PICKS, "likes"),
            id_list(basket, knows, MOST_OF_A_BASKET, "basket"),
            segment or "",
            category or "",
        )


def id_list(
    values: Iterable[str] | None, knows: Callable[[str], bool], most: int, parameter: str
) -> tuple[str, ...]:
    """Product ids from texts with commas between, each once, in order; an id that has a comma itself is kept whole.

    Raises:
        QueryError: for more than `most`.
    """
    found: dict[str, None] = {}
    for value in values or ():
        parts = [value] if "," not in value or knows(value) else value.split(",")
        found.update(dict.fromkeys(part.strip() for part in parts if part.strip()))
        if len(found) > most:
            raise QueryError(
                f"{parameter} names more than {most} products",
                mend=f"Give the {most} that say most; the latest come first to mind",
                parameter=parameter,
            )
    return tuple(found)


def check_k(k: int) -> None:
    """Raise QueryError for a list that is too long or has no place."""
    if not 1 <= k <= MAX_K:
        raise QueryError(
            f"k must be between 1 and {MAX_K}", mend="Ask for fewer, or page with offset", parameter="k"
        )
