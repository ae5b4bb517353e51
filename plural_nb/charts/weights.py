"""How weights are spread: a histogram of how many people each one stands for."""

from __future__ import annotations

from typing import Any

from plural_nb.charts.chart import DATA, Chart, Key
from plural_nb.charts.theme import HUMANS, config, percent
from plural_nb.survey.weight_spread import WeightSpread

_COLUMNS = (("between", "Weight ÷ mean weight"), ("people", "People"), ("held", "Share of the total weight"))


def weight_histogram(spread: WeightSpread, *, source: str = "", about: str = "") -> Chart:
    """Draw how many people have which weight, in multiples of the mean weight.

    source: the survey's name. about: the population, in words.

    >>> from plural_nb.survey.design import Design
    >>> import numpy as np
    >>> from plural_nb.survey.weight_spread import weight_spread
    >>> weight_histogram(weight_spread(Design(np.array([1.0, 3.0])))).title
    'How many people does each one stand for?'
    """
    bins = spread.bins()
    rows: list[dict[str, Any]] = [
        {
            "low": row["low"],
            "high": min(row["high"], bins["low"][-1] + (bins["high"][0] - bins["low"][0])),
            "n": row["n"],
            "between": f"{row['low']:g} to {row['high']:.4g}",
            "people": f"{row['n']:,}",
            "held": percent(row["share_of_weight"]),
            "mean": 1.0,
        }
        for row in bins.iter_rows(named=True)
    ]
    notes = [f"Kish's effective number is {spread.n_eff_kish:,.0f} of {spread.n:,} people."]
    if spread.equal:
        notes = ["Everybody has the same weight."]
    if spread.zero:
        notes.append(f"Left off: {spread.zero:,} with a weight of 0, who count for nobody.")
    largest = float(spread.relative[-1])
    if largest > bins["low"][-1] + 2 * (bins["high"][0] - bins["low"][0]):
        notes.append(f"The last bar gathers all weights from {bins['low'][-1]:g} times the mean up to {largest:.3g}.")
    extremes = f"from {spread.relative[0]:.2g} to {largest:.3g} times the mean"
    named = f"weight column “{spread.name}”" if spread.name else ""
    title = "How many people does each one stand for?"
    return Chart(
        spec=_spec(),
        rows=tuple(rows),
        shape=f"weights {len(rows)}",
        title=title,
        subtitle=" · ".join(part for part in (source, named, about) if part),
        keys=(Key("humans", f"People (n = {spread.n:,})", "line: the mean weight"),),
        columns=_COLUMNS,
        summary=f"{title} Weights run {extremes}. {' '.join(notes)}",
        frame=bins,
        notes=tuple(notes),
    )


def _spec() -> dict[str, Any]:
    x = {
        "field": "low",
        "type": "quantitative",
        "title": "weight, in multiples of the mean weight",
        "axis": {"tickCount": 8, "grid": False},
        "scale": {"nice": False, "zero": True},
    }
    y = {"field": "n", "type": "quantitative", "title": "people", "axis": {"tickCount": 5}}
    bar = {"type": "bar", "color": HUMANS, "binSpacing": 1}
    mean = {"type": "rule", "strokeWidth": 1.5, "strokeDash": [5, 3]}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": config(),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "width": 600,
        "height": 240,
        "padding": {"left": 2, "top": 8, "bottom": 4, "right": 16},
        "data": {"name": DATA},
        "layer": [
            {"mark": bar, "encoding": {"x": {**x, "bin": "binned"}, "x2": {"field": "high"}, "y": y}},
            {"mark": mean, "encoding": {"x": {"field": "mean", "type": "quantitative", "aggregate": "max"}}},
        ],
    }
