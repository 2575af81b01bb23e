"""The search box: a combobox whose proposals can be walked with the arrow keys, chosen with Enter and closed with Escape."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from nicegui import ui

import wares.console.search_words  # noqa: F401  (adds the page's words)
from wares.console.frame import marked, shelf, shopper, t
from wares.models.search.suggest import SCOPE, Suggestion

IDEAS = 8
SETTLED = 0.6
"""Seconds after Enter in which a late answer opens no list."""

STYLE = """
.searchbox{position:relative;width:100%}
.ideas{position:absolute;left:0;right:0;top:58px;z-index:15;background:#fff;border:1px solid var(--line);border-radius:8px;box-shadow:0 8px 24px rgba(16,40,30,.14);padding:4px 0;display:block}
.idea{display:flex;gap:10px;align-items:baseline;justify-content:space-between;padding:9px 14px;cursor:pointer;overflow-wrap:anywhere;line-height:1.3}
.idea:hover,.idea.on{background:#eef4f1}
.idea b{font-weight:700}.idea .beside{color:var(--soft);font-size:12.5px;white-space:nowrap;text-align:right}
.idea .scope{color:var(--good)}
.chips{display:flex;flex-wrap:wrap;gap:6px;align-items:center;margin:2px 0 8px}
.chip{display:inline-flex;gap:4px;align-items:center;background:#eef4f1;border:1px solid #cfe0d8;border-radius:16px;padding:1px 2px 1px 10px;font-size:13px;max-width:100%}
.over{display:flex;flex-wrap:wrap;gap:4px 14px;align-items:center;justify-content:space-between;width:100%;margin-bottom:8px}
"""


class SearchBox:
    """The box and its list. `searched` is called with the text and the category of a chosen scope (empty: none)."""

    def __init__(
        self, typed: Callable[[str], Awaitable[None]], searched: Callable[[str, str], Awaitable[None]]
    ) -> None:
        self.typed, self.searched = typed, searched
        self.found: list[Suggestion] = []
        self.active, self.entered = -1, 0.0
        self.own = ""
        """A text that we put into the box; its change is no typing."""

    def build(self) -> None:
        """Lay the box out."""
        ui.add_head_html(f"<style>{STYLE}</style>")
        with ui.element("div").classes("searchbox"):
            self.box = (
                ui.input(t("search"))
                .props(
                    "outlined clearable autofocus type=search debounce=120 role=combobox autocomplete=off "
                    "aria-autocomplete=list aria-controls=ideas aria-expanded=false bg-color=white"
                )
                .classes("w-full")
            )
            self.list = (
                ui.element("div").classes("ideas").props(f'id=ideas role=listbox aria-label="{t("ideas")}"')
            )
        self.box.on_value_change(lambda event: self._changed(event.value or ""))
        self.box.on("keydown.enter", self._enter)
        self.box.on("keydown.down.prevent", lambda: self._move(1))
        self.box.on("keydown.up.prevent", lambda: self._move(-1))
        # A browser empties a search box on Escape; here it folds the list.
        self.box.on("keydown.escape.prevent", self.close)
        self.box.on("blur", self.close)
        self.close()

    def put(self, text: str) -> None:
        """Show a text that was not typed."""
        if text != (self.box.value or ""):
            self.own = text
            self.box.set_value(text)
        self.close()

    def close(self) -> None:
        """Fold the list away."""
        self._show([])

    async def _changed(self, text: str) -> None:
        if text == self.own and text:
            self.own = ""
            return
        self.own = ""
        fresh = time.monotonic() - self.entered > SETTLED
        ranker = shelf().ranker
        self._show(ranker.suggestions(text[:200], IDEAS, shopper() or None) if text.strip() and fresh else [])
        await self.typed(text)

    def _show(self, found: list[Suggestion]) -> None:
        self.found, self.active = found, -1
        self.box.props(f"aria-expanded={'true' if found else 'false'}", remove="aria-activedescendant")
        self.list.set_visibility(bool(found))
        self.list.clear()
        self.rows: list[ui.element] = []
        with self.list:
            for place, one in enumerate(found):
                row = (
                    ui.element("div")
                    .classes("idea")
                    .props(f"role=option id=idea-{place} aria-selected=false")
                )
                with row:
                    ui.html(marked(one.text, one.highlight, "b"), tag="span", sanitize=False)
                    if beside := _beside(one):
                        ui.label(beside).classes("beside" + (" scope" if one.kind == SCOPE else ""))
                # The box keeps the focus, else its list would fold before the click.
                row.on("mousedown.prevent", lambda p=place: self._choose(p))
                self.rows.append(row)

    def _move(self, by: int) -> None:
        if not self.found:
            return
        # One place more than there are rows: the text as it was typed.
        self.active = (self.active + 1 + by) % (len(self.found) + 1) - 1
        for place, row in enumerate(self.rows):
            on = place == self.active
            row.props(f"aria-selected={'true' if on else 'false'}")
            row.classes("on") if on else row.classes(remove="on")
        if self.active >= 0:
            self.box.props(f"aria-activedescendant=idea-{self.active}")
        else:
            self.box.props(remove="aria-activedescendant")

    async def _enter(self) -> None:
        self.entered = time.monotonic()
        if self.active >= 0:
            await self._choose(self.active)
            return
        self.close()
        await self.searched(self.box.value or "", "")

    async def _choose(self, place: int) -> None:
        if not 0 <= place < len(self.found):
            return
        one = self.found[place]
        self.put(one.text)
        await self.searched(one.text, one.category if one.kind == SCOPE else "")


def _beside(one: Suggestion) -> str:
    """What is said beside a proposal."""
    if one.kind == SCOPE:
        return t("idea_in", category=one.category.rsplit(">", 1)[-1].strip())
    if one.corrected:
        return t("idea_meant")
    return t(f"idea_{one.kind}") if one.kind in ("query", "category", "brand") else ""
