"""Prices watched over time: what looks wrong since the last build becomes an alert, on the channels of data quality."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from wares.core import columns as c
from wares.core.price_alerts import OddPrice, PriceAlerts
from wares.core.state import stamp
from wares.core.strings import StringTable
from wares.data.quality.alerts import send
from wares.data.quality.history import History
from wares.models.price.infer import LIKELY, PriceBook
from wares.models.price.words import evidence_words, money, verdict_words
from wares.pipeline.pricing import PRICE

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace

MOST_TOLD = 20
"""Prices that one message names."""


def watch(shop: Workspace) -> dict[str, Any]:
    """Take the last build's anomalies up: new ones and mended ones are noted, and one message tells of them.

    Returns ``new``, ``mended`` (product ids) and how many are ``open``.
    """
    done = shop._latest()["done"]
    if PRICE not in done:
        return {"new": [], "mended": [], "open": 0}
    book = PriceBook(shop.root / done[PRICE])
    found = book.anomalies(10_000, least=LIKELY)
    ids = StringTable.load(shop.root / done["catalogue"], c.PRODUCT_ID) if found else []
    odd = [
        OddPrice(str(ids[a.item]), money(a.price), a.probability, f"{evidence_words(a)}. {verdict_words(a)}")
        for a in found
    ]
    alerts = PriceAlerts(shop.state)
    now = shop.clock.now()
    fresh, gone = alerts.watch(odd, now)
    if fresh or gone:
        _tell(shop, fresh, [str(row["product_id"]) for row in gone], stamp(now))
    return {
        "new": [one.product_id for one in fresh],
        "mended": [row["product_id"] for row in gone],
        "open": len(alerts.all(("open",))),
    }


def _tell(shop: Workspace, fresh: list[OddPrice], gone: list[str], at: str) -> None:
    name = shop.config.shop.name
    lines = [f"{name}: {len(fresh)} prices look wrong that did not before, {len(gone)} no longer do"]
    lines += [f"PRICE {one.product_id} {one.price}: {one.words}" for one in fresh[:MOST_TOLD]]
    if len(fresh) > MOST_TOLD:
        lines.append(f"and {len(fresh) - MOST_TOLD} more: `wares price alerts`")
    broken = [
        {"label": f"price of {one.product_id}", "severity": "warning", "message": one.words, "mend": "Mend it, or acknowledge it: `wares price ack`", "rows": 1}
        for one in fresh[:MOST_TOLD]
    ]  # fmt: skip
    message = {
        "shop": name,
        "table": c.PRICES,
        "at": at,
        "text": "\n".join(lines),
        "broken": broken,
        "mended": gone[:MOST_TOLD],
    }
    sent = send(message, shop.config.quality)
    rows = [(one.product_id, "broken") for one in fresh[:MOST_TOLD]] + [
        (product, "mended") for product in gone[:MOST_TOLD]
    ]
    History(shop.state).put_alerts(
        [
            {"at": at, "asset": c.PRICES, "label": f"price of {product}"[:300], "severity": "warning", "event": event, "sent": json.dumps(sent)}
            for product, event in rows
        ]
    )  # fmt: skip
