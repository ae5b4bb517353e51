"""Tails: whether improbable answers are under-estimated and probable ones over-estimated, and where that leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from plural_nb.comparison.answering import Answering, name_of, questions_of, row_of
from plural_nb.comparison.distances import Floats, entropy
from plural_nb.comparison.distortion import Fitted, Pair, log_spread, logit_slope, sharpening
from plural_nb.comparison.question_sample import REPLICATES, QuestionSample, clusters_of
from plural_nb.errors import ModelCrashed, PluralError
from plural_nb.survey.question import Question
from plural_nb.survey.survey import Survey

BINS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
RARE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Tails:
    """A model's shares against people's, option by option.

    name: of the model. logit: slope of logit(model's share) on logit(people's share) over all options.
    sharpening: exponent b of the distortion model ∝ people^b within each question: above 1, what is rare among people
    gets rarer. spread: standard deviation of the model's log shares within questions over that of people's: above 1
    the model is more peaked, on people's options (then b is above 1, too) or on others. Options weigh by people's
    shares in all three, since rare ones are known less well. options: a row per option: question, option, human,
    model. curve, generations: see `table` and `chain`. left_out: questions that could not be used, and why. level: of
    the intervals. note: what they cover.
    """

    name: str
    logit: Fitted
    sharpening: Fitted
    spread: Fitted
    options: pl.DataFrame = field(repr=False)
    curve: pl.DataFrame = field(repr=False)
    generations: pl.DataFrame = field(repr=False)
    level: float
    left_out: tuple[str, ...] = ()
    note: str = ""

    def table(self) -> pl.DataFrame:
        """Return the calibration curve: binned_by, bin_low, bin_high, options, human, model, difference, low, high.

        Options are binned by the people's share and, in further rows, by the model's. Binning by a noisy share makes
        its lowest bin look too low (regression to the mean): with small samples trust the rows binned by the model.
        """
        return self.curve

    def chain(self) -> pl.DataFrame:
        """Return what models trained on each other's answers would say: generation, power, entropy_nats, rare, ….

        Generation 0 are the people; each next one distorts the one before as this model distorts people, so that
        generation t has people's shares to the power b^t. rare: mean share per question of the options that less than
        10% of people choose. The columns _low and _high follow the interval of b.
        """
        return self.generations

    def sentence(self) -> str:
        """What happens to the tails, in plain words."""
        b = self.sharpening
        start = f"In {self.name} people's shares stand to the power {b.value:.2f}"
        if b.low is None or b.high is None:
            return f"{start}; all questions are of one battery or topic, so no interval can be given."
        way = "as they are, as far as these questions tell"
        if b.low > 1:
            way = "shrunken: rare answers get rarer and common ones more common"
        elif b.high < 1:
            way = "swollen: rare answers get more common and common ones rarer"
        rare, last = self.generations["rare"], self.generations["generation"][-1]
        return (
            f"{start} ({self.level:.0%} interval {b.low:.2f} to {b.high:.2f}), which leaves the tails {way}. Answers "
            f"that less than {RARE:.0%} of people give hold {rare[0]:.1%} of a question among people, and would hold "
            f"{rare[-1]:.1%} after {last} generations of models trained on models."
        )


def tails(
    model: Answering,
    people: Answering,
    questions: Sequence[Question] | Question | Survey,
    *,
    topics: Mapping[str, str] | None = None,
    manner: Mapping[str, Any] | None = None,
    generations: int = 5,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Tails:
    """Compare a model's shares with people's over the options of many questions.

    model, people: a model, a survey, answers by question key, a function, or a table, as for `before_and_after`.
    questions: all of a survey's, or some. topics, manner, level, replicates, seed: as there.
    generations: of models trained on models, at least 1.

    Where a side is a sample, half a person is added to each option before taking logarithms, so that a share of 0 has
    one (Cox's empirical logit; n is the effective number). What is fitted is corrected for the people's sampling error,
    whose variance is taken off that of their logits and log shares. The table and the chain start from shares as found.

    Raises PluralError where no question can be used, or people's shares differ no more than by sampling error.

    >>> from plural_nb.survey.question import ask_for
    >>> asked = [ask_for(f"Question {i}?", ["Yes", "No"], key=f"q{i}") for i in range(4)]
    >>> def table(power):
    ...     rows = [(f"q{i}", o, s**power / (p**power + (1 - p)**power)) for i, p in enumerate((.1, .3, .6, .9))
    ...             for o, s in (("Yes", p), ("No", 1 - p))]
    ...     return pl.DataFrame(rows, schema=["question", "option", "share"], orient="row")
    >>> round(tails(table(2), table(1), asked).sharpening.value, 6)
    2.0
    """
    if generations < 1:
        raise PluralError(f"There is at least one generation, not {generations}.")
    asked = questions_of(questions)
    pairs, left_out = _pairs(asked, model, people, {"mode": "completion"} if manner is None else manner)
    if not pairs:
        raise PluralError(f"There is no question that both sides answer. {' '.join(left_out[:3])}".strip())
    clusters = dict(zip((q.key for q in asked), clusters_of(asked, topics), strict=True))
    keys = [pair.question.key for pair in pairs]
    sample = QuestionSample.of(keys, [clusters[k] for k in keys], replicates=replicates, seed=seed, level=level)
    b = sharpening(pairs, sample)
    return Tails(
        name=name_of(model, "the model"),
        logit=logit_slope(pairs, sample),
        sharpening=b,
        spread=log_spread(pairs, sample),
        options=_options(pairs),
        curve=_curve(pairs, sample),
        generations=_chain([pair.human for pair in pairs], b, generations),
        level=level,
        left_out=tuple(left_out),
        note=f"Intervals ({level:.0%}) are from {replicates:,} bootstrap replicates over {len(keys)} questions in "
        f"{len(set(sample.clusters))} batteries or topics, drawn whole (seed {seed}).",
    )


def _pairs(
    questions: Sequence[Question], model: Answering, people: Answering, manner: Mapping[str, Any]
) -> tuple[list[Pair], list[str]]:
    pairs, left_out = [], []
    for question in questions:
        try:
            human = row_of(people, question, name="the people")
            silicon = None if human is None else row_of(model, question, manner=manner, name="the model")
            if human is None or silicon is None:
                left_out.append(f"{question.key}: {'the people' if human is None else 'the model'} gave no answer")
            else:
                pairs.append(Pair.of(question, human, silicon))
        except ModelCrashed:
            raise
        except PluralError as problem:
            left_out.append(f"{question.key}: {problem}")
    return pairs, left_out


def _options(pairs: Sequence[Pair]) -> pl.DataFrame:
    rows = [
        (pair.question.key, pair.question.options[place].label, float(h), float(m))
        for pair in pairs
        for place, h, m in zip(pair.question.substantive, pair.human, pair.model, strict=True)
    ]
    return pl.DataFrame(rows, schema=["question", "option", "human", "model"], orient="row")


def _curve(pairs: Sequence[Pair], sample: QuestionSample) -> pl.DataFrame:
    rows = []
    for binned_by in ("humans", "model"):
        for low, high in pairwise(BINS):
            sums = []
            for pair in pairs:
                x = pair.human if binned_by == "humans" else pair.model
                inside = (x >= low) & ((x < high) | (high == BINS[-1]))
                sums.append((inside.sum(), pair.human[inside].sum(), pair.model[inside].sum()))
            n, human, model = (np.array(column, dtype=np.float64) for column in zip(*sums, strict=True))
            if not n.any():
                rows.append((binned_by, low, high, 0, *[None] * 5))
                continue
            with np.errstate(invalid="ignore", divide="ignore"):
                redrawn = (sample.counts @ (model - human)) / (sample.counts @ n)
            means = float(human.sum() / n.sum()), float(model.sum() / n.sum())
            gap = means[1] - means[0]
            bounds = sample.interval(gap, redrawn, sample.clusters_in(np.where(n > 0, n, np.nan)))
            rows.append((binned_by, low, high, int(n.sum()), *means, gap, *bounds))
    schema: dict[str, Any] = {
        "binned_by": pl.String,
        "bin_low": pl.Float64,
        "bin_high": pl.Float64,
        "options": pl.Int64,
    }
    schema |= dict.fromkeys(("human", "model", "difference", "low", "high"), pl.Float64)
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col(pl.Float64).fill_nan(None))


def _chain(rows: Sequence[Floats], b: Fitted, generations: int) -> pl.DataFrame:
    """Entropy and rare answers of each generation, with those at the bounds of b."""
    found = []
    for t in range(generations + 1):
        told: list[float | None] = []
        at = [None if power is None else _generation(rows, max(power, 0.0) ** t) for power in (b.value, b.low, b.high)]
        for i in range(2):
            ends = sorted(pair[i] for pair in at[1:] if pair is not None)
            told += [at[0][i] if at[0] else None, *(ends or (None, None))]
        found.append((t, b.value**t, *told))
    names = [n + end for n in ("entropy_nats", "rare") for end in ("", "_low", "_high")]
    schema: dict[str, Any] = {"generation": pl.Int64, "power": pl.Float64} | dict.fromkeys(names, pl.Float64)
    return pl.DataFrame(found, schema=schema, orient="row")


def _generation(rows: Sequence[Floats], power: float) -> tuple[float, float]:
    """Mean entropy of the rows to this power, and mean share of what is rare among people."""
    raised = [_raised(row, power) for row in rows]
    rare = [q[p < RARE].sum() for p, q in zip(rows, raised, strict=True)]
    return float(np.mean([entropy(q) for q in raised])), float(np.mean(rare))


def _raised(row: Floats, power: float) -> Floats:
    """Shares to a power, with sum 1; an option that nobody chose stays at 0."""
    with np.errstate(divide="ignore"):
        log = np.where(row > 0, power * np.log(row), -np.inf)
    raised = np.exp(log - log.max())
    return np.asarray(raised / raised.sum())
