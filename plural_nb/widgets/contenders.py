"""Contenders: who can stand on a side of a comparison, by name: people, populations, answers, models."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from plural_nb.answers import Answers
from plural_nb.errors import PluralError
from plural_nb.silicon.gguf import ModelFile
from plural_nb.silicon.model import Model
from plural_nb.survey.survey import Population, Survey
from plural_nb.widgets import menus

PEOPLE = "People"
Given = Survey | Population | Model | ModelFile | Mapping[str, Any] | str | os.PathLike[str]


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """One side: the survey's own people (`population` of them), another survey, given answers, or a model to be asked.

    answers: by question, or by question and group's name. model: path or name. expression: the Python that gets it.
    """

    name: str
    kind: Literal["people", "survey", "answers", "model"]
    population: Population = field(default_factory=Population)
    survey: Survey | None = None
    answers: Mapping[str, Answers | Mapping[str, Answers]] = field(default_factory=dict)
    model: str = ""
    lent: Model | None = None
    expression: str = ""


def contenders(given: Mapping[str, Given] | None) -> dict[str, Contender]:
    """Return who can be compared, the survey's people first; the demo models where nothing is given.

    Raises PluralError for what is none of them.

    >>> list(contenders({"the young": Population({"age": ["18 to 24"]})}))
    ['People', 'the young']
    """
    found = {PEOPLE: Contender(PEOPLE, "people")}
    for name, one in ({"base": "plural-demo-base", "tuned": "plural-demo-tuned"} if given is None else given).items():
        if name in found:
            raise PluralError(f"{name!r} names the survey's own people here. Give the source another name.")
        found[str(name)] = _contender(str(name), one)
    return found


def taken(survey: Survey | str | os.PathLike[str]) -> tuple[Survey, str]:
    """Return the survey, and the name or path it was given by; no name for a Survey."""
    if isinstance(survey, Survey):
        return survey, ""
    from plural_nb.survey.library import load_survey

    return load_survey(os.fspath(survey)), os.fspath(survey)


def _variable(given: object) -> str:
    """Name of the notebook's variable that holds this, or its place in one; empty where there is none."""
    try:
        from IPython import get_ipython
    except ImportError:
        return ""
    shell = get_ipython()
    for name, value in list(shell.user_ns.items()) if shell is not None else []:
        if name.startswith("_"):
            continue
        if value is given:
            return str(name)
        if isinstance(value, dict):
            for key, one in value.items():
                if one is given:
                    return f"{name}[{key!r}]"
    return ""


def _contender(name: str, one: Given) -> Contender:
    if isinstance(one, Survey):
        return Contender(name, "survey", survey=one, expression=menus.survey_expression("", one))
    if isinstance(one, Population):
        return Contender(name, "people", population=one)
    if isinstance(one, Model):
        path = str(one.file.path)
        return Contender(name, "model", model=path, lent=one, expression=menus.model_expression(path, []))
    if isinstance(one, ModelFile):
        return Contender(name, "model", model=str(one.path), expression=repr(str(one.path)))
    if isinstance(one, Mapping):
        if one and all(isinstance(v, Answers | Mapping) for v in one.values()):
            return Contender(name, "answers", answers=dict(one), expression=_variable(one))
        raise PluralError(f"The answers of {name!r} are given by question: {{question: answers}}.")
    if isinstance(one, str | os.PathLike):
        return Contender(name, "model", model=os.fspath(one), expression=repr(os.fspath(one)))
    raise PluralError(
        f"{name!r} is a {type(one).__name__}; a source is a Survey, a Population, answers by question, or a model."
    )
