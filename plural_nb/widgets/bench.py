"""Bench: one thread that opens models and does what a panel wants, short jobs between the rounds of long ones."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from plural_nb.errors import Cancelled
from plural_nb.silicon.model import Model, open_model

MOST_OPEN = 2
Pause = Callable[[], None]
Work = Callable[[Model | None, Pause], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """What is wanted: the model's path or name ("" for none), the work, and when it may begin (monotonic seconds)."""

    model: str
    work: Work
    begin: float = 0.0


class Bench:
    """Does jobs one at a time, off the notebook's thread; in each lane a newer job displaces an older.

    lanes: names, the most urgent first; the last is for long work, which calls the `pause` it is given now and then:
    there the other lanes' jobs are done, and there it is told by `Cancelled` that it is no longer wanted.
    failed: called with (lane, error) for whatever a job raises, `Cancelled` included. opening: with a model's name.
    opener: opens a model by path or name; `open_model` when None.

    At most two models stay open; models that were `lend` stay so.
    """

    def __init__(
        self, lanes: Sequence[str], failed: Callable[[str, Exception], None], opening: Callable[[str], None],
        opener: Callable[[str], Model] | None = None,
    ) -> None:  # fmt: skip
        self._lanes = tuple(lanes)
        self._failed = failed
        self._opening = opening
        self._opener = opener or open_model
        self._wanted: dict[str, Job] = {}
        self._current: dict[str, Job] = {}
        self._dropped: set[str] = set()
        self._open: OrderedDict[str, Model] = OrderedDict()
        self._lent: dict[str, Model] = {}
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def lend(self, name: str, model: Model) -> None:
        """Use this open model under `name`; whoever lent it closes it."""
        self._lent[name] = model

    def has_lent(self, name: str) -> bool:
        """Whether a model was lent under this name."""
        return name in self._lent

    def want(self, lane: str, model: str, work: Work, *, delay: float = 0.0) -> None:
        """Want this done, `delay` seconds from now at the earliest; an older job of the lane is dropped."""
        with self._change:
            if self._closed:
                return
            self._stop(lane)
            self._wanted[lane] = Job(model, work, time.monotonic() + delay)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="plural_nb bench", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def cancel(self, *lanes: str) -> None:
        """Drop what these lanes do and want; all when none is named."""
        with self._change:
            for lane in lanes or self._lanes:
                self._wanted.pop(lane, None)
                self._stop(lane)
            self._change.notify_all()

    def idle_model(self, name: str) -> Model | None:
        """The model of this name where it is open and nobody waits for it."""
        with self._change:
            return None if self._current else self._lent.get(name) or self._open.get(name)

    def busy(self, *lanes: str) -> bool:
        """Whether one of these lanes (any, when none is named) has or wants work."""
        with self._change:
            return any(lane in self._current or lane in self._wanted for lane in lanes or self._lanes)

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is under way; whether that came in time."""
        if threading.current_thread() is self._thread:
            return False  # it would wait for itself
        with self._change:
            return self._change.wait_for(lambda: not self._current and not self._wanted, seconds)

    def close(self) -> None:
        """Stop, and close the models that were opened here."""
        with self._change:
            self._closed = True
            for lane in self._lanes:
                self._wanted.pop(lane, None)
                self._stop(lane)
            models = list(self._open.values())
            self._open.clear()
            self._change.notify_all()
        for model in models:
            model.close()

    def _stop(self, lane: str) -> None:
        job = self._current.get(lane)
        if job is None:
            return
        self._dropped.add(lane)
        model = self._lent.get(job.model) or self._open.get(job.model)
        # A long job that pauses for a short one is told when that is done.
        if model is not None and list(self._current)[-1] == lane:
            model.cancel()

    def _run(self) -> None:
        while True:
            with self._change:
                while not self._closed and (ready := self._next(self._lanes)) is None:
                    soon = min((job.begin for job in self._wanted.values()), default=None)
                    self._change.wait(None if soon is None else max(0.0, soon - time.monotonic()))
                if self._closed:
                    return
                assert ready is not None
            self._do(ready)

    def _next(self, lanes: Sequence[str]) -> str | None:
        now = time.monotonic()
        return next((lane for lane in lanes if lane in self._wanted and self._wanted[lane].begin <= now), None)

    def _do(self, lane: str) -> None:
        with self._change:
            job = self._wanted.pop(lane, None)
            if job is None:
                return
            self._current[lane] = job
            self._dropped.discard(lane)

        def pause() -> None:
            while lane == self._lanes[-1] and not self._closed:
                with self._change:
                    ready = self._next(self._lanes[:-1])
                if ready is None:
                    break
                self._do(ready)
            if lane in self._dropped or self._closed:
                raise Cancelled("This was dropped.")

        try:
            pause()
            job.work(self._opened(job.model) if job.model else None, pause)
        except Exception as error:
            stray = isinstance(error, Cancelled) and not self._give_up(lane)
            if stray:  # meant for a job that ended just before; what was answered is known, so it starts again at once
                with self._change:
                    self._wanted.setdefault(lane, job)
            elif not self._closed:
                self._tell(lane, error)
        finally:
            with self._change:
                self._current.pop(lane, None)
                self._change.notify_all()

    def _give_up(self, lane: str) -> bool:
        with self._change:
            return lane in self._dropped or self._closed

    def _opened(self, name: str) -> Model:
        found = self._lent.get(name) or self._open.get(name)
        if found is not None:
            if name in self._open:
                self._open.move_to_end(name)
            return found
        self._opening(name)
        made = self._opener(name)
        with self._change:
            self._open[name] = made
            spare = [self._open.popitem(last=False)[1] for _ in range(len(self._open) - MOST_OPEN)]
            if self._closed:
                spare.append(self._open.pop(name))
        for model in spare:
            model.close()
        return made

    def _tell(self, lane: str, error: Exception) -> None:
        try:
            self._failed(lane, error)
        except Exception:
            _log.exception("An unexpected error while telling of one")
