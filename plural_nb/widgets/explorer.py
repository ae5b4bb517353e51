"""Explorer: the panel that shows a model against the people of a survey."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import polars as pl
import traitlets
from ipywidgets import widget_serialization

from plural_nb.answers import Answers
from plural_nb.charts.chart import Chart
from plural_nb.charts.export import FORMATS, as_bytes
from plural_nb.charts.export import save as save_chart
from plural_nb.charts.shares import humans_and_model
from plural_nb.comparison.comparison import Comparison, compare
from plural_nb.errors import PluralError, SurveyError
from plural_nb.silicon.gguf import ModelFile
from plural_nb.silicon.model import Model
from plural_nb.silicon.prompt import Mode
from plural_nb.survey.question import Question
from plural_nb.survey.survey import Population, Survey
from plural_nb.widgets import front, menus
from plural_nb.widgets.desk import ModelDesk, News, Request
from plural_nb.widgets.findings import counted, findings, seen, survey_notes
from plural_nb.widgets.panel import Panel
from plural_nb.widgets.recipe import recipe
from plural_nb.widgets.vega_view import VegaView

_CHOICES = ("survey", "model", "question", "population", "weighted", "speaks", "mode", "examples")
_READY = {"kind": "ready", "text": ""}


class Explorer(Panel):
    """The panel: choose a model, a survey, a question and a population, and see the model against the people.

    survey: a name of `surveys()`, a path to a survey file, or a Survey; the first of the library when None.
    model: a name of `find_models()`, a path to a GGUF file, a ModelFile or an open Model; the first usable when None.
    question: key of one of the survey's questions; the first when None.
    population: who is shown, as a Population or {"age": ["18 to 24"]}; everyone when None.
    weighted: whether the survey's weights count.

    Every choice is a trait that can be read and set from code: `panel.question = "vote"`, `panel.population =
    {"region": ["North"]}`, `panel.speaks = "population"`, `panel.mode = "chat"`, `panel.examples = "0"`. `data` holds
    the rows behind the chart, `code()` the cell that rebuilds it, `save("chart.png")` writes it.

    Raises SurveyError when survey, question or population cannot be used. What goes wrong later, and anything about
    the model, is said in the panel, which stays alive.

    >>> panel = Explorer(survey="anes96", question="vote", model="plural-demo-base")  # doctest: +SKIP
    >>> panel.wait()  # doctest: +SKIP
    >>> panel.data.select("who", "option", "share")  # doctest: +SKIP
    """

    _esm = front.module("explorer")
    _css = front.sheet("explorer")

    survey = traitlets.Unicode(help="name or path").tag(sync=True)
    model = traitlets.Unicode(help="name or path; empty for none").tag(sync=True)
    question = traitlets.Unicode(help="key").tag(sync=True)
    population = traitlets.Dict(help="levels picked, by trait").tag(sync=True)
    weighted = traitlets.Bool(True).tag(sync=True)
    speaks = traitlets.Enum(("itself", "population"), "itself", help="who the model speaks as").tag(sync=True)
    mode = traitlets.Enum(("auto", "completion", "chat"), "auto").tag(sync=True)
    examples = traitlets.Enum(("auto", "0", "1", "2", "3"), "auto", help="in-context examples").tag(sync=True)

    surveys: Any = traitlets.List(help="menu of surveys").tag(sync=True)
    models: Any = traitlets.List(help="menu of models").tag(sync=True)
    questions: Any = traitlets.List(help="menu of questions").tag(sync=True)
    trait_menu: Any = traitlets.List(help="traits with their levels").tag(sync=True)

    view = traitlets.Instance(VegaView).tag(sync=True, **widget_serialization)
    has_weights = traitlets.Bool(True).tag(sync=True)
    count = traitlets.Unicode(help="size of the population, in words").tag(sync=True)
    voice = traitlets.Dict(help="what the model is told of itself").tag(sync=True)
    status: Any = traitlets.Dict(_READY).tag(sync=True)
    findings: Any = traitlets.List().tag(sync=True)
    notes: Any = traitlets.List().tag(sync=True)
    seen = traitlets.Dict(help="what the model was sent, exactly").tag(sync=True)

    def __init__(
        self,
        survey: str | os.PathLike[str] | Survey | None = None,
        model: str | os.PathLike[str] | ModelFile | Model | None = None,
        question: str | Question | None = None,
        population: Population | Mapping[str, Sequence[str] | str] | None = None,
        weighted: bool = True,
        **unknown: Any,
    ) -> None:
        self._refuse(unknown, ("survey", "model", "question", "population", "weighted"))
        self._given: dict[str, Survey] = {}
        self._request: Request | None = None
        self._comparison: Comparison | None = None
        self._chart: Chart | None = None
        self._desk = ModelDesk(self._hear)
        self._searching = threading.Event()
        super().__init__(view=VegaView())
        with self._silently():
            self.weighted = weighted
            self.surveys = menus.surveys()
            self.survey = self._take_survey(survey)
            self._enter(self._load(self.survey), question)
            self.population = menus.picks(population)
            self._population().mask(self._survey)
            self.model = self._take_model(model)
        self.observe(self._changed, names=list(_CHOICES))
        self.on_msg(self._told)
        self._refresh()
        threading.Thread(target=self._find_models, name="plural_nb find models", daemon=True).start()

    @property
    def chart(self) -> Chart | None:
        """The chart that is shown."""
        return self._chart

    @property
    def comparison(self) -> Comparison | None:
        """The two sides compared; None while the model has not answered."""
        return self._comparison

    @property
    def data(self) -> pl.DataFrame:
        """The rows behind the chart: one per side and option, with shares, standard errors and intervals."""
        return self._drawn().frame

    def code(self) -> str:
        """Return a cell of plain Python that rebuilds what is shown."""
        with self._lock:
            request = self._request
            return recipe(
                survey=menus.survey_expression(self.survey, self._given.get(self.survey)),
                question=self.question,
                population=self.population,
                weighted=self.weighted,
                model=menus.model_expression(request.model, self.models) if request else None,
                persona=request.persona if request else "",
                mode=request.mode if request else None,
                examples=request.examples if request else None,
            )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write what is shown to a .csv, .svg, .png or .html file; the page carries the prompt and the code too."""
        return save_chart(self._drawn(), path, sections=self._sections())

    def wait(self, seconds: float = 120.0) -> bool:
        """Wait until the model has answered or failed; returns whether it did in time."""
        return self._searching.wait(seconds) and self._desk.wait(seconds)

    def cancel(self) -> None:
        """Stop asking the model."""
        self._desk.cancel()

    def close(self) -> None:
        """Close the panel and the models it opened."""
        if hasattr(self, "_desk"):  # the constructor may have raised before
            self._desk.close()
        super().close()

    # From here on: how a choice becomes a picture.

    def _changed(self, change: dict[str, Any]) -> None:
        with self._lock:
            if self._quiet:
                return
            if change["name"] == "survey":
                self._change_survey(change["old"])
                return
            if change["name"] == "model" and self.model:
                with self._silently():
                    self._settle_model(self.models)
            self._refresh()

    def _change_survey(self, before: str) -> None:
        try:
            survey = self._load(self.survey)
        except Exception as error:
            with self._silently():
                self.survey = before
            self._fail(error)
            return
        with self._silently(), self.hold_sync():
            self._enter(survey, None)
        self._refresh()

    def _enter(self, survey: Survey, question: str | Question | None) -> None:
        """Take up a survey: its menus, a question of it, everyone."""
        if not survey.questions:
            raise SurveyError(f"{survey.title!r} has no questions. Add some to its codebook.")
        self._survey = survey
        wanted = question.key if isinstance(question, Question) else question
        self.questions = menus.questions(survey)
        self.trait_menu = menus.traits(survey)
        self.has_weights = survey.weighted
        self.population = {}
        if wanted is not None:
            self.question = survey.question(wanted).key
        elif self.question not in survey.questions:
            self.question = next(iter(survey.questions))
        if self.survey not in [entry["id"] for entry in self.surveys]:
            self.surveys = [*self.surveys, menus.survey(self.survey, survey)]

    def _refresh(self) -> None:
        """Draw the people at once, and the model as soon as it is known."""
        with self._lock, self.hold_sync():
            try:
                self._draw()
            except Exception as error:
                self._request = self._comparison = self._chart = None
                self._desk.cancel()
                self._fail(error)

    def _draw(self) -> None:
        survey, population = self._survey, self._population()
        self.count = counted(survey.count(population, weighted=self.weighted), survey.n)
        question = survey.question(self.question)
        self.notes = survey_notes(survey, question.wording)
        people = survey.answers(question, population, weighted=self.weighted)
        self._request = request = self._wanted(question, population)
        answers = self._desk.known(request) if request else None
        if request is None or answers is None:
            self._show(people, None, waiting=self._name(request.model) if request else "")
            if request is not None:
                self.status = {"kind": "working", "text": f"Waiting for {self._name(request.model)}…"}
                self._desk.ask(request)
            else:
                self._desk.cancel()
                self.status = {"kind": "ready", "text": "Choose a model to compare with." if not self.model else ""}
            return
        self._desk.drop_others(request)
        self._show(people, answers)
        self.status = _READY

    def _show(self, people: Answers, answers: Answers | None, *, waiting: str = "") -> None:
        if answers is None:
            self._comparison = None
            humans = people.shares()
            chart = humans_and_model(humans, waiting=waiting)
        else:
            self._comparison = comparison = compare(people, answers)
            humans = comparison.a
            chart = humans_and_model(comparison)
            assert self._request is not None
            self.seen = seen(answers, self._desk.mode_of(self._request) or "")
        if answers is None and self.seen:
            self.seen = {}
        self._chart = chart
        self.view.show(chart)
        self.findings = findings(humans, self._comparison)

    def _wanted(self, question: Question, population: Population) -> Request | None:
        """What the model is to be asked; None where none is chosen."""
        persona = ""
        if self.speaks == "population":
            from plural_nb.personas.population import of_population

            persona, left_out = of_population(self._survey, population)
            self.voice = {"text": persona, "left_out": list(left_out)}
        else:
            self.voice = {"text": "", "left_out": []}
        if not self.model:
            return None
        return Request(
            self.model,
            question,
            persona,
            cast("Mode | None", None if self.mode == "auto" else self.mode),
            None if self.examples == "auto" else int(self.examples),
        )

    def _hear(self, news: News) -> None:
        """Take news from the desk's thread: traits are set, nothing is printed."""
        with self._lock:
            if news.request != self._request:
                return
            name = self._name(news.request.model)
            if news.kind == "answered":
                self._refresh()
            elif news.kind == "opening":
                self.status = {"kind": "working", "text": f"Opening {name}…"}
            elif news.kind == "asking":
                of = f" {news.done} of {news.total} prompts" if news.total > 1 else ""
                self.status = {"kind": "working", "text": f"Asking {name}…{of}", "done": news.done, "total": news.total}
            elif news.kind == "cancelled":
                self._show_people_alone()
                self.status = {"kind": "stopped", "text": f"Stopped; {name} has not answered. People are shown alone."}
            elif news.error is not None:
                self._show_people_alone()
                self._fail(news.error)

    def _show_people_alone(self) -> None:
        """Hold no place on the chart for a model that will not answer."""
        question = self._survey.question(self.question)
        self._show(self._survey.answers(question, self._population(), weighted=self.weighted), None)

    def _fail(self, error: Exception) -> None:
        """Say what went wrong; the panel goes on."""
        with self._lock, self.hold_sync():
            self.status = {"kind": "error", "text": self._worded(error), "blank": self._chart is None}
            if self._comparison is None:
                self.seen = {}
            if self._chart is None:
                self.findings = []

    def _told(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        """Do what a button asks."""
        wish = content.get("do")
        try:
            if wish == "cancel":
                self._desk.cancel()
            elif wish == "again":
                self._refresh()
            elif wish == "code":
                self.send({"code": self.code()})
            elif wish == "export" and content.get("kind") in FORMATS:
                kind = content["kind"]
                data = as_bytes(self._drawn(), kind, sections=self._sections())
                self.send(
                    {"file": f"{menus.file_name(self.survey, self.question)}.{kind}", "type": FORMATS[kind]}, [data]
                )
        except Exception as error:
            self._fail(error)

    def _find_models(self) -> None:
        try:
            found = menus.models()
            with self._lock:
                if self.comm is None:  # closed meanwhile
                    return
                before = self.model
                with self._silently():
                    self._settle_model(found)
                if self.model != before:
                    self._refresh()
        except Exception as error:
            self._fail(error)
        finally:
            self._searching.set()

    def _settle_model(self, found: list[dict[str, Any]]) -> None:
        """Have the chosen model in the menu, under the path it was found at."""
        if not self._desk.has_lent(self.model):
            self.model = menus.resolve_model(self.model, found)
        self.models = menus.with_model(found, self.model)

    def _take_survey(self, survey: str | os.PathLike[str] | Survey | None) -> str:
        if isinstance(survey, Survey):
            name = f"given: {survey.name}"
            self._given[name] = survey
            return name
        if survey is None:
            if not self.surveys:
                raise SurveyError("There is no survey in the library. Give the path of one.")
            return str(self.surveys[0]["id"])
        return os.fspath(survey)

    def _load(self, name: str) -> Survey:
        from plural_nb.survey.library import load_survey

        return self._given[name] if name in self._given else load_survey(name)

    def _take_model(self, model: str | os.PathLike[str] | ModelFile | Model | None) -> str:
        if isinstance(model, Model):
            name = str(model.file.path)
            self._desk.lend(name, model)
            return name
        if model is None:
            return ""
        return str(model.path) if isinstance(model, ModelFile) else os.fspath(model)

    def _name(self, model: str) -> str:
        return next((str(entry["name"]) for entry in self.models if entry["id"] == model), menus.model_name(model))

    def _population(self) -> Population:
        return Population({trait: levels for trait, levels in self.population.items() if levels})

    def _drawn(self) -> Chart:
        if self._chart is None:
            raise PluralError(f"There is no chart: {self.status.get('text') or 'nothing was drawn yet.'}")
        return self._chart

    def _sections(self) -> list[tuple[str, str]]:
        said = "\n".join(f"{f['name']}: {f['value']}. {f['more']}" for f in self.findings)
        sent = "\n\n".join(reply["text"] for reply in self.seen.get("replies", [])[:1])
        mode = self.seen.get("mode")
        return [
            ("What the numbers say", said),
            ("About the survey", "\n".join(self.notes)),
            (f"What the model saw, exactly ({mode})", sent),
            ("The same in plain code", self.code()),
        ]

    def _in_words(self) -> str:
        text = self._comparison.sentence() if self._comparison else ""
        return "\n".join(filter(None, [self._chart.summary if self._chart else "", text]))
