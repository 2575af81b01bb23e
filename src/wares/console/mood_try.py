"""The workshop's box to try a text: its verdict, what each word adds, and the opinions in it."""

from __future__ import annotations

from html import escape
from typing import Any

from nicegui import run, ui

from wares.console.frame import frame, language, shelf, t
from wares.console.mood_drawing import colour
from wares.console.moods import PATH, chip, tabs
from wares.console.words import add_words
from wares.core.errors import WaresError
from wares.models.sentiment.mood_words import aspect_name
from wares.serve.moods import sentiment_json

EXAMPLES = (
    "很好用，就是有点贵，物流也慢",
    "The sound is great, but the battery died after two weeks and nobody answered my mails.",
)

add_words(
    {
        "try_about": (
            "Write or paste a review. Each word is coloured by what the verdict loses without it: green speaks for a good mood, red for a bad one.",
            "输入或粘贴一段评价。每个词按去掉它后结论的变化着色：绿色支持好评，红色支持差评。",
        ),
        "try_text": ("Text", "文本"),
        "try_read": ("Read it", "分析"),
        "try_example": ("Example", "示例"),
        "try_sure": ("sure", "确定"),
        "try_unsure": ("not sure", "不确定"),
        "try_blank": ("There is nothing to read in it; this is what is usual.", "没有可读内容，以下为通常水平。"),
        "try_words": ("What each word adds", "每个词的影响"),
        "try_opinions": ("Opinions", "方面评价"),
        "try_no_opinions": ("No opinion about an aspect was found.", "没有找到针对方面的评价。"),
        "try_old": ("This bundle reads no texts: build and publish again.", "当前版本无法分析文本：请重新构建并发布。"),
        "try_negative": ("negative", "差评"),
        "try_neutral": ("neutral", "中性"),
        "try_positive": ("positive", "好评"),
    }
)  # fmt: skip
STYLE = """
.tw{line-height:2;font-size:16px}.tw span{border-radius:4px;padding:2px 3px;margin:0 1px}
.tp{display:grid;grid-template-columns:110px 1fr 54px;gap:4px 10px;align-items:center;max-width:460px;font-size:14px}.tp .bar{height:10px;background:#eceff1;border-radius:4px;overflow:hidden}.tp .bar i{display:block;height:10px;background:#1f5f8b}
"""


def register() -> None:
    """Put the page onto the application."""

    @ui.page(f"{PATH}/try")
    def try_text() -> None:
        ui.add_head_html(f"<style>{STYLE}</style>")
        with frame("workshop"):
            tabs("moods_try")
            if shelf().ranker.reader is None:
                ui.label(t("try_old")).classes("note")
                return
            ui.label(t("try_about")).classes("note").style("margin-bottom:8px")
            box = (
                ui.textarea(t("try_text"))
                .props("outlined autogrow maxlength=20000")
                .style("width:100%;max-width:760px")
            )
            with ui.row().style("gap:8px;margin:8px 0"):
                ui.button(t("try_read"), on_click=lambda: read()).props("no-caps unelevated")
                for example in EXAMPLES:
                    ui.button(
                        f"{t('try_example')} {'中文' if example == EXAMPLES[0] else 'English'}",
                        on_click=lambda _, e=example: show(e),
                    ).props("flat no-caps")
            answer = ui.element("div").style("width:100%")

            async def show(example: str) -> None:
                box.set_value(example)
                await read()

            async def read() -> None:
                answer.clear()
                ranker = shelf().ranker
                if ranker.reader is None:
                    ui.notify(t("try_old"), type="negative")
                    return
                try:
                    found: list[dict[str, Any]] | None = await run.io_bound(
                        sentiment_json, ranker.reader, ranker.aspects, [str(box.value or "")], True
                    )
                except WaresError as error:
                    ui.notify(str(error), type="negative")
                    return
                with answer:
                    _answer((found or [{}])[0])


def _answer(found: dict[str, Any]) -> None:
    if not found:
        return
    if "error" in found:
        ui.label(f"{found['error']['detail']}. {found['error']['mend']}").classes("note")
        return
    with ui.element("div").classes("panel"):
        if found["blank"]:
            ui.label(t("try_blank")).classes("note")
        sure = t("try_sure") if found["sure"] else t("try_unsure")
        mood = "" if found["mood"] is None else chip(found["mood"])
        ui.html(
            f'<div class="mlevel"><b>{escape(_label(found["label"]))}</b><span>{found["probability"]:.0%} · {escape(sure)}</span>{mood}</div>',
            sanitize=False,
        )
        bars = "".join(
            f'<span>{escape(_label(name))}</span><span class="bar"><i style="width:{p:.1%}"></i></span><span>{p:.1%}</span>'
            for name, p in found["probabilities"].items()
        )
        ui.html(f'<div class="tp" style="margin-top:10px">{bars}</div>', sanitize=False)
    why = found.get("why") or []
    if why:
        ui.html(f"<h2>{escape(t('try_words'))}</h2>", sanitize=False)
        with ui.element("div").classes("panel"):
            ui.html(words_html(why, found["mood"]), sanitize=False)
    ui.html(f"<h2>{escape(t('try_opinions'))}</h2>", sanitize=False)
    with ui.element("div").classes("panel"):
        rows = "".join(
            f'<tr><td><b>{escape(aspect_name(one["aspect"], language()))}</b></td><td class="num">{chip(one["polarity"])}</td><td>{escape(one["evidence"])}</td></tr>'
            for one in found["opinions"]
        )
        ui.html(
            f'<table class="mlist">{rows}</table>' if rows else escape(t("try_no_opinions")), sanitize=False
        ).style("width:100%")


def words_html(why: list[dict[str, Any]], mood: float | None) -> str:
    """Words coloured by what they add: towards the good where the verdict is good, else towards the bad."""
    most = max((abs(one["adds"]) for one in why), default=0.0) or 1.0
    sign = -1.0 if mood is not None and mood < 0 else 1.0
    spans = []
    for one in why:
        value = sign * one["adds"] / most
        back = colour(value) if abs(value) > 0.04 else "transparent"
        spans.append(
            f'<span style="background:{back}" title="{one["adds"]:+.3f}">{escape(one["word"])}</span>'
        )
    return f'<div class="tw">{" ".join(spans)}</div>'


def _label(label: str) -> str:
    return t(f"try_{label}") if label in ("negative", "neutral", "positive") else label
