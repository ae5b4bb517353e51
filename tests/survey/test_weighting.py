"""Raking equals R's, meets its targets, and refuses what it cannot meet."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plural_nb.errors import SurveyError
from plural_nb.survey.weighting import rake

ORACLE = Path(__file__).parent / "oracle"


@pytest.fixture(scope="module")
def margins():
    table = pl.read_csv(ORACLE / "likert_margins.csv")
    return {
        variable: dict(table.filter(pl.col("variable") == variable).select("level", "total").rows())
        for variable in table["variable"].unique(maintain_order=True)
    }


@pytest.mark.parametrize(
    ("column", "variables"),
    [
        ("poststrat_region", ["region"]),
        ("rake_region_gender", ["region", "gender"]),
        ("rake3", ["region", "gender", "age_group"]),
    ],
)
def test_raked_weights_equal_r(likert, margins, column, variables):
    ours = rake(likert, {v: margins[v] for v in variables}, weight="weight")
    np.testing.assert_allclose(ours.weight, pl.read_csv(ORACLE / "weights_likert.csv")[column], rtol=1e-9)
    for variable in variables:
        for level, total in margins[variable].items():
            here = (likert[variable] == level).to_numpy()
            assert ours.weight[here].sum() == pytest.approx(total, rel=1e-12)


def test_the_result_says_what_raking_cost(likert, margins):
    raked = rake(likert, margins, weight="weight")
    w, base = raked.weight, likert["weight"].to_numpy()
    assert raked.n_eff_kish_before == pytest.approx(base.sum() ** 2 / (base**2).sum())
    assert raked.n_eff_kish_after == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert (raked.largest, raked.smallest) == (w.max(), w.min())
    assert raked.error <= 1e-12
    assert "of 1575 people" in raked.sentence()


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


def test_margins_that_disagree_are_an_error():
    people = pl.DataFrame({"a": [1, 2], "b": [1, 2]})
    with pytest.raises(SurveyError, match="margins disagree: 'a' adds up to 2, 'b' to 3"):
        rake(people, {"a": {1: 1, 2: 1}, "b": {1: 1, 2: 2}})


def test_margins_that_contradict_each_other_do_not_settle():
    people = pl.DataFrame({"a": [1, 2], "b": [1, 2]})
    with pytest.raises(SurveyError, match="did not settle in 50 rounds"):
        rake(people, {"a": {1: 1, 2: 1}, "b": {1: 0.5, 2: 1.5}}, max_rounds=50)
