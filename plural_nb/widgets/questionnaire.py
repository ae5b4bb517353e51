"""Questionnaire: puts many questions to models through a desk, one after the other, and can be stopped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from plural_nb.answers import Answers
from plural_nb.errors import ModelCrashed, PluralError
from plural_nb.silicon.model import Model
from plural_nb.survey.question import Question
from plural_nb.widgets.desk import ModelDesk, News, Request

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Round:
    """How far a questionnaire is: "asking" (done of total answers), "done", "stopped" or "failed" (error says why).

    model: who is asked now. failed: reasons by (model, question) of those that could not be asked.
    """

    kind: Literal["asking", "done", "stopped", "failed"]
    model: str = ""
    done: int = 0
    total: int = 0
    error: Exception | None = field(default=None, compare=False)
    failed: Mapping[tuple[str, str], str] = field(default_factory=dict)


class Questionnaire:
    """Answers of models to many questions, asked in one background thread; a newer list displaces an older.

    tell: called from that thread with each Round. opener: opens a model by path or name.

    A question that a model cannot be asked is noted and the rest goes on; a model that crashes ends the round.
    """

    def __init__(self, tell: Callable[[Round], None], opener: Callable[[str], Model] | None = None) -> None:
        self._tell = tell
        self._desk = ModelDesk(self._hear, opener)
        self._lock = threading.RLock()
        self._wanted: list[Request] = []
        self._failed: dict[tuple[str, str], str] = {}
        self._stopped = False

    def lend(self, name: str, model: Model) -> None:
        """Use an open model, which stays open."""
        self._desk.lend(name, model)

    def ask(self, models: Sequence[str], questions: Sequence[Question], *, every_way: bool = False) -> bool:
        """Want these answered, in every wording and order if so wished; whether there is anything to ask at all."""
        with self._lock:
            self._wanted = [Request(m, question, every_way=every_way) for m in models for question in questions]
            self._failed, self._stopped = {}, False
            request = self._next()
        if request is None:
            self._desk.cancel()
            return False
        self._desk.ask(request)
        return True

    def answers(self, model: str, questions: Sequence[Question], *, every_way: bool = False) -> dict[str, Answers]:
        """What is known of a model's answers, by question."""
        found = {q.key: self._desk.known(Request(model, q, every_way=every_way)) for q in questions}
        return {key: answers for key, answers in found.items() if answers is not None}

    def cancel(self) -> None:
        """Stop asking; answers that came stay known."""
        with self._lock:
            self._stopped = True
            under_way = self._next() is not None
        waited = self._desk.busy
        self._desk.cancel()
        # What was not begun yet is dropped without a word from the desk.
        if under_way and waited and not self._desk.busy:
            self._tell(Round("stopped", self._wanted[0].model, failed=dict(self._failed)))

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is under way; whether that came in time."""
        return self._desk.wait(seconds)

    def close(self) -> None:
        """Stop, and close the models that were opened here."""
        self._desk.close()

    def _next(self) -> Request | None:
        for request in self._wanted:
            if (request.model, request.question.key) not in self._failed and self._desk.known(request) is None:
                return request
        return None

    def _hear(self, news: News) -> None:
        # Whoever listens has a lock of its own and may be asking just now: it is told outside of this one.
        with self._lock:
            # A newer list drops what the older was asking, which the newer may want too, later.
            displaced = news.kind == "cancelled" and not self._stopped
            if news.request not in self._wanted or displaced:
                return
            told, following = self._round(news)
            if self._stopped and following is not None:
                told, following = Round("stopped", following.model, failed=dict(self._failed)), None
        if following is not None:
            self._desk.ask(following)
        self._tell(told)

    def _round(self, news: News) -> tuple[Round, Request | None]:
        """What to tell, and what to ask next."""
        model, question = news.request.model, news.request.question.key
        if news.kind == "cancelled":
            return Round("stopped", model, failed=dict(self._failed)), None
        if news.kind in ("opening", "asking"):
            return self._asking(model), None
        if news.error is not None:
            if not isinstance(news.error, PluralError) or isinstance(news.error, ModelCrashed):
                return Round("failed", model, error=news.error), None
            self._failed[model, question] = str(news.error)
        following = self._next()
        return (self._finished(news), None) if following is None else (self._asking(following.model), following)

    def _finished(self, news: News) -> Round:
        if news.error is not None and len(self._failed) == len(self._wanted):
            return Round("failed", news.request.model, error=news.error)
        return Round("done", failed=dict(self._failed))

    def _asking(self, model: str) -> Round:
        done = sum(self._desk.known(request) is not None for request in self._wanted)
        return Round("asking", model, done + len(self._failed), len(self._wanted))
