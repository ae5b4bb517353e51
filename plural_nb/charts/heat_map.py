"""Heat maps: the distance of every question in every group at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plural_nb.charts.chart import DATA, Chart, Key
from plural_nb.charts.theme import MODELS, config
from plural_nb.comparison.measuring import DISTANCE_NAMES
from plural_nb.errors import PluralError, nearest

if TYPE_CHECKING:
    from plural_nb.comparison.survey_distances import SurveyDistances

MOST_QUESTIONS = 60
_COLUMNS = (("question", "Question"), ("group", "Group"), ("label", "Distance"), ("said", "Noise"), ("note", "Note"))
# The deepest colour still lets the figure in the cell be read, on light and on dark.
_DEEPEST = 0.72


def heat_map(
    found: SurveyDistances, distance: str = "js_distance", *, name: str = "the model", by: str = "", title: str = ""
) -> Chart:
    """Draw one distance as a table of colours, questions down and groups across, with the figure in every cell.

    distance: a name of `DISTANCE_NAMES`. name: of the model. by: what the groups are levels of. title: of the chart.

    Figures in brackets are not beyond noise (Benjamini and Hochberg over all cells); a dash is a cell that could not
    be compared. At most 60 questions are drawn, those with the largest mean distance. Raises PluralError for an
    unknown distance.

    >>> from plural_nb.comparison.baselines import uniform
    >>> from plural_nb.comparison.survey_distances import compare_survey
    >>> from plural_nb.survey.library import load_survey
    >>> anes = load_survey("anes96")
    >>> found = compare_survey(anes, {"vote": uniform(anes.answers("vote"))}, by="age")
    >>> len(heat_map(found).rows) == len(found.groups)
    True
    """
    if distance not in found.distances:
        raise PluralError(f"There is no distance {distance!r} here. {nearest(distance, found.distances)}")
    values = found.distances[distance]["value"]
    means = np.array([np.mean(row[np.isfinite(row)]) if np.isfinite(row).any() else -1.0 for row in values])
    kept = sorted(np.argsort(-means, kind="stable")[:MOST_QUESTIONS])
    top = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
    rows: list[dict[str, Any]] = []
    for place, q in enumerate(kept):
        question = found.questions[q]
        for g, group in enumerate(found.groups):
            rows.append({
                "question": _short(question.label, 40), "key": question.key, "place": place, "group": group, "at": g,
                **cell(found, int(q), g, distance), "note": _why(found, question.key, group), "top": top,
            })  # fmt: skip
    asked = title or f"Where is {name} far from people?"
    beyond = sum(row["said"] == "beyond noise" for row in rows)
    worst = max(rows, key=lambda row: row["value"] or 0.0)
    left = f"The {len(kept)} questions with the largest distances of {len(found.questions)} are drawn."
    return Chart(
        spec=_spec(len(found.groups), max(len(row["group"]) for row in rows), by),
        rows=tuple(rows),
        shape=f"heat map {'|'.join(found.groups)} {'|'.join(str(q) for q in kept)} {by}",
        title=asked,
        subtitle=f"{DISTANCE_NAMES[distance]}{f' by {by.lower()}' if by else ''}",
        keys=(Key("model", name, "the deeper, the farther; in brackets: not beyond noise"),),
        columns=tuple(c for c in _COLUMNS if any(row[c[0]] for row in rows)),
        summary=f"{asked} {beyond} of {len(rows)} cells are beyond noise; the largest distance is {worst['label']} "
        f"({worst['question']}, {worst['group']}).",
        frame=found.table(distance),
        notes=(left,) if len(kept) < len(found.questions) else (),
    )


def cells(found: SurveyDistances, distance: str) -> list[list[dict[str, Any]]]:
    """Return the cells of all questions and groups, with depth: the value beside the largest, None where there is none.

    A cell that failed, or whose question has no such distance, is empty and says why.
    """
    if distance not in found.distances:
        return [[_empty(found, q, g, distance) for g in range(len(found.groups))] for q in range(len(found.questions))]
    values = found.distances[distance]["value"]
    top = max((float(v) for v in values[np.isfinite(values)]), default=0.0) or 1.0
    told = [[cell(found, q, g, distance) for g in range(len(found.groups))] for q in range(len(found.questions))]
    return [
        [
            _empty(found, q, g, distance) if c["value"] is None else {**c, "depth": c["value"] / top}
            for g, c in enumerate(line)
        ]
        for q, line in enumerate(told)
    ]


def cell(found: SurveyDistances, q: int, g: int, distance: str) -> dict[str, Any]:
    """Return one cell's value, label and whether it is beyond noise, in words."""
    value, p = float(found.distances[distance]["value"][q, g]), found.p_adjusted[q, g]
    if not np.isfinite(value):
        return {"value": None, "label": "–", "said": ""}
    said = "" if not np.isfinite(p) else "beyond noise" if p < 0.05 else "not beyond noise"
    return {"value": value, "label": f"({value:.2f})" if said.startswith("not") else f"{value:.2f}", "said": said}


def _empty(found: SurveyDistances, q: int, g: int, distance: str) -> dict[str, Any]:
    why = _why(found, found.questions[q].key, found.groups[g])
    if not why:
        infinite = distance in found.distances and np.isinf(found.distances[distance]["value"][q, g])
        why = "infinite" if infinite else "not defined for a nominal question"
    return {"value": None, "label": "–", "said": why, "depth": None}


def _why(found: SurveyDistances, question: str, group: str) -> str:
    return found.failed.get((question, group), found.failed.get((question, ""), ""))


def _spec(groups: int, longest: int, by: str) -> dict[str, Any]:
    crowded = groups * longest > 70
    x = {
        "field": "group", "type": "nominal", "sort": {"field": "at", "op": "min"}, "title": by or None,
        "axis": {"orient": "top", "labelAngle": -35 if crowded else 0, "labelLimit": 160, "grid": False},
        "scale": {"paddingInner": 0.03},
    }  # fmt: skip
    y = {"field": "question", "type": "nominal", "sort": {"field": "place", "op": "min"}, "title": None,
         "scale": {"paddingInner": 0.06}}  # fmt: skip
    deep = {"field": "value", "type": "quantitative", "legend": None,
            "scale": {"domainMin": 0, "range": [0.04, _DEEPEST]}}  # fmt: skip
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": config(),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "width": 600,
        "height": {"step": 25},
        "padding": {"left": 2, "top": 4, "bottom": 4, "right": 40 if crowded else 12},
        "data": {"name": DATA},
        "layer": [
            {"mark": {"type": "rect", "fill": MODELS}, "transform": [{"filter": "isValid(datum.value)"}],
             "encoding": {"x": x, "y": y, "opacity": deep}},
            {"mark": {"type": "text", "baseline": "middle"},
             "encoding": {"x": x, "y": y, "text": {"field": "label", "type": "nominal"}}},
        ],
    }  # fmt: skip


def _short(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
