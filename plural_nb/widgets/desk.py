"""ModelDesk: opens models and asks them in one background thread, the newest request first."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from plural_nb.answers import Answers
from plural_nb.errors import Cancelled, PluralError
from plural_nb.silicon.model import Model, open_model
from plural_nb.silicon.prompt import Mode
from plural_nb.survey.question import Question

MOST_OPEN = 2
_BETWEEN_REPORTS = 1 / 15
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of which model, and how; equal requests have equal answers.

    model: path or name of the model. persona: "" for its own voice. mode, examples: None leaves them to the model.
    every_way: in all wordings of the question, each in several orders of its options.
    """

    model: str
    question: Question
    persona: str = ""
    mode: Mode | None = None
    examples: int | None = None
    every_way: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """What happened to a request: "opening", "asking" (done of total prompts), "answered", "cancelled" or "failed".

    mode: the mode that it was asked in, once answered. error: why it failed.
    """

    request: Request
    kind: Literal["opening", "asking", "answered", "cancelled", "failed"]
    done: int = 0
    total: int = 0
    error: Exception | None = field(default=None, compare=False)


class ModelDesk:
    """Answers requests for models one at a time, off the notebook's thread; a newer request displaces an older.

    tell: called from the desk's thread with each News, progress at most 15 times a second.
    opener: opens a model by path or name; `open_model` when None.

    At most two models stay open: opening a third closes the one that was not used for longest. Models that were
    `lend` to the desk stay open.
    """

    def __init__(self, tell: Callable[[News], None], opener: Callable[[str], Model] | None = None) -> None:
        self._tell = tell
        self._opener = opener or open_model
        self._open: OrderedDict[str, Model] = OrderedDict()
        self._lent: dict[str, Model] = {}
        self._answers: dict[tuple[Request, object], Answers] = {}
        self._change = threading.Condition()
        self._wanted: Request | None = None
        self._current: Request | None = None
        self._asked: Model | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._drop = False

    def lend(self, name: str, model: Model) -> None:
        """Use this open model under `name`; whoever lent it closes it."""
        with self._change:
            self._lent[name] = model

    def has_lent(self, name: str) -> bool:
        """Whether a model was lent under this name."""
        return name in self._lent

    def known(self, request: Request) -> Answers | None:
        """The answers to a request that was answered before and whose model has not changed since, at once."""
        return self._answers.get((request, _stamp(request.model)))

    def mode_of(self, request: Request) -> Mode | None:
        """The mode a request is asked in, where its model is open."""
        if request.mode:
            return request.mode
        model = self._lent.get(request.model) or self._open.get(request.model)
        return None if model is None else "chat" if model.file.is_chat else "completion"

    def ask(self, request: Request) -> None:
        """Want this answered; what else is under way or waits is dropped."""
        with self._change:
            if self._closed:
                return
            if request == self._current:
                self._wanted = None
                return
            self._wanted = request
            self._stop_current()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="plural_nb models", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def drop_others(self, request: Request) -> None:
        """Drop what is under way or waits unless it is this request."""
        with self._change:
            if self._current not in (None, request):
                self._stop_current()
            if self._wanted != request:
                self._wanted = None

    def cancel(self) -> None:
        """Drop what is under way and what waits."""
        with self._change:
            self._wanted = None
            self._stop_current()

    @property
    def busy(self) -> bool:
        """Whether a request is under way or waits."""
        with self._change:
            return self._current is not None or self._wanted is not None

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is under way; whether that came in time."""
        with self._change:
            return self._change.wait_for(lambda: self._current is None and self._wanted is None, seconds)

    def close(self) -> None:
        """Stop, and close the models that were opened here."""
        with self._change:
            self._closed = True
            self._wanted = None
            self._stop_current()
            self._change.notify_all()
            models = list(self._open.values())
            self._open.clear()
        for model in models:
            model.close()

    def _stop_current(self) -> None:
        self._drop = True
        if self._asked is not None:
            self._asked.cancel()

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._wanted is not None or self._closed)
                if self._closed:
                    return
                request, self._wanted = self._wanted, None
                self._current = request
                self._drop = False
            assert request is not None
            try:
                news = self._answer(request)
            except Cancelled:
                news = News(request, "cancelled")
            except PluralError as error:
                news = News(request, "failed", error=error)
            except Exception as error:
                _log.exception("An unexpected error while asking %s", request.model)
                news = News(request, "failed", error=error)
            # The listener hears of it before `wait` returns, so that whoever waited sees the result.
            if not self._closed:
                self._say(news)
            with self._change:
                self._current = None
                self._asked = None
                self._change.notify_all()

    def _answer(self, request: Request) -> News:
        stamp = _stamp(request.model)
        model = self._opened(request)
        with self._change:
            if self._drop:
                raise Cancelled("This request was dropped.")
            self._asked = model
        last = 0.0

        def report(done: int, total: int) -> None:
            nonlocal last
            # Dropped before the model began to listen.
            if self._drop:
                model.cancel()
            now = time.monotonic()
            if now - last >= _BETWEEN_REPORTS:
                last = now
                self._say(News(request, "asking", done, total))

        answers = model.ask(
            request.question, persona=request.persona, mode=request.mode, examples=request.examples,
            wordings=request.every_way, order="balanced" if request.every_way else "as_asked", on_progress=report,
        )  # fmt: skip
        self._answers[request, stamp] = answers
        return News(request, "answered")

    def _opened(self, request: Request) -> Model:
        name = request.model
        lent = self._lent.get(name)
        if lent is not None:
            return lent
        with self._change:
            found = self._open.get(name)
            if found is not None:
                self._open.move_to_end(name)
                return found
        self._say(News(request, "opening"))
        made = self._opener(name)
        with self._change:
            self._open[name] = made
            spare = [self._open.popitem(last=False)[1] for _ in range(len(self._open) - MOST_OPEN)]
            if self._closed:
                spare.append(self._open.pop(name))
        for model in spare:
            model.close()
        return made

    def _say(self, news: News) -> None:
        try:
            self._tell(news)
        except Exception:
            _log.exception("An unexpected error while showing %s", news.kind)


def _stamp(name: str) -> Any:
    """What changes when a model file is replaced; None for a name."""
    try:
        facts = Path(name).stat()
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns, facts.st_ino
