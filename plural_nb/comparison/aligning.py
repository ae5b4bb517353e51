"""Options of two sides matched by label, and what could not be matched."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from plural_nb.answers import Answers
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.question import Question

Align = Literal["all", "common"]


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """Two answers over the same substantive options in the same order, and a sentence for each option left out."""

    a: Answers
    b: Answers
    unaligned: tuple[str, ...] = ()


def align_options(a: Answers, b: Answers, how: Align = "all") -> Aligned:
    """Return both answers with b's options in a's order, matched by label; only substantive ones are matched.

    how: "all" raises PluralError where a substantive option stands on one side only; "common" compares those on both,
    whose shares are then of the answers that fell on them, and says which were left out.

    Raises PluralError also for what is no Answers, where values of a scale differ, or where fewer than two options are
    common.

    >>> from plural_nb.survey.question import ask_for
    >>> one = Answers.from_places(ask_for("Drink?", ["Tea", "Coffee"]), [0, 1])
    >>> other = Answers.from_places(ask_for("Drink?", ["Coffee", "Tea", "Milk"]), [0, 1, 2])
    >>> found = align_options(one, other, "common")
    >>> found.b.question.options[0].label, found.unaligned
    ('Tea', ("'Milk' stands only in people (question)",))
    """
    if how not in get_args(Align):
        raise PluralError(f"Unknown way to align {how!r}. {nearest(str(how), get_args(Align))}")
    for given in (a, b):
        if not isinstance(given, Answers):
            raise PluralError(
                f"Answers are compared with answers, not with what is of type {type(given).__name__}. They come from "
                "survey.answers(…), model.ask(…) or Answers.from_places(…)."
            )
    ours, theirs = _labels(a.question), _labels(b.question)
    left_out = []
    for labels, other, mine, where in ((ours, theirs, a, b), (theirs, ours, b, a)):
        for label in labels:
            if label in other:
                continue
            if how == "all":
                shared = sum(mine_too in theirs for mine_too in ours)
                rest = f" The {shared} that both have are compared by align='common'." if shared > 1 else ""
                raise PluralError(
                    f"These answers are not to the same question: {where.question.key!r} has no option {label!r}. "
                    f"{nearest(label, other)}{rest}"
                )
            left_out.append(f"{label!r} stands only in {mine.source.name} ({mine.question.key})")
    common = [label for label in ours if label in theirs]
    if len(common) < 2:
        raise PluralError(
            f"{a.question.key!r} and {b.question.key!r} have {len(common)} options in common; a comparison needs two."
        )
    _require_one_scale(a.question, b.question, common)
    if left_out:
        a, b = _only(a, common), _only(b, common)
    return Aligned(a, in_order(b, common), tuple(left_out))


def in_order(answers: Answers, labels: list[str]) -> Answers:
    """Return the answers with their substantive options in the order of `labels`, which names them all."""
    question = answers.question
    if _labels(question) == labels:
        return answers
    place = {o.label: i for i, o in enumerate(question.options)}
    rest = [i for i in range(len(question.options)) if i not in question.substantive]
    return _taking(answers, [place[label] for label in labels] + rest)


def _only(answers: Answers, labels: list[str]) -> Answers:
    """The answers that fell on some options; a person's other answer is none, a model's is set aside."""
    question = answers.question
    keep = [i for i, o in enumerate(question.options) if not o.substantive or o.label in labels]
    return _taking(answers, keep, check=False)


def _taking(answers: Answers, places: list[int], *, check: bool = True) -> Answers:
    asked = replace(answers.question, options=tuple(answers.question.options[i] for i in places))
    rows = answers.rows[:, places]
    if not check:
        total = rows.sum(axis=1, keepdims=True)
        rows = np.divide(rows, total, out=np.zeros_like(rows), where=total > 0)
    spread, ways = answers.spread, answers.by_wording_and_order
    return replace(
        answers, question=asked, rows=rows, spread=None if spread is None or not check else spread[:, places],
        by_wording_and_order=None if ways is None else ways[:, :, places],
    )  # fmt: skip


def _require_one_scale(a: Question, b: Question, labels: list[str]) -> None:
    if a.kind == "nominal" or b.kind == "nominal":
        return
    ours, theirs = (dict(zip(_labels(q), q.values, strict=True)) for q in (a, b))
    if any(ours[label] != theirs[label] for label in labels):
        raise PluralError(
            f"The options of {a.key!r} have other values on the two sides: {tuple(ours[x] for x in labels)} and "
            f"{tuple(theirs[x] for x in labels)}. Give them one scale."
        )


def _labels(question: Question) -> list[str]:
    return [question.options[i].label for i in question.substantive]
