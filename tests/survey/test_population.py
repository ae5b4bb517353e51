"""Populations are picked by traits, counted fast and exactly, and wrong picks name the right ones."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from plural_nb.errors import SurveyError
from plural_nb.survey.survey import Population, Survey

N = 400


@pytest.fixture(scope="module")
def survey() -> Survey:
    r = np.random.default_rng(3)
    frame = pl.DataFrame(
        {
            "q": r.integers(1, 3, N),
            "age": r.integers(18, 90, N),
            "region": pl.Series(r.choice(["North", "South", "East"], N)).to_frame("r").with_columns(
                pl.when(pl.int_range(N) < 10).then(None).otherwise("r").alias("r"))["r"],
            "w": r.uniform(0.5, 3, N),
        }
    )  # fmt: skip
    frame = frame.with_columns(w=pl.when(pl.int_range(N) == 11).then(0.0).otherwise("w"))
    levels = [{"label": name} for name in ("North", "South", "East", "West")]
    book = {
        "survey": {"title": "Country"},
        "design": {"weight": "w"},
        "traits": {
            "region": {"label": "Home region", "options": levels},
            "age": {"options": [{"label": "young", "low": 18, "high": 40}, {"label": "old", "low": 40}]},
        },
        "questions": {
            "q": {"text": "?", "options": [{"code": 1, "label": "Yes"}, {"code": 2, "label": "No"}]},
        },
    }
    return Survey.from_frame(frame, book)


def test_a_population_is_what_a_filter_would_pick(survey):
    population = Population({"region": ["North", "South"], "age": "young"})
    filtered = survey.people.filter(pl.col("region").is_in(["North", "South"]) & (pl.col("age") < 40))
    assert population.mask(survey).sum() == filtered.height
    count = survey.count(population)
    w = filtered["w"].to_numpy()
    assert count.n == (w > 0).sum()
    assert count.n_eff_kish == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert survey.count(population, weighted=False).n == filtered.height
    shares = survey.answers("q", population).shares()
    assert shares.n[0] == count.n
    assert shares.share[0, 0] == pytest.approx(w[filtered["q"].to_numpy() == 1].sum() / w.sum())


def test_people_of_weight_zero_are_not_counted(survey):
    assert survey.count().n == N - 1
    assert survey.count(weighted=False).n == N


def test_people_whose_level_is_missing_are_in_no_level(survey):
    everywhere = Population({"region": ["North", "South", "East", "West"]})
    assert everywhere.mask(survey).sum() == N - 10
    assert Population().mask(survey).all()


def test_words_for_a_population(survey):
    population = Population({"region": ["North", "South"], "age": "young"})
    assert population.label == "Region: North or South; Age: young"
    assert survey.describe(population) == "Home region: North or South; Age: young"
    assert Population().label == survey.describe() == "Everyone"
    assert survey.answers("q", population).about == survey.describe(population)


def test_populations_with_the_same_picks_are_equal():
    assert Population({"age": "young"}) == Population({"age": ["young", "young"]})
    assert len({Population(), Population({}), Population({"age": "old"})}) == 2


@pytest.mark.parametrize(
    ("picks", "message"),
    [
        ({"regoin": "North"}, "no trait 'regoin'. Did you mean 'region'"),
        ({"region": "Nroth"}, "has no level 'Nroth'. Did you mean 'North'"),
    ],
)
def test_unknown_picks_name_the_nearest(survey, picks, message):
    with pytest.raises(SurveyError, match=message):
        survey.count(Population(picks))


def test_a_trait_without_a_level_is_an_error():
    with pytest.raises(SurveyError, match="No level of 'age' is picked"):
        Population({"age": []})


def test_an_empty_population_is_an_error_where_it_is_asked(survey):
    nobody = Population({"region": "West"})
    assert survey.count(nobody).n == 0
    assert survey.count(nobody).n_eff_kish == 0.0
    with pytest.raises(SurveyError, match=r"Nobody in 'Country' is in this population \(Home region: West\)"):
        survey.answers("q", nobody)


def test_weights_can_be_set_aside(survey):
    shares = survey.answers("q", weighted=False).shares()
    assert shares.n[0] == N
    assert shares.share[0, 0] == pytest.approx((survey.people["q"] == 1).mean())
    assert shares.source.detail == "unweighted"


def test_a_question_can_be_asked_in_other_words_but_not_with_other_options(survey):
    other = survey.questions["q"].reworded("Yes or no?")
    assert survey.answers(other).question.text == "Yes or no?"
    with pytest.raises(SurveyError, match=r"no question 'qq'. Did you mean 'q'"):
        survey.answers("qq")
    with pytest.raises(SurveyError, match="options of 'q' differ"):
        survey.answers(replace(other, options=other.options[::-1]))
