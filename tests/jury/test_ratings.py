"""Utilities from surveys and from answers: exact values, expected scores, orientation, who sits."""

from __future__ import annotations

import numpy as np
import pytest

import plural_nb as pnb
from plural_nb.answers import Answers, Source
from plural_nb.errors import PluralError, SurveyError
from plural_nb.jury.ratings import from_answers, from_survey
from plural_nb.jury.sweep import winners
from plural_nb.jury.welfare import welfare
from plural_nb.survey.design import Design
from plural_nb.survey.question import ask_for

IDEAS = ["rate_abolish", "rate_keep", "rate_raise", "rate_commuters", "rate_regions", "rate_assembly"]


@pytest.fixture(scope="module")
def survey() -> pnb.Survey:
    return pnb.load_survey("teaching")


def test_mean_utility_of_a_survey_jury_is_the_weighted_mean_of_the_ratings(survey: pnb.Survey) -> None:
    jury = from_survey(survey, IDEAS)
    for c, key in enumerate(IDEAS):
        values = survey.values(key)
        rated = ~np.isnan(values)
        mean = np.average(values[rated], weights=survey.design.weight[rated])
        assert welfare(jury, 0)[c] == pytest.approx(mean, rel=1e-12)
    assert "respondents rated at least one candidate" in jury.notes[-1]


def test_a_jury_of_one_population_speaks_for_it_alone(survey: pnb.Survey) -> None:
    young = pnb.Population({"age": "18 to 29"})
    jury = from_survey(survey, IDEAS[:2], population=young)
    inside = young.mask(survey) & ~np.isnan(survey.values("rate_keep"))
    mean = np.average(survey.values("rate_keep")[inside], weights=survey.design.weight[inside])
    assert welfare(jury, 0)[1] == pytest.approx(mean, rel=1e-12)
    assert jury.design is survey.design
    assert "18 to 29" in jury.notes[-1]


def test_the_teaching_survey_has_other_winners_for_other_alphas(survey: pnb.Survey) -> None:
    found = winners(from_survey(survey, IDEAS), [0, 1, np.inf])
    assert len(set(found)) > 1


def test_mirrored_agreement_counts_agreeing_as_good(survey: pnb.Survey) -> None:
    plain = from_survey(survey, ["nature", "redistribution"])
    mirrored = from_survey(survey, ["nature", "redistribution"], best="lowest")
    assert np.nansum(plain.values + mirrored.values - 6) == 0
    assert "mirrored" in mirrored.notes[0]
    assert np.isnan(plain.values).any()  # "don't know" is not rated, and not a number


def test_a_fractional_row_has_the_expected_score_over_opinions() -> None:
    question = ask_for("Good?", ["bad", "fair", "good"], kind="ordinal")
    rows = np.array([[0.2, 0.3, 0.5], [0.0, 0.0, 0.0]])
    model = Answers(question, rows, Design(np.ones(2)), np.ones(2, dtype=bool), Source("personas", "m"))
    values = from_answers({"Park": model}).values
    assert values[0, 0] == pytest.approx(0.2 + 0.6 + 1.5)
    assert np.isnan(values[1, 0])


def test_bad_ratings_are_refused_in_words(survey: pnb.Survey) -> None:
    with pytest.raises(SurveyError, match="nominal"):
        from_survey(survey, ["toll"])
    with pytest.raises(PluralError, match="different scales"):
        from_survey(survey, ["premier", "rate_keep"])
    with pytest.raises(SurveyError, match="rate_keep"):
        from_survey(survey, ["rate_keeep"])
    with pytest.raises(PluralError, match="lowest"):
        from_survey(survey, IDEAS, best="lowes")
    question = ask_for("Good?", ["bad", "good"], kind="ordinal")
    with pytest.raises(PluralError, match="other people"):
        from_answers({"A": Answers.from_places(question, [0, 1]), "B": Answers.from_places(question, [0, 1, 1])})
