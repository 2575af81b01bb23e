"""The quarantine page: rows that were set aside, by table and rule; mend a row and release it, or discard it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nicegui import app, run, ui

from wares.console import roles
from wares.console.frame import SECTIONS, frame, said, t, table
from wares.console.words import add_words
from wares.core.errors import WaresError
from wares.data.contract import contract_for
from wares.data.privacy.tags import tags_of
from wares.data.quality.release import discard, entries, open_counts, release

PAGE = 40
WORDS: dict[str, tuple[str, str]] = {
    "qt": ("Quarantine", "隔离区"),
    "qt_empty": ("Nothing is in quarantine. Rows that break a rule at the next load come here.", "隔离区为空。下次载入时违反规则的行会出现在这里。"),
    "qt_lead": ("Rows that broke a rule. Mend a row and release it, or discard it; good rows landed long ago.", "违反规则的行。可修正后放行，或丢弃；合格的行早已入库。"),
    "qt_all_tables": ("All tables", "全部表"),
    "qt_all_rules": ("All rules", "全部规则"),
    "qt_table": ("Table", "表"),
    "qt_rule": ("Rule", "规则"),
    "qt_shown": ("{n} of {all} rows", "{all} 行中的 {n} 行"),
    "qt_line": ("{source}, line {line}", "{source}，第 {line} 行"),
    "qt_value": ("Value: {value}", "值：{value}"),
    "qt_hidden": ("personal, not shown", "个人数据，不显示"),
    "qt_mend": ("Mend and release", "修正并放行"),
    "qt_discard": ("Discard", "丢弃"),
    "qt_release": ("Release", "放行"),
    "qt_cancel": ("Cancel", "取消"),
    "qt_by": ("Your name", "您的名字"),
    "qt_released": ("Released into {table}, version {version}", "已放行到 {table}，版本 {version}"),
    "qt_still": ("Still broken: {rule}. {mend}", "仍违反规则：{rule}。{mend}"),
    "qt_discarded": ("Discarded; it stays on record", "已丢弃；记录保留"),
    "qt_sure": ("Discard this row?", "丢弃此行？"),
    "qt_changed_only": ("Only what you change is written. Personal cells are not shown; leave them empty to keep them.", "只写入您修改的内容。个人数据不显示；留空则保持不变。"),
    "qt_denied": ("Whole rows are for the owner's role (choose it above); here are their numbers.", "完整数据行仅限所有者（owner）角色查看，可在上方切换；以下为数量。"),
    "qt_done": ("Released or discarded", "已放行或已丢弃"),
    "qt_released_word": ("released", "已放行"),
    "qt_discarded_word": ("discarded", "已丢弃"),
}  # fmt: skip
STYLE = """
.aside{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(330px,100%),1fr));gap:10px;width:100%;margin:6px 0 12px}
.set-aside{border:1px solid var(--line);border-radius:10px;background:#fff;padding:12px 14px;display:flex;flex-direction:column}
.set-aside .why{font-weight:600;overflow-wrap:anywhere}.set-aside .note{overflow-wrap:anywhere}
.set-aside .acts{display:flex;gap:8px;flex-wrap:wrap;margin-top:auto;padding-top:8px}.set-aside .q-btn{min-height:36px}
"""


def register(workspace: Path) -> None:
    """Put the page onto the application."""
    add_words(WORDS)
    if ("qt", "/workshop/quarantine") not in SECTIONS:
        SECTIONS.append(("qt", "/workshop/quarantine"))

    @ui.page("/workshop/quarantine")
    def page(table: str = "", rule: str = "") -> None:
        with frame("workshop"):
            ui.add_head_html(f"<style>{STYLE}</style>")
            _Page(workspace, table, rule).build()


def _shown(value: str | None) -> str:
    return "–" if value in (None, "", "None") else str(value)[:120]


class _Page:
    """One visitor's look at the quarantine."""

    def __init__(self, workspace: Path, table: str, rule: str) -> None:
        from wares.pipeline.workspace import open_workspace

        self.shop = open_workspace(workspace)
        self.table, self.rule, self.limit = table, rule, PAGE
        self.counts = open_counts(self.shop.store, self.shop.state)

    def build(self) -> None:
        """Lay the page out; whole rows are for owners only."""
        ui.html(f"<h1>{t('qt')}</h1>", sanitize=False)
        if hasattr(app.state, "wares_gate"):
            _, role = roles.current()
            if not roles.workspace().door.policy().role(role).is_owner:
                ui.label(t("qt_denied")).classes("note")
                shown = [r for r in self.counts if roles.readable(r["table"])]
                with ui.element("div").classes("panel"):
                    if not shown:
                        ui.label(t("qt_empty"))
                    else:
                        table([t("qt_table"), t("qt_rule"), t("rows")], [[r["table"], r["rule"], f"{r['rows']:,}"] for r in shown])  # fmt: skip
                return
        ui.label(t("qt_lead")).classes("note")
        with ui.row().style("gap:12px;margin:10px 0"):
            tables = sorted({row["table"] for row in self.counts})
            rules = sorted({row["rule"] for row in self.counts})
            for word, first, names, field in (("qt_table", "qt_all_tables", tables, "table"), ("qt_rule", "qt_all_rules", rules, "rule")):  # fmt: skip
                value = getattr(self, field) if getattr(self, field) in names else ""
                box = ui.select({"": t(first), **{n: n for n in names}}, value=value, label=t(word)).props("outlined dense bg-color=white").style("min-width:180px")  # fmt: skip
                box.on_value_change(lambda event, f=field: self._filter(f, event.value or ""))
        self.list = ui.element("div").style("width:100%")
        self.refresh()

    def _filter(self, field: str, value: str) -> None:
        setattr(self, field, value)
        self.limit = PAGE
        self.refresh()

    def refresh(self) -> None:
        """Read and show again."""
        self.counts = open_counts(self.shop.store, self.shop.state)
        total = sum(r["rows"] for r in self.counts if self.table in ("", r["table"]) and self.rule in ("", r["rule"]))  # fmt: skip
        rows = entries(self.shop.store, self.shop.state, self.table or None, self.rule or None, self.limit)
        done = entries(self.shop.store, self.shop.state, self.table or None, self.rule or None, 10, done=True)
        self.list.clear()
        with self.list:
            if not rows:
                ui.label(t("qt_empty"))
            else:
                ui.label(t("qt_shown", n=f"{len(rows):,}", all=f"{total:,}")).classes("note")
            with ui.element("div").classes("aside"):
                for row in rows:
                    self._entry(row)
            if total > len(rows):
                ui.button(t("more"), on_click=self._more).props("outline no-caps color=teal-9")
            if done:
                ui.html(f"<h2>{t('qt_done')}</h2>", sanitize=False)
                with ui.element("div").classes("panel"):
                    for row in done:
                        word = t("qt_released_word" if row["action"] == "released" else "qt_discarded_word")
                        ui.label(f"{row['table']} · {row['rule']} {row['column']} · {t('qt_line', source=row['source'], line=row['line'])}: {word}, {row['by']}, {row['at'][:16].replace('T', ' ')}").classes("note")  # fmt: skip

    def _more(self) -> None:
        self.limit += PAGE
        self.refresh()

    def _hidden(self, table: str, columns: list[str]) -> set[str]:
        tags = tags_of(self.shop.state, table, columns)
        return {name for name, tag in tags.items() if tag.hidden} | set(contract_for(table, self.shop.root).personal)  # fmt: skip

    def _entry(self, row: dict[str, Any]) -> None:
        hidden = bool(row["column"]) and row["column"] in self._hidden(row["table"], [row["column"]])
        with ui.element("div").classes("set-aside"):
            ui.label(f"{row['table']} · {row['rule']} {row['column']}").classes("why")
            ui.label(t("qt_line", source=row["source"], line=row["line"])).classes("note")
            if row["column"]:
                ui.label(t("qt_value", value=t("qt_hidden") if hidden else _shown(row["value"]))).classes("note")  # fmt: skip
            ui.label(f"→ {said(row['mend'])}").classes("note")
            with ui.element("div").classes("acts"):
                ui.button(t("qt_mend"), on_click=lambda r=row: self._mend(r)).props("dense no-caps outline color=teal-9 padding='4px 12px'")  # fmt: skip
                ui.button(t("qt_discard"), on_click=lambda r=row: self._discard(r)).props("dense no-caps flat color=grey-8")  # fmt: skip

    def _name(self) -> ui.input:
        box = ui.input(t("qt_by"), value=str(app.storage.user.get("qt_by", ""))).props("outlined dense")
        box.on_value_change(lambda event: app.storage.user.update(qt_by=str(event.value or "")[:100]))
        return box

    def _mend(self, row: dict[str, Any]) -> None:
        try:
            cells = json.loads(row["row"] or "{}")
        except ValueError:
            cells = {}
        cells = cells if isinstance(cells, dict) else {}
        ours = [column.name for column in contract_for(row["table"], self.shop.root).columns]
        names = list(dict.fromkeys([*ours, *cells])) if set(cells) <= set(ours) else [*cells]
        hidden = self._hidden(row["table"], names)
        boxes: dict[str, tuple[ui.input, str]] = {}
        with ui.dialog() as dialog, ui.card().style("width:min(560px,94vw)"):
            ui.label(f"{row['table']} · {row['rule']} {row['column']}").style("font-weight:700")
            ui.label(f"→ {said(row['mend'])}").classes("note")
            ui.label(t("qt_changed_only")).classes("note")
            for name in names:
                old = "" if name in hidden or cells.get(name) is None else str(cells[name])
                box = ui.input(name, value=old, placeholder=t("qt_hidden") if name in hidden and cells.get(name) is not None else "").props("outlined dense" + (" bg-color=amber-1" if name == row["column"] else "")).classes("w-full")  # fmt: skip
                boxes[name] = (box, old)
            who = self._name()

            async def press() -> None:
                changes = {
                    n: (box.value or None) for n, (box, old) in boxes.items() if (box.value or "") != old
                }
                try:
                    report = await run.io_bound(
                        release, self.shop, [row["id"]], changes, by=who.value or "console"
                    )
                except WaresError as error:
                    ui.notify(str(error), type="negative", multi_line=True)
                    return
                if report is None:
                    return
                if report.broken:
                    still = report.broken[0]
                    ui.notify(t("qt_still", rule=still["rule"], mend=said(still["mend"])), type="warning", multi_line=True)  # fmt: skip
                    return
                dialog.close()
                ui.notify(t("qt_released", table=row["table"], version=report.versions.get(row["table"])), type="positive")  # fmt: skip
                self.refresh()

            with ui.row():
                ui.button(t("qt_release"), on_click=press).props("no-caps color=teal-9")
                ui.button(t("qt_cancel"), on_click=dialog.close).props("flat no-caps color=grey-8")
        dialog.open()

    def _discard(self, row: dict[str, Any]) -> None:
        with ui.dialog() as dialog, ui.card():
            ui.label(t("qt_sure")).style("font-weight:700")
            who = self._name()

            def press() -> None:
                try:
                    discard(self.shop, [row["id"]], by=who.value or "console")
                except WaresError as error:
                    ui.notify(str(error), type="negative", multi_line=True)
                    return
                dialog.close()
                ui.notify(t("qt_discarded"))
                self.refresh()

            with ui.row():
                ui.button(t("qt_discard"), on_click=press).props("no-caps color=red-9")
                ui.button(t("qt_cancel"), on_click=dialog.close).props("flat no-caps color=grey-8")
        dialog.open()
