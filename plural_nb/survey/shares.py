"""Shares: how many chose each option, with design-based standard errors and intervals, for any groups at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from plural_nb.errors import SurveyError
from plural_nb.survey.design import Floats, Ints
from plural_nb.survey.intervals import Interval as Interval
from plural_nb.survey.intervals import bounds, capped
from plural_nb.survey.linearisation import Linearised, sum_by
from plural_nb.survey.question import Question
from plural_nb.survey.variance import joint_variance, variance

if TYPE_CHECKING:
    from plural_nb.answers import Answers, Source

# Over which ways to ask a model a range is taken; see `prompt_range`.
Ways = Literal["both", "orders", "wordings"]


@dataclass(frozen=True, slots=True)
class Groups:
    """A partition of a survey's rows: the names of the groups and, for each row, its group's place or -1."""

    names: tuple[str, ...]
    codes: npt.NDArray[np.integer[Any]] = field(compare=False)


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """Shares of the K substantive options of a question in each of G groups.

    share: (G, K), each row sums to 1; NaN in a group without answers.
    se, deff_wr: (G, K) standard errors and design effects against simple random sampling with replacement; None for a
        single exact model row, which has no sampling.
    covariance: (G, K, K); None for a single exact model row.
    low, high: (G, K) bounds of the interval; of an exact model row, the lowest and highest share over the orders and
        wordings asked, which are the share itself where only one was.
    n: (G,) people (or personas) with a substantive answer. df: (G,) PSUs less strata with members.
    n_eff_kish: (G,) (sum w)² / sum w² of those n.
    nonsubstantive: (G,) weighted share of "don't know" and the like among those who answered, volunteered ones left
        out. volunteered: (G,) weighted share of answers that were non-substantive and not offered, among all answers.
    missing: (G,) weighted share of the group without any answer.
    captured_mass, captured_mass_min: weighted mean and least probability that a model put on any listed option; None
        for people.
    interval, level: how low and high were made.
    weight_sum: (G,) weights of those n added up: the people they stand for, where weights are inverse probabilities.
    """

    question: Question
    source: Source
    groups: tuple[str, ...]
    share: Floats
    se: Floats | None
    low: Floats
    high: Floats
    covariance: Floats | None = field(repr=False)
    deff_wr: Floats | None = field(repr=False)
    n: Ints
    df: Floats
    n_eff_kish: Floats
    nonsubstantive: Floats
    volunteered: Floats
    missing: Floats
    captured_mass: float | None
    captured_mass_min: float | None
    interval: Interval
    level: float
    note: str = ""
    weight_sum: Floats | None = field(default=None, repr=False)

    @property
    def options(self) -> tuple[str, ...]:
        """Labels of the substantive options, in the order of the columns of `share`."""
        return tuple(self.question.options[i].label for i in self.question.substantive)

    @property
    def exact(self) -> bool:
        """Whether these are a single model row's probabilities, exact for its prompt."""
        return self.se is None

    @property
    def n_eff(self) -> Floats | None:
        """(G, K) effective numbers n / deff_wr; None for an exact model row."""
        if self.deff_wr is None:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.n[:, None] / self.deff_wr)

    @property
    def deff_wor(self) -> Floats | None:
        """(G, K) design effects against a sample without replacement from `weight_sum` people, as R's deff=TRUE."""
        if self.deff_wr is None or self.weight_sum is None:
            return None
        return np.asarray(self.deff_wr / (1 - self.n / self.weight_sum)[:, None])

    def table(self) -> pl.DataFrame:
        """Return one row per group and option; null where a number is not defined.

        >>> from plural_nb.answers import Answers
        >>> from plural_nb.survey.question import ask_for
        >>> shares = Answers.from_places(ask_for("Tea?", ["Yes", "No"]), [0, 0, 1]).shares()
        >>> shares.table().select("option", "share").rows()
        [('Yes', 0.6666666666666666), ('No', 0.3333333333333333)]
        """
        G, K = self.share.shape
        empty = np.full((G, K), np.nan)
        sampled = not self.exact

        def spread(values: Floats | Ints) -> Any:
            return np.repeat(values, K)

        columns = {
            "question": [self.question.key] * (G * K),
            "group": [name for name in self.groups for _ in range(K)],
            "option": list(self.options) * G,
            "n": spread(self.n),
            "share": self.share.ravel(),
            "se": (empty if self.se is None else self.se).ravel(),
            "low": self.low.ravel(),
            "high": self.high.ravel(),
            "df": spread(self.df) if sampled else empty.ravel(),
            "n_eff_kish": spread(self.n_eff_kish) if sampled else empty.ravel(),
            "n_eff": (empty if self.n_eff is None else self.n_eff).ravel(),
            "deff_wr": (empty if self.deff_wr is None else self.deff_wr).ravel(),
        }
        frame = pl.DataFrame(columns)
        numbers = pl.col(pl.Float64)
        return frame.with_columns(pl.when(numbers.is_finite()).then(numbers).otherwise(None))


def estimate(
    answers: Answers,
    *,
    interval: Interval = "logit",
    level: float = 0.95,
    by: Groups | Sequence[str | None] | pl.Series | None = None,
    cap: bool = True,
) -> Shares:
    """Estimate the share of each substantive option, with Taylor-linearised covariances and intervals.

    answers: rows of people, personas or a model; a row outside the domain or without an answer stays in the design
        with an influence of zero (definitions, section 3).
    interval, level, cap: see `plural_nb.survey.intervals.bounds`.
    by: groups to estimate side by side: `survey.groups("age")`, or a label per row (None for no group). Everybody in
        the domain when None.

    A single exact model row has no standard error; its bounds are its spread over orders and wordings.
    Raises SurveyError when nobody in the domain gave a substantive answer, or a stratum has a single PSU.

    >>> from plural_nb.answers import Answers
    >>> from plural_nb.survey.question import ask_for
    >>> shares = estimate(Answers.from_places(ask_for("Tea?", ["Yes", "No"]), [0] * 30 + [1] * 70))
    >>> shares.share.tolist(), shares.se.round(4).tolist()
    ([[0.3, 0.7]], [[0.0461, 0.0461]])
    """
    names, codes = group_codes(answers.design.n, by)
    if by is None:
        names = (answers.about or ("Everyone" if answers.source.kind == "humans" else answers.source.name),)
    design, question = answers.design, answers.question
    G = len(names)
    part = _Parts.of(answers)
    weight = design.weight
    here = answers.domain & (codes >= 0)
    opinion = _Opinion.of(answers, codes, G)
    member, group, y = opinion.row, opinion.group, opinion.y
    if not weight[member].any():
        raise SurveyError(_nobody(answers, here))
    w, s = weight[member], part.substantive[member]
    W = np.bincount(group, weights=w * s, minlength=G)
    n = np.bincount(group[w != 0], minlength=G)
    p = opinion.shares(weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        kish = np.square(np.bincount(group, weights=w, minlength=G)) / np.bincount(group, weights=w * w, minlength=G)
    captured = _captured(answers, here & (weight != 0))
    nonsubstantive, volunteered, missing = part.left_out(weight, codes, here, G)
    rest: dict[str, Any] = dict(  # noqa: C408
        question=question, source=answers.source, groups=names, share=p, n=n, n_eff_kish=np.nan_to_num(kish),
        nonsubstantive=nonsubstantive, volunteered=volunteered, missing=missing, captured_mass=captured[0],
        captured_mass_min=captured[1], interval=interval, level=level, weight_sum=W,
    )  # fmt: skip
    if answers.exact:
        low, high = prompt_range(answers, p)
        return Shares(
            se=None, low=low, high=high, covariance=None, deff_wr=None, df=np.full(G, np.nan), note=design.note, **rest
        )
    found = variance(design, opinion.influence(weight), p, opinion.shares, opinion.shares_at_once)
    V, df = found.covariance, found.df
    V[n == 0] = np.nan
    squared = np.maximum(np.einsum("gkk->gk", V), 0.0)
    residual = np.square(y - p[group] * s[:, None])
    with np.errstate(invalid="ignore", divide="ignore"):
        srs = sum_by(group, w[:, None] * residual, G) / (W * (n - 1))[:, None]
        deff = squared / srs
    se = np.sqrt(squared)
    low, high = bounds(p, se, df, n.astype(np.float64), interval=interval, level=level, cap=cap)
    notes = [design.note, found.note]
    if interval == "korn-graubard" and cap and capped(p, se, df, n.astype(np.float64), level):
        notes.append("the effective number of some Korn–Graubard intervals was kept at n")
    note = "; ".join(part for part in notes if part)
    return Shares(se=se, low=low, high=high, covariance=V, deff_wr=deff, df=df, note=note, **rest)


def difference_covariance(a: Answers, b: Answers) -> Floats:
    """Return the (K, K) covariance of the difference of two answers' shares, options in the same order.

    Where both speak of the same sampled people (one survey, or personas of its people), what they share is taken
    off; else the two covariances add up. An exact model row adds nothing.
    """
    sampled = [side for side in (a, b) if not side.exact]
    K = len(a.question.substantive)
    if len(sampled) == 2 and same_people(a, b):
        one, other = _Opinion.all_of(a), _Opinion.all_of(b)
        parts = [one.influence(a.design.weight), other.influence(b.design.weight)]
        dense = np.zeros((a.design.n, K))
        for part, sign in zip(parts, (1.0, -1.0), strict=True):
            dense[part.row] += sign * part.z
        rows = np.arange(a.design.n)
        difference = Linearised(dense, np.zeros_like(rows), rows)
        theta = one.shares(a.design.weight) - other.shares(b.design.weight)
        # Two designs of the same people differ in their weights; replicate weights belong to one of them alone.
        design = a.design if a.design is b.design else replace(a.design, replicates=None, calibration=None)
        return joint_variance(design, difference, theta, lambda w: one.shares(w) - other.shares(w))
    total = np.zeros((K, K))
    for side in sampled:
        opinion = _Opinion.all_of(side)
        weight = side.design.weight
        total += joint_variance(side.design, opinion.influence(weight), opinion.shares(weight), opinion.shares)
    return total


def group_codes(n: int, by: Groups | Sequence[str | None] | pl.Series | None) -> tuple[tuple[str, ...], Ints]:
    """Return the names of groups and each of n rows' place among them, -1 for none; everybody when None."""
    if by is None:
        return ("Everyone",), np.zeros(n, dtype=np.int64)
    if isinstance(by, Groups):
        names, codes = by.names, np.asarray(by.codes, dtype=np.int64)
    else:
        labels = list(by)
        found = list(dict.fromkeys(str(label) for label in labels if label is not None))
        place = {label: i for i, label in enumerate(found)}
        names = tuple(found)
        codes = np.array([-1 if label is None else place[str(label)] for label in labels], dtype=np.int64)
    if codes.shape != (n,):
        raise SurveyError(f"The groups have {codes.size} entries for {n} rows; give one per row of the survey.")
    return names, codes


def joint_shares_covariance(answers: Answers, by: Groups | Sequence[str | None] | pl.Series) -> Floats:
    """Return (G, K, G, K) covariances of the shares across groups as well as options.

    Two groups that share PSUs or strata are not independent: a contrast c of any of the G K shares has variance
    c' V c (definitions, section 3). See `plural_nb.survey.contrasts`.
    """
    names, codes = group_codes(answers.design.n, by)
    opinion = _Opinion.of(answers, codes, len(names))
    weight = answers.design.weight
    theta = opinion.shares(weight)
    V = joint_variance(answers.design, opinion.influence(weight), theta, opinion.shares)
    return V.reshape(*theta.shape, *theta.shape)


def same_people(a: Answers, b: Answers) -> bool:
    """Return whether two answers are rows of one sample, so that their shares move together."""
    if a.design is b.design:
        return True
    humans = a.source.kind == b.source.kind == "humans"
    # A survey weighted and unweighted has two designs with its name; people without a name may be any people.
    named = a.source.name == b.source.name != "people"
    return humans and named and a.design.n == b.design.n


@dataclass(frozen=True, slots=True, eq=False)
class _Opinion:
    """The rows with a substantive answer in the domain: (m,) row and group, (m, K) probabilities y."""

    row: Ints
    group: Ints
    y: Floats
    groups: int

    @classmethod
    def of(cls, answers: Answers, codes: Ints, groups: int) -> _Opinion:
        design = answers.design
        y = answers.rows[:, list(answers.question.substantive)]
        here = answers.domain & (codes >= 0) & (y.sum(axis=1) > 0)
        if design.replicates is None:
            here &= design.weight != 0
        row = np.flatnonzero(here)
        return cls(row, codes[row].astype(np.int64), y[row], groups)

    @classmethod
    def all_of(cls, answers: Answers) -> _Opinion:
        return cls.of(answers, np.zeros(answers.design.n, dtype=np.int64), 1)

    def shares(self, weight: Floats) -> Floats:
        """(G, K) shares under any weights (n,); NaN in a group without any."""
        S = sum_by(self.group, weight[self.row][:, None] * self.y, self.groups)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(S / S.sum(axis=1, keepdims=True))

    def shares_at_once(self, weights: Floats) -> Floats:
        """(R, G, K) shares under each column of weights (n, R)."""
        K = self.y.shape[1]
        member, option = np.nonzero(self.y)
        cells = (self.y[member, option], (self.group[member] * K + option, self.row[member]))
        sums = sparse.csr_array(cells, shape=(self.groups * K, weights.shape[0])) @ weights
        S = np.moveaxis(sums.reshape(self.groups, K, -1), 2, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(S / S.sum(axis=2, keepdims=True))

    def influence(self, weight: Floats) -> Linearised:
        w, s = weight[self.row], self.y.sum(axis=1)
        W = np.bincount(self.group, weights=w * s, minlength=self.groups)
        p = self.shares(weight)[self.group]
        with np.errstate(invalid="ignore", divide="ignore"):
            z = (w / W[self.group])[:, None] * (self.y - p * s[:, None])
        return Linearised(z, self.group, self.row)


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """Each row's probability by kind of option: (n,) substantive, non-substantive but offered, volunteered."""

    substantive: Floats
    nonsubstantive: Floats
    volunteered: Floats

    @classmethod
    def of(cls, answers: Answers) -> _Parts:
        options = answers.question.options
        offered = [i for i, o in enumerate(options) if not o.substantive and o.offered]
        volunteered = [i for i, o in enumerate(options) if not o.substantive and not o.offered]
        rows = answers.rows
        return cls(*(rows[:, list(k)].sum(axis=1) for k in (answers.question.substantive, offered, volunteered)))

    def left_out(self, weight: Floats, codes: Ints, here: Any, G: int) -> tuple[Floats, Floats, Floats]:
        group, w = codes[here], weight[here]

        def total(values: Floats) -> Floats:
            return np.asarray(np.bincount(group, weights=w * values[here], minlength=G), dtype=np.float64)

        opinion, other, volunteered = total(self.substantive), total(self.nonsubstantive), total(self.volunteered)
        everybody = np.bincount(group, weights=w, minlength=G)
        unanswered = (self.substantive + self.nonsubstantive + self.volunteered == 0).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (
                other / (opinion + other),
                volunteered / (opinion + other + volunteered),
                total(unanswered) / everybody,
            )


def _captured(answers: Answers, here: Any) -> tuple[float | None, float | None]:
    if answers.captured_mass is None:
        return None, None
    mass, w = answers.captured_mass[here], answers.design.weight[here]
    return float(np.average(mass, weights=w)), float(mass.min())


def prompt_range(answers: Answers, p: Floats, over: Ways = "both") -> tuple[Floats, Floats]:
    """Return the lowest and highest share over a model's ways to be asked, p itself where only one was asked.

    over: "both" takes each wording in each order by itself, "orders" their means over wordings, "wordings" their means
    over orders.
    """
    if len(p) > 1:  # what is known is of everybody's mean row, not of a group's
        return p.copy(), p.copy()
    places = list(answers.question.substantive)
    ways = answers.by_wording_and_order
    if ways is not None:
        mean = {"both": ways.reshape(-1, ways.shape[2]), "orders": ways.mean(axis=0), "wordings": ways.mean(axis=1)}
        told = mean[over][:, places]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = told / told.sum(axis=1, keepdims=True)
        share = share[np.isfinite(share).all(axis=1)]
        if share.size:
            return np.minimum(share.min(axis=0)[None, :], p), np.maximum(share.max(axis=0)[None, :], p)
    if answers.spread is None or over != "both":
        return p.copy(), p.copy()
    low, high = answers.spread[0, places], answers.spread[1, places]
    # This spread is of probabilities over all options. Where some are not substantive, the outer bounds of the share
    # among the substantive ones are taken, because their joint course over the prompts is not known.
    if answers.rows[0, places].sum() < 1 - 1e-9:
        with np.errstate(invalid="ignore", divide="ignore"):
            least, most = low / (low + high.sum() - high), high / (high + low.sum() - low)
        low, high = np.nan_to_num(least), np.nan_to_num(most, nan=1.0)
    return np.minimum(low[None, :], p), np.maximum(high[None, :], p)


def _nobody(answers: Answers, here: Any) -> str:
    question = answers.question
    asked = f", which was asked of {question.asked_of}" if question.asked_of else ""
    if not here.any():
        return f"Nobody is in this population ({answers.about or 'an empty domain'}). Pick fewer traits or more levels."
    if answers.source.kind != "humans":
        return (
            f"{answers.source.name} put no probability on any option of {question.label!r}; there is no share to show."
        )
    return (
        f"None of the {int(here.sum())} people in this population has an opinion recorded on {question.label!r}{asked}."
    )
