"""Distances equal their definitions, in their unit, without scipy's traps."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from plural_nb.comparison.distances import entropy, hellinger, js_distance, kl, total_variation, wasserstein
from plural_nb.errors import PluralError, SurveyError
from plural_nb.survey.question import Option, Question, ask_for


def rows(k=4):
    return st.lists(st.floats(0, 1), min_size=k, max_size=k).filter(lambda x: sum(x) > 1e-3).map(
        lambda x: np.array(x) / sum(x)
    )  # fmt: skip


@given(rows(), rows(), rows())
def test_metrics_are_metrics(p, q, r):
    for distance in (
        js_distance,
        total_variation,
        hellinger,
        lambda a, b: wasserstein(a, b, [1, 2, 4, 8], normalised=True),
    ):
        assert distance(p, p) == pytest.approx(0, abs=1e-9)
        assert distance(p, q) == pytest.approx(distance(q, p), abs=1e-12)
        assert 0 <= distance(p, q) <= 1 + 1e-12
        assert distance(p, q) <= distance(p, r) + distance(r, q) + 1e-9


@given(rows(), rows())
def test_js_distance_equals_scipy_where_scipy_is_right(p, q):
    theirs = jensenshannon(p, q, base=2)
    if np.isfinite(theirs) and theirs > 1e-6:
        assert js_distance(p, q) == pytest.approx(theirs, rel=1e-6)


def test_js_distance_is_never_nan_for_nearly_equal_rows():
    r = np.random.default_rng(0)
    p = r.dirichlet(np.ones(5), 2000)
    q = p + 1e-17
    with np.errstate(invalid="ignore"):
        theirs = jensenshannon(p, np.nextafter(q, 1), axis=1)
    ours = js_distance(p, np.nextafter(q, 1))
    assert np.isnan(theirs).any(), "scipy has mended this: drop the test"
    assert np.isfinite(ours).all()
    assert ours.max() < 1e-7


def test_a_tiny_probability_is_no_trap():
    assert js_distance([0, 0, 1.0], [0, 1.0, 3e-183]) == pytest.approx(1)
    assert js_distance([1.0, 5e-324], [0.0, 1.0]) == pytest.approx(1)


def test_the_base_only_changes_the_unit():
    p, q = [0.1, 0.6, 0.3], [0.4, 0.4, 0.2]
    assert js_distance(p, q, base=math.e) / js_distance(p, q) == pytest.approx(0.8325546, abs=1e-7)
    assert js_distance([1, 0], [0, 1], base=math.e) == pytest.approx(math.sqrt(math.log(2)))


def test_rows_lie_along_the_last_axis():
    p = np.array([[0.5, 0.5], [1.0, 0.0]])
    assert js_distance(p, [1.0, 0.0]).shape == (2,)
    assert js_distance(p[:, None, :], p[None, :, :]).shape == (2, 2)
    assert js_distance(p, [1.0, 0.0])[1] == 0


def test_zero_cells_contribute_nothing():
    assert entropy([1.0, 0.0]) == 0
    assert kl([1.0, 0.0], [0.5, 0.5]) == pytest.approx(math.log(2))
    assert js_distance([0.5, 0.5, 0.0], [0.2, 0.8, 0.0]) == pytest.approx(js_distance([0.5, 0.5], [0.2, 0.8]))


def test_kl_is_infinite_where_an_option_is_impossible():
    assert kl([0.5, 0.5], [1.0, 0.0]) == math.inf
    assert kl([0.3, 0.7], [0.6, 0.4], base=2) == pytest.approx(stats.entropy([0.3, 0.7], [0.6, 0.4], base=2))


@pytest.mark.parametrize(
    ("p", "q", "values", "expected"),
    [
        ([0.1, 0.5, 0.4], [0.2, 0.3, 0.5], [1, 2, 1.5], 0.15),
        (np.array([0.2, 0.5]) / 0.7, np.array([0.3, 0.4]) / 0.7, [1, 2], 0.1428571),
        ([1, 0, 0], [0, 0, 1], [0, 50, 100], 100),
    ],
)
def test_wasserstein_worked_examples(p, q, values, expected):
    assert wasserstein(p, q, values) == pytest.approx(expected, abs=5e-8)
    weighted = stats.wasserstein_distance(values, values, u_weights=p, v_weights=q)
    assert wasserstein(p, q, values) == pytest.approx(weighted)
    span = max(values) - min(values)
    assert wasserstein(p, q, values, normalised=True) == pytest.approx(expected / span, abs=5e-8)


def test_a_nominal_question_has_no_wasserstein_distance():
    with pytest.raises(SurveyError, match="nominal: its options have no values"):
        wasserstein([1, 0], [0, 1], ask_for("Tea or coffee?", ["Tea", "Coffee"]))
    scale = Question("q", "?", (Option("low"), Option("middle"), Option("high")), kind="ordinal")
    assert wasserstein([1, 0, 0], [0, 0, 1], scale) == 2


def test_entropy_says_its_unit():
    uniform = np.full(8, 1 / 8)
    assert entropy(uniform) == pytest.approx(math.log(8))
    assert entropy(uniform, unit="bits") == pytest.approx(3)
    assert entropy(uniform, unit="normalised") == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: js_distance([0.5, 0.6], [0.5, 0.5]), "not a row of probabilities"),
        (lambda: js_distance([np.nan, 1], [0.5, 0.5]), "not a row of probabilities"),
        (lambda: js_distance([1.5, -0.5], [0.5, 0.5]), "not a row of probabilities"),
        (lambda: total_variation([0.5, 0.5], [0.3, 0.3, 0.4]), "2 and 3 options"),
        (lambda: js_distance([1, 0], [0, 1], base=1), "greater than 1"),
        (lambda: entropy([1, 0], unit="bit"), "Did you mean 'bits'"),
        (lambda: wasserstein([1, 0], [0, 1], [1, 2, 3]), "3 values for 2 options"),
        (lambda: wasserstein([1, 0], [0, 1], [1, 1], normalised=True), "same value"),
        (lambda: hellinger(0.5, 0.5), "not a single number"),
    ],
)
def test_bad_rows_are_refused(call, message):
    with pytest.raises(PluralError, match=message):
        call()
