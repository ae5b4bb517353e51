"""Mistakes in what a user wrote, gathered so that all of them are told at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from plural_nb.errors import SurveyError

_MOST = 12


class Mistakes:
    """Messages of errors, raised together.

    >>> mistakes = Mistakes()
    >>> for text in ("one", "another"):
    ...     with mistakes.gathered():
    ...         raise SurveyError(text)
    >>> mistakes.tell("tea.toml")
    Traceback (most recent call last):
    plural_nb.errors.SurveyError: tea.toml has 2 mistakes:
    - one
    - another
    """

    def __init__(self) -> None:
        self._found: list[str] = []

    def add(self, message: str) -> None:
        """Keep one message."""
        self._found.append(message)

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Keep the message of a SurveyError raised inside, and go on."""
        try:
            yield
        except SurveyError as problem:
            self.add(str(problem))

    def tell(self, where: str) -> None:
        """Raise a SurveyError with all messages kept, and do nothing where there are none."""
        if not self._found:
            return
        if len(self._found) == 1:
            raise SurveyError(self._found[0])
        more = f"\n- and {len(self._found) - _MOST} more" if len(self._found) > _MOST else ""
        listed = "".join(f"\n- {message}" for message in self._found[:_MOST])
        raise SurveyError(f"{where} has {len(self._found)} mistakes:{listed}{more}")
