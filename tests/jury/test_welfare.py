"""w_α is what its formula says, to 1e-12 over 18 orders of magnitude, without a jump, and zeros follow the limit."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plural_nb import PluralError
from plural_nb.jury.sweep import sweep, winners
from plural_nb.jury.utilities import Utilities
from plural_nb.jury.welfare import alpha_at, place_of, welfare

ALPHAS = [0, 1e-9, 0.1, 0.5, 1 - 1e-3, 1 - 1e-9, 1 - 1e-14, 1, 1 + 1e-12, 1 + 1e-7, 1.06, 1.5, 2, 7.3, 100, 1e3, 1e4]


def exact(utilities, weights, alpha):
    """The formula in 200 digits."""
    with mpmath.workdps(200):
        u = [mpmath.mpf(float(x)) for x in utilities]
        w = [mpmath.mpf(float(x)) for x in weights]
        total = mpmath.fsum(w)
        if np.isinf(alpha):
            return min(u)
        if alpha == 1:
            return mpmath.exp(mpmath.fsum(a * mpmath.log(x) for a, x in zip(w, u, strict=True)) / total)
        s = 1 - mpmath.mpf(float(alpha))
        return (mpmath.fsum(a * x**s for a, x in zip(w, u, strict=True)) / total) ** (1 / s)


def relative_error(found, truth):
    with mpmath.workdps(50):
        return float(abs(mpmath.mpf(float(found)) / truth - 1))


@pytest.mark.parametrize(
    "draw",
    [
        lambda r: 10.0 ** r.uniform(-9, 9, 30),
        lambda r: np.array([1e-9, 1e9, 1.0]),
        lambda r: 1 + 1e-9 * r.random(20),
        lambda r: 1e9 * (1 - 1e-12 * r.random(5)),
        lambda r: r.integers(1, 101, 40).astype(float),
        lambda r: np.full(7, 0.3),
    ],
)
def test_welfare_equals_200_digit_arithmetic_to_1e_12(draw):
    random = np.random.default_rng(1)
    u = draw(random)
    w = 10.0 ** random.uniform(-6, 2, u.size)
    found = welfare(u, [*ALPHAS, np.inf], weight=w)
    errors = [relative_error(f, exact(u, w, a)) for f, a in zip(found, [*ALPHAS, np.inf], strict=True)]
    assert max(errors) < 1e-12


def test_named_means_are_special_cases():
    u, w = np.array([1.0, 3.0, 9.0]), np.array([1.0, 2.0, 1.0])
    mean, geometric, harmonic = 16 / 4, (1 * 9 * 9) ** 0.25, 4 / (1 + 2 / 3 + 1 / 9)
    assert welfare(u, [0, 1, 2, np.inf], weight=w) == pytest.approx([mean, geometric, harmonic, 1.0], rel=1e-14)


def test_jurors_without_weight_do_not_count_even_for_the_minimum():
    assert welfare([0.0, 2.0, 8.0], [0, 1, np.inf], weight=[0, 1, 1]) == pytest.approx([5, 4, 2], rel=1e-14)


def test_there_is_no_jump_at_one():
    random = np.random.default_rng(2)
    u = 10.0 ** random.uniform(-9, 9, 50)
    steps = 10.0 ** -np.arange(9, 17)
    w = welfare(u, np.concatenate([1 - steps, [1.0], 1 + steps]))
    # Next to 1, log w falls by half the variance of log u per unit of α.
    line = np.concatenate([steps, [0.0], -steps]) * np.var(np.log(u)) / 2
    assert w / w[8] - 1 == pytest.approx(line, abs=1e-10)


def test_welfare_is_in_the_units_of_the_utilities():
    u = np.random.default_rng(3).uniform(1, 100, (30, 4))
    alphas = [0, 0.3, 1, 5, 1e4, np.inf]
    assert welfare(1e6 * u, alphas) == pytest.approx(1e6 * welfare(u, alphas), rel=1e-12)


@given(
    st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=12),
    st.lists(st.floats(0, 1e4), min_size=2, max_size=6),
)
def test_welfare_only_falls_as_alpha_grows_and_stays_between_least_and_most(u, alphas):
    w = welfare(u, [*sorted(alphas), np.inf])
    assert (w[1:] <= w[:-1] * (1 + 1e-12)).all()
    assert (min(u) <= w * (1 + 1e-12)).all()
    assert (w <= max(u) * (1 + 1e-12)).all()


@given(
    st.lists(st.tuples(st.floats(1e-6, 1e6), st.floats(0.01, 10)), min_size=1, max_size=10),
    st.floats(1e-3, 1e3),
    st.randoms(),
)
def test_order_of_jurors_and_unit_of_weights_do_not_matter(jurors, factor, random):
    shuffled = list(jurors)
    random.shuffle(shuffled)
    alphas = [0, 0.5, 1, 3, 50, np.inf]
    one = welfare([u for u, _ in jurors], alphas, weight=[w for _, w in jurors])
    other = welfare([u for u, _ in shuffled], alphas, weight=[w * factor for _, w in shuffled])
    assert other == pytest.approx(one, rel=1e-12)


@settings(max_examples=60)
@given(st.integers(0, 10_000))
def test_a_clone_leaves_the_welfare_of_the_others_alone(seed):
    u = np.random.default_rng(seed).integers(0, 5, (6, 3)).astype(float)
    alphas = [0, 1, 3, np.inf]
    assert np.array_equal(welfare(np.column_stack([u, u[:, 0]]), alphas)[:, :3], welfare(u, alphas))


@settings(max_examples=80)
@given(st.integers(0, 10_000), st.booleans())
def test_no_candidate_that_every_juror_likes_less_wins(seed, zeros):
    random = np.random.default_rng(seed)
    u = random.integers(0 if zeros else 1, 6, (5, 3)).astype(float)
    worse = u[:, 0] * random.uniform(0.5, 0.99, 5) if not zeros else np.maximum(u[:, 0] - 1, 0)
    if zeros and not (worse < u[:, 0]).all():
        worse = np.zeros(5)
        u[:, 0] += 1
    jury = Utilities.of(np.column_stack([u, worse]))
    assert all("D" not in won for won in winners(jury, [0, 0.5, 1, 2, 20, 1e4, np.inf]))


@settings(max_examples=80)
@given(st.integers(0, 10_000))
def test_no_weakly_dominated_candidate_wins_while_utilities_are_positive(seed):
    random = np.random.default_rng(seed)
    u = random.uniform(0.1, 1, (6, 3))
    worse = u[:, 0].copy()
    worse[random.integers(0, 6)] *= 0.9
    jury = Utilities.of(np.column_stack([u, worse]))
    assert all("D" not in won for won in winners(jury, [0, 0.5, 1, 2, 20]))


def test_zeros_are_ranked_by_the_limit():
    """A zero makes welfare 0 from α = 1 on: then fewest zeros, the rest's welfare, and leximin at ∞."""
    jury = Utilities.of(
        {"two": [0, 0, 9, 9], "one": [0, 1, 1, 1], "better": [0, 2, 2, 1], "none": [0.1, 0.1, 0.1, 0.1]}
    )
    swept = sweep(jury, [0, 0.999, 1, 5, np.inf])
    assert (swept.welfare[2:, :3] == 0).all()
    assert swept.rank[0].tolist() == [1, 3, 2, 4]
    for row in swept.rank[1:]:
        assert row.tolist() == [4, 3, 2, 1]
    assert swept.ranked_by == ("welfare", "welfare", "fewest zeros", "fewest zeros", "leximin")


def test_the_limit_rule_is_the_limit():
    """Replacing zeros by less and less gives the same ranks in the end."""
    random = np.random.default_rng(7)
    for _ in range(30):
        u = random.integers(0, 4, (7, 4)).astype(float)
        w = random.uniform(0.5, 2, 7)
        # From α = 1 on a zero's weight outweighs all else once it is small enough; at α = 1 it takes the longest.
        tiny = np.where(u == 0, 1e-300, u)
        for alpha in (1.0, 1.5, 3.0):
            ranks = sweep(Utilities.of(u, w), [alpha]).rank[0]
            assert ranks.tolist() == sweep(Utilities.of(tiny, w), [alpha]).rank[0].tolist()


def test_below_one_zeros_thin_the_sum_out():
    u, w = np.array([0.0, 4.0, 9.0]), np.array([2.0, 1.0, 1.0])
    assert welfare(u, 0.5, weight=w) == pytest.approx((0.25 * 2 + 0.25 * 3) ** 2, rel=1e-14)
    assert welfare(u, 1 - 1e-9, weight=w) == 0
    assert relative_error(welfare(u, 0.99, weight=w), exact(u, w, 0.99)) < 1e-12


def test_missing_ratings_are_left_out_never_zero():
    jury = Utilities.of({"A": [4.0, None, 2.0], "B": [1.0, 2.0, None]}, [1, 5, 3])
    assert welfare(jury, 0) == pytest.approx([(4 + 6) / 4, 11 / 6], rel=1e-14)
    assert welfare(jury, np.inf).tolist() == [2, 1]


def test_places_on_the_scale_and_alphas_are_each_others_inverse():
    a = np.linspace(0, 1, 11)
    assert place_of(alpha_at(a)) == pytest.approx(a, abs=1e-15)


@pytest.mark.parametrize(
    ("table", "alpha", "said"),
    [
        ({"A": [1, -2.4]}, 0, r"lowest is -2.4.*shifted\(2.4\)"),
        ({"A": [1, np.inf]}, 0, "infinite"),
        ({"A": [1, 2]}, -1, "from 0"),
        ({"A": [1, 2]}, np.nan, "from 0"),
        ({"A": [1, 2]}, "x", "number"),
        ({"A": [None, None]}, 0, "No juror rated"),
        ({"A": ["good"]}, 0, "numbers"),
        ({}, 0, "one column per candidate"),
    ],
)
def test_what_is_wrong_is_said(table, alpha, said):
    with pytest.raises(PluralError, match=said):
        welfare(Utilities.of(table), alpha)


def test_one_juror_one_candidate_and_all_alike_are_no_trouble():
    assert welfare(Utilities.of({"A": [3]}), [0, 1, 9, np.inf]) == pytest.approx([3] * 4, rel=1e-14)
    alike = sweep(Utilities.of(np.full((5, 3), 2.0)), [0, 1, np.inf])
    assert (alike.rank == 1).all()
    silent = Utilities.of({"A": [3, None], "B": [1, None]})
    assert welfare(silent, 0).tolist() == [3, 1]
    assert "1 of 2 jurors rated nothing" in silent.about()
    unrated = sweep(Utilities.of({"A": [3, 2], "B": [None, None]}), [0, 1, np.inf])
    assert unrated.rank[:, 1].tolist() == [0, 0, 0]
    assert np.isnan(unrated.welfare[:, 1]).all()
    assert unrated.table()["welfare"].null_count() == 3
