"""What every page shares: head, navigation, language, the shopper in whose name one looks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any
from urllib.parse import quote

from nicegui import app, ui

from wares.console.words import sentence, word
from wares.core.nouns import Hit, Product
from wares.serve.app import Shelf

SECTIONS: list[tuple[str, str]] = [("overview", "/workshop")]
"""The workshop's pages as (word, path); a page that joins puts itself here. `arrange` puts them in their order."""
ORDER = (
    "overview",
    "asset_registry",
    "lineage",
    "dq",
    "qt",
    "cleaning",
    "fusion",
    "labels",
    "moods",
    "prices",
    "emerging",
    "satisfaction",
    "search_gaps",
    "search_rules",
    "service",
    "improve",
    "access",
    "audit",
)

STYLE = """
:root{--ink:#1d2733;--soft:#5b6675;--line:#e4e7ec;--good:#0b6b49;--paper:#f7f8f7}
body{background:var(--paper);color:var(--ink)}
.nicegui-content{padding:0;gap:0;max-width:100%}
.page{max-width:1180px;width:100%;margin:0 auto;padding:20px 16px 60px}
.top{background:#fff;border-bottom:1px solid var(--line);position:sticky;top:0;z-index:20;width:100%}
.top .in{max-width:1180px;margin:0 auto;padding:8px 16px;display:flex;gap:6px 18px;align-items:center;flex-wrap:wrap}
.brand{font-weight:700;font-size:18px;color:var(--ink);text-decoration:none}
.nav{color:var(--soft);text-decoration:none;padding:8px 2px;white-space:nowrap;border-bottom:2px solid transparent}
.nav.on{color:var(--ink);border-color:var(--good)}
a:focus-visible,button:focus-visible,[tabindex]:focus-visible{outline:3px solid #2f8f68;outline-offset:2px;border-radius:4px}
.sections{background:#fff;border-bottom:1px solid var(--line);width:100%}
.sections .in{max-width:1180px;margin:0 auto;padding:0 16px;display:flex;gap:2px 18px;overflow-x:auto;scrollbar-width:none;font-size:14px}.sections .nav{padding:10px 2px;outline-offset:-3px}
.grid-cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(210px,1fr));gap:12px;width:100%}
.card{background:#fff;border:1px solid var(--line);border-radius:10px;padding:12px 14px;text-decoration:none;color:var(--ink);display:flex;flex-direction:column;gap:3px;min-height:150px}
.card:hover{border-color:#9db8ac;box-shadow:0 2px 10px rgba(16,40,30,.07)}
.card .cat{font-size:12px;color:var(--soft)}.card .name{font-weight:600;line-height:1.3;overflow-wrap:anywhere}
mark{background:#fdf0c2;color:inherit;border-radius:2px;padding:0}.card .sub{font-size:13px;color:var(--soft)}.card .price{font-weight:700;margin-top:auto}
.card .why{font-size:12.5px;color:var(--good);line-height:1.35;overflow-wrap:anywhere}
.split{display:grid;grid-template-columns:240px 1fr;gap:20px;width:100%}
.facet{background:#fff;border:1px solid var(--line);border-radius:10px;padding:10px 12px;margin-bottom:10px;width:100%}
.facet h3{font-size:13px;font-weight:700;margin:0 0 4px;line-height:1.4}
.facet .q-checkbox__label{font-size:13px;line-height:1.25;overflow-wrap:anywhere}
.panel{background:#fff;border:1px solid var(--line);border-radius:10px;padding:16px;width:100%;overflow-x:auto}
h1{font-size:24px;font-weight:700;line-height:1.25;margin:0}h2{font-size:18px;font-weight:700;line-height:1.3;margin:18px 0 8px}
.note{color:var(--soft);font-size:14px}.plots{display:flex;flex-wrap:wrap;gap:12px}.plots svg{width:100%;max-width:420px;height:auto}
.plots>*{flex:1 1 300px;max-width:430px}
.skip{position:absolute;left:-999px}.skip:focus{left:8px;top:8px;background:#fff;padding:8px;z-index:50}
.q-table th{vertical-align:bottom;white-space:nowrap}
/* A shadow stands at the side to which a table goes on. */
.q-table__middle,.panel,.sections .in{background:linear-gradient(90deg,#fff 30%,#fff0) 0/36px 100% no-repeat local,linear-gradient(-90deg,#fff 30%,#fff0) 100%/36px 100% no-repeat local,radial-gradient(farthest-side at 0 50%,#1d273326,#0000) 0/9px 100% no-repeat,radial-gradient(farthest-side at 100% 50%,#1d273326,#0000) 100%/9px 100% no-repeat #fff}
.q-table__card{background:none!important}
@media(max-width:760px){.top .in{gap:0 14px}.top .brand{flex:1 1 64%;min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}.top .lang{order:1}.top .q-space{display:none}.top nav{order:2}.top .who{order:3;flex:1 1 120px;max-width:190px;margin:2px 0 4px auto}
.split{grid-template-columns:1fr}.grid-cards{grid-template-columns:1fr 1fr;gap:8px}.card{padding:10px;min-height:0}.page{padding:14px 10px 50px}}
"""


def arrange() -> None:
    """Put the workshop's pages into the order of the work: what is there, is it good, mend it, who may see it."""
    known = dict.fromkeys(SECTIONS)
    SECTIONS[:] = sorted(known, key=lambda s: ORDER.index(s[0]) if s[0] in ORDER else len(ORDER))


def _section(path: str) -> str:
    """The section that a path belongs to: the longest that it begins with; an asset's page to the registry."""
    if path.startswith("/workshop/asset/"):
        return "/workshop/assets"
    fits = [target for _, target in SECTIONS if path == target or path.startswith(f"{target}/")]
    return max(fits, key=len, default="")


def shelf() -> Shelf:
    """The server's shelf, which holds the ranker in service."""
    return app.state.wares_shelf  # type: ignore[no-any-return]


def language() -> str:
    """The visitor's language."""
    return str(app.storage.user.get("language", app.state.wares_language))


def shopper() -> str:
    """The shopper in whose name the visitor looks; empty for a stranger."""
    return str(app.storage.user.get("shopper", ""))


def t(key: str, **facts: object) -> str:
    """A text in the visitor's language."""
    return word(key, language(), **facts)


def said(text: str) -> str:
    """A sentence that another room wrote, in the visitor's language."""
    return sentence(text, language())


def _wide(text: str) -> bool:
    """Whether a text needs room: a Chinese character takes twice the width of a Latin letter."""
    return (" " in text.strip() and len(text) > 34) or sum("\u2e80" <= ch <= "\uffef" for ch in text) > 12


@contextmanager
def frame(here: str) -> Iterator[None]:
    """The page around its content."""
    ui.add_head_html(f"<style>{STYLE}</style>")
    ui.query("html").props(f"lang={language()}")
    ui.colors(primary="#0b6b49")
    ui.page_title(str(shelf().ranker.manifest["shop"]["name"]))
    with ui.element("header").classes("top"), ui.element("div").classes("in"):
        ui.link(t("skip"), "#main").classes("skip")
        ui.link(str(shelf().ranker.manifest["shop"]["name"]), "/").classes("brand")
        with ui.element("nav").style("display:flex;gap:16px"):
            for name, path in (("shop", "/"), ("for_you", "/for-you"), ("workshop", "/workshop")):
                ui.link(t(name), path).classes("nav" + (" on" if name == here else ""))
        ui.space()
        if here == "workshop":
            from wares.console.roles import role_picker

            role_picker()
        else:
            _shopper()
        ui.button("中文" if language() == "en" else "English", on_click=_switch).props(
            "flat dense no-caps padding='6px 10px'"
        ).classes("lang")
    if here == "workshop":
        _sections()
    with ui.element("div").classes("page").props("id=main"):
        yield


def _shopper() -> None:
    example = str(shelf().ranker.users[0]) if len(shelf().ranker.users) else "u1"
    who = (
        ui.input(t("shopper"), value=shopper(), placeholder=t("shopper_hint", user=example))
        .props("dense outlined clearable")
        .classes("w-40 who")
    )
    who.on("change", lambda: _choose(who.value or ""))
    who.on("clear", lambda: _choose(""))


def _sections() -> None:
    here = _section(str(ui.context.client.request.url.path))
    with (
        ui.element("nav").classes("sections").props(f'aria-label="{t("workshop")}"'),
        ui.element("div").classes("in"),
    ):
        for name, target in SECTIONS:
            link = ui.link(t(name), target).classes("nav" + (" on" if here == target else ""))
            if here == target:
                link.props("aria-current=page")
    # Where the links do not fit, they scroll; the visitor's own is to be seen.
    ui.run_javascript(
        "const on=document.querySelector('.sections .on'),row=on&&on.parentElement;"
        "if(row)row.scrollLeft=on.offsetLeft-row.offsetLeft-(row.clientWidth-on.clientWidth)/2"
    )


def _choose(user: str) -> None:
    app.storage.user["shopper"] = user.strip()[:200]
    ui.navigate.reload()


def _switch() -> None:
    app.storage.user["language"] = "zh" if language() == "en" else "en"
    ui.navigate.reload()


def money(product: Product) -> str:
    """A price with its currency, or the words for none."""
    return t("no_price") if product.price is None else f"{product.price:.2f} {product.currency}"


def marked(text: str, spans: Sequence[tuple[int, int]], tag: str = "mark") -> str:
    """A text as HTML, with spans of characters, ascending, set off."""
    out, at = "", 0
    for begin, end in spans:
        if begin < at or end > len(text):
            continue
        out += f"{escape(text[at:begin])}<{tag}>{escape(text[begin:end])}</{tag}>"
        at = end
    return out + escape(text[at:])


def card(hit: Hit, spans: Sequence[tuple[int, int]] = ()) -> None:
    """A product that links to its page, with the reason why it is here; `spans` of its title are set off."""
    product = hit.product
    with ui.link(target=f"/product/{quote(product.product_id, safe='')}").classes("card"):
        ui.label(product.category.rsplit(">", 1)[-1].strip()).classes("cat")
        ui.html(marked(product.title, spans), sanitize=False).classes("name")
        ui.label(" · ".join(part for part in (product.brand, product.size) if part)).classes("sub")
        ui.label(money(product)).classes("price")
        ui.label(hit.why.text).classes("why")


def cards(hits: list[Hit], spans: Sequence[Sequence[tuple[int, int]]] = ()) -> None:
    """Products in a grid; `spans` are those of each title to set off, where there are any."""
    with ui.element("div").classes("grid-cards"):
        for place, hit in enumerate(hits):
            card(hit, spans[place] if place < len(spans) else ())


def _numeric(rows: Sequence[Sequence[Any]], column: int) -> bool:
    """Whether a column reads as numbers: those stand right, texts left."""
    cells = [
        str(row[column]) for row in rows if column < len(row) and str(row[column]) not in ("", "–", "None")
    ]
    return bool(cells) and all(cell.strip("+-–≈<> ")[:1].isdigit() and len(cell) < 30 for cell in cells)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], link: str = "") -> ui.table:
    """Rows under headings, sortable. With `link`, the first cell leads to that path followed by its value."""
    names = [
        {
            "name": str(i),
            "label": label,
            "field": str(i),
            "align": "right" if i and _numeric(rows, i) else "left",
            "sortable": True,
        }
        for i, label in enumerate(columns)
    ]
    for i, column in enumerate(names):
        # Sentences keep a width at which they can be read; narrow windows scroll the table instead.
        cells = [str(row[i]) for row in rows if i < len(row)]
        if any(map(_wide, cells)):
            column["style"] = "min-width:230px"
        elif any(re.match(r"\d{4}-\d\d-\d\d \d\d:", cell) for cell in cells):
            column["style"] = "white-space:nowrap"
    data = [{**{str(i): value for i, value in enumerate(row)}, "key": n} for n, row in enumerate(rows)]
    grid = (
        ui.table(columns=names, rows=data, row_key="key")
        .classes("w-full")
        .props("flat dense wrap-cells hide-pagination :rows-per-page-options=[0]")
    )
    if link:
        grid.add_slot(
            "body-cell-0",
            f'<q-td :props="props"><a :href="\'{link}\' + encodeURIComponent(props.value)" '
            'style="color:#0b6b49;font-weight:600">{{ props.value }}</a></q-td>',
        )
    return grid
