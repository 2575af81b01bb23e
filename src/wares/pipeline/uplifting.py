"""``wares audience uplift``: what writing to an audience brought."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wares.core import columns as c
from wares.core.errors import NotFitted, QueryError
from wares.core.files import read_json
from wares.core.people import People
from wares.core.strings import StringTable
from wares.evaluate.uplift import difference_of_means, difference_of_shares
from wares.features.interactions_build import DAY
from wares.pipeline.audience import HOLDOUT, TARGET, cells, context_of, log_of, sidecar

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace


def uplift(shop: Workspace, audience: Path, outcome: Path | None, days: float) -> dict[str, Any]:
    """What writing to an audience brought: the difference between its target and its hold-out group, with an interval.

    The outcome is a purchase of any of its products within `days` after it was made, from the shop's events; or the people named in
    `outcome` (``user_id`` and, if there is, ``value``).

    Raises:
        QueryError: when the file is no audience, or has no hold-out group.
    """
    groups = {row[0]: row[1] for row in cells(audience, (c.USER_ID, "group"))}
    if set(groups.values()) != {TARGET, HOLDOUT}:
        raise QueryError(
            f"{audience.name} has no {TARGET} and {HOLDOUT} group",
            mend="Make it with `wares audience … --holdout 0.1`",
            parameter="audience",
        )
    values: dict[str, float] = {}
    if outcome is not None:
        people = People(shop.root, shop.state, pseudonymise=shop.config.privacy.pseudonymise)
        for user, value in cells(outcome, (c.USER_ID,), ("value",)):
            try:
                amount = float(value) if value else 1.0
            except ValueError:
                raise QueryError(
                    f"{value!r} in {outcome.name} is no number", mend="Write 12.50", parameter="outcome"
                ) from None
            values[people.known_as(user)] = values.get(people.known_as(user), 0.0) + amount
        source = outcome.name
    else:
        values, source = _bought(shop, read_json(sidecar(audience)), days)
    shares = {
        group: np.array([values.get(u, 0.0) > 0 for u, g in groups.items() if g == group])
        for group in (TARGET, HOLDOUT)
    }
    out: dict[str, Any] = {
        "audience": audience.name,
        "outcome": source,
        "rate": difference_of_shares(shares[TARGET], shares[HOLDOUT]),
    }
    if any(value != 1.0 for value in values.values()):
        amounts = {
            group: np.array([values.get(u, 0.0) for u, g in groups.items() if g == group])
            for group in (TARGET, HOLDOUT)
        }
        out["value"] = difference_of_means(amounts[TARGET], amounts[HOLDOUT])
    return out


def _bought(shop: Workspace, facts: dict[str, Any], days: float) -> tuple[dict[str, float], str]:
    """Who bought any of an audience's products in the days after it was made, or after the last event where that was later known."""
    if c.EVENTS not in shop._context().versions:
        raise NotFitted("there are no events", mend="Load some with `wares ingest PATH --as events`")
    context = context_of(shop)
    context.versions = shop._context().versions
    log = log_of(context)
    start = int(facts["as_of"]) + 1
    made = int(datetime.fromisoformat(facts["made"]).timestamp())
    if log.span()[1] > made:
        start = max(start, made)
    if log.span()[1] < start:
        raise QueryError(
            "nothing is known yet of the time after the audience was made",
            mend="Ingest the events of the campaign first, or name who took it up with --outcome FILE",
            parameter="days",
        )
    ids = list(StringTable.load(context.done["catalogue"], c.PRODUCT_ID))
    wanted = {row for row, name in enumerate(ids) if name in set(facts["products"])}
    _, users = log.interactions(start)
    bought, newcomers = log.window(start, start + int(days * DAY), users)
    names = [*users, *newcomers]
    values = {
        name: 1.0 for name, rows in zip(names, bought, strict=True) if wanted.intersection(rows.tolist())
    }
    since = datetime.fromtimestamp(start, UTC).date().isoformat()
    return values, f"purchases within {days:g} days from {since}"
