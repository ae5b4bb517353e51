"""Asking a model as every group of a trait, and in its own voice: what `steering` measures, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from plural_nb.personas.personas import Personas
from plural_nb.personas.steering import Steering, steering
from plural_nb.personas.template import Template
from plural_nb.survey.survey import Survey

if TYPE_CHECKING:
    from plural_nb.silicon.model import Model
    from plural_nb.silicon.progress import Progress


def steer(
    model: Model,
    survey: Survey,
    trait: str,
    questions: Sequence[str] | None = None,
    *,
    template: str | Template = "portrayal",
    measure: str = "js_distance",
    replicates: int = 500,
    on_progress: Progress | None = None,
    **how: Any,
) -> Steering:
    """Return how near a model comes to the people of each level of a trait, told nothing but that level.

    One prompt for each level and question, and one for the model's own voice: exact rows, nobody is drawn.
    trait: key; it is told even where it is a near-duplicate of a question (its very question is left out).
    questions: keys; all that the survey asks but the trait itself when None. template: how a level is told.
    measure, replicates: see `plural_nb.personas.steering.steering`. on_progress, how: as in `Model.ask`.

    Raises SurveyError for an unknown trait or question, and what `Model.ask` raises.

    >>> from plural_nb.silicon.model import open_model
    >>> from plural_nb.survey.library import load_survey
    >>> with open_model("plural-demo-base") as model:
    ...     found = steer(model, load_survey("anes96"), "party", ["vote"], replicates=50)
    >>> found.sentence()[:63]
    'Over 1 question, speaking as a group moved the model towards th'
    """
    found = survey.trait(trait)
    column = survey.trait_columns.get(trait)
    keys = [key for key in survey.questions if column is None or survey.question_columns.get(key) != column]
    if questions is not None:
        keys = [survey.question(key).key for key in questions]
    weight = [float(survey.design.weight[survey.trait_codes[trait] == i].sum()) for i in range(len(found.labels))]
    totals = pl.DataFrame({trait: list(found.labels), "total": weight})
    levels = Personas.from_grid(survey, [trait], template, totals=totals, leak="keep")
    told = levels.traits[trait].to_list()
    asked = [survey.question(key) for key in keys]
    silicon = model.ask_all(asked, people=levels, on_progress=on_progress, **how)
    default = {one.key: model.ask(one, **{**how, "progress": False}) for one in asked}
    humans = {key: survey.answers(key) for key in keys}
    return steering(
        humans, silicon, by=survey.groups(trait), silicon_by=told, default=default, measure=measure,
        replicates=replicates,
    )  # fmt: skip
