"""Weighted fits by maximum likelihood: coefficients, and what each row adds to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from plural_nb.errors import SurveyError
from plural_nb.survey.design import Floats

_ROUNDS = 100
# A fit is done when Newton's step is this small beside the coefficients; the next one is then exact to rounding.
# Not when the gain is small: where a predictor decides the outcome, gains vanish while steps go on without end.
_STEP = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """coefficient: (P,). influence: (m, P), inverse information times score of each row, its weight included."""

    coefficient: Floats
    influence: Floats


def fit_linear(X: Floats, y: Floats, w: Floats) -> Fit:
    """Weighted least squares. X: (m, P). y: (m,). w: (m,), negative ones allowed (replicates have them)."""
    information = X.T @ (w[:, None] * X)
    coefficient = _solve(information, X.T @ (w * y))
    score = (w * (y - X @ coefficient))[:, None] * X
    return Fit(coefficient, _solve(information, score.T).T)


def fit_logistic(X: Floats, y: Floats, w: Floats) -> Fit:
    """Weighted logistic regression; y (m,) from 0 to 1. Raises SurveyError where no finite coefficients fit best."""

    def look(b: Floats) -> tuple[float, Floats, Floats]:
        eta = X @ b
        mu = special.expit(eta)
        value = float(w @ (y * eta - np.logaddexp(0, eta)))
        return value, (w * (y - mu))[:, None] * X, X.T @ ((w * mu * (1 - mu))[:, None] * X)

    return _newton(look, np.zeros(X.shape[1]))


def fit_ordered(X: Floats, y: Floats, w: Floats) -> Fit:
    """Weighted proportional odds: P(answer <= k) = expit(cut_k - x'b). X: (m, P). y: (m, K) rows. Cuts come last."""
    m, P = X.shape
    K = y.shape[1]
    reach = np.cumsum(w @ y)[:-1] / (w @ y).sum()
    if not ((reach > 0) & (reach < 1)).all():
        raise SurveyError("An option that nobody of weight chose has no cut; merge it with its neighbour.")
    start = np.concatenate([np.zeros(P), special.logit(reach)])

    def look(theta: Floats) -> tuple[float, Floats, Floats]:
        cuts = theta[P:]
        if (np.diff(cuts) <= 0).any():
            return -np.inf, np.zeros((m, P + K - 1)), np.eye(P + K - 1)
        eta = X @ theta[:P]
        F = special.expit(np.column_stack([np.full(m, -np.inf), cuts - eta[:, None], np.full(m, np.inf)]))
        f = F * (1 - F)
        slope = f * (1 - 2 * F)
        value, score, information = 0.0, np.zeros((m, P + K - 1)), np.zeros((P + K - 1, P + K - 1))
        for k in range(K):
            p = np.maximum(F[:, k + 1] - F[:, k], 1e-300)
            weight = w * y[:, k]
            value += float(weight @ np.log(p))
            # The answer's upper and lower limits move with their own cut, and both against x'b.
            up, down = (np.zeros((m, P + K - 1)) for _ in range(2))
            up[:, :P] = down[:, :P] = -X
            if k < K - 1:
                up[:, P + k] = 1.0
            if k > 0:
                down[:, P + k - 1] = 1.0
            a, b = f[:, k + 1] / p, f[:, k] / p
            score += weight[:, None] * (a[:, None] * up - b[:, None] * down)
            uu, dd, ud = np.square(a) - slope[:, k + 1] / p, np.square(b) + slope[:, k] / p, -a * b
            information += up.T @ ((weight * uu)[:, None] * up) + down.T @ ((weight * dd)[:, None] * down)
            cross = up.T @ ((weight * ud)[:, None] * down)
            information += cross + cross.T
        return value, score, information

    return _newton(look, start)


def _newton(look: Callable[[Floats], tuple[float, Floats, Floats]], start: Floats) -> Fit:
    """Climb from `start`; `look` gives the log-likelihood, the scores (m, P) and the information (P, P)."""
    b = start
    value, score, information = look(b)
    for _ in range(_ROUNDS):
        gradient = score.sum(axis=0)
        try:
            step = np.linalg.solve(information, gradient)
        except np.linalg.LinAlgError:
            break
        if np.abs(step).max() <= _STEP * (1 + np.abs(b).max()):
            b = b + step
            _, score, information = look(b)
            return Fit(b, _solve(information, score.T).T)
        length, ahead = 1.0, look(b + step)
        while not ahead[0] >= value - 1e-12 * abs(value) and length > 1e-8:
            length /= 2
            ahead = look(b + length * step)
        b = b + length * step
        value, score, information = ahead
        if np.abs(b).max() > 1e6:
            break
    raise SurveyError(
        "The regression does not settle: a predictor, or several together, decide the outcome fully, so that no finite "
        "coefficient fits best. Merge levels or leave a predictor out."
    )


def _solve(information: Floats, right: Floats) -> Floats:
    return np.asarray(np.linalg.solve(information, right), dtype=np.float64)
