"""The fusion pages: doubtful pairs side by side, decided with one key each; and the clusters that came of it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any

from nicegui import events, ui

from wares.console.frame import SECTIONS, frame, t, table
from wares.console.roles import current, may_change, workspace
from wares.console.words import add_words
from wares.core import columns as c
from wares.core.errors import WaresError
from wares.core.words import Reading, read_texts
from wares.data.fusion.book import DIFFERENT, SAME, SKIP
from wares.data.fusion.run import CLUSTERS, FUSED

WORDS: dict[str, tuple[str, str]] = {
    "fusion": ("Fusion", "商品合并"),
    "fusion_off": (
        "Nothing was fused yet. Write [fusion] enabled = true into wares.toml, then run: wares fuse",
        "尚未合并。请在 wares.toml 中写入 [fusion] enabled = true，然后运行：wares fuse",
    ),
    "fusion_facts": (
        "{products} products are {clusters} things; {waiting} doubtful pairs wait",
        "{products} 件商品对应 {clusters} 种实物；{waiting} 对待确认",
    ),
    "fusion_ask": ("Are these one and the same product?", "这两条是同一件商品吗？"),
    "fusion_same": ("Same", "相同"),
    "fusion_different": ("Different", "不同"),
    "fusion_skip": ("Skip", "跳过"),
    "fusion_undo": ("Undo", "撤销"),
    "fusion_undone": ("Taken back", "已撤销"),
    "fusion_none_to_undo": ("Nothing to take back", "没有可撤销的"),
    "fusion_keys": ("y same · n different · s skip · u undo", "y 相同 · n 不同 · s 跳过 · u 撤销"),
    "fusion_likely": ("{p} likely the same", "相同概率 {p}"),
    "fusion_joined": ("now in one cluster", "目前在同一组"),
    "fusion_apart": ("now apart", "目前分开"),
    "fusion_done": ("All doubtful pairs are decided. Run `wares fuse` to use the decisions.", "所有待确认对已处理。运行 `wares fuse` 使其生效。"),
    "fusion_by_you": ("{n} by you; {left} left. They count from the next `wares fuse` on.", "您已处理 {n} 对，剩余 {left} 对；下次 `wares fuse` 起生效。"),
    "fusion_clusters": ("Things sold by several", "多来源商品"),
    "fusion_cluster": ("Cluster", "组"),
    "fusion_size": ("Products", "商品数"),
    "fusion_sure": ("Confidence", "置信度"),
    "fusion_title": ("Title", "标题"),
    "fusion_sources": ("Sources", "来源"),
    "fusion_history": ("What changed", "变更记录"),
    "fusion_kind": ("What", "类型"),
    "fusion_at": ("When (UTC)", "时间 (UTC)"),
    "fusion_who": ("Who", "操作者"),
    "fusion_denied": ("Your role may not review products: {why}", "当前角色无权审核：{why}"),
    "fusion_keepers": ("Pairs are decided by the roles owner and steward; choose one of them above.", "待确认对由所有者（owner）或管理员（steward）处理，请在上方切换角色。"),
    "fusion_gone": ("no longer in the catalogue", "已不在目录中"),
}  # fmt: skip
HIDDEN = ("attributes",)
SHOWN = 600
"""Characters of a value that are shown."""

STYLE = """
.fz{max-width:980px;margin:0 auto;width:100%;display:flex;flex-direction:column;gap:12px}
.fz .ask{font-size:20px;font-weight:700}
.fz .two{display:grid;grid-template-columns:1fr 1fr;gap:0;border:1px solid var(--line);border-radius:10px;background:#fff;overflow:hidden}
.fz .cell{padding:9px 14px;border-bottom:1px solid var(--line);overflow-wrap:anywhere;min-width:0;font-size:15px;line-height:1.45}
.fz .cell:nth-child(even){border-left:1px solid var(--line)}
.fz .name{grid-column:1/-1;background:#f4f6f5;color:var(--soft);font-size:12px;padding:3px 14px;border-left:0!important;border-bottom:1px solid var(--line)}
.fz .off{background:#fff4e5}.fz .cell b{background:#ffe1b3;border-radius:3px;padding:0 2px;font-weight:600}
.fz .cell.title{font-weight:600;font-size:16px}
.fz .choices{display:flex;flex-wrap:wrap;gap:8px}
.fz .choice{border:1px solid #b9c4cf;border-radius:9px;background:#fff;padding:10px 18px 10px 10px;font-size:16px;display:flex;gap:10px;align-items:center;cursor:pointer;min-height:46px;color:var(--ink)}
.fz .choice:hover{border-color:var(--good);background:#eef7f2}
.fz .key{border:1px solid #b9c4cf;border-bottom-width:3px;border-radius:6px;min-width:26px;text-align:center;font-weight:700;padding:0 5px;background:#f4f6f5}
.fz .said{font-size:14px;color:var(--soft)}
"""


def register(_workspace: Path) -> None:
    """Put the pages onto the application."""
    add_words(WORDS)
    if ("fusion", "/workshop/fusion") not in SECTIONS:
        SECTIONS.append(("fusion", "/workshop/fusion"))

    @ui.page("/workshop/fusion")
    def fusion() -> None:
        ui.add_head_html(f"<style>{STYLE}</style>")
        with frame("workshop"):
            ui.label(t("fusion")).style("font-size:24px;font-weight:700").props("role=heading aria-level=1")
            shop = workspace()
            if not shop.store.exists(CLUSTERS):
                ui.label(t("fusion_off")).classes("note")
                return
            try:
                _facts()
                if may_change(current()[1]):
                    _review()
                else:
                    ui.label(t("fusion_keepers")).classes("note")
                _clusters()
            except WaresError as error:
                ui.label(t("fusion_denied", why=str(error))).classes("note")


def _records(ids: list[str]) -> dict[str, dict[str, Any]]:
    who, role = current()
    shop = workspace()
    name = shop.fuser.table()
    quoted = ", ".join("'" + product.replace("'", "''") + "'" for product in ids)
    rows = (
        shop.asset(name, role, who=who, where=f"{c.PRODUCT_ID} in ({quoted})").to_arrow(len(ids)).to_pylist()
    )
    return {str(row[c.PRODUCT_ID]): row for row in rows}


def _review() -> None:
    book = workspace().fuser.book
    who, _ = current()
    done: list[int] = []

    def decide(verdict: str) -> None:
        pair = book.waiting(1)
        if pair:
            try:
                done.append(
                    book.decide(
                        pair[0]["left_id"], pair[0]["right_id"], verdict, who, "console", pair[0]["version"]
                    )
                )
            except WaresError as error:
                ui.notify(str(error), type="negative")
        view.refresh()

    def undo() -> None:
        if done:
            book.withdraw(done.pop(), who)
            ui.notify(t("fusion_undone"), timeout=1000)
            view.refresh()
        else:
            ui.notify(t("fusion_none_to_undo"))

    keys: dict[str, Callable[[], None]] = {
        "y": lambda: decide(SAME),
        "n": lambda: decide(DIFFERENT),
        "s": lambda: decide(SKIP),
        "u": undo,
    }

    def key(event: events.KeyEventArguments) -> None:
        held = event.modifiers
        if event.action.keydown and not (event.action.repeat or held.ctrl or held.alt or held.meta):
            keys.get(str(event.key.name).lower(), lambda: None)()

    @ui.refreshable
    def view() -> None:
        pairs = book.waiting(1)
        with ui.element("section").classes("fz").props("aria-live=polite"):
            if not pairs:
                ui.label(t("fusion_done")).classes("said")
            else:
                pair = pairs[0]
                found = _records([pair["left_id"], pair["right_id"]])
                ui.label(t("fusion_ask")).classes("ask")
                state = t("fusion_joined" if pair["evidence"].get("joined") else "fusion_apart")
                share = f"{pair['probability']:.0%}"
                ui.label(f"{t('fusion_likely', p=share)} · {state}").classes("said")
                _side_by_side(pair["left_id"], pair["right_id"], found)
                with ui.element("div").classes("choices").props("role=group"):
                    for letter, word in (("y", "same"), ("n", "different"), ("s", "skip"), ("u", "undo")):
                        _button(letter, t(f"fusion_{word}"), keys[letter])
            ui.label(t("fusion_by_you", n=len(done), left=f"{book.left():,}")).classes("said")

    # Buttons keep the focus after a click; their own key handling must not answer twice.
    ui.keyboard(on_key=key, repeating=False, ignore=["input", "select", "textarea"])
    view()


def _button(letter: str, text: str, do: Callable[[], None]) -> None:
    with (
        ui.element("button").classes("choice").props('type=button tabindex="-1"').on("click", lambda _: do())
    ):
        ui.label(letter).classes("key")
        ui.label(text)


def _side_by_side(left: str, right: str, found: dict[str, dict[str, Any]]) -> None:
    a, b = found.get(left, {}), found.get(right, {})
    names = [
        n
        for n in dict.fromkeys([*a, *b])
        if n not in HIDDEN and not n.startswith("_") and not n.endswith("_raw")
    ]
    first = [n for n in (c.TITLE, c.BRAND, c.SIZE, c.PRICE, c.CATEGORY, c.DESCRIPTION) if n in names]
    names = [*first, *(n for n in names if n not in (*first, c.PRODUCT_ID))]
    with ui.element("div").classes("two"):
        _cells(c.PRODUCT_ID, left, right, marked=False)
        if not (a and b):
            _cells("", "" if a else t("fusion_gone"), "" if b else t("fusion_gone"), marked=False)
        for name in names:
            one, two = (_shown(row.get(name)) for row in (a, b))
            if one or two:
                _cells(name, one, two, marked=name in (c.TITLE, c.DESCRIPTION, c.SIZE))


def _cells(name: str, left: str, right: str, *, marked: bool) -> None:
    """Both values under their column's name; words that only one side has are marked, and other values that differ."""
    differ = name != c.PRODUCT_ID and left.casefold() != right.casefold() and bool(left and right)
    one, two = _marked(left, right) if marked else (escape(left), escape(right))
    if name:
        ui.label(name).classes("name")
    kind = "cell" + (" title" if name == c.TITLE else "") + (" off" if differ and not marked else "")
    for text in (one, two):
        ui.html(text or "–", sanitize=False).classes(kind)


def _marked(left: str, right: str) -> tuple[str, str]:
    a, b = read_texts([left, right])

    def show(text: str, other: Reading) -> str:
        squeezed = other.text.replace(" ", "")
        parts = []
        for word in text.split():
            read = read_texts([word])[0]
            # A part of a code that the other writes as one word is no difference.
            known = all(w in other.words for w in read.words) or (
                len(read.text) > 1 and read.text in squeezed
            )
            parts.append(escape(word) if known else f"<b>{escape(word)}</b>")
        return " ".join(parts)

    return show(left, b), show(right, a)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "✓" if value else "✗"
    return f"{value:.2f}" if isinstance(value, Decimal | float) else str(value)[:SHOWN]


def _facts() -> None:
    shop = workspace()
    newest = shop.state.versions(FUSED)
    if newest:
        facts = newest[0]["quality"]["fusion"]
        ui.label(
            t(
                "fusion_facts",
                products=f"{facts['products']:,}",
                clusters=f"{newest[0]['rows']:,}",
                waiting=f"{shop.fuser.book.left():,}",
            )
        ).classes("note").style("margin-bottom:14px")


def _clusters() -> None:
    who, role = current()
    shop = workspace()
    fuser = shop.fuser
    ui.html(f"<h2>{escape(t('fusion_clusters'))}</h2>", sanitize=False)
    seen = shop.asset(FUSED, role, who=who).to_arrow().to_pylist()
    rows = [row for row in seen if len(row.get("members") or ()) > 1]
    rows.sort(key=lambda row: (row.get("confidence") or 0.0, str(row["cluster_id"])))
    with ui.element("div").classes("panel"):
        table(
            [t(f"fusion_{word}") for word in ("title", "size", "sure", "sources", "cluster")],
            [
                [
                    row.get(c.TITLE) or "", len(row["members"]), f"{row.get('confidence') or 0:.2f}",
                    ", ".join(row.get("sources") or ()), row["cluster_id"],
                ]
                for row in rows[:50]
            ],
        )  # fmt: skip
    events_ = fuser.book.history(limit=20)
    if events_:
        ui.html(f"<h2>{escape(t('fusion_history'))}</h2>", sanitize=False)
        with ui.element("div").classes("panel"):
            table(
                [t(f"fusion_{word}") for word in ("cluster", "kind", "who", "at")],
                [[row["cluster"], row["kind"], row["who"], row["at"][:19]] for row in events_],
            )
