"""Similar products on a product's page: the kind that is meant, what each dimension adds, and sliders to weigh them."""

from __future__ import annotations

from nicegui import run, ui

from wares.console.frame import card, language, t
from wares.console.words import add_words
from wares.core.errors import QueryError
from wares.core.nouns import Hit
from wares.serve.ranker import Ranker

SHOWN = 12
COLOURS = {
    "text": "#0b6b49", "attributes": "#5b8c2a", "reviews": "#a08c00", "image": "#c2571a", "behaviour": "#1f5f99",
    "view": "#3a86c8", "basket": "#7a4fb0", "sequence": "#9c6ade", "graph": "#b0366a", "price": "#6b6f76", "scene": "#00828a",
}  # fmt: skip

add_words(
    {
        "alike_like": ("Like it", "相似"),
        "alike_same": ("The same", "同款"),
        "alike_substitute": ("Instead of it", "可替代"),
        "alike_complement": ("Goes with it", "可搭配"),
        "alike_style": ("Same look", "同风格"),
        "alike_weigh": ("What counts", "权重"),
        "alike_none": ("Nothing of this kind is known.", "暂无此类商品。"),
        "dim_text": ("Description", "描述"),
        "dim_attributes": ("Attributes", "属性"),
        "dim_reviews": ("Reviews", "评价"),
        "dim_image": ("Picture", "图片"),
        "dim_behaviour": ("Same shoppers", "相同顾客"),
        "dim_view": ("Viewed together", "一起浏览"),
        "dim_basket": ("Bought together", "一起购买"),
        "dim_sequence": ("One after the other", "先后购买"),
        "dim_graph": ("Knowledge", "知识图谱"),
        "dim_price": ("Price and pack", "价格与规格"),
        "dim_scene": ("Occasion", "场景"),
    }
)


def contributions(hit: Hit) -> list[tuple[str, float]]:
    """(dimension, its share of the score), the largest first; shares sum to one."""
    total = sum(hit.parts.values())
    return (
        sorted(((n, v / total) for n, v in hit.parts.items() if v > 0), key=lambda p: -p[1])
        if total > 0
        else []
    )


class Alikeness:
    """One visitor's block of similar products."""

    def __init__(self, ranker: Ranker, product_id: str) -> None:
        self.ranker, self.product_id = ranker, product_id
        self.kind = "like"
        self.weights: dict[str, float] = {}

    async def build(self) -> None:
        """Lay the block out and ask for the first time."""
        model = self.ranker.likeness
        ui.html(f"<h2>{t('similar')}</h2>", sanitize=False)
        kinds = {name: t(f"alike_{name}") for name in model.kinds}
        if len(kinds) > 1:
            toggle = ui.toggle(kinds, value=self.kind).props(
                "no-caps unelevated toggle-color=teal-9 color=white text-color=teal-10"
            )
            toggle.on_value_change(lambda event: self._choose(str(event.value)))
        with (
            ui.expansion(t("alike_weigh")).classes("w-full").props("dense"),
            ui.element("div").style(
                "display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:4px 24px;width:100%"
            ),
        ):
            for name in model.names:
                with ui.row().classes("items-center").style("gap:10px;flex-wrap:nowrap"):
                    ui.label(t(f"dim_{name}")).classes("note").style("min-width:110px")
                    slider = ui.slider(min=0, max=3, step=0.5, value=0).props(
                        f'color=teal-9 label aria-label="{t(f"dim_{name}")}"'
                    )
                    slider.on(
                        "update:model-value",
                        lambda event, n=name: self._weigh(n, float(event.args)),
                        throttle=0.3,
                        leading_events=False,
                    )
        self.place = ui.element("section").classes("w-full").props("aria-live=polite")
        await self.show()

    async def _choose(self, kind: str) -> None:
        self.kind = kind
        await self.show()

    async def _weigh(self, name: str, value: float) -> None:
        self.weights[name] = value
        await self.show()

    async def show(self) -> None:
        """Ask again and show; without any weight above zero the kind's own weights count."""
        asked = {name: value for name, value in self.weights.items() if value > 0}
        tongue = language()

        def ask() -> list[Hit]:
            try:
                return self.ranker.similar(
                    self.product_id, SHOWN, weights=asked or None, kind=self.kind, language=tongue
                )
            except QueryError:
                # The bundle changed below an open page, and the new one has no such kind.
                return []

        hits = await run.io_bound(ask)
        self.place.clear()
        with self.place:
            if not hits:
                ui.label(t("alike_none")).classes("note")
                return
            with ui.element("div").classes("grid-cards"):
                for hit in hits:
                    with ui.element("div"):
                        card(hit)
                        bar(hit)
            legend(hits)


def bar(hit: Hit) -> None:
    """The score as one bar, a part for each dimension; said in numbers to who points at it or hears it read."""
    shares = contributions(hit)
    said = ", ".join(f"{t(f'dim_{name}')} {share:.0%}" for name, share in shares)
    with (
        ui.element("div")
        .classes("parts")
        .style("display:flex;height:8px;border-radius:4px;overflow:hidden;margin:4px 2px 10px")
        .props(f'role=img aria-label="{said}"')
        .tooltip(f"{hit.score:.2f}: {said}")
    ):
        for name, share in shares:
            ui.element("div").style(f"width:{100 * share:.1f}%;background:{COLOURS[name]}")


def legend(hits: list[Hit]) -> None:
    """Which colour is which dimension."""
    there = {name for hit in hits for name in hit.parts}
    with ui.row().style("gap:4px 16px"):
        for name, colour in COLOURS.items():
            if name in there:
                with ui.row().classes("items-center").style("gap:5px"):
                    ui.element("div").style(f"width:10px;height:10px;border-radius:2px;background:{colour}")
                    ui.label(t(f"dim_{name}")).classes("note")
