"""CompareView: the panel that sets two sources side by side, question by question, group by group."""

from __future__ import annotations

import os
import time
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import traitlets
from ipywidgets import widget_serialization

from plural_nb.answers import Answers
from plural_nb.charts.chart import Chart
from plural_nb.charts.distances import distances_and_noise
from plural_nb.charts.dumbbell import dumbbell_by_group
from plural_nb.charts.export import FORMATS, as_bytes
from plural_nb.charts.export import save as save_chart
from plural_nb.charts.heat_map import cells, heat_map
from plural_nb.charts.shares import humans_and_model
from plural_nb.comparison.comparison import DISTANCE_NAMES, Comparison
from plural_nb.comparison.survey_distances import SurveyDistances
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.survey import Survey
from plural_nb.widgets import front, menus
from plural_nb.widgets.cell_grid import CellGrid
from plural_nb.widgets.compare_findings import compare_findings
from plural_nb.widgets.compare_recipe import Pair, compare_recipe
from plural_nb.widgets.contenders import PEOPLE, Contender, Given, contenders, taken
from plural_nb.widgets.pairing import Pairing
from plural_nb.widgets.panel import Panel
from plural_nb.widgets.questionnaire import Questionnaire, Round
from plural_nb.widgets.reckoning import Reckoning
from plural_nb.widgets.vega_view import VegaView

TABS = {"answers": "Answers", "distances": "Distances", "questions": "Every question"}
_CHOICES = ("a", "b", "question", "by", "group", "answer", "distance", "every_way", "tab")
_READY = {"kind": "ready", "text": ""}
_LONG = 3600.0
_SHOWN_DISTANCES = ("js_distance", "total_variation", "hellinger", "wasserstein_normalised")


class CompareView(Panel):
    """The panel that compares two sources: choose them, a question, groups and a distance.

    survey: a Survey, a name of `surveys()`, or a path; its people are the source "People".
    sources: who else can be compared, by name: a Population of the survey's people, another Survey with the same
        questions, answers by question (as `score` takes them), an open Model, or a model's name or path, which is
        asked when it is wanted. The two demo models when None.
    a, b: names of the two; people and the first source when None.
    question: key; the first that both were asked when None. by: key of the trait of the groups. group: one of its
        levels; all when None.
    distance: a name of `DISTANCE_NAMES`. every_way: whether models are asked in every wording of a question, each in
        several orders of its options, which a dotted whisker ranges over; it takes that many times as long.

    Every choice is a trait: `view.b = "tuned"`, `view.by = "region"`, `view.group = "North"`, `view.tab = "distances"`
    (answers, distances, questions: a table of every question and group, whose cells open what they stand for). `data`
    holds the rows of what is shown, `code()` the cell that rebuilds it, `save("chart.png")` writes it. Models are
    asked, and long tables made, in the background: `wait()` for them, or `cancel()` them.

    Raises SurveyError or PluralError when survey or sources cannot be used; what goes wrong later is said in the panel.

    >>> from plural_nb.survey.library import load_survey
    >>> from plural_nb.survey.survey import Population
    >>> young = Population({"age": ["18 to 29"]})
    >>> view = CompareView(load_survey("teaching"), {"the young": young}, question="toll")
    >>> view.comparison.verdict.word
    'beyond noise'
    """

    _esm = front.module("compare_view")
    _css = front.sheet("explorer", "survey_browser", "compare_view")

    a = traitlets.Unicode(help="name of the first source").tag(sync=True)
    b = traitlets.Unicode(help="name of the second source").tag(sync=True)
    question = traitlets.Unicode(help="key").tag(sync=True)
    by = traitlets.Unicode(help="trait of the groups; empty for everyone").tag(sync=True)
    group = traitlets.Unicode(help="the one group shown; empty for all").tag(sync=True)
    answer = traitlets.Unicode(help="the answer shown group by group; empty for the first").tag(sync=True)
    distance = traitlets.Unicode("js_distance").tag(sync=True)
    every_way = traitlets.Bool(False, help="ask models in every wording and order").tag(sync=True)
    tab = traitlets.Enum(tuple(TABS), "answers").tag(sync=True)

    title = traitlets.Unicode().tag(sync=True)
    sources: Any = traitlets.List(help="menu of sources").tag(sync=True)
    questions: Any = traitlets.List(help="menu of questions").tag(sync=True)
    trait_menu: Any = traitlets.List(help="traits with their levels").tag(sync=True)
    answer_menu: Any = traitlets.List().tag(sync=True)
    distance_menu: Any = traitlets.List().tag(sync=True)
    tabs: Any = traitlets.List(help="id, label and, where one cannot be used, why").tag(sync=True)
    asks = traitlets.Bool(False, help="whether a model is asked").tag(sync=True)

    view = traitlets.Instance(VegaView).tag(sync=True, **widget_serialization)
    grid = traitlets.Instance(CellGrid).tag(sync=True, **widget_serialization)
    status: Any = traitlets.Dict(_READY).tag(sync=True)
    findings: Any = traitlets.List().tag(sync=True)
    drawn = traitlets.Unicode("chart", help="what the tab shows: chart, grid, or nothing").tag(sync=True)

    def __init__(
        self,
        survey: Survey | str | os.PathLike[str],
        sources: Mapping[str, Given] | None = None,
        *,
        a: str | None = None,
        b: str | None = None,
        question: str | None = None,
        by: str | None = None,
        group: str | None = None,
        distance: str = "js_distance",
        every_way: bool = False,
        **unknown: Any,
    ) -> None:
        self._refuse(unknown, ("survey", "sources", "a", "b", "question", "by", "group", "distance", "every_way"))
        self._chart: Chart | None = None
        self._frame: pl.DataFrame | None = None
        self._comparison: Comparison | None = None
        self._survey, self._name = taken(survey)
        self._who = contenders(sources)
        self._desk = Questionnaire(self._hear)
        self._pairing = Pairing(self._survey, self._desk)
        for one in self._who.values():
            if one.lent is not None:
                self._desk.lend(one.model, one.lent)
        names = [*self._who]
        super().__init__(view=VegaView(), grid=CellGrid())
        self._reckoning = Reckoning(self._lock, self._reckoned, self._reckons, self._fail)
        with self._silently():
            self.title = self._survey.title
            self.sources = [{"id": name, "label": name} for name in names]
            self.questions = menus.questions(self._survey)
            self.trait_menu = menus.traits(self._survey)
            self.a = self._contender(a or PEOPLE).name
            self.b = self._contender(b or next((n for n in names if n != self.a), names[0])).name
            self.question = self._survey.question(question).key if question else self._first_asked()
            self.by = self._survey.trait(by).key if by else ""
            self.group = group or ""
            if distance not in _SHOWN_DISTANCES:
                raise PluralError(f"There is no distance {distance!r} here. {nearest(distance, _SHOWN_DISTANCES)}")
            self.distance, self.every_way = distance, every_way
        self.observe(self._changed, names=list(_CHOICES))
        self.on_msg(self._told)
        self.grid.on_choose(self._open)
        self._refresh()

    @property
    def chart(self) -> Chart | None:
        """The chart that is shown (of the table of every question: its heat map); None while there is none."""
        return self._chart

    @property
    def comparison(self) -> Comparison | None:
        """The two sides compared on the chosen question, waited for while it is made; None before a model answers."""
        if self._comparison is None:
            self._reckoning.wait(_LONG)
        return self._comparison

    @property
    def data(self) -> pl.DataFrame:
        """The rows of what is shown, unrounded; waits for a table that is being made."""
        if self._frame is None:
            self._reckoning.wait(_LONG)
        if self._frame is None:
            raise PluralError(f"Nothing is shown: {self.status.get('text') or 'nothing was drawn yet.'}")
        return self._frame

    def code(self) -> str:
        """Return a cell of plain Python that rebuilds what is shown."""
        with self._lock:
            label = self._survey.traits[self.by].label if self.by else ""
            survey = menus.survey_expression(self._name, None if self._name else self._survey)
            return compare_recipe(
                Pair(self.tab, survey, self._who[self.a], self._who[self.b], self.question, self.by, label, self.group,
                     self.answer, self.distance, self.every_way)
            )  # fmt: skip

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write what is shown to a .csv, .svg, .png or .html file; the page carries the verdict and the code too."""
        return save_chart(self._drawn_chart(), path, sections=self._sections())

    def wait(self, seconds: float = 120.0) -> bool:
        """Wait until models have answered and tables are made, or failed; returns whether that was in time."""
        until = time.monotonic() + seconds
        return self._desk.wait(seconds) and self._reckoning.wait(max(0.0, until - time.monotonic()))

    def cancel(self) -> None:
        """Stop asking models and making tables."""
        self._desk.cancel()
        with self._lock:
            if self._reckoning.drop():
                self.status = {"kind": "stopped", "text": "Stopped before all was compared."}

    def close(self) -> None:
        """Close the view and the models it opened."""
        if hasattr(self, "_desk"):
            self._desk.close()
        if hasattr(self, "_reckoning"):
            self._reckoning.close()
        super().close()

    def open_question(self, question: str, group: str = "") -> None:
        """Show one question, and one group of the trait that is broken down by, at once."""
        with self._lock:
            with self._silently(), self.hold_sync():
                self.question, self.group, self.tab = question, group, "answers"
            self._refresh()

    def hold(self, one: Contender) -> None:
        """Have one more source."""
        with self._lock:
            self._who[one.name] = one
            self.sources = [{"id": one, "label": one} for one in self._who]

    def show_pair(self, b: str, question: str, *, by: str = "", group: str = "") -> None:
        """Show people against the source `b` on one question, in all groups or one."""
        with self._lock:
            with self._silently(), self.hold_sync():
                self.a, self.b, self.by = PEOPLE, b, by
            self.open_question(question, group)

    # From here on: how a choice becomes a picture.

    def _changed(self, change: dict[str, Any]) -> None:
        with self._lock:
            if self._quiet:
                return
            if change["name"] == "by":
                with self._silently():
                    self.group = ""
            self._refresh()

    def _refresh(self) -> None:
        with self._lock, self.hold_sync():
            try:
                self._draw()
            except Exception as error:
                self._reckoning.drop()
                self._chart = self._frame = self._comparison = None
                self._fail(error)

    def _draw(self) -> None:
        asked = self._survey.question(self.question)
        one, other = self._contender(self.a), self._contender(self.b)
        with self._silently():
            labels = [asked.options[i].label for i in asked.substantive]
            self.answer_menu = [{"id": label, "label": label} for label in labels]
            if self.answer not in labels:
                self.answer = ""
            names = _SHOWN_DISTANCES[: 3 if asked.kind == "nominal" and self.tab != "questions" else 4]
            self.distance_menu = [{"id": name, "label": DISTANCE_NAMES[name]} for name in names]
            if self.distance not in names:
                self.distance = "js_distance"
            self.tabs = self._tabs(one, other)
            if self.tab == "questions" and self.tabs[-1]["lacks"]:
                self.tab = "answers"
        if self.group and self.group not in self._pairing.levels(self.by):
            raise PluralError(f"There is no group {self.group!r}. {nearest(self.group, self._pairing.levels(self.by))}")
        wanted = [*self._survey.questions.values()] if self.tab == "questions" else [asked]
        models = [who.model for who in dict.fromkeys((one, other)) if who.kind == "model"]
        self.asks, self._pairing.every_way = bool(models), self.every_way
        if models and self._desk.ask(models, wanted, every_way=self.every_way):
            self._reckoning.drop()
            self.status = {"kind": "working", "text": f"Waiting for {self._named(models[0])}…"}
            self._wait_for(other)
            return
        if not models:
            self._desk.cancel()
        self._show(one, other)

    def _show(self, one: Contender, other: Contender, *, patience: float | None = None) -> None:
        remark = ""
        if self.tab == "questions":
            found = self._pairing.table(one, other, self.by)
            if found is not None:
                self._reckoning.drop()
            else:
                ready, found = self._reckoning.want(*self._pairing.reckon(one, other, self.by), patience=patience)
                if not ready:
                    self._wait_for(other)
                    self.status = {"kind": "working", "text": "Comparing every question…"}
                    return
            self._comparison, self._chart = None, heat_map(found, self.distance, name=other.name, by=self._label())
            self._fill(found)
            self.findings = compare_findings(None, found)
            self.drawn = "grid"
        else:
            key, work = self._pairing.pair(one, other, self.question, self.by, self.group)
            made = self._pairing.kept(key)
            if made is not None:
                self._reckoning.drop()
            else:
                ready, made = self._reckoning.want(key, work, patience=patience)
                if not ready:
                    self._wait_for(other)
                    self.status = {"kind": "working", "text": "Comparing…"}
                    return
            self._comparison, remark = made
            grouped = len(self._comparison.groups) > 1
            if self.tab == "distances":
                chart = distances_and_noise(
                    self._comparison, self.distance if grouped else None, by=self._label(grouped)
                )
            elif grouped:
                chart = dumbbell_by_group(self._comparison, option=self.answer or None, by=self._label())
            else:
                chart = humans_and_model(self._comparison)
            self._chart = chart
            self.view.show(chart)
            self.findings = compare_findings(self._comparison, None, ticks=self.asks)
            self.drawn = "chart"
        self._frame = self._chart.frame
        self.status = {"kind": "ready", "text": remark}

    def _wait_for(self, other: Contender) -> None:
        """Show the people meanwhile, and hold a place for the model."""
        self._comparison, self.findings = None, []
        one = self._contender(self.a)
        alone = one.kind == "people" and other.kind == "model" and (not self.by or bool(self.group))
        if not alone or self.tab != "answers":
            self._chart = self._frame = None
            self.drawn = "nothing"
            return
        answers = self._pairing.answers(one, self.question, self.by, self.group)
        assert isinstance(answers, Answers)
        self._chart = humans_and_model(answers.shares(), waiting=other.name)
        self._frame = self._chart.frame
        self.view.show(self._chart)
        self.drawn = "chart"

    def _fill(self, found: SurveyDistances) -> None:
        caption = f"{DISTANCE_NAMES[self.distance]}: {self.b} and {self.a.lower()}. In brackets: not beyond noise."
        labels = [question.label for question in found.questions]
        self.grid.show(caption, "Question", found.groups, labels, cells(found, self.distance))

    def _open(self, row: int, column: int) -> None:
        if self.tab == "questions":
            found = self._pairing.table(self._contender(self.a), self._contender(self.b), self.by)
            if found is None:
                return
            self.open_question(found.questions[row].key, found.groups[column] if self.by else "")

    def _reckons(self, done: int, total: int) -> None:
        """Take news from the thread that makes a table."""
        if self.tab != "questions":
            return
        text = f"Comparing… {done} of {total} questions"
        self.status = {"kind": "working", "text": text, "done": done, "total": total, "what": "Questions compared"}

    def _reckoned(self, _key: Hashable, _found: Any) -> None:
        with self.hold_sync():
            self._retry()

    def _retry(self) -> None:
        """Show what has become known."""
        try:
            self._show(self._contender(self.a), self._contender(self.b), patience=0.0)
        except Exception as error:
            self._fail(error)

    def _hear(self, news: Round) -> None:
        """Take news from the thread that asks: traits are set, nothing is printed."""
        with self._lock, self.hold_sync():
            if news.kind == "asking":
                text = f"Asking {self._named(news.model)}… {news.done} of {news.total} questions"
                self.status = {"kind": "working", "text": text, "done": news.done, "total": news.total}
            elif news.kind == "done":
                self._retry()
                if news.failed and self.status["kind"] == "ready":
                    why = next(iter(news.failed.values()))
                    self.status = {"kind": "ready", "text": f"{len(news.failed)} questions were not answered: {why}"}
            elif news.kind == "stopped":
                self.status = {"kind": "stopped", "text": f"Stopped; {self._named(news.model)} has not answered all."}
            elif news.error is not None:
                self._fail(news.error)

    def _fail(self, error: Exception) -> None:
        """Say what went wrong; the panel goes on."""
        self.findings, self.drawn = [], "nothing"
        self.status = {"kind": "error", "text": self._worded(error)}

    def _told(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        """Do what a button asks."""
        wish, kind = content.get("do"), content.get("kind")
        try:
            if wish == "cancel":
                self.cancel()
            elif wish == "again":
                self._refresh()
            elif wish == "code":
                self.send({"code": self.code()})
            elif wish == "export" and kind in FORMATS:
                data = as_bytes(self._drawn_chart(), kind, sections=self._sections())
                name = f"{menus.file_name(self._name or self._survey.name, self.question)}-{self.tab}.{kind}"
                self.send({"file": name, "type": FORMATS[kind]}, [data])
        except Exception as error:
            self.status = {"kind": "error", "text": str(error)}

    def _contender(self, name: str) -> Contender:
        if name not in self._who:
            raise PluralError(f"There is no source {name!r}. {nearest(name, self._who)}")
        return self._who[name]

    def _named(self, model: str) -> str:
        return next((who.name for who in self._who.values() if who.model == model), menus.model_name(model))

    def _first_asked(self) -> str:
        """The first question that neither side was not asked."""
        sides = self._who[self.a], self._who[self.b]
        both = (key for key in self._survey.questions if all(s.kind != "answers" or key in s.answers for s in sides))
        return next(both, next(iter(self._survey.questions)))

    def _label(self, grouped: bool = True) -> str:
        return self._survey.traits[self.by].label if self.by and grouped else ""

    def _tabs(self, one: Contender, other: Contender) -> list[dict[str, str]]:
        lacks = "" if one.kind == "people" and other.kind in ("answers", "model") else (
            "it needs people first, and answers or a model second")  # fmt: skip
        return [{"id": n, "label": label, "lacks": lacks if n == "questions" else ""} for n, label in TABS.items()]

    def _drawn_chart(self) -> Chart:
        if self._chart is None:
            raise PluralError(f"There is no chart: {self.status.get('text') or 'nothing was drawn yet.'}")
        return self._chart

    def _sections(self) -> list[tuple[str, str]]:
        said = "\n".join(f"{f['name']}: {f['value']}. {f['more']}" for f in self.findings)
        methods = self._comparison.report() if self._comparison is not None else ""
        return [("What the numbers say", said), ("Methods", methods), ("The same in plain code", self.code())]

    def _in_words(self) -> str:
        return self._chart.summary if self._chart else f"Two sources compared: {self.title}"
