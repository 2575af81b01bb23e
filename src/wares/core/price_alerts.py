"""Prices that looked wrong over time: which are new, which a person has seen, which are to stay silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from wares.core.errors import NotFound, QueryError
from wares.core.state import State, stamp

OPEN, ACKNOWLEDGED, MUTED, MENDED = "open", "acknowledged", "muted", "mended"
STATES = (OPEN, ACKNOWLEDGED, MUTED, MENDED)

_metadata = sa.MetaData()
price_alerts = sa.Table(
    "price_alerts",
    _metadata,
    sa.Column("product_id", sa.String(200), primary_key=True),
    sa.Column("price", sa.String(40), primary_key=True),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("probability", sa.Float, nullable=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("first_seen", sa.String(40), nullable=False),
    sa.Column("changed", sa.String(40), nullable=False),
    sa.Column("who", sa.String(200), nullable=False),
)


@dataclass(frozen=True, slots=True)
class OddPrice:
    """A price that looks wrong now: the product, its price as text, how likely, and why in words."""

    product_id: str
    price: str
    probability: float
    words: str


class PriceAlerts:
    """The alerts of a workspace's state, one for each price of a product."""

    def __init__(self, state: State) -> None:
        self.state = state
        state.ensure(price_alerts)

    def all(self, states: Sequence[str] = STATES, limit: int = 1000) -> list[dict[str, Any]]:
        """Alerts in these states, newest first, then likeliest."""
        t = price_alerts.c
        query = (
            sa.select(price_alerts)
            .where(t.state.in_(list(states)))
            .order_by(t.first_seen.desc(), t.probability.desc(), t.product_id)
            .limit(limit)
        )
        with self.state.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def state_of(self) -> dict[tuple[str, str], str]:
        """(product, price) → state of every alert."""
        with self.state.engine.connect() as connection:
            rows = connection.execute(
                sa.select(price_alerts.c.product_id, price_alerts.c.price, price_alerts.c.state)
            )
            return {(row[0], row[1]): str(row[2]) for row in rows}

    def watch(self, odd: Sequence[OddPrice], now: datetime) -> tuple[list[OddPrice], list[dict[str, Any]]]:
        """Compare with what was known: (new ones, those mended since). All in one transaction.

        A price that was acknowledged stays so while it holds; a product that is muted raises nothing at any price. One
        that was mended and comes back is new again.
        """
        at = stamp(now)
        t = price_alerts.c
        present = {(one.product_id, one.price): one for one in odd}
        with self.state.engine.begin() as connection:
            rows = [dict(row) for row in connection.execute(sa.select(price_alerts)).mappings()]
            known = {(row["product_id"], row["price"]): row for row in rows}
            silent = {row["product_id"] for row in rows if row["state"] == MUTED}
            fresh = [
                one
                for key, one in present.items()
                if one.product_id not in silent and (key not in known or known[key]["state"] == MENDED)
            ]
            gone = [
                row
                for key, row in known.items()
                if key not in present and row["state"] in (OPEN, ACKNOWLEDGED)
            ]
            for row in [*gone, *({"product_id": one.product_id, "price": one.price} for one in fresh)]:
                connection.execute(
                    price_alerts.delete().where(t.product_id == row["product_id"], t.price == row["price"])
                )
            keep = [{**row, "state": MENDED, "changed": at} for row in gone]
            keep += [
                {
                    "product_id": one.product_id, "price": one.price, "state": OPEN, "probability": one.probability, "words": one.words,
                    "first_seen": at, "changed": at, "who": "",
                }
                for one in fresh
            ]  # fmt: skip
            if keep:
                connection.execute(price_alerts.insert(), keep)
        return fresh, gone

    def decide(
        self, product_id: str, state: str, who: str, now: datetime, odd: OddPrice | None = None
    ) -> int:
        """Acknowledge or mute the alerts of a product, or open them again; returns how many changed.

        `odd` is put down where the product has no alert yet: a person decides before it was told.

        Raises:
            QueryError: for another state.
            NotFound: when the product has no alert.
        """
        if state not in (OPEN, ACKNOWLEDGED, MUTED):
            raise QueryError(
                f"an alert cannot be set to {state!r}",
                mend=f"Use {OPEN}, {ACKNOWLEDGED} or {MUTED}",
                parameter="state",
            )
        t = price_alerts.c
        with self.state.engine.begin() as connection:
            done = connection.execute(
                price_alerts.update()
                .where(t.product_id == product_id, t.state != MENDED)
                .values(state=state, who=who[:200], changed=stamp(now))
            )
        if not done.rowcount and odd is not None:
            row = {
                "product_id": product_id, "price": odd.price, "state": state, "probability": odd.probability, "words": odd.words,
                "first_seen": stamp(now), "changed": stamp(now), "who": who[:200],
            }  # fmt: skip
            with self.state.engine.begin() as connection:
                connection.execute(
                    price_alerts.delete().where(t.product_id == product_id, t.price == odd.price)
                )
                connection.execute(price_alerts.insert(), row)
            return 1
        if not done.rowcount:
            raise NotFound(
                f"there is no price alert for product {product_id!r}",
                mend="List them with `wares price alerts`",
                id=product_id,
            )
        return int(done.rowcount)
