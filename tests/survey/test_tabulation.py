"""Many questions at once give the same numbers as one at a time."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plural_nb.errors import SurveyError
from plural_nb.survey.design import Design
from plural_nb.survey.replicates import jackknife
from plural_nb.survey.shares import estimate
from plural_nb.survey.survey import Population, Survey
from plural_nb.survey.tabulation import tabulate

ARRAYS = [
    "share", "se", "low", "high", "covariance", "deff_wr", "n", "df", "n_eff_kish", "nonsubstantive", "volunteered",
    "missing",
]  # fmt: skip


def made_up(seed, *, strata=True, psus=True, size=300, fpc=False):
    r = np.random.default_rng(seed)
    stratum = r.integers(0, 3, size)
    psu = stratum * 5 + r.integers(0, 5, size)
    psu[:15] = np.arange(15)
    stratum[:15] = np.arange(15) // 5
    frame = pl.DataFrame(
        {
            "a": r.integers(-1, 3, size), "b": r.integers(-1, 5, size),
            "rare": np.where(r.uniform(size=size) < 0.02, 1, 0),
            "g": [None if g == 6 else f"g{g}" for g in r.integers(0, 7, size)], "w": r.uniform(0.3, 4, size).round(6),
        }
    )  # fmt: skip
    options = {
        "a": [{"code": k, "label": str(k)} for k in range(3)],
        "b": [{"code": k, "label": str(k)} for k in range(3)]
        + [{"code": 3, "label": "dk", "substantive": False}, {"code": 4, "label": "r", "substantive": False,
                                                              "offered": False}],
        "rare": [{"code": k, "label": str(k)} for k in range(2)],
    }  # fmt: skip
    book = {
        "survey": {"missing": [-1]},
        "design": {"weight": "w"},
        "traits": {"g": {"label": "G", "options": [{"code": f"g{k}", "label": f"G{k}"} for k in range(8)]}},
        "questions": {key: {"text": "?", "options": listed} for key, listed in options.items()},
    }
    survey = Survey.from_frame(frame, book)
    weight = survey.design.weight.copy()
    weight[20:25] = 0
    # The population has more people than PSUs: an fpc of people for rows, of PSUs for PSUs.
    size_of_stratum = np.where(stratum == 1, 500.0, 900.0) if strata else np.full(size, 900.0)
    design = Design(
        weight,
        stratum if strata else None,
        psu if psus else None,
        fpc=size_of_stratum if fpc else None,
    )
    return dataclasses.replace(survey, design=design)


def same(a, b):
    for name in ARRAYS:
        np.testing.assert_allclose(
            getattr(a, name), getattr(b, name), rtol=1e-9, atol=1e-15, equal_nan=True, err_msg=name
        )
    assert (a.groups, a.question, a.note, a.interval) == (b.groups, b.question, b.note, b.interval)


@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans(), st.booleans(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_many_questions_at_once_equal_one_at_a_time(seed, strata, psus, fpc, weighted):
    survey = made_up(seed, strata=strata, psus=psus, fpc=fpc)
    for population in (None, Population({"g": ["G0", "G1", "G2"]})):
        found = tabulate(survey, by="g", population=population, weighted=weighted)
        assert list(found) == ["a", "b", "rare"]
        for key, shares in found.items():
            same(shares, estimate(survey.answers(key, population, weighted=weighted), by=survey.groups("g")))


@pytest.mark.parametrize("interval", ["logit", "wald", "korn-graubard"])
def test_everybody_is_one_group(interval):
    survey = made_up(1)
    found = tabulate(survey, ["b"], interval=interval)["b"]
    same(found, estimate(survey.answers("b"), interval=interval))


def test_replicate_weights_are_taken():
    survey = made_up(2)
    survey = dataclasses.replace(survey, design=jackknife(survey.design))
    same(tabulate(survey, ["a"], by="g")["a"], estimate(survey.answers("a"), by=survey.groups("g")))


def test_lonely_strata_fail_or_follow_the_choice():
    survey = made_up(3)
    lonely = survey.design.stratum.copy()
    lonely[survey.design.psu == 0] = 3
    for choice in ("centre", "scale", "skip"):
        design = Design(survey.design.weight, lonely, survey.design.psu, lonely=choice)
        changed = dataclasses.replace(survey, design=design)
        same(tabulate(changed, ["a"], by="g")["a"], estimate(changed.answers("a"), by=changed.groups("g")))
    failing = dataclasses.replace(survey, design=Design(survey.design.weight, lonely, survey.design.psu))
    with pytest.raises(SurveyError, match="single PSU"):
        tabulate(failing)


def test_what_is_not_there_is_an_error():
    survey = made_up(4)
    with pytest.raises(SurveyError, match="no question 'aa'"):
        tabulate(survey, ["aa"])
    with pytest.raises(SurveyError, match="Nobody in"):
        tabulate(survey, population=Population({"g": ["G7"]}))
