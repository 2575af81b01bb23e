"""The workshop's page of searches: how satisfied buyers are with what each returns, worst first, and what to change."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import quote

from nicegui import ui

from wares.console.frame import SECTIONS, frame, language, shelf, t
from wares.console.roles import in_service
from wares.console.words import add_words
from wares.core import columns as c
from wares.serve.mood_uses import queries_json

PATH = "/workshop/satisfaction"
SHOWN = 25

add_words(
    {
        "satisfaction": ("Searches", "搜索满意度"),
        "satisfaction_about": (
            "How satisfied buyers are with what each search returns, worst first: the mood of what is shown, nearer the top counting more, "
            "the share of searches that ended in a click with no other search at once and nothing sent back, and what is said of the search itself.",
            "各搜索结果的买家满意度，最差在前：取展示商品的口碑（越靠前权重越大）、有点击且未立即改搜、未退货的搜索占比，以及对搜索本身的反馈。",
        ),
        "satisfaction_facts": ("{searches} searches for {n} texts.", "共 {searches} 次搜索，{n} 个搜索词。"),
        "satisfaction_old": (
            "This bundle knows nothing of moods: build and publish again.",
            "当前版本不含口碑用途：请重新构建并发布。",
        ),
        "satisfaction_denied": (
            "Your role may not see searches. Choose another above.",
            "当前角色无权查看搜索记录，请在上方切换角色。",
        ),
        "satisfaction_score": ("satisfied", "满意度"),
        "satisfaction_interval": ("95 %: {low} to {high}", "95%：{low} 至 {high}"),
        "satisfaction_counts": (
            "{searches} searches · {clicked} with a click · {again} searched again",
            "{searches} 次搜索 · {clicked} 次有点击 · {again} 次改搜",
        ),
        "satisfaction_back": (
            "{returned} of {bought} bought so sent back",
            "经此购买 {bought} 件，退货 {returned} 件",
        ),
        "satisfaction_mood": (
            "mood of what is shown {mood} ({texts} texts)",
            "展示商品口碑 {mood}（{texts} 条）",
        ),
        "satisfaction_remarks": (
            "said of the search {mood} ({texts} texts)",
            "对该搜索的反馈 {mood}（{texts} 条）",
        ),
        "satisfaction_no_mood": ("nothing is said of what is shown", "展示商品暂无口碑"),
        "satisfaction_fine": ("Nothing to change.", "无需调整。"),
        "satisfaction_shown": ("Shown first", "首屏商品"),
    }
)
SECTIONS.append(("satisfaction", PATH))

STYLE = """
.sq{display:grid;grid-template-columns:120px 1fr;gap:2px 18px;background:#fff;border:1px solid var(--line);border-radius:10px;padding:14px 16px;width:100%;margin-bottom:10px;align-items:start}
.sq .score{font-size:26px;font-weight:700;line-height:1.1}.sq .score.low{color:#a12622}.sq .score.mid{color:#8a5a00}.sq .score.high{color:var(--good)}
.sq .bar{position:relative;height:8px;border-radius:4px;background:#eceff1;margin:6px 0 4px}.sq .bar i{position:absolute;height:8px;border-radius:4px;background:#b9cfc4}.sq .bar b{position:absolute;width:3px;height:12px;top:-2px;background:var(--ink)}
.sq .q{font-size:17px;font-weight:600;color:var(--ink);text-decoration:none;overflow-wrap:anywhere}.sq .sub{font-size:13px;color:var(--soft);line-height:1.45}
.sq ul{margin:6px 0 0;padding-left:18px;list-style:disc}.sq li{line-height:1.45;overflow-wrap:anywhere}.sq .first a{color:var(--soft);font-size:13px;margin-right:12px}
@media(max-width:760px){.sq{grid-template-columns:1fr;padding:12px}.sq .bar{max-width:220px}}
"""


def register() -> None:
    """Put the page onto the application."""

    @ui.page(PATH)
    def satisfaction() -> None:
        ui.add_head_html(f"<style>{STYLE}</style>")
        with frame("workshop"):
            ui.html(f"<h1>{t('satisfaction')}</h1>", sanitize=False)
            uses = in_service(lambda ranker: ranker.mood_uses, "satisfaction", c.QUERIES)
            if uses is None:
                return
            ranker = shelf().ranker
            ui.label(t("satisfaction_about")).classes("note").style("margin:4px 0")
            found = queries_json(uses, ranker.catalogue, SHOWN, 0, language())
            for note in found["notes"]:
                with ui.element("div").classes("panel").style("margin-bottom:10px"):
                    ui.label(note)
            if not found["queries"]:
                return
            ui.label(
                t("satisfaction_facts", searches=f"{found['searches']:,}", n=f"{found['total']:,}")
            ).classes("note")
            for row in found["queries"]:
                _query(row)


def _query(row: dict[str, Any]) -> None:
    score, (low, high) = float(row["satisfaction"]), row["interval"]
    level = "low" if score < 0.5 else "mid" if score < 0.7 else "high"
    with ui.element("section").classes("sq"):
        with ui.element("div"):
            ui.html(f'<div class="score {level}">{score:.0%}</div>', sanitize=False)
            ui.html(
                f'<div class="bar" role="img" aria-label="{low:.0%} – {high:.0%}"><i style="left:{low:.1%};width:{max(high - low, 0.01):.1%}"></i>'
                f'<b style="left:{score:.1%}"></b></div>',
                sanitize=False,
            )
            ui.label(t("satisfaction_interval", low=f"{low:.0%}", high=f"{high:.0%}")).classes("sub")
        with ui.element("div"):
            ui.link(f"“{row['query']}”", f"/?q={quote(row['query'], safe='')}").classes("q")
            said = [
                t("satisfaction_counts", searches=row["searches"], clicked=row["clicked"], again=row["reformulated"])
            ]  # fmt: skip
            if row["bought"]:
                said.append(t("satisfaction_back", returned=row["returned"], bought=row["bought"]))
            said.append(
                t("satisfaction_no_mood")
                if row["mood"] is None
                else t("satisfaction_mood", mood=f"{row['mood']:+.2f}", texts=row["texts"])
            )
            if row["remarks"]:
                said.append(
                    t("satisfaction_remarks", mood=f"{row['remarks_mood']:+.2f}", texts=row["remarks"])
                )
            ui.label(" · ".join(said)).classes("sub")
            if row["changes"]:
                items = "".join(f"<li>{escape(change['words'])}</li>" for change in row["changes"])
                ui.html(f"<ul>{items}</ul>", sanitize=False)
            else:
                ui.label(t("satisfaction_fine")).classes("sub")
            if row["shown"]:
                with ui.element("div").classes("first"):
                    ui.label(t("satisfaction_shown")).classes("sub")
                    for product in row["shown"][:3]:
                        ui.link(product["title"][:60], f"/product/{quote(product['product_id'], safe='')}")
