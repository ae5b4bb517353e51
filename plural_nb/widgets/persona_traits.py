"""The choices of the persona studio and what it shows, as traits, and the bench where its models are asked."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

import traitlets
from ipywidgets import widget_serialization

from plural_nb.silicon.model import Model
from plural_nb.widgets import menus
from plural_nb.widgets.bench import Bench
from plural_nb.widgets.panel import Panel
from plural_nb.widgets.vega_view import VegaView

READY = {"kind": "ready", "text": ""}


class StudioTraits(Panel):
    """See `plural_nb.widgets.persona_studio.PersonaStudio`; the first group is chosen, the rest is shown."""

    survey = traitlets.Unicode(help="name or path").tag(sync=True)
    model = traitlets.Unicode(help="name or path; empty for none").tag(sync=True)
    question = traitlets.Unicode(help="key").tag(sync=True)
    told: Any = traitlets.List(traitlets.Unicode(), help="keys of the traits told, in order").tag(sync=True)
    style = traitlets.Unicode("first_person", help="a template's name, or own").tag(sync=True)
    text = traitlets.Unicode(help="the own template").tag(sync=True)
    order = traitlets.Enum(("fixed", "shuffled", "coarse"), "fixed").tag(sync=True)
    missing = traitlets.Enum(("leave out", "say"), "leave out").tag(sync=True)
    leak = traitlets.Enum(("leave out", "keep"), "leave out").tag(sync=True)
    beside = traitlets.Unicode(help="a second style; empty for none").tag(sync=True)
    person = traitlets.Int(0, help="row, from 0").tag(sync=True)
    changes = traitlets.Dict(help="what if: levels of this person, by trait").tag(sync=True)
    margin = traitlets.Float(0.0, help="good enough at so many points; 0 asks everybody").tag(sync=True)

    surveys: Any = traitlets.List(help="menu of surveys").tag(sync=True)
    models: Any = traitlets.List(help="menu of models").tag(sync=True)
    questions: Any = traitlets.List(help="menu of questions").tag(sync=True)
    trait_menu: Any = traitlets.List(help="traits with their levels").tag(sync=True)
    styles: Any = traitlets.List(help="menu of styles").tag(sync=True)

    guard = traitlets.Dict(help="what gives the answer away").tag(sync=True)
    texts: Any = traitlets.List(help="the person's texts: name, text, tokens, unknown").tag(sync=True)
    problem = traitlets.Unicode(help="what is wrong with the text").tag(sync=True)
    people = traitlets.Int(0, help="how many there are").tag(sync=True)
    one = traitlets.Dict(help="the person's answer beside the real one").tag(sync=True)
    view = traitlets.Instance(VegaView).tag(sync=True, **widget_serialization)
    status: Any = traitlets.Dict(READY).tag(sync=True)
    findings: Any = traitlets.List().tag(sync=True)
    notes: Any = traitlets.List().tag(sync=True)

    def __init__(self, lanes: Sequence[str]) -> None:
        self._searching = threading.Event()
        self._bench = Bench(lanes, self._failed, self._opening)
        super().__init__(view=VegaView())

    def _refresh(self, *, typing: bool = False) -> None:
        raise NotImplementedError

    def _failed(self, lane: str, error: Exception) -> None:
        raise NotImplementedError

    def _fail(self, error: Exception) -> None:
        self.status = {"kind": "error", "text": self._worded(error)}

    def _look_for_models(self) -> None:
        threading.Thread(target=self._find_models, name="plural_nb find models", daemon=True).start()

    def _find_models(self) -> None:
        try:
            found = menus.models()
            with self._lock:
                if self.comm is None:  # closed meanwhile
                    return
                with self._silently():
                    if not self._bench.has_lent(self.model):
                        self.model = menus.resolve_model(self.model, found)
                    self.models = menus.with_model(found, self.model)
                self._refresh()
        except Exception as error:
            self._failed("models", error)
        finally:
            self._searching.set()

    def _take_model(self, model: str | os.PathLike[str] | Model | None) -> str:
        if isinstance(model, Model):
            name = str(model.file.path)
            self._bench.lend(name, model)
            return name
        return "" if model is None else os.fspath(model)

    def _name(self) -> str:
        return next((str(e["name"]) for e in self.models if e["id"] == self.model), menus.model_name(self.model))

    def _opening(self, name: str) -> None:
        self.status = {"kind": "working", "text": f"Opening {self._name()}…"}
