"""Held-out edges and images by class, on small planted files."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from PIL import Image
from tests.features.test_image import tiny_onnx

from wares.core.config import ImageConfig
from wares.core.errors import SourceError
from wares.evaluate import images as pictures
from wares.evaluate import similar as edges

__all__ = ["tiny_onnx"]
N = 240


def write(path, names, rows):
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        writer.writerows(rows)


@pytest.fixture
def folder(tmp_path):
    """Products in 24 corners: views join a corner, purchases join corner c with c + 1."""
    rng = np.random.default_rng(7)
    corner = np.arange(N) % 24
    lines = []
    for user in range(300):
        mine = np.flatnonzero(corner == user % 24)
        lines.append(" ".join([f"u{user}", *(f"i{i}" for i in rng.choice(mine, 4, replace=False))]))
    (tmp_path / "sequences.txt").write_text("\n".join(lines))
    triples = [(f"i{i}", "brand", f"b{corner[i] // 4}") for i in range(N)]
    for i in range(N):
        for other in rng.choice(
            np.flatnonzero((corner == corner[i]) & (np.arange(N) != i)), 5, replace=False
        ):
            triples.append((f"i{i}", "also_viewed", f"i{other}"))
        for other in rng.choice(np.flatnonzero(corner == (corner[i] + 1) % 24), 4, replace=False):
            triples.append((f"i{i}", "also_bought", f"i{other}"))
        triples.append((f"i{i}", "also_bought", f"elsewhere{rng.integers(40)}"))
    write(tmp_path / "kg_triples.csv", ["head", "relation", "tail"], triples)
    return tmp_path


def test_held_out_pairs_are_in_no_dimension(folder, tmp_path):
    task, shop = edges.read_shop(edges.SimilarTask(folder), lambda _: None)
    held = edges.hold_out(shop, (*task.substitutes, *task.complements), 7)
    assert np.bincount(held.part, minlength=3)[1:].min() > 50
    graph = edges.known_graph(shop, held, tmp_path / "graph")
    rows = np.repeat(np.arange(len(graph)), np.diff(graph.ptr))
    n = len(shop.names)
    there = {
        (min(a, b), max(a, b))
        for a, b in zip(rows.tolist(), graph.tails.tolist(), strict=True)
        if a < n and b < n
    }
    hidden = set(zip(held.a[held.part > 0].tolist(), held.b[held.part > 0].tolist(), strict=True))
    assert there
    assert not there & hidden
    for relations in (task.substitutes, task.complements):
        around = edges._around(shop, held, relations)
        pairs = {(min(a, b), max(a, b)) for a, b in zip(*(x.tolist() for x in around), strict=True)}
        assert not pairs & hidden


def test_fusion_ranks_held_out_edges(folder):
    report = edges.evaluate_similar(edges.SimilarTask(folder, limit=120), "test")
    rows = {(row["kind"], row["name"]): row for row in report.parts}
    for kind in ("substitute", "complement"):
        singles = [rows[kind, name]["ndcg@10"] for name in ("behaviour", "view", "basket", "graph")]
        assert max(singles) > 0.1
        learned = rows.get((kind, "learned fusion"))
        if learned is not None:
            assert learned["ndcg@10"] > 0.9 * max(singles)
    assert rows["substitute", "view"]["recall@20"] > rows["substitute", "basket"]["recall@20"]
    assert report.to_json()["data"]["items"] == N
    again = edges.evaluate_similar(edges.SimilarTask(folder, limit=120), "test")
    assert again.metrics == report.metrics


def test_a_graph_without_such_relations_is_said(folder):
    with pytest.raises(SourceError, match="has none of cousin") as error:
        edges.evaluate_similar(edges.SimilarTask(folder, substitutes=("cousin",), complements=()), "test")
    assert "also_viewed" in error.value.mend
    (folder / "kg_triples.csv").unlink()
    with pytest.raises(SourceError, match="without triples"):
        edges.evaluate_similar(edges.SimilarTask(folder), "test")


def test_images_by_class(tmp_path, tiny_onnx):
    rng = np.random.default_rng(7)
    shades = {"red_lamp": (220, 30, 30), "green_tea": (30, 200, 40), "blue_pen": (40, 60, 220)}
    for part, count in (("train", 30), ("validation", 12)):
        for name, shade in shades.items():
            home = tmp_path / "photos" / part / name
            home.mkdir(parents=True)
            for i in range(count):
                out = io.BytesIO()
                near = tuple(int(np.clip(c + rng.integers(-40, 41), 0, 255)) for c in shade)
                Image.new("RGB", (40, 40), near).save(out, "JPEG")
                (home / f"{i}.jpg").write_bytes(out.getvalue())
    (tmp_path / "photos" / "train" / "blue_pen" / "bad.jpg").write_bytes(b"no image at all")
    config = ImageConfig(model=str(tiny_onnx), size=32)
    report = pictures.evaluate_images(tmp_path / "photos", "test", config=config, resamples=100)
    assert report.metrics["image_knn_accuracy"] > 0.95
    assert report.metrics["text_to_image_recall@5"] == 1.0
    assert 0 <= report.metrics["unseen_text_to_image_recall@5"] <= 1
    assert report.data["refused"] == {"format": 1}
    assert report.data["train"] == 90
    assert len(pictures.to_rows(report)) == len(report.metrics)
    with pytest.raises(SourceError, match="train/CLASS"):
        pictures.evaluate_images(tmp_path, "test", config=config)


def test_k_is_chosen_without_the_photo_itself():
    vectors = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]], np.float32)
    classes = np.array([0, 0, 1, 1])
    assert pictures.neighbours_say(vectors, classes, vectors, 1, own=True).tolist() == [0, 0, 1, 1]
    assert pictures.choose_k(vectors, classes) == 1
