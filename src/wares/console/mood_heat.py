"""The workshop's aspect heat map: categories or products by aspects, coloured by mood, paler where few texts say so."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

import numpy as np
from nicegui import ui

from wares.console.frame import frame, language, shelf, t
from wares.console.mood_drawing import colour
from wares.console.moods import PATH, moods_here, tabs
from wares.console.words import add_words
from wares.models.sentiment.mood_words import aspect_name
from wares.models.sentiment.moods import Moods

ROWS, COLUMNS = 25, 14
CLEAR = 8.0
"""Opinions from which a cell has its full colour."""

add_words(
    {
        "heat_about": (
            "Red: complaints, green: praise, from -1 to +1; pale: few opinions, so the mood is mostly what is usual. The small number counts opinions. The most spoken of stand first.",
            "红色为差评，绿色为好评，从 -1 到 +1；颜色浅表示意见少，情绪接近通常水平。小号数字为意见数，讨论最多的排在前面。",
        ),
        "heat_categories": ("Categories", "类目"),
        "heat_products": ("Products", "商品"),
        "heat_none": ("No opinion about an aspect was found.", "没有找到针对方面的评价。"),
        "heat_uncategorised": ("without a category", "无类目"),
    }
)
STYLE = """
.heat{border-collapse:separate;border-spacing:3px;font-size:13px}.heat th{font-weight:600;color:var(--soft);text-align:left;vertical-align:bottom;padding:2px 6px}
.heat th.a{text-align:center;line-height:1.15;font-size:12px;vertical-align:bottom}.heat th.r{min-width:150px;max-width:240px;position:sticky;left:0;background:#fff;z-index:1;overflow-wrap:anywhere;vertical-align:middle}
.heat th.r a{color:var(--ink);text-decoration:none}.heat td{min-width:62px;text-align:center;border-radius:6px;padding:6px 4px;color:#1d2733}.heat td small{display:block;font-size:11px;color:#3d4854}
@media(max-width:760px){.heat th.r{min-width:104px;max-width:120px}.heat td{min-width:54px}}
"""


def register() -> None:
    """Put the page onto the application."""

    @ui.page(f"{PATH}/aspects")
    def heat() -> None:
        ui.add_head_html(f"<style>{STYLE}</style>")
        with frame("workshop"):
            tabs("moods_heat")
            moods = moods_here()
            if moods is None:
                return
            if not len(moods.aspects) or not moods.aspect_volume.sum():
                with ui.element("div").classes("panel"):
                    ui.label(t("heat_none"))
                return
            ui.label(t("heat_about")).classes("note").style("margin-bottom:8px")
            several = len(np.flatnonzero(moods.category_aspect_volume.sum(1))) > 1
            shown = {"of": "categories" if several else "products"}

            @ui.refreshable
            def view() -> None:
                with ui.element("div").classes("panel"):
                    ui.html(table(moods, shown["of"]), sanitize=False)

            def switch(of: str) -> None:
                shown["of"] = of
                view.refresh()

            ui.toggle(
                {"categories": t("heat_categories"), "products": t("heat_products")}, value=shown["of"], on_change=lambda event: switch(str(event.value))
            ).props("no-caps dense unelevated padding='4px 14px' toggle-color=primary").style("margin-bottom:8px")  # fmt: skip
            view()


def table(moods: Moods, of: str) -> str:
    """The map as a table, of `categories` or `products`."""
    volume, mood = (
        (moods.category_aspect_volume, moods.category_aspect_mood)
        if of == "categories"
        else (moods.aspect_volume, moods.aspect_mood)
    )
    spoken = np.asarray(volume).sum(1)
    rows = [int(row) for row in np.argsort(-spoken, kind="stable")[:ROWS] if spoken[row] > 0]
    total = np.asarray(volume).sum(0)
    columns = [int(a) for a in np.argsort(-total, kind="stable")[:COLUMNS] if total[a] > 0]
    head = "".join(
        f'<th class="a" scope="col">{escape(aspect_name(moods.aspects[a], language()))}</th>' for a in columns
    )
    body = ""
    for row in rows:
        cells = "".join(_cell(float(mood[row, a]), float(volume[row, a])) for a in columns)
        body += f'<tr><th class="r" scope="row">{_name(moods, of, row)}</th>{cells}</tr>'
    return f'<table class="heat"><tr><th class="r"></th>{head}</tr>{body}</table>'


def _cell(mood: float, volume: float) -> str:
    if not volume:
        return '<td style="background:#fafbfb"></td>'
    weight = min(volume / CLEAR, 1.0)
    return f'<td style="background:{colour(mood * (0.25 + 0.75 * weight))}">{mood:+.2f}<small>{volume:.0f}</small></td>'


def _name(moods: Moods, of: str, row: int) -> str:
    if of == "categories":
        return escape(str(moods.names["category"][row]) or t("heat_uncategorised"))
    one = shelf().ranker.catalogue.product(row)
    return (
        f'<a href="{PATH}/product/{quote(one.product_id, safe="")}">{escape(one.title or one.product_id)}</a>'
    )
