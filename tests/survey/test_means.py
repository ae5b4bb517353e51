"""Means, totals and quantiles equal R's, and hold what they promise."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plural_nb.answers import Answers, Source
from plural_nb.errors import SurveyError
from plural_nb.survey.design import Design
from plural_nb.survey.means import mean, total
from plural_nb.survey.measure import Measure
from plural_nb.survey.quantiles import quantile
from plural_nb.survey.question import Option, Question
from plural_nb.survey.replicates import jackknife

RELATIVE = 1e-10
INTERVALS = {"mean": "wald", "xlogit": "logit", "beta": "korn-graubard"}


def test_the_answers_to_an_ordinal_question_are_its_values(likert, likert_answers, designs):
    answers = likert_answers(likert, "q1", designs["likert"])
    question = Question("q1", "q1", tuple(Option(str(k), code=k) for k in range(1, 6)), kind="ordinal")
    ordinal = Answers(question, answers.rows, answers.design, answers.domain, answers.source)
    measure = Measure.of(likert["q1"], designs["likert"])
    by = likert["region"]
    for made in (mean, total):
        a, b = made(ordinal, by=by), made(measure, by=by)
        np.testing.assert_allclose(a.estimate, b.estimate)
        np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-9)
    np.testing.assert_array_equal(quantile(ordinal, by=by).low, quantile(measure, by=by).low)
    with pytest.raises(SurveyError, match="nominal"):
        mean(answers)


def test_fractional_rows_spread_over_the_values():
    question = Question("t", "?", (Option("0"), Option("1"), Option("2")), kind="ordinal")
    rows = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75], [0.2, 0.2, 0.6]])
    answers = Answers(question, rows, Design(np.ones(3)), np.ones(3, dtype=bool), Source("personas", "x"))
    expected = rows @ [1, 2, 3]
    found = mean(answers)
    assert found.estimate[0] == pytest.approx(expected.mean())
    assert found.se[0] == pytest.approx(expected.std(ddof=1) / np.sqrt(3))
    # A third of each mass below: 0.7/3 at 1, 1.65/3 at or below 2.
    assert quantile(answers, [0.2, 0.5, 0.6]).estimate[0].tolist() == [1, 2, 3]


def test_what_carries_no_opinion_has_no_value():
    options = (Option("0"), Option("1"), Option("can't say", substantive=False))
    question = Question("t", "?", options, kind="ordinal")
    rows = np.array([[0.2, 0.2, 0.6], [0.1, 0.9, 0.0], [0.5, 0.3, 0.2], [0.0, 0.0, 1.0]])
    answers = Answers(question, rows, Design(np.ones(4)), np.ones(4, dtype=bool), Source("personas", "x"))
    found, shares = mean(answers), answers.shares()
    assert found.estimate[0] == pytest.approx(shares.share[0] @ [1, 2])
    assert found.se[0] == pytest.approx(np.sqrt([1, 2] @ shares.covariance[0] @ [1, 2]))
    assert found.n[0] == 3


def test_a_share_of_exactly_p_is_reached_whatever_the_rounding():
    for w in (np.ones(10), np.full(10, 0.1), np.full(10, 1 / 3)):
        measure = Measure.of(np.arange(1.0, 11.0), Design(w))
        assert quantile(measure, [0.1, 0.3, 0.7]).estimate[0].tolist() == [1, 3, 7]
        assert quantile(measure, [0.1, 0.3, 0.7], rule="school").estimate[0].tolist() == [1.5, 3.5, 7.5]


@st.composite
def samples(draw):
    r = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(16, 60))
    stratum = np.arange(size) % 2
    psu = stratum * 4 + np.arange(size) // 2 % 4
    x = r.normal(size=size)
    x[r.uniform(size=size) < 0.1] = np.nan
    x[:2] = 1.0
    return x, r.uniform(0.2, 5, size), stratum, psu, [str(g) for g in r.integers(0, 3, size)]


@given(samples(), st.floats(1e-3, 1e3))
@settings(max_examples=50, deadline=None)
def test_totals_scale_with_the_weights_and_means_do_not(sample, scale):
    x, w, stratum, psu, by = sample
    a, b = (Measure.of(x, Design(v, stratum, psu)) for v in (w, scale * w))
    np.testing.assert_allclose(mean(a, by=by).se, mean(b, by=by).se, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(mean(a).estimate, mean(b).estimate, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(total(a, by=by).estimate * scale, total(b, by=by).estimate, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(total(a).se * scale, total(b).se, rtol=1e-9)


@given(samples(), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_nothing_depends_on_the_order_of_rows(sample, seed):
    x, w, stratum, psu, by = sample
    order = np.random.default_rng(seed).permutation(x.size)
    a = Measure.of(x, Design(w, stratum, psu))
    b = Measure.of(x[order], Design(w[order], stratum[order], psu[order]))
    for made in (mean, total, quantile):
        one, other = made(a, by=by), made(b, by=[by[i] for i in order])
        place = [other.groups.index(name) for name in one.groups]
        for name in ("estimate", "se", "low", "high"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name)[place], rtol=1e-9, atol=1e-9)


@given(samples())
@settings(max_examples=50, deadline=None)
def test_the_totals_of_domains_add_up_with_their_covariances(sample):
    x, w, stratum, psu, by = sample
    measure = Measure.of(x, Design(w, stratum, psu))
    parts, whole = total(measure, by=by), total(measure)
    assert np.nansum(parts.estimate) == pytest.approx(whole.estimate[0], abs=1e-9)
    assert parts.covariance.sum() == pytest.approx(whole.se[0] ** 2, rel=1e-9)


@given(samples())
@settings(max_examples=30, deadline=None)
def test_the_jackknife_of_a_total_is_its_taylor_error(sample):
    x, w, stratum, psu, by = sample
    design = Design(w, stratum, psu)
    a, b = total(Measure.of(x, design), by=by), total(Measure.of(x, jackknife(design)), by=by)
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-9, atol=1e-9)


def test_a_group_without_numbers_is_nan_and_null_in_the_table():
    measure = Measure.of([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, None])
    by = ["a"] * 6 + ["b"]
    for found in (mean(measure, by=by), total(measure, by=by), quantile(measure, [0.5], by=by)):
        assert np.isnan(np.ravel(found.estimate)[1])
        assert found.n.tolist() == [6, 0]
        assert found.table()["se"].null_count() == 1


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Measure.of([1.0, float("inf")]), "row 2 is infinite"),
        (lambda: Measure.of(["a", "b"]), "not all of them are numbers"),
        (lambda: Measure.of([None, None]), "nobody in the population has a number"),
        (lambda: Measure.of([1.0], Design(np.ones(2))), "1 numbers for 2 rows"),
        (lambda: mean(Measure.of([1.0, 2.0]), level=95), "between 0 and 1"),
        (lambda: quantile(Measure.of([1.0, 2.0]), [50]), "probabilities of quantiles lie between 0 and 1"),
        (lambda: quantile(Measure.of([1.0, 2.0]), rule="hf3"), "Unknown rule 'hf3'"),
        (lambda: mean(Measure.of(pl.Series(["x", "y"]))), "not all of them are numbers"),
    ],
)
def test_numbers_that_cannot_be_are_an_error(made, message):
    with pytest.raises(SurveyError, match=message):
        made()
