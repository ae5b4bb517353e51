"""Pairs: the shares of two sides in every group, how they vary together, and their replicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from plural_nb.answers import Answers
from plural_nb.comparison.distances import Floats
from plural_nb.comparison.intervals import t_reach
from plural_nb.comparison.measuring import Scale
from plural_nb.comparison.resampling import replicate_shares
from plural_nb.errors import PluralError, SurveyError
from plural_nb.survey.design import Ints
from plural_nb.survey.intervals import Interval
from plural_nb.survey.shares import Groups, Shares, Ways, difference_covariance, estimate, prompt_range, same_people


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a comparison: answers with groups, or one exact model row for every group or for each.

    answers: one that speaks of all groups, or one for each group (None where there is none).
    codes: (n,) group of each row; None where the answers are those of each group.
    shares: (G groups). failed: by group, why it has no share that can be compared.
    """

    answers: tuple[Answers | None, ...]
    codes: Ints | None
    shares: Shares
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        """Whether no group of this side is a sample."""
        return all(one is None or one.exact for one in self.answers)

    def of(self, g: int) -> Answers | None:
        """The answers of one group."""
        if self.codes is None:
            return self.answers[g]
        whole = self.answers[0]
        return None if whole is None else whole.within(self.codes == g)

    def size(self, g: int) -> int | None:
        """The people in a group; None for an exact row."""
        one = self.answers[0] if self.codes is not None or len(self.answers) == 1 else self.answers[g]
        return None if one is None or one.exact else int(self.shares.n[g])

    def captured(self, g: int) -> float | None:
        """Weighted mean of the probability that a model put on any option, in one group; None for people."""
        one = self.of(g)
        if one is None or one.captured_mass is None:
            return None
        weight = one.design.weight * one.domain
        return float(weight @ one.captured_mass / weight.sum()) if weight.sum() > 0 else None

    def spread(self, over: Ways = "both") -> tuple[pl.Series, pl.Series]:
        """Lowest and highest share over orders and wordings, or over one of them; see `prompt_range`.

        By group and option; NaN where only one was asked.
        """
        ends = np.full((2, *self.shares.share.shape), np.nan)
        for g in range(len(self.shares.groups)):
            one = self.answers[0] if self.codes is not None else self.answers[g]
            alone = self.codes is None or len(self.shares.groups) == 1
            if one is not None and alone and _ways(one, over):
                ends[:, g] = np.concatenate(prompt_range(one, self.shares.share[[g]], over))
        name = "spread" if over == "both" else over
        return pl.Series(f"{name}_low", ends[0].ravel()), pl.Series(f"{name}_high", ends[1].ravel())

    def replicates(self, replicates: int, seed: int) -> Floats:
        """(K, G, R) shares under each replicate; those of an exact row, or of a failed group, do not vary."""
        p = self.shares.share.T
        drawn = np.repeat(p[:, :, None], replicates, axis=2)
        if self.codes is not None:
            whole = self.answers[0]
            assert whole is not None
            if not whole.exact:
                drawn = replicate_shares(whole, self.codes, p.shape[1], replicates=replicates, seed=seed)[1]
            return drawn
        for g, one in enumerate(self.answers):
            if one is not None and not one.exact and self.shares.groups[g] not in self.failed:
                everyone = np.zeros(one.design.n, dtype=np.int64)
                drawn[:, [g]] = replicate_shares(one, everyone, 1, replicates=replicates, seed=seed)[1]
        return drawn


@dataclass(frozen=True, eq=False)
class Pairs:
    """Two sides over the same K options in G groups.

    covariance: (G, K, K) of the differences of their shares. sizes: effective numbers (G,) of both sides, infinite for
    an exact row. df: (G,) of the difference. failed: by group, why it cannot be compared.
    """

    a: Side
    b: Side
    covariance: Floats
    sizes: tuple[Floats, Floats]
    df: Floats
    failed: Mapping[str, str]

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups."""
        return self.a.shares.groups

    @property
    def usable(self) -> Ints:
        """Places of the groups that can be compared."""
        return np.array([g for g, name in enumerate(self.groups) if name not in self.failed], dtype=np.int64)

    @cached_property
    def scale(self) -> Scale | None:
        """Where the options lie, if they lie on a scale."""
        return Scale.of(self.a.shares.question)

    def differences(self, level: float) -> tuple[Floats, Floats, Floats]:
        """(G, K) standard errors of the differences a − b, and their bounds; see `Comparison.differences`."""
        a, b = self.a.shares, self.b.shares
        gap = a.share - b.share
        se = np.sqrt(np.maximum(np.einsum("gkk->gk", self.covariance), 0.0))
        reach = t_reach(self.df, level)[:, None] * se
        low, high = gap - reach, gap + reach
        one, other = self.a.answers[0], self.b.answers[0]
        if one is None or other is None or same_people(one, other):
            return se, low, high
        edge = np.zeros(gap.shape, dtype=np.bool_)
        down, up = [], []
        for side in (self.a, self.b):
            s = side.shares
            if not side.exact:
                edge |= (s.share < 1e-12) | (s.share > 1 - 1e-12)
            # The bounds of an exact row are its range over prompts, which says nothing of sampling.
            down.append(np.zeros_like(gap) if side.exact else s.share - s.low)
            up.append(np.zeros_like(gap) if side.exact else s.high - s.share)
        low = np.where(edge, gap - np.hypot(down[0], up[1]), low)
        high = np.where(edge, gap + np.hypot(up[0], down[1]), high)
        return se, low, high

    def replicates(self, replicates: int, seed: int) -> tuple[Floats, Floats]:
        """(K, G, R) of both sides; of one sample they are the same replicates, of two they are independent."""
        one, other = self.a.answers[0], self.b.answers[0]
        together = one is not None and other is not None and same_people(one, other)
        return self.a.replicates(replicates, seed), self.b.replicates(replicates, seed if together else seed + 7919)


def side(
    answers: Answers | Mapping[str, Answers],
    groups: Sequence[str],
    codes: Ints | None,
    *,
    interval: Interval,
    level: float,
) -> Side:
    """Return one side with its shares in every group.

    answers: one that speaks of all groups, or by group. codes: (n,) each row's group, where the answers have rows of
    the survey that the groups are of; else None, and one answer stands for every group.
    """
    if isinstance(answers, Answers):
        _require_weight(answers)
        if codes is not None and not answers.exact and codes.size == answers.design.n:
            names = tuple(groups)
            if len(names) == 1:
                shares = estimate(answers.within(codes == 0), interval=interval, level=level)
            else:
                shares = estimate(answers, by=Groups(names, codes), interval=interval, level=level)
            return Side((answers,), codes, shares, _unusable(shares, answers))
        one = estimate(answers, interval=interval, level=level)
        everyone = (answers,) * len(groups)
        shares = one if len(groups) == 1 else _stacked([one] * len(groups), groups)
        return Side(everyone, None, shares, _unusable(shares, answers))
    found: list[Shares | None] = []
    failed: dict[str, str] = {}
    for name in groups:
        try:
            if name not in answers:
                raise PluralError("no answers were given for it")
            _require_weight(answers[name])
            found.append(estimate(answers[name], interval=interval, level=level))
        except (PluralError, SurveyError) as error:
            failed[name] = str(error)
            found.append(None)
    if not any(found):
        raise PluralError(f"No group can be compared: {next(iter(failed.values()))}")
    shares = _stacked(found, groups)
    sides = tuple(answers.get(name) for name in groups)
    some = next(one for one in sides if one is not None)
    return Side(sides, None, shares, {**_unusable(shares, some), **failed})


def pair(a: Side, b: Side) -> Pairs:
    """Return two sides with the covariance of their differences, what they share of a sample taken off."""
    G, K = a.shares.share.shape
    failed = {**b.failed, **a.failed}
    alone = []
    for one in (a, b):
        V = one.shares.covariance
        alone.append(np.zeros((G, K, K)) if V is None else np.nan_to_num(V))
    V = alone[0] + alone[1]
    first, second = a.answers[0], b.answers[0]
    if first and second and not (first.exact or second.exact) and same_people(first, second):
        for g, name in enumerate(a.shares.groups):
            mine, theirs = a.of(g), b.of(g)
            if name not in failed and mine is not None and theirs is not None:
                V[g] = difference_covariance(mine, theirs)
    trace = [np.einsum("gkk->g", v) for v in alone]
    with np.errstate(divide="ignore", invalid="ignore"):
        # People who are on both sides make the two shares move together: the sizes that count grow with it.
        apart = trace[0] + trace[1]
        together = np.where(apart > 0, np.einsum("gkk->g", V) / apart, 1.0)
        sizes = tuple(_effective(one, t, together) for one, t in zip((a, b), trace, strict=True))
        spread = sum(np.square(t) / one.shares.df for one, t in zip((a, b), trace, strict=True) if not one.exact)
        df = np.where(apart > 0, np.square(apart) / spread, np.inf)
    return Pairs(a, b, V, (sizes[0], sizes[1]), df, failed)


def _ways(answers: Answers, over: Ways) -> bool:
    """Whether a model was asked in more than one order, or wording."""
    ways = answers.by_wording_and_order
    if over == "both":
        return answers.spread is not None or ways is not None
    return ways is not None and ways.shape[0 if over == "wordings" else 1] > 1


def _effective(one: Side, trace: Floats, together: Floats) -> Floats:
    """The simple random sample with as much variance as the design left; infinite for an exact row."""
    n = np.array([np.inf if (size := one.size(g)) is None else size for g in range(trace.size)], dtype=np.float64)
    spread = 1 - np.square(one.shares.share).sum(axis=1)
    variance = trace * together
    known = (variance > 0) & (spread > 1e-12) & np.isfinite(n)
    # p̂(1 − p̂) is short of p(1 − p) by the variance of p̂, so that the sample has one more than their ratio.
    return np.where(known, spread / np.where(known, variance, 1.0) + 1, np.where(together > 0, n, np.inf))


def _require_weight(answers: Answers) -> None:
    """Raise PluralError where people answered, all of whom have a weight of 0."""
    here = answers.domain & (answers.rows[:, list(answers.question.substantive)].sum(axis=1) > 0)
    if here.any() and not (answers.design.weight[here] != 0).any():
        raise PluralError(
            f"All {int(here.sum())} who have an opinion on {answers.question.label!r} have a weight of 0, so they "
            "stand for nobody. Choose another weight, or unweighted answers."
        )


def _unusable(shares: Shares, answers: Answers) -> dict[str, str]:
    failed = {}
    for g, name in enumerate(shares.groups):
        if not np.isfinite(shares.share[g]).all():
            nobody = "nobody of any weight gave an answer with an opinion"
            failed[name] = nobody if answers.source.kind != "model" else "the model put no probability on any option"
        elif shares.se is not None and shares.n[g] == 1:
            failed[name] = "one person alone tells nothing of how much a sample would vary"
    return failed


def _stacked(parts: Sequence[Shares | None], groups: Sequence[str]) -> Shares:
    """One Shares of many groups from one of each; NaN where there is none."""
    some = next(part for part in parts if part is not None)
    K = some.share.shape[1]

    def together(key: str, shape: tuple[int, ...]) -> Floats | None:
        values = [None if part is None else getattr(part, key) for part in parts]
        if all(value is None for value in values):
            return None
        missing = np.full(shape, np.nan)
        zero = np.zeros(shape)  # an exact row beside sampled ones has no variance
        return np.stack([
            missing if part is None else zero if value is None else np.asarray(value, dtype=np.float64)[0]
            for part, value in zip(parts, values, strict=True)
        ])  # fmt: skip

    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("share", "se", "low", "high", "deff_wr"), (K,))
    shapes |= {"covariance": (K, K)}
    shapes |= dict.fromkeys(("df", "n_eff_kish", "nonsubstantive", "volunteered", "missing"), ())
    n = np.array([0 if part is None else part.n[0] for part in parts], dtype=np.int64)
    masses = [part.captured_mass for part in parts if part is not None and part.captured_mass is not None]
    least = [part.captured_mass_min for part in parts if part is not None and part.captured_mass_min is not None]
    columns: dict[str, Any] = {key: together(key, shape) for key, shape in shapes.items()}
    return replace(
        some, groups=tuple(groups), n=n, captured_mass=float(np.mean(masses)) if masses else None,
        captured_mass_min=min(least) if least else None,
        **columns,
    )  # fmt: skip
