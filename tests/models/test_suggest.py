from __future__ import annotations

import itertools

import numpy as np
import pytest
from rapidfuzz.distance import OSA

import wares
from wares.core.arrays import seal
from wares.core.errors import QueryError
from wares.models.search.analysis import lower
from wares.models.search.suggest import KIND, Suggester, best_of_range, peaks
from wares.models.search.suggest_past import personal, shareable
from wares.models.search.suggest_phrases import name_of
from wares.models.search.suggest_text import parts, typed_form
from wares.models.search.suggest_train import write
from wares.models.search.suggest_trie import Trie

TEXTS = {
    "desk lamp": (900, 2), "蓝牙耳机": (800, 0), "无线蓝牙音箱": (700, 0), "紫砂茶壶": (600, 1), "red desk lamp": (500, 2),
    "bluetooth headphones": (400, 0), "lamp oil": (350, 3), "USB 台灯": (300, 2), "重庆火锅底料": (200, 3), "Lampe": (100, 2), "lamp": (90, 2),
}  # fmt: skip


def make(folder, texts=TEXTS):
    weights = np.array([w for w, _ in texts.values()], float)
    kinds, codes = np.zeros(len(texts), np.uint8), np.array([c for _, c in texts.values()], np.int32)
    facts = write(folder, list(texts), weights, kinds, codes, ["Audio", "茶具", "Home > Lamps", "食品"])
    seal(folder, KIND, **facts)
    return Suggester(folder)


@pytest.fixture(scope="module")
def suggester(tmp_path_factory):
    return make(tmp_path_factory.mktemp("suggest"))


def texts(found):
    return [one.text for one in found if one.kind != "scope"]


@pytest.mark.parametrize(
    ("typed", "first", "marked"),
    [
        ("de", "desk lamp", ["de"]),
        ("DESK  la", "desk lamp", ["desk la"]),
        ("lamp desk", "desk lamp", ["desk", "lamp"]),
        ("lanya", "蓝牙耳机", ["蓝牙"]),
        ("lan ya er", "蓝牙耳机", ["蓝牙耳"]),
        ("ly", "蓝牙耳机", ["蓝牙"]),
        ("lyej", "蓝牙耳机", ["蓝牙耳机"]),
        ("chongqing", "重庆火锅底料", ["重庆"]),
        ("zhongqing", "", []),
        ("usbtd", "USB 台灯", ["USB 台灯"]),
        ("茶壶", "紫砂茶壶", ["茶壶"]),
        ("ＵＳＢ", "USB 台灯", ["USB"]),
    ],
)
def test_finds_by_beginning_sound_and_words(suggester, typed, first, marked):
    found = suggester.suggest(typed)
    assert (found[0].text if found else "") == first
    if found:
        assert [found[0].text[a:b].lower() for a, b in found[0].highlight] == [m.lower() for m in marked]
        assert not found[0].corrected


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("dsek la", "desk lamp"), ("desk lmap", "desk lamp"), ("bluetoht hea", "bluetooth headphones"), ("bleutoothh", "bluetooth headphones"),
        ("lnaya", "蓝牙耳机"), ("蓝芽耳机", "蓝牙耳机"), ("子沙茶", "紫砂茶壶"),
    ],
)  # fmt: skip
def test_slips_are_passed_over_and_said(suggester, typed, first):
    found = suggester.suggest(typed)
    assert found[0].text == first
    assert found[0].corrected


def test_scopes_where_the_words_lie_in_several_categories(suggester):
    found = suggester.suggest("lam")
    scopes = [(one.text, one.category) for one in found if one.kind == "scope"]
    assert scopes == [("lamp", "Home > Lamps"), ("lamp", "食品")]
    assert [one.kind for one in found[1:3]] == ["scope", "scope"]
    assert not any(one.kind == "scope" for one in suggester.suggest("lanya"))


def test_category_and_person_move_the_order(suggester):
    assert texts(suggester.suggest("lamp", within="食品")) == ["lamp oil"]
    assert texts(suggester.suggest("lamp", within="Home"))
    assert texts(suggester.suggest("lamp", within="No such")) == []
    assert texts(suggester.suggest("lamp"))[0] == "lamp oil"
    assert texts(suggester.suggest("lamp", affinity={2: 1.0}))[0] == "desk lamp"


@pytest.mark.parametrize(
    "typed",
    ["", "  ", "😀😀", "x" * 5000, "the of and", "'; DROP TABLE x; --", 'a AND (b "', "שלום", "%%%", "[* TO *]", "\ud800", "-", "\t", "İİİ", "\x00", "龘龘", "'", "·"],
)  # fmt: skip
def test_odd_texts_answer(suggester, typed):
    for one in suggester.suggest(typed):
        assert all(0 <= a < b <= len(one.text) for a, b in one.highlight)


def test_empty_shop(tmp_path):
    empty = make(tmp_path, {})
    for typed in ("a", "desk lamp", "lanya", "蓝牙"):
        assert empty.suggest(typed) == []


def test_never_more_than_asked_for_and_each_once(suggester):
    for k in range(1, 9):
        found = suggester.suggest("l", k)
        assert len(found) <= k
        assert len(set(texts(found))) == len(texts(found))


def test_best_of_range_is_exact():
    rng = np.random.default_rng(7)
    scores = rng.random(5000).astype(np.float32)
    tops = peaks(scores)
    for low, high, m in [(0, 5000, 8), (3, 4999, 5), (700, 900, 10), (255, 257, 4), (256, 512, 300), (9, 9, 3), (1, 5000, 1)]:  # fmt: skip
        found = best_of_range(scores, tops, low, high, m)
        wanted = low + np.argsort(-scores[low:high], kind="stable")[:m]
        assert set(found.tolist()) == set(wanted.tolist())


def test_trie_finds_what_comparing_all_words_finds():
    rng = np.random.default_rng(3)
    words = sorted({"".join(rng.choice(list("abcd"), rng.integers(1, 8))) for _ in range(400)})
    trie = Trie.of(words)
    for _, mistakes in itertools.product(range(60), (1, 2)):
        word = "".join(rng.choice(list("abcd"), rng.integers(3, 8)))
        whole = {(words[n.low], n.mistakes) for n in trie.near(word, mistakes, whole=True)}
        wanted = {(w, d) for w in words if (d := OSA.distance(word, w)) <= mistakes and w[0] == word[0]}
        # Beyond those with the same first letter there are only swaps of the first two.
        assert wanted <= whole
        assert all(d == OSA.distance(word, w) or w[0] != word[0] for w, d in whole)
        begun = {w for n in trie.near(word, mistakes, whole=False) for w in words[n.low : n.high]}
        prefixes = {
            w for w in words if w[0] == word[0]
            and min(OSA.distance(word, w[:n]) for n in range(1, len(w) + 1)) <= mistakes
        }  # fmt: skip
        assert prefixes <= begun


def test_past_queries_need_enough_people():
    known = frozenset(["desk", "lamp", "tea"])
    rows = [("Desk lamp ", f"u{i}", "", 3) for i in range(4)] + [("desk  lamp", "u9", "", -1)]
    rows += [("tea", "u1", f"s{i}", -1) for i in range(50)]
    rows += [("lamp", "", f"s{i}", -1) for i in range(9)] + [("desk", "", f"s{i}", -1) for i in range(10)]
    rows += [("tea lamp", "", "", -1)] * 50
    rows += [("jane miller", f"u{i}", "", -1) for i in range(50)]
    rows += [("couch", f"u{i}", "", 7) for i in range(5)]
    found = shareable(rows, 5, known)
    assert [(p.text, p.people) for p in found] == [("couch", 5), ("desk", 5), ("desk lamp", 5)]
    assert found[2].clicks == {3: 4}
    assert shareable(rows, 0, known) == []


@pytest.mark.parametrize(
    "text",
    ["jane@example.com", "call 020 7946 0958", "13800138000", "12 oak street lamp", "my name is jane", "我叫小明", "北京市朝阳区建国路1号", "https://x.test/a", "192.168.1.4"],
)  # fmt: skip
def test_personal_texts_are_told(text):
    assert personal(text)
    assert shareable([(text, f"u{i}", "", 1) for i in range(50)], 5, frozenset(text.split())) == []


@pytest.mark.parametrize("text", ["iphone 15", "100 cotton", "2 l bottle", "蓝牙耳机", "路由器", "size 42"])
def test_products_are_not_personal(text):
    assert not personal(text)


def test_names_are_cut_where_they_end():
    assert name_of("product", "Desk lamp, black, 40 cm") == "Desk lamp"
    assert name_of("category", "Home > Lamps") == "Lamps"
    long = name_of("product", "Very " * 30 + "long name")
    assert 40 < len(long) <= 60
    assert not long.endswith(" ")
    assert lower("İstanbul") == "İstanbul"[0] + "stanbul" or len(lower("İstanbul")) == 8
    assert typed_form(" Ｄesk\u3000 LAMP ") == "desk lamp"
    assert [word for word, _ in parts("usb台灯 500ml")] == ["usb", "台灯", "500ml"]


def test_a_shop_proposes_kinds_brands_and_sounds(built):
    ranker = wares.load(built.root)
    kinds = {one.text: one.kind for one in ranker.suggestions("desk")}
    assert kinds["desk lamp"] == "phrase"
    assert ranker.suggest("zisha")[0].endswith("紫砂茶壶") or "紫砂" in ranker.suggest("zisha")[0]
    assert any("茶" in text for text in ranker.suggest("cj"))
    assert ranker.suggestions("brand3")[0].kind == "brand"
    own = ranker.suggestions("红", user="u001")
    assert own == [] or own[0].text
    with pytest.raises(QueryError):
        ranker.suggestions("x" * 1001)
    with pytest.raises(QueryError):
        ranker.suggest("a", k=0)
