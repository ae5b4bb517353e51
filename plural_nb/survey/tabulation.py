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
from plural_nb.survey.linearisation import stratum_factors, sum_by
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

    base: (m,) each member's cell. row: (m,) its row, or None when every row is a member.
    group, stratum: (C,) of each cell. part: (C,) the place of its group and stratum among those that occur; part_group,
    part_stratum: of those.
    """

    design: Design
    names: tuple[str, ...]
    row: Ints | None
    weight: Floats
    square: Floats
    base: Ints
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
            design, names, row, weight, np.square(weight), place[code], g, h, part, parts // H, parts % H, n_h, factor,
            total,
        )  # fmt: skip

    def shares(self, question: Question, places: Any, source: Source, interval: Interval, level: float) -> Shares:
        """The shares of one question, from the place of each row's option (-1 where it is missing)."""
        G, C, J = len(self.names), self.group.size, len(question.options) + 1
        answered = places if self.row is None else places[self.row]
        index = self.base * J
        index += answered
        index += 1
        S = np.asarray(np.bincount(index, weights=self.weight, minlength=C * J).reshape(C, J), dtype=np.float64)
        count: Ints = np.bincount(index, minlength=C * J).reshape(C, J)
        squares = np.asarray(np.bincount(index, weights=self.square, minlength=C * J).reshape(C, J), dtype=np.float64)
        k = np.array(question.substantive) + 1
        opinion = S[:, k]
        sums, by_option = sum_by(self.group, S, G), sum_by(self.group, opinion, G)
        W = by_option.sum(axis=1)
        n = np.bincount(self.group, weights=count[:, k].sum(axis=1), minlength=G).astype(np.int64)
        square = np.bincount(self.group, weights=squares[:, k].sum(axis=1), minlength=G)
        with np.errstate(invalid="ignore", divide="ignore"):
            p = by_option / W[:, None]
            kish = np.nan_to_num(np.square(W) / square)
            V = self._covariance(opinion, squares[:, k], p, W)
            V[n == 0] = np.nan
            variance = np.maximum(np.einsum("gkk->gk", V), 0.0)
            # Of one-hot answers, the mean of (y - p)² is p(1 - p).
            deff = variance / (p * (1 - p) / (n - 1)[:, None])
            se = np.sqrt(variance)
        df = self._degrees_of_freedom(np.asarray(count[:, k].sum(axis=1) > 0), n)
        people = n.astype(np.float64)
        low, high = bounds(p, se, df, people, interval=interval, level=level)
        note = self.design.note
        if interval == "korn-graubard" and capped(p, se, df, people, level):
            note = "; ".join(filter(None, [note, "the effective number of some Korn–Graubard intervals was kept at n"]))
        other = [i + 1 for i, o in enumerate(question.options) if not o.substantive and o.offered]
        volunteered = [i + 1 for i, o in enumerate(question.options) if not o.substantive and not o.offered]
        with np.errstate(invalid="ignore", divide="ignore"):
            rest = sums[:, other].sum(axis=1)
            said = sums[:, volunteered].sum(axis=1)
            left_out = rest / (W + rest), said / (W + rest + said), sums[:, 0] / sums.sum(axis=1)
        return Shares(
            question=question, source=source, groups=self.names, share=p, se=se, low=low, high=high, covariance=V,
            deff_wr=deff, n=n, df=df, n_eff_kish=kish, nonsubstantive=left_out[0], volunteered=left_out[1],
            missing=left_out[2], captured_mass=None, captured_mass_min=None, interval=interval, level=level, note=note,
        )  # fmt: skip

    def _covariance(self, S: Floats, Q: Floats, p: Floats, W: Floats) -> Floats:
        """(G, K, K): as `linearisation.covariance`, from the cells' sums of weights S and of squared weights Q."""
        G, K = p.shape
        cell_p, cell_W = p[self.group], W[self.group][:, None]
        z = np.nan_to_num((S - cell_p * S.sum(axis=1, keepdims=True)) / cell_W)
        f, n_h, lonely = self.factor[self.part_stratum], self.n_h[self.part_stratum], self.n_h[self.part_stratum] == 1
        edges = np.searchsorted(self.group, np.arange(G + 1))
        if self.design.psu is None:
            # Rows are the PSUs: sum_i w_i² (e - p)(e - p)' needs the squared weights of each option alone.
            q = sum_by(self.group, np.nan_to_num(Q * self.factor[self.stratum][:, None] / np.square(cell_W)), G)
            whole = q.sum(axis=1)
            P = np.nan_to_num(p)
            V = np.einsum("gk,gl,g->gkl", P, P, whole) - q[:, :, None] * P[:, None, :] - P[:, :, None] * q[:, None, :]
            # The same without a difference of large numbers.
            V[:, np.arange(K), np.arange(K)] = q * np.square(1 - P) + np.square(P) * (whole[:, None] - q)
            means = z / n_h[:, None]
            means[lonely] = 0.0
            V -= _products(np.sqrt(f * n_h)[:, None] * means, edges, G)
            return np.asarray(self.total * V)
        mean = sum_by(self.part, z, self.part_group.size) / n_h[:, None]
        mean[lonely] = 0.0
        V = _products(np.sqrt(self.factor[self.stratum])[:, None] * (z - mean[self.part]), edges, G)
        empty = n_h - np.bincount(self.part, minlength=n_h.size)
        part_edges = np.searchsorted(self.part_group, np.arange(G + 1))
        V += _products(np.sqrt(f * empty)[:, None] * mean, part_edges, G)
        return np.asarray(self.total * V)

    def _degrees_of_freedom(self, present: npt.NDArray[np.bool_], n: Ints) -> Floats:
        G = len(self.names)
        if self.design.df is not None:
            return np.full(G, float(self.design.df))
        strata = np.bincount(self.part, weights=present, minlength=self.part_group.size) > 0
        psus = n if self.design.psu is None else np.bincount(self.group, weights=present, minlength=G)
        return np.asarray(psus - np.bincount(self.part_group, weights=strata, minlength=G), dtype=np.float64)


def _products(z: Floats, edges: Ints, groups: int) -> Floats:
    result = np.empty((groups, z.shape[1], z.shape[1]))
    for g in range(groups):
        part = z[edges[g] : edges[g + 1]]
        result[g] = part.T @ part
    return result
