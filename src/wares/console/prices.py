"""The workshop's page of prices: which look wrong, why in words, what would be right, and what a person decided."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from nicegui import ui

from wares.console.frame import SECTIONS, frame, language, shelf, t
from wares.console.roles import current, in_service, may_change, workspace
from wares.console.words import add_words
from wares.core import columns as c
from wares.core.errors import WaresError
from wares.core.price_alerts import ACKNOWLEDGED, MUTED, OPEN, OddPrice, PriceAlerts
from wares.models.price.infer import LIKELY, PriceAnomaly
from wares.models.price.words import evidence_words, money, verdict_words

PATH = "/workshop/prices"
SHOWN = 40

add_words(
    {
        "prices": ("Prices", "价格"),
        "prices_about": (
            "Each price is held against the product's own past and against the products most like it. The likeliest mistakes stand first.",
            "每个价格都与商品自身的历史价格及最相似的商品比较；最可能出错的排在最前。",
        ),
        "prices_facts": (
            "{prices} prices of {products} products were looked at; {n} are worth a look.",
            "共检查 {products} 件商品的 {prices} 个价格，其中 {n} 个值得查看。",
        ),
        "prices_none": ("No price looks wrong.", "没有看起来错误的价格。"),
        "prices_old": (
            "This bundle knows nothing of prices: build and publish again.",
            "当前版本不含价格模型：请重新构建并发布。",
        ),
        "prices_denied": (
            "Your role may not see products. Choose another above.",
            "当前角色无权查看商品，请在上方切换角色。",
        ),
        "prices_now": ("now", "现价"),
        "prices_right": ("The price is right", "价格无误"),
        "prices_mute": ("Never tell about this product", "不再提醒此商品"),
        "prices_reopen": ("Undo", "撤销"),
        "prices_acknowledged": ("said to be right", "已确认无误"),
        "prices_muted": ("muted", "已静音"),
        "prices_odds": ("{p} likely wrong", "{p} 可能有误"),
        "prices_decided": ("Show what was decided", "显示已处理的"),
        "prices_left_out": ("Left out: {what}", "未计入：{what}"),
        "prices_likely": ("likely", "应为"),
    }
)
SECTIONS.append(("prices", PATH))

STYLE = """
.pr{display:grid;grid-template-columns:130px 1fr auto;gap:4px 18px;background:#fff;border:1px solid var(--line);border-radius:10px;padding:14px 16px;width:100%;margin-bottom:10px;align-items:start}
.pr .bar{height:8px;border-radius:4px;background:#eceff1;overflow:hidden;margin-top:6px}.pr .bar i{display:block;height:8px;background:#b3541e}
.pr .odds{font-size:13px;color:var(--soft)}.pr .name{font-weight:600;color:var(--ink);text-decoration:none;font-size:16px;overflow-wrap:anywhere}
.pr .amount{font-size:20px;font-weight:700}.pr .amount s{color:#a12622}.pr .right{color:var(--good);margin-left:8px}
.pr .why{font-size:14px;color:var(--soft);line-height:1.45}.pr .what{font-size:14.5px;font-weight:600;line-height:1.45}
.pr .do{display:flex;flex-direction:column;gap:4px;align-items:flex-end}
@media(max-width:760px){.pr{grid-template-columns:1fr}.pr .do{align-items:flex-start;flex-direction:row;flex-wrap:wrap}}
"""


def register() -> None:
    """Put the page onto the application."""

    @ui.page(PATH)
    def prices() -> None:
        ui.add_head_html(f"<style>{STYLE}</style>")
        with frame("workshop"):
            ui.html(f"<h1>{t('prices')}</h1>", sanitize=False)
            ui.label(t("prices_about")).classes("note").style("margin:4px 0 12px")
            book = in_service(lambda ranker: ranker.prices, "prices", c.PRODUCTS)
            if book is None:
                return
            found = book.anomalies(SHOWN)
            facts = book.manifest
            ui.label(
                t(
                    "prices_facts",
                    prices=f"{facts['prices']:,}",
                    products=f"{facts['priced_products']:,}",
                    n=f"{len(book.anomalies(len(book), least=LIKELY)):,}",
                )
            ).classes("note")
            if facts["left_out"]:
                what = ", ".join(f"{count:,} {why}" for why, count in facts["left_out"].items())
                ui.label("⚠ " + t("prices_left_out", what=what)).style("color:#8a4b00")
            _list(found)


def _list(found: list[PriceAnomaly]) -> None:
    alerts = PriceAlerts(workspace().state)
    who, role = current()
    shown = {"decided": False}

    def decide(odd: PriceAnomaly, state: str) -> None:
        try:
            one = OddPrice(
                _id(odd), money(odd.price), odd.probability, f"{evidence_words(odd)}. {verdict_words(odd)}"
            )
            alerts.decide(one.product_id, state, who, workspace().clock.now(), one)
        except WaresError as error:
            ui.notify(str(error), type="negative")
        view.refresh()

    def switch(on: bool) -> None:
        shown["decided"] = on
        view.refresh()

    @ui.refreshable
    def view() -> None:
        states = alerts.state_of()
        silent = {product for (product, _), state in states.items() if state == MUTED}
        rows = []
        for odd in found:
            state = MUTED if _id(odd) in silent else states.get((_id(odd), money(odd.price)), OPEN)
            if shown["decided"] or state not in (ACKNOWLEDGED, MUTED):
                rows.append((odd, state))
        if not rows:
            with ui.element("div").classes("panel"):
                ui.label(t("prices_none"))
        for odd, state in rows:
            with ui.element("section").classes("pr"):
                _facts(odd)
                with ui.element("div").classes("do"):
                    if state in (ACKNOWLEDGED, MUTED):
                        ui.label(t(f"prices_{state}")).classes("odds")
                    if may_change(role):
                        _buttons(odd, state)

    def _buttons(odd: PriceAnomaly, state: str) -> None:
        names = (
            {"prices_reopen": OPEN}
            if state in (ACKNOWLEDGED, MUTED)
            else {"prices_right": ACKNOWLEDGED, "prices_mute": MUTED}
        )
        for name, target in names.items():
            ui.button(t(name), on_click=lambda _, to=target: decide(odd, to)).props("flat dense no-caps")

    ui.switch(t("prices_decided"), on_change=lambda event: switch(bool(event.value)))
    view()


def _id(odd: PriceAnomaly) -> str:
    return str(shelf().ranker.catalogue.ids[odd.item])


def _facts(odd: PriceAnomaly) -> None:
    product = shelf().ranker.catalogue.product(odd.item)
    share = f"{odd.probability:.0%}"
    with ui.element("div"):
        ui.label(t("prices_odds", p=share)).classes("odds")
        ui.html(f'<div class="bar"><i style="width:{share}"></i></div>', sanitize=False)
    with ui.element("div"):
        ui.link(product.title, f"/product/{quote(product.product_id, safe='')}").classes("name")
        ui.label(
            " · ".join(p for p in (product.product_id, product.brand, product.size, product.category) if p)
        ).classes("odds")
        right = (
            ""
            if odd.kind == "outlier"
            else f'<span class="right">{escape(t("prices_likely"))} {money(odd.right)}</span>'
        )
        ui.html(
            f'<div class="amount">{money(odd.price)} {escape(product.currency)}{right}</div>', sanitize=False
        )
        ui.label(evidence_words(odd, language())).classes("why")
        ui.label(verdict_words(odd, language())).classes("what")
