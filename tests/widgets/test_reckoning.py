"""Long tables are made in the background: shown when they come, cancelled at once, and the newest wish wins."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import plural_nb as pnb
from plural_nb.comparison import scoreboard, survey_distances
from plural_nb.comparison.baselines import uniform
from plural_nb.errors import Cancelled, PluralError
from plural_nb.widgets import pairing, reckoning
from plural_nb.widgets.reckoning import Reckoning

KEYS = ("toll", "nature", "vote")


class Slow:
    """Stands before a library's function: goes on with one question at a time, as it is let."""

    def __init__(self, real: Callable[..., Any]) -> None:
        self.real, self.pass_on = real, threading.Event()
        self.begun: list[object] = []
        self.stopped: list[object] = []

    def __call__(self, survey: Any, answers: Any, *, by: Any = None, **rest: Any) -> Any:
        self.begun.append(by)
        try:
            while not self.pass_on.wait(0.01):
                rest["on_progress"](1, len(answers))  # as a long comparison says now and then how far it is
        except Cancelled:
            self.stopped.append(by)
            raise
        return self.real(survey, answers, by=by, **rest)


@pytest.fixture
def teaching() -> pnb.Survey:
    return pnb.load_survey("teaching")


@pytest.fixture
def even(teaching: pnb.Survey) -> dict[str, pnb.Answers]:
    return {key: uniform(teaching.answers(key)) for key in KEYS}


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow(survey_distances.compare_survey)
    for module in (pairing, scoreboard):
        monkeypatch.setattr(module, "compare_survey", made)
    monkeypatch.setattr(reckoning, "PATIENCE", 0.02)
    return made


@pytest.fixture
def view(teaching: pnb.Survey, even: dict[str, pnb.Answers]) -> Iterator[Any]:
    one = pnb.CompareView(teaching, {"even": even}, by="region")
    assert one.wait(30)
    yield one
    one.close()


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_long_table_can_be_cancelled_and_made_later(slow: Slow, view: Any, even: dict[str, pnb.Answers]) -> None:
    view.tab = "questions"
    until(lambda: view.status.get("total") == len(even))
    assert (view.status["kind"], view.drawn) == ("working", "nothing")
    assert view.status["text"] == "Comparing… 1 of 3 questions"
    view._told(view, {"do": "cancel"}, [])
    assert view.status == {"kind": "stopped", "text": "Stopped before all was compared."}
    assert view.wait(10)
    assert slow.stopped == ["region"]
    assert (view.status["kind"], view.drawn) == ("stopped", "nothing")
    slow.pass_on.set()
    view._told(view, {"do": "again"}, [])
    assert view.wait(60)
    assert (view.status["kind"], view.drawn) == ("ready", "grid")
    truth = pnb.compare_survey(view._survey, even, by="region").distances["js_distance"]["value"]
    assert view.grid.cells[0][0]["label"].strip("()") == f"{truth[0, 0]:.2f}"


def test_the_newest_wish_wins(slow: Slow, view: Any) -> None:
    view.tab = "questions"
    until(lambda: slow.begun == ["region"])
    view.by = "age"
    until(lambda: slow.begun == ["region", "age"])
    view.distance = "total_variation"  # the same table in another unit goes on
    slow.pass_on.set()
    assert view.wait(60)
    assert (slow.begun, slow.stopped) == (["region", "age"], ["region"])
    assert view.grid.columns == list(view._survey.groups("age").names)
    assert view.grid.caption.startswith("Total variation")


def test_leaving_the_table_ends_its_making(slow: Slow, view: Any) -> None:
    view.tab = "questions"
    until(lambda: slow.begun)
    view.tab = "answers"
    assert view.wait(10)
    assert slow.stopped == ["region"]
    assert (view.status["kind"], view.drawn) == ("ready", "chart")


def test_a_long_comparison_of_one_question_can_be_cancelled_too(
    view: Any, monkeypatch: pytest.MonkeyPatch, slow: Slow
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    real = pairing.compare

    def compare(*sides: Any, **how: Any) -> Any:
        begun.set()
        assert go_on.wait(30)
        return real(*sides, **how)

    monkeypatch.setattr(pairing, "compare", compare)
    view.question = "nature"
    assert begun.wait(10)
    assert view.status == {"kind": "working", "text": "Comparing…"}
    view.cancel()
    assert view.status == {"kind": "stopped", "text": "Stopped before all was compared."}
    go_on.set()
    assert view.wait(30)
    assert (view.status["kind"], view.drawn) == ("stopped", "nothing")
    view._told(view, {"do": "again"}, [])
    assert view.comparison.question.key == "nature"
    assert view.wait(30)
    assert (view.status["kind"], view.drawn) == ("ready", "chart")
    begun.clear()
    view.answer = "Disagree"  # another picture of the same comparison
    assert (view.status["kind"], begun.is_set()) == ("ready", False)


def test_data_waits_for_a_table(slow: Slow, view: Any) -> None:
    view.tab = "questions"
    threading.Timer(0.2, slow.pass_on.set).start()
    assert view.data.height == len(KEYS) * 5


def test_what_goes_wrong_late_is_said(slow: Slow, view: Any) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise PluralError("no table today")

    slow.real = fail
    view.tab = "questions"
    until(lambda: slow.begun)
    slow.pass_on.set()
    assert view.wait(10)
    assert view.status == {"kind": "error", "text": "no table today"}


def test_a_scoreboard_can_be_cancelled_and_made_later(
    slow: Slow, teaching: pnb.Survey, even: dict[str, pnb.Answers]
) -> None:
    board = pnb.ScoreboardView(teaching, {"even": even, "as one": dict(even)}, by="region")
    until(lambda: board.status.get("total") == 2 * len(even))
    board._told(board, {"do": "cancel"}, [])
    assert board.status == {"kind": "stopped", "text": "Stopped before all models were scored."}
    assert board.wait(10)
    assert (slow.stopped, board.drawn) == (["region"], False)
    with pytest.raises(PluralError, match="Stopped before all models were scored"):
        _ = board.board
    board.by = "age"  # a new wish is a new start
    until(lambda: len(slow.begun) == 2)
    slow.pass_on.set()
    assert board.board.groups == teaching.groups("age").names
    assert board.wait(30)
    assert (board.status["kind"], board.drawn) == ("ready", True)
    board.cancel()  # nothing is under way
    assert board.status["kind"] == "ready"
    board.close()


def test_wish_after_wish_is_waited_for_no_longer_than_it_takes() -> None:
    lock = threading.RLock()
    one = Reckoning(lock, lambda _key, _found: None, lambda *_news: None, lambda _error: None)
    begin = time.monotonic()
    with lock:  # as where one choice of a panel leads to the next
        for i in range(20):
            assert one.want(i, lambda _report, i=i: i, patience=30) == (True, i)
    assert time.monotonic() - begin < 5
    one.close()


def test_cancel_is_quick_and_progress_is_told_at_most_fifteen_times_a_second() -> None:
    told: list[tuple[int, int]] = []
    lock = threading.RLock()
    one = Reckoning(lock, lambda _key, _found: None, lambda *news: told.append(news), lambda _error: None)
    ended = threading.Event()

    def work(report: Callable[[int, int], None]) -> None:
        try:
            for i in range(100_000):
                report(i, 100_000)
                time.sleep(0.001)
        finally:
            ended.set()

    with lock:
        assert one.want("long", work, patience=0.0) == (False, None)
    time.sleep(0.5)
    begin = time.monotonic()
    assert one.drop()
    assert ended.wait(1)
    assert time.monotonic() - begin < 0.25
    assert 2 <= len(told) <= 0.75 * 15 + 2
    assert not one.drop()
    with lock:
        assert one.want("short", lambda _report: 7, patience=5) == (True, 7)
    one.close()
