"""The quality pages: scores of all tables over time, what is broken now, the history of a single check, alerts."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nicegui import app, run, ui

from wares.console import roles
from wares.console.frame import SECTIONS, frame, shelf, t, table
from wares.console.words import add_words
from wares.core.errors import AccessDenied, WaresError
from wares.data.quality.history import History
from wares.serve.quality import in_role

WORDS: dict[str, tuple[str, str]] = {
    "dq": ("Quality", "数据质量"),
    "dq_score": ("Score", "得分"),
    "dq_state": ("State", "状态"),
    "dq_checks": ("Checks", "检查项"),
    "dq_broken": ("Broken", "未通过"),
    "dq_when": ("Checked (UTC)", "检查时间 (UTC)"),
    "dq_none": ("Nothing was checked yet. Press “Check now”, or run: wares check", "尚未检查。点击“立即检查”，或运行：wares check"),
    "dq_now": ("Check now", "立即检查"),
    "dq_running": ("Checking {name} …", "正在检查 {name} …"),
    "dq_fine": ("All checks passed.", "所有检查均通过。"),
    "dq_is_broken": ("What is broken", "未通过的检查"),
    "dq_all": ("All checks", "全部检查"),
    "dq_trend": ("Score over the last checks", "最近检查的得分"),
    "dq_rows_trend": ("Rows", "行数"),
    "dq_n_rows": ("{n} rows", "{n} 行"),
    "dq_alerts": ("Alerts", "告警"),
    "dq_no_alerts": ("None was sent. Where alerts go is set under [quality] in wares.toml: docs/quality.md.", "没有告警。告警方式在 wares.toml 的 [quality] 中设置：docs/quality.md。"),
    "dq_check": ("Check", "检查"),
    "dq_severity": ("Severity", "级别"),
    "dq_measured": ("Measured", "测量值"),
    "dq_expected": ("Expected", "期望"),
    "dq_origin": ("From", "来源"),
    "dq_event": ("What", "事件"),
    "dq_sent": ("Told by", "通知方式"),
    "dq_keys": ("For example: {keys}", "例如：{keys}"),
    "dq_against": ("compared with version {n}", "与版本 {n} 比较"),
    "dq_history": ("History of this check", "该检查的历史"),
    "dq_back": ("All tables", "全部表"),
    "dq_passed": ("passed", "通过"),
    "dq_warning": ("warning", "警告"),
    "dq_error": ("error", "错误"),
    "dq_critical": ("critical", "严重"),
    "dq_invalid": ("cannot run", "无法运行"),
    "dq_broken_word": ("broken", "未通过"),
    "dq_mended": ("mended", "已恢复"),
    "dq_denied": ("Your role may not see this table. Choose another role above.", "您的角色无权查看此表，请在上方切换角色。"),
    "dq_contract": ("Contract", "数据契约"),
    "dq_purpose": ("Purpose", "用途"),
    "dq_owner": ("Owner", "负责人"),
    "dq_one_more": ("One check so far; the line appears with the second.", "目前只有一次检查；第二次后显示趋势。"),
}  # fmt: skip
COLOURS = {
    "passed": "#0b6b49",
    "warning": "#8a5a00",
    "error": "#b42318",
    "critical": "#7a1020",
    "invalid": "#5b6675",
}
_BLANK: dict[str, Any] = {"value": None, "expected": "", "broken": 0, "message": "", "mend": "", "sample": []}
STYLE = """
.mark{display:inline-block;border-radius:999px;padding:2px 10px;font-size:12.5px;font-weight:700;color:#fff;white-space:nowrap}
.fault{border-left:4px solid var(--line);padding:6px 0 6px 12px;margin:10px 0}
.fault .what{font-weight:600;overflow-wrap:anywhere}.fault .mend,.fault .keys{color:var(--soft);font-size:14px;overflow-wrap:anywhere}
.tables{display:grid;grid-template-columns:repeat(auto-fill,minmax(250px,1fr));gap:12px;width:100%}
.tables a{background:#fff;border:1px solid var(--line);border-radius:10px;padding:14px;color:var(--ink);text-decoration:none}
.tables .big{font-size:30px;font-weight:700;line-height:1.1}.tables svg{width:100%;height:auto}
"""


def trend(values: Sequence[float], labels: Sequence[str], *, low: float | None = None, high: float | None = None, states: Sequence[str] = (), width: int = 420, height: int = 120) -> str:  # fmt: skip
    """Numbers over time as SVG text: a line, a dot a run in the colour of its state, the ends of the scale in words."""
    bottom = min(values) if low is None else low
    top = max(values) if high is None else high
    if top - bottom < 1e-9:
        # A flat line: a tenth of room below, and above unless the scale ends there.
        room = 0.1 * (abs(bottom) or 1)
        bottom, top = bottom - room, top if high is not None else top + room
    left, right, above, below = 46, 10, 10, 22
    step = (width - left - right) / max(len(values) - 1, 1)
    points = [(left + i * step, above + (height - above - below) * (1 - (v - bottom) / (top - bottom))) for i, v in enumerate(values)]  # fmt: skip
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{COLOURS.get(states[i] if i < len(states) else "passed", "#5b6675")}"><title>{html.escape(labels[i])}: {values[i]:g}</title></circle>'
        for i, (x, y) in enumerate(points)
    )
    ends = f'<text x="{left - 6}" y="{above + 8}" text-anchor="end">{_short(top)}</text><text x="{left - 6}" y="{height - below}" text-anchor="end">{_short(bottom)}</text>'
    if labels:
        ends += f'<text x="{left}" y="{height - 5}">{html.escape(labels[0])}</text>'
        if len(labels) > 1:
            ends += f'<text x="{width - right}" y="{height - 5}" text-anchor="end">{html.escape(labels[-1])}</text>'
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" font-size="11" fill="#5b6675" font-family="inherit">'
        f'<line x1="{left}" y1="{height - below}" x2="{width - right}" y2="{height - below}" stroke="#e4e7ec"/>'
        f'<polyline points="{line}" fill="none" stroke="#0b6b49" stroke-width="2"/>{dots}{ends}</svg>'
    )


def _short(value: float) -> str:
    return f"{value / 1e6:.4g}M" if abs(value) >= 1e6 else f"{value / 1e3:.4g}k" if abs(value) >= 1e4 else f"{value:.4g}"  # fmt: skip


def mark(state: str) -> str:
    """A state as a coloured word."""
    word = {"broken": "dq_broken_word"}.get(state, f"dq_{state}")
    return f'<span class="mark" style="background:{COLOURS.get(state, COLOURS["error"])}">{html.escape(t(word))}</span>'


def register(workspace: Path) -> None:
    """Put the pages onto the application."""
    add_words(WORDS)
    if ("dq", "/workshop/quality") not in SECTIONS:
        SECTIONS.append(("dq", "/workshop/quality"))

    @ui.page("/workshop/quality")
    def overview() -> None:
        with frame("workshop"):
            ui.add_head_html(f"<style>{STYLE}</style>")
            _overview(workspace)

    @ui.page("/workshop/quality/{name}")
    def one(name: str, check: str = "") -> None:
        with frame("workshop"):
            ui.add_head_html(f"<style>{STYLE}</style>")
            _one(workspace, name, check)


def _check(workspace: Path, name: str) -> None:
    from wares.pipeline.workspace import open_workspace

    open_workspace(workspace).check(name)


def _button(workspace: Path, names: Sequence[str]) -> None:
    async def press() -> None:
        button.disable()
        said = ui.notification(timeout=None, spinner=True)
        try:
            for name in names:
                said.message = t("dq_running", name=name)
                await run.io_bound(_check, workspace, name)
        except WaresError as error:
            said.dismiss()
            button.enable()
            ui.notify(str(error), type="negative", multi_line=True)
            return
        said.dismiss()
        ui.navigate.reload()

    if not _may_check():
        return
    button = ui.button(t("dq_now"), on_click=press).props("no-caps color=teal-9")


def _may_check() -> bool:
    return not hasattr(app.state, "wares_gate") or roles.may_change(roles.current()[1])


def _loaded(workspace: Path) -> list[str]:
    from wares.core import columns as c

    return [name for name in c.TABLES if (workspace / "tables" / name / "_delta_log").is_dir()]


def _overview(workspace: Path) -> None:
    history = History(shelf().state)
    with ui.row().classes("items-center").style("gap:16px;margin-bottom:12px"):
        ui.html(f"<h1>{t('dq')}</h1>", sanitize=False)
        _button(workspace, _loaded(workspace))
    latest = {name: last for name, last in history.latest().items() if _seen(name, []) is not None}
    if not latest:
        ui.label(t("dq_none")).classes("note")
        return
    with ui.element("div").classes("tables"):
        for name, last in latest.items():
            runs = history.runs(name, 30)[::-1]
            with ui.link(target=f"/workshop/quality/{quote(name, safe='')}"):
                ui.html(f"<b>{html.escape(name)}</b> {mark(last['state'])}", sanitize=False)
                ui.html(f'<div class="big">{last["score"]:g}</div>', sanitize=False)
                ui.label(f"v{last['version']} · {t('dq_n_rows', n=format(last['rows'], ','))} · {last['at'][:16].replace('T', ' ')}").classes("note")  # fmt: skip
                if len(runs) > 1:
                    ui.html(trend([r["score"] for r in runs], [r["at"][:10] for r in runs], low=min(*(r["score"] for r in runs), 90), high=100, states=[r["state"] for r in runs], width=250, height=90), sanitize=False)  # fmt: skip
                else:
                    ui.label(t("dq_one_more")).classes("note")
    broken = [(name, check) for name, last in latest.items() for check in _seen(name, history.checks(last["id"])) or [] if check["status"] != "passed"]  # fmt: skip
    broken.sort(key=lambda pair: _rank(pair[1]))
    ui.html(f"<h2>{t('dq_is_broken')}</h2>", sanitize=False)
    with ui.element("div").classes("panel"):
        if not broken:
            ui.label(t("dq_fine"))
        for name, check in broken:
            _fault(name, check, with_table=True)
    _alerts(history, None)


def _seen(name: str, checks: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Checks as the visitor's role may see them; None when the role may read nothing of the table."""
    if not hasattr(app.state, "wares_gate"):
        return checks
    try:
        return in_role(checks, roles.workspace().door.policy(), roles.current()[1], name)
    except AccessDenied:
        return None


def _alert_seen(row: dict[str, Any]) -> bool:
    # An alert names a check, so it is for those who may see its column.
    return bool(_seen(row["asset"], [{**_BLANK, "label": row["label"]}]))


def _rank(check: dict[str, Any]) -> tuple[int, str]:
    return ("critical", "error", "warning").index(check["severity"]), str(check["label"])


def _fault(name: str, check: dict[str, Any], *, with_table: bool) -> None:
    state = check["severity"] if check["status"] == "broken" else "invalid"
    target = f"/workshop/quality/{quote(name, safe='')}?check={quote(check['label'], safe='')}"
    label = f"{name} · {check['label']}" if with_table else check["label"]
    keys = ", ".join("/".join(map(str, key.values())) for key in check["sample"])
    with ui.element("div").classes("fault").style(f"border-color:{COLOURS.get(state, COLOURS['error'])}"):
        ui.html(f'{mark(state)} <a href="{html.escape(target)}" style="color:#0b6b49;font-weight:600;overflow-wrap:anywhere">{html.escape(label)}</a>', sanitize=False)  # fmt: skip
        if check["message"]:
            ui.label(check["message"]).classes("what")
        if keys:
            ui.label(t("dq_keys", keys=keys)).classes("keys")
        if check["mend"]:
            ui.label(f"→ {check['mend']}").classes("mend")


def _one(workspace: Path, name: str, chosen: str) -> None:
    history = History(shelf().state)
    runs = history.runs(name, 60)
    ui.link(f"← {t('dq_back')}", "/workshop/quality").style("color:#0b6b49")
    with ui.row().classes("items-center").style("gap:16px;margin-bottom:8px"):
        ui.label(name).style("font-size:24px;font-weight:700").props("role=heading aria-level=1")
        if name in _loaded(workspace):
            _button(workspace, [name])
    if not runs:
        ui.label(t("dq_none")).classes("note")
        return
    last = runs[0]
    checks = _seen(name, history.checks(last["id"]))
    if checks is None:
        ui.label(t("dq_denied"))
        return
    facts = f"v{last['version']} · {t('dq_n_rows', n=format(last['rows'], ','))} · {last['at'][:16].replace('T', ' ')} UTC · {last['seconds']:g} s"
    if last["against"] is not None:
        facts += f" · {t('dq_against', n=last['against'])}"
    ui.html(f"{mark(last['state'])} <b>{last['score']:g}</b>", sanitize=False)
    ui.label(facts).classes("note")
    if chosen and any(check["label"] == chosen for check in checks):
        _history(history, name, chosen)
    with ui.element("div").classes("plots").style("margin-top:12px"):
        for word, field, bounds in (("dq_trend", "score", {"high": 100.0}), ("dq_rows_trend", "rows", {})):
            with ui.element("div").classes("panel"):
                ui.label(t(word)).style("font-weight:600")
                if len(runs) > 1:
                    ui.html(trend([float(r[field]) for r in runs[::-1]], [r["at"][:10] for r in runs[::-1]], states=[r["state"] for r in runs[::-1]], **bounds), sanitize=False)  # fmt: skip
                else:
                    ui.label(t("dq_one_more")).classes("note")
    wrong = sorted((check for check in checks if check["status"] != "passed"), key=_rank)
    ui.html(f"<h2>{t('dq_is_broken')}</h2>", sanitize=False)
    with ui.element("div").classes("panel"):
        if not wrong:
            ui.label(t("dq_fine"))
        for check in wrong:
            _fault(name, check, with_table=False)
    _contract(workspace, name)
    with ui.expansion(f"{t('dq_all')} ({len(checks)})").classes("panel").style("margin-top:14px;padding:4px"):
        table(
            [t("dq_check"), t("dq_state"), t("dq_severity"), t("dq_measured"), t("dq_expected"), t("dq_origin")],
            [
                [c["label"], t("dq_broken_word" if c["status"] == "broken" else f"dq_{c['status']}"), t(f"dq_{c['severity']}"), "–" if c["value"] is None else f"{c['value']:.4g}", c["expected"], c["origin"]]
                for c in checks
            ],
            link=f"/workshop/quality/{quote(name, safe='')}?check=",
        )  # fmt: skip
    _alerts(history, name)


def _history(history: History, name: str, label: str) -> None:
    points = _seen(name, history.trend(name, label)) or []
    ui.html(f"<h2>{t('dq_history')}</h2>", sanitize=False)
    with ui.element("div").classes("panel"):
        ui.label(label).style("font-weight:600;overflow-wrap:anywhere")
        values = [float(p["value"]) if p["value"] is not None else float(p["broken"]) for p in points]
        if len(values) > 1:
            ui.html(trend(values, [f"v{p['version']} {p['at'][:10]}" for p in points], states=[p["severity"] if p["status"] == "broken" else p["status"] for p in points], width=760, height=170), sanitize=False).style("max-width:760px")  # fmt: skip
        rows = [[f"v{p['version']}", p["at"][:16].replace("T", " "), t("dq_broken_word" if p["status"] == "broken" else f"dq_{p['status']}"), f"{v:.4g}", p["expected"]] for p, v in list(zip(points, values, strict=True))[::-1][:20]]  # fmt: skip
        table([t("version"), t("dq_when"), t("dq_state"), t("dq_measured"), t("dq_expected")], rows)


def _contract(workspace: Path, name: str) -> None:
    from wares.data.contract import contract_for

    try:
        found = contract_for(name, workspace)
    except (WaresError, FileNotFoundError):
        return
    ui.html(f"<h2>{t('dq_contract')}</h2>", sanitize=False)
    with ui.element("div").classes("panel"):
        ui.label(f"{t('dq_owner')}: {found.owner or '–'} · {t('version').lower()} {found.version} ({found.hash[:8]})").classes("note")  # fmt: skip
        ui.label(f"{t('dq_purpose')}: {found.purpose or found.description or '–'}").classes("note")


def _alerts(history: History, name: str | None) -> None:
    rows = [row for row in history.alerts(name, 20) if _alert_seen(row)]
    ui.html(f"<h2>{t('dq_alerts')}</h2>", sanitize=False)
    with ui.element("div").classes("panel"):
        if not rows:
            ui.label(t("dq_no_alerts")).classes("note")
            return
        table(
            [t("dq_check"), t("dq_event"), t("dq_severity"), t("dq_when"), t("dq_sent")],
            [
                [f"{r['asset']} · {r['label']}", t("dq_broken_word" if r["event"] == "broken" else "dq_mended"), t(f"dq_{r['severity']}"), r["at"][:16].replace("T", " "), r["sent"].replace('"', "").strip("{}")]
                for r in rows
            ],
        )  # fmt: skip
