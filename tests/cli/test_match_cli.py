"""``wares match`` on products of a shop, by id."""

from __future__ import annotations

import json

from tests.data.test_fusion_run import CONFIG, write_products
from typer.testing import CliRunner

from wares.cli import match as match_cli
from wares.cli import tools, tune
from wares.cli.main import app as cli
from wares.models.similar.match_train import LabelledPairs, MatchOptions, train_matcher
from wares.pipeline.workspace import init_workspace

RUN = CliRunner()
for module in (tools, tune, match_cli):
    module.register(cli)


def test_two_products_by_id_with_and_without_a_matcher(tmp_path):
    import numpy as np

    truth = write_products(tmp_path)
    init_workspace(tmp_path, CONFIG).ingest()
    a, b = next((a, b) for a in truth for b in truth if a < b and truth[a] == truth[b])
    asked = ["match", a, b, "--shop", str(tmp_path), "--json"]
    found = json.loads(RUN.invoke(cli, asked).output)
    assert found["judge"].startswith("unsupervised")
    assert found["pairs"][0]["probability"] > 0.5
    goods = [f"acme drill ax{1000 + 7 * n}" for n in range(40)]
    left = [{"name": goods[n % 40], "maker": "acme"} for n in range(120)]
    right = [{"name": goods[n % 40 if n % 2 else (n + 7) % 40].upper(), "maker": "Acme"} for n in range(120)]
    pairs = LabelledPairs(left, right, np.arange(120) % 2 == 1)
    train_matcher(pairs, pairs, tmp_path / "matcher", MatchOptions(model="", threads=1))
    toml = tmp_path / "wares.toml"
    toml.write_text(
        toml.read_text().replace(
            "enabled = true", 'enabled = true\nmatcher = "matcher"\nmatcher_fields = { maker = "brand" }'
        )
    )
    trained = json.loads(RUN.invoke(cli, asked).output)
    assert trained["judge"] == "trained matcher"
    assert 0 <= trained["pairs"][0]["probability"] <= 1
    shown = RUN.invoke(cli, asked[:-1]).output
    assert "product" in shown
    assert "threshold" in shown
