"""The plain cell that rebuilds a view of the panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_IMPORTS = "import plural_nb as pnb\nfrom plural_nb.charts import humans_and_model\n"


def recipe(
    *,
    survey: str,
    question: str,
    population: Mapping[str, Sequence[str]],
    weighted: bool,
    model: str | None,
    persona: str = "",
    mode: str | None = None,
    examples: int | None = None,
) -> str:
    """Return Python that runs as it is and ends with the chart.

    survey, model: expressions; `pnb.load_survey("anes96")`, `"plural-demo-base"`. model is None where none was asked;
    survey is empty where only the reader knows how to get it, and the cell says so.

    >>> print(recipe(survey="pnb.load_survey('anes96')", question="vote", population={}, weighted=True, model=None))
    import plural_nb as pnb
    from plural_nb.charts import humans_and_model
    <BLANKLINE>
    survey = pnb.load_survey('anes96')
    question = survey.questions['vote']
    people = survey.answers(question)
    humans_and_model(people.shares())
    """
    source = f"survey = {survey}" if survey else "# survey: the Survey object that you gave the panel"
    lines = [_IMPORTS, source, f"question = survey.questions[{question!r}]"]
    given = []
    if population:
        picks = ", ".join(f"{trait!r}: {list(levels)!r}" for trait, levels in population.items())
        lines.append(f"population = pnb.Population({{{picks}}})")
        given.append("population")
    if not weighted:
        given.append("weighted=False")
    lines.append(f"people = survey.answers({', '.join(['question', *given])})")
    if model is None:
        return "\n".join([*lines, "humans_and_model(people.shares())"])
    how = []
    if persona:
        lines.append(f"persona = {persona!r}")
        how.append("persona=persona")
    how += [f"mode={mode!r}"] if mode else []
    how += [f"examples={examples}"] if examples is not None else []
    lines += [
        f"with pnb.open_model({model}) as model:",
        f"    says = model.ask({', '.join(['question', *how])})",
        "comparison = pnb.compare(people, says)",
        "print(comparison.sentence())",
        "humans_and_model(comparison)",
    ]
    return "\n".join(lines)
