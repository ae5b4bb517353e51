"""Populations: the people whom one picks by their traits, and how many they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plural_nb.answers import Bools
from plural_nb.errors import SurveyError, nearest

if TYPE_CHECKING:
    from plural_nb.survey.survey import Survey

EVERYONE = "Everyone"


@dataclass(frozen=True, slots=True)
class Count:
    """How many people a population holds: n as counted, and Kish's effective number (sum w)^2 / sum w^2."""

    n: int
    n_eff_kish: float


@dataclass(frozen=True, slots=True, init=False)
class Population:
    """The people who have one of the picked levels in every trait picked; nothing picked means everyone.

    picks: for each trait picked, the labels of its levels; one label may stand alone. Someone whose level of a picked
        trait was not recorded is not in the population.

    Raises SurveyError for a trait with no level picked. Whether traits and levels exist is known to the survey.

    >>> Population({"age": ["18 to 29"], "region": ["North", "South"]}).label
    'Age: 18 to 29; Region: North or South'
    >>> Population().label
    'Everyone'
    """

    picks: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __init__(self, picks: Mapping[str, Sequence[str] | str] | None = None) -> None:
        found = []
        for trait, levels in (picks or {}).items():
            chosen = (levels,) if isinstance(levels, str) else tuple(dict.fromkeys(levels))
            if not chosen:
                raise SurveyError(f"No level of {trait!r} is picked. Pick at least one, or leave the trait out.")
            found.append((trait, chosen))
        object.__setattr__(self, "picks", tuple(found))

    @property
    def label(self) -> str:
        """The population in words, traits by key; `Survey.describe` uses their labels."""
        return in_words((trait[:1].upper() + trait[1:].replace("_", " "), levels) for trait, levels in self.picks)

    def mask(self, survey: Survey) -> Bools:
        """Return (n,) True for the survey's rows in this population; SurveyError for an unknown trait or level."""
        inside = np.ones(survey.n, dtype=np.bool_)
        for key, levels in self.picks:
            trait = survey.trait(key)
            # One more entry than levels: a missing level is -1, the last entry, which is never picked.
            picked = np.zeros(len(trait.options) + 1, dtype=np.bool_)
            for level in levels:
                if level not in trait.labels:
                    raise SurveyError(
                        f"Trait {key!r} of {survey.title!r} has no level {level!r}. {nearest(level, trait.labels)}"
                    )
                picked[trait.labels.index(level)] = True
            inside &= picked[survey.trait_codes[key]]
        return inside


def in_words(picks: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Traits and their levels in words: "Age: 18 to 29; Region: North or South"."""
    return "; ".join(f"{trait}: {' or '.join(levels)}" for trait, levels in picks) or EVERYONE
