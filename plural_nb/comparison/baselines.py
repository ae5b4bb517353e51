"""Baselines: the distances that guessing would have: uniform, everyone else, another group, demographics alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from plural_nb.answers import Answers, Source
from plural_nb.comparison.aligning import align_options
from plural_nb.comparison.distances import Floats
from plural_nb.comparison.intervals import paired_interval
from plural_nb.comparison.measuring import DIVERGENCES
from plural_nb.comparison.pair_distances import PairDistances
from plural_nb.comparison.pairs import Pairs, Side, pair, side
from plural_nb.errors import PluralError, SurveyError
from plural_nb.survey.design import Design, Ints

UNIFORM, OUTSIDE = "uniform", "everyone else"


@dataclass(frozen=True, eq=False)
class Baseline:
    """A guess in place of the second side, and how much nearer the second side is.

    distances: of the guess. gap: (G,) squared js_distance of the second side less that of the guess, each less what
    sampling adds; low, high: its interval, paired over the replicates of the first side's sample. Below 0 the second
    side is nearer than the guess.
    """

    name: str
    distances: PairDistances
    gap: Floats
    low: Floats
    high: Floats


def uniform(answers: Answers) -> Answers:
    """Return the row that gives every substantive option the same probability."""
    question = answers.question
    row = np.zeros(len(question.options))
    row[list(question.substantive)] = 1 / len(question.substantive)
    return _exact(answers, row, UNIFORM)


def everyone_else(a: Side, groups: tuple[str, ...]) -> dict[str, Answers]:
    """Return for each group the answers of the people outside it: of the population if it has groups, else of all."""
    whole = a.answers[0]
    if whole is None or whole.exact:
        return {}
    found = {}
    for g, name in enumerate(groups):
        mine = a.of(g)
        if mine is None or mine.exact:
            continue
        within = whole.domain if a.codes is not None and len(groups) > 1 else np.ones_like(whole.domain)
        others = replace(mine, domain=within & ~mine.domain, about=f"everyone but {name}")
        if (others.domain & others.answered & (others.design.weight > 0)).any():
            found[name] = others
    return found


def baseline(
    name: str, guess: Answers | Mapping[str, Answers], distances: PairDistances, codes: Ints | None
) -> Baseline | None:
    """Return a guess set against the first side of some distances; None where it stands for no group.

    guess: over the same options. codes: (n,) the group of each row, where the guess has a row per person.
    """
    pairs = distances.pairs
    try:
        made = side(guess, pairs.groups, codes, interval="logit", level=distances.level)
    except (PluralError, SurveyError):
        return None
    # A group that the second side could not be compared in has no gap either.
    other = PairDistances(
        _also_failed(pair(pairs.a, made), pairs), distances.replicates, distances.seed, distances.level
    )
    at, ours = other.pairs.usable, pairs.usable
    if at.size == 0:
        return None
    kept = np.searchsorted(ours, at)
    gap = _left(distances)[kept] - _left(other)
    drawn = distances.drawn_squares["js_distance"][kept] - other.drawn_squares["js_distance"]
    df = np.minimum(distances.df[at], other.df[at])
    low, high = paired_interval(gap, drawn, df=df, level=distances.level)
    return Baseline(name, other, *(_spread(values, at, len(pairs.groups)) for values in (gap, low, high)))


def guesses_of(given: Mapping[str, Answers], a: Answers) -> dict[str, Answers]:
    """Return given guesses with their options in the first side's order; errors name the guess."""
    found = {}
    for name, answers in given.items():
        if name in (UNIFORM, OUTSIDE):
            raise PluralError(f"The baseline {name!r} is there by itself; call yours something else.")
        try:
            found[name] = align_options(a, answers).b
        except PluralError as error:
            raise PluralError(f"Baseline {name!r}: {error}") from None
    return found


def _left(distances: PairDistances) -> Floats:
    floors = distances.floors
    assert "js_distance" not in DIVERGENCES
    return distances.squares["js_distance"] - np.where(floors.sampled, floors.square["js_distance"], 0.0)


def _also_failed(made: Pairs, pairs: Pairs) -> Pairs:
    return replace(made, failed={**made.failed, **pairs.failed})


def _spread(values: Floats, at: Ints, groups: int) -> Floats:
    found = np.full(groups, np.nan)
    found[at] = values
    return found


def _exact(answers: Answers, row: Floats, name: str) -> Answers:
    one = np.ones(1, dtype=np.bool_)
    return Answers(answers.question, row[None], Design(np.ones(1)), one, Source("model", name))
