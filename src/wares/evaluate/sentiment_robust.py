"""What noise costs a classifier of texts, and whether its verdict turns when the same is said of others or in dialect."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.core.text import has_han
from wares.evaluate.metrics import bootstrap
from wares.evaluate.sentiment import SentimentTask, evaluate_sentiment, read_texts
from wares.evaluate.sentiment_files import labelled
from wares.models.sentiment.infer import Sentiment
from wares.models.sentiment.labelled import LabelledTexts
from wares.models.sentiment.languages import language_of
from wares.models.sentiment.neutral import DIALECT, GENDER, swapped
from wares.models.sentiment.noise import CHANGES
from wares.models.sentiment.prepare import prepared

RESAMPLES = 1000
MOST = 2000
GOAL_DROP, GOAL_FLIPS = 2.0, 0.01
NAMES_ZH = (
    "王伟",
    "李娜",
    "张强",
    "刘洋",
    "买买提",
    "古丽",
    "扎西",
    "卓玛",
    "欧阳静",
    "陈志明",
    "Nguyen",
    "金哲",
)
NAMES_EN = (
    "Emily", "Greg", "Lakisha", "Jamal", "Mohammed", "Fatima", "Wei", "Priya", "Juan", "Guadalupe", "Svetlana", "Oluwaseun",
)  # fmt: skip
# Pairs that reading in one form does not know of, so that the test is not of its list alone.
GENDER_UNLISTED = (
    ("guy", "gal"), ("guys", "girls"), ("gentleman", "lady"), ("gentlemen", "ladies"), ("fiance", "fiancee"), ("male", "female"), ("king", "queen"),
    ("actor", "actress"), ("hero", "heroine"), ("帅哥", "美女"), ("小哥", "小姐"), ("叔叔", "阿姨"), ("小伙子", "小姑娘"), ("公公", "婆婆"),
    ("男人", "女人"), ("舅舅", "姑姑"), ("老板", "老板娘"),
)  # fmt: skip
DIALECT_UNLISTED = (
    ("aluminium", "aluminum"), ("centre", "center"), ("organise", "organize"), ("realise", "realize"), ("humour", "humor"), ("neighbour", "neighbor"),
    ("yeah", "yes"), ("kids", "children"), ("lil", "little"), ("thru", "through"), ("tho", "though"), ("till", "until"), ("lots of", "plenty of"),
    ("蛮", "挺"), ("哪儿", "哪里"), ("娃儿", "孩子"), ("今儿", "今天"), ("明儿", "明天"), ("屋里", "家里"), ("弄", "搞"), ("瞅", "看"), ("中意", "喜欢"),
)  # fmt: skip
Say = Callable[[str], None]


def robust_of(task: SentimentTask, progress: Say = lambda _: None) -> dict[str, Any]:
    """`evaluate_sentiment` with a part `robust` of the classifier (of folds, the first).

    Raises:
        QueryError: as there, and for a regression.
    """
    if task.numbers:
        raise QueryError("robustness is of verdicts, not of numbers", mend="Leave out --task regression", parameter="robust")  # fmt: skip

    def look(model: Sentiment, rows: LabelledTexts) -> dict[str, Any]:
        return {"robust": robustness(model, rows, MOST, task.seed, progress)}

    return evaluate_sentiment(task, progress, look)


def robust_file(
    model: Path, test: Path, text: str, label: str, most: int, seed: int, progress: Say = lambda _: None
) -> dict[str, Any]:
    """`robustness` of an artefact on a file.

    Raises:
        QueryError: when the file has a label that the classifier does not know.
    """
    reader = Sentiment(model)
    task = SentimentTask((test,), text=text, label=label, seed=seed)
    rows = labelled(read_texts((test,), task), reader.labels, task, test.name)
    return robustness(reader, rows, most, seed, progress)


def robustness(
    model: Sentiment, rows: LabelledTexts, most: int = MOST, seed: int = 7, progress: Say = lambda _: None
) -> dict[str, Any]:
    """Accuracy under each kind of noise, and verdicts that turn, on at most `most` of the texts.

    A drop is in points of accuracy against the same texts clean, with a paired bootstrap interval of 95 %. Of texts said of
    others, `share` is of those that the change touches, with the upper bound of 95 % (one-sided, Clopper and Pearson 1934);
    `all_share` is of all texts, and `sure_flips` are those of which one verdict or both were called sure.
    """
    at = np.random.default_rng(seed).permutation(len(rows))[:most]
    rows = rows.some(np.sort(at))
    if not len(rows):
        raise QueryError("there are no texts to test on", mend="Give more rows", parameter="test")
    progress("clean")
    clean = _said(model, rows.texts)
    right = clean == rows.labels
    noise: dict[str, Any] = {}
    for name, change in CHANGES.items():
        progress(name)
        # Each kind draws for itself, so that one more kind changes no other's figures.
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        said = _said(model, [change(text, rng) for text in rows.texts])
        lost = 100 * (right.astype(float) - (said == rows.labels))
        low, high = bootstrap(lost, RESAMPLES, seed)
        noise[name] = {
            "accuracy": float((said == rows.labels).mean()), "drop_points": float(lost.mean()), "interval": [low, high],
            "turned": float((said != clean).mean()), "reached": float(lost.mean()) <= GOAL_DROP,
        }  # fmt: skip
    counter: dict[str, Any] = {}
    for name, (first, second) in _others(rows.texts, seed).items():
        progress(name)
        touched = np.array([prepared(a) != prepared(b) for a, b in zip(first, second, strict=True)], bool)
        one, sure_one = _verdicts(model, _kept(first, touched))
        two, sure_two = _verdicts(model, _kept(second, touched))
        counter[name] = flips(int((one != two).sum()), int(touched.sum()), len(rows))
        counter[name]["sure_flips"] = int(((one != two) & (sure_one | sure_two)).sum())
    return {"texts": len(rows), "accuracy": float(right.mean()), "noise": noise, "counterfactual": counter, "goals": {"drop_points": GOAL_DROP, "flips": GOAL_FLIPS}}  # fmt: skip


def flips(turned: int, texts: int, of: int) -> dict[str, Any]:
    """The share of verdicts that turned, and what it is at most with 95 % confidence."""
    from scipy.stats import beta

    bound = 1.0 if turned >= texts else float(beta.ppf(0.95, turned + 1, texts - turned))
    share = turned / texts if texts else 0.0
    return {"texts": texts, "flips": turned, "share": share, "bound": bound, "all_share": turned / max(of, 1), "reached": share <= GOAL_FLIPS}  # fmt: skip


def _others(texts: Sequence[str], seed: int) -> dict[str, tuple[list[str], list[str]]]:
    """Pairs of texts that ought to have one verdict: of people with two names, of another gender, in dialect and not."""
    rng = np.random.default_rng(seed)
    named: dict[str, tuple[list[str], list[str]]] = {
        way: ([], []) for way in ("names: introduced", "names: spoken of")
    }
    for text in texts:
        chinese = has_han(text)
        names = NAMES_ZH if chinese else NAMES_EN
        ways = (
            ("我叫{}。{}", "{}推荐我买的。{}")
            if chinese
            else ("My name is {}. {}", "I bought this for {}. {}")
        )
        for side, at in enumerate(rng.choice(len(names), 2, replace=False)):
            for way, both in zip(ways, named.values(), strict=True):
                both[side].append(way.format(names[at], text))
    plain = list(texts)
    return {
        **named,
        "gender": (plain, [swapped(text, GENDER) for text in texts]),
        "gender: unlisted words": (plain, [swapped(text, GENDER_UNLISTED) for text in texts]),
        "dialect": (plain, [swapped(text, DIALECT) for text in texts]),
        "dialect: unlisted words": (plain, [swapped(text, DIALECT_UNLISTED) for text in texts]),
    }


def _kept(texts: Sequence[str], mask: NDArray[np.bool_]) -> list[str]:
    return [text for text, there in zip(texts, mask, strict=True) if there]


def _said(model: Sentiment, texts: Sequence[str]) -> NDArray[np.int64]:
    return _verdicts(model, texts)[0]


def _verdicts(model: Sentiment, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The labels said ``(n,)`` and which are sure."""
    if not texts:
        return np.zeros(0, np.int64), np.zeros(0, bool)
    said, confidence = model.decision.said(model.probabilities(texts))
    return said, confidence >= model.decision.thresholds([language_of(text) for text in texts])
