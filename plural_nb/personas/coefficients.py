"""Regression coefficients recovered or not: the same regression on people and on their personas, in one table.

Bisbee et al. 2024 ("Synthetic replacements for human survey data?"): most coefficients from silicon samples differ
from those of people, and some change their sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from plural_nb.answers import Answers
from plural_nb.errors import PluralError
from plural_nb.survey.regression import Family, Regression, regress
from plural_nb.survey.survey import Survey


@dataclass(frozen=True, slots=True, eq=False)
class Recovered:
    """A regression on people beside the same on personas. rows: see `table`."""

    humans: Regression
    silicon: Regression
    rows: pl.DataFrame = field(repr=False)

    def table(self) -> pl.DataFrame:
        """Return one row per coefficient: humans, silicon with intervals, inside, sign.

        inside: whether the silicon coefficient lies in the people's interval. sign: "same", "opposite", or "unclear"
        where the people's interval includes 0.
        """
        return self.rows

    def sentence(self) -> str:
        """Return in words how many coefficients were recovered."""
        inside, total = int(self.rows["inside"].sum()), self.rows.height
        told = self.rows.filter(pl.col("sign") != "unclear")
        wrong = told.filter(pl.col("sign") == "opposite").height
        return (
            f"{inside} of {total} coefficients lie in the people's interval; of the {told.height} whose sign is clear "
            f"among people, {wrong} {'has' if wrong == 1 else 'have'} the opposite sign."
        )


def coefficients(
    humans: Answers, silicon: Answers, survey: Survey, traits: Sequence[str], *, family: Family | None = None,
    option: str = "", level: float = 0.95,
) -> Recovered:  # fmt: skip
    """Return the regression of an answer on traits among people, and among the personas of the same people.

    humans, silicon: answers row by row of the survey's people. traits: keys; each level but the first has a
    coefficient. family, option, level: see `plural_nb.survey.regression.regress`.

    Both are fitted to the same people: those with an answer and all traits, whom the model gave an answer too. A
    persona's interval covers who was asked, not what the model gets wrong.

    Raises PluralError for answers of other rows, SurveyError for unknown traits.

    >>> from plural_nb.survey.library import load_survey
    >>> survey = load_survey("anes96")
    >>> vote = survey.answers("vote")
    >>> coefficients(vote, vote, survey, ["age"], option="Bob Dole").sentence()[:50]
    "3 of 3 coefficients lie in the people's interval; "
    """
    if not humans.design.n == silicon.design.n == survey.n:
        raise PluralError(
            f"There are {humans.design.n} people and {silicon.design.n} personas for the {survey.n} rows of "
            f"{survey.title!r}: each persona must stand for the person in the same row (Personas.from_survey)."
        )
    people = pl.DataFrame({key: _levels(survey, key) for key in traits})
    both = (humans.rows.sum(axis=1) > 0) & (silicon.rows.sum(axis=1) > 0) & humans.domain & silicon.domain
    fits = [
        regress(one.within(both), people, list(traits), family=family, option=option, level=level)
        for one in (humans, silicon)
    ]
    keep = [i for i, name in enumerate(fits[0].names) if name != "(intercept)" and " | " not in name]
    place = {name: i for i, name in enumerate(fits[1].names)}
    rows = []
    for i in keep:
        j = place[fits[0].names[i]]
        (low, high), (low_b, high_b) = fits[0].bounds, fits[1].bounds
        a, b = float(fits[0].coefficient[i]), float(fits[1].coefficient[j])
        sign = "unclear" if low[i] <= 0 <= high[i] else "same" if np.sign(a) == np.sign(b) else "opposite"
        rows.append((fits[0].names[i], a, float(low[i]), float(high[i]), b, float(low_b[j]), float(high_b[j]),
                     bool(low[i] <= b <= high[i]), sign))  # fmt: skip
    names = ["coefficient", "humans", "low", "high", "silicon", "silicon_low", "silicon_high", "inside", "sign"]
    return Recovered(fits[0], fits[1], pl.DataFrame(rows, schema=names, orient="row"))


def _levels(survey: Survey, key: str) -> pl.Series:
    labels = survey.trait(key).labels
    values = [None if code < 0 else labels[code] for code in survey.trait_codes[key].tolist()]
    return pl.Series(key, values, dtype=pl.Enum(labels))
