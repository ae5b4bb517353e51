"""Shares of people beside those of several voices: personas told in other styles, and a regression without a model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import polars as pl

from plural_nb.charts.chart import DATA, Chart, Key
from plural_nb.charts.shares import LABEL_MARGIN, LEAST_CAPTURED_MASS
from plural_nb.charts.theme import HUMANS, MODELS, MUTED, config, percent, wrapped
from plural_nb.errors import PluralError
from plural_nb.survey.shares import Shares

MOST_VOICES = 3
_COLUMNS = (("option_text", "Option"), ("name", "Who"), ("label", "Share"), ("range", "From – to"))
# A bar's fill tells voices apart where colour does not: full, light, none.
_MARKS = ("humans", "model", "model2", "model3", "baseline")
_COLOURS = (HUMANS, MODELS, MODELS, "#B4558D", MUTED)
_FILLED = (1, 0.22, 0.62, 0.22, 0)
_DASHES = ([1, 0], [1, 0], [1, 0], [4, 2], [2, 2])
_BAR = 15


def people_and_voices(
    humans: Shares, voices: Mapping[str, Shares] | None = None, *, baseline: Shares | None = None,
    baseline_name: str = "Regression, no model", waiting: str = "", title: str = "",
) -> Chart:  # fmt: skip
    """Draw the share of each option among people, beside that of up to three voices and of a regression.

    voices: {name: shares} of personas told in different styles, say. baseline: what a demographics-only regression
    expects (`plural_nb.comparison.demographics.demographic_baseline`): a model that comes no nearer adds nothing.
    waiting: the name of a voice still to come. title: the question's text where empty.

    Raises PluralError for other options, several groups, or more than three voices.

    >>> from plural_nb.answers import Answers
    >>> from plural_nb.survey.question import ask_for
    >>> tea = Answers.from_places(ask_for("Tea?", ["Yes", "No"]), [0] * 30 + [1] * 70)
    >>> people_and_voices(tea.shares(), {"first person": tea.shares()}).summary
    'Tea? People: Yes 30%, No 70%. first person: Yes 30%, No 70%.'
    """
    said = dict(voices or {})
    if len(said) > MOST_VOICES:
        raise PluralError(f"The chart shows at most {MOST_VOICES} voices beside people, not {len(said)}.")
    sides = [("humans", "People", humans)]
    sides += [(mark, name, shares) for mark, (name, shares) in zip(_MARKS[1:], said.items(), strict=False)]
    sides += [("baseline", baseline_name, baseline)] if baseline is not None else []
    labels = [wrapped(option) for option in humans.options]
    rows, keys, told = [], [], []
    for mark, name, shares in sides:
        if len(shares.groups) != 1 or shares.options != humans.options:
            raise PluralError(f"{name!r} must be one group's shares of the same options as the people's.")
        rows += [_row(mark, name, shares, place, lines) for place, lines in enumerate(labels)]
        keys.append(_key(mark, name, shares))
        shown = ", ".join(f"{o} {percent(float(p))}" for o, p in zip(shares.options, shares.share[0], strict=True))
        told.append(f"{name}: {shown}.")
    if waiting and waiting not in said:
        keys.insert(len(keys) - (baseline is not None), Key("model", f"{waiting} (still to be asked)"))
    top = 1.0 if len(labels) <= 4 or max(row["end"] for row in rows) > 0.5 else 0.5
    asked = title or humans.question.text
    detail = f", {humans.source.detail}" if humans.source.detail else ""
    marks = tuple(mark for mark in _MARKS if mark in {row["who"] for row in rows})
    return Chart(
        spec=_spec(marks, max(map(len, labels)), top),
        rows=tuple(rows),
        shape=f"voices {'|'.join(marks)} {len(labels)} of {max(map(len, labels))} {top}",
        title=asked,
        subtitle=f"{humans.source.name}{detail} · {humans.groups[0]}",
        keys=tuple(keys),
        columns=_COLUMNS,
        summary=" ".join([asked, *told]),
        frame=_frame(sides),
        notes=_notes(sides),
    )


def _row(mark: str, name: str, shares: Shares, place: int, lines: list[str]) -> dict[str, Any]:
    share, low, high = (float(a[0, place]) for a in (shares.share, shares.low, shares.high))
    # A regression's bar has no interval: its error is that of the people it was fitted to, which stands beside it.
    ranged = mark != "baseline" and not shares.exact
    return {
        "option": "\n".join(lines), "option_text": shares.options[place], "place": place, "who": mark, "name": name,
        "share": share, "low": low if ranged else None, "high": high if ranged else None,
        "end": max(share, high) if ranged else share, "label": percent(share),
        "range": f"{percent(low)} – {percent(high)}" if ranged else "",
    }  # fmt: skip


def _key(mark: str, name: str, shares: Shares) -> Key:
    n = int(shares.n[0])
    if mark == "baseline":
        return Key(mark, name, "fitted to other people")
    who = f"{name} (n = {n:,})" if mark == "humans" else f"{name} ({n:,} personas)" if not shares.exact else name
    return Key(mark, who, "exact for this prompt" if shares.exact else f"whisker: {shares.level:.0%} interval")


def _notes(sides: list[tuple[str, str, Shares]]) -> tuple[str, ...]:
    notes = [
        f"Only {percent(shares.captured_mass or 0.0)} of the probability of {name} fell on the options: it hardly "
        "answered the question."
        for _, name, shares in sides
        if shares.captured_mass is not None and shares.captured_mass < LEAST_CAPTURED_MASS
    ]
    if any(mark.startswith("model") and not shares.exact for mark, _, shares in sides):
        notes.append("A persona's interval covers who was asked, not what the model gets wrong.")
    return tuple(notes)


def _frame(sides: list[tuple[str, str, Shares]]) -> pl.DataFrame:
    tables = [shares.table().with_columns(pl.lit(name).alias("who")) for _, name, shares in sides]
    frame = pl.concat(tables, how="diagonal_relaxed")
    first = ["question", "who", "group", "option"]
    return frame.select(*first, *[c for c in frame.columns if c not in first])


@lru_cache(maxsize=32)
def _spec(marks: tuple[str, ...], lines: int, top: float) -> dict[str, Any]:
    lines_of = "split(datum.{}, '\\n')"
    y = {
        "field": "option", "type": "nominal", "sort": {"field": "place", "op": "min"}, "title": None,
        "axis": {
            "labelExpr": lines_of.format("label"),
            "labelOffset": {"expr": f"-7 * (length({lines_of.format('label')}) - 1)"},
        },
        "scale": {"paddingInner": 0.26, "paddingOuter": 0.1},
    }  # fmt: skip
    offset = {"field": "who", "type": "nominal", "scale": {"domain": list(marks), "paddingInner": 0.14}}
    x = {
        "field": "share", "type": "quantitative", "stack": None, "title": "share of substantive answers",
        "axis": {"format": ".0%", "tickCount": 5, "labelFlush": False},
        "scale": {"domain": [0, top], "nice": False},
    }  # fmt: skip

    def by_who(values: tuple[Any, ...]) -> dict[str, Any]:
        chosen = [values[_MARKS.index(mark)] for mark in marks]
        # Vega-Lite would space opacities evenly between the first and the last.
        scale = {"type": "ordinal", "domain": list(marks), "range": chosen}
        return {"field": "who", "type": "nominal", "sort": list(marks), "scale": scale, "legend": None}

    def layer(mark: dict[str, Any], only: str = "", **encoding: Any) -> dict[str, Any]:
        filtered = {"transform": [{"filter": only}]} if only else {}
        return {"mark": mark, **filtered, "encoding": {"y": y, "yOffset": offset, **encoding}}

    colours = by_who(_COLOURS)
    low, high = ({"field": end, "type": "quantitative"} for end in ("low", "high"))
    cap = {"type": "tick", "thickness": 1.5, "size": 8}
    ranged = "datum.low !== null"
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": config(),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "width": 600,
        "padding": {"left": 2, "top": 4, "bottom": 4, "right": LABEL_MARGIN},
        "height": {"step": max(_BAR, 17 * lines / len(marks)), "for": "offset"},
        "data": {"name": DATA},
        "layer": [
            layer({"type": "bar", "strokeWidth": 1.5}, x=x, fill=colours, stroke=colours, fillOpacity=by_who(_FILLED),
                  strokeDash=by_who(_DASHES)),
            layer({"type": "rule", "strokeWidth": 1.5}, ranged, x=low, x2={"field": "high"}),
            layer(cap, ranged, x=low),
            layer(cap, ranged, x=high),
            layer(
                {"type": "text", "align": "left", "baseline": "middle", "dx": 8},
                x={"field": "end", "type": "quantitative"},
                text={"field": "label", "type": "nominal"},
            ),
        ],
    }  # fmt: skip
