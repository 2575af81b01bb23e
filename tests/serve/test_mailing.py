from __future__ import annotations

import csv
import gzip
import json

import pyarrow.parquet as pq
import pytest

from wares.cli.recommend import mail
from wares.core.errors import QueryError
from wares.serve.mailing import named_in, rows_for, shoppers, writer
from wares.serve.ranker import load_ranker
from wares.serve.steering import Steering

OPTIONS = {"tail": None, "steering": None, "new_only": False, "why": True, "language": "en"}


@pytest.fixture(scope="module")
def ranker(built):
    return load_ranker(built.root)


def ids(hits):
    return [hit.product.product_id for hit in hits]


def test_everybody_gets_the_list_that_the_api_gives(ranker, tmp_path):
    done = mail(ranker, None, tmp_path / "lists.csv.gz", 6, OPTIONS, quiet=True)
    assert done["users"] == len(ranker.users) == 120
    with gzip.open(tmp_path / "lists.csv.gz", "rt", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == done["rows"] == 720
    for user in ("u000", "u057", "u119"):
        mine = [row for row in rows if row["user_id"] == user]
        assert [row["product_id"] for row in mine] == ids(ranker.recommend(user, 6))
        assert [row["place"] for row in mine] == list("123456")
        assert all(row["why"] for row in mine)


@pytest.mark.parametrize("name", ["lists.jsonl", "lists.parquet"])
def test_other_formats_hold_the_same(ranker, tmp_path, name):
    (tmp_path / "who.txt").write_text("u003\n\nu004\nu003\nstranger\n")
    steering = Steering(diversity=0.5)
    done = mail(
        ranker, tmp_path / "who.txt", tmp_path / name, 4,
        {**OPTIONS, "steering": steering, "tail": 0.4, "new_only": True, "why": False}, quiet=True,
    )  # fmt: skip
    assert done["users"] == 3
    wanted = ids(ranker.recommend("u004", 4, tail=0.4, steering=steering, repeats=False))
    if name.endswith(".jsonl"):
        found = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        mine = [p["product_id"] for p in found[1]["products"]]
        assert [f["user_id"] for f in found] == ["u003", "u004", "stranger"]
        assert "why" not in found[0]["products"][0]
    else:
        table = pq.read_table(tmp_path / name).to_pylist()
        mine = [row["product_id"] for row in table if row["user_id"] == "u004"]
    assert mine == wanted
    had = {str(ranker.catalogue.ids[int(i)]) for i in ranker.history("u004").items}
    assert not had & set(mine)


def test_a_failure_leaves_the_old_file_and_no_half_one(ranker, tmp_path):
    path = tmp_path / "lists.csv"
    path.write_text("yesterday")

    def cut_off():
        with writer(path, lambda p: p) as write:
            write(next(rows_for(ranker, ["u001"], 3)))
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        cut_off()
    assert path.read_text() == "yesterday"
    assert list(tmp_path.iterdir()) == [path]


def test_bad_paths_are_named(ranker, tmp_path):
    with pytest.raises(QueryError, match=r"lists\.xls"), writer(tmp_path / "lists.xls", lambda p: p):
        pass
    with pytest.raises(QueryError, match="no folder"), writer(tmp_path / "no" / "lists.csv", lambda p: p):
        pass
    with pytest.raises(QueryError, match="cannot read"):
        list(named_in(tmp_path / "missing.txt"))
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00u")
    with pytest.raises(QueryError, match="UTF-8"):
        list(named_in(tmp_path / "bytes.txt"))


def test_visits_get_no_mail(ranker):
    assert all(not name.startswith("~") for name in shoppers(ranker))
