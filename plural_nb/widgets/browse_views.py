"""What the survey browser shows on each of its tabs: a chart or a list, its rows, and what there is to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import polars as pl

from plural_nb.charts.breakdown import means_by_group, shares_by_group
from plural_nb.charts.chart import Chart
from plural_nb.charts.shares import humans_and_model
from plural_nb.charts.trend import SERIES, trend_lines
from plural_nb.charts.weights import weight_histogram
from plural_nb.errors import SurveyError
from plural_nb.survey.lint import Finding, summary
from plural_nb.survey.means import Means, mean
from plural_nb.survey.measure import Measure
from plural_nb.survey.shares import Shares
from plural_nb.survey.survey import Population, Survey
from plural_nb.survey.tabulation import tabulate
from plural_nb.survey.times import Times
from plural_nb.survey.trend import MEAN, change, trend
from plural_nb.survey.weight_spread import weight_spread
from plural_nb.widgets import survey_findings as said

TABS = {"shares": "Shares", "trend": "Trend", "weights": "Weights", "checks": "Checks", "about": "About"}
EVERY = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked to be shown. by: a trait's key or ""; answer: an option's label, "(mean)" or "" for all."""

    tab: str
    question: str
    population: Population
    weighted: bool
    by: str = EVERY
    answer: str = EVERY


@dataclass(frozen=True, slots=True)
class View:
    """What is shown. frame: its rows; findings: what there is to say; remark: one line on what was left off."""

    frame: pl.DataFrame = field(repr=False)
    findings: tuple[said.Said, ...]
    chart: Chart | None = field(default=None, repr=False)
    remark: str = ""


def view_of(survey: Survey, choice: Choice, times: Times | None) -> View:
    """Return what a choice shows; SurveyError where nobody has an answer, or a tab that the survey cannot fill."""
    build = {"shares": _shares, "trend": _trend, "weights": _weights, "checks": _checks, "about": _about}
    return build[choice.tab](survey, choice, times)


def _shares(survey: Survey, choice: Choice, _: Times | None) -> View:
    whole = _tabulated(survey, choice)
    if choice.answer == MEAN:
        return _means(survey, choice, whole)
    if not choice.by and not choice.answer:
        chart, found = humans_and_model(whole), whole
    else:
        found = _tabulated(survey, choice, by=choice.by or None) if choice.by else whole
        chart = shares_by_group(
            found,
            option=choice.answer or None,
            by=_label(survey, choice.by),
            about=survey.describe(choice.population) if choice.population.picks and choice.by else "",
        )
    asked = survey.question(choice.question)
    numbers = [said.mean_of(_mean(survey, choice, by=EVERY))] if asked.kind == "numeric" else []
    rows = [
        _people(survey, choice, int(found.n.sum())),
        *numbers,
        said.design(survey, weighted=choice.weighted),
        said.interval(found),
        said.left_out(whole),
        said.design_effect(found, float(whole.n_eff_kish[0])),
    ]
    return View(chart.frame, tuple(row for row in rows if row), chart)


def _means(survey: Survey, choice: Choice, whole: Shares) -> View:
    found = _mean(survey, choice, by=choice.by)
    everyone = _mean(survey, choice, by=EVERY)
    chart = means_by_group(
        found,
        by=_label(survey, choice.by),
        title=survey.question(choice.question).text,
        source=survey.title,
        about=survey.describe(choice.population) if choice.population.picks else "",
    )
    rows = [
        _people(survey, choice, int(found.n.sum())),
        said.mean_of(everyone),
        said.design(survey, weighted=choice.weighted),
        said.interval(found),
        said.left_out(whole),
        said.design_effect(found, float(whole.n_eff_kish[0])),
    ]
    return View(chart.frame, tuple(row for row in rows if row), chart)


def _trend(survey: Survey, choice: Choice, times: Times | None) -> View:
    if times is None:
        raise SurveyError(
            f"{survey.title!r} has no years or waves to compare. Name the column: survey.browse(over='year')."
        )
    whole = _tabulated(survey, choice)
    shares = choice.answer != MEAN
    found = trend(
        survey,
        choice.question,
        over=times.key,
        by=choice.by or None,
        statistic="share" if shares else "mean",
        population=choice.population,
        weighted=choice.weighted,
        most=len(SERIES) if choice.by else None,
    )
    asked = survey.question(choice.question)
    chart = trend_lines(found, option=choice.answer if shares and choice.answer else None, title=asked.text)
    remark = ""
    if choice.by and not choice.answer:
        remark = f"Group by group one answer is drawn: {found.options[0]}. Choose another under “Answer shown”."
    moved = None
    if choice.answer and not choice.by:
        one = change(survey, choice.question, choice.answer, over=times.key, population=choice.population,
                     weighted=choice.weighted)  # fmt: skip
        moved = said.changed(one, times, shares=shares) if one else None
    rows = [
        _people(survey, choice, int(found.n.sum()), time=times),
        moved,
        said.design(survey, weighted=choice.weighted),
        said.interval(found.cells),
        said.left_out(whole),
        said.design_effect(found.cells, float(whole.n_eff_kish[0])),
    ]
    return View(chart.frame, tuple(row for row in rows if row), chart, remark)


def _weights(survey: Survey, choice: Choice, _: Times | None) -> View:
    inside = choice.population.mask(survey) if choice.population.picks else None
    spread = weight_spread(survey.design, inside)
    if not spread.n:
        raise SurveyError(
            f"Nobody in {survey.title!r} is in this population ({survey.describe(choice.population)}), or all of them "
            "have weight 0. Pick fewer traits or more levels."
        )
    chart = weight_histogram(spread, source=survey.title, about=survey.describe(choice.population))
    rows = [*said.weights(spread), said.design(survey, weighted=True)]
    whole = _tabulated(survey, Choice("shares", choice.question, choice.population, weighted=True))
    cost = said.design_effect(whole, float(whole.n_eff_kish[0]))
    if cost:
        rows.append({**cost, "name": f"Design effect of “{survey.question(choice.question).label}”"})
    remark = ""
    if survey.weighted and not choice.weighted:
        remark = "The weights are switched off on the other tabs; here they are looked at."
    return View(chart.frame, tuple(rows), chart, remark)


def _checks(survey: Survey, choice: Choice, _: Times | None) -> View:
    found = _found_by_checking(survey)
    frame = pl.DataFrame(
        [(f.level, f.where, f.kind, f.message) for f in found],
        schema=["level", "where", "kind", "message"],
        orient="row",
    )
    names = {"misleads": "Would mislead", "note": "To note"}
    rows = tuple({"name": f.where, "value": names[f.level], "more": f"{f.message} [{f.kind}]"} for f in found)
    return View(frame, rows, remark=summary(found))


@lru_cache(maxsize=2)
def _found_by_checking(survey: Survey) -> tuple[Finding, ...]:
    """What `check` finds; every column of a large file is read for it, so once is enough."""
    return survey.check()


def _about(survey: Survey, choice: Choice, _: Times | None) -> View:
    rows = said.about(survey)
    frame = pl.DataFrame([(row["name"], row["more"]) for row in rows], schema=["what", "text"], orient="row")
    return View(frame, tuple(rows))


def _tabulated(survey: Survey, choice: Choice, *, by: str | None = None) -> Shares:
    found = tabulate(survey, [choice.question], by=by, population=choice.population, weighted=choice.weighted)
    shares = found[choice.question]
    if not shares.n.any():
        asked = survey.question(choice.question)
        raise SurveyError(
            f"Nobody in this population ({survey.describe(choice.population)}) has an answer to {asked.label!r}"
            + (f", which was asked of {asked.asked_of}." if asked.asked_of else ". Pick fewer traits or more levels.")
        )
    return shares


def _mean(survey: Survey, choice: Choice, *, by: str) -> Means:
    design = survey.design if choice.weighted else survey.design.unweighted()
    inside = choice.population.mask(survey) if choice.population.picks else None
    numbers = Measure.of(survey.values(choice.question), design, domain=inside, name=choice.question)
    return mean(numbers, by=survey.groups(by) if by else None)


def _label(survey: Survey, by: str) -> str:
    return survey.trait(by).label if by else ""


def _people(survey: Survey, choice: Choice, n: int, *, time: Times | None = None) -> said.Said:
    inside = choice.population.mask(survey) if choice.population.picks else np.ones(survey.n, dtype=np.bool_)
    lost = int((inside & (np.asarray(survey.trait_codes[choice.by]) < 0)).sum()) if choice.by else 0
    row = said.people(n, int(inside.sum()), by=_label(survey, choice.by), lost=lost)
    if time is not None and (undated := int((inside & (time.codes < 0)).sum())):
        row["more"] += f" {undated:,} have no {time.label.lower()} recorded."
    return row
