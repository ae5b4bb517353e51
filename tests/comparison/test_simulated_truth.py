"""Simulation with known truths: floors, verdicts, debiased values and intervals do what they say.

The whole study is `python tests/comparison_simulation.py`; these are some of its cells, with enough pairs to tell.
"""

import math

import numpy as np
import pytest
from comparison_simulation import NAMES, coverage_cell, null_cells, simple

from plural_nb.comparison.measuring import squared

# Kind of pair, K, n, pairs. With 20,000 pairs a rate of 5% has a standard error of 0.15%, a mean one of 0.5%.
NULLS = {
    "2 options, few people": ("one-hot", 2, 50, 20_000),
    "2 options": ("one-hot", 2, 200, 20_000),
    "5 options, few people": ("one-hot", 5, 50, 20_000),
    "5 options, few people against an exact row": ("exact", 5, 50, 20_000),
    "5 options, unlike sizes": ("unlike", 5, 200, 12_000),
    "11 options against an exact row": ("exact", 11, 1000, 12_000),
    "fractional rows": ("fractional", 5, 200, 8000),
    "2 options, weighted and clustered": ("clustered", 2, 0, 12_000),
    "2 options, a small group of it, against an exact row": ("age exact", 2, 0, 12_000),
    "5 options, a small group of it": ("age", 5, 0, 8000),
}


@pytest.mark.parametrize("kind", NULLS)
def test_floors_are_what_two_samples_of_one_truth_show(kind):
    """Floors within 3% of the mean distance, *beyond noise* in 4 to 6%, and a tenth of the bias left at most."""
    cells = null_cells(*NULLS[kind])
    assert {"20 and more", "5 to 20"} & cells.keys()
    for label, cell in cells.items():
        if label == "under 5":
            continue
        # Of few pairs what is seen is itself uncertain: a mean by 0.76 of it (two options) over their root.
        error, rate = (2 * sd / math.sqrt(cell.pairs) if cell.pairs < 5000 else 0 for sd in (0.76, 0.22))
        for name in NAMES:
            assert cell.ratio[name] == pytest.approx(1, abs=0.03 + error), (label, name)
            assert abs(cell.bias[name]) < 0.1, (label, name)
        assert 0.04 - rate < cell.beyond < 0.06 + rate, label
        assert cell.above["js_distance"] == pytest.approx(cell.beyond, abs=1e-9)


@pytest.mark.parametrize(("K", "n", "m"), [(2, 50, 50), (5, 60, math.inf), (5, 150, 150), (11, 300, 300)])
def test_where_counts_are_few_the_floor_equals_an_independent_simulation(K, n, m):
    drawn = simple(K, n, 3000, m=m, seed=2)
    part = drawn.take(np.flatnonzero((drawn.counts >= 5) & (drawn.counts < 20)))
    floors, draws = part.floors(400), 200
    assert floors.simulated.mean() > 0.5
    r, truth = np.random.default_rng(99), part.truth[0].T
    shape = draws, *truth.shape
    sides = [np.broadcast_to(truth, shape) if math.isinf(x) else r.multinomial(x, truth, shape[:2]) / x for x in (n, m)]
    again = squared(*(np.moveaxis(side, 2, 0) for side in sides), part.scale, divergences=False)
    for name in NAMES:
        independent = np.sqrt(again[name])
        assert floors.mean[name].mean() == pytest.approx(independent.mean(), rel=0.03), name
        assert floors.p95[name].mean() == pytest.approx(np.quantile(independent, 0.95, axis=0).mean(), rel=0.03), name


# Kind of pair, K, n, pairs: a coverage of 95% has a standard error of 0.4% with 2,500 of them.
FAR = {
    "2 options": ("one-hot", 2, 500, 4000),
    "5 options": ("one-hot", 5, 500, 2500),
    "11 options against an exact row": ("exact", 11, 1000, 1500),
    "weighted and clustered": ("clustered", 5, 0, 2000),
    "2 options, weighted and clustered, against an exact row": ("clustered exact", 2, 0, 2000),
}


@pytest.mark.parametrize("floors", [2, 5])
@pytest.mark.parametrize("kind", FAR)
def test_intervals_cover_the_true_distance(kind, floors):
    """95% intervals cover in 93 to 97% from two floors on, where options are rarely unseen."""
    kind, K, n, pairs = FAR[kind]
    cell = coverage_cell(kind, K, n, floors, pairs, 300)
    assert max(cell.infinite.values()) < 0.02
    for name in (*NAMES, "kl", "kl_reversed"):
        assert 0.93 < cell.covered(name) < 0.97, (name, cell.covered(name))


def test_an_infinite_divergence_is_bounded_from_below():
    """In every tenth pair a sample shows nobody of an option, so the divergence is infinite and high is ∞."""
    cell = coverage_cell("one-hot", 5, 500, 8, 3000, 300)
    for name in ("kl", "kl_reversed"):
        assert cell.infinite[name] > 0.05
        assert cell.one_sided[name] == cell.infinite[name]  # no truth has a 0, and none is said to be infinite for sure
        assert 0.93 < cell.covered(name) < 0.97, name
    for name in NAMES:
        assert 0.93 < cell.covered(name) < 0.97, name


def test_where_most_options_are_nearly_unseen_intervals_are_wide_rather_than_wrong():
    """Nine pairs of ten have an option with a twentieth of an expected count: then how little it has, nothing says."""
    cell = coverage_cell("one-hot", 11, 500, 8, 500, 300)
    assert cell.infinite["kl"] > 0.8
    for name in (*NAMES, "kl", "kl_reversed"):
        assert cell.covered(name) > 0.93, name


def test_percentiles_of_replicates_would_not_cover():
    drawn = simple(11, 1000, 400, floors=2, replicates=300)
    each = np.sqrt(squared(*drawn.replicates, drawn.scale)["js_distance"])
    low, high = np.quantile(each, [0.025, 0.975], axis=1)
    true = np.sqrt(squared(*drawn.truth, drawn.scale)["js_distance"])
    assert ((low <= true) & (true <= high)).mean() < 0.75
