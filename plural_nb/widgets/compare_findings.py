"""What the comparison of two sources says below its chart: distance, noise, verdict, baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plural_nb.charts.theme import percent
from plural_nb.comparison.prompting import prompting
from plural_nb.widgets.findings import more_than_noise

if TYPE_CHECKING:
    from plural_nb.comparison.comparison import Comparison
    from plural_nb.comparison.survey_distances import SurveyDistances

_MOST_GROUPS = 12


def compare_findings(
    comparison: Comparison | None, found: SurveyDistances | None, *, ticks: bool = False
) -> list[dict[str, str]]:
    """Return what there is to say of one comparison, or of a table of many, as name, value and explanation.

    ticks: whether a box can be ticked to ask models in every way.
    """
    if comparison is None:
        return _of_table(found) if found is not None else []
    if len(comparison.groups) > 1:
        return _by_group(comparison)
    verdict = comparison.verdict
    rows = [{"name": "In short", "value": "", "more": comparison.sentence()}, more_than_noise(comparison)]
    if verdict.best_baseline and verdict.best_baseline_distance is not None:
        rows.append({
            "name": "Nearest guess", "value": f"{verdict.best_baseline_distance:.2f}",
            "more": f"{verdict.best_baseline} (debiased)",
        })  # fmt: skip
    rows += _asked(comparison, ticks)
    checked = {"not": "no people are on either side", "partly": "against these people's answers to this question only",
               "benchmarked": "against benchmarks too"}  # fmt: skip
    return [*rows, {"name": "How far checked", "value": "", "more": checked[comparison.checked]}]


def _asked(comparison: Comparison, ticks: bool) -> list[dict[str, str]]:
    """In how many wordings and orders the models were asked."""
    rows = []
    for side in (comparison.measured.pairs.a, comparison.measured.pairs.b):
        answers = side.answers[0]
        asked = None if answers is None else prompting(answers)
        if asked is not None:
            value = f"{len(asked.wordings)} × {asked.orders}"
            told = asked.sentence("tick “Every wording and order”") if ticks else asked.sentence()
            rows.append({"name": f"Ways {side.shares.source.name} was asked", "value": value, "more": told})
    return rows


def _by_group(comparison: Comparison) -> list[dict[str, str]]:
    distances = comparison.distance("js_distance").value
    rows = [
        {"name": verdict.group, "value": f"{distances[g]:.2f}" if np.isfinite(distances[g]) else "–",
         "more": verdict.sentence()}
        for g, verdict in enumerate(comparison.verdicts[:_MOST_GROUPS])
    ]  # fmt: skip
    if len(comparison.verdicts) > _MOST_GROUPS:
        left = len(comparison.verdicts) - _MOST_GROUPS
        rows.append({"name": "And", "value": str(left), "more": "more groups: see the table."})
    return rows


def _of_table(found: SurveyDistances) -> list[dict[str, str]]:
    p = found.p_adjusted[np.isfinite(found.p_adjusted)]
    rows = []
    if p.size:
        more = f"of {p.size:,} cells are beyond noise (Benjamini and Hochberg over all of them)"
        rows.append({"name": "More than noise?", "value": percent(float((p < 0.05).mean())), "more": more})
    if found.failed:
        (question, group), why = next(iter(found.failed.items()))
        where = f"{question}{f', {group}' if group else ''}"
        rows.append({"name": "Not compared", "value": str(len(found.failed)), "more": f"for example {where}: {why}"})
    return [
        *rows,
        {"name": "To open one", "value": "", "more": "click a cell, or go to it by arrow keys and press Enter"},
    ]
