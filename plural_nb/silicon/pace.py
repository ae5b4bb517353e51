"""What this machine does with a model: answers per second, the time a study would take, memory, a suggestion."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from plural_nb.silicon.model import Model
from plural_nb.silicon.settings import cores
from plural_nb.survey.question import ask_for

_QUESTIONS = (
    ask_for("How much do you trust the courts?", ["A lot", "Some", "A little", "Not at all"], key="courts"),
    ask_for("Should taxes rise, fall or stay as they are?", ["Rise", "Fall", "Stay"], key="taxes"),
)
_WORTH_SAYING = 1.1  # times as quick; less may be the weather
_SLOW = 10.0  # answers per second
_TRADES = ("baker", "teacher", "driver", "nurse", "farmer", "clerk", "cook", "painter")


@dataclass(frozen=True, slots=True)
class Pace:
    """How quick a model is here.

    prompts: how many were asked to find out, each once, none from the store. answers_per_second: of these.
    study_seconds: at that rate, 1,000 personas × 20 questions. worker_mb: resident memory of the model's process,
    None where this system does not tell. threads, context: settings in use. by_threads: answers per second with other
    numbers of threads, and with these. suggestion: what to try; "" for nothing.
    """

    prompts: int
    answers_per_second: float
    study_seconds: float
    worker_mb: float | None
    threads: int
    context: int
    by_threads: dict[int, float]
    suggestion: str


def pace(model: Model, *, seconds: float = 10.0) -> Pace:
    """Ask a model backstories of 40 words for about `seconds`, say how quick it was, and whether other settings help.

    Half of the time goes to the settings in use, half to other numbers of threads. Answers are kept in a store of
    their own that is thrown away. Raises what `Model.ask` raises.
    """
    used = model.settings.threads
    asked, rate = _rate(model, seconds / 2)
    rates = {used: rate}
    others = sorted({1, max(1, cores() // 2), cores()} - {used})
    for threads in others:
        with Model(model.file, replace(model.settings, threads=threads)) as other:
            rates[threads] = _rate(other, seconds / 2 / len(others))[1]
    return Pace(
        asked,
        rate,
        20_000 / rate,
        model.worker_mb,
        used,
        model.details["context"],
        dict(sorted(rates.items())),
        suggestion(rates, used),
    )


def suggestion(rates: Mapping[int, float], used: int) -> str:
    """What to try, given answers per second by number of threads.

    >>> suggestion({1: 30.0, 2: 42.0}, used=1)
    'With 2 threads it is 1.4 times as quick: open_model(…, threads=2).'
    >>> suggestion({1: 30.0, 2: 31.0}, used=1)
    ''
    """
    best = max(rates, key=lambda threads: rates[threads])
    told = []
    if rates[best] > _WORTH_SAYING * rates[used]:
        times = rates[best] / rates[used]
        told.append(
            f"With {best} thread{'' if best == 1 else 's'} it is {times:.1f} times as quick: "
            f"open_model(…, threads={best})."
        )
    if rates[best] < _SLOW:
        told.append(
            "Ask fewer personas first: the margin of error falls with the square root of their number, and "
            "ask(…, until_margin=0.03) stops when it is small enough. A smaller model or a 4-bit file of the same "
            "model is quicker."
        )
    return " ".join(told)


def _rate(model: Model, seconds: float) -> tuple[int, float]:
    """How many prompts were asked, and how many per second."""
    asked = 0
    with tempfile.TemporaryDirectory() as folder, model.remembering_in(Path(folder) / "answers.sqlite"):
        model.ask(_QUESTIONS[0], persona="", examples=0, progress=False)  # the first decode also makes the context
        begin = time.perf_counter()
        while (took := time.perf_counter() - begin) < seconds or not asked:
            crowd = [_backstory(asked + i) for i in range(8)]
            for question in _QUESTIONS:
                asked += len(model.ask(question, persona=crowd, examples=0, progress=False).replies)
    return asked, asked / took


def _backstory(i: int) -> str:
    trade = _TRADES[i % len(_TRADES)]
    return (
        f"I am {20 + i % 60} years old and work as a {trade}. I live in a town of {1000 + 37 * i} people with my "
        "family, and I follow the news in the evening. I voted in the last election and talk about it with friends."
    )
