"""Regressions equal R's svyglm, covariances and tests included; ordered ones are at their maximum."""

import numpy as np
import polars as pl
import pytest

from plural_nb.answers import Answers, Source
from plural_nb.errors import SurveyError
from plural_nb.survey.contrasts import difference
from plural_nb.survey.design import Design
from plural_nb.survey.likelihood import fit_ordered
from plural_nb.survey.measure import Measure
from plural_nb.survey.question import Option, Question, ask_for
from plural_nb.survey.regression import regress
from plural_nb.survey.replicates import jackknife

RELATIVE = 1e-8
YES_NO = ask_for("?", ["Yes", "No"])


def named(term):
    for column in ("gender", "region"):
        if term.startswith(column) and term != column:
            return f"{column}: {term[len(column) :]}"
    return {"(Intercept)": "(intercept)"}.get(term, term)


def test_a_regression_on_a_group_is_the_t_test_of_r(likert, likert_answers, designs, reference):
    row = reference("contrasts.json")["ttest"]
    two = likert.with_columns(pl.when(pl.col("gender") != "other").then("gender").alias("gender"))
    ours = regress(Measure.of(likert["q3"], designs["likert"]), two, ["gender"])
    assert (ours.coefficient[1], ours.t[1], ours.df_residual, ours.p[1]) == pytest.approx(
        (row["diff"], row["t"], row["df"], row["p"]), rel=RELATIVE
    )
    gap = difference(likert_answers(likert, "q3", designs["likert"]), "1", "woman", "man", by=likert["gender"])
    assert ours.se[1] == pytest.approx(gap.se)


def test_answers_are_regressed_by_option_value_or_order(likert, likert_answers, designs):
    answers = likert_answers(likert, "q3", designs["likert"])
    a = regress(answers, likert, ["age", "gender"], option="1")
    b = regress(Measure.of(likert["q3"], designs["likert"]), likert, ["age", "gender"], family="logistic")
    np.testing.assert_allclose(a.coefficient, b.coefficient, rtol=1e-9)
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-8)
    assert (a.n, a.left_out) == (1575, 0)
    assert "odds_ratio" in a.table().columns
    # Of two options in order, the ordered regression is the logistic one on the higher.
    question = Question("q3", "q3", (Option("0", code=0), Option("1", code=1)), kind="ordinal")
    two = Answers(question, answers.rows, answers.design, answers.domain, answers.source)
    c = regress(two, likert, ["age", "gender"], family="ordered")
    np.testing.assert_allclose(c.coefficient[:-1], a.coefficient[1:], rtol=1e-8)
    np.testing.assert_allclose(c.coefficient[-1], -a.coefficient[0], rtol=1e-8)
    np.testing.assert_allclose(c.se[:-1], a.se[1:], rtol=1e-8)
    assert c.df_residual == a.df_residual


def test_an_ordered_regression_is_at_the_maximum_near_where_r_stops(likert, likert_answers, designs, reference):
    row = next(r for r in reference("glm.json") if r["family"] == "svyolr_logistic")
    answers = likert_answers(likert, "q1", designs["likert"])
    question = Question("q1", "q1", tuple(Option(str(k), code=k) for k in range(1, 6)), kind="ordinal")
    ordinal = Answers(question, answers.rows, answers.design, answers.domain, answers.source)
    ours = regress(ordinal, likert, ["age", "gender", "region"], family="ordered")
    place = [ours.names.index(named(t) if "|" not in t else t.replace("|", " | ")) for t in row["terms"]]
    # R's svyolr stops early, so it is near and no more than that.
    np.testing.assert_allclose(ours.coefficient[place], row["coef"], atol=2e-2)
    np.testing.assert_allclose(ours.se[place], row["se"], rtol=2e-2)
    assert ours.left_out == likert["q1"].null_count()


def test_an_ordered_fit_has_no_slope_left_and_equals_statsmodels_without_weights():
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    r = np.random.default_rng(0)
    x = r.normal(size=(400, 2))
    y = np.digitize(x @ [0.8, -0.5] + r.logistic(size=400), [-1, 0.5, 2])
    ours = fit_ordered(x, np.eye(4)[y], np.ones(400))
    np.testing.assert_allclose(ours.influence.sum(axis=0), 0, atol=1e-10)
    theirs = OrderedModel(y, x, distr="logit").fit(method="newton", disp=False, maxiter=100)
    np.testing.assert_allclose(ours.coefficient[:2], theirs.params[:2], rtol=1e-6)
    # The sandwich of the influences is near the inverse information where the model holds.
    np.testing.assert_allclose(np.sqrt(np.diag(ours.influence.T @ ours.influence))[:2], theirs.bse[:2], rtol=0.15)


def test_fractional_answers_are_regressed_with_their_probabilities():
    r = np.random.default_rng(1)
    x = r.normal(size=300)
    p = 1 / (1 + np.exp(-(0.3 + 0.9 * x)))
    answers = Answers(
        YES_NO, np.stack([p, 1 - p], axis=1), Design(np.ones(300)), np.ones(300, dtype=bool), Source("personas", "m")
    )
    ours = regress(answers, pl.DataFrame({"x": x}), ["x"], option="Yes")
    np.testing.assert_allclose(ours.coefficient, [0.3, 0.9], rtol=1e-9)
    np.testing.assert_allclose(ours.se, 0, atol=1e-9)


def test_a_domain_is_not_a_filtered_file(likert, likert_answers, designs):
    answers = likert_answers(likert, "q3", designs["likert"]).within((likert["region"] == "North").to_numpy())
    ours = regress(answers, likert, ["age"], option="1")
    assert (ours.n, ours.df) == ((likert["region"] == "North").sum(), 6)


def test_replicates_agree_with_the_sandwich(likert, designs):
    measure = Measure.of(likert["age"], designs["likert"])
    made = Measure.of(likert["age"], jackknife(designs["likert"]))
    a, b = (regress(m, likert, ["region"]) for m in (measure, made))
    np.testing.assert_allclose(a.se, b.se, rtol=0.02)


@pytest.mark.parametrize(
    ("predictors", "rest", "message"),
    [
        (["aeg"], {}, "no column 'aeg' to regress on. Did you mean 'age'"),
        ([], {}, "one predictor or more"),
        (["age", "age"], {}, "each named once"),
        (["one"], {}, "'one' is the same for everybody"),
        (["age", "twice"], {}, "follow from the others"),
        (["age"], {"family": "probit"}, "Unknown family 'probit'"),
        (["age"], {"family": "logistic", "option": "Maybe"}, "no option 'Maybe'"),
        (["split"], {"option": "Yes"}, "decide the outcome fully"),
        (["age"], {"level": 95, "option": "Yes"}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_regressed_is_an_error(predictors, rest, message):
    places = [0, 1] * 10
    answers = Answers.from_places(Question("q", "?", ("Yes", "No"), kind="ordinal"), places)
    people = pl.DataFrame({"age": np.arange(20.0) % 7, "one": np.ones(20), "split": np.array(places) * 1.0})
    people = people.with_columns(twice=pl.col("age") * 2 + 1)
    with pytest.raises(SurveyError, match=message):
        regress(answers, people, predictors, **rest)


def test_a_logistic_regression_of_other_numbers_is_an_error():
    with pytest.raises(SurveyError, match="numbers from 0 to 1"):
        regress(Measure.of([1.0, 2.0, 3.0]), pl.DataFrame({"x": [1, 2, 4]}), ["x"], family="logistic")
    with pytest.raises(SurveyError, match="2 people for 3 rows"):
        regress(Measure.of([1.0, 2.0, 3.0]), pl.DataFrame({"x": [1, 2]}), ["x"])
    with pytest.raises(SurveyError, match="answers to a question"):
        regress(Measure.of([1.0, 2.0, 3.0]), pl.DataFrame({"x": [1, 2, 4]}), ["x"], family="ordered")
