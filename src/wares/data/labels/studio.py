"""Label Studio's JSON: tasks with annotations and predictions, out and in, and the labelling configuration (XML).

The format is the one of https://labelstud.io/guide/export#Label-Studio-JSON-format-of-annotated-tasks: a list of
tasks with ``data``, ``annotations`` and ``predictions``, each of which has a ``result`` list of ``choices``.
"""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree as ET

from wares.core.errors import QueryError
from wares.data.labels.book import LabelBook, Landed, Project
from wares.data.labels.queue import Queue
from wares.data.labels.resolve import adjudicate, adjudications

_FROM = "label"


def config_xml(project: Project) -> str:
    """The labelling interface of a project for Label Studio: its question, its texts, its choices with hotkeys."""
    view = ET.Element("View")
    ET.SubElement(view, "Header", value=project.question)
    for name in project.fields:
        if len(project.fields) > 1:
            ET.SubElement(view, "Header", value=name, size="5")
        ET.SubElement(view, "Text", name=name, value=f"${name}")
    choices = ET.SubElement(
        view, "Choices", name=_FROM, toName=project.fields[-1], choice="single-radio", showInLine="true"
    )
    for n, option in enumerate(project.options, 1):
        ET.SubElement(choices, "Choice", value=option, **({"hotkey": str(n)} if n < 10 else {}))
    ET.indent(view)
    return ET.tostring(view, encoding="unicode")


def read_config(xml: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """(question, fields, options) of a Label Studio configuration with one ``Choices``.

    Raises:
        QueryError: when it is no XML, has a document type, or has not exactly one single-choice ``Choices``.
    """
    # Entities could blow up; Label Studio's own files have no document type.
    if "<!" in xml.replace("<!--", ""):
        raise QueryError("the configuration has a document type", mend="Take it out", parameter="config")
    try:
        root = ET.fromstring(xml)
    except ET.ParseError as error:
        raise QueryError(
            f"the configuration is no XML: {error}", mend="Copy it from Label Studio", parameter="config"
        ) from None
    found = list(root.iter("Choices"))
    if len(found) != 1 or found[0].get("choice", "single") == "multiple":
        raise QueryError(
            f"the configuration has {len(found)} <Choices>, or a multiple one",
            mend="Import projects with one single choice",
            parameter="config",
        )
    options = tuple(str(c.get("alias") or c.get("value") or "") for c in found[0].iter("Choice"))
    fields = tuple(
        str(e.get("value")).removeprefix("$") for e in root.iter() if str(e.get("value", "")).startswith("$")
    )
    header = next((str(e.get("value")) for e in root.iter("Header")), "")
    return header, fields, options


def export_tasks(book: LabelBook, project: Project) -> list[dict[str, Any]]:
    """All items as Label Studio tasks. People's answers are annotations, machines' predictions; what Label Studio has no place for is in ``meta``."""
    by_key: dict[str, list[dict[str, Any]]] = {}
    for row in book.answers(project, excluded=True):
        by_key.setdefault(row["key"], []).append(row)
    decided = {row["key"]: row for row in adjudications(book, project)}
    tasks = []
    for item in book.items(project):
        answers = by_key.get(item["key"], [])
        decision = decided.get(item["key"])
        meta = {
            "wares": {
                "key": item["key"], "project": project.name, "subject": item["subject"], "asset": item["asset"],
                "version": item["version"], "priority": item["priority"], "gold": item["gold"],
                "adjudication": decision and {k: decision[k] for k in ("value", "by", "at", "method", "comment")},
            }
        }  # fmt: skip
        tasks.append(
            {
                "id": item["id"], "data": item["payload"], "meta": meta,
                "annotations": [_annotation(project, row) for row in answers if not row["machine"]],
                "predictions": [_prediction(project, row) for row in answers if row["machine"]],
            }
        )  # fmt: skip
    return tasks


def _result(project: Project, row: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "id": f"a{row['id']}", "type": "choices", "from_name": _FROM, "to_name": project.fields[-1],
            "value": {"choices": [row["value"]]},
        }
    ]  # fmt: skip


def _annotation(project: Project, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"], "result": _result(project, row), "completed_by": {"email": row["annotator"]},
        "created_at": row["at"], "lead_time": row["seconds"], "was_cancelled": False,
        "meta": {"wares": {"source": row["source"], "comment": row["comment"], "asset_version": row["asset_version"]}},
    }  # fmt: skip


def _prediction(project: Project, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"], "result": _result(project, row), "model_version": row["annotator"].removeprefix("machine:"),
        "score": row["confidence"], "created_at": row["at"],
    }  # fmt: skip


def import_tasks(book: LabelBook, project: Project, text: str, *, source: str = "label-studio") -> Landed:
    """Bring Label Studio's tasks in: items, people's answers, predictions as a machine's, skips, and our own decisions back.

    A task that cannot be read is refused by its place in the file (from 1); the others land. Cancelled annotations
    become skips. ``landed`` counts items and answers together.

    Raises:
        QueryError: when the file is no JSON list.
    """
    try:
        tasks = json.loads(text)
    except ValueError as error:
        raise QueryError(
            f"the file is no JSON: {error}",
            mend="Export as JSON (not JSON-MIN) from Label Studio",
            parameter="file",
        ) from None
    if not isinstance(tasks, list):
        raise QueryError("the file holds no list of tasks", mend="Export as JSON", parameter="file")
    items: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    machines: dict[str, list[dict[str, Any]]] = {}
    decisions: list[tuple[str, dict[str, Any]]] = []
    for place, task in enumerate(tasks, 1):
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            items.append({"key": "", "payload": None})
            continue
        ours = (task.get("meta") or {}).get("wares") or {}
        key = str(ours.get("key") or task.get("id") or place)
        extra = {name: ours.get(name) for name in ("subject", "asset", "version", "priority", "gold")}
        items.append(
            {"key": key, "payload": task["data"], **{k: v for k, v in extra.items() if v is not None}}
        )
        for annotation in task.get("annotations") or task.get("completions") or []:
            people.append(_read(annotation, key, place, _who(annotation)))
        for prediction in task.get("predictions") or []:
            name = f"machine:{prediction.get('model_version') or 'label-studio'}"[:100]
            machines.setdefault(name, []).append(_read(prediction, key, place, name))
        if ours.get("adjudication"):
            decisions.append((key, ours["adjudication"]))
    report, queue = book.add(project, items), Queue(book, project)
    for rows, machine in [(people, False), *((rows, True) for rows in machines.values())]:
        part = queue.put_many(rows, source=source, machine=machine)
        report.landed += part.landed
        report.same += part.same
        report.refused += part.refused
    known = {(row["key"], row["value"], row["at"]) for row in adjudications(book, project, live=False)}
    for key, d in decisions:
        if not any(key == k and d["value"] == v for k, v, _ in known):
            adjudicate(
                book,
                project,
                key,
                d["value"],
                by=d["by"],
                comment=d.get("comment", ""),
                method=d.get("method", "person"),
            )
    return report


def _who(annotation: Any) -> str:
    who = annotation.get("completed_by") if isinstance(annotation, dict) else None
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    return f"user {who}" if isinstance(who, int) else str(who or "label-studio")


def _read(answer: Any, key: str, place: int, who: str) -> dict[str, Any]:
    if not isinstance(answer, dict):
        return {"key": key, "_line": place}
    ours = (answer.get("meta") or {}).get("wares") or {}
    row = {
        "key": key, "annotator": who, "_line": place, "at": answer.get("created_at"), "comment": ours.get("comment"),
        "seconds": answer.get("lead_time"), "confidence": answer.get("score"), "source": ours.get("source"),
    }  # fmt: skip
    if answer.get("was_cancelled"):
        return {**row, "skip": True}
    for result in answer.get("result") or []:
        choices = (result.get("value") or {}).get("choices") if isinstance(result, dict) else None
        if choices:
            return {**row, "value": choices[0] if len(choices) == 1 else " + ".join(map(str, choices))}
    return row
