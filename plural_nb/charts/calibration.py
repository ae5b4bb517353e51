"""Calibration over options: where people's rare and common answers stand in a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from plural_nb.charts.chart import DATA, Chart, Key
from plural_nb.charts.theme import MODELS, MUTED, config, percent
from plural_nb.errors import PluralError

if TYPE_CHECKING:
    from plural_nb.comparison.tails import Tails

_COLUMNS = (("between", "Answers with a share of"), ("options", "Answers"), ("people", "People, mean"),
            ("model", "Model, mean"), ("range", "Model less people, from – to"))  # fmt: skip
_TICKS = [0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1]


def calibration_curve(found: Tails, *, binned_by: Literal["humans", "model"] = "model", title: str = "") -> Chart:
    """Draw the model's mean share against people's, bin by bin, with the interval of the difference.

    binned_by: whose shares part the answers into bins. Bins of a noisy share look too extreme (regression to the
    mean), so with small samples trust those binned by the model. title: of the chart.

    On the dashed line the model says what people say; below it, it under-estimates. Grey dots are single answers. Axes
    are stretched near 0, by the square root.
    """
    if binned_by not in ("humans", "model"):
        raise PluralError(f"Answers are binned by 'humans' or by 'model', not by {binned_by!r}.")
    curve = found.table().filter(pl.col("binned_by") == binned_by, pl.col("options") > 0)
    rows: list[dict[str, Any]] = []
    for one in curve.iter_rows(named=True):
        low, high = one["low"], one["high"]
        known = low is not None and high is not None
        gap = f"{100 * one['difference']:+.1f} points"
        rows.append({
            "kind": "bin", "x": one["human"], "y": one["model"],
            "low": min(max(one["human"] + low, 0.0), 1.0) if known else None,
            "high": min(max(one["human"] + high, 0.0), 1.0) if known else None,
            "between": f"{one['bin_low']:.0%} to {one['bin_high']:.0%}", "options": str(one["options"]),
            "people": percent(one["human"]), "model": percent(one["model"]),
            "range": f"{gap} ({100 * low:+.1f} – {100 * high:+.1f})" if known else gap,
        })  # fmt: skip
    for place, row in enumerate(rows):
        row["place"] = place
    told = "; ".join(f"{row['between']}: people {row['people']}, model {row['model']}" for row in rows)
    empty: dict[str, Any] = dict.fromkeys(("low", "high", "place"))
    dots = [
        {"kind": "answer", "x": one["human"], "y": one["model"], **empty, "options": "1",
         "between": f"{one['question']}: {one['option']}",
         "people": percent(one["human"]), "model": percent(one["model"]), "range": ""}
        for one in found.options.iter_rows(named=True)
    ]  # fmt: skip
    ends = [{"kind": "even", "x": x, "y": x, **empty, "between": "", "options": "", "people": "", "model": "",
             "range": ""} for x in (0.0, 1.0)]  # fmt: skip
    asked = title or "Do rare answers stay rare, and common ones common?"
    by = found.name if binned_by == "model" else "people"
    return Chart(
        spec=_spec(found.name),
        rows=(*rows, *dots, *ends),
        shape=f"calibration {found.name}",
        title=asked,
        subtitle=f"{found.options.height} answers, binned by the share that {by} give{'s' * (by != 'people')} them",
        keys=(Key("model", found.name, f"whisker: {found.level:.0%} interval of model less people"),),
        columns=_COLUMNS,
        summary=f"{asked} {found.sentence()} By bin: {told}.",
        frame=curve,
        notes=(found.sentence(), "Dashed: the model says what people say. Dots: single answers."),
    )


def _spec(name: str) -> dict[str, Any]:
    scale = {"type": "sqrt", "domain": [0, 1], "nice": False}
    axis = {"format": ".0%", "values": _TICKS}
    x = {"field": "x", "type": "quantitative", "title": "share among people", "scale": scale, "axis": axis}
    y = {"field": "y", "type": "quantitative", "title": f"share by {name}", "scale": scale, "axis": axis}
    bins = [{"filter": "datum.kind == 'bin'"}]
    whisker = [{"filter": "datum.kind == 'bin' && isValid(datum.low)"}]
    point = {"type": "point", "filled": True, "shape": "diamond", "size": 90, "color": MODELS, "opacity": 1}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": config(),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "width": 600,
        "height": 380,
        "padding": {"left": 2, "top": 8, "bottom": 4, "right": 24},
        "data": {"name": DATA},
        "layer": [
            {"mark": {"type": "line", "strokeDash": [5, 4], "color": "currentColor", "opacity": 0.6},
             "transform": [{"filter": "datum.kind == 'even'"}], "encoding": {"x": x, "y": y}},
            {"mark": {"type": "point", "filled": True, "size": 16, "color": MUTED, "opacity": 0.45},
             "transform": [{"filter": "datum.kind == 'answer'"}], "encoding": {"x": x, "y": y}},
            {"mark": {"type": "rule", "strokeWidth": 1.5}, "transform": whisker,
             "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}},
            {"mark": {"type": "line", "strokeWidth": 2, "color": MODELS}, "transform": bins,
             "encoding": {"x": x, "y": y, "order": {"field": "place", "type": "quantitative"}}},
            {"mark": point, "transform": bins, "encoding": {"x": x, "y": y}},
        ],
    }  # fmt: skip
