"""Kinds of labelling tasks: what is asked, what may be answered, and how far two answers are apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from wares.core.errors import QueryError

Level = Literal["nominal", "ordinal", "interval"]
MAX_OPTIONS = 60


@dataclass(frozen=True)
class Kind:
    """A kind of task. `options` empty: the project must bring its own. `fields` are the payload's parts to judge."""

    name: str
    question: str
    options: tuple[str, ...]
    level: Level
    fields: tuple[str, ...]


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind(
            "sentiment",
            "How does the writer feel about it?",
            ("negative", "neutral", "positive"),
            "ordinal",
            ("text",),
        ),
        Kind(
            "aspect",
            "What does the text say about this aspect?",
            ("negative", "neutral", "positive", "not mentioned"),
            "nominal",
            ("aspect", "text"),
        ),
        Kind(
            "same-product",
            "Are these two offers the same product?",
            ("same", "different", "unsure"),
            "nominal",
            ("left", "right"),
        ),
        Kind(
            "query-product",
            "How well does the product answer the query?",
            ("irrelevant", "complement", "substitute", "exact"),
            "ordinal",
            ("query", "product"),
        ),
        Kind("category", "Which category does it belong to?", (), "nominal", ("text",)),
        Kind("choice", "Which answer fits?", (), "nominal", ("text",)),
    )
}
"""The relevance grades are those of Amazon's ESCI set (Reddy et al., 2022)."""


def kind_of(name: str) -> Kind:
    """The kind of that name.

    Raises:
        QueryError: when there is none.
    """
    if name not in KINDS:
        raise QueryError(
            f"there is no kind of task {name!r}", mend=f"Use one of {', '.join(KINDS)}", parameter="kind"
        )
    return KINDS[name]


def check_options(options: tuple[str, ...], level: str) -> tuple[str, ...]:
    """The answers, in their order, made clean.

    Raises:
        QueryError: fewer than two, doubled, empty, too long, too many, or not numbers at interval level.
    """
    clean = tuple(option.strip() for option in options)
    if len(clean) < 2 or len(clean) > MAX_OPTIONS:
        raise QueryError(
            f"a task needs 2 to {MAX_OPTIONS} options, not {len(clean)}",
            mend="Give them as --options good,bad",
            parameter="options",
        )
    if len(set(clean)) < len(clean) or any(not option or len(option) > 200 for option in clean):
        raise QueryError(
            "options are doubled, empty or longer than 200 characters",
            mend="Write each answer once, in a few words",
            parameter="options",
        )
    if level not in ("nominal", "ordinal", "interval"):
        raise QueryError(
            f"unknown level {level!r}", mend="Use nominal, ordinal or interval", parameter="level"
        )
    if level == "interval":
        try:
            [float(option) for option in clean]
        except ValueError:
            raise QueryError(
                "at interval level every option is a number",
                mend="Use --options 1,2,3,4,5 or --level ordinal",
                parameter="options",
            ) from None
    return clean
