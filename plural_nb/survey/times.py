"""Times: the years or waves of a survey, found among its traits and columns and put in order."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.design import Floats, Ints
from plural_nb.survey.encoding import numbers

if TYPE_CHECKING:
    from plural_nb.survey.survey import Survey

_TIME = re.compile(
    r"^(survey|interview|field)?[ _-]*(year|wave|round|jahr|welle|année|annee|ano|año)s?$", re.IGNORECASE
)
_YEAR = re.compile(r"\b(?:1[89]|20)\d\d\b")
_BIRTH = re.compile(r"birth|born|naiss|geb(urt|oren)", re.IGNORECASE)
# More columns of different years than any survey has; a column with more values counts something else.
_MOST_TIMES = 120


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """The years or waves of a survey, in order.

    key: the trait or column they come from. label: its words. names: each time in words. values: (T,) its place on an
    axis: the year where every name holds one, else 0, 1, 2 … codes: (n,) the time of each row, -1 where it is missing.
    """

    key: str
    label: str
    names: tuple[str, ...]
    values: Floats
    codes: Ints = field(repr=False)

    @property
    def dated(self) -> bool:
        """Whether the places on the axis are years."""
        return bool(self.values.size) and float(self.values[0]) >= 1800


def times_of(survey: Survey, over: str | None = None) -> Times | None:
    """Return the years or waves of a survey; None where it has fewer than two.

    over: a trait's or a column's name. When None the year that the survey's recipe names is taken, then a trait whose
    levels are all years, then a trait or column called year, wave or round.

    Raises SurveyError for a name that is neither a trait nor a column, or a column of something else than numbers.

    >>> from plural_nb.survey.library import load_survey
    >>> times_of(load_survey("teaching")).names
    ('2019', '2021', '2023')
    """
    if over is not None:
        return _named(survey, over)
    for name in _likely(survey):
        try:
            found = _named(survey, name)
        except SurveyError:
            continue
        if found is not None:
            return found
    return None


def _likely(survey: Survey) -> list[str]:
    """Names of traits and columns that may hold years or waves, the likeliest first."""
    found = []
    if survey.recipe is not None and (year := survey.recipe.recipe.columns.get("year")):
        found += [name for name in survey.columns.names if name.lower() == year.lower()]
    found += [key for key, trait in survey.traits.items() if all(_year(label) for label in trait.labels)]
    found += [key for key, trait in survey.traits.items() if _TIME.match(key) or _TIME.match(trait.label)]
    found += [name for name in survey.columns.names if _TIME.match(name)]
    labels = {key: trait.label for key, trait in survey.traits.items()}
    return [name for name in dict.fromkeys(found) if not _BIRTH.search(f"{name} {labels.get(name, '')}")]


def _named(survey: Survey, name: str) -> Times | None:
    if name in survey.traits:
        trait = survey.traits[name]
        return _ordered(name, trait.label, trait.labels, np.asarray(survey.trait_codes[name], dtype=np.int64))
    if name not in survey.columns.names:
        known = [*survey.traits, *survey.columns.names]
        raise SurveyError(f"{survey.title!r} has no trait or column {name!r} to follow. {nearest(name, known)}")
    found = numbers(survey.columns[name], where=f"{survey.title}, column {name!r}")
    here = np.isfinite(found)
    distinct = np.unique(found[here])
    if distinct.size > _MOST_TIMES:
        raise SurveyError(
            f"Column {name!r} holds {distinct.size} different numbers, more than years or waves there can be."
        )
    codes = np.where(here, np.searchsorted(distinct, np.nan_to_num(found)), -1).astype(np.int64)
    return _ordered(name, name, tuple(f"{value:g}" for value in distinct), codes)


def _ordered(key: str, label: str, names: tuple[str, ...], codes: Ints) -> Times | None:
    """Times that occur, in the order of their years, or as given where they hold none."""
    used = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(names)))
    if used.size < 2:
        return None
    years = [_year(names[i]) for i in used]
    dated = all(years) and len(set(years)) == len(years)
    order = used[np.argsort(years)] if dated else used
    place = np.full(len(names) + 1, -1, dtype=np.int64)
    place[order] = np.arange(order.size)
    values = np.sort(np.array(years, dtype=np.float64)) if dated else np.arange(order.size, dtype=np.float64)
    return replace(Times(key, label, (), values, place[codes]), names=tuple(names[i] for i in order))


def _year(name: str) -> int:
    """The year in a name ("Wave 3, 2023"); 0 where there is none or more than one."""
    found = _YEAR.findall(name)
    return int(found[0]) if len(found) == 1 else 0
