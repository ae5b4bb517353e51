"""Contrasts of groups equal R's, covariances across groups included."""

import numpy as np
import pytest

from plural_nb.answers import Answers
from plural_nb.errors import SurveyError
from plural_nb.survey.contrasts import contrast, difference
from plural_nb.survey.design import Design
from plural_nb.survey.question import ask_for
from plural_nb.survey.replicates import jackknife
from plural_nb.survey.shares import difference_covariance, estimate, joint_shares_covariance
from plural_nb.survey.weighting import rake

RELATIVE = 1e-10


def test_differences_of_groups_and_their_covariances_equal_r(likert, likert_answers, designs, reference):
    rows = reference("contrasts.json")["contrasts"]
    assert len(rows) == 5
    answers = likert_answers(likert, "q1", designs["likert"])
    by = likert["gender"]
    groups = estimate(answers, by=by).groups
    V = joint_shares_covariance(answers, by)
    for row in rows:
        ours = difference(answers, str(row["level"]), "woman", "man", by=by)
        assert (ours.estimate, ours.se) == pytest.approx((row["est"], row["se"]), rel=RELATIVE)
        place = [groups.index(name) for name in row["order"]]
        k = row["level"] - 1
        np.testing.assert_allclose(V[np.ix_(place, [k], place, [k])][:, 0, :, 0], row["vcov"], rtol=1e-9)


def test_the_t_of_two_groups_equals_r(likert, likert_answers, designs, reference):
    row = reference("contrasts.json")["ttest"]
    ours = difference(likert_answers(likert, "q3", designs["likert"]), "1", "woman", "man", by=likert["gender"])
    assert (ours.estimate, ours.t) == pytest.approx((row["diff"], row["t"]), rel=RELATIVE)
    # R's svyttest is a regression on the group and spends one degree of freedom on it; ours are those of the design.
    assert ours.df == row["df"] + 1 == 24


@pytest.mark.parametrize("kind", ["strata and PSUs", "strata", "PSUs", "neither", "raked", "jackknife"])
def test_the_blocks_of_the_joint_covariance_are_the_groups_own(likert, likert_answers, kind):
    w, h, a = (likert[name].to_numpy() for name in ("weight", "stratum", "psu"))
    design = {
        "strata": Design.from_columns(w, h),
        "PSUs": Design.from_columns(w, psu=a),
        "neither": Design.from_columns(w),
    }.get(kind, Design.from_columns(w, h, a))
    if kind == "raked":
        design = rake(likert, {"gender": {"woman": 5e5, "man": 4.8e5, "other": 2e4}}, weight="weight").design(design)
    if kind == "jackknife":
        design = jackknife(design)
    answers, by = likert_answers(likert, "q1", design), likert["region"]
    V, shares = joint_shares_covariance(answers, by), estimate(answers, by=by)
    for g in range(len(shares.groups)):
        np.testing.assert_allclose(V[g, :, g], shares.covariance[g], rtol=1e-9, atol=1e-18)
    one, other = (answers.within((by == name).to_numpy()) for name in shares.groups[:2])
    gap = V[0, :, 0] + V[1, :, 1] - V[0, :, 1] - V[1, :, 0]
    np.testing.assert_allclose(gap, difference_covariance(one, other), rtol=1e-9, atol=1e-18)


def test_the_degrees_of_freedom_are_those_of_the_groups_contrasted(likert, likert_answers, designs):
    answers, by = likert_answers(likert, "q1", designs["likert"]), likert["region"]
    # Each region has six strata of two PSUs.
    assert difference(answers, "1", "North", "South", by=by).df == 12
    everywhere = {("North", "1"): 3, ("South", "1"): -1, ("East", "1"): -1, ("West", "1"): -1}
    assert contrast(answers, everywhere, by=by).df == 24


def test_fractional_answers_can_be_contrasted():
    r = np.random.default_rng(0)
    rows = r.dirichlet([1, 1], 100)
    people = Answers.from_places(ask_for("?", ["A", "B"]), [0] * 100)
    answers = Answers(people.question, rows, people.design, people.domain, people.source)
    gap = difference(answers, "A", "x", "y", by=["x", "y"] * 50)
    x, y = rows[::2, 0], rows[1::2, 0]
    assert gap.estimate == pytest.approx(x.mean() - y.mean())
    assert gap.se == pytest.approx(np.sqrt(100 / 99 * (x.var() / 50 + y.var() / 50)))
    assert gap.df == 99
    assert 0 < gap.p < 1


def test_what_cannot_be_contrasted_is_an_error():
    answers = Answers.from_places(ask_for("?", ["Yes", "No"]), [0, 1, 0, None])
    by = ["a", "a", "b", "c"]
    for coefficients, message in [
        ({("aa", "Yes"): 1}, "no group 'aa'"),
        ({("a", "Yess"): 1}, "no option 'Yess'. Did you mean 'Yes'"),
        ({("c", "Yes"): 1}, "Nobody in group 'c'"),
        ({}, "at least one coefficient"),
    ]:
        with pytest.raises(SurveyError, match=message):
            contrast(answers, coefficients, by=by)
