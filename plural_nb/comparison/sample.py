"""A sample to be benchmarked: what its people or personas answer, and the groups they are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from plural_nb.answers import Answers
from plural_nb.errors import PluralError
from plural_nb.survey.shares import Groups
from plural_nb.survey.survey import Survey


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A sample to be benchmarked: what its people or personas answer, and the groups they are in.

    answers: by question key. groups: by trait key, one entry per row of the answers; for biases by subgroup.
    """

    answers: Mapping[str, Answers] = field(repr=False)
    groups: Mapping[str, Groups | Sequence[str | None]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, survey: Survey, questions: Sequence[str], *, weighted: bool = True) -> Sample:
        """Return a survey's people as a sample; questions it does not have are left out of it."""
        answers = {key: survey.answers(key, weighted=weighted) for key in questions if key in survey.questions}
        return cls(answers, {trait: survey.groups(trait) for trait in survey.traits})


def sample_of(name: str, sample: Sample | Survey | Mapping[str, Answers], questions: Sequence[str]) -> Sample:
    """Return what is given as a sample; PluralError where it is none."""
    if isinstance(sample, Sample):
        return sample
    if isinstance(sample, Survey):
        return Sample.of(sample, questions)
    if isinstance(sample, Mapping) and all(isinstance(a, Answers) for a in sample.values()):
        return Sample(sample)
    raise PluralError(f"{name!r} is no sample. Give a Sample, a survey, or answers by question key.")


def labels_of(answers: Answers) -> list[str]:
    """Return the labels of the options that carry opinion."""
    return [answers.question.options[i].label for i in answers.question.substantive]
