from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
import zstandard

from wares.core.config import SourceConfig
from wares.core.errors import ConfigError, SourceError
from wares.data.delimited import detect_delimiter, detect_encoding
from wares.data.mapping import apply_map, guess
from wares.data.sources import expand, read_source
from wares.data.types import NUMBER, TIMESTAMP, to_type


def read(path, **options):
    chunks = list(
        read_source(
            SourceConfig.model_validate({"as": "products", "path": str(path), **options}), path.parent
        )
    )
    rows = [row for chunk in chunks for row in chunk.table.to_pylist()]
    lines = [n for chunk in chunks for n in chunk.lines]
    return rows, lines, [f for chunk in chunks for f in chunk.faults]


TEXT = 'id,title,price\n1,"Tea, green",2.50\n2,茶壶 é,3\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_encodings_are_found(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes(TEXT.encode(encoding))
    rows, lines, faults = read(tmp_path / "a.csv")
    assert [r["title"] for r in rows] == ["Tea, green", "茶壶 é"]
    assert (lines, faults) == ([2, 3], [])


def test_gb18030_and_latin1_are_found(tmp_path):
    chinese = "编号,标题\n" + "".join(f"{i},紫砂茶壶手工制作精品{i}\n" for i in range(50))
    (tmp_path / "zh.csv").write_bytes(chinese.encode("gb18030"))
    assert read(tmp_path / "zh.csv")[0][3]["标题"] == "紫砂茶壶手工制作精品3"
    french = "id,title\n" + "".join(f"{i},Crème brûlée à la façon de l'été numéro {i}\n" for i in range(50))
    (tmp_path / "fr.csv").write_bytes(french.encode("latin-1"))
    assert read(tmp_path / "fr.csv")[0][0]["title"].startswith("Crème brûlée")


def test_mixed_encoding_sets_one_line_aside(tmp_path):
    lines = [f"{i},Crème {i}\n".encode() for i in range(100)]
    lines[40] = "40,Crème\n".encode("latin-1")
    (tmp_path / "m.csv").write_bytes(b"id,title\n" + b"".join(lines))
    rows, _, faults = read(tmp_path / "m.csv")
    assert len(rows) == 99
    assert [(f.line, f.rule) for f in faults] == [(42, "encoding")]
    assert "UTF-8" in faults[0].mend


@pytest.mark.parametrize(
    ("delimiter", "name"), [(",", "a.csv"), (";", "a.csv"), ("\t", "a.tsv"), ("|", "a.txt")]
)
def test_delimiters(tmp_path, delimiter, name):
    text = delimiter.join(["id", "title"]) + "\n" + delimiter.join(["1", "a b"]) + "\n"
    (tmp_path / name).write_text(text)
    assert detect_delimiter(text, tmp_path / name) == delimiter
    assert read(tmp_path / name)[0] == [{"id": "1", "title": "a b"}]


def test_wrong_delimiter_names_the_right_one(tmp_path):
    (tmp_path / "a.csv").write_text("id;title\n1;x\n")
    with pytest.raises(SourceError, match=r"one column.*delimiter = ';'"):
        read(tmp_path / "a.csv", delimiter=",")


def test_packed_files(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(TEXT.encode()))
    (tmp_path / "b.csv.zst").write_bytes(zstandard.compress(TEXT.encode()))
    assert read(tmp_path / "a.csv.gz")[0] == read(tmp_path / "b.csv.zst")[0]
    assert len(expand(str(tmp_path), tmp_path)) == len(expand(str(tmp_path / "*.csv.*"), tmp_path)) == 2


def test_a_file_cut_in_half(tmp_path):
    body = "id,title\n" + "".join(f"{i},thing number {i * 7919 % 1000}\n" for i in range(20000))
    packed = gzip.compress(body.encode())
    (tmp_path / "cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    rows, _, faults = read(tmp_path / "cut.csv.gz")
    assert 1000 < len(rows) < 20000
    assert faults[-1].rule == "truncated"
    (tmp_path / "cut.csv").write_text(body[: len(body) // 2] + '\n7,"never clos')
    assert read(tmp_path / "cut.csv")[2][-1].rule == "quote"


def test_one_open_quote_does_not_swallow_the_rest(tmp_path):
    lines = [f"{i},name {i}\n" for i in range(3000)]
    lines[10] = '10,"open\n'
    (tmp_path / "q.csv").write_text("id,title\n" + "".join(lines))
    rows, _, faults = read(tmp_path / "q.csv")
    assert len(rows) == 2999
    assert [(f.rule, f.line) for f in faults] == [("quote", 12)]


def test_quotes_inside_cells_and_new_lines(tmp_path):
    (tmp_path / "a.csv").write_text('id,title\n1,5" pipe\n2,"a ""quoted"" one\nin two lines"\n')
    rows, lines, faults = read(tmp_path / "a.csv")
    assert [r["title"] for r in rows] == ['5" pipe', 'a "quoted" one\nin two lines']
    assert (lines, faults) == ([2, 3], [])


def test_a_huge_cell_and_a_row_with_too_few(tmp_path):
    (tmp_path / "a.csv").write_text("id,title\n1," + "x" * 10_000_000 + "\n2\n3,ok\n")
    rows, _, faults = read(tmp_path / "a.csv")
    assert [len(r["title"]) for r in rows] == [10_000_000, 2]
    assert [(f.rule, f.line) for f in faults] == [("fields", 3)]


def test_json_lines(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": 1, "title": "x", "tags": ["a"]}\n{"id": 2,\n[1]\n\n{"id": 3}\n')
    rows, lines, faults = read(tmp_path / "a.jsonl")
    assert [r["id"] for r in rows] == ["1", "3"]
    assert lines == [1, 5]
    assert [(f.rule, f.line) for f in faults] == [("json", 2), ("json", 3)]


def test_parquet_and_a_cut_one(tmp_path):
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0] == [{"id": 1}, {"id": 2}]
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:100])
    with pytest.raises(SourceError, match="not a whole Parquet file"):
        read(tmp_path / "b.parquet")


def test_sql(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("create table items (sku text, price numeric)")
        connection.exec_driver_sql("insert into items values ('a', 1.5), ('b', null)")
    engine.dispose()
    for query in ("items", "select * from items where price > 1"):
        config = SourceConfig.model_validate(
            {"as": "products", "sql": f"sqlite:///{tmp_path / 'x.db'}", "query": query}
        )
        assert next(iter(read_source(config, tmp_path))).table.column_names == ["sku", "price"]
    broken = SourceConfig.model_validate(
        {"as": "products", "sql": f"sqlite:///{tmp_path / 'x.db'}", "query": "nothing"}
    )
    with pytest.raises(SourceError, match="database source failed"):
        list(read_source(broken, tmp_path))


def test_nothing_to_read(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(SourceError, match="is empty"):
        read(tmp_path / "empty.csv")
    with pytest.raises(SourceError, match="nothing to read"):
        expand("*.csv.nope", tmp_path)


def test_encoding_guess_is_not_fooled_by_one_line():
    assert detect_encoding(("é\n" * 500).encode() + b"\xe9\n") == "utf-8"


def test_numbers():
    cells = ["1,234.50", "€ 12,99", "(3.20)", "1.234.567,89", "$5", "12元", "", "NaN", "inf", "cheap", "1e3"]
    typed = to_type(pa.array(cells), NUMBER)
    assert typed.values.to_pylist()[:6] == [
        Decimal(x).quantize(Decimal("0.0001")) for x in ("1234.5", "12.99", "-3.2", "1234567.89", "5", "12")
    ]
    assert [cells[i] for i in typed.bad] == ["NaN", "inf", "cheap"]
    assert to_type(pa.array([1.5, float("nan"), float("inf")]), NUMBER).bad == [2]


def test_dates_in_three_formats():
    cells = [
        "2025-03-04",
        "25/12/2025 10:30",
        "Mar 4, 2025",
        "2025-03-04T10:00:00+02:00",
        "1741046400",
        "2025年3月4日",
        "soon",
        "12",
        None,
    ]
    typed = to_type(pa.array(cells), TIMESTAMP)
    out = typed.values.to_pylist()
    assert out[0] == out[2] == out[5] == datetime(2025, 3, 4, tzinfo=UTC)
    assert out[1] == datetime(2025, 12, 25, 10, 30, tzinfo=UTC)
    assert out[3].hour == 8
    assert [cells[i] for i in typed.bad] == ["soon", "12"]
    assert to_type(pa.array(["01/02/2025", "25/02/2025"]), TIMESTAMP).values.to_pylist()[0].month == 2
    berlin = to_type(pa.array(["2025-07-01 12:00:00"]), TIMESTAMP, zone="Europe/Berlin")
    assert berlin.values.to_pylist()[0].hour == 10


def test_guessing_columns():
    assert guess(["StockCode", "Description", "UnitPrice"], "products") == {
        "product_id": "StockCode",
        "title": "Description",
        "price": "UnitPrice",
    }
    found = guess(["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"], "events")
    assert found["user_id"] == "CustomerID"
    assert found["at"] == "InvoiceDate"
    assert guess(["商品编号", "标题", "价格"], "products") == {
        "product_id": "商品编号",
        "title": "标题",
        "price": "价格",
    }


def test_map_with_templates_and_constants():
    table = pa.table({"a": ["x", None], "b": ["1", "2"]})
    out, unused = apply_map(
        table, {"title": "{a}, {b}", "currency": "=EUR", "product_id": "b"}, "products", "s"
    )
    assert out.to_pylist() == [
        {"title": "x, 1", "currency": "EUR", "product_id": "1"},
        {"title": "2", "currency": "EUR", "product_id": "2"},
    ]
    assert unused == []
    with pytest.raises(ConfigError, match="has no column 'zz'"):
        apply_map(table, {"title": "zz"}, "products", "s")


def test_json_of_nested_values(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": 1, "extra": {"深": 1}}) + "\n")
    assert read(tmp_path / "a.jsonl")[0][0]["extra"] == '{"深": 1}'
