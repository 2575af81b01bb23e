"""The workshop's pages of service and of product improvement: whom to answer first, and what to better about a product."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import quote

from nicegui import ui

from wares.console.frame import SECTIONS, frame, language, shelf, t
from wares.console.roles import in_service
from wares.console.words import add_words
from wares.core import columns as c
from wares.serve.mood_uses import cases_json, report_json, risks_json

SERVICE, IMPROVE = "/workshop/service", "/workshop/improve"
SHOWN = 30

add_words(
    {
        "service": ("Service", "客服优先"),
        "service_about": (
            "Questions, chats and bad reviews that nobody settled, most pressing first: danger, anger, urgency, money, and how long they wait. "
            "The answer is a suggestion in the customer's language; read it before you send it.",
            "尚未解决的提问、会话与差评，最紧迫在前：安全、愤怒、紧急、款项与等待时长。回复建议使用顾客的语言，发送前请核对。",
        ),
        "service_denied": ("Your role may not see reviews and chats. Choose another above.", "当前角色无权查看评论与会话，请在上方切换角色。"),
        "service_days": ("waits {n} d", "等待 {n} 天"),
        "service_bought": ("bought {date}", "{date} 购买"),
        "service_answer": ("Suggested answer", "建议回复"),
        "service_copy": ("Copy", "复制"),
        "service_copied": ("Copied", "已复制"),
        "service_score": ("pressing", "紧迫度"),
        "service_old": ("This bundle knows nothing of moods: build and publish again.", "当前版本不含口碑用途：请重新构建并发布。"),
        "improve": ("To improve", "商品改进"),
        "improve_about": (
            "Products whose complaints go furthest beyond those of their category, with counts, quotes and trend. Shares are pulled to the category's, so that a few texts are no scandal.",
            "投诉明显多于同类的商品，附数量、原文与走势。占比已向同类收缩，少量评价不会夸大。",
        ),
        "improve_find": ("Product id", "商品编号"),
        "improve_show": ("Show", "查看"),
        "improve_none": ("There is no such product.", "没有这个商品。"),
        "improve_quiet": ("Nobody complains of it.", "没有投诉。"),
        "improve_mood": ("mood {mood} of {texts} texts; category {usual}", "口碑 {mood}（{texts} 条）；同类 {usual}"),
        "improve_unsaid": ("nothing is said of it", "暂无评价"),
        "improve_share": ("{texts} texts, {share} ({low} to {high}); category {usual}", "{texts} 条，占 {share}（{low} 至 {high}）；同类 {usual}"),
        "improve_worse": ("worse than its category", "差于同类"),
        "improve_trend": ("trend: {trend}", "走势：{trend}"),
        "improve_praise": ("Praised: {what}", "好评：{what}"),
        "improve_all": ("All products", "全部商品"),
    }
)  # fmt: skip
SECTIONS.append(("service", SERVICE))
SECTIONS.append(("improve", IMPROVE))

STYLE = """
.ca{display:grid;grid-template-columns:86px 1fr;gap:2px 16px;background:#fff;border:1px solid var(--line);border-radius:10px;padding:14px 16px;width:100%;margin-bottom:10px;align-items:start}
.ca .score{font-size:24px;font-weight:700;color:#a12622;line-height:1.1}.ca .sub{font-size:13px;color:var(--soft);line-height:1.45}
.ca .tag{display:inline-block;font-size:12px;border-radius:10px;padding:1px 8px;margin:2px 6px 2px 0;background:#fbeae5;color:#8f2d14}.ca .tag.calm{background:#eef1f0;color:#46525f}
.ca .said{font-size:16px;line-height:1.45;overflow-wrap:anywhere;margin:2px 0}.ca .reply{background:#f1f6f3;border-left:3px solid var(--good);padding:8px 12px;margin-top:6px;line-height:1.45;overflow-wrap:anywhere}
.ca a{color:var(--ink);overflow-wrap:anywhere}
.im{background:#fff;border:1px solid var(--line);border-radius:10px;padding:14px 16px;width:100%;margin-bottom:10px}
.im .name{font-size:17px;font-weight:600;color:var(--ink);text-decoration:none;overflow-wrap:anywhere}.im .sub{font-size:13px;color:var(--soft);line-height:1.45}
.im .one{display:grid;grid-template-columns:130px 1fr;gap:2px 14px;padding:8px 0;border-top:1px solid var(--line);margin-top:8px}.im .asp{font-weight:600}
.im .bar{position:relative;height:8px;border-radius:4px;background:#eceff1;margin:4px 0;max-width:420px}.im .bar i{position:absolute;height:8px;border-radius:4px;background:#d98b6f}.im .bar b{position:absolute;width:3px;height:12px;top:-2px;background:var(--ink)}
.im blockquote{margin:4px 0 0;padding-left:10px;border-left:3px solid var(--line);line-height:1.4;overflow-wrap:anywhere}.im .bad{color:#a12622}
@media(max-width:760px){.ca{grid-template-columns:1fr;padding:12px}.im .one{grid-template-columns:1fr}}
"""
_CALM = ("question", "waiting")


def register() -> None:
    """Put the pages onto the application."""

    @ui.page(SERVICE)
    def service() -> None:
        ui.add_head_html(f"<style>{STYLE}</style>")
        with frame("workshop"):
            ui.html(f"<h1>{t('service')}</h1>", sanitize=False)
            uses = in_service(lambda ranker: ranker.mood_uses, "service", c.REVIEWS, c.TEXTS)
            if uses is None:
                return
            ranker = shelf().ranker
            ui.label(t("service_about")).classes("note").style("margin:4px 0 8px")
            found = cases_json(uses, ranker.catalogue, SHOWN, 0, language())
            _notes(found["notes"])
            for case in found["cases"]:
                _case(case)

    @ui.page(IMPROVE)
    def improve(product: str = "") -> None:
        ui.add_head_html(f"<style>{STYLE}</style>")
        with frame("workshop"):
            ui.html(f"<h1>{t('improve')}</h1>", sanitize=False)
            uses = in_service(lambda ranker: ranker.mood_uses, "service", c.REVIEWS, c.TEXTS)
            if uses is None:
                return
            ranker = shelf().ranker
            ui.label(t("improve_about")).classes("note").style("margin:4px 0")
            _finder(product)
            if product:
                row = ranker.catalogue.row(product)
                if row < 0:
                    ui.label(t("improve_none"))
                    return
                found = report_json(uses, ranker.catalogue, row, language())
                _notes(found["notes"])
                _report(found, 8)
                return
            listed = risks_json(uses, ranker.catalogue, SHOWN, language())
            _notes(listed["notes"])
            for one in listed["products"]:
                _report(one, 3)


def _notes(notes: list[str]) -> None:
    for note in notes:
        with ui.element("div").classes("panel").style("margin-bottom:10px"):
            ui.label(note)


def _finder(product: str) -> None:
    with ui.row().classes("items-center").style("margin:2px 0 10px"):
        box = ui.input(t("improve_find"), value=product).props("dense outlined clearable").classes("w-60")

        def go() -> None:
            wanted = (box.value or "").strip()
            ui.navigate.to(f"{IMPROVE}?product={quote(wanted, safe='')}" if wanted else IMPROVE)

        box.on("keydown.enter", go)
        ui.button(t("improve_show"), on_click=go).props("flat no-caps")
        if product:
            ui.link(t("improve_all"), IMPROVE)


def _case(case: dict[str, Any]) -> None:
    with ui.element("section").classes("ca"):
        with ui.element("div"):
            ui.html(f'<div class="score">{case["score"]:.0%}</div>', sanitize=False)
            ui.label(t("service_score")).classes("sub")
        with ui.element("div"):
            tags = "".join(
                f'<span class="tag{" calm" if sign["sign"] in _CALM else ""}">{escape(sign["words"])}</span>' for sign in case["signs"]
            )  # fmt: skip
            ui.html(tags, sanitize=False)
            facts = [case["kind_words"], case["at"], t("service_days", n=f"{case['days']:.0f}")]
            if case["bought"]:
                facts.append(t("service_bought", date=case["bought"]))
            if case["user"]:
                facts.append(case["user"])
            ui.label(" · ".join(facts)).classes("sub")
            if case["product"]:
                ui.link(
                    case["product"]["title"],
                    f"{IMPROVE}?product={quote(case['product']['product_id'], safe='')}",
                )
            ui.label(f"“{case['text'][:600]}”").classes("said")
            with ui.element("div").classes("reply"):
                ui.label(t("service_answer")).classes("sub")
                ui.label(case["answer"])
                ui.button(t("service_copy"), on_click=lambda: _copy(case["answer"])).props(
                    "flat dense no-caps size=sm"
                )


def _copy(text: str) -> None:
    ui.clipboard.write(text)
    ui.notify(t("service_copied"))


def _report(one: dict[str, Any], most: int) -> None:
    product = one["product"]
    with ui.element("section").classes("im"):
        ui.link(product["title"], f"/product/{quote(product['product_id'], safe='')}").classes("name")
        mood = (
            t("improve_unsaid")
            if not one["texts"]
            else t("improve_mood", mood=f"{one['mood']:+.2f}", texts=one["texts"], usual=f"{one['category_mood']:+.2f}")
        )  # fmt: skip
        ui.label(f"{product['product_id']} · {product['category']} · {mood}").classes("sub")
        if not one["complaints"]:
            ui.label(t("improve_quiet"))
        for complaint in one["complaints"][:most]:
            _complaint(complaint)
        if one["praise"]:
            ui.label(
                t("improve_praise", what=", ".join(f"{p['words']} ({p['texts']})" for p in one["praise"]))
            ).classes("sub").style("margin-top:8px")


def _complaint(one: dict[str, Any]) -> None:
    share, (low, high), usual = float(one["share"]), one["interval"], float(one["category_share"])
    with ui.element("div").classes("one"):
        with ui.element("div"):
            ui.label(one["aspect_words"]).classes("asp")
            if one["worse"]:
                ui.label(t("improve_worse")).classes("sub bad")
        with ui.element("div"):
            ui.html(
                f'<div class="bar" role="img" aria-label="{share:.0%} / {usual:.0%}"><i style="left:0;width:{min(share, 1):.1%}"></i><b style="left:{min(usual, 1):.1%}"></b></div>',
                sanitize=False,
            )
            ui.label(
                t("improve_share", texts=one["texts"], share=f"{share:.0%}", low=f"{low:.0%}", high=f"{high:.0%}", usual=f"{usual:.0%}")
                + " · "
                + t("improve_trend", trend=one["trend_words"])
            ).classes("sub")  # fmt: skip
            for quoted in one["quotes"]:
                day = f" — {quoted['at']}" if quoted["at"] else ""
                ui.html(f"<blockquote>“{escape(quoted['text'])}”{escape(day)}</blockquote>", sanitize=False)
