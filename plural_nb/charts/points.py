"""Points on lines: a line per row, on it a point per side with its interval, and a band of what noise would show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from plural_nb.charts.chart import DATA, Key
from plural_nb.charts.theme import HUMANS, MODELS, MUTED, config, wrapped


class Look(NamedTuple):
    """How a side's points look: never by colour alone."""

    colour: str
    shape: str
    filled: float


LOOKS: Mapping[str, Look] = MappingProxyType(
    {
        "humans": Look(HUMANS, "circle", 1),
        "model": Look(MODELS, "diamond", 0.22),
        "before": Look(MODELS, "square", 0.22),
        "after": Look(MODELS, "triangle-up", 1),
        "sample": Look(HUMANS, "circle", 1),
    }
)
NOISE = Key("noise", "Noise", "grey: what sampling alone would show, its mean (dark) and 95th percentile (light)")
BASELINE = Key("baseline", "Best guess", "cross: the nearest of the baselines")
_LABEL_WIDTH = 36
_RIGHTMOST = ("high", "noise_p95", "sd_high", "spread_high", "best")
_EMPTY = {"low": None, "high": None, "noise_mean": None, "noise_p95": None, "best": None, "sd_low": None,
          "sd_high": None, "spread_low": None, "spread_high": None, "other": None}  # fmt: skip


def point(row: str, who: str, value: float, *, label: str, **more: Any) -> dict[str, Any]:
    """Return a row of data: a point on the line called `row`; bounds that are not finite are left out.

    more: low, high, noise_mean, noise_p95, best (a baseline's value), sd_low, sd_high, spread_low, spread_high (a
    model's range over orders and wordings), other (end of a joining line), and words for the table.
    """
    numbers = {name: _or_none(more.pop(name, None)) for name in _EMPTY}
    known = [v for v in (_or_none(value), *numbers.values()) if v is not None]
    ends = [v for v in (_or_none(value), *(numbers[name] for name in _RIGHTMOST)) if v is not None]
    return {
        "row": "\n".join(wrapped(row, _LABEL_WIDTH)),
        "row_text": row,
        "who": who,
        "value": _or_none(value),
        **numbers,
        "start": min(known, default=0.0),
        "end": max(ends, default=0.0),
        "label": label,
        **more,
    }


def placed(rows: Sequence[dict[str, Any]], *, bottom: float | None = None, top: float | None = None) -> None:
    """Give rows their places, in the order given, and the ends of the axis."""
    places = {name: i for i, name in enumerate(dict.fromkeys(row["row"] for row in rows))}
    low, high = min(row["start"] for row in rows), max(row["end"] for row in rows)
    air = 0.05 * (high - low) or 0.05 * abs(high) or 0.1
    for row in rows:
        row |= {
            "place": places[row["row"]],
            "bottom": low - air if bottom is None else bottom,
            "top": high + air if top is None else top,
        }


def points_spec(
    rows: Sequence[Mapping[str, Any]], marks: Sequence[str], *, axis: str, percents: bool = False, margin: int = 46
) -> dict[str, Any]:
    """Return the Vega-Lite of points on lines.

    marks: sides that are drawn, of `LOOKS`, from top to bottom within a line. axis: its title. percents: whether the
    axis counts shares. margin: pixels right of the plot for labels.
    """
    lines = max((row["row"].count("\n") + 1 for row in rows), default=1)
    split = "split(datum.label, '\\n')"
    y = {
        "field": "row",
        "type": "nominal",
        "sort": {"field": "place", "op": "min"},
        "title": None,
        "axis": {"labelExpr": split, "labelOffset": {"expr": f"-7 * (length({split}) - 1)"}},
        "scale": {"paddingInner": 0.25, "paddingOuter": 0.15},
    }
    offset = {"field": "who", "type": "nominal", "scale": {"domain": list(marks), "paddingInner": 0.1}}
    x: dict[str, Any] = {
        "field": "value",
        "type": "quantitative",
        "title": axis,
        "axis": {"tickCount": 6, "labelFlush": False} | ({"format": ".1~%"} if percents else {}),
        "scale": {"nice": False, "zero": False},
    }
    step = max(17 if len(marks) > 1 else 24, 17 * lines / len(marks))

    def layer(mark: dict[str, Any], only: str, *, aside: bool = True, **encoding: Any) -> dict[str, Any]:
        beside = {"yOffset": offset} if aside else {}
        return {"mark": mark, "transform": [{"filter": only}], "encoding": {"y": y, **beside, **encoding}}

    def by_who(values: list[Any]) -> dict[str, Any]:
        # Ordinal by name: left alone, Vega-Lite spaces opacities evenly between the first and the last.
        scale = {"type": "ordinal", "domain": list(LOOKS), "range": values}
        return {"field": "who", "type": "nominal", "scale": scale, "legend": None}

    def field(name: str) -> dict[str, Any]:
        return {"field": name, "type": "quantitative"}

    def there(name: str) -> str:
        return f"isValid(datum.{name})"

    looks = LOOKS.values()
    colours, shapes = by_who([look.colour for look in looks]), by_who([look.shape for look in looks])
    cap = {"type": "tick", "thickness": 1.5, "size": 9}
    dotted = {"type": "rule", "strokeWidth": 1.5, "strokeDash": [2, 3]}
    diamond = {"type": "point", "shape": "diamond", "size": 30, "filled": True, "color": "currentColor", "opacity": 1}
    band = {"type": "bar", "color": MUTED, "height": {"band": 0.86}}
    cross = {"type": "point", "shape": "cross", "size": 70, "filled": True, "color": MUTED, "angle": 45, "opacity": 1}
    text = {"type": "text", "align": "left", "baseline": "middle", "dx": 12}
    unseen = [
        {"mark": {"type": "point", "opacity": 0}, "encoding": {"x": {**x, "field": end}}} for end in ("bottom", "top")
    ]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": config(),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "width": 600,
        "padding": {"left": 2, "top": 4, "bottom": 4, "right": margin},
        "height": {"step": step, "for": "offset"},
        "data": {"name": DATA},
        "layer": [
            *unseen,
            *(layer({**band, "opacity": deep}, there(end), x={**x, "field": "bottom"}, x2={"field": end})
              for end, deep in (("noise_p95", 0.2), ("noise_mean", 0.3))),
            layer({"type": "rule", "strokeWidth": 1.5, "color": MUTED, "opacity": 0.6}, there("other"), aside=False,
                  x=x, x2={"field": "other"}),
            layer({"type": "rule", "strokeWidth": 7, "opacity": 0.28}, there("sd_low"), x=field("sd_low"),
                  x2={"field": "sd_high"}, color=colours),
            layer({"type": "rule", "strokeWidth": 1.5}, there("low"), x=field("low"), x2={"field": "high"}),
            layer(cap, there("low"), x=field("low")),
            layer(cap, there("low"), x=field("high")),
            layer(dotted, there("spread_low"), x=field("spread_low"), x2={"field": "spread_high"}),
            layer(diamond, there("spread_low"), x=field("spread_low")),
            layer(diamond, there("spread_low"), x=field("spread_high")),
            layer(cross, there("best"), x=field("best")),
            layer({"type": "point", "size": 75, "strokeWidth": 1.75, "opacity": 1}, there("value"), x=x, fill=colours,
                  stroke=colours, fillOpacity=by_who([look.filled for look in looks]), shape=shapes),
            layer(text, "true", x={"value": "width"}, text={"field": "label", "type": "nominal"}),
        ],
    }  # fmt: skip


def shape_of(kind: str, rows: Sequence[Mapping[str, Any]], marks: Sequence[str]) -> str:
    """Return the shape of such a chart: a living view lays out its labels once."""
    names = dict.fromkeys(row["row"] for row in rows)
    return f"{kind} {'|'.join(marks)} {'|'.join(names)}"


def _or_none(value: Any) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
