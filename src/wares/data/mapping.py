"""Their columns to ours: a guess from the names, templates and constants."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from wares.core import columns as c
from wares.core.errors import ConfigError
from wares.core.text import fill, template_parts

_COMMON_ID = [
    "asin",
    "sku",
    "stockcode",
    "itemid",
    "productid",
    "product",
    "item",
    "goodsid",
    "clothingid",
    "articleid",
    "parentasin",
    "商品编号",
    "商品id",
    "货号",
]
_USER = [
    "userid",
    "user",
    "customerid",
    "customer",
    "householdid",
    "visitorid",
    "reviewerid",
    "memberid",
    "memberno",
    "clientid",
    "用户id",
    "用户",
    "会员号",
]
_AT = [
    "at",
    "timestamp",
    "time",
    "datetime",
    "date",
    "eventtime",
    "createdat",
    "invoicedate",
    "orderdate",
    "transactiontimestamp",
    "unixreviewtime",
    "reviewtime",
    "querytime",
    "时间",
    "日期",
    "下单时间",
]
_PRICE = ["price", "unitprice", "amount", "saleprice", "价格", "单价", "售价"]
_TITLE = [
    "title",
    "name",
    "productname",
    "producttitle",
    "itemname",
    "productdisplayname",
    "标题",
    "名称",
    "商品名称",
    "商品标题",
]
_SELLER = ["seller", "sellerid", "sellername", "merchant", "merchantid", "卖家", "商家"]
_CURRENCY = ["currency", "currencycode", "货币", "币种"]

SYNONYMS: dict[str, dict[str, list[str]]] = {
    c.PRODUCTS: {
        c.PRODUCT_ID: [*_COMMON_ID, "id"],
        c.TITLE: [*_TITLE, "description", "商品"],
        c.DESCRIPTION: ["description", "longdescription", "desc", "body", "details", "描述", "详情"],
        c.BRAND: ["brand", "brandname", "manufacturer", "maker", "vendor", "品牌"],
        c.CATEGORY: [
            "category",
            "categories",
            "producttype",
            "productcategory",
            "department",
            "categorypath",
            "class",
            "classname",
            "类目",
            "分类",
            "品类",
        ],
        c.SIZE: ["size", "packagesize", "packsize", "pack", "规格", "尺寸"],
        c.PRICE: _PRICE,
        c.CURRENCY: _CURRENCY,
        c.IMAGE: ["image", "imageurl", "picture", "图片"],
        c.URL: ["url", "link", "producturl", "链接"],
        "attributes": [],
        c.AVAILABLE: ["available", "instock", "active", "availability", "库存状态"],
    },
    c.EVENTS: {
        c.EVENT_ID: ["eventid", "transactionlineid", "lineid", "logid"],
        c.USER_ID: _USER,
        c.SESSION_ID: [
            "sessionid",
            "session",
            "basketid",
            "orderid",
            "invoiceno",
            "invoice",
            "会话",
            "订单号",
        ],
        c.PRODUCT_ID: _COMMON_ID,
        c.KIND: ["kind", "event", "eventtype", "type", "action", "behavior", "behaviour", "行为"],
        c.AT: _AT,
        c.QUANTITY: ["quantity", "qty", "units", "count", "数量"],
        c.PRICE: _PRICE,
        c.CURRENCY: _CURRENCY,
        c.STORE: [
            "store",
            "storeid",
            "branch",
            "branchid",
            "outlet",
            "market",
            "marketplace",
            "门店",
            "店铺",
        ],
    },
    c.REVIEWS: {
        c.REVIEW_ID: ["reviewid", "id", "rowid"],
        c.PRODUCT_ID: _COMMON_ID,
        c.USER_ID: _USER,
        c.RATING: ["rating", "stars", "score", "overall", "评分", "星级"],
        c.TITLE: ["title", "reviewtitle", "summary", "headline", "标题"],
        c.TEXT: ["text", "reviewtext", "review", "body", "content", "comment", "评论", "评价内容"],
        c.AT: _AT,
        c.SELLER: _SELLER,
    },
    c.TEXTS: {
        c.TEXT_ID: ["textid", "questionid", "messageid", "chatid", "feedbackid", "id", "rowid"],
        c.KIND: ["kind", "type", "channel", "类型", "渠道"],
        c.TEXT: [
            "text",
            "question",
            "message",
            "body",
            "content",
            "comment",
            "headline",
            "文本",
            "问题",
            "消息",
            "内容",
        ],
        c.AT: _AT,
        c.PRODUCT_ID: _COMMON_ID,
        c.USER_ID: _USER,
        c.BRAND: ["brand", "company", "organisation", "organization", "品牌", "公司"],
        c.SELLER: _SELLER,
        c.QUERY: ["query", "searchterm", "keywords", "搜索词"],
    },
    c.QUERIES: {
        c.QUERY_ID: ["queryid", "id"],
        c.TEXT: ["query", "text", "q", "searchterm", "keywords", "搜索词", "查询"],
        c.USER_ID: _USER,
        c.SESSION_ID: ["sessionid", "session"],
        c.PRODUCT_ID: [*_COMMON_ID, "clicked", "clickedid"],
        c.AT: _AT,
        c.SHOWN: ["shown", "shownids", "results", "impressions", "展示商品"],
        c.CLICKS: ["clicks", "clickedids", "clickedproducts", "点击商品"],
    },
    c.PRICES: {
        c.PRODUCT_ID: _COMMON_ID,
        c.AT: _AT,
        c.PRICE: _PRICE,
        c.LIST_PRICE: ["listprice", "regularprice", "wasprice", "rrp", "原价"],
        c.CURRENCY: _CURRENCY,
    },
}


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def guess(names: Sequence[str], table: str) -> dict[str, str]:
    """Our column → their column, by name; each of theirs is used once, better matches first."""
    found: dict[str, str] = {}
    plain = {_plain(name): name for name in reversed(names)}
    claims = sorted(
        (rank, order, ours, plain[word])
        for order, (ours, words) in enumerate(SYNONYMS[table].items())
        for rank, word in enumerate([_plain(ours), *words])
        if word in plain
    )
    for _, _, ours, theirs in claims:
        if ours not in found and theirs not in found.values():
            found[ours] = theirs
    if table == c.PRODUCTS and c.TITLE not in found and c.DESCRIPTION in found:
        # Many tills call the only text that they have a description.
        found[c.TITLE] = found.pop(c.DESCRIPTION)
    return found


def template_fields(value: str) -> list[str] | None:
    """The column names inside a template; None when `value` is a plain column name."""
    if "{" not in value:
        return None
    try:
        return [name for _, name in template_parts(value) if name]
    except ValueError as error:
        raise ConfigError(
            f"template {value!r}: {error}", mend="Write columns as {name}", key="map", source=value
        ) from None


def compose(table: pa.Table, template: str) -> pa.Array:
    """Fill a template row by row; the separator before a missing part is dropped with it."""
    parts = template_parts(template)
    rows = table.select([name for _, name in parts if name]).to_pylist()
    return pa.array([fill(parts, row) or None for row in rows], pa.string())


def apply_map(table: pa.Table, mapping: dict[str, str], kind: str, source: str) -> tuple[pa.Table, list[str]]:
    """Rename, compose and fill by `mapping`; returns our columns and the names of theirs that were not used.

    Raises:
        ConfigError: when a column that the map names is not there.
    """
    out: dict[str, pa.Array | pa.ChunkedArray] = {}
    used: set[str] = set()
    for ours, theirs in mapping.items():
        if ours not in SYNONYMS[kind]:
            raise ConfigError(
                f"`map` names the column {ours!r}, which {kind} do not have",
                mend=f"Known: {', '.join(SYNONYMS[kind])}",
                key=f"map.{ours}",
                source=source,
            )
        if theirs.startswith("="):
            out[ours] = pa.repeat(pa.scalar(theirs[1:]), table.num_rows)
            continue
        fields = template_fields(theirs)
        missing = [name for name in (fields or [theirs]) if name not in table.column_names]
        if missing and table.num_rows:
            raise ConfigError(
                f"{source} has no column {missing[0]!r}",
                mend=f"It has: {', '.join(table.column_names)}. Mend `map` in wares.toml",
                key=f"map.{ours}",
                source=source,
            )
        if table.num_rows:
            out[ours] = compose(table, theirs) if fields is not None else table[theirs]
            used.update(fields or [theirs])
    return pa.table(out), [name for name in table.column_names if name not in used]


def text_of(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Any column as strings; whole floats lose their ``.0``, so that ids stay ids."""
    if pa.types.is_floating(column.type):
        whole = pc.all(pc.or_kleene(pc.equal(column, pc.floor(column)), pc.is_nan(column))).as_py()
        if whole is not False:
            column = pc.if_else(pc.is_finite(column), column, None).cast(pa.int64())
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        return pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())
    return column.cast(pa.string())
