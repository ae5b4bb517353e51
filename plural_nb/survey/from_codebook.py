"""A survey made from a frame and the codebook that says what its columns mean."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.codebook import Codebook
from plural_nb.survey.columns import Columns
from plural_nb.survey.design import Design
from plural_nb.survey.encoding import Places, encode, numbers
from plural_nb.survey.mistakes import Mistakes

if TYPE_CHECKING:
    from plural_nb.survey.survey import Survey


def survey_of_frame(cls: type[Survey], frame: pl.DataFrame, book: Codebook, where: str) -> Survey:
    """Return a survey of class `cls` made from a frame; `where` is what messages call it.

    Raises SurveyError with everything that is wrong: columns that are not there, values the codebook does not list,
    weights, strata and PSUs that cannot be.
    """
    mistakes = Mistakes()
    for column in book.columns:
        if column not in frame.columns:
            mistakes.add(
                f"{book.source} names a column {column!r} that is not in {where}. {nearest(column, frame.columns)}"
            )
    mistakes.tell(where)
    if frame.is_empty():
        raise SurveyError(f"{where} has no rows.")
    people = frame.select(book.columns)
    traits: dict[str, Places] = {}
    answers: dict[str, Places] = {}
    for key, column in book.trait_columns.items():
        with mistakes.gathered():
            traits[key] = encode(
                people[column], book.traits[key].options, where=f"{where}, column {column!r} (trait {key!r})",
                missing=(*book.missing, *book.trait_missing.get(key, ())), every="levels",
            )  # fmt: skip
    for key, column in book.question_columns.items():
        with mistakes.gathered():
            answers[key] = encode(
                people[column], book.questions[key].options, where=f"{where}, column {column!r} (question {key!r})",
                missing=(*book.missing, *book.question_missing.get(key, ())),
            )  # fmt: skip
    with mistakes.gathered():
        design = _design(people, book, where)
    mistakes.tell(where)
    return cls(
        name=book.name,
        title=book.title,
        columns=Columns(people),
        questions=book.questions,
        traits=book.traits,
        design=design,
        trait_codes=MappingProxyType(traits),
        answer_codes=MappingProxyType(answers),
        citation=book.citation,
        licence=book.licence,
        note=book.note,
        fieldwork=book.fieldwork,
        wording=book.wording,
        question_columns=book.question_columns,
        trait_columns=book.trait_columns,
        roles={role: column for role, column in
               (("weight", book.weight), ("stratum", book.stratum), ("psu", book.psu)) if column},
        source=where,
    )  # fmt: skip


def _design(people: pl.DataFrame, book: Codebook, where: str) -> Design:
    weight = None
    if book.weight:
        weight = numbers(people[book.weight], where=f"{where}, the weight column {book.weight!r}")
    labels: dict[str, np.ndarray[Any, Any] | None] = {"stratum": None, "psu": None}
    for role, column in (("stratum", book.stratum), ("psu", book.psu)):
        if not column:
            continue
        empty = people[column].null_count()
        if empty:
            raise SurveyError(f"{where}, column {column!r}: {empty} rows have no {role}. Every respondent needs one.")
        labels[role] = people[column].to_numpy()
    return Design.from_columns(
        weight,
        labels["stratum"],
        labels["psu"],
        n=people.height,
        note=book.design_note or _assumption(book),
        weight_name=f"{where}, column {book.weight!r}" if book.weight else "",
        lonely=book.lonely,
    )


def _assumption(book: Codebook) -> str:
    parts = [what for what, column in (("strata", book.stratum), ("PSUs", book.psu)) if column]
    sampling = "the sample's " + " and ".join(parts) if parts else "simple random sampling"
    return f"standard errors assume {sampling}" + (" and fixed weights" if book.weight else "")
