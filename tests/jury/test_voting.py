"""Voting rules on the classic profiles, against brute force, and against the dual of the linear programme."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from plural_nb import Design, PluralError
from plural_nb.jury.decision import SCORES, decide, decisions
from plural_nb.jury.pairwise import extreme_lotteries, margins, maximal_lotteries, smith_sets
from plural_nb.jury.runoff import instant_runoff
from plural_nb.jury.utilities import Utilities


def profile(ballots, names=None):
    """A jury from {"order of letters": how many}: the last gets 1, each place above one more."""
    letters = names or sorted(next(iter(ballots)))
    rows = [[len(order) - order.index(x) for x in letters] for order in ballots]
    return Utilities.of({x: [row[i] for row in rows] for i, x in enumerate(letters)}, list(ballots.values()))


TENNESSEE = profile({"MNCK": 42, "NCKM": 26, "CKNM": 15, "KCNM": 17}, "MNCK")
CYCLE = profile({"ABC": 1, "BCA": 1, "CAB": 1})


@pytest.mark.parametrize(
    ("rule", "winners", "score"),
    [
        ("plurality", ("M",), [0.42, 0.26, 0.15, 0.17]),
        ("instant_runoff", ("K",), [3, 2, 1, 4]),
        ("borda", ("N",), [1.26, 1.94, 1.73, 1.07]),
        ("condorcet", ("N",), [-0.16, 0.16, -0.36, -0.66]),
        ("smith", ("N",), [0, 1, 0, 0]),
        ("maximal_lottery", ("N",), [0, 1, 0, 0]),
    ],
)
def test_tennessee_chooses_its_capital(rule, winners, score):
    found = decide(TENNESSEE, rule)
    assert found.winners == winners
    assert found.score == pytest.approx(score, abs=1e-12)


def test_a_cycle_has_no_condorcet_winner_and_a_fair_lottery():
    assert decide(CYCLE, "condorcet").winners == ()
    assert "Nobody wins" in decide(CYCLE, "condorcet").sentence()
    assert decide(CYCLE, "smith").winners == ("A", "B", "C")
    assert decide(CYCLE, "maximal_lottery").score == pytest.approx([1 / 3] * 3, abs=1e-9)
    assert decide(CYCLE, "borda").winners == ("A", "B", "C")
    runoff = decide(CYCLE, "instant_runoff")
    assert runoff.winners == ("A", "B", "C")
    assert any("every order" in note for note in runoff.notes)


def test_borda_turns_round_when_the_last_candidate_goes():
    """Fishburn's seven voters: A > B > C > X, but without X, C > B > A."""
    seven = {"CBAX": 3, "BAXC": 2, "AXCB": 2}
    assert decide(profile(seven, "ABCX"), "borda").score == pytest.approx(np.array([13, 12, 11, 6]) / 7)
    without = {order.replace("X", ""): count for order, count in seven.items()}
    assert decide(profile(without, "ABC"), "borda").score == pytest.approx(np.array([6, 7, 8]) / 7)


def test_a_clone_moves_borda_but_not_the_maximal_lottery():
    jury = {"A": [2, 2, 2, 1, 1], "B": [1, 1, 1, 2, 2]}
    assert decide(Utilities.of(jury), "borda").winners == ("A",)
    cloned = Utilities.of(jury | {"B2": [0.9, 0.9, 0.9, 1.9, 1.9]})
    assert decide(cloned, "borda").winners == ("B",)
    assert decide(cloned, "maximal_lottery").winners == ("A",)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000))
def test_the_lottery_on_a_set_of_clones_is_what_it_was_on_the_one(seed):
    random = np.random.default_rng(seed)
    # An odd number of strict orders of equal weight has one maximal lottery only (Laffond, Laslier & Le Breton 1997).
    u = np.array([random.permutation(4) for _ in range(9)]).astype(float)
    clone = u[:, 0] + random.choice([-0.1, 0.1], 9)
    before = maximal_lotteries(margins(u, np.ones((1, 9))))[0]
    after = maximal_lotteries(margins(np.column_stack([u, clone]), np.ones((1, 9))))[0]
    assert after[0] + after[4] == pytest.approx(before[0], abs=1e-6)
    assert after[1:4] == pytest.approx(before[1:], abs=1e-6)


def test_the_maximal_lottery_is_optimal_by_the_dual_programme():
    random = np.random.default_rng(3)
    for _ in range(25):
        C = int(random.integers(2, 8))
        u, w = random.integers(0, 4, (15, C)).astype(float), random.uniform(0.1, 2, (1, 15))
        m = margins(u, w)[0]
        p = maximal_lotteries(m[None])[0]
        assert p.sum() == pytest.approx(1, abs=1e-12)
        assert (p >= 0).all()
        # min t: m q <= t, q a lottery. Its value bounds min_b (pᵀ m)_b from above for every p.
        dual = linprog(
            [0] * C + [1], np.column_stack([m, -np.ones(C)]), np.zeros(C), [[1] * C + [0]], [1],
            bounds=[(0, None)] * C + [(None, None)],
        )  # fmt: skip
        assert (p @ m).min() == pytest.approx(dual.fun, abs=1e-9)
        assert p @ (m @ dual.x[:C] - dual.fun) == pytest.approx(0, abs=1e-9)
        extremes = extreme_lotteries(m)
        assert (extremes @ m).min() > -1e-8
        assert ((extremes.min(axis=0) - 1e-6 <= p) & (p <= extremes.max(axis=0) + 1e-6)).all()


def test_several_maximal_lotteries_are_said():
    tie = Utilities.of({"A": [2, 1], "B": [1, 2]})
    found = decide(tie, "maximal_lottery")
    assert found.score == pytest.approx([0.5, 0.5], abs=1e-8)
    assert "everal lotteries are maximal" in found.sentence()


def test_the_smith_set_is_the_smallest_set_that_beats_the_rest():
    random = np.random.default_rng(4)
    for _ in range(60):
        m = margins(random.integers(0, 4, (5, 5)).astype(float), random.integers(1, 3, (1, 5)).astype(float))
        for size in range(1, 6):
            sets = [
                set(s)
                for s in combinations(range(5), size)
                if all(m[0, a, b] > 0 for a in s for b in set(range(5)) - set(s))
            ]
            if sets:
                assert set(np.flatnonzero(smith_sets(m)[0])) == sets[0]
                break


def runoff_by_hand(u, w, standing):
    if len(standing) == 1:
        return set(standing)
    votes = dict.fromkeys(standing, Fraction(0))
    for row, weight in zip(u, w, strict=True):
        rated = [c for c in standing if not np.isnan(row[c])]
        best = [c for c in rated if row[c] == max(row[c] for c in rated)]
        for c in best:
            votes[c] += Fraction(int(weight), len(best))
    fewest = [c for c in standing if votes[c] == min(votes.values())]
    return set().union(*(runoff_by_hand(u, w, [c for c in standing if c != d]) for d in fewest))


def test_instant_runoff_equals_the_rule_by_hand_with_every_tie_followed():
    random = np.random.default_rng(5)
    for _ in range(60):
        u, w = random.integers(0, 3, (6, 4)).astype(float), random.integers(1, 3, 6)
        u[random.random(u.shape) < 0.1] = np.nan
        won, _, _, complete = instant_runoff(u, w[None, :].astype(float))
        assert complete
        assert set(np.flatnonzero(won[0])) == runoff_by_hand(u, w, [0, 1, 2, 3])


def test_a_jury_that_is_level_throughout_is_decided_without_end():
    level = decide(Utilities.of(np.ones((3, 16))), "instant_runoff")
    assert any("order listed" in note for note in level.notes)


def test_max_sat_equals_brute_force():
    random = np.random.default_rng(6)
    u, w = random.integers(0, 5, (8, 5)).astype(float), random.integers(1, 5, 8)
    for tau in (0, 1, 2.5, 4):
        content = [sum(int(w[i]) for i in range(8) if u[i, c] > tau) for c in range(5)]
        found = decide(Utilities.of(u, w), "approval", threshold=tau)
        assert found.score == pytest.approx(np.array(content) / w.sum(), abs=1e-14)
        assert found.winners == tuple("ABCDE"[c] for c in range(5) if content[c] == max(content))


def test_missing_ratings_leave_a_juror_out_of_the_pairs_they_did_not_rate():
    jury = Utilities.of({"A": [3, 1, None], "B": [1, None, 2], "C": [2, 2, 1]}, [1, 2, 4])
    m = margins(jury.values, jury.weight[None, :])[0]
    assert m[0, 1] == 1
    assert m[0, 2] == pytest.approx((1 - 2) / 3)
    assert m[1, 2] == pytest.approx((4 - 1) / 5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_order_of_jurors_and_unit_of_weights_do_not_matter(seed, factor):
    random = np.random.default_rng(seed)
    u, w = random.integers(1, 4, (7, 4)).astype(float), random.integers(1, 4, 7).astype(float)
    order = random.permutation(7)
    for rule in SCORES:
        one = decide(Utilities.of(u, w), rule, threshold=2)
        other = decide(Utilities.of(u[order], w[order] * factor), rule, threshold=2)
        assert one.winners == other.winners
        if rule != "maximal_lottery":
            assert other.score == pytest.approx(one.score, abs=1e-12)


def test_a_sampled_jury_has_the_interval_of_its_design():
    """The share above τ is a mean: its bootstrap percentiles are those of the linearised error, about."""
    random = np.random.default_rng(7)
    n, psu = 600, np.repeat(np.arange(60), 10)
    u = (random.random((n, 2)) + 0.3 * random.random((60, 2))[psu]) > 0.7
    design = Design(random.uniform(0.5, 2, n), stratum=psu // 30, psu=psu)
    found = decide(Utilities(u.astype(float), ("A", "B"), design=design), "approval", threshold=0.5, replicates=800)
    from plural_nb import Answers, ask_for

    shares = Answers.from_places(ask_for("A?", ["no", "yes"]), u[:, 0].astype(int), design=design).shares()
    assert found.score[0] == pytest.approx(shares.share[0, 1], abs=1e-12)
    assert (found.high[0] - found.low[0]) / (2 * 1.96) == pytest.approx(shares.se[0, 1], rel=0.12)
    assert found.probability.sum() == pytest.approx(1, abs=1e-12)


def test_a_lottery_gives_each_its_mean_probability_over_resampled_juries():
    random = np.random.default_rng(9)
    ratings = np.array([[3, 2, 1], [1, 3, 2], [2, 1, 3]] * 20, dtype=float)
    found = decide(Utilities(ratings, ("A", "B", "C"), design=Design(random.uniform(0.5, 2, 60))), "maximal_lottery")
    assert found.probability.sum() == pytest.approx(1, abs=1e-9)
    assert (found.probability > 0.1).all()


def test_every_rule_decides_in_one_table_and_says_why_one_cannot():
    jury = Utilities.of({"A": [3, -1], "B": [1, 2]})
    table = decisions(jury, threshold=1)
    assert table["rule"].to_list() == list(SCORES)
    failed = table.filter(pl.col("winners").is_null())
    assert failed["rule"].to_list() == ["prioritarian", "leximin"]
    assert "shifted" in failed["notes"][0]


def test_rules_that_look_at_single_jurors_have_no_interval():
    sample = Utilities(np.random.default_rng(8).random((50, 3)), ("A", "B", "C"), design=Design(np.ones(50)))
    for rule in ("leximin", "minimax_regret"):
        found = decide(sample, rule)
        assert np.isnan(found.low).all()
        assert any("these jurors only" in note for note in found.notes)
    assert np.isfinite(decide(sample, "borda").low).all()


@pytest.mark.parametrize(
    ("rule", "options", "said"),
    [
        ("bordo", {}, "Did you mean 'borda'"),
        ("approval", {}, "threshold"),
        ("prioritarian", {"concern": "root"}, "Unknown concern"),
    ],
)
def test_what_is_wrong_is_said(rule, options, said):
    with pytest.raises(PluralError, match=said):
        decide(CYCLE, rule, **options)


def test_one_candidate_wins_whatever_the_rule():
    alone = Utilities.of({"A": [2, 1]})
    assert all(decide(alone, rule, threshold=1).winners == ("A",) for rule in SCORES)
