"""Tests of independence of two questions, or of a question and groups, under a sampling design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy import optimize, special

from plural_nb.errors import SurveyError
from plural_nb.survey.design import Design, Floats, Ints
from plural_nb.survey.linearisation import Linearised
from plural_nb.survey.shares import Groups, group_codes
from plural_nb.survey.variance import variance

if TYPE_CHECKING:
    from plural_nb.answers import Answers


@dataclass(frozen=True, slots=True)
class Independence:
    """A test of independence of rows (options of a question) and columns (groups, or options of another).

    table: (rows, columns) weighted counts. n: people with both. chi2: Pearson's X² on n times the weighted shares, in
    which the design is not yet counted. df: of the design.
    f, ndf, ddf, p: Rao and Scott's second-order correction of X²; the one to report.
    p_first_order: of X² over the mean of the generalised design effects. p_saddlepoint: of X² as a sum of weighted
    chi-squares over one on ddf. wald, wald_p: Wald's F on (rows - 1)(columns - 1) and df; wald_adjusted,
    wald_adjusted_p: on df less those of the numerator plus 1; NaN where the design has too few.
    deff: generalised design effects, the eigenvalues of the correction, falling.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    table: Floats = field(repr=False, compare=False)
    n: int
    chi2: float
    df: float
    f: float
    ndf: float
    ddf: float
    p: float
    p_first_order: float
    p_saddlepoint: float
    wald: float
    wald_p: float
    wald_adjusted: float
    wald_adjusted_p: float
    deff: tuple[float, ...] = field(repr=False)

    def sentence(self) -> str:
        """The test in one sentence."""
        return (
            f"Rao–Scott F({self.ndf:.2f}, {self.ddf:.1f}) = {self.f:.2f}, p = {self.p:.3g} "
            f"({len(self.rows)} × {len(self.columns)} cells, n = {self.n:,})."
        )


def independence(answers: Answers, other: Answers | Groups | Sequence[str | None] | pl.Series) -> Independence:
    """Test whether the answers to a question are independent of groups, or of the answers to another question.

    Delta = (C'D⁻¹C/n)⁻¹ C'D⁻¹VD⁻¹C with D the estimated cell shares, V their design covariance and C the interaction
    contrasts left over from the main effects; F = X²/tr Delta with (tr Delta)²/tr Delta² and that times the design's
    degrees of freedom (Rao and Scott 1984; Thomas and Rao 1987).

    Raises SurveyError for fractional answers (a test needs observed ones), or fewer than two rows or columns.

    >>> from plural_nb.answers import Answers
    >>> from plural_nb.survey.question import ask_for
    >>> tea = Answers.from_places(ask_for("Tea?", ["Yes", "No"]), [0, 0, 0, 1] * 5 + [0, 1, 1, 1] * 5)
    >>> test = independence(tea, ["north"] * 20 + ["south"] * 20)
    >>> round(test.chi2, 6), round(test.f, 2), test.ndf
    (10.0, 9.75, 1.0)
    """
    from plural_nb.answers import Answers

    design = answers.design
    row_names, row = observed_places(answers)
    domain = answers.domain
    if isinstance(other, Answers):
        if other.design.n != design.n:
            raise SurveyError(f"The questions have {design.n} and {other.design.n} rows; they need the same people.")
        column_names, column = observed_places(other)
        domain = domain & other.domain
    else:
        column_names, column = group_codes(design.n, other)
    here = domain & (row >= 0) & (column >= 0)
    if design.replicates is None:
        here &= design.weight != 0
    member = np.flatnonzero(here)
    row_names, row = _used(row_names, row[member])
    column_names, column = _used(column_names, column[member])
    R, C = len(row_names), len(column_names)
    if R < 2 or C < 2:
        raise SurveyError(f"A test of independence needs two rows and two columns with people; there are {R} and {C}.")
    p, V, df, n = _cells(design, member, row * C + column, R * C)
    grid = p.reshape(R, C)
    expected = np.outer(grid.sum(axis=1), grid.sum(axis=0))
    chi2 = n * float((np.square(grid - expected) / expected).sum())
    eigen = _design_effects(p, V, n, R, C)
    trace, q = float(eigen.sum()), (R - 1) * (C - 1)
    ndf = trace**2 / float(np.square(eigen).sum())
    wald = _wald(design, member, row, column, (R, C))
    room = df - q + 1
    adjusted = wald * room / df if df > 0 and room > 0 else np.nan
    return Independence(
        row_names, column_names, grid * float(design.weight[member].sum()), n, chi2, df,
        chi2 / trace, ndf, ndf * df, float(special.fdtrc(ndf, ndf * df, chi2 / trace)),
        float(special.chdtrc(q, chi2 / (trace / q))), _saddlepoint(chi2, eigen, ndf * df),
        wald, float(special.fdtrc(q, df, wald)) if df > 0 else np.nan,
        adjusted, float(special.fdtrc(q, room, adjusted)) if np.isfinite(adjusted) else np.nan,
        tuple(eigen.tolist()),
    )  # fmt: skip


def observed_places(answers: Answers) -> tuple[tuple[str, ...], Ints]:
    """Return the labels of the substantive options and each row's place among them, -1 where there is none.

    Raises SurveyError for fractional rows: an association of answers needs one answer per person.
    """
    substantive = list(answers.question.substantive)
    y = answers.rows[:, substantive]
    if ((y > 0) & (y < 1)).any():
        raise SurveyError(
            f"The answers to {answers.question.label!r} are probabilities. This takes observed answers only, because "
            "how two probable answers go together is not known."
        )
    names = tuple(answers.question.options[k].label for k in substantive)
    return names, np.where(y.any(axis=1), y.argmax(axis=1), -1).astype(np.int64)


def _used(names: tuple[str, ...], place: Ints) -> tuple[tuple[str, ...], Ints]:
    used, codes = np.unique(place, return_inverse=True)
    return tuple(names[k] for k in used), codes.astype(np.int64)


def _cells(design: Design, member: Ints, cell: Ints, size: int) -> tuple[Floats, Floats, float, int]:
    def statistic(weight: Floats) -> Floats:
        sums = np.bincount(cell, weights=weight[member], minlength=size)
        return np.asarray((sums / sums.sum())[None, :])

    w = design.weight[member]
    p = statistic(design.weight)[0]
    z = np.zeros((member.size, size))
    z[np.arange(member.size), cell] = 1.0
    z = (w / w.sum())[:, None] * (z - p)
    found = variance(design, Linearised(z, np.zeros_like(member), member), p[None, :], statistic)
    return p, found.covariance[0], float(found.df[0]), int((w != 0).sum())


def _design_effects(p: Floats, V: Floats, n: int, R: int, C: int) -> Floats:
    r, c = np.repeat(np.eye(R), C, axis=0), np.tile(np.eye(C), (R, 1))
    main = np.column_stack([np.ones(R * C), r[:, 1:], c[:, 1:]])
    both = (r[:, 1:, None] * c[:, None, 1:]).reshape(R * C, -1)
    contrasts = both - main @ np.linalg.lstsq(main, both, rcond=None)[0]
    with np.errstate(divide="ignore"):
        inverse = np.where(p > 0, 1 / p, 0.0)
    scaled = contrasts * inverse[:, None]
    delta = np.linalg.solve(scaled.T @ contrasts / n, scaled.T @ V @ scaled)
    return np.asarray(np.sort(np.linalg.eigvals(delta).real)[::-1])


def _wald(design: Design, member: Ints, row: Ints, column: Ints, shape: tuple[int, int]) -> float:
    """Wald's X² over its degrees of freedom, for observed less expected counts of all rows and columns but the last."""
    R, C = shape
    full = float(design.weight[member].sum())

    def statistic(weight: Floats) -> Floats:
        counts = np.bincount(row * C + column, weights=weight[member], minlength=R * C).reshape(R, C)
        gap = counts - np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
        return np.asarray(gap[:-1, :-1].reshape(1, -1) / full)

    r, c = np.eye(R)[row], np.eye(C)[column]
    w = design.weight[member] / full
    residual = (r - w @ r)[:, :-1, None] * (c - w @ c)[:, None, :-1]
    z = w[:, None] * residual.reshape(member.size, -1)
    gap = statistic(design.weight)
    V = variance(design, Linearised(z, np.zeros_like(member), member), gap, statistic).covariance[0]
    try:
        return float(gap[0] @ np.linalg.solve(V, gap[0])) / gap.size
    except np.linalg.LinAlgError:
        return np.nan


def _saddlepoint(x: float, weights: Floats, ddf: float) -> float:
    """P(sum of weights times chi-squares of one degree > x times chi-square_ddf / ddf), by the saddlepoint.

    Kuonen (1999). Like R, the denominator counts whole degrees of freedom.
    """
    if not (x > 0 and ddf >= 1):
        return 1.0 if ddf >= 1 else np.nan
    a, times = np.append(weights, -x / ddf) / weights.max(), np.append(np.ones(weights.size), np.floor(ddf))

    def slope(t: float) -> float:
        return float((times * a / (1 - 2 * t * a)).sum())

    t = float(optimize.brentq(slope, 0.5 * 0.99999 / a.min(), 0.5 * 0.99999, xtol=1e-14))
    if abs(t) < 1e-4:
        return np.nan
    w = np.sign(t) * np.sqrt((times * np.log(1 - 2 * t * a)).sum())
    v = t * np.sqrt(2 * (times * np.square(a / (1 - 2 * t * a))).sum())
    return float(special.ndtr(-(w + np.log(v / w) / w)))
