"""Where personas come from: respondents, a draw of them, margins alone, or every cell of a grid of traits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.answers import Bools
from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.columns import Columns
from plural_nb.survey.design import Design, Floats
from plural_nb.survey.question import Option
from plural_nb.survey.survey import Population, Survey
from plural_nb.survey.trait import Trait
from plural_nb.survey.weighting import rake

MOST_CELLS = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """People before they are told.

    survey: whose traits they have; rows: their places in it, all when None. design, domain: of these rows.
    kind, about: where they come from, in a word and in words. origin: the survey whose answers they could have given,
    for the guard against leaks; None where there is none.
    """

    survey: Survey
    rows: npt.NDArray[np.int64] | None
    design: Design
    domain: Bools
    kind: Literal["respondents", "draw", "margins", "grid"]
    about: str
    origin: Survey | None


def respondents(survey: Survey, population: Population | None = None) -> Crowd:
    """Return a survey's respondents as they are. Raises SurveyError for an empty population."""
    inside = _inside(survey, population)
    about = f"speaking as the respondents of {survey.title}"
    if population is not None and population.picks:
        about += f" ({survey.describe(population)})"
    return Crowd(survey, None, survey.design, inside, "respondents", about, survey)


def by_weight(survey: Survey, n: int, population: Population | None = None, seed: int = 0) -> Crowd:
    """Return n people drawn with replacement, with probability proportional to weight.

    Raises SurveyError for n below 1 and an empty population.
    """
    if n < 1:
        raise SurveyError(f"n must be at least 1, not {n}.")
    weight = np.where(_inside(survey, population), survey.design.weight, 0.0)
    if (weight < 0).any():
        raise SurveyError("Some weights are negative, so nobody can be drawn by them. Take all: Personas.from_survey.")
    rows = np.random.default_rng(seed).choice(survey.n, size=n, p=weight / weight.sum())
    note = "people drawn by weight from a survey, with replacement; errors are those of this draw alone"
    about = f"speaking as {n:,} people drawn from {survey.title}"
    everyone = np.ones(n, dtype=np.bool_)
    return Crowd(survey, rows, Design(np.ones(n), note=note), everyone, "draw", about, survey)


def grid(survey: Survey, traits: Sequence[str], totals: pl.DataFrame | None = None) -> Crowd:
    """Return every cell of some traits that holds anybody; see `Personas.from_grid`."""
    if not traits or isinstance(traits, str):
        raise SurveyError("A grid needs a list of traits: ['age', 'region'].")
    if len(set(traits)) < len(traits):
        raise SurveyError(f"A trait is in a grid once only; got {', '.join(traits)}.")
    levels = {key: survey.trait(key) for key in traits}
    cells = math.prod(len(trait.options) for trait in levels.values())
    if cells > MOST_CELLS:
        sizes = ", ".join(f"{key} {len(trait.options)}" for key, trait in levels.items())
        raise SurveyError(
            f"A grid of these traits has {cells:,} cells, more than {MOST_CELLS:,} ({sizes}). Take fewer."
        )
    if totals is None:
        codes = np.stack([survey.trait_codes[key].astype(np.int64) for key in traits], axis=1)
        here, place = np.unique(codes, axis=0, return_inverse=True)
        weight = np.asarray(np.bincount(place.ravel(), weights=survey.design.weight), dtype=np.float64)
    else:
        here, weight = _known_cells(levels, totals)
    here, weight = here[weight > 0], weight[weight > 0]
    about = f"speaking as the {len(weight):,} cells of {', '.join(t.label for t in levels.values())}"
    known = "the survey's weighted counts, taken as known" if totals is None else "known population totals"
    note = f"every cell was asked, so nobody was drawn; cells are weighted by {known}"
    return _crowd(survey, levels, here, weight, "grid", about, note, survey)


def raked(margins: Mapping[str, Mapping[str, float]], survey: Survey | None = None) -> Crowd:
    """Return made-up people for every combination of levels, weighted to margins; see `Personas.from_margins`."""
    if not margins:
        raise SurveyError("Made-up people need at least one margin: {'age': {'young': 40, 'old': 60}}.")
    traits = {key: _trait(key, list(levels), survey) for key, levels in margins.items()}
    cells = math.prod(len(levels) for levels in margins.values())
    if cells > MOST_CELLS:
        raise SurveyError(f"These margins make {cells:,} combinations, more than {MOST_CELLS:,}. Take fewer traits.")
    combined = list(itertools.product(*(list(levels) for levels in margins.values())))
    people = pl.DataFrame(combined, schema=dict.fromkeys(margins, pl.String), orient="row")
    totals = {key: sum(map(float, levels.values())) for key, levels in margins.items()}
    size = next(iter(totals.values()))
    # Margins in shares and in counts may stand beside each other: each is brought to the first one's total.
    scaled = {key: {level: float(v) * size / totals[key] for level, v in levels.items()} for key, levels in
              margins.items()}  # fmt: skip
    weight = rake(people, scaled).weight
    here = np.array([[traits[k].labels.index(v) for k, v in zip(margins, row, strict=True)] for row in combined])
    about = "speaking as made-up people raked to margins"
    note = "made-up people: only the margins of their traits are real, and the traits are independent of each other"
    return _crowd(survey, traits, here, weight, "margins", about, note, survey)


def _inside(survey: Survey, population: Population | None) -> Bools:
    if population is None or not population.picks:
        return np.ones(survey.n, dtype=np.bool_)
    inside = population.mask(survey)
    if not (inside & (survey.design.weight != 0)).any():
        raise SurveyError(f"Nobody in {survey.title!r} is in this population ({survey.describe(population)}).")
    return inside


def _known_cells(levels: Mapping[str, Trait], totals: pl.DataFrame) -> tuple[npt.NDArray[np.int64], Floats]:
    for column in (*levels, "total"):
        if column not in totals.columns:
            raise SurveyError(f"The totals have no column {column!r}. {nearest(column, totals.columns)}")
    places = []
    for key, trait in levels.items():
        for label in totals[key].unique().to_list():
            if label not in trait.labels:
                raise SurveyError(f"The totals have a level {label!r} of {key!r}. {nearest(str(label), trait.labels)}")
        places.append([trait.labels.index(label) for label in totals[key].to_list()])
    weight = totals["total"].cast(pl.Float64).to_numpy()
    here = np.array(places, dtype=np.int64).T
    if len(np.unique(here, axis=0)) < len(here):
        raise SurveyError("The totals name a cell twice. Give each combination of levels one row.")
    if not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
        raise SurveyError("The totals must be finite, not negative and not all 0.")
    return here, np.asarray(weight)


def _trait(key: str, labels: Sequence[str], survey: Survey | None) -> Trait:
    if survey is not None:
        trait = survey.trait(key)
        for label in labels:
            if label not in trait.labels:
                raise SurveyError(f"The margin of {key!r} has a level {label!r}. {nearest(label, trait.labels)}")
        return trait
    label = key[:1].upper() + key[1:].replace("_", " ")
    phrase = f"{label}: {{}}."
    return Trait(key, label, tuple(map(Option, labels)), tuple(phrase.replace("{}", v) for v in labels), phrase)


def _crowd(
    survey: Survey | None, traits: Mapping[str, Trait], codes: npt.NDArray[np.int64], weight: Floats,
    kind: Literal["margins", "grid"], about: str, note: str, origin: Survey | None,
) -> Crowd:  # fmt: skip
    """People who have these levels and nothing else; drawn in full, so that no sampling error is claimed."""
    design = Design(weight, note=note, fpc=np.ones(weight.size))
    frame = pl.DataFrame(
        {key: [None if c < 0 else trait.labels[c] for c in codes[:, j].tolist()] for j, (key, trait) in
         enumerate(traits.items())}, schema=dict.fromkeys(traits, pl.String),
    )  # fmt: skip
    empty: Mapping[str, Any] = MappingProxyType({})
    made: dict[str, Any] = {
        "columns": Columns(frame), "questions": empty, "traits": MappingProxyType(dict(traits)), "design": design,
        "trait_codes": MappingProxyType({key: codes[:, j].astype(np.int16) for j, key in enumerate(traits)}),
        "answer_codes": empty, "question_columns": empty, "trait_columns": {key: key for key in traits}, "roles": {},
    }  # fmt: skip
    people = replace(survey, **made) if survey else Survey(name="made_up", title="made-up people", **made)
    return Crowd(people, None, design, np.ones(weight.size, dtype=np.bool_), kind, about, origin)
