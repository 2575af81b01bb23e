import numpy as np

from wares.core.words import read_texts
from wares.data.fusion import blocking
from wares.data.fusion.evidence import Evidence, rivals
from wares.data.fusion.offers import Offers


def test_codes_and_quantities_written_apart_are_joined():
    apart, whole = read_texts(["Hotpoint MN 314 IX H, 64 GB, 500ml", "mn314ixh 0.5 l 64gb"])
    assert "mn314ixh" in apart.codes & whole.codes
    assert apart.measures == whole.measures == {("gb", 64.0), ("l", 0.5)}


def test_odd_texts_are_read():
    empty, emoji, chinese, long = read_texts(
        ["", "📱 <b>Téléphone</b> &amp; étui", "日本電気 X200", "word " * 9000]
    )
    assert not empty.words
    assert emoji.words == ("telephone", "etui")
    assert {"日本", "電気", "x200"} <= set(chinese.words)
    assert long.words == ("word",)


def test_identical_rows_meet_few_others_not_all():
    pairs = blocking.same_key(["same"] * 10_000)
    assert len(pairs) == 10_000 * blocking.SAME_BLOCK
    evidence = Evidence(Offers(["same text of them all"] * 3000))
    assert len(blocking.neighbours(evidence.word_unit, 10)) <= 30_000


def test_neighbours_meet_and_evidence_is_symmetric():
    offers = Offers(
        ["acme drill d200 black", "ACME D-200 drill", "acme drill d300 black", "rose tea 100 g", ""],
        numbers={"price": np.array([10.0, 11.0, 30.0, np.nan, np.nan])},
        source=["a", "b", "a", "b", ""],
    )
    evidence = Evidence(offers)
    pairs = blocking.union(
        blocking.neighbours(evidence.word_unit, 3), blocking.neighbours(evidence.gram_unit, 3)
    )
    assert [0, 1] in pairs.tolist()
    forth, names = evidence.compare(pairs)
    back, _ = evidence.compare(pairs[:, ::-1])
    np.testing.assert_allclose(forth, back, rtol=1e-5, atol=1e-6)
    same, other = evidence.compare(np.array([[0, 1], [0, 2]]))[0]
    assert same[names.index("code_shared")] > other[names.index("code_shared")] == 0
    assert same[names.index("ratio_price")] > other[names.index("ratio_price")]
    standing = rivals(pairs, forth[:, names.index("word_cosine")], len(offers))
    assert standing["rank_min"].min() == 0


def test_nothing_to_compare():
    evidence = Evidence(Offers([]))
    assert evidence.compare(np.zeros((0, 2), np.int64))[0].shape[0] == 0
    assert len(blocking.neighbours(evidence.word_unit, 5)) == 0


def test_columns_of_words_stand_in_one_order_whatever_order_sets_come_in():
    rows = [{"b", "a"}, {"c", "b"}]
    matrix, vocabulary = blocking.word_matrix(rows, 2)
    other, _ = blocking.word_matrix([sorted(row, reverse=True) for row in rows], 2)
    assert list(vocabulary) == ["a", "b", "c"]
    assert (matrix != other).nnz == 0
    assert matrix.indices.tolist() == other.indices.tolist()
