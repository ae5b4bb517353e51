"""A trait of respondents: something a population is picked by and a backstory is told from."""

from __future__ import annotations

from dataclasses import dataclass

from plural_nb.errors import SurveyError
from plural_nb.survey.question import Option


@dataclass(frozen=True, slots=True)
class Trait:
    """A categorical trait (age group, region, party) with its levels in order.

    key: short name. label: a few words for menus. options: the levels.
    sentences: for each level, the whole first-person sentence a backstory says ("I live in the North."); empty
        where a backstory leaves this level out.
    phrase: the sentence that levels without one of their own are put into at {} ("I live in {}."); empty if there is
        none. said: for each level, the words that stand there; its label where not given.
    question: how an interviewer would ask for it; empty where nobody wrote it down.

    Raises SurveyError when there is not one sentence per level, or two levels share a label.

    >>> Trait("sex", "Sex", (Option("Woman"), Option("Man")), ("I am a woman.", "I am a man.")).labels
    ('Woman', 'Man')
    """

    key: str
    label: str
    options: tuple[Option, ...]
    sentences: tuple[str, ...]
    phrase: str = ""
    said: tuple[str, ...] = ()
    question: str = ""

    def __post_init__(self) -> None:
        if len(self.sentences) != len(self.options):
            raise SurveyError(f"Trait {self.key!r}: {len(self.options)} levels but {len(self.sentences)} sentences.")
        object.__setattr__(self, "said", self.said or self.labels)
        if len(self.said) != len(self.options):
            raise SurveyError(f"Trait {self.key!r}: {len(self.options)} levels but {len(self.said)} ways to say them.")
        if len(set(self.labels)) != len(self.labels):
            raise SurveyError(f"Trait {self.key!r}: two levels share a label; each needs its own.")

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the levels, in order."""
        return tuple(o.label for o in self.options)
