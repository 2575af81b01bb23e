"""The storefront: search with facets and suggestions, product pages, and a list for a shopper."""

from __future__ import annotations

from typing import Any

from nicegui import run, ui

from wares.console.alike import Alikeness
from wares.console.expected import expected
from wares.console.frame import cards, frame, language, money, shelf, shopper, t
from wares.console.knowledge import knowledge
from wares.core.errors import NotFound
from wares.core.nouns import Hit
from wares.models.search.infer import Filters
from wares.serve.ranker import Ranker

PAGE = 24
ROW = 5


class SearchPage:
    """One visitor's search: the words, the chosen facets, how many are shown."""

    def __init__(self) -> None:
        self.text, self.shown, self.open = "", PAGE, True
        self.chosen: dict[str, set[str]] = {"brand": set(), "category": set(), "price": set()}
        self.rising: list[Hit] = []

    def filters(self) -> Filters:
        """The chosen facets as filters; several price bands count from the lowest to the highest."""
        bands = [tuple(map(float, band.split("-", 1))) for band in self.chosen["price"]]
        low, high = (min(b[0] for b in bands), max(b[1] for b in bands)) if bands else (None, None)
        return Filters(tuple(sorted(self.chosen["brand"])), tuple(sorted(self.chosen["category"])), low, high)

    def build(self) -> None:
        """Lay the page out."""
        with ui.element("div").style("position:relative;width:100%"):
            self.box = (
                ui.input(t("search"))
                .props(
                    "outlined clearable autofocus type=search debounce=120 aria-autocomplete=list bg-color=white"
                )
                .classes("w-full")
            )
            self.ideas = ui.row().classes("q-gutter-xs").style("min-height:34px;margin-top:4px")
        self.box.on_value_change(lambda event: self._typed(event.value or ""))
        self.box.on("keydown.enter", self.refresh)
        with ui.element("div").classes("split"):
            self.facets = ui.element("aside")
            self.results = ui.element("section").props("aria-live=polite")
        self.risen = ui.element("div").classes("w-full")
        self._ideas([])

    async def _typed(self, text: str) -> None:
        self.text, self.shown = text, PAGE
        for names in self.chosen.values():
            names.clear()
        self._ideas(shelf().ranker.suggest(text, 6) if text.strip() else [])
        await self.refresh()

    def _ideas(self, phrases: list[str]) -> None:
        self.ideas.clear()
        with self.ideas:
            for phrase in phrases:
                ui.button(phrase, on_click=lambda p=phrase: self.box.set_value(p)).props(
                    "outline rounded dense no-caps size=sm color=teal-9"
                )

    async def refresh(self) -> None:
        """Ask again and show."""
        page = await run.io_bound(
            shelf().ranker.search,
            self.text[:500],
            shopper() or None,
            self.shown,
            0,
            self.filters(),
            language(),
        )
        if page is None:
            return
        self.results.clear()
        with self.results:
            ui.label(t("results", n=f"{page.total:,}")).classes("note")
            if page.corrected:
                ui.label(t("corrected", q=page.corrected)).classes("note")
            if page.relaxed:
                ui.label(t("relaxed")).classes("note")
            if not page.hits:
                ui.label(t("none"))
            cards(page.hits)
            if page.total > len(page.hits) and self.shown < 200:
                ui.button(t("more"), on_click=self._more).props("outline no-caps color=teal-9").style(
                    "margin-top:14px"
                )
        self.risen.clear()
        # Who asks for something is shown that alone.
        if not self.text.strip() and not any(self.chosen.values()):
            with self.risen:
                block("trending", self.rising)
        self.facets.clear()
        with self.facets:
            if any(self.chosen.values()):
                ui.button(t("clear"), on_click=self._clear).props("flat dense no-caps color=teal-9")
            with ui.expansion(t("filters"), value=self.open).classes("w-full").props("dense") as panel:
                panel.on_value_change(lambda event: setattr(self, "open", bool(event.value)))
                for name in ("category", "price", "brand"):
                    self._facet(name, page.facets.get(name, []))

    def _facet(self, name: str, values: list[tuple[str, int]]) -> None:
        chosen = self.chosen[name]
        counts = dict(values)
        names = [*sorted(chosen - counts.keys()), *counts][:9]
        if not names:
            return
        with ui.element("div").classes("facet"):
            ui.html(f"<h3>{t(name)}</h3>", sanitize=False)
            for value in names:
                label = value.rsplit(">", 1)[-1].strip() if name == "category" else value.replace("-", " – ")
                box = (
                    ui.checkbox(f"{label} ({counts.get(value, 0):,})", value=value in chosen)
                    .props("dense color=teal-9")
                    .classes("w-full")
                )
                box.on_value_change(lambda event, n=name, v=value: self._toggle(n, v, bool(event.value)))

    async def _toggle(self, name: str, value: str, on: bool) -> None:
        (self.chosen[name].add if on else self.chosen[name].discard)(value)
        self.shown = PAGE
        await self.refresh()

    async def _clear(self) -> None:
        for names in self.chosen.values():
            names.clear()
        await self.refresh()

    async def _more(self) -> None:
        self.shown = min(200, self.shown + PAGE)
        await self.refresh()


def _related(ranker: Ranker, relation: str, product_id: str, tongue: str) -> list[Hit]:
    return ranker.services.related(relation, product_id, ROW, tongue)


def _rising(ranker: Ranker, tongue: str) -> list[Hit]:
    """What rises today or, in a shop where little happens in a day, in a week."""
    return ranker.services.trending(ROW, hours=24, language=tongue) or ranker.services.trending(
        ROW, hours=168, language=tongue
    )


def block(heading: str, hits: list[Hit]) -> None:
    """Products under a heading; nothing at all where there are none."""
    if hits:
        with ui.element("section").classes("w-full").props(f'aria-label="{t(heading)}"'):
            ui.html(f"<h2>{t(heading)}</h2>", sanitize=False)
            cards(hits)


def register() -> None:
    """Put the pages onto the application."""

    @ui.page("/")
    async def home() -> None:
        with frame("shop"):
            rising = await run.io_bound(_rising, shelf().ranker, language())
            page = SearchPage()
            page.rising = rising or []
            page.build()
            await ui.context.client.connected()
            # On a telephone the products come first and the filters wait folded.
            page.open = int(await ui.run_javascript("window.innerWidth", timeout=10)) >= 760
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
