"""Do a sample's regressions hold outside it? Fitted on each sample, they classify the people of a benchmark sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from scipy import optimize, special

from plural_nb.answers import Answers
from plural_nb.comparison.distances import Floats
from plural_nb.comparison.sample import Sample, labels_of, sample_of
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.design import Ints
from plural_nb.survey.means import mean
from plural_nb.survey.measure import Measure
from plural_nb.survey.shares import group_codes
from plural_nb.survey.survey import Survey

# Keeps coefficients finite where a trait decides the outcome: one person's worth of information on each.
_RIDGE = 1.0
_FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Classified:
    """How well each sample's regressions classify the benchmark sample.

    rows: a row per sample and outcome, see `table`. left_out: what could not be fitted, and why.
    """

    rows: pl.DataFrame = field(repr=False)
    left_out: tuple[str, ...] = ()

    def table(self) -> pl.DataFrame:
        """Return one row per sample and outcome: correct, low, high, commonest, own, better.

        correct: weighted share of the benchmark sample's people whose answer is the one the regression makes likeliest;
        low and high carry that sample's error alone. commonest: share correct when everyone is given the commonest
        answer. own: of the benchmark sample's own regression, on people it was not fitted on (5 folds of PSUs).
        better: whether low lies above commonest.
        """
        return self.rows

    def summary(self) -> pl.DataFrame:
        """Return one row per sample: mean share correct over outcomes, and the share of regressions that are better."""
        return self.rows.group_by("sample", maintain_order=True).agg(
            pl.col("correct").mean().alias("mean_correct"),
            pl.col("commonest").mean(),
            pl.col("own").mean(),
            pl.col("better").mean().alias("share_better"),
            pl.len().alias("regressions"),
        )

    def sentence(self) -> str:
        """The summary in plain words."""
        return " ".join(
            f"Regressions fitted on {row['sample']} classify {row['mean_correct']:.0%} of the benchmark sample's "
            f"answers correctly ({row['commonest']:.0%} by naming the commonest, {row['own']:.0%} by its own)."
            for row in self.summary().iter_rows(named=True)
        )


def classify(
    samples: Mapping[str, Sample | Survey],
    benchmark_sample: Sample | Survey,
    *,
    outcomes: Sequence[str],
    predictors: Sequence[str],
    level: float = 0.95,
) -> Classified:
    """Fit a multinomial logit of each outcome on each sample, and classify the benchmark sample's people with it.

    samples: by name; a silicon sample's rows may be fractional. benchmark_sample: people who are known to stand for
    the population. Both may be surveys. outcomes: question keys. predictors: trait keys, each a set of indicators;
    levels that a sample has nobody of get no coefficient. Fits are weighted, with a ridge of one person's information
    per coefficient.

    After Pew Research Center 2016, "Evaluating Online Nonprobability Surveys", chapter 1. What cannot be fitted is
    named in `left_out`. Raises PluralError for an unknown outcome or predictor of the benchmark sample, or where
    nothing can be fitted.

    >>> from plural_nb.survey.question import ask_for
    >>> tea = Answers.from_places(ask_for("Tea?", ["Yes", "No"], key="tea"), [0] * 40 + [1] * 40)
    >>> people = Sample({"tea": tea}, {"home": ["Leeds"] * 38 + ["Turin"] * 42})
    >>> round(classify({"panel": people}, people, outcomes=["tea"], predictors=["home"]).table()["correct"].item(), 3)
    0.975
    """
    if not outcomes or not predictors:
        raise PluralError("A regression needs an outcome and a predictor; name at least one question and one trait.")
    people = sample_of("benchmark_sample", benchmark_sample, outcomes)
    for words, known in ((outcomes, people.answers), (predictors, people.groups)):
        for word in words:
            if word not in known:
                raise PluralError(f"The benchmark sample has no {word!r}. {nearest(word, known)}")
    rows, left_out = [], []
    for outcome in outcomes:
        truth = people.answers[outcome]
        labels = labels_of(truth)
        places = _observed(truth)
        levels = {trait: _levels(people, truth, trait) for trait in predictors}
        X = _indicators(people, truth, levels)
        own = _own(X, truth, places)
        shares = np.array([truth.design.weight[places == k].sum() for k in range(len(labels))])
        for name, sample in samples.items():
            try:
                W = _fitted(sample_of(name, sample, outcomes), outcome, labels, levels)
            except PluralError as problem:
                left_out.append(f"{outcome}, {name}: {problem}")
                continue
            correct, low, high = _correct((X @ W).argmax(axis=1), truth, places, level)
            commonest = float(shares.max() / shares.sum())
            rows.append((name, outcome, correct, low, high, commonest, own, low > commonest))
    if not rows:
        raise PluralError(f"No regression could be fitted. {' '.join(left_out[:3])}".strip())
    schema = dict.fromkeys(("sample", "outcome"), pl.String) | dict.fromkeys(
        ("correct", "low", "high", "commonest", "own"), pl.Float64
    )
    return Classified(pl.DataFrame(rows, schema=schema | {"better": pl.Boolean}, orient="row"), tuple(left_out))


def _observed(answers: Answers) -> Ints:
    """(n,) place among the substantive options, −1 where there is none or the row is outside the domain."""
    y = answers.rows[:, list(answers.question.substantive)]
    if ((y > 0) & (y < 1)).any():
        raise PluralError("The benchmark sample's answers are fractional. It needs people, who gave one answer each.")
    here = answers.domain & (y.sum(axis=1) > 0) & (answers.design.weight > 0)
    return np.asarray(np.where(here, y.argmax(axis=1), -1), dtype=np.int64)


def _levels(sample: Sample, answers: Answers, trait: str) -> tuple[str, ...]:
    return group_codes(answers.design.n, sample.groups[trait])[0]


def _indicators(sample: Sample, answers: Answers, levels: Mapping[str, tuple[str, ...]]) -> Floats:
    """(n, P) an intercept and an indicator per level but each trait's first; someone of no level has none."""
    columns = [np.ones(answers.design.n)]
    for trait, names in levels.items():
        if trait not in sample.groups:
            raise PluralError(f"its people have no trait {trait!r}. {nearest(trait, sample.groups)}")
        theirs, codes = group_codes(answers.design.n, sample.groups[trait])
        columns += [
            (codes == theirs.index(name)) * 1.0 if name in theirs else np.zeros(answers.design.n) for name in names[1:]
        ]
    return np.column_stack(columns)


def _fitted(sample: Sample, outcome: str, labels: list[str], levels: Mapping[str, tuple[str, ...]]) -> Floats:
    """(P, K) coefficients of a sample's regression."""
    if outcome not in sample.answers:
        raise PluralError(f"it was not asked. {nearest(outcome, sample.answers)}")
    answers = sample.answers[outcome]
    theirs = labels_of(answers)
    for label in labels:
        if label not in theirs:
            raise PluralError(f"{label!r} is not among its options. {nearest(label, theirs)}")
    y = answers.rows[:, [answers.question.substantive[theirs.index(label)] for label in labels]]
    X = _indicators(sample, answers, levels)
    here = answers.domain & (y.sum(axis=1) > 0)
    return _multinomial(X[here], y[here], answers.design.weight[here])


def _multinomial(X: Floats, y: Floats, w: Floats) -> Floats:
    """(P, K) coefficients of greatest weighted likelihood, rows of y being probabilities; ridge on all of them."""
    if not w.any():
        raise PluralError("nobody there gave an answer.")
    w = w * (np.count_nonzero(w) / w.sum())
    # People of the same levels are one row: the sums of their answers are all that counts.
    cells, place = np.unique(X, axis=0, return_inverse=True)
    sums = np.zeros((len(cells), y.shape[1]))
    np.add.at(sums, place.ravel(), w[:, None] * y)
    mass = sums.sum(axis=1, keepdims=True)
    P, K = X.shape[1], y.shape[1]

    def loss(flat: Floats) -> tuple[float, Floats]:
        b = flat.reshape(P, K)
        eta = cells @ b
        log_p = eta - special.logsumexp(eta, axis=1, keepdims=True)
        gradient = cells.T @ (mass * np.exp(log_p) - sums) + _RIDGE * b
        return float(-(sums * log_p).sum() + 0.5 * _RIDGE * np.square(b).sum()), gradient.ravel()

    found = optimize.minimize(loss, np.zeros(P * K), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.asarray(found.x.reshape(P, K))


def _correct(guess: Ints, truth: Answers, places: Ints, level: float) -> tuple[float, float, float]:
    right: Floats = np.where(places >= 0, guess == places, np.nan)
    found = mean(Measure.of(right, truth.design), level=level)
    return float(found.estimate[0]), float(found.low[0]), float(found.high[0])


def _own(X: Floats, truth: Answers, places: Ints) -> float:
    """Share of the benchmark sample's people that regressions on its other people classify correctly."""
    unit = np.arange(truth.design.n) if truth.design.psu is None else truth.design.psu
    units = np.unique(unit)
    fold = np.random.default_rng(0).permutation(units.size) % _FOLDS
    of_row = fold[np.searchsorted(units, unit)]
    y = np.eye(len(labels_of(truth)))[np.maximum(places, 0)]
    guess = np.zeros(truth.design.n, dtype=np.int64)
    for f in range(_FOLDS):
        fit = (of_row != f) & (places >= 0)
        if fit.any():
            guess[of_row == f] = (X[of_row == f] @ _multinomial(X[fit], y[fit], truth.design.weight[fit])).argmax(
                axis=1
            )
    return _correct(guess, truth, places, 0.95)[0]
