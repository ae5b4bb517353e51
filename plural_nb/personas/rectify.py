"""Rectifying: people's answers corrected by silicon ones: a good model saves interviews, a bad one harms nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from scipy import special

from plural_nb.answers import Answers, Bools
from plural_nb.errors import SurveyError
from plural_nb.survey.design import Floats, Ints
from plural_nb.survey.linearisation import Linearised
from plural_nb.survey.question import Question
from plural_nb.survey.variance import variance

_NOTHING = 1e-14


@dataclass(frozen=True, slots=True, eq=False)
class Rectified:
    """Shares of the K substantive options from interviews and silicon answers together.

    share, se, low, high: (K,) with design-based errors; the interval is share -/+ t se, and is not cut at 0 or 1.
    power: the weight λ of the silicon answers, at least 0; tuned: whether it was found from the data.
    covariance: (K, K). df: degrees of freedom of the interviews.
    interviews: n people whose answer is known. interviews_gained: how many more of them, drawn alike, would have made
        errors as small without a model; 0 where the model is useless.
    humans, humans_se: (K,) shares from the interviews alone. silicon: (K,) those of the silicon answers as they are.
    """

    question: Question
    share: Floats
    se: Floats
    low: Floats
    high: Floats
    power: float
    tuned: bool
    covariance: Floats = field(repr=False)
    df: float
    level: float
    interviews: int
    interviews_gained: float
    humans: Floats
    humans_se: Floats
    silicon: Floats

    @property
    def bias(self) -> Floats:
        """(K,) how far the silicon shares are from the rectified ones."""
        return np.asarray(self.silicon - self.share)

    def table(self) -> pl.DataFrame:
        """Return one row per option: the rectified share with its interval, beside interviews and silicon alone."""
        return pl.DataFrame(
            {
                "question": [self.question.key] * self.share.size,
                "option": [self.question.options[i].label for i in self.question.substantive],
                "share": self.share, "se": self.se, "low": self.low, "high": self.high, "humans": self.humans,
                "humans_se": self.humans_se, "silicon": self.silicon,
            }
        )  # fmt: skip

    def sentence(self) -> str:
        """What the silicon answers were worth, in a sentence."""
        gained = round(self.interviews_gained)
        worth = f"are worth {gained:,} more" if gained else "add nothing"
        return f"Beside {self.interviews:,} interviews the silicon answers {worth} (power {self.power:.2f})."


def rectify(
    humans: Answers, silicon: Answers, everyone: Answers | None = None, *, power: float | None = None,
    level: float = 0.95,
) -> Rectified:  # fmt: skip
    """Return shares by the difference estimator λ · mean_all ŷ + mean_humans(y - λ ŷ), with design-based errors.

    Whatever the model says, the second mean takes its error out again: the estimate is as right as the interviews
    are, and tighter where the model knows something of people's answers.

    humans: people's answers, missing where they were not asked (or did not answer). silicon: the model's answers for
    the same rows, those not asked included: the first mean is over all of them. everyone: silicon answers for other
    people, or a grid weighted to the population, over which the first mean is taken instead; they must be independent
    of the interviews. Shares are over substantive options: a silicon row is brought to these.
    power: λ; by default the one that makes the sum of the options' variances least, and 0 where that is negative. A
    tuned λ costs one degree of freedom: variances are multiplied by df / (df - 1).

    Where who was asked depends on the answer beyond what the weights repair, nothing here repairs it.

    Raises SurveyError for other rows or options, and where somebody answered for whom there is no silicon answer.
    Angelopoulos, Bates, Fannjiang, Jordan and Zrnic (2023), Angelopoulos, Duchi and Zrnic (2023, PPI++, λ);
    Särndal, Swensson and Wretman (1992, sec. 6.3, the difference estimator).

    >>> from plural_nb.survey.question import ask_for
    >>> tea = ask_for("Tea?", ["Yes", "No"])
    >>> truth = [0, 1] * 200
    >>> asked = Answers.from_places(tea, [t if i < 100 else None for i, t in enumerate(truth)])
    >>> found = rectify(asked, Answers.from_places(tea, truth))
    >>> found.share.tolist(), round(found.interviews_gained)
    ([0.5, 0.5], 296)
    """
    _check(humans, silicon, everyone)
    asked, answered = _rows(humans)
    spoken, said = _rows(silicon)
    design, K = humans.design, answered.shape[1]

    def means(weight: Floats) -> Floats:
        """Interviews' shares, and silicon shares of all less those of the people interviewed."""
        held = np.where(asked, weight, 0.0)
        known, here = held @ answered / held.sum(), held @ said / held.sum()
        whole = np.where(spoken, weight, 0.0)
        away = (whole @ said / whole.sum() if everyone is None else 0.0) - here
        return np.concatenate([known, away])[None, :]

    theta = means(design.weight)
    V = variance(design, Linearised(*_influence(humans, asked, answered, spoken, said, everyone)), theta, means)
    known = Linearised(np.zeros((int(asked.sum()), 1)), np.zeros(int(asked.sum()), np.int64), np.flatnonzero(asked))
    df = float(variance(design, known, np.zeros((1, 1)), lambda w: np.zeros((1, 1))).df[0])
    A, B, C = V.covariance[0, :K, :K], V.covariance[0, :K, K:], V.covariance[0, K:, K:]
    overall, of_everyone = _overall(silicon, everyone)
    C = C + of_everyone
    away = theta[0, K:] + (0.0 if everyone is None else overall)
    tuned = power is None
    if power is None:
        power = max(0.0, -float(np.trace(B)) / float(np.trace(C))) if np.trace(C) > _NOTHING else 0.0
    share = theta[0, :K] + power * away
    covariance = A + power * (B + B.T) + power * power * C
    if tuned and power > 0:
        covariance = covariance * (df / (df - 1) if df > 1 else np.inf)
    se = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    reach = float(special.stdtrit(df, (1 + level) / 2)) * se if df > 0 else np.full(K, np.inf)
    n = int((asked & (design.weight != 0)).sum())
    return Rectified(
        humans.question, share, se, share - reach, share + reach, power, tuned, covariance, df, level, n,
        _gained(n, A, covariance), theta[0, :K], np.sqrt(np.maximum(np.diag(A), 0.0)), overall,
    )  # fmt: skip


def _rows(answers: Answers) -> tuple[Bools, Floats]:
    """Which rows count, and their shares among the substantive options."""
    rows = answers.rows[:, list(answers.question.substantive)]
    total = rows.sum(axis=1)
    return answers.domain & (total > 0), rows / np.where(total > 0, total, 1.0)[:, None]


def _check(humans: Answers, silicon: Answers, everyone: Answers | None) -> None:
    options = [o.label for o in humans.question.options]
    for other in (silicon, everyone):
        if other is not None and [o.label for o in other.question.options] != options:
            raise SurveyError(f"The silicon answers are to other options than those of {humans.question.label!r}.")
    if silicon.design.n != humans.design.n:
        raise SurveyError(
            f"There are {silicon.design.n} silicon answers for {humans.design.n} people: row by row they must be of "
            "the same people. Others go into everyone=…"
        )
    asked = _rows(humans)[0]
    lost = asked & ~_rows(silicon)[0]
    if not (asked & (humans.design.weight != 0)).any():
        raise SurveyError(f"Nobody was interviewed on {humans.question.label!r}: there is nothing to rectify by.")
    if lost.any():
        raise SurveyError(
            f"{int(lost.sum())} people answered {humans.question.label!r} and have no silicon answer (first in row "
            f"{int(np.argmax(lost)) + 1}). Ask the model for them too, or leave them out: humans.within(…)."
        )


def _influence(
    humans: Answers, asked: Bools, answered: Floats, spoken: Bools, said: Floats, everyone: Answers | None
) -> tuple[Floats, Ints, Ints]:
    """Linearised rows of the interviews' shares, and of the silicon shares of all less those of the interviewed."""
    w = humans.design.weight
    held = np.where(asked, w, 0.0)
    part = held / held.sum()
    a = part[:, None] * (answered - part @ answered)
    b = -part[:, None] * (said - part @ said)
    if everyone is None:
        whole = np.where(spoken, w, 0.0)
        whole = whole / whole.sum()
        b = b + whole[:, None] * (said - whole @ said)
    rows = np.flatnonzero(asked | spoken)
    return np.concatenate([a, b], axis=1)[rows], np.zeros(rows.size, dtype=np.int64), rows


def _overall(silicon: Answers, everyone: Answers | None) -> tuple[Floats, Floats]:
    """The silicon shares of all, and what the draw of people of their own adds to the covariance."""
    answers = silicon if everyone is None else everyone
    spoken, said = _rows(answers)
    weight = np.where(spoken, answers.design.weight, 0.0)
    share = weight @ said / weight.sum()
    none = np.zeros((share.size, share.size))
    if everyone is None or everyone.exact:
        return share, none
    covariance = everyone.shares().covariance
    return share, none if covariance is None else covariance[0]


def _gained(n: int, alone: Floats, together: Floats) -> float:
    before, after = float(np.trace(alone)), float(np.trace(together))
    if before <= _NOTHING:
        return 0.0
    return max(0.0, n * (before / after - 1)) if after > 0 else float("inf")
