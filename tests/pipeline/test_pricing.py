from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from fastapi.testclient import TestClient
from tests.conftest import CONFIG

from wares.core.errors import ConfigError, NotFitted, NotFound, QueryError
from wares.core.price_alerts import ACKNOWLEDGED, MENDED, MUTED, OPEN, OddPrice, PriceAlerts
from wares.data.quality.history import History
from wares.models.price.infer import LIKELY, PriceBook
from wares.pipeline.audience import HOLDOUT, TARGET, Wanted, context_of, make_audience, sidecar
from wares.pipeline.pricing import FOREIGN, PRICE, case_of, prices_of, rate_files, rates_named, rates_of
from wares.pipeline.uplifting import uplift
from wares.serve.app import create_app
from wares.testing.shop import make_shop, write_rows, write_shop

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop with a price history in which three prices are wrong: ten times, a hundredth, and one in another currency's row."""
    from wares.pipeline.workspace import init_workspace

    data = make_shop(per_thing=24)
    root = tmp_path_factory.mktemp("prices") / "shop"
    write_shop(data, root / "exports")
    rng = np.random.default_rng(5)
    rows = []
    for number, product in enumerate(data.products):
        price = float(product["price"])
        for month in range(1, 7):
            sale = 0.9 if rng.random() < 0.2 else 1.0
            rows.append(
                {
                    "product_id": product["sku"],
                    "at": f"2025-0{month}-01",
                    "price": f"{price * sale:.2f}",
                    "currency": "EUR",
                }
            )
        wrong = {3: price * 10, 8: price / 100}.get(number)
        last = price if wrong is None else wrong
        rows.append(
            {"product_id": product["sku"], "at": "2025-07-01", "price": f"{last:.2f}", "currency": "EUR"}
        )
        product["price"] = f"{last:.2f}"
    rows.append({"product_id": "p0005", "at": "2025-07-02", "price": "900.00", "currency": "JPY"})
    rows.append({"product_id": "p0006", "at": "2999-07-02", "price": "1.00", "currency": "EUR"})
    write_rows(root / "exports" / "products.csv", data.products)
    write_rows(root / "exports" / "prices.csv", rows)
    found = init_workspace(
        root, CONFIG + '[[sources]]\nas = "prices"\npath = "exports/prices.csv"\n[build]\nthreads = 1\n'
    )
    found.ingest()
    found.build()
    found.publish()
    return found


def book_of(shop):
    return PriceBook(shop.root / shop._latest()["done"][PRICE])


def test_wrong_prices_of_a_shop_are_found_and_mended(shop):
    book = book_of(shop)
    top = {one.item: one for one in book.anomalies(4)}
    assert {3, 8} <= set(top)
    assert top[3].kind == "x10"
    assert top[8].kind == "/100"
    assert top[3].right == pytest.approx(top[3].price / 10, rel=0.02)
    assert book.manifest["left_out"][FOREIGN] == 1
    # A price of the year 2999 is not the price of now: its row was set aside, or it is left out.
    assert book.anomaly_of(6) is None


def test_dated_rates_of_the_workspace_are_used_the_newest_of_each(copy_of_built):
    shop = copy_of_built
    context = shop._context()
    assert rate_files(shop.root) == []
    assert rates_of(shop.root, "EUR") == {}
    before = rates_named(context)
    path = shop.root / "rates.csv"
    path.write_text(
        "date,from,to,rate\n2025-01-01,USD,EUR,0.9\n2025-06-01,USD,EUR,0.8\n2025-01-01,EUR,GBP,0.5\n"
    )
    assert rates_of(shop.root, "EUR") == pytest.approx({"USD": 1.25, "GBP": 0.5})
    # Another content makes the step stale.
    known = rates_named(context)
    assert known != before
    path.write_text(path.read_text() + "2025-07-01,USD,EUR,0.7\n")
    assert rates_named(context) != known
    assert case_of(shop).rates == pytest.approx({"USD": 1 / 0.7, "GBP": 0.5})
    path.write_text("date,from,to,rate\n2025-01-01,USD,EUR,none\n")
    with pytest.raises(ConfigError, match="line 2"):
        rates_of(shop.root, "EUR")


def test_new_ones_are_alerted_once_and_mended_ones_told(shop):
    alerts = PriceAlerts(shop.state)
    known = {row["product_id"] for row in alerts.all((OPEN,))}
    # Which of the planted ones are likely enough for an alert is for the model to say; trees differ a little between processors.
    likely = {f"p{one.item:04d}" for one in book_of(shop).anomalies(10_000, least=LIKELY)}
    assert known == likely
    assert known & {"p0003", "p0008"}
    again = shop.watch_prices()
    assert again["new"] == []
    told = [row for row in History(shop.state).alerts("prices") if row["event"] == "broken"]
    assert {f"price of {name}" for name in known} <= {row["label"] for row in told}


def test_people_acknowledge_and_mute(tmp_path, copy_of_built):
    alerts = PriceAlerts(copy_of_built.state)
    one, two = OddPrice("a", "1.00", 0.9, "x"), OddPrice("b", "2.00", 0.8, "y")
    fresh, gone = alerts.watch([one, two], NOW)
    assert [o.product_id for o in fresh] == ["a", "b"]
    assert gone == []
    alerts.decide("a", ACKNOWLEDGED, "ann", NOW)
    alerts.decide("b", MUTED, "ann", NOW)
    # The same again is not new; another price of the acknowledged one is, of the muted one is not.
    fresh, gone = alerts.watch([one, OddPrice("a", "9.00", 0.9, "x"), OddPrice("b", "9.00", 0.9, "y")], NOW)
    assert [(o.product_id, o.price) for o in fresh] == [("a", "9.00")]
    fresh, gone = alerts.watch([], NOW)
    assert {row["price"] for row in gone} == {"1.00", "9.00"}
    assert {row["state"] for row in alerts.all((MENDED,))} == {MENDED}
    fresh, _ = alerts.watch([one], NOW)
    assert len(fresh) == 1
    with pytest.raises(NotFound, match="no price alert"):
        alerts.decide("ghost", MUTED, "ann", NOW)
    with pytest.raises(QueryError, match="cannot be set"):
        alerts.decide("a", "gone", "ann", NOW)
    assert alerts.decide("ghost", MUTED, "ann", NOW, OddPrice("ghost", "3.00", 0.1, "z")) == 1
    assert alerts.state_of()["ghost", "3.00"] == MUTED


def test_a_shop_without_prices_builds_and_knows_nothing(tmp_path):
    from wares.pipeline.workspace import init_workspace

    data = make_shop(users=20)
    for product in data.products:
        product["price"] = ""
    for event in data.events:
        event["price"] = ""
    write_shop(data, tmp_path / "shop" / "exports")
    shop = init_workspace(tmp_path / "shop", CONFIG)
    shop.ingest()
    shop.build()
    book = book_of(shop)
    assert book.anomalies(10) == []
    assert book.expected(0) is None
    assert shop.watch_prices() == {"new": [], "mended": [], "open": 0}


def test_what_was_paid_serves_where_there_is_no_history(built):
    prices = prices_of(context_of(built), int(NOW.timestamp()))
    assert len(prices.item) >= 90
    assert case_of(built).currency == "EUR"


def test_routes_say_what_is_wrong_and_what_is_expected(shop):
    with TestClient(create_app(shop.root)) as client:
        found = client.get("/v1/price/anomalies", params={"k": 4}).json()["anomalies"]
        assert {"p0003", "p0008"} <= {one["product_id"] for one in found}
        one = next(one for one in found if one["product_id"] == "p0003")
        assert one["likely_price"] == pytest.approx(one["price"] / 10, rel=0.02)
        assert "its own other price" in one["evidence"]
        zh = client.get("/v1/price/anomalies", params={"k": 1, "language": "zh"}).json()["anomalies"][0]
        assert "应为" in zh["verdict"]
        expected = client.get("/v1/price/expected/p0003").json()
        assert expected["expected"]["low"] <= expected["expected"]["middle"] <= expected["expected"]["high"]
        assert expected["why"]["kind"] == "x10"
        assert "p0003" not in {other["product_id"] for other in expected["comparable"]}
        assert client.get("/v1/price/expected/ghost").status_code == 404
        assert client.get("/v1/price/anomalies", params={"least": "nan"}).status_code == 422
        rising = client.get("/v1/emerging").json()
        assert set(rising) == {"windows", "false_rate", "products", "categories"}
        assert client.get("/v1/emerging", params={"category": "Lamps"}).json()["categories"] == []


def consent_file(folder, yes, no=()):
    path = folder / "consent.csv"
    path.write_text(
        "user_id,consent\n" + "".join(f"{u},yes\n" for u in yes) + "".join(f"{u},no\n" for u in no)
    )
    return path


def read(path):
    lines = path.read_text().splitlines()
    assert lines[0] == "user_id,group,score,reason"
    return [line.split(",") for line in lines[1:]]


def test_an_audience_holds_only_who_agreed_and_is_not_erased(copy_of_built, tmp_path):
    shop = copy_of_built
    agreed = [f"u{n:03d}" for n in range(0, 100, 2)]
    shop.erase("u004")
    path = consent_file(tmp_path, agreed, no=["u006", "u002"])
    facts = make_audience(
        shop, Wanted(category="Lamps"), 20, tmp_path / "a.csv", consent=path, holdout=0.25, owners="keep"
    )
    rows = read(tmp_path / "a.csv")
    people = {row[0] for row in rows}
    assert people <= set(agreed) - {"u004", "u006", "u002"}
    assert [row[1] for row in rows].count(HOLDOUT) == round(0.25 * len(rows)) == facts[HOLDOUT]
    assert facts["as_of"] > 0
    # Those of the taste come first: users whose number is a multiple of four buy lamps.
    first = [int(row[0][1:]) % 4 == 0 for row in rows[:10]]
    assert np.mean(first) >= 0.8
    assert any(entry["action"] == "audience" for entry in shop.audit.entries())
    with pytest.raises(QueryError, match="exists"):
        make_audience(shop, Wanted(category="Lamps"), 20, tmp_path / "a.csv", consent=path)


def test_the_hold_out_group_is_the_same_for_a_seed(copy_of_built, tmp_path):
    path = consent_file(tmp_path, [f"u{n:03d}" for n in range(120)])
    made = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_audience(
            copy_of_built,
            Wanted(product="p0000,p0001"),
            40,
            tmp_path / name,
            consent=path,
            holdout=0.3,
            owners="keep",
            seed=seed,
        )
        made.append((tmp_path / name).read_text())
    assert made[0] == made[1] != made[2]


def test_who_has_it_is_left_out_unless_it_is_bought_again(copy_of_built, tmp_path):
    path = consent_file(tmp_path, [f"u{n:03d}" for n in range(120)])
    shop = copy_of_built
    owners = {
        row["user_id"]
        for row in shop.asset("events", "owner").to_arrow().to_pylist()
        if row["product_id"] == "p0000"
    }
    make_audience(shop, Wanted(product="p0000"), 60, tmp_path / "a", consent=path, owners="exclude")
    assert owners
    assert not owners & {row[0] for row in read(tmp_path / "a")}


@pytest.mark.parametrize(
    ("wanted", "options", "error", "words"),
    [
        (Wanted(product="p0000"), {"consent": None}, ConfigError, "consent"),
        (Wanted(product="ghost"), {}, NotFound, "catalogue"),
        (Wanted(category="Ghosts"), {}, NotFound, "no category"),
        (Wanted(), {}, QueryError, "one thing"),
        (Wanted(product="p0000", category="Lamps"), {}, QueryError, "one thing"),
        (Wanted(product="p0000"), {"size": 0}, QueryError, "size"),
        (Wanted(product="p0000"), {"holdout": 1.0}, QueryError, "hold-out"),
        (Wanted(product="p0000"), {"owners": "maybe"}, QueryError, "owners"),
    ],
)
def test_what_makes_no_audience_says_why(built, tmp_path, wanted, options, error, words):
    given = {"size": 10, "consent": consent_file(tmp_path, ["u001"]), **options}
    size = given.pop("size")
    with pytest.raises(error, match=words):
        make_audience(built, wanted, size, tmp_path / "a.csv", **given)
    assert not (tmp_path / "a.csv").exists()


def test_nobody_with_consent_is_an_error(built, tmp_path):
    with pytest.raises(QueryError, match="nobody"):
        make_audience(
            built, Wanted(product="p0000"), 10, tmp_path / "a", consent=consent_file(tmp_path, ["stranger"])
        )
    bad = tmp_path / "bad.csv"
    bad.write_text("who,consent\nu001,yes\n")
    with pytest.raises(QueryError, match="user_id"):
        make_audience(built, Wanted(product="p0000"), 10, tmp_path / "a", consent=bad)


def test_uplift_is_the_difference_between_the_groups(built, tmp_path):
    audience = tmp_path / "a.csv"
    people = [(f"v{n}", TARGET if n < 300 else HOLDOUT) for n in range(400)]
    audience.write_text("user_id,group,score,reason\n" + "".join(f"{u},{g},0.1,\n" for u, g in people))
    took = [
        u for n, (u, g) in enumerate(people) if (g == TARGET and n % 4 == 0) or (g == HOLDOUT and n % 10 == 0)
    ]
    outcome = tmp_path / "o.csv"
    outcome.write_text("user_id,value\n" + "".join(f"{u},10\n" for u in took))
    found = uplift(built, audience, outcome, 14)
    assert found["rate"]["difference"] == pytest.approx(0.15)
    assert found["rate"]["interval"][0] > 0
    assert found["value"]["difference"] == pytest.approx(1.5)
    outcome.write_text("user_id,value\nv1,much\n")
    with pytest.raises(QueryError, match="no number"):
        uplift(built, audience, outcome, 14)
    audience.write_text("user_id,group\nv1,target\n")
    with pytest.raises(QueryError, match="group"):
        uplift(built, audience, outcome, 14)


def test_uplift_from_the_shops_own_events(copy_of_built, tmp_path):
    shop = copy_of_built
    path = consent_file(tmp_path, [f"u{n:03d}" for n in range(120)])
    out = tmp_path / "a.csv"
    make_audience(shop, Wanted(product="p0000"), 40, out, consent=path, holdout=0.5, owners="keep")
    with pytest.raises(QueryError, match="nothing is known yet"):
        uplift(shop, out, None, 14)
    facts = json.loads(sidecar(out).read_text())
    groups = {row[0]: row[1] for row in read(out)}
    after = datetime.fromtimestamp(facts["as_of"] + 86_400, UTC).isoformat()
    rows = [
        {"customer": u, "sku": "p0000", "type": "purchase", "time": after, "qty": "1", "price": "5"}
        for u, g in groups.items()
        if g == TARGET
    ]
    write_rows(tmp_path / "more.csv", rows)
    shop.ingest(str(tmp_path / "more.csv"), "events")
    found = uplift(shop, out, None, 14)
    assert found["rate"]["target"] == 1.0
    assert found["rate"]["holdout"] == 0.0


def test_without_events_nobody_is_known(tmp_path):
    from wares.pipeline.workspace import init_workspace

    data = make_shop(users=2)
    write_shop(data, tmp_path / "shop" / "exports")
    (tmp_path / "shop" / "exports" / "events.csv").unlink()
    shop = init_workspace(
        tmp_path / "shop", CONFIG.replace('[[sources]]\nas = "events"\npath = "exports/events.csv"\n', "")
    )
    shop.ingest()
    shop.build()
    with pytest.raises(NotFitted, match="no events"):
        make_audience(
            shop, Wanted(product="p0000"), 5, tmp_path / "a", consent=consent_file(tmp_path, ["u001"])
        )
