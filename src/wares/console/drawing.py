"""A lineage graph as SVG: assets in layers from left to right, an edge where one goes into another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import quote

WIDTH, HEIGHT, GAP_X, GAP_Y = 138, 44, 28, 16
READABLE = 0.84
"""A drawing is not made smaller than this share of its size; it scrolls instead."""
COLOURS = {
    "source": "#8a6d3b", "table": "#1f6feb", "derived table": "#3b82c4", "training set": "#3b82c4", "quarantine": "#b35900",
    "feature": "#0b6b49", "model": "#7a3e9d", "bundle": "#b42318",
}  # fmt: skip


def layers(names: Iterable[str], edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Names in columns: each stands right of all that go into it; within a column near its neighbours."""
    pairs = [(a, b) for a, b in edges if a != b]
    into: dict[str, set[str]] = defaultdict(set)
    for a, b in pairs:
        into[b].add(a)
    depth: dict[str, int] = {}

    def deep(name: str, path: tuple[str, ...] = ()) -> int:
        if name not in depth:
            # A circle can only come from self-made recipes; it is cut where it closes.
            before = [
                deep(other, (*path, name)) for other in sorted(into[name]) if other not in (*path, name)
            ]
            depth[name] = 1 + max(before, default=-1)
        return depth[name]

    columns: dict[int, list[str]] = defaultdict(list)
    for name in sorted(set(names)):
        columns[deep(name)].append(name)
    ordered: list[list[str]] = []
    place: dict[str, float] = {}
    for number in sorted(columns):
        column = columns[number]
        middle = {n: [place[o] for o in into[n] if o in place] for n in column}
        column.sort(key=lambda n: (sum(middle[n]) / len(middle[n]) if middle[n] else 1e9, n))
        for i, name in enumerate(column):
            place[name] = i - len(column) / 2
        ordered.append(column)
    return ordered


def draw(
    kinds: Mapping[str, str],
    edges: Iterable[tuple[str, str]],
    chosen: str = "",
    notes: Mapping[str, str] | None = None,
) -> str:
    """The SVG. `kinds` is asset → kind; `notes` a second line by asset; `chosen` stands out."""
    pairs = sorted({(a, b) for a, b in edges if a in kinds and b in kinds and a != b})
    columns = layers(kinds, pairs)
    tallest = max((len(column) for column in columns), default=1)
    height = tallest * (HEIGHT + GAP_Y) + GAP_Y
    width = len(columns) * (WIDTH + GAP_X) - GAP_X + 20
    at: dict[str, tuple[int, int]] = {}
    for i, column in enumerate(columns):
        top = (height - len(column) * (HEIGHT + GAP_Y) + GAP_Y) // 2
        for j, name in enumerate(column):
            at[name] = (10 + i * (WIDTH + GAP_X), top + j * (HEIGHT + GAP_Y))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="lineage" style="max-width:100%;min-width:{width * READABLE:.0f}px;height:auto;font-family:inherit">'
    ]  # fmt: skip
    for a, b in pairs:
        (x1, y1), (x2, y2) = at[a], at[b]
        x1, y1, y2 = x1 + WIDTH, y1 + HEIGHT // 2, y2 + HEIGHT // 2
        strong = chosen in (a, b)
        parts.append(
            f'<path d="M{x1},{y1} C{x1 + GAP_X // 2},{y1} {x2 - GAP_X // 2},{y2} {x2},{y2}" fill="none" '
            f'stroke="{"#1d2733" if strong else "#b8c0cc"}" stroke-width="{1.8 if strong else 1.2}"/>'
        )
    for name, (x, y) in at.items():
        parts.append(_box(name, kinds[name], x, y, name == chosen, (notes or {}).get(name, kinds[name])))
    return "".join([*parts, "</svg>"])


def _box(name: str, kind: str, x: int, y: int, chosen: bool, note: str) -> str:
    colour = COLOURS.get(kind, "#5b6675")
    label = name.split(":", 1)[-1].rsplit("/", 1)[-1]
    box = (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="7" fill="#fff" stroke="{colour}" stroke-width="{3 if chosen else 1.5}"/>'
        f'<rect x="{x}" y="{y}" width="6" height="{HEIGHT}" rx="3" fill="{colour}"/>'
        f'<text x="{x + 14}" y="{y + 18}" font-size="13" font-weight="600" fill="#1d2733">{escape(_cut(label, 17))}</text>'
        f'<text x="{x + 14}" y="{y + 34}" font-size="11" fill="#5b6675">{escape(_cut(note, 20))}</text>'
    )
    title = f"<title>{escape(name)}: {escape(note)}</title>"
    if kind == "source":
        return f"<g>{title}{box}</g>"
    return f'<a href="/workshop/asset/{quote(name, safe="")}">{title}{box}</a>'


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
