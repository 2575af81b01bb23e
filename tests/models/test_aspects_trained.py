"""Polarities and quadruples learned by a tiny transformer made here, served without torch, and a language model's opinions."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from wares.core.errors import ConfigError, QueryError
from wares.models.sentiment.aspect_labelled import NULL, AspectRows, Quad, QuadTexts, Reviews
from wares.models.sentiment.aspect_polarity_infer import PolarityPart, weights_of
from wares.models.sentiment.aspect_quads_infer import QuadPart, spans_of, whole_words
from wares.models.sentiment.aspect_scores import implicit_scores, scores_of
from wares.models.sentiment.aspect_states_infer import closed
from wares.models.sentiment.opinion_llm import LlmAspects, LlmEndpoint
from wares.models.sentiment.opinions import AspectReader

torch = pytest.importorskip("torch")

TERMS = ("screen", "battery", "keyboard", "fan")
GOOD, BAD = ("great", "lovely", "superb"), ("awful", "poor", "broken")
CATEGORY = {
    "screen": "DISPLAY#GENERAL",
    "battery": "BATTERY#GENERAL",
    "keyboard": "KEYBOARD#GENERAL",
    "fan": "FAN#GENERAL",
}
NAMES = ("negative", "positive")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny") / "bert"
    words = ["the", "is", "but", "and", "it", "works", "fine", "costly", ".", *TERMS, *GOOD, *BAD]
    found = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    backend = Tokenizer(models.WordPiece({w: i for i, w in enumerate(found)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(found), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, max_position_embeddings=96, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)  # fmt: skip
    BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
    ).save_pretrained(folder)  # fmt: skip
    return str(folder)


def options(tiny, **more):
    from wares.models.sentiment.aspect_states_train import StatesOptions

    return StatesOptions(
        tiny, **{"minutes": 0.5, "epochs": 6, "most": 24, "threads": 1, "rate": 3e-3, **more}
    )


def sentences(n, seed):
    """Sentences that praise one thing and blame another; the polarity of each is that of its own clause."""
    rng = np.random.default_rng(seed)
    rows, labels = [], []
    for _ in range(n):
        a, b = rng.permutation(TERMS)[:2]
        y = int(rng.integers(0, 2))
        first, second = (GOOD, BAD) if y else (BAD, GOOD)
        text = f"the {a} is {rng.choice(first)} but the {b} is {rng.choice(second)} ."
        for term, label in ((a, y), (b, 1 - y)):
            at = text.index(term)
            rows.append((text[:at], str(term), text[at + len(term) :]))
            labels.append(label)
    return AspectRows(rows, np.array(labels, np.int64), NAMES)


@pytest.fixture(scope="module")
def polarity(tiny, tmp_path_factory):
    from wares.models.sentiment.aspect_polarity_train import PolarityOptions, train_polarity

    folder = tmp_path_factory.mktemp("polarity") / "model"
    folder.mkdir()
    first = Reviews([f"it is {w}" for w in (*GOOD, *BAD)] * 8, np.array([1, 1, 1, 0, 0, 0] * 8, np.int64))
    report = train_polarity(
        sentences(400, 1),
        sentences(40, 2),
        folder,
        PolarityOptions((options(tiny, epochs=12),), first, sentences(20, 9)),
    )
    return folder, report


def test_two_polarities_in_one_sentence_are_told_apart(polarity):
    folder, report = polarity
    assert report["encoders"][0]["why"] == ""
    assert report["encoders"][0]["pretrained"]["reviews"]["rows"] == 48
    assert report["encoders"][0]["pretrained"]["aspects"]["rows"] == 40
    assert report["valid"]["accuracy"] > 0.9
    model, test = PolarityPart(folder, threads=1), sentences(40, 3)
    assert (model.verdicts(test.rows) == test.labels).mean() > 0.9
    assert model.logits([]).shape == (0, 2)


def test_what_is_served_is_what_was_trained_and_no_row_changes_another(polarity):
    model, test = PolarityPart(polarity[0], threads=1), sentences(20, 4)
    together = model.logits(test.rows)
    alone = np.concatenate([model.logits([row]) for row in test.rows])
    assert together == pytest.approx(alone, abs=0.05)
    strange = [
        ("", "x" * 400, ""),
        ("", "👍", ""),
        ("\ud800", "screen", "\x00"),
        ("great " * 20_000, "fan", " awful" * 20_000),
        ("", "", ""),
    ]
    assert np.isfinite(model.logits(strange)).all()


def test_the_reader_uses_the_polarities_on_terms_of_the_catalogue(polarity):
    reader = AspectReader(polarity[0], threads=1)
    assert reader.trained
    found = reader.read(["the screen is lovely but the battery is poor .", ""])
    assert [o.aspect for o in found[0]] == ["screen", "battery"]
    # How well so small an encoder parts the clauses differs between processors.
    assert found[0][0].polarity > 0
    assert found[1] == []
    assert all(0.5 <= o.confidence <= 1 for o in found[0])


def test_one_polarity_only_is_refused(tmp_path):
    from wares.models.sentiment.aspect_polarity_train import train_polarity

    rows = sentences(10, 1)
    one = AspectRows(rows.rows, np.zeros(len(rows), np.int64), NAMES)
    with pytest.raises(QueryError, match="positive"):
        train_polarity(one, one, tmp_path)


def test_rare_polarities_weigh_more_where_validation_says_so():
    from wares.models.sentiment.aspect_polarity_train import _offsets, _weights, macro_f1

    counts = np.array([10, 90])
    assert _weights(counts, 0.0).tolist() == [1.0, 1.0]
    heavy = _weights(counts, 1.0)
    assert heavy[0] == pytest.approx(9 * heavy[1])
    assert (heavy * counts).sum() == pytest.approx(100)
    rng = np.random.default_rng(0)
    labels = (rng.random(400) < 0.9).astype(np.int64)
    logits = np.stack([np.where(labels == 0, 0.5, -2.0) + rng.normal(size=400) * 0.3, np.full(400, 1.0)], 1)
    shift = _offsets(logits, labels, counts, "macro_f1")
    assert shift[0] > shift[1]
    assert macro_f1((logits + shift).argmax(1), labels, 2) > macro_f1(logits.argmax(1), labels, 2)


def test_weights_of_pieces_sum_to_one_and_fall_with_distance(polarity):
    states = PolarityPart(polarity[0], threads=1).members[0].states
    framed = states.frame("the ", "screen", " is great but the fan is poor .")
    weights = weights_of(framed)
    assert weights.sum(1) == pytest.approx(np.ones(4), abs=1e-5)
    near = weights[2, framed.aspect[0] : framed.said[1]]
    assert (np.diff(near) <= 1e-6).all()
    assert framed.again is not None
    assert weights[3, framed.again[0]] == 1
    cut = states.frame("great " * 100, "fan", " poor" * 100)
    assert cut.said[1] - cut.said[0] <= 24
    assert cut.said[0] <= cut.aspect[0] < cut.aspect[1] <= cut.said[1]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (("电 池 ", "续 航", " 很 强"), ("电池", "续航", "很强")),
        (("用后  好", "顺滑", " 相见"), ("用后  好", "顺滑", " 相见")),
        (("The ", "Fan", " is"), ("the ", "fan", " is")),
    ],
)
def test_blanks_between_chinese_characters_go(row, expected):
    assert closed(*row) == expected


def quadruples(n, seed):
    rng = np.random.default_rng(seed)
    texts, quads = [], []
    for _ in range(n):
        term = str(rng.choice(TERMS))
        y = int(rng.integers(0, 2))
        word = str(rng.choice(GOOD if y else BAD))
        kind = rng.integers(0, 3)
        if kind == 0:
            texts.append(f"the {term} is {word} .")
            quads.append([Quad(term, word, NAMES[y], CATEGORY[term])])
        elif kind == 1:
            texts.append(f"it is {word} .")
            quads.append([Quad(NULL, word, NAMES[y], "LAPTOP#GENERAL")])
        else:
            other = str(rng.choice([t for t in TERMS if t != term]))
            bad = str(rng.choice(BAD if y else GOOD))
            texts.append(f"the {term} is {word} but the {other} is {bad} .")
            quads.append(
                [Quad(term, word, NAMES[y], CATEGORY[term]), Quad(other, bad, NAMES[1 - y], CATEGORY[other])]
            )
    return QuadTexts(texts, quads)


@pytest.fixture(scope="module")
def extractor(tiny, tmp_path_factory):
    from wares.models.sentiment.aspect_quads_train import train_quads

    folder = tmp_path_factory.mktemp("quads") / "model"
    folder.mkdir()
    report = train_quads(quadruples(400, 1), quadruples(60, 2), folder, options(tiny, epochs=8))
    return folder, report


def test_quadruples_are_extracted_implied_aspects_and_conflicts_included(extractor):
    folder, report = extractor
    assert report["unplaced"] == 0
    test = quadruples(60, 3)
    found = QuadPart(folder, threads=1).read(test.texts)
    scores = scores_of(test, found)
    assert scores["quadruples"]["f1"] > 0.8
    assert scores["aspect_polarity"]["f1"] >= scores["quadruples"]["f1"]
    kinds = implicit_scores(test, found)
    assert kinds["aspect_implied"]["there"] == sum(q.aspect == NULL for quads in test.quads for q in quads)
    assert kinds["both_implied"]["there"] == 0


def test_the_reader_gives_categories_with_evidence_of_the_sentence(extractor):
    reader = AspectReader(extractor[0], threads=1)
    text = "It works. The screen is superb but the fan is awful.\n👍"
    found = reader.read([text, "", "\ud800", "a" * 30_000])
    assert {(o.aspect, o.polarity > 0) for o in found[0]} >= {
        ("DISPLAY#GENERAL", True),
        ("FAN#GENERAL", False),
    }
    screen = next(o for o in found[0] if o.aspect == "DISPLAY#GENERAL")
    assert text[screen.term_start : screen.term_end] == "screen"
    assert text[screen.opinion_start : screen.opinion_end] == "superb"
    assert text[screen.start : screen.end] == "The screen is superb but the fan is awful."
    assert found[1] == []


def test_terms_are_cut_where_they_begin_and_end():
    tags = np.array([[0.9, 0.1, 0], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7], [0.9, 0, 0.1], [0.4, 0.25, 0.35]])
    assert [(c.first, c.last) for c in spans_of(tags, 0.5)] == [(1, 3), (4, 5)]
    assert [(c.first, c.last) for c in spans_of(tags, 0.7)] == [(1, 3)]
    assert whole_words("a screens b", 3, 5) == (2, 9)
    assert whole_words("屏幕好", 0, 2) == (0, 2)


def test_too_few_texts_and_one_polarity_are_refused(tiny, tmp_path):
    from wares.models.sentiment.aspect_quads_train import train_quads

    few = quadruples(5, 1)
    with pytest.raises(QueryError, match="too few"):
        train_quads(few, few, tmp_path, options(tiny))
    same = QuadTexts(["the fan is poor ."] * 20, [[Quad("fan", "poor", "negative", "FAN#GENERAL")]] * 20)
    with pytest.raises(QueryError, match="one polarity"):
        train_quads(same, same, tmp_path, options(tiny))


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        content = self.server.answer(asked["messages"][1]["content"])
        if content is None:
            self.send_error(500, "out of order")
            return
        body = json.dumps(
            {"choices": [{"message": {"content": content}}], "usage": {"total_tokens": 50}}
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
    server.asked, server.answer = [], lambda _: '{"opinions": []}'
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join(5)
    server.server_close()


def said(**more):
    return {
        "text": 1,
        "aspect": "price",
        "term": "",
        "opinion": "too dear",
        "polarity": "negative",
        "confidence": 0.9,
        **more,
    }


def test_a_language_model_is_asked_once_quoted_and_audited(endpoint, tmp_path):
    logged = []
    where = LlmEndpoint(f"http://127.0.0.1:{endpoint.server_port}/v1", "small")
    reader = LlmAspects(where, tmp_path, audit=lambda *entry: logged.append(entry))
    invented = [said(opinion="a bargain"), said(aspect="mood"), said(polarity="angry"), said(text=9), said(opinion=""), "no", said(confidence=True)]  # fmt: skip
    endpoint.answer = lambda _: json.dumps({"opinions": [said(), said(aspect="screen", term="Screen", opinion="lovely", polarity="positive"), *invented]})  # fmt: skip
    text = "Lovely Screen. It is too dear!"
    found, report = reader.read([text, ""])
    assert [(o.aspect, o.polarity) for o in found[0]] == [("screen", 1.0), ("price", -1.0)]
    price = found[0][1]
    assert (text[price.start : price.end], price.term_start) == ("It is too dear!", -1)
    assert found[1] == []
    assert report.refused == len(invented)
    assert logged[0][:2] == ("aspects.llm", "llm:small")
    assert text not in json.dumps(logged)
    again, report = reader.read([text])
    assert (again[0], report.cached, len(endpoint.asked)) == (found[0], 1, 1)


def test_an_endpoint_out_of_order_is_reported_and_asked_again(endpoint, tmp_path):
    reader = LlmAspects(LlmEndpoint(f"http://127.0.0.1:{endpoint.server_port}/v1", "small"), tmp_path)
    endpoint.answer = lambda _: None
    found, report = reader.read(["too dear"])
    assert found == [[]]
    assert "500" in report.failed[0]["reason"]
    endpoint.answer = lambda _: json.dumps({"opinions": [said()]})
    found, report = reader.read(["too dear"])
    assert not report.failed
    assert found[0][0].aspect == "price"


def test_nobody_is_asked_unless_named(tmp_path):
    with pytest.raises(ConfigError, match="endpoint"):
        LlmAspects(LlmEndpoint("", ""), tmp_path)
