"""Artefacts: folders of ``.npy`` arrays and a ``manifest.json`` with a SHA-256 for every file. No pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core import observe
from wares.core.errors import IncompatibleArtifact, QueryError
from wares.core.files import digest, file_digest, folder_atomic, read_json, write_json

FORMAT = 1
MANIFEST = "manifest.json"


def save_arrays(folder: Path, **arrays: NDArray[Any]) -> None:
    """Write each array as ``<name>.npy`` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)


def load_array(folder: Path, name: str, *, mmap: bool = True) -> NDArray[Any]:
    """Read ``<name>.npy``, memory-mapped by default so that workers share one copy."""
    path = folder / f"{name}.npy"
    observe.note_array(folder, name)
    try:
        array = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
        # A plain view: np.memmap runs Python code on every slice.
        return np.asarray(array).view(np.ndarray)
    except (OSError, ValueError) as error:
        raise IncompatibleArtifact(
            f"array {path} cannot be read: {error}", mend="Build and publish again", path=str(path)
        ) from error


def seal(folder: Path, kind: str, *, content: str | None = None, **facts: Any) -> dict[str, Any]:
    """Write the manifest over all files now in `folder`; returns it.

    ``hash`` names the content. It covers the bytes of every file, unless `content` is given: index libraries
    write random segment names, so an index is named by what went into it.
    """
    files = {
        str(path.relative_to(folder)): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST and not path.name.endswith(".lock")
    }
    manifest = {
        "format": FORMAT,
        "kind": kind,
        "hash": digest([kind, content if content is not None else files, facts]),
        "files": files,
        **facts,
    }
    write_json(folder / MANIFEST, manifest)
    return manifest


def open_artifact(folder: Path, kind: str, *, verify: bool = False) -> dict[str, Any]:
    """Read and check the manifest of an artefact; with `verify`, also the bytes of its files."""
    path = folder / MANIFEST
    if not path.is_file():
        raise IncompatibleArtifact(f"{folder} holds no manifest", mend="Build again", path=str(folder))
    try:
        manifest: dict[str, Any] = read_json(path)
    except ValueError as error:
        raise IncompatibleArtifact(
            f"{path} is damaged: {error}", mend="Build again", path=str(path)
        ) from error
    if manifest.get("format") != FORMAT or manifest.get("kind") != kind:
        raise IncompatibleArtifact(
            f"{folder} is a {manifest.get('kind')!r} of format {manifest.get('format')}, not a {kind!r} of format {FORMAT}",
            mend="Build again with this version of wares",
            path=str(folder),
        )
    for name, expected in manifest["files"].items():
        file = folder / name
        if not file.is_file():
            raise IncompatibleArtifact(f"{file} is missing", mend="Build and publish again", path=str(file))
        if verify and file_digest(file) != expected:
            raise IncompatibleArtifact(
                f"{file} was changed after it was written", mend="Build and publish again", path=str(file)
            )
    return manifest


def put_largest(column: NDArray[Any], ids: NDArray[Any], some: NDArray[Any], values: NDArray[Any]) -> None:
    """Write values of `some` at their places in the ascending `ids`; the larger of repeated ones wins."""
    if not len(some) or not len(ids):
        return
    at = np.minimum(np.searchsorted(ids, some), len(ids) - 1)
    there = ids[at] == some
    np.maximum.at(column, at[there], values[there])


def keep_artifact(folder: Path, target: Path, kind: str) -> None:
    """Copy an artefact to where it shall stay; only an empty folder or an earlier artefact of its kind is replaced.

    Raises:
        QueryError: when there is something else.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        try:
            open_artifact(target, kind)
        except IncompatibleArtifact:
            raise QueryError(
                f"{target} exists and is no {kind}", mend="Name another folder", parameter="out"
            ) from None
    with folder_atomic(target) as work:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                place = work / path.relative_to(folder)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(path.read_bytes())
