"""Reviews, questions and chats of a shop, read in the build."""

import csv

import numpy as np
import pytest
from tests.models.test_sentiment import BAD, FILL, GOOD

from wares.core.errors import ConfigError
from wares.models.sentiment.reader import Reader
from wares.models.sentiment.readings import Readings, stars_of
from wares.models.sentiment.spam import BLANK, DUPLICATE
from wares.pipeline.workspace import init_workspace, open_workspace

CONFIG = """
[shop]
name = "Read"
[[sources]]
as = "products"
path = "products.csv"
[[sources]]
as = "reviews"
path = "reviews.csv"
[[sources]]
as = "texts"
path = "texts.csv"
[encoder]
max_tokens = 16
"""


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    root = tmp_path_factory.mktemp("read") / "shop"
    workspace = init_workspace(root, CONFIG)
    rng = np.random.default_rng(4)
    write(
        root / "products.csv",
        [{"product_id": f"p{i}", "title": f"lamp {i}", "brand": f"b{i % 2}"} for i in range(6)],
    )
    reviews = []
    for i in range(240):
        stars = (1, 3, 5)[i % 3]
        words = (*rng.choice(BAD if stars == 1 else GOOD if stars == 5 else FILL, 3), *rng.choice(FILL, 4))
        reviews.append({"review_id": f"r{i}", "product_id": f"p{i % 6}", "user_id": f"u{i % 9}", "rating": stars,
                        "title": "", "text": " ".join(map(str, words)) + f" {i}", "at": f"2026-0{1 + i % 9}-11", "seller": "acme"})  # fmt: skip
    reviews[5] = {
        **reviews[5],
        "text": reviews[2]["text"],
        "product_id": reviews[2]["product_id"],
        "at": "2026-09-30",
    }
    reviews[8] = {**reviews[8], "text": "write to jane.roe@example.com, it is great"}
    write(root / "reviews.csv", reviews)
    write(root / "texts.csv", [
        {"kind": "QA", "text": "Does it fit an E27 bulb?", "at": "2026-03-02", "product_id": "p1", "brand": "", "query": ""},
        {"kind": "客服", "text": "灯不亮了，太糟糕", "at": "2026-03-01", "product_id": "", "brand": "", "query": ""},
        {"kind": "strange", "text": "acme opens a plant", "at": "2026-03-03", "product_id": "", "brand": "Acme", "query": "lamp"},
        {"kind": "chat", "text": "...", "at": "soon", "product_id": "", "brand": "", "query": ""},
    ])  # fmt: skip
    workspace.ingest()
    workspace.build()
    return workspace


@pytest.fixture(scope="module")
def read(shop):
    return Readings.load(shop.root / shop._latest()["done"]["readings"])


def row(read, key):
    return read.ids.find(key)


def test_texts_of_every_kind(shop, read):
    assert len(read) == 243
    assert read.kinds == ("chat", "other", "question", "review")
    assert (np.diff(read.at) >= 0).all()
    said = {str(read.texts[i]): i for i in range(len(read)) if read.kinds[read.kind[i]] != "review"}
    question = said["Does it fit an E27 bulb?"]
    assert read.product[question] == 1
    assert np.isnan(read.stars[question])
    news = said["acme opens a plant"]
    assert (read.brands[int(read.brand[news])], read.queries[int(read.query[news])]) == ("Acme", "lamp")
    assert read.languages[read.language[said["灯不亮了，太糟糕"]]] == "zh"
    assert read.sellers[int(read.seller[row(read, "review:r0")])] == "acme"
    # The chat without a readable date waits in quarantine, with the place and the mend.
    assert shop.store.exists("quarantine")


def test_moods_follow_the_stars(read):
    good = read.stars == 5
    assert read.trained
    assert read.source == "stars"
    assert read.mood[good].mean() > 0.5 > -0.5 > read.mood[read.stars == 1].mean()
    assert read.confidence.min() > 0
    assert read.confidence.max() <= 1


def test_copies_and_people(read):
    assert read.flags[row(read, "review:r5")] & DUPLICATE
    assert not read.flags[row(read, "review:r2")] & DUPLICATE
    assert not (read.flags & BLANK).any()
    said = str(read.texts[row(read, "review:r8")])
    assert "jane" not in said
    assert "[email]" in said
    assert read.counted.sum() == len(read) - 1


def test_the_classifier_is_in_the_bundle(shop):
    bundle = shop.publish()
    verdicts = Reader(bundle / "sentiment").read([" ".join(GOOD[:4]), " ".join(BAD[:4])])
    assert [v.label for v in verdicts] == ["positive", "negative"]


def test_a_named_classifier(shop, tmp_path):
    made = shop.root / shop._latest()["done"]["sentiment"] / "model"
    opened = named(shop, str(made))
    opened.build()
    assert Reader(opened.root / opened._latest()["done"]["sentiment"]).source == "model"
    (tmp_path / "model").mkdir()
    with pytest.raises(ConfigError, match="model"):
        named(shop, str(tmp_path / "model")).build()


def named(shop, model):
    (shop.root / "wares.toml").write_text(f'{CONFIG}[sentiment]\nmodel = "{model}"\n', "utf-8")
    return open_workspace(shop.root)


def test_stars_of_other_scales():
    np.testing.assert_allclose(stars_of(np.array([1.0, 5, np.nan])), [1, 5, np.nan])
    np.testing.assert_allclose(stars_of(np.array([0.0, 5])), [1, 5])
    np.testing.assert_allclose(stars_of(np.array([1.0, 10])), [1, 5])
    np.testing.assert_allclose(stars_of(np.array([0.0, 7.5])), [1, 4])
    assert len(stars_of(np.zeros(0))) == 0
