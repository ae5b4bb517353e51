"""The plain cell that rebuilds a view of the survey browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plural_nb.survey.trend import MEAN
from plural_nb.widgets.recipe import recipe


@dataclass(frozen=True, slots=True)
class Shown:
    """What is on the screen, as choices. survey: the expression that gets it; empty where only its maker knows how."""

    tab: str
    survey: str
    question: str
    population: Mapping[str, Sequence[str]]
    weighted: bool
    by: str = ""
    by_label: str = ""
    answer: str = ""
    over: str = ""
    most: int = 6


def browse_recipe(shown: Shown) -> str:
    """Return Python that runs as it is and ends with what is shown.

    >>> print(browse_recipe(Shown("weights", "pnb.load_survey('teaching')", "toll", {}, True)))
    import plural_nb as pnb
    from plural_nb.charts import weight_histogram
    from plural_nb.survey.weight_spread import weight_spread
    <BLANKLINE>
    survey = pnb.load_survey('teaching')
    weight_histogram(weight_spread(survey.design), source=survey.title, about=survey.describe())
    """
    build = {"shares": _shares, "trend": _trend, "weights": _weights, "checks": _checks, "about": _about}
    return build[shown.tab](shown)


def _shares(shown: Shown) -> str:
    if shown.answer == MEAN:
        return _means(shown)
    if not shown.by and not shown.answer:
        return recipe(
            survey=shown.survey, question=shown.question, population=shown.population, weighted=shown.weighted,
            model=None,
        )  # fmt: skip
    given = [f"[{shown.question!r}]", *([f"by={shown.by!r}"] if shown.by else []), *_choices(shown)]
    drawn = [*([f"option={shown.answer!r}"] if shown.answer else []), *_by(shown), *_about_whom(shown)]
    return "\n".join([
        *_start(shown, "from plural_nb.charts import shares_by_group"),
        f"shares = pnb.tabulate({', '.join(['survey', *given])})[{shown.question!r}]",
        f"shares_by_group({', '.join(['shares', *drawn])})",
    ])  # fmt: skip


def _means(shown: Shown) -> str:
    whom = ", domain=population.mask(survey)" if shown.population else ""
    groups = f", by=survey.groups({shown.by!r})" if shown.by else ""
    drawn = [*_by(shown), f"title=survey.questions[{shown.question!r}].text", "source=survey.title"]
    drawn += ["about=survey.describe(population)"] if shown.population else []
    imports = (
        "from plural_nb.charts import means_by_group\nfrom plural_nb.survey.means import mean\n"
        "from plural_nb.survey.measure import Measure"
    )
    return "\n".join([
        *_start(shown, imports),
        f"design = survey.design{'' if shown.weighted else '.unweighted()'}",
        f"numbers = Measure.of(survey.values({shown.question!r}), design{whom}, name={shown.question!r})",
        f"means_by_group({', '.join([f'mean(numbers{groups})', *drawn])})",
    ])  # fmt: skip


def _trend(shown: Shown) -> str:
    mean = shown.answer == MEAN
    given = [repr(shown.question), f"over={shown.over!r}", *([f"by={shown.by!r}"] if shown.by else [])]
    given += [*(["statistic='mean'"] if mean else []), *_choices(shown), *([f"most={shown.most}"] if shown.by else [])]
    option = [f"option={shown.answer!r}"] if shown.answer and not mean else []
    return "\n".join([
        *_start(shown, "from plural_nb.charts import trend_lines\nfrom plural_nb.survey.trend import trend"),
        f"found = trend({', '.join(['survey', *given])})",
        f"trend_lines({', '.join(['found', *option, f'title=survey.questions[{shown.question!r}].text'])})",
    ])  # fmt: skip


def _weights(shown: Shown) -> str:
    whom, about = (", population.mask(survey)", "population") if shown.population else ("", "")
    imports = "from plural_nb.charts import weight_histogram\nfrom plural_nb.survey.weight_spread import weight_spread"
    drawn = f"weight_spread(survey.design{whom}), source=survey.title, about=survey.describe({about})"
    return "\n".join([*_start(shown, imports), f"weight_histogram({drawn})"])


def _checks(shown: Shown) -> str:
    return "\n".join([*_start(shown, "", picks=False), "for finding in survey.check():", "    print(finding)"])


def _about(shown: Shown) -> str:
    return "\n".join([*_start(shown, "", picks=False), "print(survey.note)", "print(survey.citation)"])


def _start(shown: Shown, imports: str, *, picks: bool = True) -> list[str]:
    source = f"survey = {shown.survey}" if shown.survey else "# survey: the Survey object that you gave the browser"
    lines = ["import plural_nb as pnb", *([imports] if imports else []), "", source]
    if picks and shown.population:
        levels = ", ".join(f"{trait!r}: {list(labels)!r}" for trait, labels in shown.population.items())
        lines.append(f"population = pnb.Population({{{levels}}})")
    return lines


def _choices(shown: Shown) -> list[str]:
    return ["population=population"] * bool(shown.population) + ["weighted=False"] * (not shown.weighted)


def _by(shown: Shown) -> list[str]:
    return [f"by={shown.by_label!r}"] if shown.by else []


def _about_whom(shown: Shown) -> list[str]:
    return ["about=survey.describe(population)"] if shown.population and shown.by else []
