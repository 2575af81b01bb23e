"""Which part of an answer is shown: its order, one of each group of variants, and where a next page begins."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.core.files import digest
from wares.features.catalogue import Catalogue

SORTS = ("relevance", "price", "-price", "newest", "popular")
GROUPS = ("", "variant")
FURTHEST = 10_000


def check_page(offset: int, sort: str, group: str) -> None:
    """Refuse what no page can be.

    Raises:
        QueryError: for an offset out of range, or an order or grouping that there is not.
    """
    if not 0 <= offset <= FURTHEST:
        raise QueryError(
            f"offset must be between 0 and {FURTHEST}",
            mend="Narrow the query with filters instead of paging on",
            parameter="offset",
        )
    if sort and sort not in SORTS:
        raise QueryError(f"there is no order {sort[:40]!r}", mend=f"Use {', '.join(SORTS)}", parameter="sort")
    if group not in GROUPS:
        raise QueryError(
            f"nothing is grouped by {group[:40]!r}", mend="Use variant, or leave it out", parameter="group"
        )


def make_cursor(question: list[Any], offset: int) -> str:
    """A short text from which the same question goes on."""
    raw = json.dumps([digest(question)[:12], offset], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read_cursor(cursor: str, question: list[Any]) -> int:
    """The offset of a cursor.

    Raises:
        QueryError: when it is none, or one of another question.
    """
    try:
        named, offset = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        offset = int(offset)
    except (ValueError, TypeError, binascii.Error):
        named, offset = "", -1
    if not 0 <= offset <= FURTHEST:
        raise QueryError("this is no cursor", mend="Leave it out to begin anew", parameter="cursor")
    if named != digest(question)[:12]:
        raise QueryError(
            "the cursor belongs to another query, filter or order",
            mend="Ask with the same parameters as for the page before, or leave it out",
            parameter="cursor",
        )
    return offset


def sorted_rows(
    rows: NDArray[np.int32], sort: str, catalogue: Catalogue, sold: NDArray[Any], since: NDArray[Any] | None
) -> NDArray[np.int64]:
    """The order of `rows` ``(n,)`` by price (products without one last), by the newest, or by sales; ties as they stand."""
    place = np.arange(len(rows))
    if sort in ("price", "-price"):
        price = catalogue.prices[rows].astype(np.int64)
        key = np.where(price < 0, np.iinfo(np.int64).max, price if sort == "price" else -price)
        return np.lexsort((place, key))
    if sort == "newest":
        key = -since[rows].astype(np.int64) if since is not None else np.zeros(len(rows))
        return np.lexsort((place, key))
    if sort == "popular":
        return np.lexsort((place, -np.asarray(sold)[rows]))
    return place


def first_of_groups(group_of: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the first of each group, in their order, and how many others each has. Groups below 0 stand alone."""
    codes = np.where(group_of < 0, -1 - np.arange(len(group_of)), group_of)
    _, first, counts = np.unique(codes, return_index=True, return_counts=True)
    order = np.argsort(first, kind="stable")
    return first[order], counts[order] - 1
