"""What AlphaSweep moves through in the browser: tables over α and τ on one scale, computed before anybody drags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.errors import PluralError
from plural_nb.jury.criteria import approval
from plural_nb.jury.groups import groups_at
from plural_nb.jury.resampling import percentiles, replicate_weights, share_won
from plural_nb.jury.sweep import Sweep, sweep
from plural_nb.jury.switches import Switches, switches
from plural_nb.jury.utilities import Utilities
from plural_nb.jury.welfare import alpha_at
from plural_nb.survey.design import Floats

PLACES = 201
# Dots of the picture of the jury: each stands for as much weight as the other.
DOTS = 100
# More weights of replicates than this would fill the memory of a small machine (0.4 GB).
_MOST_WEIGHTS = 50_000_000
_MOST_THRESHOLDS = 201


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """One jury on one scale, over α and over τ.

    utilities: on the scale. sweep: over the slider's 201 places. switches: exact. tau: (T,) thresholds; share, low,
    high, probability: (T, C) of approval. by: the trait of `groups`, which has `groups_at`'s rows at every place; empty
    without. notes: what a reader must know of this scale.
    """

    utilities: Utilities
    sweep: Sweep
    switches: Switches
    tau: Floats
    share: Floats = field(repr=False)
    low: Floats = field(repr=False)
    high: Floats = field(repr=False)
    probability: Floats = field(repr=False)
    by: str
    groups: pl.DataFrame = field(repr=False)
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls, utilities: Utilities, scaling: str, *, by: str = "", epsilon: float = 0.01, replicates: int = 200,
        level: float = 0.95, seed: int = 0,
    ) -> Tables:  # fmt: skip
        """Return the tables of a jury on a scale ("none", "range", "rank", "z"; z is shifted to start at epsilon).

        Raises PluralError where welfare cannot be told: negative utilities as they are.

        >>> jury = Utilities.of({"Bold": [9.0, 9.0, 1.0], "Mild": [4.0, 4.0, 4.0]})
        >>> found = Tables.of(jury, "none")
        >>> [round(s.alpha, 2) for s in found.switches], found.sweep.winners()[-1]
        ([1.14], ('Mild',))
        """
        here = utilities.scaled(scaling, epsilon=epsilon)
        if scaling == "z":
            here = here.shifted(epsilon - here.lowest)
        notes = []
        if here.design is not None and here.n * replicates > _MOST_WEIGHTS:
            here = replace(here, design=None)
            notes.append(
                f"intervals of {here.n:,} jurors are left out here, they would be narrower than the lines; "
                "`pnb.sweep(jury)` gives them"
            )
        alphas = slider_alphas()
        found = sweep(here, alphas, replicates=replicates, level=level, seed=seed)
        tau = thresholds(here)
        share = np.atleast_2d(approval(here, tau))
        low, high, probability = _approval_intervals(here, tau, share, replicates, level, seed)
        groups = groups_at(here, by, alphas) if by else pl.DataFrame()
        return cls(
            here, found, switches(here), tau, share, low, high, probability, by, groups, (*notes, *found.notes)
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """Return the same as lists for the browser, to five digits."""
        sweep, names = self.sweep, list(self.utilities.candidates)
        rated = ~np.isnan(self.utilities.values)
        values = self.utilities.values[rated]
        return {
            "error": "",
            "candidates": names,
            "scale": self.utilities.scale,
            "lowest": _short(values.min()),
            "highest": _short(values.max()),
            "rated": self.utilities.rated.tolist(),
            "alpha": {
                "at": [_short(a) for a in sweep.alpha],
                "score": _rows(sweep.welfare),
                "low": _rows(sweep.low),
                "high": _rows(sweep.high),
                "probability": _rows(sweep.probability),
                "rank": sweep.rank.tolist(),
                "ranked_by": list(sweep.ranked_by),
            },
            "switches": [
                {"at": s.a, "alpha": _short(s.alpha) if np.isfinite(s.alpha) else None, "before": list(s.before),
                 "after": list(s.after), "gain": _short(s.gain), "lose": _short(s.lose), "same": _short(s.same)}
                for s in self.switches
            ],
            "first": list(self.switches.first),
            "tau": {
                "at": [_short(t) for t in self.tau],
                "score": _rows(self.share),
                "low": _rows(self.low),
                "high": _rows(self.high),
                "probability": _rows(self.probability),
                "rank": _ranks(self.share).tolist(),
            },
            "groups": self._groups(),
            "dots": [[_short(v) for v in column] for column in dots(self.utilities)],
            "notes": [f"{note[:1].upper()}{note[1:]}." for note in self.notes],
        }  # fmt: skip

    def grouped(self, by: str) -> Tables:
        """Return the same with the groups of another trait; of none when empty."""
        return replace(self, by=by, groups=groups_at(self.utilities, by, self.sweep.alpha) if by else pl.DataFrame())

    def table(self, rule: str) -> pl.DataFrame:
        """Return the rows: `Sweep.table` for "welfare"; tau, candidate, n, share, low, high, rank for "approval"."""
        if rule == "welfare":
            return self.sweep.table().with_columns(pl.lit(self.utilities.scaling).alias("scaling"))
        T, C = self.share.shape
        frame = pl.DataFrame(
            {
                "tau": np.repeat(self.tau, C),
                "candidate": list(self.utilities.candidates) * T,
                "n": np.tile(self.utilities.rated, T),
                "share": self.share.ravel(),
                "low": self.low.ravel(),
                "high": self.high.ravel(),
                "rank": _ranks(self.share).ravel(),
                "probability": self.probability.ravel(),
            }
        )
        return frame.with_columns(
            pl.col("share", "low", "high", "probability").fill_nan(None),
            pl.lit(self.utilities.scaling).alias("scaling"),
        )

    def _groups(self) -> dict[str, Any] | None:
        if self.groups.is_empty():
            return None
        parts = self.groups.partition_by("alpha", maintain_order=True)
        names = parts[0]["group"].to_list()
        return {
            "trait": self.by,
            "names": names,
            "n": parts[0]["n"].to_list(),
            "share": [_short(s) for s in parts[0]["share"]],
            "welfare": [[_short(v) for v in part["welfare"]] for part in parts],
            "own": [[_short(v) for v in part["own_welfare"]] for part in parts],
            "choice": [part["own_winner"].to_list() for part in parts],
            "last": [[_short(v) for v in part["last"]] for part in parts],
        }


def slider_alphas(places: int = PLACES) -> Floats:
    """Return the α of each place of the slider, evenly spaced on α/(1+α) and then the roundest number nearby.

    >>> [f"{alpha:g}" for alpha in slider_alphas(11)]
    ['0', '0.1', '0.2', '0.4', '0.7', '1', '1.5', '2', '4', '9', 'inf']
    """
    step = 1 / (places - 1)
    rounded = [0.0]
    for i in range(1, places - 1):
        low, middle, high = (float(alpha_at((i + shift) * step)) for shift in (-0.49, 0.0, 0.49))
        tries = (float(f"{middle:.{digits}g}") for digits in range(1, 16))
        rounded.append(next(alpha for alpha in tries if low < alpha < high))
    return np.array([*rounded, np.inf])


def thresholds(utilities: Utilities) -> Floats:
    """Return the τ worth looking at: every rating that occurs, or 201 even steps where there are more."""
    values = utilities.values[~np.isnan(utilities.values)]
    low, high = float(values.min()), float(values.max())
    some = np.unique(values[:: max(1, values.size // 100_000)])
    if some.size < _MOST_THRESHOLDS:
        every = np.unique(values)
        if every.size <= _MOST_THRESHOLDS:
            return np.asarray(every)
    return np.linspace(low, high, _MOST_THRESHOLDS)


def dots(utilities: Utilities, most: int = DOTS) -> list[list[float]]:
    """Return each candidate's jury as dots: its jurors where they are few and alike, else 100 weighted quantiles.

    >>> dots(Utilities.of({"Park": [3.0, 1.0, 2.0]}))
    [[1.0, 2.0, 3.0]]
    """
    drawn = []
    for u in utilities.values.T:
        counted = ~np.isnan(u) & (utilities.weight > 0)
        value, weight = u[counted], utilities.weight[counted]
        order = np.argsort(value, kind="stable")
        value, weight = value[order], weight[order]
        if value.size > most or (value.size and np.ptp(weight) > 1e-9 * weight.max()):
            middle = np.cumsum(weight) / weight.sum()
            value = value[np.minimum(np.searchsorted(middle, (np.arange(most) + 0.5) / most), value.size - 1)]
        drawn.append([float(v) for v in value])
    return drawn


def _approval_intervals(
    utilities: Utilities, tau: Floats, share: Floats, replicates: int, level: float, seed: int
) -> tuple[Floats, Floats, Floats]:
    none = np.full(share.shape, np.nan)
    drawn = replicate_weights(utilities, replicates, seed=seed)
    if drawn.weight is None:
        return none, none, none
    C = share.shape[1]
    found = np.full((drawn.weight.shape[0], tau.size, C), np.nan)
    for c, u in enumerate(utilities.values.T):
        rated = np.flatnonzero(~np.isnan(u) & (utilities.weight > 0))
        if rated.size:
            # How many thresholds lie below each juror's utility: the juror is above exactly those.
            place = np.searchsorted(tau, u[rated], side="left")
            order = np.argsort(place, kind="stable")
            kinds, first = np.unique(place[order], return_index=True)
            mass = np.zeros((found.shape[0], tau.size + 1))
            mass[:, kinds] = np.add.reduceat(drawn.weight[:, rated[order]], first, axis=1)
            above = mass[:, ::-1].cumsum(axis=1)[:, ::-1]
            with np.errstate(invalid="ignore", divide="ignore"):
                found[:, :, c] = above[:, 1:] / above[:, :1]
    low, high = percentiles(found, level)
    top = np.where(np.isnan(found), -np.inf, found)
    won: npt.NDArray[np.bool_] = top >= top.max(axis=-1, keepdims=True) - 1e-12
    return low, high, np.where(np.isnan(share), np.nan, share_won(won))


def _ranks(share: Floats) -> npt.NDArray[np.int64]:
    """(T, C) ranks from 1, ties sharing the first; 0 where nobody rated."""
    filled = np.where(np.isnan(share), -np.inf, share)
    rank = 1 + (filled[:, None, :] > filled[:, :, None] + 1e-12).sum(axis=2)
    return np.asarray(np.where(np.isnan(share), 0, rank))


def _rows(values: Floats) -> list[list[float | None]]:
    return [[_short(v) for v in row] for row in values]


def _short(value: Any) -> float | None:
    if value is None or not np.isfinite(value):
        return None
    return float(f"{float(value):.5g}")


def problem(message: PluralError, candidates: Sequence[str]) -> dict[str, Any]:
    """Return the state of a scale on which nothing can be told, with the reason."""
    return {"error": str(message), "candidates": list(candidates)}
