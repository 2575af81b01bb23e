"""From answers to labels: adjudication, and the labels of a project as an Arrow table with their provenance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from wares.core.errors import NotFound, QueryError
from wares.data.labels import tables as t
from wares.data.labels.agreement import answer_matrix, dawid_skene
from wares.data.labels.book import LabelBook, Project

METHODS = ("majority", "weighted")
SCHEMA = pa.schema(
    [
        ("key", pa.string()), ("text", pa.string()), ("payload", pa.string()), ("label", pa.string()),
        ("confidence", pa.float64()), ("method", pa.string()), ("annotators", pa.list_(pa.string())),
        ("answers", pa.int64()), ("agreeing", pa.int64()), ("at", pa.string()), ("subject", pa.string()),
        ("asset", pa.string()), ("version", pa.int64()), ("project", pa.string()),
    ]
)  # fmt: skip
"""Columns of the labels. `method` says where a label comes from: adjudicated, majority, weighted, or machine."""


def adjudicate(
    book: LabelBook,
    project: Project,
    key: str,
    value: Any,
    *,
    by: str,
    comment: str = "",
    method: str = "person",
) -> None:
    """Settle an item by hand; a later decision replaces this one and both stay on record.

    Raises:
        QueryError: for an answer outside the options, an empty name, or an unknown item (NotFound).
    """
    if not by.strip():
        raise QueryError("who decides?", mend="Name yourself with --by", parameter="by")
    _adjudicate(book, project, [(key, project.check(value))], by, comment, method)


def _adjudicate(
    book: LabelBook,
    project: Project,
    decisions: Sequence[tuple[str, str]],
    by: str,
    comment: str,
    method: str,
) -> None:
    d = t.adjudications
    with book.writing() as connection:
        rows = connection.execute(
            sa.select(t.items.c.key, t.items.c.id).where(t.items.c.project == project.id)
        )
        ids = {row[0]: row[1] for row in rows}
        for key, value in decisions:
            if key not in ids:
                raise NotFound(f"{project.name} has no item {key[:80]!r}", mend="Check the key", id=key)
            connection.execute(d.update().where(d.c.item == ids[key], d.c.live).values(live=False))
            connection.execute(
                d.insert(),
                {
                    "project": project.id, "item": ids[key], "value": value, "method": method, "by": by,
                    "at": book.now(), "comment": comment, "live": True,
                },
            )  # fmt: skip
    book.audit("label.adjudicate", project.name, by, items=len(decisions), method=method)


def adjudicate_all(
    book: LabelBook, project: Project, method: str, *, by: str, min_confidence: float = 0.0
) -> int:
    """Settle every item on which people disagree, by `method`; those below `min_confidence` and ties stay open. Returns how many.

    Raises:
        QueryError: for an unknown method.
    """
    settled = {row["key"] for row in adjudications(book, project)}
    decisions = [
        (row["key"], row["label"])
        for row in labels(book, project, method=method).to_pylist()
        if row["agreeing"] < row["answers"]
        and row["key"] not in settled
        and row["confidence"] >= min_confidence
    ]
    if decisions:
        _adjudicate(book, project, decisions, by or f"machine:{method}", "", method)
    return len(decisions)


def adjudications(book: LabelBook, project: Project, *, live: bool = True) -> list[dict[str, Any]]:
    """Decisions with their item's key, oldest first."""
    query = (
        sa.select(t.adjudications, t.items.c.key)
        .join(t.items, t.items.c.id == t.adjudications.c.item)
        .where(t.adjudications.c.project == project.id)
        .order_by(t.adjudications.c.id)
    )
    return book.rows(query.where(t.adjudications.c.live) if live else query)


def disputes(book: LabelBook, project: Project) -> list[dict[str, Any]]:
    """Items on which people's answers differ and nobody has decided: key, asset, payload and the answers, in item order."""
    settled = {row["key"] for row in adjudications(book, project)}
    by_key = _by_key([row for row in book.answers(project) if not row["machine"]])
    return [
        {
            "key": item["key"],
            "asset": item["asset"],
            "payload": item["payload"],
            "answers": by_key[item["key"]],
        }
        for item in book.items(project)
        if item["key"] not in settled and len({row["value"] for row in by_key.get(item["key"], [])}) > 1
    ]


def _by_key(answers: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in answers:
        found[row["key"]].append(row)
    return found


def labels(book: LabelBook, project: Project, *, method: str = "majority", machine: bool = False) -> pa.Table:
    """The labels of a project as an Arrow table (see ``SCHEMA``), in item order, for training sets.

    A decision comes before answers. Without one, `method` ``majority`` takes the answer most people gave (no label on a
    tie) and ``weighted`` the likeliest by Dawid–Skene, which trusts accurate annotators more; `confidence` is the share
    of votes, or the posterior. Excluded annotators do not count. With `machine`, items without any answer of a person
    take the machine's (weak labels, predictions), and `method` says so: the two are never mixed in one vote.

    Raises:
        QueryError: for an unknown method.
    """
    if method not in METHODS:
        raise QueryError(f"unknown method {method!r}", mend=f"Use {' or '.join(METHODS)}", parameter="method")
    answers = book.answers(project)
    people = [row for row in answers if not row["machine"]]
    by_key, by_machine = _by_key(people), _by_key([row for row in answers if row["machine"]])
    decided = {row["key"]: row for row in adjudications(book, project)}
    likely = _weighted(project, people) if method == "weighted" else {}
    rows = []
    for item in book.items(project):
        key, given = item["key"], by_key.get(item["key"], [])
        how, who, at = (
            method,
            sorted(row["annotator"] for row in given),
            max((r["at"] for r in given), default=""),
        )
        if key in decided:
            decision = decided[key]
            value, sure, how = decision["value"], 1.0, "adjudicated"
            who, at = [*who, decision["by"]], decision["at"]
        elif given:
            found = likely.get(key) if method == "weighted" else _vote(given)
            if found is None:
                continue
            value, sure = found
        elif machine and key in by_machine:
            best = max(by_machine[key], key=lambda row: (row["confidence"] or 0.0, row["id"]))
            value, sure, how = best["value"], best["confidence"] or 0.0, "machine"
            who, at = [best["annotator"]], best["at"]
        else:
            continue
        rows.append(
            {
                "key": key, "text": project.text(item["payload"]), "payload": _json(item["payload"]), "label": value,
                "confidence": sure, "method": how, "annotators": who, "answers": len(given),
                "agreeing": sum(row["value"] == value for row in given), "at": at, "subject": item["subject"],
                "asset": item["asset"], "version": item["version"], "project": project.name,
            }
        )  # fmt: skip
    return pa.Table.from_pylist(rows, SCHEMA)


def _json(payload: dict[str, Any]) -> str:
    import json

    return json.dumps(payload, ensure_ascii=False)


def _vote(given: Sequence[dict[str, Any]]) -> tuple[str, float] | None:
    counts: dict[str, int] = defaultdict(int)
    for row in given:
        counts[row["value"]] += 1
    best = max(counts.values())
    first = [value for value, count in counts.items() if count == best]
    return (first[0], best / len(given)) if len(first) == 1 else None


def _weighted(project: Project, people: Sequence[dict[str, Any]]) -> dict[str, tuple[str, float]]:
    if not people:
        return {}
    matrix, _, keys = answer_matrix(project, people)
    posterior, _ = dawid_skene(matrix, len(project.options))
    best = np.argmax(posterior, 1)
    return {
        key: (project.options[int(option)], float(posterior[n, option]))
        for n, (key, option) in enumerate(zip(keys, best, strict=True))
    }
