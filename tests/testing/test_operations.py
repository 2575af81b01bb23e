from __future__ import annotations

from pathlib import Path

import pytest

from wares.testing.operations import observe_flow, supported_by_spark


@pytest.mark.slow
def test_every_operation_is_listed_and_compiles_for_spark():
    found = observe_flow()
    listed = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
    assert [name for name in sorted(found) if f"| `{name}` |" not in listed] == []
    assert [name for name in sorted(found) if not supported_by_spark(name)] == []
    assert not supported_by_spark("RowID")
