"""What this machine does with a model: answers per second, the time a study would take, memory, a suggestion."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from plural_nb.silicon.model import Model
from plural_nb.survey.question import ask_for

_QUESTIONS = (
    ask_for("How much do you trust the courts?", ["A lot", "Some", "A little", "Not at all"], key="courts"),
    ask_for("Should taxes rise, fall or stay as they are?", ["Rise", "Fall", "Stay"], key="taxes"),
)
_TRADES = ("baker", "teacher", "driver", "nurse", "farmer", "clerk", "cook", "painter")


@dataclass(frozen=True, slots=True)
class Pace:
    """How quick a model is here.

    prompts: how many were asked to find out, each once, none from the store. answers_per_second: of these.
    study_seconds: at that rate, 1,000 personas × 20 questions. worker_mb: resident memory of the model's process,
    None where this system does not tell. threads, context: settings in use. suggestion: what to try; "" for nothing.
    """

    prompts: int
    answers_per_second: float
    study_seconds: float
    worker_mb: float | None
    threads: int
    context: int
    suggestion: str


def pace(model: Model, *, seconds: float = 10.0) -> Pace:
    """Ask a model backstories of 40 words until `seconds` have passed, and say how quick it was.

    Answers are kept in a store of their own that is thrown away. Raises what `Model.ask` raises.
    """
    asked = 0
    with tempfile.TemporaryDirectory() as folder, model.remembering_in(Path(folder) / "answers.sqlite"):
        begin = time.perf_counter()
        model.ask(_QUESTIONS[0], persona="", examples=0, progress=False)  # the first decode also makes the context
        begin = time.perf_counter()
        while (took := time.perf_counter() - begin) < seconds or not asked:
            crowd = [_backstory(asked + i) for i in range(8)]
            for question in _QUESTIONS:
                asked += len(model.ask(question, persona=crowd, examples=0, progress=False).replies)
    rate = asked / took
    return Pace(
        asked, rate, 20_000 / rate, model.worker_mb, model.settings.threads, model.details["context"], _suggest(rate)
    )


def _backstory(i: int) -> str:
    trade = _TRADES[i % len(_TRADES)]
    return (
        f"I am {20 + i % 60} years old and work as a {trade}. I live in a town of {1000 + 37 * i} people with my "
        "family, and I follow the news in the evening. I voted in the last election and talk about it with friends."
    )


def _suggest(rate: float) -> str:
    if rate >= 10:
        return ""
    return (
        "Ask fewer personas first: the margin of error falls with the square root of their number. A smaller model or "
        "a 4-bit file of the same model is quicker."
    )
