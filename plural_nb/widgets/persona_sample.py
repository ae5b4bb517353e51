"""The studio's sample: everybody told so, asked in random order until the margin of error is small enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from plural_nb.answers import Answers
from plural_nb.silicon.model import Model
from plural_nb.silicon.rounds import margin_of_error
from plural_nb.survey.survey import Survey
from plural_nb.widgets.bench import Pause
from plural_nb.widgets.persona_views import Setup

_BETWEEN_REPORTS = 1 / 15


class PersonaSample:
    """The answers of samples so far, by how they were told and asked.

    heard: called with a setup whose answers have grown. asking: with words, prompts done and in all, at most 15 times
    a second. Both are called from the thread that asks.
    """

    def __init__(self, heard: Callable[[Setup], None], asking: Callable[[str, int, int], None]) -> None:
        self.known: dict[Setup, Answers] = {}
        self._heard = heard
        self._asking = asking

    def enough(self, setup: Setup, margin: float) -> bool:
        """Whether everybody was asked, or the margin of error is at most so many points."""
        answers = self.known.get(setup)
        if answers is None:
            return False
        return bool(answers.domain.all()) or (margin > 0 and margin_of_error(answers) <= margin / 100)

    def reached(self, setups: Sequence[Setup]) -> str:
        """How many were asked in each style, and the margin of error, in words."""
        said = []
        for setup in setups:
            if (answers := self.known.get(setup)) is not None:
                reached = 100 * margin_of_error(answers)
                n = f"{int(answers.domain.sum()):,} of {answers.design.n:,} people"
                said.append(f"{setup.name}: {n}, ±{reached:.1f} points at most")
        return "; ".join(said) + "." if said else ""

    def ask(self, model: Model, survey: Survey, setups: Sequence[Setup], margin: float | None, pause: Pause) -> None:
        """Ask each style's sample, round after round, with a pause behind each; margin: a share, None for everybody.

        Raises Cancelled where the pause does; what was answered stays known.
        """
        for setup in setups:
            last = 0.0

            def report(done: int, total: int, setup: Setup = setup) -> None:
                nonlocal last
                if time.monotonic() - last >= _BETWEEN_REPORTS:
                    last = time.monotonic()
                    so_far = self.known.get(setup)
                    reached = "" if so_far is None else f"; now ±{100 * margin_of_error(so_far):.1f} points"
                    self._asking(f"Asking {setup.name}: {done:,} of {total:,} prompts{reached}", done, total)

            def hear(answers: Answers, setup: Setup = setup) -> None:
                self.known[setup] = answers
                self._heard(setup)
                pause()

            model.ask(
                survey.question(setup.question), people=setup.personas(survey), until_margin=margin,
                on_answers=hear, on_progress=report,
            )  # fmt: skip
