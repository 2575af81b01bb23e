"""A small shop with every dimension, built: pictures, reviews, views, odd titles."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image
from tests.conftest import copy_workspace

import wares
from wares.core.errors import QueryError
from wares.core.files import read_json, write_json
from wares.data.quality.release import discard, entries, release
from wares.pipeline.workspace import init_workspace, open_workspace
from wares.testing.faults import read

KINDS = ("lamp", "kettle", "spade")
COLOURS = ((220, 30, 30), (30, 200, 40), (40, 60, 220))
CONFIG = """
[shop]
name = "Every dimension"
currency = "EUR"
[[sources]]
as = "products"
path = "exports/products.csv"
[[sources]]
as = "events"
path = "exports/events.csv"
[[sources]]
as = "reviews"
path = "exports/reviews.csv"
[image]
model = "{model}"
size = 32
folder = "pictures"
[recommend]
regularisation = [10.0]
half_lives_days = [60.0]
min_support = 1
"""


def tiny_model(path):
    pool = helper.make_node("AveragePool", ["pixels"], ["pooled"], kernel_shape=[16, 16], strides=[16, 16])
    flat = helper.make_node("Flatten", ["pooled"], ["vectors"], axis=1)
    graph = helper.make_graph(
        [pool, flat], "tiny", [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", 12])],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def png(colour) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    root = tmp_path_factory.mktemp("every") / "shop"
    rng = np.random.default_rng(7)
    (root / "pictures").mkdir(parents=True)
    tiny_model(root / "pictures" / "tiny.onnx")
    products, reviews, events = [], [], []
    for i in range(90):
        kind = i % 3
        picture = f"{i}.png"
        shade = tuple(int(np.clip(c + rng.integers(-25, 26), 0, 255)) for c in COLOURS[kind])
        (root / "pictures" / picture).write_bytes(png(shade))
        products.append(
            {
                "product_id": f"p{i:02d}", "title": f"{KINDS[kind]} number {i} of steel", "brand": f"B{i % 4}", "category": f"Home > {KINDS[kind]}",
                "price": f"{10 * (kind + 1) + i % 5}", "size": f"{1 + i % 3} kg", "image": picture,
            }
        )  # fmt: skip
        if i < 60:
            reviews.append(
                {
                    "review_id": f"r{i}",
                    "product_id": f"p{i:02d}",
                    "user_id": f"u{i}",
                    "text": f"A fine {KINDS[kind]}. It works well every day.",
                    "rating": "5",
                    "at": "2025-03-01T00:00:00Z",
                }
            )
    (root / "pictures" / "3.png").write_bytes(b"this is no image")
    products[6]["image"] = "gone.png"
    products += [
        {"product_id": "long", "title": ("lamp " * 399).strip(), "brand": "B0", "category": "Home > lamp", "price": "10", "size": "", "image": ""},
        {"product_id": "endless", "title": "lamp " * 2000, "brand": "B0", "category": "Home > lamp", "price": "10", "size": "", "image": ""},
        {"product_id": "tea1", "title": "green tea", "brand": "T", "category": "Home > tea", "price": "4", "size": "500 g", "image": ""},
        {"product_id": "tea2", "title": "green tea", "brand": "T", "category": "Home > tea", "price": "7", "size": "1 kg", "image": ""},
        {"product_id": "bare", "title": "?", "brand": "", "category": "", "price": "", "size": "", "image": ""},
    ]  # fmt: skip
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    for user in range(150):
        kind = user % 3
        for day in [*sorted(rng.integers(0, 200, 4).tolist()), int(rng.integers(170, 200))]:
            # Within a kind, shoppers keep to one of five corners that no title tells.
            corner = np.arange(kind, 90, 3)[user // 3 % 5 :: 5]
            some = rng.choice(corner, 4, replace=False)
            for step, item in enumerate(some.tolist()):
                at = (begin + timedelta(days=day, hours=10 + kind * 4, minutes=step)).isoformat()
                events.append({"user_id": f"u{user}", "product_id": f"p{item:02d}", "kind": "view", "at": at})
                if step == 0:
                    events.append(
                        {"user_id": f"u{user}", "product_id": f"p{item:02d}", "kind": "purchase", "at": at}
                    )
                    other = (item + 1) % 90
                    events.append(
                        {"user_id": f"u{user}", "product_id": f"p{other:02d}", "kind": "purchase", "at": at}
                    )
    for name, rows in (("products", products), ("events", events), ("reviews", reviews)):
        write(root / "exports" / f"{name}.csv", rows)
    made = init_workspace(root, CONFIG.replace("{model}", str(root / "pictures" / "tiny.onnx")))
    made.ingest()
    made.build()
    made.publish()
    return made


@pytest.fixture(scope="module")
def ranker(shop):
    return wares.load(shop.root)


def test_every_dimension_is_there(ranker):
    assert set(ranker.likeness.names) == {
        "text", "attributes", "reviews", "image", "behaviour", "view", "basket", "graph", "price", "scene",
    }  # fmt: skip
    assert {"like", "same", "substitute", "complement", "style"} == set(ranker.likeness.kinds)
    assert ranker.likeness.has("reviews").sum() == 60
    assert ranker.likeness.has("image").sum() == 88


def test_substitutes_are_learned_from_views_before_the_last_days(ranker):
    facts = ranker.likeness.fusions["substitute"].facts
    assert facts["learned"] is True
    assert facts["ndcg"] > facts["ndcg_uniform"]


@pytest.mark.parametrize("kind", ["like", "same", "substitute", "complement", "style"])
def test_sums_and_kinds(ranker, kind):
    hits = ranker.similar("p01", k=10, kind=kind)
    assert hits
    for hit in hits:
        assert sum(hit.parts.values()) == pytest.approx(hit.score, abs=1e-5)
    if kind in ("like", "same", "substitute"):
        # A corner has six products, five of which are others.
        assert sum(h.product.category == "Home > kettle" for h in hits) >= (5 if kind == "substitute" else 8)


def test_what_goes_with_a_product_is_of_another_category(ranker):
    hits = ranker.similar("p01", k=10, kind="complement")
    assert hits
    assert all(h.product.category != "Home > kettle" for h in hits)


def test_a_picture_finds_products_that_look_like_it(ranker):
    hits = ranker.alike.by_image(png((225, 25, 35)), k=10)
    assert sum("lamp" in h.product.title for h in hits) >= 9
    with pytest.raises(QueryError, match="is not an image"):
        ranker.alike.by_image(b"not an image")


def test_words_find_pictures(ranker):
    hits = ranker.alike.by_words("kettle", k=10)
    assert sum("kettle" in h.product.title for h in hits) >= 8


def test_pictures_that_cannot_be_read_are_named(shop, ranker):
    refused = {r["product_id"]: r["rule"] for r in read_json(ranker.folder / "images" / "refused.json")}
    assert refused == {"p03": "format", "p06": "missing"}
    # They are found by everything else.
    assert ranker.similar("p03", k=3)
    parts = ranker.similar("p03", k=3)[0].parts
    assert "image" not in parts


def test_odd_titles(shop, ranker):
    # Ten thousand letters are no title: the row waits in quarantine, and says why.
    assert "endless" in str([r for r in shop.quarantine("products") if r["column"] == "title"])
    assert "lamp" in ranker.similar("long", k=3)[0].product.title
    assert [h.product.product_id for h in ranker.similar("tea1", k=1)] == ["tea2"]
    # Nothing is known of a product without a word, so it is like nothing rather than like everything.
    assert not ranker.likeness.has("text")[ranker.catalogue.row("bare")]
    assert all("text" not in hit.parts for hit in ranker.similar("bare", k=5))
    assert "bare" not in [h.product.product_id for h in ranker.similar("p01", k=50, weights={"text": 1})]


def test_nothing_new_is_built_twice(shop):
    report = shop.build()
    assert not {"images", "reviews", "similar"} & set(report.ran)


def image_entries(shop):
    return {
        json.loads(e["row"])["product_id"]: e
        for e in entries(shop.store, shop.state, "products", column="image")
    }


def test_pictures_that_cannot_be_read_stand_in_quarantine_once(shop):
    found = image_entries(shop)
    assert {p: (e["source"].rsplit("/", 1)[-1], e["rule"]) for p, e in found.items()} == {
        "p03": ("3.png", "format"),
        "p06": ("gone.png", "missing"),
    }
    assert all(e["mend"].startswith(f"Product {p}: ") for p, e in found.items())
    assert json.loads(found["p06"]["row"])["title"] == "lamp number 6 of steel"
    version = shop.store.version("quarantine")
    assert shop.set_images_aside() == {"refused": 2, "settled": 0}
    assert shop.store.version("quarantine") == version


def test_a_picture_that_is_read_again_leaves_quarantine_and_may_come_back(shop, tmp_path):
    root = tmp_path / "shop"
    copy_workspace(shop.root, root)
    mine = open_workspace(root)
    place = root / mine._latest()["done"]["images"] / "refused.json"
    both = read_json(place)
    discard(mine, [image_entries(mine)["p03"]["id"]], by="ann")
    # Only the missing file is mended; what ann discarded stays discarded.
    write_json(place, both[:1])
    assert mine.set_images_aside() == {"refused": 1, "settled": 1}
    assert image_entries(mine) == {}
    write_json(place, both)
    assert mine.set_images_aside() == {"refused": 2, "settled": 0}
    assert list(image_entries(mine)) == ["p06"]
    assert mine.set_images_aside() == {"refused": 2, "settled": 0}
    assert list(image_entries(mine)) == ["p06"]
    # A mended row of the quarantine lands as a product like any other.
    report = release(mine, [image_entries(mine)["p06"]["id"]], {"image": "7.png"}, by="ann")
    assert report.broken == []
    assert image_entries(mine) == {}
    rows = {r["product_id"]: r for r in read(mine.store, "products").to_pylist()}
    assert (rows["p06"]["image"], rows["p06"]["title"]) == ("7.png", "lamp number 6 of steel")
