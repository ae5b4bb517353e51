"""Utilities from answers: each respondent's or persona's rating of each candidate is the expected score of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import polars as pl

from plural_nb.answers import Answers
from plural_nb.errors import PluralError, nearest
from plural_nb.jury.utilities import Utilities
from plural_nb.survey.design import Floats
from plural_nb.survey.survey import Population, Survey

Best = Literal["highest", "lowest"]


def from_survey(
    survey: Survey,
    candidates: Sequence[str] | Mapping[str, str],
    *,
    population: Population | None = None,
    traits: Sequence[str] | None = None,
    best: Best = "highest",
    weighted: bool = True,
) -> Utilities:
    """Return a survey's respondents as jurors: their ratings, thermometers or agreement with statements.

    candidates: question keys, or {name: key}. population: who sits on the jury; everyone when None. traits: of the
    jurors, to group them by; all of the survey's when None. best: which end of the scale is most wanted; with "lowest"
    values are mirrored within the scale (5 − 1 on a scale from 1 to 5), which a note says. weighted: False gives every
    weight 1.

    Numeric questions give the file's exact values, ordinal ones their options' values; "don't know" and no answer are
    not rated. People who were asked about no candidate (another wave, a skip pattern) do not sit on the jury, which a
    note says. The jury keeps the survey's design, so its results carry intervals.

    Raises SurveyError for an unknown question or trait, a nominal question, or scales that differ.

    >>> import plural_nb as pnb
    >>> jury = from_survey(pnb.load_survey("teaching"), {"Abolish": "rate_abolish", "Keep": "rate_keep"})
    >>> jury.candidates, jury.scale
    (('Abolish', 'Keep'), '1 to 100')
    """
    named = dict(candidates) if isinstance(candidates, Mapping) else {survey.question(k).label: k for k in candidates}
    if len(named) < len(candidates):
        raise PluralError("Two candidates have the same label; give names: {name: question key}.")
    if not named:
        raise PluralError("A jury needs at least one candidate; name the questions that rate them.")
    scales = {name: _scale(survey, key) for name, key in named.items()}
    low, high = _one_scale(scales)
    values = _oriented(np.column_stack([survey.values(key) for key in named.values()]), low, high, best)
    wanted = list(survey.traits) if traits is None else list(traits)
    columns = {}
    for trait in wanted:
        groups = survey.groups(trait)
        columns[trait] = pl.Series([None if c < 0 else groups.names[c] for c in groups.codes], dtype=pl.String)
    jury = Utilities(
        values, tuple(named), survey.design.weight if weighted else np.ones(survey.n),
        traits=pl.DataFrame(columns), design=survey.design if weighted else survey.design.unweighted(),
        scale=f"{low:g} to {high:g}", notes=_mirrored(low, high, best),
    )  # fmt: skip
    # A person who rated nothing cannot be told from one who was never asked: neither has a say, and a note says so.
    seated = ~np.isnan(values).all(axis=1)
    if population is not None:
        seated &= population.mask(survey)
    if not seated.any():
        raise PluralError(f"Nobody in this population rated {', '.join(named)}.")
    about = "" if population is None else f"the jury is {survey.describe(population)}; "
    note = f"{about}{int(seated.sum()):,} of {survey.n:,} respondents rated at least one candidate and sit on it"
    return jury if seated.all() else jury.within(seated, note=note)


def from_answers(
    answers: Mapping[str, Answers], *, traits: pl.DataFrame | None = None, best: Best = "highest"
) -> Utilities:
    """Return people, personas or a model's rows as jurors: the expected score of each row is the utility.

    answers: {candidate: answers}, all of the same respondents in the same order and on one scale. The score of a row is
    Σ_k p_k·v_k over the options that carry opinion, p made to sum to 1 over them; a row without an answer is not rated.
    traits: (n,) rows of the jurors' traits. best: see `from_survey`.

    Raises PluralError for answers of different people, scales that differ, or a nominal question.

    >>> from plural_nb.survey.question import ask_for
    >>> agree = ask_for("Build it?", ["No", "Unsure", "Yes"], kind="ordinal")
    >>> from_answers({"Park": Answers.from_places(agree, [0, 2]), "Road": Answers.from_places(agree, [1, None])}).values
    array([[ 1.,  2.],
           [ 3., nan]])
    """
    if not answers:
        raise PluralError("A jury needs at least one candidate; give the answers that rate it.")
    first = next(iter(answers.values()))
    scales = {}
    for name, given in answers.items():
        if given.design.n != first.design.n or not np.array_equal(given.design.weight, first.design.weight):
            raise PluralError(
                f"The answers about {name!r} come from other people than those about {next(iter(answers))!r}: "
                "every candidate must be rated by the same jurors, in the same order."
            )
        values = given.question.values
        scales[name] = (min(values), max(values))
    low, high = _one_scale(scales)
    utilities = _oriented(np.column_stack([expected_scores(a) for a in answers.values()]), low, high, best)
    jury = Utilities(
        utilities, tuple(answers), first.design.weight, traits=pl.DataFrame() if traits is None else traits,
        design=None if first.exact else first.design, scale=f"{low:g} to {high:g}", notes=_mirrored(low, high, best),
    )  # fmt: skip
    domain = np.logical_and.reduce([a.domain for a in answers.values()])
    return (
        jury
        if domain.all()
        else jury.within(domain, note=f"{int(domain.sum()):,} jurors of {domain.size:,} were asked")
    )


def expected_scores(answers: Answers) -> Floats:
    """Return (n,) the expected value of each row on the question's scale; NaN where no opinion was given.

    >>> from plural_nb.survey.question import ask_for
    >>> agree = ask_for("Build it?", ["No", "Unsure", "Yes"], kind="ordinal")
    >>> expected_scores(Answers.from_places(agree, [0, 2, None]))
    array([ 1.,  3., nan])
    """
    places = list(answers.question.substantive)
    rows = answers.rows[:, places]
    total = rows.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(rows @ np.array(answers.question.values) / np.where(total > 0, total, np.nan))


def _scale(survey: Survey, key: str) -> tuple[float, float]:
    question = survey.question(key)
    values = question.values
    bounds = [o.bounds for o in (question.options[i] for i in question.substantive) if o.bounds is not None]
    if question.kind == "numeric" and bounds:
        return min(b[0] for b in bounds), max(b[1] for b in bounds)
    return min(values), max(values)


def _one_scale(scales: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    found = sorted(set(scales.values()))
    if len(found) > 1:
        said = "; ".join(f"{name}: {low:g} to {high:g}" for name, (low, high) in scales.items())
        raise PluralError(f"The candidates are rated on different scales ({said}); they must share one to be compared.")
    return found[0]


def _oriented(values: Floats, low: float, high: float, best: Best) -> Floats:
    if best not in get_args(Best):
        raise PluralError(f"The best end of the scale is {best!r}. {nearest(str(best), get_args(Best))}")
    return values if best == "highest" else low + high - values


def _mirrored(low: float, high: float, best: Best) -> tuple[str, ...]:
    return () if best == "highest" else (f"the scale was mirrored: {low:g} counts as {high:g} and the other way round",)
