"""``wares evaluate images``: what an image encoder tells apart, and whether texts find images, on folders of classes.

The layout is ``train/CLASS/*.jpg`` and ``validation/CLASS/*.jpg`` (or ``valid``, ``test``). Everything is chosen on the
first folder; the second is touched once. Texts are the names of the classes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.config import ImageConfig
from wares.core.errors import SourceError
from wares.core.files import digest
from wares.core.machine import peak_rss
from wares.evaluate.files import encode_texts
from wares.evaluate.metrics import bootstrap
from wares.evaluate.report import Report
from wares.features.image import ImageEncoder
from wares.features.image_train import learn_projection, load_exported

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"))
HELD = ("validation", "valid", "test")
KS = (1, 3, 5, 7, 10, 15, 20)
PLACES = 5
Say = Callable[[str], None]


@dataclass
class Photos:
    """Vectors ``(n, dim)`` and the class of each ``(n,)``; why some files were refused, by rule."""

    vectors: NDArray[np.float32]
    classes: NDArray[np.int64]
    refused: dict[str, list[str]] = field(default_factory=dict[str, list[str]])


def read_photos(folder: Path, names: list[str], encoder: ImageEncoder, say: Say) -> Photos:
    """The photos of a folder of classes; files that are no images are left out and named."""
    files = [
        (path, names.index(name))
        for name in names
        for path in sorted((folder / name).glob("*"))
        if path.suffix.lower() in SUFFIXES
    ]
    vectors, bad = encoder.encode([p for p, _ in files], lambda n: say(f"{folder.name} {n}/{len(files)}"))
    refused: dict[str, list[str]] = {}
    for row, error in bad.items():
        refused.setdefault(str(error.fields["rule"]), []).append(files[row][0].name)
    kept = np.isfinite(vectors).all(1) if len(vectors) else np.zeros(0, bool)
    return Photos(vectors[kept], np.array([c for _, c in files], np.int64)[kept], refused)


def evaluate_images(
    folder: Path, command: str, *, seed: int = 7, config: ImageConfig | None = None, cache: Path | None = None, resamples: int = 1000,
    say: Say = lambda _: None,
) -> Report:  # fmt: skip
    """Accuracy of nearest neighbours, and recall of images by text, with the projection learned on the first folder.

    ``unseen`` figures leave the class that is asked for out of the projection's training, one class after the other.

    Raises:
        SourceError: when there are no two folders of the same classes.
    """
    begun = time.perf_counter()
    held = next((folder / name for name in HELD if (folder / name).is_dir()), None)
    train = folder / "train"
    names = sorted(p.name for p in train.iterdir() if p.is_dir()) if train.is_dir() else []
    if held is None or len(names) < 2:
        raise SourceError(
            f"{folder} holds no train/CLASS and validation/CLASS",
            mend="Put the images into such folders",
            source=str(folder),
        )
    say("export")
    encoder = load_exported(config or ImageConfig(), cache)
    fit, test = (read_photos(path, names, encoder, say) for path in (train, held))
    if len(fit.classes) < 2 or not len(test.classes):
        raise SourceError(
            f"{folder} holds no images", mend=f"Known: {', '.join(sorted(SUFFIXES))}", source=str(folder)
        )
    texts = encode_texts([name.replace("_", " ").replace("-", " ") for name in names], cache, say)
    facts = {
        "folder": folder.name, "classes": len(names), "train": len(fit.classes), "test": len(test.classes), "held out": held.name,
        "refused": {rule: len(files) for rule, files in (fit.refused | test.refused).items()},
        "files": digest([str(fit.classes.tolist()), str(test.classes.tolist())]), "model": encoder.manifest["model"],
    }  # fmt: skip
    report = Report(command, facts, seed)
    say("neighbours")
    for name, (ours, theirs) in _spaces(fit, test, texts, seed).items():
        k = choose_k(ours, fit.classes)
        right = (neighbours_say(ours, fit.classes, theirs, k) == test.classes).astype(np.float64)
        report.metrics[f"{name}_knn_accuracy"] = float(right.mean())
        report.intervals[f"{name}_knn_accuracy"] = bootstrap(right, resamples, seed)
        report.model[f"{name}_k"] = k
    say("projection")
    projection, learned = learn_projection(fit.vectors, texts[fit.classes], seed)
    report.model["projection"] = learned
    _by_text(report, projection(test.vectors), test.classes, texts, names, resamples)
    say("unseen classes")
    recalls, ranks = [], []
    for c in range(len(names)):
        others = fit.classes != c
        blind, _ = learn_projection(fit.vectors[others], texts[fit.classes[others]], seed)
        recalls.append(_recall(blind(test.vectors) @ texts[c], test.classes == c))
        own = test.classes == c
        near = blind(test.vectors[own]) @ texts.T
        ranks += list((near.argmax(1) == c).astype(float))
    report.metrics["unseen_text_to_image_recall@5"] = float(np.mean(recalls))
    report.metrics["unseen_image_to_text_accuracy"] = float(np.mean(ranks))
    report.seconds, report.peak_rss_mb = time.perf_counter() - begun, peak_rss() / 2**20
    return report


def _spaces(
    fit: Photos, test: Photos, texts: NDArray[np.float32], seed: int
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Vectors as the encoder gives them, and in the space of texts by a projection that has not seen the photo itself."""
    order = np.random.default_rng(seed).permutation(len(fit.classes))
    ours = np.zeros((len(fit.classes), texts.shape[1]), np.float32)
    for part in np.array_split(order, 5):
        rest = np.setdiff1d(order, part)
        ours[part] = learn_projection(fit.vectors[rest], texts[fit.classes[rest]], seed)[0](fit.vectors[part])
    whole = learn_projection(fit.vectors, texts[fit.classes], seed)[0]
    mean = fit.vectors.mean(0)
    return {
        "image": (fit.vectors, test.vectors),
        # As a build keeps them: what all pictures share is taken away.
        "centred": (_unit(fit.vectors - mean), _unit(test.vectors - mean)),
        "projected": (ours, whole(test.vectors)),
    }


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def neighbours_say(
    known: NDArray[np.float32],
    classes: NDArray[np.int64],
    asked: NDArray[np.float32],
    k: int,
    own: bool = False,
) -> NDArray[np.int64]:
    """The class of each asked vector by its `k` nearest, each with the weight of its cosine; with `own`, the vectors are
    the known ones and none votes for itself."""
    near = asked @ known.T
    if own:
        np.fill_diagonal(near, -np.inf)
    k = min(k, near.shape[1] - int(own))
    top = np.argpartition(-near, k - 1, axis=1)[:, :k]
    votes = np.zeros((len(asked), int(classes.max()) + 1))
    for place in range(k):
        np.add.at(
            votes, (np.arange(len(asked)), classes[top[:, place]]), np.take_along_axis(near, top, 1)[:, place]
        )
    return votes.argmax(1)


def choose_k(vectors: NDArray[np.float32], classes: NDArray[np.int64]) -> int:
    """The number of neighbours with the most right of the known ones, each judged by the others."""
    right = {k: float((neighbours_say(vectors, classes, vectors, k, own=True) == classes).mean()) for k in KS}
    return max(right, key=lambda k: right[k])


def _recall(scores: NDArray[np.float32], wanted: NDArray[np.bool_]) -> float:
    """Wanted among the first five, of as many as five places can hold."""
    top = np.argsort(-scores, kind="stable")[:PLACES]
    return float(wanted[top].sum() / max(1, min(PLACES, int(wanted.sum()))))


def _by_text(
    report: Report, projected: NDArray[np.float32], classes: NDArray[np.int64], texts: NDArray[np.float32], names: list[str], resamples: int
) -> None:  # fmt: skip
    near = projected @ texts.T
    there = np.flatnonzero(np.bincount(classes, minlength=len(names)))
    recalls = np.array([_recall(near[:, c], classes == c) for c in there])
    report.metrics["text_to_image_recall@5"] = float(recalls.mean())
    report.intervals["text_to_image_recall@5"] = bootstrap(recalls, resamples, report.seed)
    report.parts = [
        {"class": names[c], "recall@5": float(r)} for c, r in zip(there.tolist(), recalls, strict=True)
    ]
    right = (near.argmax(1) == classes).astype(np.float64)
    report.metrics["image_to_text_accuracy"] = float(right.mean())
    report.intervals["image_to_text_accuracy"] = bootstrap(right, resamples, report.seed)


def to_rows(report: Report) -> list[list[Any]]:
    """Figures for a table."""
    return [
        [name, value, *report.intervals.get(name, (None, None))] for name, value in report.metrics.items()
    ]
