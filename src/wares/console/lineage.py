"""Lineage in the console: which columns fed this, and what breaks when it changes."""

from __future__ import annotations

from nicegui import ui

from wares.console.drawing import draw
from wares.console.frame import SECTIONS, frame, t, table
from wares.console.roles import workspace
from wares.console.words import WORDS, add_words
from wares.core.errors import WaresError
from wares.core.lineage import Graph

add_words(
    {
        "lineage": ("Lineage", "血缘"),
        "lineage_whole": ("Ask the lineage", "查看完整血缘"),
        "lineage_hint": (
            "An asset, a column as products.brand, or bundle",
            "资产、列（如 products.brand）或 bundle",
        ),
        "which_fed": ("Which columns fed this?", "由哪些列生成？"),
        "what_breaks": ("What breaks if this changes?", "更改会影响什么？"),
        "only_values": ("Only what puts values in, not what chooses rows", "仅显示取值来源，不含筛选与连接"),
        "notices": ("Would notice a change as well", "同样会受影响"),
        "all_columns": ("all", "全部"),
        "lineage_lead": (
            "From the sources at the left to what shoppers get at the right. Choose a box to open it, or ask about a table or a column.",
            "从左侧的来源到右侧顾客所见。点击方框可打开，也可按表或列查询。",
        ),
        "lineage_none": (
            "Nothing is known yet: load tables and run `wares build`.",
            "暂无血缘信息：请先载入数据表并运行 `wares build`。",
        ),
        "lineage_nobody": ("Nothing else depends on it.", "没有其他依赖。"),
        "kind_source": ("source", "来源文件"),
        "kind_table": ("table", "数据表"),
        "kind_derived table": ("derived table", "派生表"),
        "kind_training set": ("training set", "训练集"),
        "kind_quarantine": ("quarantine", "隔离区"),
        "kind_feature": ("feature", "特征"),
        "kind_model": ("model", "模型"),
        "kind_bundle": ("bundle", "在线包"),
    }
)


def kind_word(kind: str) -> str:
    """A kind of asset in the visitor's language; kinds that users made stay as they are."""
    return t(f"kind_{kind}") if f"kind_{kind}" in WORDS else kind


def register() -> None:
    """Put the page onto the application."""
    SECTIONS.append(("lineage", "/workshop/lineage"))

    @ui.page("/workshop/lineage")
    def lineage(what: str = "", direction: str = "up", values: str = "") -> None:
        with frame("workshop"):
            ui.html(f"<h1>{t('lineage')}</h1>", sanitize=False)
            _ask(what[:400], "down" if direction == "down" else "up", values == "1")


def kinds_of(names: set[str]) -> dict[str, str]:
    """Kind of each asset; what is no asset is a source."""
    known = {a.name: a.kind for a in workspace().assets.registry.all()}
    return {name: known.get(name, "source") for name in names}


def words_of(kinds: dict[str, str]) -> dict[str, str]:
    """The second line of each box: its kind, in the visitor's language."""
    return {name: kind_word(kind) for name, kind in kinds.items()}


def near(name: str) -> tuple[Graph, list[tuple[str, str]]]:
    """The graph, and the edges between what goes into an asset and what hangs on it."""
    graph = Graph(workspace().assets.registry)
    around = {name, *graph.up(name).assets, *graph.down(name).assets}
    return graph, [(a, b) for a, b in graph.assets() if a in around and b in around]


def _ask(what: str, direction: str, values: bool) -> None:
    def go() -> None:
        ui.navigate.to(
            f"/workshop/lineage?what={field.value or ''}&direction={way.value}&values={1 if only.value else 0}"
        )

    with ui.element("div").style(
        "display:flex;gap:10px 16px;flex-wrap:wrap;align-items:center;width:100%;margin:10px 0"
    ):
        field = (
            ui.input(value=what, placeholder=t("lineage_hint"))
            .props("dense outlined clearable type=search")
            .style("flex:1 1 260px")
        )
        field.on("keydown.enter", go)
        way = ui.toggle(
            {"up": t("which_fed"), "down": t("what_breaks")}, value=direction, on_change=go
        ).props("no-caps unelevated toggle-color=teal-9 padding='4px 10px'")
        only = ui.checkbox(t("only_values"), value=values, on_change=go).props("dense")
    assets = workspace().assets
    graph = Graph(assets.registry)
    if not what:
        pairs = graph.assets()
        ui.label(t("lineage_lead" if pairs else "lineage_none")).classes("note").style("margin-bottom:8px")
        if pairs:
            kinds = kinds_of({n for pair in pairs for n in pair})
            with ui.element("div").classes("panel"):
                ui.html(draw(kinds, pairs, notes=words_of(kinds)), sanitize=False)
        return
    try:
        answer = assets.lineage(what, direction, rows=not values)
    except WaresError as error:
        with ui.element("div").classes("panel"):
            ui.label(str(error))
        return
    start = what.partition("@")[0].partition(".")[0]
    start = start if assets.registry.find(start) else "bundle"
    found = answer.assets
    pairs = [(e.from_asset, e.to_asset) for e in answer.edges]
    kinds = kinds_of({start, *found})
    notes = words_of(kinds) | {
        name: t("all_columns") if columns == ["*"] else ", ".join(c for c in columns if c != "*")
        for name, columns in found.items()
    }
    with ui.element("div").classes("panel"):
        ui.html(draw(kinds, pairs, start, notes), sanitize=False)
    if not found:
        ui.label(t("lineage_nobody")).classes("note")
        return
    with ui.element("div").classes("panel").style("margin-top:12px"):
        table(
            [t("asset_name"), t("asset_kind"), t("asset_columns")],
            [
                [
                    name,
                    kind_word(kinds[name]),
                    ", ".join(t("all_columns") if c == "*" else c for c in columns),
                ]
                for name, columns in found.items()
            ],
        )
    if direction == "down":
        # Assets stand in the table above; what is left are settings, contracts and the API.
        shown = {f"{kind} {name}" for name, kind in kinds.items()}
        others = [line for line in assets.consumers(what) if line not in shown]
        if others:
            ui.html(f"<h2>{t('notices')}</h2>", sanitize=False)
            with ui.element("div").classes("panel"):
                for line in others:
                    ui.label(line)
