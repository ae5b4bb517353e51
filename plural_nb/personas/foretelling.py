"""What can be foretold of hidden answers without a model: the marginal, a logit on traits, nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from plural_nb.comparison.demographics import fit_multinomial
from plural_nb.errors import PluralError
from plural_nb.personas.hiding import Bools, Hidden
from plural_nb.personas.leaks import giveaways
from plural_nb.survey.design import Floats, Ints
from plural_nb.survey.survey import Survey

# Cells of the agreement of people with people that are held at once.
_BLOCK = 2_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Foretellers:
    """Baselines fitted to other people than those they foretell.

    traits: that the logit and the neighbours know. neighbours: people whose answers are averaged. fold: (n,) part of
    each row; whole PSUs are dealt out, and nobody is foretold from their own part.
    """

    hidden: Hidden
    traits: tuple[str, ...]
    neighbours: int
    fold: Ints = field(repr=False)
    agreeing: Floats = field(repr=False)

    @classmethod
    def of(cls, hidden: Hidden, traits: Sequence[str], neighbours: int, folds: int, seed: int) -> Foretellers:
        """Return the baselines of a survey of which answers are hidden."""
        if neighbours < 1:
            raise PluralError(f"There is at least 1 neighbour, not {neighbours}.")
        fold = _folds_of_units(hidden.survey, folds, seed)
        return cls(hidden, tuple(traits), neighbours, fold, _agreeing(hidden.seen, traits, hidden.keys))

    def rows(self, key: str, asked: Bools) -> tuple[dict[str, Floats], str]:
        """Return {name: (n, K) rows, zeros where not asked}, and what was left out of them; or nothing and why.

        A trait that is the question itself is left out.
        """
        hidden, fold, k = self.hidden, self.fold, self.neighbours
        found = giveaways(hidden.survey, self.traits, hidden.survey.question(key), near=1.0)
        itself = [one.key for one in found if one.asked]
        traits = [trait for trait in self.traits if trait not in itself]
        answers = hidden.known(key)
        y = answers.rows[:, list(answers.question.substantive)]
        design = answers.design
        told_all = (y.sum(axis=1) > 0) & (design.weight > 0)
        if not told_all.any():
            return {}, "nobody was asked, so the baselines have nothing to learn from"
        made = {name: np.zeros_like(y) for name in ("marginal", "logit", "neighbours")}
        X = np.column_stack([np.ones(len(y)), _dummies(hidden.survey, traits)])
        # A person's agreement must not count the question that is predicted.
        own = _columns_of(hidden.survey, self.traits, hidden.keys, {key, *itself})
        for part in np.unique(fold[asked]):
            told, wanted = told_all & (fold != part), asked & (fold == part)
            if not told.any():
                return {}, "all who were asked share a fold with those who were not"
            w = design.weight[told] / design.weight[told].mean()
            made["marginal"][wanted] = (w @ y[told]) / w.sum()
            made["logit"][wanted] = _softmax(X[wanted] @ fit_multinomial(X[told], y[told], w, 1.0))
            made["neighbours"][wanted] = _nearest(self.agreeing[:, ~own], told, wanted, y, design.weight, k)
        return made, f"{' and '.join(itself)}: the question itself, left out of the baselines" if itself else ""


def _nearest(features: Floats, told: Bools, wanted: Bools, y: Floats, weight: Floats, k: int) -> Floats:
    """(m, K) weighted mean answers of the k people told who agree most with each person wanted."""
    pool = np.flatnonzero(told)
    k = min(k, pool.size)
    base, people = features[pool].T, features[wanted]
    found = np.zeros((len(people), y.shape[1]))
    step = max(1, _BLOCK // pool.size)
    for start in range(0, len(people), step):
        agree = people[start : start + step] @ base
        nearest_k = pool[np.argpartition(-agree, k - 1, axis=1)[:, :k]]
        w = weight[nearest_k]
        found[start : start + step] = np.einsum("mk,mkj->mj", w, y[nearest_k]) / w.sum(axis=1, keepdims=True)
    return found


def _agreeing(survey: Survey, traits: Sequence[str], questions: Sequence[str]) -> Floats:
    """(n, D) indicators of levels and answers; the product of two people's counts what they agree in."""
    parts = [_one_hot(survey.trait_codes[t], len(survey.trait(t).options)) for t in traits]
    parts += [_one_hot(survey.answer_codes[q], len(survey.questions[q].options)) for q in questions]
    return np.hstack(parts)


def _columns_of(survey: Survey, traits: Sequence[str], questions: Sequence[str], out: set[str]) -> Bools:
    sizes = [len(survey.trait(t).options) for t in traits] + [len(survey.questions[q].options) for q in questions]
    return np.repeat([name in out for name in (*traits, *questions)], sizes)


def _one_hot(codes: npt.NDArray[np.integer[Any]], size: int) -> Floats:
    return np.asarray((codes[:, None] == np.arange(size)).astype(np.float64))


def _dummies(survey: Survey, traits: Sequence[str]) -> Floats:
    columns = [_one_hot(survey.trait_codes[t], len(survey.trait(t).options))[:, 1:] for t in traits]
    return np.hstack([np.zeros((survey.n, 0)), *columns])


def _folds_of_units(survey: Survey, folds: int, seed: int) -> Ints:
    if folds < 2:
        raise PluralError(f"Cross-fitting needs two folds or more, not {folds}.")
    unit = np.arange(survey.n) if survey.design.psu is None else survey.design.psu
    order = np.random.default_rng(seed).permutation(int(unit.max()) + 1)
    return np.asarray((order % folds)[unit], dtype=np.int64)


def _softmax(eta: Floats) -> Floats:
    e = np.exp(eta - eta.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))
