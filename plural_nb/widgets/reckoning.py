"""Reckoning: long arithmetic of a panel off the notebook's thread; the newest wish wins, and it can be cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from plural_nb.errors import Cancelled
from plural_nb.silicon.model import Model
from plural_nb.widgets.bench import Bench, Pause

# So long a choice waits for its result before it goes on and the result comes later: what is quick never flickers.
PATIENCE = 0.5
_BETWEEN_REPORTS = 1 / 15
_BETWEEN_LOOKS = 0.01
Report = Callable[[int, int], None]
Sum = Callable[[Report], Any]


@dataclass(slots=True, eq=False)
class _Wish:
    """What is reckoned: a name, and what came of it. taken: whether whoever wished for it has it already."""

    key: Hashable
    ready: threading.Event = field(default_factory=threading.Event)
    result: Any = None
    error: Exception | None = None
    taken: bool = False


class Reckoning:
    """One thread that does one sum at a time for a panel.

    lock: the panel's; held while one of the others is called. done: with the key and the result of a wish that came
    late. report: with (done, total), at most 15 times a second. failed: with what a late wish raised.
    """

    def __init__(
        self, lock: Any, done: Callable[[Hashable, Any], None], report: Report, failed: Callable[[Exception], None]
    ) -> None:
        self._lock = lock
        self._done = done
        self._report = report
        self._failed = failed
        self._wish: _Wish | None = None
        # What was dropped is not told of: whoever drops it says so at once.
        self._bench = Bench(("sum",), lambda _lane, _error: None, lambda _name: None)

    def want(self, key: Hashable, work: Sum, *, patience: float | None = None) -> tuple[bool, Any]:
        """Want a sum done; whether it was within `patience` seconds (half a one), and its result, or what it raised.

        key: what is wanted; wanted again while it is under way, it goes on. work: is given a function to be called with
        (done, total) now and then, which raises Cancelled once the sum is no longer wanted. The panel's lock is held.
        """
        wish = self._wish
        if wish is None or wish.taken or wish.key != key:
            wish = self._wish = _Wish(key)
            self._bench.want("sum", "", self._job(wish, work))
        if not wish.ready.wait(PATIENCE if patience is None else patience):
            return False, None
        wish.taken = True
        if wish.error is not None:
            raise wish.error
        return True, wish.result

    @property
    def busy(self) -> bool:
        """Whether a sum is under way or waits."""
        return self._wish is not None and not self._wish.taken

    def drop(self) -> bool:
        """Drop what is under way and what waits; whether there was something."""
        busy, self._wish = self.busy, None
        self._bench.cancel()
        return busy

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is under way; whether that came in time."""
        return self._bench.wait(seconds)

    def close(self) -> None:
        """Stop for good."""
        self._bench.close()

    def _job(self, wish: _Wish, work: Sum) -> Callable[[Model | None, Pause], None]:
        def job(_model: Model | None, pause: Pause) -> None:
            last = 0.0

            def report(done: int, total: int) -> None:
                nonlocal last
                pause()
                now = time.monotonic()
                # Whoever holds the lock waits for this sum, or draws: it is not kept waiting for a progress bar.
                if now - last < _BETWEEN_REPORTS or not self._lock.acquire(blocking=False):
                    return
                try:
                    last = now
                    if self._wish is wish:
                        self._report(done, total)
                finally:
                    self._lock.release()

            try:
                wish.result = work(report)
                pause()
            except Cancelled:
                raise
            except Exception as error:
                wish.error = error
            wish.ready.set()
            # Whoever holds the lock may take the result, or wish for another that waits for this thread.
            while not self._lock.acquire(timeout=_BETWEEN_LOOKS):
                if wish.taken or self._wish is not wish:
                    return
            try:
                if wish.taken or self._wish is not wish:
                    return
                wish.taken = True
                if wish.error is not None:
                    self._failed(wish.error)
                else:
                    self._done(wish.key, wish.result)
            finally:
                self._lock.release()

        return job
