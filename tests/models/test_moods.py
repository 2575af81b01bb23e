from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wares.core.strings import StringTable
from wares.models.sentiment.languages import LANGUAGES
from wares.models.sentiment.moods import COMPLAINTS, FELL, SPAM_WAVE, Moods
from wares.models.sentiment.moods_build import Rule, build_moods
from wares.models.sentiment.series import DAY, days_of
from wares.testing.moods import ASPECTS, BURST, DAYS, FALL, FIRST, NOW, WAVE, catalog, readings

QUICK = Rule(histories=12, years=2, seed=4)
"""For what does not ask when something changed."""


@pytest.fixture(scope="module")
def moods(tmp_path_factory):
    folder = tmp_path_factory.mktemp("moods") / "m"
    folder.mkdir()
    build_moods(readings(), catalog(), NOW, folder, Rule(histories=150, years=80))
    return Moods.load(folder)


def test_levels_are_of_the_texts_that_count(moods):
    read = readings()
    counted = np.asarray(read.flags) == 0
    assert moods.volume.sum() == counted.sum() == moods.manifest["texts"]
    assert moods.manifest["left_out"]["copies"] == (~counted).sum()
    worst = int(np.argmin(moods.mood))
    plain = float(np.asarray(read.mood)[counted & (read.product == worst)].mean())
    assert worst == 0
    assert abs(moods.mood[0] - plain) < 0.05
    assert (moods.mood_low < moods.mood).all()
    assert (moods.mood < moods.mood_high).all()
    assert moods.aspects == ASPECTS
    assert moods.aspect_mood.shape == (6, 2)
    assert moods.aspect_mood[1, 1] < -0.5 < 0.3 < moods.aspect_mood[3, 0]
    assert moods.aspect_bad[1, 1] == moods.aspect_volume[1, 1]
    assert moods.aspect_bad[1, 0] < moods.aspect_good[1, 0]


def test_what_was_planted_is_noticed_and_told(moods):
    def first(kind, scope, key, aspect=-1):
        return next(a for a in reversed(moods.alarms(moods.find(scope, key, aspect))) if a.kind == kind)

    fell = first(FELL, "product", 0)
    assert FALL <= fell.day - FIRST <= FALL + 20
    assert abs(fell.since - FIRST - FALL) <= 5
    assert fell.told
    assert not fell.over
    assert fell.before[0] > 0.4 > 0 > fell.after[0]
    assert fell.before[1] < fell.before[0] < fell.before[2]
    burst = first(COMPLAINTS, "product_aspect", 1, 1)
    assert BURST <= burst.day - FIRST < BURST + 10
    assert burst.texts_after > 8 > burst.before[2]
    assert burst.told
    wave = first(SPAM_WAVE, "product", 2)
    assert WAVE <= wave.day - FIRST < WAVE + 5
    assert wave.told
    assert wave.rate < 0.1
    assert all(a.day - FIRST >= FALL - 5 for a in moods.alarms(told=True))


def test_one_cause_is_one_alert(moods):
    told = moods.alarms(told=True)
    battery = next(
        a
        for a in told
        if moods.scope_of(a.series)[0] == "product_aspect" and moods.aspect_of(a.series) == "battery"
    )
    part = [a for a in told if a.part_of == battery.number]
    assert battery.part_of == -1
    assert {"category_aspect", "aspect"} & {moods.scope_of(a.series)[0] for a in part}
    assert all(a.part_of != a.number for a in told)


def test_alarms_come_with_the_texts_that_say_so(moods):
    for alarm in moods.alarms(told=True):
        quotes = moods.evidence(alarm.number)
        assert quotes
        assert len({q.text for q in quotes}) == len(quotes)
        assert all(alarm.since <= q.day <= alarm.day for q in quotes)
        if alarm.kind in (FELL, COMPLAINTS):
            assert all(q.mood < 0 for q in quotes)
        again = moods.quoted([q.evidence for q in quotes])
        assert [(q.id, q.text, q.start) for q in again] == [(q.id, q.text, q.start) for q in quotes]
    assert moods.quoted([{"id": "review:erased", "start": -1, "end": -1, "mood": 0.0}]) == []


def test_the_curve_follows_and_its_band_knows_how_much_it_knows(moods):
    curve = moods.curve(moods.find("product", 0))
    day = curve.day - FIRST
    assert curve.mood[(day > 60) & (day < FALL)].min() > 0.2 > curve.mood[day >= FALL + 30].max()
    assert ((curve.low < curve.mood) & (curve.mood < curve.high)).all()
    wide = curve.high - curve.low
    assert wide[curve.volume < 10].mean() > wide[curve.volume > 18].mean()
    before, now = moods.trend(moods.find("product", 0))
    assert now.high < before.low
    assert moods.trend(moods.find("product", 4))[1].high > moods.trend(moods.find("product", 4))[0].low


def test_series_have_names(moods):
    assert moods.name_of(moods.find("product", 1)) == "p1"
    assert moods.name_of(moods.find("category", 1)) == "Phones"
    assert moods.name_of(moods.find("language", LANGUAGES.index("en"))) == "en"
    assert moods.name_of(moods.find("seller", 1)) == "s2"
    assert {moods.name_of(int(i)) for i in moods.of_scope("brand")} == {"Ann", "Ben"}
    assert moods.find("product", 99) == -1
    assert moods.name_of(moods.find("shop", 0)) == ""


def test_the_same_texts_give_the_same_artefact(tmp_path):
    hashes = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        hashes.add(build_moods(readings(), catalog(), NOW, tmp_path / name, QUICK)["hash"])
    assert len(hashes) == 1


def _empty(**changes):
    read = readings()
    none = {
        name: getattr(read, name)[:0]
        for name in ("kind", "product", "author", "brand", "seller", "query", "at", "language", "stars", "mood", "confidence", "sure", "flags", "op_text", "op_aspect", "op_polarity", "op_start", "op_end", "op_term_start", "op_term_end")
    }  # fmt: skip
    return readings(ids=StringTable.of([]), texts=StringTable.of([]), **{**none, **changes})


def test_a_shop_without_texts_has_moods_that_say_so(tmp_path):
    build_moods(_empty(), catalog(), NOW, tmp_path, QUICK)
    moods = Moods.load(tmp_path)
    assert moods.manifest["texts"] == 0
    assert moods.volume.sum() == 0
    assert moods.alarms() == []
    assert moods.find("shop", 0) == -1
    assert moods.mood.tolist() == [0] * 6
    assert moods.last_day == -1


def test_a_product_that_nobody_speaks_of_has_its_category_s_mood_and_a_wide_interval(tmp_path):
    some = catalog()
    more = type(some)(
        [*some.ids, "p6"], np.append(some.category_of, 1), some.categories, [*some.brand_of, ""]
    )
    build_moods(readings(), more, NOW, tmp_path, QUICK)
    moods = Moods.load(tmp_path)
    assert moods.volume[6] == 0
    assert moods.mood[6] == pytest.approx(moods.level(moods.find("category", 1)).mood, abs=1e-5)
    wide = moods.mood_high - moods.mood_low
    assert wide[6] > 2 * wide[:6].max()


def test_dates_that_are_missing_or_to_come_are_no_dates(tmp_path):
    read = readings()
    at = np.asarray(read.at).copy()
    at[::2] = -1
    at[1] = NOW + 400 * DAY
    build_moods(readings(at=at), catalog(), NOW, tmp_path, QUICK)
    moods = Moods.load(tmp_path)
    assert moods.manifest["undated"] > 900
    assert moods.manifest["in_the_future"] == 1
    assert moods.last_day < FIRST + DAYS
    series = moods.find("product", 3)
    assert moods.days(series)[1].sum() < moods.level(series).volume
    assert days_of(np.array([-1, NOW + 1, DAY]), NOW).tolist() == [-1, -1, 1]


def test_a_thousand_copies_of_one_review_count_once(tmp_path):
    read = readings()
    flags = np.asarray(read.flags).copy()
    own = np.flatnonzero(np.asarray(read.product) == 5)
    flags[own[1:]] = 2
    build_moods(readings(flags=flags), catalog(), NOW, tmp_path, QUICK)
    assert Moods.load(tmp_path).volume[5] == 1


def test_answers_of_a_classifier_from_elsewhere_are_turned(tmp_path):
    for name, trained in (("own", None), ("other", 0.5)):
        (tmp_path / name).mkdir()
        build_moods(readings(), catalog(), NOW, tmp_path / name, QUICK, trained_bad=trained)
    own, other = Moods.load(tmp_path / "own"), Moods.load(tmp_path / "other")
    assert other.mood[3] > own.mood[3]


def test_a_folder_of_something_else_is_refused(tmp_path: Path):
    from wares.core.errors import IncompatibleArtifact

    with pytest.raises(IncompatibleArtifact, match="manifest"):
        Moods.load(tmp_path)
