"""The shipped surveys are what their codebooks and sources say."""

import numpy as np
import pytest

from plural_nb.errors import SurveyError
from plural_nb.survey.library import load_survey, surveys
from plural_nb.survey.question import Question


@pytest.fixture(scope="module")
def anes():
    return load_survey("anes96")


def test_anes96_agrees_with_statsmodels(anes):
    from statsmodels.datasets import anes96

    data = anes96.load_pandas().data
    assert anes.n == len(data) == 944
    shares = anes.answers("vote", weighted=False).shares()
    assert shares.share[0, 0] == pytest.approx((data["vote"] == 0).mean())
    assert round(float(shares.share[0, 0]), 3) == 0.584
    party = anes.answers("party", weighted=False).shares()
    np.testing.assert_allclose(party.share[0], np.bincount(data["PID"].astype(int)) / 944)


def test_the_weights_meet_the_age_margin_of_the_voters(anes):
    # Census Bureau, P20-504: 7.6%, 39.1%, 33.0% and 20.3% of the people who voted.
    voters = np.array([24_650 * 0.324, 83_393 * 0.492, 53_721 * 0.644, 31_888 * 0.670])
    weight, codes = anes.design.weight, anes.trait_codes["age"]
    margin = np.array([weight[codes == i].sum() for i in range(4)])
    np.testing.assert_allclose(margin / margin.sum(), voters / voters.sum(), rtol=1e-12)
    assert (100 * margin / margin.sum()).round(1).tolist() in ([7.6, 39.1, 33.0, 20.3], [7.6, 39.1, 33.0, 20.4])
    assert weight.sum() == pytest.approx(944)


def test_anes96_says_what_its_errors_assume(anes):
    assert anes.answers("vote").shares().note == "standard errors assume simple random sampling and fixed weights"
    assert "P20-504" in anes.citation
    assert anes.wording == "paraphrased"


def test_education_follows_the_study_and_not_the_package(anes):
    # 5 is an associate degree, 6 a bachelor's, 7 an advanced degree: counts 90, 227, 127.
    counts = dict(zip(anes.traits["education"].labels, np.bincount(anes.trait_codes["education"]), strict=True))
    assert counts["Bachelor's degree"] == 227
    assert counts["Advanced degree"] == 127
    assert counts["Some college or associate degree"] == 187 + 90


@pytest.mark.parametrize("name", [entry.name for entry in surveys()])
def test_every_shipped_survey_can_be_asked_and_told(name):
    survey = load_survey(name)
    entry = next(e for e in surveys() if e.name == name)
    assert (entry.rows, entry.questions, entry.traits) == (survey.n, len(survey.questions), len(survey.traits))
    assert survey.citation
    for question in survey.questions.values():
        assert isinstance(question, Question)
        shares = survey.answers(question).shares()
        assert shares.share.sum() == pytest.approx(1)
        assert np.isfinite(shares.low).all()


def test_anes96_has_five_other_ways_to_ask_and_a_sentence_for_every_level(anes):
    for question in anes.questions.values():
        assert len({question.text, *question.wordings}) >= 6, question.key
    for trait in anes.traits.values():
        assert all(sentence.endswith(".") for sentence in trait.sentences), trait.key
    assert anes.traits["party"].sentences[0] == "I am a strong Democrat."


def test_an_unknown_name_says_which_there_are():
    with pytest.raises(SurveyError, match=r"no survey 'anes69' in the library. Did you mean 'anes96'"):
        load_survey("anes69")
    with pytest.raises(SurveyError, match=r"no survey 'ANES' in the library. Did you mean 'anes'"):
        load_survey("ANES")
    with pytest.raises(SurveyError, match=r"not on this machine .* 'anes96' is here: load_survey\('anes96'\)"):
        load_survey("anes")
    with pytest.raises(SurveyError, match="There is no file"):
        load_survey("nowhere/to/be/found.csv")
