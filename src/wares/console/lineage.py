"""Lineage in the console: which columns fed this, and what breaks when it changes."""

from __future__ import annotations

from nicegui import ui

from wares.console.drawing import draw
from wares.console.frame import SECTIONS, frame, t, table
from wares.console.roles import workspace
from wares.console.words import add_words
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
        "notices": ("Would notice a change", "会受影响"),
        "all_columns": ("all", "全部"),
    }
)


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
        ).props("no-caps dense unelevated toggle-color=teal-9")
        only = ui.checkbox(t("only_values"), value=values, on_change=go).props("dense")
    assets = workspace().assets
    graph = Graph(assets.registry)
    if not what:
        pairs = graph.assets()
        with ui.element("div").classes("panel"):
            ui.html(draw(kinds_of({n for pair in pairs for n in pair}), pairs), sanitize=False)
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
    notes = {
        name: t("all_columns") if columns == ["*"] else ", ".join(c for c in columns if c != "*")
        for name, columns in found.items()
    }
    with ui.element("div").classes("panel"):
        ui.html(draw(kinds_of({start, *found}), pairs, start, notes), sanitize=False)
    with ui.element("div").classes("panel").style("margin-top:12px"):
        table(
            [t("asset_name"), t("asset_columns")],
            [
                [name, ", ".join(t("all_columns") if c == "*" else c for c in columns)]
                for name, columns in found.items()
            ],
        )
    if direction == "down":
        ui.html(f"<h2>{t('notices')}</h2>", sanitize=False)
        with ui.element("div").classes("panel"):
            for line in assets.consumers(what):
                ui.label(line)
