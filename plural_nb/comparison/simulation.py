"""Many pairs of samples drawn from one truth at once, for noise floors where counts are few."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from plural_nb.comparison.distances import Floats
from plural_nb.comparison.measuring import Numbers, Scale

# Places at which the empirical distribution functions of uniform numbers are kept: an option's share is right to 6e-5.
_GRID = 8192
# Samples up to this size are taken from such tables, with sizes rounded by at most 2.5%; larger ones are drawn alone.
_LARGEST_TABLE = 2000
_FEWEST_PAIRS = 64


@dataclass(frozen=True, eq=False)
class Simulated:
    """Samples (K, C, R) of each side, all from truth (K, C); inverse: (C,) 1/n + 1/m of the sizes that were wanted.

    stretch: (C,) what distances are to be multiplied by, because samples are of whole people, and many pairs share
    tables of rounded sizes.
    """

    sides: tuple[Numbers, Numbers]
    truth: Floats
    inverse: Floats
    stretch: Floats

    def pearson(self) -> tuple[Numbers, Floats]:
        """Return X² = Σ (p − q)²/m of each draw (C, R) in the unit of the JSD (bits), and its (C,) degrees of freedom.

        m is the middle of the two samples drawn. The 95th percentile of X² is that of χ² where counts are few, too.
        """
        total = self.sides[0] + self.sides[1]
        gap = self.sides[0] - self.sides[1]
        gap *= gap
        gap /= np.where(total > 0, total, 1)
        free = np.maximum((self.truth > 0).sum(axis=0) - 1, 1).astype(np.float64)
        return gap.sum(axis=0) / gap.dtype.type(4 * math.log(2)), free

    def factors(self, scale: Scale | None) -> dict[str, Floats]:
        """Return what each distance is to be multiplied by so that its second moments are the known ones.

        Some hundred draws leave an error of some percent in a mean distance, most of which their variance shows, and
        that of a multinomial sample is known: m(1 − m)(1/n + 1/m) of each share, and of each running sum.
        """
        m = self.truth
        gap = self.sides[0] - self.sides[1]
        known, drawn = m * (1 - m) * self.inverse, np.square(gap).mean(axis=-1, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.where(m > 0, 1 / m, 0.0)
            chi = np.sqrt((known * weight).sum(axis=0) / (drawn * weight).sum(axis=0))
            found = {
                "js_distance": chi,
                "hellinger": chi,
                "total_variation": np.sqrt(known).sum(axis=0) / np.sqrt(drawn).sum(axis=0),
            }
            if scale is not None:
                steps, F = scale.steps[:, None], np.cumsum(m[scale.order], axis=0)[:-1]
                moved = np.square(np.cumsum(gap[scale.order], axis=0)[:-1]).mean(axis=-1, dtype=np.float64)
                exact = np.sqrt(np.maximum(F * (1 - F), 0) * self.inverse)
                found["wasserstein_normalised"] = (exact * steps).sum(axis=0) / (np.sqrt(moved) * steps).sum(axis=0)
        return {name: np.where(np.isfinite(f) & (f > 0), f, self.stretch) for name, f in found.items()}


def simulate_pairs(p: Floats, q: Floats, sizes: tuple[Floats, Floats], draws: int, seed: int) -> Simulated:
    """Return two samples of each of C pairs, drawn from the pair's pooled row.

    p, q: (K, C) shares; they are pooled by their sizes (an exact row, of infinite size, is the truth itself).
    sizes: effective numbers. Multinomial draws; those of different pairs need not be independent of each other.
    """
    n_a, n_b = sizes
    with np.errstate(invalid="ignore"):
        part = np.where(np.isinf(n_a), 1.0, np.where(np.isinf(n_b), 0.0, n_a / (n_a + n_b)))
    part = np.where(np.isinf(n_a) & np.isinf(n_b), 0.5, part)
    truth = part * p + (1 - part) * q
    truth = truth / truth.sum(axis=0)
    kept = [_Sizes.of(n, together=p.shape[1] >= _FEWEST_PAIRS) for n in sizes]
    samples = [_sample(truth, side, draws, seed + i) for i, side in enumerate(kept)]
    with np.errstate(divide="ignore"):
        wanted, got = 1 / n_a + 1 / n_b, 1 / kept[0].used + 1 / kept[1].used
    stretch = np.sqrt(np.where(got > 0, wanted / np.where(got > 0, got, 1.0), 1.0))
    return Simulated((samples[0], samples[1]), truth, np.where(np.isfinite(wanted), wanted, 0.0), stretch)


class _Sizes:
    """Whole sizes (C,) near the wanted ones; infinite for exact rows."""

    def __init__(self, used: Floats, tabled: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
        self.used = used
        self.tabled = tabled

    @classmethod
    def of(cls, n: Floats, *, together: bool) -> _Sizes:
        sampled = np.isfinite(n)
        whole = np.where(sampled, np.maximum(np.round(np.where(sampled, n, 1.0)), 1.0), np.inf)
        tabled = sampled & (whole <= _LARGEST_TABLE) & together
        rounded = np.round(np.exp(np.round(np.log(np.where(tabled, whole, 1.0)) / 0.05) * 0.05))
        return cls(np.where(tabled & (whole > 20), np.maximum(rounded, 1.0), whole), tabled)


def _sample(truth: Floats, sizes: _Sizes, draws: int, seed: int) -> Numbers:
    K, C = truth.shape
    found = np.empty((K, C, draws), dtype=np.float32)
    exact = ~np.isfinite(sizes.used)
    found[:, exact] = truth[:, exact, None]
    cut = np.round(np.cumsum(truth, axis=0) * _GRID).astype(np.int64)
    for n in np.unique(sizes.used[sizes.tabled]):
        here = np.flatnonzero(sizes.tabled & (sizes.used == n))
        reached = _reached(int(n), draws, seed)
        before = np.zeros((here.size, draws), dtype=reached.dtype)
        for k in range(K):
            up_to = reached[cut[k, here]] if k < K - 1 else np.full_like(before, n)
            found[k, here] = (up_to - before) / np.float32(n)
            before = up_to
    for c in np.flatnonzero(~sizes.tabled & ~exact):
        n = int(sizes.used[c])
        draw = np.random.default_rng((seed, n, int(c) if C > 1 else 0))
        found[:, c] = draw.multinomial(n, truth[:, c] / math.fsum(truth[:, c]), draws).T / n
    return found


@lru_cache(maxsize=32)
def _reached(n: int, draws: int, seed: int) -> npt.NDArray[np.integer[Any]]:
    """(grid + 1, R): how many of n uniform numbers lie below each place of the grid, in each of R draws.

    Read at the running sums of a row of shares, its steps are a multinomial sample of that row: one table serves
    every row of this size.
    """
    places = np.random.default_rng((seed, n)).integers(0, _GRID, size=(draws, n))
    places += (np.arange(draws) * _GRID)[:, None]
    counts = np.bincount(places.ravel(), minlength=draws * _GRID).reshape(draws, _GRID)
    kind = np.uint8 if n <= 255 else np.int16  # small, because some dozens of sizes are kept
    reached = np.zeros((_GRID + 1, draws), dtype=kind)
    np.cumsum(counts.T, axis=0, dtype=kind, out=reached[1:])
    return reached
