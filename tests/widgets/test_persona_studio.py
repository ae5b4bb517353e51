"""The Python half of the persona studio: texts, one person, the sample beside people and regression, code and files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plural_nb as pnb
from plural_nb.charts import people_and_voices
from plural_nb.comparison.demographics import demographic_baseline
from plural_nb.errors import Cancelled, PluralError, SurveyError
from plural_nb.widgets.bench import Bench
from plural_nb.widgets.persona_studio import PersonaStudio


@pytest.fixture(scope="module")
def model() -> Iterator[pnb.Model]:
    with pnb.open_model("plural-demo-base") as opened:
        yield opened


@pytest.fixture
def studio(model: pnb.Model) -> Iterator[PersonaStudio]:
    panel = PersonaStudio("anes96", model, question="vote", traits=["age", "party"])
    assert panel.wait(60)
    yield panel
    panel.close()


def settled(panel: PersonaStudio, **choices: Any) -> PersonaStudio:
    for name, value in choices.items():
        setattr(panel, name, value)
    assert panel.wait(60)
    return panel


def test_the_text_is_the_one_that_the_sample_is_told(studio: PersonaStudio) -> None:
    settled(studio, leak="keep", person=5)
    survey = pnb.load_survey("anes96")
    personas = pnb.Personas.from_survey(survey, "first_person", ["age", "party"], leak="keep")
    assert studio.texts[0]["text"] == personas.told(survey.question("vote"))[5]
    settled(studio, leak="leave out")
    personas = pnb.Personas.from_survey(survey, "first_person", ["age", "party"], leak="leave out")
    assert studio.texts[0]["text"] == personas.told(survey.question("vote"))[5]
    assert [line["fate"] for line in studio.guard["lines"]] == ["not told"]


def test_one_persons_answer_is_the_models_and_the_real_one_is_the_surveys(
    studio: PersonaStudio, model: pnb.Model
) -> None:
    settled(studio, leak="keep", person=7)
    survey = pnb.load_survey("anes96")
    row = model.ask(survey.question("vote"), persona=studio.texts[0]["text"]).shares().share[0]
    assert [r["cells"][0]["p"] for r in studio.one["rows"]] == pytest.approx(row.tolist())
    own = survey.questions["vote"].options[survey.answer_codes["vote"][7]].label
    assert studio.one["own"] == own
    assert [r["option"] for r in studio.one["rows"] if r["own"]] == [own]
    assert studio.texts[0]["tokens"] == model.count_tokens([studio.texts[0]["text"]])[0]


def test_what_if_changes_one_trait_of_one_person_only(studio: PersonaStudio) -> None:
    settled(studio, leak="keep", person=1)
    before = studio.texts[0]["text"]
    settled(studio, changes={"party": "Strong Republican"})
    assert [t["name"] for t in studio.texts] == ["First person", "First person, changed"]
    assert studio.texts[0]["text"] == before
    assert studio.texts[1]["text"] == before.replace("a weak Democrat", "a strong Republican")
    dole = [cell["p"] for cell in studio.one["rows"][1]["cells"]]
    assert dole[1] > dole[0] + 0.3
    settled(studio, changes={"party": "Weak Democrat"})
    assert "stays as it was" in studio.problem
    settled(studio, person=2)
    assert studio.changes == {}
    settled(studio, changes={"party": "Whig"})
    assert "no level 'Whig'" in studio.problem


def test_the_sample_equals_a_plain_run_and_stands_beside_the_regression(
    studio: PersonaStudio, model: pnb.Model
) -> None:
    settled(studio, margin=5.0, leak="keep")
    studio.ask()
    assert studio.wait(120)
    survey = pnb.load_survey("anes96")
    question = survey.question("vote")
    personas = pnb.Personas.from_survey(survey, "first_person", ["age", "party"], leak="keep")
    plain = model.ask(question, people=personas, until_margin=0.05).shares()
    shown = studio.data.filter(who="First person")
    np.testing.assert_allclose(shown["share"].to_numpy(), plain.share[0], rtol=1e-12)
    assert shown["n"][0] == plain.n[0] < survey.n
    guess = demographic_baseline(survey, "vote", ["age", "party"]).shares()
    np.testing.assert_allclose(studio.data.filter(who="Regression, no model")["share"], guess.share[0], rtol=1e-12)
    assert "points at most" in studio.status["text"]
    assert "A regression on the same traits is at" in studio.findings[0]["more"]
    scope: dict[str, Any] = {}
    lines = studio.code().split("\n")
    exec("\n".join([*lines[:-1], f"shown = {lines[-1]}"]), scope)  # the claim is that this very text runs
    again = scope["shown"].frame
    assert again["share"].to_list() == pytest.approx(studio.data["share"].to_list())


def test_the_regression_is_there_before_anybody_is_asked_and_knows_no_giveaway(studio: PersonaStudio) -> None:
    guess = demographic_baseline(pnb.load_survey("anes96"), "vote", ["age"]).shares()
    np.testing.assert_allclose(studio.data.filter(who="Regression, no model")["share"], guess.share[0], rtol=1e-12)
    settled(studio, told=["party"])
    assert studio.data["who"].unique().to_list() == ["People"]
    assert "No trait is told" in studio.findings[-1]["more"]


def test_other_choices_take_the_old_sample_off_the_chart(studio: PersonaStudio) -> None:
    settled(studio, margin=10.0)
    studio.ask()
    assert studio.wait(60)
    assert "First person" in studio.data["who"].to_list()
    settled(studio, told=["age", "education"])
    assert "First person" not in studio.data["who"].to_list()
    settled(studio, told=["age", "party"])
    assert "First person" in studio.data["who"].to_list()


def test_mistakes_are_said_and_the_panel_stays_alive(studio: PersonaStudio) -> None:
    settled(studio, style="own", text="I am {agee}.")
    assert "names no trait" in studio.problem
    settled(studio, text="I am {")
    assert "single brace" in studio.problem
    settled(studio, text="I am {age}.")
    assert studio.problem == ""
    assert studio.texts[0]["text"] == "I am 25 to 44."
    for bad, error in (
        ({"questions": 1}, TypeError),
        ({"question": "votes"}, SurveyError),
        ({"traits": ["aeg"]}, SurveyError),
        ({"style": "frist_person"}, SurveyError),
        ({"margin": 4.0}, PluralError),
    ):
        with pytest.raises(error):
            PersonaStudio("anes96", **bad)


def test_files_carry_the_texts_and_the_code(studio: PersonaStudio, tmp_path: Path) -> None:
    page = studio.save(tmp_path / "a.html").read_text(encoding="utf-8")
    assert studio.texts[0]["text"] in page
    assert "people_and_voices" in page
    assert people_and_voices.__name__ in studio.code()
    assert studio.save(tmp_path / "a.csv").read_bytes().startswith(b"question,who")


def test_short_jobs_are_done_between_the_rounds_of_long_ones_and_newer_displace_older() -> None:
    done: list[str] = []
    failed: list[tuple[str, Exception]] = []
    bench = Bench(("short", "long"), lambda lane, error: failed.append((lane, error)), lambda name: None)
    begun, go = threading.Event(), threading.Event()

    def long(_: Any, pause: Any) -> None:
        begun.set()
        go.wait(10)
        pause()
        done.append("long")

    bench.want("long", "", long)
    assert begun.wait(10)
    bench.want("short", "", lambda m, pause: done.append("dropped"))
    bench.want("short", "", lambda m, pause: done.append("short"))
    go.set()
    assert bench.wait(10)
    assert done == ["short", "long"]
    begun.clear()
    go.clear()
    bench.want("long", "", long)
    assert begun.wait(10)
    bench.cancel("long")
    go.set()
    assert bench.wait(10)
    assert done == ["short", "long"]
    assert [(lane, type(error)) for lane, error in failed] == [("long", Cancelled)]
    bench.close()


def test_a_stray_cancel_does_not_end_a_job_that_is_still_wanted() -> None:
    failed: list[tuple[str, Exception]] = []
    bench = Bench(("short", "long"), lambda lane, error: failed.append((lane, error)), lambda name: None)
    tries: list[int] = []

    def work(_: Any, pause: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise Cancelled("meant for another")

    bench.want("long", "", work)
    assert bench.wait(10)
    assert (len(tries), failed) == (2, [])
    bench.close()


def test_asking_what_is_known_says_so_again(studio: PersonaStudio) -> None:
    settled(studio, margin=10.0)
    studio.ask()
    assert studio.wait(60)
    before = studio.status
    studio.ask()
    assert studio.wait(60)
    assert studio.status == before
