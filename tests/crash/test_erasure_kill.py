"""An erased person is found by no reader, at any version, in any derived artefact, however often the erasure is killed."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal

import pytest
from deltalake import DeltaTable
from tests.conftest import CONFIG, copy_workspace

import wares
from wares.core.errors import Unavailable
from wares.pipeline.erasure import erase, receipts, unfinished
from wares.pipeline.workspace import init_workspace, open_workspace
from wares.testing.person import Person, plant_records, readers, traces, write_exports

PERSON = Person()
KILLS = 30
_NAMES = 'map = { user_id = "customer", session_id = "session", product_id = "sku", kind = "type", at = "time", quantity = "qty", price = "price" }'


@pytest.fixture(scope="module")
def planted(tmp_path_factory, shop_data):
    """A published shop with the person in every place, several versions of each table and two bundles."""
    root = tmp_path_factory.mktemp("planted") / "shop"
    files = write_exports(root / "exports", shop_data, PERSON)
    shop = init_workspace(
        root, CONFIG.split("[[sources]]")[0] + "[recommend]" + CONFIG.split("[recommend]")[1]
    )
    for table, paths in files.items():
        shop.ingest(paths[0], table)
    shop.ingest(files["events"][1], "events")
    shop.build()
    shop.publish()
    DeltaTable(str(root / "tables" / "events")).create_checkpoint()
    return root


@pytest.fixture
def shop_root(planted, tmp_path):
    root = copy_workspace(planted, tmp_path / "shop")
    plant_records(open_workspace(root), PERSON)
    return root


def _attempt(root: str, kill_at: int) -> None:
    """One life of an erasure, killed at its `kill_at`-th step; 0 lets it end, unless a parent kills it."""
    left = kill_at

    def checkpoint(_: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    shop = open_workspace(root)
    going_on = unfinished(shop.root)
    erase(
        shop,
        "" if going_on else PERSON.user,
        also=(PERSON.email,),
        sources=True,
        resume=going_on,
        checkpoint=checkpoint,
    )


def _lives() -> multiprocessing.context.BaseContext:
    # A server that has imported everything and started no thread forks each life in milliseconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "wares.pipeline.erasure",
            "wares.pipeline.workspace",
            "wares.pipeline.steps",
            "tests.crash.test_erasure_kill",
        ]
    )
    return context


def _is_gone(root) -> None:
    shop = open_workspace(root)
    assert not unfinished(root)
    assert traces(root, PERSON.needles) == []
    told = readers(shop, PERSON)
    assert len(told) > 8
    assert not any(told.values()), told
    ranker = wares.load(root)
    assert ranker.users.find(PERSON.user) < 0
    stranger = [h.product.product_id for h in ranker.recommend("nobody-at-all", k=5)]
    assert [h.product.product_id for h in ranker.recommend(PERSON.user, k=5)] == stranger
    # The price that only they paid is in no statistics either.
    assert traces(root, [PERSON.price]) == []


def _rows(root, version: int) -> int:
    return DeltaTable(root / "tables" / "events", version=version).to_pyarrow_table().num_rows


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_erased_though_killed_at_thirty_random_points(planted, tmp_path):
    """Every fifth kill comes by the clock, the others at a random step; an erasure that ends early is followed by another."""
    rng = random.Random(7)
    context = _lives()
    killed, shops = 0, 0
    while killed < KILLS:
        shops += 1
        root = copy_workspace(planted, tmp_path / f"shop{shops}")
        plant_records(open_workspace(root), PERSON)
        assert traces(root, PERSON.needles, skip=("exports",))
        before = [_rows(root, 0), _rows(root, 1)]
        while True:
            by_clock = killed % 5 == 4
            last = killed >= KILLS
            kill_at = 0 if by_clock or last else rng.choice((1, 2, 3, 5, 8))
            life = context.Process(target=_attempt, args=(str(root), kill_at))
            life.start()
            if by_clock and not last:
                life.join(rng.random())
                life.kill()
            life.join()
            if life.exitcode == 0:
                break
            assert life.exitcode == -signal.SIGKILL
            killed += 1
            # A reader sees the old table or the new one, never half of either.
            rows = [_rows(root, 0), _rows(root, 1)]
            assert rows[0] in (before[0], before[0] - 6)
            assert (rows[0] == before[0]) == (rows[1] == before[1])
            if unfinished(root):
                with pytest.raises(Unavailable, match="not finished"):
                    open_workspace(root).publish()
        _is_gone(root)
        (receipt,) = receipts(root)
        assert {p["where"] for p in receipt["places"]} >= {
            "table events", "table reviews", "table queries", "table products", "table quarantine", "state online_events",
            "state label_items", "state runs", "scratch", "older artefacts and bundles",
        }  # fmt: skip
        assert PERSON.user not in str(receipt)
        shutil.rmtree(root)


def test_an_erasure_that_is_not_killed(shop_root):
    shop = open_workspace(shop_root)
    receipt = shop.erase(PERSON.user, also=(PERSON.email,), sources=True)
    _is_gone(shop_root)
    assert receipt["verified"]["found"] == 0
    assert receipt["bundle"]["after"] not in ("", receipt["bundle"]["before"])
    again = shop.erase(PERSON.user)
    assert (again["removed"], again["rebuilt"]) == ({"rows": 0, "cells": 0}, {})
    # What others did and wrote is there as before, less the mention.
    reviews = shop.store.files("reviews")
    from wares.data.engine import Engine

    with Engine(0.5) as engine:
        rows = engine.arrow(engine.parquet(reviews).order_by("review_id")).to_pylist()
    assert [r["review_id"] for r in rows] == ["r2", "r3"]
    assert rows[0]["text"] == "[erased] told me about it, works"
    assert rows[1]["text"] == "手机坏了，不推荐"


def test_what_a_killed_build_left_behind_goes_too(shop_root):
    """Its scratch comes after the step that empties `tmp/`, with files cut at any byte."""
    left = shop_root / "tmp" / "clean-killed" / "wares-1" / "t2.parquet"

    def kill_a_build(step: str) -> None:
        if step == "before build":
            left.parent.mkdir(parents=True)
            left.touch()

    erase(open_workspace(shop_root), PERSON.user, also=(PERSON.email,), sources=True, checkpoint=kill_a_build)
    assert not left.exists()
    _is_gone(shop_root)
