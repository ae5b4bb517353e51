"""Regression coefficients among people and personas: recovered where planted, flattened or turned where not."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest
from scipy import special

from plural_nb.answers import Answers, Source
from plural_nb.errors import PluralError
from plural_nb.personas.coefficients import coefficients
from plural_nb.survey.regression import regress
from plural_nb.survey.survey import Survey

SLOPE = 1.4


@pytest.fixture(scope="module")
def survey() -> Survey:
    rng = np.random.default_rng(1)
    home = rng.integers(0, 2, 4000)
    yes = rng.random(4000) < special.expit(-0.3 + SLOPE * home)
    levels = [{"code": "town", "label": "Town"}, {"code": "farm", "label": "Farm"}]
    book = {
        "survey": {"title": "Made"},
        "traits": {"home": {"label": "Home", "column": "home", "options": levels}},
        "questions": {"tea": {"text": "Tea?", "options": [{"code": 1, "label": "Yes"}, {"code": 0, "label": "No"}]}},
    }
    frame = pl.DataFrame({"home": np.where(home == 1, "farm", "town"), "tea": yes.astype(int)})
    return Survey.from_frame(frame, book)


def silicon(survey: Survey, slope: float) -> Answers:
    p = special.expit(-0.3 + slope * survey.trait_codes["home"])
    human = survey.answers("tea")
    return dataclasses.replace(human, rows=np.column_stack([p, 1 - p]), source=Source("personas", "planted"))


@pytest.mark.parametrize(
    ("slope", "inside", "sign"), [(SLOPE, True, "same"), (0.4, False, "same"), (-SLOPE, False, "opposite")]
)
def test_a_planted_slope_is_recovered_flattened_or_turned(
    survey: Survey, slope: float, inside: bool, sign: str
) -> None:
    found = coefficients(survey.answers("tea"), silicon(survey, slope), survey, ["home"], option="Yes")
    [row] = found.table().iter_rows(named=True)
    assert row["silicon"] == pytest.approx(slope, abs=1e-6)
    assert row["low"] < SLOPE < row["high"]
    assert (row["inside"], row["sign"]) == (inside, sign)


def test_the_peoples_column_is_the_plain_regression(survey: Survey) -> None:
    found = coefficients(survey.answers("tea"), silicon(survey, 1.0), survey, ["home"], option="Yes").table()
    people = pl.DataFrame({"home": ["Farm" if c else "Town" for c in survey.trait_codes["home"]]}).with_columns(
        pl.col("home").cast(pl.Enum(["Town", "Farm"]))
    )
    plain = regress(survey.answers("tea"), people, ["home"], option="Yes")
    low, high = plain.bounds
    assert found.select("humans", "low", "high").row(0) == pytest.approx((plain.coefficient[1], low[1], high[1]))


def test_both_are_fitted_to_the_same_people(survey: Survey) -> None:
    half = np.arange(survey.n) % 2 == 0
    found = coefficients(survey.answers("tea"), silicon(survey, 1.0).within(half), survey, ["home"], option="Yes")
    assert found.humans.n == found.silicon.n == 2000


def test_no_clear_sign_is_called_unclear_and_other_rows_are_refused(survey: Survey) -> None:
    few = np.arange(survey.n) < 14
    found = coefficients(survey.answers("tea").within(few), silicon(survey, -1.0), survey, ["home"], option="Yes")
    assert found.table()["sign"].to_list() == ["unclear"]
    short = Answers.from_places(survey.questions["tea"], [0, 1])
    with pytest.raises(PluralError, match="same row"):
        coefficients(survey.answers("tea"), short, survey, ["home"], option="Yes")
