"""Bring what the server took in since the last build into the tables: events, log-ins, products."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wares.core import columns as c
from wares.core.config import SourceConfig
from wares.core.files import read_json, write_json
from wares.core.sessions import Links, anonymous_events, forget_old, links_after, session_users
from wares.data.contract import contract_for
from wares.data.ingest import Ingester

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace

ABSORBED = "absorbed.json"


def marks(root: Path) -> dict[str, int]:
    """The last sequence numbers that the tables have: of events, products and log-ins."""
    path = root / "state" / ABSORBED
    return {"events": 0, "products": 0, "links": 0, **(read_json(path) if path.is_file() else {})}


def absorb(shop: Workspace) -> dict[str, int]:
    """Land what is new. An anonymous event whose visitor logged in since is landed once more, with its shopper."""
    now, state = marks(shop.root), shop.state
    state.ensure(session_users)
    links = Links()
    links.add(links_after(state, 0))
    fresh = [
        link.session_id for found in links.by_session.values() for link in found if link.seq > now["links"]
    ]
    earlier = anonymous_events(state, fresh, now["events"]) if fresh else []
    events, products = state.events_after(now["events"]), state.products_after(now["products"])
    ingester = Ingester(shop.root, shop.config, shop.store, state, shop.clock)
    if products:
        rows = [
            {
                **row["document"],
                "attributes": json.dumps(row["document"].get("attributes") or {}, ensure_ascii=False),
            }
            for row in products
        ]
        _land(shop, ingester, c.PRODUCTS, rows)
        now["products"] = products[-1]["seq"]
    known = [{**row, c.USER_ID: links.owner(row[c.SESSION_ID], row["seq"])} for row in earlier]
    landing = [row for row in known if row[c.USER_ID]] + [
        {**row, c.USER_ID: row[c.USER_ID] or links.owner(row[c.SESSION_ID], row["seq"])} for row in events
    ]
    if landing:
        _land(shop, ingester, c.EVENTS, [{k: v for k, v in row.items() if k != "seq"} for row in landing])
    if events:
        now["events"] = events[-1]["seq"]
    if events or products or links.last > now["links"]:
        now["links"] = max(links.last, now["links"])
        write_json(shop.root / "state" / ABSORBED, now)
    forget_old(state, shop.clock.now())
    return {"events": len(events), "products": len(products)}


def _land(shop: Workspace, ingester: Ingester, table: str, rows: list[dict[str, Any]]) -> None:
    names = [column.name for column in contract_for(table, shop.root).columns]
    folder = shop.root / "tmp"
    folder.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", dir=folder, prefix="online-") as stream:
        for row in rows:
            stream.write(json.dumps({name: row.get(name) for name in names}, ensure_ascii=False) + "\n")
        stream.flush()
        ingester.ingest(
            SourceConfig.model_validate(
                {"as": table, "path": stream.name, "map": {n: n for n in names}, "duplicates": "last"}
            )
        )
