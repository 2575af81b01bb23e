"""The search page: what was asked, how it was read, what was found, and what to do when nothing was."""

from __future__ import annotations

import re
from typing import Any

from nicegui import run, ui

from wares.console.frame import cards, language, shelf, shopper, t
from wares.console.search_box import SearchBox
from wares.core.nouns import Hit, SearchPage
from wares.models.search.infer import Filters
from wares.models.search.pages import SORTS

PAGE, MOST = 24, 200
FACETS = ("category", "price", "brand", "size", "available")
RELAXED = {
    "any of the words": "go_words", "attributes": "go_attributes", "categories": "go_categories", "brands": "go_brands",
    "price": "go_price",
}  # fmt: skip


class Search:
    """One visitor's search: the words, the chosen facets, the order, how many are shown."""

    def __init__(self) -> None:
        self.text, self.shown, self.open = "", PAGE, True
        self.sort, self.verbatim = "relevance", False
        self.chosen: dict[str, set[str]] = {name: set() for name in FACETS}
        self.rising: list[Hit] = []
        self.asked = 0
        self.box = SearchBox(self._typed, self._searched)

    def filters(self) -> Filters:
        """The chosen facets as filters; several price bands count from the lowest to the highest."""
        bands = [tuple(map(float, band.split("-", 1))) for band in self.chosen["price"]]
        low, high = (min(b[0] for b in bands), max(b[1] for b in bands)) if bands else (None, None)
        stock = self.chosen["available"]
        return Filters(
            tuple(sorted(self.chosen["brand"])),
            tuple(sorted(self.chosen["category"])),
            low,
            high,
            stock == {"true"} if len(stock) == 1 else None,
            tuple(sorted(self.chosen["size"])),
        )

    def build(self) -> None:
        """Lay the page out."""
        self.box.build()
        with ui.element("div").classes("split").style("margin-top:14px"):
            self.facets = ui.element("aside")
            self.results = ui.element("section").props("aria-live=polite")
        self.risen = ui.element("div").classes("w-full")

    async def _typed(self, text: str) -> None:
        self._anew(text)
        await self.refresh()

    async def _searched(self, text: str, category: str) -> None:
        if text != self.text or category:
            self._anew(text)
        if category:
            self.chosen["category"].add(category)
        await self.refresh()

    def _anew(self, text: str) -> None:
        """Begin another search: nothing of the one before it holds, but the order."""
        self.text, self.shown, self.verbatim = text, PAGE, False
        for names in self.chosen.values():
            names.clear()

    async def ask(self, text: str, verbatim: bool = False) -> None:
        """Search for a text that was not typed, as a button says."""
        self.box.put(text)
        self._anew(text)
        self.verbatim = verbatim
        await self.refresh()

    async def refresh(self) -> None:
        """Ask again and show; an answer that a newer question overtook is left."""
        self.asked += 1
        mine, tongue, who = self.asked, language(), shopper() or None
        text, shown, filters, sort, verbatim = (
            self.text[:500],
            self.shown,
            self.filters(),
            self.sort,
            self.verbatim,
        )
        page: SearchPage | None = await run.io_bound(
            lambda: shelf().ranker.search(text, who, shown, 0, filters, tongue, sort=sort, verbatim=verbatim)
        )
        if page is None or mine != self.asked:
            return
        self.results.clear()
        with self.results:
            self._above(page)
            if page.hits:
                cards(page.hits, page.highlights)
            else:
                self._nothing(page)
            if page.total > len(page.hits) and self.shown < MOST:
                ui.button(t("more"), on_click=self._more).props("outline no-caps color=teal-9").style(
                    "margin-top:14px"
                )
        self.risen.clear()
        # Who asks for something is shown that alone, unless there is nothing to show.
        if not page.hits or (not self.text.strip() and not any(self.chosen.values())):
            with self.risen:
                block("trending", self.rising)
        self._facets(page)

    # -- above the hits --------------------------------------------------------------------------------------

    def _above(self, page: SearchPage) -> None:
        with ui.element("div").classes("over"):
            with ui.element("div"):
                ui.label(t("results", n=f"{page.total:,}")).classes("note")
                if page.corrected and page.hits:
                    self._mended(page.corrected)
                elif self.verbatim:
                    ui.label(t("searched_as_typed", q=self.text[:200])).classes("note")
                if page.relaxed:
                    ui.label(_let_go(page.relaxed)).classes("note")
            names = {name: t(f"sort_{name}") for name in SORTS}
            ui.select(
                names, value=self.sort, label=t("sort"), on_change=lambda event: self._sorted(event.value)
            ).props("dense outlined options-dense").style("min-width:180px")
        self._chips(page)

    def _mended(self, corrected: str) -> None:
        with ui.row().classes("items-center").style("gap:2px 10px"):
            ui.label(t("corrected", q=corrected)).classes("note").style("color:var(--ink)")
            typed = self.text
            ui.button(
                t("search_instead", q=typed[:200]), on_click=lambda: self.ask(typed, verbatim=True)
            ).props("flat dense no-caps color=teal-9")

    def _chips(self, page: SearchPage) -> None:
        """What of the query was taken as structure; taking a chip away takes its words out of the query."""
        notes: list[tuple[str, str, str]] = list(page.asked.notes) if page.asked is not None else []
        if not notes:
            return
        with ui.element("div").classes("chips").props(f'role=group aria-label="{t("understood")}"'):
            ui.label(t("understood")).classes("note")
            for span, kind, _ in notes:
                rest = without(page.asked.text, span)
                with ui.element("span").classes("chip"):
                    ui.label(f"{t('chip_' + kind)}: {span}" if f"chip_{kind}" in _chip_words() else span)
                    ui.button(icon="close", on_click=lambda r=rest: self.ask(r)).props(
                        f'flat round dense size=xs color=teal-9 aria-label="{_attribute(t("remove", q=span))}"'
                    )

    def _nothing(self, page: SearchPage) -> None:
        """Why there is nothing, and ways on: without a filter, without what limits, with what the shop has."""
        filtered = any(self.chosen.values())
        ui.label(t("nothing_here") if filtered else t("nothing_for", q=self.text[:100])).style(
            "font-weight:600"
        )
        ui.label(t("none")).classes("note")
        with ui.row().style("gap:6px;margin-top:8px"):
            if filtered:
                ui.button(t("clear"), on_click=self._clear).props("outline no-caps color=teal-9")
            for span, _, _ in list(page.asked.notes)[:4] if page.asked is not None else []:
                rest = without(page.asked.text, span)
                if rest:
                    ui.button(t("try_without", q=span), on_click=lambda r=rest: self.ask(r)).props(
                        "outline no-caps color=teal-9"
                    )
        ideas = near_ideas(self.text)
        if ideas:
            ui.label(t("try_these")).classes("note").style("margin-top:12px")
            with ui.row().style("gap:6px"):
                for idea in ideas:
                    ui.button(idea, on_click=lambda i=idea: self.ask(i)).props(
                        "outline rounded no-caps color=teal-9"
                    )

    # -- facets and order ------------------------------------------------------------------------------------

    def _facets(self, page: SearchPage) -> None:
        self.facets.clear()
        with self.facets:
            if any(self.chosen.values()):
                ui.button(t("clear"), on_click=self._clear).props("flat dense no-caps color=teal-9")
            with ui.expansion(t("filters"), value=self.open).classes("w-full").props("dense") as panel:
                panel.on_value_change(lambda event: setattr(self, "open", bool(event.value)))
                for name in FACETS:
                    self._facet(name, page.facets.get(name, []))

    def _facet(self, name: str, values: list[tuple[str, int]]) -> None:
        chosen = self.chosen[name]
        counts = dict(values)
        names = [*sorted(chosen - counts.keys()), *counts][:9]
        # A choice between one thing is none.
        if not names or (name == "available" and len(names) < 2 and not chosen):
            return
        with ui.element("div").classes("facet"):
            ui.html(f"<h3>{t(name)}</h3>", sanitize=False)
            for value in names:
                box = (
                    ui.checkbox(f"{_label(name, value)} ({counts.get(value, 0):,})", value=value in chosen)
                    .props("dense color=teal-9")
                    .classes("w-full")
                )
                box.on_value_change(lambda event, n=name, v=value: self._toggle(n, v, bool(event.value)))

    async def _toggle(self, name: str, value: str, on: bool) -> None:
        (self.chosen[name].add if on else self.chosen[name].discard)(value)
        self.shown = PAGE
        await self.refresh()

    async def _sorted(self, sort: Any) -> None:
        self.sort, self.shown = str(sort), PAGE
        await self.refresh()

    async def _clear(self) -> None:
        for names in self.chosen.values():
            names.clear()
        await self.refresh()

    async def _more(self) -> None:
        self.shown = min(MOST, self.shown + PAGE)
        await self.refresh()


def _chip_words() -> frozenset[str]:
    return frozenset(f"chip_{kind}" for kind in ("price", "size", "brand", "category", "attribute", "not"))


def _attribute(text: str) -> str:
    """A text that may stand between double quotes of an element's properties."""
    return re.sub(r'["\\]', "'", text)


def _label(name: str, value: str) -> str:
    if name == "category":
        return value.rsplit(">", 1)[-1].strip()
    if name == "available":
        return t("yes" if value == "true" else "no")
    return value.replace("-", " – ") if name == "price" else value


def _let_go(relaxed: str) -> str:
    """What was relaxed, for people."""
    parts = [part.strip() for part in relaxed.split(",")]
    if parts == ["any of the words"] or any(part not in RELAXED for part in parts):
        return t("relaxed")
    seam = "、" if language() == "zh" else ", "
    return t("let_go", what=seam.join(t(RELAXED[part]) for part in parts))


def without(text: str, span: str) -> str:
    """A query without one of its spans, as it is typed again."""
    return " ".join(re.sub(re.escape(span), " ", text, count=1, flags=re.IGNORECASE).split())


def near_ideas(text: str, most: int = 5) -> list[str]:
    """Proposals for a query that found nothing: for its beginning, then for each of its words."""
    ranker, found = shelf().ranker, dict[str, None]()
    for part in (text, *text.split()[:6]):
        if len(part.strip()) > 1 and len(found) < most:
            found.update(dict.fromkeys(ranker.suggest(part[:200], most, shopper() or None)))
    return [one for one in found if one.lower() != text.strip().lower()][:most]


def block(heading: str, hits: list[Hit]) -> None:
    """Products under a heading; nothing at all where there are none."""
    if hits:
        with ui.element("section").classes("w-full").props(f'aria-label="{t(heading)}"'):
            ui.html(f"<h2>{t(heading)}</h2>", sanitize=False)
            cards(hits)
