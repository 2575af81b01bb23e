from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from wares.core.mood_alerts import OPEN, MoodAlerts
from wares.models.sentiment.moods_build import Rule, build_moods
from wares.pipeline.mood_watch import watch
from wares.pipeline.moods import MOODS
from wares.pipeline.plan import execute
from wares.pipeline.reading import READINGS
from wares.pipeline.steps import STEPS
from wares.pipeline.workspace import init_workspace, open_workspace
from wares.testing.moods import NOW, catalog, readings


def wares(*arguments, **options):
    command = [sys.executable, "-m", "wares.cli", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, "COLUMNS": "200"}, **options
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mood-cli")
    shop = init_workspace(folder / "shop")
    (folder / "p.csv").write_text(
        "product_id,title\n" + "".join(f"p{i},Lamp {i}\n" for i in range(6)) + "p6,Silent\n"
    )
    shop.ingest(str(folder / "p.csv"), "products")
    context = shop._context()
    list(execute([step for step in STEPS if step.name == "catalogue"], context, lambda *_: None))
    done = {"catalogue": str(context.done["catalogue"].relative_to(shop.root))}
    for name in (READINGS, MOODS):
        place = shop.root / "build" / name / "x"
        place.mkdir(parents=True)
        done[name] = str(place.relative_to(shop.root))
    readings().save(shop.root / done[READINGS])
    some = catalog()
    seven = type(some)(
        [*some.ids, "p6"], np.append(some.category_of, -1), some.categories, [*some.brand_of, ""]
    )
    build_moods(readings(), seven, NOW, shop.root / done[MOODS], Rule(histories=100, years=40))
    (shop.root / "build" / "latest.json").write_text(
        json.dumps({"done": done, "versions": {}, "absorbed": []})
    )
    watch(shop)
    shop.state.close()
    return shop.root


def test_the_mood_of_a_product(root):
    found = json.loads(wares("mood", "p0", "--shop", root, "--json").stdout)
    assert found["product_id"] == "p0"
    assert found["interval"][0] < found["mood"] < found["interval"][1]
    said = wares("mood", "p0", "--shop", root).stdout
    assert "Mood fell: Lamp 0" in said
    assert "complaints" in said
    assert "仅凭偶然" in wares("mood", "p0", "--language", "zh", "--shop", root).stdout
    assert "Nobody has spoken of it" in wares("mood", "p6", "--shop", root).stdout


def test_what_is_not_there_is_refused(root, tmp_path):
    missing = wares("mood", "nothing", "--shop", root, "--json")
    assert missing.returncode == 2
    assert json.loads(missing.stderr)["message"] == "there is no product 'nothing'"
    assert wares("mood", "p0", "--language", "fr", "--shop", root).returncode == 2
    assert wares("alerts", "ack", "nothing", "--shop", root).returncode == 2
    assert wares("report", "moods", "--file", tmp_path / "none.csv").returncode == 2


def test_alerts_are_listed_shown_and_decided_on(root, tmp_path):
    shop = tmp_path / "shop"
    shutil.copytree(root, shop)
    rows = json.loads(wares("alerts", "list", "--shop", shop, "--json").stdout)
    assert rows
    alert = next(row for row in rows if row["evidence"])["id"]
    shown = wares("alerts", "evidence", alert, "--shop", shop).stdout
    assert "By chance" in shown
    done = json.loads(wares("alerts", "ack", alert, "--note", "seen", "--shop", shop, "--json").stdout)
    assert done["state"] == "acknowledged"
    assert alert not in wares("alerts", "list", "--shop", shop).stdout
    assert alert in wares("alerts", "list", "--all", "--shop", shop).stdout
    assert wares("alerts", "reopen", alert, "--shop", shop).stdout.strip() == f"{alert}: open"
    wares("alerts", "mute", alert, "--shop", shop)
    past = json.loads(wares("alerts", "history", alert, "--shop", shop, "--json").stdout)
    assert [one["event"] for one in past] == ["noticed", "acknowledged", "open", "muted"]
    assert past[1]["note"] == "seen"
    again = json.loads(wares("alerts", "watch", "--shop", shop, "--json").stdout)
    assert again["new"] == []
    opened = open_workspace(shop)
    assert len(MoodAlerts(opened.state).all((OPEN,))) == again["open"]
    opened.state.close()


def test_the_report_of_a_shop(root, tmp_path):
    found = json.loads(wares("report", "moods", "--shop", root, "--products", 3, "--json").stdout)
    assert len(found["products"]) == 3
    assert found["texts"] > 1800
    assert "written to" in wares("report", "moods", "--shop", root, "--out", tmp_path / "r.md").stdout
    assert "### Lamp 0" in (tmp_path / "r.md").read_text("utf-8")


@pytest.mark.parametrize(
    "group",
    [("mood",), *(("alerts", name) for name in ("list", "evidence", "ack", "mute", "reopen", "history", "watch")), ("evaluate", "monitoring"), ("report", "moods")],
)  # fmt: skip
def test_every_command_has_an_example(group):
    assert "Example" in wares(*group, "--help").stdout
