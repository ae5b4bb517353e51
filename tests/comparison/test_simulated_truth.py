"""Simulation with known truths: floors, verdicts, debiased values and intervals do what they say.

The whole study is `python tests/comparison_simulation.py`; these are some of its cells, with enough pairs to tell.
"""

import math

import numpy as np
import pytest
from comparison_simulation import clustered, simple

from plural_nb.comparison.measuring import squared

NAMES = ("js_distance", "total_variation", "hellinger", "wasserstein_normalised")
NULLS = {
    "2 options": lambda: simple(2, 200, 6000),
    "5 options": lambda: simple(5, 1000, 4000),
    "5 options, unlike sizes": lambda: simple(5, 400, 4000, m=3000),
    "11 options against an exact row": lambda: simple(11, 1000, 3000, m=math.inf),
    "fractional rows": lambda: simple(5, 300, 1500, fractional=True),
    "weighted and clustered": lambda: clustered(5, 1500),
    "a group of it, against an exact row": lambda: clustered(5, 1500, population={"wave": "2023", "age": "18 to 29"},
                                                           exact=True),
}  # fmt: skip


@pytest.mark.parametrize("kind", NULLS)
def test_floors_are_what_two_samples_of_one_truth_show(kind):
    """Mean within 3% where counts are 20 or more; the 95th percentile and *beyond noise* in 4 to 6%."""
    drawn = NULLS[kind]()
    part = drawn.take(np.flatnonzero(drawn.counts >= 20))
    C = part.counts.size
    floors, seen = part.floors(200), part.observed()
    error = 2.6 * 0.75 / math.sqrt(C)  # of the mean that is seen, at most (two options)
    for name in NAMES:
        assert floors.mean[name].mean() / np.sqrt(seen[name]).mean() == pytest.approx(1, abs=0.03 + error / 2), name
        left = (seen[name] - floors.square[name]).mean() / seen[name].mean()
        assert abs(left) < 0.1 if name != "wasserstein_normalised" else abs(left) < 0.12, name
    rate = 2.6 * math.sqrt(0.05 * 0.95 / C)
    assert 0.04 - rate < (floors.p < 0.05).mean() < 0.06 + rate
    assert 0.04 - rate < (np.sqrt(seen["js_distance"]) > floors.p95["js_distance"]).mean() < 0.06 + rate


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
        assert floors.p95[name].mean() == pytest.approx(np.quantile(independent, 0.95, axis=0).mean(), rel=0.04), name
    rate = 2.6 * math.sqrt(0.05 * 0.95 / part.counts.size)
    assert 0.04 - rate < (floors.p < 0.05).mean() < 0.06 + rate


FAR = {
    "2 options": (0.93, 0.97, lambda floors: simple(2, 500, 2500, floors=floors, replicates=300)),
    "5 options": (0.93, 0.97, lambda floors: simple(5, 500, 1500, floors=floors, replicates=300)),
    "11 options against an exact row": (0.93, 0.97, lambda floors: simple(11, 1000, 800, m=math.inf, floors=floors,
                                                                         replicates=300)),
    "weighted and clustered": (0.93, 0.97, lambda floors: clustered(5, 800, floors=floors, replicates=300)),
}  # fmt: skip


@pytest.mark.parametrize("floors", [2, 5])
@pytest.mark.parametrize("kind", FAR)
def test_intervals_cover_the_true_distance(kind, floors):
    """95% intervals cover in 93 to 97% from two floors on; percentiles of the replicates would not."""
    low, high, made = FAR[kind]
    drawn = made(floors)
    truth = squared(*drawn.truth, drawn.scale)
    error = 2.6 * math.sqrt(0.05 * 0.95 / drawn.counts.size)
    for name in NAMES:
        bounds, true = drawn.intervals(name), np.sqrt(truth[name])
        covered = ((bounds[0] <= true) & (true <= bounds[1])).mean()
        assert low - error < covered < high + error, (name, covered)


def test_percentiles_of_replicates_would_not_cover():
    drawn = simple(11, 1000, 400, floors=2, replicates=300)
    each = np.sqrt(squared(*drawn.replicates, drawn.scale)["js_distance"])
    low, high = np.quantile(each, [0.025, 0.975], axis=1)
    true = np.sqrt(squared(*drawn.truth, drawn.scale)["js_distance"])
    assert ((low <= true) & (true <= high)).mean() < 0.75
