"""Sufficiency, priority, regret and inequality are what their formulas say."""

import numpy as np
import pytest

from plural_nb import Design
from plural_nb.jury.criteria import approval, priority, regret, sufficiency
from plural_nb.jury.inequality import atkinson, gini, inequality
from plural_nb.jury.utilities import Utilities


@pytest.fixture
def jury():
    random = np.random.default_rng(1)
    return Utilities.of(random.integers(1, 10, (30, 4)).astype(float), random.uniform(0.5, 2, 30))


def test_gini_equals_the_mean_difference_of_all_pairs(jury):
    share = jury.share
    for c, u in enumerate(jury.values.T):
        pairs = sum(a * b * abs(x - y) for a, x in zip(share, u, strict=True) for b, y in zip(share, u, strict=True))
        assert gini(jury)[c] == pytest.approx(pairs / (2 * (share @ u)), rel=1e-12)


def test_gini_of_near_equals_keeps_its_digits():
    assert gini(Utilities.of([[1e9], [1e9 + 1e-3]]))[0] == pytest.approx(1e-3 / 4 / 1e9, rel=1e-3)


def test_atkinson_is_the_share_of_the_mean_given_up(jury):
    share, u = jury.share, jury.values[:, 0]
    assert atkinson(jury, 2)[0] == pytest.approx(1 - 1 / (share @ (1 / u)) / (share @ u), rel=1e-12)
    assert atkinson(jury, 0) == pytest.approx([0] * 4, abs=1e-14)


def test_means_of_shortfalls_and_roots(jury):
    share, u = jury.share, jury.values
    assert sufficiency(jury, 4) == pytest.approx(-(share @ np.maximum(0, 4 - u)), rel=1e-12)
    assert priority(jury) == pytest.approx(share @ np.sqrt(u), rel=1e-12)
    assert priority(jury, "log") == pytest.approx(share @ np.log(u), rel=1e-12)


def test_regret_is_the_worst_jurors():
    u = np.array([[5.0, 1.0, np.nan], [2.0, 6.0, 3.0]])
    assert regret(Utilities.of(u)).tolist() == [4, 4, 3]


def test_approval_is_above_not_at(jury):
    taus = [0, 3, 9, 10]
    expected = [[jury.share[u > tau].sum() for u in jury.values.T] for tau in taus]
    assert approval(jury, taus) == pytest.approx(np.array(expected), abs=1e-14)


def test_inequality_has_intervals_where_the_jury_is_a_sample(jury):
    assert inequality(jury)["low"].null_count() == 8
    sample = Utilities(jury.values, jury.candidates, design=Design(jury.weight))
    rows = inequality(sample, 2.0).rows(named=True)
    assert len(rows) == 8
    assert all(row["low"] < row["value"] < row["high"] for row in rows)
