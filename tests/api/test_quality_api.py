from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from wares.core.errors import AccessDenied
from wares.core.state import State
from wares.serve.app import create_app
from wares.serve.auth import create_key
from wares.serve.quality import in_role


def test_quality_in_the_role_of_the_key(copy_of_built):
    copy_of_built.check("products")
    copy_of_built.check("events")
    state = State.at(copy_of_built.root / "state")
    policy = copy_of_built.door.policy()
    owner = create_key(state, "o", ["read"], role="owner")
    with TestClient(create_app(copy_of_built.root)) as client:

        def ask(name, key=""):
            return client.get(
                f"/v1/assets/{name}/quality", headers={"Authorization": f"Bearer {key}"} if key else {}
            )

        found = ask("events", owner).json()
        assert (found["asset"], found["state"], found["score"]) == ("events", "passed", 100.0)
        assert len(found["checks"]) > 30
        assert found["history"][0]["version"] == found["version"]
        assert ask("prices", owner).status_code == 404
        assert ask("ghost", owner).status_code in (403, 404)
        public = ask("events")
        assert public.status_code == (200 if policy.may_read("public", "events") else 403)
    state.close()


def test_checks_of_hidden_and_masked_columns(copy_of_built):
    policy = copy_of_built.door.policy()
    row = {
        "status": "broken",
        "value": 1.0,
        "expected": "e",
        "broken": 1,
        "message": "secret",
        "mend": "m",
        "sample": [1],
    }
    rows = [
        {**row, "label": label}
        for label in ("range:price", "length:user_id", "relation:price_far", "expression#own")
    ]
    assert in_role(rows, policy, "owner", "events") == rows
    for role in policy.roles:
        if role == "owner":
            continue
        if not policy.may_read(role, "events"):
            with pytest.raises(AccessDenied):
                in_role(rows, policy, role, "events")
            continue
        shown = policy.columns_shown(role, "events")
        found = {r["label"]: r for r in in_role(rows, policy, role, "events")}
        assert ("length:user_id" in found) == ("user_id" in shown)
        if shown.get("user_id") != "visible" and "length:user_id" in found:
            assert "secret" not in str(found["length:user_id"])
            assert found["length:user_id"]["broken"] == 0
            assert "secret" not in str(found["relation:price_far"])
            assert "secret" not in str(found["expression#own"])
