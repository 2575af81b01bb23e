"""Lists of likeness from the similarity of a build to its recommender: what is known when, and what shoppers read."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

import wares
from wares.core.arrays import load_array
from wares.core.files import read_json
from wares.models.recommend.alike import Alike
from wares.models.recommend.train import Params
from wares.pipeline import likening, steps
from wares.pipeline.plan import STEP_KINDS


def context_of(shop):
    """The context of the last build, with the tables as they are now."""
    STEP_KINDS.update({step.name: step.kind for step in steps.STEPS})
    context = shop._context()
    done = read_json(shop.root / "build" / "latest.json")["done"]
    context.done.update({name: shop.root / place for name, place in done.items()})
    return context


def test_lists_of_a_moment_know_nothing_of_what_came_after(copy_of_built):
    shop = copy_of_built
    context = context_of(shop)
    log = steps.event_log(context)
    first, last = log.span()
    until = first + 3 * (last - first) // 4
    before = likening.lists_before(context, until)
    assert (before[1] >= 0).any()
    path = shop.root / "exports" / "events.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    # Every event of the last quarter once more, by others and an hour on: what is known of before stays as it was.
    some = [dict(row) for row in rows if moment(row["time"]) > datetime.fromtimestamp(until, UTC)]
    for row in some:
        row["customer"] = f"other-{row['customer']}"
        row["time"] = (moment(row["time"]) + timedelta(hours=1)).isoformat()
    assert len(some) > 20
    later = shop.root / "exports" / "later.csv"
    with later.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(some)
    shop.ingest(str(later), "events")
    changed = context_of(shop)
    assert changed.versions["events"] != context.versions["events"]
    again = likening.lists_before(changed, until)
    for one, other in zip(before, again, strict=True):
        assert np.array_equal(one, other)
    now = likening.lists_before(changed, steps.event_log(changed).span()[1] + 1)
    assert not np.array_equal(now[2], before[2])


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def test_the_recommender_gets_lists_where_tuning_kept_them(built):
    context = context_of(built)
    assert steps.alike_of(context, Params()) is None
    assert steps.alike_of(context, Params(learned={"alike": {"kept": False}})) is None
    kept = Params(learned={"alike": {"kept": True}})
    side = steps.alike_of(context, kept)
    assert side is not None
    rows, ids, _ = likening.read_lists(context.done["similar"])
    assert np.array_equal(side.rows, rows)
    n = len(load_array(context.done["catalogue"], "text_of"))
    assert 0 <= ids.max() < n
    assert not (ids == rows[:, None, None]).any()
    first, last = steps.event_log(context).span()
    assert steps.alike_of(context, kept, (first + last) // 2) is not None
    # Of the first moment nothing was known before it.
    assert steps.alike_of(context, kept, first) is None


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_hit_of_these_lists_says_why(built, tmp_path, language):
    context = context_of(built)
    side = steps.alike_of(context, Params(learned={"alike": {"kept": True}}))
    ranker = wares.load(built.root)
    side.save(tmp_path, ranker.recommender.n_items)
    ranker.recommender.alike = Alike(tmp_path)
    history = ranker.history(known_user(built))
    near = ranker.recommender.alike.evidence(np.arange(ranker.recommender.n_items, dtype=np.int32), history)
    # What was never sold is explained by its text.
    sold = ranker.recommender.log_sold
    fresh = {row: told for row, told in near.items() if row not in history.items and sold[row] > 0}
    assert fresh
    for row, (had, kind) in fresh.items():
        said = ranker._why(row, "cf", history, {}, {}, {row: (had, kind)}, language)
        title = ranker.catalogue.product(had).title
        assert said.code == ("like" if kind == "similar" else f"{kind}_had")
        assert title in said.text
    for kind in ("instead", "goes_with"):
        said = ranker._why(0, "cf", history, {}, {}, {0: (1, kind)}, language)
        assert ranker.catalogue.product(1).title in said.text
    hits = ranker.recommend(known_user(built), k=10, repeats=False, language=language)
    assert len(hits) == 10
    assert all(hit.why.text for hit in hits)


def known_user(built) -> str:
    with (built.root / "exports" / "events.csv").open(encoding="utf-8", newline="") as stream:
        return next(csv.DictReader(stream))["customer"]
