"""Where one candidate leads another: the sign of their difference in welfare at every α, and where it changes.

With F the weighted distribution functions of the utilities of c and d, c has the larger w_α exactly where

    ∫ (F_d(u) - F_c(u)) u^(-α) du > 0,

for every α including 1 (integrate the sums of powers by parts). As α grows the integral listens to lower and lower
utilities, so that its sign at ∞ is that of the first difference from below: leximin. Where the candidates have
different shares of zeros it is infinite from α = 1 on, with the sign of the limit rule: fewer zeros lead.

Three facts make a search that cannot miss a change of sign. The integral is a sum of exponentials of 1 - α, so it has
no more zeros than F_d - F_c has changes of sign. Its positive and its negative half are log-convex in 1 - α, so chords
of their logarithms bound both between any two points. And for large α the first difference outweighs all others from
an α on that is known in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plural_nb.jury.distribution import Distribution, Floats

Bools = npt.NDArray[np.bool_]

# Two switches closer together than this on the scale α/(1+α) are not told apart.
RESOLUTION = 1e-9
# Differences of weight, and of logarithms of utility, that are rounding.
_ROUNDING = 1e-13
_SAME_UTILITY = 1e-12
_FIRST_POINTS = 17
_BLOCK = 500_000


@dataclass(frozen=True, slots=True, eq=False)
class Lead:
    """The lead of candidate c over candidate d.

    zero: how much less weight c has at zero. low, width: (m,) the cells of log utility in which the distribution
    functions differ, ascending, counted from the lowest utility above zero (a common factor changes no sign).
    height: (m,) F_d - F_c there, positive where c is better.
    """

    zero: float
    low: Floats
    width: Floats
    height: Floats

    @classmethod
    def of(cls, c: Distribution, d: Distribution) -> Lead:
        """Return the lead of c over d; both must have been rated by somebody."""
        x = np.concatenate([c.log_utility, d.log_utility])
        step = np.concatenate([-c.mass * (1 - c.zero), d.mass * (1 - d.zero)])
        order = np.argsort(x, kind="stable")
        x, rounding = x[order], max(_ROUNDING, np.finfo(float).eps * x.size)
        zero = 0.0 if abs(d.zero - c.zero) <= rounding else float(d.zero - c.zero)
        height = (zero + np.cumsum(step[order]))[:-1]
        width = np.diff(x)
        differs = (np.abs(height) > rounding) & (width > _SAME_UTILITY)
        return cls(zero, (x[:-1] - x[:1])[differs], width[differs], height[differs])

    @property
    def identical(self) -> bool:
        """Whether both have the same distribution, hence the same welfare for every α."""
        return self.zero == 0 and self.height.size == 0

    @property
    def most_changes(self) -> int:
        """How often the lead can change hands at most, from α = 0 to ∞."""
        signs = np.sign(self.height)
        if self.zero:
            signs = np.concatenate([[np.sign(self.zero)], signs])
        return int((np.diff(signs) != 0).sum())

    def sign(self, alpha: float) -> int:
        """Return 1 where c leads at α, -1 where d does, 0 for a tie (to rounding)."""
        if self.zero and alpha >= 1:
            return int(np.sign(self.zero))
        if np.isinf(alpha):
            return int(np.sign(self.height[0])) if self.height.size else 0
        if self.identical:
            return 0
        gap = float(self._log_ratio(np.array([1 - alpha]))[0])
        return 0 if abs(gap) <= _ROUNDING * 10 else int(np.sign(gap))

    def changes(self) -> list[float]:
        """Return the places a = α/(1+α), ascending, at which the lead changes hands, each to 1e-9.

        All are found; only pairs closer together than 1e-9 may be missed.
        """
        most = self.most_changes
        if most == 0:
            return []
        end = self._settled()
        if end <= 0:
            return []
        a = np.linspace(0.0, end, _FIRST_POINTS)
        a = np.concatenate([[-1e-3], a, [end + min(1e-3, (_last(self) - end) / 2)]])
        halves = self._halves(_exponent(a))
        while True:
            split, hidden = _undecided(_exponent(a), halves)
            crossed = _crossed(halves)
            inner = np.arange(1, a.size - 2)
            # Zeros come in pairs where the sign is the same at both ends, so one left over cannot be hidden.
            if most - int(crossed[inner].sum()) < 2:
                break
            wide = np.diff(a) > RESOLUTION
            todo = inner[(split | hidden)[inner] & wide[inner]]
            if todo.size == 0:
                break
            new = (a[todo] + a[todo + 1]) / 2
            order = np.argsort(np.concatenate([a, new]), kind="stable")
            a = np.concatenate([a, new])[order]
            halves = np.concatenate([halves, self._halves(_exponent(new))], axis=1)[:, order]
        found = [self._root(a[i], a[i + 1]) for i in inner[crossed[inner]]]
        if self.sign(float(a[-2] / (1 - a[-2]))) * self.sign(np.inf) < 0:
            found.append(1 - RESOLUTION / 2)
        return found

    def _settled(self) -> float:
        """The place from which on the first difference outweighs all others, whatever their signs."""
        most = float(np.abs(self.height).max())
        if self.zero:
            s = min(np.log1p(abs(self.zero) / most) / float((self.low + self.width)[-1]), 1.0)
        else:
            s = -np.log1p(most / abs(float(self.height[0]))) / float(self.width[0])
        return float(min((1 - s) / (2 - s), _last(self)))

    def _halves(self, s: Floats) -> Floats:
        """(2, S): logarithms of the positive and the negative half of the integral at exponents s = 1 - α."""
        result = np.empty((2, s.size))
        for half, sign in enumerate((1.0, -1.0)):
            here = self.height * sign > 0
            low, width, height = self.low[here], self.width[here], np.log(np.abs(self.height[here]))
            rows = max(_BLOCK // max(low.size, 1), 1)
            for start in range(0, s.size, rows):
                part = s[start : start + rows]
                result[half, start : start + rows] = _log_integral(part, low, width, height)
            if self.zero * sign > 0:
                # The cell from zero utility to the lowest one above it: its integral is 1 / s.
                result[half] = np.logaddexp(result[half], np.log(abs(self.zero)) - np.log(s))
        return result

    def _log_ratio(self, s: Floats) -> Floats:
        positive, negative = self._halves(s)
        with np.errstate(invalid="ignore"):
            return np.asarray(positive - negative)

    def _root(self, low: float, high: float) -> float:
        """The place between two at which the lead changes hands, by secants that keep it between them (Illinois)."""

        def gap(a: float) -> float:
            return float(np.clip(self._log_ratio(_exponent(np.array([a])))[0], -1e3, 1e3))

        at_low, at_high = gap(low), gap(high)
        step, moved = RESOLUTION / 8, ""
        while high - low > 2 * step:
            secant = (low * at_high - high * at_low) / (at_high - at_low) if at_high != at_low else low
            a = min(max(secant, low + step), high - step)
            here = gap(a)
            if here == 0:
                return a
            # An end that stays put twice counts for half, so that the secant soon falls on its side of the root.
            if (here > 0) == (at_high > 0):
                high, at_high, at_low = a, here, at_low / (2 if moved == "high" else 1)
                moved = "high"
            else:
                low, at_low, at_high = a, here, at_high / (2 if moved == "low" else 1)
                moved = "low"
        return (low + high) / 2


def _log_integral(s: Floats, low: Floats, width: Floats, log_height: Floats) -> Floats:
    """(S,): log sum_j height_j ∫ e^(s x) dx over the cells; -inf without cells."""
    if low.size == 0:
        return np.full(s.size, -np.inf)
    S = s[:, None]
    y = np.abs(S) * width
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = np.where(y > 0, -np.expm1(-y) / y, 1.0)
    exponent = np.where(S > 0, S * (low + width), S * low) + (log_height + np.log(width))
    top = exponent.max(axis=1)
    return np.asarray(top + np.log((np.exp(exponent - top[:, None]) * shape).sum(axis=1)))


def _exponent(a: Floats) -> Floats:
    """1 - α at places a."""
    return (1 - 2 * a) / (1 - a)


def _last(lead: Lead) -> float:
    return 0.5 if lead.zero else 1 - RESOLUTION


def _crossed(halves: Floats) -> Bools:
    """Which intervals between neighbouring points have the lead in different hands at their ends."""
    positive = halves[0] > halves[1]
    return np.asarray(positive[1:] != positive[:-1])


def _undecided(s: Floats, halves: Floats) -> tuple[Bools, Bools]:
    """Which intervals may hold more than one change (their ends differ), and which may hide two (their ends agree).

    A convex function lies below its chord within an interval and above the neighbouring chords drawn further. Its
    slope within the interval lies between those of the neighbouring chords.
    """
    step = np.diff(s)
    with np.errstate(invalid="ignore"):
        slope = np.diff(halves, axis=1) / step
    # s falls as a rises: the chord before an interval has the larger slope.
    n = step.size
    split, hidden = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    crossed = _crossed(halves)
    for i in range(1, n - 1):
        if not np.isfinite(halves[:, i - 1 : i + 3]).all():
            continue
        ends = halves[:, i], halves[:, i + 1]
        before, after = slope[:, i - 1], slope[:, i + 1]
        if crossed[i]:
            low, high = after - before[::-1], before - after[::-1]
            split[i] = low[0] < 0 < high[0]
        else:
            upper, lower = (0, 1) if ends[0][0] > ends[0][1] else (1, 0)
            # The leader's lower bound is the larger of two lines; closest to the other's chord where they meet.
            turn = before[upper] - after[upper]
            if turn <= 0:
                continue
            at = (ends[1][upper] - ends[0][upper] - after[upper] * step[i]) / turn
            at = min(max(at, step[i]), 0.0)
            bound = ends[0][upper] + before[upper] * at
            hidden[i] = bound <= ends[0][lower] + slope[lower, i] * at
    return split, hidden
