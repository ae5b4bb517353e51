"""Fieldwork beside a model's stated cutoff: whether it can have read a survey at all. Unknown is said, not guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from plural_nb.errors import PluralError
from plural_nb.silicon.gguf import ModelFile

Order = Literal["before", "after", "same time", "unknown"]
UNKNOWN = "unknown"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_DATE = r"([a-z]{3,9}\.? \d{4}|\d{4}-\d{2}(?:-\d{2})?|\d{4})"
# What makers write into chat templates; GGUF headers have no field for it.
_STATED = re.compile(
    r"(?:cutting knowledge date|knowledge[ -]cut-?off(?: date)?|knowledge base was last updated|training data (?:up to|"
    r"until)|trained on data (?:up to|until))[\s:]*(?:is|on|in)?[\s:]*" + _DATE,
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Dates:
    """When a survey was in the field, and until when a model says it has read.

    fieldwork, cutoff: as stated; "" where nothing is. order: whether fieldwork ended "before" the cutoff, "after" it,
    at the "same time" as far as the dates tell (a year alone holds twelve months), or "unknown". where: who states
    the cutoff.

    >>> dates("15 to 25 September 2020", cutoff="December 2023").order
    'before'
    """

    fieldwork: str
    cutoff: str
    order: Order
    where: str = ""

    def sentence(self) -> str:
        """What the dates tell, in plain words."""
        field = f"Fieldwork: {self.fieldwork}." if self.fieldwork else "When the survey was in the field is unknown."
        if not self.cutoff:
            return f"{field} The model states no cutoff: unknown."
        told = {
            "before": "Fieldwork ended before it: the model may have read the survey, if its results were out in time.",
            "after": "Fieldwork ended after it: the model cannot have read the results.",
            "same time": "As far as these dates tell, fieldwork ended at about that time.",
            "unknown": "Which came first is unknown.",
        }[self.order]
        return f"{field} Stated cutoff: {self.cutoff} ({self.where}). {told}"


def dates(fieldwork: str, file: ModelFile | None = None, *, cutoff: str = "") -> Dates:
    """Return fieldwork beside a cutoff: the one that is given, else what the model's chat template states.

    fieldwork: in words, as a codebook has it; its last year counts, and the last month named before it. cutoff: such
    as "2023", "December 2023" or "2023-12".

    Raises PluralError for a cutoff without a year.
    """
    where = "as you said"
    if not cutoff:
        stated = _STATED.search(file.chat_template or "") if file is not None else None
        cutoff, where = (stated[1], "stated in its chat template") if stated else ("", "")
    elif not _YEAR.search(cutoff):
        raise PluralError(f"The cutoff {cutoff!r} has no year. Write it as '2023', 'December 2023' or '2023-12'.")
    return Dates(fieldwork, cutoff, _order(_span(fieldwork), _span(cutoff)), where)


def _order(field: tuple[int, int] | None, cutoff: tuple[int, int] | None) -> Order:
    if field is None or cutoff is None:
        return "unknown"
    if field[1] < cutoff[0]:
        return "before"
    return "after" if field[0] > cutoff[1] else "same time"


def _span(words: str) -> tuple[int, int] | None:
    """First and last month (counted from year 0) in which the date that ends these words may lie."""
    years = list(_YEAR.finditer(words))
    if not years:
        return None
    last = max(years, key=lambda year: (int(year[0]), year.start()))
    first = 12 * int(last[0])
    iso = re.match(r"-(\d\d)\b", words[last.end() :])
    if iso and 1 <= int(iso[1]) <= 12:
        return first + int(iso[1]) - 1, first + int(iso[1]) - 1
    before = [w[:3].lower() for w in re.findall(r"[A-Za-z]{3,}", words[: last.start()])]
    named = [_MONTHS.index(w) for w in before if w in _MONTHS]
    return (first + named[-1], first + named[-1]) if named else (first, first + 11)
