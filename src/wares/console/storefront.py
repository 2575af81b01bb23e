"""The storefront: search with facets and suggestions, product pages, and a list for a shopper."""

from __future__ import annotations

from typing import Any

from nicegui import run, ui

from wares.console.alike import Alikeness
from wares.console.expected import expected
from wares.console.frame import cards, frame, language, money, shelf, shopper, t
from wares.console.knowledge import knowledge
from wares.console.search_page import PAGE, Search, block
from wares.core.errors import NotFound
from wares.core.nouns import Hit
from wares.serve.ranker import Ranker

ROW = 5


def _related(ranker: Ranker, relation: str, product_id: str, tongue: str) -> list[Hit]:
    return ranker.services.related(relation, product_id, ROW, tongue)


def _rising(ranker: Ranker, tongue: str) -> list[Hit]:
    """What rises today or, in a shop where little happens in a day, in a week."""
    return ranker.services.trending(ROW, hours=24, language=tongue) or ranker.services.trending(
        ROW, hours=168, language=tongue
    )


def register() -> None:
    """Put the pages onto the application."""

    @ui.page("/")
    async def home() -> None:
        with frame("shop"):
            rising = await run.io_bound(_rising, shelf().ranker, language())
            page = Search()
            page.rising = rising or []
            page.build()
            await ui.context.client.connected()
            # On a telephone the products come first and the filters wait folded.
            width = await ui.run_javascript("window.innerWidth", timeout=10)
            # A visitor who has left by now has no window.
            page.open = width is None or int(width) >= 760
            await page.refresh()

    @ui.page("/for-you")
    async def for_you(user: str = "") -> None:
        with frame("for_you"):
            who = user or shopper()
            ui.html(f"<h1>{t('for_you')}</h1>", sanitize=False)
            if not who:
                ui.label(t("stranger")).classes("note")
            with ui.row().classes("items-center").style("gap:24px;margin:8px 0 14px"):
                with ui.column().style("gap:0;min-width:260px"):
                    ui.label(t("slider")).classes("note")
                    slider = ui.slider(
                        min=0,
                        max=1,
                        step=0.05,
                        value=max(0.0, float(shelf().ranker.recommender.params["tail"])),
                    ).props('label color=teal-9 aria-label="tail"')
                again = ui.checkbox(t("again"), value=shelf().ranker.recommender.repeats).props(
                    "color=teal-9"
                )
            place = ui.element("section").classes("w-full").props("aria-live=polite")
            tongue = language()

            async def show() -> None:
                hits: list[Hit] | None = await run.io_bound(
                    lambda: shelf().ranker.recommend(
                        who or None,
                        PAGE,
                        tail=float(slider.value),
                        repeats=bool(again.value),
                        language=tongue,
                    )
                )
                if hits is None:
                    return
                place.clear()
                with place:
                    cards(hits)

            slider.on("update:model-value", show, throttle=0.3, leading_events=False)
            again.on_value_change(show)
            await show()
            services = shelf().ranker.services
            if who:
                due = await run.io_bound(lambda: services.again(who, ROW, language=tongue))
                block("buy_again", due or [])
            else:
                picks = await run.io_bound(lambda: services.onboarding(ROW, tongue))
                block("first_picks", picks or [])

    @ui.page("/product/{product_id:path}")
    async def product(product_id: str) -> None:
        with frame("shop"):
            ranker = shelf().ranker
            try:
                ranker.refresh()
                item = ranker.product(product_id)
            except NotFound:
                ui.label(t("unknown_product"))
                return
            with ui.element("div").classes("panel"):
                ui.label(item.category).classes("note")
                ui.html("<h1></h1>", sanitize=False).style("display:none")
                ui.label(item.title).style("font-size:24px;font-weight:700;line-height:1.25").props(
                    "role=heading aria-level=1"
                )
                ui.label(
                    " · ".join(part for part in (item.brand, item.size, item.product_id) if part)
                ).classes("note")
                ui.label(money(item)).style("font-size:22px;font-weight:700;margin-top:8px")
                expected(ranker, product_id)
                if item.description:
                    ui.label(item.description[:2000])
                _prices(ranker.price_history(product_id), item.currency)
            knowledge(ranker, product_id)
            tongue = language()
            for relation in ("together", "accessories", "substitutes"):
                some = await run.io_bound(_related, ranker, relation, product_id, tongue)
                block(relation, some or [])
            await Alikeness(ranker, product_id).build()


def _prices(history: list[tuple[Any, Any]], currency: str) -> None:
    if len(history) < 2:
        return
    ui.html(f"<h2>{t('price_history')}</h2>", sanitize=False)
    ui.echart(
        {
            "grid": {"left": 48, "right": 16, "top": 20, "bottom": 30},
            "xAxis": {"type": "time"},
            "yAxis": {"type": "value", "name": currency, "scale": True},
            "tooltip": {"trigger": "axis"},
            "series": [
                {
                    "type": "line",
                    "step": "end",
                    "symbol": "none",
                    "lineStyle": {"color": "#0b6b49", "width": 2},
                    "data": [[at.isoformat(), float(price)] for at, price in history],
                }
            ],
        }
    ).classes("w-full").style("height:240px")
