"""What can be chosen in the panel, as menus for the browser, and choices as Python expressions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plural_nb.errors import PluralError, SurveyError
from plural_nb.resources import data
from plural_nb.silicon.gguf import ModelFile, read_model_file
from plural_nb.survey.survey import Population, Survey

Entry = dict[str, Any]


def surveys() -> list[Entry]:
    """Return the library's surveys: id, label, facts."""
    from plural_nb.survey.library import surveys as library

    return [{"id": entry.name, "label": entry.title, "facts": f"{entry.rows:,} people"} for entry in library()]


def survey(choice: str, taken: Survey) -> Entry:
    """Return the menu entry of a survey that is not of the library."""
    return {"id": choice, "label": taken.title, "facts": f"{taken.n:,} people"}


def questions(survey: Survey) -> list[Entry]:
    """Return a survey's questions: key, label, kind, who was asked, battery."""
    return [
        {"key": q.key, "label": q.label, "kind": q.kind, "asked_of": q.asked_of, "battery": q.battery}
        for q in survey.questions.values()
    ]


def traits(survey: Survey) -> list[Entry]:
    """Return a survey's traits with the labels of their levels."""
    return [{"key": t.key, "label": t.label, "levels": list(t.labels)} for t in survey.traits.values()]


def models() -> list[Entry]:
    """Return the models on this machine: id (the path), label (its name), facts (size and so on), name, problem."""
    from plural_nb.silicon.finding import find_models

    return [_entry(file) for file in find_models()]


def resolve_model(choice: str, found: Sequence[Entry]) -> str:
    """Return the id of a model named by path, name or label; the first usable for "", `choice` itself if unknown."""
    if not choice:
        return next((str(entry["id"]) for entry in found if not entry["problem"]), "")
    for entry in found:
        if choice in (entry["id"], entry["name"], entry["label"]):
            return str(entry["id"])
    path = Path(choice).expanduser()
    if path.is_file():
        for entry in found:
            if Path(entry["id"]).exists() and path.samefile(entry["id"]):
                return str(entry["id"])
    return choice


def with_model(found: Sequence[Entry], choice: str) -> list[Entry]:
    """Return the menu with the chosen model in it, also where it was not found by searching."""
    if not choice or any(entry["id"] == choice for entry in found):
        return list(found)
    try:
        own = _entry(read_model_file(choice))
    except PluralError:
        # What is wrong with it is said when it is opened.
        own = {"id": choice, "label": model_name(choice), "facts": "", "name": model_name(choice), "problem": ""}
    # Chosen by hand it can be chosen again, whatever is the matter with it.
    return [*found, {**own, "id": choice, "problem": ""}]


def model_name(choice: str) -> str:
    """What to call a model named by its path.

    >>> model_name("/models/qwen2-0.5b.gguf")
    'qwen2-0.5b'
    """
    return Path(choice).stem if choice.lower().endswith(".gguf") else choice


def model_expression(choice: str, found: Sequence[Entry]) -> str:
    """Return what `open_model` is given in code: the name of a demo model, else its path."""
    demo = data("models")
    for entry in found:
        if entry["id"] == choice and Path(choice).parent == demo:
            return repr(entry["name"])
    return repr(choice)


def survey_expression(choice: str, given: Survey | None) -> str:
    """Return the Python that gets a survey: from the library, from its file, or the notebook's own variable.

    Empty for a survey made in code that no variable of the notebook holds: only its maker knows how to get it.
    """
    from plural_nb.survey.library import surveys as library

    known = {entry.name for entry in library()}
    if given is not None:
        return _variable(given) or (f"pnb.load_survey({given.name!r})" if given.name in known else "")
    return f"pnb.load_survey({choice!r})" if choice in known else f"pnb.read_survey({choice!r})"


def picks(population: Population | Mapping[str, Sequence[str] | str] | None) -> dict[str, list[str]]:
    """Return a population as plain lists of levels by trait; SurveyError for something else."""
    if population is None:
        return {}
    if not isinstance(population, Population):
        if not isinstance(population, Mapping):
            raise SurveyError(f"A population is picked as {{trait: [levels]}}, not as {type(population).__name__}.")
        population = Population(population)
    return {trait: list(levels) for trait, levels in population.picks}


def file_name(survey: str, question: str) -> str:
    """Return a name for exported files, without an ending.

    >>> file_name("data/class.csv", "exams")
    'class-exams'
    """
    return re.sub(r"[^\w-]+", "-", f"{Path(survey).stem}-{question}").strip("-") or "chart"


def _entry(file: ModelFile) -> Entry:
    label, _, facts = file.label.partition(" · ")
    return {"id": str(file.path), "label": label, "facts": facts, "name": file.name, "problem": file.problem}


def _variable(survey: Survey) -> str:
    """Name of the notebook's variable that holds this survey, if any."""
    try:
        from IPython import get_ipython
    except ImportError:
        return ""
    shell = get_ipython()
    names = shell.user_ns.items() if shell is not None else ()
    return next((name for name, value in names if value is survey and not name.startswith("_")), "")
