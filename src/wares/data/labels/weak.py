"""Weak labels: rules over an item's payload and star ratings, each with coverage and estimated accuracy.

They are stored as answers of a machine annotator (``machine:weak:NAME``) and never counted as a person's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.data.labels.agreement import dawid_skene
from wares.data.labels.book import LabelBook, Project
from wares.data.labels.queue import Queue
from wares.data.labels.resolve import labels

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
}
_TEST = re.compile(r"\s*(\w[\w .\-]*?)\s*(<=|>=|==|!=|<|>)\s*(.+?)\s*")
MIN_GOLD = 5


@dataclass(frozen=True)
class Rule:
    """One labelling rule. Exactly one of `words`, `pattern` and `when` is set; it votes `label` where it matches.

    `words`: any of these occurs in the judged text (case is ignored). `pattern`: a regular expression is found in it.
    `when`: a payload column compared to a number or text, as ``rating >= 4``.
    """

    name: str
    label: str
    words: tuple[str, ...] = ()
    pattern: str = ""
    when: str = ""

    def matcher(self) -> Callable[[dict[str, Any], str], bool]:
        """(payload, text) → whether the rule votes.

        Raises:
            QueryError: when the rule cannot be read.
        """
        if (bool(self.words) + bool(self.pattern) + bool(self.when)) != 1 or not self.name:
            raise self._unreadable("it needs a name and one of words, pattern and when")
        if self.words:
            words = tuple(word.casefold() for word in self.words)
            if not all(words):
                raise self._unreadable("a word is empty")
            return lambda _, text: any(word in text.casefold() for word in words)
        if self.pattern:
            try:
                found = re.compile(self.pattern, re.IGNORECASE)
            except re.error as error:
                raise self._unreadable(f"the pattern does not parse: {error}") from None
            return lambda _, text: found.search(text) is not None
        return self._comparison()

    def _comparison(self) -> Callable[[dict[str, Any], str], bool]:
        test = _TEST.fullmatch(self.when)
        if test is None:
            raise self._unreadable(f"{self.when!r} is no comparison")
        column, operator, right = test[1], test[2], test[3].strip("'\"")
        number = _number(right)
        if number is None and operator not in ("==", "!="):
            raise self._unreadable(f"{right!r} is no number")

        def matches(payload: dict[str, Any], _: str) -> bool:
            value = payload.get(column)
            if value in (None, ""):
                return False
            if number is None:
                return (str(value) == right) == (operator == "==")
            left = _number(value)
            return left is not None and OPERATORS[operator](left, number)

        return matches

    def _unreadable(self, why: str) -> QueryError:
        return QueryError(
            f"rule {self.name!r} cannot be read: {why}",
            mend='Write name, label and one of words = ["…"], pattern = "…", when = "rating >= 4"',
            parameter=self.name,
        )


@dataclass(frozen=True)
class RuleReport:
    """What a rule is worth. `accuracy` comes from `judged` gold or people's labels, or, with fewer than five, from the label model."""

    name: str
    label: str
    matched: int
    coverage: float
    overlaps: int
    conflicts: int
    accuracy: float | None
    judged: int
    estimated_from: str


@dataclass(frozen=True)
class WeakReport:
    """Weak labels of a project. `coverage` is the share of items with one; `accuracy` of the combined label as for a rule."""

    items: int
    labelled: int
    coverage: float
    accuracy: float | None
    judged: int
    rules: tuple[RuleReport, ...]
    stored: int


def star_rules(project: Project, column: str = "rating", low: float = 2, high: float = 4) -> list[Rule]:
    """Stars to sentiment: at most `low` is negative, at least `high` positive, between them neutral where there is that answer.

    Raises:
        QueryError: when the project has no answers negative and positive.
    """
    if not {"negative", "positive"} <= set(project.options):
        raise QueryError(
            f"{project.name} has no answers negative and positive",
            mend='Write rules with when = "rating >= 4" instead',
            parameter="stars",
        )
    rules = [
        Rule(f"{column} at most {low:g}", "negative", when=f"{column} <= {low:g}"),
        Rule(f"{column} at least {high:g}", "positive", when=f"{column} >= {high:g}"),
    ]
    if "neutral" in project.options and high - low > 1:
        middle = (low + high) / 2
        rules.append(Rule(f"{column} of {middle:g}", "neutral", when=f"{column} == {middle:g}"))
    return rules


def read_rules(table: Any) -> list[Rule]:
    """Rules out of a parsed TOML or JSON table: ``[[rule]]`` with name, label and one of words, pattern, when.

    Raises:
        QueryError: for anything else.
    """
    rows = table.get("rule") if isinstance(table, dict) else table
    if not isinstance(rows, list) or not rows:
        raise QueryError("there are no rules in it", mend="Write [[rule]] tables", parameter="rules")
    rules = []
    for n, row in enumerate(rows, 1):
        unknown = set(row) - {"name", "label", "words", "pattern", "when"} if isinstance(row, dict) else {"?"}
        if unknown or "label" not in row:
            raise QueryError(
                f"rule {n} has no label, or unknown keys ({', '.join(sorted(unknown))})",
                mend="Use name, label, and one of words, pattern, when",
                parameter="rules",
            )
        words = row.get("words", [])
        rules.append(
            Rule(
                str(row.get("name") or f"rule {n}"), str(row["label"]),
                tuple([words] if isinstance(words, str) else map(str, words)),
                str(row.get("pattern", "")), str(row.get("when", "")),
            )
        )  # fmt: skip
    return rules


def weak_labels(
    book: LabelBook,
    project: Project,
    rules: Sequence[Rule],
    *,
    method: str = "model",
    store: bool = True,
    name: str = "rules",
) -> WeakReport:
    """Vote with every rule, combine the votes, and (with `store`) record them as ``machine:weak:NAME``.

    `method` ``majority`` counts votes; ``model`` weighs each rule by its estimated accuracy (from people's labels where
    there are at least five on its matches, otherwise by Dawid–Skene over the rules). Ties give no label.

    Raises:
        QueryError: for an unreadable rule, one that votes outside the options, or doubled names.
    """
    if method not in ("majority", "model"):
        raise QueryError(f"unknown method {method!r}", mend="Use majority or model", parameter="method")
    if len({rule.name for rule in rules}) < len(rules):
        raise QueryError("two rules have one name", mend="Name each differently", parameter="rules")
    matchers = [(project.options.index(project.check(rule.label)), rule.matcher()) for rule in rules]
    items = book.items(project)
    votes = np.full((len(rules), len(items)), np.nan)
    for n, item in enumerate(items):
        text = project.text(item["payload"])
        for r, (option, matches) in enumerate(matchers):
            if matches(item["payload"], text):
                votes[r, n] = option
    truth = _truth(book, project, items)
    accuracy, judged, source = _accuracy(votes, truth, len(project.options))
    label, sure = _combine(
        votes, np.ones(len(rules)) * 0.7 if method == "majority" else accuracy, len(project.options)
    )
    seen = ~np.isnan(votes)
    several = seen.sum(0) > 1
    low = np.where(seen, votes, np.inf).min(0, initial=np.inf)
    high = np.where(seen, votes, -np.inf).max(0, initial=-np.inf)
    conflict = several & (low != high)
    reports = tuple(
        RuleReport(
            rule.name, rule.label, int(seen[r].sum()), float(seen[r].mean()) if len(items) else 0.0,
            int((seen[r] & several).sum()), int((seen[r] & conflict).sum()),
            None if source[r] == "nothing" else float(accuracy[r]), int(judged[r]), source[r],
        )
        for r, rule in enumerate(rules)
    )  # fmt: skip
    has = label >= 0
    checked = has & ~np.isnan(truth)
    combined = float((label[checked] == truth[checked]).mean()) if checked.sum() >= MIN_GOLD else None
    if combined is None and has.any() and "label model" in source:
        combined = float(sure[has].mean())
    stored = 0
    if store:
        rows = [
            {
                "key": item["key"],
                "value": project.options[int(label[n])],
                "confidence": round(float(sure[n]), 4),
            }
            for n, item in enumerate(items)
            if has[n]
        ]
        stored = Queue(book, project).put_many(
            rows, annotator=f"machine:weak:{name}"[:100], source=f"rules:{method}", machine=True
        ).landed  # fmt: skip
    return WeakReport(
        len(items), int(has.sum()), float(has.mean()) if len(items) else 0.0, combined, int(checked.sum()), reports, stored
    )  # fmt: skip


def _truth(book: LabelBook, project: Project, items: Sequence[dict[str, Any]]) -> NDArray[np.float64]:
    """Gold where an item has it, else the label of people; NaN without either. ``(n_items,)``."""
    known = {row["key"]: row["label"] for row in labels(book, project).to_pylist()}
    place = {option: n for n, option in enumerate(project.options)}
    values = [item["gold"] if item["gold"] is not None else known.get(item["key"]) for item in items]
    return np.array([np.nan if value is None else place[value] for value in values])


def _accuracy(
    votes: NDArray[np.float64], truth: NDArray[np.float64], n_options: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], list[str]]:
    """Each rule's accuracy where it votes, from how many labels, and what that rests on."""
    n_rules = len(votes)
    accuracy, judged, source = np.full(n_rules, 0.7), np.zeros(n_rules, np.int64), ["nothing"] * n_rules
    covered = (~np.isnan(votes)).any(0)
    posterior = None
    if n_rules > 2 and covered.any():
        posterior = np.zeros((votes.shape[1], n_options))
        posterior[covered] = dawid_skene(votes[:, covered], n_options)[0]
    for r in range(n_rules):
        mine = ~np.isnan(votes[r])
        known = mine & ~np.isnan(truth)
        judged[r] = int(known.sum())
        if judged[r] >= MIN_GOLD:
            accuracy[r], source[r] = float((votes[r, known] == truth[known]).mean()), "labels"
        elif posterior is not None and mine.any():
            accuracy[r] = float(posterior[np.nonzero(mine)[0], votes[r, mine].astype(int)].mean())
            source[r] = "label model"
    return accuracy, judged, source


def _combine(
    votes: NDArray[np.float64], accuracy: NDArray[np.float64], n_options: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The naive-Bayes vote of independent rules: ``(option or -1, posterior)``, each ``(n_items,)``."""
    sure = np.clip(accuracy, 0.02, 0.98)
    weight = np.log(sure * max(1, n_options - 1) / (1 - sure))
    score = np.zeros((votes.shape[1], n_options))
    for option in range(n_options):
        score[:, option] = ((votes == option) * weight[:, None]).sum(0)
    exp = np.exp(score - score.max(1, keepdims=True))
    posterior = exp / exp.sum(1, keepdims=True)
    best = score.max(1)
    alone = (np.isclose(score, best[:, None])).sum(1) == 1
    label = np.where(alone & (~np.isnan(votes)).any(0), score.argmax(1), -1)
    return label.astype(np.int64), posterior.max(1)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
