"""How weights are spread: Kish's number, extremes, and a histogram that loses nobody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plural_nb.survey.design import Design
from plural_nb.survey.weight_spread import weight_spread


@given(st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=200))
@settings(max_examples=100, deadline=None)
def test_the_histogram_counts_everybody_and_all_their_weight(weights: list[float]) -> None:
    spread = weight_spread(Design(np.array(weights)))
    bins = spread.bins()
    assert bins["n"].sum() == len(weights)
    assert bins["share_of_weight"].sum() == pytest.approx(1)
    assert bins.height <= 42
    relative = np.array(weights) / np.mean(weights)
    for low, high, n in bins.select("low", "high", "n").rows():
        near = 1e-6 * max(high, 1)
        assert ((relative >= low + near) & (relative < high - near)).sum() <= n
        assert n <= ((relative >= low - near) & (relative <= high + near)).sum()


def test_kish_is_one_plus_the_squared_coefficient_of_variation() -> None:
    w = np.random.default_rng(1).gamma(2, 1, 500)
    spread = weight_spread(Design(w))
    assert spread.deff_kish == pytest.approx(1 + w.var() / w.mean() ** 2, rel=1e-12)
    assert spread.top_share == pytest.approx(np.sort(w)[-5:].sum() / w.sum())


def test_zero_weights_are_counted_apart_and_equal_ones_are_called_so() -> None:
    spread = weight_spread(Design(np.array([0.0, 2.0, 2.0])), np.array([True, True, True]))
    assert (spread.zero, spread.n, spread.equal, spread.n_eff_kish) == (1, 2, True, 2.0)
    assert weight_spread(Design(np.array([0.0, 2.0])), np.array([True, False])).n == 0


def test_weights_far_out_share_one_last_bin() -> None:
    spread = weight_spread(Design(np.array([1.0] * 1000 + [50.0, 80.0])))
    last = spread.bins().row(-1, named=True)
    assert (last["n"], last["high"]) == (2, pytest.approx(spread.relative[-1]))
    assert last["low"] >= 10
