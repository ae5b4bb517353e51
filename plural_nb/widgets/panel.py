"""Panel: what the widgets made of choices share: setting them without drawing, errors in words, a text instead."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import anywidget

from plural_nb.errors import PluralError, nearest


class Panel(anywidget.AnyWidget):
    """A widget whose choices are traits; a subclass draws when one changes, unless it is being set silently.

    >>> class Hello(Panel):
    ...     def _in_words(self):
    ...         return "hello"
    >>> Hello()._repr_mimebundle_()[0]["text/plain"]
    'hello'
    """

    def __init__(self, **traits: Any) -> None:
        # Callbacks may run beside a busy cell (ipykernel 7) while a thread of the panel's reports.
        self._lock = threading.RLock()
        self._quiet = 0
        super().__init__(**traits)

    def _refuse(self, unknown: Mapping[str, Any], known: Sequence[str]) -> None:
        """Raise TypeError for an argument that is not known, naming the nearest that is."""
        for name in unknown:
            raise TypeError(f"{type(self).__name__} has no argument {name!r}. {nearest(name, known)}")

    def _in_words(self) -> str:
        """What stands where no widget can be shown."""
        raise NotImplementedError

    def _worded(self, error: Exception) -> str:
        """What went wrong, for the status; what nobody foresaw is logged with its trace."""
        if isinstance(error, PluralError):
            return str(error)
        logging.getLogger(type(self).__module__).error("An unexpected error in a panel", exc_info=error)
        return f"Something unexpected went wrong ({type(error).__name__}: {error})."

    @contextlib.contextmanager
    def _silently(self) -> Iterator[None]:
        """Set traits without drawing."""
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None:
            bundle[0]["text/plain"] = self._in_words()
        return bundle
