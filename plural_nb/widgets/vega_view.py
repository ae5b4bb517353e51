"""VegaView: a chart in the notebook that takes new rows in place."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets
from ipywidgets import widget_serialization

from plural_nb import resources
from plural_nb.charts.chart import Chart
from plural_nb.widgets.runtime import Runtime, bundle_version, runtime, send_again


class VegaView(anywidget.AnyWidget):
    """Shows a chart and keeps it: `show` draws another in its place, sending rows only where the shape is the same.

    chart: what is shown first.

    >>> from plural_nb.answers import Answers
    >>> from plural_nb.charts import humans_and_model
    >>> from plural_nb.survey.question import ask_for
    >>> tea = ask_for("Tea?", ["Yes", "No"])
    >>> view = VegaView(humans_and_model(Answers.from_places(tea, [0] * 30 + [1] * 70).shares()))
    >>> view.show(humans_and_model(Answers.from_places(tea, [0] * 50 + [1] * 50).shares()))
    >>> view.rows[0]["label"]
    '50%'
    """

    _esm = resources.front("vega_view") / "index.js"
    _css = resources.front("vega_view") / "style.css"

    spec = traitlets.Dict(help="Vega-Lite without data").tag(sync=True)
    shape = traitlets.Unicode(help="charts of one shape share a spec").tag(sync=True)
    rows: Any = traitlets.List(help="what is drawn").tag(sync=True)
    words = traitlets.Dict(help="title, subtitle, summary, legend, notes and the table's columns").tag(sync=True)
    vega = traitlets.Unicode(help="version of the bundle that draws").tag(sync=True)
    runtime = traitlets.Instance(Runtime).tag(sync=True, **widget_serialization)

    def __init__(self, chart: Chart | None = None) -> None:
        self._chart = chart
        super().__init__(vega=bundle_version(), runtime=runtime(), **(_state(chart) if chart else {}))
        self.on_msg(self._answer)

    @property
    def chart(self) -> Chart | None:
        """What is shown."""
        return self._chart

    def show(self, chart: Chart) -> None:
        """Draw another chart in place of this one."""
        self._chart = chart
        state = _state(chart)
        if chart.shape == self.shape:
            del state["spec"]
        with self.hold_sync():
            for name, value in state.items():
                setattr(self, name, value)

    def _answer(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        if content.get("ask") == "runtime":
            self.runtime = send_again()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None and self._chart is not None:
            bundle[0]["text/plain"] = self._chart.summary
        return bundle


def _state(chart: Chart) -> dict[str, Any]:
    keys = [{"mark": k.mark, "name": k.name, "whisker": k.whisker, "muted": k.muted} for k in chart.keys]
    words = {
        "title": chart.title,
        "subtitle": chart.subtitle,
        "summary": chart.summary,
        "keys": keys,
        "notes": list(chart.notes),
        "columns": [list(column) for column in chart.columns],
    }
    # The spec before the rows: a page that hears of the rows draws at once.
    return {"shape": chart.shape, "spec": dict(chart.spec), "words": words, "rows": [dict(r) for r in chart.rows]}
