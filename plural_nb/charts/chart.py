"""Chart: a Vega-Lite spec, the rows it draws, and the same in words and as a table."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from plural_nb.charts.renderer import enable_offline_renderer, mimebundle
from plural_nb.charts.theme import FILE_FONT, MUTED, wrapped

Row = Mapping[str, Any]
DATA = "rows"
_FIGURE_WIDTH = 640


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the legend: which mark it explains ("humans", "model"), who that is, and what its whisker means."""

    mark: str
    name: str
    whisker: str = ""
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart as data and a sentence.

    spec: Vega-Lite whose data is the dataset named "rows"; it holds none. Charts of equal `shape` have equal specs,
        so a living view takes the rows of one in place of another's.
    rows: what is drawn, one mapping per mark. frame: the same for analysis, one row per bar, unrounded.
    title, subtitle: what was asked, of whom. keys: the legend. notes: what a reader must know, one sentence each.
    columns: (field of a row, heading) of the table that stands for the chart. summary: the chart in words.

    The last line of a cell shows it; `save` writes it to a file.
    """

    spec: Mapping[str, Any]
    rows: tuple[Row, ...]
    shape: str
    title: str
    subtitle: str
    keys: tuple[Key, ...]
    columns: tuple[tuple[str, str], ...]
    summary: str
    frame: pl.DataFrame = field(repr=False, compare=False)
    notes: tuple[str, ...] = ()

    def figure(self, *, width: int = _FIGURE_WIDTH, titled: bool = True) -> dict[str, Any]:
        """Return a Vega-Lite spec that stands alone: with its rows, legend and, if titled, title and notes.

        width: pixels of the whole figure.
        """
        spec: dict[str, Any] = copy.deepcopy(dict(self.spec))
        spec["datasets"] = {DATA: [dict(row) for row in self.rows]}
        spec["width"] = width
        spec["description"] = self.summary
        spec["config"]["font"] = FILE_FONT
        label = (
            json.dumps({k.mark: f"{k.name}, outlined" if k.mark == "model" else k.name for k in self.keys})
            + "[datum.value]"
        )
        encodings = [layer.get("encoding", {}) for layer in spec["layer"]]
        encoding: dict[str, Any] = next((one for one in encodings if "fill" in one), {})
        # A chart that names its marks where they stand has nothing for a legend to explain.
        for name in [channel for channel in ("fill", "fillOpacity", "stroke", "shape") if channel in encoding]:
            channel = encoding[name]
            shown = [key.mark for key in self.keys if key.mark in channel["scale"]["domain"]]
            if name in ("fill", "stroke") and any(key.muted for key in self.keys if key.mark == "model"):
                channel["scale"]["range"] = [channel["scale"]["range"][0], MUTED]
            channel["legend"] = {
                "title": None, "orient": "top", "labelExpr": label, "values": shown, "symbolOpacity": 1,
                "symbolStrokeWidth": 1.75,
            }  # fmt: skip
        if titled:
            line = int(width / 6.6)
            whiskers = [f"{key.name}: {key.whisker}." for key in self.keys if key.whisker]
            told = (self.subtitle, *whiskers, *self.notes)
            below = [part for text in told if text for part in wrapped(text, line)]
            spec["title"] = {"text": wrapped(self.title, int(line * 0.8)), "subtitle": below}
        return spec

    def to_altair(self) -> Any:
        """Return the figure as an Altair chart, to be changed further."""
        import altair as alt

        enable_offline_renderer()
        return alt.LayerChart.from_dict(self.figure(), validate=False)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the chart to a .csv, .svg, .png or .html file, by its ending; PluralError for any other."""
        from plural_nb.charts.export import save

        return save(self, path)

    def _repr_mimebundle_(
        self, include: Sequence[str] | None = None, exclude: Sequence[str] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        return mimebundle(self.figure())
