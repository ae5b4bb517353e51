"""People asked in random order, round after round: their shares converge, and asking ends at a margin of error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

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
    posed: Posed,
    ask: Ask,
    source: Source,
    *,
    design: Design,
    domain: Bools | None = None,
    about: str = "",
    until_margin: float | None = None,
    on_answers: OnAnswers | None = None,
    on_progress: Progress | None = None,
    seed: int = 0,
) -> Answers:
    """Ask people in random order until the margin of error is small enough, or all are asked.

    ask: gives replies to prompts and calls its `on_progress`. source, design, domain, about: as in `Posed.answers`.
    until_margin: between 0 and 1; None asks everybody. on_answers: told the answers so far after each round, of which
    only those asked are in the domain. seed: draws the order of the people.

    Whoever comes first in the order is a simple random sample of the people given, so their shares are unbiased for
    all of them. Only they count: a person further back whose twin was asked is left out, or shares would lean towards
    people who have many twins.

    Raises ModelError for an impossible margin, or one for a single row, which has no sampling error.
    """
    if until_margin is not None:
        require_margin(until_margin, source)
    inside = np.flatnonzero(np.ones(design.n, dtype=np.bool_) if domain is None else domain)
    order = np.random.default_rng(seed).permutation(posed.n)
    each = posed.asked // posed.n
    replies: dict[int, list[Reply]] = {}
    for begin, end in _rounds(posed.n):
        new = _of(posed, order[begin:end].tolist())
        got = ask(new.prompts, on_progress=_shifted(on_progress, begin * each, posed.asked))
        for i, place in enumerate(order[begin:end].tolist()):
            replies[place] = got[i * each : (i + 1) * each]
        places = np.sort(order[:end])
        known = [reply for place in places.tolist() for reply in replies[place]] + got[new.asked :]
        here = np.zeros(design.n, dtype=np.bool_)
        here[inside[places]] = True
        answers = _of(posed, places.tolist()).answers(known, source, design=design, domain=here, about=about)
        reached = margin_of_error(answers)
        if end < posed.n:
            answers = replace(answers, about=_about(about, end, posed.n, reached))
        if on_answers is not None:
            on_answers(answers)
        if until_margin is not None and reached <= until_margin:
            break
    return answers


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
