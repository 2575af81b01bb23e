"""The graph in the build: steps, table, lineage, bundle, and no look into the future."""

from __future__ import annotations

import json
import shutil
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from tests.conftest import CONFIG, copy_workspace

from wares.core import bundles
from wares.core.arrays import open_artifact
from wares.core.errors import SourceError
from wares.core.files import read_json
from wares.features.catalogue import Catalogue
from wares.graph.infer import Graph
from wares.graph.neighbours import KIND
from wares.pipeline import plan
from wares.pipeline.graphing import graph_neighbours_before, read_neighbours
from wares.pipeline.steps import STEPS
from wares.pipeline.workspace import init_workspace, open_workspace
from wares.testing.shop import write_rows

STAGES = ("catalogue", "interactions", "graph_pairs", "graph_read", "graph", "graph_neighbours")


def done(shop, step):
    return shop.root / read_json(shop.root / "build" / "latest.json")["done"][step]


def run(shop):
    """The steps of the graph alone, which need no encoder: the context, and which of them were stale."""
    context = shop._context()
    steps = [step for step in STEPS if step.name in STAGES]
    ran = [name for name, stale in plan.execute(steps, context, lambda *_: None) if stale]
    return context, ran


def paired(events):
    """The same events, where each shopper's purchases come two by two in a basket."""
    out, before = [], {}
    for event in sorted(events, key=lambda e: (e["customer"], e["time"])):
        first = before.pop(event["customer"], None)
        if first is None:
            before[event["customer"]] = event["time"]
        out.append({**event, "time": first or event["time"]})
    return out


def make(root, products, events, extra=""):
    shop = init_workspace(root, CONFIG + extra)
    for table, rows in (("products", products), ("events", events)):
        if rows:
            shop.ingest(str(write_rows(root / "exports" / f"{table}.csv", rows)), table)
    return shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory, shop_data):
    shop = make(tmp_path_factory.mktemp("graph") / "shop", shop_data.products, paired(shop_data.events))
    run(shop)
    return shop


@pytest.fixture
def copy(shop, tmp_path):
    return open_workspace(copy_workspace(shop.root, tmp_path / "shop"))


def test_a_build_makes_the_graph_and_its_neighbours(shop):
    context, ran = run(shop)
    assert ran == []
    graph = Graph(context.done["graph"])
    assert {"has_brand", "in_category", "bought_with", "mentions", "liked_by"} <= set(graph.relations)
    ids, sims = read_neighbours(context.done["graph_neighbours"])
    assert ids.shape == sims.shape == (graph.n_products, 60)
    assert ids.dtype == np.int32
    assert sims.dtype == np.float16
    assert open_artifact(context.done["graph_neighbours"], KIND)["helps"]
    assert 0 <= sims.min() <= sims.max() == 1
    assert ((ids >= 0) == (sims > 0)).all()
    assert (np.diff(sims.astype(np.float32), axis=1) <= 0).all()
    assert (ids != np.arange(len(ids))[:, None]).all()


def test_neighbours_are_of_the_taste_that_was_planted(shop, shop_data):
    context, _ = run(shop)
    products = Catalogue(context.done["catalogue"])
    ids, _ = read_neighbours(context.done["graph_neighbours"])
    category = [products.product(i).category for i in range(len(products))]
    same = [category[j] == category[i] for i in range(len(products)) for j in ids[i][:5] if j >= 0]
    assert np.mean(same) > 0.8
    cold = [products.row(sku) for sku in shop_data.cold]
    assert (ids[cold, 0] >= 0).mean() > 0.9


def test_the_table_is_registered_with_its_lineage_and_in_the_bundle(built):
    asset = built.assets.registry.get("graph_triples")
    assert asset.kind == "derived table"
    assert built.store.rows("graph_triples") == open_artifact(done(built, "graph"), "graph")["triples"]
    above = built.assets.lineage("graph_triples", "up").assets
    assert {"products", "events"} <= {name.removesuffix("_clean") for name in above}
    sources = built.asset("graph_triples", columns=("source",)).to_arrow()["source"].unique().to_pylist()
    assert {"columns", "text", "events"} <= set(sources)
    assert Graph(bundles.live_bundle(built.root) / "graph").relations


def test_the_same_graph_again_makes_no_new_version(copy):
    context, _ = run(copy)
    version = copy.store.version("graph_triples")
    shutil.rmtree(context.done["graph"])
    assert run(copy)[1] == ["graph"]
    assert copy.store.version("graph_triples") == version


def test_neighbours_before_a_split_know_nothing_of_what_came_later(shop, tmp_path, shop_data):
    """The same weights and lists come of a shop that has only the events before the split."""
    context, _ = run(shop)
    events = paired(shop_data.events)
    seconds = [int(datetime.fromisoformat(e["time"]).timestamp()) for e in events]
    until = sorted(seconds)[2 * len(seconds) // 3] + 1
    past = [e for e, at in zip(events, seconds, strict=True) if at < until]
    ours = graph_neighbours_before(context, until)
    assert ours.learned.helps
    assert ours.learned.weights["bought_with>"] > 0
    assert 0 < len(past) < len(shop_data.events)
    earlier, _ = run(make(tmp_path / "past", shop_data.products, past))
    theirs = graph_neighbours_before(earlier, until)
    assert theirs.learned.weights == ours.learned.weights
    assert (ours.ids == theirs.ids).all()
    everything, _ = read_neighbours(context.done["graph_neighbours"])
    assert (ours.ids != everything).any()


def test_off_means_an_empty_graph(copy):
    path = copy.root / "wares.toml"
    path.write_text(path.read_text() + "\n[graph]\nenabled = false\n")
    context, _ = run(open_workspace(copy.root))
    assert open_artifact(context.done["graph"], "graph")["triples"] == 0
    ids, sims = read_neighbours(context.done["graph_neighbours"])
    assert (ids == -1).all()
    assert not sims.any()


def test_a_file_that_was_added_is_in_the_next_graph_and_a_relation_can_be_left_out(copy):
    row = {"head": "p0003", "relation": "fits_with", "tail": "p0001", "weight": "0.5", "date": "2025-02-01"}
    file = write_rows(copy.root / "graph" / "fits.csv", [row])
    path = copy.root / "wares.toml"
    path.write_text(path.read_text() + '\n[graph]\nleave_out = ["in_price_band"]\n')
    shop = open_workspace(copy.root)
    context, ran = run(shop)
    assert "graph" in ran
    graph = Graph(context.done["graph"])
    assert "in_price_band" not in graph.relations
    (edge,) = graph.neighbours(graph.entity("product", "p0003"), "fits_with")
    assert (edge.tail, edge.source, edge.weight) == (graph.entity("product", "p0001"), "external", 0.5)
    assert run(shop)[1] == []
    file.write_text("head,relation\np0003,x\n")
    with pytest.raises(SourceError, match="head, relation, tail"):
        run(shop)


@pytest.mark.parametrize("events", [0, 1])
def test_a_shop_of_three_products_and_next_to_no_events(tmp_path, shop_data, events):
    shop = make(tmp_path / "shop", shop_data.products[:3], shop_data.events[:events])
    context, _ = run(shop)
    ids, _ = read_neighbours(context.done["graph_neighbours"])
    assert ids.shape == (3, 60)
    assert (ids == -1).all()
    assert len(Graph(context.done["graph"])) > 3


class Endpoint(BaseHTTPRequestHandler):
    """Answers as a model would: well, then not in form, by what the server says."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers.get("Authorization"), asked))
        content = self.server.answer(asked["messages"][1]["content"])
        if content is None:
            self.send_error(500, "out of order")
            return
        body = json.dumps(
            {"choices": [{"message": {"content": content}}], "usage": {"total_tokens": 900}}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def endpoint():
    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    server.asked, server.answer = [], lambda _: '{"triples": []}'
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join(5)
    server.server_close()


def glass(texts: str) -> str:
    """Every tea cup is of glass; the rest is nonsense that must not get in."""
    rows = [i for i, line in enumerate(texts.splitlines(), 1) if "茶" in line]
    good = [{"product": i, "relation": "material", "value": "Glass", "confidence": 0.9} for i in rows]
    bad = [
        {"product": 99, "relation": "material", "value": "x", "confidence": 1},
        {"relation": "price"},
        "no",
    ]
    return json.dumps({"triples": good + bad})


def test_what_a_language_model_read_is_in_the_graph_with_its_source(copy, endpoint):
    path = copy.root / "wares.toml"
    url = f"http://127.0.0.1:{endpoint.server_port}/v1"
    path.write_text(path.read_text() + f'\n[graph.llm]\nbase_url = "{url}"\nmodel = "small"\nbatch = 40\n')
    shop = open_workspace(copy.root)
    endpoint.answer = lambda texts: None if "紫砂茶壶" in texts else glass(texts)
    context, _ = run(shop)
    report = read_json(context.done["graph_read"] / "report.json")
    assert report["failed"]
    assert "500" in report["failed"][0]["reason"]
    assert report["asked"] + sum(int(f["products"]) for f in report["failed"]) == 96
    route, key, body = endpoint.asked[0]
    assert (route, key, body["model"], body["temperature"]) == ("/v1/chat/completions", None, "small", 0)
    # What failed is asked again; what is known is not.
    before, endpoint.answer = len(endpoint.asked), glass
    context, _ = run(shop)
    again = read_json(context.done["graph_read"] / "report.json")
    assert not again["failed"]
    assert again["refused"] > 0
    assert len(endpoint.asked) - before == len(report["failed"])
    graph = Graph(context.done["graph"])
    edges = graph.neighbours(graph.entity("attribute", "material=glass"), limit=1000)
    assert len(edges) == 24
    assert {(e.source, round(e.weight, 2)) for e in edges} == {("llm:small@1", 0.9)}
    count = len(endpoint.asked)
    run(shop)
    assert run(shop)[1] == []
    assert len(endpoint.asked) == count


def test_nobody_is_contacted_unless_it_is_configured(shop, endpoint):
    context, _ = run(shop)
    assert endpoint.asked == []
    assert read_json(context.done["graph_read"] / "facts.json")["facts"] == []
