"""The Python half of the panel: choices in, pictures and words out, and errors that leave it alive."""

from __future__ import annotations

import contextlib
import io
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import plural_nb as pnb
from plural_nb.comparison.comparison import compare
from plural_nb.errors import PluralError, SurveyError
from plural_nb.silicon.gguf import read_model_file
from plural_nb.silicon.model import open_model
from plural_nb.survey.library import load_survey
from plural_nb.survey.survey import Population
from plural_nb.widgets import Explorer, menus

Panel = Callable[..., Explorer]
YES_NO = [{"code": 1, "label": "Yes"}, {"code": 2, "label": "No"}]
UNASKED = {"code": 8, "label": "Don't know", "substantive": False, "offered": False}
SEXES = [{"code": 1, "label": "woman"}, {"code": 2, "label": "man"}]
WOMEN_AND_TEA = {
    "survey": {"title": "Tea"},
    "design": {"weight": "w"},
    "traits": {"sex": {"label": "Sex", "phrase": "I am a {}.", "options": SEXES}},
    "questions": {
        "tea": {"text": "Do you drink tea?", "options": [*YES_NO, UNASKED]},
        "milk": {"text": "With milk?", "asked_of": "women", "options": YES_NO},
    },
}
PEOPLE = pl.DataFrame(
    {
        "sex": [1, 1, 1, 1, 2, 2, 2, 2],
        "w": [1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0],
        "tea": [1, 1, 1, 2, 1, 2, 2, 8],
        "milk": [1, 2, 1, 1, None, None, None, None],
    }
)


@pytest.fixture(scope="module")
def tea() -> pnb.Survey:
    return pnb.Survey.from_frame(PEOPLE, WOMEN_AND_TEA, name="tea")


@pytest.fixture
def panel(monkeypatch: pytest.MonkeyPatch, small_model: Path) -> Iterator[Panel]:
    """Makes panels that look for models nowhere but at one small file."""
    monkeypatch.setattr(menus, "models", lambda: [menus._entry(read_model_file(small_model))])
    made: list[Explorer] = []

    def make(**given: Any) -> Explorer:
        made.append(Explorer(**{"survey": "anes96", "model": small_model, **given}))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_the_panel_shows_what_the_library_computes(panel: Panel, small_model: Path) -> None:
    one = panel(question="vote", population={"age": ["18 to 24"]})
    assert one.wait(60)
    survey = load_survey("anes96")
    people = survey.answers("vote", Population({"age": ["18 to 24"]}))
    with open_model(small_model) as model:
        both = compare(people, model.ask(survey.questions["vote"]))
    shown = one.data["share"].to_numpy()
    np.testing.assert_allclose(shown, np.concatenate([both.a.share[0], both.b.share[0]]), rtol=1e-9)
    assert one.findings[0]["value"] == f"{both.distances['js_distance']:.2f}"
    assert "Jensen–Shannon" in one.findings[0]["name"]
    assert one.findings[1]["name"] == "More than noise?"
    assert one.findings[1]["value"] == ("Yes" if both.verdict.word == "beyond noise" else "Cannot tell")
    assert one.findings[1]["more"] == both.verdict.sentence()
    assert [row["share"] for row in one.view.rows] == pytest.approx(list(shown))
    assert one.status["kind"] == "ready"
    assert one.seen["replies"][0]["text"].endswith("Answer:")
    assert "".join(one.seen["replies"][0]["pieces"][-3:])


def test_people_redraw_at_once_while_the_model_is_asked(
    panel: Panel, tea: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = panel(survey=tea)
    assert one.wait(60)
    monkeypatch.setattr(one._desk, "ask", lambda request: None)
    one.question = "milk"
    assert [row["label"] for row in one.view.rows] == ["75%", "25%", "…", "…"]
    assert one.status["kind"] == "working"
    assert one.findings == []
    assert one.comparison is None


def test_a_population_changes_the_people_and_leaves_the_model_in_peace(panel: Panel, tea: Any) -> None:
    one = panel(survey=tea)
    assert one.wait(60)
    before = one.data.filter(pl.col("who") == "model")["share"].to_list()
    one.population = {"sex": ["woman"]}
    assert one.status["kind"] == "ready"
    assert one.data["share"].to_list() == pytest.approx([0.75, 0.25, *before])


def test_weights_change_the_shares(panel: Panel, tea: Any) -> None:
    one = panel(survey=tea, weighted=False)
    assert one.data["share"].to_list()[:2] == pytest.approx([4 / 7, 3 / 7])
    assert one.count == "All 8 people; effective number (Kish) 8"
    one.weighted = True
    assert one.data["share"].to_list()[:2] == pytest.approx([6 / 13, 7 / 13])
    assert one.count == "All 8 people; effective number (Kish) 6"


def test_people_without_opinion_are_reported_beside_the_bars(panel: Panel, tea: Any) -> None:
    one = panel(survey=tea)
    [said] = [finding for finding in one.findings if finding["name"] == "No opinion, people"]
    assert "Don't know" in said["more"]
    assert "19%" in said["value"]


def test_rows_travel_alone_unless_the_options_change_in_number(panel: Panel) -> None:
    one = panel(question="vote")
    assert one.wait(60)
    sent: list[str] = []
    one.view.observe(lambda change: sent.append(change["name"]), names=["rows", "spec", "shape"])
    one.population = {"age": ["18 to 24"]}
    assert sent == ["rows"]
    sent.clear()
    one.question = "clinton_ideology"
    assert set(sent) >= {"rows", "shape"}


def test_the_model_speaks_as_the_population(panel: Panel, tea: Any) -> None:
    one = panel(survey=tea, population={"sex": ["woman"]})
    one.speaks = "population"
    assert one.voice == {"text": "I am a woman.", "left_out": []}
    assert one.wait(60)
    assert "I am a woman." in one.seen["replies"][0]["text"]
    one.population = {"sex": ["woman", "man"]}
    assert one.voice == {"text": "", "left_out": ["Sex"]}


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"population": {"age": ["18 to 24", "25 to 44"]}, "weighted": False},
        {"population": {"age": ["18 to 24"]}, "speaks": "population", "examples": "1"},
        {"mode": "completion", "question": "clinton_ideology"},
    ],
)
def test_the_code_rebuilds_the_view(panel: Panel, choices: dict[str, Any]) -> None:
    one = panel(question="vote")
    for name, value in choices.items():
        setattr(one, name, value)
    assert one.wait(60)
    names: dict[str, Any] = {}
    *cell, last = one.code().split("\n")
    with contextlib.redirect_stdout(io.StringIO()):
        exec("\n".join([*cell, f"drawn = {last}"]), names)
    assert names["drawn"].frame["share"].to_list() == pytest.approx(one.data["share"].to_list(), rel=1e-9)
    assert names["drawn"].subtitle == one.chart.subtitle


def test_a_survey_of_ones_own_is_read_by_its_path(panel: Panel, tmp_path: Path) -> None:
    PEOPLE.write_csv(tmp_path / "own.csv")
    (tmp_path / "own.toml").write_text(
        '[questions.tea]\ntext = "Tea?"\noptions = [{code = 1, label = "Yes"}, {code = 2, label = "No"}, '
        '{code = 8, label = "No idea", substantive = false}]\n'
    )
    one = panel()
    one.survey = str(tmp_path / "own.csv")
    assert one.status["kind"] != "error"
    assert one.questions[0]["key"] == one.question == "tea"
    assert one.data["n"].to_list()[0] == 7
    assert "pnb.read_survey(" in one.code()


def test_the_code_of_a_survey_made_in_code_claims_no_file(panel: Panel) -> None:
    one = panel(survey=pnb.Survey.from_frame(PEOPLE, WOMEN_AND_TEA, name="tea"), question="tea")
    assert "load_survey" not in one.code()
    assert "# survey: the Survey object that you gave the panel" in one.code()
    given = pnb.Survey.from_frame(PEOPLE, WOMEN_AND_TEA, name="tea")
    scope: dict[str, Any] = {"survey": given}
    exec(one.code(), scope)
    assert scope["people"].shares().share.tolist() == given.answers("tea").shares().share.tolist()


def test_a_survey_that_cannot_be_read_leaves_the_old_one(panel: Panel, tmp_path: Path) -> None:
    one = panel(question="vote")
    assert one.wait(60)
    one.survey = str(tmp_path / "nothing.csv")
    assert one.status["kind"] == "error"
    assert "nothing.csv" in one.status["text"]
    assert one.survey == "anes96"
    one.weighted = False
    assert one.status["kind"] == "ready"


def test_an_empty_population_is_said_and_the_next_choice_works(panel: Panel, tea: Any) -> None:
    one = panel(survey=tea, question="milk")
    assert one.wait(60)
    one.population = {"sex": ["man"]}
    assert one.status["kind"] == "error"
    assert "asked of women" in one.status["text"]
    assert one.count.startswith("4 of 8 people")
    with pytest.raises(PluralError, match="There is no chart"):
        one.data  # noqa: B018
    one.population = {}
    assert one.status["kind"] == "ready"
    assert one.data.height == 4


def test_models_that_cannot_be_asked_are_said_and_the_next_one_works(
    panel: Panel, tea: Any, tmp_path: Path, small_model: Path
) -> None:
    one = panel(survey=tea)
    assert one.wait(60)
    (tmp_path / "not.gguf").write_bytes(b"no model at all")
    for path in (tmp_path / "not.gguf", tmp_path / "gone.gguf"):
        one.model = str(path)
        assert one.wait(60)
        assert one.status["kind"] == "error"
        assert path.name in one.status["text"]
        assert one.data["who"].unique().to_list() == ["humans"]
    one.model = str(small_model)
    assert one.wait(60)
    assert one.status["kind"] == "ready"


def test_a_base_model_asked_to_chat_is_said(panel: Panel, tea: Any) -> None:
    one = panel(survey=tea)
    one.mode = "chat"
    assert one.wait(60)
    assert one.status["kind"] == "error"
    assert "completion" in one.status["text"]
    one.mode = "auto"
    assert one.wait(60)
    assert one.status["kind"] == "ready"


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX")
def test_a_killed_worker_is_survived(panel: Panel, tea: Any, small_model: Path) -> None:
    with open_model(small_model) as model:
        one = panel(survey=tea, model=model)
        assert one.wait(60)
        os.kill(model._process._process.pid, signal.SIGKILL)
        one.question = "milk"
        assert one.wait(60)
        if one.status["kind"] == "error":
            one._told(one, {"do": "again"}, [])
            assert one.wait(60)
        assert one.status["kind"] == "ready"
        assert one.comparison is not None


def test_an_unexpected_error_is_said_too(panel: Panel, tea: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one = panel(survey=tea)
    assert one.wait(60)
    with monkeypatch.context() as broken:
        broken.setattr("plural_nb.widgets.explorer.counted", lambda *_: 1 / 0)
        one.weighted = False
        assert one.status["kind"] == "error"
        assert "ZeroDivisionError" in one.status["text"]
    one.weighted = True
    assert one.status["kind"] == "ready"


def test_wrong_arguments_raise_where_they_are_written() -> None:
    with pytest.raises(TypeError, match="Did you mean 'population'"):
        Explorer(popullation={})
    with pytest.raises(SurveyError, match="Did you mean 'anes96'"):
        Explorer(survey="anes69")
    with pytest.raises(SurveyError, match="Did you mean 'vote'"):
        Explorer(survey="anes96", question="votes")
    with pytest.raises(SurveyError, match="18 to 24"):
        Explorer(survey="anes96", population={"age": ["18 to 25"]})


def test_files_carry_the_prompt_and_the_code(panel: Panel, tmp_path: Path) -> None:
    one = panel(question="vote")
    assert one.wait(60)
    page = one.save(tmp_path / "a.html").read_text(encoding="utf-8")
    assert "What the model saw, exactly (completion)" in page
    assert "A. Bill Clinton" in page
    assert "pnb.load_survey(&#x27;anes96&#x27;)" in page
    assert pl.read_csv(one.save(tmp_path / "a.csv")).height == one.data.height


def test_the_browser_gets_files_and_code_by_message(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    one = panel(question="vote")
    assert one.wait(60)
    sent: list[tuple[Any, Any]] = []
    monkeypatch.setattr(one, "send", lambda content, buffers=None: sent.append((content, buffers)))
    one._told(one, {"do": "export", "kind": "csv"}, [])
    one._told(one, {"do": "code"}, [])
    [(file, [data]), (code, _)] = sent
    assert (file["file"], file["type"]) == ("anes96-vote.csv", "text/csv")
    assert data.startswith(b"question,who")
    assert code["code"] == one.code()


def test_without_a_front_end_the_panel_is_text(panel: Panel) -> None:
    one = panel(question="vote")
    assert one.wait(60)
    text = one._repr_mimebundle_()[0]["text/plain"]
    assert "Bill Clinton" in text
    assert "Jensen–Shannon distance (base 2)" in text


def test_a_model_named_by_its_name_is_found(panel: Panel, small_model: Path) -> None:
    one = panel(question="vote", model=small_model.stem)
    assert one.wait(60)
    assert one.model == str(small_model)
    assert one.status["kind"] == "ready"


def test_a_path_chosen_by_hand_joins_the_menu(panel: Panel, tea: Any, small_model: Path, tmp_path: Path) -> None:
    one = panel(survey=tea)
    assert one.wait(60)
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(small_model.read_bytes())
    one.model = str(copy)
    assert one.wait(60)
    assert one.status["kind"] == "ready"
    assert [entry["id"] for entry in one.models] == [str(small_model), str(copy)]
    one.model = small_model.stem
    assert one.model == str(small_model)
