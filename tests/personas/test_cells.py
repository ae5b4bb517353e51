"""Cells of a population: intersections counted, answers weighted to known totals, a regression's shares in each."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from plural_nb.answers import Answers
from plural_nb.errors import SurveyError
from plural_nb.personas.cells import post_stratify, regressed_cells
from plural_nb.personas.crossing import crossed
from plural_nb.personas.personas import Personas
from plural_nb.survey.survey import Survey


def test_crossed_groups_are_counted_as_polars_counts_them(teaching: Survey) -> None:
    table = crossed(teaching, ["gender", "region", "income"])
    assert table.height == 2 * 5 + 2 * 3 + 5 * 3
    people = Personas.from_survey(teaching).traits.with_columns(w=teaching.design.weight)
    counted = people.drop_nulls(["gender", "income"]).group_by("gender", "income").agg(pl.len(), pl.col("w").sum())
    for gender, income, n, w in counted.iter_rows():
        row = table.filter(level=gender, by_level=income)
        assert row["n"].item() == n
        assert row["share"].item() == pytest.approx(w / counted["w"].sum())
        assert not row["empty"].item()


def test_empty_intersections_are_said() -> None:
    two = [{"code": 1, "label": "x"}, {"code": 2, "label": "y"}]
    book = {"questions": {"q": {"text": "Q?", "options": two}}, "traits": {k: {"options": two} for k in ("a", "b")}}
    survey = Survey.from_frame(pl.DataFrame({"q": [1, 1, 2], "a": [1, 1, 2], "b": [1, 2, 2]}), book)
    table = crossed(survey)
    assert table.filter("empty").select("level", "by_level").rows() == [("y", "x")]
    assert table["n"].to_list() == [1, 1, 0, 1]
    with pytest.raises(SurveyError, match="two traits"):
        crossed(survey, ["a"])


def test_post_stratified_answers_have_the_populations_cells(anes96: Survey) -> None:
    answers = anes96.answers("vote")
    traits = Personas.from_survey(anes96).traits
    totals = pl.DataFrame({"age": list(anes96.trait("age").labels), "total": [10.0, 40.0, 30.0, 20.0]})
    found = post_stratify(answers, traits, totals)
    by_hand = sum(
        total / 100 * np.average(answers.rows[here], axis=0, weights=answers.design.weight[here])
        for age, total in totals.iter_rows()
        if (here := (traits["age"] == age).to_numpy()).any()
    )
    assert found.shares().share[0] == pytest.approx(by_hand, abs=1e-12)
    with pytest.raises(SurveyError, match="total"):
        post_stratify(answers, traits, totals.drop("total"))
    with pytest.raises(SurveyError, match="'age'"):
        post_stratify(answers, traits, totals.rename({"age": "agge"}))


def test_exact_cells_stay_exact_when_post_stratified(anes96: Survey) -> None:
    cells = regressed_cells(anes96, "vote", ["age"])
    totals = pl.DataFrame({"age": list(anes96.trait("age").labels), "total": [10.0, 40.0, 30.0, 20.0]})
    found = post_stratify(cells, Personas.from_grid(anes96, ["age"]), totals)
    assert found.exact
    assert found.shares().share[0] == pytest.approx(np.array([0.1, 0.4, 0.3, 0.2]) @ cells.rows, abs=1e-12)


def test_a_saturated_regression_gives_back_the_weighted_shares_of_each_cell(anes96: Survey) -> None:
    cells = regressed_cells(anes96, "vote", ["party"], ridge=1e-8)
    by_party = anes96.answers("vote")
    for place in range(7):
        here = by_party.within(anes96.trait_codes["party"] == place).shares().share[0]
        assert cells.rows[place] == pytest.approx(here, abs=1e-4)
    assert cells.shares().share == pytest.approx(by_party.shares().share, abs=1e-5)
    assert isinstance(cells, Answers)
    assert "not in it" in cells.design.note
