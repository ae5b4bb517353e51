"""What would mislead is found, each thing planted alone; a clean survey is not accused."""

import numpy as np
import polars as pl
import pytest

from plural_nb.survey.library import load_survey
from plural_nb.survey.lint import summary
from plural_nb.survey.survey import Survey

N = 400
SCALE = ["Strongly agree", "Agree", "Disagree", "Strongly disagree"]


def survey_with(columns=None, labels=None, kind="ordinal", traits=None, **design):
    rng = np.random.default_rng(4)
    labels = labels or SCALE
    frame = pl.DataFrame({"q": rng.integers(1, len(labels) + 1, N), "w": rng.uniform(900, 1100, N), **(columns or {})})
    question = {"text": "?", "kind": kind, "options": [{"code": i + 1, "label": x} for i, x in enumerate(labels)]}
    book = {"design": {"weight": "w", **design}, "questions": {"q": question}, "traits": traits or {}}
    return Survey.from_frame(frame, book)


def kinds(survey):
    return {(finding.kind, finding.level) for finding in survey.check()}


def test_a_clean_survey_has_no_findings():
    assert survey_with().check() == ()
    assert summary(()) == "Nothing found that would mislead."


@pytest.mark.parametrize(
    ("weight", "kind", "level"),
    [
        (np.tile([0.5, 1.5], N // 2), "weights sum to n", "note"),
        (np.append(0.0, np.full(N - 1, 7.0)), "zero weights", "note"),
        (np.append(900.0, np.tile([3.0, 4.0], N)[: N - 1]), "extreme weights", "misleads"),
        (np.arange(N) + 100_000.0, "weight like an identifier", "misleads"),
    ],
)
def test_weights_that_mislead(weight, kind, level):
    assert (kind, level) in kinds(survey_with({"w": weight}))


def test_strata_with_one_psu_and_psus_in_two_strata():
    strata = np.arange(N) // 100
    alone = survey_with({"h": strata, "p": np.where(strata == 0, 0, np.arange(N) // 25)}, stratum="h", psu="p")
    assert ("singleton strata", "misleads") in kinds(alone)
    psu = np.arange(N) // 25
    psu[-1] = 0  # one row of the last stratum carries the number of the first PSU
    crossing = survey_with({"h": strata, "p": psu}, stratum="h", psu="p")
    assert "1 of 16 PSUs lie in more than one stratum" in next(str(f) for f in crossing.check())
    nested = survey_with({"h": strata, "p": np.arange(N) // 25 % 4}, stratum="h", psu="p")
    assert nested.check() == ()  # numbered within strata, as many files do


def test_options_never_chosen():
    rng = np.random.default_rng(5)
    survey = survey_with({"q": rng.integers(1, 4, N)})
    (finding,) = survey.check()
    assert (finding.kind, finding.where) == ("options never chosen", "q")
    assert "Strongly disagree" in finding.message


@pytest.mark.parametrize(
    ("labels", "kind", "expected"),
    [
        (["Yes", "yes ", "No"], "nominal", "labels alike"),
        ([*SCALE, "Not applicable"], "ordinal", "no opinion on the scale"),
        ([*SCALE, "Don't know"], "nominal", "no opinion counted"),
        (["France", "Spain", "Italy"], "ordinal", "nominal as ordinal"),
        (["Agree", "Disagree", "Neither"], "ordinal", "nominal as ordinal"),
    ],
)
def test_labels_that_mislead(labels, kind, expected):
    assert [finding.kind for finding in survey_with(labels=labels, kind=kind).check()] == [expected]


def test_a_country_in_two_spellings():
    levels = ["Türkiye", "Turkey", "Côte d'Ivoire", "Cote d'Ivoire", "USA", "United States", "Norway"]
    options = [{"code": i, "label": x} for i, x in enumerate(levels)]
    survey = survey_with({"country": np.arange(N) % 7}, traits={"country": {"options": options}})
    found = [str(finding) for finding in survey.check() if finding.kind == "country spelt twice"]
    assert len(found) == 3
    assert "'Türkiye' and 'Turkey'" in found[0]


def test_a_skip_pattern_names_the_answer_that_opened_the_question():
    rng = np.random.default_rng(6)
    first = rng.integers(1, 3, N)
    second = [int(x) if f == 1 else None for f, x in zip(first, rng.integers(1, 3, N), strict=True)]
    yes = [{"code": 1, "label": "Yes"}, {"code": 2, "label": "No"}]
    book = {"questions": {"owns": {"text": "Car?", "options": yes}, "red": {"text": "Red?", "options": yes}}}
    survey = Survey.from_frame(pl.DataFrame({"owns": first, "red": second}), book)
    (finding,) = survey.check()
    assert finding.kind == "skip pattern"
    assert "only those who said 'Yes' to 'owns' were asked" in finding.message
    lost = [int(x) if rng.random() > 0.3 else None for x in first]
    assert Survey.from_frame(pl.DataFrame({"owns": first, "red": lost}), book).check() == ()


def test_the_shipped_surveys_do_not_mislead():
    for name in ("anes96", "teaching"):
        grave = [str(f) for f in load_survey(name).check() if f.level == "misleads"]
        assert grave == [], name
