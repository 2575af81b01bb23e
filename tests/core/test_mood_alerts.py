from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wares.core.errors import NotFound, QueryError
from wares.core.mood_alerts import ACKNOWLEDGED, MUTED, OPEN, RESOLVED, MoodAlert, MoodAlerts
from wares.core.state import State

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def alerts(tmp_path):
    state = State.at(tmp_path)
    yield MoodAlerts(state)
    state.close()


def _one(
    day: str = "2026-02-20", kind: str = "fell", key: str = "p1", aspect: str = "", **numbers
) -> MoodAlert:
    return MoodAlert(
        kind,
        "product",
        key,
        aspect,
        day,
        "2026-02-14",
        {"rate": 0.01, **numbers},
        ({"id": "review:r1", "start": 0, "end": 4, "mood": -0.9},),
    )


def test_new_ones_are_told_once(alerts):
    fresh, gone = alerts.watch([_one(), _one(kind="complaints", aspect="battery")], NOW)
    assert len(fresh) == 2
    assert gone == []
    assert alerts.watch([_one(), _one(kind="complaints", aspect="battery")], NOW) == ([], [])
    row = alerts.all((OPEN,))[0]
    assert row["numbers"]["rate"] == 0.01
    assert row["evidence"][0]["id"] == "review:r1"


def test_a_later_build_that_dates_it_otherwise_keeps_it_and_its_figures_are_new(alerts):
    alerts.watch([_one()], NOW)
    assert alerts.watch([_one("2026-02-23", texts_after=9)], NOW) == ([], [])
    (row,) = alerts.all()
    assert row["day"] == "2026-02-20"
    assert row["numbers"]["texts_after"] == 9


def test_what_is_gone_is_resolved_and_comes_again_only_later(alerts):
    alerts.watch([_one()], NOW)
    fresh, gone = alerts.watch([], NOW)
    assert [row["id"] for row in gone] == [_one().id]
    assert alerts.all()[0]["state"] == RESOLVED
    assert alerts.watch([_one()], NOW) == ([], [])
    fresh, _ = alerts.watch([_one("2026-03-20")], NOW)
    assert [one.day for one in fresh] == ["2026-03-20"]
    assert len(alerts.all()) == 2


def test_decisions_stay_and_are_kept_with_who_and_when(alerts):
    alerts.watch([_one()], NOW)
    alert = _one().id
    row = alerts.decide(alert, ACKNOWLEDGED, "ann", NOW + timedelta(hours=1), "new batch ordered")
    assert row["state"] == ACKNOWLEDGED
    assert row["who"] == "ann"
    alerts.watch([_one()], NOW)
    assert alerts.one(alert)["state"] == ACKNOWLEDGED
    alerts.decide(alert, OPEN, "ben", NOW + timedelta(hours=2))
    alerts.watch([], NOW + timedelta(hours=3))
    assert [(h["event"], h["who"], h["note"]) for h in alerts.history(alert)] == [
        ("noticed", "", ""), ("acknowledged", "ann", "new batch ordered"), ("open", "ben", ""), ("resolved", "", ""),
    ]  # fmt: skip


def test_a_muted_series_is_silent_until_it_is_opened(alerts):
    alerts.watch([_one()], NOW)
    alerts.decide(_one().id, MUTED, "ann", NOW)
    assert alerts.watch([], NOW) == ([], [])
    assert alerts.watch([_one("2026-05-01")], NOW) == ([], [])
    assert alerts.one(_one().id)["state"] == MUTED
    fresh, _ = alerts.watch([_one("2026-05-01"), _one("2026-05-01", key="p2")], NOW)
    assert [one.key for one in fresh] == ["p2"]


def test_what_cannot_be_decided_is_refused(alerts):
    alerts.watch([_one()], NOW)
    with pytest.raises(QueryError, match="cannot be set to 'gone'"):
        alerts.decide(_one().id, "gone", "ann", NOW)
    with pytest.raises(NotFound, match="no alert 'nothing'"):
        alerts.decide("nothing", MUTED, "ann", NOW)
    alerts.watch([], NOW)
    with pytest.raises(QueryError, match="resolved"):
        alerts.decide(_one().id, ACKNOWLEDGED, "ann", NOW)
