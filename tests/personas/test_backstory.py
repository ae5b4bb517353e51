"""Backstories: the same every time, in the order asked for, and silent about what is not known."""

import pytest

from plural_nb.errors import SurveyError
from plural_nb.personas.population import of_population, tell
from plural_nb.personas.telling import backstories
from plural_nb.survey.library import load_survey
from plural_nb.survey.survey import Population, Survey


@pytest.fixture(scope="module")
def survey() -> Survey:
    return load_survey("teaching")


def sentences(survey: Survey, row: int) -> list[str]:
    return [t.sentences[c] for k, t in survey.traits.items() if (c := int(survey.trait_codes[k][row])) >= 0]


def test_a_backstory_tells_every_known_trait_once_in_the_codebooks_order(survey: Survey) -> None:
    for row in (0, 17, 4000, survey.n - 1):
        assert backstories(survey, [row]) == [tell(sentences(survey, row))]


def test_traits_are_told_in_the_order_asked_for(survey: Survey) -> None:
    [text] = backstories(survey, [3], ["gender", "age"])
    gender, age = (survey.traits[k].sentences[survey.trait_codes[k][3]] for k in ("gender", "age"))
    assert text == f"{gender} {age}"


def test_a_missing_trait_is_left_out(survey: Survey) -> None:
    row = int((survey.trait_codes["income"] < 0).argmax())
    assert survey.trait_codes["income"][row] == -1
    assert "income" not in backstories(survey, [row])[0]
    assert backstories(survey, [row], ["income"])[0] == ""


def test_shuffling_keeps_the_sentences_and_depends_on_seed_and_row_alone(survey: Survey) -> None:
    everyone = backstories(survey, order="shuffled", seed=7)
    some = backstories(survey, [5, 900, 3], order="shuffled", seed=7)
    assert some == [everyone[5], everyone[900], everyone[3]]
    assert backstories(survey, [5], list(survey.traits)[::-1], order="shuffled", seed=7) == [everyone[5]]
    for row in (5, 900):
        assert sorted(everyone[row]) == sorted(backstories(survey, [row])[0])
    assert everyone != backstories(survey, order="shuffled", seed=8)


def test_every_order_of_two_traits_is_about_as_frequent(survey: Survey) -> None:
    texts = backstories(survey, traits=["wave", "gender"], order="shuffled")
    first = sum(text.startswith("The year") for text in texts) / len(texts)
    assert abs(first - 0.5) < 0.03


def test_a_population_is_told_by_the_traits_with_one_level(survey: Survey) -> None:
    picked = Population({"gender": "Man", "age": ["18 to 29", "30 to 44"], "settlement": "Village"})
    assert of_population(survey, picked) == ("I am a man. My home is in a village.", ("Age",))
    assert of_population(survey) == ("", ())
    assert of_population(survey, Population()) == ("", ())


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda s: backstories(s, traits=["agge"]), "age"),
        (lambda s: backstories(s, traits=["age", "age"]), "once"),
        (lambda s: backstories(s, [-1]), "rows 0 to"),
        (lambda s: backstories(s, [s.n]), "rows 0 to"),
        (lambda s: backstories(s, order="shufled"), "shuffled"),
        (lambda s: of_population(s, Population({"age": "18 to 30"})), "18 to 29"),
    ],
)
def test_what_is_wrong_is_said(survey: Survey, call, says: str) -> None:
    with pytest.raises(SurveyError, match=says):
        call(survey)
