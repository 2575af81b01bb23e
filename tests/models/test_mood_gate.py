"""Moods in the learned ranker: kept where they tell what is bought, left out where they do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wares.models.recommend import learn as learning
from wares.models.recommend.forest_train import Examples
from wares.models.recommend.learn import names_of, side_by_side
from wares.models.recommend.mood import LEADS as MOODS

DECAYS = 2


@dataclass
class Judge:
    """What the gate asks of a table."""

    heads: dict[str, Examples]
    wanted: np.ndarray
    n_decays: int = DECAYS

    def side_by_side(self, scores):
        out, bought, _ = side_by_side(self.heads, scores)
        return out, bought, np.zeros_like(out)


def lists(seed, strength, shoppers=300, width=30):
    """Shoppers with a list each; what is bought hangs on one feature and, by `strength`, on the mood that matches."""
    rng = np.random.default_rng(seed)
    names = names_of("explore", DECAYS)
    n = shoppers * width
    features = np.full((n, len(names)), np.nan, np.float32)
    features[:, names.index("cf")] = rng.random(n)
    features[:, names.index("popular")] = rng.random(n)
    for name in MOODS:
        features[:, names.index(name)] = rng.normal(size=n)
    match = features[:, names.index("mood_match")]
    logit = -3.5 + 2 * features[:, names.index("cf")] + strength * match
    bought = rng.random(n) < 1 / (1 + np.exp(-logit))
    sizes = np.full(shoppers, width, np.int64)
    wanted = bought.reshape(-1, width).sum(1)
    return Examples(features, bought, sizes, features[:, names.index("cf")], wanted), wanted


def gate(strength):
    train, _ = lists(1, strength)
    held, wanted = lists(2, strength)
    examples = {"explore": train}
    judge = Judge({"explore": held}, wanted)
    about, raw = learning._gate_mood(examples, judge, None, 7, 1)
    return about, raw, examples, judge


def test_moods_that_tell_are_kept():
    about, raw, examples, judge = gate(1.5)
    assert about["kept"]
    assert about["gain"] > 1.96 * about["gain_error"] > 0
    at = names_of("explore", DECAYS).index("mood_match")
    assert np.isfinite(examples["explore"].features[:, at]).all()
    assert raw is not None
    assert len(raw) == len(judge.heads["explore"].bought)


def test_moods_that_tell_nothing_are_blanked_everywhere():
    about, raw, examples, judge = gate(0.0)
    assert not about["kept"]
    at = [names_of("explore", DECAYS).index(name) for name in MOODS]
    assert np.isnan(examples["explore"].features[:, at]).all()
    assert np.isnan(judge.heads["explore"].features[:, at]).all()
    assert raw is not None


def test_without_texts_the_gate_says_so_and_keeps_what_was_grown():
    train, _ = lists(1, 0.0)
    at = [names_of("explore", DECAYS).index(name) for name in MOODS]
    held, wanted = lists(2, 0.0)
    known = np.zeros(len(held.bought), np.float32)
    about, raw = learning._gate_mood(
        {"explore": train.without(at)}, Judge({"explore": held}, wanted), known, 7, 1
    )
    assert about == {"kept": False, "why": "nothing is said of any product"}
    assert raw is known
