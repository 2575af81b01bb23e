"""The policy as a JSON file beside the state, so that the server decides without contracts and tables.

It holds roles, names and masks, and neither a key nor a cell.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wares.core.access import ColumnFacts, Policy, Role, TableFacts
from wares.core.errors import Unavailable
from wares.core.files import read_json
from wares.core.masks import Mask

POLICY_FILE = "policy.json"


def facts_json(policy: Policy) -> dict[str, Any]:
    """A policy as JSON values, without its secret."""
    return {
        "purposes": policy.purposes,
        "roles": {
            role.name: {
                "description": role.description, "tables": role.tables, "purposes": role.purposes,
                "masks": _texts(role.masks), "rows": dict(role.rows), "threshold": role.threshold,
                "clearance": role.clearance, "people_rows": role.people_rows,
            }
            for role in policy.roles.values()
        },
        "tables": {
            facts.name: {
                "roles": facts.roles, "rows": dict(facts.rows), "source": facts.source,
                "columns": [
                    {
                        "name": column.name, "kind": column.kind, "classification": column.classification,
                        "personal": column.personal, "key": column.key, "family": column.family,
                        "masks": _texts(column.masks), "declared": column.declared,
                    }
                    for column in facts.columns
                ],
            }
            for facts in policy.tables.values()
        },
    }  # fmt: skip


def _texts(masks: Any) -> dict[str, str]:
    return {name: str(mask) for name, mask in masks.items()}


def _masks(texts: Any) -> dict[str, Mask]:
    return {str(name): Mask.parse(text) for name, text in texts.items()}


def _column(c: dict[str, Any]) -> ColumnFacts:
    return ColumnFacts(
        c["name"],
        c["kind"],
        c["classification"],
        c["personal"],
        c["key"],
        c["family"],
        _masks(c["masks"]),
        c["declared"],
    )


def load_policy(path: Path) -> Policy:
    """The policy that the data room wrote last; it decides, but has no key to mask cells with.

    Raises:
        Unavailable: when the data room has written none yet.
    """
    if not path.is_file():
        raise Unavailable(
            "no access policy is written yet",
            mend="Run `wares asset access` once in the workspace",
            path=str(path),
        )
    content = read_json(path)
    roles = {
        name: Role(
            name, r["description"], tuple(r["tables"]), tuple(r["purposes"]), _masks(r["masks"]), r["rows"], r["threshold"],
            r["clearance"], r["people_rows"],
        )
        for name, r in content["roles"].items()
    }  # fmt: skip
    tables = {
        name: TableFacts(
            name,
            tuple(_column(column) for column in t["columns"]),
            None if t["roles"] is None else tuple(t["roles"]),
            t["rows"],
            t["source"],
        )
        for name, t in content["tables"].items()
    }
    return Policy(roles, tables, content["purposes"])
