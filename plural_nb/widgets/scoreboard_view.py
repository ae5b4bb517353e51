"""ScoreboardView: models against populations at a glance; a chosen cell opens the pair."""

from __future__ import annotations

import os
import time
from collections.abc import Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import traitlets
from ipywidgets import widget_serialization

from plural_nb.charts.chart import Chart
from plural_nb.charts.export import FORMATS, as_bytes
from plural_nb.charts.export import save as save_chart
from plural_nb.charts.ranks import ranking_chart
from plural_nb.comparison.scoreboard import MEASURES, Scoreboard, score
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.survey import Survey
from plural_nb.widgets import front, menus
from plural_nb.widgets.cell_grid import CellGrid
from plural_nb.widgets.compare_view import CompareView
from plural_nb.widgets.contenders import PEOPLE, Contender, Given, contenders, taken
from plural_nb.widgets.panel import Panel
from plural_nb.widgets.questionnaire import Questionnaire, Round
from plural_nb.widgets.reckoning import Reckoning, Report
from plural_nb.widgets.vega_view import VegaView

EVERYBODY = "All alike"
_MENU = {
    "mean_js": "Mean Jensen–Shannon distance (less is nearer)",
    "mean_total_variation": "Mean total variation (less is nearer)",
    "simbench": "SimBench score (more is nearer)",
    "representativeness": "Representativeness R (more is nearer; scales only)",
}
_LONG = 3600.0


class ScoreboardView(Panel):
    """The panel that scores models against populations; a cell, by mouse or arrow keys and Enter, opens the pair.

    survey: a Survey, a name of `surveys()`, or a path.
    models: by name, answers by question (as `score` takes them), an open Model, or a model's name or path, which is
        asked every question in the background. The two demo models when None.
    by: key of the trait whose levels are the populations; everyone together when None.
    measure: "mean_js", "mean_total_variation", "simbench" or "representativeness". topics: as in `score`.

    Traits can be set from code: `view.by = "region"`, `view.measure = "simbench"`; `view.open_pair("tuned", "North")`
    opens a pair in `view.pair`, a `CompareView`. `board` is the `Scoreboard`, `data` its table, `code()` the cell that
    rebuilds it, `save("ranking.png")` writes the ranking.

    Raises SurveyError or PluralError when survey or models cannot be used; what goes wrong later is said in the panel.
    """

    _esm = front.module("scoreboard_view")
    _css = front.sheet("explorer", "survey_browser", "compare_view", "scoreboard_view")

    by = traitlets.Unicode(help="trait of the populations; empty for everyone").tag(sync=True)
    measure = traitlets.Enum(tuple(_MENU), "mean_js").tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    trait_menu: Any = traitlets.List().tag(sync=True)
    measure_menu: Any = traitlets.List().tag(sync=True)
    opened: Any = traitlets.List(help="model and population of the open pair").tag(sync=True)

    grid = traitlets.Instance(CellGrid).tag(sync=True, **widget_serialization)
    view = traitlets.Instance(VegaView).tag(sync=True, **widget_serialization)
    pair = traitlets.Instance(CompareView).tag(sync=True, **widget_serialization)
    status: Any = traitlets.Dict({"kind": "ready", "text": ""}).tag(sync=True)
    findings: Any = traitlets.List().tag(sync=True)
    drawn = traitlets.Bool(False, help="whether there is a scoreboard").tag(sync=True)

    def __init__(
        self,
        survey: Survey | str | os.PathLike[str],
        models: Mapping[str, Given] | None = None,
        *,
        by: str | None = None,
        measure: str = "mean_js",
        topics: Mapping[str, str] | None = None,
        **unknown: Any,
    ) -> None:
        self._refuse(unknown, ("survey", "models", "by", "measure", "topics"))
        if measure not in MEASURES:
            raise PluralError(f"Unknown measure {measure!r}. {nearest(measure, MEASURES)}")
        self._asking = False
        self._board: Scoreboard | None = None
        self._chart: Chart | None = None
        self._survey, self._name = taken(survey)
        self._topics = topics
        self._missing = ""
        self._who = {name: one for name, one in contenders(models).items() if name != PEOPLE}
        if not self._who or any(one.kind not in ("answers", "model") for one in self._who.values()):
            raise PluralError("A scoreboard needs models, or answers by question; compare people with CompareView.")
        self._desk = Questionnaire(self._hear)
        for one in self._who.values():
            if one.lent is not None:
                self._desk.lend(one.model, one.lent)
        # It is handed the answers that are known here, so that opening a pair asks nobody.
        pair = CompareView(self._survey, {})
        super().__init__(grid=CellGrid(), view=VegaView(), pair=pair)
        self._reckoning = Reckoning(self._lock, self._reckoned, self._reckons, self._fail)
        with self._silently():
            self.title = self._survey.title
            self.trait_menu = menus.traits(self._survey)
            self.measure_menu = [{"id": name, "label": label} for name, label in _MENU.items()]
            self.by = self._survey.trait(by).key if by else ""
            self.measure = measure
        self.observe(self._changed, names=["by", "measure"])
        self.on_msg(self._told)
        self.grid.on_choose(self._chosen)
        self.pair.observe(self._moved, names=["b", "by", "group"])
        self._begin()

    @property
    def board(self) -> Scoreboard:
        """The scoreboard, waited for while it is made; PluralError while models are still being asked."""
        if self._board is None:
            self._reckoning.wait(_LONG)
        if self._board is None:
            raise PluralError(f"There is no scoreboard yet: {self.status.get('text') or 'nothing was asked.'}")
        return self._board

    @property
    def chart(self) -> Chart | None:
        """The ranking that is shown."""
        return self._chart

    @property
    def data(self) -> pl.DataFrame:
        """One row per model and population; see `Scoreboard.table`."""
        return self.board.table()

    def open_pair(self, model: str, population: str | None = None) -> None:
        """Open a model and one population (all of them when None), at the question where they differ most."""
        if model not in self.board.models:
            raise PluralError(f"There is no model {model!r}. {nearest(model, self.board.models)}")
        if population is not None and population not in self.board.groups:
            raise PluralError(f"There is no population {population!r}. {nearest(population, self.board.groups)}")
        column = 0 if population is None else self._columns().index(population)
        self.grid.choose(self.board.models.index(model), column)

    def code(self) -> str:
        """Return a cell of plain Python that rebuilds the scoreboard and its ranking."""
        survey = menus.survey_expression(self._name, None if self._name else self._survey)
        lines = ["import plural_nb as pnb", "from plural_nb.charts import ranking_chart", "",
                 f"survey = {survey}" if survey else "# survey: the Survey object that you gave the view",
                 "answers = {}"]  # fmt: skip
        for name, one in self._who.items():
            if one.kind == "model":
                asked = "{key: model.ask(question) for key, question in survey.questions.items()}"
                lines += [f"with pnb.open_model({one.expression}) as model:", f"    answers[{name!r}] = {asked}"]
            else:
                lines.append(f"answers[{name!r}] = {one.expression}" if one.expression else
                             f"# answers[…]: those of {' '.join(name.split())}, which you gave the view")  # fmt: skip
        given = [f", by={self.by!r}"] * bool(self.by) + [f", topics={dict(self._topics or {})!r}"] * bool(self._topics)
        return "\n".join([*lines, f"board = pnb.score(answers, survey{''.join(given)})", "print(board.table())",
                          f"ranking_chart(board.ranking({self.measure!r}))"])  # fmt: skip

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the ranking to .svg, .png or .html, or the scoreboard's table to .csv."""
        file = Path(path).expanduser()
        if file.suffix.lower() == ".csv":
            file.write_bytes(self.data.write_csv().encode("utf-8"))
            return file
        return save_chart(self._drawn_chart(), file, sections=self._sections())

    def wait(self, seconds: float = 120.0) -> bool:
        """Wait until models have answered and are scored, or failed; returns whether that was in time."""
        until = time.monotonic() + seconds
        return self._desk.wait(seconds) and self._reckoning.wait(max(0.0, until - time.monotonic()))

    def cancel(self) -> None:
        """Stop asking and scoring models."""
        self._desk.cancel()
        with self._lock:
            if self._reckoning.drop():
                self.status = {"kind": "stopped", "text": "Stopped before all models were scored."}

    def close(self) -> None:
        """Close the view and the models it opened."""
        if hasattr(self, "_desk"):  # the constructor may have raised before
            self._desk.close()
        if hasattr(self, "_reckoning"):
            self._reckoning.close()
            self.pair.close()
        super().close()

    # From here on: how answers become a scoreboard.

    def _begin(self) -> None:
        models = [one.model for one in self._who.values() if one.kind == "model"]
        with self._lock:
            self._asking = bool(models) and self._desk.ask(models, [*self._survey.questions.values()])
            if self._asking:
                self.status = {"kind": "working", "text": f"Waiting for {next(iter(self._who))}…"}
                return
        self._refresh()

    def _changed(self, change: dict[str, Any]) -> None:
        with self._lock:
            # While models are asked nothing can be drawn; their answers will be scored as is chosen by then.
            if not self._quiet and not self._asking:
                self._refresh(again=change["name"] == "by")

    def _refresh(self, *, again: bool = True, patience: float | None = None) -> None:
        with self._lock, self.hold_sync():
            try:
                if again or self._board is None:
                    self._score(patience)
                else:
                    self._draw()
            except Exception as error:
                self._board = self._chart = None
                self._fail(error)

    def _score(self, patience: float | None) -> None:
        """Have the models scored; they may be drawn now or, if that takes long, later."""
        answers = {name: self._answers(one) for name, one in self._who.items()}
        survey, by, topics = self._survey, self.by, self._topics
        self._board = self._chart = None

        def work(report: Report) -> tuple[Scoreboard, dict[str, Mapping[str, Any]]]:
            return score(answers, survey, by=by or None, topics=topics, on_progress=report), answers

        ready, found = self._reckoning.want((by, *map(len, answers.values())), work, patience=patience)
        if ready:
            self._take(*found)
        else:
            self.drawn, self.opened = False, []
            self.status = {"kind": "working", "text": "Scoring…"}

    def _take(self, board: Scoreboard, answers: Mapping[str, Mapping[str, Any]]) -> None:
        self._board, self.opened = board, []
        for name, one in self._who.items():
            self.pair.hold(replace(one, kind="answers", answers=answers[name]))
        self._draw()

    def _reckoned(self, _key: Hashable, found: Any) -> None:
        """Take the scoreboard that came late."""
        with self.hold_sync():
            try:
                self._take(*found)
            except Exception as error:
                self._board = self._chart = None
                self._fail(error)

    def _reckons(self, done: int, total: int) -> None:
        text = f"Scoring… {done} of {total} questions"
        self.status = {"kind": "working", "text": text, "done": done, "total": total, "what": "Questions scored"}

    def _answers(self, one: Contender) -> Mapping[str, Any]:
        if one.kind == "answers":
            return one.answers
        return self._desk.answers(one.model, [*self._survey.questions.values()])

    def _columns(self) -> list[str]:
        return [EVERYBODY, *self.board.groups] if self.by else list(self.board.groups)

    def _draw(self) -> None:
        board = self.board
        columns = self._columns()
        groups = [None, *board.groups] if self.by else list(board.groups)
        found = [[board.measure(model, self.measure, group) for group in groups] for model in board.models]
        values = np.array([[one[0] for one in row] for row in found])
        far = -values if MEASURES[self.measure] else values
        known = far[np.isfinite(far)]
        low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
        depth = (far - low) / (high - low) if high > low else np.zeros_like(far)
        lines = zip(found, depth, strict=True)
        cells = [[_cell(one, d, self.measure) for one, d in zip(row, line, strict=True)] for row, line in lines]
        label = _MENU[self.measure]
        keys = board.sample.keys
        self.grid.show(f"{label}, {len(keys)} questions. The deeper, the farther from people.", "Model", columns,
                       board.models, cells)  # fmt: skip
        ranking = board.ranking(self.measure)
        self._chart = ranking_chart(ranking, about=f"{self._survey.title}, {len(keys)} questions")
        self.view.show(self._chart)
        self.findings = [{"name": "Ranking", "value": "", "more": ranking.sentence()}, *self._worst(), *self._failed()]
        self.drawn = True
        self.status = {"kind": "ready", "text": self._missing}

    def _failed(self) -> list[dict[str, str]]:
        if not self.board.failed:
            return []
        (model, question, group), why = next(iter(self.board.failed.items()))
        where = ", ".join(filter(None, (model, self._survey.question(question).label, group)))
        more = f"questions or cells are left out for every model; for example {where}: {why}"
        return [{"name": "Not scored", "value": str(len(self.board.failed)), "more": more}]

    def _worst(self) -> list[dict[str, str]]:
        if not self.by:
            return []
        rows = []
        for model in self.board.models:
            table = self.board.worst_group(model, self.measure).table().filter(pl.col("value").is_finite())
            if table.height < 2:
                continue
            last, first = table.row(-1, named=True), table.row(0, named=True)
            more = f"{last['name']}; the best: {first['name']} ({_figure(first['value'], self.measure)})"
            value = _figure(last["value"], self.measure)
            rows.append({"name": f"Worst group of {model}", "value": value, "more": more})
        return rows

    def _chosen(self, row: int, column: int) -> None:
        """Open the pair of a cell."""
        with self._lock:
            try:
                model = self.board.models[row]
                found = self.board.compared[model]
                g = column - bool(self.by)
                distances = found.distances["js_distance"]["value"]
                mean = np.array([v[np.isfinite(v)].mean() if np.isfinite(v).any() else -1 for v in distances])
                far = mean if g < 0 else np.nan_to_num(distances[:, g], nan=-1)
                group = found.groups[g] if g >= 0 and self.by else ""
                self.pair.show_pair(model, found.questions[int(np.argmax(far))].key, by=self.by, group=group)
                self.opened = [model, group or EVERYBODY]
            except Exception as error:
                self._fail(error)

    def _moved(self, _change: Any) -> None:
        """Keep the heading of the pair, and the marked cell, with what the pair shows."""
        with self._lock:
            if not self.opened or self._board is None:
                return
            self.opened = [self.pair.b, self.pair.group or EVERYBODY]
            alike = self.pair.by == self.by and self.pair.b in self._board.models
            columns = self._columns()
            place = columns.index(self.pair.group) if self.pair.group in columns else 0
            self.grid.chosen = [self._board.models.index(self.pair.b), place] if alike else []

    def _hear(self, news: Round) -> None:
        """Take news from the thread that asks: traits are set, nothing is printed."""
        with self._lock:
            if news.kind == "asking":
                name = next((n for n, one in self._who.items() if one.model == news.model), news.model)
                text = f"Asking {name}… {news.done} of {news.total} questions"
                self.status = {"kind": "working", "text": text, "done": news.done, "total": news.total}
            elif news.kind == "done":
                self._asking = False
                why = next(iter(news.failed.values()), "")
                self._missing = f"{len(news.failed)} answers are missing: {why}" if news.failed else ""
                self._refresh(patience=0.0)
            elif news.kind == "stopped":
                self.status = {"kind": "stopped", "text": "Stopped; answers that came are kept."}
            elif news.error is not None:
                self._fail(news.error)

    def _fail(self, error: Exception) -> None:
        self._asking, self.drawn = False, self._board is not None
        self.status = {"kind": "error", "text": self._worded(error)}

    def _told(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        """Do what a button asks."""
        wish, kind = content.get("do"), content.get("kind")
        try:
            if wish == "cancel":
                self.cancel()
            elif wish == "again":
                self._begin()
            elif wish == "code":
                self.send({"code": self.code()})
            elif wish == "export" and kind in FORMATS:
                csv = kind == "csv"
                data = self.data.write_csv().encode("utf-8") if csv else as_bytes(
                    self._drawn_chart(), kind, sections=self._sections())  # fmt: skip
                name = f"{menus.file_name(self._name or self._survey.name, self.measure)}-scoreboard.{kind}"
                self.send({"file": name, "type": FORMATS[kind]}, [data])
        except Exception as error:
            self._fail(error)

    def _drawn_chart(self) -> Chart:
        if self._chart is None:
            raise PluralError(f"There is no ranking: {self.status.get('text') or 'nothing was asked.'}")
        return self._chart

    def _sections(self) -> list[tuple[str, str]]:
        said = "\n".join(f"{f['name']}: {f['value']} {f['more']}" for f in self.findings)
        table = self.board.table().write_csv()
        return [("What the numbers say", said), ("The scoreboard", table), ("The same in plain code", self.code())]

    def _in_words(self) -> str:
        return self._chart.summary if self._chart else f"Scoreboard: {self.title}"


def _cell(found: tuple[float, float, float], depth: float, measure: str) -> dict[str, Any]:
    value, low, high = found
    if not np.isfinite(value):
        return {"label": "–", "depth": None, "said": "cannot be scored"}
    said = (
        f"{_figure(low, measure)} to {_figure(high, measure)} over questions like these"
        if np.isfinite(low)
        else "no interval"
    )
    return {"label": _figure(value, measure), "depth": float(depth), "said": said}


def _figure(value: float, measure: str) -> str:
    return f"{value:.0f}" if measure == "simbench" else f"{value:.2f}"
