"""The desk that asks models: the newest request wins, and nothing that goes wrong stops it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from plural_nb.answers import Answers, Source
from plural_nb.errors import Cancelled, ModelCrashed
from plural_nb.survey.design import Design
from plural_nb.survey.question import ask_for
from plural_nb.widgets.desk import ModelDesk, News, Request

QUESTION = ask_for("Tea or coffee?", ["Tea", "Coffee"])


class Pretended:
    """Stands in for an open model: answers when it is let, stops when it is told to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.file = SimpleNamespace(path=Path(name), is_chat=False)
        self.may_answer = threading.Event()
        self.asking = threading.Event()
        self.stopped = threading.Event()
        self.closed = False
        self.asked: list[str] = []

    def ask(self, question: Any, *, persona: str = "", on_progress: Any = None, **_: Any) -> Answers:
        self.stopped.clear()
        self.asked.append(persona)
        self.asking.set()
        if persona == "crash":
            raise ModelCrashed("the worker died")
        if persona == "bug":
            raise ZeroDivisionError("unforeseen")
        while not self.may_answer.wait(0.002):
            on_progress(0, 5)
            if self.stopped.is_set():
                raise Cancelled("stopped")
        source = Source("model", self.name)
        return Answers(question, np.array([[0.5, 0.5]]), Design(np.ones(1)), np.ones(1, bool), source, np.ones(1))

    def cancel(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        self.closed = True


class Desk:
    """A desk with pretended models and what it told."""

    def __init__(self) -> None:
        self.models: dict[str, Pretended] = {}
        self.news: list[News] = []
        self.patient = True
        self.desk = ModelDesk(self.news.append, self.opened)

    def opened(self, name: str) -> Any:
        made = self.models[name] = Pretended(name)
        if not self.patient:
            made.may_answer.set()
        return made

    def kinds(self, persona: str) -> set[str]:
        return {news.kind for news in self.news if news.request.persona == persona}


@pytest.fixture
def at() -> Iterator[Desk]:
    made = Desk()
    yield made
    for model in made.models.values():
        model.may_answer.set()
    made.desk.close()


def request(persona: str = "", model: str = "one") -> Request:
    return Request(model, QUESTION, persona)


def first_is_asked(at: Desk, persona: str = "first") -> Pretended:
    at.desk.ask(request(persona))
    while "one" not in at.models:
        threading.Event().wait(0.002)
    assert at.models["one"].asking.wait(10)
    return at.models["one"]


def test_newest_request_wins_and_those_between_are_never_asked(at: Desk) -> None:
    model = first_is_asked(at)
    for persona in ("second", "third", "fourth"):
        at.desk.ask(request(persona))
    model.may_answer.set()
    assert at.desk.wait(10)
    assert model.asked[-1] == "fourth"
    assert at.desk.known(request("fourth")) is not None
    assert at.desk.known(request("second")) is None
    assert at.kinds("fourth") >= {"answered"}
    assert not at.kinds("second") & {"answered", "failed"}


def test_asking_again_for_what_is_under_way_does_not_start_over(at: Desk) -> None:
    model = first_is_asked(at)
    at.desk.ask(request("first"))
    model.may_answer.set()
    assert at.desk.wait(10)
    assert model.asked == ["first"]


def test_cancel_stops_and_the_next_request_works(at: Desk) -> None:
    model = first_is_asked(at)
    at.desk.cancel()
    assert at.desk.wait(10)
    assert at.kinds("first") >= {"cancelled"}
    model.may_answer.set()
    at.desk.ask(request("next"))
    assert at.desk.wait(10)
    assert at.kinds("next") >= {"answered"}


@pytest.mark.parametrize(("persona", "error"), [("crash", ModelCrashed), ("bug", ZeroDivisionError)])
def test_an_error_is_told_and_the_next_request_works(at: Desk, persona: str, error: type[Exception]) -> None:
    at.patient = False
    at.desk.ask(request(persona))
    assert at.desk.wait(10)
    [failed] = [news for news in at.news if news.kind == "failed"]
    assert isinstance(failed.error, error)
    at.desk.ask(request("next"))
    assert at.desk.wait(10)
    assert at.kinds("next") >= {"answered"}


def test_a_listener_that_fails_does_not_stop_the_desk() -> None:
    def deaf(_: News) -> None:
        raise RuntimeError("not listening")

    desk = ModelDesk(deaf, Desk.opened.__get__(at := Desk()))
    at.patient = False
    for persona in ("one", "two"):
        desk.ask(request(persona))
        assert desk.wait(10)
        assert desk.known(request(persona)) is not None
    desk.close()


def test_two_models_stay_open_and_the_one_unused_longest_is_closed(at: Desk) -> None:
    at.patient = False
    for model in ("one", "two", "one", "three"):
        at.desk.ask(request(f"{model} {len(at.news)}", model))
        assert at.desk.wait(10)
    assert {name for name, model in at.models.items() if model.closed} == {"two"}


def test_a_lent_model_is_used_and_left_open(at: Desk) -> None:
    own = Pretended("mine")
    own.may_answer.set()
    at.desk.lend("mine", own)  # type: ignore[arg-type]
    at.desk.ask(request("x", "mine"))
    assert at.desk.wait(10)
    at.desk.close()
    assert own.asked == ["x"]
    assert not own.closed
    assert not at.models


def test_closing_closes_the_models_and_ends_the_work(at: Desk) -> None:
    model = first_is_asked(at)
    at.desk.close()
    assert model.closed
    assert model.stopped.is_set()


def test_answers_to_a_replaced_file_are_not_taken_for_the_new_one(at: Desk, tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"one")
    at.patient = False
    at.desk.ask(request("x", str(file)))
    assert at.desk.wait(10)
    assert at.desk.known(request("x", str(file))) is not None
    file.write_bytes(b"another")
    assert at.desk.known(request("x", str(file))) is None
