"""Every α at which the winner changes is found, to 1e-9, however close two changes lie."""

from itertools import pairwise

import mpmath
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from plural_nb.jury.distribution import Distribution
from plural_nb.jury.lead import Lead
from plural_nb.jury.sweep import winners
from plural_nb.jury.switches import switches
from plural_nb.jury.utilities import Utilities
from plural_nb.jury.welfare import alpha_at, place_of, welfare


def test_a_closed_form_switch_is_found_to_1e_9():
    """(√u-mean)² of (1, 9) is 4 at α = 1/2, so a sure 4 takes over there."""
    [switch] = switches(Utilities.of({"Bold": [1.0, 9.0], "Sure": [4.0, 4.0]}))
    assert switch.a == pytest.approx(1 / 3, abs=1e-9)
    assert (switch.before, switch.after) == (("Bold",), ("Sure",))
    assert (switch.gain, switch.lose, switch.same) == (0.5, 0.5, 0.0)


def test_a_switch_at_one_is_no_special_place():
    [switch] = switches(Utilities.of({"Bold": [1.0, 16.0], "Sure": [4.0, 4.0]}))
    assert switch.alpha == pytest.approx(1.0, abs=4e-9)


def test_switches_equal_200_digit_roots():
    random = np.random.default_rng(5)
    u = random.integers(1, 101, (40, 4)).astype(float)
    w = random.uniform(0.5, 2, 40)
    found = switches(Utilities.of(u, w))
    assert len(found) >= 1
    for switch in found:
        c, d = ("ABCD".index(names[0]) for names in (switch.before, switch.after))

        def gap(alpha, c=c, d=d):
            s = 1 - alpha
            sums = [mpmath.fsum(a * mpmath.mpf(x) ** s for a, x in zip(w, u[:, k], strict=True)) for k in (c, d)]
            return sums[0] - sums[1]

        with mpmath.workdps(200):
            truth = mpmath.findroot(gap, switch.alpha)
        assert switch.a == pytest.approx(float(place_of(float(truth))), abs=1e-9)


@pytest.mark.parametrize("sliver", [1e-3, 1e-6, 1e-9, 1e-12])
def test_two_switches_far_closer_than_a_grid_are_both_found(sliver):
    """B's lead over A peaks inside; B is scaled down until it leads on a sliver around the peak only."""
    a, b = np.array([1.0, 2.0, 11.0, 17.0]), np.array([2.0, 6.0, 9.0, 10.0])

    def lead(factor):
        return Lead.of(*(Distribution.of(u, np.ones(4)) for u in (factor * b, a)))

    def log_lead(place):
        return float(np.log(welfare(b, alpha_at(place)) / welfare(a, alpha_at(place))))

    top = minimize_scalar(lambda place: -log_lead(place), bracket=(0.6, 0.75, 0.9), tol=1e-12)
    roots = lead(np.exp(top.fun + sliver)).changes()
    assert len(roots) == 2
    assert roots[0] < top.x < roots[1]
    assert roots[1] - roots[0] < 2 * np.sqrt(sliver)
    assert lead(np.exp(top.fun - 1e-12)).changes() == []


@pytest.mark.parametrize(
    "places",
    [(0.2, 0.5, 0.8), (0.5, 0.501, 0.502), (0.30, 0.31, 0.90), (0.2, 0.95, 0.97), (0.7, 0.7001, 0.7002), (0.96, 0.995)],
)
def test_changes_of_lead_are_found_where_they_were_put(places):
    """A sum of n + 1 exponential cells can be given any n zeros: they are the truth, and its only ones."""
    n = len(places)
    low, width = np.arange(n + 1) * 0.7, np.full(n + 1, 0.7)
    with mpmath.workdps(60):
        rows = []
        for place in places:
            s = 1 - mpmath.mpf(place) / (1 - mpmath.mpf(place))
            rows.append([mpmath.exp(s * x) * (mpmath.expm1(s * 0.7) / s if s else mpmath.mpf(0.7)) for x in low])
        head = mpmath.matrix([[row[j] for j in range(n)] for row in rows])
        rest = mpmath.lu_solve(head, mpmath.matrix([-row[n] for row in rows]))
        height = np.array([float(x) for x in rest] + [1.0])
    lead = Lead(0.0, low, width, height / np.abs(height).max())
    assert lead.most_changes == n
    assert lead.changes() == pytest.approx(list(places), abs=2e-9)


@pytest.mark.parametrize("kind", ["continuous", "ratings", "zeros", "few jurors", "missing"])
def test_between_switches_the_winner_is_the_winner_of_a_fine_grid(kind):
    for seed in range(4):
        random = np.random.default_rng(seed)
        n = 3 if kind == "few jurors" else 60
        u = np.exp(random.normal(0, 1, (n, 6)) * np.linspace(0.2, 1.5, 6))
        if kind in ("ratings", "zeros"):
            u = random.integers(0 if kind == "zeros" else 1, 8, (n, 6)).astype(float)
        if kind == "missing":
            u[random.random(u.shape) < 0.2] = np.nan
        jury = Utilities.of(u, random.uniform(0.5, 2, n))
        found = switches(jury)
        grid = alpha_at(np.linspace(0, 1, 1501))
        # Above α = 1000 doubles cannot tell the welfare of some pairs apart that the search tells apart.
        for alpha, won in zip(grid[:-2], winners(jury, grid[:-2]), strict=True):
            assert set(found.winner(alpha)) >= set(won), (seed, alpha)
        assert set(found.last) == set(winners(jury, [np.inf])[0])


def test_clones_win_together_and_the_worse_never():
    jury = Utilities.of({"A": [1.0, 9.0], "Sure": [4.0, 4.0], "Twin": [4.0, 4.0], "Worse": [3.0, 3.9]})
    found = switches(jury)
    assert found.last == ("Sure", "Twin")
    assert len(found) == 1


def test_a_tie_in_the_mean_goes_to_who_leads_just_above():
    found = switches(Utilities.of({"Even": [5.0, 5.0], "Odd": [1.0, 9.0]}))
    assert found.first == ("Even",)
    assert len(found) == 0
    assert "every α" in found.sentence()


def test_equal_minima_are_told_apart_by_what_lies_above():
    """Both have one juror at 1; the tail is decided in closed form where powers of u are all the same to a double."""
    jury = Utilities.of({"A": [1.0, 1.1, 100.0], "B": [1.0, 1.2, 1.2]})
    [switch] = switches(jury)
    assert switch.after == ("B",)
    assert winners(jury, [np.inf]) == [("B",)]


def test_who_gains_is_told_by_group():
    import polars as pl

    jury = Utilities.of(
        {"Bold": [9.0, 9.0, 1.0], "Mild": [4.0, 4.0, 4.0]}, traits=pl.DataFrame({"town": ["North", "North", "South"]})
    )
    rows = switches(jury).table(by="town").rows(named=True)
    assert [(r["group"], r["gain"], r["lose"], r["mean_change"]) for r in rows] == [
        ("North", 0.0, 1.0, -5.0),
        ("South", 1.0, 0.0, 3.0),
    ]


def test_changes_of_lead_never_outnumber_those_of_the_distribution_functions():
    random = np.random.default_rng(11)
    for _ in range(50):
        spread = [Distribution.of(np.exp(random.normal(0, 1, 5)), random.uniform(0.2, 3, 5)) for _ in range(2)]
        lead = Lead.of(*spread)
        roots = lead.changes()
        assert len(roots) <= lead.most_changes
        edges = [0.0, *roots, 1.0]
        signs = [lead.sign(float(alpha_at((x + y) / 2))) for x, y in pairwise(edges)]
        assert all(s * t < 0 for s, t in pairwise(signs))


def test_fewer_zeros_lead_from_one_on_whatever_lies_above():
    rich, poor = [0.0, 0.0, 100.0], [0.0, 1.0, 1.0]
    lead = Lead.of(*(Distribution.of(np.array(u), np.ones(3)) for u in (rich, poor)))
    assert [lead.sign(alpha) for alpha in (0.0, 1.0, 3.0, np.inf)] == [1, -1, -1, -1]
    [place] = lead.changes()
    # (1/3)^(1/s) 100 = (2/3)^(1/s), s = 1 - α: 100^s = 2.
    s = np.log(2) / np.log(100)
    assert place == pytest.approx((1 - s) / (2 - s), abs=1e-9)
