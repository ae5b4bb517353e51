"""Information: how many bits a table of shares by group carries, and how many are left once it is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy import special

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.design import Floats
from plural_nb.survey.shares import Groups, estimate, group_codes

if TYPE_CHECKING:
    from plural_nb.answers import Answers


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of a table's information in a published version of it.

    how: what was done. bits: what a reader of the published table still learns of a person's answer from the person's
    group, per person. of_bits: what the whole table tells. spread_bits: the standard deviation of bits over random
    draws; 0 where nothing was drawn. raised: cells that were published as 0 (or less) and are read as a little more.
    """

    how: str
    bits: float
    of_bits: float
    spread_bits: float = 0.0
    raised: float = 0.0

    @property
    def share(self) -> float:
        """Bits / of_bits; below 0 where believing the published table is worse than not knowing the groups."""
        return self.bits / self.of_bits if self.of_bits > 0 else np.nan


@dataclass(frozen=True, slots=True, eq=False)
class CrossTable:
    """Weighted shares of the answers in each group: what a published table is made from.

    groups, options: its rows and columns. size: (G,) the groups' shares of all who answered. share: (G, K) the
    answers' shares within each group. floor_bits: what `bits` would be expected to be, by sampling alone, if all
    groups answered alike; 0 where the table is not of a sample.

    Raises SurveyError for shapes that do not fit, negative shares, or rows that do not sum to 1.

    >>> table = CrossTable(("North", "South"), ("Yes", "No"), [0.5, 0.5], [[1.0, 0.0], [0.0, 1.0]])
    >>> table.bits, table.merge(groups=[["North", "South"]]).share
    (1.0, 0.0)
    """

    groups: tuple[str, ...]
    options: tuple[str, ...]
    size: Floats = field(repr=False)
    share: Floats = field(repr=False)
    floor_bits: float = 0.0

    def __post_init__(self) -> None:
        size, share = np.asarray(self.size, dtype=np.float64), np.asarray(self.share, dtype=np.float64)
        if share.shape != (len(self.groups), len(self.options)) or size.shape != (len(self.groups),):
            raise SurveyError(
                f"A table of {len(self.groups)} groups and {len(self.options)} options needs as many sizes and rows; "
                f"it got {size.shape} and {share.shape}."
            )
        if not (np.isfinite(share).all() and np.isfinite(size).all()) or share.min() < 0 or size.min() < 0:
            raise SurveyError("The shares and sizes of a table are numbers of 0 or more; leave empty groups out.")
        if abs(size.sum() - 1) > 1e-9 or np.abs(share.sum(axis=1) - 1).max() > 1e-9:
            raise SurveyError("The groups' sizes, and the shares in each group, must sum to 1.")
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "share", share)

    @property
    def marginal(self) -> Floats:
        """(K,) shares of the answers among everybody."""
        return np.asarray(self.size @ self.share)

    @property
    def bits(self) -> float:
        """Mutual information of group and answer, in bits: what knowing someone's group tells of the answer.

        I = Σ_g π_g Σ_k p_gk log2(p_gk / p_k) (Cover and Thomas, Elements of Information Theory, eq. 2.30).
        """
        return float((self.size[:, None] * special.rel_entr(self.share, self.marginal)).sum() / np.log(2))

    @property
    def entropy_bits(self) -> float:
        """Entropy of the answers among everybody, in bits: what there is to learn."""
        return float(special.entr(self.marginal).sum() / np.log(2))

    def kept(
        self, published: Floats | Sequence[Sequence[float]], *, how: str = "published", least: float = 0.0
    ) -> Kept:
        """Return the information that a published table (G, K) of the same cells keeps.

        A reader takes the published shares q_gk for the truth and bets on answers. Beyond somebody who knows only the
        shares of everybody, the reader gains Σ_g π_g Σ_k p_gk log2(q_gk / p_k) bits per person: the mutual information
        less the mean Kullback–Leibler divergence of q from p (the price of a wrong code; Cover and Thomas, theorem
        5.4.3; the logarithmic score). It is all of the information where q = p; exactly the mutual information of the
        merged table where cells were merged; and below 0 where the published table misleads more than it tells. The
        mutual information *of* a noisy table is another thing: noise makes groups look different, so it goes up.

        least: what a published share of 0 (or below) is read as; rows are then made to sum to 1. Where a share of 0 is
        published for a cell that holds people and `least` is 0, minus infinitely many bits are kept.
        """
        q = np.asarray(published, dtype=np.float64)
        if q.shape != self.share.shape:
            raise SurveyError(f"The published table has the shape {q.shape}, not {self.share.shape}.")
        if not np.isfinite(q).all():
            raise SurveyError("The published table has cells that are not numbers. Give what a reader would put there.")
        if not least >= 0:
            raise SurveyError(f"A published 0 is read as a share of 0 or more, not {least!r}.")
        return _mean_kept(self, q[None], how, least)

    def merge(
        self, *, groups: Sequence[Sequence[str]] = (), options: Sequence[Sequence[str]] = (), how: str = ""
    ) -> Kept:
        """Return what is kept when some groups, or some options, are published as one.

        groups, options: lists of labels to be made one; those not named stay as they are.

        >>> table = CrossTable(("a", "b", "c"), ("Yes", "No"), [0.5, 0.25, 0.25], [[0.2, 0.8], [0.7, 0.3], [0.7, 0.3]])
        >>> round(table.merge(groups=[["b", "c"]]).share, 12)
        1.0
        """
        rows, columns = _parts(self.groups, groups, "group"), _parts(self.options, options, "option")
        joint = self.size[:, None] * self.share
        merged = np.zeros((int(rows.max()) + 1, int(columns.max()) + 1))
        np.add.at(merged, (rows[:, None], columns[None, :]), joint)
        size = merged.sum(axis=1, keepdims=True)
        # A reader spreads a merged option as it is spread among everybody.
        marginal = self.marginal
        whole = np.bincount(columns, weights=marginal)[columns]
        part = np.divide(marginal, whole, out=np.zeros_like(marginal), where=whole > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            published = np.nan_to_num((merged / size)[rows][:, columns]) * part
        told = how or "; ".join(" + ".join(names) for names in [*groups, *options]) or "nothing merged"
        return self.kept(published, how=told)

    def rounded(self, step: float, *, how: str = "") -> Kept:
        """Return what is kept when shares are published to the nearest multiple of `step` (0.01: whole per cents).

        Rows are made to sum to 1 again, as a reader would, and a 0 is read as a quarter of a step, the middle of what
        is rounded to 0.
        """
        if not 0 < step < 1:
            raise SurveyError(f"Shares are rounded to a step between 0 and 1 (0.01 for whole per cents), not {step!r}.")
        shown = np.round(self.share / step) * step
        return self.kept(shown, how=how or f"rounded to {100 * step:g}%", least=step / 4)

    def noisy(self, sd: float, *, draws: int = 400, seed: int = 0, least: float = 0.001, how: str = "") -> Kept:
        """Return what is kept, on average over draws, when normal noise is added to every share.

        sd: the noise's standard deviation, in shares (0.02: two points). least: what a share of 0 or below is read as.
        """
        if not sd > 0 or draws < 1:
            raise SurveyError(f"Noise needs a standard deviation above 0 and at least one draw, not {sd!r}, {draws!r}.")
        noise = np.random.default_rng(seed).normal(0.0, sd, (draws, *self.share.shape))
        return _mean_kept(self, self.share + noise, how or f"noise of {100 * sd:g} points", least)


def cross_table(answers: Answers, by: Groups | Sequence[str | None] | pl.Series) -> CrossTable:
    """Return the weighted table of answers by group, with what chance alone would put in it.

    Groups without answers are left out. floor_bits is half the mean relative variance that sampling gives the groups'
    shares beyond everybody's, ½ Σ_g π_g Σ_k Var(p_gk)/p_k − ½ Σ_k Var(p_k)/p_k, from the design's variances; for a
    simple random sample of n it is (G − 1)(K − 1)/2n nats (Miller 1955).

    >>> from plural_nb.survey.library import load_survey
    >>> survey = load_survey("teaching")
    >>> table = cross_table(survey.answers("toll"), survey.groups("settlement"))
    >>> round(table.bits, 3), round(table.floor_bits, 4)
    (0.312, 0.0001)
    """
    found = estimate(answers, by=by)
    here = np.flatnonzero(found.n > 0)
    names = tuple(found.groups[g] for g in here)
    codes = np.full(len(found.groups) + 1, -1)
    codes[here] = np.arange(here.size)
    _, places = group_codes(answers.design.n, by)
    member = codes[places]
    opinion = answers.rows[:, list(answers.question.substantive)].sum(axis=1)
    inside = answers.domain & (member >= 0)
    W = np.bincount(member[inside], weights=(answers.design.weight * opinion)[inside], minlength=here.size)
    size = W / W.sum()
    share = found.share[here]
    floor = 0.0
    if found.se is not None:
        all_of_them = estimate(answers.within(member >= 0))
        marginal = size @ share
        used = marginal > 0
        assert all_of_them.se is not None
        noise = size @ np.square(found.se[here]) - np.square(all_of_them.se[0])
        floor = float(max(0.0, 0.5 * (noise[used] / marginal[used]).sum() / np.log(2)))
    return CrossTable(names, found.options, size, share, floor)


def _mean_kept(table: CrossTable, published: Floats, how: str, least: float) -> Kept:
    """What tables (D, G, K) keep on average."""
    low = published <= 0
    q = np.where(low, least, published)
    with np.errstate(divide="ignore", invalid="ignore"):
        q = q / q.sum(axis=2, keepdims=True)
        lost = special.rel_entr(table.share, np.nan_to_num(q)).sum(axis=2) @ table.size / np.log(2)
    bits = table.bits - lost
    finite = bool(np.isfinite(bits).all())
    raised = float((low & (table.share > 0)).sum() / len(published)) if least > 0 else 0.0
    return Kept(how, float(bits.mean()), table.bits, float(bits.std()) if finite else 0.0, raised)


def _parts(labels: Sequence[str], merged: Sequence[Sequence[str]], what: str) -> np.ndarray:
    """The place of each label's part, those merged sharing one."""
    part = np.arange(len(labels))
    seen: set[str] = set()
    for names in merged:
        if isinstance(names, str):
            raise SurveyError(f"Name the {what}s to merge as lists of labels: [[{names!r}, …]].")
        for name in names:
            if name not in labels:
                raise SurveyError(f"There is no {what} {name!r} to merge. {nearest(name, labels)}")
            if name in seen:
                raise SurveyError(f"{what.capitalize()} {name!r} is merged twice; name it once.")
            seen.add(name)
            part[labels.index(name)] = labels.index(names[0])
    return np.unique(part, return_inverse=True)[1]


def as_table(kept: Sequence[Kept]) -> pl.DataFrame:
    """Return one row per published version: how, bits, of_bits, share_kept, spread_bits.

    >>> as_table([Kept("rounded", 0.9, 1.0)])["share_kept"].to_list()
    [0.9]
    """
    rows: list[Mapping[str, object]] = [
        {"how": k.how, "bits": k.bits, "of_bits": k.of_bits, "share_kept": k.share, "spread_bits": k.spread_bits}
        for k in kept
    ]
    return pl.DataFrame(rows)
