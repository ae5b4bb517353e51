"""A survey question: its words, its options, and what kind of scale they form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from plural_nb.errors import SurveyError, nearest

Kind = Literal["nominal", "ordinal", "numeric"]
Wording = Literal["exact", "paraphrased"]
Code = int | float | str | bool


@dataclass(frozen=True, slots=True)
class Option:
    """One possible answer.

    label: the words, as shown to people and to models.
    code: what stands in the survey file for it; None when the question has no file behind it.
    value: place on the scale of an ordinal or numeric question; None for nominal ones.
    substantive: whether it carries opinion ("refused" and "don't know" do not).
    offered: whether it was read out or shown; a volunteered "don't know" was not, and a model is not shown it.
    pinned: whether it stays last when the order of options is changed ("none of these", "other").
    bounds: for a numeric question, the interval low <= x < high that this option gathers (the last one
        includes its upper bound).

    >>> Option("Agree", code=1).substantive
    True
    """

    label: str
    code: Code | None = None
    value: float | None = None
    substantive: bool = True
    offered: bool = True
    pinned: bool = False
    bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not self.label or not self.label.strip():
            raise SurveyError(f"An option needs a label (code {self.code!r}).")
        if self.bounds is not None and not self.bounds[0] < self.bounds[1]:
            raise SurveyError(f"Option {self.label!r}: its bounds {self.bounds} do not rise.")
        if self.value is not None and not math.isfinite(self.value):
            raise SurveyError(f"Option {self.label!r}: its value must be a finite number, not {self.value}.")


@dataclass(frozen=True, slots=True)
class Question:
    """A question with at least two substantive options.

    Ordinal options without values get 1..K in the order asked; numeric ones the middle of their bounds; nominal
    ones have none (definitions: no values, so no Wasserstein distance).

    key: short name, the column in the survey's file unless the codebook says otherwise.
    text: the question as asked; `wording` says whether these are the survey's exact words.
    label: a few words for menus and chart titles; the key where empty.
    wordings: other ways to ask the same, with the same options.
    battery: the name of the grid it belongs to, if any.
    asked_of: who was asked, where a skip pattern left some out; empty for everyone.

    Raises SurveyError for fewer than two substantive options, repeated labels or codes, or values that do not fit
    the kind.

    >>> q = Question("trust", "How much do you trust the courts?", ("A lot", "Some", "None"), kind="ordinal")
    >>> [(o.label, o.value) for o in q.options]
    [('A lot', 1.0), ('Some', 2.0), ('None', 3.0)]
    """

    key: str
    text: str
    options: tuple[Option, ...]
    kind: Kind = "nominal"
    label: str = ""
    wording: Wording = "paraphrased"
    wordings: tuple[str, ...] = ()
    battery: str = ""
    asked_of: str = ""

    def __post_init__(self) -> None:
        where = f"Question {self.key!r}"
        if not self.text.strip():
            raise SurveyError(f"{where} has no text.")
        if self.kind not in get_args(Kind):
            raise SurveyError(f"{where}: unknown kind {self.kind!r}. {nearest(str(self.kind), get_args(Kind))}")
        options = tuple(o if isinstance(o, Option) else Option(str(o)) for o in self.options)
        _require_distinct(where, "label", [o.label.strip() for o in options])
        _require_distinct(where, "code", [o.code for o in options if o.code is not None])
        if sum(o.substantive for o in options) < 2:
            raise SurveyError(f"{where} needs at least two options that carry opinion; it has {_labels(options)}.")
        object.__setattr__(self, "options", _with_values(where, options, self.kind))
        object.__setattr__(self, "label", self.label or self.key)

    @property
    def substantive(self) -> tuple[int, ...]:
        """Places (in `options`) of the options that carry opinion."""
        return tuple(i for i, o in enumerate(self.options) if o.substantive)

    @property
    def offered(self) -> tuple[int, ...]:
        """Places of the options that a respondent or a model is shown."""
        return tuple(i for i, o in enumerate(self.options) if o.offered)

    @property
    def values(self) -> tuple[float, ...]:
        """Scale values of the substantive options.

        Raises SurveyError for a nominal question, which has none.
        """
        found = [self.options[i].value for i in self.substantive]
        if self.kind == "nominal" or any(v is None for v in found):
            raise SurveyError(
                f"Question {self.key!r} is nominal: its options have no values, so neither a mean nor a Wasserstein "
                "distance is defined. Declare it ordinal in the codebook if its options are in order."
            )
        return tuple(float(v) for v in found if v is not None)

    def place(self, label: str) -> int:
        """Place of the option with this label; SurveyError names the nearest right one."""
        for i, option in enumerate(self.options):
            if option.label == label:
                return i
        raise SurveyError(
            f"Question {self.key!r} has no option {label!r}. {nearest(label, [o.label for o in self.options])}"
        )

    def reworded(self, text: str) -> Question:
        """Return the same question asked in other words."""
        return replace(self, text=text)


def ask_for(
    text: str,
    options: Sequence[str],
    *,
    kind: Kind = "nominal",
    key: str = "question",
    wordings: Sequence[str] = (),
    pinned: Sequence[str] = (),
    no_opinion: Sequence[str] = (),
) -> Question:
    """Return a question made on the spot from its text and the labels of its options.

    wordings: other ways to ask the same. pinned: labels that stay last in every order ("None of these"). no_opinion:
    labels that carry no opinion ("Don't know"): shares are over the others, and it is told beside them.

    Raises SurveyError for a label that is not among the options, naming the nearest.

    >>> ask_for("Tea or coffee?", ["Tea", "Coffee", "Don't know"], no_opinion=["Don't know"]).substantive
    (0, 1)
    """
    for label in (*pinned, *no_opinion):
        if label not in options:
            raise SurveyError(f"Question {key!r} has no option {label!r}. {nearest(label, list(options))}")
    made = tuple(Option(label, pinned=label in pinned, substantive=label not in no_opinion) for label in options)
    return Question(key, text, made, kind=kind, wording="exact", wordings=tuple(wordings))


def _with_values(where: str, options: tuple[Option, ...], kind: Kind) -> tuple[Option, ...]:
    substantive = [o for o in options if o.substantive]
    given = [o for o in substantive if o.value is not None]
    if kind == "nominal":
        if given:
            raise SurveyError(f"{where} is nominal, yet {given[0].label!r} has a value; call it ordinal, or drop it.")
        return options
    if given and len(given) < len(substantive):
        raise SurveyError(
            f"{where}: give every option that carries opinion a value, or none; {_labels(given)} have one."
        )
    filled, rank = [], 0
    for option in options:
        if not option.substantive:
            if option.value is not None:
                raise SurveyError(f"{where}: {option.label!r} carries no opinion, so it has no place on the scale.")
            filled.append(option)
            continue
        rank += 1
        if kind == "numeric" and option.bounds is None:
            raise SurveyError(f"{where} is numeric; option {option.label!r} needs bounds.")
        if option.value is None:
            middle = sum(option.bounds) / 2 if option.bounds is not None and kind == "numeric" else float(rank)
            option = replace(option, value=middle)
        filled.append(option)
    return tuple(filled)


def _require_distinct(where: str, what: str, found: Sequence[object]) -> None:
    seen: set[object] = set()
    for item in found:
        if item in seen:
            raise SurveyError(f"{where}: two options have the {what} {item!r}; each needs its own.")
        seen.add(item)


def _labels(options: Sequence[Option]) -> str:
    return ", ".join(repr(o.label) for o in options) or "none"
