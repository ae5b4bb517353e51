"""People asked in random order, round after round: their shares converge, and asking ends at a margin of error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from plural_nb.answers import Answers, Bools, Source
from plural_nb.errors import ModelError, SurveyError
from plural_nb.silicon.posing import Posed
from plural_nb.silicon.progress import Progress
from plural_nb.silicon.prompt import Reply
from plural_nb.survey.design import Design

OnAnswers = Callable[[Answers], None]
Ask = Callable[..., list[Reply]]
FIRST_ROUND = 32
_LEVEL = 0.95


def ask_in_rounds(
    posed: Sequence[Posed],
    ask: Ask,
    source: Source,
    *,
    design: Design,
    domain: Bools | None = None,
    about: str = "",
    until_margin: float | None = None,
    on_answers: Callable[[list[Answers]], None] | None = None,
    on_progress: Progress | None = None,
    seed: int = 0,
) -> list[Answers]:
    """Ask people in random order until the margins of error are small enough, or all are asked.

    posed: questions to the same people, who are asked all of them in turn. ask: gives replies to prompts and calls its
    `on_progress`. source, design, domain, about: as in `Posed.answers`. until_margin: between 0 and 1, for every share
    of every question; None asks everybody. on_answers: told the answers so far after each round, of which only those
    asked are in the domain. seed: draws the order of the people.

    Whoever comes first in the order is a simple random sample of the people given, so their shares are unbiased for
    all of them. Only they count: a person further back whose twin was asked is left out, or shares would lean towards
    people who have many twins.

    Raises ModelError for an impossible margin, or one for a single row, which has no sampling error.
    """
    if until_margin is not None:
        require_margin(until_margin, source)
    n = posed[0].n
    inside = np.flatnonzero(np.ones(design.n, dtype=np.bool_) if domain is None else domain)
    order = np.random.default_rng(seed).permutation(n)
    asked = [_Asked(one) for one in posed]
    total, found = sum(one.asked for one in posed), list[Answers]()
    for begin, end in _rounds(n):
        new = [_of(one, order[begin:end].tolist()) for one in posed]
        prompts = [prompt for one in new for prompt in one.prompts]
        got = iter(ask(prompts, on_progress=_shifted(on_progress, begin * total // n, total)))
        places = np.sort(order[:end])
        here = np.zeros(design.n, dtype=np.bool_)
        here[inside[places]] = True
        found, reached = [], 0.0
        for one, part in zip(asked, new, strict=True):
            one.take(order[begin:end].tolist(), list(islice(got, len(part.prompts))))
            answers = one.answers(places.tolist(), source, design=design, domain=here, about=about)
            margin = margin_of_error(answers)
            reached = max(reached, margin)
            found.append(replace(answers, about=_about(about, end, n, margin)) if end < n else answers)
        if on_answers is not None:
            on_answers(found)
        if until_margin is not None and reached <= until_margin:
            break
    return found


class _Asked:
    """One question, and what is known of the people who were asked it."""

    def __init__(self, posed: Posed) -> None:
        self._posed = posed
        self._each = posed.asked // posed.n
        self._replies: dict[int, list[Reply]] = {}
        self._content_free: list[Reply] = []

    def take(self, places: Sequence[int], replies: list[Reply]) -> None:
        """Take in what the people at these places, and then the content-free prompts, were replied."""
        each = self._each
        for i, place in enumerate(places):
            self._replies[place] = replies[i * each : (i + 1) * each]
        self._content_free = replies[len(places) * each :]

    def answers(self, places: Sequence[int], source: Source, *, design: Design, domain: Bools, about: str) -> Answers:
        """The answers of the people at these places, all of whom were asked."""
        known = [reply for place in places for reply in self._replies[place]] + self._content_free
        return _of(self._posed, places).answers(known, source, design=design, domain=domain, about=about)


def margin_of_error(answers: Answers) -> float:
    """The largest half-width of the 95% intervals of the shares; infinite where there is none.

    >>> from plural_nb.survey.question import ask_for
    >>> round(margin_of_error(Answers.from_places(ask_for("Tea?", ["Yes", "No"]), [0] * 50 + [1] * 50)), 3)
    0.098
    """
    try:
        shares = answers.shares(level=_LEVEL)
    except SurveyError:  # nobody gave a substantive answer yet
        return float("inf")
    widest = float(np.max(shares.high - shares.low)) / 2
    return widest if np.isfinite(widest) else float("inf")


def require_margin(until_margin: float, source: Source) -> None:
    """Raise ModelError for an impossible margin, or one for a single row."""
    if not 0 < until_margin < 1:
        raise ModelError(f"until_margin is a share between 0 and 1 (0.02 is ±2 points), not {until_margin!r}.")
    if source.kind == "model":
        raise ModelError(
            "A single row is exact for its prompt and has no margin of error. Give several personas, or leave "
            "until_margin out."
        )


def _of(posed: Posed, places: Sequence[int]) -> Posed:
    """The same question posed to some of the people only."""
    each = posed.asked // posed.n
    prompts = [prompt for i in places for prompt in posed.prompts[i * each : (i + 1) * each]]
    return replace(posed, prompts=(*prompts, *posed.prompts[posed.asked :]), asked=len(prompts), n=len(places))


def _rounds(n: int) -> Iterator[tuple[int, int]]:
    """Where rounds begin and end: each a quarter of those before it, so that looks are few and none is late."""
    begin, end = 0, min(FIRST_ROUND, n)
    while begin < n:
        yield begin, end
        begin, end = end, min(n, end + max(FIRST_ROUND // 2, end // 4))


def _shifted(on_progress: Progress | None, before: int, total: int) -> Progress | None:
    if on_progress is None:
        return None
    return lambda done, _: on_progress(min(before + done, total), total)


def _about(about: str, n: int, of: int, reached: float) -> str:
    margin = f"; margin of error ±{100 * reached:.1f} points" if np.isfinite(reached) else ""
    return f"{about + ': ' if about else ''}{n:,} of {of:,} people, drawn at random{margin}"
