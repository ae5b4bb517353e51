"""Verdicts: what a distance beside its noise and its baselines allows one to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from plural_nb.comparison.baselines import UNIFORM, Baseline
from plural_nb.comparison.distances import Floats
from plural_nb.comparison.pair_distances import PairDistances

Word = Literal["beyond noise", "within noise", "cannot tell", "cannot compare", "exact"]
# The n that would tell is for this chance to find a difference of the size seen, at the 5% level.
POWER = 0.8
SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can be said of one group (definitions, section 4).

    word: "beyond noise", above what 95 of 100 pairs of samples from one truth would show; "within noise", not above,
        and the interval also excludes the best baseline's distance; "cannot tell", neither; "exact" where neither
        side is a sample, "cannot compare" where there is none.
    p, p_adjusted: probability of such a distance under one truth, and after Benjamini and Hochberg over the groups
        (or all cells of a table), which the word goes by. n_to_tell: people of the smaller sample that would settle
        "cannot tell", if the shares stayed; None where they don't say, or none is needed.
    best_baseline: the nearest guess, and its distance. closer, worse_than_uniform: whether the second side is nearer
        than the best baseline, or farther than uniform, by the interval of the paired difference; None where unknown.
    """

    group: str
    word: Word
    p: float | None
    p_adjusted: float | None
    n_to_tell: int | None
    best_baseline: str
    best_baseline_distance: float | None
    closer: bool | None
    worse_than_uniform: bool | None
    reason: str = ""

    def sentence(self) -> str:
        """The verdict in words."""
        if self.word == "cannot compare":
            return f"Cannot be compared: {self.reason}."
        said = {
            "beyond noise": "Beyond noise: two samples of one truth would seldom differ so much",
            "within noise": "Within noise, and the interval excludes the best baseline's distance",
            "cannot tell": "",
            "exact": "Neither side is a sample, so there is no noise",
        }[self.word]
        if self.word == "cannot tell":
            people = f"about {self.n_to_tell:,} people would tell" if self.n_to_tell else (
                "these shares do not say how many people would tell")  # fmt: skip
            said = f"Cannot tell: not beyond noise, and not told apart from the best baseline; {people}"
        if self.p_adjusted is not None:
            p = self.p_adjusted
            said += f" (p {'< 0.001' if p < 0.001 else f'= {p:.3f}' if p < 0.1 else f'= {p:.2f}'})"
        rest = []
        if self.closer:
            rest.append(f"closer than the best baseline ({self.best_baseline})")
        if self.worse_than_uniform:
            rest.append("worse than uniform")
        return "; ".join([said, *rest]) + "."


def benjamini_hochberg(p: Floats) -> Floats:
    """Return p adjusted for the false discovery rate over all its entries; NaN stays out.

    >>> benjamini_hochberg(np.array([0.01, 0.02, 0.03, np.nan])).round(3).tolist()
    [0.03, 0.03, 0.03, nan]
    """
    flat = p.ravel()
    found = np.full(flat.size, np.nan)
    here = np.flatnonzero(np.isfinite(flat))
    order = here[np.argsort(flat[here], kind="stable")]
    scaled = flat[order] * order.size / np.arange(1, order.size + 1)
    found[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return found.reshape(p.shape)


def verdicts(distances: PairDistances, baselines: Sequence[Baseline]) -> tuple[Verdict, ...]:
    """Return the verdict of every group on the js_distance."""
    pairs, floors = distances.pairs, distances.floors
    G, at = len(pairs.groups), pairs.usable
    p = np.full(G, np.nan)
    p[at] = floors.p
    adjusted = benjamini_hochberg(p)
    sampled = np.zeros(G, dtype=np.bool_)
    sampled[at] = floors.sampled
    low, high = distances.interval("js_distance")
    best, nearest_distance, gap = _best(baselines, G)
    needed = _n_to_tell(distances, nearest_distance, (low, high))
    even = next((b for b in baselines if b.name == UNIFORM), None)
    found = []
    for g, group in enumerate(pairs.groups):
        if group in pairs.failed:
            found.append(Verdict(group, "cannot compare", None, None, None, "", None, None, None, pairs.failed[group]))
            continue
        name = baselines[best[g]].name if best[g] >= 0 else ""
        excluded = bool(name) and not low[g] <= nearest_distance[g] <= high[g]
        word: Word = "exact"
        if sampled[g]:
            word = "beyond noise" if adjusted[g] < SIGNIFICANCE else "within noise" if excluded else "cannot tell"
        found.append(
            Verdict(
                group, word, _or_none(p[g]), _or_none(adjusted[g]), needed[g] if word == "cannot tell" else None, name,
                _or_none(nearest_distance[g]), bool(gap[g] < 0) if name else None,
                bool(even.low[g] > 0) if even is not None and np.isfinite(even.low[g]) else None,
            )
        )  # fmt: skip
    return tuple(found)


def _best(
    baselines: Sequence[Baseline], groups: int
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Floats, Floats]:
    """The place of the nearest baseline of each group, its debiased distance, and the upper bound of the gap to it."""
    best = np.full(groups, -1)
    distance, high = np.full(groups, np.nan), np.full(groups, np.nan)
    for i, one in enumerate(baselines):
        theirs = one.distances["js_distance"].debiased
        nearer = np.isfinite(theirs) & ~(theirs >= distance)
        best[nearer], distance[nearer], high[nearer] = i, theirs[nearer], one.high[nearer]
    return best, distance, high


def _n_to_tell(distances: PairDistances, other: Floats, bounds: tuple[Floats, Floats]) -> list[int | None]:
    """People of the smaller sample with whom a difference this large is found, or the baseline is told apart."""
    pairs, floors = distances.pairs, distances.floors
    one = distances["js_distance"]
    found: list[int | None] = [None] * len(pairs.groups)
    K = pairs.covariance.shape[1]
    needed = float(special.chndtrinc(special.chdtri(K - 1, SIGNIFICANCE), K - 1, 1 - POWER))
    for c, g in enumerate(pairs.usable):
        n = [size for side in (pairs.a, pairs.b) if (size := side.size(int(g))) is not None]
        noise = floors.square["js_distance"][c]
        if not n or not noise > 0:
            continue
        times = []
        if one.debiased_square[g] > 0:
            times.append(needed * noise / ((K - 1) * one.debiased_square[g]))
        apart = abs(other[g] - one.debiased[g])
        if apart > 0:
            end = bounds[1][g] if other[g] > one.debiased[g] else bounds[0][g]
            times.append(((end - one.debiased[g]) / apart) ** 2)
        # As many as were asked did not tell: then the approximation fails (a handful of people, many cells).
        if times and 1 < min(times) < 1e6:
            found[g] = _rounded(min(n) * min(times))
    return found


def _rounded(n: float) -> int:
    digits = max(int(np.floor(np.log10(n))) - 1, 0)
    return int(np.ceil(n / 10**digits) * 10**digits)


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
