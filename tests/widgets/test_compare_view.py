"""The Python half of the comparison and the scoreboard: views, verdicts, links, code, files, and what goes wrong."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import plural_nb as pnb
from plural_nb.comparison.baselines import uniform
from plural_nb.errors import PluralError, SurveyError
from plural_nb.widgets import reckoning
from plural_nb.widgets.contenders import PEOPLE

KEYS = ("toll", "nature", "vote")
YOUNG = pnb.Population({"age": ["18 to 29"]})


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine is busy with, what is compared is waited for."""
    monkeypatch.setattr(reckoning, "PATIENCE", 60.0)


@pytest.fixture(scope="module")
def teaching() -> pnb.Survey:
    return pnb.load_survey("teaching")


@pytest.fixture(scope="module")
def even(teaching: pnb.Survey) -> dict[str, pnb.Answers]:
    return {key: uniform(teaching.answers(key)) for key in KEYS}


@pytest.fixture
def view() -> Iterator[Callable[..., Any]]:
    """Makes views and closes them."""
    made: list[Any] = []

    def make(kind: Any, *given: Any, **how: Any) -> Any:
        made.append(kind(*given, **how))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_the_comparison_is_the_librarys(view: Callable[..., Any], teaching: pnb.Survey) -> None:
    one = view(pnb.CompareView, teaching, {"the young": YOUNG}, question="toll")
    truth = pnb.compare(teaching.answers("toll"), teaching.answers("toll", YOUNG))
    assert one.comparison.distances["js_distance"] == truth.distances["js_distance"]
    said = {row["name"]: row for row in one.findings}
    assert said["More than noise?"]["more"] == truth.verdict.sentence()
    one.tab = "distances"
    assert one.data["noise_p95"].to_list() == truth.distance_table().filter(~pl.col("distance").str.contains("kl"))[
        "noise_p95"].to_list()  # fmt: skip
    one.by = "region"
    by = pnb.compare(teaching.answers("toll"), teaching.answers("toll", YOUNG), by=teaching.groups("region"))
    np.testing.assert_allclose(one.data["value"].to_numpy(), by.distance("js_distance").value, rtol=1e-12)
    assert [row["more"] for row in one.findings] == [verdict.sentence() for verdict in by.verdicts]
    one.group = "Far Isles"
    isles = pnb.Population({"region": ["Far Isles"]}), pnb.Population({"age": ["18 to 29"], "region": ["Far Isles"]})
    alone = pnb.compare(*(teaching.answers("toll", whom) for whom in isles))
    assert one.comparison.distances["js_distance"] == alone.distances["js_distance"]


def test_a_table_of_every_question_opens_what_is_chosen(
    view: Callable[..., Any], teaching: pnb.Survey, even: dict[str, pnb.Answers]
) -> None:
    one = view(pnb.CompareView, teaching, {"even": even}, by="region")
    one.tab = "questions"
    assert one.wait(60)
    truth = pnb.compare_survey(teaching, even, by="region").distances["js_distance"]["value"]
    shown = [[float(cell["label"].strip("()")) for cell in row] for row in one.grid.cells]
    np.testing.assert_allclose(shown, truth, atol=0.005 + 1e-12)
    one.grid.choose(1, 4)
    assert (one.tab, one.question, one.group) == ("answers", "nature", "Far Isles")
    one.b = PEOPLE
    assert one.tabs[-1]["lacks"]
    one.tab = "questions"
    assert one.tab == "answers"


@pytest.mark.parametrize("tab", ["answers", "distances", "questions"])
@pytest.mark.parametrize(
    ("by", "group", "every_way"),
    [("", "", False), ("", "", True), ("region", "", False), ("region", "Northmoor", False)],
)
def test_the_code_rebuilds_the_view(
    view: Callable[..., Any], teaching: pnb.Survey, tab: str, by: str, group: str, every_way: bool
) -> None:
    one = view(pnb.CompareView, "teaching", question="nature", by=by, every_way=every_way)
    one.group, one.tab = group, tab
    assert one.wait(120)
    assert one.status["kind"] == "ready", one.status
    *before, last = one.code().splitlines()
    space: dict[str, Any] = {}
    exec("\n".join(before), space)
    rebuilt = eval(last, space)
    assert rebuilt.frame.equals(one.data)
    assert rebuilt.summary.replace("base", "") == one.chart.summary.replace("base", "")


def test_models_are_asked_in_the_background_and_people_are_shown_meanwhile(
    view: Callable[..., Any], small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLURAL_NB_CACHE", str(tmp_path))
    one = view(pnb.CompareView, "anes96", {"small": small_model}, question="vote")
    assert one.status["kind"] in ("working", "ready")
    assert one.wait(120)
    assert one.status["kind"] == "ready"
    with pnb.open_model(small_model) as model:
        survey = pnb.load_survey("anes96")
        truth = pnb.compare(survey.answers("vote"), model.ask(survey.questions["vote"]))
    assert one.comparison.distances["js_distance"] == pytest.approx(truth.distances["js_distance"], abs=1e-9)


def test_a_box_has_models_asked_in_every_wording_and_order(view: Callable[..., Any], teaching: pnb.Survey) -> None:
    one = view(pnb.CompareView, teaching, question="toll")
    assert one.wait(60)
    said = {row["name"]: row for row in one.findings}["Ways plural-demo-base was asked"]
    assert (said["value"], "tick “Every wording and order”" in said["more"]) == ("1 × 1", True)
    one.every_way = True
    assert one.wait(60)
    with pnb.open_model("plural-demo-base") as model:
        truth = model.ask(teaching.questions["toll"], wordings=True, order="balanced", progress=False)
    assert one.comparison.b.share[0] == pytest.approx(pnb.compare(teaching.answers("toll"), truth).b.share[0])
    said = {row["name"]: row for row in one.findings}["Ways plural-demo-base was asked"]
    assert said["more"].startswith(f"Asked in {1 + len(teaching.questions['toll'].wordings)} wordings and 2 orders")
    low = {row["option_text"]: row["low"] for row in one.chart.rows if row["who"] == "model"}
    assert all(bound is not None for bound in low.values())


def test_a_newer_wish_displaces_an_older_and_cancel_stops(
    view: Callable[..., Any], monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLURAL_NB_CACHE", str(tmp_path))
    one = view(pnb.CompareView, "teaching", question="rate_assembly", by="region")
    said: list[str] = []
    one.observe(lambda change: said.append(change["new"]["kind"]), names="status")
    one.tab = "questions"
    assert one.wait(120)
    assert one.status == {"kind": "ready", "text": ""}
    assert "stopped" not in said
    assert len(one.grid.rows) == 20
    one.b = "tuned"
    one.cancel()
    assert one.wait(60)
    assert one.status["kind"] in ("stopped", "ready")
    one._told(one, {"do": "again"}, [])
    assert one.wait(120)
    assert one.status["kind"] == "ready"
    assert len(one.grid.rows) == 20


def test_a_scoreboard_is_score_and_its_cells_open_pairs(
    view: Callable[..., Any], teaching: pnb.Survey, even: dict[str, pnb.Answers]
) -> None:
    models = {"even": even, "as one": dict(even.items())}
    board = view(pnb.ScoreboardView, teaching, models, by="region")
    assert board.wait(60)
    truth = pnb.score(models, teaching, by="region")
    assert board.data.equals(truth.table())
    assert board.grid.columns == ["All alike", *truth.groups]
    assert [entry["id"] for entry in board.pair.sources] == [PEOPLE, "even", "as one"]
    assert board.grid.cells[0][0]["label"] == f"{truth.measure('even', 'mean_js')[0]:.2f}"
    board.grid.choose(1, 5)
    assert board.opened == ["as one", "Far Isles"]
    worst = np.argmax(truth.compared["as one"].distances["js_distance"]["value"][:, 4])
    assert (board.pair.b, board.pair.group, board.pair.question) == ("as one", "Far Isles", truth.sample.keys[worst])
    board.pair.group = "Northmoor"
    assert board.opened == ["as one", "Northmoor"]
    assert board.grid.chosen == [1, 2]
    board.pair.b = PEOPLE
    assert (board.opened, board.grid.chosen) == ([PEOPLE, "Northmoor"], [])
    board.measure = "simbench"
    assert board.grid.cells[0][0]["label"] in ("0", "-0")
    board.by = "age"
    assert board.wait(60)
    assert board.opened == []
    assert set(board.data["population"]) == set(teaching.groups("age").names)
    with pytest.raises(PluralError, match="as one"):
        board.open_pair("as_one")


def test_a_scoreboard_of_models_asks_them_everything_and_its_code_rebuilds_it(view: Callable[..., Any]) -> None:
    board = view(pnb.ScoreboardView, "anes96", by="age")
    assert board.wait(120)
    assert board.status == {"kind": "ready", "text": ""}
    *before, last = board.code().splitlines()
    space: dict[str, Any] = {"print": lambda *_: None}
    exec("\n".join(before), space)
    assert space["board"].table().equals(board.data)
    assert eval(last, space).frame.equals(board.chart.frame)


def test_files_are_written_with_the_rows_behind_them(
    view: Callable[..., Any], teaching: pnb.Survey, even: dict[str, pnb.Answers], tmp_path: Path
) -> None:
    one = view(pnb.CompareView, teaching, {"even": even}, question="toll")
    board = view(pnb.ScoreboardView, teaching, {"even": even}, by="region")
    assert board.wait(60)
    for widget, name in ((one, "pair"), (board, "board")):
        for kind in ("csv", "svg", "png", "html"):
            assert widget.save(tmp_path / f"{name}.{kind}").stat().st_size > 200
        sent: list[Any] = []
        widget.send = lambda content, buffers=None, sent=sent: sent.append((content, buffers))
        widget._told(widget, {"do": "export", "kind": "csv"}, [])
        assert pl.read_csv(io.BytesIO(sent[0][1][0])).height == widget.data.height
        assert "import plural_nb" in (tmp_path / f"{name}.html").read_text(encoding="utf-8")


def test_what_goes_wrong_is_said_and_the_view_lives(
    view: Callable[..., Any], teaching: pnb.Survey, even: dict[str, pnb.Answers]
) -> None:
    one = view(pnb.CompareView, teaching, {"even": even, "the young": YOUNG})
    assert (one.question, one.status["kind"]) == ("vote", "ready")  # the first that both were asked
    one.question = "job"
    assert one.status["kind"] == "error"
    assert "even was not asked 'job'" in one.status["text"]
    one.question = "nature"
    assert one.status["kind"] == "ready"
    one.b = "nobody"
    assert "no source 'nobody'" in one.status["text"]
    one.b = "even"
    one.by = "region"
    one.group = "Nowhere"
    assert "no group 'Nowhere'" in one.status["text"]
    one.group = ""
    one.a, one.b = "even", "the young"
    assert "even has no groups" in one.status["text"]


def test_wrong_arguments_name_the_right_ones(teaching: pnb.Survey, even: dict[str, pnb.Answers]) -> None:
    with pytest.raises(TypeError, match="question"):
        pnb.CompareView(teaching, {}, questoin="toll")
    with pytest.raises(TypeError, match="measure"):
        pnb.ScoreboardView(teaching, {"even": even}, mesure="simbench")
    with pytest.raises(PluralError, match="js_distance"):
        pnb.CompareView(teaching, {}, distance="js_distnce")
    with pytest.raises(PluralError, match="needs models"):
        pnb.ScoreboardView(teaching, {"the young": YOUNG})
    with pytest.raises(PluralError, match="a source is"):
        pnb.CompareView(teaching, {"three": 3})  # type: ignore[dict-item]
    with pytest.raises(SurveyError, match="region"):
        pnb.CompareView(teaching, {"even": even}, by="regoin")


def test_a_question_that_a_model_cannot_be_asked_costs_only_itself(view: Callable[..., Any]) -> None:
    survey = pnb.load_survey("anes96")
    board = view(pnb.ScoreboardView, survey, {"none": "no-such-model", "base": "plural-demo-base"})
    assert board.wait(60)
    assert board.status["kind"] == "error"
    assert board.drawn is False
