"""The workshop's page of merchandising rules: put one down, see which count today, take one away, and who did what."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any

from nicegui import ui

from wares.console.frame import SECTIONS, frame, said, t, table
from wares.console.roles import current, may_change, workspace
from wares.console.words import add_words
from wares.core.errors import QueryError, WaresError
from wares.core.search_rules import (
    ACTIONS,
    BAN,
    BOOST,
    BURY,
    CONTAINS,
    EXACT,
    PIN,
    TARGETS,
    Rule,
    RuleBook,
    parse_day,
)

PATH = "/workshop/rules"
CHANGES = 50

add_words(
    {
        "search_rules": ("Search rules", "搜索规则"),
        "search_rules_about": (
            "Rules count at once, without a build, or between two days (UTC, both included). A ban is stronger than a pin.",
            "规则立即生效，无需重新构建；也可限定起止日期（UTC，含首尾）。屏蔽优先于置顶。",
        ),
        "search_rules_keepers": (
            "Rules are made by the roles owner and steward; choose one of them above.",
            "规则由所有者（owner）或管理员（steward）维护，请在上方切换角色。",
        ),
        "search_rules_new": ("A new rule", "新规则"),
        "search_rules_action": ("What to do", "操作"),
        "search_rules_target": ("With what", "对象"),
        "search_rules_value": ("Product id, brand, category or word", "商品编号、品牌、类目或词"),
        "search_rules_query": ("For the query (all when empty)", "搜索词（空为全部）"),
        "search_rules_contains": ("Also within longer queries", "也匹配更长的搜索词"),
        "search_rules_category": ("Only within the category", "限定类目"),
        "search_rules_amount": ("Place or factor", "位置或倍数"),
        "search_rules_from": ("From (2026-11-27)", "开始（2026-11-27）"),
        "search_rules_until": ("Until", "结束"),
        "search_rules_note": ("Why", "原因"),
        "search_rules_add": ("Add the rule", "添加规则"),
        "search_rules_remove": ("Remove", "删除"),
        "search_rules_added": ("Rule {n} is added", "已添加规则 {n}"),
        "search_rules_removed": ("Rule {n} is removed", "已删除规则 {n}"),
        "search_rules_none": ("There are no rules yet.", "暂无规则。"),
        "search_rules_standing": ("Rules", "规则"),
        "search_rules_history": ("Who did what", "变更记录"),
        "search_rules_active": ("active", "生效中"),
        "search_rules_waiting": ("waiting", "未开始"),
        "search_rules_over": ("over", "已结束"),
        "search_rules_pin": ("pin", "置顶"),
        "search_rules_bury": ("bury", "下沉"),
        "search_rules_boost": ("boost", "加权"),
        "search_rules_ban": ("ban", "屏蔽"),
        "search_rules_product": ("product", "商品"),
        "search_rules_brand": ("brand", "品牌"),
        "search_rules_in_category": ("category", "类目"),
        "search_rules_word": ("word", "词"),
        "search_rules_for": ("for “{query}”", "搜索“{query}”时"),
        "search_rules_for_in": ("for queries with “{query}”", "搜索含“{query}”时"),
        "search_rules_within": ("in {category}", "类目 {category} 内"),
        "search_rules_to_place": ("to place {n}", "至第 {n} 位"),
        "search_rules_by_factor": ("by {n}", "× {n}"),
        "search_rules_since": ("from {day}", "自 {day}"),
        "search_rules_till": ("until {day}", "至 {day}"),
        "search_rules_added_event": ("added", "添加"),
        "search_rules_removed_event": ("removed", "删除"),
        "search_rules_when": ("When (UTC)", "时间 (UTC)"),
        "search_rules_who": ("Who", "操作者"),
        "search_rules_what": ("What", "内容"),
        "search_rules_event": ("Change", "变更"),
    }
)  # fmt: skip
SECTIONS.append(("search_rules", PATH))

STYLE = """
.ru{background:#fff;border:1px solid var(--line);border-radius:10px;padding:10px 16px;width:100%;margin-bottom:8px;display:grid;grid-template-columns:90px 1fr auto;gap:4px 14px;align-items:center}
.ru .state{font-size:13px;font-weight:600;color:var(--soft)}.ru .state.active{color:var(--good)}.ru .what{overflow-wrap:anywhere}.ru .sub{font-size:13px;color:var(--soft);overflow-wrap:anywhere}
.ru-form{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:8px 12px;width:100%}
@media(max-width:760px){.ru{grid-template-columns:1fr auto;padding:10px 12px}.ru .what{grid-column:1/-1;grid-row:2}}
"""
_TARGET = {"category": "search_rules_in_category"}


def words_of(rule: Rule) -> str:
    """What a rule says, in the visitor's language."""
    parts = [
        t(f"search_rules_{rule.action}"),
        t(_TARGET.get(rule.target, f"search_rules_{rule.target}")),
        rule.value,
    ]
    if rule.action == PIN:
        parts.append(t("search_rules_to_place", n=int(rule.amount)))
    if rule.action == BOOST:
        parts.append(t("search_rules_by_factor", n=f"{rule.amount:g}"))
    if rule.query:
        parts.append(
            t("search_rules_for" if rule.match == EXACT else "search_rules_for_in", query=rule.query)
        )
    if rule.category:
        parts.append(t("search_rules_within", category=rule.category))
    if rule.starts:
        parts.append(t("search_rules_since", day=rule.starts))
    if rule.ends:
        parts.append(t("search_rules_till", day=rule.ends))
    return " ".join(parts)


def register() -> None:
    """Put the page onto the application."""

    @ui.page(PATH)
    def rules(query: str = "") -> None:
        ui.add_head_html(f"<style>{STYLE}</style>")
        shop = workspace()
        book = RuleBook(shop.state, shop.audit)
        who, role = current()
        changes = may_change(role)
        with frame("workshop"):
            ui.html(f"<h1>{t('search_rules')}</h1>", sanitize=False)
            ui.label(t("search_rules_about")).classes("note").style("margin:4px 0 12px")
            place = ui.element("div").style("width:100%")

            def show() -> None:
                place.clear()
                with place:
                    _standing(book, shop.clock.now(), remove if changes else None)
                    if changes:
                        _history(book)

            def remove(rule: Rule) -> None:
                _told(lambda: book.remove(rule.id, who, shop.clock.now()), "search_rules_removed", show)

            def add(rule: Rule) -> None:
                _told(lambda: book.add(rule, who, shop.clock.now()), "search_rules_added", show)

            if changes:
                _form(query[:200], add)
            else:
                ui.label(t("search_rules_keepers")).classes("note")
            place.move(target_index=-1)
            show()


def _told(deed: Any, word: str, show: Any) -> None:
    """Do it and say so, or say what is wrong."""
    try:
        rule = deed()
    except WaresError as error:
        ui.notify(f"{said(error.message)}. {said(error.mend)}", type="negative", multi_line=True)
        return
    ui.notify(t(word, n=rule.id), type="positive")
    show()


def _form(query: str, add: Any) -> None:
    with ui.element("div").classes("panel").style("margin-bottom:14px"):
        ui.html(f"<h2 style='margin-top:0'>{t('search_rules_new')}</h2>", sanitize=False)
        with ui.element("div").classes("ru-form"):
            action = ui.select({a: t(f"search_rules_{a}") for a in ACTIONS}, value=PIN, label=t("search_rules_action"))  # fmt: skip
            target = ui.select(
                {name: t(_TARGET.get(name, f"search_rules_{name}")) for name in TARGETS},
                value="product",
                label=t("search_rules_target"),
            )
            value, asked = ui.input(t("search_rules_value")), ui.input(t("search_rules_query"), value=query)
            category, amount = ui.input(t("search_rules_category")), ui.number(t("search_rules_amount"))
            starts, ends = ui.input(t("search_rules_from")), ui.input(t("search_rules_until"))
            note = ui.input(t("search_rules_note"))
            for field in (action, target, value, asked, category, amount, starts, ends, note):
                field.props("dense outlined")
            contains = ui.checkbox(t("search_rules_contains"))

        def press() -> None:
            try:
                rule = Rule(
                    str(action.value), str(target.value), str(value.value or ""), str(asked.value or ""), CONTAINS if contains.value else EXACT,
                    str(category.value or ""), 0.0 if action.value in (BURY, BAN) else float(amount.value or 0), parse_day(str(starts.value or ""), "from"),
                    parse_day(str(ends.value or ""), "until"), str(note.value or ""),
                )  # fmt: skip
            except QueryError as error:
                ui.notify(f"{said(error.message)}. {said(error.mend)}", type="negative", multi_line=True)
                return
            add(rule)

        ui.button(t("search_rules_add"), on_click=press).props("no-caps").style("margin-top:10px")


def _standing(book: RuleBook, now: datetime, remove: Any) -> None:
    found = book.all()
    ui.html(f"<h2>{t('search_rules_standing')}</h2>", sanitize=False)
    if not found:
        ui.label(t("search_rules_none")).classes("note")
    for rule in found[::-1]:
        state = rule.state(now.date())
        with ui.element("section").classes("ru"):
            ui.label(t(f"search_rules_{state}")).classes(f"state {state}")
            beside = " · ".join(filter(None, (f"#{rule.id}", rule.who, rule.created[:10], rule.note)))
            ui.html(
                f'<div class="what">{escape(words_of(rule))}<div class="sub">{escape(beside)}</div></div>',
                sanitize=False,
            )
            if remove is not None:
                ui.button(t("search_rules_remove"), on_click=lambda r=rule: remove(r)).props(
                    "flat dense no-caps"
                )


def _history(book: RuleBook) -> None:
    rows = book.history(CHANGES)
    if not rows:
        return
    ui.html(f"<h2>{t('search_rules_history')}</h2>", sanitize=False)
    with ui.element("div").classes("panel"):
        heads = [t(f"search_rules_{name}") for name in ("when", "event", "what", "who", "note")]
        table(
            heads,
            [[r["at"][:16].replace("T", " "), t(f"search_rules_{r['event']}_event"), f"#{r['rule']} {r['words']}", r["who"], r["note"]] for r in rows],
        )  # fmt: skip
