"""Weights and standard errors equal R's after every way of fitting weights, and what cannot be fitted is refused."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plural_nb.answers import Answers
from plural_nb.errors import SurveyError
from plural_nb.survey.design import Design
from plural_nb.survey.question import ask_for
from plural_nb.survey.shares import estimate
from plural_nb.survey.weighting import calibrate, post_stratify, rake, trim

ORACLE = Path(__file__).parent / "oracle"


@pytest.fixture(scope="module")
def margins():
    table = pl.read_csv(ORACLE / "likert_margins.csv")
    return {
        variable: dict(table.filter(pl.col("variable") == variable).select("level", "total").rows())
        for variable in table["variable"].unique(maintain_order=True)
    }


def test_the_result_says_what_raking_cost(likert, margins):
    raked = rake(likert, margins, weight="weight")
    w, base = raked.weight, likert["weight"].to_numpy()
    assert raked.n_eff_kish_before == pytest.approx(base.sum() ** 2 / (base**2).sum())
    assert raked.n_eff_kish_after == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert (raked.largest, raked.smallest) == (w.max(), w.min())
    assert raked.error <= 1e-12
    assert "of 1575 people" in raked.sentence()


@pytest.fixture(scope="module")
def fitted(likert, margins):
    """Every weighting of the reference."""
    cells = likert.with_columns(pl.Series("w", pl.read_csv(ORACLE / "weights_likert.csv")["poststrat_region_age"]))
    totals = cells.group_by("region", "age_group").agg(pl.col("w").sum()).rows()
    raked = rake(likert, margins, weight="weight")
    return {
        "poststrat_region": post_stratify(likert, "region", margins["region"], weight="weight"),
        "poststrat_region_age": post_stratify(
            likert, ["region", "age_group"], {(a, b): total for a, b, total in totals}, weight="weight"
        ),
        "rake_region_gender": rake(likert, {v: margins[v] for v in ("region", "gender")}, weight="weight"),
        "rake3": raked,
        "greg3": calibrate(likert, margins, weight="weight"),
        "greg3_bounds_05_2": calibrate(likert, margins, weight="weight", bounds=(0.5, 2.0)),
        "calraking3": calibrate(likert, margins, weight="weight", distance="raking"),
        "rake3_trim_4med": trim(raked, lower_medians=0.1, upper_medians=4),
    }


def test_what_the_totals_know_exactly_has_no_variance(likert, likert_answers, designs, fitted):
    for name in ("poststrat_region", "greg3", "calraking3", "greg3_bounds_05_2"):
        shares = estimate(likert_answers(likert, "region", fitted[name].design(designs["likert"])))
        np.testing.assert_allclose(shares.se, 0, atol=1e-12, err_msg=name)
    naive = estimate(likert_answers(likert, "region", fitted["greg3"].design(designs["likert"], residuals=False)))
    assert (naive.se > 0.01).all()


def test_linear_calibration_may_make_weights_negative_and_bounds_prevent_it():
    people = pl.DataFrame({"age": [20.0, 30.0, 40.0, 90.0], "one": [1.0, 1.0, 1.0, 1.0]})
    free = calibrate(people, {"one": 4, "age": 90})
    assert (free.weight < 0).any()
    np.testing.assert_allclose([free.weight.sum(), free.weight @ people["age"].to_numpy()], [4, 90])
    design = free.design(Design(np.ones(4)))
    assert np.isfinite(estimate(Answers.from_places(ask_for("?", ["A", "B"]), [0, 1, 0, 1], design=design)).se).all()
    bounded = calibrate(people, {"one": 4, "age": 130}, bounds=(0.3, 2.5))
    assert bounded.weight.min() >= 0.3
    np.testing.assert_allclose(bounded.weight @ people["age"].to_numpy(), 130)
    with pytest.raises(SurveyError, match="No weights within the bounds"):
        calibrate(people, {"one": 4, "age": 90}, bounds=(0.9, 1.1))


@given(st.lists(st.floats(0.1, 50), min_size=3, max_size=40), st.floats(1.2, 5))
@settings(max_examples=60, deadline=None)
def test_trimming_keeps_the_sum_and_the_limits(weights, medians):
    w = np.array(weights)
    upper = medians * np.median(w)
    if w.mean() > upper:
        return
    cut = trim(w, upper=upper).weight
    assert cut.sum() == pytest.approx(w.sum(), rel=1e-9)
    assert cut.max() <= upper * (1 + 1e-12)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_raking_twice_changes_nothing(seed):
    r = np.random.default_rng(seed)
    people = pl.DataFrame({"a": [0, 1, 2, *r.integers(0, 3, 80)], "b": [0, 1, 0, *r.integers(0, 2, 80)]})
    share = r.dirichlet([5, 5, 5])
    margins = {"a": dict(enumerate(share * 1000)), "b": {0: 400.0, 1: 600.0}}
    once = rake(people, margins)
    twice = rake(people, margins, weight=once.weight)
    np.testing.assert_allclose(twice.weight, once.weight, rtol=1e-10)
    assert twice.rounds == 1


PEOPLE = pl.DataFrame({"age": ["young", "old", "old"], "sex": ["f", "m", None], "w": [1.0, -1.0, 1.0]})


@pytest.mark.parametrize(
    ("margins", "rest", "message"),
    [
        ({"age": {"young": 1, "old": 1, "older": 1}}, {}, "Nobody has 'age' = 'older'"),
        ({"age": {"young": 1}}, {}, "'age' has 2 people with 'old', which has no target"),
        ({"age": {"young": 1, "old": 0}}, {}, "a target is a positive number"),
        ({"aeg": {"young": 1}}, {}, "no column 'aeg' to rake. Did you mean 'age'"),
        ({"sex": {"f": 1, "m": 1}}, {}, "'sex' is missing for 1 of 3 people"),
        ({}, {}, "at least one margin"),
        ({"age": {"young": 1, "old": 1}}, {"weight": "w"}, "1 base weights are negative"),
        ({"age": {"young": 1, "old": 1}}, {"weight": "weigth"}, "no weight column 'weigth'"),
        ({"age": {"young": 1, "old": 1}}, {"weight": np.ones(2)}, "2 weights for 3 people"),
    ],
)
def test_what_cannot_be_raked_is_an_error(margins, rest, message):
    with pytest.raises(SurveyError, match=message):
        rake(PEOPLE, margins, **rest)


def test_totals_that_cannot_be_used_are_an_error():
    people = pl.DataFrame({"a": ["x", "y", "y"], "b": ["u", "v", "v"]})
    with pytest.raises(SurveyError, match="Some totals follow from the others"):
        calibrate(people, {"a": {"x": 1, "y": 2}, "b": {"u": 1, "v": 2}})
    with pytest.raises(SurveyError, match="margins disagree: 'b' adds up to 4"):
        calibrate(people, {"a": {"x": 1, "y": 2}, "b": {"u": 1, "v": 3}})
    with pytest.raises(SurveyError, match=r"has 2 people with .*'y', 'v'.*no target"):
        post_stratify(people, ["a", "b"], {("x", "u"): 1.0})
    with pytest.raises(SurveyError, match="not the base weights that were fitted"):
        rake(people, {"a": {"x": 1, "y": 2}}).design(Design(np.array([1.0, 2.0, 3.0])))
    with pytest.raises(SurveyError, match="lower limit of a weight, 3, must be below"):
        trim(np.array([1.0, 2.0]), lower=3, upper=2)
    with pytest.raises(SurveyError, match=r"mean weight is 1\.5; weights cannot all lie"):
        trim(np.array([1.0, 2.0]), lower=0, upper=1.2)


def test_margins_that_disagree_are_an_error():
    people = pl.DataFrame({"a": [1, 2], "b": [1, 2]})
    with pytest.raises(SurveyError, match="margins disagree: 'a' adds up to 2, 'b' to 3"):
        rake(people, {"a": {1: 1, 2: 1}, "b": {1: 1, 2: 2}})


def test_margins_that_contradict_each_other_do_not_settle():
    people = pl.DataFrame({"a": [1, 2], "b": [1, 2]})
    with pytest.raises(SurveyError, match="did not settle in 50 rounds"):
        rake(people, {"a": {1: 1, 2: 1}, "b": {1: 0.5, 2: 1.5}}, max_rounds=50)
