"""Tests of independence equal R's svychisq, and count the design."""

import numpy as np
import polars as pl
import pytest

from plural_nb.answers import Answers
from plural_nb.errors import SurveyError
from plural_nb.survey.design import Design
from plural_nb.survey.independence import independence
from plural_nb.survey.question import ask_for

RELATIVE = 1e-10
YES_NO = ask_for("?", ["Yes", "No"])


def test_under_simple_random_sampling_it_is_pearsons():
    r = np.random.default_rng(0)
    places, by = r.integers(0, 2, 2000), [str(g) for g in r.integers(0, 3, 2000)]
    test = independence(Answers.from_places(YES_NO, places), by)
    np.testing.assert_allclose(test.deff, 1.0, atol=0.02)
    assert test.f * 2 == pytest.approx(test.chi2, rel=0.02)


def test_clusters_that_answer_alike_make_the_test_less_sure():
    r = np.random.default_rng(1)
    psu = np.arange(400) // 10
    places = r.integers(0, 2, 40)[psu]
    by = [str(g) for g in r.integers(0, 2, 40)[psu]]
    clustered = independence(Answers.from_places(YES_NO, places, design=Design(np.ones(400), psu=psu)), by)
    naive = independence(Answers.from_places(YES_NO, places), by)
    assert clustered.chi2 == pytest.approx(naive.chi2)
    assert clustered.deff[0] > 5 * naive.deff[0]
    assert clustered.p > naive.p


def test_two_questions_are_tested_like_a_question_and_groups(likert, likert_answers, designs):
    a, b = (likert_answers(likert, name, designs["likert"]) for name in ("q1", "q2"))
    by = likert["q2"].cast(pl.String)
    assert independence(a, b).f == pytest.approx(independence(a, by).f, rel=1e-9)
    assert independence(b, a).f == pytest.approx(independence(a, b).f, rel=1e-9)


def test_what_cannot_be_tested_is_an_error():
    answers = Answers.from_places(YES_NO, [0, 1, 0, 1])
    with pytest.raises(SurveyError, match="there are 2 and 1"):
        independence(answers, ["a"] * 4)
    with pytest.raises(SurveyError, match="4 and 2 rows"):
        independence(answers, Answers.from_places(YES_NO, [0, 1]))
    probable = Answers(YES_NO, np.full((4, 2), 0.5), answers.design, answers.domain, answers.source)
    with pytest.raises(SurveyError, match="observed answers only"):
        independence(probable, ["a", "b"] * 2)
