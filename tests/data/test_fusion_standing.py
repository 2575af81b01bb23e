import numpy as np

from wares.data.fusion.evidence import Evidence
from wares.data.fusion.offers import Offers
from wares.data.fusion.standing import habits, source_lead, support

PAIRS = np.array([[0, 1], [0, 2], [0, 3], [1, 3]])
SOURCE = np.array([0, 1, 1, 2], np.int32)


def test_the_lead_is_over_the_same_source_only():
    found = source_lead(PAIRS, np.array([0.9, 0.4, 0.95, 0.2]), SOURCE)
    np.testing.assert_allclose(found["lead_min"], [0.5, -0.5, 0.95, 0.2], rtol=1e-6)
    np.testing.assert_allclose(found["lead_max"], [0.9, 0.4, 0.95, 0.2], rtol=1e-6)


def test_habits_are_means_of_the_sources():
    found = habits(PAIRS, SOURCE, np.array([2.0, 4.0, 8.0, 10.0]), np.array([True, False, True, False]))
    assert found["source_says_min"].tolist() == [2, 2, 2, 6]
    assert found["source_codes_max"].tolist() == [1, 1, 1, 0.5]
    assert found["source_size_max"].tolist() == [2, 2, 1, 2]


def test_a_third_row_that_matches_both_supports_a_pair():
    found = support(PAIRS, np.array([0.9, 0.01, 0.8, 0.5]), 4, SOURCE)
    np.testing.assert_allclose(found["common"], [0.8 * 0.5, 0, 0.9 * 0.5, 0.9 * 0.8], rtol=1e-6)
    assert found["source_rival_max"][1] == np.float32(0.9)
    nothing = support(np.zeros((0, 2), np.int64), np.zeros(0), 3, None)
    assert all(len(values) == 0 for values in nothing.values())


def test_numbers_inside_codes_and_brands_count():
    titles = [f"sony tv kdl{size}we{size}" for size in range(30, 45)] + [
        f"lg {size} inch tv" for size in range(30, 45)
    ]
    evidence = Evidence(Offers([*titles, "sony 40 inch tv"]))
    values, names = evidence.compare(np.array([[10, 30], [11, 30], [25, 30]]))
    shared, brand = values[:, names.index("run_shared")], values[:, names.index("heads_agree")]
    assert shared[0] > shared[1] == 0
    assert brand.tolist() == [1, 1, 0]
    assert values[2, names.index("kind_inch")] == 1
