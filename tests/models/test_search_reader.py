from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wares.core.strings import StringTable
from wares.core.synonyms import Curated
from wares.evaluate.search_queries import evaluate_queries, read_file
from wares.models.search.asked import Size
from wares.models.search.read_infer import MAX_WORDS, Reader
from wares.models.search.read_price import price_spans
from wares.models.search.read_tokens import MAX_CHARS, language
from wares.models.search.read_train import Shelf, fit_reader
from wares.models.search.synonyms_train import Pair
from wares.models.search.units import number, quantities, sizes_in

QUERIES = Path(__file__).parents[1] / "data_search" / "structured_queries.jsonl"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader") / "reader"
    pairs = [
        Pair("couch", "sofa", 0.9, -1.0, -1.0, proven=True),
        Pair("salt", "pepper", -1, 0.9, 0.0, proven=False),
    ]
    fit_reader(read_file(QUERIES)[0], folder, pairs=pairs)
    return folder


@pytest.fixture(scope="module")
def reader(folder):
    return Reader(folder)


def test_queries_written_by_hand_are_read_as_people_read_them():
    found = evaluate_queries(QUERIES)
    assert found["queries"] == 200
    assert found["exact"] >= 0.97
    assert {name: r["queries"] for name, r in found["by_language"].items()} == {"en": 100, "zh": 100}


def test_a_structured_query_keeps_its_parts(reader):
    asked = reader.read("Black leather boots size 42 under 150 without laces, Dr Martens")
    assert asked.words == ("boots",)
    assert asked.brands == ("Dr. Martens",)
    assert asked.price_max == 150
    assert asked.price_min is None
    assert set(asked.attributes) == {("color", "black"), ("material", "leather"), ("size", "42")}
    assert asked.not_words == ("laces",)
    assert asked.structured
    assert ("under 150", "price", "-150") in asked.notes


def test_a_chinese_query_keeps_its_parts(reader):
    asked = reader.read("200元以内的蓝牙耳机，不要入耳式")
    assert "".join(asked.words) == "蓝牙耳机"
    assert (asked.price_min, asked.price_max) == (None, 200)
    assert asked.not_words == ("入耳式",)
    assert asked.language == "zh"


# -- bad input -----------------------------------------------------------------------------------------------

BAD = {
    "empty": "",
    "blank": " \t\n\u3000 ",
    "long": "lamp " * 1000,
    "one long word": "x" * 5000,
    "digits": "9" * 5000,
    "stop words": "the of and with in",
    "chinese stop words": "的 了 和",
    "emoji": "😀👍🏽🧦",
    "sql": "'; DROP TABLE products; -- \" OR 1=1 /* */ % _ \\",
    "query syntax": 'title:lamp AND (price:[1 TO *] OR -foo) ~2 ^5 "a b"~3 *:*',
    "right to left": "مصباح مكتب \u202e\u202dlamp",
    "unbalanced quotes": 'lamp "desk 27" \'red “blue',
    "brackets": "((((lamp]]]}}}",
    "nul": "la\x00mp\x01\x02 under\x01 20",
    "lone surrogate": "lamp \ud800 desk",
    "combining": "l\u0301\u0301\u0301amp" + "\u0301" * 500,
    "only negation": "without",
    "only a cue": "under",
    "only 不要": "不要",
    "contradiction": "nike not nike under 50 over 100",
    "huge number": "lamp under 1" + "0" * 300,
    "strange numerals": "lamp under ½ ② 一二三四五六七八九十百千万半 x x x * * -",
    "minus": "- -- --- -a -",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_bad_input_is_read_without_a_fault(reader, text):
    asked = reader.read(text)
    assert len(asked.text) <= MAX_CHARS
    assert len(asked.words) <= 2 * MAX_WORDS
    assert all(word.strip() for word in asked.words)
    if text.strip() == "":
        assert asked.words == ()
        assert not asked.structured


def test_stop_words_alone_stay_words(reader):
    assert reader.read("the of and with in").words == ("the", "of", "and", "with", "in")


def test_emoji_alone_stay_words(reader):
    assert reader.read("😀 👍").words == ("😀", "👍")


def test_a_contradiction_is_said_and_not_solved(reader):
    asked = reader.read("shoes over 100 under 50")
    assert (asked.price_min, asked.price_max) == (100, 50)
    assert reader.read("nike not nike").not_brands == ()


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_read(reader, text):
    asked = reader.read(text)
    assert len(asked.text) <= MAX_CHARS
    assert all(size.amount > 0 for size in asked.sizes)
    for limit in (asked.price_min, asked.price_max):
        assert limit is None or 0 <= limit < 1e11
    assert abs(sum(asked.likely.values())) <= 1.001
    assert reader.read(text) == asked


_PIECES = st.sampled_from(
    [
        "under",
        "over",
        "between",
        "and",
        "20",
        "30",
        "80元",
        "元以内",
        "不要",
        "除了",
        "的",
        "without",
        "no",
        "not",
        "-nike",
        "nike",
        "小米",
        "size",
        "42",
        "2",
        "l",
        "两升",
        "500g",
        '"',
        "'",
        "x",
        "6",
        "pack",
        "of",
        "€",
        "$",
        "black",
        "黑色",
        "in",
        "lighting",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_PIECES, max_size=12), st.sampled_from(["", " ", "  ", ","]))
def test_any_mix_of_cues_is_read(reader, pieces, between):
    asked = reader.read(between.join(pieces))
    assert not set(asked.brands) & set(asked.not_brands)
    assert all(phrase for phrase in asked.not_words)


# -- spelling ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("headphnoes", ("headphones",)),
        ("wireles mouse", ("wireless", "mouse")),
        ("runningshoes", ("running", "shoes")),
        ("head phones", ("headphones",)),
        ("兰牙耳机", ("蓝牙", "耳机")),
        ("lanya erji", ("蓝牙", "耳机")),
        ("vacum cleaner", ("vacuum", "cleaner")),
    ],
)
def test_mistakes_are_mended_from_the_words_of_the_catalogue(reader, typed, meant):
    asked = reader.read(typed)
    assert "".join(asked.words) == "".join(meant)
    assert asked.corrected


@pytest.mark.parametrize(
    "name", ["wh-1000xm5", "WH1000XM4", "ue55nu7400", "42115", "oatly", "Lavazza", "mate60", "quietcomfort"]
)
def test_brands_and_model_numbers_are_never_corrected(reader, name):
    assert reader.read(name).corrected == {}
    assert reader.read(f"{name} black case").corrected == {}


def test_short_words_and_other_endings_stand(reader):
    assert reader.read("lamps").corrected == {}
    assert reader.read("pen").corrected == {}


# -- names ---------------------------------------------------------------------------------------------------


def test_a_name_that_is_also_a_word_is_told_by_what_stands_beside_it(reader):
    assert reader.read("apple phone").brands == ("Apple",)
    assert reader.read("apple juice").brands == ()
    assert reader.read("小米充电宝").brands == ("小米",)
    assert reader.read("小米 500克").brands == ()


def test_a_brand_needs_the_edges_of_words():
    # 美的 is a brand, 完美的 is "perfect".
    shelf = Shelf(["电饭煲 4升", "完美的外套"], ["美的", ""], ["家电", "服装"], ["", ""])
    asked = _reader(shelf).read("完美的外套")
    assert asked.brands == ()


def _reader(shelf: Shelf, **more) -> Reader:
    from tempfile import mkdtemp

    folder = Path(mkdtemp()) / "reader"
    fit_reader(shelf, folder, **more)
    return Reader(folder)


def test_an_empty_catalogue_reads_words_and_limits():
    reader = _reader(Shelf([], [], [], []))
    asked = reader.read("red lamp under 20")
    assert asked.words == ("red", "lamp")
    assert asked.price_max == 20
    assert asked.likely == {}


def test_a_brand_in_two_scripts_is_found_by_each(reader):
    assert "耐克 (Nike)" in reader.read("nike 跑鞋").brands
    assert reader.read("耐克跑鞋").brands == ("耐克 (Nike)",)


def test_likely_categories_have_the_codes_of_the_catalogue(reader, folder):
    names = list(StringTable.load(folder, "categories"))
    likely = reader.read("wireless headphones").likely
    assert names[max(likely, key=likely.__getitem__)] == "Electronics > Headphones"
    assert list(likely.values()) == sorted(likely.values(), reverse=True)


def test_clicks_tell_categories():
    shelf = Shelf(
        ["oak table", "pine shelf", "desk lamp"] * 3, [""] * 9, ["Furniture", "Furniture", "Lighting"] * 3
    )
    reader = _reader(shelf, clicks={"oak light": {2: 1.0, 5: 1.0}})
    assert max(reader.read("oak").likely.items(), key=lambda item: item[1])[0] in (0, 1)
    assert reader.read("oak").likely.keys() == {0, 1}


# -- synonyms ------------------------------------------------------------------------------------------------


def test_proven_synonyms_stand_beside_words_and_people_have_the_last_word(folder):
    assert Reader(folder).read("couch").also == {"couch": ("sofa",)}
    assert Reader(folder).read("salt").also == {}
    said = Curated({"couch": ("settee",), "power bank": ("充电宝",)}, {"couch": ("sofa",)})
    reader = Reader(folder, lambda: said)
    assert reader.read("couch").also == {"couch": ("settee",)}
    assert reader.read("anker power bank").also == {"power bank": ("充电宝",)}


# -- numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [("1,200", 1200), ("25,50", 25.5), ("1.5万", 15000), ("两百", 200), ("半", 0.5), ("twenty five", 25), ("two hundred", 200),
     ("一千二", 1200), ("三百五十", 350), ("十二", 12), ("3千", 3000), ("hello", None)],
)  # fmt: skip
def test_numbers(text, value):
    assert number(text) == value


@pytest.mark.parametrize(
    ("one", "other"),
    [("2 l", "两升"), ("500g", "0.5 kg"), ("half kilo", "一斤"), ("6 x 330 ml", "330ml*6"), ("12 pack", "pack of 12"), ("5寸", '5"'), ("1tb", "1000gb")],
)  # fmt: skip
def test_sizes_said_in_two_ways_are_the_same(one, other):
    assert set(sizes_in(one)) == set(sizes_in(other)) != set()


def test_what_is_no_size():
    for text in (
        "4 in 1",
        "iphone 15",
        "ue55nu7400",
        "5g phone",
        "1-3 l",
        "三件套",
        "10x20 cm",
        'the "best 27" lamp',
    ):
        assert sizes_in(text) == (), text


def test_the_catalogue_tells_grams_from_gigabytes():
    stored = Size(256e9, "byte")
    assert quantities("手机 256g", lambda size: size == stored)[0].size == stored
    assert quantities("茶叶 256g", lambda size: False)[0].size == Size(256, "g")


@pytest.mark.parametrize(
    "text",
    [
        "toys for 3-5 years",
        "cable 100-240v",
        "5-10 people",
        "covid-19 20 test",
        "up to 10 people",
        "at least 4 times",
        "iphone 15-16",
    ],
)
def test_what_is_no_price(text):
    masked = text
    for one in quantities(text):
        masked = masked[: one.start] + "\x01" * (one.end - one.start) + masked[one.end :]
    assert price_spans(masked) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [("蓝牙耳机", "zh"), ("desk lamp", "en"), ("Lampe für den Tisch", "de"), ("настольная лампа", "ru"), ("مصباح", "ar"), ("デスクランプ", "ja"), ("", "en")],
)  # fmt: skip
def test_language(text, code):
    assert language(text) == code


def test_the_same_catalogue_gives_the_same_artefact(tmp_path):
    shelf = read_file(QUERIES)[0]
    hashes = {fit_reader(shelf, tmp_path / name)["hash"] for name in ("a", "b")}
    assert len(hashes) == 1
