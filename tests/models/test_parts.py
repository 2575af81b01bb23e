"""The contract of every part, and what each is for."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from wares.core.errors import QueryError
from wares.features.interactions import from_sequences
from wares.models.recommend import ensemble
from wares.models.recommend.blend import Logit, Table, gains, learn, level_of, ndcg
from wares.models.recommend.draft import Draft
from wares.models.recommend.ensemble import (
    Side,
    fit_part,
    judge,
    names_for,
    names_for_cold,
    sequences_of,
    tune_part,
)
from wares.models.recommend.next_item import next_item_weights, sparse_next_item, transitions
from wares.models.recommend.parts import Near, query_matrix, whitened
from wares.models.recommend.sequence import SequenceModel
from wares.models.recommend.sequence_train import SequenceConfig, fit_sequence, windows

ITEMS = 24
PARAMS = {
    "sequence": {"epochs": 60, "rate": 0.01, "dim": 16, "dropout": 0.0, "negatives": 16},
    "ials": {"factors": 8},
}


def walks(users: int = 120, seed: int = 0) -> list[np.ndarray]:
    """Users walk around one of three rings of eight items, from a place of their own: the next item is known."""
    rng = np.random.default_rng(seed)
    out = []
    for user in range(users):
        steps = rng.integers(3, 6)
        start = rng.integers(0, 8)
        out.append(((start + np.arange(steps)) % 8 + 8 * (user % 3)).astype(np.int32))
    return out


def side() -> Side:
    rng = np.random.default_rng(4)
    ring = np.arange(ITEMS) // 8
    vectors = (np.eye(3)[ring] + 0.1 * rng.standard_normal((ITEMS, 3))).astype(np.float32)
    kinds = sp.csr_matrix(np.eye(3, dtype=np.float32)[ring])
    like = sp.csr_matrix((ring[:, None] == ring[None, :]).astype(np.float32))
    return Side({"text": vectors}, {"kind": kinds}, {"graph": like})


NAMES = list(dict.fromkeys([*names_for(side(), ITEMS), *names_for_cold(side(), ITEMS), "own"]))
PERSONAL = [n for n in NAMES if n not in ("popular", "own")]


@pytest.fixture(scope="module")
def fitted():
    sequences = walks()
    return {n: fit_part(n, sequences, ITEMS, side(), PARAMS.get(ensemble.kind_of(n)), seed=3) for n in NAMES}


def test_all_kinds_are_under_contract():
    assert {ensemble.kind_of(n) for n in NAMES} == set(ensemble.DEFAULTS)


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    def test_scores_every_item_of_every_history(self, fitted, name):
        histories = [np.zeros(0, np.int32), np.array([3], np.int32), np.array([1, 2, 1, 3] * 60, np.int32)]
        scores = fitted[name].scores(histories)
        assert scores.shape == (3, ITEMS)
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()

    def test_a_history_alone_or_among_others_scores_the_same(self, fitted, name):
        histories = walks(9, seed=8)
        together = fitted[name].scores(histories)
        for row, history in enumerate(histories):
            assert np.allclose(fitted[name].scores([history])[0], together[row], atol=1e-4)

    def test_same_inputs_same_scores(self, fitted, name):
        again = fit_part(name, walks(), ITEMS, side(), PARAMS.get(ensemble.kind_of(name)), seed=3)
        histories = walks(7, seed=9)
        assert np.array_equal(again.scores(histories), fitted[name].scores(histories))

    def test_lists_are_no_longer_than_the_catalogue_and_hold_nothing_twice(self, fitted, name):
        histories = walks(5, seed=2)
        draft = Draft.of(fitted[name], histories, ITEMS, c=500)
        assert draft.ids.shape == (5, ITEMS)
        for ids, history in zip(draft.ids, histories, strict=True):
            ids = ids[ids >= 0]
            assert len(ids) == len(set(ids.tolist()))
            assert not set(ids.tolist()) & set(history.tolist())

    def test_hidden_items_stay_hidden(self, fitted, name):
        allowed = np.arange(ITEMS) % 2 == 0
        draft = Draft.of(fitted[name], walks(5, seed=2), ITEMS, c=8, allowed=allowed)
        assert (draft.ids[draft.ids >= 0] % 2 == 0).all()


@pytest.mark.parametrize("name", PERSONAL)
def test_finds_the_ring(fitted, name):
    draft = Draft.of(fitted[name], walks(60, seed=5), ITEMS, c=1)
    right = [(ids // 8 == h[0] // 8).mean() for ids, h in zip(draft.ids, walks(60, seed=5), strict=True)]
    assert np.mean(right) > 0.9


@pytest.mark.parametrize("name", ["next", "next+", "sequence", "sequence+"])
def test_order_is_learned_by_the_parts_that_see_it(fitted, name):
    histories = walks(60, seed=5)
    truth = [np.array([(h[-1] + 1) % 8 + 8 * (h[-1] // 8)]) for h in histories]
    blind = judge(fitted["popular"], histories, truth, ITEMS, 3)
    assert judge(fitted[name], histories, truth, ITEMS, 3) > max(0.8, blind)


def test_next_item_is_the_ridge_regression_of_the_prefixes():
    sequences = [np.array([0, 1, 2], np.int32), np.array([1, 3], np.int32)]
    within, following = transitions(sequences, 4, 0.5)
    past = np.array([[1, 0, 0, 0], [0.5, 1, 0, 0], [0, 1, 0, 0]])
    target = np.eye(4)[[1, 2, 3]]
    wanted = np.linalg.solve(past.T @ past + 2 * np.eye(4), past.T @ target)
    assert np.allclose(next_item_weights(within, following, 2.0), wanted, atol=1e-5)
    rough = sparse_next_item(sequences, 4, 0.5, 2.0, k=1).toarray()
    assert (np.count_nonzero(rough, axis=1) <= 1).all()
    assert rough[0, 1] == pytest.approx((past.T @ target)[0, 1] / ((past.T @ past)[0, 0] + 2))


def test_side_information_reaches_items_that_nobody_bought(fitted):
    seen = [w for w in walks() if 5 not in w]
    for name in ("ease+", "next+", "sequence+", "near:text", "shared:kind", "given:graph"):
        part = fit_part(name, seen, ITEMS, side(), PARAMS.get(ensemble.kind_of(name)), seed=3)
        scores = part.scores([np.array([1, 2, 3], np.int32)])[0]
        assert scores[5] > np.median(scores[8:]), name


@pytest.mark.parametrize("name", ["ease", "next"])
def test_the_forms_for_large_catalogues_agree_in_kind(monkeypatch, fitted, name):
    monkeypatch.setattr(ensemble, "MAX_DENSE", 10)
    part = fit_part(name, walks(), ITEMS, side(), seed=3)
    histories = walks(40, seed=6)
    wanted = Draft.of(fitted[name], histories, ITEMS, c=3).ids
    found = Draft.of(part, histories, ITEMS, c=3).ids
    assert np.mean([len(set(a) & set(b)) / 3 for a, b in zip(wanted, found, strict=True)]) > 0.6


@pytest.mark.parametrize("block", ["ligr", "plain"])
def test_numpy_serves_what_torch_trained_and_a_folder_keeps_it(tmp_path, block):
    import torch

    from wares.models.recommend import sequence_train

    made = []
    original = sequence_train._export

    def keep(net, *rest):
        made.append(net)
        return original(net, *rest)

    config = SequenceConfig(dim=8, heads=2, epochs=2, block=block, negatives=8, longest=6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequence_train, "_export", keep)
        model = fit_sequence(walks(40), ITEMS, side(), config, seed=1, logs=tmp_path / "logs")
    history = np.array([1, 2, 3, 4], np.int32)
    net = made[0].eval()
    with torch.no_grad():
        wanted = net(torch.from_numpy(model.item_vectors[history])[None])[0, -1].numpy()
    assert np.allclose(model.users([history])[0], wanted, atol=1e-4)
    model.save(tmp_path / "m")
    again = SequenceModel.load(tmp_path / "m")
    assert np.array_equal(again.scores([history]), model.scores([history]))
    assert list((tmp_path / "logs").iterdir())


def test_training_stops_when_validation_falls_and_keeps_the_best():
    values = iter([0.3, 0.5, 0.4, 0.4, 0.4, 0.4, 0.4])
    config = SequenceConfig(dim=8, epochs=7, patience=2, negatives=8)
    model = fit_sequence(walks(20), ITEMS, config=config, validate=lambda _: next(values))
    assert model.config["epochs"] == 2


def test_windows_make_every_item_but_the_first_a_target_once():
    pieces = windows([np.arange(11, dtype=np.int32), np.array([7], np.int32)], 4)
    assert sorted(np.concatenate([p[1:] for p in pieces]).tolist()) == list(range(1, 11))
    assert max(map(len, pieces)) == 5


def test_bad_input_gets_a_clear_error(fitted):
    wrong = Side({"text": np.zeros((3, 4), np.float32)})
    with pytest.raises(QueryError, match="text"):
        fit_part("near:text", walks(), ITEMS, wrong)
    broken = side().vectors["text"].copy()
    broken[2, 1] = np.nan
    with pytest.raises(QueryError, match="NaN"):
        fit_part("sequence+", walks(), ITEMS, Side({"text": broken}))
    with pytest.raises(QueryError, match="no part 'magic'"):
        fit_part("magic", walks(), ITEMS)
    with pytest.raises(QueryError, match="no side information 'image'"):
        fit_part("near:image", walks(), ITEMS, side())
    for bad in ({"decay": 0.0}, {"decay": 2.0}, {"regularisation": 0.0}, {"regularisation": -1.0}):
        with pytest.raises(QueryError, match="decay must lie"):
            fit_part("ease", walks(), ITEMS, params=bad)

    class Narrow:
        def scores(self, histories):
            return np.zeros((len(histories), 3), np.float32)

    with pytest.raises(QueryError, match="one score an item"):
        Draft.of(Narrow(), walks(2), ITEMS)


def test_a_catalogue_of_three_products_and_users_with_one_event():
    tiny = [np.array([0], np.int32), np.array([1], np.int32), np.array([0, 1], np.int32)]
    for name in ("popular", "knn", "ease", "next", "ials", "sequence"):
        part = fit_part(name, tiny, 3, params=PARAMS.get(name), seed=1)
        ids = Draft.of(part, [np.array([0], np.int32)], 3, c=50).ids
        assert set(ids[ids >= 0].tolist()) <= {1, 2}


def test_scores_that_are_all_equal_propose_nothing():
    class Flat:
        def scores(self, histories):
            return np.full((len(histories), ITEMS), 0.25, np.float32)

    draft = Draft.of(Flat(), walks(3), ITEMS)
    assert (draft.ids == -1).all()
    table = Table.join([draft, draft])
    assert len(table.items) == 0
    assert (table.lists(np.zeros(0), 4) == -1).all()


def test_nothing_is_learned_from_nothing(fitted):
    histories = walks(6)
    drafts = {"next": Draft.of(fitted["next"], histories, ITEMS)}
    blend = learn(drafts, histories, [np.zeros(0, np.int32)] * 6, np.zeros((ITEMS, 1), np.float32))
    lists = blend.rank(drafts, histories, np.zeros((ITEMS, 1), np.float32), 4)
    assert (lists >= 0).all()


class Noise:
    def scores(self, histories):
        return (
            np.random.default_rng(len(histories)).standard_normal((len(histories), ITEMS)).astype(np.float32)
        )


def test_the_blend_gates_noise_and_beats_each_part(fitted):
    histories = walks(400, seed=11)
    truth = [np.array([(h[-1] + 1) % 8 + 8 * (h[-1] // 8)]) for h in histories]
    parts = {"next": fitted["next"], "near:text": fitted["near:text"], "noise": Noise()}
    drafts = {n: Draft.of(p, histories, ITEMS) for n, p in parts.items()}
    facts = np.zeros((ITEMS, 1), np.float32)
    blend = learn(drafts, histories, truth, facts, trees=False)
    weights = blend.weights()
    assert max(weights["noise"]) < 0.1
    lists = blend.rank(drafts, histories, facts, 5)
    alone = ndcg(drafts["near:text"].ids[:, :5], truth)
    assert ndcg(lists, truth) > alone
    assert set(blend.validation) == {"ndcg@10_logit"}


def test_trees_are_kept_only_when_they_win(fitted):
    histories = walks(500, seed=12)
    truth = [np.array([(h[-1] + 1) % 8 + 8 * (h[-1] // 8)]) for h in histories]
    drafts = {n: Draft.of(fitted[n], histories, ITEMS) for n in ("knn", "near:text")}
    facts = np.zeros((ITEMS, 1), np.float32)
    blend = learn(drafts, histories, truth, facts)
    better = max(blend.validation, key=lambda n: blend.validation[n])
    assert better == f"ndcg@10_{blend.model.name}"
    lists = blend.rank(drafts, histories, facts, 5)
    assert lists.shape == (500, 5)


def test_the_tail_slider_moves_away_from_bestsellers(fitted):
    histories = walks(50, seed=3)
    truth = [np.array([h[-1]]) for h in histories]
    counts = np.log1p(np.arange(ITEMS, dtype=np.float32) ** 2)[:, None]
    drafts = {n: Draft.of(fitted[n], histories, ITEMS) for n in ("next", "ease")}
    blend = learn(drafts, histories, truth, counts, trees=False)
    means = [counts[blend.rank(drafts, histories, counts, 4, tail=t)].mean() for t in (0.0, 0.5, 1.0)]
    assert means[0] > means[1] > means[2]


def test_a_blend_leans_to_rare_items_only_where_that_is_more_accurate(fitted):
    histories = walks(120, seed=5)
    rare = np.log1p(np.arange(ITEMS, dtype=np.float32) ** 2)[:, None]
    drafts = {"noise": Draft.of(Noise(), histories, ITEMS)}
    # What is wanted is the least known of what was drafted best.
    truth = [ids[:6][np.argsort(rare[ids[:6], 0])][:1] for ids in drafts["noise"].ids]
    blend = learn(drafts, histories, truth, rare)
    assert blend.lean > 0
    plain = ndcg(blend.rank(drafts, histories, rare, 5, tail=-blend.lean), truth)
    assert ndcg(blend.rank(drafts, histories, rare, 5), truth) > plain
    # Who may see no counts leans nowhere.
    assert learn(drafts, histories, truth, rare, trees=False).lean == 0


def test_tables_hold_every_draft_once_and_floor_what_was_not_drafted():
    one = Draft(np.array([[4, 2, -1]], np.int32), np.array([[3.0, 1.0, 0.0]], np.float16))
    two = Draft(np.array([[2, 7, 9]], np.int32), np.array([[5.0, 4.0, 2.0]], np.float16))
    table = Table.join([one, two])
    assert table.items.tolist() == [2, 4, 7, 9]
    assert table.z.tolist() == [[1, 5], [3, 2], [1, 4], [1, 2]]
    assert table.lists(table.z.sum(1), 2).tolist() == [[2, 4]]
    logit = Logit(np.array([[1.0, 0.0]] * 4))
    assert logit.score(table, np.zeros(1, np.int64), np.zeros((10, 1))).tolist() == [1, 3, 1, 1]
    assert level_of([np.zeros(n) for n in (1, 4, 7, 99)]).tolist() == [0, 1, 2, 3]
    assert gains(np.array([5, 1]), np.array([1])) == pytest.approx(1 / np.log2(3))


def test_tuning_begins_at_the_defaults_and_never_ends_below_them():
    sequences = walks()
    fit, truth = [s[:-1] for s in sequences], [s[-1:] for s in sequences]
    params, value = tune_part("knn", fit, truth, ITEMS, Side(), seconds=30, trials=4)
    assert value >= judge(fit_part("knn", fit, ITEMS), fit, truth, ITEMS) - 1e-9
    assert set(params) == set(ensemble.DEFAULTS["knn"])
    sister, _ = tune_part(
        "next+", fit, truth, ITEMS, side(), seconds=1, trials=2, begin={"decay": 0.5, "fade": 0.4}
    )
    assert (sister["decay"], sister["fade"]) == (0.5, 0.4)


def test_histories_as_sparse_rows():
    row = query_matrix([np.array([3, 1, 3], np.int32), np.zeros(0, np.int32)], 5, 0.5).toarray()
    assert row.tolist() == [[0, 0.5, 0, 1, 0], [0, 0, 0, 0, 0]]
    data = from_sequences([np.array([4, 2, 0], np.int32)], 5, (1.0,))
    assert sequences_of(data)[0].tolist() == [4, 2, 0]


def test_behaviour_is_carried_to_items_that_nobody_had():
    """Ring by ring, the hidden item of a ring is wanted by who walks there, though the vectors alone cannot say where."""
    sequences = [s[s != 7] for s in walks()]
    vectors = np.eye(ITEMS, dtype=np.float32)
    # Item 7 is like item 6 only; who is on the way to 6 but has not been there leads to it through behaviour.
    vectors[7] = vectors[6]
    part = fit_part("carried:text", sequences, ITEMS, Side({"text": vectors}), {"push": 1.0})
    near = fit_part("near:text", sequences, ITEMS, Side({"text": vectors}))
    history = [np.array([4, 5], np.int32)]
    carried, alone = part.scores(history)[0], near.scores(history)[0]
    assert carried[7] > 0
    assert np.flatnonzero(carried == carried.max()).tolist() in ([7], [6, 7])
    assert alone[7] <= alone[23]
    with pytest.raises(QueryError, match="no side information"):
        fit_part("carried:image", sequences, ITEMS, Side({"text": vectors}))


def test_whitening_keeps_items_without_text_out():
    vectors = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    vectors[7] = 0
    out = whitened(vectors, 0.0)
    assert (out[7] == 0).all()
    there = np.delete(out, 7, 0)
    assert np.allclose(np.linalg.norm(there, axis=1), 1, atol=1e-5)
    assert Near(np.zeros((5, 3), np.float32), 0.5).scores([np.array([1], np.int32)]).tolist() == [[0] * 5]
