"""The workshop's page of searches that fail: nothing found, or nothing wanted, and what a merchandiser can do about each."""

from __future__ import annotations

from html import escape
from urllib.parse import quote, urlencode

from nicegui import run, ui

from wares.console.frame import SECTIONS, frame, shelf, t
from wares.console.roles import readable
from wares.console.words import add_words
from wares.core import columns as c
from wares.core.nouns import SearchPage
from wares.models.search.asked_log import AskedText, empty, read_asked, seldom_clicked
from wares.serve.ranker import Ranker

PATH = "/workshop/search-gaps"
SHOWN = 25

add_words(
    {
        "search_gaps": ("Lost searches", "失败搜索"),
        "search_gaps_about": (
            "What shoppers typed and did not find, by how often they did; only texts that at least three visitors typed. A search is made again now, "
            "so that what was mended leaves the list.",
            "顾客搜索却没有找到的内容，按次数排列；仅含至少三位访客搜索过的词。每个词都会重新搜索一次，已解决的会从列表中消失。",
        ),
        "search_gaps_denied": ("Your role may not see searches. Choose another above.", "当前角色无权查看搜索记录，请在上方切换角色。"),
        "search_gaps_none": (
            "The shop has no table of searches. Load one with `wares ingest PATH --as queries`, then build and publish.",
            "店铺没有搜索记录。请用 `wares ingest PATH --as queries` 载入，然后构建并发布。",
        ),
        "search_gaps_zero": ("Nothing found", "无结果"),
        "search_gaps_zero_none": ("Every search that is made often finds something.", "常见搜索均有结果。"),
        "search_gaps_seldom": ("Found, and seldom clicked", "有结果但少有点击"),
        "search_gaps_seldom_none": ("No search is clicked much less than the others.", "没有点击明显偏低的搜索。"),
        "search_gaps_counts": ("{searches} searches · {clicked} with a click", "{searches} 次搜索 · {clicked} 次有点击"),
        "search_gaps_rate": ("{rate} clicked, {whole} in the shop", "点击率 {rate}，全店 {whole}"),
        "search_gaps_relaxed": ("Not all of its words stand on a product. Shown instead:", "没有商品包含全部词，改为展示："),
        "search_gaps_empty": ("Nothing is shown.", "没有任何展示。"),
        "search_gaps_first": ("Shown first:", "首先展示："),
        "search_gaps_do_zero": (
            "Is it something that you sell under another name? Give it that synonym. Is there a product for it? Pin it. If not, it is a wish for the buyers.",
            "若以其他名称出售，请添加同义词；若有合适商品，请置顶；否则可作为采购参考。",
        ),
        "search_gaps_do_seldom": (
            "Pin or boost what they mean, or bury what stands in its way. A word with two meanings may need a category.",
            "请置顶或提升顾客真正想要的商品，或下沉干扰商品；多义词可限定类目。",
        ),
        "search_gaps_rule": ("Make a rule", "添加规则"),
        "search_gaps_try": ("Search", "搜索"),
    }
)  # fmt: skip
SECTIONS.append(("search_gaps", PATH))

STYLE = """
.gap{background:#fff;border:1px solid var(--line);border-radius:10px;padding:12px 16px;width:100%;margin-bottom:8px;display:grid;grid-template-columns:1fr auto;gap:4px 16px}
.gap .q{font-size:17px;font-weight:600;overflow-wrap:anywhere}.gap .sub{font-size:13px;color:var(--soft);line-height:1.45;overflow-wrap:anywhere}
.gap .do{display:flex;gap:14px;align-items:start;font-size:14px}.gap .do a{color:var(--good)}.gap .shown{grid-column:1/-1;font-size:13px;color:var(--soft)}
.gap .shown a{margin-right:12px;color:var(--soft)}
@media(max-width:760px){.gap{grid-template-columns:1fr;padding:10px 12px}}
"""


def register() -> None:
    """Put the page onto the application."""

    @ui.page(PATH)
    async def gaps() -> None:
        ui.add_head_html(f"<style>{STYLE}</style>")
        with frame("workshop"):
            ui.html(f"<h1>{t('search_gaps')}</h1>", sanitize=False)
            if not readable(c.QUERIES):
                ui.label(t("search_gaps_denied")).classes("note")
                return
            ranker = shelf().ranker
            asked = read_asked(ranker.folder / "search_order")
            if not asked:
                ui.label(t("search_gaps_none")).classes("note")
                return
            ui.label(t("search_gaps_about")).classes("note").style("margin:4px 0 12px")
            total = sum(one.searches for one in asked)
            whole = sum(one.clicked for one in asked) / max(total, 1)
            zero = [
                pair
                for pair in await run.io_bound(_again, ranker, empty(asked)[: 4 * SHOWN])
                if not pair[1].total or pair[1].relaxed
            ]
            ui.html(f"<h2>{t('search_gaps_zero')}</h2>", sanitize=False)
            ui.label(t("search_gaps_do_zero" if zero else "search_gaps_zero_none")).classes("note")
            for one, page in zero[:SHOWN]:
                _gap(one, page, "")
            seldom = await run.io_bound(_again, ranker, seldom_clicked(asked)[:SHOWN])
            ui.html(f"<h2>{t('search_gaps_seldom')}</h2>", sanitize=False)
            ui.label(t("search_gaps_do_seldom" if seldom else "search_gaps_seldom_none")).classes("note")
            for one, page in seldom:
                _gap(one, page, t("search_gaps_rate", rate=f"{one.rate:.0%}", whole=f"{whole:.0%}"))


def _again(ranker: Ranker, asked: list[AskedText]) -> list[tuple[AskedText, SearchPage]]:
    """What each text finds now."""
    return [(one, ranker.search(one.text, k=3)) for one in asked]


def _gap(one: AskedText, page: SearchPage, more: str) -> None:
    counts = t("search_gaps_counts", searches=f"{one.searches:,}", clicked=f"{one.clicked:,}")
    rule = f"/workshop/rules?{urlencode({'query': one.text})}"
    with ui.element("section").classes("gap"):
        ui.html(
            f'<div><div class="q">“{escape(one.text)}”</div><div class="sub">{escape(" · ".join(filter(None, (counts, more))))}</div></div>'
            f'<div class="do"><a href="{escape(rule)}">{t("search_gaps_rule")}</a><a href="/?q={quote(one.text, safe="")}">{t("search_gaps_try")}</a></div>',
            sanitize=False,
        )
        said = "search_gaps_empty" if not page.hits else "search_gaps_relaxed" if page.relaxed else "search_gaps_first"  # fmt: skip
        links = "".join(
            f'<a href="/product/{quote(hit.product.product_id, safe="")}">{escape(hit.product.title[:60])}</a>'
            for hit in page.hits
        )
        ui.html(f'<div class="shown">{t(said)} {links}</div>', sanitize=False)
