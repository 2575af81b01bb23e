"""Tell people when a check goes from good to bad, once: by log, webhook or a command that gets a mail on its input."""

from __future__ import annotations

import json
import logging
import subprocess
import urllib.request
from datetime import datetime, timedelta
from typing import Any
from urllib.error import URLError

from wares.core.config import Quality
from wares.core.state import stamp
from wares.data.quality.history import History, turned
from wares.data.quality.report import CheckResult, QualityReport
from wares.data.quality.rules import SEVERITIES

log = logging.getLogger("wares.quality")
_PATIENCE = 10.0


def alert(
    history: History, report: QualityReport, run: int, settings: Quality, shop: str, now: datetime
) -> list[dict[str, Any]]:
    """Send one message for all checks that turned; returns what was noted.

    The same check is told again only after it was good in between, or when `alert_again_hours` have passed. A channel
    that fails is noted with its error, and the check itself is not disturbed.
    """
    loud = SEVERITIES.index(settings.alert_from)
    worse, better = turned(history.before(report.table, run), report.checks)
    if settings.alert_again_hours:
        worse = _again(history, report, settings, now, worse)
    worse = [check for check in worse if SEVERITIES.index(check.severity) >= loud]
    better = [check for check in better if SEVERITIES.index(check.severity) >= loud]
    if not worse and not better:
        return []
    message = _message(report, worse, better, shop)
    sent = send(message, settings)
    rows = [
        {"at": stamp(now), "asset": report.table, "label": check.label[:300], "severity": check.severity, "event": event, "sent": json.dumps(sent)}
        for event, checks in (("broken", worse), ("mended", better))
        for check in checks
    ]  # fmt: skip
    history.put_alerts(rows)
    return rows


def send(message: dict[str, Any], settings: Quality) -> dict[str, str]:
    """Say a message on every channel that is configured; returns what became of each. A failure is noted, not raised.

    A message has ``shop``, ``table``, ``text`` and ``broken``, whose entries decide whether it is bad news.
    """
    sent = {"log": "ok"}
    (log.error if message["broken"] else log.info)("%s", message["text"])
    if settings.webhook:
        sent["webhook"] = _webhook(settings.webhook, message)
    if settings.email_command:
        sent["email"] = _command(settings.email_command, message)
    return sent


def _again(
    history: History, report: QualityReport, settings: Quality, now: datetime, worse: list[CheckResult]
) -> list[CheckResult]:
    since = stamp(now - timedelta(hours=settings.alert_again_hours))
    told = {row["label"] for row in history.alerts(report.table, 10_000) if row["at"] >= since}
    labels = {check.label for check in worse}
    return worse + [c for c in report.broken if c.label not in labels and c.label not in told]


def _message(
    report: QualityReport, worse: list[CheckResult], better: list[CheckResult], shop: str
) -> dict[str, Any]:
    lines = [f"{shop}: {report.table} version {report.version}, score {report.score:g}"]
    lines += [f"BROKEN {c.severity} {c.label}: {c.message}" for c in worse]
    lines += [f"mended {c.label}" for c in better]
    return {
        "shop": shop, "table": report.table, "version": report.version, "score": report.score, "at": report.at, "text": "\n".join(lines),
        "broken": [{"label": c.label, "severity": c.severity, "message": c.message, "mend": c.mend, "rows": c.broken} for c in worse],
        "mended": [c.label for c in better],
    }  # fmt: skip


def _webhook(url: str, message: dict[str, Any]) -> str:
    body = json.dumps(message, ensure_ascii=False).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
            return f"{answer.status}"
    except (URLError, OSError, ValueError) as error:
        log.warning("the webhook failed: %s", error)
        return f"failed: {error}"[:300]


def _command(command: list[str], message: dict[str, Any]) -> str:
    state = "broken" if message["broken"] else "mended"
    mail = f"Subject: [wares] {message['shop']}: {message['table']} {state}\n\n{message['text']}\n"
    try:
        done = subprocess.run(command, input=mail.encode(), capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("the mail command failed: %s", error)
        return f"failed: {error}"[:300]
    if done.returncode:
        log.warning("the mail command ended with %s", done.returncode)
        return f"failed: exit {done.returncode}"
    return "ok"
