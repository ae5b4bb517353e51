"""A whole survey at once gives what each comparison gives alone; what cannot be compared is marked."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from plural_nb.answers import Answers, Source
from plural_nb.comparison.baselines import uniform
from plural_nb.comparison.comparison import compare
from plural_nb.comparison.demographics import demographic_baseline
from plural_nb.comparison.survey_distances import compare_survey
from plural_nb.errors import Cancelled, PluralError
from plural_nb.survey.design import Design
from plural_nb.survey.library import load_survey
from plural_nb.survey.question import ask_for
from plural_nb.survey.shares import Groups
from plural_nb.survey.survey import Population

QUESTIONS = ("nature", "toll", "trust_courts", "trust_press", "neighbours", "job")
IN_2023 = Population({"wave": "2023"})


@pytest.fixture(scope="module")
def teaching():
    return load_survey("teaching")


def row(question, seed=0, mass=1.0):
    r = np.random.default_rng(seed)
    values = np.zeros(len(question.options))
    values[list(question.substantive)] = r.dirichlet(np.full(len(question.substantive), 5.0)) * (mass > 0)
    return Answers(
        question, values[None], Design(np.ones(1)), np.ones(1, dtype=bool), Source("model", "demo"),
        captured_mass=np.array([mass]),
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(teaching):
    answers = {key: row(teaching.question(key), i) for i, key in enumerate(QUESTIONS)}
    return answers, compare_survey(teaching, answers, by="age", population=IN_2023, replicates=500)


@pytest.mark.parametrize("key", QUESTIONS)
def test_each_cell_is_what_a_comparison_gives(teaching, found, key):
    answers, table = found
    one = compare(teaching.answers(key, IN_2023), answers[key], by=teaching.groups("age"), replicates=500)
    q = QUESTIONS.index(key)
    for name in one.measured.names:
        expected, columns = one.distance(name), table.distances[name]
        for column, tolerance in (("value", 1e-9), ("noise_mean", 0.03), ("noise_p95", 0.1)):
            assert columns[column][q] == pytest.approx(getattr(expected, column), rel=tolerance), (name, column)
        for column in ("low", "high", "debiased"):  # single precision in the table
            assert columns[column][q] == pytest.approx(getattr(expected, column), rel=0.03, abs=2e-3), (name, column)
    assert table.p[q] == pytest.approx(one.measured.floors.p, abs=0.02)
    assert table.n[q].tolist() == one.a.n.tolist()


def test_the_table_has_a_row_per_question_group_and_distance(found):
    _, table = found
    frame = table.table("js_distance")
    assert frame.height == len(QUESTIONS) * 4
    whole = table.table()
    assert set(whole["distance"]) == set(table.distances)
    toll = whole.filter((pl.col("question") == "toll") & (pl.col("distance") == "wasserstein"))
    assert toll["value"].null_count() == toll.height, "a nominal question has no Wasserstein distance"
    assert (frame["p_adjusted"] >= frame["p"]).all()


def test_what_cannot_be_compared_is_marked_and_the_rest_comes(teaching):
    other = ask_for("?", ["Yes", "No", "Perhaps"])
    ages = teaching.trait("age").labels
    answers = {
        "nature": row(teaching.question("nature")),
        "toll": row(other),
        "trust_press": {age: row(teaching.question("trust_press"), mass=float(age != ages[0])) for age in ages},
        "job": {age: row(teaching.question("job")) for age in ages[1:]},
    }
    table = compare_survey(teaching, answers, by="age", replicates=60)
    frame = table.table("js_distance")
    assert frame.filter(question="nature")["value"].null_count() == 0
    assert frame.filter(question="toll")["value"].null_count() == 4
    assert "no option" in frame.filter(question="toll")["failed"][0]
    press = frame.filter(question="trust_press")
    assert press["value"].is_null().to_list() == [True, False, False, False]
    assert "no probability" in press["failed"][0]
    assert "no answers were given" in frame.filter(question="job")["failed"][0]
    with pytest.raises(PluralError, match="No question can be compared"):
        compare_survey(teaching, {"toll": row(other)}, by="age")


def test_personas_and_replicate_designs_are_compared_one_by_one(teaching):
    guess = demographic_baseline(teaching, "nature", ["age"], population=IN_2023)
    table = compare_survey(teaching, {"nature": guess}, by="age", population=IN_2023, replicates=60)
    alone = compare(teaching.answers("nature", IN_2023), guess, by=teaching.groups("age"), replicates=60)
    assert table.distances["js_distance"]["value"][0] == pytest.approx(alone.distance().value)
    assert table.model["nature"].shape == (4, 5)


def test_everybody_is_one_group(teaching):
    table = compare_survey(teaching, {"nature": uniform(teaching.answers("nature"))}, population=IN_2023, replicates=60)
    alone = compare(teaching.answers("nature", IN_2023), uniform(teaching.answers("nature")))
    assert table.groups == ("Wave: 2023",)
    assert table.distances["js_distance"]["value"][0, 0] == pytest.approx(alone.distances["js_distance"])


def test_threads_do_not_change_the_numbers(teaching):
    answers = {key: row(teaching.question(key), i) for i, key in enumerate(QUESTIONS)}
    one, two = (compare_survey(teaching, answers, by="age", replicates=60, threads=k).table() for k in (1, 2))
    assert one.equals(two)


def test_people_without_psus_are_drawn_themselves(teaching):
    alone = replace(teaching, design=Design(teaching.design.weight[:1500]), answer_codes={
        key: codes[:1500] for key, codes in teaching.answer_codes.items()}, trait_codes={
        key: codes[:1500] for key, codes in teaching.trait_codes.items()})  # fmt: skip
    guess = row(teaching.question("nature"))
    table = compare_survey(alone, {"nature": guess}, by="gender", replicates=200)
    one = compare(alone.answers("nature"), guess, by=alone.groups("gender"), replicates=200)
    for column in ("low", "high"):
        expected = getattr(one.distance(), column)
        assert table.distances["js_distance"][column][0] == pytest.approx(expected, rel=0.02, abs=2e-3)


def test_a_table_says_how_far_it_is_and_ends_when_told_to(teaching):
    """Exact rows go in batches, of which none is begun once the work was ended; other questions go one by one."""
    answers = {key: row(teaching.question(key), i) for i, key in enumerate(QUESTIONS)}
    answers["job"] = teaching.answers("job", Population({"wave": "2019"}))
    said = []
    how = {"by": "age", "population": IN_2023, "replicates": 50}
    compare_survey(teaching, answers, **how, on_progress=lambda *done: said.append(done))
    assert said[0] == (0, 6)
    assert said[-1] == (6, 6)
    assert [done for done, _ in said] == sorted(done for done, _ in said)

    def end(done, total):
        said.append(done)
        if done > 1:
            raise Cancelled("enough")

    said.clear()
    with pytest.raises(Cancelled, match="enough"):
        compare_survey(teaching, answers, **how, on_progress=end)
    assert said[-1] < 6


def test_one_person_alone_is_counted_as_one(teaching):
    codes = np.full(teaching.n, -1)
    codes[np.flatnonzero(teaching.answer_codes["nature"] >= 0)[:41]] = [0] + [1] * 40
    groups = Groups(("one", "many"), codes)
    answers = {"nature": row(teaching.question("nature"))}
    table = compare_survey(teaching, answers, by=groups, replicates=50)
    one = compare(teaching.answers("nature").within(codes >= 0), answers["nature"], by=groups, replicates=50)
    assert table.n[0].tolist() == one.a.n.tolist()
    assert "one person alone" in table.failed["nature", "one"]


@pytest.mark.parametrize(("how", "words"), [({"replicates": 20}, "50 replicates"), ({"level": 95}, "between 0 and 1")])
def test_intervals_that_cannot_be_are_refused_as_by_a_comparison(teaching, how, words):
    answers = {"nature": row(teaching.question("nature"))}
    with pytest.raises(PluralError, match=words):
        compare_survey(teaching, answers, **how)
    with pytest.raises(PluralError, match=words):
        compare(teaching.answers("nature"), answers["nature"], **how)
