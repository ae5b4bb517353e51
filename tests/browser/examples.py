"""Charts and panel states for front-end tests, with labels as hostile as a survey file may hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from plural_nb.answers import Answers, Source
from plural_nb.charts import Chart, humans_and_model
from plural_nb.survey.design import Design
from plural_nb.survey.question import Question, ask_for
from plural_nb.widgets.runtime import bundle_version
from plural_nb.widgets.vega_view import _state

HOSTILE = "<img src=x onerror=window.hacked=1>"
TRUST = ask_for(
    "How much of the time do you trust the government in Washington to do what is right?",
    [
        "Just about always, whatever the matter may be and whoever governs",
        "Most of the time",
        "Only some of the time",
        HOSTILE,
    ],
)


def people(counts: list[int], question: Question = TRUST) -> Answers:
    places = [place for place, n in enumerate(counts) for _ in range(n)]
    return Answers.from_places(question, places, source=Source("humans", "A survey of 1996", "weighted"))


def model_row(row: list[float], *, mass: float = 0.97, question: Question = TRUST) -> Answers:
    p = np.array([row])
    spread = np.stack([p[0] * 0.7, np.minimum(p[0] * 1.2, 1)])
    source = Source("model", "plural-demo-base", "F16")
    return Answers(question, p, Design(np.ones(1)), np.ones(1, bool), source, np.array([mass]), spread)


def chart(counts: list[int] | None = None, row: list[float] | None = None, *, mass: float = 0.97) -> Chart:
    return humans_and_model(
        people(counts or [110, 320, 60, 20]).shares(), model_row(row or [0.05, 0.8, 0.1, 0.05], mass=mass).shares()
    )


def view_state(drawn: Chart) -> dict[str, Any]:
    return {**_state(drawn), "vega": bundle_version(), "runtime": "IPY_MODEL_runtime"}


def entry(name: str, facts: str, problem: str = "") -> dict[str, str]:
    return {"id": f"/models/{name}.gguf", "label": name, "facts": facts, "name": name, "problem": problem}


def asked(key: str, label: str, kind: str, asked_of: str = "") -> dict[str, str]:
    return {"key": key, "label": label, "kind": kind, "asked_of": asked_of, "battery": ""}


DISTANCE = (
    "0: the same shares; 1: nothing in common. If the model agreed with people exactly, a sample of 510 would still "
    "show about 0.03 (seldom more than 0.05)."
)
REPLY = {
    "text": "Question: Tea?\nA. Yes\nB. <b>No</b>\nAnswer:",
    "tokens": [1, 22, 333, 4],
    "pieces": ["Question", ": Tea", "?", "\n"],
}


def panel_state(**changes: Any) -> dict[str, Any]:
    """What a panel's traits hold while all is well, with some of them changed."""
    state = {
        "survey": "anes96",
        "model": "/models/plural-demo-base.gguf",
        "question": "trust",
        "population": {},
        "weighted": True,
        "speaks": "itself",
        "mode": "auto",
        "examples": "auto",
        "surveys": [
            {"id": "anes96", "label": "American National Election Study 1996", "facts": "944 people"},
            {"id": "teaching", "label": "The teaching survey", "facts": "9,000 people"},
        ],
        "models": [
            entry("plural-demo-base", "1.0 M · F16 · 2.1 MB · base"),
            entry("plural-demo-tuned", "1.0 M · F16 · 2.1 MB · chat"),
            entry("cut", "0.1 MB · cannot be asked", "it is cut off"),
        ],
        "questions": [
            asked("trust", "Trust in Washington", "ordinal", "people who voted"),
            asked("vote", HOSTILE, "nominal"),
        ],
        "trait_menu": [
            {"key": "age", "label": "Age", "levels": ["18 to 24", "25 to 44", "45 to 64", "65 and over"]},
            {"key": "region", "label": "Region", "levels": ["North", HOSTILE]},
            {"key": "education", "label": "Education", "levels": ["High school", "Some college", "Bachelor's degree"]},
            {"key": "party", "label": "Party identification", "levels": ["Democrat", "Independent", "Republican"]},
        ],
        "view": "IPY_MODEL_view",
        "has_weights": True,
        "count": "All 944 people; effective number (Kish) 902",
        "voice": {"text": "", "left_out": []},
        "status": {"kind": "ready", "text": ""},
        "findings": [
            {"name": "Jensen–Shannon distance (base 2)", "value": "0.23", "more": DISTANCE},
            {"name": "Outside the options", "value": "3%", "more": "3% of the model's probability fell outside."},
        ],
        "notes": ["Standard errors assume simple random sampling.", "Question texts are paraphrased."],
        "seen": {"mode": "completion", "replies": [REPLY, REPLY]},
    }
    return {**state, **changes}
