"""The demographics-only baseline: what a regression on traits would guess of people it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from plural_nb.answers import Answers, Source
from plural_nb.comparison.distances import Floats
from plural_nb.errors import PluralError, SurveyError
from plural_nb.survey.design import Design, Ints, psus_per_stratum

if TYPE_CHECKING:
    from plural_nb.survey.survey import Population, Survey

_ROUNDS = 100
_STEP = 1e-7


def demographic_baseline(
    survey: Survey,
    question: str,
    traits: Sequence[str] | str | None = None,
    *,
    population: Population | None = None,
    folds: int = 5,
    ridge: float = 1.0,
    seed: int = 0,
) -> Answers:
    """Return a row per respondent: what a multinomial logit on traits, fitted to other people, expects of them.

    traits: keys, or one; all of the survey's when None. A missing level is a level of its own.
    population: the people fitted and predicted; everyone when None.
    folds: people are parted by whole PSUs, and each part is predicted by a fit on the others, so that nobody's own
        answer, nor that of their PSU, is in their row. ridge: penalty ½·ridge·β² in units of one average person.

    The rows belong to the survey's design, so a comparison takes off what they share with its answers; replicates hold
    the fits fixed. Give it as `compare(…, baselines={"demographics": …})`.

    Raises SurveyError for an unknown question or trait, PluralError where too few people answered to be parted.

    >>> from plural_nb.survey.library import load_survey
    >>> anes = load_survey("anes96")
    >>> guess = demographic_baseline(anes, "vote", ["party"])
    >>> bool((guess.rows[:, 0] > 0.9).any()), float(guess.rows.sum(axis=1).min().round(6))
    (True, 1.0)
    """
    if folds < 2:
        raise PluralError(f"Cross-fitting needs two folds or more, not {folds}.")
    if not (np.isfinite(ridge) and ridge > 0):
        raise PluralError(f"The ridge must be a positive number, not {ridge!r}; it keeps coefficients finite.")
    answers = survey.answers(question, population)
    places = list(answers.question.substantive)
    X = _dummies(
        survey, list(survey.traits) if traits is None else [traits] if isinstance(traits, str) else list(traits)
    )
    y = answers.rows[:, places]
    design = answers.design
    here = answers.domain & (y.sum(axis=1) > 0) & (design.weight > 0)
    fold = _folds(design, here, folds, seed)
    weight = design.weight / design.weight[here].mean()
    rows = np.zeros_like(answers.rows)
    for part in range(folds):
        told, asked = here & (fold != part), answers.domain & (fold == part)
        if not told.any():
            raise PluralError(
                f"All people who answered {answers.question.label!r} are in one fold; they cannot be cross-fitted."
            )
        B = fit_multinomial(X[told], y[told] / y[told].sum(axis=1, keepdims=True), weight[told], ridge)
        rows[np.ix_(asked, places)] = _softmax(X[asked] @ B)
    return replace(answers, rows=rows, source=Source("personas", "demographics", f"logit, {folds} folds by PSU"))


def fit_multinomial(X: Floats, y: Floats, weight: Floats, ridge: float) -> Floats:
    """Return (P, K) coefficients of a weighted multinomial logit with a ridge, the first column of X its intercept.

    X: (n, P). y: (n, K) rows. weight: (n,). By Newton's method; the intercept is not penalised, but sums to 0 over
    options, as a constant added to all of them changes nothing.
    """
    P, K = X.shape[1], y.shape[1]
    penalty = np.full((P, K), ridge)
    penalty[0] = 0.0
    intercepts = np.arange(K) * P
    B = np.zeros((P, K))
    for _ in range(_ROUNDS):
        p = _softmax(X @ B)
        gradient = X.T @ (weight[:, None] * (y - p)) - penalty * B
        information = np.zeros((K, P, K, P))
        for k in range(K):
            for j in range(k, K):
                block = X.T @ ((weight * p[:, k] * ((k == j) - p[:, j]))[:, None] * X)
                information[k, :, j, :], information[j, :, k, :] = block, block.T
        H = information.reshape(K * P, K * P)
        H[np.diag_indices(K * P)] += penalty.T.ravel()
        # The direction that changes nothing: held where it is, at a sum of 0, so that H can be solved well.
        H[np.ix_(intercepts, intercepts)] += weight.sum()
        step = np.linalg.solve(H, gradient.T.ravel()).reshape(K, P).T
        value, length = _objective(X, y, weight, B, penalty), 1.0
        while _objective(X, y, weight, B + length * step, penalty) < value - 1e-9 * abs(value) and length > 1e-6:
            length /= 2
        B = B + length * step
        if np.abs(length * step).max() < _STEP * (1 + np.abs(B).max()):
            return B
    raise SurveyError("The regression on demographics does not settle. Take fewer traits, or a larger ridge.")


def _objective(X: Floats, y: Floats, weight: Floats, B: Floats, penalty: Floats) -> float:
    eta = X @ B
    top = eta.max(axis=1)
    log_total = top + np.log(np.exp(eta - top[:, None]).sum(axis=1))
    return float(weight @ ((y * eta).sum(axis=1) - log_total) - 0.5 * (penalty * B * B).sum())


def _softmax(eta: Floats) -> Floats:
    e = np.exp(eta - eta.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _dummies(survey: Survey, traits: Sequence[str]) -> Floats:
    columns = [np.ones(survey.n)]
    for key in traits:
        levels, codes = len(survey.trait(key).options), survey.trait_codes[key]
        columns += [(codes == level).astype(np.float64) for level in (*range(1, levels), -1) if (codes == level).any()]
    if len(columns) < 2:
        raise PluralError("A demographic baseline needs a trait with two levels or more.")
    return np.column_stack(columns)


def _folds(design: Design, here: np.ndarray[tuple[int], np.dtype[np.bool_]], folds: int, seed: int) -> Ints:
    """(n,) fold of each row: whole PSUs, dealt out at random within strata, so that every fold has some of each."""
    unit = np.arange(design.n) if design.psu is None else design.psu
    present = np.unique(unit[here])
    if present.size < folds:
        raise PluralError(f"There are {present.size} PSUs with answers for {folds} folds; take fewer folds.")
    strata, _ = psus_per_stratum(design)
    draw = np.random.default_rng(seed)
    shuffled = present[np.lexsort((draw.random(present.size), strata[present]))]
    fold = draw.integers(0, folds, size=int(unit.max()) + 1)
    fold[shuffled] = np.arange(shuffled.size) % folds
    return np.asarray(fold[unit], dtype=np.int64)
