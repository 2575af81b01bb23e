"""Files that appear whole or not at all, and names made from contents."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from wares.core.errors import Unavailable, WaresError


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces, so that equal values have equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode()


def digest(value: Any) -> str:
    """SHA-256, first 16 hex digits, of a JSON-like value."""
    return hashlib.sha256(canonical(value)).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, all 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write beside `path`, flush to disk, then rename over it: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = data.encode() if isinstance(data, str) else data
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise disk_error(error, path) from error
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: Path) -> Any:
    """Parse a JSON file."""
    return json.loads(path.read_text("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, readable by people."""
    write_atomic(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, default=str))


_COPY_OUT = "import shutil, sys; shutil.copyfileobj(open(sys.argv[1], 'rb'), sys.stdout.buffer)"


@contextmanager
def opened_apart(path: Path) -> Generator[IO[bytes]]:
    """The bytes of a file, read by a process of its own.

    For the files of a SQLite database that may be open here: POSIX drops all locks that a process holds on a file as
    soon as it closes any descriptor of it, and another process then spoils the database
    (https://www.sqlite.org/howtocorrupt.html, 2.2).

    Raises:
        OSError: when the file cannot be read.
    """
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _COPY_OUT, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as reader:
        assert reader.stdout is not None
        assert reader.stderr is not None
        try:
            yield reader.stdout
        finally:
            whole = not reader.stdout.read(1)
            reader.stdout.close()
            said = reader.stderr.read().decode(errors="replace").strip()
    if whole and reader.returncode:
        raise OSError(f"{path} cannot be read: {said.splitlines()[-1] if said else reader.returncode}")


@contextmanager
def folder_atomic(target: Path) -> Generator[Path]:
    """Yield an empty folder that becomes `target` when the block ends well, and vanishes when it does not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".tmp-{target.name}-"))
    try:
        yield work
        work.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        os.rename(work, target)
        sync_folder(target.parent)
    except OSError as error:
        if isinstance(error, WaresError):
            # AccessDenied is a PermissionError, and says already what is the matter.
            raise
        raise disk_error(error, target) from error
    finally:
        if work.exists():
            shutil.rmtree(work, ignore_errors=True)


def sweep(folder: Path) -> int:
    """Remove half-written leftovers of killed runs in `folder`; returns how many."""
    leftovers = [p for p in folder.glob(".tmp-*") if p.is_dir()] if folder.is_dir() else []
    for path in leftovers:
        shutil.rmtree(path, ignore_errors=True)
    return len(leftovers)


@contextmanager
def locked(path: Path, what: str, *, wait: bool = True, shared: bool = False) -> Generator[None]:
    """Hold a lock file, alone or with others that share it; the kernel frees it when the process dies, however it dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as stream:
        try:
            fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Unavailable(
                f"{what} is already running in another process", mend="Wait for it to end, then try again"
            ) from None
        try:
            yield
        finally:
            fcntl.flock(stream, fcntl.LOCK_UN)


def disk_error(error: OSError, path: Path) -> WaresError:
    """Turn an operating-system error into one that names the place and the mend."""
    if error.errno == 28:
        free = shutil.disk_usage(path.parent).free // 2**20 if path.parent.exists() else 0
        return Unavailable(
            f"the disk is full while writing {path} ({free} MiB free)",
            mend="Free some space and run the command again; what was there before is untouched",
            path=str(path),
        )
    return WaresError(
        f"cannot write {path}: {error.strerror or error}",
        mend="Check the path and its permissions",
        path=str(path),
    )
