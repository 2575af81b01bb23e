"""Survivorship: from the records of one thing, one golden record, and for each value where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wares.core import columns as c
from wares.core.errors import ConfigError

TRUSTED, NEWEST, LONGEST, VOTE, LOWEST = "trusted", "newest", "longest", "vote", "lowest"
RULES = (TRUSTED, NEWEST, LONGEST, VOTE, LOWEST)
DEFAULT_RULES: dict[str, str] = {
    c.TITLE: TRUSTED, c.DESCRIPTION: LONGEST, c.BRAND: VOTE, c.CATEGORY: VOTE, c.SIZE: VOTE, c.PRICE: TRUSTED, c.IMAGE: TRUSTED,
    c.URL: TRUSTED, c.AVAILABLE: TRUSTED, "attributes": TRUSTED,
}  # fmt: skip
TOGETHER = {c.CURRENCY: c.PRICE, c.LIST_PRICE: c.PRICE}
"""A column that means nothing without another comes from the record that gave the other."""


def rules_for(columns: Sequence[str], chosen: Mapping[str, str]) -> dict[str, str]:
    """The rule of each column.

    Raises:
        ConfigError: when a rule is unknown or its column is not there.
    """
    for column, rule in chosen.items():
        if rule not in RULES:
            raise ConfigError(
                f"`fusion.rules.{column}`: there is no rule {rule!r}", mend=f"Use one of {', '.join(RULES)}",
                key=f"fusion.rules.{column}", source="wares.toml",
            )  # fmt: skip
        if column not in columns:
            raise ConfigError(
                f"`fusion.rules.{column}`: products have no such column", mend=f"They have {', '.join(columns)}",
                key=f"fusion.rules.{column}", source="wares.toml",
            )  # fmt: skip
    return {column: chosen.get(column, DEFAULT_RULES.get(column, TRUSTED)) for column in columns}


def survive(
    rows: Sequence[Mapping[str, Any]],
    rules: Mapping[str, str],
    rank: Mapping[str, int],
    source: Sequence[str],
    newest: Sequence[str],
    key: str = c.PRODUCT_ID,
) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """One record from several, and for each column the id, source and rule that gave its value.

    Args:
        rows: The records of one cluster.
        rules: The rule of each column but `key`.
        rank: Sources by trust, 0 the most trusted; those not named come last.
        source: The source of each row.
        newest: When each row was made, as ISO 8601; "" if not known.
        key: The id column.

    Ties are broken by trust, then by the smallest id, so the order of rows never matters.
    """
    order = sorted(range(len(rows)), key=lambda i: (rank.get(source[i], len(rank)), str(rows[i][key])))
    record: dict[str, Any] = {}
    origin: dict[str, dict[str, str]] = {}
    for column, rule in rules.items():
        if column in TOGETHER:
            continue
        filled = [i for i in order if rows[i].get(column) not in (None, "")]
        if not filled:
            record[column] = None
            continue
        if rule == NEWEST:
            chosen = max(filled, key=lambda i: (newest[i], -order.index(i)))
        elif rule == LONGEST:
            chosen = max(filled, key=lambda i: (len(str(rows[i][column])), -order.index(i)))
        elif rule == LOWEST:
            chosen = min(filled, key=lambda i: (rows[i][column], order.index(i)))
        elif rule == VOTE:
            votes: dict[str, int] = {}
            for i in filled:
                name = str(rows[i][column]).strip().casefold()
                votes[name] = votes.get(name, 0) + 1
            most = max(votes.values())
            chosen = next(i for i in filled if votes[str(rows[i][column]).strip().casefold()] == most)
        else:
            chosen = filled[0]
        record[column] = rows[chosen][column]
        origin[column] = {"from": str(rows[chosen][key]), "source": source[chosen], "rule": rule}
        for other, leader in TOGETHER.items():
            if leader == column and other in rules:
                record[other] = rows[chosen].get(other)
                origin[other] = {**origin[column], "rule": f"with {leader}"}
    for other in TOGETHER:
        if other in rules and other not in record:
            record[other] = None
    return record, origin


def lineage(rules: Mapping[str, str], table: str = c.PRODUCTS) -> list[tuple[str, list[str], str]]:
    """Column lineage of ``products_fused``: (output column, its input columns, rule). All depend on the clusters."""
    out = [(c.PRODUCT_ID, [f"{table}.{c.PRODUCT_ID}"], "trusted record of the cluster")]
    for column, rule in rules.items():
        inputs = [f"{table}.{column}"]
        if column in TOGETHER:
            inputs.append(f"{table}.{TOGETHER[column]}")
        out.append((column, inputs, f"survivorship: {rule}"))
    sources = [f"{table}.{name}" for name in (c.PRODUCT_ID, c.TITLE, c.BRAND, c.PRICE, c.DESCRIPTION)]
    return [*out, ("cluster_id", sources, "fusion"), ("members", [f"{table}.{c.PRODUCT_ID}"], "fusion")]
