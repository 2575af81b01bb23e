from __future__ import annotations

import pytest
from tests.core.test_state import postgres  # noqa: F401

from wares.core.errors import NotFound, QueryError
from wares.core.lineage import Graph, split_name
from wares.core.registry import ROWS, Asset, Edge, Registry, Version, metadata
from wares.core.state import State


@pytest.fixture(params=["sqlite", "postgresql"])
def registry(request, tmp_path):
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres")
    state = State.at(tmp_path, url)
    found = Registry(state)
    yield found
    metadata.drop_all(state.engine)
    state.close()


def column(name, description=""):
    return {"name": name, "type": "string", "description": description}


@pytest.fixture
def filled(registry):
    registry.put(
        Asset(
            "products",
            "table",
            "What the shop sells",
            "catalogue team",
            (column("brand", "Maker"), column("list_price", "原价")),
        )
    )
    registry.put(Asset("products_clean", "derived table", "Cleaned", "", (column("brand"),)))
    registry.put(
        Asset("text_vectors", "feature", "One vector a text", "", (), {"dim": 384, "encoder": "ab12"})
    )
    registry.put(Asset("bundle", "bundle", "What is served"))
    for name, number in (
        ("products", 0),
        ("products", 1),
        ("products_clean", 0),
        ("text_vectors", 0),
        ("bundle", 0),
    ):
        action = "append" if (name, number) == ("products", 1) else "replace"
        registry.put_versions(
            [Version(name, number, f"2025-01-0{number + 1}T00:00:00+00:00", 5, action, f"{name}{number}")]
        )
    registry.put_edges("products", 0, [Edge("products", 0, "brand", "source:a.csv", -1, "maker")])
    registry.put_edges("products", 1, [Edge("products", 1, "brand", "source:b.csv", -1, "make")])
    registry.put_edges(
        "products_clean",
        0,
        [
            Edge("products_clean", 0, "brand", "products", 1, "brand", "transformation", "casing"),
            Edge("products_clean", 0, ROWS, "products", 1, "list_price", "filter"),
        ],
    )
    registry.put_edges("text_vectors", 0, [Edge("text_vectors", 0, ROWS, "products_clean", 0, "brand")])
    registry.put_edges("bundle", 0, [Edge("bundle", 0, ROWS, "text_vectors", 0, ROWS)])
    return registry


@pytest.mark.parametrize(
    ("query", "first", "rest"),
    [
        ("brand", None, {"products", "products_clean"}),
        ("prod", None, {"products", "products_clean"}),
        ("text vec", "text_vectors", set()),
        ("list_price", "products", set()),
        ("catalogue", "products", set()),
        ("原价", "products", set()),
        ("christmas", "products", set()),
        ('brand" OR', None, set()),
        ("' & !:*", None, {"products", "products_clean", "text_vectors", "bundle"}),
        ("", None, {"products", "products_clean", "text_vectors", "bundle"}),
    ],
)
def test_search(filled, query, first, rest):
    filled.tag("products", "christmas", "2025", version=0)
    found = [a.name for a in filled.search(query)]
    assert set(found) == ({first} if first else set()) | rest


def test_the_name_counts_most(filled):
    filled.put(Asset("brand", "table", "Makers"))
    assert filled.search("brand")[0].name == "brand"


def test_tags_versions_and_forgetting(filled):
    filled.tag("products", "gold", "2025", version=0)
    filled.tag("products", "gold", "2026", version=1)
    filled.tag("products", "personal", "2026", column="brand")
    assert [(t["tag"], t["column"], t["version"]) for t in filled.tags("products")] == [
        ("gold", "", 1),
        ("personal", "brand", None),
    ]
    assert filled.untag("products", "gold")
    assert not filled.untag("products", "gold")
    assert filled.search("gold") == []
    for wrong in ("a b", "12", "2025-01-01", "", "x" * 101):
        with pytest.raises(QueryError, match="cannot be a tag"):
            filled.tag("products", wrong, "2025")
    filled.mark_erased("products", [0], "2026-01-01")
    assert [v.erased for v in filled.versions("products")] == [None, "2026-01-01"]
    assert filled.newest()["products"].version == 1
    filled.remove("products")
    assert filled.find("products") is None
    assert [a.name for a in filled.search("brand")] == ["products_clean"]
    with pytest.raises(QueryError, match="too long"):
        filled.search("x" * 201)


def test_unknown_names_say_the_nearest(filled):
    with pytest.raises(NotFound, match="Did you mean products"):
        filled.get("prodcts")
    with pytest.raises(QueryError, match=r"Did you mean products\.brand"):
        split_name(filled, "products.brnd")
    with pytest.raises(QueryError, match="version"):
        split_name(filled, "products@x")
    assert split_name(filled, "products@1") == ("products", 1, ROWS)
    assert split_name(filled, "bundle0") == ("bundle", 0, ROWS)


def test_up_and_down(filled):
    graph = Graph(filled)
    up = graph.up("bundle").assets
    assert up["products"] == ["brand", "list_price"]
    # Rows that were appended later do not hide where the earlier ones came from.
    assert up["source:a.csv"] == ["maker"]
    assert up["source:b.csv"] == ["make"]
    assert graph.up("bundle", rows=False).assets["products"] == ["brand"]
    assert "source:b.csv" not in graph.up("products", "brand", 0).assets
    assert set(graph.down("products", "brand").assets) == {"products_clean", "text_vectors", "bundle"}
    assert set(graph.down("products", "list_price").assets) == {"products_clean", "text_vectors", "bundle"}
    assert graph.down("products", "list_price", rows=False).assets == {}
    assert graph.assets() == [
        ("products", "products_clean"), ("products_clean", "text_vectors"), ("source:a.csv", "products"), ("source:b.csv", "products"), ("text_vectors", "bundle"),
    ]  # fmt: skip
