"""Chances of a seat on a jury: a histogram of how likely people are to be drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from plural_nb.charts.chart import DATA, Chart, Key
from plural_nb.charts.theme import JURIES, config
from plural_nb.jury.lottery import Lottery

_BINS = 24
_COLUMNS = (("between", "Chance of a seat"), ("people", "People"))


def seat_chances(lottery: Lottery) -> Chart:
    """Draw how many people of the pool have which probability of being seated, beside the equal chance of all.

    >>> import polars as pl
    >>> from plural_nb.jury.pool import Pool
    >>> from plural_nb.jury.quotas import Quotas
    >>> from plural_nb.jury.sortition import sortition
    >>> people = pl.DataFrame({"age": ["old"] * 6 + ["young"] * 3})
    >>> [row["people"] for row in seat_chances(sortition(Pool.of(people), Quotas(4, {"age": {"young": 2}}))).rows]
    ['6', '3']
    """
    p = lottery.probability
    equal = lottery.quotas.size / lottery.pool.n
    top = max(float(p.max()), equal) * 1.0001
    counts, edges = np.histogram(p, bins=_BINS, range=(0.0, top))
    rows: list[dict[str, Any]] = [
        {
            "low": float(edges[i]),
            "high": float(edges[i + 1]),
            "n": int(n),
            "between": f"{edges[i]:.2%} to {edges[i + 1]:.2%}",
            "people": f"{n:,}",
            "equal": equal,
        }
        for i, n in enumerate(counts)
        if n
    ]
    title = "How likely is everyone to be drawn?"
    never = int((p == 0).sum())
    notes = [f"The quotas leave {never:,} people no chance at all."] if never else []
    return Chart(
        spec=_spec(top),
        rows=tuple(rows),
        shape=f"seats {top:.6g}",
        title=title,
        subtitle=f"{lottery.quotas.size} seats, {lottery.pool.n:,} people, {lottery.rule} lottery",
        keys=(Key("jury", f"People of the pool (n = {lottery.pool.n:,})", f"line: equal chances, {equal:.2%}"),),
        columns=_COLUMNS,
        summary=f"{title} {lottery.sentence()}",
        frame=lottery.table(),
        notes=tuple(notes),
    )


def _spec(top: float) -> dict[str, Any]:
    x = {
        "field": "low",
        "type": "quantitative",
        "title": "probability of a seat",
        "axis": {"format": ".2~%", "tickCount": 6, "grid": False},
        "scale": {"domain": [0, top], "nice": False},
    }
    y = {"field": "n", "type": "quantitative", "title": "people", "axis": {"tickCount": 5, "tickMinStep": 1}}
    bar = {"type": "bar", "color": JURIES, "binSpacing": 1}
    rule = {"type": "rule", "strokeWidth": 1.5, "strokeDash": [5, 3]}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": config(),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "width": 600,
        "height": 200,
        "padding": {"left": 2, "top": 8, "bottom": 4, "right": 16},
        "data": {"name": DATA},
        "layer": [
            {"mark": bar, "encoding": {"x": {**x, "bin": "binned"}, "x2": {"field": "high"}, "y": y}},
            {"mark": rule, "encoding": {"x": {"field": "equal", "type": "quantitative", "aggregate": "max"}}},
        ],
    }
