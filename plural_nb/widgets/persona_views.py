"""What the persona studio shows: the text of one person, their answer beside the real one, and what gives it away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from plural_nb.answers import Answers
from plural_nb.charts.theme import percent
from plural_nb.comparison.comparison import Comparison, compare
from plural_nb.errors import nearest
from plural_nb.personas.leaks import Giveaway, Leak, giveaways, left_out
from plural_nb.personas.personas import Personas
from plural_nb.personas.telling import Missing, Order, Telling
from plural_nb.personas.template import Template, templates
from plural_nb.survey.question import Question
from plural_nb.survey.survey import Survey

if TYPE_CHECKING:
    from plural_nb.widgets.persona_studio import PersonaStudio

OWN = "own"


@dataclass(frozen=True, slots=True)
class Setup:
    """How personas are told and asked; equal setups have equal answers."""

    survey: str
    model: str
    question: str
    style: str
    text: str
    told: tuple[str, ...]
    order: str
    missing: str
    leak: str

    @classmethod
    def of(cls, panel: PersonaStudio, style: str) -> Setup:
        """Return what the panel's choices are for one style; an own text tells the slots that it has."""
        text = panel.text if style == OWN else ""
        told = () if style == OWN else tuple(panel.told)
        return cls(panel.survey, panel.model, panel.question, style, text, told, panel.order, panel.missing, panel.leak)

    @property
    def name(self) -> str:
        """What the style is called."""
        return spoken(self.style)

    @property
    def template(self) -> Template:
        """The template; SurveyError for a text that is none."""
        return Template(self.text) if self.style == OWN else Template.named(self.style)

    def keys(self, survey: Survey) -> tuple[str, ...]:
        """The keys that are told, those given away included."""
        return self.told if self.style != OWN else self.template.keys

    def giveaways(self, survey: Survey) -> tuple[Giveaway, ...]:
        """What would give the answer away."""
        return giveaways(survey, self.keys(survey), survey.question(self.question))

    def out(self, survey: Survey) -> tuple[str, ...]:
        """The keys that are not told."""
        return left_out(self.giveaways(survey), cast("Leak", self.leak), survey.question(self.question))

    def text_of(self, survey: Survey, person: int) -> tuple[str, tuple[str, ...]]:
        """Return one person's text, and the keys told of which nothing is known."""
        telling = Telling(survey, self.template, list(self.told) if self.style != OWN else None, [person],
                          cast("Order", self.order), 0, cast("Missing", self.missing))  # fmt: skip
        row = telling.values().row(0) if telling.keys else ()
        out = self.out(survey)
        unknown = [k for k, value in zip(telling.keys, row, strict=True) if value is None and k not in out]
        return telling.texts(out)[0], tuple(unknown)

    def personas(self, survey: Survey) -> Personas:
        """Return the survey's respondents, told so."""
        return Personas.from_survey(
            survey, self.template, list(self.told) if self.style != OWN else None,
            order=cast("Order", self.order), missing=cast("Missing", self.missing), leak=cast("Leak", self.leak),
        )  # fmt: skip


def changed(survey: Survey, person: int, changes: Mapping[str, str]) -> Survey:
    """Return the survey with other levels for one person; SurveyError for a level that is not there."""
    from plural_nb.errors import SurveyError

    codes = dict(survey.trait_codes)
    for key, level in changes.items():
        trait = survey.trait(key)
        if level not in trait.labels:
            raise SurveyError(f"{trait.label} has no level {level!r}. {nearest(level, trait.labels)}")
        codes[key] = np.array(codes[key])
        codes[key][person] = trait.labels.index(level)
    return replace(survey, trait_codes=MappingProxyType(codes))


def guard(survey: Survey, found: Sequence[Giveaway], leak: str, question: Question) -> dict[str, Any]:
    """Return what the guard against leaks says: lines of name and reason, and what becomes of them."""
    out = set(left_out(found, cast("Leak", leak), question))
    lines = [
        {"label": g.label, "why": g.why, "asked": g.asked, "fate": "not told" if g.key in out else "told"}
        for g in found
    ]
    return {"question": question.label, "lines": lines, "choice": any(not g.asked for g in found)}


def answers_of_one(
    survey: Survey, question: Question, person: int, columns: Sequence[tuple[str, Answers]]
) -> dict[str, Any]:
    """Return a table of one person's options: the real answer, and the probability in each column."""
    code = int(survey.answer_codes[question.key][person])
    rows = []
    shares = [(name, answers.shares().share[0]) for name, answers in columns]
    for place, i in enumerate(question.substantive):
        cells = [{"name": name, "p": float(p[place]), "label": percent(float(p[place]))} for name, p in shares]
        rows.append({"option": question.options[i].label, "own": i == code, "cells": cells})
    said = question.options[code].label if code >= 0 else "not asked, or no answer"
    return {"own": said, "names": [name for name, _ in columns], "rows": rows, "said": _said(said, shares, question)}


def _said(own: str, shares: Sequence[tuple[str, Any]], question: Question) -> str:
    told = [f"{name}: {question.options[question.substantive[int(p.argmax())]].label} {percent(float(p.max()))}"
            for name, p in shares]  # fmt: skip
    return f"Real answer: {own}. Likeliest answer, {'; '.join(told)}." if told else f"Real answer: {own}."


def findings_of(name: str, comparison: Comparison) -> list[dict[str, str]]:
    """Return what there is to say of one voice: its distance beside noise and baselines, and the verdict."""
    table = comparison.distance_table().filter(distance="js_distance").row(0, named=True)
    value, low, high = (table[c] for c in ("value", "low", "high"))
    reach = f", interval {low:.2f} to {high:.2f} with that taken off" if low is not None else ""
    base = table.get("demographics")
    beside = f" A regression on the same traits is at {base:.2f}." if base is not None else ""
    return [
        {
            "name": f"JS distance (base 2), {name}",
            "value": f"{value:.2f}",
            "more": f"0: the same shares; 1: nothing in common. By chance alone: about "
            f"{comparison.noise_floor:.2f}{reach}.{beside} {comparison.verdict.sentence()}",
        }
    ]


def sample_findings(
    people: Answers, known: Mapping[str, Answers], regression: Answers | None, why: str
) -> list[dict[str, str]]:
    """Return what there is to say of each voice, and why there is no regression beside them where there is none."""
    found: list[dict[str, str]] = []
    for name, one in known.items():
        baselines = {"demographics": regression} if regression else None
        found += findings_of(name, compare(people, one, baselines=baselines, replicates=200))
    if why:
        found.append({"name": "Regression without a model", "value": "–", "more": why})
    return found


def spoken(style: str) -> str:
    """What a style is called.

    >>> spoken("first_person"), spoken("own")
    ('First person', 'Own text')
    """
    return "Own text" if style == OWN else style.replace("_", " ").capitalize()


def style_menu() -> list[dict[str, str]]:
    """Return the styles to choose from: id, label and what they are like."""
    found = [Template.named(name) for name in templates()]
    return [
        *({"id": t.name, "label": spoken(t.name), "about": t.description} for t in found),
        {"id": OWN, "label": spoken(OWN), "about": "Name a trait in braces: {age}. A sentence whose trait is not known "
         "is left out."},
    ]  # fmt: skip


def recipe(
    survey: str, model: str | None, setups: Sequence[Setup], traits: Sequence[str], margin: float, person: int
) -> str:
    """Return the plain cell that rebuilds the chart. survey, model: expressions; model None where none is chosen."""
    first = setups[0]
    lines = [
        "import plural_nb as pnb",
        "from plural_nb.charts import people_and_voices",
        "from plural_nb.comparison.demographics import demographic_baseline",
        "",
        f"survey = {survey}" if survey else "# survey: the Survey object that you gave the studio",
        f"question = survey.question({first.question!r})",
        "people = survey.answers(question)",
        "personas = {",
    ]
    for setup in setups:
        how = [f"order={setup.order!r}"] * (setup.order != "fixed")
        how += [f"missing={setup.missing!r}"] * (setup.missing != "leave out")
        given = f"pnb.Template({setup.text!r})" if setup.style == OWN else f"{setup.style!r}, {list(setup.told)!r}"
        whom = ", ".join(["survey", given, *how, f"leak={setup.leak!r}"])
        lines.append(f"    {setup.style!r}: pnb.Personas.from_survey({whom}),")
    lines += ["}", f"print(personas[{first.style!r}].told(question)[{person}])"]
    beside = ""
    if traits:
        lines.append(f"regression = demographic_baseline(survey, {first.question!r}, {list(traits)!r})")
        beside = ", baseline=regression.shares()"
    if model is None:
        return "\n".join([*lines, f"people_and_voices(people.shares(){beside})"])
    until = f", until_margin={margin / 100:g}" if margin else ""
    return "\n".join([
        *lines,
        f"with pnb.open_model({model}) as model:",
        f"    voices = {{style: model.ask(question, people=whom{until}) for style, whom in personas.items()}}",
        f"people_and_voices(people.shares(), {{style: said.shares() for style, said in voices.items()}}{beside})",
    ])  # fmt: skip
