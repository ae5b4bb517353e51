"""A survey with another design: its own columns named as weights, strata, PSUs, population sizes and replicates."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import polars as pl

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.design import Design, Lonely
from plural_nb.survey.encoding import numbers
from plural_nb.survey.replicates import Centre, Kind, Replicates

if TYPE_CHECKING:
    from plural_nb.survey.survey import Survey

# What the variance of each kind is multiplied by, where its name alone says it.
_SCALES: Mapping[str, Callable[[int], float]] = {
    "BRR": lambda R: 1 / R, "JK1": lambda R: (R - 1) / R, "bootstrap": lambda R: 1 / R,
    "successive differences": lambda R: 4 / R, "JKn": lambda R: 1.0,
}  # fmt: skip


def with_design(
    survey: Survey,
    *,
    weight: str | None = None,
    stratum: str | None = None,
    psu: str | None = None,
    fpc: str | None = None,
    replicates: Replicates | str | Sequence[str] | None = None,
    kind: Kind = "other",
    scale: float | None = None,
    rscales: Sequence[float] | None = None,
    rho: float = 0.0,
    centre: Centre = "theta",
    df: float | None = None,
    lonely: Lonely | None = None,
) -> Survey:
    """Return the same survey with another design.

    weight, stratum, psu: columns; those that are used now when None, none when "".
    fpc: the column of PSUs (people, without PSUs) in the population of each stratum, or of the fraction drawn.
    replicates: the columns of whole replicate weights: a pattern ("rep*", which leaves out the weight) or names; or
        `Replicates` made elsewhere, which say the rest themselves.
    kind, scale, rscales, rho, centre: how their estimates add up to a variance (`Replicates`); the scale follows from
        the kind for "BRR", "Fay" (with its rho), "JK1", "bootstrap" and "successive differences"; "JKn" needs rscales.
    df: degrees of freedom that the documentation states. lonely: what a stratum with one PSU does.

    Raises SurveyError for columns that are not there or hold no numbers, and replicates whose scale is not known.

    >>> import polars as pl
    >>> from plural_nb.survey.survey import Survey
    >>> options = [{"code": 1, "label": "Yes"}, {"code": 2, "label": "No"}]
    >>> book = {"design": {"weight": "w"}, "questions": {"tea": {"text": "Tea?", "options": options}}}
    >>> survey = Survey.from_frame(pl.DataFrame({"tea": [1, 2, 1, 2], "w": [1.0, 2.0, 2.0, 1.0]}), book)
    >>> halves = np.array([[2.0, 0.0], [0.0, 4.0], [4.0, 0.0], [0.0, 2.0]])
    >>> with_design(survey, replicates=Replicates.brr(halves), df=1).answers("tea").shares().se.tolist()
    [[0.5, 0.5]]
    """
    where = survey.source or survey.title
    given = {"weight": weight, "stratum": stratum, "psu": psu, "fpc": fpc}
    roles = {role: survey.roles.get(role, "") if column is None else column for role, column in given.items()}
    made = replicates if isinstance(replicates, Replicates) else None
    listed = (
        () if isinstance(replicates, Replicates) else _replicate_columns(survey, replicates, roles["weight"], where)
    )
    for role, column in roles.items():
        if column and column not in survey.columns.names:
            raise SurveyError(
                f"{where} has no column {column!r} to be the {role}. {nearest(column, survey.columns.names)}"
            )
    columns = survey.columns.read([*dict.fromkeys([*filter(None, roles.values()), *listed])])

    def figures(column: str, what: str) -> np.ndarray[Any, Any]:
        return numbers(columns[column], where=f"{where}, the {what} column {column!r}")

    if listed:
        weights = np.column_stack([figures(column, "replicate weight") for column in listed])
        factor = _scale(kind, scale, rscales, rho, len(listed))
        made = Replicates(weights, factor, None if rscales is None else np.asarray(rscales), centre, kind)
    labels = {role: _labels(columns, roles[role], role, where) for role in ("stratum", "psu")}
    said = [what for what, role in (("strata", "stratum"), ("PSUs", "psu")) if roles[role]]
    sampling = "the sample's " + " and ".join(said) if said else "simple random sampling"
    sampling = f"{made.size} replicate weights ({made.kind})" if made is not None else sampling
    fixed = f" and fixed weights ({roles['weight']})" if roles["weight"] else ", without weights"
    design = Design.from_columns(
        figures(roles["weight"], "weight") if roles["weight"] else None,
        labels["stratum"],
        labels["psu"],
        n=survey.n,
        fpc=figures(roles["fpc"], "fpc") if roles["fpc"] else None,
        note=f"standard errors assume {sampling}{fixed}, as you said",
        weight_name=f"{where}, column {roles['weight']!r}" if roles["weight"] else "",
        lonely=survey.design.lonely if lonely is None else lonely,
        replicates=made,
        df=df,
    )
    kept: Mapping[str, str] = {role: column for role, column in roles.items() if column}
    return replace(survey, design=design, roles=kept, candidates={} if roles["weight"] else survey.candidates)


def _replicate_columns(
    survey: Survey, replicates: str | Sequence[str] | None, weight: str, where: str
) -> tuple[str, ...]:
    if replicates is None or replicates == "":
        return ()
    names = survey.columns.names
    if isinstance(replicates, str):
        found = tuple(c for c in names if fnmatch.fnmatchcase(c, replicates) and c != weight)
    else:
        found = tuple(replicates)
        for column in found:
            if column not in names:
                raise SurveyError(f"{where} has no replicate weight {column!r}. {nearest(column, names)}")
    if len(found) < 2:
        raise SurveyError(
            f"{len(found)} columns of {where} match {replicates!r}; replicate weights are two or more. "
            f"{nearest(str(replicates).strip('*'), names)}"
        )
    return found


def _scale(kind: Kind, scale: float | None, rscales: Sequence[float] | None, rho: float, R: int) -> float:
    if kind not in get_args(Kind):
        raise SurveyError(f"Unknown kind of replicates {kind!r}. {nearest(str(kind), get_args(Kind))}")
    if scale is not None:
        return scale
    if kind == "Fay":
        if not 0 < rho < 1:
            raise SurveyError(f"Fay's replicates need their coefficient rho, above 0 and below 1, not {rho!r}.")
        return 1 / (R * (1 - rho) ** 2)
    if kind == "JKn" and rscales is None:
        raise SurveyError("A jackknife with strata (JKn) needs rscales: (n_h - 1)/n_h of the stratum each one thins.")
    if kind in _SCALES:
        return float(_SCALES[kind](R))
    if rscales is None:
        raise SurveyError(
            f"Replicate weights need their kind ({', '.join([*_SCALES, 'Fay'])}), or their scale and rscales."
        )
    return 1.0


def _labels(columns: pl.DataFrame, column: str, role: str, where: str) -> np.ndarray[Any, Any] | None:
    if not column:
        return None
    empty = columns[column].null_count()
    if empty:
        raise SurveyError(f"{where}, column {column!r}: {empty} rows have no {role}. Every respondent needs one.")
    return columns[column].to_numpy()
