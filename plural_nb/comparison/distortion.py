"""How a model distorts people's shares: slopes of its logits and log shares on theirs, sampling error taken off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from plural_nb.comparison.answering import Row
from plural_nb.comparison.distances import Floats
from plural_nb.comparison.question_sample import QuestionSample
from plural_nb.errors import PluralError
from plural_nb.survey.question import Question


@dataclass(frozen=True, slots=True)
class Fitted:
    """A slope or ratio with its interval, None where one battery or topic is all there is.

    uncorrected: as if the people's shares had no sampling error, which pulls it towards 0.
    """

    value: float
    low: float | None
    high: float | None
    uncorrected: float


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A question's shares among people and in a model, as found, and made positive for logarithms.

    human, model: (K,) as found. human_log, model_log: (K,) logarithms. n_eff: of the people; None where nothing is
    known of their sample, which then counts as exact.
    """

    question: Question
    human: Floats
    model: Floats
    human_log: Floats
    model_log: Floats
    n_eff: float | None

    @classmethod
    def of(cls, question: Question, human: Row, model: Row) -> Pair:
        """Pair two rows. Raises PluralError for a share of 0 that cannot be adjusted, as no sample size is known."""
        logs = [_log(question, row, side) for row, side in ((human, "the people"), (model, "the model"))]
        return cls(question, human.share, model.share, logs[0], logs[1], human.n_eff)

    def within(self) -> Floats:
        """(2, 3) sums over log shares x and y within the question, xy, xx and yy: as found, and corrected.

        Options weigh by people's share p: their log share has a variance of about 1/(n p), so that rarer options say
        less. Corrected are the sums by their second-order bias under multinomial sampling, weights included: Σ(y −
        ȳ)/n − S_xy/n for xy, and (K − 1)/n + 2Σ(x − x̄)/n − S_xx/n for xx.
        """
        w = self.human
        x, y = (log - w @ log for log in (self.human_log, self.model_log))
        found = np.array([w @ (x * y), w @ (x * x), w @ (y * y)])
        if self.n_eff is None:
            return np.stack([found, found])
        bias = np.array([y.sum(), x.size - 1 + 2 * x.sum(), 0.0])
        return np.stack([found, found + (found - bias) / self.n_eff])

    def across(self) -> Floats:
        """(2, 5) sums over logits x and y of all options, xy, xx, x, y and 1, weighted by p(1 − p); as `within`.

        Each is a sum of f(p̃) with p̃ the adjusted share; its bias is (f'·(½ − K p/2) + ½ f''·p(1 − p))/n.
        """
        p = np.exp(self.human_log)
        x, y, g = special.logit(p), special.logit(np.exp(self.model_log)), p * (1 - p)
        f = np.stack([g, g * x, g * x * x])
        found = _five(f, y)
        if self.n_eff is None:
            return np.stack([found, found])
        slope, pull = 1 - 2 * p, 0.5 - x.size * p / 2
        first = np.stack([slope, slope * x + 1, slope * x * x + 2 * x])
        second = np.stack([-2 * g, slope - 2 * x * g, 2 + 2 * slope * x - 2 * x * x * g])
        return np.stack([found, _five(f - (first * pull + second / 2) / self.n_eff, y)])


def sharpening(pairs: Sequence[Pair], sample: QuestionSample) -> Fitted:
    """Return the exponent b of model ∝ people^b within each question.

    Raises PluralError where people's shares differ no more than their sampling error would have them.
    """
    return _fit(lambda s: _over(s[..., 0], s[..., 1]), np.array([pair.within() for pair in pairs]), sample)


def log_spread(pairs: Sequence[Pair], sample: QuestionSample) -> Fitted:
    """Return the SD of the model's log shares within questions over that of people's; errors as `sharpening`."""
    sums = np.array([pair.within() for pair in pairs])
    return _fit(lambda s: np.asarray(np.sqrt(_over(s[..., 2], s[..., 1]))), sums, sample)


def logit_slope(pairs: Sequence[Pair], sample: QuestionSample) -> Fitted:
    """Return the slope of logit(model's share) on logit(people's share) over all options; errors as `sharpening`."""

    def slope(total: Floats) -> Floats:
        xy, xx, x, y, w = np.moveaxis(total, -1, 0)
        with np.errstate(invalid="ignore"):
            return _over(xy - x * y / w, xx - x * x / w)

    return _fit(slope, np.array([pair.across() for pair in pairs]), sample)


def _five(f: Floats, y: Floats) -> Floats:
    """Sums xy, xx, x, y, 1 from f = p(1 − p) times 1, x and x²."""
    return np.array([f[1] @ y, f[2].sum(), f[1].sum(), f[0] @ y, f[0].sum()])


def _fit(statistic: Callable[[Floats], Floats], sums: Floats, sample: QuestionSample) -> Fitted:
    """Fit to (Q, 2, ...) sums of questions, as found and corrected."""
    plain, corrected = sums[:, 0], sums[:, 1]
    value = float(statistic(corrected.sum(axis=0)))
    if not np.isfinite(value):
        raise PluralError(
            "People's shares differ no more from option to option than sampling error would have them, so no slope can "
            "be fitted. Take more questions, or a larger population."
        )
    clusters = sample.clusters_in(np.ones(len(sums)))
    low, high = sample.interval(value, statistic(sample.counts @ corrected), clusters)
    known = bool(np.isfinite(low))
    return Fitted(value, low if known else None, high if known else None, float(statistic(plain.sum(axis=0))))


def _over(part: Floats, spread: Floats) -> Floats:
    """The quotient, NaN where nothing is left to divide by."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(spread > 1e-9, part / spread, np.nan))


def _log(question: Question, row: Row, side: str) -> Floats:
    share = row.share
    if row.n_eff is not None:
        share = (share * row.n_eff + 0.5) / (row.n_eff + 0.5 * share.size)
    if (share <= 0).any():
        option = question.options[question.substantive[int(np.argmin(share))]].label
        raise PluralError(f"{side} give {option!r} a share of 0, and no sample size is known that would adjust it")
    return np.asarray(np.log(share))
