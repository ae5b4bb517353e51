"""A preview of one person's text, with its length in a model's tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plural_nb.personas.telling import Telling
from plural_nb.personas.template import Template
from plural_nb.silicon.model import Model
from plural_nb.survey.survey import Survey


@dataclass(frozen=True, slots=True)
class Preview:
    """One person's text; tokens: how many a model reads it as, None without a model; told, unknown: trait keys."""

    text: str
    tokens: int | None
    told: tuple[str, ...]
    unknown: tuple[str, ...]


def preview(survey: Survey, template: str | Template, i: int, *, model: Model | None = None, **how: Any) -> Preview:
    """Return what one respondent's backstory looks like, quick enough to follow typing.

    template: a name, a `Template`, or a text with slots that is being written. i: the respondent's row, from 0.
    model: an open one that counts tokens. how: traits, order, seed, missing as in `Telling`.

    Raises SurveyError for what the template or the survey does not have.

    >>> from plural_nb.survey.library import load_survey
    >>> preview(load_survey("anes96"), "I am {age:number} years old. I am {party}.", 0).text
    'I am 36 years old. I am a strong Republican.'
    """
    if isinstance(template, str):
        template = Template(template) if "{" in template or " " in template else Template.named(template)
    telling = Telling(survey, template, rows=[i], **how)
    [text] = telling.texts()
    known = telling.values().row(0)
    told = tuple(key for key, value in zip(telling.keys, known, strict=True) if value is not None)
    tokens = None if model is None else model.count_tokens([text])[0]
    return Preview(text, tokens, told, tuple(key for key in telling.keys if key not in told))
