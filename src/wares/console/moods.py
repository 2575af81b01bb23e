"""The workshop's pages of moods: the shop, a product's mood over time with what is said of each aspect, and a search box."""

from __future__ import annotations

from html import escape, unescape
from typing import Any
from urllib.parse import quote

from nicegui import ui

from wares.console.frame import SECTIONS, frame, language, shelf, t
from wares.console.mood_drawing import colour, draw, scale
from wares.console.roles import as_seen, in_service
from wares.console.words import add_words
from wares.core import columns as c
from wares.models.sentiment.mood_json import alarm_json, mood_json
from wares.models.sentiment.mood_words import aspect_name, mood_word
from wares.models.sentiment.moods import Alarm, Moods

PATH = "/workshop/moods"
TABS = (
    ("moods_products", PATH),
    ("moods_heat", f"{PATH}/aspects"),
    ("moods_alerts", f"{PATH}/alerts"),
    ("moods_try", f"{PATH}/try"),
)
LISTED = 8
LEAST_TEXTS = 5
"""Texts without which a product stands in no list: its mood is mostly that of its category."""
LETTERS, SHORT = 320, 180
ASPECTS = 14
"""Aspects of a product's page."""

add_words(
    {
        "moods": ("Moods", "评价情绪"),
        "moods_products": ("Products", "商品"),
        "moods_heat": ("Aspects", "方面热力图"),
        "moods_alerts": ("Alerts", "提醒"),
        "moods_try": ("Try a text", "试一段文字"),
        "moods_about": (
            "What reviews, questions and chats say, from -1 (bad) to +1 (good). A mood of few texts is drawn towards what is usual; the band holds it with 90%.",
            "评价、提问与客服对话所表达的情绪，从 -1（差）到 +1（好）。文本较少时向同类的平均靠拢；色带为 90% 区间。",
        ),
        "moods_old": ("This bundle knows nothing of moods: build and publish again.", "当前版本不含情绪数据：请重新构建并发布。"),
        "moods_denied": ("Your role may not see reviews. Choose another above.", "当前角色无权查看评价，请在上方切换角色。"),
        "moods_none": ("Nobody has written anything yet.", "还没有任何评价文本。"),
        "moods_search": ("Find a product", "查找商品"),
        "moods_shop": ("The shop", "全店"),
        "moods_lowest": ("Lowest mood", "情绪最低"),
        "moods_spoken": ("Most spoken of", "讨论最多"),
        "moods_texts": ("{n} texts", "{n} 条文本"),
        "moods_count": ("texts", "文本数"),
        "moods_worst": ("Most complaints", "差评最多的方面"),
        "moods_window": ("texts in 28 days", "28 天内文本数"),
        "moods_chart": ("Mood of {what} over time, with its 90% interval and the number of texts", "{what}的情绪走势，含 90% 区间与文本数"),
        "moods_undated": ("No text of it has a date, so there is no course over time.", "文本没有日期，无法显示走势。"),
        "moods_unspoken": ("Nobody has spoken of this product. What stands here is what is usual in its category.", "尚无人评价此商品，以下为同类的通常水平。"),
        "moods_trend": ("last 90 days {now}, the year before {before}", "近 90 天 {now}，此前一年 {before}"),
        "moods_aspects": ("What is said of it", "分方面评价"),
        "moods_aspect": ("aspect", "方面"),
        "moods_mood": ("mood", "情绪"),
        "moods_complaints": ("complaints", "差评"),
        "moods_praise": ("praise", "好评"),
        "moods_said": ("said", "原文"),
        "moods_quotes": ("In their words", "用户原话"),
        "moods_noticed": ("What was noticed", "发现的变化"),
        "moods_over": ("over", "已结束"),
        "moods_hidden": ("Your role may not read single texts.", "当前角色无权阅读单条文本。"),
        "moods_left": ("Not counted: {what}", "未计入：{what}"),
        "moods_blank": ("{n} blank", "{n} 条空白"),
        "moods_copies": ("{n} copies", "{n} 条重复"),
        "moods_spam": ("{n} spam", "{n} 条广告"),
        "moods_untrained": ("No classifier was trained yet: these moods come from a list of words.", "尚未训练分类器：当前情绪来自词表。"),
    }
)  # fmt: skip
SECTIONS.append(("moods", PATH))

STYLE = """
.mtabs{display:flex;gap:4px 18px;flex-wrap:wrap;margin:6px 0 14px;border-bottom:1px solid var(--line)}
.mtabs a{color:var(--soft);text-decoration:none;padding:6px 2px;border-bottom:2px solid transparent}.mtabs a.on{color:var(--ink);border-color:var(--good)}
.mscale{position:relative;display:inline-block;width:120px;height:12px;background:#eceff1;border-radius:4px;overflow:hidden;vertical-align:middle}.mscale i{position:absolute;top:0;height:12px;display:block}
.mlevel{display:flex;gap:6px 14px;align-items:baseline;flex-wrap:wrap}.mlevel b{font-size:30px;line-height:1.1}.mlevel span{color:var(--soft)}
.mlist{width:100%;border-collapse:collapse}.mlist td,.mlist th{padding:7px 8px;text-align:left;border-bottom:1px solid var(--line);font-size:14px;vertical-align:top}.mlist th{color:var(--soft);font-weight:600}
.mlist .num{text-align:right;white-space:nowrap}.mlist a{color:var(--ink);font-weight:600;text-decoration:none;overflow-wrap:anywhere}.mlist a:hover{text-decoration:underline}
.mchip{display:inline-block;min-width:52px;text-align:center;border-radius:6px;padding:2px 6px;font-weight:600}
.mquote{border-left:3px solid var(--line);padding:2px 0 2px 10px;margin:6px 0;font-size:14px;line-height:1.45;overflow-wrap:anywhere}.mquote.bad{border-color:#d98078}.mquote.good{border-color:#6fbf95}
.mquote small{color:var(--soft)}.mquote mark{background:#fff1a8;color:inherit;padding:0 1px}
.mchart{width:100%;height:auto;display:block}.mt{font-size:11px;fill:#5b6675}.mside{display:grid;grid-template-columns:minmax(0,3fr) minmax(0,2fr);gap:8px 26px;width:100%;align-items:start}
.mtwo{display:grid;grid-template-columns:1fr 1fr;gap:14px;width:100%;align-items:start}
.mnote{background:#fff;border:1px solid var(--line);border-left:4px solid #b3261e;border-radius:8px;padding:10px 14px;margin-bottom:8px;font-size:14px;line-height:1.45}.mnote.rose{border-left-color:#0b6b49}.mnote b{font-size:15px}
@media(max-width:760px){.masp tr{display:grid;grid-template-columns:1fr 64px 52px 52px;border-bottom:1px solid var(--line)}.masp td,.masp th{border-bottom:0!important}.masp td:last-child{grid-column:1/-1}.masp th:last-child{display:none}.mt{font-size:19px}.mtwo,.mside{grid-template-columns:minmax(0,1fr)}.mlist .wide{display:none}.mscale{width:64px}.mlist td,.mlist th{padding:6px 4px}}
"""


def tabs(here: str) -> None:
    """The pages of moods, beside each other."""
    ui.add_head_html(f"<style>{STYLE}</style>")
    ui.html(f"<h1>{escape(t('moods'))}</h1>", sanitize=False)
    with ui.element("nav").classes("mtabs"):
        for name, path in TABS:
            ui.link(t(name), path).classes("on" if name == here else "")


def moods_here() -> Moods | None:
    """The moods in service, where the visitor may see them; else the reason is shown."""
    moods = in_service(lambda ranker: ranker.moods, "moods", c.REVIEWS)
    if moods is None:
        return None
    if not moods.manifest["texts"]:
        with ui.element("div").classes("panel"):
            ui.label(t("moods_none"))
        return None
    return moods


def chip(mood: float) -> str:
    """A mood as a coloured number."""
    return f'<span class="mchip" style="background:{colour(mood)}">{mood:+.2f}</span>'


def quote_html(one: dict[str, Any], letters: int = LETTERS) -> str:
    """A quote with the span that says it marked; empty where the visitor's role may not read it."""
    seen = as_seen(c.REVIEWS if str(one["id"]).startswith("review:") else c.TEXTS, {"text": one["text"]})
    if seen is None:
        return ""
    text, says = unescape(str(seen["text"])), unescape(str(one["says"]))
    if len(text) > letters:
        at = max(text.find(says), 0)
        start = max(0, min(at - 60, len(text) - letters))
        text = (
            ("…" if start else "")
            + text[start : start + letters]
            + ("…" if start + letters < len(text) else "")
        )
    shown = escape(text)
    if says.strip() and len(says) < len(text):
        shown = shown.replace(escape(says.strip()), f"<mark>{escape(says.strip())}</mark>", 1)
    day = f" <small>{escape(one['date'])}</small>" if one["date"] else ""
    return f'<div class="mquote {"bad" if one["mood"] < 0 else "good"}">{shown}{day}</div>'


def register() -> None:
    """Put the pages onto the application."""

    @ui.page(PATH)
    def home() -> None:
        with frame("workshop"):
            tabs("moods_products")
            moods = moods_here()
            if moods is None:
                return
            ui.label(t("moods_about")).classes("note").style("margin-bottom:8px")
            _facts(moods)
            _search()
            shop = moods.find("shop", 0)
            with ui.element("div").classes("panel").style("margin:10px 0 14px"):
                _level(moods, shop, t("moods_shop"))
                with ui.element("div").classes("mside"):
                    _chart(
                        moods,
                        shop,
                        [a for a in moods.alarms(shop, told=True) if a.part_of < 0],
                        t("moods_shop"),
                    )
                    ui.html(_worst(moods), sanitize=False).style("width:100%")
            with ui.element("div").classes("mtwo"):
                spoken = [row for row in range(len(moods)) if moods.volume[row] >= LEAST_TEXTS]
                _products(
                    "moods_lowest",
                    moods,
                    sorted(spoken, key=lambda row: (float(moods.mood[row]), row))[:LISTED],
                )
                _products(
                    "moods_spoken",
                    moods,
                    sorted(spoken, key=lambda row: (-float(moods.volume[row]), row))[:LISTED],
                )

    @ui.page(f"{PATH}/product/{{product_id:path}}")
    def product(product_id: str) -> None:
        with frame("workshop"):
            tabs("moods_products")
            moods = moods_here()
            if moods is None:
                return
            _search()
            row = shelf().ranker.catalogue.row(product_id)
            if row < 0:
                ui.label(t("none")).classes("note")
                return
            _product(moods, row)


def _facts(moods: Moods) -> None:
    left = moods.manifest["left_out"]
    what = ", ".join(
        t(f"moods_{name}", n=f"{left[name]:,}") for name in ("blank", "copies", "spam") if left.get(name)
    )
    if what:
        ui.label(t("moods_left", what=what)).classes("note")
    reader = shelf().ranker.reader
    if reader is not None and not reader.trained:
        ui.label("⚠ " + t("moods_untrained")).style("color:#8a4b00")


def _search() -> None:
    found = ui.element("div").style("width:100%")

    def look(text: str) -> None:
        found.clear()
        if not text.strip():
            return
        ranker = shelf().ranker
        row = ranker.catalogue.row(text.strip())
        rows = (
            [row]
            if row >= 0
            else [
                ranker.catalogue.row(hit.product.product_id)
                for hit in ranker.search(text.strip()[:200], k=LISTED).hits
            ]
        )
        with found:
            _products("results" if rows else "none", ranker.moods, rows, n=len(rows))

    ui.input(t("moods_search"), on_change=lambda event: look(str(event.value or ""))).props(
        "outlined dense clearable debounce=300"
    ).style("width:min(440px,100%);margin-top:6px").classes("moods-search")


def _level(moods: Moods, series: int, name: str) -> None:
    level, trend = moods.level(series), moods.trend(series)
    ui.html(
        f'<div class="mlevel"><span style="color:var(--ink);font-weight:600">{escape(name)}</span><b>{level.mood:+.2f}</b>'
        f"<span>{escape(mood_word(level.mood, language()))} · {level.low:+.2f} … {level.high:+.2f} · {escape(t('moods_texts', n=f'{level.volume:,.0f}'))}</span></div>",
        sanitize=False,
    )
    if trend is not None:
        ui.label(
            t(
                "moods_trend",
                now=f"{trend[1].mood:+.2f} ({trend[1].low:+.2f} … {trend[1].high:+.2f})",
                before=f"{trend[0].mood:+.2f}",
            )
        ).classes("note")


def _chart(moods: Moods, series: int, alarms: list[Alarm], name: str) -> None:
    svg = draw(moods.curve(series), alarms, t("moods_chart", what=name), t("moods_window"))
    if svg:
        ui.html(f'<div style="max-width:760px;margin-top:8px">{svg}</div>', sanitize=False).style(
            "width:100%"
        )
    else:
        ui.label(t("moods_undated")).classes("note")


def _products(title: str, moods: Moods | None, rows: list[int], **facts: object) -> None:
    with ui.element("div").classes("panel"):
        ui.html(f'<h2 style="margin-top:0">{escape(t(title, **facts))}</h2>', sanitize=False)
        if not rows or moods is None:
            return
        body = ""
        for row in rows:
            one = shelf().ranker.catalogue.product(row)
            bar = scale(float(moods.mood[row]), float(moods.mood_low[row]), float(moods.mood_high[row]))
            body += (
                f'<tr><td><a href="{PATH}/product/{quote(one.product_id, safe="")}">{escape(one.title or one.product_id)}</a></td>'
                f'<td class="wide">{bar}</td><td class="num">{chip(float(moods.mood[row]))}</td><td class="num">{moods.volume[row]:,.0f}</td></tr>'
            )
        head = f'<tr><th></th><th class="wide"></th><th class="num">{escape(t("moods_mood"))}</th><th class="num">{escape(t("moods_count"))}</th></tr>'
        ui.html(f'<table class="mlist">{head}{body}</table>', sanitize=False).style("width:100%")


def _product(moods: Moods, row: int) -> None:
    catalogue = shelf().ranker.catalogue
    found = mood_json(moods, catalogue, row, language())
    name = str(found["title"] or found["product_id"])
    ui.html(
        f'<h2 style="font-size:21px;margin:14px 0 2px">{escape(name)}</h2><div class="note">{escape(found["product_id"])} · {escape(found["category"])}</div>',
        sanitize=False,
    )
    series = moods.find("product", row)
    if series < 0:
        ui.label(t("moods_unspoken")).classes("note")
        ui.html(chip(float(found["mood"])), sanitize=False)
        return
    own = list(moods.alarms(series, told=True))
    with ui.element("div").classes("panel").style("margin:10px 0"):
        _level(moods, series, "")
        with ui.element("div").classes("mside"):
            _chart(moods, series, own, name)
            shown = "".join(quote_html(one, SHORT) for one in found["quotes"])
            ui.html(f"<b>{escape(t('moods_quotes'))}</b>{shown or escape(t('moods_hidden'))}", sanitize=False)
    told = [
        a
        for s in (series, *moods.aspects_of("product", row))
        for a in moods.alarms(s, told=True)
        if a.part_of < 0
    ]
    if told:
        ui.html(f"<h2>{escape(t('moods_noticed'))}</h2>", sanitize=False)
        for alarm in sorted(told, key=lambda a: -a.day)[:LISTED]:
            said = alarm_json(moods, alarm, name, language())
            over = f" · {escape(t('moods_over'))}" if alarm.over else ""
            ui.html(
                f'<div class="mnote {alarm.kind}"><b>{escape(said["what"])}</b> <span class="note">{said["date"]}{over}</span><br>{escape(said["words"])}</div>',
                sanitize=False,
            ).style("width:100%")
    if found["aspects"]:
        ui.html(f"<h2>{escape(t('moods_aspects'))}</h2>", sanitize=False)
        with ui.element("div").classes("panel"):
            ui.html(_aspects(found["aspects"][:ASPECTS]), sanitize=False).style("width:100%")


def _worst(moods: Moods) -> str:
    """The aspects with the most complaints."""
    bad = moods.aspect_bad.sum(0)
    rows = [int(a) for a in (-bad).argsort(kind="stable")[:LISTED] if bad[a] > 0]
    if not rows:
        return ""
    body = ""
    for a in rows:
        level = moods.level(moods.find("aspect", -1, a))
        body += f'<tr><td>{escape(aspect_name(moods.aspects[a], language()))}</td><td class="num">{chip(level.mood)}</td><td class="num">{bad[a]:,.0f}</td></tr>'
    head = f'<tr><th>{escape(t("moods_worst"))}</th><th class="num">{escape(t("moods_mood"))}</th><th class="num">{escape(t("moods_complaints"))}</th></tr>'
    return f'<table class="mlist">{head}{body}</table>'


def _aspects(aspects: list[dict[str, Any]]) -> str:
    head = "".join(
        f'<th class="{kind}">{escape(t(name))}</th>'
        for name, kind in (
            ("moods_aspect", ""),
            ("moods_mood", "num"),
            ("moods_complaints", "num"),
            ("moods_praise", "num"),
            ("moods_said", ""),
        )
    )
    body = ""
    for one in aspects:
        low, high = one["interval"]
        said = "".join(quote_html(quote_, SHORT) for quote_ in one["quotes"][:1])
        body += (
            f'<tr><td><b>{escape(aspect_name(one["aspect"], language()))}</b><br><span class="wide">{scale(one["mood"], low, high)}</span></td>'
            f'<td class="num">{chip(one["mood"])}</td><td class="num">{one["complaints"]}</td><td class="num">{one["praise"]}</td><td>{said}</td></tr>'
        )
    return f'<table class="mlist masp"><tr>{head}</tr>{body}</table>'
