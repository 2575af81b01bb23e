from __future__ import annotations

import numpy as np
import pytest

from wares.console import mood_alerts, mood_heat, mood_try, moods  # noqa: F401  (each adds its words)
from wares.console.mood_drawing import colour, draw, scale
from wares.console.mood_try import words_html
from wares.console.words import WORDS
from wares.models.sentiment.mood_words import (
    ASPECTS_ZH,
    alert_title,
    alert_words,
    aspect_name,
    mood_word,
    series_words,
)
from wares.models.sentiment.moods import Alarm, Curve
from wares.models.sentiment.opinion_words import TERMS


def _curve(n: int) -> Curve:
    mood = np.linspace(-0.5, 0.5, n)
    return Curve(
        np.arange(20_000, 20_000 + 7 * n, 7), mood, mood - 0.2, mood + 0.2, np.arange(n, dtype=float)
    )


def _alarm(kind: str, day: int) -> Alarm:
    return Alarm(0, kind, 0, day, day - 5, (0.1, 0.0, 0.2), (0.5, 0.4, 0.6), 9, 9, 0.05, True, False, -1)


def test_a_curve_is_drawn_with_its_band_and_marks():
    svg = draw(
        _curve(30),
        [_alarm("rose", 20_050), _alarm("fell", 20_090), _alarm("fell", 1)],
        'Mood of <b> "x"',
        "texts",
    )
    assert svg.startswith("<svg")
    assert (svg.count("<polygon"), svg.count("<polyline"), svg.count("▲"), svg.count("▼")) == (1, 1, 1, 1)
    assert "<b>" not in svg
    assert "2024-10-04" in svg
    assert svg.count("<rect") == 29  # a week without a text has no bar


@pytest.mark.parametrize(("n", "circles"), [(0, 0), (1, 1), (2, 0)])
def test_short_curves_are_drawn_too(n, circles):
    svg = draw(_curve(n), [], "m", "t")
    assert bool(svg) == (n > 0)
    assert svg.count("<circle") == circles
    assert "nan" not in svg


def test_colours_go_from_red_to_green():
    red, grey, green = (colour(x) for x in (-1, 0, 1))
    assert (int(red[1:3], 16) > int(red[3:5], 16), int(green[3:5], 16) > int(green[1:3], 16)) == (True, True)
    assert len({red, grey, green}) == 3
    assert "left:75.0%" in scale(0.6, 0.5, 0.7)


def test_words_are_coloured_towards_the_mood_and_escaped():
    html = words_html(
        [{"word": "<great>", "adds": 0.3}, {"word": "but", "adds": -0.2}, {"word": "a", "adds": 0.0}], 0.5
    )
    assert "&lt;great&gt;" in html
    assert colour(1.0) in html
    assert "transparent" in html
    turned = words_html([{"word": "awful", "adds": 0.3}], -0.5)
    assert colour(-1.0) in turned


def test_every_word_and_aspect_is_there_in_both_languages():
    own = [key for key in WORDS if key.startswith(("moods_", "heat_", "inbox_", "try_"))]
    assert len(own) > 50
    assert all(english and chinese and english != chinese for english, chinese in (WORDS[key] for key in own))
    assert set(TERMS) <= set(ASPECTS_ZH)
    assert aspect_name("ease_of_use") == "ease of use"
    assert aspect_name("novelty", "zh") == "novelty"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_kind_of_alert_has_words(language):
    level = {
        "before": [0.5, 0.4, 0.6],
        "after": [0.1, 0.0, 0.2],
        "texts_before": 40.0,
        "texts_after": 9.0,
        "rate": 0.02,
    }
    measures = [{"name": "confidence", "before": 0.9, "now": 0.7, "size": 0.2, "threshold": 0.03}, {"name": "wording", "before": None, "now": None, "size": 0.2, "threshold": 0.05}]  # fmt: skip
    for kind in ("fell", "rose", "complaints", "spam"):
        assert "50" in alert_words(kind, level, "2026-01-01", "2026-01-09", language)
    drift = alert_words(
        "drift",
        {"measures": measures, "recent_texts": 60, "reference_texts": 600},
        "2026-01-01",
        "2026-01-09",
        language,
    )
    assert "90.0%" in drift
    assert "0.20" in drift
    titles = {
        alert_title(kind, "product_aspect", "p1", "battery", language, "Lamp")
        for kind in ("fell", "rose", "complaints", "spam")
    }
    titles |= {alert_title(kind, "shop", "zh", "", language) for kind in ("drift", "confidence")}
    assert len(titles) == 6
    assert "Lamp" in series_words("product_aspect", "p1", "battery", language, "Lamp")


def test_words_of_moods_are_in_order():
    assert [mood_word(x) for x in (-0.9, -0.3, 0.0, 0.4, 0.9)] == [
        "very bad",
        "bad",
        "mixed",
        "good",
        "very good",
    ]
