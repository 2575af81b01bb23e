"""Lists for many shoppers at once, as for e-mail: streamed, with bounded memory, and never half a file."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from wares.core.errors import QueryError
from wares.serve.ranker import Ranker
from wares.serve.steering import Steering

FIELDS = ("user_id", "place", "product_id", "title", "price", "currency", "score", "why")
FORMATS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet")
Row = Mapping[str, Any]


def shoppers(ranker: Ranker) -> Iterator[str]:
    """Everybody with a name: of the build in its order, then who came since. Visits without a log-in have no address."""
    ranker.refresh()
    for name in ranker.users:
        if not name.startswith("~"):
            yield name
    if ranker.online is not None:
        for name in sorted({*ranker.online.deeds, *ranker.online.links.by_user}):
            if ranker.users.find(name) < 0:
                yield name


def count_shoppers(ranker: Ranker) -> int:
    """How many `shoppers` gives, at most."""
    return len(ranker.users) + (len(ranker.online.deeds) if ranker.online is not None else 0)


def named_in(path: Path) -> Iterator[str]:
    """User ids of a file, one a line; blank lines and repeats are left out.

    Raises:
        QueryError: when the file is missing or not text.
    """
    try:
        with path.open(encoding="utf-8-sig") as stream:
            seen: set[str] = set()
            for line in stream:
                name = line.strip()
                if name and name not in seen:
                    seen.add(name)
                    yield name
    except OSError as error:
        raise QueryError(
            f"cannot read {path}: {error.strerror}",
            mend="Give a text file with one user id a line",
            parameter="users",
        ) from None
    except UnicodeDecodeError:
        raise QueryError(
            f"{path} is not UTF-8", mend="Write it as UTF-8, one user id a line", parameter="users"
        ) from None


def rows_for(
    ranker: Ranker,
    users: Iterable[str],
    k: int,
    *,
    tail: float | None = None,
    steering: Steering | None = None,
    new_only: bool = False,
    why: bool = True,
    language: str = "en",
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[list[dict[str, Any]]]:
    """One list of rows a shopper, the same products as the API gives; `new_only` leaves out what they had before.

    Erased people get no list.
    """
    for done, user in enumerate(users, 1):
        if ranker.registered is None or not ranker.registered.is_erased(user):
            hits = ranker.recommend(
                user,
                k,
                tail=tail,
                steering=steering,
                language=language,
                repeats=False if new_only else None,
                reasons=why,
            )
            yield [
                {
                    "user_id": user,
                    "place": place,
                    "product_id": hit.product.product_id,
                    "title": hit.product.title,
                    "price": "" if hit.product.price is None else str(hit.product.price),
                    "currency": hit.product.currency,
                    "score": round(float(hit.score), 5),
                    "why": hit.why.text if why else "",
                }
                for place, hit in enumerate(hits, 1)
            ]
        progress(done)


@contextmanager
def writer(path: Path, parquet: Callable[[Path], Any]) -> Generator[Callable[[list[dict[str, Any]]], None]]:
    """A function that takes the rows of one shopper; the file takes its name only when all are written.

    `parquet` opens a writer for Parquet files, which needs the data room's parts.

    Raises:
        QueryError: for a name that says no known format, or a folder that is not there.
    """
    kind = next((f for f in sorted(FORMATS, key=len, reverse=True) if path.name.endswith(f)), "")
    if not kind:
        raise QueryError(
            f"cannot tell the format of {path.name!r}",
            mend=f"End the name with {', '.join(FORMATS)}",
            parameter="out",
        )
    if not path.parent.is_dir():
        raise QueryError(f"there is no folder {path.parent}", mend="Make it first", parameter="out")
    part = path.with_name(f".{path.name}.part")
    try:
        if kind == ".parquet":
            with parquet(part) as write:
                yield write
        else:
            with _text(part, packed=kind.endswith(".gz")) as stream:
                yield _csv(stream) if ".csv" in kind else _lines(stream)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _text(path: Path, *, packed: bool) -> Generator[IO[str]]:
    if packed:
        with gzip.open(path, "wt", encoding="utf-8", newline="") as stream:
            yield cast("IO[str]", stream)
    else:
        with path.open("w", encoding="utf-8", newline="") as stream:
            yield stream


def _csv(stream: IO[str]) -> Callable[[list[dict[str, Any]]], None]:
    out: csv.DictWriter[str] = csv.DictWriter(stream, fieldnames=FIELDS)
    out.writeheader()

    def write(rows: list[dict[str, Any]]) -> None:
        out.writerows(rows)

    return write


def _lines(stream: IO[str]) -> Callable[[list[dict[str, Any]]], None]:
    def write(rows: list[dict[str, Any]]) -> None:
        if rows:
            products = [{k: v for k, v in row.items() if k != "user_id" and v != ""} for row in rows]
            stream.write(
                json.dumps({"user_id": rows[0]["user_id"], "products": products}, ensure_ascii=False) + "\n"
            )

    return write
