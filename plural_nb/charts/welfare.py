"""Welfare over α as curves: who leads where, with the α at which the winner changes."""

from __future__ import annotations

from typing import Any

import numpy as np

from plural_nb.charts.chart import DATA, Chart, Key
from plural_nb.charts.theme import JURIES, config
from plural_nb.errors import PluralError
from plural_nb.jury.sweep import Sweep
from plural_nb.jury.switches import Switches
from plural_nb.jury.welfare import place_of

# More lines than this cannot be told apart.
_MOST = 8
_DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4], [4, 2, 1, 2], [1, 4], [10, 2, 2, 2, 2, 2]]
_HEIGHT = 300
_LINE = 16
_TAG = 26
_COLUMNS = (
    ("said", "α"), ("candidate", "Candidate"), ("label", "Welfare"), ("range", "From – to"), ("place", "Rank"),
)  # fmt: skip


def welfare_curves(found: Sweep, switches: Switches | None = None, *, title: str = "") -> Chart:
    """Draw w_α of each candidate against α/(1+α), thick where it wins, with a rule where the winner changes.

    switches: of the same jury; no rules when None. title: above the chart.

    At most eight candidates are drawn, those that rank best anywhere; a note says how many are not. Raises PluralError
    for a sweep at a single α.

    >>> from plural_nb.jury.sweep import sweep
    >>> from plural_nb.jury.utilities import Utilities
    >>> jury = Utilities.of({"Bold": [9.0, 9.0, 1.0], "Mild": [4.0, 4.0, 4.0]})
    >>> welfare_curves(sweep(jury)).title
    'Welfare from utilitarian to Rawlsian'
    """
    if found.alpha.size < 2:
        raise PluralError("A curve needs two values of α or more; `sweep(jury)` has 101.")
    names = found.utilities.candidates
    kept = _best(found)
    rows = _rows(found, kept)
    at = place_of(found.alpha)
    marks = [] if switches is None else [{"x": s.a, "switch": f"α = {s.alpha:.3g}"} for s in switches]
    notes = [f"{note[:1].upper()}{note[1:]}." for note in found.notes]
    if len(kept) < len(names):
        notes.insert(0, f"The {len(kept)} candidates that rank best are drawn, of {len(names)}.")
    notes.append("Thick: where the candidate wins.")
    summary = (switches.sentence() if switches is not None else found.sentence()).strip()
    ranged = bool(np.isfinite(found.low).any())
    return Chart(
        spec=_spec(ranged, [names[c] for c in kept], float(at[0]), float(at[-1])),
        rows=(*rows, *({**_EMPTY, **mark} for mark in marks)),
        shape=f"welfare {ranged} {'|'.join(names[c] for c in kept)} {at[0]:.3f} {at[-1]:.3f}",
        title=title or "Welfare from utilitarian to Rawlsian",
        subtitle=f"{int((found.utilities.weight > 0).sum()):,} jurors; ratings: {found.utilities.scale}",
        keys=(Key("jury", "Candidates", f"band: {found.level:.0%} interval" if ranged else ""),),
        columns=_COLUMNS,
        summary=summary,
        frame=found.table(),
        notes=tuple(notes),
    )


_EMPTY: dict[str, Any] = dict.fromkeys(
    ("x", "candidate", "line", "w", "low", "high", "won", "tag", "tag_at", "said", "label", "range", "place", "switch")
)


def _best(found: Sweep) -> list[int]:
    rank = np.where(found.rank == 0, 10_000, found.rank)
    order = np.lexsort((np.nan_to_num(-found.welfare[0]), rank.min(axis=0)))
    rated = [int(c) for c in order if np.isfinite(found.welfare[:, c]).any()]
    return sorted(rated[:_MOST])


def _rows(found: Sweep, kept: list[int]) -> list[dict[str, Any]]:
    names, rows = found.utilities.candidates, []
    for line, c in enumerate(kept):
        for a, alpha in enumerate(found.alpha):
            w, low, high = (float(v[a, c]) for v in (found.welfare, found.low, found.high))
            ranged = np.isfinite(low) and np.isfinite(high)
            rows.append({
                **_EMPTY,
                "x": float(place_of(alpha)),
                "candidate": names[c],
                "line": line,
                "w": w,
                "low": low if ranged else None,
                "high": high if ranged else None,
                "won": w if found.rank[a, c] == 1 else None,
                "said": "∞" if np.isinf(alpha) else f"{alpha:.3g}",
                "label": f"{w:.3g}",
                "range": f"{low:.3g} – {high:.3g}" if ranged else "no interval",
                "place": str(found.rank[a, c]),
            })  # fmt: skip
    first = sorted((row for row in rows if row["x"] == rows[0]["x"]), key=lambda row: row["w"])
    top = max((row["high"] or row["w"]) for row in rows)
    apart, at = top * _LINE / _HEIGHT, -np.inf
    for row in first:
        row["tag_at"] = at = max(row["w"], at + apart)
        row["tag"] = row["candidate"] if len(row["candidate"]) <= _TAG else f"{row['candidate'][: _TAG - 1]}…"
    return rows


def _spec(ranged: bool, names: list[str], left: float, right: float) -> dict[str, Any]:
    label = "datum.value >= 0.999 ? '∞' : format(datum.value / (1 - datum.value), '.2~f')"
    x = {
        "field": "x",
        "type": "quantitative",
        "title": "α, from the mean (0, utilitarian) over 1 (Nash) to the worst-off juror (∞, Rawlsian)",
        "axis": {"values": [0, 0.2, 1 / 3, 0.5, 2 / 3, 0.8, 1], "labelExpr": label, "grid": False},
        "scale": {"domain": [left, right], "nice": False},
    }
    y = {
        "field": "w",
        "type": "quantitative",
        "title": "welfare, in the units of the ratings",
        "axis": {"tickCount": 5, "orient": "right"},
        "scale": {"zero": True, "nice": False},
    }
    by = {"field": "line", "type": "nominal"}
    dash = {**by, "scale": {"domain": list(range(len(names))), "range": _DASHES[: len(names)]}, "legend": None}
    curve = [{"filter": "datum.candidate !== null"}]
    band = {
        "mark": {"type": "area", "color": JURIES, "opacity": 0.16},
        "transform": [{"filter": "datum.low !== null"}],
        "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "detail": by},
    }
    line = {"type": "line", "color": JURIES}

    def switched(align: str, where: str) -> dict[str, Any]:
        """The α of a switch above its rule, turned inwards at the right."""
        return {
            "mark": {"type": "text", "align": align, "baseline": "bottom"},
            "transform": [{"filter": f"datum.switch !== null && {where}"}],
            "encoding": {"x": x, "y": {"value": -5}, "text": {"field": "switch", "type": "nominal"}},
        }

    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": config(),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "width": 640,
        "height": _HEIGHT,
        "padding": {"left": 2, "top": 22, "bottom": 4, "right": 16},
        "data": {"name": DATA},
        "layer": [
            {"mark": {**line, "strokeWidth": 1.5}, "transform": curve,
             "encoding": {"x": x, "y": y, "strokeDash": dash}},
            *([band] if ranged else []),
            {"mark": {**line, "strokeWidth": 4}, "transform": [{"filter": "datum.won !== null"}],
             "encoding": {"x": x, "y": {**y, "field": "won"}, "detail": by}},
            {"mark": {"type": "rule", "strokeWidth": 1, "strokeDash": [4, 3]},
             "transform": [{"filter": "datum.switch !== null"}], "encoding": {"x": x}},
            switched("left", "datum.x < 0.75"),
            switched("right", "datum.x >= 0.75"),
            {"mark": {"type": "text", "align": "right", "baseline": "middle", "dx": -8},
             "transform": [{"filter": "datum.tag !== null"}],
             "encoding": {"x": x, "y": {**y, "field": "tag_at"}, "text": {"field": "tag", "type": "nominal"}}},
        ],
    }  # fmt: skip
