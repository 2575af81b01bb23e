"""Encode the catalogue's images; those that any earlier build encoded are taken from the cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, save_arrays, seal
from wares.core.config import ImageConfig
from wares.core.errors import DataError
from wares.core.files import digest, file_digest, folder_atomic, write_json
from wares.features.catalogue import Catalogue
from wares.features.image import ImageEncoder
from wares.features.image_train import export_image_encoder, learn_projection, save_projection

KIND = "images"
REFUSED = "refused.json"
DIM = 128
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
SHARD = 512


def image_files(
    products: Catalogue, base: Path, config: ImageConfig
) -> tuple[dict[int, Path], dict[int, str]]:
    """The image file of each product row, and why a named one is not read.

    The column ``image`` names a path below `base`; without one, a file named by the product's id in the configured
    folder counts. URLs are not fetched.
    """
    found: dict[int, Path] = {}
    refused: dict[int, str] = {}
    by_name = (
        {path.stem: path for path in sorted(base.iterdir()) if path.suffix.lower() in SUFFIXES}
        if config.folder and base.is_dir()
        else {}
    )
    home = base.resolve()
    for row, name in enumerate(products.columns["image"]):
        if not name:
            path = by_name.get(str(products.ids[row]))
            if path is not None:
                found[row] = path
            continue
        if "://" in name:
            refused[row] = "url: not fetched; save it below [image].folder"
            continue
        path = (base / name).resolve()
        if not path.is_relative_to(home):
            refused[row] = f"outside: {name[:200]} lies outside of {base.name}"
        else:
            found[row] = path
    return found, refused


def build_images(
    catalogue: Path, root: Path, config: ImageConfig, text_vectors: Path, cache: Path, folder: Path, threads: int,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:  # fmt: skip
    """Write ``vectors (m, d) float16`` and ``row_of (n,) int32``, the encoder, and the projection into the space of texts.

    Without image files nothing is exported or encoded. Images that cannot be read are named in ``refused.json`` with the
    rule they broke, and their products have no image vector. ``axes`` and ``mean`` bring a vector of the encoder into
    the space of ``vectors``: its 128 directions of most spread, about the catalogue's mean.
    """
    products = Catalogue(catalogue)
    base = root / config.folder if config.folder else root
    files, refused = image_files(products, base, config)
    row_of = np.full(len(products), -1, np.int32)
    facts: dict[str, Any] = {"images": 0, "refused": len(refused), "projection": None}
    if files:
        with folder_atomic(folder / "encoder") as work:
            export_image_encoder(config, work)
        encoder = ImageEncoder(folder / "encoder", threads)
        rows, paths = list(files), list(files.values())
        full, bad = _encoded(paths, encoder, cache / str(encoder.manifest["hash"]), progress)
        refused |= {rows[i]: reason for i, reason in bad.items()}
        kept = np.isfinite(full).all(1)
        full, rows = full[kept], [row for row, fine in zip(rows, kept, strict=True) if fine]
        mean = full.mean(0) if len(full) else np.zeros(encoder.dim, np.float32)
        axes = _axes(full - mean, DIM)
        row_of[rows] = np.arange(len(rows))
        save_arrays(folder, mean=mean, axes=axes, vectors=_unit((full - mean) @ axes).astype(np.float16))
        facts |= {"images": len(rows), "refused": len(refused), "model": encoder.manifest["model"]}
        facts["projection"] = _project(products, rows, full, text_vectors, folder)
    save_arrays(folder, row_of=row_of)
    write_json(
        folder / REFUSED,
        [
            {"product_id": str(products.ids[row]), "image": (name := str(products.columns["image"][row])), "file": name or files[row].name, "rule": (parts := reason.split(": ", 1))[0], "reason": parts[-1]}
            for row, reason in sorted(refused.items())
        ],
    )  # fmt: skip
    return seal(folder, KIND, **facts)


def _project(
    products: Catalogue, rows: list[int], full: NDArray[np.float32], text_vectors: Path, folder: Path
) -> dict[str, Any] | None:
    vectors = load_array(text_vectors, "vectors")
    if not len(vectors):
        return None
    texts = np.asarray(vectors[np.asarray(products.text_of)[rows]], np.float32)
    try:
        projection, facts = learn_projection(full, texts)
    except DataError:
        # Too few images to learn from: the shop has images, but no way between them and words.
        return None
    save_projection(projection, folder)
    # Where words would find pictures: every picture as a text.
    save_arrays(folder, as_text=projection(full).astype(np.float16))
    return facts


def _axes(centred: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    dim = min(dim, centred.shape[1])
    values, axes = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    axes = axes[:, np.argsort(-values, kind="stable")[:dim]]
    return (axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(dim)])).astype(np.float32)


def _unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)


def _encoded(
    paths: list[Path], encoder: ImageEncoder, cache: Path, progress: Callable[[int, int], None]
) -> tuple[NDArray[np.float32], dict[int, str]]:
    """Vectors of files ``(n, dim)``, NaN where refused, with the reasons; by the content of the file, shard by shard."""
    known: dict[str, NDArray[Any]] = {}
    for shard in sorted(cache.glob("shard-*")) if cache.is_dir() else []:
        keys, vectors = load_array(shard, "keys"), load_array(shard, "vectors")
        known |= {bytes(key).decode(): vector for key, vector in zip(keys, vectors, strict=True)}
    names: list[str] = []
    refused: dict[int, str] = {}
    for i, path in enumerate(paths):
        try:
            names.append(file_digest(path))
        except OSError:
            names.append("")
            refused[i] = "missing: there is no such file"
    missing = [i for i, name in enumerate(names) if name and name not in known]
    out = np.full((len(paths), encoder.dim), np.nan, np.float32)
    for start in range(0, len(missing), SHARD):
        part = missing[start : start + SHARD]
        vectors, bad = encoder.encode(
            [paths[i] for i in part], lambda n, start=start: progress(start + n, len(missing))
        )
        refused |= {part[i]: f"{error.fields['rule']}: {error.message}" for i, error in bad.items()}
        fine = [j for j in range(len(part)) if j not in bad]
        for j in fine:
            known[names[part[j]]] = vectors[j]
        if fine:
            with folder_atomic(cache / f"shard-{digest([names[part[j]] for j in fine])}") as work:
                keys = np.array([names[part[j]].encode() for j in fine])
                save_arrays(work, keys=keys, vectors=vectors[fine])
    for i, name in enumerate(names):
        if name in known:
            out[i] = known[name]
    return out, refused
