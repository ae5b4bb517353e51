"""A model's personas as jurors: they rate candidates, choose between them, or say which follow from what they think."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from plural_nb.answers import Answers
from plural_nb.errors import PluralError
from plural_nb.jury.ratings import from_answers
from plural_nb.jury.utilities import Utilities
from plural_nb.silicon.writing import write
from plural_nb.survey.design import Floats
from plural_nb.survey.question import Option, Question, ask_for

if TYPE_CHECKING:
    from plural_nb.personas.personas import Personas
    from plural_nb.silicon.model import Model

RATING = "How good is this idea, from {low} (very bad) to {high} (very good): {candidate}"
CHOICE = "Which of these two ideas is better?"
ENTAILMENT = "Does this agree with what I think: {candidate}"

# A probability of winning a pair nearer to 0 or 1 than this would put strengths infinitely far apart.
_CERTAIN = 1e-4


def rate(
    model: Model, people: Personas, candidates: Sequence[str] | Mapping[str, str], *, low: int = 0, high: int = 10,
    wording: str = RATING, **how: Any,
) -> Utilities:  # fmt: skip
    """Return each persona's expected rating of each candidate, from every number of the scale scored exactly.

    candidates: texts, or {name: text}. low, high: whole numbers, 0 ≤ low < high. wording: the question, with the slots
    {low}, {high} and {candidate}. how: passed on to `Model.ask_all` (mode, examples, on_progress, …).

    The jury has the personas' weights and design. Raises PluralError for one scale point, a wording without
    {candidate}, or two candidates with one name.
    """
    if not 0 <= low < high:
        raise PluralError(f"A scale goes from a whole number to a higher one, 0 or more; not from {low} to {high}.")
    options = tuple(Option(str(number), value=float(number)) for number in range(low, high + 1))
    texts = _named(candidates)
    questions = [
        Question(f"rate_{i + 1}", _fill(wording, candidate=text, low=low, high=high), options, "ordinal", label=name)
        for i, (name, text) in enumerate(texts.items())
    ]
    found = model.ask_all(questions, people=people, method="number", **how)
    return _jury(model, people, dict(zip(texts, found.values(), strict=True)), f"rated from {low} to {high}")


def choose(
    model: Model, people: Personas, candidates: Sequence[str] | Mapping[str, str], *, wording: str = CHOICE, **how: Any
) -> Utilities:
    """Return each persona's strengths of the candidates, from their choices in every pair (Bradley–Terry).

    Each pair is asked in both orders and averaged. A persona's strengths π are those with P(i beats j) =
    π_i/(π_i + π_j), by maximum likelihood with the model's probabilities as fractional wins (Hunter 2004, Annals of
    Statistics 32), and sum to 1. Probabilities nearer to 0 or 1 than 0.0001 are taken as that, which a note counts.

    candidates, how: see `rate`. Raises PluralError for fewer than two candidates.
    """
    texts = _named(candidates)
    if len(texts) < 2:
        raise PluralError("A choice needs two candidates or more.")
    names = list(texts)
    pairs = list(itertools.combinations(range(len(names)), 2))
    questions = [
        Question(f"pair_{i + 1}_{j + 1}", wording, (Option(texts[names[i]]), Option(texts[names[j]]))) for i, j in pairs
    ]
    found = model.ask_all(questions, people=people, order="balanced", **how)
    wins = np.full((people.n, len(names), len(names)), np.nan)
    for (i, j), answers in zip(pairs, found.values(), strict=True):
        rows = np.where(answers.answered[:, None], answers.rows, np.nan)
        wins[:, i, j], wins[:, j, i] = rows[:, 0], rows[:, 1]
    strengths, clipped = bradley_terry(wins)
    notes = (f"{clipped} of {people.n * len(pairs)} choices were all but certain and taken as such",) if clipped else ()
    jury = Utilities(
        strengths, tuple(names), people.design.weight, people.ids, people.traits, people.design,
        scale="Bradley–Terry strengths that sum to 1", notes=(_whose(model, people), *notes),
    )  # fmt: skip
    return jury if people.domain.all() else jury.within(people.domain)


def entail(
    model: Model, people: Personas, candidates: Sequence[str] | Mapping[str, str], *, wording: str = ENTAILMENT,
    **how: Any,
) -> Utilities:  # fmt: skip
    """Return for each person the probability that a candidate agrees with what they themselves said.

    people: their texts hold the statement of each (`Personas.from_texts`, or a template with the person's own words).
    wording: a question with the slot {candidate}, answered "Yes" or "No"; the utility is P(Yes). how: see `rate`.
    """
    options = (Option("Yes", value=1.0), Option("No", value=0.0))
    texts = _named(candidates)
    questions = [
        Question(f"agrees_{i + 1}", _fill(wording, candidate=text), options, "ordinal", label=name)
        for i, (name, text) in enumerate(texts.items())
    ]
    found = model.ask_all(questions, people=people, **how)
    return _jury(model, people, dict(zip(texts, found.values(), strict=True)), "probability of agreeing, 0 to 1")


def candidates_from(
    model: Model, question: str, n: int = 5, *, people: Personas | None = None, longest: int = 60, seed: int = 0,
    **how: Any,
) -> list[str]:  # fmt: skip
    """Return up to n different candidate statements that a model writes on a question, for a jury to judge.

    people: whose voices write them, each once before any twice; the model's own voice when None. Each text is cut at
    its first line. longest: tokens of each at most. seed, how: see `plural_nb.silicon.writing.write`. Fewer than n come
    back where the model repeats itself, which a small model does: 4·n texts are drawn at most.

    Raises PluralError where the model wrote nothing that can be read.
    """
    if n < 1:
        raise PluralError(f"Ask for one candidate or more, not {n}.")
    voices = [""] if people is None else list(dict.fromkeys(people.told(ask_for(question, ["Yes", "No"]))))
    prompts = [f"{voice}\n\nQuestion: {question}\nAnswer:".strip() for voice in voices[:n]]
    each = -(-4 * n // len(prompts))
    written = write(model, prompts, samples=each, longest=longest, seed=seed, **how)
    found: dict[str, str] = {}
    for draw in range(each):
        for one in written:
            text = one.texts[draw].strip().partition("\n")[0].strip()
            if any(c.isalpha() for c in text):
                found.setdefault(text.casefold(), text)
    if not found:
        raise PluralError(f"{model.name} wrote nothing that can be read as a candidate. Type candidates in instead.")
    return list(found.values())[:n]


def bradley_terry(wins: npt.ArrayLike, *, tolerance: float = 1e-12, most: int = 10_000) -> tuple[Floats, int]:
    """Return (n, C) strengths that sum to 1, and how many probabilities were too certain to be used as they are.

    wins: (n, C, C) probability that a juror prefers the first candidate to the second, wins + its transpose = 1; the
    diagonal is not read; NaN where a pair was not judged, and a juror with one has NaN strengths.

    >>> strengths, clipped = bradley_terry([[[0.5, 0.8], [0.2, 0.5]]])
    >>> strengths.round(6).tolist(), clipped
    ([[0.8, 0.2]], 0)
    """
    w = np.array(wins, dtype=np.float64)
    n, C, _ = w.shape
    off = ~np.eye(C, dtype=bool)
    known = ~np.isnan(w[:, off]).any(axis=1)
    pairs = w[:, np.triu(off)]
    clipped = int(((pairs < _CERTAIN) | (pairs > 1 - _CERTAIN)).sum())
    w = np.clip(w, _CERTAIN, 1 - _CERTAIN)
    w[:, ~off] = 0.0
    w, strengths = w[known], np.full((n, C), np.nan)
    p = np.full((int(known.sum()), C), 1 / C)
    total = w.sum(axis=2)
    for _ in range(most):
        # Each pair was "played" once, so the weight of a meeting is 1.
        meetings = np.where(off, 1 / (p[:, :, None] + p[:, None, :]), 0.0).sum(axis=2)
        new = total / meetings
        new /= new.sum(axis=1, keepdims=True)
        moved = np.abs(new / p - 1).max(initial=0.0)
        p = new
        if moved < tolerance:
            break
    strengths[known] = p
    return strengths, clipped


def _jury(model: Model, people: Personas, answers: dict[str, Answers], scale: str) -> Utilities:
    jury = from_answers(answers, traits=people.traits)
    jurors = people.ids if jury.n == people.n else jury.jurors
    return replace(jury, jurors=jurors, scale=scale, notes=(_whose(model, people), *jury.notes))


def _whose(model: Model, people: Personas) -> str:
    return f"the jurors are personas that {model.name} speaks as ({people.about}), not people"


def _named(candidates: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    texts = dict(candidates) if isinstance(candidates, Mapping) else dict(zip(candidates, candidates, strict=True))
    if isinstance(candidates, str) or not texts:
        raise PluralError("Give the candidates as a list of texts, or as {name: text}.")
    if len(texts) < len(candidates):
        raise PluralError("Two candidates are the same; each must differ.")
    for name, text in texts.items():
        if not str(text).strip():
            raise PluralError(f"The candidate {name!r} has no text.")
    return texts


def _fill(wording: str, **slots: Any) -> str:
    if "{candidate}" not in wording:
        raise PluralError(f"The wording {wording!r} has no slot {{candidate}}, so nobody would know what is judged.")
    # Filled in one pass over the wording: a candidate that spells "{low}" stays as it is.
    parts = wording.split("{candidate}")
    for name in ("low", "high"):
        if name in slots:
            parts = [part.replace("{" + name + "}", str(slots[name])) for part in parts]
    return str(slots["candidate"]).join(parts)
