"""The plain cell that rebuilds a view of two sources compared."""

from __future__ import annotations

import re
from dataclasses import dataclass

from plural_nb.widgets.contenders import Contender


@dataclass(frozen=True, slots=True)
class Pair:
    """What is on the screen, as choices. survey: the expression that gets it; empty where only its maker knows how."""

    tab: str
    survey: str
    a: Contender
    b: Contender
    question: str
    by: str = ""
    by_label: str = ""
    group: str = ""
    answer: str = ""
    distance: str = "js_distance"
    every_way: bool = False

    @property
    def ask(self) -> str:
        """How a model is asked a question."""
        return "model.ask(question, wordings=True, order='balanced')" if self.every_way else "model.ask(question)"


def compare_recipe(pair: Pair) -> str:
    """Return Python that runs as it is and ends with the chart.

    >>> from plural_nb.survey.survey import Population
    >>> people, young = Contender("People", "people"), Contender("young", "people", Population({"age": ["18 to 29"]}))
    >>> print(compare_recipe(Pair("answers", "pnb.load_survey('teaching')", people, young, "toll")))
    import plural_nb as pnb
    from plural_nb.charts import humans_and_model
    <BLANKLINE>
    survey = pnb.load_survey('teaching')
    question = survey.questions['toll']
    people = survey.answers(question)
    young = survey.answers(question, pnb.Population({'age': ['18 to 29']}))
    comparison = pnb.compare(people, young)
    print(comparison.verdict.sentence())
    humans_and_model(comparison)
    """
    source = f"survey = {pair.survey}" if pair.survey else "# survey: the Survey object that you gave the view"
    if pair.tab == "questions":
        return _table(pair, source)
    one, other = _name(pair.a), _name(pair.b)
    other = other if other != one else f"{other}_2"
    grouped = pair.by and not pair.group
    lines = [source, f"question = survey.questions[{pair.question!r}]", *_answers(one, pair.a, pair),
             *_answers(other, pair.b, pair)]  # fmt: skip
    by = f", by=survey.groups({pair.by!r})" if grouped else ""
    lines.append(f"comparison = pnb.compare({one}, {other}{by})")
    label = f", by={pair.by_label!r}" if grouped else ""
    if grouped:
        lines += ["for verdict in comparison.verdicts:", "    print(verdict.group, verdict.sentence())"]
    else:
        lines.append("print(comparison.verdict.sentence())")
    if pair.tab == "distances":
        chart = "distances_and_noise"
        last = f"distances_and_noise(comparison{f', {pair.distance!r}' if grouped else ''}{label})"
    elif grouped:
        chart = "dumbbell_by_group"
        last = f"dumbbell_by_group(comparison{f', option={pair.answer!r}' if pair.answer else ''}{label})"
    else:
        chart, last = "humans_and_model", "humans_and_model(comparison)"
    return "\n".join(["import plural_nb as pnb", f"from plural_nb.charts import {chart}", "", *lines, last])


def _table(pair: Pair, source: str) -> str:
    lines = ["import plural_nb as pnb", "from plural_nb.charts import heat_map", "", source]
    if pair.b.model:
        lines += [
            f"with pnb.open_model({pair.b.expression}) as model:",
            f"    answers = {{key: {pair.ask} for key, question in survey.questions.items()}}",
        ]
    else:
        lines.append(f"answers = {pair.b.expression}" if pair.b.expression else
                     f"# answers: those of {_said(pair.b)} by question, which you gave the view")  # fmt: skip
    by = f", by={pair.by!r}" if pair.by else ""
    whom = f", population={_population(pair.a, pair, grouped=False)}" if pair.a.population.picks else ""
    lines.append(f"found = pnb.compare_survey(survey, answers{by}{whom})")
    label = f", by={pair.by_label!r}" if pair.by else ""
    lines.append(f"heat_map(found, {pair.distance!r}, name={pair.b.name!r}{label})")
    return "\n".join(lines)


def _answers(name: str, who: Contender, pair: Pair) -> list[str]:
    if who.model:
        return [f"with pnb.open_model({who.expression}) as model:", f"    {name} = {pair.ask}"]
    if who.kind == "answers":
        if not who.expression:
            return [f"# {name}: the answers of {_said(who)} to this question, which you gave the view"]
        by_group = isinstance(who.answers.get(pair.question), dict) and pair.group
        return [f"{name} = {who.expression}[{pair.question!r}]" + (f"[{pair.group!r}]" if by_group else "")]
    if who.kind == "survey":
        source = who.expression or f"None  # the survey {_said(who)} that you gave the view"
        given = _population(who, pair)
        return [f"{name}_survey = {source}",
                f"{name} = {name}_survey.answers({pair.question!r}{f', {given}' if given else ''})"]  # fmt: skip
    given = _population(who, pair)
    return [f"{name} = survey.answers(question{f', {given}' if given else ''})"]


def _population(who: Contender, pair: Pair, *, grouped: bool = True) -> str:
    picks = {trait: list(levels) for trait, levels in who.population.picks}
    if grouped and pair.group:
        picks[pair.by] = [pair.group]
    return f"pnb.Population({picks!r})" if picks else ""


def _name(who: Contender) -> str:
    plain = re.sub(r"\W+", "_", who.name.lower()).strip("_") or "side"
    plain = plain if plain.isascii() and plain.isidentifier() else "other"
    return f"{plain}_side" if plain in ("survey", "question", "model", "pnb", "comparison", "verdict") else plain


def _said(who: Contender) -> str:
    return " ".join(who.name.split())
