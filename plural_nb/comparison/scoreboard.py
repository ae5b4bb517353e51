"""The scoreboard: models × populations over many questions, in the field's published measures, with uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy import special

from plural_nb.answers import Answers
from plural_nb.comparison.distances import Floats
from plural_nb.comparison.question_sample import QuestionSample, clusters_of
from plural_nb.comparison.ranking import Ranking
from plural_nb.comparison.survey_distances import SurveyDistances, compare_survey
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.shares import Groups

if TYPE_CHECKING:
    from plural_nb.survey.survey import Population, Survey

# What a row of the scoreboard can be ranked by, and whether more is nearer to people.
MEASURES: Mapping[str, bool] = {
    "representativeness": True,
    "simbench": True,
    "mean_js": False,
    "mean_total_variation": False,
}
_LABELS = {
    "representativeness": "representativeness R = 1 − mean normalised Wasserstein distance (OpinionQA)",
    "simbench": "SimBench score: 100·(1 − mean total variation / that of uniform)",
    "mean_js": "mean Jensen–Shannon distance (base 2)",
    "mean_total_variation": "mean total variation",
}


@dataclass(frozen=True, eq=False)
class Scoreboard:
    """Models set against people on the same questions in the same groups.

    compared: by model, every distance of every question and group. sample: the bootstrap over questions, drawn by
    battery or topic, the same for all models. refusals: by model, (Q, G) share that gave no opinion. topics: of each
    question. people_refused: (Q, G).
    """

    compared: Mapping[str, SurveyDistances]
    sample: QuestionSample
    refusals: Mapping[str, Floats] = field(repr=False)
    people_refused: Floats = field(repr=False)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models."""
        return tuple(self.compared)

    @property
    def failed(self) -> Mapping[tuple[str, str, str], str]:
        """Reasons by model, question and population ("" for all) of what could not be scored, for any model then."""
        return {(model, *cell): why for model, found in self.compared.items() for cell, why in found.failed.items()}

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the populations."""
        return next(iter(self.compared.values())).groups

    def table(self) -> pl.DataFrame:
        """Return one row per model and population, with intervals over questions where they mean something.

        Columns: model, population, questions, representativeness (and _low, _high; of scales only), simbench (…),
        mean_js (…), mean_js_noise (what sampling alone would show), beyond_noise (share of cells, Benjamini and
        Hochberg), entropy_ratio (mean entropy of the model over that of people), refusals, people_refusals, failed.
        """
        rows = []
        for model, found in self.compared.items():
            H = _entropies(found)
            for g, group in enumerate(self.groups):
                js = found.distances["js_distance"]
                row: dict[str, object] = {"model": model, "population": group}
                row["questions"] = int(np.isfinite(js["value"][:, g]).sum())
                for measure in ("representativeness", "simbench", "mean_js"):
                    value, low, high = self.measure(model, measure, group)
                    row |= {measure: value, f"{measure}_low": low, f"{measure}_high": high}
                p = found.p_adjusted[:, g]
                row |= {
                    "mean_js_noise": _mean(js["noise_mean"][:, g]),
                    "beyond_noise": _mean(np.where(np.isfinite(p), p < 0.05, np.nan)),
                    "entropy_ratio": _mean(H[1][:, g]) / _mean(H[0][:, g]) if _mean(H[0][:, g]) else np.nan,
                    "refusals": _mean(self.refusals[model][:, g]),
                    "people_refusals": _mean(self.people_refused[:, g]),
                    "failed": int((~np.isfinite(js["value"][:, g])).sum()),
                }
                rows.append(row)
        numbers = pl.col(pl.Float64)
        return pl.DataFrame(rows).with_columns(pl.when(numbers.is_not_nan()).then(numbers).otherwise(None))

    def measure(self, model: str, measure: str, group: str | None = None) -> tuple[float, float, float]:
        """Return a measure of one model with its interval over questions; over all groups alike when None."""
        value, replicates, clusters = self._replicates(model, measure, group)
        return value, *self.sample.interval(value, replicates, clusters)

    def ranking(self, measure: str = "mean_js", group: str | None = None) -> Ranking:
        """Rank the models with uncertainty: all on the same draws of questions, so that differences are paired.

        Raises PluralError for an unknown measure or group.
        """
        found = [self._replicates(model, measure, group) for model in self.models]
        values, replicates = np.array([f[0] for f in found]), np.stack([f[1] for f in found])
        return Ranking(
            measure, _LABELS[measure], self.models, values, replicates, min(f[2] for f in found),
            more_is_better=MEASURES[measure], level=self.sample.level,
        )  # fmt: skip

    def worst_group(self, model: str, measure: str = "mean_js") -> Ranking:
        """Rank the populations by how near the model is to them, the worst last; paired over questions."""
        found = [self._replicates(model, measure, group) for group in self.groups]
        return Ranking(
            measure, _LABELS[measure], self.groups, np.array([f[0] for f in found]), np.stack([f[1] for f in found]),
            min(f[2] for f in found), more_is_better=MEASURES[measure], level=self.sample.level,
        )  # fmt: skip

    def consistency(self, model: str) -> float:
        """Return the share of topics whose best represented population is the best one overall (OpinionQA).

        Topics are the clusters of questions (`topics=` of `score`, else batteries). NaN without scales.
        """
        R = 1 - self._column(model, "wasserstein_normalised")
        if not np.isfinite(R).any():
            return float("nan")
        clusters = np.array(self.sample.clusters)
        best = int(np.argmax(_column_means(R)))
        hits = [
            int(np.argmax(_column_means(R[clusters == topic]))) == best
            for topic in dict.fromkeys(self.sample.clusters)
            if np.isfinite(R[clusters == topic]).any()
        ]
        return float(np.mean(hits))

    def _column(self, model: str, distance: str) -> Floats:
        if model not in self.compared:
            raise PluralError(f"There is no model {model!r} on the scoreboard. {nearest(model, self.models)}")
        found = self.compared[model].distances
        if distance not in found:
            return np.full((len(self.sample.keys), len(self.groups)), np.nan)
        return found[distance]["value"]

    def _replicates(self, model: str, measure: str, group: str | None) -> tuple[float, Floats, int]:
        """The measure, its (R,) bootstrap replicates over questions, and the clusters in it."""
        if measure not in MEASURES:
            raise PluralError(f"Unknown measure {measure!r}. {nearest(measure, MEASURES)}")
        if group is not None and group not in self.groups:
            raise PluralError(f"There is no population {group!r} on the scoreboard. {nearest(group, self.groups)}")
        at = list(range(len(self.groups))) if group is None else [self.groups.index(group)]
        names = {"representativeness": "wasserstein_normalised", "mean_js": "js_distance"}
        values = _row_means(self._column(model, names.get(measure, "total_variation"))[:, at])
        clusters = self.sample.clusters_in(values)
        mean, drawn = _mean(values), self.sample.means(values)
        if measure == "representativeness":
            return 1 - mean, 1 - drawn, clusters
        if measure == "simbench":
            even = np.where(np.isfinite(values), _row_means(_to_uniform(self.compared[model])[:, at]), np.nan)
            with np.errstate(invalid="ignore", divide="ignore"):
                return 100 * (1 - mean / _mean(even)), 100 * (1 - drawn / self.sample.means(even)), clusters
        return mean, drawn, clusters


def score(
    models: Mapping[str, Mapping[str, Answers | Mapping[str, Answers]]],
    survey: Survey,
    *,
    by: str | Groups | None = None,
    population: Population | None = None,
    topics: Mapping[str, str] | None = None,
    replicates: int = 500,
    seed: int = 0,
    level: float = 0.95,
    on_progress: Callable[[int, int], None] | None = None,
) -> Scoreboard:
    """Set models against the people of a survey, question by question and population by population.

    models: by name, their answers by question (one for all populations, or by population's name). Only questions that
        every model was asked are scored. by, population: as in `compare_survey`.
    topics: of questions, which are drawn together in the bootstrap over questions; else batteries.
    replicates, seed: of the people behind each distance's interval; questions are drawn 2,000 times.
    on_progress: called with (questions done, questions of all models); what it raises ends the scoring.

    Intervals say how much a mean would vary over other questions of this kind; the people are the same for all.

    Raises PluralError when there is no model, or no question that all were asked.

    >>> from plural_nb.comparison.baselines import uniform
    >>> from plural_nb.survey.library import load_survey
    >>> anes = load_survey("anes96")
    >>> keys = list(anes.questions)[:3]
    >>> board = score({"uniform": {key: uniform(anes.answers(key)) for key in keys}}, anes)
    >>> board.table()["simbench"].round(6).to_list()
    [0.0]
    """
    if isinstance(survey, Mapping) or not (
        isinstance(models, Mapping) and all(isinstance(answers, Mapping) for answers in models.values())
    ):
        raise PluralError('The models come first, then the survey: score({"a model": {"key": answers}}, survey).')
    if not models:
        raise PluralError("There is no model to score.")
    asked = [key for key in survey.questions if all(key in answers for answers in models.values())]
    if not asked:
        raise PluralError("No question of the survey was put to every model, so there is nothing to score them on.")
    compared = {}
    for i, (name, answers) in enumerate(models.items()):

        def report(done: int, total: int, before: int = i * len(asked)) -> None:
            if on_progress is not None:
                on_progress(before + done, len(models) * total)

        compared[name] = compare_survey(
            survey, {key: answers[key] for key in asked}, by=by, population=population, replicates=replicates,
            seed=seed, level=level, on_progress=report,
        )  # fmt: skip
    some = next(iter(compared.values()))
    # A cell that one model failed in is left out for all: they are compared on the same questions.
    usable = np.logical_and.reduce([np.isfinite(f.distances["js_distance"]["value"]) for f in compared.values()])
    if not usable.any():
        reasons = [
            f"{name}: {key}, {why}" for name, found in compared.items() for (key, _), why in found.failed.items()
        ]
        raise PluralError(f"No question could be scored for every model ({'; '.join(reasons[:3])}).")
    for found in compared.values():
        for columns in found.distances.values():
            columns["value"][~usable] = np.nan
    sample = QuestionSample.of(asked, clusters_of(some.questions, topics), seed=seed, level=level)
    refusals = {name: _refused(answers, asked, some.groups) for name, answers in models.items()}
    people = np.stack([
        some.people[key].nonsubstantive if key in some.people else np.full(len(some.groups), np.nan) for key in asked
    ])  # fmt: skip
    return Scoreboard(compared, sample, refusals, people)


def steerability(styles: Mapping[str, SurveyDistances]) -> pl.DataFrame:
    """Return how near a model can be steered to each population by any of several prompt styles (OpinionQA).

    Columns: population, released (the best style's mean of 1 − W over questions, as in the released code), style (that
    one), paper_equation (the mean over questions of the best style's, as in the paper). Raises PluralError without
    styles, or where they differ in populations or questions.
    """
    if not styles:
        raise PluralError("Steerability needs the distances of one prompt style or more.")
    tables = list(styles.values())
    for found in tables[1:]:
        if found.groups != tables[0].groups or [q.key for q in found.questions] != [q.key for q in tables[0].questions]:
            raise PluralError("The prompt styles were put to other populations or questions; they must be the same.")
    R = 1 - np.stack([found.distances["wasserstein_normalised"]["value"] for found in tables])
    means = np.stack([_column_means(r) for r in R])
    best = np.argmax(np.nan_to_num(means, nan=-np.inf), axis=0)
    with np.errstate(invalid="ignore"):
        inside = _column_means(np.where(np.isfinite(R).all(axis=0), np.nan_to_num(R, nan=-1).max(axis=0), np.nan))
    return pl.DataFrame({
        "population": list(tables[0].groups), "released": means[best, np.arange(best.size)],
        "style": [list(styles)[i] for i in best], "paper_equation": inside,
    })  # fmt: skip


def _entropies(found: SurveyDistances) -> tuple[Floats, Floats]:
    """(Q, G) nats of people and of the model, where both are known."""
    value = found.distances["js_distance"]["value"]
    H = np.full((2, *value.shape), np.nan)
    for i, question in enumerate(found.questions):
        if question.key in found.people:
            H[0, i] = special.entr(found.people[question.key].share).sum(axis=1)
            H[1, i] = special.entr(found.model[question.key]).sum(axis=1)
    H[:, ~np.isfinite(value)] = np.nan
    return H[0], H[1]


def _to_uniform(found: SurveyDistances) -> Floats:
    """(Q, G) total variation between people and uniform."""
    even = np.full(found.p.shape, np.nan)
    for i, question in enumerate(found.questions):
        if question.key in found.people:
            share = found.people[question.key].share
            even[i] = np.abs(share - 1 / share.shape[1]).sum(axis=1) / 2
    return even


def _refused(
    answers: Mapping[str, Answers | Mapping[str, Answers]], keys: Sequence[str], groups: tuple[str, ...]
) -> Floats:
    """(Q, G) mean probability of offered options without opinion."""
    table = np.full((len(keys), len(groups)), np.nan)
    for i, key in enumerate(keys):
        given = answers[key]
        known: dict[int, float] = {}
        for g, group in enumerate(groups):
            one = given if isinstance(given, Answers) else given.get(group)
            if one is None:
                continue
            if id(one) not in known:
                known[id(one)] = _refused_by(one)
            table[i, g] = known[id(one)]
    return table


def _refused_by(answers: Answers) -> float:
    options = answers.question.options
    offered = [k for k, o in enumerate(options) if o.offered and not o.substantive]
    spoken = [k for k, o in enumerate(options) if o.offered or o.substantive]
    weight = answers.design.weight * answers.domain
    total = weight @ answers.rows[:, spoken].sum(axis=1)
    return float(weight @ answers.rows[:, offered].sum(axis=1) / total) if total > 0 else float("nan")


def _mean(values: Floats) -> float:
    usable = values[np.isfinite(values)]
    return float(usable.mean()) if usable.size else float("nan")


def _row_means(values: Floats) -> Floats:
    return np.array([_mean(row) for row in values])


def _column_means(values: Floats) -> Floats:
    return np.array([_mean(column) for column in values.T])
