"""Steering as a heat map: how near the model, steered as each group, comes to the people of each group."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from plural_nb.charts.chart import DATA, Chart, Key
from plural_nb.charts.theme import config, wrapped

if TYPE_CHECKING:
    from plural_nb.personas.steering import Steering

NEAR, FAR, CELL_INK = "#6FAEDB", "#F4F8FB", "#14181c"
_MOST_LETTERS = 26
_COLUMNS = (("target", "People"), ("steered", "Model speaks as"), ("label", "Distance"), ("range", "From – to"),
            ("floor", "By chance alone"))  # fmt: skip


def steering_heatmap(steering: Steering, *, title: str = "") -> Chart:
    """Draw the distance of every target group's people to the model steered as every group; darker is nearer.

    The framed cells are those where the model speaks as the very group. In a row, the framed cell should be the
    darkest: then steering moves the model to *these* people; the last column is the model's own voice.
    """
    matrix = steering.matrix
    values = matrix[steering.measure]
    least, most = float(values.min()), float(values.max())  # type: ignore[arg-type]
    # About six pixels to a letter, of what the people's names leave of the width.
    room = 440 // (6 * len(steering.steered))
    slanted = max(len(word) for name in steering.steered for word in name.split()) > room
    room = 0 if slanted else room
    rows = [
        {
            "target": row["target"], "steered": row["steered"], "row": "\n".join(wrapped(row["target"], 26)),
            "column": _column(row["steered"], room), "y": steering.groups.index(row["target"]),
            "x": steering.steered.index(row["steered"]), "value": row[steering.measure], "label":
            f"{row[steering.measure]:.2f}", "range": f"{row['low']:.2f} – {row['high']:.2f}",
            "floor": f"{row['noise_floor']:.2f}", "own": bool(row["own"]),
        }
        for row in matrix.iter_rows(named=True)
    ]  # fmt: skip
    said = title or f"How near the model comes to each group ({measure_label(steering.measure)})"
    return Chart(
        spec=_spec(len(steering.groups), least, most, max(r["column"].count("\n") for r in rows) + 1, slanted),
        rows=tuple(rows),
        shape=f"steering {'|'.join(steering.groups)} {'|'.join(steering.steered)} {least:.6g} {most:.6g}",
        title=said,
        subtitle=f"over {len(steering.keys)} question{'s' * (len(steering.keys) > 1)}; rows are people, columns whom "
        "the model speaks as",
        keys=(Key("model", "darker is nearer; framed: the model speaks as these very people"),),
        columns=_COLUMNS,
        summary=f"{said}. {nearest_told(steering)}",
        frame=matrix,
        notes=("Two samples of one truth would not be at 0 either: the table has what chance alone would show.",),
    )


def nearest_told(steering: Steering) -> str:
    """Return, for each target group, which voice of the model is nearest to its people, in words."""
    told = []
    for target in steering.groups:
        row = steering.matrix.filter(target=target).sort(steering.measure).row(0, named=True)
        told.append(f"{target}: nearest when it speaks as {row['steered']} ({row[steering.measure]:.2f})")
    return "; ".join(told) + "."


def measure_label(measure: str) -> str:
    """Return a measure's name with its convention."""
    return {
        "js_distance": "Jensen–Shannon distance, base 2",
        "total_variation": "total variation",
        "hellinger": "Hellinger distance",
        "wasserstein_normalised": "Wasserstein distance ÷ range",
    }[measure]


def _column(name: str, room: int) -> str:
    if room:
        return "\n".join(wrapped(name, room))
    return name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}…"


@lru_cache(maxsize=16)
def _spec(targets: int, least: float, most: float, lines: int, slanted: bool) -> dict[str, Any]:
    def axis(field: str, sort: str, **more: Any) -> dict[str, Any]:
        return {"field": field, "type": "nominal", "sort": {"field": sort, "op": "min"}, **more}

    split = "split(datum.label, '\\n')"
    y = axis("row", "y", title="people", axis={"labelExpr": split, "grid": False})
    # Vega starts the lines of a label at its place and goes down, into the cells.
    label = {"labelAngle": -32, "labelAlign": "left"} if slanted else {"labelAngle": 0, "labelPadding": 15 * lines - 7}
    x = axis(
        "column", "x", title="the model speaks as", axis={"orient": "top", "labelExpr": split, "grid": False, **label}
    )
    colour = {
        "field": "value", "type": "quantitative", "legend": None,
        "scale": {"domain": [least, most if most > least else least + 1e-9], "range": [NEAR, FAR]},
    }  # fmt: skip
    frame = {"type": "rect", "fill": None, "stroke": CELL_INK, "strokeWidth": 2.5}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": config(),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "width": 600,
        "padding": {"left": 2, "top": 4, "bottom": 4, "right": 6},
        "height": 38 * targets,
        "data": {"name": DATA},
        "layer": [
            {"mark": {"type": "rect", "stroke": "#ffffff", "strokeWidth": 1}, "encoding": {"x": x, "y": y,
                                                                                            "color": colour}},
            {"mark": frame, "transform": [{"filter": "datum.own"}], "encoding": {"x": x, "y": y}},
            {"mark": {"type": "text", "color": CELL_INK, "baseline": "middle"},
             "encoding": {"x": x, "y": y, "text": {"field": "label", "type": "nominal"}}},
        ],
    }  # fmt: skip
