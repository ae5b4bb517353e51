"""Whoever can be asked a question: a model, a survey, answers at hand, a table of shares, or a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from plural_nb.answers import Answers
from plural_nb.comparison.distances import Floats
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.question import Question
from plural_nb.survey.shares import estimate
from plural_nb.survey.survey import Survey

# A model (anything with `ask`), a survey, answers by question key, a table with question, option and share, or a
# function from a question to answers; the last three may have nothing (None) on a question.
Answering = Any
_COLUMNS = ("question", "option", "share")


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One side's shares of a question's substantive options.

    share: (K,) in the question's order. covariance: (K, K) of the shares, None where they are exact or nothing is
    known of the sample. n_eff: people that a simple random sample with as much variance would have; None likewise.
    captured_mass: of a model. answers: behind the shares, None where only shares were given.
    """

    share: Floats
    covariance: Floats | None = None
    n_eff: float | None = None
    captured_mass: float | None = None
    answers: Answers | None = None


def row_of(
    who: Answering, question: Question, *, manner: Mapping[str, Any] | None = None, name: str = ""
) -> Row | None:
    """Return what `who` answers to a question, None where there is nothing.

    manner: keyword arguments of `Model.ask`, used where `who` is a model. name: what errors call `who`.

    Raises PluralError where `who` is none of the kinds, its options are not the question's, or it has no answer that
    can be used.

    >>> from plural_nb.survey.question import ask_for
    >>> tea = ask_for("Tea?", ["Yes", "No"], key="tea")
    >>> table = pl.DataFrame({"question": ["tea", "tea"], "option": ["No", "Yes"], "share": [0.25, 0.75]})
    >>> row_of(table, tea).share.tolist()
    [0.75, 0.25]
    """
    if isinstance(who, pl.DataFrame):
        return _from_table(who, question, name)
    answers = _answers(who, question, manner or {}, name)
    return None if answers is None else from_answers(answers, question)


def from_answers(answers: Answers, question: Question) -> Row:
    """Return the shares of answers, options in the question's order; errors as in `row_of`."""
    shares = estimate(answers)
    order = places_of(question, shares.options, answers.source.name)
    share = shares.share[0, order]
    V, n_eff = None, None
    if shares.covariance is not None and np.isfinite(shares.covariance[0]).all() and int(shares.n[0]) > 1:
        V = shares.covariance[0][np.ix_(order, order)]
        trace = float(np.trace(V))
        n_eff = float(share @ (1 - share)) / trace if trace > 0 else float(shares.n[0])
    return Row(share, V, n_eff, shares.captured_mass, answers)


def places_of(question: Question, labels: tuple[str, ...] | list[str], name: str) -> list[int]:
    """Return the place in `labels` of each substantive option; PluralError names the first that does not fit."""
    ours = [question.options[i].label for i in question.substantive]
    for label, pool, whose in [(x, labels, f"what {name or 'one side'} has of") for x in ours] + [
        (x, ours, "the question") for x in labels
    ]:
        if label not in pool:
            raise PluralError(f"{question.key!r}: {whose} it has no option {label!r}. {nearest(label, pool)}")
    return [list(labels).index(label) for label in ours]


def questions_of(given: Survey | Sequence[Question] | Question) -> list[Question]:
    """Return the questions that are meant: all of a survey's, several, or one; PluralError for anything else."""
    if isinstance(given, Question):
        return [given]
    asked = list(given.questions.values()) if isinstance(given, Survey) else list(given)
    for one in asked:
        if not isinstance(one, Question):
            raise PluralError(f"{one!r} is no question. Give a survey, or questions such as survey.questions[{one!r}].")
    return asked


def name_of(who: Answering, otherwise: str) -> str:
    """Return what a model calls itself, else `otherwise`."""
    name = getattr(who, "name", None)
    return name if isinstance(name, str) and name else otherwise


def _answers(who: Answering, question: Question, manner: Mapping[str, Any], name: str) -> Answers | None:
    if isinstance(who, Survey):
        found: Any = who.answers(question) if question.key in who.questions else None
    elif isinstance(who, Mapping):
        found = who.get(question.key)
    elif hasattr(who, "ask"):
        found = who.ask(question, **manner)
    elif isinstance(who, Callable):  # type: ignore[arg-type]
        found = who(question)
    else:
        found = who
    if found is not None and not isinstance(found, Answers):
        raise PluralError(
            f"{name or 'One side'} gives a {type(found).__name__} for {question.key!r}. It can be an open model, a "
            "survey, answers by question key, a function that returns answers, or a table with question, option, share."
        )
    return found


def _from_table(table: pl.DataFrame, question: Question, name: str) -> Row | None:
    for column in _COLUMNS:
        if column not in table.columns:
            raise PluralError(
                f"The table of {name or 'shares'} has no column {column!r}. {nearest(column, table.columns)}"
            )
    found = table.filter(pl.col("question") == question.key)
    if found.is_empty():
        return None
    order = places_of(question, found["option"].to_list(), name)
    share = found["share"].cast(pl.Float64).to_numpy()[order]
    # What was printed in whole per cent is off by at most half of one per option.
    if not (np.isfinite(share).all() and (share >= 0).all() and abs(share.sum() - 1) <= 0.005 * share.size):
        raise PluralError(
            f"{question.key!r}: the shares of {name or 'the table'} are {share.tolist()}; they must be 0 or more and "
            "sum to 1 (rounding aside)."
        )
    return Row(np.asarray(share / share.sum()))
