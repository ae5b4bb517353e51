"""Pairing: what two contenders say to one question, or to all, set against each other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any

from plural_nb.answers import Answers
from plural_nb.comparison.comparison import Comparison, compare
from plural_nb.comparison.survey_distances import SurveyDistances, compare_survey
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.survey import Population, Survey
from plural_nb.widgets.contenders import Contender
from plural_nb.widgets.questionnaire import Questionnaire
from plural_nb.widgets.reckoning import Report, Sum

TableKey = tuple[str, str, str, int, bool]
_KEPT = 8


class Pairing:
    """Compares contenders on a survey's questions; tables of every question are made once and kept.

    desk: knows what models have answered. every_way: whether models are asked in every wording and order.
    """

    def __init__(self, survey: Survey, desk: Questionnaire) -> None:
        self._survey = survey
        self._desk = desk
        self._tables: dict[TableKey, SurveyDistances] = {}
        self._pairs: OrderedDict[Hashable, tuple[Comparison, str, tuple[Any, ...]]] = OrderedDict()
        self.every_way = False

    def levels(self, by: str) -> tuple[str, ...]:
        """Names of the groups of a trait; none without one."""
        return self._survey.groups(by).names if by else ()

    def compared(self, one: Contender, other: Contender, question: str, by: str, group: str) -> tuple[Comparison, str]:
        """Return the comparison, in all groups of `by` or in one, and what must be said of it."""
        a, b = (self.answers(who, question, by, group) for who in (one, other))
        if not isinstance(a, Answers):
            raise PluralError(f"{one.name!r} has an answer for each group; let it be the second source.")
        if not by or group:
            return compare(a, b), ""
        if one.kind == "people":
            return compare(a, b, by=self._survey.groups(by)), ""
        label = self._survey.traits[by].label.lower()
        return compare(a, b), f"{one.name} has no groups; put people first to break down by {label}."

    def pair(self, one: Contender, other: Contender, question: str, by: str, group: str) -> tuple[Hashable, Sum]:
        """Return what makes a comparison with its verdicts, and what must be said of it; and a key of its sides.

        The last few are kept, so that another picture of the same costs nothing.
        """
        sides = tuple(
            self.answers(who, question, by, group) for who in (one, other) if who.kind in ("answers", "model")
        )
        names = tuple((who.name, who.kind) for who in (one, other))
        # Answers are told apart by what they are; those that are kept stay alive, so that no others can be the same.
        key = names, question, by, group, tuple(map(id, sides))

        def work(report: Report) -> tuple[Comparison, str]:
            comparison, remark = self.compared(one, other, question, by, group)
            report(0, 1)
            _ = comparison.verdicts
            self._pairs[key] = comparison, remark, sides
            while len(self._pairs) > _KEPT:
                self._pairs.popitem(last=False)
            return comparison, remark

        return key, work

    def kept(self, key: Hashable) -> tuple[Comparison, str] | None:
        """A comparison that was made before."""
        found = self._pairs.get(key)
        return None if found is None else found[:2]

    def answers(self, who: Contender, question: str, by: str, group: str) -> Answers | Mapping[str, Answers]:
        """Return what one says to a question, in one group where one is named."""
        if who.kind == "model":
            asked = self._survey.question(question)
            known = self._desk.answers(who.model, [asked], every_way=self.every_way)
            if not known:
                raise PluralError(f"{who.name} has not answered {asked.label!r}.")
            return known[asked.key]
        if who.kind == "answers":
            if question not in who.answers:
                raise PluralError(f"{who.name} was not asked {question!r}. {nearest(question, who.answers)}")
            given = who.answers[question]
            if not isinstance(given, Answers):
                return given.get(group, given)
            # A row for each of the survey's people is parted as they are.
            if not group or given.design.n != self._survey.n:
                return given
            return given.within(self._survey.groups(by).codes == self.levels(by).index(group))
        picks = {trait: list(levels) for trait, levels in who.population.picks}
        if group:
            if group not in picks.get(by, [group]):
                raise PluralError(f"{who.name} has nobody of {group!r}.")
            picks[by] = [group]
        source = self._survey if who.survey is None else who.survey
        return source.answers(question, Population(picks))

    def table(self, one: Contender, other: Contender, by: str) -> SurveyDistances | None:
        """Return every question in every group, people first and a model's answers second, where that is known."""
        return self._tables.get(self._key(one, other, by))

    def reckon(self, one: Contender, other: Contender, by: str) -> tuple[TableKey, Sum]:
        """Return what makes the table, which may take long, and a key of what it is made of."""
        answers = self._given(other)
        population = one.population if one.population.picks else None
        key = self._key(one, other, by)

        def work(report: Report) -> SurveyDistances:
            self._tables[key] = compare_survey(
                self._survey, answers, by=by or None, population=population, on_progress=report
            )
            return self._tables[key]

        return key, work

    def _given(self, who: Contender) -> Mapping[str, Any]:
        if who.kind == "model":
            return self._desk.answers(who.model, [*self._survey.questions.values()], every_way=self.every_way)
        return who.answers

    def _key(self, one: Contender, other: Contender, by: str) -> TableKey:
        return one.name, other.name, by, len(self._given(other)), other.kind == "model" and self.every_way
