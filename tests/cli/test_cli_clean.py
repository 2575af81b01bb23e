from __future__ import annotations

import json
import subprocess
import sys


def wares(*args, fine=(0,)):
    done = subprocess.run(
        [sys.executable, "-m", "wares.cli", *map(str, args)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode in fine, done.stderr
    return done


def test_cleaning_from_the_shell(copy_of_built, tmp_path):
    shop = ("--shop", copy_of_built.root)
    (report,) = json.loads(wares("clean", "products", *shop, "--json", "--force").stdout)
    assert report["rows"] == 96
    assert {"column", "rule", "does", "cells", "samples"} <= set(report["changes"][0])
    assert "products_clean" in wares("clean", *shop).stdout
    assert "no table 'product'" in wares("clean", "product", *shop, fine=(2,)).stderr
    ranked = json.loads(wares("evaluate", "columns", *shop, "--json").stdout)
    assert ranked["columns"][0]["usefulness"] >= ranked["columns"][-1]["usefulness"]
    assert "near_duplicates" in wares("clean", "--rules").stdout


def test_the_benchmark_finds_what_it_planted_within_its_memory(tmp_path):
    done = wares("bench", "data", "--rows", 40_000, "--scratch", tmp_path, "--memory-gb", 2, "--json")
    result = json.loads(done.stdout)
    assert result["within"]
    assert result["peak_rss_gb"] < 2
    assert result["found"]["quarantined"] == result["planted"]["unknown_product"] > 0
    assert result["found"]["width:user_id"] == result["planted"]["untidy_user"] > 0
    assert result["versions_rows"][1] == result["versions_rows"][0] + result["second"]["added"]
    assert list(tmp_path.iterdir()) == []
