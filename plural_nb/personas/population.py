"""The backstory of a whole population: what its people have in common, told in the first person."""

from __future__ import annotations

from collections.abc import Iterable

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.survey import Population, Survey


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
