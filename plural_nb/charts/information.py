"""What a published table keeps of its information: one bar for each way of publishing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from plural_nb.charts.chart import DATA, Chart, Key
from plural_nb.charts.theme import HUMANS, config, percent, wrapped
from plural_nb.errors import PluralError
from plural_nb.survey.information import Kept, as_table

_COLUMNS = (("how", "Published"), ("label", "Information kept"), ("bits", "Bits per person"))


def information_kept(kept: Sequence[Kept], *, title: str = "How much of the table's information is kept?") -> Chart:
    """Draw the share of a table's information that each published version keeps.

    A version that misleads more than it tells has a bar to the left of 0. One that keeps minus infinitely many bits
    (a 0 was published where people are) has no bar, and says so.

    >>> information_kept([Kept("whole per cents", 0.99, 1.0), Kept("two groups", 0.5, 1.0)]).summary
    "How much of the table's information is kept? whole per cents: 99%; two groups: 50%."
    """
    if not kept:
        raise PluralError("There is nothing to draw: give at least one published version of a table.")
    rows: list[dict[str, Any]] = []
    for place, one in enumerate(kept):
        finite = bool(np.isfinite(one.bits)) and one.of_bits > 0
        drawn = max(one.share, -1.0) if finite else None
        label = (
            percent(one.share) if finite and one.share >= 0 else f"{one.share:.0%}" if finite else "none: a 0 is wrong"
        )
        rows.append({
            "how": one.how,
            "text": "\n".join(wrapped(one.how)),
            "place": place,
            "share": drawn,
            "end": max(drawn or 0.0, 0.0),
            "label": label,
            "bits": f"{one.bits:.4f} of {one.of_bits:.4f}",
        })  # fmt: skip
    notes = ["Kept: what a reader of the published table gains, in bits per person, over one who knows no groups."]
    if any(one.bits < 0 for one in kept):
        notes.append("Below 0: whoever believes the table predicts worse than with everybody's shares alone.")
    if any(one.share < -1 for one in kept if np.isfinite(one.bits)):
        notes.append("Bars end at −100%.")
    lines = max(row["text"].count("\n") + 1 for row in rows)
    told = "; ".join(f"{row['how']}: {row['label']}" for row in rows)
    return Chart(
        spec=_spec(lines, negative=any((row["share"] or 0) < 0 for row in rows)),
        rows=tuple(rows),
        shape=f"information {'|'.join(row['text'] for row in rows)}",
        title=title,
        subtitle=f"of {kept[0].of_bits:.4f} bits per person that the group tells of the answer",
        keys=(Key("humans", "Share of the information kept"),),
        columns=_COLUMNS,
        summary=f"{title}{' ' if title.endswith(('?', '.', ':')) else ': '}{told}.",
        frame=as_table(kept),
        notes=tuple(notes),
    )


def _spec(lines: int, *, negative: bool) -> dict[str, Any]:
    lines_of = "split(datum.{}, '\\n')"
    y = {
        "field": "text",
        "type": "nominal",
        "sort": {"field": "place", "op": "min"},
        "title": None,
        "axis": {
            "labelExpr": lines_of.format("label"),
            "labelOffset": {"expr": f"-7 * (length({lines_of.format('label')}) - 1)"},
        },
        "scale": {"paddingInner": 0.35},
    }
    x = {
        "field": "share",
        "type": "quantitative",
        "title": "share of the information kept",
        "axis": {"format": ".0%", "tickCount": 5},
        "scale": {"domain": [-1 if negative else 0, 1], "nice": False},
    }
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": config(),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "width": 600,
        "padding": {"left": 2, "top": 4, "bottom": 4, "right": 46},
        "height": {"step": max(24, 17 * lines)},
        "data": {"name": DATA},
        "layer": [
            {"mark": {"type": "bar", "color": HUMANS}, "encoding": {"y": y, "x": x}},
            {
                "mark": {"type": "text", "align": "left", "baseline": "middle", "dx": 8},
                "encoding": {"y": y, "x": {**x, "field": "end"}, "text": {"field": "label", "type": "nominal"}},
            },
        ],
    }
