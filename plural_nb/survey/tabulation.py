"""Many questions by many groups at once: one table of sums per question gives shares, errors and intervals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from plural_nb.answers import Source
from plural_nb.errors import SurveyError
from plural_nb.survey.design import Design, Floats, Ints, psus_per_stratum
from plural_nb.survey.intervals import Interval, bounds, capped
from plural_nb.survey.linearisation import stratum_factors
from plural_nb.survey.question import Question
from plural_nb.survey.shares import Groups, Shares, estimate

if TYPE_CHECKING:
    from plural_nb.survey.survey import Population, Survey

# Entries of a question's largest table of sums; three of them are held at once (0.5 GB).
_LARGEST = 20_000_000


def tabulate(
    survey: Survey,
    questions: Iterable[str] | None = None,
    *,
    by: str | Groups | None = None,
    population: Population | None = None,
    weighted: bool = True,
    interval: Interval = "logit",
    level: float = 0.95,
) -> dict[str, Shares]:
    """Return the shares of many questions, each in every group: what `estimate` returns, in a fraction of its time.

    questions: keys; all of the survey's when None. by: a trait's key, or groups. A question that nobody in the
    population answered has groups of NaN.

    Where the design has replicate weights or calibration residuals each question is estimated alone.

    >>> from plural_nb.survey.library import load_survey
    >>> found = tabulate(load_survey("anes96"), ["vote"], by="age")
    >>> found["vote"].share.shape[1]
    2
    """
    design = survey.design if weighted else survey.design.unweighted()
    keys = list(survey.questions) if questions is None else list(questions)
    groups = survey.groups(by) if isinstance(by, str) else by
    if groups is not None and groups.codes.shape != (survey.n,):
        raise SurveyError(f"The groups have {groups.codes.size} entries for {survey.n} rows; give one per row.")
    inside = population.mask(survey) if population is not None and population.picks else None
    if inside is not None and not inside.any():
        raise SurveyError(
            f"Nobody in {survey.title!r} is in this population ({survey.describe(population)}). Pick fewer traits or "
            "more levels."
        )
    source = Source("humans", survey.title, "weighted" if weighted and survey.weighted else "unweighted")
    linear = design.replicates is None and design.calibration is None
    cells = None
    found = {}
    for key in keys:
        question = survey.question(key)
        if linear and cells is None:
            names = groups.names if groups is not None else (survey.describe(population),)
            cells = _Cells.of(design, None if groups is None else groups.codes, inside, names)
        if cells is not None and cells.group.size * (len(question.options) + 1) <= _LARGEST:
            found[key] = cells.shares(question, survey.answer_codes[key], source, interval, level)
        else:
            answers = survey.answers(key, population, weighted=weighted)
            found[key] = estimate(answers, by=groups, interval=interval, level=level)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Members put in cells of one group and one PSU (of one stratum, without PSUs), ordered by group and stratum.

    base, base_group: (m,) each member's cell and group. row: (m,) its row, or None when every row is a member.
    group, stratum: (C,) of each cell. part: (C,) the place of its group and stratum among those that occur; part_group,
    part_stratum: of those.
    """

    design: Design
    names: tuple[str, ...]
    row: Ints | None
    weight: Floats
    square: Floats
    base: Ints
    base_group: Ints
    group: Ints
    stratum: Ints
    part: Ints
    part_group: Ints
    part_stratum: Ints
    n_h: Ints
    factor: Floats
    total: float

    @classmethod
    def of(cls, design: Design, codes: Any, inside: npt.NDArray[np.bool_] | None, names: tuple[str, ...]) -> _Cells:
        here = design.weight != 0
        if inside is not None:
            here &= inside
        if codes is not None:
            here &= codes >= 0
        row = None if here.all() else np.flatnonzero(here)
        group = np.zeros(design.n, dtype=np.int64) if codes is None else np.asarray(codes, dtype=np.int64)
        strata, n_h = psus_per_stratum(design)
        factor, total = stratum_factors(design, n_h)
        H = n_h.size
        # Numbered so that the order of cells is by group, stratum, PSU.
        if design.psu is None:
            stratum = np.zeros(design.n, dtype=np.int64) if design.stratum is None else design.stratum
            code, size = group * H + stratum, H
            of_unit = np.arange(H)
        else:
            order = np.argsort(strata, kind="stable")
            rank = np.empty_like(order)
            rank[order] = np.arange(order.size)
            code, size = group * order.size + rank[design.psu], order.size
            of_unit = strata[order]
        if row is not None:
            code = code[row]
        used = np.bincount(code, minlength=len(names) * size) > 0
        present = np.flatnonzero(used)
        place = np.cumsum(used) - 1
        g, h = present // size, of_unit[present % size]
        parts, part = np.unique(g * H + h, return_inverse=True)
        weight = design.weight if row is None else design.weight[row]
        return cls(
            design, names, row, weight, np.square(weight), place[code],
            group if row is None else group[row], g, h, part, parts // H, parts % H, n_h, factor,
            total,
        )  # fmt: skip

    def shares(self, question: Question, places: Any, source: Source, interval: Interval, level: float) -> Shares:
        """The shares of one question, from the place of each row's option (-1 where it is missing)."""
        G, J = len(self.names), len(question.options) + 1
        column = np.asarray(places if self.row is None else places[self.row], dtype=np.int64) + 1
        k = np.array(question.substantive) + 1
        S = self._by_cell(column, J, self.weight)
        opinion = S[k]
        sums = _sum_parts(S, self.group, G)
        W = sums[k].sum(axis=0)
        of_group = column * G + self.base_group
        n = np.bincount(of_group, minlength=J * G).reshape(J, G)[k].sum(axis=0)
        squares = np.bincount(of_group, weights=self.square, minlength=J * G).reshape(J, G)[k].sum(axis=0)
        Q = self._by_cell(column, J, self.square)[k] if self.design.psu is None else None
        with np.errstate(invalid="ignore", divide="ignore"):
            p = sums[k] / W
            kish = np.nan_to_num(np.square(W) / squares)
            V = self._covariance(opinion, Q, np.nan_to_num(p), np.where(W > 0, W, 1.0))
            p = np.ascontiguousarray(p.T)
            V[n == 0] = np.nan
            variance = np.maximum(np.einsum("gkk->gk", V), 0.0)
            # Of one-hot answers, the mean of (y - p)² is p(1 - p).
            deff = variance / (p * (1 - p) / (n - 1)[:, None])
            se = np.sqrt(variance)
        # Members have weights above 0, so that a sum of them is 0 only where there are none.
        df = self._degrees_of_freedom(opinion.sum(axis=0) > 0, n)
        people = n.astype(np.float64)
        low, high = bounds(p, se, df, people, interval=interval, level=level)
        note = self.design.note
        if interval == "korn-graubard" and capped(p, se, df, people, level):
            note = "; ".join(filter(None, [note, "the effective number of some Korn–Graubard intervals was kept at n"]))
        other = [i + 1 for i, o in enumerate(question.options) if not o.substantive and o.offered]
        volunteered = [i + 1 for i, o in enumerate(question.options) if not o.substantive and not o.offered]
        with np.errstate(invalid="ignore", divide="ignore"):
            rest, said = sums[other].sum(axis=0), sums[volunteered].sum(axis=0)
            left_out = rest / (W + rest), said / (W + rest + said), sums[0] / sums.sum(axis=0)
        return Shares(
            question=question, source=source, groups=self.names, share=p, se=se, low=low, high=high, covariance=V,
            deff_wr=deff, n=n, df=df, n_eff_kish=kish, nonsubstantive=left_out[0], volunteered=left_out[1],
            missing=left_out[2], captured_mass=None, captured_mass_min=None, interval=interval, level=level, note=note,
            weight_sum=W,
        )  # fmt: skip

    def _by_cell(self, column: Ints, J: int, weight: Floats) -> Floats:
        """(J, C): sums over each cell's members, the missing ones first."""
        C = self.group.size
        sums = np.bincount(column * C + self.base, weights=weight, minlength=J * C)
        return np.asarray(sums.reshape(J, C), dtype=np.float64)

    def _covariance(self, S: Floats, Q: Floats | None, p: Floats, W: Floats) -> Floats:
        """(G, K, K): as `linearisation.covariance`, from the cells' sums of weights S and of squared weights Q."""
        K, G = p.shape
        z = S - p[:, self.group] * S.sum(axis=0)
        z /= W[self.group]
        f, n_h = self.factor[self.part_stratum], self.n_h[self.part_stratum]
        mean = _sum_parts(z, self.part, self.part_group.size) / n_h
        mean[:, n_h == 1] = 0.0  # a lonely PSU is set against the mean of all, which is 0
        if Q is not None:
            # Rows are the PSUs: sum_i w_i² (e - p)(e - p)' needs the squared weights of each option alone.
            q = _sum_parts(Q * (self.factor[self.stratum] / np.square(W[self.group])), self.group, G)
            whole = q.sum(axis=0)
            V = np.einsum("kg,lg,g->gkl", p, p, whole) - np.einsum("kg,lg->gkl", q, p) - np.einsum("kg,lg->gkl", p, q)
            # The same without a difference of large numbers.
            V[:, np.arange(K), np.arange(K)] = (q * np.square(1 - p) + np.square(p) * (whole - q)).T
            V -= _products(np.sqrt(f * n_h) * mean, self.part_group, G)
            return np.asarray(self.total * V)
        z -= mean[:, self.part]
        z *= np.sqrt(self.factor[self.stratum])
        V = _products(z, self.group, G)
        empty = n_h - np.bincount(self.part, minlength=n_h.size)
        V += _products(np.sqrt(f * empty) * mean, self.part_group, G)
        return np.asarray(self.total * V)

    def _degrees_of_freedom(self, present: npt.NDArray[np.bool_], n: Ints) -> Floats:
        G = len(self.names)
        if self.design.df is not None:
            return np.full(G, float(self.design.df))
        strata = np.bincount(self.part, weights=present, minlength=self.part_group.size) > 0
        psus = n if self.design.psu is None else np.bincount(self.group, weights=present, minlength=G)
        return np.asarray(psus - np.bincount(self.part_group, weights=strata, minlength=G), dtype=np.float64)


def _sum_parts(values: Floats, place: Ints, size: int) -> Floats:
    """(K, size): sums of the columns of values (K, C) that share a place; places rise."""
    result = np.zeros((values.shape[0], size))
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    result[:, place[starts]] = np.add.reduceat(values, starts, axis=1)
    return result


def _products(z: Floats, group: Ints, groups: int) -> Floats:
    """(G, K, K): sums of z z' over the columns of z (K, C) of each group; groups rise."""
    edges = np.searchsorted(group, np.arange(groups + 1))
    result = np.empty((groups, z.shape[0], z.shape[0]))
    for g in range(groups):
        part = z[:, edges[g] : edges[g + 1]]
        result[g] = part @ part.T
    return result
