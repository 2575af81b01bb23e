"""The matcher: training, calibration, threshold, saving, and data that a person would call bad."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from wares.cli import match as match_cli
from wares.cli import tools, tune
from wares.cli.main import app as cli
from wares.core.errors import ConfigError, DataError, IncompatibleArtifact, QueryError
from wares.evaluate.match import evaluate_match, judge_pairs, read_pairs, split, task_of
from wares.features.pair_fields import Fields
from wares.models.similar import match_forest_train, match_text_train
from wares.models.similar.match_calibration import (
    best_threshold,
    calibration,
    careful_threshold,
    expected_threshold,
    f1_at,
    fit_weights,
    log_loss,
    sigmoid,
)
from wares.models.similar.match_infer import Matcher
from wares.models.similar.match_text_infer import TextJudge, compact
from wares.models.similar.match_train import LabelledPairs, MatchOptions, train_matcher

RUN = CliRunner()
for module in (tools, tune, match_cli):
    module.register(cli)
BRANDS = ("sony", "onkyo", "denon", "yamaha", "canon")
KINDS = ("receiver", "camera", "speaker", "player")


def make_pairs(n: int, seed: int) -> LabelledPairs:
    """Pairs of two catalogues of the same made-up goods: a fifth match; the others differ in the model number."""
    goods = np.random.default_rng(0)
    things = [
        (BRANDS[goods.integers(5)], f"{'abcdxyz'[goods.integers(7)]}{goods.integers(100, 999)}", KINDS[goods.integers(4)], float(goods.integers(20, 900)))
        for _ in range(60)
    ]  # fmt: skip
    rng = np.random.default_rng(seed)
    left, right, same = [], [], []
    for _ in range(n):
        a = int(rng.integers(60))
        b = a if rng.random() < 0.3 else int(rng.integers(60))
        brand, code, kind, price = things[a]
        left.append({"title": f"{brand} {code} {kind}", "price": f"{price:.2f}"})
        brand, code, kind, price = things[b]
        right.append(
            {"title": f"{brand.title()} {kind} {code[:1]}-{code[1:]} new", "price": f"{price * 0.95:.2f}"}
        )
        same.append(a == b)
    return LabelledPairs(left, right, np.array(same))


def write_pairs(path, pairs: LabelledPairs, labels=None, extra=None):
    names = ["left_title", "left_price", "right_title", "right_price", *(extra or [])]
    with open(path, "w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow([*names, "label"])
        for at in range(len(pairs)):
            a, b = pairs.left[at], pairs.right[at]
            label = int(pairs.same[at]) if labels is None else labels[at]
            writer.writerow(
                [a["title"], a["price"], b["title"], b["price"], *["x"] * len(extra or []), label]
            )
    return path


@pytest.fixture(scope="module", autouse=True)
def _fewer_trees():
    """The same in a third of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(match_forest_train, "REPEATS", 1)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matcher") / "m"
    report = train_matcher(make_pairs(400, 1), make_pairs(150, 2), folder, MatchOptions(model="", threads=1))
    return folder, report


def test_matches_are_found(trained):
    folder, report = trained
    test = make_pairs(200, 3)
    found = judge_pairs(Matcher(folder, 1), test)
    assert f1_at(found.probability, test.same, report["threshold"])[2] > 0.9
    assert report["rivals"] is True
    assert report["fields"]["numbers"] == ("price",)
    assert report["text"] == []


def test_the_same_seed_makes_the_same_matcher(trained, tmp_path):
    folder, _ = trained
    train_matcher(make_pairs(400, 1), make_pairs(150, 2), tmp_path / "m", MatchOptions(model="", threads=1))
    one, two = (json.loads((f / "manifest.json").read_text()) for f in (folder, tmp_path / "m"))
    assert one["hash"] == two["hash"]


def test_sides_may_be_swapped_and_company_changes_nothing(trained):
    matcher, test = Matcher(trained[0], 1), make_pairs(40, 4)
    straight = judge_pairs(matcher, test).probability
    turned = judge_pairs(matcher, LabelledPairs(test.right, test.left, test.same)).probability
    np.testing.assert_allclose(straight, turned, atol=1e-6)
    for at in (0, 7):
        alone = judge_pairs(matcher, LabelledPairs([test.left[at]], [test.right[at]], test.same[at : at + 1]))
        assert alone.probability[0] == pytest.approx(straight[at], abs=1e-6)


def test_strangers_are_judged_without_rivals(trained):
    matcher = Matcher(trained[0], 1)
    records = [{"title": "bosch gsr12 drill", "price": "99"}, {"title": "Bosch drill GSR-12", "price": "97"}]
    sheet, ends = matcher.read(records), np.array([[0, 1]])
    assert matcher.judge(sheet, ends).probability == matcher.judge(sheet, ends, rivals=False).probability
    among = matcher.among_records(records[:1], records[1:])
    assert among is not matcher
    assert among.judge(sheet, ends).probability != matcher.judge(sheet, ends).probability


def test_records_that_say_little(trained):
    matcher = Matcher(trained[0], 1)
    odd = [
        {"title": ""}, {"title": "sony a100 camera", "price": "nan", "colour": "red"}, {"title": "sony a100 " * 1200},
        {"title": None, "price": float("nan")},
    ]  # fmt: skip
    sheet = matcher.read(odd)
    found = matcher.judge(sheet, np.array([[0, 1], [1, 2], [3, 1], [0, 3]])).probability
    assert np.isfinite(found).all()
    assert found[0] == found[2] == found[3] == 0.0  # nothing to judge by is never a match
    assert len(matcher.judge(sheet, np.zeros((0, 2), np.int64)).probability) == 0
    with pytest.raises(QueryError, match="title"):
        matcher.read([{"name": "sony"}])


def test_a_damaged_matcher_is_refused(trained, tmp_path):
    with pytest.raises(IncompatibleArtifact, match="no manifest"):
        Matcher(tmp_path)
    copy = tmp_path / "m"
    copy.mkdir()
    for path in trained[0].iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "reader.json").write_text("{}")
    with pytest.raises(IncompatibleArtifact, match="damaged"):
        Matcher(copy)


@pytest.mark.parametrize("label", [True, False])
def test_labels_of_one_kind_teach_nothing(tmp_path, label):
    pairs = make_pairs(50, 1)
    one = LabelledPairs(pairs.left, pairs.right, np.full(50, label))
    with pytest.raises(DataError, match="only: nothing can be told apart"):
        train_matcher(one, pairs, tmp_path / "m", MatchOptions(model=""))
    with pytest.raises(DataError, match="valid holds"):
        train_matcher(pairs, one, tmp_path / "m", MatchOptions(model=""))


def test_no_pairs_and_no_words(tmp_path):
    pairs, none = make_pairs(20, 1), LabelledPairs([], [], np.zeros(0, bool))
    with pytest.raises(DataError, match="holds no pairs"):
        train_matcher(none, pairs, tmp_path / "m", MatchOptions(model=""))
    empty = LabelledPairs([{"title": ""}] * 4, [{"title": ""}] * 4, np.array([True, False] * 2))
    with pytest.raises(DataError, match="no record says anything"):
        train_matcher(empty, empty, tmp_path / "m", MatchOptions(model=""))


# -- calibration and threshold -------------------------------------------------------------------------------------


def test_weights_make_probabilities():
    rng = np.random.default_rng(3)
    logit = rng.normal(0, 2, 4000)
    same = rng.random(4000) < sigmoid(logit)
    scores = np.column_stack([logit * 3, rng.normal(size=4000)])
    weights = fit_weights(scores, same)
    assert weights[:2] == pytest.approx([1 / 3, 0], abs=0.05)
    fitted = scores @ weights[:-1] + weights[-1]
    assert log_loss(fitted, same) < log_loss(scores.sum(axis=1), same)
    assert calibration(sigmoid(fitted), same)["ece"] < 0.02


def test_a_score_that_misleads_gets_no_weight():
    rng = np.random.default_rng(4)
    logit = rng.normal(0, 2, 2000)
    same = rng.random(2000) < sigmoid(logit)
    weights = fit_weights(np.column_stack([logit, -logit + rng.normal(size=2000)]), same)
    assert (weights[:2] >= 0).all()
    assert fit_weights(np.zeros((4, 2)), np.array([True, False, True, False])) == pytest.approx([1, 1, 0])


def test_thresholds():
    p, same = np.array([0.9, 0.8, 0.7, 0.2, 0.1]), np.array([True, True, False, False, False])
    assert best_threshold(p, same) == pytest.approx(0.75)
    assert f1_at(p, same, best_threshold(p, same)) == (1.0, 1.0, 1.0)
    tied = np.array([0.5, 0.5, 0.5, 0.1])
    assert best_threshold(tied, np.array([True, False, True, False])) == pytest.approx(0.3)
    assert expected_threshold(np.array([0.95, 0.9, 0.1, 0.05])) == pytest.approx(0.5)
    assert expected_threshold(np.full(4, 0.7)) == pytest.approx(0.35)
    assert expected_threshold(np.zeros(0)) == 0.5
    assert 0.35 < careful_threshold(np.full(4, 0.7)) < 0.5
    assert careful_threshold(np.zeros(3)) < 0.5
    assert f1_at(np.zeros(3), np.zeros(3, bool), 0.5) == (0.0, 0.0, 0.0)


# -- files and commands --------------------------------------------------------------------------------------------


def test_files_that_are_not_pairs(tmp_path):
    pairs = make_pairs(6, 1)
    with pytest.raises(QueryError, match=r"row 3 of x\.csv has the label '2'"):
        read_pairs([write_pairs(tmp_path / "x.csv", pairs, labels=[1, 0, 2, 1, 0, 1])])
    with pytest.raises(QueryError, match=r"row 2 .* has the label ''"):
        read_pairs([write_pairs(tmp_path / "x.csv", pairs, labels=[1, "nan", 0, 1, 0, 1])])
    (tmp_path / "y.csv").write_text("left_title,right_title\na,b\n")
    with pytest.raises(QueryError, match="no column label"):
        read_pairs([tmp_path / "y.csv"])
    (tmp_path / "y.csv").write_text("title,label\na,1\n")
    with pytest.raises(QueryError, match=r"left_\*, right_\*"):
        read_pairs([tmp_path / "y.csv"])


def test_a_fifth_is_held_out_of_each_label():
    train, held = split(make_pairs(100, 1), 7)
    assert len(train) + len(held) == 100
    assert len(held) == pytest.approx(20, abs=1)
    assert held.same.any()
    assert not held.same.all()


def test_the_test_may_have_other_columns(tmp_path):
    train, test = make_pairs(200, 1), make_pairs(60, 3)
    files = [
        write_pairs(tmp_path / "train.csv", train),
        write_pairs(tmp_path / "test.csv", test, extra=["left_colour", "right_colour"]),
    ]
    report = evaluate_match(task_of([files[0]], None, files[1], model="", seeds=2))
    assert report["columns"]["only_in_test_ignored"] == ["colour"]
    assert report["columns"]["missing_in_test"] == []
    assert len(report["seeds"]) == 2
    assert report["f1_mean"] == pytest.approx(np.mean([run["f1"] for run in report["seeds"]]), abs=1e-4)
    without = evaluate_match(task_of([files[0]], None, files[1], model="", ignore=["price"]))
    assert without["columns"]["used"] == ["title"]
    (tmp_path / "thin.csv").write_text(
        "left_title,right_title,label\nsony a100 camera,Sony camera a-100 new,1\nx,y,0\n"
    )
    thin = evaluate_match(task_of([files[0]], None, tmp_path / "thin.csv", model=""))
    assert thin["columns"]["missing_in_test"] == ["price"]


def test_commands(tmp_path, trained):
    train, test = (
        write_pairs(tmp_path / "train.csv", make_pairs(200, 1)),
        write_pairs(tmp_path / "test.csv", make_pairs(60, 3)),
    )
    out = tmp_path / "kept"
    done = RUN.invoke(
        cli,
        [
            "evaluate",
            "match",
            "--train",
            str(train),
            "--test",
            str(test),
            "--model",
            "none",
            "--save",
            str(out),
            "--json",
        ],
    )
    assert done.exit_code == 0, done.output
    report = json.loads(done.output)
    assert report["test"]["f1"] == report["seeds"][0]["f1"]
    again = judge_pairs(Matcher(out, 1), read_pairs([test]))
    assert f1_at(again.probability, read_pairs([test]).same, Matcher(out).threshold)[2] == pytest.approx(
        report["test"]["f1"], abs=1e-4
    )
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep me")
    refused = RUN.invoke(
        cli, ["tune", "match", "--train", str(train), "--model", "none", "--out", str(tmp_path / "full")]
    )
    assert isinstance(refused.exception, QueryError)
    assert (tmp_path / "full" / "mine.txt").read_text() == "keep me"
    tuned = RUN.invoke(
        cli, ["tune", "match", "--train", str(train), "--model", "none", "--out", str(out), "--json"]
    )
    assert tuned.exit_code == 0, tuned.output
    assert json.loads(tuned.output)["folder"] == str(out)


def test_two_files_are_matched(tmp_path, trained):
    pairs = make_pairs(80, 5)
    lefts = list({r["title"]: r for r in pairs.left}.values())
    rights = list({r["title"]: r for r in pairs.right}.values())
    for name, rows in (("a.csv", lefts), ("b.csv", rights)):
        with open(tmp_path / name, "w", newline="") as handle:
            writer = csv.DictWriter(handle, ["id", "name", "price"])
            writer.writeheader()
            writer.writerows(
                {"id": f"{name[0]}{at}", "name": r["title"], "price": r["price"]} for at, r in enumerate(rows)
            )
    asked = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), "--one-to-one", "--json", "--limit", "200"]
    for more, judge in (
        (["--matcher", str(trained[0]), "--rename", "name=title"], "trained"),
        ([], "unsupervised"),
    ):
        out = tmp_path / "found.csv"
        done = RUN.invoke(cli, ["match", *asked, *more, "--out", str(out), "--shop", str(tmp_path)])
        assert done.exit_code == 0, done.output
        found = json.loads(done.output)
        assert judge in found["judge"]
        assert len({p["left_id"] for p in found["pairs"]}) == len(found["pairs"])

        def code(text):
            return next(w for w in text.lower().replace("-", "").split() if any(ch.isdigit() for ch in w))

        right = sum(code(p["left"]) == code(p["right"]) for p in found["pairs"])
        there = len({code(r["title"]) for r in lefts} & {code(r["title"]) for r in rights})
        assert right > 0.8 * there
        assert right > 0.8 * len(found["pairs"])
        assert "model number agrees" in found["pairs"][0]["for"]
        with open(out) as handle:
            assert len(list(csv.DictReader(handle))) == found["found"]


def test_two_texts(tmp_path, trained):
    asked = ["match", "sony a100 camera", "Sony camera A-100", "--shop", str(tmp_path), "--json"]
    found = json.loads(RUN.invoke(cli, [*asked, "--matcher", str(trained[0])]).output)
    assert 0 <= found["pairs"][0]["probability"] <= 1
    alone = json.loads(RUN.invoke(cli, asked).output)
    assert alone["pairs"][0]["probability"] is None
    assert "no probability" in alone["judge"]
    assert "a100" in alone["pairs"][0]["for"]
    for bad in (
        ["match", "a", ""],
        ["match", "a", "b", "--rename", "x"],
        ["match", "a", "b", "--out", "x.doc"],
    ):
        assert isinstance(RUN.invoke(cli, [*bad, "--shop", str(tmp_path)]).exception, QueryError)


# -- the language model --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A transformer of a few thousand weights, as a Hugging Face folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.;-"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{ch}" for ch in letters)]
    fast = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    fast.pre_tokenizer = pre_tokenizers.Whitespace()
    fast.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=fast, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, max_position_embeddings=80
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def some_texts(n: int, seed: int, hint: float) -> match_text_train.Pairs:
    """The evidence knows nothing; whether one word stands in both tells all."""
    rng = np.random.default_rng(seed)
    same = rng.random(n) < 0.5
    texts = [("z z z q", "z z z q") if one else ("a b a b", "b a b a") for one in same]
    return match_text_train.Pairs(texts, same, np.where(rng.random(n) < hint, np.where(same, 1.0, -1.0), 0.0))


def test_what_the_evidence_leaves_open_is_learned(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(match_text_train, "RATE", 5e-3)
    train, valid = some_texts(160, 1, 0.1), some_texts(60, 2, 0.1)
    report = match_text_train.train_text(train, valid, str(tiny), tmp_path / "t", 60, 7, 1, lambda _: None)
    assert report.why == ""
    assert report.best_epoch > 0
    assert report.epochs[report.best_epoch]["valid_log_loss"] < report.epochs[0]["valid_log_loss"] - 0.1
    judge = TextJudge(tmp_path / "t", 1)
    scores = judge.scores(valid.texts)
    assert scores[valid.same].min() > scores[~valid.same].max()
    np.testing.assert_allclose(scores, judge.scores([(b, a) for a, b in valid.texts]), atol=1e-5)
    assert judge.scores([valid.texts[3]])[0] == pytest.approx(scores[3], abs=1e-5)


def test_a_model_that_does_not_help_is_not_kept(tiny, tmp_path):
    rng = np.random.default_rng(5)
    same = rng.random(100) < 0.5
    certain = match_text_train.Pairs([("a", "b")] * 100, same, np.where(same, 9.0, -9.0))
    report = match_text_train.train_text(
        certain, certain, str(tiny), tmp_path / "t", 60, 7, 1, lambda _: None
    )
    assert "no epoch" in report.why
    assert not (tmp_path / "t").exists()


def test_a_budget_that_is_too_small_and_pairs_that_are_too_few(tiny, tmp_path):
    train = some_texts(400, 1, 0.1)
    report = match_text_train.train_text(train, train, str(tiny), tmp_path / "t", 0.0, 7, 1, lambda _: None)
    assert "one epoch takes about" in report.why
    few = some_texts(20, 1, 0.1)
    assert (
        "left open"
        in match_text_train.train_text(few, few, str(tiny), tmp_path / "t", 60, 7, 1, lambda _: None).why
    )
    with pytest.raises(ConfigError, match="cannot be loaded"):
        match_text_train.train_text(train, train, "no/such-model", tmp_path / "t", 60, 7, 1, lambda _: None)


def test_the_whole_with_a_language_model(tiny, tmp_path):
    noisy = make_pairs(400, 1)
    rng = np.random.default_rng(2)
    # Labels that the evidence cannot see: enough pairs stay open.
    noisy = LabelledPairs(noisy.left, noisy.right, noisy.same ^ (rng.random(400) < 0.25))
    valid = make_pairs(100, 2)
    options = MatchOptions(model=str(tiny), threads=1, minutes=1, members=2)
    report = train_matcher(noisy, valid, tmp_path / "m", options)
    assert report["text"]
    matcher = Matcher(tmp_path / "m", 1)
    again = judge_pairs(matcher, valid)
    assert f1_at(again.probability, valid.same, matcher.threshold)[2] == pytest.approx(
        report["valid"]["f1"], abs=1e-3
    )


def test_records_become_short_texts():
    fields = Fields("title", ("description",), ("brand",))
    record = {
        "title": 'Onkyo "TX-NR906"',
        "description": "the the receiver onkyo " + "a" * 50,
        "brand": "null",
    }
    text = compact(record, fields, {"the": 90}, 100)
    assert text.startswith("onkyo tx-nr906 ; the receiver")
    long = {"title": " ".join(f"w{i}" for i in range(500))}
    assert len(compact(long, fields, {}, 100).split()) == 32
