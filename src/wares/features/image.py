"""Images to vectors with ONNX Runtime and Pillow: no torch. What is not an image is refused with a reason."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact
from wares.core.errors import IncompatibleArtifact, MissingExtra, QueryError
from wares.features.sessions import open_session

KIND = "image-encoder"
PROJECTION = "image-projection"
BATCH = 16
MOST_BYTES = 32 * 1024 * 1024
MOST_PIXELS = 64_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


class NotAnImage(QueryError):
    """Bytes that cannot be read as an image. Fields: ``rule`` (empty, large, damaged, format), ``source``."""


@dataclass(frozen=True)
class Preparation:
    """What an image becomes before the encoder: its shorter side scaled to `short`, the middle `size` cut out, and
    channels to ``(x - mean) / std`` of 0..1."""

    size: int = 224
    short: int = 256
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


def read_image(source: Path | bytes, preparation: Preparation, name: str = "") -> NDArray[np.float32]:
    """An image file or its bytes as ``(3, size, size) float32``; turned as its EXIF says, on white where transparent.

    Raises:
        NotAnImage: for no bytes, too many, another format, or a damaged image.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as error:
        raise MissingExtra("reading images", "images") from error
    name = name or (str(source) if isinstance(source, Path) else "the image")
    data = _bytes_of(source, name)
    try:
        with warnings.catch_warnings():
            # Half a bomb is only a warning to Pillow; our own limit below decides.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise _refuse(
                        name, "large", f"has {opened.width}×{opened.height} pixels", "Give a smaller one"
                    )
                if opened.format == "JPEG":
                    # Decodes a large photo at an eighth to a half of its size, which is much faster.
                    opened.draft("RGB", (preparation.short, preparation.short))
                image = ImageOps.exif_transpose(opened)
                if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                    layer = image.convert("RGBA")
                    white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
                    image = Image.alpha_composite(white, layer)
                image = image.convert("RGB")
    except UnidentifiedImageError:
        raise _refuse(name, "format", "is not an image", f"Give one of {', '.join(FORMATS)}") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _refuse(name, "damaged", f"cannot be read: {error}", "Export it again") from None
    scale = preparation.short / min(image.size)
    wide, high = (max(preparation.size, round(side * scale)) for side in image.size)
    image = image.resize((wide, high), Image.Resampling.BICUBIC)
    left, top = (wide - preparation.size) // 2, (high - preparation.size) // 2
    image = image.crop((left, top, left + preparation.size, top + preparation.size))
    pixels = np.asarray(image, np.float32) / 255
    scaled = (pixels - np.array(preparation.mean, np.float32)) / np.array(preparation.std, np.float32)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1), np.float32)


def _bytes_of(source: Path | bytes, name: str) -> bytes:
    if isinstance(source, Path):
        try:
            size = source.stat().st_size
            if not source.is_file():
                raise _refuse(name, "missing", "is no file", "Check the path")
            if size > MOST_BYTES:
                raise _refuse(name, "large", f"has {size:,} bytes", "Give a smaller one")
            source = source.read_bytes()
        except OSError as error:
            raise _refuse(name, "missing", f"cannot be read: {error.strerror}", "Check the path") from None
    if not source:
        raise _refuse(name, "empty", "is empty", "Export it again")
    if len(source) > MOST_BYTES:
        raise _refuse(name, "large", f"has {len(source):,} bytes", "Give a smaller one")
    return source


def _refuse(name: str, rule: str, what: str, mend: str) -> NotAnImage:
    return NotAnImage(f"{name} {what}", mend=mend, rule=rule, source=name, parameter="image")


class ImageEncoder:
    """An image encoder whose vectors have length one."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self.manifest = open_artifact(folder, KIND)
        self.dim = int(self.manifest["dim"])
        facts: dict[str, Any] = self.manifest["preparation"]
        self.preparation = Preparation(
            int(facts["size"]), int(facts["short"]), tuple(facts["mean"]), tuple(facts["std"])
        )
        self.session = open_session(folder / "model.onnx", threads)
        self._input = self.session.get_inputs()[0].name

    def encode(
        self, sources: Sequence[Path | bytes], progress: Callable[[int], None] | None = None
    ) -> tuple[NDArray[np.float32], dict[int, NotAnImage]]:
        """Vectors ``(n, dim) float32`` and, by place, why some could not be read; those rows are NaN.

        NaN and not zero, so that nobody takes them for a vector by mistake.
        """
        out = np.full((len(sources), self.dim), np.nan, np.float32)
        refused: dict[int, NotAnImage] = {}
        for start in range(0, len(sources), BATCH):
            rows, pixels = list[int](), list[NDArray[np.float32]]()
            for row in range(start, min(start + BATCH, len(sources))):
                try:
                    pixels.append(read_image(sources[row], self.preparation))
                    rows.append(row)
                except NotAnImage as error:
                    refused[row] = error
            if rows:
                found = np.asarray(self.session.run(None, {self._input: np.stack(pixels)})[0], np.float32)
                found = found.reshape(len(rows), -1)
                out[rows] = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
            if progress is not None:
                progress(min(start + BATCH, len(sources)))
        return out, refused

    def encode_one(self, source: Path | bytes) -> NDArray[np.float32]:
        """The vector ``(dim,)`` of one image.

        Raises:
            NotAnImage: when it is none.
        """
        vectors, refused = self.encode([source])
        if refused:
            raise refused[0]
        return vectors[0]


class Projection:
    """From images into the space of texts: ``(x - mean) W + shift``, of length one."""

    def __init__(self, mean: NDArray[Any], weights: NDArray[Any], shift: NDArray[Any]) -> None:
        if weights.shape != (len(mean), len(shift)):
            raise IncompatibleArtifact(
                f"a projection of {weights.shape} does not fit {len(mean)} and {len(shift)}",
                mend="Build again",
            )
        self.mean, self.weights, self.shift = (np.asarray(a, np.float32) for a in (mean, weights, shift))

    @classmethod
    def load(cls, folder: Path) -> Projection:
        """Read what the build learned."""
        return cls(*(load_array(folder, f"projection_{name}") for name in ("mean", "weights", "shift")))

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vectors of images ``(n, dim)`` as vectors of texts ``(n, text_dim)``."""
        found = (np.atleast_2d(vectors) - self.mean) @ self.weights + self.shift
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
