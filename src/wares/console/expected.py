"""The expected price on a product's page: the range that its comparable products let expect, per unit, and which they are."""

from __future__ import annotations

import math
from urllib.parse import quote

from nicegui import ui

from wares.console.frame import language, money, t
from wares.console.words import add_words
from wares.core.nouns import Product
from wares.models.price.infer import PriceBook, PriceRange
from wares.serve.ranker import Ranker

_PER = {
    "kg": ("per kg", "每千克"), "l": ("per litre", "每升"), "m": ("per metre", "每米"), "m2": ("per m²", "每平方米"),
    "piece": ("each", "每件"), "load": ("per wash load", "每次洗涤"),
}  # fmt: skip

add_words(
    {
        "expected_unit": (
            "Expected from {n} comparable products: {low}–{high} {currency} {per}",
            "按 {n} 个可比商品，预期价格为{per} {low}–{high} {currency}",
        ),
        "expected_pack": (
            "Expected from {n} comparable products: {low}–{high} {currency}",
            "按 {n} 个可比商品，预期价格为 {low}–{high} {currency}",
        ),
        "expected_this": ("; this one: {price}", "；本商品：{price}"),
        "expected_whole": ("For this size: {low}–{high} {currency}", "按此规格：{low}–{high} {currency}"),
        "expected_which": ("Comparable products", "可比商品"),
    }
)
STYLE = """
.like-price{display:grid;grid-template-columns:1fr auto auto;gap:4px 18px;align-items:baseline;width:100%;font-size:14px}
.like-price a{color:var(--ink);overflow-wrap:anywhere}.like-price .num{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
@media(max-width:760px){.like-price{grid-template-columns:1fr auto;gap:2px 12px}.like-price a{grid-column:1/-1;margin-top:6px}.like-price .num{text-align:left}}
"""


def amount(value: float) -> str:
    """A price of one unit: two decimals, and below ten cents two digits that count."""
    if value >= 0.1 or value <= 0:
        return f"{value:,.2f}"
    return f"{value:.{1 - math.floor(math.log10(value))}f}"


def per(unit: str, tongue: str) -> str:
    """What a price of one unit is called: ``per kg``, ``each``."""
    known = _PER.get(unit, (f"per {unit}", f"每 {unit}"))
    return known[tongue == "zh"]


def sentences(book: PriceBook, found: PriceRange, row: int, product: Product) -> list[str]:
    """What is expected, for one unit where the pack and packs like it are known, and for the pack as sold.

    The price of this product stands beside only where it is in the currency of the range.
    """
    currency, n, size = str(book.manifest["currency"]), len(found.nearest), book.unit_of(row)
    mine = product.price if product.currency in ("", currency) else None
    by_unit = size is not None and found.same_unit > 0
    parts = size[1] if size is not None and by_unit else 1.0
    low, high = amount(found.low / parts), amount(found.high / parts)
    unit = per(size[0], language()) if size is not None and by_unit else ""
    first = t("expected_unit" if by_unit else "expected_pack", n=n, low=low, high=high, currency=currency, per=unit)  # fmt: skip
    if mine is not None:
        first += t("expected_this", price=amount(float(mine) / parts))
    if not by_unit or math.isclose(parts, 1.0):
        return [first]
    return [first, t("expected_whole", low=amount(found.low), high=amount(found.high), currency=currency)]


def expected(ranker: Ranker, product_id: str) -> None:
    """Lay the block out; nothing where the bundle, or the product, has no comparable prices."""
    book, row = ranker.prices, ranker.catalogue.row(product_id)
    found = None if book is None else book.expected(row)
    # A range without comparable products is the whole shop's, and would tell nothing.
    if book is None or found is None or not len(found.nearest):
        return
    ui.add_head_html(f"<style>{STYLE}</style>")
    with ui.element("div").classes("expected-price w-full"):
        for sentence in sentences(book, found, row, ranker.catalogue.product(row)):
            ui.label(sentence).classes("note")
        with (
            ui.expansion(t("expected_which")).classes("w-full").props("dense header-class='q-px-none'"),
            ui.element("div").classes("like-price"),
        ):
            for other in found.nearest.tolist():
                _comparable(book, ranker.catalogue.product(other), other)


def _comparable(book: PriceBook, product: Product, row: int) -> None:
    size = book.unit_of(row)
    # Many titles end in the size; where they do not, it tells the comparable ones apart.
    more = "" if product.size and product.size in product.title else product.size
    ui.link(
        " · ".join(part for part in (product.title, more, product.brand) if part),
        f"/product/{quote(product.product_id, safe='')}",
    )
    ui.label(money(product)).classes("num")
    known = size is not None and product.price is not None
    ui.label(f"{amount(float(product.price) / size[1])} {per(size[0], language())}" if known else "").classes(
        "num note"
    )
