"""SurveyBrowser: the panel that shows what a survey holds, question by question."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import traitlets
from ipywidgets import widget_serialization

from plural_nb.charts.chart import Chart
from plural_nb.charts.export import FORMATS, as_bytes
from plural_nb.charts.export import save as save_chart
from plural_nb.errors import PluralError, SurveyError
from plural_nb.survey.searching import QuestionIndex
from plural_nb.survey.survey import Population, Survey
from plural_nb.survey.times import times_of
from plural_nb.survey.trend import MEAN
from plural_nb.widgets import front, menus, survey_findings
from plural_nb.widgets.browse_recipe import Shown, browse_recipe
from plural_nb.widgets.browse_views import EVERY, TABS, Choice, View, view_of
from plural_nb.widgets.findings import counted
from plural_nb.widgets.panel import Panel
from plural_nb.widgets.vega_view import VegaView

_CHOICES = ("question", "population", "weighted", "by", "answer", "tab")
_READY = {"kind": "ready", "text": ""}
_MOST_HITS = 60


class SurveyBrowser(Panel):
    """The panel that `survey.browse()` returns: search a question, see its shares, its trend, the weights, the checks.

    survey: a Survey, a name of `surveys()`, or a path to a survey file.
    question: key of the question to begin with; the first when None.
    by: key of the trait to break down by; nobody is broken down when None.
    population: who is shown, as a Population or {"age": ["18 to 24"]}; everyone when None.
    weighted: whether the survey's weights count.
    over: the trait or column of years or waves; found by itself when None (see `plural_nb.survey.times.times_of`).

    Every choice is a trait that can be read and set from code: `panel.words = "trust"` searches, `panel.question =
    "toll"`, `panel.by = "region"`, `panel.answer = "Yes"` shows one answer (and "(mean)" the mean of a numeric
    question), `panel.tab = "trend"` (shares, trend, weights, checks, about). `data` holds the rows of what is shown,
    `code()` the cell that rebuilds it, `save("chart.png")` writes it.

    Raises SurveyError when survey, question, trait or population cannot be used; what goes wrong later is said in the
    panel, which stays alive.

    >>> from plural_nb.survey.library import load_survey
    >>> panel = SurveyBrowser(load_survey("teaching"), question="toll", by="settlement")
    >>> panel.data.select("group", "option", "n").head(1).rows()
    [('City', 'Yes, abolish the toll', 2617)]
    """

    _esm = front.module("survey_browser")
    # The same look as the other panel: its sheet, and what only this one has.
    _css = front.sheet("explorer", "survey_browser")

    words = traitlets.Unicode(help="what is searched for").tag(sync=True)
    question = traitlets.Unicode(help="key").tag(sync=True)
    population = traitlets.Dict(help="levels picked, by trait").tag(sync=True)
    weighted = traitlets.Bool(True).tag(sync=True)
    by = traitlets.Unicode(help="trait to break down by; empty for everyone").tag(sync=True)
    answer = traitlets.Unicode(help="the one answer shown; empty for all").tag(sync=True)
    tab = traitlets.Enum(tuple(TABS), "shares").tag(sync=True)

    title = traitlets.Unicode(help="the survey's").tag(sync=True)
    found = traitlets.Dict(help="what the search found: words, said, rows").tag(sync=True)
    chosen = traitlets.Dict(help="the chosen question: key, label, text, facts").tag(sync=True)
    trait_menu: Any = traitlets.List(help="traits with their levels").tag(sync=True)
    answer_menu: Any = traitlets.List(help="answers that can be shown alone").tag(sync=True)
    tabs: Any = traitlets.List(help="id, label and, where one cannot be used, why").tag(sync=True)

    view = traitlets.Instance(VegaView).tag(sync=True, **widget_serialization)
    has_weights = traitlets.Bool(True).tag(sync=True)
    count = traitlets.Unicode(help="size of the population, in words").tag(sync=True)
    status: Any = traitlets.Dict(_READY).tag(sync=True)
    findings: Any = traitlets.List().tag(sync=True)
    drawn = traitlets.Bool(True, help="whether the tab has a chart").tag(sync=True)

    def __init__(
        self,
        survey: Survey | str | os.PathLike[str],
        *,
        question: str | None = None,
        by: str | None = None,
        population: Population | Mapping[str, Sequence[str] | str] | None = None,
        weighted: bool = True,
        over: str | None = None,
        **unknown: Any,
    ) -> None:
        self._refuse(unknown, ("survey", "question", "by", "population", "weighted", "over"))
        self._shown: View | None = None
        self._survey, self._name = _taken(survey)
        if not self._survey.questions:
            raise SurveyError(f"{self._survey.title!r} has no questions. Add some to its codebook.")
        self._times = times_of(self._survey, over)
        self._index = QuestionIndex(self._survey)
        super().__init__(view=VegaView())
        with self._silently():
            self.title = self._survey.title
            self.trait_menu = menus.traits(self._survey)
            self.has_weights = self._survey.weighted
            self.tabs = self._tabs()
            self.weighted = weighted
            self.question = self._survey.question(question).key if question else next(iter(self._survey.questions))
            self.by = self._survey.trait(by).key if by else EVERY
            self.population = menus.picks(population)
            self._people().mask(self._survey)
        self.observe(self._changed, names=list(_CHOICES))
        self.observe(self._search, names="words")
        self.on_msg(self._told)
        self._search()
        self._refresh()

    @property
    def chart(self) -> Chart | None:
        """The chart that is shown; None on a tab without one."""
        return self._shown.chart if self._shown else None

    @property
    def data(self) -> pl.DataFrame:
        """The rows of what is shown, unrounded: shares or means by group, the trend, the weights' bins, the checks."""
        return self._view().frame

    def code(self) -> str:
        """Return a cell of plain Python that rebuilds what is shown."""
        with self._lock:
            return browse_recipe(
                Shown(
                    tab=self.tab,
                    survey=self._expression(),
                    question=self.question,
                    population=self.population,
                    weighted=self.weighted,
                    by=self._choice().by,
                    by_label=self._survey.traits[self.by].label if self.by else "",
                    answer=self.answer,
                    over=self._times.key if self._times else "",
                )
            )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write what is shown to a .csv, .svg, .png or .html file; the page carries the notes and the code too.

        The checks and the notes have no picture: they are saved as .csv.
        """
        file = Path(path).expanduser()
        if self.chart is not None:
            return save_chart(self.chart, file, sections=self._sections())
        if file.suffix.lower() != ".csv":
            raise PluralError(f"The tab {TABS[self.tab]!r} has no picture to save in {file.name}; save it as .csv.")
        file.write_bytes(self.data.write_csv().encode("utf-8"))
        return file

    # From here on: how a choice becomes a picture.

    def _changed(self, change: dict[str, Any]) -> None:
        with self._lock:
            if not self._quiet:
                self._refresh()

    def _search(self, change: Any = None) -> None:
        with self._lock:
            hits = self._index.search(self.words)
            total, shown = len(self._survey.questions), hits[:_MOST_HITS]
            many = "question" if total == 1 else "questions"
            said = f"{len(hits):,} of {total:,} {many}" if self.words.strip() else f"{total:,} {many}"
            if not hits:
                said = f"No question of {total:,} has all of these words. Try fewer, or the beginning of a word."
            elif len(hits) > len(shown):
                said += f"; the first {len(shown)} are listed"
            rows = [{"key": h.key, "label": h.label, "text": h.text, "option": h.option} for h in shown]
            self.found = {"words": self.words, "said": said, "rows": rows}

    def _refresh(self) -> None:
        with self._lock, self.hold_sync():
            try:
                self._draw()
            except Exception as error:
                self._shown = None
                self._fail(error)

    def _draw(self) -> None:
        survey, population = self._survey, self._people()
        asked = survey.question(self.question)
        if self.by:
            survey.trait(self.by)
        with self._silently():
            self.chosen = {"key": asked.key, "label": asked.label, "text": asked.text, "facts": _facts(asked)}
            self.answer_menu = _answers(asked)
            if self.answer not in [entry["id"] for entry in self.answer_menu]:
                self.answer = EVERY
        self.count = counted(survey.count(population, weighted=self.weighted), survey.n)
        self._shown = shown = view_of(survey, self._choice(), self._times)
        if shown.chart is not None:
            self.view.show(shown.chart)
        self.drawn = shown.chart is not None
        self.findings = list(shown.findings)
        self.status = {"kind": "ready", "text": shown.remark}

    def _choice(self) -> Choice:
        by = self.by
        # Over the years, a breakdown by the years themselves is no breakdown.
        if self.tab == "trend" and self._times is not None and by == self._times.key:
            by = EVERY
        return Choice(self.tab, self.question, self._people(), self.weighted, by, self.answer)

    def _expression(self) -> str:
        """The Python that gets this very survey; empty for one that was changed since it was loaded."""
        if self._name:
            return menus.survey_expression(self._name, None)
        from plural_nb.survey.library import load_survey

        found = menus.survey_expression("", self._survey)
        loaded = found.startswith("pnb.load_survey") and load_survey(self._survey.name) is not self._survey
        return "" if loaded else found

    def _tabs(self) -> list[dict[str, str]]:
        lacking = {"trend": "" if self._times else "this survey has no years or waves"}
        return [{"id": name, "label": label, "lacks": lacking.get(name, "")} for name, label in TABS.items()]

    def _people(self) -> Population:
        return Population({trait: levels for trait, levels in self.population.items() if levels})

    def _fail(self, error: Exception) -> None:
        """Say what went wrong; the panel goes on."""
        self.findings = []
        self.drawn = False
        self.status = {"kind": "error", "text": self._worded(error)}

    def _told(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        """Do what a button asks."""
        wish, kind = content.get("do"), content.get("kind")
        try:
            if wish == "code":
                self.send({"code": self.code()})
            elif wish == "export" and kind in FORMATS:
                shown = self._view()
                if shown.chart is not None:
                    data = as_bytes(shown.chart, kind, sections=self._sections())
                elif kind == "csv":
                    data = shown.frame.write_csv().encode("utf-8")
                else:
                    raise PluralError(f"The tab {TABS[self.tab]!r} has no picture; save it as CSV.")
                name = f"{menus.file_name(self._name or self._survey.name, self.question)}-{self.tab}.{kind}"
                self.send({"file": name, "type": FORMATS[kind]}, [data])
        except Exception as error:
            self.status = {"kind": "error", "text": str(error)}

    def _view(self) -> View:
        if self._shown is None:
            raise PluralError(f"Nothing is shown: {self.status.get('text') or 'nothing was drawn yet.'}")
        return self._shown

    def _sections(self) -> list[tuple[str, str]]:
        said = "\n".join(f"{f['name']}: {f['value']} {f['more']}" for f in self.findings)
        notes = "\n".join(f"{f['name']}: {f['more']}" for f in survey_findings.about(self._survey))
        return [
            ("What the numbers say", said),
            ("About the survey", notes),
            ("The same in plain code", self.code()),
        ]

    def _in_words(self) -> str:
        return self.chart.summary if self.chart else f"Survey browser: {self.title}"


def _taken(survey: Survey | str | os.PathLike[str]) -> tuple[Survey, str]:
    """The survey, and the name or path it was given by; no name for a Survey."""
    if isinstance(survey, Survey):
        return survey, ""
    from plural_nb.survey.library import load_survey

    return load_survey(os.fspath(survey)), os.fspath(survey)


def _facts(asked: Any) -> str:
    kinds = {"nominal": "options without an order", "ordinal": "options in order", "numeric": "numbers"}
    facts = [f"{asked.kind}: {kinds[asked.kind]}"]
    facts += [f"part of {asked.battery}"] if asked.battery else []
    facts += [f"asked of {asked.asked_of}"] if asked.asked_of else []
    return "; ".join(facts)


def _answers(asked: Any) -> list[dict[str, str]]:
    options = [asked.options[i].label for i in asked.substantive]
    mean = [{"id": MEAN, "label": "The mean of the numbers"}] if asked.kind == "numeric" else []
    every = "All answers, in bins" if mean else "All answers"
    return [{"id": EVERY, "label": every}, *mean, *({"id": label, "label": label} for label in options)]
