"""Hiding answers that people gave, so that predictions of the unasked can be checked against them.

Kim and Lee 2023 ("AI-augmented surveys"): missing answers are filled, past years retrodicted, unasked questions
predicted. A planned-missing design asks each person some of the questions only (Graham et al. 2006).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from plural_nb.answers import Answers
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.survey import Survey

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Hidden:
    """A survey of which some answers are hidden.

    survey: whole. masks: {question key: (n,) True where the answer is hidden}. about: which, in words.
    """

    survey: Survey
    masks: Mapping[str, Bools] = field(repr=False)
    about: str

    @property
    def keys(self) -> tuple[str, ...]:
        """The questions of which something is hidden."""
        return tuple(self.masks)

    @property
    def seen(self) -> Survey:
        """The survey without the hidden answers: what a prediction may look at."""
        codes = {
            key: np.where(self.masks[key], -1, places).astype(places.dtype) if key in self.masks else places
            for key, places in self.survey.answer_codes.items()
        }
        return replace(self.survey, answer_codes=MappingProxyType(codes))

    def known(self, key: str) -> Answers:
        """The answers that are not hidden; everyone else has none."""
        whole = self.survey.answers(self._key(key))
        return replace(whole, rows=np.where(self.masks[key][:, None], 0.0, whole.rows))

    def truth(self, key: str) -> Answers:
        """The hidden answers, spoken about only where they are hidden."""
        return self.survey.answers(self._key(key)).within(self.masks[key])

    def _key(self, key: str) -> str:
        if key not in self.masks:
            raise PluralError(f"Nothing is hidden of {key!r}. {nearest(key, list(self.masks))}")
        return key


def hide_at_random(
    survey: Survey, questions: Sequence[str], *, share: float = 0.2, by_psu: bool = False, seed: int = 0
) -> Hidden:
    """Hide a share of the answers to each question, each person's on its own, or whole PSUs at once.

    Raises PluralError for a share outside (0, 1), SurveyError for an unknown question.

    >>> from plural_nb.survey.library import load_survey
    >>> hidden = hide_at_random(load_survey("anes96"), ["vote"], share=0.25, seed=1)
    >>> int(hidden.masks["vote"].sum()), hidden.about
    (236, 'a random quarter of the answers')
    """
    if not 0 < share < 1:
        raise PluralError(f"The share to hide lies between 0 and 1, not {share!r}.")
    rng = np.random.default_rng(seed)
    psu = survey.design.psu
    unit = np.arange(survey.n) if psu is None or not by_psu else psu
    masks = {}
    for key in _known(survey, questions):
        answered = survey.answer_codes[key] >= 0
        units = np.unique(unit[answered])
        chosen = rng.permutation(units)[: max(1, round(share * units.size))]
        masks[key] = answered & np.isin(unit, chosen)
    said = "quarter" if share == 0.25 else f"{share:.0%}"
    of = "PSUs' answers" if by_psu and psu is not None else "answers"
    return Hidden(survey, MappingProxyType(masks), f"a random {said} of the {of}")


def hide_levels(survey: Survey, questions: Sequence[str], trait: str, levels: Sequence[str] | str) -> Hidden:
    """Hide the answers of everybody with some levels of a trait: a year to retrodict, a country never asked.

    >>> from plural_nb.survey.library import load_survey
    >>> hidden = hide_levels(load_survey("teaching"), ["nature"], "wave", "2019")
    >>> hidden.about
    'all answers of Wave: 2019'
    """
    found = survey.trait(trait)
    wanted = [levels] if isinstance(levels, str) else list(levels)
    for level in wanted:
        if level not in found.labels:
            raise PluralError(f"{found.label} has no level {level!r}. {nearest(level, found.labels)}")
    inside = np.isin(survey.trait_codes[trait], [found.labels.index(level) for level in wanted])
    masks = {key: inside & (survey.answer_codes[key] >= 0) for key in _known(survey, questions)}
    return Hidden(survey, MappingProxyType(masks), f"all answers of {found.label}: {' or '.join(wanted)}")


def hide_questions(survey: Survey, questions: Sequence[str]) -> Hidden:
    """Hide whole questions: nobody's answer to them is known, as if they had never been asked."""
    masks = {key: np.asarray(survey.answer_codes[key] >= 0) for key in _known(survey, questions)}
    return Hidden(survey, MappingProxyType(masks), "all answers, as if the question had never been asked")


def plan_missing(survey: Survey, questions: Sequence[str], asked: int, *, seed: int = 0) -> Hidden:
    """Hide answers as a planned-missing design would: each person is asked `asked` of the questions, in turn.

    Every question is asked of as many people as any other, give or take one: questions are dealt out in random order,
    to people in random order.

    Raises PluralError unless at least one question is asked of each, and one is not.
    """
    keys = _known(survey, questions)
    if not 1 <= asked < len(keys):
        raise PluralError(f"Of {len(keys)} questions each person can be asked 1 to {len(keys) - 1}, not {asked}.")
    rng = np.random.default_rng(seed)
    shown = np.zeros((survey.n, len(keys)), dtype=bool)
    order = rng.permutation(len(keys))
    for turn, row in enumerate(rng.permutation(survey.n)):
        if turn % len(keys) == 0:
            order = rng.permutation(len(keys))
        first = turn % len(keys)
        shown[row, order[(first + np.arange(asked)) % len(keys)]] = True
    masks = {key: ~shown[:, j] & (survey.answer_codes[key] >= 0) for j, key in enumerate(keys)}
    return Hidden(
        survey, MappingProxyType(masks), f"a planned-missing design: {asked} of {len(keys)} questions asked of each"
    )


def _known(survey: Survey, questions: Sequence[str]) -> list[str]:
    if isinstance(questions, str) or not questions:
        raise PluralError("Name the questions to hide as a list of keys.")
    for key in questions:
        survey.question(key)
    return list(questions)
