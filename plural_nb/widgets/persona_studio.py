"""PersonaStudio: the panel where people are told, one is heard beside their real answer, and a sample converges."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from plural_nb.answers import Answers
from plural_nb.charts.chart import Chart
from plural_nb.charts.export import FORMATS, as_bytes
from plural_nb.charts.export import save as save_chart
from plural_nb.charts.voices import people_and_voices
from plural_nb.errors import Cancelled, PluralError, SurveyError
from plural_nb.silicon.model import Model
from plural_nb.survey.survey import Survey
from plural_nb.widgets import front, menus
from plural_nb.widgets.bench import Pause
from plural_nb.widgets.findings import survey_notes
from plural_nb.widgets.persona_sample import PersonaSample
from plural_nb.widgets.persona_traits import READY, StudioTraits
from plural_nb.widgets.persona_views import (
    OWN,
    Setup,
    answers_of_one,
    changed,
    guard,
    recipe,
    sample_findings,
    style_menu,
)

MARGINS = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0)
_TELLING = ("told", "style", "text", "order", "missing", "leak", "beside", "person", "changes")
_CHOICES = ("survey", "model", "question", *_TELLING)
# A pause in typing after which a person is asked; the text itself follows every key.
_QUIET_SECONDS = 0.2
_NO_CHANGE = "The text stays as it was: it does not tell this trait by its level, or the person has this level already."


class PersonaStudio(StudioTraits):
    """Build personas from a survey, hear one beside their real answer, and see a sample converge beside the people.

    survey: a name of `surveys()`, a path or a Survey; "anes96" when None. model: a name of `find_models()`, a path or
    an open Model; the first usable when None. question: key; the first when None. traits: keys told, in this order;
    all that do not give the answer away when None. style: the name of a template, or a text with slots of your own
    ("I am {age}."). beside: a second style, asked alongside. margin: good enough at so many points (±), one of 0 (ask
    everybody), 1, 2, 3, 5, 10.

    Every choice is a trait that can be set from code: `panel.person = 12`, `panel.changes = {"party": "Independent"}`
    (what if?), `panel.leak = "keep"`. `ask()` asks the sample, `cancel()` stops, `wait()` waits. `data` holds the rows
    of the chart, `code()` the cell that rebuilds it, `save("chart.png")` writes it.

    Raises SurveyError when survey, question, traits or style cannot be used; what goes wrong later is said in the
    panel, which stays alive.

    >>> panel = PersonaStudio("anes96", "plural-demo-base", question="vote", traits=["age", "education"])
    >>> panel.texts[0]["text"]
    'I am between 25 and 44 years old. I have a high school diploma.'
    >>> panel.close()
    """

    _esm = front.module("persona_studio")
    _css = front.sheet("explorer", "persona_studio")

    def __init__(
        self, survey: str | os.PathLike[str] | Survey | None = None,
        model: str | os.PathLike[str] | Model | None = None, question: str | None = None,
        traits: Sequence[str] | None = None, style: str = "first_person", *,
        beside: str = "", margin: float = 0.0, **unknown: Any,
    ) -> None:  # fmt: skip
        self._refuse(unknown, ("survey", "model", "question", "traits", "style", "beside", "margin"))
        if margin not in MARGINS:
            raise PluralError(f"margin is one of {', '.join(f'{m:g}' for m in MARGINS)} points, not {margin!r}.")
        self._given: Survey | None = survey if isinstance(survey, Survey) else None
        self._sample = PersonaSample(self._heard, self._asking)
        self._regressions: dict[tuple[str, str, tuple[str, ...]], Answers | str] = {}
        self._asked: tuple[Any, ...] = ()
        self._tokens: dict[tuple[str, str], int] = {}
        self._chart: Chart | None = None
        self._shown: tuple[Any, ...] = ()
        super().__init__(("regression", "person", "sample"))
        with self._silently():
            self.styles = style_menu()
            self.surveys = menus.surveys()
            self.survey = f"given: {survey.name}" if isinstance(survey, Survey) else os.fspath(survey or "anes96")
            self._enter(self._load(self.survey), question, traits)
            self.style, self.text = (OWN, style) if "{" in style else (style, "")
            self.beside, self.margin = beside, margin
            self.model = self._take_model(model)
            for setup in self._setups():
                setup.text_of(self._survey, 0)
        self.observe(self._changed, names=list(_CHOICES))
        self.on_msg(self._told)
        self._refresh()
        self._look_for_models()

    @property
    def chart(self) -> Chart | None:
        """The chart that is shown."""
        return self._chart

    @property
    def data(self) -> pl.DataFrame:
        """The rows of the chart: people, each style's personas, and the regression, with shares and intervals."""
        return self._drawn().frame

    @property
    def answers(self) -> dict[str, Answers]:
        """The sample's answers so far, by style."""
        return {s.style: self._sample.known[s] for s in self._setups() if s in self._sample.known}

    def code(self) -> str:
        """Return a cell of plain Python that rebuilds what is shown."""
        with self._lock:
            survey = menus.survey_expression("" if self._given is not None else self.survey, self._given)
            model = menus.model_expression(self.model, self.models) if self.model else None
            return recipe(survey, model, self._setups(), self._regressed(), self.margin, self.person)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the chart to a .csv, .svg, .png or .html file; the page carries the texts and the code too."""
        return save_chart(self._drawn(), path, sections=self._sections())

    def ask(self) -> None:
        """Ask the sample, people in random order, until the margin of error is small enough."""
        with self._lock:
            setups = [s for s in self._setups() if not self._sample.enough(s, self.margin)]
            if not self.model or not setups:
                known = self._sample.reached(self._setups())
                self.status = {"kind": "ready", "text": known if self.model else "Choose a model to ask."}
                return
            self.status = {"kind": "working", "text": f"Waiting for {self._name()}…"}
            margin = self.margin / 100 or None
            survey = self._survey

            def work(model: Model | None, pause: Pause) -> None:
                assert model is not None
                self._sample.ask(model, survey, setups, margin, pause)
                self._sampled()

            self._bench.want("sample", self.model, work)

    def cancel(self) -> None:
        """Stop asking the sample; what was answered stays on the chart."""
        self._bench.cancel("sample")

    def wait(self, seconds: float = 120.0) -> bool:
        """Wait until nothing is under way; returns whether that came in time."""
        return self._searching.wait(seconds) and self._bench.wait(seconds)

    def close(self) -> None:
        """Close the panel and the models it opened."""
        if hasattr(self, "_bench"):  # the constructor may have raised before
            self._bench.close()
        super().close()

    # From here on: how a choice becomes a text, an answer and a picture.

    def _changed(self, change: dict[str, Any]) -> None:
        with self._lock:
            if self._quiet:
                return
            if change["name"] == "survey":
                try:
                    found = self._load(self.survey)
                except Exception as error:
                    with self._silently():
                        self.survey = change["old"]
                    self._fail(error)
                    return
                with self._silently(), self.hold_sync():
                    self._given = self._given if self.survey.startswith("given: ") else None
                    self._enter(found, None, None)
            elif change["name"] == "question":
                self._bench.cancel("sample")
            elif change["name"] == "person":
                with self._silently():
                    self.changes = {}
                    self.person = int(np.clip(self.person, 0, self._survey.n - 1))
            elif change["name"] == "style" and self.style == OWN and not self.text:
                with self._silently():
                    self.text = " ".join(f"{{{key}:sentence}}" for key in self.told) or "I am {age}."
            self._refresh(typing=change["name"] == "text")

    def _enter(self, survey: Survey, question: str | None, traits: Sequence[str] | None) -> None:
        """Take up a survey: its menus, a question, the traits that do not give it away."""
        if not survey.questions or not survey.traits:
            raise SurveyError(f"{survey.title!r} has no questions or no traits. Add some to its codebook.")
        self._bench.cancel("sample", "person", "regression")
        self._survey = survey
        self.questions, self.trait_menu = menus.questions(survey), menus.traits(survey)
        self.people, self.person, self.changes = survey.n, 0, {}
        self.notes = survey_notes(survey, "")
        self.question = survey.question(question).key if question else next(iter(survey.questions))
        for key in traits or ():
            survey.trait(key)
        if traits is None:
            every = Setup(self.survey, "", self.question, "first_person", "", tuple(survey.traits), "", "", "leave out")
            traits = [key for key in survey.traits if key not in every.out(survey)]
        self.told = list(traits)
        if self.survey not in [entry["id"] for entry in self.surveys]:
            self.surveys = [*self.surveys, menus.survey(self.survey, survey)]

    def _setups(self) -> list[Setup]:
        styles = [self.style, *([self.beside] if self.beside and self.beside != self.style else [])]
        return [Setup.of(self, style) for style in styles]

    def _refresh(self, *, typing: bool = False) -> None:
        with self._lock, self.hold_sync():
            try:
                self._tell(typing=typing)
                self._draw()
            except Exception as error:
                if isinstance(error, PluralError):
                    self.problem = str(error)
                    self._bench.cancel("person")
                else:
                    self._fail(error)

    def _tell(self, *, typing: bool) -> None:
        """Write the person's texts at once, and have them counted and asked."""
        survey, setups, person = self._survey, self._setups(), self.person
        self.guard = guard(survey, setups[0].giveaways(survey), self.leak, survey.question(self.question))
        found = [(setup.name, *setup.text_of(survey, person)) for setup in setups]
        if self.changes:
            other = changed(survey, person, self.changes)
            before = {text for _, text, _ in found}
            new = [(f"{s.name}, changed", *s.text_of(other, person)) for s in setups]
            found += [one for one in new if one[1] not in before]
        self.problem = "" if not self.changes or len(found) > len(setups) else _NO_CHANGE
        idle = self._bench.idle_model(self.model) if self.model else None
        if idle:
            self._count(idle, [text for _, text, _ in found])
        labels = {key: trait.label for key, trait in survey.traits.items()}
        self.texts = [
            {
                "name": name,
                "text": text,
                "tokens": self._tokens.get((self.model, text)),
                "unknown": [labels.get(key, key) for key in unknown],
            }
            for name, text, unknown in found
        ]
        asked = (self.model, self.question, person, tuple((name, text) for name, text, _ in found))
        if asked == self._asked:  # known, or under way
            return
        self._asked = asked
        self.one = answers_of_one(survey, survey.question(self.question), person, [])
        if self.model:
            work = lambda m, pause: self._hear_one(m, asked)  # noqa: E731
            self._bench.want("person", self.model, work, delay=_QUIET_SECONDS if typing else 0.0)

    def _hear_one(self, model: Model | None, asked: tuple[Any, ...]) -> None:
        """Count and ask one person's texts, in the bench's thread."""
        assert model is not None
        _, key, person, texts = asked
        survey = self._survey
        self._count(model, [text for _, text in texts])
        columns = [
            (name, model.ask(survey.question(key), persona=text, progress=False)) for name, text in texts
        ]  # fmt: skip
        with self._lock, self.hold_sync():
            if asked == self._asked:
                self.texts = [{**told, "tokens": self._tokens.get((self.model, told["text"]))} for told in self.texts]
                self.one = answers_of_one(survey, survey.question(key), person, columns)
                if self.status["kind"] == "working" and not self._bench.busy("sample"):
                    self.status = READY

    def _count(self, model: Model, texts: Sequence[str]) -> None:
        new = [text for text in texts if (self.model, text) not in self._tokens]
        if new:
            self._tokens.update(zip([(self.model, text) for text in new], model.count_tokens(new), strict=True))

    def _regressed(self) -> tuple[str, ...]:
        """The traits that the regression knows: those told, but what gives the answer away."""
        setup = self._setups()[0]
        out = setup.out(self._survey)
        return tuple(k for k in setup.keys(self._survey) if k in self._survey.traits and k not in out)

    def _regression(self) -> Answers | None:
        """What the regression expects; fitted in the bench's thread where it is not known yet."""
        key = (self.survey, self.question, self._regressed())
        known = self._regressions.get(key)
        if known is None and key[2]:
            self._bench.want("regression", "", lambda m, pause: self._regress(key, self._survey))
        return known if isinstance(known, Answers) else None

    def _regress(self, key: tuple[str, str, tuple[str, ...]], survey: Survey) -> None:
        from plural_nb.comparison.demographics import demographic_baseline

        found: Answers | str
        try:
            found = demographic_baseline(survey, key[1], list(key[2]))
        except PluralError as error:
            found = str(error)
        with self._lock, self.hold_sync():
            self._regressions[key] = found
            if key[:2] == (self.survey, self.question):
                self._draw()

    def _draw(self, *, quickly: bool = False) -> None:
        """Draw people, what is known of the sample, and the regression; quickly: without the distances."""
        people = self._survey.answers(self.question)
        setups, regression = self._setups(), self._regression()
        heard = tuple((s.style, id(self._sample.known[s])) for s in setups if s in self._sample.known)
        shown = (self.survey, self.question, self.model, heard, self._regressed(), id(regression), quickly)
        if shown == self._shown:  # as while somebody types
            return
        self._shown = shown
        known = {s.name: self._sample.known[s] for s in setups if s in self._sample.known}
        waiting = "" if known or not self.model else f"{self._name()} as personas"
        self._chart = chart = people_and_voices(
            people.shares(), {name: one.shares() for name, one in known.items()},
            baseline=regression.shares() if regression else None, waiting=waiting,
        )  # fmt: skip
        self.view.show(chart)
        if quickly:
            return
        why = self._regressions.get((self.survey, self.question, self._regressed()), "")
        if not self._regressed():
            why = "No trait is told that a regression could use."
        self.findings = sample_findings(people, known, regression, why if isinstance(why, str) else "")

    def _heard(self, setup: Setup) -> None:
        with self._lock, self.hold_sync():
            if setup in self._setups():
                self._draw(quickly=True)

    def _sampled(self, kind: str = "ready", before: str = "") -> None:
        with self._lock, self.hold_sync():
            self._draw()
            self.status = {"kind": kind, "text": before + self._sample.reached(self._setups())}

    def _asking(self, text: str, done: int, total: int) -> None:
        self.status = {"kind": "working", "text": text, "done": done, "total": total}

    def _failed(self, lane: str, error: Exception) -> None:
        """Hear from the bench what went wrong."""
        if lane == "person":
            self._asked = ()
        if isinstance(error, Cancelled):
            if lane == "sample":
                self._sampled("stopped", "Stopped. ")
            return
        self._fail(error)

    def _told(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        """Do what a button asks."""
        wish, kind = content.get("do"), content.get("kind")
        try:
            if wish == "ask":
                self.ask()
            elif wish == "cancel":
                self.cancel()
            elif wish == "random":
                self.person = int(np.random.default_rng().integers(self._survey.n))
            elif wish == "code":
                self.send({"code": self.code()})
            elif wish == "export" and kind in FORMATS:
                data = as_bytes(self._drawn(), kind, sections=self._sections())
                name = f"{menus.file_name(self.survey, self.question)}-personas.{kind}"
                self.send({"file": name, "type": FORMATS[kind]}, [data])
        except Exception as error:
            self._fail(error)

    def _sections(self) -> list[tuple[str, str]]:
        said = "\n".join(f"{f['name']}: {f['value']}. {f['more']}" for f in self.findings)
        texts = "\n\n".join(f"{t['name']}: {t['text']}" for t in self.texts)
        return [("What the numbers say", said), (f"Person {self.person + 1} as told", texts),
                ("The same in plain code", self.code())]  # fmt: skip

    def _drawn(self) -> Chart:
        if self._chart is None:
            raise PluralError(f"There is no chart: {self.problem or self.status.get('text') or 'nothing was drawn'}")
        return self._chart

    def _load(self, name: str) -> Survey:
        from plural_nb.survey.library import load_survey

        given = self._given
        return given if given is not None and name.startswith("given: ") else load_survey(name)

    def _in_words(self) -> str:
        return self._chart.summary if self._chart else "Persona studio"
