"""Backstories: who a respondent or a population is, told in the first person from their traits."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.survey import Population, Survey

Order = Literal["fixed", "shuffled"]


def backstory(
    survey: Survey, row: int, traits: Sequence[str] | None = None, *, order: Order = "fixed", seed: int = 0
) -> str:
    """Return the backstory of one respondent.

    row: place in the survey's rows, from 0. Other arguments, and errors, as in `backstories`.

    >>> from plural_nb.survey.library import load_survey
    >>> backstory(load_survey("anes96"), 0, ["age", "party"])
    'I am between 25 and 44 years old. I am a strong Republican.'
    """
    return backstories(survey, [row], traits, order=order, seed=seed)[0]


def backstories(
    survey: Survey,
    rows: Sequence[int] | npt.NDArray[np.integer[Any]] | None = None,
    traits: Sequence[str] | None = None,
    *,
    order: Order = "fixed",
    seed: int = 0,
) -> list[str]:
    """Return the backstories of many respondents: the sentences of their traits, joined by spaces.

    rows: places in the survey's rows, from 0; all rows when None.
    traits: which traits to tell, in this order; all, in the codebook's order, when None.
    order: "shuffled" tells each respondent's traits in an order of its own, which depends on `seed`, the row and the
        traits' names alone: it stays the same whoever else is told of.

    A trait that was not recorded for someone, and a level without a sentence, are left out of that text, which may
    thus be empty. Raises SurveyError for an unknown trait, a trait told twice, a row that is not there, or an unknown
    order.

    >>> from plural_nb.survey.library import load_survey
    >>> backstories(load_survey("anes96"), [0, 1], ["party"])
    ['I am a strong Republican.', 'I am a weak Democrat.']
    """
    keys = list(survey.traits) if traits is None else list(traits)
    if len(set(keys)) < len(keys):
        raise SurveyError(f"A trait is told once only; got {', '.join(keys)}.")
    if order not in get_args(Order):
        raise SurveyError(f"order is {order!r}. {nearest(str(order), get_args(Order))}")
    told = np.arange(survey.n) if rows is None else np.asarray(rows, dtype=np.int64)
    outside = (told < 0) | (told >= survey.n)
    if outside.any():
        raise SurveyError(f"{survey.title!r} has rows 0 to {survey.n - 1}, and none with number {told[outside][0]}.")
    # A missing level is -1: the last, empty sentence.
    columns = [
        np.array([*survey.trait(key).sentences, ""], dtype=object)[survey.trait_codes[key][told]] for key in keys
    ]
    if not columns:
        return [""] * len(told)
    table = np.stack(columns, axis=1)
    if order == "shuffled":
        table = np.take_along_axis(table, np.argsort(_lots(told, keys, seed), axis=1, kind="stable"), axis=1)
    return [tell(sentences) for sentences in table.tolist()]


def of_population(survey: Survey, population: Population | None = None) -> tuple[str, tuple[str, ...]]:
    """Return the backstory of a population, and the labels of the picked traits that it cannot tell.

    A trait of which exactly one level is picked is told; one of which several are has no single sentence, so it is
    left out and named. Raises SurveyError for a trait or level that the survey does not have.

    >>> from plural_nb.survey.library import load_survey
    >>> of_population(load_survey("anes96"), Population({"age": "18 to 24", "party": ["Weak Democrat", "Independent"]}))
    ('I am between 18 and 24 years old.', ('Party identification',))
    """
    sentences, left_out = [], []
    for key, levels in population.picks if population else ():
        trait = survey.trait(key)
        for level in levels:
            if level not in trait.labels:
                raise SurveyError(
                    f"Trait {key!r} of {survey.title!r} has no level {level!r}. {nearest(level, trait.labels)}"
                )
        sentence = trait.sentences[trait.labels.index(levels[0])] if len(levels) == 1 else ""
        if sentence:
            sentences.append(sentence)
        else:
            left_out.append(trait.label)
    return tell(sentences), tuple(left_out)


def tell(sentences: Iterable[str]) -> str:
    """Join sentences to one text, empty ones left out.

    >>> tell(["I am a woman.", "", "I live in a city."])
    'I am a woman. I live in a city.'
    """
    return " ".join(filter(None, sentences))


def _lots(rows: npt.NDArray[np.int64], keys: Sequence[str], seed: int) -> npt.NDArray[np.uint64]:
    """Numbers (rows, traits) that look random and depend on seed, row and the trait's name alone (SplitMix64)."""
    names = np.array([zlib.crc32(key.encode()) for key in keys], dtype=np.uint64)
    x = (rows.astype(np.uint64)[:, None] << np.uint64(32)) ^ names[None, :]
    for salt in (seed % 2**64, 0):
        x = (x ^ np.uint64(salt)) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return x
