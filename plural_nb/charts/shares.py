"""Shares as bars: humans against a model, option by option."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import polars as pl

from plural_nb.charts.chart import DATA, Chart, Key
from plural_nb.charts.theme import HUMANS, MODELS, MUTED, config, percent, wrapped
from plural_nb.comparison.prompting import ways_asked
from plural_nb.errors import PluralError
from plural_nb.survey.shares import Shares

if TYPE_CHECKING:
    from plural_nb.comparison.comparison import Comparison

LEAST_CAPTURED_MASS = 0.5
_COLUMNS = (("option_text", "Option"), ("name", "Who"), ("label", "Share"), ("range", "From – to"), ("note", "Note"))
LABEL_MARGIN = 46
_WHO = ["humans", "model"]
_Ends = list[tuple[float, float]]
_BAR = 19
_LINE = 17


def humans_and_model(
    comparison: Comparison | Shares, model: Shares | None = None, *, waiting: str = "", title: str = ""
) -> Chart:
    """Draw the share of each option among humans beside what a model gives it.

    comparison: the two compared; or the shares of the humans alone, with those of a model beside them if given.
    waiting: name of a model whose answer is still to come; its bars are left open.
    title: the question's text where empty.

    Humans have solid bars and the interval of their sample as a whisker with caps. A model has outlined bars; a single
    answer of it is exact for its prompt, and the dotted whisker with diamonds is its range over orders and wordings;
    personas have both whiskers where several orders or wordings were asked. The notes of the table have the range over
    orders (of means over wordings) and the one over wordings apart. Where less than half of a model's
    probability fell on the options, its bars are grey and a note says so.

    Raises PluralError when the two do not have the same options.

    >>> from plural_nb.answers import Answers
    >>> from plural_nb.survey.question import ask_for
    >>> tea = Answers.from_places(ask_for("Tea?", ["Yes", "No"]), [0] * 30 + [1] * 70)
    >>> humans_and_model(tea.shares()).summary
    'Tea? People (people, Everyone; n = 100): Yes 30%, No 70%.'
    """
    sides = _sides(comparison, model)
    ranges = _ranges(comparison)
    humans = sides[0]
    labels = [wrapped(option) for option in humans.options]
    rows, keys, notes, told = [], [], [], []
    for mark, shares, ranged in zip(("humans", "model"), sides, ranges, strict=False):
        muted = shares.captured_mass is not None and shares.captured_mass < LEAST_CAPTURED_MASS
        keys.append(Key(mark, _who(shares), _whisker(shares, ranged), muted))
        rows += _rows(shares, mark, labels, ranged, muted=muted)
        told.append(_told(shares))
        if muted:
            notes.append(
                f"Only {percent(shares.captured_mass or 0.0)} of the probability of {shares.source.name} fell on the "
                "options, so its bars are grey: it hardly answered the question."
            )
    if waiting and len(sides) < 2:
        keys.append(Key("model", f"{waiting} (asking…)"))
        rows += _open_rows(humans, waiting, labels)
    for side in sides:
        if side.source.kind == "model" and side.groups[0] != side.source.name:
            notes.append(f"{side.source.name} is {side.groups[0]}")
    if humans.note and humans.source.kind != "model":
        assumed = humans.note if "error" in humans.note.lower() else f"standard errors assume {humans.note}"
        notes.append(_sentence(assumed))
    top = _top(rows, len(labels))
    for row in rows:
        row["top"] = top
    shape = f"{len(labels)} options of {max(map(len, labels))} lines"
    asked = humans.question
    return Chart(
        spec=_spec(max(map(len, labels))),
        rows=tuple(rows),
        shape=shape,
        title=title or asked.text,
        subtitle=_subtitle(humans),
        keys=tuple(keys),
        columns=_COLUMNS,
        summary=" ".join([title or asked.text, *told]),
        frame=_frame(sides),
        notes=tuple(notes),
    )


def _sides(comparison: Comparison | Shares, model: Shares | None) -> tuple[Shares, ...]:
    if isinstance(comparison, Shares):
        both = (comparison,) if model is None else (comparison, model)
    else:
        both = (comparison.a, comparison.b)
    for shares in both:
        if len(shares.groups) != 1:
            raise PluralError(f"This chart shows one population; these shares have {len(shares.groups)} groups.")
    if len(both) == 2 and both[0].options != both[1].options:
        raise PluralError(
            f"The two sides have different options: {', '.join(both[0].options)} against {', '.join(both[1].options)}. "
            "Ask both the same question."
        )
    return both


@dataclass(frozen=True, slots=True)
class _Ranges:
    """Lowest and highest share of each option over the ways a model was asked; empty where there was one.

    both: drawn where the side's whisker is an interval. apart: over orders, over wordings. over: the ways, in words.
    """

    both: _Ends = field(default_factory=list)
    apart: dict[str, _Ends] = field(default_factory=dict)
    over: str = ways_asked(None)


def _ranges(comparison: Comparison | Shares) -> list[_Ranges]:
    if isinstance(comparison, Shares):
        return [_Ranges(), _Ranges()]
    found = []
    for side in (comparison.measured.pairs.a, comparison.measured.pairs.b):
        ends = {
            over: list(zip(*(end.to_list() for end in side.spread(over)), strict=True))
            for over in ("both", "orders", "wordings")
        }
        known = {over: some for over, some in ends.items() if not any(low != low for low, _ in some)}
        both = [] if side.shares.exact else known.get("both", [])
        known.pop("both", None)
        found.append(_Ranges(both, known, ways_asked(side.answers[0])))
    return found


def _rows(shares: Shares, mark: str, labels: list[list[str]], over: _Ranges, *, muted: bool) -> list[dict[str, Any]]:
    rows = []
    for place, (option, lines) in enumerate(zip(shares.options, labels, strict=True)):
        share, low, high = (float(a[0, place]) for a in (shares.share, shares.low, shares.high))
        ranged = not shares.exact or high - low > 1e-12
        # Only where there is a second kind of whisker do rows carry it.
        both = dict(zip(("spread_low", "spread_high"), over.both[place], strict=True)) if over.both else {}
        told = [f"{over.over}: {_range(over.both[place])}"] if over.both else []
        if len(over.apart) > 1:
            told += [f"{way}: {_range(ends[place])}" for way, ends in over.apart.items()]
        rows.append({
            "option": "\n".join(lines),
            "option_text": option,
            "place": place,
            "who": mark,
            "name": _name(shares),
            "share": share,
            "low": low if ranged else None,
            "high": high if ranged else None,
            "end": max(share, high if ranged else share, *both.values()),
            "whisker": ("spread" if shares.exact else "interval") if ranged else "none",
            "label": percent(share),
            "range": f"{percent(low)} – {percent(high)}" if ranged else "",
            "muted": muted,
            "note": "; ".join([_exactly(over)] * shares.exact + told + ["greyed"] * muted),
            **both,
        })  # fmt: skip
    return rows


def _open_rows(humans: Shares, name: str, labels: list[list[str]]) -> list[dict[str, Any]]:
    empty = {"share": None, "low": None, "high": None, "whisker": "none", "range": "", "muted": False, "note": ""}
    return [
        {"option": "\n".join(lines), "option_text": option, "place": place, "who": "model", "name": name, "end": 0.0}
        | empty
        | {"label": "…"}
        for place, (option, lines) in enumerate(zip(humans.options, labels, strict=True))
    ]


def _top(rows: list[dict[str, Any]], options: int) -> float:
    """End of the axis: all of it where options are few, so that picking another population never moves the scale."""
    longest = max(row["end"] for row in rows)
    return 1.0 if options <= 4 or longest > 0.5 else 0.5


@lru_cache(maxsize=32)
def _spec(lines: int) -> dict[str, Any]:
    """The Vega-Lite of this chart, for labels of at most so many lines."""
    lines_of = "split(datum.{}, '\\n')"
    y = {
        "field": "option",
        "type": "nominal",
        "sort": {"field": "place", "op": "min"},
        "title": None,
        # Vega anchors a label of several lines at its first; half of the others' height centres it on its bars.
        "axis": {
            "labelExpr": lines_of.format("label"),
            "labelOffset": {"expr": f"-7 * (length({lines_of.format('label')}) - 1)"},
        },
        "scale": {"paddingInner": 0.28, "paddingOuter": 0.12},
    }
    offset = {"field": "who", "type": "nominal", "scale": {"domain": _WHO, "paddingInner": 0.12}}
    x = {
        "field": "share",
        "type": "quantitative",
        "stack": None,
        "title": "share of substantive answers",
        "axis": {"format": ".0%", "tickCount": 5, "labelFlush": False},
        "scale": {"nice": False},
    }

    def layer(mark: dict[str, Any], only: str = "", **encoding: Any) -> dict[str, Any]:
        filtered = {"transform": [{"filter": only}]} if only else {}
        return {"mark": mark, **filtered, "encoding": {"y": y, "yOffset": offset, **encoding}}

    def by_who(values: list[Any]) -> dict[str, Any]:
        # `Chart.figure` puts in the legend that a file needs; a live view has its own.
        return {
            "field": "who",
            "type": "nominal",
            "sort": _WHO,
            "scale": {"domain": _WHO, "range": values},
            "legend": None,
        }

    colours = by_who([HUMANS, MODELS])
    interval, spread = "datum.whisker == 'interval'", "datum.whisker == 'spread'"
    both = "isValid(datum.spread_low)"
    least, most = ({"field": end, "type": "quantitative"} for end in ("spread_low", "spread_high"))
    low, high = ({"field": end, "type": "quantitative"} for end in ("low", "high"))
    frame = {"type": "bar", "strokeWidth": 1.75, "strokeJoin": "round"}
    grey = {**frame, "fill": MUTED, "fillOpacity": 0.28, "stroke": MUTED, "strokeDash": [3, 3]}
    dotted = {"type": "rule", "strokeWidth": 1.5, "strokeDash": [2, 3]}
    cap = {"type": "tick", "thickness": 1.5, "size": 9}
    diamond = {"type": "point", "shape": "diamond", "size": 30, "filled": True, "color": "currentColor", "opacity": 1}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": config(),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "width": 600,
        # The label of a bar that reaches the end stands in the margin.
        "padding": {"left": 2, "top": 4, "bottom": 4, "right": LABEL_MARGIN},
        "height": {"step": max(_BAR, _LINE * lines / 2), "for": "offset"},
        "data": {"name": DATA},
        "layer": [
            # Grey bars are a layer of their own, because a condition on the colour would take the legend with it.
            layer(frame, "!datum.muted", x=x, fill=colours, stroke=colours, fillOpacity=by_who([1, 0.22])),
            layer(grey, "datum.muted", x=x),
            # An unseen point where the axis is to end.
            {"mark": {"type": "point", "opacity": 0}, "encoding": {"x": {"field": "top", "type": "quantitative"}}},
            layer({"type": "rule", "strokeWidth": 1.5}, interval, x=low, x2={"field": "high"}),
            layer(cap, interval, x=low),
            layer(cap, interval, x=high),
            layer(dotted, spread, x=low, x2={"field": "high"}),
            layer(diamond, spread, x=low),
            layer(diamond, spread, x=high),
            layer(dotted, both, x=least, x2={"field": "spread_high"}),
            layer(diamond, both, x=least),
            layer(diamond, both, x=most),
            layer(
                {"type": "text", "align": "left", "baseline": "middle", "dx": 9},
                x={"field": "end", "type": "quantitative"},
                text={"field": "label", "type": "nominal"},
            ),
        ],
    }


def _name(shares: Shares) -> str:
    return "People" if shares.source.kind == "humans" else shares.source.name


def _who(shares: Shares) -> str:
    if shares.source.kind == "humans":
        return f"People (n = {int(shares.n[0]):,})"
    n = int(shares.n[0])
    personas = f" as {n:,} persona{'s' * (n != 1)}" if shares.source.kind == "personas" else ""
    return f"{shares.source.name}{personas}"


def _whisker(shares: Shares, over: _Ranges) -> str:
    dotted = f"; dotted: range over {over.over}"
    if not shares.exact:
        return f"whisker: {shares.level:.0%} interval{dotted if over.both else ''}"
    return _exactly(over) + (dotted if (shares.high - shares.low > 1e-12).any() else "")


def _exactly(over: _Ranges) -> str:
    return "exact for these prompts" if over.apart else "exact for this prompt"


def _range(ends: tuple[float, float]) -> str:
    return " – ".join(map(percent, ends))


def _subtitle(humans: Shares) -> str:
    weights = f", {humans.source.detail}" if humans.source.detail else ""
    return f"{humans.source.name}{weights} · {humans.groups[0]}"


def _told(shares: Shares) -> str:
    shown = ", ".join(f"{o} {percent(float(s))}" for o, s in zip(shares.options, shares.share[0], strict=True))
    if shares.source.kind == "humans":
        return f"People ({shares.source.name}, {shares.groups[0]}; n = {int(shares.n[0]):,}): {shown}."
    return f"{_who(shares)}: {shown}."


def _frame(sides: tuple[Shares, ...]) -> pl.DataFrame:
    tables = [
        shares.table().with_columns(
            pl.lit(shares.source.kind).alias("who"),
            pl.lit(shares.source.name).alias("source"),
            pl.lit(shares.captured_mass, dtype=pl.Float64).alias("captured_mass"),
        )
        for shares in sides
    ]
    frame = pl.concat(tables, how="diagonal_relaxed")
    first = ["question", "who", "source", "group", "option"]
    return frame.select(*first, *[c for c in frame.columns if c not in first])


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
