"""Images in, vectors out, and what is no image refused with its reason."""

from __future__ import annotations

import io
from dataclasses import asdict

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from wares.core.arrays import load_array, save_arrays, seal
from wares.core.config import ImageConfig
from wares.core.errors import ConfigError, DataError, ModelError
from wares.core.files import read_json
from wares.core.strings import StringTable
from wares.features import image_build
from wares.features.catalogue import TEXTS
from wares.features.image import ImageEncoder, NotAnImage, Preparation, Projection, read_image
from wares.features.image_train import export_image_encoder, learn_projection

SIZE = 32


@pytest.fixture(scope="session")
def tiny_onnx(tmp_path_factory):
    """An encoder that averages each channel over a grid of 4 × 4."""
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    pool = helper.make_node("AveragePool", ["pixels"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8])
    flat = helper.make_node("Flatten", ["pooled"], ["vectors"], axis=1)
    graph = helper.make_graph(
        [pool, flat], "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", 48])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


@pytest.fixture(scope="session")
def encoder(tiny_onnx, tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    export_image_encoder(ImageConfig(model=str(tiny_onnx), size=SIZE), folder)
    return ImageEncoder(folder)


def picture(colour, kind="PNG", size=(60, 40), mode="RGB", **more) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, kind, **more)
    return out.getvalue()


def test_vectors_have_length_one_and_tell_colours_apart(encoder):
    vectors, refused = encoder.encode([picture("red"), picture("red", "JPEG"), picture("blue", "WEBP")])
    assert not refused
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.99 > vectors[0] @ vectors[2]


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "empty"),
        (b"this is text and no image", "format"),
        (picture("red")[:60], "damaged"),
        (picture("red", "JPEG", (400, 400))[:300], "damaged"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "format"),
        (picture("red", "PPM"), "format"),
    ],
)
def test_what_is_no_image_is_refused_with_its_rule(encoder, data, rule):
    with pytest.raises(NotAnImage) as error:
        encoder.encode_one(data)
    assert error.value.fields["rule"] == rule
    assert error.value.mend
    vectors, refused = encoder.encode([picture("red"), data])
    assert list(refused) == [1]
    # Never a silent zero vector.
    assert np.isnan(vectors[1]).all()
    assert np.isfinite(vectors[0]).all()


def test_files_that_are_missing_or_too_large_are_refused(encoder, tmp_path, monkeypatch):
    with pytest.raises(NotAnImage, match="cannot be read"):
        encoder.encode_one(tmp_path / "none.png")
    with pytest.raises(NotAnImage):
        encoder.encode_one(tmp_path)
    monkeypatch.setattr("wares.features.image.MOST_PIXELS", 1000)
    with pytest.raises(NotAnImage, match="60×40 pixels"):
        encoder.encode_one(picture("red"))
    monkeypatch.setattr("wares.features.image.MOST_BYTES", 50)
    with pytest.raises(NotAnImage, match="bytes"):
        encoder.encode_one(picture("red"))


def test_odd_modes_are_read_alike():
    preparation = Preparation(SIZE, SIZE)
    red = read_image(picture((255, 0, 0)), preparation)
    clear = read_image(picture((255, 0, 0, 0), mode="RGBA"), preparation)
    white = read_image(picture("white"), preparation)
    assert red.shape == (3, SIZE, SIZE)
    assert np.allclose(clear, white, atol=0.02)
    for mode, colour in (("L", 128), ("P", 3), ("CMYK", (0, 255, 255, 0)), ("1", 1)):
        kind = "JPEG" if mode == "CMYK" else "PNG"
        assert np.isfinite(read_image(picture(colour, kind, mode=mode), preparation)).all()
    assert np.isfinite(read_image(picture("red", size=(1, 300)), preparation)).all()


def test_an_image_is_turned_as_it_says():
    image = Image.new("RGB", (64, 32), "black")
    image.paste((255, 255, 255), (0, 0, 32, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif, quality=95)
    read = read_image(out.getvalue(), Preparation(SIZE, SIZE))
    # Turned by a quarter, the white half lies on top.
    assert read[:, :10].mean() > read[:, -10:].mean() + 1


def test_models_that_do_not_fit_are_named(tmp_path, tiny_onnx):
    with pytest.raises(ConfigError, match="does not exist"):
        export_image_encoder(ImageConfig(model="missing.onnx"), tmp_path)
    model = onnx.load(str(tiny_onnx))
    del model.graph.node[1]
    model.graph.node[0].op_type = "GlobalAveragePool"
    for attribute in list(model.graph.node[0].attribute):
        model.graph.node[0].attribute.remove(attribute)
    model.graph.node[0].output[0] = "vectors"
    one = helper.make_node("ReduceMean", ["vectors"], ["one"], axes=[1, 2, 3], keepdims=0)
    model.graph.node.append(one)
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("one", TensorProto.FLOAT, ["n"]))
    path = tmp_path / "one.onnx"
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match="one vector an image"):
        export_image_encoder(ImageConfig(model=str(path), size=SIZE), tmp_path)


def test_a_projection_lets_texts_find_images():
    rng = np.random.default_rng(7)
    way = rng.standard_normal((40, 12))
    kinds = rng.standard_normal((8, 12))
    kinds /= np.linalg.norm(kinds, axis=1, keepdims=True)
    of = rng.integers(0, 8, 400)
    images = kinds[of] @ np.linalg.pinv(way) + 0.03 * rng.standard_normal((400, 40))
    projection, facts = learn_projection(images[:300].astype(np.float32), kinds[of[:300]].astype(np.float32))
    assert facts["texts"] == 8
    near = projection(images[300:].astype(np.float32)) @ kinds.T
    assert (near.argmax(1) == of[300:]).mean() > 0.9
    with pytest.raises(DataError, match="too few"):
        learn_projection(images[:10].astype(np.float32), kinds[of[:10]].astype(np.float32))
    with pytest.raises(DataError, match="NaN"):
        learn_projection(np.full((100, 4), np.nan, np.float32), np.ones((100, 3), np.float32))
    with pytest.raises(DataError, match="one text an image"):
        learn_projection(np.ones((100, 4), np.float32), np.ones((99, 3), np.float32))


def small_catalogue(folder, images):
    n = len(images)
    for name in TEXTS:
        values = {
            "product_id": [f"p{i:03d}" for i in range(n)],
            "image": images,
            "title": [f"thing {i}" for i in range(n)],
        }
        StringTable.of(values.get(name, [""] * n)).save(folder, name)
    none = np.zeros(0, np.int64)
    save_arrays(
        folder, prices=np.full(n, -1), available=np.ones(n, np.uint8), text_of=np.arange(n, dtype=np.int32),
        category_of=np.full(n, -1, np.int32), brand_of=np.full(n, -1, np.int32), price_ptr=np.zeros(n + 1, np.int64),
        price_at=none, price_value=none,
    )  # fmt: skip
    seal(folder, "catalogue", items=n, template="{title}")


def test_a_build_quarantines_what_it_cannot_read(tmp_path, tiny_onnx):
    root = tmp_path / "shop"
    (root / "pictures").mkdir(parents=True)
    rng = np.random.default_rng(1)
    names = []
    for i in range(60):
        names.append(f"{i}.png")
        (root / "pictures" / names[-1]).write_bytes(picture(tuple(rng.integers(0, 256, 3).tolist())))
    (root / "pictures" / "broken.jpg").write_bytes(picture("red", "JPEG", (300, 300))[:400])
    (root / "pictures" / "p065.png").write_bytes(picture("green"))
    (tmp_path / "secret.png").write_bytes(picture("black"))
    names += ["broken.jpg", "none.png", "https://shop.example/a.png", "../../secret.png", "", ""]
    small_catalogue(tmp_path / "catalogue", names)
    texts = rng.standard_normal((len(names), 6)).astype(np.float16)
    save_arrays(tmp_path / "vectors", vectors=texts / np.linalg.norm(texts, axis=1, keepdims=True))
    config = ImageConfig(model=str(tiny_onnx), size=SIZE, folder="pictures")
    out = []
    for number in range(2):
        folder = tmp_path / f"out{number}"
        out.append(
            image_build.build_images(
                tmp_path / "catalogue",
                root,
                config,
                tmp_path / "vectors",
                tmp_path / "cache",
                folder,
                1,
                lambda *_: None,
            )
        )
    assert out[0]["hash"] == out[1]["hash"]
    assert out[0]["images"] == 61
    row_of = load_array(folder, "row_of")
    assert (row_of >= 0).sum() == 61
    # A file named by the product's id needs no column.
    assert row_of[65] >= 0
    refused = {line["product_id"]: line["rule"] for line in read_json(folder / image_build.REFUSED)}
    assert refused == {"p060": "damaged", "p061": "missing", "p062": "url", "p063": "outside"}
    assert np.allclose(np.linalg.norm(load_array(folder, "vectors").astype(np.float32), axis=1), 1, atol=0.01)
    assert load_array(folder, "as_text").shape == (61, 6)
    assert Projection.load(folder).weights.shape == (48, 6)


def test_a_shop_without_images_pays_nothing(tmp_path):
    small_catalogue(tmp_path / "catalogue", [""] * 3)
    save_arrays(tmp_path / "vectors", vectors=np.zeros((3, 6), np.float16))
    config = ImageConfig(model="never-loaded")
    made = image_build.build_images(
        tmp_path / "catalogue",
        tmp_path,
        config,
        tmp_path / "vectors",
        tmp_path / "cache",
        tmp_path / "out",
        1,
        lambda *_: None,
    )
    assert made["images"] == 0
    assert not (tmp_path / "out" / "encoder").exists()


def test_preparation_is_kept_with_the_model(encoder):
    assert asdict(encoder.preparation)["size"] == SIZE
    assert encoder.preparation.short > SIZE
