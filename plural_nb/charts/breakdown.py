"""Shares, or means, in the levels of a trait: one bar or point for each group, with its interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from plural_nb.charts.chart import DATA, Chart, Key
from plural_nb.charts.theme import HUMANS, config, percent
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.means import Means
from plural_nb.survey.shares import Shares

# Rows that a reader can still take in on one screen and a half; the table and the files hold the rest.
MOST_ROWS = 60
_COLUMNS = (("option", "Answer"), ("group", "Group"), ("label", "{}"), ("range", "From – to"), ("people", "People"))
_STEP = 21
_SEPARATOR = ": "
_LABEL_WIDTH = 34


def shares_by_group(
    shares: Shares, *, option: str | None = None, by: str = "", title: str = "", about: str = ""
) -> Chart:
    """Draw the share of each answer in each group, answer by answer, with intervals.

    option: the label of one answer to show alone; all when None. by: what the groups are levels of ("Region").
    title: the question's text where empty. about: the population the groups are of, in words.

    Where groups are too many for a screen, the largest are drawn and a note says how many are not; `frame` holds all.
    Raises PluralError for an unknown option, or shares of a model.

    >>> from plural_nb.answers import Answers
    >>> from plural_nb.survey.question import ask_for
    >>> from plural_nb.survey.shares import estimate
    >>> tea = Answers.from_places(ask_for("Tea?", ["Yes", "No"]), [0] * 30 + [1] * 70)
    >>> shares_by_group(estimate(tea, by=["a"] * 50 + ["b"] * 50), option="Yes").summary
    'Tea? Yes: a 60%, b 0%.'
    """
    if shares.exact:
        raise PluralError("This chart shows groups of people; a single model answer has none.")
    if option is not None and option not in shares.options:
        raise PluralError(f"There is no answer {option!r} to show. {nearest(option, shares.options)}")
    places = range(len(shares.options)) if option is None else [shares.options.index(option)]
    shown, notes = _shown(shares.n, shares.groups, len(places) + (option is None))
    rows: list[dict[str, Any]] = []
    for place in places:
        if option is None:
            rows.append(_heading(len(rows), shares.options[place]))
        for g in shown:
            cell = float(shares.share[g, place]), float(shares.low[g, place]), float(shares.high[g, place])
            rows.append(_row(len(rows), shares.options[place], shares.groups[g], int(shares.n[g]), cell, percent))
    top = max([row["end"] for row in rows if not row["heading"]] or [1.0])
    _close(rows, 0.0, 1.0 if top > 0.5 else 0.5 if top > 0.25 else 0.25)
    asked = title or shares.question.text
    told = [_told(rows, shares.options[place]) for place in places]
    only = f"share who say “{option}”" if option is not None else ""
    source = ", ".join(part for part in (shares.source.name, shares.source.detail) if part)
    subtitle = " · ".join(part for part in (source, about, only) if part)
    people = Key("humans", _who(shares.n[shown], by), f"whisker: {shares.level:.0%} interval")
    return _chart(
        rows, asked, subtitle, people, f"{asked} {' '.join(told)}", shares.table(),
        [*notes, *_assumed(shares.note)], "share of substantive answers", "Share", shares=True,
    )  # fmt: skip


def means_by_group(means: Means, *, by: str = "", title: str = "", source: str = "", about: str = "") -> Chart:
    """Draw the mean of numbers in each group, with intervals.

    by: what the groups are levels of ("Region"). title: the question's text. source, about: the survey's name and the
    population, for the line below the title.

    >>> from plural_nb.survey.means import mean
    >>> from plural_nb.survey.measure import Measure
    >>> means_by_group(mean(Measure.of([1.0, 3.0, 5.0, 9.0]), by=["a", "a", "b", "b"]), title="Points").summary
    'Points Mean: a 2.0, b 7.0.'
    """
    shown, notes = _shown(means.n, means.groups, 1)
    rows: list[dict[str, Any]] = []
    for g in shown:
        cell = float(means.estimate[g]), float(means.low[g]), float(means.high[g])
        rows.append(_row(len(rows), means.kind.capitalize(), means.groups[g], int(means.n[g]), cell, number))
    _close(rows, *_axis(rows))
    asked = title or means.name
    people = Key("humans", _who(means.n[shown], by), f"whisker: {means.level:.0%} interval")
    told = f"{asked} {_told(rows, means.kind.capitalize())}"
    subtitle = " · ".join(part for part in (source, about, f"{means.kind} of the numbers given") if part)
    return _chart(
        rows, asked, subtitle, people, told, means.table(), [*notes, *_assumed(means.note)],
        f"{means.kind} of the numbers given", means.kind.capitalize(), shares=False,
    )  # fmt: skip


def number(value: float) -> str:
    """A mean in words for labels, with three figures at least.

    >>> [number(x) for x in (41.3638, 2.0, 0.0213, 1234.5)]
    ['41.4', '2.0', '0.021', '1,234']
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 1 or value == 0 else f"{value:.2g}"


def _shown(n: Any, groups: tuple[str, ...], rows_each: int) -> tuple[list[int], list[str]]:
    """Places of the groups to draw, and what to say of the others."""
    inhabited = [g for g in range(len(groups)) if n[g] > 0]
    if not inhabited:
        raise PluralError("Nobody in these groups has an answer to show.")
    notes = []
    empty = len(groups) - len(inhabited)
    if empty:
        names = ", ".join(groups[g] for g in range(len(groups)) if n[g] == 0) if empty <= 3 else f"{empty} groups"
        notes.append(f"Nobody with an answer: {names}.")
    most = max(4, MOST_ROWS // rows_each)
    if len(inhabited) <= most:
        return inhabited, notes
    kept = sorted(sorted(inhabited, key=lambda g: -int(n[g]))[:most])
    notes.insert(0, f"The {most} largest of {len(groups)} groups are shown; the file saved as CSV holds all of them.")
    return kept, notes


def _heading(place: int, option: str) -> dict[str, Any]:
    empty = {
        "group": "",
        "estimate": None,
        "low": None,
        "high": None,
        "end": 0.0,
        "label": "",
        "range": "",
        "people": "",
    }
    key = f"{place}{_SEPARATOR}"
    return {"place": place, "row": key, "heading": option, "option": option, **empty}


def _row(place: int, option: str, group: str, n: int, cell: tuple[float, float, float], words: Any) -> dict[str, Any]:
    estimate, low, high = cell
    ranged = bool(np.isfinite(low) and np.isfinite(high))
    return {
        "place": place,
        "row": f"{place}{_SEPARATOR}{_short(group)}",
        "heading": "",
        "option": option,
        "group": group,
        "estimate": estimate,
        "low": low if ranged else None,
        "high": high if ranged else None,
        "end": max(estimate, high) if ranged else estimate,
        "label": words(estimate),
        "range": f"{words(low)} – {words(high)}" if ranged else "no interval",
        "people": f"{n:,}",
    }


def _close(rows: list[dict[str, Any]], low: float, high: float) -> None:
    for row in rows:
        row |= {"bottom": low, "top": high}


def _axis(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """Ends of an axis of means: the intervals with a little air, not from zero, since points have no length."""
    ends = [v for row in rows for v in (row["estimate"], row["low"], row["high"]) if v is not None]
    low, high = min(ends), max(ends)
    air = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    return low - air, high + air


def _told(rows: list[dict[str, Any]], option: str) -> str:
    shown = [f"{row['group']} {row['label']}" for row in rows if row["option"] == option and not row["heading"]]
    return f"{option}: {', '.join(shown)}."


def _who(n: Any, by: str) -> str:
    return f"People by {by.lower()} (n = {int(n.sum()):,})" if by else f"People (n = {int(n.sum()):,})"


def _assumed(note: str) -> list[str]:
    if not note:
        return []
    text = note if "error" in note.lower() else f"standard errors assume {note}"
    return [f"{text[:1].upper()}{text[1:]}."]


def _short(label: str) -> str:
    text = " ".join(label.split())
    return text if len(text) <= _LABEL_WIDTH else f"{text[: _LABEL_WIDTH - 1]}…"


def _chart(
    rows: list[dict[str, Any]], title: str, subtitle: str, key: Key, summary: str, frame: pl.DataFrame,
    notes: list[str], axis: str, what: str, *, shares: bool,
) -> Chart:  # fmt: skip
    # A living view lays out its margins once, so charts with other labels have another shape.
    labels = "|".join(row["row"] + row["heading"] for row in rows)
    columns = tuple((name, heading.format(what)) for name, heading in _COLUMNS)
    drawn = [row for row in rows if not row["heading"]]
    return Chart(
        spec=_spec(axis, shares=shares),
        rows=tuple(rows),
        shape=f"breakdown {'shares' if shares else 'means'} {axis} {labels}",
        title=title,
        subtitle=subtitle,
        keys=(key,),
        columns=columns if len({row["option"] for row in drawn}) > 1 else columns[1:],
        summary=summary,
        frame=frame,
        notes=tuple(notes),
    )


def _spec(axis: str, *, shares: bool) -> dict[str, Any]:
    y = {
        "field": "row",
        "type": "nominal",
        "sort": {"field": "place", "op": "min"},
        "title": None,
        # Two rows of one group differ in what stands before the separator, which is not shown.
        "axis": {"labelExpr": f"slice(datum.value, indexof(datum.value, '{_SEPARATOR}') + {len(_SEPARATOR)})"},
        "scale": {"paddingInner": 0.3, "paddingOuter": 0.1},
    }
    x = {
        "field": "estimate",
        "type": "quantitative",
        "stack": None,
        "title": axis,
        "axis": {"format": ".0%", "tickCount": 5, "labelFlush": False} if shares else {"tickCount": 6},
        "scale": {"nice": False, "zero": shares},
    }

    def layer(mark: dict[str, Any], only: str, **encoding: Any) -> dict[str, Any]:
        return {"mark": mark, "transform": [{"filter": only}], "encoding": {"y": y, **encoding}}

    low, high = ({"field": end, "type": "quantitative"} for end in ("low", "high"))
    bar = {"type": "bar", "color": HUMANS}
    point = {"type": "point", "filled": True, "size": 70, "color": HUMANS, "opacity": 1}
    cap = {"type": "tick", "thickness": 1.5, "size": 9}
    told, ranged = "!datum.heading", "datum.low !== null"
    unseen = [
        {"mark": {"type": "point", "opacity": 0}, "encoding": {"x": {"field": end, "type": "quantitative"}}}
        for end in ("bottom", "top")
    ]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": config(),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "width": 600,
        "padding": {"left": 2, "top": 4, "bottom": 4, "right": 46},
        "height": {"step": _STEP},
        "data": {"name": DATA},
        "layer": [
            layer(bar if shares else point, told, x=x),
            *unseen,
            layer({"type": "rule", "strokeWidth": 1.5}, ranged, x=low, x2={"field": "high"}),
            layer(cap, ranged, x=low),
            layer(cap, ranged, x=high),
            layer(
                {"type": "text", "align": "left", "baseline": "middle", "dx": 9},
                told,
                x={"field": "end", "type": "quantitative"},
                text={"field": "label", "type": "nominal"},
            ),
            # The answer stands above its groups, over the whole width, since answers are longer than groups' names.
            layer(
                {"type": "text", "align": "left", "baseline": "middle", "fontWeight": 600, "limit": {"expr": "width"}},
                "datum.heading",
                x={"value": 0},
                text={"field": "heading", "type": "nominal"},
            ),
        ],
    }
