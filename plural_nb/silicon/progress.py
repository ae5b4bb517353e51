"""How far a run has come, told as a bar in plain code: done, rate and time left, once it takes longer than a moment."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

Progress = Callable[[int, int], None]
QUIET_SECONDS = 1.0


@contextlib.contextmanager
def told(what: str, shown: bool = True, on_progress: Progress | None = None) -> Iterator[Progress | None]:
    """Within a `with` block, give a function that takes (done, total): `on_progress`, else one that draws a bar.

    what: stands in front of the bar. shown: whether a bar is wanted; None is given where nothing is.

    Nothing is drawn, and nothing imported, where all is done within a second; nor where nobody watches (the standard
    error of a script goes to a file). The bar is gone in the end.
    """
    if on_progress is not None or not shown:
        yield on_progress
        return
    bar = _Bar(what)
    try:
        yield bar
    finally:
        bar.close()


class _Bar:
    def __init__(self, what: str) -> None:
        self._what = what
        self._begin = time.monotonic()
        self._first: int | None = None  # what was known before, which says nothing about the rate
        self._drawn: Any = None

    def __call__(self, done: int, total: int) -> None:
        if self._first is None:
            self._first = done
        if self._drawn is None:
            if done >= total or time.monotonic() - self._begin < QUIET_SECONDS:
                return
            self._drawn = self._draw(total)
            self._drawn.n = done
            self._drawn.refresh()
        self._drawn.update(done - self._drawn.n)

    def close(self) -> None:
        if self._drawn is not None:
            self._drawn.close()

    def _draw(self, total: int) -> Any:
        from tqdm import tqdm

        # Plain text in a notebook, not tqdm's widget: that would leave an empty output which later fails to load.
        notebook = _in_a_notebook()
        drawn = tqdm(
            total=total,
            initial=self._first or 0,
            desc=self._what,
            unit=" prompts",
            unit_scale=False,
            leave=False,
            file=sys.stdout if notebook else sys.stderr,
            disable=False if notebook else None,
            dynamic_ncols=not notebook,
            mininterval=0.2,
            delay=1e-3,  # it is drawn by `refresh`, once it knows how long the run has taken
        )
        if not drawn.disable:
            drawn.start_t -= time.monotonic() - self._begin
        return drawn


def _in_a_notebook() -> bool:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")
