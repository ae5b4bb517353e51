"""SeatDesk: seats juries in one background thread, the newest request first."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from plural_nb.errors import Cancelled, PluralError
from plural_nb.jury.lottery import Jury, Lottery
from plural_nb.jury.pool import Pool
from plural_nb.jury.quotas import Quotas
from plural_nb.jury.seating import seat_at_random, seat_by_quota, seat_by_weight
from plural_nb.jury.sortition import explain_infeasible, smallest_relaxation, sortition

Method = Literal["leximin", "maximin", "simple", "weight", "quota"]
_BETWEEN_REPORTS = 1 / 15
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class SeatRequest:
    """Who is to be seated, and how. weight: (n,) of the method "weight". check: only whether the quotas can be kept."""

    pool: Pool
    quotas: Quotas
    method: Method
    seed: int
    weight: Any = field(default=None, repr=False)
    check: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class SeatNews:
    """What happened to a request.

    kind: "checking", "finding" (done of total types settled), "kept" (a check found that the quotas can be kept),
    "infeasible" (with change, and the quotas it leads to), "seated" (a jury, and its lottery where there is one),
    "cancelled" or "failed" (error).
    """

    request: SeatRequest
    kind: Literal["checking", "finding", "kept", "infeasible", "seated", "cancelled", "failed"]
    done: int = 0
    total: int = 0
    change: str = ""
    relaxed: Quotas | None = None
    lottery: Lottery | None = None
    jury: Jury | None = None
    error: Exception | None = None


class SeatDesk:
    """Works on one request at a time, off the notebook's thread; a newer one displaces an older.

    tell: called from the desk's thread with each SeatNews, progress at most 15 times a second. Between two stages of a
    lottery, `cancel` takes effect.
    """

    def __init__(self, tell: Callable[[SeatNews], None]) -> None:
        self._tell = tell
        self._change = threading.Condition()
        self._wanted: SeatRequest | None = None
        self._current: SeatRequest | None = None
        self._drop = self._closed = False
        self._thread: threading.Thread | None = None

    def ask(self, request: SeatRequest) -> None:
        """Want this seated; what else is under way or waits is dropped."""
        with self._change:
            if self._closed:
                return
            self._wanted, self._drop = request, True
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="plural_nb juries", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def cancel(self) -> None:
        """Drop what is under way and what waits."""
        with self._change:
            self._wanted, self._drop = None, True

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is under way; whether that came in time."""
        with self._change:
            return self._change.wait_for(lambda: self._current is None and self._wanted is None, seconds)

    def close(self) -> None:
        """Stop for good."""
        with self._change:
            self._closed, self._wanted, self._drop = True, None, True
            self._change.notify_all()

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._wanted is not None or self._closed)
                if self._closed:
                    return
                request, self._wanted = self._wanted, None
                self._current, self._drop = request, False
            assert request is not None
            try:
                news = self._seat(request)
            except Cancelled:
                news = SeatNews(request, "cancelled")
            except PluralError as error:
                news = SeatNews(request, "failed", error=error)
            except Exception as error:
                _log.exception("An unexpected error while seating a jury")
                news = SeatNews(request, "failed", error=error)
            self._say(news)
            with self._change:
                self._current = None
                self._change.notify_all()

    def _seat(self, request: SeatRequest) -> SeatNews:
        pool, quotas, seed = request.pool, request.quotas, request.seed
        if request.method == "simple":
            return SeatNews(request, "seated", jury=seat_at_random(pool, quotas.size, seed=seed))
        if request.method == "weight":
            return SeatNews(request, "seated", jury=seat_by_weight(pool, quotas.size, request.weight, seed=seed))
        self._say(SeatNews(request, "checking"))
        change = explain_infeasible(pool, quotas)
        self._go_on()
        if change:
            return SeatNews(request, "infeasible", change=change, relaxed=smallest_relaxation(pool, quotas))
        if request.check:
            return SeatNews(request, "kept")
        if request.method == "quota":
            return SeatNews(request, "seated", jury=seat_by_quota(pool, quotas, seed=seed))
        last = 0.0

        def report(done: int, total: int) -> None:
            nonlocal last
            self._go_on()
            now = time.monotonic()
            if now - last >= _BETWEEN_REPORTS:
                last = now
                self._say(SeatNews(request, "finding", done, total))

        self._say(SeatNews(request, "finding", 0, pool.counts.size))
        lottery = sortition(pool, quotas, rule=request.method, progress=report)
        return SeatNews(request, "seated", lottery=lottery, jury=lottery.draw(seed))

    def _go_on(self) -> None:
        if self._drop:
            raise Cancelled("This request was dropped.")

    def _say(self, news: SeatNews) -> None:
        if self._closed:
            return
        try:
            self._tell(news)
        except Exception:
            _log.exception("An unexpected error while showing %s", news.kind)
