"""Whose opinions does a language model reflect? Local models beside weighted surveys, in Jupyter.

Three lines show a model against humans::

    import plural_nb as pnb

    pnb.Explorer()                                    # the panel, in a notebook
    pnb.load_survey("anes96").answers("vote").shares().table()
    pnb.open_model("plural-demo-base").ask(pnb.load_survey("anes96").questions["vote"]).shares().table()

Everything public is listed in `__all__` and loads when it is first used, so `import plural_nb` is quick and a
process that only needs one part loads only that part.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from plural_nb.errors import nearest

if TYPE_CHECKING:
    from plural_nb.answers import Answers, Source
    from plural_nb.comparison.before_after import BeforeAndAfter
    from plural_nb.comparison.benchmarking import benchmark
    from plural_nb.comparison.benchmarks import Benchmarks
    from plural_nb.comparison.classification import classify
    from plural_nb.comparison.comparison import Comparison, compare
    from plural_nb.comparison.constraint import constraint
    from plural_nb.comparison.contamination import contamination
    from plural_nb.comparison.demographics import demographic_baseline
    from plural_nb.comparison.experiment import before_and_after
    from plural_nb.comparison.halves import split_halves
    from plural_nb.comparison.heterogeneity import heterogeneity
    from plural_nb.comparison.published import published
    from plural_nb.comparison.sample import Sample
    from plural_nb.comparison.scoreboard import Scoreboard, score, steerability
    from plural_nb.comparison.survey_distances import SurveyDistances, compare_survey
    from plural_nb.comparison.tails import tails
    from plural_nb.errors import Cancelled, ModelCrashed, ModelError, PluralError, SurveyError
    from plural_nb.jury.annotations import Annotations
    from plural_nb.jury.composition import amplify, reversing
    from plural_nb.jury.decision import Decision, decide, decisions
    from plural_nb.jury.fanatics import fanatics
    from plural_nb.jury.groups import group_switches, groups_at
    from plural_nb.jury.inequality import inequality
    from plural_nb.jury.labelling import simulate_labelling
    from plural_nb.jury.pool import Pool
    from plural_nb.jury.quotas import Quotas
    from plural_nb.jury.reading import read_utilities
    from plural_nb.jury.scaling import winners_by_scaling
    from plural_nb.jury.sortition import sortition
    from plural_nb.jury.sweep import Sweep, sweep
    from plural_nb.jury.switches import Switches, switches
    from plural_nb.jury.utilities import Utilities
    from plural_nb.jury.welfare import welfare
    from plural_nb.personas.coefficients import coefficients
    from plural_nb.personas.crossing import crossed
    from plural_nb.personas.fidelity import agreement, pattern
    from plural_nb.personas.hiding import hide_at_random, hide_levels, hide_questions, plan_missing
    from plural_nb.personas.personas import Personas
    from plural_nb.personas.rectify import rectify
    from plural_nb.personas.steered import steer
    from plural_nb.personas.steering import steering
    from plural_nb.personas.template import Template
    from plural_nb.personas.turnout import with_turnout
    from plural_nb.personas.unasked import ask_hidden, predict, recover
    from plural_nb.silicon.finding import find_models
    from plural_nb.silicon.gguf import ModelFile
    from plural_nb.silicon.model import Model, open_model
    from plural_nb.survey.agreement import krippendorff
    from plural_nb.survey.contrasts import difference
    from plural_nb.survey.design import Design
    from plural_nb.survey.distributions import read_distributions
    from plural_nb.survey.independence import independence
    from plural_nb.survey.library import download_survey, downloads, load_survey, surveys
    from plural_nb.survey.means import mean, total
    from plural_nb.survey.quantiles import quantile
    from plural_nb.survey.question import Option, Question, ask_for
    from plural_nb.survey.reading import read_survey
    from plural_nb.survey.recipes import recipes
    from plural_nb.survey.regression import regress
    from plural_nb.survey.shares import Shares
    from plural_nb.survey.survey import Population, Survey
    from plural_nb.survey.tabulation import tabulate
    from plural_nb.survey.trait import Trait
    from plural_nb.survey.trend import change, trend
    from plural_nb.survey.weighting import calibrate, post_stratify, rake, trim
    from plural_nb.widgets.alpha_sweep import AlphaSweep
    from plural_nb.widgets.browser import SurveyBrowser
    from plural_nb.widgets.candidate_table import CandidateTable
    from plural_nb.widgets.compare_view import CompareView
    from plural_nb.widgets.explorer import Explorer
    from plural_nb.widgets.jury_builder import JuryBuilder
    from plural_nb.widgets.persona_studio import PersonaStudio
    from plural_nb.widgets.scoreboard_view import ScoreboardView
    from plural_nb.widgets.steering_matrix import SteeringMatrix

__version__ = "0.1.0"

_HOME = {
    "Answers": "answers",
    "Source": "answers",
    "BeforeAndAfter": "comparison.before_after",
    "benchmark": "comparison.benchmarking",
    "Benchmarks": "comparison.benchmarks",
    "classify": "comparison.classification",
    "compare": "comparison.comparison",
    "Comparison": "comparison.comparison",
    "constraint": "comparison.constraint",
    "contamination": "comparison.contamination",
    "demographic_baseline": "comparison.demographics",
    "before_and_after": "comparison.experiment",
    "split_halves": "comparison.halves",
    "heterogeneity": "comparison.heterogeneity",
    "published": "comparison.published",
    "Sample": "comparison.sample",
    "score": "comparison.scoreboard",
    "Scoreboard": "comparison.scoreboard",
    "steerability": "comparison.scoreboard",
    "compare_survey": "comparison.survey_distances",
    "SurveyDistances": "comparison.survey_distances",
    "tails": "comparison.tails",
    "Cancelled": "errors",
    "ModelCrashed": "errors",
    "ModelError": "errors",
    "PluralError": "errors",
    "SurveyError": "errors",
    "Annotations": "jury.annotations",
    "amplify": "jury.composition",
    "reversing": "jury.composition",
    "decide": "jury.decision",
    "Decision": "jury.decision",
    "decisions": "jury.decision",
    "fanatics": "jury.fanatics",
    "group_switches": "jury.groups",
    "groups_at": "jury.groups",
    "inequality": "jury.inequality",
    "simulate_labelling": "jury.labelling",
    "Pool": "jury.pool",
    "Quotas": "jury.quotas",
    "read_utilities": "jury.reading",
    "winners_by_scaling": "jury.scaling",
    "sortition": "jury.sortition",
    "Sweep": "jury.sweep",
    "sweep": "jury.sweep",
    "Switches": "jury.switches",
    "switches": "jury.switches",
    "Utilities": "jury.utilities",
    "welfare": "jury.welfare",
    "coefficients": "personas.coefficients",
    "crossed": "personas.crossing",
    "agreement": "personas.fidelity",
    "pattern": "personas.fidelity",
    "hide_at_random": "personas.hiding",
    "hide_levels": "personas.hiding",
    "hide_questions": "personas.hiding",
    "plan_missing": "personas.hiding",
    "Personas": "personas.personas",
    "rectify": "personas.rectify",
    "steer": "personas.steered",
    "steering": "personas.steering",
    "Template": "personas.template",
    "with_turnout": "personas.turnout",
    "ask_hidden": "personas.unasked",
    "predict": "personas.unasked",
    "recover": "personas.unasked",
    "find_models": "silicon.finding",
    "ModelFile": "silicon.gguf",
    "Model": "silicon.model",
    "open_model": "silicon.model",
    "krippendorff": "survey.agreement",
    "difference": "survey.contrasts",
    "Design": "survey.design",
    "read_distributions": "survey.distributions",
    "independence": "survey.independence",
    "download_survey": "survey.library",
    "downloads": "survey.library",
    "load_survey": "survey.library",
    "surveys": "survey.library",
    "mean": "survey.means",
    "total": "survey.means",
    "quantile": "survey.quantiles",
    "ask_for": "survey.question",
    "Option": "survey.question",
    "Question": "survey.question",
    "read_survey": "survey.reading",
    "recipes": "survey.recipes",
    "regress": "survey.regression",
    "Shares": "survey.shares",
    "Population": "survey.survey",
    "Survey": "survey.survey",
    "tabulate": "survey.tabulation",
    "Trait": "survey.trait",
    "change": "survey.trend",
    "trend": "survey.trend",
    "calibrate": "survey.weighting",
    "post_stratify": "survey.weighting",
    "rake": "survey.weighting",
    "trim": "survey.weighting",
    "AlphaSweep": "widgets.alpha_sweep",
    "SurveyBrowser": "widgets.browser",
    "CandidateTable": "widgets.candidate_table",
    "CompareView": "widgets.compare_view",
    "Explorer": "widgets.explorer",
    "JuryBuilder": "widgets.jury_builder",
    "PersonaStudio": "widgets.persona_studio",
    "ScoreboardView": "widgets.scoreboard_view",
    "SteeringMatrix": "widgets.steering_matrix",
}

__all__ = [
    "AlphaSweep",
    "Annotations",
    "Answers",
    "BeforeAndAfter",
    "Benchmarks",
    "Cancelled",
    "CandidateTable",
    "CompareView",
    "Comparison",
    "Decision",
    "Design",
    "Explorer",
    "JuryBuilder",
    "Model",
    "ModelCrashed",
    "ModelError",
    "ModelFile",
    "Option",
    "PersonaStudio",
    "Personas",
    "PluralError",
    "Pool",
    "Population",
    "Question",
    "Quotas",
    "Sample",
    "Scoreboard",
    "ScoreboardView",
    "Shares",
    "Source",
    "SteeringMatrix",
    "Survey",
    "SurveyBrowser",
    "SurveyDistances",
    "SurveyError",
    "Sweep",
    "Switches",
    "Template",
    "Trait",
    "Utilities",
    "agreement",
    "amplify",
    "ask_for",
    "ask_hidden",
    "before_and_after",
    "benchmark",
    "calibrate",
    "change",
    "classify",
    "coefficients",
    "compare",
    "compare_survey",
    "constraint",
    "contamination",
    "crossed",
    "decide",
    "decisions",
    "demographic_baseline",
    "difference",
    "download_survey",
    "downloads",
    "fanatics",
    "find_models",
    "group_switches",
    "groups_at",
    "heterogeneity",
    "hide_at_random",
    "hide_levels",
    "hide_questions",
    "independence",
    "inequality",
    "krippendorff",
    "load_survey",
    "mean",
    "open_model",
    "pattern",
    "plan_missing",
    "post_stratify",
    "predict",
    "published",
    "quantile",
    "rake",
    "read_distributions",
    "read_survey",
    "read_utilities",
    "recipes",
    "recover",
    "rectify",
    "regress",
    "reversing",
    "score",
    "simulate_labelling",
    "sortition",
    "split_halves",
    "steer",
    "steerability",
    "steering",
    "surveys",
    "sweep",
    "switches",
    "tabulate",
    "tails",
    "total",
    "trend",
    "trim",
    "welfare",
    "winners_by_scaling",
    "with_turnout",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module when it is first used (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"plural_nb has no {name!r}. {nearest(name, __all__)}")
    value = getattr(importlib.import_module(f"plural_nb.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
