"""Association of two questions: Cramér's V with Bergsma's correction, tetrachoric and polychoric correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from plural_nb.errors import SurveyError
from plural_nb.survey.design import Floats
from plural_nb.survey.independence import observed_places

if TYPE_CHECKING:
    from plural_nb.answers import Answers

# Gauss–Legendre points on each piece of the path from independence to the correlation.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_HIGHEST = 0.999999
_FLAT = 1e-9


@dataclass(frozen=True, slots=True)
class Polychoric:
    """The correlation of two normal variables that, cut at thresholds, would give the table most likely.

    rho: -1 to 1; -1 or 1 exactly where no likelihood in between is higher. row_thresholds, column_thresholds: the cuts.
    log_likelihood: at these, per case times the cases. note: what was done to the table, if anything.
    """

    rho: float
    row_thresholds: tuple[float, ...]
    column_thresholds: tuple[float, ...]
    log_likelihood: float
    note: str = ""


def cross_table(a: Answers, b: Answers) -> Floats:
    """Return the (rows, columns) weighted counts of two questions, scaled to the number of people with both.

    Raises SurveyError for fractional answers, or questions of different people.
    """
    if a.design.n != b.design.n:
        raise SurveyError(f"The questions have {a.design.n} and {b.design.n} rows; they need the same people.")
    (rows, row), (columns, column) = observed_places(a), observed_places(b)
    here = a.domain & b.domain & (row >= 0) & (column >= 0) & (a.design.weight != 0)
    if not here.any():
        raise SurveyError(f"Nobody answered both {a.question.label!r} and {b.question.label!r}.")
    weight = a.design.weight[here]
    place = row[here] * len(columns) + column[here]
    table = np.bincount(place, weights=weight, minlength=len(rows) * len(columns)).reshape(len(rows), len(columns))
    return np.asarray(table * (here.sum() / weight.sum()))


def cramers_v(table: npt.ArrayLike, *, corrected: bool = True) -> float:
    """Return Cramér's V of a table of counts, 0 to 1.

    corrected: Bergsma's (2013) correction of its bias: φ² less (r-1)(c-1)/(n-1), over rows and columns that are
    corrected alike. Rows and columns without anybody are left out.

    >>> round(cramers_v([[40, 20], [10, 30]], corrected=False), 6), round(cramers_v([[40, 20], [10, 30]]), 6)
    (0.408248, 0.397697)
    """
    counts = _table(table)
    n = float(counts.sum())
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n
    phi2 = float((np.square(counts - expected) / expected).sum()) / n
    r, c = counts.shape
    if corrected:
        phi2 = max(0.0, phi2 - (r - 1) * (c - 1) / (n - 1))
        r, c = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    return float(np.sqrt(phi2 / (min(r, c) - 1)))


def polychoric(table: npt.ArrayLike) -> Polychoric:
    """Return the polychoric correlation of two ordinal questions by maximum likelihood, thresholds included.

    table: (rows, columns) counts, weighted or not, options in order. Rows and columns without anybody are left out.
    Olsson (1979). It supposes two normal variables behind the answers; whether they are is not tested here.

    >>> round(polychoric([[40, 20], [10, 30]]).rho, 4)
    0.6071
    """
    counts = _table(table)
    n = float(counts.sum())
    rows, columns = (special.ndtri(np.cumsum(counts.sum(axis=k))[:-1] / n) for k in (1, 0))
    # For two by two, the thresholds of the margins are the most likely ones.
    joint = counts.shape != (2, 2)

    def unfold(x: Floats) -> tuple[float, Floats, Floats]:
        a, b = x[1 : 1 + rows.size], x[1 + rows.size :]
        return _HIGHEST * float(np.tanh(x[0])), _rising(a), _rising(b)

    def loss(x: Floats) -> float:
        rho, a, b = unfold(x)
        return -_log_likelihood(counts, rho, a, b) / n

    def loss_of_rho(rho: float) -> float:
        return -_log_likelihood(counts, rho, rows, columns) / n

    limits = (-_HIGHEST, _HIGHEST)
    found = optimize.minimize_scalar(loss_of_rho, bounds=limits, method="bounded", options={"xatol": 1e-12})
    rho = float(found.x)
    if joint and abs(rho) < 0.9999:
        start = np.concatenate([[np.arctanh(rho / _HIGHEST)], _steps(rows), _steps(columns)])
        best = optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-9, "maxiter": 500})
        rho, rows, columns = unfold(best.x)
    note = ""
    if abs(rho) > 0.9999:
        rho = float(np.sign(rho))
        note = "the most likely correlation is at its limit: an empty cell leaves nothing to hold it back"
    final = _log_likelihood(counts, float(np.clip(rho, -_HIGHEST, _HIGHEST)), rows, columns)
    return Polychoric(rho, tuple(rows.tolist()), tuple(columns.tolist()), final, note)


def tetrachoric(table: npt.ArrayLike, *, correct: float = 0.5) -> Polychoric:
    """Return the tetrachoric correlation of two questions of two options each.

    table: (2, 2) counts. correct: what is put in empty cells (0 for nothing), as R's psych does.

    >>> round(tetrachoric([[40, 20], [10, 30]]).rho, 4)
    0.6071
    """
    counts = _table(table)
    if counts.shape != (2, 2):
        raise SurveyError(f"A tetrachoric correlation is of two by two options, not {counts.shape}; use polychoric.")
    empty = counts == 0
    if not empty.any() or correct == 0:
        return polychoric(counts)
    found = polychoric(np.where(empty, correct, counts))
    note = f"an empty cell was taken as {correct:g}"
    return Polychoric(found.rho, found.row_thresholds, found.column_thresholds, found.log_likelihood, note)


def binormal(h: Floats, k: Floats, rho: float) -> Floats:
    """Return P(X <= h, Y <= k) of standard normal variables with correlation rho, for arrays that broadcast.

    Plackett's integral of the density over the correlation, from 0 to rho = sin θ, by Gauss and Legendre.

    >>> float(binormal(np.array(0.0), np.array(0.0), 0.5).round(12))
    0.333333333333
    """
    h, k = np.broadcast_arrays(np.asarray(h, dtype=np.float64), np.asarray(k, dtype=np.float64))
    base = special.ndtr(h) * special.ndtr(k)
    finite = np.isfinite(h) & np.isfinite(k)
    a, b = np.where(finite, h, 0.0)[..., None], np.where(finite, k, 0.0)[..., None]
    # Pieces shorten towards a correlation of 1, where the density rises steeply.
    top = float(np.arcsin(rho))
    sign, edges = np.sign(top), np.pi / 2 - np.pi / 2 * np.geomspace(1, max(1 - abs(top) / (np.pi / 2), 1e-12), 7)
    theta = (edges[:-1, None] + np.diff(edges)[:, None] * (_NODES + 1) / 2).ravel() * sign
    weight = (np.diff(edges)[:, None] / 2 * _WEIGHTS).ravel() * sign
    sine, cosine2 = np.sin(theta), np.square(np.cos(theta))
    density = np.exp(-(a * a + b * b - 2 * a * b * sine) / (2 * cosine2))
    return np.asarray(base + np.where(finite, density @ weight, 0.0) / (2 * np.pi))


def _table(table: npt.ArrayLike) -> Floats:
    counts = np.asarray(table, dtype=np.float64)
    if counts.ndim != 2 or not np.isfinite(counts).all() or (counts < 0).any():
        raise SurveyError("An association needs a table of counts, none of them negative or missing.")
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if min(counts.shape) < 2:
        raise SurveyError(f"An association needs two rows and two columns with people; there are {counts.shape}.")
    return np.asarray(counts)


def _log_likelihood(counts: Floats, rho: float, rows: Floats, columns: Floats) -> float:
    a, b = (np.concatenate([[-np.inf], cut, [np.inf]]) for cut in (rows, columns))
    corner = binormal(a[:, None], b[None, :], rho)
    cell = np.diff(np.diff(corner, axis=0), axis=1)
    used = counts > 0
    return float((counts[used] * np.log(np.maximum(cell[used], 1e-300))).sum())


def _steps(cuts: Floats) -> Floats:
    """Cuts as a first one and the logarithms of the steps, which any numbers can be."""
    return np.asarray(np.concatenate([cuts[:1], np.log(np.maximum(np.diff(cuts), _FLAT))]))


def _rising(steps: Floats) -> Floats:
    return np.asarray(np.cumsum(np.concatenate([steps[:1], np.exp(steps[1:])])))
