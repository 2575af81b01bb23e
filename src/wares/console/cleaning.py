"""The workshop's cleaning page: what each rule changed, with examples, and which columns are worth keeping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nicegui import ui

from wares.console.frame import SECTIONS, frame, shelf, t, table
from wares.console.roles import plain_columns
from wares.console.words import add_words
from wares.core import columns as c
from wares.core.errors import AccessDenied
from wares.core.files import read_json

PATH = "/workshop/cleaning"

add_words(
    {
        "cleaning": ("Cleaning", "清洗"),
        "cleaning_about": (
            "Rules in the contracts make a clean table beside each raw one. Raw values stay where they are.",
            "契约中声明的规则由原始表生成清洗表；原始值保持不变。",
        ),
        "cleaning_none": (
            "Nothing was cleaned yet. Run `wares clean`, or declare rules: docs/cleaning.md.",
            "尚未清洗。请运行 `wares clean`，或在契约中声明规则：docs/cleaning.md。",
        ),
        "cleaning_facts": (
            "{rows} rows, version {source} → clean version {version}, {seconds} s",
            "{rows} 行，版本 {source} → 清洗版本 {version}，{seconds} 秒",
        ),
        "cleaning_column": ("Column", "列"),
        "cleaning_rule": ("Rule", "规则"),
        "cleaning_cells": ("Cells", "单元格"),
        "cleaning_did": ("Did", "作用"),
        "cleaning_changed": ("changed", "已改"),
        "cleaning_filled": ("filled", "新增"),
        "cleaning_flagged": ("flagged", "已标记"),
        "cleaning_example": ("For example", "示例"),
        "cleaning_denied": (
            "Your role may not see the cleaned tables. Choose another above.",
            "当前角色无权查看清洗表，请在上方切换角色。",
        ),
        "cleaning_personal": ("personal: not shown", "个人信息，不显示"),
        "cleaning_quiet": ("Rules that found nothing to do: {names}", "无需改动的规则：{names}"),
        "cleaning_waiting": ("Categories that wait for a person", "等待人工确认的类目"),
        "cleaning_from": ("Category", "类目"),
        "cleaning_to": ("Proposed", "建议"),
        "cleaning_score": ("Score", "得分"),
        "cleaning_choice": ("Columns worth keeping", "值得保留的列"),
        "cleaning_choice_about": (
            "Bits of what is bought together and next that a column holds. Leak: how well it tells which unsold products will sell; near 1 it knows the future.",
            "该列包含多少关于同购与续购的信息（比特）。泄漏：能否预知未售商品将会售出；接近 1 表示来自未来。",
        ),
        "cleaning_choice_none": (
            "Run `wares evaluate columns` to rank them.",
            "运行 `wares evaluate columns` 进行排序。",
        ),
        "cleaning_together": ("Together", "同购"),
        "cleaning_next": ("Next", "续购"),
        "cleaning_missing": ("Missing", "缺失"),
        "cleaning_leak": ("Leak", "泄漏"),
        "cleaning_advice": ("Advice", "建议"),
        "cleaning_keep": ("keep", "保留"),
        "cleaning_drop": ("drop", "舍弃"),
        "cleaning_look": ("look", "检查"),
    }
)
SECTIONS.append(("cleaning", PATH))


def register(workspace: Path) -> None:
    """Put the page onto the application."""

    @ui.page(PATH)
    def cleaning() -> None:
        with frame("workshop"):
            ui.html(f"<h1>{t('cleaning')}</h1>", sanitize=False)
            ui.label(t("cleaning_about")).classes("note")
            found = _reports()
            if not found:
                with ui.element("div").classes("panel"):
                    ui.label(t("cleaning_none"))
            for report in found:
                _report(report)
            if found and not any(_columns(report["table"]) is not None for report in found):
                ui.label(t("cleaning_denied")).classes("note")
            _choice(workspace / "evaluations" / f"columns-{c.PRODUCTS}.json")


def _reports() -> list[dict[str, Any]]:
    """The cleaning report of the newest version of each clean table."""
    found = []
    for name in c.TABLES:
        versions = shelf().state.versions(c.clean_name(name))
        if versions and "cleaning" in versions[0]["quality"]:
            found.append(versions[0]["quality"]["cleaning"])
    return found


def _columns(table_name: str) -> dict[str, str] | None:
    """Columns that exist for the visitor's role, with their masks; None when it has no such table."""
    try:
        return plain_columns(table_name) or {}
    except AccessDenied:
        return None


def _report(report: dict[str, Any]) -> None:
    seen = _columns(report["table"])
    if seen is None:
        return
    ui.label(report["table"]).style("font-size:18px;font-weight:700;margin-top:14px").props(
        "role=heading aria-level=2"
    )
    with ui.element("div").classes("panel"):
        facts = {
            "source": report["source_version"],
            "version": report["version"],
            "seconds": f"{report['seconds']:.1f}",
        }
        ui.label(t("cleaning_facts", rows=f"{report['rows']:,}", **facts)).classes("note")
        # An example is a value, so a masked column shows none, and a denied one does not exist.
        changes = [
            change if seen[change["column"]] == "visible" else {**change, "withheld": True}
            for change in report["changes"]
            if change["column"] in seen
        ]
        busy = [change for change in changes if change["cells"]]
        rows = [
            [
                change["column"],
                change["rule"],
                t(f"cleaning_{change['does']}"),
                f"{change['cells']:,}",
                _example(change),
            ]
            for change in sorted(busy, key=lambda ch: -ch["cells"])
        ]
        if rows:
            heads = ("column", "rule", "did", "cells", "example")
            grid = table([t(f"cleaning_{head}") for head in heads], rows)
            grid.columns[4]["align"] = "left"
            grid.update()
        quiet = [f"{change['column']}: {change['rule']}" for change in changes if not change["cells"]]
        if quiet:
            ui.label(t("cleaning_quiet", names=", ".join(quiet))).classes("note")
        for warning in report["warnings"]:
            ui.label(f"⚠ {warning}").style("color:#8a4b00")
        shown = seen.get(c.CATEGORY) == "visible"
        waiting = [p for p in report["proposals"] if shown and not p["applied"]][:30]
        if waiting:
            ui.label(t("cleaning_waiting")).style("font-weight:700;margin-top:10px")
            rows = [[p["from"], p["to"], f"{p['score']:.2f}", f"{p['rows']:,}"] for p in waiting]
            table([t("cleaning_from"), t("cleaning_to"), t("cleaning_score"), t("rows")], rows)


def _example(change: dict[str, Any]) -> str:
    if change.get("withheld"):
        return t("cleaning_personal")
    sample = change["samples"][0] if change["samples"] else None
    if sample is None:
        return ""
    before, after = (
        value if len(value) <= 60 else value[:60] + "…" for value in (sample["before"], sample["after"])
    )
    return f"{before.replace(' ', '·') if before.split() != before.split(' ') else before} → {after}"


def _choice(path: Path) -> None:
    ui.label(t("cleaning_choice")).style("font-size:18px;font-weight:700;margin-top:18px").props(
        "role=heading aria-level=2"
    )
    with ui.element("div").classes("panel"):
        if not path.is_file():
            ui.label(t("cleaning_choice_none"))
            return
        ui.label(t("cleaning_choice_about")).classes("note")
        heads = ("column", "advice", "together", "next", "missing", "leak")
        rows = [
            [
                row["column"], t(f"cleaning_{row['advice']}"), f"{row['together']:.3f}", f"{row['following']:.3f}", f"{row['missing']:.0%}",
                "–" if row["leak"] is None else f"{row['leak']:.2f}",
            ]
            for row in read_json(path)["columns"]
        ]  # fmt: skip
        table([t(f"cleaning_{head}") for head in heads], rows)
