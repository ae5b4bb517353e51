"""A model file held by a worker process, which is started again where it died; knows nothing of questions or stores."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from plural_nb.errors import ModelCrashed, ModelError
from plural_nb.silicon.process import Frame, WorkerProcess, last_words
from plural_nb.silicon.settings import Settings, remember_that_repacking_crashes

_TOGETHER = 4096  # prompts per request


class HeldModel:
    """One model file in a process of its own.

    path: the file. settings: how it is loaded; safe ones take their place after a native crash. command: what to run
    instead of the worker, for tests.

    facts: what the worker says of itself. One request at a time, from any thread; `cancel` and `close` may come from
    another.
    """

    def __init__(self, path: Path, settings: Settings, command: Sequence[str] | None = None) -> None:
        self.path = path
        self.settings = settings
        self.process: WorkerProcess | None = None
        self.facts: dict[str, Any] = {}
        self._command = command
        self._closed = False
        self._last_log = ""
        self._stop: threading.Event | None = None

    @property
    def closed(self) -> bool:
        """Whether it was closed for good."""
        return self._closed

    @property
    def log(self) -> str:
        """The last lines that llama.cpp wrote."""
        return (self.process.log if self.process else "") or self._last_log

    def start(self, stop: threading.Event | None = None) -> None:
        """Load the model, with safe settings where the others crash.

        Raises ModelError, ModelCrashed, or Cancelled once another thread sets `stop` and calls `cancel`.
        """
        try:
            self._load(stop)
        except ModelCrashed as crash:
            self._last_log = crash.log
            if not self.settings.extra_buffers:
                raise
            # The known crash of repacked weights (llama.cpp#20824) shows in the first decode: try once without.
            self.settings = replace(self.settings, extra_buffers=False)
            self._load(stop)
            remember_that_repacking_crashes()

    def request(self, op: str, **body: Any) -> dict[str, Any]:
        """Send one request to a living worker, started if need be, and return what it says last."""
        return self._requests(op, [body])

    def ask(self, prompts: Iterable[Frame], on_replies: Callable[[list[tuple[int, Frame]]], None]) -> Frame:
        """Ask prompts, a few thousand at a time, which bounds what the pipe and the worker hold of them.

        on_replies: called with (place of a prompt, what the worker says of it) as each batch ends.
        """

        def parts() -> Iterator[Frame]:
            source, before = iter(prompts), 0
            while some := list(islice(source, _TOGETHER)):

                def pass_on(frame: Frame, before: int = before) -> None:
                    on_replies([(before + one["place"], one) for one in frame["replies"]])

                yield {"prompts": some, "on_event": pass_on}
                before += len(some)

        return self._requests("ask", parts())

    def _requests(self, op: str, bodies: Iterable[dict[str, Any]]) -> Frame:
        # One event for all of them: a cancellation that comes between two is not lost.
        self._stop = stop = threading.Event()
        last: Frame = {}
        try:
            for body in bodies:
                if self._closed:
                    raise ModelError(f"The model {self.path.name!r} was closed. Open it again.")
                if self.process is None or not self.process.alive:
                    self.start(stop)
                assert self.process is not None
                last = _facts(self.process.request(op, stop=stop, **body))
            return last
        except ModelCrashed as crash:
            self._last_log = crash.log
            if self.process is not None and self.process.crashed_in_native_code:
                # Repacked weights may be the cause even where the warm-up passed; this model goes on without them.
                self.settings = replace(self.settings, extra_buffers=False)
            raise
        finally:
            self._stop = None

    def cancel(self) -> None:
        """End the request that another thread is waiting for; it raises Cancelled there. Does nothing otherwise."""
        stop, process = self._stop, self.process
        if stop is not None:
            stop.set()
            if process is not None:
                process.cancel()

    def let_go(self) -> None:
        """End the worker process; the next request starts a fresh one."""
        if self.process is not None:
            self._last_log = self.process.log
            self.process.close()

    def close(self) -> None:
        """End the worker process for good; a request that runs in another thread raises Cancelled there."""
        self._closed = True
        self.cancel()
        self.let_go()

    def _load(self, stop: threading.Event | None) -> None:
        process = self.process = WorkerProcess(str(self.path), self._command)
        if self._closed:  # in another thread, while this one started a process
            process.close()
        try:
            done = process.request(
                "open",
                stop=stop,
                path=str(self.path.absolute()),
                threads=self.settings.threads,
                extra_buffers=self.settings.extra_buffers,
                context=self.settings.context,
            )
        except BaseException as error:
            self._last_log = log = process.log
            process.close()
            if type(error) is ModelError:
                raise ModelError(f"{error}{last_words(log)}") from None
            raise
        self.facts = _facts(done)


def _facts(frame: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in frame.items() if key not in ("event", "id")}
