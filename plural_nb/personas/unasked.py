"""Predicting what people were not asked: personas beside the marginal, a logit on traits, and nearest neighbours.

Kim and Lee 2023 ("AI-augmented surveys: leveraging large language models and surveys for opinion prediction"). Every
prediction is made for hidden answers only, by baselines fitted to other people (whole PSUs apart) and other years.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plural_nb.answers import Answers
from plural_nb.comparison.aligning import align_options
from plural_nb.comparison.resampling import can_rescale, rescaling_factors
from plural_nb.errors import PluralError, nearest
from plural_nb.personas.auc import auc_of_options
from plural_nb.personas.foretelling import Foretellers
from plural_nb.personas.hiding import Bools, Hidden
from plural_nb.personas.personas import Personas
from plural_nb.personas.rectify import rectify
from plural_nb.survey.design import Floats, Ints
from plural_nb.survey.measure import Measure
from plural_nb.survey.regression import Regression, regress
from plural_nb.survey.survey import Survey

if TYPE_CHECKING:
    from plural_nb.silicon.model import Model

_NEIGHBOURS = 25


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """How well each predictor foretells the hidden answers.

    rows: see `table`. individual: {predictor: (n,) AUC within each person's hidden answers, NaN where none}.
    hidden: what was hidden. left_out: what could not be predicted, and why.
    """

    rows: pl.DataFrame = field(repr=False)
    individual: Mapping[str, Floats] = field(repr=False)
    hidden: Hidden = field(repr=False)
    left_out: tuple[str, ...] = ()

    def table(self) -> pl.DataFrame:
        """Return one row per question and predictor: n, auc, low, high, log_loss (nats), correct, expected.

        auc: each option against the others, averaged by how many chose it; 0.5 is chance. low, high: percentiles of 200
        bootstrap replicates of PSUs. correct: weighted share whose likeliest answer is their own. expected: mean
        probability of the own answer.
        """
        return self.rows

    def resisting(self, predictor: str = "personas") -> pl.DataFrame:
        """Return the questions from hardest to easiest for a predictor, for a questionnaire's review.

        gain: its AUC less the best baseline's. resists: the interval of its AUC includes 0.5.
        """
        self._require(predictor)
        others = self.rows.filter((pl.col("predictor") != predictor) & (pl.col("predictor") != "marginal"))
        best = others.group_by("question").agg(pl.col("auc").max().alias("best_baseline"))
        mine = self.rows.filter(pl.col("predictor") == predictor).join(best, on="question", how="left")
        return mine.select(
            "question", "n", "auc", "low", "high", "best_baseline", gain=pl.col("auc") - pl.col("best_baseline"),
            resists=pl.col("low") <= 0.5,
        ).sort("auc")  # fmt: skip

    def by_trait(self, traits: Sequence[str], predictor: str = "personas") -> Regression:
        """Regress each person's AUC on traits, with design-based errors: for whom predictions are worse."""
        self._require(predictor)
        survey = self.hidden.survey
        people = pl.DataFrame({
            key: pl.Series([None if c < 0 else survey.trait(key).labels[c] for c in survey.trait_codes[key]],
                           dtype=pl.Enum(survey.trait(key).labels))
            for key in traits
        })  # fmt: skip
        outcome = Measure.of(self.individual[predictor], survey.design, name=f"AUC of {predictor}")
        return regress(outcome, people, list(traits))

    def sentence(self) -> str:
        """Return in words which predictor does best."""
        mean = self.rows.group_by("predictor", maintain_order=True).agg(pl.col("auc").mean(), pl.col("correct").mean())
        said = "; ".join(f"{p} {a:.2f} ({c:.0%} right)" for p, a, c in mean.iter_rows() if a is not None)
        count = self.rows["question"].n_unique()
        return f"Hidden: {self.hidden.about}. Mean AUC over {count} question{'s' * (count > 1)}: {said}."

    def _require(self, predictor: str) -> None:
        if predictor not in self.individual:
            raise PluralError(f"There is no predictor {predictor!r}. {nearest(predictor, list(self.individual))}")


def ask_hidden(
    model: Model, hidden: Hidden, *, traits: Sequence[str] | None = None, answered: bool = True,
    template: str = "first_person", **how: Any,
) -> dict[str, Answers]:  # fmt: skip
    """Ask a model the hidden answers, as personas who tell their traits and, if wanted, what they did answer.

    answered: whether a persona is shown the person's own answers to the other questions that are not hidden. traits,
    template: see `Personas`. how: `leak`, `near` and `missing` go to the personas, the rest to `Model.ask`.
    """
    seen = hidden.seen
    whom = {name: how.pop(name) for name in ("leak", "near", "missing") if name in how}
    found = {}
    for key in hidden.keys:
        others = [other for other in hidden.keys if other != key] if answered else []
        people = Personas.from_survey(seen, template, traits, answered=others, **whom).within(hidden.masks[key])
        found[key] = model.ask(hidden.survey.questions[key], people=people, **how)
    return found


def predict(
    hidden: Hidden,
    silicon: Mapping[str, Answers] | None = None,
    *,
    traits: Sequence[str] | None = None,
    neighbours: int = _NEIGHBOURS,
    folds: int = 5,
    replicates: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> Prediction:
    """Return how well personas and baselines foretell hidden answers, question by question and person by person.

    silicon: {question key: personas' answers, row by row of the survey's people}. traits: that the logit and the
    neighbours know; all when None. Baselines: "marginal" (shares of those who were asked), "logit" (multinomial, on
    traits), "neighbours" (the `neighbours` people who agree most in traits and in the answers that both were asked).
    A person is never predicted from their own PSU: people are parted in `folds` of PSUs. replicates, seed, level: of
    the bootstrap.

    A question that nobody was asked has personas only; baselines have nothing to learn from, which `left_out` says.
    Raises PluralError for personas of other rows, or an unknown trait.
    """
    survey = hidden.survey
    names = list(survey.traits) if traits is None else list(traits)
    for name in names:
        survey.trait(name)
    foretellers = Foretellers.of(hidden, names, neighbours, folds, seed)
    rows, left_out = [], []
    pairs: dict[str, tuple[Floats, Floats]] = {}
    for key in hidden.keys:
        truth = hidden.truth(key)
        places = list(truth.question.substantive)
        y = truth.rows[:, places]
        asked = truth.domain & (y.sum(axis=1) > 0) & (survey.design.weight > 0)
        if not asked.any():
            left_out.append(f"{key}: no hidden answer carries an opinion")
            continue
        own = np.where(asked, y.argmax(axis=1), -1)
        predicted, missing = foretellers.rows(key, asked)
        left_out += [f"{key}: {missing}"] if missing else []
        if silicon is not None and key in silicon:
            predicted["personas"] = _silicon(truth, silicon[key])
        for name, q in predicted.items():
            here = asked & (q.sum(axis=1) > 0)
            if not here.any():
                left_out.append(f"{key}: {name} said nothing")
                continue
            rows.append((key, name, *_scores(survey, q[here], own[here], here, replicates, seed, level)))
            _count_pairs(pairs, name, q, own, here)
    if not rows:
        raise PluralError("Nothing could be predicted: " + "; ".join(left_out))
    columns = ["question", "predictor", "n", "auc", "low", "high", "log_loss", "correct", "expected"]
    table = pl.DataFrame(rows, schema=columns, orient="row").with_columns(pl.col(pl.Float64).fill_nan(None))
    with np.errstate(invalid="ignore", divide="ignore"):
        individual = {name: won / of for name, (won, of) in pairs.items()}
    return Prediction(table, individual, hidden, tuple(left_out))


def recover(hidden: Hidden, silicon: Mapping[str, Answers], *, level: float = 0.95) -> pl.DataFrame:
    """Return, per question and option, the share from those asked alone and rectified by personas, beside the whole.

    Columns: question, option, share_all (of everybody's answers, the ones hidden included), asked, asked_low,
    asked_high, rectified, low, high, interviews, interviews_gained. See `plural_nb.personas.rectify.rectify`.

    silicon: personas' answers for *all* rows, asked or not. Raises PluralError where a question has none.
    """
    frames = []
    for key in hidden.keys:
        if key not in silicon:
            raise PluralError(f"There are no silicon answers to {key!r}. {nearest(key, list(silicon))}")
        whole = hidden.survey.answers(key).shares(level=level)
        known = hidden.known(key)
        alone, both = known.shares(level=level), rectify(known, silicon[key], level=level)
        frames.append(pl.DataFrame({
            "question": [key] * len(whole.options), "option": list(whole.options), "share_all": whole.share[0],
            "asked": alone.share[0], "asked_low": alone.low[0], "asked_high": alone.high[0],
            "rectified": both.share, "low": both.low, "high": both.high, "interviews": both.interviews,
            "interviews_gained": both.interviews_gained,
        }))  # fmt: skip
    return pl.concat(frames)


def _silicon(truth: Answers, silicon: Answers) -> Floats:
    if silicon.design.n != truth.design.n:
        raise PluralError(
            f"There are {silicon.design.n} personas for {truth.design.n} people; they must be the same rows."
        )
    q = align_options(truth, silicon, "all").b.rows[:, list(truth.question.substantive)]
    total = q.sum(axis=1, keepdims=True)
    return np.asarray(q / np.where(total > 0, total, 1.0))


def _scores(
    survey: Survey, q: Floats, own: Ints, here: Bools, replicates: int, seed: int, level: float
) -> tuple[int, float, float, float, float, float, float]:
    design = survey.design
    w = design.weight[here]
    found = float(auc_of_options(q, own, w))
    low = high = float("nan")
    if replicates and can_rescale(design):
        unit = (np.arange(design.n) if design.psu is None else design.psu)[here]
        factors = rescaling_factors(design, replicates, seed)[unit].astype(np.float64)
        drawn = auc_of_options(q, own, w[:, None] * factors)
        low, high = (float(np.nanquantile(drawn, end)) for end in ((1 - level) / 2, (1 + level) / 2))
    p = q[np.arange(len(q)), own]
    with np.errstate(divide="ignore"):
        loss = -np.log(p)
    return (len(q), found, low, high, float(np.average(loss, weights=w)),
            float(np.average(q.argmax(axis=1) == own, weights=w)), float(np.average(p, weights=w)))  # fmt: skip


def _count_pairs(pairs: dict[str, tuple[Floats, Floats]], name: str, q: Floats, own: Ints, here: Bools) -> None:
    """Add, for each person, the pairs of the chosen option and another that are ranked rightly."""
    won, of = pairs.setdefault(name, (np.zeros(len(q)), np.zeros(len(q))))
    p = q[np.arange(len(q)), np.maximum(own, 0)][:, None]
    other = np.arange(q.shape[1])[None, :] != own[:, None]
    right = ((q < p) + 0.5 * (q == p)) * other
    won[here] += right[here].sum(axis=1)
    of[here] += q.shape[1] - 1
