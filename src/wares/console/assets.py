"""The registry in the console: search, and a page for each asset."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from nicegui import run, ui

from wares.console.frame import SECTIONS, frame, t, table
from wares.console.lineage import kind_word, kinds_of, near, words_of
from wares.console.quality import STYLE as QUALITY_STYLE
from wares.console.quality import mark
from wares.console.roles import current, plain_columns, readable, sample, workspace
from wares.console.words import add_words
from wares.core import columns as c
from wares.core.errors import WaresError
from wares.core.registry import Asset, Version

add_words(
    {
        "asset_registry": ("Assets", "资产"),
        "asset_registry_hint": ("Name, description, column, tag or owner", "名称、说明、列、标签或负责人"),
        "asset_name": ("Asset", "资产"),
        "asset_kind": ("Kind", "类型"),
        "asset_all_kinds": ("All kinds", "全部类型"),
        "asset_what_it_is": ("What it is", "说明"),
        "asset_owner": ("Owner", "负责人"),
        "asset_tags": ("Tags", "标签"),
        "asset_no_assets": ("Nothing fits. Try fewer or shorter words.", "没有匹配项，请减少或缩短关键词。"),
        "asset_columns": ("Columns", "列"),
        "asset_column": ("Column", "列"),
        "asset_type": ("Type", "数据类型"),
        "asset_meaning": ("Meaning", "含义"),
        "asset_facts_title": ("Facts", "属性"),
        "asset_fact": ("Fact", "属性"),
        "asset_value": ("Value", "值"),
        "asset_sample": ("Some rows, as your role may see them", "数据样例（按当前角色）"),
        "asset_made_from": ("Made from", "来源"),
        "asset_used_by": ("Used by", "使用者"),
        "asset_drift": ("What changed between two versions", "版本差异"),
        "asset_compare": ("Compare", "比较"),
        "asset_older": ("Older", "旧版本"),
        "asset_newer": ("Newer", "新版本"),
        "asset_one_version": ("There is only one version yet.", "目前只有一个版本。"),
        "asset_as_role": ("For your role", "当前角色"),
        "asset_all_good": ("No row of the last load broke a rule.", "最近一次载入没有违反规则的行。"),
        "asset_quality_all": ("All checks and their history", "全部检查与历史"),
        "asset_clean_of": (
            "{name} after the cleaning rules of its contract; raw values beside.",
            "{name} 按契约清洗后的表，附原始值。",
        ),
        "asset_added": ("added", "新增"),
        "asset_removed": ("removed", "删除"),
        "asset_cells": ("Changed cells", "变更单元格"),
        "asset_empty_share": ("Empty", "空值"),
        "asset_distinct": ("Distinct", "不同值"),
        "asset_state": ("State", "状态"),
        "asset_erased": ("erased", "已清除"),
        "asset_by": ("By", "操作"),
        "asset_no_rows_for_role": (
            "Your role may not read single rows of this table.",
            "当前角色不能读取该表的明细行。",
        ),
        "asset_unknown_asset": ("There is no such asset.", "没有这个资产。"),
        "asset_close_names": ("Did you mean", "您是不是要找"),
    }
)


def register() -> None:
    """Put the pages onto the application."""
    SECTIONS.append(("asset_registry", "/workshop/assets"))

    @ui.page("/workshop/assets")
    def assets(q: str = "", kind: str = "") -> None:
        with frame("workshop"):
            ui.html(f"<h1>{t('asset_registry')}</h1>", sanitize=False)
            _search(q[:200], kind)

    @ui.page("/workshop/asset/{name}")
    def asset(name: str) -> None:
        ui.add_head_html(f"<style>{QUALITY_STYLE}</style>")
        with frame("workshop"):
            _asset(name)


def _age(at: str) -> str:
    hours = (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds() / 3600
    return t("hours", n=int(hours)) if hours < 48 else t("days", n=int(hours / 24))


def _search(query: str, kind: str) -> None:
    registry = workspace().assets.registry
    kinds = sorted({a.kind for a in registry.all()})
    with ui.element("div").style("display:flex;gap:12px;flex-wrap:wrap;width:100%;margin:10px 0"):
        words = (
            ui.input(value=query, placeholder=t("asset_registry_hint"))
            .props("dense outlined clearable type=search")
            .style("flex:1 1 260px")
        )
        chosen = ui.select(
            {"": t("asset_all_kinds"), **{k: kind_word(k) for k in kinds}},
            value=kind if kind in kinds else "",
        ).props("dense outlined")
    place = ui.element("div").classes("panel")

    def show() -> None:
        place.clear()
        newest = registry.newest()
        found = [a for a in registry.search((words.value or "")[:200]) if chosen.value in ("", a.kind)]
        tags: dict[str, list[str]] = {}
        for tag in registry.tags():
            tags.setdefault(tag["asset"], []).append(tag["tag"])
        with place:
            if not found:
                ui.label(t("asset_no_assets"))
                return
            table(
                [
                    t("asset_name"),
                    t("asset_kind"),
                    t("asset_what_it_is"),
                    t("version"),
                    t("rows"),
                    t("age"),
                    t("asset_tags"),
                ],
                [_row(a, newest.get(a.name), tags.get(a.name, [])) for a in found],
                link="/workshop/asset/",
            )

    words.on("update:model-value", show, throttle=0.3, leading_events=False)
    chosen.on_value_change(show)
    show()


def _description(asset: Asset) -> str:
    if not asset.description and asset.name.endswith(c.clean_name("")):
        return t("asset_clean_of", name=asset.name.removesuffix(c.clean_name("")))
    return asset.description


def _row(asset: Asset, version: Version | None, tags: list[str]) -> list[Any]:
    if version is None:
        return [
            asset.name,
            kind_word(asset.kind),
            _description(asset),
            "–",
            "–",
            "–",
            ", ".join(sorted(set(tags))),
        ]
    rows = "–" if version.rows is None else f"{version.rows:,}"
    return [
        asset.name,
        kind_word(asset.kind),
        _description(asset),
        version.version,
        rows,
        _age(version.at),
        ", ".join(sorted(set(tags))),
    ]


def _asset(name: str) -> None:
    shop = workspace()
    registry = shop.assets.registry
    try:
        asset = registry.get(name)
    except WaresError as error:
        ui.label(t("asset_unknown_asset")).props("role=heading aria-level=1").style(
            "font-size:24px;font-weight:700"
        )
        ui.link(f"← {t('asset_registry')}", "/workshop/assets").style("color:#0b6b49")
        close = [n for n in str(error.fields.get("near", "")).split(", ") if n]
        if close:
            with ui.row():
                ui.label(t("asset_close_names"))
                for other in close:
                    ui.link(other, f"/workshop/asset/{other}")
        return
    versions = registry.versions(name)
    ui.label(name).style("font-size:24px;font-weight:700;overflow-wrap:anywhere").props(
        "role=heading aria-level=1"
    )
    said = [kind_word(asset.kind), f"{t('asset_owner')}: {asset.owner}" if asset.owner else ""]
    ui.label(" · ".join(part for part in said if part)).classes("note")
    ui.label(_description(asset))
    _tags(name)
    _lineage(name)
    if shop.store.exists(name):
        _sample(name)
    _columns(asset)
    if asset.facts:
        ui.html(f"<h2>{t('asset_facts_title')}</h2>", sanitize=False)
        with ui.element("div").classes("panel"):
            table([t("asset_fact"), t("asset_value")], [[k, _short(v)] for k, v in asset.facts.items()])
    _quality(name)
    _versions(name, versions)
    if shop.store.exists(name) and readable(name):
        _drift(name, versions)


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k}: {v:.4f}" if isinstance(v, float) else f"{k}: {v}" for k, v in value.items())[
            :400
        ]
    return str(value)[:400]


def _tags(name: str) -> None:
    marks = workspace().assets.registry.tags(name)
    if not marks:
        return
    with ui.element("div").style("display:flex;gap:6px;flex-wrap:wrap;margin:6px 0"):
        for mark in marks:
            where = (
                f" · {mark['column']}"
                if mark["column"]
                else f" · v{mark['version']}"
                if mark["version"] is not None
                else ""
            )
            ui.badge(mark["tag"] + where).props("color=teal-8")


def _lineage(name: str) -> None:
    from wares.console.drawing import draw

    graph, pairs = near(name)
    ui.html(f"<h2>{t('lineage')}</h2>", sanitize=False)
    with ui.element("div").classes("panel"):
        if not pairs:
            ui.label("–")
            return
        kinds = kinds_of({n for pair in pairs for n in pair} | {name})
        ui.html(draw(kinds, pairs, name, words_of(kinds)), sanitize=False)
        consumers = [n for n in graph.down(name).assets if n != name]
        ui.label(f"{t('asset_used_by')}: {', '.join(consumers) or '–'}").classes("note").style(
            "overflow-wrap:anywhere"
        )
        ui.link(t("lineage_whole"), f"/workshop/lineage?what={name}").style("color:#0b6b49;font-weight:600")


def _sample(name: str) -> None:
    ui.html(f"<h2>{t('asset_sample')}</h2>", sanitize=False)
    who, role = current()
    with ui.element("div").classes("panel"):
        try:
            rows = sample(workspace(), name, role, who, limit=8)
        except WaresError as error:
            ui.label(t("asset_no_rows_for_role"))
            ui.label(error.message).classes("note")
            return
        if not rows:
            ui.label("–")
            return
        names = list(rows[0])
        table(names, [[_cell(row[n]) for n in names] for row in rows])


def _cell(value: Any) -> str:
    """A cell as a person writes it: no needless zeros, times to the second."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bool):
        return "✓" if value else "✗"
    return str(value)[:60]


def _columns(asset: Asset) -> None:
    if not asset.columns or not readable(asset.name):
        return
    seen = plain_columns(asset.name)
    columns = [col for col in asset.columns if seen is None or col["name"] in seen]
    marks: dict[str, list[str]] = {}
    for tag in workspace().assets.registry.tags(asset.name):
        if tag["column"]:
            marks.setdefault(tag["column"], []).append(tag["tag"])
    ui.html(f"<h2>{t('asset_columns')}</h2>", sanitize=False)
    with ui.element("div").classes("panel"):
        table(
            [t("asset_column"), t("asset_type"), t("asset_meaning"), t("asset_as_role"), t("asset_tags")],
            [
                [
                    col["name"],
                    col["type"],
                    col["description"],
                    _how(seen, col["name"]),
                    ", ".join(marks.get(col["name"], [])),
                ]
                for col in columns
            ],
        )


def _how(seen: dict[str, str] | None, column: str) -> str:
    mask = "visible" if seen is None else seen.get(column, "")
    return "✓" if mask == "visible" else mask


def _quality(name: str) -> None:
    if not readable(name):
        return
    _score(name)
    recorded = workspace().state.versions(name)
    if not recorded or not recorded[0]["quality"].get("read"):
        return
    ui.html(f"<h2>{t('rules')}</h2>", sanitize=False)
    with ui.element("div").classes("panel"):
        rules = recorded[0]["quality"].get("rules") or {}
        if rules:
            table([t("rules"), t("rows")], [[rule, f"{count:,}"] for rule, count in rules.items()])
        else:
            ui.label(t("asset_all_good"))


def _score(name: str) -> None:
    """The newest check of a table, with the way to all of them."""
    from wares.data.quality.history import History

    last = History(workspace().state).latest().get(name)
    if name not in c.TABLES:
        return
    ui.html(f"<h2>{t('dq')}</h2>", sanitize=False)
    with ui.element("div").classes("panel"):
        if last is None:
            ui.label(t("dq_none"))
        else:
            ui.html(
                f'{mark(last["state"])} <b style="font-size:20px;margin-left:6px">{last["score"]:g}</b>',
                sanitize=False,
            )
            ui.label(f"v{last['version']} · {last['at'][:16].replace('T', ' ')} UTC").classes("note")
        ui.link(t("asset_quality_all"), f"/workshop/quality/{name}").style("color:#0b6b49;font-weight:600")


def _versions(name: str, versions: list[Version]) -> None:
    marks = {
        m["version"]: m["tag"] for m in workspace().assets.registry.tags(name) if m["version"] is not None
    }
    ui.html(f"<h2>{t('history')}</h2>", sanitize=False)

    def number(value: Any) -> str:
        return "–" if value is None else f"{value:,}"

    with ui.element("div").classes("panel"):
        table(
            [t("version"), t("loaded"), t("asset_by"), t("rows"), t("new_rows"), t("changed"), t("source"), t("asset_tags"), t("asset_state")],
            [
                [
                    v.version, v.at[:19].replace("T", " "), v.action, number(v.rows), number(v.facts.get("added")), number(v.facts.get("changed")),
                    str(v.facts.get("source", v.hash)), marks.get(v.version, ""), t("asset_erased") if v.erased else "",
                ]
                for v in versions[:50]
            ],
        )  # fmt: skip


def _drift(name: str, versions: list[Version]) -> None:
    ui.html(f"<h2>{t('asset_drift')}</h2>", sanitize=False)
    there = [v.version for v in versions if not v.erased]
    with ui.element("div").classes("panel"):
        if len(there) < 2:
            ui.label(t("asset_one_version"))
            return
        with ui.element("div").style("display:flex;gap:12px;flex-wrap:wrap;align-items:center"):
            older = (
                ui.select(there, value=there[1], label=t("asset_older"))
                .props("dense outlined")
                .classes("w-28")
            )
            newer = (
                ui.select(there, value=there[0], label=t("asset_newer"))
                .props("dense outlined")
                .classes("w-28")
            )
            button = ui.button(t("asset_compare")).props("no-caps unelevated color=teal-9")
        place = ui.element("div").style("width:100%")

        async def compare() -> None:
            button.disable()
            try:
                found = await run.io_bound(workspace().assets.diff, name, older.value, newer.value)
            except WaresError as error:
                place.clear()
                with place:
                    ui.label(str(error))
                return
            finally:
                button.enable()
            place.clear()
            with place:
                _difference(found)

        button.on_click(compare)


def _difference(found: Any) -> None:
    # Statistics of a masked column are values of it.
    seen = plain_columns(found.asset)
    shifts = [s for s in found.shifts if seen is None or seen.get(s.column) == "visible"]
    if found.added is not None:
        ui.label(
            f"{found.added:,} {t('asset_added')} · {found.removed:,} {t('asset_removed')} · {found.changed:,} {t('changed')}"
        ).style("margin:10px 0")
    table(
        [t("asset_column"), t("asset_cells"), "PSI", "KS", t("asset_empty_share"), t("asset_distinct")],
        [
            [
                s.column, f"{found.changed_cells.get(s.column, 0):,}", "–" if s.psi is None else f"{s.psi:.3f}", "–" if s.ks is None else f"{s.ks:.3f}",
                f"{s.nulls[0]:.1%} → {s.nulls[1]:.1%}", f"{s.distinct[0]:,} → {s.distinct[1]:,}",
            ]
            for s in shifts
        ],
    )  # fmt: skip
