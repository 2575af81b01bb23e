"""A person planted in every place of a workspace, to see whether an erasure finds them all."""

from __future__ import annotations

import gzip
import json
import sqlite3
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from wares.core import columns as c
from wares.core.errors import VersionErased
from wares.core.files import opened_apart
from wares.testing.shop import SyntheticShop, write_rows

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace


@dataclass(frozen=True)
class Person:
    """Someone who exists nowhere else; each value is looked for byte by byte afterwards."""

    user: str = "shopper-7731-quill"
    session: str = "visit-99120-quill"
    email: str = "Mira.Quillfeather@example.net"
    phrase: str = "the cerulean kettle whistles in 7/8 time every Thursday"
    query: str = "zinnwaldite egg coddler for left hands"
    price: str = "98765.4321"

    @property
    def needles(self) -> list[str]:
        """What must be nowhere."""
        return [self.user, self.session, self.email, self.phrase, self.query]


def write_exports(folder: Path, data: SyntheticShop, person: Person) -> dict[str, list[str]]:
    """Exports with the person in them, two of each kind so that tables get several versions; paths by table, in order."""
    someone = data.events[0]["customer"]
    when = "2025-05-0{}T10:00:00+00:00"

    def event(user: str, session: str, sku: str, day: int, price: str = "5.50") -> dict[str, str]:
        return {"customer": user, "session": session, "sku": sku, "type": "purchase", "time": when.format(day), "qty": "1", "price": price}  # fmt: skip

    skus = [p["sku"] for p in data.products[:9]]
    first = [{**e, "session": ""} for e in data.events]
    first += [event(person.user, person.session, sku, n + 1, person.price) for n, sku in enumerate(skus[:5])]
    # The same visit before the log-in, and a row that is no event.
    first += [event("", person.session, skus[5], 6), event(person.user, person.session, "no-such-product", 7)]
    second = [
        event(person.user, "visit-2-" + person.session, skus[6], 8),
        event(someone, "visit-of-someone", skus[7], 8),
        {**event(person.user, person.session, skus[8], 9), "time": "not a time"},
    ]
    reviews = [
        {"id": "r1", "sku": skus[0], "user": person.user, "stars": "5", "title": "Lovely", "text": person.phrase},
        {"id": "r2", "sku": skus[0], "user": someone, "stars": "4", "title": "Good", "text": f"{person.email} told me about it, works"},
        {"id": "r3", "sku": skus[1], "user": someone, "stars": "1", "title": "Bad", "text": "手机坏了，不推荐"},
    ]  # fmt: skip
    queries = [
        {"query_id": "q1", "query": person.query, "user": person.user, "session": person.session, "time": when.format(1)},
        {"query_id": "q2", "query": "desk lamp", "user": someone, "session": "s2", "time": when.format(2)},
    ]  # fmt: skip
    products = [{**p, "contact": "" if n else f"ask {person.email}"} for n, p in enumerate(data.products)]
    return {
        c.PRODUCTS: [str(write_rows(folder / "products.csv", products))],
        c.EVENTS: [str(write_rows(folder / f"events{n}.csv", rows)) for n, rows in ((1, first), (2, second))],
        c.REVIEWS: [str(write_rows(folder / "reviews.csv", reviews))],
        c.QUERIES: [str(write_rows(folder / "queries.csv", queries))],
    }


def plant_records(shop: Workspace, person: Person) -> None:
    """Put the person into state, scratch, reports, samples, shares and caches of a built workspace."""
    from wares.data.labels.book import LabelBook

    now = datetime.now(UTC).isoformat()
    shop.state.append_events(
        [
            {"event_id": f"online-{n}", "user_id": person.user, "product_id": "p0001", "kind": "view", "at": now,
             "quantity": "1", "price": None, "session_id": person.session}
            for n in range(3)
        ]
    )  # fmt: skip
    book = LabelBook.of(shop)
    project = book.create("moods", "sentiment")
    book.add(
        project,
        [{"key": "r1", "payload": {"text": person.phrase, "user_id": person.user}}],
        asset=c.REVIEWS,
        by="staff",
    )
    run = shop.state.begin_run("build")
    shop.state.end_run(run, "failed", {"error": f"bad row of {person.email}"})
    shop.shares.create(
        c.EVENTS, shop.root / "shares" / "lab", role="partner", receiver="Lab", expires=date(2099, 1, 1), terms="None"
    )  # fmt: skip
    _plant_files(shop.root, person)


def _plant_files(root: Path, person: Person) -> None:
    for folder in ("tmp/ingest-killed", "evaluations", "samples", "cache/reviews"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "tmp" / "ingest-killed" / "good.jsonl").write_text(json.dumps({"user_id": person.user}))
    sample = {"users": [{"user_id": person.user, "recall": 0.5}, {"user_id": "u001", "recall": 0.25}]}
    (root / "evaluations" / "by-user.json").write_text(json.dumps(sample))
    (root / "samples" / "rows.csv").write_text(
        f"user_id,text\n{person.user},hello\nu001,by {person.email}\nu002,fine\n"
    )
    with gzip.open(root / "samples" / "rows.jsonl.gz", "wt") as stream:
        stream.write(json.dumps({"customer": person.user}) + "\n" + json.dumps({"customer": "u001"}) + "\n")
    (root / "cache" / "reviews" / "texts.bin").write_bytes(b"\x00\x01" + person.phrase.encode() + b"\x02")
    with sqlite3.connect(root / "samples" / "side.db") as side:
        side.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, user_id TEXT, note TEXT)")
        side.execute(
            "INSERT INTO notes VALUES (1, ?, 'x'), (2, 'u001', ?)", (person.user, f"mail {person.email}")
        )
    side.close()


def traces(root: Path, needles: list[str], *, skip: tuple[str, ...] = ()) -> list[str]:
    """Where any of the values stands, byte by byte: every file as it lies on disk, Parquet decoded, archives unpacked.

    Independent of the code that erases. `skip` names top folders to leave out.
    """
    wanted = [
        form for n in needles for form in {n.encode(), n.lower().encode(), json.dumps(n)[1:-1].encode()}
    ]
    found: list[str] = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        inside = path.relative_to(root)
        if inside.parts[0] in skip:
            continue
        if path.name.startswith("state.db"):
            try:
                with opened_apart(path) as stream:
                    raws = [stream.read()]
            except OSError:
                if path.exists():
                    raise
                # The log of the database goes when its last reader leaves.
                continue
        else:
            raws = [path.read_bytes()]
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            raws.append(json.dumps(table.to_pylist(), default=str, ensure_ascii=False).encode())
            raws.append(str(table.schema.metadata).encode())
        elif path.suffix == ".gz":
            raws.append(gzip.decompress(raws[0]))
        found += [
            f"{inside}: {w.decode()}" for w in wanted if any(w in raw or w in raw.lower() for raw in raws)
        ]
    return found


def readers(shop: Workspace, person: Person) -> dict[str, Any]:
    """What the readers of a workspace say of the person: rows by table and version, and state."""
    out: dict[str, Any] = {}
    for asset in shop.store.names():
        for version in range(shop.store.version(asset) + 1):
            try:
                files = shop.store.files(asset, version)
            except VersionErased:
                continue
            rows = [row for f in files for row in pq.read_table(f).to_pylist()]
            text = json.dumps(rows, default=str, ensure_ascii=False)
            out[f"{asset}@{version}"] = sum(text.count(n) for n in person.needles)
    out["online"] = sum(row["user_id"] == person.user for row in shop.state.events_after(0))
    return out
