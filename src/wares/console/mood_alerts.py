"""The workshop's inbox of alerts about moods: what changed, the texts that say so, what was decided, and its history."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import quote

from nicegui import ui

from wares.console.frame import frame, language, shelf, t
from wares.console.moods import PATH, moods_here, quote_html, tabs
from wares.console.roles import current, may_change, workspace
from wares.console.words import add_words
from wares.core.errors import WaresError
from wares.core.mood_alerts import ACKNOWLEDGED, MUTED, OPEN, RESOLVED, STATES, MoodAlerts
from wares.models.sentiment.mood_json import alert_json
from wares.models.sentiment.moods import ROSE, Moods

SHOWN = 100
QUOTES = 3

add_words(
    {
        "inbox_about": (
            "Changes that chance does not explain. A series without a change raises at most {rate} alerts a year in each direction.",
            "偶然无法解释的变化。没有变化的序列每年每个方向最多产生 {rate} 次误报。",
        ),
        "inbox_none": ("No open alerts.", "没有待处理的提醒。"),
        "inbox_nothing": ("There are no alerts of this kind.", "没有此类提醒。"),
        "inbox_open": ("Open", "待处理"),
        "inbox_acknowledged": ("Acknowledged", "已确认"),
        "inbox_muted": ("Muted", "已静音"),
        "inbox_resolved": ("Resolved", "已结束"),
        "inbox_ack": ("Acknowledge", "确认"),
        "inbox_mute": ("Mute", "静音"),
        "inbox_reopen": ("Reopen", "重新打开"),
        "inbox_note": ("Note (optional)", "备注（可选）"),
        "inbox_history": ("History", "历史"),
        "inbox_noticed": ("noticed", "发现"),
        "inbox_event_open": ("reopened", "重新打开"),
        "inbox_event_acknowledged": ("acknowledged", "确认"),
        "inbox_event_muted": ("muted", "静音"),
        "inbox_event_resolved": ("resolved", "结束"),
        "inbox_also": ("Also seen in {n} more series", "另有 {n} 个序列出现同样变化"),
        "inbox_product": ("Open its mood page", "查看商品情绪"),
        "inbox_label": ("Label the doubtful texts", "去标注存疑文本"),
        "inbox_machine": ("the watch", "系统"),
    }
)  # fmt: skip
STYLE = """
.al{background:#fff;border:1px solid var(--line);border-left:4px solid #b3261e;border-radius:10px;padding:14px 16px;width:100%;margin-bottom:10px}
.al.rose{border-left-color:#0b6b49}.al.spam,.al.drift,.al.confidence{border-left-color:#b57900}
.al .head{display:flex;gap:4px 12px;flex-wrap:wrap;align-items:baseline}.al .what{font-weight:600;font-size:16px;overflow-wrap:anywhere}.al .day{color:var(--soft);font-size:13px}
.al .say{font-size:14.5px;line-height:1.5;margin:4px 0 6px}.al .do{display:flex;gap:6px;flex-wrap:wrap;align-items:center;margin-top:6px}
.al .past{font-size:13px;color:var(--soft);line-height:1.5;margin-top:4px}
"""


def register() -> None:
    """Put the page onto the application."""

    @ui.page(f"{PATH}/alerts")
    def inbox() -> None:
        ui.add_head_html(f"<style>{STYLE}</style>")
        with frame("workshop"):
            tabs("moods_alerts")
            moods = moods_here()
            if moods is not None:
                ui.label(t("inbox_about", rate=f"{moods.manifest['rule']['false_alarms']:g}")).classes(
                    "note"
                ).style("margin-bottom:8px")
                _list(moods)


def _list(moods: Moods) -> None:
    alerts = MoodAlerts(workspace().state)
    who, role = current()
    shown = {"state": OPEN}

    def decide(alert: str, state: str, note: str) -> None:
        try:
            alerts.decide(alert, state, who, workspace().clock.now(), note)
        except WaresError as error:
            ui.notify(str(error), type="negative")
        view.refresh()

    def switch(state: str) -> None:
        shown["state"] = state
        view.refresh()

    @ui.refreshable
    def view() -> None:
        # What asks for something stands before what is good news; within that the newest first.
        rows = sorted(alerts.all((shown["state"],), SHOWN), key=lambda row: row["kind"] == ROSE)
        if not rows:
            with ui.element("div").classes("panel"):
                ui.label(t("inbox_none" if shown["state"] == OPEN else "inbox_nothing"))
        for row in rows:
            _one(moods, alerts, row, decide if may_change(role) else None)

    counts = {state: len(alerts.all((state,), SHOWN)) for state in STATES}
    ui.toggle(
        {state: f"{t(f'inbox_{state}')} ({counts[state]})" for state in STATES}, value=OPEN, on_change=lambda event: switch(str(event.value))
    ).props("no-caps dense unelevated padding='4px 12px' toggle-color=primary").style("margin-bottom:10px;flex-wrap:wrap")  # fmt: skip
    view()


def _one(moods: Moods, alerts: MoodAlerts, row: dict[str, Any], decide: Any) -> None:
    catalogue = shelf().ranker.catalogue
    said = alert_json(row, moods, catalogue, language())
    with ui.element("section").classes(f"al {row['kind']}"):
        ui.html(
            f'<div class="head"><span class="what">{escape(said["what"])}</span><span class="day">{escape(row["day"])}</span></div>'
            f'<div class="say">{escape(said["words"])}</div>' + "".join(quote_html(one) for one in said["evidence"][:QUOTES]), sanitize=False,
        )  # fmt: skip
        also = row["numbers"].get("also") or []
        if also:
            ui.label(t("inbox_also", n=len(also))).classes("note")
        with ui.element("div").classes("do"):
            if row["scope"].startswith("product"):
                ui.link(t("inbox_product"), f"{PATH}/product/{quote(row['key'], safe='')}").style(
                    "font-size:14px"
                )
            if row["kind"] == "confidence":
                ui.link(t("inbox_label"), "/workshop/labels").style("font-size:14px")
            if decide is not None and row["state"] != RESOLVED:
                _decisions(row, decide)
        _past(alerts, row)


def _decisions(row: dict[str, Any], decide: Any) -> None:
    note = ui.input(t("inbox_note")).props("dense outlined").style("width:min(220px,100%)")
    targets = (
        {"inbox_ack": ACKNOWLEDGED, "inbox_mute": MUTED} if row["state"] == OPEN else {"inbox_reopen": OPEN}
    )
    for name, target in targets.items():
        ui.button(t(name), on_click=lambda _, to=target: decide(row["id"], to, str(note.value or ""))).props(
            "flat dense no-caps"
        )


def _past(alerts: MoodAlerts, row: dict[str, Any]) -> None:
    past = alerts.history(row["id"])
    with (
        ui.expansion(f"{t('inbox_history')} ({len(past)})")
        .props("dense")
        .style("font-size:13px;margin-top:4px")
    ):
        lines = []
        for one in past:
            event = t("inbox_noticed") if one["event"] == "noticed" else t(f"inbox_event_{one['event']}")
            note = f": {escape(one['note'])}" if one["note"] else ""
            lines.append(
                f"{escape(one['at'][:16].replace('T', ' '))} {escape(event)} — {escape(one['who'] or t('inbox_machine'))}{note}"
            )
        ui.html(f'<div class="past">{"<br>".join(lines)}</div>', sanitize=False)
