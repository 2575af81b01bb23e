import json
import random

import numpy as np
import pytest

from wares.core.errors import ConfigError, DataError, NotFound, QueryError
from wares.core.identifiers import clean_identifier, gtin
from wares.data.fusion.cluster import average_linkage, confidence
from wares.data.fusion.survive import lineage, rules_for, survive
from wares.pipeline.workspace import init_workspace

CONFIG = """
[[sources]]
as = "products"
path = "exports/products.jsonl"
[fusion]
enabled = true
trust = ["erp", "market"]
newest = "attributes.changed"
rules = { price = "lowest", title = "trusted" }
"""


def write_products(folder, things=40, seed=3):
    """Things sold by up to three sources under differently written titles; returns which product is which thing."""
    rng, truth, rows = random.Random(seed), {}, []
    kinds = ["kettle", "drill", "toaster", "floor lamp", "hand mixer"]
    for thing in range(things):
        brand, kind = rng.choice(["Acme", "Zenit", "Orbi", "Luma"]), rng.choice(kinds)
        code, litres = (
            f"{rng.choice('ABCDEF')}{rng.choice('XYZ')}{1000 + 37 * thing}",
            rng.choice(["0.5 l", "1 l", "2 l"]),
        )
        for source in ("erp", "market", "outlet")[: 1 + thing % 3]:
            name = [brand, kind, code if source != "market" else f"{code[:2]} {code[2:]}", litres]
            rng.shuffle(name)
            product = f"{source}-{thing}"
            truth[product] = thing
            rows.append(
                {
                    "product_id": product, "title": " ".join(name), "brand": brand if source != "outlet" else None,
                    "price": round(10 + thing + rng.random(), 2), "source": source, "changed": f"2026-01-0{1 + len(rows) % 9}",
                }
            )  # fmt: skip
    (folder / "exports").mkdir(parents=True, exist_ok=True)
    (folder / "exports" / "products.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return truth


@pytest.fixture(scope="module")
def fused(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fusion")
    truth = write_products(folder)
    shop = init_workspace(folder, CONFIG)
    shop.ingest()
    return shop, truth, shop.fuser.fuse()


def test_things_are_found_and_golden_records_say_where_values_come_from(fused):
    shop, truth, report = fused
    clusters = shop.fuser.clusters()
    assert set(clusters) == set(truth)
    pairs = [(a, b) for a in truth for b in truth if a < b]
    right = sum(truth[a] == truth[b] and clusters[a] == clusters[b] for a, b in pairs)
    said = sum(clusters[a] == clusters[b] for a, b in pairs)
    there = sum(truth[a] == truth[b] for a, b in pairs)
    assert right / said > 0.9
    assert right / there > 0.8
    assert report.clusters == len(set(clusters.values()))
    largest = shop.fuser.listing(1)[0]
    assert largest["members"][0].startswith("erp")
    provenance = json.loads(largest["provenance"])
    assert provenance["title"]["source"] == "erp"
    assert provenance["price"]["rule"] == "lowest"
    assert shop.state.versions("products_fused")[0]["rows"] == report.clusters
    assert shop.audit.entries(action="fusion.write")


def test_ids_are_stable_and_merges_reversible(fused):
    shop, _, _ = fused
    before = shop.fuser.clusters()
    again = shop.fuser.fuse()
    assert shop.fuser.clusters() == before
    assert (again.made, again.merged, again.split) == (0, 0, 0)
    sizes = {name: list(before.values()).count(name) for name in set(before.values())}
    one, two = sorted(name for name in sizes if sizes[name] == 2)[:2]
    parts = shop.fuser.members(one), shop.fuser.members(two)
    kept = shop.fuser.merge(one, two, "ann")
    assert shop.fuser.members(kept) == sorted([*parts[0], *parts[1]])
    made = shop.fuser.unmerge(kept, who="ann")
    assert sorted(made.values()) == sorted(map(sorted, parts))
    assert kept in made
    kinds = {event["kind"] for event in shop.fuser.book.history(kept)}
    assert {"merged", "split"} <= kinds
    shop.fuser.fuse()
    after = shop.fuser.clusters()
    assert all(after[a] != after[b] for a in parts[0] for b in parts[1])
    with pytest.raises(NotFound):
        shop.fuser.unmerge("nothing")


def test_decisions_bind_and_can_be_withdrawn(fused):
    shop, _, _ = fused
    clusters = shop.fuser.clusters()
    left = next(p for p in clusters if list(clusters.values()).count(clusters[p]) == 3)
    apart = shop.fuser.unmerge(clusters[left], [left], who="bob")
    assert [left] in apart.values()
    shop.fuser.fuse()
    assert shop.fuser.members(shop.fuser.clusters()[left]) == [left]
    for row in [row for row in shop.fuser.book.decided() if left in (row["left_id"], row["right_id"])]:
        shop.fuser.book.withdraw(row["id"], "bob")
    shop.fuser.fuse()
    assert len(shop.fuser.members(shop.fuser.clusters()[left])) == 3
    with pytest.raises(QueryError):
        shop.fuser.book.decide("a", "b", "perhaps", "ann")
    with pytest.raises(QueryError):
        shop.fuser.book.decide("a", "a", "same", "ann")


def test_fusion_is_off_unless_configured(tmp_path):
    shop = init_workspace(tmp_path / "off")
    with pytest.raises(ConfigError):
        shop.fuser.fuse()
    (tmp_path / "on").mkdir()
    with pytest.raises(DataError):
        init_workspace(tmp_path / "on", "[fusion]\nenabled = true\n").fuser.fuse()


def test_average_linkage_does_not_chain_and_keeps_constraints():
    chain = np.array([[0, 1], [1, 2], [2, 3]])
    sure = np.array([0.9, 0.6, 0.9])
    assert average_linkage(4, chain, sure).tolist() == [0, 0, 2, 2]
    assert (
        average_linkage(4, chain, sure, must=[(1, 2)])[1] == average_linkage(4, chain, sure, must=[(1, 2)])[2]
    )
    assert (
        average_linkage(4, chain, sure, cannot=[(0, 1)])[0]
        != average_linkage(4, chain, sure, cannot=[(0, 1)])[1]
    )
    exclusive = average_linkage(2, chain[:1], sure[:1], exclusive=[{5}, {5}])
    assert exclusive.tolist() == [0, 1]
    np.testing.assert_allclose(
        confidence(np.array([0, 0, 2, 2]), chain, sure), [0.9, 0.9, 0.9, 0.9], rtol=1e-6
    )


def test_identifiers_are_checked():
    assert gtin("4006381333931") == gtin("04006381333931") == "04006381333931"
    assert gtin("4006381333932") == ""
    assert clean_identifier("0-306-40615-2") == clean_identifier("9780306406157") == "gtin:09780306406157"
    assert clean_identifier("b000123456") == "asin:B000123456"
    assert clean_identifier("WD-60 efrx") == "mpn:WD60EFRX"
    assert clean_identifier("N/A") == ""


def test_survivorship_by_rule():
    rows = [
        {
            "product_id": "b",
            "title": "short",
            "brand": "Acme",
            "price": 3.0,
            "currency": "EUR",
            "description": "long text",
        },
        {
            "product_id": "a",
            "title": "a much longer title",
            "brand": "ACME",
            "price": 2.0,
            "currency": "USD",
            "description": "",
        },
        {
            "product_id": "c",
            "title": "other",
            "brand": "Zed",
            "price": None,
            "currency": "GBP",
            "description": None,
        },
    ]
    rules = rules_for(
        [name for name in rows[0] if name != "product_id"], {"price": "lowest", "title": "newest"}
    )
    record, origin = survive(
        rows, rules, {"shop": 0}, ["web", "web", "shop"], ["2026-01-02", "2026-01-01", ""]
    )
    assert (record["title"], record["brand"], record["price"], record["currency"]) == (
        "short",
        "ACME",
        2.0,
        "USD",
    )
    assert record["description"] == "long text"
    assert origin["currency"]["from"] == origin["price"]["from"] == "a"
    turned, _ = survive(
        rows[::-1], rules, {"shop": 0}, ["shop", "web", "web"], ["", "2026-01-01", "2026-01-02"]
    )
    assert turned == record
    assert ("price", ["products.price"], "survivorship: lowest") in lineage(rules)
    with pytest.raises(ConfigError):
        rules_for(["title"], {"title": "coin"})
    with pytest.raises(ConfigError):
        rules_for(["title"], {"colour": "vote"})
