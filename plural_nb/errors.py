"""What can go wrong, said to the person at the keyboard: what was wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PluralError(Exception):
    """Any error that plural_nb raises on purpose; catch this one to catch them all.

    The message is one plain sentence or two: what was wrong, where (file, column, value) and what to do.

    >>> raise PluralError("survey.toml: the weight column 'wt' is not in the file")
    Traceback (most recent call last):
        ...
    plural_nb.errors.PluralError: survey.toml: the weight column 'wt' is not in the file
    """


class SurveyError(PluralError):
    """A survey file, codebook, question, population or design that cannot be used as it stands."""


class ModelError(PluralError):
    """A model file that cannot be opened, or a request that this model cannot answer."""


class ModelCrashed(ModelError):
    """The process that held the model died; nothing that was answered is lost, and the next call starts a fresh one.

    `log` holds the last lines that llama.cpp wrote.
    """

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class Cancelled(PluralError):
    """The user stopped this request."""


def nearest(word: str, valid: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the valid name nearest to `word`, else the valid names.

    >>> nearest("wieght", ["weight", "stratum"])
    "Did you mean 'weight'?"
    >>> nearest("xyz", ["weight", "stratum"])
    'It can be: weight, stratum.'
    """
    names = [str(name) for name in valid]
    close = difflib.get_close_matches(str(word), names, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return f"It can be: {shown}." if names else "There is none to choose from."
