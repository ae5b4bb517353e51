"""Leaks: what a backstory tells of the very question that is asked, or of one that is nearly the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from plural_nb.errors import SurveyError
from plural_nb.personas.values import Codes
from plural_nb.survey.association import cramers_v
from plural_nb.survey.question import Question
from plural_nb.survey.survey import Survey

Leak = Literal["error", "leave out", "keep"]
NEAR = 0.6
_FEWEST = 30


@dataclass(frozen=True, slots=True)
class Giveaway:
    """A trait that gives the answer to a question away.

    key: of the trait. label: what it is called. asked: whether it is the question itself, from the same column or of
    the same name; else it is a near-duplicate. why: in words.
    """

    key: str
    label: str
    asked: bool
    why: str


def giveaways(survey: Survey, keys: Sequence[str], question: Question, *, near: float = NEAR) -> tuple[Giveaway, ...]:
    """Return which traits (or questions, or columns) by key give away the answer to a question, and why.

    The question itself is found by its column, its key or its label. Near-duplicates are found by name (most of its
    options are levels of the trait too) and by association on the survey itself: Cramér's V, corrected (Bergsma
    2013), above `near` (0 to 1), among the people with both.

    >>> from plural_nb.survey.library import load_survey
    >>> survey = load_survey("anes96")
    >>> [(one.key, one.asked) for one in giveaways(survey, ["age", "party"], survey.question("party"))]
    [('party', True)]
    >>> [(one.key, one.why) for one in giveaways(survey, ["age", "party"], survey.question("vote"))]
    [('party', "Cramér's V 0.82")]
    """
    found = []
    column = survey.question_columns.get(question.key)
    # A question with the key of a survey's but other options is another question.
    codes = survey.answer_codes.get(question.key) if _same(survey, question) else None
    for key in keys:
        label, levels, values = _told(survey, key)
        own = survey.trait_columns.get(key) or survey.question_columns.get(key) or key
        if codes is not None and own == column:
            found.append(Giveaway(key, label, True, f"it is the question itself (column {column!r})"))
        elif key == question.key or label.casefold() == question.label.casefold():
            found.append(Giveaway(key, label, True, "it has the question's name"))
        elif _shared(question, levels):
            found.append(Giveaway(key, label, False, "its levels are the question's options"))
        elif codes is not None and values is not None:
            v = _association(survey, values, codes, question)
            if v > near:
                found.append(Giveaway(key, label, False, f"Cramér's V {v:.2f}"))
    return tuple(found)


def left_out(found: Sequence[Giveaway], leak: Leak, question: Question) -> tuple[str, ...]:
    """Return the keys that must not be told, as the user chose.

    "error" raises SurveyError where anything is given away; "leave out" leaves all of it out; "keep" tells
    near-duplicates, which then are part of the result. The question itself is never told.
    """
    if leak == "error" and found:
        named = "; ".join(f"{one.label!r} ({one.key}: {one.why})" for one in found)
        near = not all(one.asked for one in found)
        raise SurveyError(
            f"The backstories give away the answer to {question.label!r}: {named}. leak='leave out' does not tell "
            + ("these traits; leak='keep' tells near-duplicates and leaves only the question itself out." if near
               else "the trait when this question is asked.")
        )  # fmt: skip
    return tuple(one.key for one in found if one.asked or leak == "leave out")


def _same(survey: Survey, question: Question) -> bool:
    known = survey.questions.get(question.key)
    return known is not None and [o.label for o in known.options] == [o.label for o in question.options]


def _told(survey: Survey, key: str) -> tuple[str, set[str], Codes | None]:
    if key in survey.traits:
        trait = survey.traits[key]
        return trait.label, {o.label.casefold() for o in trait.options}, survey.trait_codes[key]
    if key in survey.questions:
        # Questions of one battery share their options, and are not the same for that.
        return survey.questions[key].label, set(), survey.answer_codes[key]
    return key, set(), None


def _shared(question: Question, levels: set[str]) -> bool:
    options = {question.options[i].label.casefold() for i in question.substantive}
    return len(options & levels) >= max(2, 0.6 * len(options))


def _association(survey: Survey, levels: Codes, codes: Codes, question: Question) -> float:
    both = (levels >= 0) & np.isin(codes, question.substantive)
    weight = survey.design.weight[both]
    if both.sum() < _FEWEST or weight.sum() <= 0:
        return 0.0
    shape = int(levels.max()) + 1, len(question.options)
    table = np.bincount(levels[both] * shape[1] + codes[both], weights=weight, minlength=shape[0] * shape[1])
    counts = table.reshape(shape) * (both.sum() / weight.sum())
    if min((counts.sum(axis=0) > 0).sum(), (counts.sum(axis=1) > 0).sum()) < 2:
        return 0.0
    return cramers_v(counts)
