from __future__ import annotations

import pyarrow as pa
import pytest

from wares.core.config import ColumnsConfig
from wares.core.errors import ConfigError
from wares.features.columns import select_columns

TABLE = pa.table(
    {
        "product_id": ["a", "b"], "title": ["A", "B"], "brand": ["x", "y"], "category": ["c", "d"], "price": [1.0, 2.0],
        "attributes": ['{"colour": "red", "secret": "1"}', None], "available": [True, False],
    }
)  # fmt: skip


def chosen(**config):
    return select_columns(TABLE, ColumnsConfig(**config)).to_pylist()[0]


def test_all_columns_stay_by_default():
    assert select_columns(TABLE, ColumnsConfig()) == TABLE


def test_dropped_columns_are_empty_and_keep_names_the_only_ones():
    assert chosen(drop=["brand", "price"]) == {**TABLE.to_pylist()[0], "brand": None, "price": None}
    row = chosen(keep=["category", "attributes.colour"])
    assert (row["title"], row["brand"], row["category"]) == ("A", None, "c")
    assert row["attributes"] == '{"colour": "red"}'
    assert chosen(drop=["attributes.secret"])["attributes"] == '{"colour": "red"}'


@pytest.mark.parametrize("config", [{"drop": ["brnd"]}, {"keep": ["colour"]}, {"drop": ["title"]}])
def test_a_column_that_cannot_be_chosen_is_named(config):
    with pytest.raises(ConfigError, match=next(iter(config.values()))[0]):
        chosen(**config)
