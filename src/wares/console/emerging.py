"""The workshop's page of what emerges: products that rise against their past and their neighbours; categories that rise."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import quote

from nicegui import ui

from wares.console.frame import SECTIONS, frame, language, shelf, t
from wares.console.roles import in_service
from wares.console.words import add_words
from wares.core import columns as c
from wares.serve.prices import risers_json

PATH = "/workshop/emerging"
SHOWN = 30

add_words(
    {
        "emerging": ("Rising", "上升"),
        "emerging_about": (
            "Demand of the last weeks against what each product's own past lets expect, with the trend of its neighbours taken out. "
            "About {rate} of the list are chance.",
            "将最近几周的需求与商品自身过去（扣除同类走势）所预期的相比。列表中约 {rate} 出于偶然。",
        ),
        "emerging_between": (
            "{recent} to {end} against {past} to {recent}",
            "{recent} 至 {end}，对比 {past} 至 {recent}",
        ),
        "emerging_none": (
            "Nothing rises beyond chance, or there are too few weeks of events to tell.",
            "没有超出偶然的上升，或事件的周数太少。",
        ),
        "emerging_old": (
            "This bundle knows nothing of it: build and publish again.",
            "当前版本不含此内容：请重新构建并发布。",
        ),
        "emerging_denied": (
            "Your role may not see events. Choose another above.",
            "当前角色无权查看事件，请在上方切换角色。",
        ),
        "emerging_categories": ("Categories that rise against the shop", "相对全店上升的类目"),
        "emerging_products": ("Products that rise against their category", "相对同类上升的商品"),
    }
)
SECTIONS.append(("emerging", PATH))

STYLE = """
.em{display:grid;grid-template-columns:90px 1fr;gap:2px 16px;background:#fff;border:1px solid var(--line);border-radius:10px;padding:10px 16px;width:100%;margin-bottom:8px;align-items:center}
.em .by{font-size:22px;font-weight:700;color:var(--good)}.em .name{font-weight:600;color:var(--ink);text-decoration:none;overflow-wrap:anywhere}
.em .sub{font-size:13px;color:var(--soft);line-height:1.45}
@media(max-width:760px){.em{grid-template-columns:60px 1fr;gap:2px 10px;padding:10px 12px}}
"""


def register() -> None:
    """Put the page onto the application."""

    @ui.page(PATH)
    def emerging() -> None:
        ui.add_head_html(f"<style>{STYLE}</style>")
        with frame("workshop"):
            ui.html(f"<h1>{t('emerging')}</h1>", sanitize=False)
            risers = in_service(lambda ranker: ranker.emerging, "emerging", c.EVENTS)
            if risers is None:
                return
            ranker = shelf().ranker
            found = risers_json(risers, ranker.catalogue, SHOWN, "", language())
            ui.label(t("emerging_about", rate=f"{found['false_rate']:.0%}")).classes("note").style(
                "margin:4px 0"
            )
            if not found["products"] and not found["categories"]:
                with ui.element("div").classes("panel"):
                    ui.label(t("emerging_none"))
                return
            # A date does not break at its hyphens.
            past, recent, end = (day.replace("-", "\u2011") for day in found["windows"])
            ui.label(t("emerging_between", past=past, recent=recent, end=end)).classes("note")
            _list("emerging_categories", found["categories"])
            _list("emerging_products", found["products"])


def _list(title: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    ui.html(f"<h2>{escape(t(title))}</h2>", sanitize=False)
    for row in rows:
        with ui.element("section").classes("em"):
            ui.label(f"{row['ratio']:.1f}×").classes("by")
            with ui.element("div"):
                if "product_id" in row:
                    ui.link(row["title"], f"/product/{quote(row['product_id'], safe='')}").classes("name")
                    ui.label(f"{row['product_id']} · {row['category']}").classes("sub")
                else:
                    ui.label(row["category"]).classes("name")
                ui.label(row["why"]).classes("sub")
