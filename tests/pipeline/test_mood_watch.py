from __future__ import annotations

import csv
import json
import shutil
from datetime import date, timedelta

import numpy as np
import pytest

from wares.core.mood_alerts import ACKNOWLEDGED, OPEN, RESOLVED, MoodAlerts
from wares.data.labels.book import LabelBook
from wares.models.sentiment.moods import Moods
from wares.models.sentiment.moods_build import Rule, build_moods
from wares.pipeline.mood_report import markdown, report_of_file
from wares.pipeline.mood_watch import PROJECT, ask, current, watch
from wares.pipeline.moods import MOODS
from wares.pipeline.moods import build_moods as step
from wares.pipeline.plan import Context, execute
from wares.pipeline.reading import READINGS, SENTIMENT
from wares.pipeline.steps import STEPS
from wares.pipeline.workspace import init_workspace
from wares.testing.moods import NOW, catalog, readings

GOOD = (
    "lovely lamp, bright and solid",
    "works well, my mother likes it",
    "great price and fast delivery",
    "very happy with this one",
)
BAD = (
    "awful, it broke at once",
    "the battery died after a week",
    "terrible, I want my money back",
    "bad quality, never again",
)
# No two texts may be near copies of one another, which would not count.
SEEN = (
    "kitchen", "garden", "holiday", "neighbour", "evening", "birthday", "morning", "balcony", "cousin", "workshop", "curtain", "winter",
    "bookshelf", "concert", "hallway", "picnic", "grandpa", "journey", "cellar", "school", "tuesday", "caravan", "orchard", "village",
)  # fmt: skip


def _file(path, days: int = 240, fall: int = 180):
    rng = np.random.default_rng(5)
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["sku", "stars", "said", "on"])
        for day in range(days):
            for product in ("p1", "p2", "p3"):
                bad = rng.random() < (0.75 if product == "p1" and day >= fall else 0.12)
                words = (BAD if bad else GOOD)[rng.integers(4)]
                seen = ", ".join(rng.choice(SEEN, 7, replace=False))
                when = (date(2026, 1, 1) + timedelta(days=day)).isoformat()
                writer.writerow(
                    [
                        product,
                        (1 if bad else 5) if rng.random() < 0.9 else 3,
                        f"{words}. {seen} {day}",
                        when,
                    ]
                )
    return path


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return report_of_file(
        _file(tmp_path_factory.mktemp("moods") / "reviews.csv"), "said", "stars", "on", "sku", "", 5
    )


def test_the_report_of_a_file_finds_what_is_planted_in_it(report):
    assert report["texts"] > 650
    assert (report["from"], report["to"], report["refused"]) == ("2026-01-01", "2026-08-28", 0)
    assert report["products"][0]["product_id"] == "p1"
    assert report["products"][0]["mood"] < report["products"][1]["mood"]
    told = [one["what"] for one in (*report["alerts"], *report["noticed"])]
    assert any(
        ("p1" in what and "fell" in what.casefold()) or ("complaints" in what and "p1" in what)
        for what in told
    )
    assert report["products"][0]["check"]


def test_the_report_reads_as_markdown(report):
    text = markdown(report)
    assert text.startswith("# What customers feel: reviews.csv")
    for part in ("## Alerts", "## Products", "### p1", "**Check**", "90% interval"):
        assert part in text


def test_a_column_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Exception, match="nothere"):
        report_of_file(_file(tmp_path / "r.csv", 5), "nothere", "", "", "", "", 5)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Moods of the planted texts, and of the same where confidence falls."""
    folder = tmp_path_factory.mktemp("planted")
    read = readings()
    day = np.asarray(read.at) // 86_400_000_000
    doubt = np.where(day > day.max() - 28, 0.55, np.asarray(read.confidence)).astype(np.float32)
    for name, one in (("sure", read), ("doubt", readings(confidence=doubt))):
        for part in (READINGS, MOODS):
            (folder / name / part).mkdir(parents=True)
        one.save(folder / name / READINGS)
        build_moods(one, catalog(), NOW, folder / name / MOODS, Rule(histories=150, years=80))
    return folder


@pytest.fixture
def shop(tmp_path, planted):
    """A workspace whose last build has read the planted texts."""
    shop = init_workspace(tmp_path / "shop")
    (tmp_path / "p.csv").write_text("product_id,title\n" + "".join(f"p{i},Lamp {i}\n" for i in range(6)))
    shop.ingest(str(tmp_path / "p.csv"), "products")
    _built(shop, planted / "sure")
    yield shop
    shop.state.close()


def _built(shop, made) -> None:
    context = shop._context()
    list(execute([step for step in STEPS if step.name == "catalogue"], context, lambda *_: None))
    done = {"catalogue": str(context.done["catalogue"].relative_to(shop.root))}
    for name in (READINGS, MOODS):
        place = shop.root / "build" / made.name / name
        shutil.copytree(made / name, place)
        done[name] = str(place.relative_to(shop.root))
    latest = {"done": done, "versions": {}, "absorbed": []}
    (shop.root / "build" / "latest.json").write_text(json.dumps(latest))


def test_alerts_are_told_once_and_resolved_when_they_are_over(shop, caplog):
    first = watch(shop)
    alerts = MoodAlerts(shop.state)
    rows = alerts.all((OPEN,))
    assert first["new"]
    assert len(rows) == len(first["new"]) == first["open"]
    assert "new alerts about moods" in caplog.text
    assert "By chance such a series shows this once in" in caplog.text
    assert {"fell", "complaints"} & {row["kind"] for row in rows}
    row = next(row for row in rows if row["evidence"])
    assert row["numbers"]["false_alarms"] == 0.1
    assert row["numbers"]["rate"] < 0.1
    # The texts stay in the readings: here are their ids alone.
    assert all(set(one) == {"id", "start", "end", "mood"} for one in row["evidence"])
    caplog.clear()
    assert watch(shop)["new"] == []
    assert "new alerts" not in caplog.text
    alerts.decide(row["id"], ACKNOWLEDGED, "ann", shop.clock.now())
    watch(shop)
    assert alerts.one(row["id"])["state"] == ACKNOWLEDGED
    sentiment = shop.config.sentiment.model_copy(update={"alert_days": 1})
    shop.config = shop.config.model_copy(update={"sentiment": sentiment})
    assert row["id"] in watch(shop)["resolved"]
    assert alerts.one(row["id"])["state"] == RESOLVED


def test_what_others_explain_is_not_told_again(shop):
    moods = Moods.load(shop.root / shop._latest()["done"][MOODS])
    found = current(moods, 10_000)
    assert len({one.series for one in found}) == len(found)
    assert any(one.numbers["also"] for one in found)
    assert len(found) < len([a for a in moods.alarms(told=True) if not a.over])


def test_where_confidence_falls_labels_are_asked_for(shop, planted):
    _built(shop, planted / "doubt")
    found = watch(shop)
    rows = [row for row in MoodAlerts(shop.state).all((OPEN,)) if row["kind"] == "confidence"]
    assert rows[0]["numbers"]["measures"][0]["name"] == "confidence"
    assert rows[0]["evidence"]
    book = LabelBook.of(shop)
    assert found["asked"] == book.progress(book.project(PROJECT))["items"] == 30
    # Once: the same texts are not put in again.
    assert ask(shop, Moods.load(shop.root / shop._latest()["done"][MOODS]), readings()) == 0
    assert watch(shop)["asked"] == 0


def test_a_build_of_an_earlier_version_has_nothing_to_watch(shop):
    latest = shop._latest()
    del latest["done"][MOODS]
    (shop.root / "build" / "latest.json").write_text(json.dumps(latest))
    assert watch(shop) == {"new": [], "resolved": [], "open": 0, "asked": 0}


def test_the_step_makes_moods_of_the_shop(tmp_path):
    shop = init_workspace(tmp_path / "shop")
    (tmp_path / "p.csv").write_text("product_id,title,category,brand\np1,Lamp,Lamps,Ann\np2,Phone,,\n")
    (tmp_path / "r.csv").write_text(
        "review_id,product_id,text,at,rating\nr1,p1,lovely,2026-01-01,5\nr2,p2,awful,2099-01-01,1\n"
    )
    shop.ingest(str(tmp_path / "p.csv"), "products")
    shop.ingest(str(tmp_path / "r.csv"), "reviews")
    context: Context = shop._context()
    list(
        execute([s for s in STEPS if s.name in ("catalogue", SENTIMENT, READINGS)], context, lambda *_: None)
    )
    (tmp_path / "out").mkdir()
    step(context, tmp_path / "out", lambda *_: None)
    moods = Moods.load(tmp_path / "out")
    assert moods.manifest["texts"] == 2
    assert moods.manifest["in_the_future"] == 1
    assert moods.volume.tolist() == [1, 1]
    assert moods.name_of(moods.find("category", 0)) == "Lamps"
    shop.state.close()
