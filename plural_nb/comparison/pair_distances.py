"""Distances of the two sides of every group, each with its noise floor, its interval and its debiased value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from plural_nb.comparison.distances import Floats
from plural_nb.comparison.freedom import pair_freedom
from plural_nb.comparison.intervals import distance_interval
from plural_nb.comparison.measuring import DIVERGENCES, shown, squared, squared_noise
from plural_nb.comparison.noise import Floors, noise_floors
from plural_nb.comparison.pairs import Pairs
from plural_nb.comparison.unseen import Unseen, unseen_options
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.design import Ints


@dataclass(frozen=True, eq=False)
class Distance:
    """One distance in every group, in its own unit; NaN where a group could not be compared.

    value: (G,) between the shares as they are. low, high: (G,) interval of the distance between the two truths.
    debiased: (G,) root of the squared distance less what sampling adds to it, 0 where that is negative; of a
    divergence (`kl`) the divergence less it. debiased_square: (G,) the same before the root, unclipped.
    noise_mean, noise_p95: (G,) what two samples of these sizes from one truth would show.
    """

    name: str
    value: Floats
    low: Floats
    high: Floats
    debiased: Floats
    debiased_square: Floats
    noise_mean: Floats
    noise_p95: Floats


@dataclass(frozen=True, eq=False)
class PairDistances:
    """Every distance that is defined for the question's kind, for pairs; what is costly is made when first asked for.

    replicates, seed: of the bootstrap. level: of the intervals.
    """

    pairs: Pairs
    replicates: int = 500
    seed: int = 0
    level: float = 0.95

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the distances."""
        names = list(self.squares)
        if self.pairs.scale is not None:
            names.insert(names.index("wasserstein_normalised") + 1, "wasserstein")
        return tuple(names)

    @cached_property
    def squares(self) -> dict[str, Floats]:
        """Each distance squared (a divergence as it is), of the usable groups."""
        p, q = self._shares
        return {name: np.asarray(v, dtype=np.float64) for name, v in squared(p, q, self.pairs.scale).items()}

    @cached_property
    def df(self) -> Floats:
        """(G,) degrees of freedom of the difference, as PSUs contribute to its variance."""
        return pair_freedom(self.pairs)

    @cached_property
    def floors(self) -> Floors:
        """Noise floors of the usable groups."""
        pairs, at = self.pairs, self.pairs.usable
        p, q = self._shares
        sizes = pairs.sizes[0][at], pairs.sizes[1][at]
        return noise_floors(p, q, pairs.covariance[at], sizes, self.df[at], pairs.scale, seed=self.seed)

    @cached_property
    def drawn(self) -> tuple[Floats, Floats]:
        """(K, C, R) shares of both sides in each replicate, of the usable groups."""
        one, other = self.pairs.replicates(self.replicates, self.seed)
        return one[:, self.pairs.usable], other[:, self.pairs.usable]

    @cached_property
    def drawn_squares(self) -> dict[str, Floats]:
        """Each distance squared in each replicate: (C, R)."""
        found = squared(*self.drawn, self.pairs.scale)
        return {name: np.asarray(value, dtype=np.float64) for name, value in found.items()}

    @cached_property
    def _noise_squares(self) -> dict[str, Floats]:
        p, q = self._shares
        noise = (self.drawn[0] - p[:, :, None]) - (self.drawn[1] - q[:, :, None])
        found = squared_noise(noise, ((p + q) / 2)[:, :, None], self.pairs.scale)
        return {name: np.asarray(value, dtype=np.float64) for name, value in found.items()}

    @cached_property
    def unseen(self) -> Unseen | None:
        """Options that a sample shows nobody of, in the usable groups."""
        at = self.pairs.usable
        sizes = self.pairs.sizes[0][at], self.pairs.sizes[1][at]
        return unseen_options(self._shares, self.drawn, sizes, self.pairs.scale, self.seed)

    def value(self, name: str) -> Floats:
        """(G,) the distance between the shares as they are."""
        base, factor = self._unit(name)
        return self._all(factor * shown(base, self.squares[base]))

    def interval(self, name: str) -> tuple[Floats, Floats]:
        """(G,) bounds of the distance between the two truths; the distance itself where neither side is a sample."""
        base, factor = self._unit(name)
        pairs = self.pairs
        if not self.floors.sampled.any():
            return self.value(name), self.value(name)
        low, high = distance_interval(
            base, self.squares[base], self.drawn_squares[base], self._noise_squares[base],
            df=self.df[pairs.usable], options=pairs.covariance.shape[1], level=self.level,
            unseen=self.unseen,
        )  # fmt: skip
        if base not in DIVERGENCES:
            # A distance far shorter than noise would show leaves nothing that fits; its interval is at least the noise.
            high = np.maximum(high, np.where(self.floors.sampled, self.floors.mean[base], 0))
        return self._all(factor * low), self._all(factor * high)

    def __getitem__(self, name: str) -> Distance:
        base, factor = self._unit(name)
        low, high = self.interval(name)
        left = self.squares[base] - np.where(self.floors.sampled, self.floors.square[base], 0.0)
        debiased = left if base in DIVERGENCES else factor * shown(base, left)
        own = factor if base in DIVERGENCES else factor**2
        return Distance(
            name, self.value(name), low, high, self._all(debiased), self._all(own * left),
            self._all(factor * self.floors.mean[base]), self._all(factor * self.floors.p95[base]),
        )  # fmt: skip

    def _unit(self, name: str) -> tuple[str, float]:
        """The name under which a distance is measured, and the factor to its unit."""
        if name not in self.names:
            if name.startswith("wasserstein"):
                self.pairs.a.shares.question.values  # noqa: B018 (a nominal question says that it has none)
            raise PluralError(f"There is no distance {name!r}. {nearest(name, self.names)}")
        if name == "wasserstein" and self.pairs.scale is not None:
            return "wasserstein_normalised", self.pairs.scale.span
        return name, 1.0

    @property
    def _shares(self) -> tuple[Floats, Floats]:
        at = self.pairs.usable
        return self.pairs.a.shares.share[at].T, self.pairs.b.shares.share[at].T

    def _all(self, values: Floats, at: Ints | None = None) -> Floats:
        """(G,) with NaN where a group failed."""
        found = np.full(len(self.pairs.groups), np.nan)
        found[self.pairs.usable] = values
        return found
