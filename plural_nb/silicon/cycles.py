"""Python's search for cycles among objects, and when to leave it be."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_search_for_cycles() -> Iterator[None]:
    """Within a `with` block, or a decorated function, memory is freed by counting references only.

    For work that makes hundreds of thousands of small objects that all stay, prompts or replies: Python would search
    them again and again for cycles that none is in, which takes a fifth of the time.

    >>> with no_search_for_cycles():
    ...     gc.isenabled()
    False
    >>> gc.isenabled()
    True
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
