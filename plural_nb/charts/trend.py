"""Trends as lines: a question's shares or means over years or waves, with an interval at each."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from plural_nb.charts.breakdown import number
from plural_nb.charts.chart import DATA, Chart, Key
from plural_nb.charts.theme import HUMANS, config, percent
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.shares import Shares
from plural_nb.survey.trend import MEAN, Trend

# Lines are told apart by the shape of their points and by their names at the right end too. Each colour has at least
# 3:1 on white and on JupyterLab's dark page; the models' orange is not among them.
SERIES = (HUMANS, "#009E73", "#B4558D", "#7A7A00", "#767676", "#2F8FC4")
_SHAPES = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross"]
_COLUMNS = (("series", "Line"), ("time", "Time"), ("label", "{}"), ("range", "From – to"), ("people", "People"))
_HEIGHT = 300
_LINE = 16
_TAG = 24


def trend_lines(found: Trend, *, option: str | None = None, title: str = "") -> Chart:
    """Draw a trend: one line per answer, or, group by group, one line per group for one answer.

    option: the answer to show; for everyone all when None, group by group the first. title: the question's text; its
    key where empty.

    At most six lines are drawn, the largest; a note says how many are not. Raises PluralError for an unknown answer.

    >>> from plural_nb.survey.library import load_survey
    >>> from plural_nb.survey.trend import trend
    >>> drawn = trend_lines(trend(load_survey("teaching"), "turnout"), option="I voted")
    >>> [row["label"] for row in drawn.rows]
    ['76%', '72%', '70%']
    """
    if option is not None and option not in found.options:
        raise PluralError(f"There is no answer {option!r} to show. {nearest(option, found.options)}")
    one = len(found.options) == 1
    if len(found.groups) > 1:
        place = found.options.index(option or found.options[0])
        names, pick = found.groups, [(g, place) for g in range(len(found.groups))]
        shown = "" if one else f"share who say “{found.options[place]}”"
    else:
        places = range(len(found.options)) if option is None else [found.options.index(option)]
        names, pick = tuple(found.options[k] for k in places), [(0, k) for k in places]
        shown = ""
    kept = _largest(found, pick)
    rows = _rows(found, [names[i] for i in kept], [pick[i] for i in kept])
    _label_ends(rows)
    asked = title or found.label
    mean = found.statistic == "mean"
    points: dict[str, list[str]] = {}
    for row in rows:
        points.setdefault(row["series"], []).append(f"{row['time']} {row['label']}")
    told = [f"{name}: {', '.join(said)}." for name, said in points.items()]
    detail = found.cells.source.detail if isinstance(found.cells, Shares) else ""
    parts = [
        found.survey + (f", {detail}" if detail else ""),
        found.about,
        "mean of the numbers given" if mean else shown,
    ]
    used = [_tag_name(names[i]) for i in kept]
    people = f"People{f' by {found.by.lower()}' if found.by else ''} (n = {int(found.n.sum()):,})"
    return Chart(
        spec=_spec(found, mean=mean),
        rows=tuple(rows),
        shape=f"trend {found.statistic} {found.times.names} {'|'.join(used)} {len(rows)}",
        title=asked,
        subtitle=" · ".join(part for part in parts if part),
        keys=(Key("humans", people, f"whisker: {found.cells.level:.0%} interval"),),
        columns=tuple((name, heading.format("Mean" if mean else "Share")) for name, heading in _COLUMNS),
        summary=" ".join([asked, *told]),
        frame=found.table(),
        notes=tuple(_notes(found, len(pick), len(kept))),
    )


def _largest(found: Trend, pick: list[tuple[int, int]]) -> list[int]:
    """Places of the lines to draw, in their order: all of them, or the largest by people or by share."""
    filled = [i for i, (g, k) in enumerate(pick) if np.isfinite(found.estimate[:, g, k]).any()]
    if len(filled) <= len(SERIES):
        return filled
    size = found.n.sum(axis=0) if len(found.groups) > 1 else np.nanmean(found.estimate[:, 0], axis=0)
    order = sorted(filled, key=lambda i: -float(size[pick[i][0] if len(found.groups) > 1 else pick[i][1]]))
    return sorted(order[: len(SERIES)])


def _rows(found: Trend, names: list[str], pick: list[tuple[int, int]]) -> list[dict[str, Any]]:
    words = percent if found.statistic == "share" else number
    values, S = found.times.values, len(names)
    # Points of one year stand side by side, so that whiskers can be told apart.
    aside = min(0.012 * float(np.ptp(values)), 0.6 * float(np.diff(values).min()) / S)
    bounds = found.estimate, found.low, found.high
    rows: list[dict[str, Any]] = []
    for s, (name, (g, k)) in enumerate(zip(names, pick, strict=True)):
        for t, time in enumerate(found.times.names):
            estimate, low, high = (float(a[t, g, k]) for a in bounds)
            if not np.isfinite(estimate):
                continue
            ranged = bool(np.isfinite(low) and np.isfinite(high))
            rows.append({
                "series": name,
                "line": s,
                "time": time,
                "x": float(values[t]) + aside * (s - (S - 1) / 2),
                "estimate": estimate,
                "low": low if ranged else None,
                "high": high if ranged else None,
                "label": words(estimate),
                "range": f"{words(low)} – {words(high)}" if ranged else "no interval",
                "people": f"{int(found.n[t, g]):,}",
                "tag": "",
                "tag_at": None,
            })  # fmt: skip
    ends = [v for row in rows for v in (row["estimate"], row["low"], row["high"]) if v is not None]
    if found.statistic == "share":
        bottom, top = 0.0, next((t for t in (0.25, 0.5, 0.75) if max(ends) <= t), 1.0)
    else:
        air = 0.08 * (max(ends) - min(ends)) or 1.0
        bottom, top = min(ends) - air, max(ends) + air
    for row in rows:
        row |= {"bottom": bottom, "top": top}
    return rows


def _label_ends(rows: list[dict[str, Any]]) -> None:
    """Name each line at the right, at the height of its last point, moved apart where two would overlap."""
    last = {row["line"]: row for row in rows}
    ends = sorted(last.values(), key=lambda row: row["estimate"])
    bottom, top = ends[0]["bottom"], ends[0]["top"]
    apart = (top - bottom) * _LINE / _HEIGHT
    at = bottom - apart
    for row in ends:
        at = max(row["estimate"], at + apart)
        row["tag_at"] = at
    limit = top
    for row in reversed(ends):
        row["tag_at"] = limit = min(row["tag_at"], limit)
        limit -= apart
    right = max(row["x"] for row in rows)
    for row in ends:
        row |= {"tag": f"{_tag_name(row['series'])}: {row['label']}", "tag_x": right}


def _tag_name(name: str) -> str:
    if name == MEAN:
        return "Mean"
    text = " ".join(name.split())
    return text if len(text) <= _TAG else f"{text[: _TAG - 1]}…"


def _notes(found: Trend, lines: int, drawn: int) -> list[str]:
    notes = []
    if found.levels > drawn and len(found.groups) > 1:
        notes.append(f"The {drawn} largest of {found.levels} groups are shown.")
    elif lines > drawn:
        notes.append(
            f"The {drawn} most frequent of {lines} answers are shown; the file saved as CSV holds all of them."
        )
    asked = found.n.sum(axis=1) > 0
    if not asked.all():
        silent = [name for name, there in zip(found.times.names, asked, strict=True) if not there]
        notes.append(f"Nobody has an answer in {', '.join(silent[:8])}{' and other times' if len(silent) > 8 else ''}.")
    if found.cells.note:
        text = found.cells.note
        text = text if "error" in text.lower() else f"standard errors assume {text}"
        notes.append(f"{text[:1].upper()}{text[1:]}.")
    return notes


def _spec(found: Trend, *, mean: bool) -> dict[str, Any]:
    times = found.times
    axis: dict[str, Any] = {"values": times.values.tolist(), "grid": False, "labelOverlap": "greedy"}
    if times.dated:
        axis["format"] = "d"
    else:
        axis["labelExpr"] = f"{json.dumps([' '.join(n.split()) for n in times.names])}[datum.value]"
    x = {
        "field": "x",
        "type": "quantitative",
        "title": times.label,
        "axis": axis,
        "scale": {"zero": False, "nice": False},
    }
    y = {
        "field": "estimate",
        "type": "quantitative",
        "title": "mean of the numbers given" if mean else "share of substantive answers",
        "axis": {"tickCount": 5} if mean else {"format": ".0%", "tickCount": 5},
        "scale": {"zero": not mean, "nice": False},
    }

    def by_line(values: list[Any]) -> dict[str, Any]:
        order = list(range(len(SERIES)))
        return {"field": "line", "type": "nominal", "scale": {"domain": order, "range": values}, "legend": None}

    colour, shape = by_line(list(SERIES)), by_line(_SHAPES)
    point = {"type": "point", "filled": True, "size": 60, "opacity": 1}
    end = {"x": {**x, "field": "tag_x"}, "y": {**y, "field": "tag_at"}}
    tagged = [{"filter": "datum.tag"}]
    unseen = [
        {"mark": {"type": "point", "opacity": 0}, "encoding": {"y": {**y, "field": f}}} for f in ("bottom", "top")
    ]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": config(),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "width": 600,
        "height": _HEIGHT,
        "padding": {"left": 2, "top": 8, "bottom": 4, "right": 24},
        "data": {"name": DATA},
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.75},
                "transform": [{"filter": "datum.low !== null"}],
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour},
            },
            *unseen,
            {"mark": {"type": "line", "strokeWidth": 2}, "encoding": {"x": x, "y": y, "color": colour}},
            {"mark": point, "encoding": {"x": x, "y": y, "color": colour, "shape": shape}},
            # The same mark again beside the name, which may stand higher or lower than the line ends.
            {
                "mark": {**point, "xOffset": 16},
                "transform": tagged,
                "encoding": {**end, "color": colour, "shape": shape},
            },
            {
                "mark": {"type": "text", "align": "left", "baseline": "middle", "dx": 26},
                "transform": tagged,
                "encoding": {**end, "text": {"field": "tag", "type": "nominal"}},
            },
        ],
    }
