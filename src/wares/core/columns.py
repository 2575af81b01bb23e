"""The one place for table and column names."""

from __future__ import annotations

from typing import Final

PRODUCTS: Final = "products"
EVENTS: Final = "events"
REVIEWS: Final = "reviews"
QUERIES: Final = "queries"
PRICES: Final = "prices"
TEXTS: Final = "texts"
"""Questions, service chats, feedback on searches, news: any dated text that is not a review."""
QUARANTINE: Final = "quarantine"
PRODUCT_CLUSTERS: Final = "product_clusters"
PRODUCTS_FUSED: Final = "products_fused"
GRAPH_TRIPLES: Final = "graph_triples"
CLUSTER_ID: Final = "cluster_id"
TABLES: Final = (PRODUCTS, EVENTS, REVIEWS, QUERIES, PRICES, TEXTS)

PRODUCT_ID: Final = "product_id"
USER_ID: Final = "user_id"
SESSION_ID: Final = "session_id"
EVENT_ID: Final = "event_id"
REVIEW_ID: Final = "review_id"
QUERY_ID: Final = "query_id"
TEXT_ID: Final = "text_id"
KIND: Final = "kind"
AT: Final = "at"
QUANTITY: Final = "quantity"
PRICE: Final = "price"
LIST_PRICE: Final = "list_price"
CURRENCY: Final = "currency"
TITLE: Final = "title"
DESCRIPTION: Final = "description"
BRAND: Final = "brand"
CATEGORY: Final = "category"
SIZE: Final = "size"
IMAGE: Final = "image"
URL: Final = "url"
AVAILABLE: Final = "available"
STORE: Final = "store"
TEXT: Final = "text"
RATING: Final = "rating"
SELLER: Final = "seller"
QUERY: Final = "query"
SHOWN: Final = "shown"
CLICKS: Final = "clicks"

LINE: Final = "_line"
SOURCE: Final = "_source"

VIEW, CLICK, CART, PURCHASE, RETURN, RATE = "view", "click", "cart", "purchase", "return", "rate"
TEXT_KINDS: Final = ("question", "chat", "feedback", "news", "other")
KINDS: Final = (VIEW, CLICK, CART, PURCHASE, RETURN, RATE)
"""Event kinds, weakest intent first; ``return`` takes back."""

KEYS: Final = {
    PRODUCTS: (PRODUCT_ID,),
    EVENTS: (EVENT_ID,),
    REVIEWS: (REVIEW_ID,),
    TEXTS: (TEXT_ID,),
    QUERIES: (QUERY_ID,),
    PRICES: (PRODUCT_ID, AT),
}
"""What makes a row of each table the same row again."""


def clean_name(table: str) -> str:
    """The table that cleaning makes of `table`."""
    return f"{table}_clean"
