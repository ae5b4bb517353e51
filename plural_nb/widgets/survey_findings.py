"""What the survey browser says below its chart: how many people, which design, what the interval means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plural_nb.charts.breakdown import number
from plural_nb.charts.theme import percent
from plural_nb.survey.means import Means
from plural_nb.survey.shares import Shares

if TYPE_CHECKING:
    from plural_nb.survey.contrasts import Contrast
    from plural_nb.survey.survey import Survey
    from plural_nb.survey.times import Times
    from plural_nb.survey.weight_spread import WeightSpread

Said = dict[str, str]


def people(n: int, total: int, *, by: str = "", lost: int = 0) -> Said:
    """Return how many people the chart speaks of. lost: those whose level of `by` is not recorded."""
    more = f"people with an answer that carries an opinion, of {total:,} in this population."
    if by and lost:
        more += f" {lost:,} of the {total:,} are in no group, because their {by.lower()} is not recorded."
    return {"name": "People", "value": f"{n:,}", "more": more}


def design(survey: Survey, *, weighted: bool) -> Said:
    """Return which weight, strata, PSUs or replicate weights the numbers rest on."""
    used, roles = survey.design, survey.roles
    if not survey.weighted:
        value, weight = "no weights", "Everybody counts the same: the survey names no weight, or all are equal."
    elif not weighted:
        value, weight = "unweighted", "The survey's weights are switched off: shares are of the people asked."
    else:
        named = f" (column {roles['weight']})" if roles.get("weight") else ""
        value, weight = "weighted", f"Each one counts by the survey's weight{named}."
    if used.replicates is not None and weighted:
        how = f"Standard errors come from {used.replicates.size} replicate weights ({used.replicates.kind})."
    else:
        parts = [f"{word} ({roles[role]})" if roles.get(role) else word for word, role, there in
                 (("strata", "stratum", used.stratum), ("PSUs", "psu", used.psu)) if there is not None]  # fmt: skip
        how = (
            f"Standard errors follow the sample's {' and '.join(parts)}, by Taylor linearisation."
            if parts
            else "No strata or PSUs are named, so standard errors assume a simple random sample; they may be too small."
        )
    return {"name": "Weight and design", "value": value, "more": f"{weight} {how}"}


def interval(found: Shares | Means) -> Said:
    """Return what the whiskers mean, and what they do not."""
    how = f"{found.interval} interval" if isinstance(found, Shares) else "estimate ∓ t × standard error"
    return {
        "name": "Interval",
        "value": f"{found.level:.0%}",
        "more": f"Of 100 samples drawn like this one, the whiskers of about {100 * found.level:.0f} would reach over "
        f"the value of the whole population ({how}). They cover the luck of the draw, not who refused to take part "
        "nor how the question was put.",
    }


def left_out(everyone: Shares) -> Said:
    """Return who is not in the bars: those without an opinion, and those without an answer."""
    silent, unasked, missing = (float(a[0]) for a in (everyone.nonsubstantive, everyone.volunteered, everyone.missing))
    question = everyone.question
    parts = []
    for share, offered, how in ((silent, True, "chose"), (unasked, False, "said unasked")):
        labels = [o.label for o in question.options if not o.substantive and o.offered == offered]
        if labels and share > 0:
            parts.append(f"{percent(share)} {how} {' or '.join(f'“{label}”' for label in labels)}")
    if missing > 0:
        why = f"the question was put to {question.asked_of}" if question.asked_of else "not asked, or no answer"
        parts.append(f"{percent(missing)} have no answer recorded ({why})")
    more = "; ".join(parts) + "." if parts else "Everybody gave an answer that carries an opinion."
    # Each share is of those whom the parts before it leave, so the whole is not their sum.
    return {"name": "Left out", "value": percent(1 - (1 - missing) * (1 - unasked) * (1 - silent)), "more": more}


def design_effect(found: Shares | Means, n_eff_kish: float) -> Said | None:
    """Return what the design costs this question, apart from Kish's number, which speaks of weights alone."""
    deff = found.deff_wr
    if deff is None:
        return None
    known = deff[np.isfinite(deff)]
    if not known.size:
        return None
    low, high = float(known.min()), float(known.max())
    value = f"{low:.1f}" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f} – {high:.1f}"
    return {
        "name": "Design effect",
        "value": value,
        "more": "times the variance of a simple random sample of as many people (deff_wr): weights, strata and PSUs "
        f"together. Kish's effective number, {n_eff_kish:,.0f}, speaks of the weights alone.",
    }


def mean_of(found: Means) -> Said:
    """Return the mean of everybody's numbers with its standard error."""
    low, high = number(float(found.low[0])), number(float(found.high[0]))
    return {
        "name": "Mean",
        "value": number(float(found.estimate[0])),
        "more": f"weighted mean of the exact numbers, not of the bins; standard error {number(float(found.se[0]))}, "
        f"{found.level:.0%} interval {low} to {high}.",
    }


def changed(moved: Contrast, times: Times, *, shares: bool) -> Said:
    """Return the change between the first and the last time, with its interval."""
    scale, unit = (100, " points") if shares else (1, "")
    value, low, high = (f"{scale * x:+.1f}" for x in (moved.estimate, moved.low, moved.high))
    return {
        "name": f"{times.names[0]} to {times.names[-1]}",
        "value": value,
        "more": f"{unit.strip() or 'is how far the mean moved'}; {moved.level:.0%} interval {low} to {high}{unit}. "
        "What the two times share through the design is taken off.",
    }


def weights(spread: WeightSpread) -> list[Said]:
    """Return what there is to say of the weights: Kish's number, what they alone cost, the largest and smallest."""
    if spread.equal:
        return [{"name": "Weights", "value": "equal", "more": f"All {spread.n:,} people count the same."}]
    said = [
        {
            "name": "Effective number (Kish)",
            "value": f"{spread.n_eff_kish:,.0f}",
            "more": f"of {spread.n:,} people: (Σw)²/Σw². So many people with equal weights would tell as much, were "
            "the weights unrelated to the answers.",
        },
        {
            "name": "Cost of weighting (Kish)",
            "value": f"{spread.deff_kish:.2f}",
            "more": "n over the effective number, 1 + cv². It is not the design effect: strata and PSUs are not in it.",
        },
        {
            "name": "Smallest and largest",
            "value": f"{spread.relative[0]:.2f} – {spread.relative[-1]:.1f}",
            "more": f"times the mean weight: the heaviest counts {spread.relative[-1] / spread.relative[0]:,.0f} times "
            f"as much as the lightest. The heaviest 1% of people hold {percent(spread.top_share)} of the total weight.",
        },
    ]
    if spread.zero:
        said.append({"name": "Weight 0", "value": f"{spread.zero:,}", "more": "people count for nobody."})
    return said


def about(survey: Survey) -> list[Said]:
    """Return the file's notes: what it is, which weight and recipe, and how far that was verified."""
    wording = "the survey's exact words" if survey.wording == "exact" else "paraphrased, not the survey's own words"
    match = survey.recipe
    rows = [
        ("Survey", f"{survey.title}; {survey.n:,} people, {len(survey.questions):,} questions"),
        ("Fieldwork", survey.fieldwork),
        ("Design", design(survey, weighted=True)["more"]),
        ("Recipe", match.sentence() if match else ""),
        ("Note", survey.note if not match else survey.note.replace(match.sentence(), "").strip()),
        ("Columns that may hold a weight", ", ".join(survey.candidates.get("weight", ()))),
        ("Question texts", wording),
        ("Source", survey.citation),
        ("Licence", survey.licence),
        ("File", survey.source),
    ]
    return [{"name": name, "value": "", "more": text} for name, text in rows if text]
