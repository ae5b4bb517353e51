"""Quantiles follow the rules they are named after."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plural_nb.errors import SurveyError
from plural_nb.survey.design import Design
from plural_nb.survey.measure import Measure
from plural_nb.survey.quantiles import quantile

# numpy's names for Hyndman and Fan's rules.
NUMPY = {
    "math": "inverted_cdf", "school": "averaged_inverted_cdf", "hf4": "interpolated_inverted_cdf", "hf5": "hazen",
    "hf6": "weibull", "hf7": "linear", "hf8": "median_unbiased", "hf9": "normal_unbiased",
}  # fmt: skip
P = [0.03, 0.1, 0.25, 0.5, 0.61, 0.9, 0.99]


@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
@settings(max_examples=40, deadline=None)
def test_without_weights_the_rules_are_those_of_numpy(seed, n):
    x = np.random.default_rng(seed).normal(size=n).round(1)
    for rule, method in NUMPY.items():
        found = quantile(Measure.of(x), P, rule=rule).estimate[0]
        np.testing.assert_allclose(found, np.quantile(x, P, method=method), rtol=1e-9, atol=1e-12, err_msg=rule)


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_the_unit_of_the_weights_does_not_matter(seed, scale):
    r = np.random.default_rng(seed)
    x, w = r.integers(0, 9, 50).astype(float), r.uniform(0.2, 5, 50)
    for rule in (*NUMPY, "rounded", "shahvaish"):
        a, b = (quantile(Measure.of(x, Design(v)), P, rule=rule).estimate for v in (w, w * scale))
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=rule)


def test_the_rule_of_r_4_1_is_shah_and_vaishs_only_for_weights_of_mean_1(likert):
    age, w = likert["age"], likert["weight"].to_numpy()
    right = quantile(Measure.of(age, Design(w)), P, rule="shahvaish").estimate
    as_in_r = [quantile(Measure.of(age, Design(v)), P, rule="shahvaish-r4.1").estimate for v in (w, w / w.mean())]
    np.testing.assert_array_equal(as_in_r[1], right)
    assert (np.abs(as_in_r[0] - right) >= 3).any()
    near = quantile(Measure.of(age, Design(w)), P).estimate
    assert np.abs(right - near).max() <= 1


def test_a_line_between_distinct_numbers_ignores_the_order_of_rows(likert):
    mixed = likert.sample(fraction=1, shuffle=True, seed=3)
    a, b = (
        quantile(Measure.of(f["age"], Design(f["weight"].to_numpy())), P, rule="rounded").estimate
        for f in (likert, mixed)
    )
    np.testing.assert_allclose(a, b, rtol=1e-12)


def test_one_person_is_every_quantile():
    for rule in (*NUMPY, "rounded", "shahvaish"):
        assert quantile(Measure.of([5.0]), [0.2, 0.9], rule=rule).estimate.tolist() == [[5, 5]]


def test_unknown_rules_are_named():
    measure = Measure.of(pl.Series([1.0, 2.0]))
    with pytest.raises(SurveyError, match="Unknown rule 'hf3'"):
        quantile(measure, rule="hf3")
    with pytest.raises(SurveyError, match="Unknown way around 'p'"):
        quantile(measure, around="p")
