"""Intersections: the groups of people that two traits make together, and how many there are in each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import polars as pl

from plural_nb.errors import SurveyError
from plural_nb.survey.survey import Population, Survey


def crossed(
    survey: Survey, traits: Sequence[str] | None = None, *, population: Population | None = None
) -> pl.DataFrame:
    """Return the size of every group that two traits make together, empty ones included.

    traits: which to cross, two by two; all of the survey's when None.

    Columns: trait, level, by, by_level; n (people, weight zero not counted), n_eff_kish, share (weighted, of those
    whose levels are both known), and empty. A level that is not recorded makes no group.

    Raises SurveyError for fewer than two traits, or a trait that the survey does not have.

    >>> from plural_nb.survey.library import load_survey
    >>> table = crossed(load_survey("anes96"), ["age", "place"])
    >>> table.height, table.filter("empty").select("level", "by_level").rows()
    (20, [])
    """
    keys = list(survey.traits) if traits is None else list(traits)
    if len(set(keys)) < 2:
        raise SurveyError("Crossing needs two traits at least.")
    inside = np.ones(survey.n, dtype=np.bool_) if population is None else population.mask(survey)
    weight = np.where(inside, survey.design.weight, 0.0)
    frames = []
    for one, other in itertools.combinations(dict.fromkeys(keys), 2):
        a, b = survey.trait(one), survey.trait(other)
        codes, by = survey.trait_codes[one], survey.trait_codes[other]
        both = (codes >= 0) & (by >= 0) & (weight != 0)
        cells = len(a.options) * len(b.options)
        place = codes[both].astype(np.int64) * len(b.options) + by[both]
        n = np.bincount(place, minlength=cells)
        total = np.bincount(place, weights=weight[both], minlength=cells)
        squares = np.bincount(place, weights=np.square(weight[both]), minlength=cells)
        with np.errstate(invalid="ignore", divide="ignore"):
            kish = np.where(n > 0, np.square(total) / squares, 0.0)
            share = total / total.sum()
        frames.append(
            pl.DataFrame(
                {
                    "trait": [one] * cells, "level": [level for level in a.labels for _ in b.labels],
                    "by": [other] * cells, "by_level": list(b.labels) * len(a.labels),
                    "n": n, "n_eff_kish": kish, "share": share, "empty": n == 0,
                }
            )
        )  # fmt: skip
    return pl.concat(frames)
