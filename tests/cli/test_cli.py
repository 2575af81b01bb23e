from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import await_ready, running_server

ROOT = Path(__file__).parents[2]


def wares(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "wares.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=300,
    )


def test_every_command_has_help_with_an_example():
    top = wares("--help")
    assert top.returncode == 0
    commands = [
        "demo",
        "init",
        "ingest",
        "check",
        "quarantine",
        "build",
        "publish",
        "rollback",
        "serve",
        "console",
        "search",
        "recommend",
        "similar",
        "together",
        "again",
        "trending",
        "price",
        "audience",
        "emerging",
        "evaluate",
        "asset",
        "key",
        "bench",
        "doctor",
        "config",
    ]
    for name in commands:
        assert re.search(rf"\b{name}\b", top.stdout)
        text = wares(name, "--help").stdout
        assert "Example" in text, name
    for group in (
        ("evaluate", "recommend"),
        ("asset", "list"),
        ("asset", "show"),
        ("key", "create"),
        ("bench", "serve"),
        ("bench", "sessions"),
        ("evaluate", "cold-users"),
        ("evaluate", "prices"),
        ("evaluate", "audiences"),
        ("price", "anomalies"),
        ("price", "ack"),
        ("price", "simulate"),
        ("moods", "queries"),
        ("evaluate", "elasticity"),
        ("audience", "uplift"),
    ):
        assert "Example" in wares(*group, "--help").stdout


def test_exit_codes_and_mends(tmp_path):
    assert wares("nonsense").returncode == 2
    missing = wares("build", "--shop", tmp_path)
    assert missing.returncode == 2
    assert "wares init" in missing.stderr
    as_json = wares("build", "--shop", tmp_path, "--json")
    assert json.loads(as_json.stderr)["error"] == "ConfigError"
    assert wares("init", tmp_path / "s", "--name", "X", "--json").returncode == 0
    assert wares("build", "--shop", tmp_path / "s").returncode == 1
    (tmp_path / "p.csv").write_text("sku,name\na,T\n,U\n")
    broken = wares("ingest", tmp_path / "p.csv", "--as", "products", "--shop", tmp_path / "s", "--json")
    assert broken.returncode == 3
    assert json.loads(broken.stdout)[0]["rules"] == {"required:product_id": 1}
    assert wares("check", "--shop", tmp_path / "s").returncode == 3
    assert "Fill this cell" in wares("quarantine", "--shop", tmp_path / "s").stdout


def test_asking_a_published_shop(built):
    shop = ("--shop", built.root)
    assert "desk lamp" in wares("search", "desk lamp", *shop).stdout
    assert json.loads(wares("recommend", "--user", "u001", *shop, "--json").stdout)["hits"]
    assert json.loads(wares("similar", "p0000", *shop, "--json").stdout)["hits"][0]["why"]
    assert wares("similar", "ghost", *shop).returncode == 2
    listed = {row["asset"] for row in json.loads(wares("asset", "list", *shop, "--json").stdout)}
    assert {"products", "products_clean", "events", "text_vectors", "recommend", "bundle"} <= listed
    assert "product_id" in wares("asset", "show", "events", *shop).stdout
    doctor = json.loads(wares("doctor", *shop, "--json").stdout)
    assert doctor["bundle"]["whole"]
    assert json.loads(wares("config", *shop).stdout)["shop"]["name"] == "Synthetic"


def test_keys(copy_of_built):
    shop = ("--shop", copy_of_built.root)
    token = json.loads(wares("key", "create", "--name", "web", "--scope", "read", *shop, "--json").stdout)[
        "key"
    ]
    listed = wares("key", "list", *shop, "--json").stdout
    assert token.split("_")[1] in listed
    assert token.split("_")[2] not in listed
    assert wares("key", "revoke", token.split("_")[1], *shop).returncode == 0
    assert wares("key", "create", "--name", "x", "--scope", "all", *shop).returncode == 2


def test_a_port_in_use_is_said(built):
    with running_server(built.root) as (_, port):
        second = wares("serve", "--shop", built.root, "--port", port)
    assert second.returncode == 1
    assert "is in use" in second.stderr


def test_serve_takes_its_port_from_the_config(copy_of_built):
    from wares.serve.runner import free_port

    port = free_port("127.0.0.1", 0)
    config = copy_of_built.root / "wares.toml"
    config.write_text(config.read_text() + f"[serve]\nport = {port}\n")
    server = subprocess.Popen(
        [sys.executable, "-m", "wares.cli", "serve", "--shop", str(copy_of_built.root), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        await_ready(port, server)
    finally:
        server.terminate()
        said, _ = server.communicate(timeout=20)
    assert json.loads(said)["address"] == f"http://127.0.0.1:{port}"


def test_evaluate_and_bench_print_json(copy_of_built):
    report = json.loads(wares("evaluate", "--shop", copy_of_built.root, "--json").stdout)
    assert {
        "command",
        "data",
        "seed",
        "metrics",
        "intervals",
        "baselines",
        "seconds",
        "peak_rss_mb",
    } <= report.keys()
    bench = json.loads(
        wares(
            "bench", "serve", "--shop", copy_of_built.root, "--seconds", "1", "--rounds", "1", "--json"
        ).stdout
    )
    assert all(route["errors"] == 0 and route["requests"] > 0 for route in bench["routes"].values())


def test_readme_commands_exist():
    readme = (ROOT / "README.md").read_text("utf-8")
    lines = {
        line.strip()
        for block in re.findall(r"```bash\n(.*?)```", readme, re.S)
        for line in block.splitlines()
    }
    verbs = {tuple(line.split()[1:3]) for line in lines if line.startswith("wares ")}
    assert verbs
    for verb in verbs:
        first = verb[0]
        assert wares(first, "--help").returncode == 0, first
