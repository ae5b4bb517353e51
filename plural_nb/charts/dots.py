"""Estimates as dots with intervals, several series to a row: regression coefficients, and AUC beside baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plural_nb.charts.chart import DATA, Chart, Key
from plural_nb.charts.theme import HUMANS, MODELS, MUTED, config
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.regression import Regression

if TYPE_CHECKING:
    from plural_nb.personas.unasked import Prediction

_STYLES = {
    "humans": (HUMANS, "circle"),
    "personas": (MODELS, "diamond"),
    "baseline": (MUTED, "square"),
    "baseline2": (MUTED, "triangle-up"),
    "baseline3": (MUTED, "cross"),
}
_COLUMNS = (("label", "Row"), ("name", "Who"), ("said", "Estimate"), ("range", "From – to"))
_LABEL_WIDTH = 44


@dataclass(frozen=True, slots=True)
class _Dot:
    """One estimate: the row it stands in, whose it is, and its interval where there is one."""

    label: str
    who: str
    name: str
    value: float
    low: float | None = None
    high: float | None = None


def coefficient_plot(fits: Regression | Mapping[str, Regression], *, title: str = "", intercept: bool = False) -> Chart:
    """Draw the coefficients of a regression, or of several with the same predictors side by side, with intervals.

    fits: one, or {name: fit}; the first is drawn as the people's, the second as the model's, others in grey.
    intercept: whether the intercept (or the cuts) are drawn as well.

    Raises PluralError for no fit or more than five.

    >>> from plural_nb.survey.regression import regress
    >>> from plural_nb.survey.measure import Measure
    >>> fit = regress(Measure.of([1.0, 2.0, 3.0, 5.0]), pl.DataFrame({"age": [1.0, 2.0, 3.0, 4.0]}), ["age"])
    >>> coefficient_plot({"People": fit}, title="Points on age").summary
    'Points on age: age: People 1.3 (0.72 to 1.9).'
    """
    named = {"People": fits} if isinstance(fits, Regression) else dict(fits)
    if not 1 <= len(named) <= len(_STYLES):
        raise PluralError(f"The plot shows one to {len(_STYLES)} regressions, not {len(named)}.")
    dots, frames = [], []
    for who, (name, fit) in zip(_STYLES, named.items(), strict=False):
        low, high = fit.bounds
        frames.append(fit.table().with_columns(pl.lit(name).alias("who")))
        for i, label in enumerate(fit.names):
            if intercept or not (label == "(intercept)" or " | " in label):
                ends = (float(low[i]), float(high[i])) if np.isfinite(low[i]) else (None, None)
                dots.append(_Dot(label, who, name, float(fit.coefficient[i]), *ends))
    family = next(iter(named.values())).family
    axis = "coefficient" if family == "linear" else "coefficient (log odds)"
    level = next(iter(named.values())).level
    return _chart(dots, title or "Coefficients", axis, 0.0, level, pl.concat(frames, how="diagonal_relaxed"))


def auc_dumbbells(prediction: Prediction, *, predictor: str = "personas", title: str = "") -> Chart:
    """Draw the AUC of every hidden question: a predictor with its interval beside each baseline, hardest first.

    Raises PluralError for a predictor that predicted nothing.
    """
    rows = prediction.table()
    if predictor not in rows["predictor"].unique().to_list():
        raise PluralError(f"There is no predictor {predictor!r}. {nearest(predictor, rows['predictor'].unique())}")
    order = rows.filter(predictor=predictor).sort("auc")["question"].to_list()
    questions = prediction.hidden.survey.questions
    others = [name for name in rows["predictor"].unique(maintain_order=True).to_list() if name != predictor]
    marks = {predictor: "personas"} | dict(zip(others, ("baseline", "baseline2", "baseline3"), strict=False))
    dots = []
    for key in order:
        for name, who in marks.items():
            for row in rows.filter(question=key, predictor=name).iter_rows(named=True):
                ends = (row["low"], row["high"]) if name == predictor else (None, None)
                if row["auc"] is not None:
                    dots.append(_Dot(questions[key].label, who, name, row["auc"], *ends))
    said = title or f"AUC of hidden answers: {prediction.hidden.about}"
    return _chart(dots, said, "AUC (0.5: chance, 1: every pair ranked rightly)", 0.5, 0.95, rows)


def _chart(dots: Sequence[_Dot], title: str, axis: str, rule: float, level: float, frame: pl.DataFrame) -> Chart:
    if not dots:
        raise PluralError("There is nothing to draw: no estimate.")
    order = list(dict.fromkeys(dot.label for dot in dots))
    series = {dot.who: dot.name for dot in sorted(dots, key=lambda d: list(_STYLES).index(d.who))}
    ends = [v for d in dots for v in (d.value, d.low, d.high) if v is not None and np.isfinite(v)] + [rule]
    air = 0.05 * (max(ends) - min(ends)) or 0.1
    rows = [
        {
            "label": dot.label, "short": _short(dot.label), "place": order.index(dot.label), "who": dot.who,
            "name": dot.name, "value": dot.value, "low": dot.low, "high": dot.high, "rule": rule,
            "said": _number(dot.value),
            "range": "" if dot.low is None else f"{_number(dot.low)} – {_number(dot.high)}",
        }
        for dot in dots
    ]  # fmt: skip
    ranged = {dot.who for dot in dots if dot.low is not None}
    told = []
    for label in order:
        parts = [
            f"{r['name']} {r['said']}" + (f" ({str(r['range']).replace(' – ', ' to ')})" if r["range"] else "")
            for r in rows
            if r["label"] == label
        ]
        told.append(f"{label}: {', '.join(parts)}")
    return Chart(
        spec=_spec(tuple(series), axis, (min(ends) - air, max(ends) + air)),
        rows=tuple(rows),
        shape=f"dots {axis} {'|'.join(series)} {min(ends):.4g} {max(ends):.4g} {'|'.join(map(_short, order))}",
        title=title,
        subtitle="",
        keys=tuple(Key(w, n, f"whisker: {level:.0%} interval" if w in ranged else "") for w, n in series.items()),
        columns=_COLUMNS,
        summary=f"{title}: {'; '.join(told)}.",
        frame=frame,
    )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 0.995 else f"{value:.2f}"


def _short(label: str) -> str:
    text = " ".join(label.split())
    return text if len(text) <= _LABEL_WIDTH else f"{text[: _LABEL_WIDTH - 1]}…"


def _spec(marks: tuple[str, ...], axis: str, ends: tuple[float, float]) -> dict[str, Any]:
    y = {
        "field": "short", "type": "nominal", "sort": {"field": "place", "op": "min"}, "title": None,
        "axis": {"grid": True, "gridDash": [1, 3]}, "scale": {"paddingInner": 0.3},
    }  # fmt: skip
    # Baselines share a line with each other, so that the dumbbell's ends are on one level with the predictor.
    together = any(mark.startswith("baseline") for mark in marks) and "humans" not in marks
    offset = {} if together else {"yOffset": {"field": "who", "type": "nominal", "scale": {"domain": list(marks)}}}
    x = {
        "field": "value", "type": "quantitative", "title": axis, "axis": {"tickCount": 6},
        "scale": {"domain": list(ends), "nice": False, "zero": False},
    }  # fmt: skip

    def by_who(values: list[Any]) -> dict[str, Any]:
        scale = {"domain": list(marks), "range": values}
        return {"field": "who", "type": "nominal", "sort": list(marks), "scale": scale, "legend": None}

    colours = by_who([_STYLES[mark][0] for mark in marks])
    shapes = by_who([_STYLES[mark][1] for mark in marks])
    point = {"type": "point", "size": 75, "filled": True, "opacity": 1, "strokeWidth": 1}
    reach = {
        "mark": {"type": "rule", "strokeWidth": 1, "opacity": 0.45},
        "transform": [{"aggregate": [{"op": "min", "field": "value", "as": "least"},
                                     {"op": "max", "field": "value", "as": "most"},
                                     {"op": "min", "field": "place", "as": "place"}], "groupby": ["short"]}],
        "encoding": {"y": y, "x": {**x, "field": "least"}, "x2": {"field": "most"}},
    }  # fmt: skip
    whisker = {
        "mark": {"type": "rule", "strokeWidth": 2},
        "transform": [{"filter": "datum.low !== null"}],
        "encoding": {"y": y, **offset, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": colours},
    }
    zero = {"mark": {"type": "rule", "strokeDash": [4, 3], "opacity": 0.6},
            "encoding": {"x": {"field": "rule", "type": "quantitative", "aggregate": "min"}}}  # fmt: skip
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": config(),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "width": 600,
        "padding": {"left": 2, "top": 4, "bottom": 4, "right": 12},
        "height": {"step": 24 if together else max(13, 24 // len(marks)), **({} if together else {"for": "offset"})},
        "data": {"name": DATA},
        "layer": [
            {"mark": point, "encoding": {"y": y, **offset, "x": x, "fill": colours, "shape": shapes}},
            *([reach] if together else []),
            whisker,
            zero,
            # Above the lines again.
            {"mark": point, "encoding": {"y": y, **offset, "x": x, "fill": {**colours}, "shape": {**shapes}}},
        ],
    }
