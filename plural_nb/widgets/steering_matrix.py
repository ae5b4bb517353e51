"""SteeringMatrix: target groups × whom the model speaks as; a cell opens the pair behind it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import traitlets
from ipywidgets import widget_serialization

from plural_nb.charts.chart import Chart
from plural_nb.charts.export import FORMATS, as_bytes
from plural_nb.charts.export import save as save_chart
from plural_nb.charts.shares import humans_and_model
from plural_nb.charts.steering import FAR, NEAR, measure_label, nearest_told, steering_heatmap
from plural_nb.charts.theme import percent
from plural_nb.comparison.comparison import Comparison
from plural_nb.errors import Cancelled, PluralError
from plural_nb.personas.steering import OWN_VOICE, Steering
from plural_nb.silicon.model import Model
from plural_nb.survey.survey import Survey
from plural_nb.widgets import front, menus
from plural_nb.widgets.bench import Bench, Pause
from plural_nb.widgets.findings import noise
from plural_nb.widgets.panel import Panel
from plural_nb.widgets.vega_view import VegaView

_READY = {"kind": "ready", "text": ""}
_KNOWN = ("steering", "model", "survey", "trait", "questions", "template")


class SteeringMatrix(Panel):
    """Did steering move the model, and towards whom? Rows are people, columns whom the model speaks as.

    steering: a measured `Steering`; or instead model, survey and trait, and the model is asked in the background.
    model: a name, a path or an open Model. survey: a name, a path or a Survey. trait: key, whose levels are the groups.
    questions: keys; all when None. template: how a level is told.

    `target`, `steered` and `question` are the cell that is open and can be set from code. `data` holds the matrix,
    `pair` the comparison behind the cell, `code()` the cell of Python that rebuilds it, `save("matrix.svg")` writes it.

    Raises PluralError when neither a steering nor model, survey and trait are given.

    >>> SteeringMatrix(found)  # doctest: +SKIP
    >>> SteeringMatrix(model="plural-demo-base", survey="anes96", trait="party")  # doctest: +SKIP
    """

    _esm = front.module("steering_matrix")
    _css = front.sheet("explorer", "steering_matrix")

    target = traitlets.Unicode(help="group of people").tag(sync=True)
    steered = traitlets.Unicode(help="whom the model speaks as").tag(sync=True)
    question = traitlets.Unicode(help="key").tag(sync=True)

    title = traitlets.Unicode("Steering").tag(sync=True)
    questions: Any = traitlets.List(help="menu of questions").tag(sync=True)
    columns: Any = traitlets.List(help="whom the model speaks as").tag(sync=True)
    lines: Any = traitlets.List(help="a row of cells for each target").tag(sync=True)
    summary = traitlets.Unicode(help="the matrix in words").tag(sync=True)
    findings: Any = traitlets.List(help="what the open cell says").tag(sync=True)
    view = traitlets.Instance(VegaView).tag(sync=True, **widget_serialization)
    status: Any = traitlets.Dict(_READY).tag(sync=True)

    def __init__(
        self, steering: Steering | None = None, *, model: str | os.PathLike[str] | Model | None = None,
        survey: str | os.PathLike[str] | Survey | None = None, trait: str = "", questions: Sequence[str] | None = None,
        template: str = "portrayal", **unknown: Any,
    ) -> None:  # fmt: skip
        self._refuse(unknown, _KNOWN)
        if steering is None and (model is None or survey is None or not trait):
            raise PluralError("Give a Steering, or model=, survey= and trait= to have one measured.")
        self._steering: Steering | None = None
        self._pair: Comparison | None = None
        self._source = (model, survey, trait, questions, template)
        self._bench = Bench(("steer",), self._failed, self._opening)
        super().__init__(view=VegaView())
        self.observe(self._chosen, names=["target", "steered", "question"])
        self.on_msg(self._told)
        if steering is not None:
            self._show(steering)
        else:
            assert model is not None
            assert survey is not None
            self._ask(model, survey)

    @property
    def steering(self) -> Steering | None:
        """What was measured; None while the model has not answered."""
        return self._steering

    @property
    def data(self) -> pl.DataFrame:
        """The matrix: a row per target and voice, with the distance, its interval and what chance alone would show."""
        return self._measured().matrix

    @property
    def pair(self) -> Comparison:
        """The comparison behind the open cell, for the open question."""
        self._measured()
        if self._pair is None:
            raise PluralError(f"No cell is open: {self.status.get('text') or 'choose one'}")
        return self._pair

    @property
    def chart(self) -> Chart:
        """The matrix as a heat map."""
        return steering_heatmap(self._measured())

    def code(self) -> str:
        """Return a cell of plain Python that rebuilds the matrix and opens the cell."""
        model, survey, trait, questions, template = self._source
        shown = f"found.pair({self.target!r}, {self.steered!r}, {self.question!r}).chart()"
        head = ["import plural_nb as pnb", "from plural_nb.charts import steering_heatmap"]
        if not trait:
            return "\n".join(
                [*head, "", "# found: the Steering that you gave", "display(steering_heatmap(found))", shown]
            )
        name = menus.model_expression(_path(model), []) if model is not None else "''"
        given = survey if isinstance(survey, Survey) else None
        asked = f", {list(questions)!r}" if questions is not None else ""
        told = f", template={template!r}" if template != "portrayal" else ""
        source = menus.survey_expression("" if given else str(survey), given)
        return "\n".join([
            *head, "from plural_nb.personas.steered import steer", "",
            f"survey = {source}" if source else "# survey: the Survey object that you gave",
            f"with pnb.open_model({name}) as model:",
            f"    found = steer(model, survey, {trait!r}{asked}{told})",
            "print(found.sentence())", "display(steering_heatmap(found))", shown,
        ])  # fmt: skip

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the matrix to a .csv, .svg, .png or .html file; the page carries the words and the code too."""
        return save_chart(self.chart, path, sections=self._sections())

    def wait(self, seconds: float = 120.0) -> bool:
        """Wait until the model has answered or failed; returns whether it did in time."""
        return self._bench.wait(seconds)

    def cancel(self) -> None:
        """Stop asking the model."""
        self._bench.cancel()

    def close(self) -> None:
        """Close the panel and the model it opened."""
        if hasattr(self, "_bench"):
            self._bench.close()
        super().close()

    # From here on: how it is measured and shown.

    def _ask(self, model: str | os.PathLike[str] | Model, survey: str | os.PathLike[str] | Survey) -> None:
        from plural_nb.personas.steered import steer
        from plural_nb.survey.library import load_survey

        _, _, trait, questions, template = self._source
        taken = survey if isinstance(survey, Survey) else load_survey(os.fspath(survey))
        taken.trait(trait)
        for key in questions or ():
            taken.question(key)
        if isinstance(model, Model):
            self._bench.lend(_path(model), model)

        def report(done: int, total: int) -> None:
            text = f"Asking: {done:,} of {total:,} prompts"
            self.status = {"kind": "working", "text": text, "done": done, "total": total}

        def work(opened: Model | None, pause: Pause) -> None:
            assert opened is not None
            found = steer(opened, taken, trait, questions, template=template, on_progress=report)
            pause()
            with self._lock, self.hold_sync():
                self._show(found)

        self.title = f"{taken.title}: {taken.trait(trait).label}"
        self.status = {"kind": "working", "text": "Waiting for the model…"}
        self._bench.want("steer", _path(model), work)

    def _show(self, found: Steering) -> None:
        self._steering = found
        values = found.matrix[found.measure].to_list()
        least, most = min(values), max(values)
        cells = {(row["target"], row["steered"]): row for row in found.matrix.iter_rows(named=True)}
        self.columns = list(found.steered)
        self.questions = [{"id": key, "label": found.answers[key][0].question.label} for key in found.keys]
        self.lines = [
            {
                "target": target,
                "cells": [_cell(cells[target, name], found.measure, least, most) for name in found.steered],
            }
            for target in found.groups
        ]
        worked = found.sentence() if OWN_VOICE in found.steered else ""
        self.summary = f"{worked} {measure_label(found.measure)}; {nearest_told(found)}".strip()
        self.status = _READY
        self.target = self.target if self.target in found.groups else found.groups[0]
        self.steered = self.steered if self.steered in found.steered else found.steered[0]
        self.question = self.question if self.question in found.keys else found.keys[0]
        self._open_pair()

    def _chosen(self, change: dict[str, Any]) -> None:
        with self._lock:
            if self._steering is not None and self.target and self.steered and self.question:
                self._open_pair()

    def _open_pair(self) -> None:
        found = self._measured()
        try:
            with self.hold_sync():
                self._pair = pair = found.pair(self.target, self.steered, self.question)
                self.view.show(humans_and_model(pair))
                self.findings = self._said(found, pair)
                self.status = _READY
        except PluralError as error:
            self._pair, self.findings = None, []
            self.status = {"kind": "error", "text": str(error)}

    def _said(self, found: Steering, pair: Comparison) -> list[dict[str, str]]:
        row = found.matrix.filter(target=self.target, steered=self.steered).row(0, named=True)
        said = [
            {
                "name": f"All questions, {measure_label(found.measure)}", "value": f"{row[found.measure]:.2f}",
                "more": f"By chance alone {row['noise_floor']:.2f}; with that taken off, the interval is "
                f"{row['low']:.2f} to {row['high']:.2f}.",
            },
            {
                "name": "This question, Jensen–Shannon distance (base 2)",
                "value": f"{pair.distances['js_distance']:.2f}", "more": noise(pair),
            },
        ]  # fmt: skip
        if pair.b.captured_mass is not None:
            said.append({"name": "Outside the options", "value": percent(1 - pair.b.captured_mass),
                         "more": "of the model's probability fell on none of the options."})  # fmt: skip
        return said

    def _opening(self, name: str) -> None:
        self.status = {"kind": "working", "text": f"Opening {menus.model_name(name)}…"}

    def _failed(self, lane: str, error: Exception) -> None:
        if isinstance(error, Cancelled):
            self.status = {"kind": "stopped", "text": "Stopped before all was answered."}
        else:
            self.status = {"kind": "error", "text": self._worded(error)}

    def _told(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        """Do what a button asks."""
        wish, kind = content.get("do"), content.get("kind")
        try:
            if wish == "cancel":
                self.cancel()
            elif wish == "code":
                self.send({"code": self.code()})
            elif wish == "export" and kind in FORMATS:
                data = as_bytes(self.chart, kind, sections=self._sections())
                self.send({"file": f"steering.{kind}", "type": FORMATS[kind]}, [data])
        except Exception as error:
            self._failed("steer", error)

    def _sections(self) -> list[tuple[str, str]]:
        return [("What the numbers say", self.summary), ("The same in plain code", self.code())]

    def _measured(self) -> Steering:
        if self._steering is None:
            raise PluralError(f"Nothing was measured yet: {self.status.get('text') or 'the model has not answered'}")
        return self._steering

    def _in_words(self) -> str:
        return self.summary or "Steering matrix"


def _path(model: Any) -> str:
    return str(model.file.path) if isinstance(model, Model) else os.fspath(model)


def _cell(row: dict[str, Any], measure: str, least: float, most: float) -> dict[str, Any]:
    value = row[measure]
    part = (value - least) / (most - least) if most > least else 0.0
    near, far = ([int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in (NEAR, FAR))
    paper = "#" + "".join(f"{round(a * (1 - part) + b * part):02x}" for a, b in zip(near, far, strict=True))
    return {
        "steered": row["steered"], "label": f"{value:.2f}", "range": f"{row['low']:.2f} to {row['high']:.2f}",
        "floor": f"{row['noise_floor']:.2f}", "own": bool(row["own"]), "paper": paper,
    }  # fmt: skip
