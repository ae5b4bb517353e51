"""Cells of a population: a regression's shares in each, and answers weighted to known totals of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.answers import Answers, Source
from plural_nb.errors import SurveyError, nearest
from plural_nb.personas.personas import Personas
from plural_nb.personas.sources import grid
from plural_nb.survey.design import Floats
from plural_nb.survey.survey import Survey
from plural_nb.survey.weighting import post_stratify as weights_of_cells


def post_stratify(answers: Answers, people: Personas | pl.DataFrame, totals: pl.DataFrame) -> Answers:
    """Return the same answers weighted so that the cells of some traits have known population totals.

    people: who answered, or a frame of their traits' labels, row by row. totals: a column for each trait of the
    cells, and a column "total". The weights are fitted to the answers' own, and variances know of it.

    Raises SurveyError for a cell of the population in which nobody answered, and for somebody in none.
    """
    frame = people.traits if isinstance(people, Personas) else people
    columns = [column for column in totals.columns if column != "total"]
    if "total" not in totals.columns or not columns:
        raise SurveyError('The totals need a column "total" and a column for each trait of the cells.')
    for column in columns:
        if column not in frame.columns:
            raise SurveyError(f"The people have no trait {column!r}. {nearest(column, frame.columns)}")
    if frame.height != answers.design.n:
        raise SurveyError(f"There are {frame.height} people for {answers.design.n} answers.")
    cells = {
        row[:-1] if len(columns) > 1 else row[0]: row[-1] for row in totals.select([*columns, "total"]).iter_rows()
    }
    if len(cells) < totals.height:
        raise SurveyError("The totals name a cell twice. Give each combination of levels one row.")
    fitted = weights_of_cells(frame, columns, cells, weight=answers.design.weight)
    if answers.exact:
        design = replace(answers.design, weight=fitted.weight, note=f"{answers.design.note}; weighted to known cells")
    else:
        design = fitted.design(answers.design)
    return replace(answers, design=design)


def regressed_cells(
    survey: Survey, question: str, traits: Sequence[str], totals: pl.DataFrame | None = None, *, ridge: float = 1.0
) -> Answers:
    """Return a regression's shares in every cell of some traits, weighted by how many people the cell holds.

    A multinomial logit on the traits' levels, fitted to the survey's weighted answers (weights scaled to the number
    of people). With `totals` this is the simple form of regression and post-stratification. totals: as in
    `Personas.from_grid`. ridge: penalty ½ · ridge · Σ b² on all coefficients but the intercepts, which keeps small
    cells from extremes. A trait that is not known counts as a level of its own.

    The rows carry no sampling error: that of the regression is not in them, which the design's note says.

    >>> from plural_nb.survey.library import load_survey
    >>> regressed_cells(load_survey("anes96"), "vote", ["party"]).rows[[0, -1], 0].round(1).tolist()
    [1.0, 0.1]
    """
    asked = survey.question(question)
    crowd = grid(survey, traits, totals)
    places = list(asked.substantive)
    codes = survey.answer_codes[question]
    answered = np.isin(codes, places) & (survey.design.weight > 0)
    if not answered.any():
        raise SurveyError(f"Nobody in {survey.title!r} answered {asked.label!r}.")
    y = (codes[answered][:, None] == np.array(places)[None, :]).astype(np.float64)
    x = _indicators(survey, traits)[answered]
    weight = survey.design.weight[answered]
    b = _multinomial(x, y, weight * (weight.size / weight.sum()), ridge)
    shares = _softmax(_indicators(crowd.survey, traits, like=survey) @ b)
    rows = np.zeros((shares.shape[0], len(asked.options)))
    rows[:, places] = shares
    note = f"{crowd.design.note}; the regression's own sampling error is not in it"
    labels = ", ".join(survey.trait(key).label.lower() for key in traits)
    return Answers(
        asked, rows, replace(crowd.design, note=note), crowd.domain,
        Source("personas", f"Regression on {labels}", survey.title), about=f"regression on {labels}",
    )  # fmt: skip


def _indicators(survey: Survey, traits: Sequence[str], like: Survey | None = None) -> Floats:
    """An intercept, and a column for each level of each trait, unknown ones last."""
    columns = [np.ones((survey.n, 1))]
    for key in traits:
        size = len((like or survey).trait(key).options) + 1
        codes: npt.NDArray[np.int64] = np.asarray(survey.trait_codes[key], dtype=np.int64)
        columns.append(np.eye(size)[np.where(codes < 0, size - 1, codes)])
    return np.concatenate(columns, axis=1)


def _multinomial(x: Floats, y: Floats, weight: Floats, ridge: float) -> Floats:
    from scipy import optimize

    shape = x.shape[1], y.shape[1]

    def loss(flat: Floats) -> tuple[float, Floats]:
        b = flat.reshape(shape)
        p = _softmax(x @ b)
        penalised = np.where(np.arange(shape[0])[:, None] > 0, b, 0.0)
        value = -float((weight[:, None] * y * np.log(np.maximum(p, 1e-300))).sum())
        slope = x.T @ (weight[:, None] * (p - y)) + ridge * penalised
        return value + 0.5 * ridge * float(np.square(penalised).sum()), slope.ravel()

    start = np.zeros(shape)
    start[0] = np.log(np.maximum(weight @ y / weight.sum(), 1e-6))
    found = optimize.minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 2000})
    return np.asarray(found.x.reshape(shape))


def _softmax(scores: Floats) -> Floats:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
