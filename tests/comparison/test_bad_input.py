"""What cannot be compared is named, in one comparison, in a whole survey and on a scoreboard; the rest still comes."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import plural_nb as pnb
from plural_nb.answers import Answers, Source
from plural_nb.charts import ranking_chart
from plural_nb.comparison.baselines import uniform
from plural_nb.errors import PluralError, SurveyError
from plural_nb.survey.design import Design
from plural_nb.survey.question import ask_for

ONE, ZERO, MASS = "one person alone", "nobody of any weight", "no probability on any option"


def options(*labels):
    return [{"code": label, "label": label} for label in labels]


@pytest.fixture(scope="module")
def survey():
    """Three groups: ten people, ten of weight 0, one alone."""
    frame = pl.DataFrame({
        "tea": ["Yes", "No"] * 10 + ["Yes"], "milk": ["a", "b", "c"] * 7,
        "group": ["ten"] * 10 + ["weightless"] * 10 + ["alone"], "w": [1.0] * 10 + [0.0] * 10 + [1.0],
    })  # fmt: skip
    book = {
        "survey": {"title": "Bad"}, "design": {"weight": "w"},
        "traits": {"group": {"label": "Group", "phrase": "{}", "options": options("ten", "weightless", "alone")}},
        "questions": {"tea": {"text": "Do you drink tea?", "label": "Tea", "options": options("Yes", "No")},
                      "milk": {"text": "Which milk?", "label": "Milk", "options": options("a", "b", "c")}},
    }  # fmt: skip
    return pnb.Survey.from_frame(frame, book, name="bad")


def row(question, shares, mass=0.9):
    return Answers(
        question, np.array([shares], dtype=float), Design(np.ones(1)), np.ones(1, dtype=bool), Source("model", "m"),
        captured_mass=np.array([mass]),
    )  # fmt: skip


def personas(survey, key):
    one = uniform(survey.answers(key))
    return replace(
        one, rows=np.repeat(one.rows, 30, axis=0), design=Design(np.ones(30)), domain=np.ones(30, dtype=bool),
        source=Source("personas", "m"), captured_mass=np.ones(30),
    )  # fmt: skip


@pytest.mark.parametrize("made", [lambda survey, key: uniform(survey.answers(key)), personas])
def test_groups_that_cannot_be_compared_are_marked_in_every_table(survey, made):
    given = {key: made(survey, key) for key in survey.questions}
    found = pnb.compare(survey.answers("tea"), given["tea"], by=survey.groups("group"))
    assert found.failed["weightless"].startswith(ZERO)
    assert found.failed["alone"].startswith(ONE)
    assert np.isfinite(found.distance("js_distance").value).tolist() == [True, False, False]
    whole = pnb.compare_survey(survey, given, by="group")
    assert {(q, g): why[:10] for (q, g), why in whole.failed.items()} == {
        (q, g): why[:10] for q in survey.questions for g, why in (("weightless", ZERO), ("alone", ONE))
    }
    board = pnb.score({"m": given}, survey, by="group")
    assert board.table()["failed"].to_list() == [0, 2, 2]
    assert board.failed["m", "tea", "alone"].startswith(ONE)


def test_people_who_all_have_no_weight_are_named(survey):
    nobody = survey.answers("tea", pnb.Population({"group": ["weightless"]}))
    with pytest.raises(PluralError, match="All 10 who have an opinion on 'Tea' have a weight of 0"):
        pnb.compare(nobody, uniform(survey.answers("tea")))
    alone = survey.answers("tea", pnb.Population({"group": ["alone"]}))
    with pytest.raises(PluralError, match="'Tea' can be compared: one person alone"):
        pnb.compare(alone, uniform(survey.answers("tea")))


def test_other_options_and_no_captured_mass_cost_one_question_only(survey):
    other = row(ask_for("Tea?", ["Yes", "Never"]), [0.5, 0.5])
    with pytest.raises(PluralError, match=r"'tea' has no option 'Never'|has no option 'No'"):
        pnb.compare(survey.answers("tea"), other)
    given = {"tea": other, "milk": uniform(survey.answers("milk"))}
    found = pnb.compare_survey(survey, given)
    assert "has no option" in found.failed["tea", ""]
    assert np.isfinite(found.distances["js_distance"]["value"]).tolist() == [[False], [True]]
    milk = survey.questions["milk"]
    given = {"tea": uniform(survey.answers("tea")), "milk": row(milk, [0, 0, 0], mass=0.0)}
    with pytest.raises(SurveyError, match=f"m put {MASS} of 'Milk'"):
        pnb.compare(survey.answers("milk"), given["milk"])
    board = pnb.score({"m": given, "even": {key: uniform(survey.answers(key)) for key in survey.questions}}, survey)
    assert any(MASS in why for (model, key, _), why in board.failed.items() if (model, key) == ("m", "milk"))
    assert board.table()["questions"].to_list() == [1, 1]


def test_models_that_failed_on_different_questions_cannot_be_scored_together(survey):
    milk = survey.questions["milk"]
    one = {"tea": uniform(survey.answers("tea")), "milk": row(milk, [0, 0, 0], mass=0.0)}
    two = {"tea": row(ask_for("Tea?", ["Yes", "Never"]), [0.5, 0.5]), "milk": uniform(survey.answers("milk"))}
    with pytest.raises(PluralError, match=r"No question could be scored for every model .one: milk, the model put no"):
        pnb.score({"one": one, "two": two}, survey)


def test_a_ranking_by_a_measure_that_no_question_has_is_refused_in_words(survey):
    board = pnb.score({"even": {key: uniform(survey.answers(key)) for key in survey.questions}}, survey)
    with pytest.raises(PluralError, match="nothing can be ranked"):
        ranking_chart(board.ranking("representativeness"))
    view = pnb.ScoreboardView(survey, {"even": {key: uniform(survey.answers(key)) for key in survey.questions}})
    assert view.wait(30)
    view.measure = "representativeness"
    assert "nothing can be ranked" in view.status["text"]
    view.measure = "simbench"
    assert view.wait(30)
    assert view.status["kind"] == "ready"
    view.close()


def test_options_that_both_have_are_offered():
    tea = ask_for("Tea?", ["Green", "Black", "Other"], key="tea")
    people = Answers.from_places(tea, [0, 1, 2] * 20)
    with pytest.raises(PluralError, match="The 2 that both have are compared by align='common'"):
        pnb.compare(people, row(ask_for("Tea?", ["Green", "Black", "White"]), [0.2, 0.3, 0.5]))


def test_rows_that_are_not_numbers_are_named_where_they_are_made(survey):
    with pytest.raises(PluralError, match=r"Answers to 'tea': row 1 is \[nan, 0.5\]"):
        row(survey.questions["tea"], [np.nan, 0.5])


def test_benchmarks_that_do_not_sum_to_1_are_left_out_and_named(survey):
    known = {"tea": {"Yes": 0.6, "No": 0.6}, "milk": {"a": 0.2, "b": 0.3, "c": 0.5}}
    found = pnb.benchmark({"bad": survey}, known)
    assert found.left_out == ("tea: its shares sum to 1.2, not 1 (rounding aside).",)
    assert found.table()["questions"].to_list() == [1]


def test_panels_say_what_they_cannot_show_and_show_the_rest(survey):
    other = row(ask_for("Tea?", ["Yes", "Never"]), [0.5, 0.5])
    given = {"tea": other, "milk": uniform(survey.answers("milk"))}
    view = pnb.CompareView(survey, {"m": given}, question="tea", by="group")
    assert view.wait(30)
    assert "has no option" in view.status["text"]
    view.question = "milk"
    assert view.wait(30)
    assert (view.status["kind"], [row["value"] for row in view.findings][1:]) == ("ready", ["–", "–"])
    assert 0 < float(view.findings[0]["value"]) < 0.2  # three kinds of milk among ten people
    assert "one person alone" in view.findings[2]["more"]
    view.tab = "questions"
    assert view.wait(30)
    assert [cell["label"] for cell in view.grid.cells[0]] == ["–", "–", "–"]
    assert "has no option" in view.grid.cells[0][0]["said"]
    view.close()
    board = pnb.ScoreboardView(survey, {"m": given}, by="group")
    assert board.wait(30)
    said = {row["name"]: row for row in board.findings}
    assert said["Not scored"]["value"] == "3"
    assert board.grid.cells[0][1]["label"] != "–"
    assert board.grid.cells[0][2]["label"] == "–"
    board.close()
