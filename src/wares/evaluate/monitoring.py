"""``wares evaluate monitoring``: how soon a change of mood is noticed, and how often one is cried that is none.

Histories of real texts with a planted change, and as many without; what our rule says against a fixed threshold on the
share of bad texts of the last week, at its usual value and tuned to the same false alarms. Moods come from a classifier
trained on other texts.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.evaluate.monitoring_histories import FOLLOWED, SHIFTS, History, Market, histories
from wares.evaluate.monitoring_rules import FixedRule, Found, Rule, ShrunkRule, false_alarms, tuned_fixed
from wares.evaluate.sentiment import SentimentTask, read_texts, share_of
from wares.models.sentiment.change import FALSE_ALARMS
from wares.models.sentiment.infer import Sentiment, moods_of
from wares.models.sentiment.label_shift import adapted, share_of_bad
from wares.models.sentiment.labelled import LabelledTexts, ordered
from wares.models.sentiment.train import train_sentiment

TRAINED, VALID = 0.45, 0.05
LEAST_POOL = 50
RESAMPLES = 2000
USUAL = (0.3, 5)
"""Three of ten texts of a week bad, and at least five texts: what a dashboard is set to by hand."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class MonitoringTask:
    """Labelled texts, how many histories of each sort, and how many false alarms a product-year may have."""

    texts: tuple[Path, ...]
    text: str = "text"
    label: str = "label"
    histories: int = 200
    false_alarms: float = FALSE_ALARMS
    seed: int = 7
    market: Market = field(default_factory=Market)


def evaluate_monitoring(task: MonitoringTask, progress: Say = lambda _: None) -> dict[str, Any]:
    """Train, simulate, tune on histories of their own, and score both rules on the same others.

    Raises:
        QueryError: when labels have no order from bad to good, or too few texts are held back.
    """
    begun = time.monotonic()
    progress("read")
    rows = read_texts(task.texts, SentimentTask(task.texts, text=task.text, label=task.label))
    names = ordered(rows.labels)
    moods = moods_of(names)
    if moods is None:
        raise QueryError(
            f"the labels {', '.join(names[:5])} do not say what is good and what is bad",
            mend="Use numbers, or negative, neutral and positive", parameter=task.label,
        )  # fmt: skip
    place = {name: i for i, name in enumerate(names)}
    labelled = LabelledTexts(rows.texts, np.array([place[name] for name in rows.labels], np.int64), names)
    shares = np.array([share_of(text, task.seed) for text in rows.texts])
    pool = labelled.some(shares >= TRAINED + VALID)
    truth = moods[pool.labels]
    # A neutral text is neither.
    pool = pool.some(truth != 0)
    bad = moods[pool.labels] < 0
    if min(int(bad.sum()), int((~bad).sum())) < LEAST_POOL:
        raise QueryError(
            f"half of the texts hold {int(bad.sum())} bad and {int((~bad).sum())} good ones; histories need {LEAST_POOL} of each",
            mend="Give more texts", parameter="texts",
        )  # fmt: skip
    progress("train")
    with tempfile.TemporaryDirectory(prefix="wares-monitoring-") as scratch:
        folder = Path(scratch) / "model"
        folder.mkdir()
        trained = train_sentiment(
            labelled.some(shares < TRAINED),
            labelled.some((shares >= TRAINED) & (shares < TRAINED + VALID)),
            folder,
            progress=progress,
        )
        progress("read the texts of the histories")
        model = Sentiment(folder)
        assert model.moods is not None
        badness = (1 - model.probabilities(pool.texts) @ model.moods) / 2
        usual = float(np.average((1 - model.moods) / 2, weights=trained["counts"]))
    accuracy = float(((badness > 0.5) == bad).mean())
    rng = np.random.default_rng(task.seed)
    progress("histories to tune on")
    quiet, moved = (histories(bad, task.histories, changed, rng, task.market) for changed in (False, True))
    seen = np.concatenate([h.row for h in quiet])
    here = share_of_bad(badness[seen], usual)
    turned = adapted(badness, usual, here)
    shrunk = ShrunkRule.fitted(quiet, turned, task.false_alarms, task.seed)
    fixed = tuned_fixed(quiet, moved, turned, task.false_alarms)
    hand = FixedRule(*USUAL, (badness > 0.5).astype(float))
    progress("the same false alarms")
    rates = {
        "fixed_tuned": false_alarms(fixed, quiet, moved),
        "fixed_usual": false_alarms(hand, quiet, moved),
    }
    rules: dict[str, Rule] = {"wares": shrunk, "fixed_tuned": fixed, "fixed_usual": hand}
    rules |= {f"wares_as_{name}": shrunk.matched(quiet, moved, rate) for name, rate in rates.items()}
    progress("histories to test on")
    quiet, moved = (histories(bad, task.histories, changed, rng, task.market) for changed in (False, True))
    found = {
        name: [[rule.alarms(h) for h in part] for part in (quiet, moved)] for name, rule in rules.items()
    }
    report: dict[str, Any] = {name: _scores(found[name], quiet, moved, task.seed) for name in rules}
    for name, rule in (("fixed_tuned", fixed), ("fixed_usual", hand)):
        report[name]["rule"] = {"share": rule.share, "texts": rule.least, "counted": rule.counted}
        report[f"earlier_than_{name}"] = _earlier(found[f"wares_as_{name}"], found[name], moved, task.seed)
    report["wares"]["rule"] = {
        "target": task.false_alarms, "prior_mean": shrunk.prior.mean, "prior_strength": shrunk.prior.strength,
        "dispersion": shrunk.prior.dispersion, "thresholds": shrunk.worse.level.tolist(), "shuffled": shrunk.checked,
        "share_of_bad_found": here, "share_of_bad_in_training": usual,
    }  # fmt: skip
    return {
        "texts": len(rows.texts), "pool": len(pool), "classifier": {"accuracy_on_pool": accuracy, "texts": trained["texts"]},
        "histories": task.histories, "followed_days": FOLLOWED, "texts_a_day": float(np.mean([h.volume for h in moved])),
        **report, "seconds": time.monotonic() - begun,
    }  # fmt: skip


def _scores(
    found: list[list[list[Found]]], quiet: Sequence[History], moved: Sequence[History], seed: int
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    years, alarms = _false(found, quiet, moved)
    delays, texts = _delays(found[1], moved)
    caught = delays < FOLLOWED
    shifts = np.array([h.shift for h in moved])
    by = {
        f"{shift:g}": {
            "caught": float(caught[shifts == shift].mean()), "delay_days": float(np.minimum(delays, FOLLOWED)[shifts == shift].mean()),
            "delay_days_median": float(np.median(np.minimum(delays, FOLLOWED)[shifts == shift])),
        }
        for shift in SHIFTS
    }  # fmt: skip
    return {
        "false_alarms_per_product_year": float(alarms.sum() / years.sum()),
        "false_alarms_interval": _ratio_interval(alarms, years, rng), "product_years": float(years.sum()),
        "caught": float(caught.mean()), "caught_interval": _mean_interval(caught.astype(float), rng),
        "delay_days": float(np.minimum(delays, FOLLOWED).mean()), "delay_days_interval": _mean_interval(np.minimum(delays, FOLLOWED), rng),
        "delay_days_median": float(np.median(np.minimum(delays, FOLLOWED))),
        "delay_days_of_caught": float(delays[caught].mean()) if caught.any() else None,
        "delay_texts": float(texts.mean()), "delay_texts_interval": _mean_interval(texts, rng), "by_shift": by,
    }  # fmt: skip


def _false(
    found: list[list[list[Found]]], quiet: Sequence[History], moved: Sequence[History]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Years watched without a change and false alarms in them, by history."""
    years, alarms = [], []
    for part, kind in zip(found, (quiet, moved), strict=True):
        for alarm, history in zip(part, kind, strict=True):
            end = 365 if history.change < 0 else history.change
            years.append(end / 365)
            alarms.append(sum(one.worse and one.day < end for one in alarm))
    return np.array(years), np.array(alarms, float)


def _delays(found: list[list[Found]], moved: Sequence[History]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Days and texts from each change to the first alarm after it; not found in time counts as the whole time."""
    days, texts = [], []
    for alarms, history in zip(found, moved, strict=True):
        hits = [a.day for a in alarms if a.worse and history.change <= a.day < history.until()]
        day = min(hits) if hits else history.until() - 1
        days.append(day - history.change + (0 if hits else 1))
        texts.append(int(((history.day >= history.change) & (history.day <= day)).sum()))
    return np.array(days, float), np.array(texts, float)


def _earlier(
    ours_: list[list[list[Found]]], theirs_: list[list[list[Found]]], moved: Sequence[History], seed: int
) -> dict[str, Any]:
    ours, _ = _delays(ours_[1], moved)
    theirs, _ = _delays(theirs_[1], moved)
    gain = np.minimum(theirs, FOLLOWED) - np.minimum(ours, FOLLOWED)
    return {
        "days": float(gain.mean()), "interval": _mean_interval(gain, np.random.default_rng(seed)),
        "earlier": float((gain > 0).mean()), "same_day": float((gain == 0).mean()), "later": float((gain < 0).mean()),
    }  # fmt: skip


def _mean_interval(values: NDArray[Any], rng: np.random.Generator) -> list[float]:
    drawn = values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(1)
    return [float(x) for x in np.quantile(drawn, (0.025, 0.975))]


def _ratio_interval(top: NDArray[Any], bottom: NDArray[Any], rng: np.random.Generator) -> list[float]:
    rows = rng.integers(0, len(top), (RESAMPLES, len(top)))
    return [float(x) for x in np.quantile(top[rows].sum(1) / bottom[rows].sum(1), (0.025, 0.975))]
