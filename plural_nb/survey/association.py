"""Association of two questions: chi-squared, phi, Cramér's V, Digby's Q, tetrachoric and polychoric correlation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.design import Floats
from plural_nb.survey.independence import observed_places

if TYPE_CHECKING:
    from plural_nb.answers import Answers

# Gauss–Legendre points on each piece of the path from independence to the correlation.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_HIGHEST = 0.999999
_FLAT = 1e-9
# Log-likelihoods per case that differ by less are rounding.
_EQUAL = 1e-13

Thresholds = Literal["joint", "margins"]


@dataclass(frozen=True, slots=True)
class Polychoric:
    """The correlation of two normal variables that, cut at thresholds, would give the table most likely.

    rho: -1 to 1; -1 or 1 exactly where no likelihood in between is higher. row_thresholds, column_thresholds: the cuts.
    log_likelihood: at these, per case times the cases. se: of rho, from the observed information of the counts, as if
    they were a simple random sample's (of a weighted table it leaves out the design); NaN at the limit.
    note: what was done to the table, if anything.
    """

    rho: float
    row_thresholds: tuple[float, ...]
    column_thresholds: tuple[float, ...]
    log_likelihood: float
    note: str = ""
    se: float = float("nan")


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


def chi2(table: npt.ArrayLike) -> tuple[float, int, float]:
    """Return Pearson's chi-squared of a table of counts, its degrees of freedom and its p, without Yates's correction.

    It supposes a simple random sample; of a survey's weighted answers use `independence`.

    >>> [round(x, 4) for x in chi2([[40, 20], [10, 30]])]
    [16.6667, 1, 0.0]
    """
    counts = _table(table)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    found, df = float((np.square(counts - expected) / expected).sum()), (counts.shape[0] - 1) * (counts.shape[1] - 1)
    return found, df, float(special.chdtrc(df, found))


def phi(table: npt.ArrayLike) -> float:
    """Return phi, the correlation of two questions of two options each, -1 to 1.

    >>> round(phi([[40, 20], [10, 30]]), 6)
    0.408248
    """
    (a, b), (c, d) = _two_by_two(table, "phi")
    return float((a * d - b * c) / np.sqrt((a + b) * (c + d) * (a + c) * (b + d)))


def digby(table: npt.ArrayLike, *, power: float = 0.75) -> float:
    """Return ((ad)^c - (bc)^c) / ((ad)^c + (bc)^c) of a table of two by two, -1 to 1.

    power: the c; 3/4 comes near the tetrachoric correlation (Digby 1983), 1/2 is Yule's Y, 1 is Yule's Q.

    >>> round(digby([[40, 20], [10, 30]]), 4), round(digby([[40, 20], [10, 30]], power=0.5), 4)
    (0.5862, 0.4202)
    """
    (a, b), (c, d) = _two_by_two(table, "Digby's coefficient")
    same, other = (a * d) ** power, (b * c) ** power
    return float((same - other) / (same + other))


def cramers_v(table: npt.ArrayLike, *, corrected: bool = True) -> float:
    """Return Cramér's V of a table of counts, 0 to 1.

    corrected: Bergsma's (2013) correction of its bias: φ² less (r-1)(c-1)/(n-1), over rows and columns that are
    corrected alike. Rows and columns without anybody are left out.

    >>> round(cramers_v([[40, 20], [10, 30]], corrected=False), 6), round(cramers_v([[40, 20], [10, 30]]), 6)
    (0.408248, 0.397697)
    """
    counts = _table(table)
    n = float(counts.sum())
    phi2 = chi2(counts)[0] / n
    r, c = counts.shape
    if corrected:
        phi2 = max(0.0, phi2 - (r - 1) * (c - 1) / (n - 1))
        r, c = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    return float(np.sqrt(phi2 / (min(r, c) - 1)))


def polychoric(table: npt.ArrayLike, *, thresholds: Thresholds = "joint") -> Polychoric:
    """Return the polychoric correlation of two ordinal questions by maximum likelihood, thresholds included.

    table: (rows, columns) counts, weighted or not, options in order. Rows and columns without anybody are left out.
    thresholds: "joint" finds them with the correlation; "margins" keeps those of the margins and takes them as known
        (the two-step estimate), which is quicker and whose standard error is a little small.
    Olsson (1979). It supposes two normal variables behind the answers; whether they are is not tested here.

    >>> round(polychoric([[40, 20], [10, 30]]).rho, 4)
    0.6071
    """
    if thresholds not in get_args(Thresholds):
        raise SurveyError(f"Unknown thresholds {thresholds!r}. {nearest(str(thresholds), get_args(Thresholds))}")
    counts = _table(table)
    n = float(counts.sum())
    rows, columns = (special.ndtri(np.cumsum(counts.sum(axis=k))[:-1] / n) for k in (1, 0))
    # For two by two, the thresholds of the margins are the most likely ones.
    joint = thresholds == "joint" and counts.shape != (2, 2)

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
    limit = float(np.copysign(_HIGHEST, rho))
    if loss_of_rho(limit) <= found.fun + _EQUAL:
        rho = limit
    if joint and abs(rho) < 0.9999:
        start = np.concatenate([[np.arctanh(rho / _HIGHEST)], _steps(rows), _steps(columns)])
        best = optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-9, "maxiter": 500})
        rho, rows, columns = unfold(best.x)
    note = ""
    if abs(rho) > 0.9999:
        rho = float(np.sign(rho))
        note = "the most likely correlation is at its limit: an empty cell leaves nothing to hold it back"
    final = _log_likelihood(counts, float(np.clip(rho, -_HIGHEST, _HIGHEST)), rows, columns)
    se = float("nan") if note else _standard_error(counts, rho, rows, columns, thresholds)
    return Polychoric(rho, tuple(rows.tolist()), tuple(columns.tolist()), final, note, se)


def tetrachoric(table: npt.ArrayLike, *, correct: float = 0.5) -> Polychoric:
    """Return the tetrachoric correlation of two questions of two options each.

    table: (2, 2) counts. correct: what is put in empty cells (0 for nothing), as R's psych does.

    >>> round(tetrachoric([[40, 20], [10, 30]]).rho, 4)
    0.6071
    """
    counts = _two_by_two(table, "A tetrachoric correlation", "; use polychoric")
    empty = counts == 0
    if not empty.any() or correct == 0:
        return polychoric(counts)
    found = polychoric(np.where(empty, correct, counts))
    return replace(found, note=f"an empty cell was taken as {correct:g}")


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


def _two_by_two(table: npt.ArrayLike, what: str, instead: str = "") -> Floats:
    counts = _table(table)
    if counts.shape != (2, 2):
        raise SurveyError(f"{what} is of two by two options, not {counts.shape}{instead}.")
    return counts


def _standard_error(counts: Floats, rho: float, rows: Floats, columns: Floats, thresholds: Thresholds) -> float:
    """Of rho: the inverse of minus the log-likelihood's second derivatives, by central differences."""
    x = np.concatenate([[rho], rows, columns])
    free = x.size if thresholds == "joint" else 1
    # Close to a correlation of 1 the likelihood bends within 1 - |rho|.
    step = np.full(free, 5e-4)
    step[0] = min(5e-4, (1 - abs(rho)) / 32)

    def at(*moves: tuple[int, int]) -> float:
        moved = x.copy()
        for i, times in moves:
            moved[i] += times * step[i]
        return _log_likelihood(counts, moved[0], moved[1 : 1 + rows.size], moved[1 + rows.size :])

    bend, top = np.empty((free, free)), at()
    for i in range(free):
        # Fourth order: the error falls with the step's fourth power.
        near, far = at((i, 1)) + at((i, -1)), at((i, 2)) + at((i, -2))
        bend[i, i] = (16 * near - far - 30 * top) / (12 * step[i] ** 2)
        for j in range(i):
            crossed = at((i, 1), (j, 1)) - at((i, 1), (j, -1)) - at((i, -1), (j, 1)) + at((i, -1), (j, -1))
            bend[i, j] = bend[j, i] = crossed / (4 * step[i] * step[j])
    variance = float(np.linalg.inv(-bend)[0, 0]) if np.linalg.det(bend) else 0.0
    return float(np.sqrt(variance)) if variance > 0 else float("nan")


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
