"""Who sits on the jury: seat groups beyond their share, or find the nearest jury that reverses the decision.

The question is jury learning's (Gordon et al. 2022, CHI, "Jury learning: integrating dissenting voices into machine
learning models"): whose voices would have to count, and how much, for another candidate to win?
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import optimize, special

from plural_nb.errors import PluralError, nearest
from plural_nb.jury.sweep import winners
from plural_nb.jury.utilities import Utilities, nonnegative
from plural_nb.jury.welfare import read_alphas
from plural_nb.survey.design import Floats

# With more groups than this, leaving groups out in every possible way takes too long (α = ∞ asks for it).
_MOST_GROUPS = 14
# How far ahead, as a share of the largest group's welfare sum, a candidate must be to have won and not tied.
_AHEAD = 1e-9
_CLEARLY_AHEAD = 5e-6


@dataclass(frozen=True, slots=True, eq=False)
class Composition:
    """A jury of other groups, and what it decides.

    trait, groups: what the jurors are sorted by. before, after: (G,) each group's share of the jury. alpha: of the
    welfare. winner_before, winner_after: candidates that win, ties all named. seats: size of the jury when it must be
    made of whole seats, else None. utilities: the jurors, weighted to the new shares.
    """

    trait: str
    groups: tuple[str, ...]
    before: Floats
    after: Floats
    alpha: float
    winner_before: tuple[str, ...]
    winner_after: tuple[str, ...]
    utilities: Utilities = field(repr=False)
    seats: int | None = None

    @property
    def changed(self) -> float:
        """Share of the seats that changed hands between groups, from 0 to 1 (total variation)."""
        return float(np.abs(self.after - self.before).sum() / 2)

    def table(self) -> pl.DataFrame:
        """Return one row per group: its share before and after, and its seats where seats are whole."""
        frame = pl.DataFrame({self.trait: self.groups, "share_before": self.before, "share_after": self.after})
        if self.seats is None:
            return frame
        return frame.with_columns(pl.Series("seats", np.rint(self.after * self.seats).astype(np.int64)))

    def sentence(self) -> str:
        """Return in words which shares changed and what that did to the winner.

        >>> ages = pl.DataFrame({"age": ["old", "old", "young"]})
        >>> jury = Utilities.of({"Park": [9, 9, 1], "Road": [5, 5, 8]}, traits=ages)
        >>> print(amplify(jury, "age", {"young": 0.6}).sentence())
        With α = 0, Park wins. With old 67% → 40%, young 33% → 60% of the jury (27% of the seats change hands),
        Road wins.
        """
        moved = [
            f"{name} {a:.0%} → {b:.0%}"
            for name, a, b in zip(self.groups, self.before, self.after, strict=True)
            if abs(a - b) >= 0.0005
        ]
        alpha = "∞" if np.isinf(self.alpha) else f"{self.alpha:g}"
        first = f"With α = {alpha}, {_named(self.winner_before)}."
        if not moved:
            return f"{first} The shares of the jury stay as they are."
        again = "still " if self.winner_after == self.winner_before else ""
        return (
            f"{first} With {', '.join(moved)} of the jury ({self.changed:.0%} of the seats change hands), "
            f"{again}{_named(self.winner_after)}."
        )


def amplify(utilities: Utilities, trait: str, shares: Mapping[str, float], *, alpha: float = 0.0) -> Composition:
    """Return the jury in which the named groups hold the given shares, and who wins it.

    trait: of the jurors. shares: {group: share from 0 to 1}; the other groups keep their proportions among each other.
    Within a group, weights keep theirs. Jurors without the trait are left out, which a note says.

    Raises PluralError for an unknown group, shares that sum to more than 1, or to less with no other group left.

    >>> ages = pl.DataFrame({"age": ["old", "old", "young"]})
    >>> jury = Utilities.of({"Park": [9, 9, 1], "Road": [5, 5, 8]}, traits=ages)
    >>> amplify(jury, "age", {"young": 0.6}).winner_after
    ('Road',)
    """
    utilities, groups, codes, before = _sorted_by(utilities, trait)
    for name, share in shares.items():
        if name not in groups:
            raise PluralError(f"No juror has {trait} = {name!r}. {nearest(name, groups)}")
        if not 0 <= share <= 1:
            raise PluralError(f"The share of {name!r} is {share!r}; it lies between 0 and 1.")
        if share > 0 and before[groups.index(name)] == 0:
            raise PluralError(f"The jurors of {trait} = {name!r} all have weight 0, so they cannot be amplified.")
    named = np.array([name in shares for name in groups])
    rest = 1.0 - sum(shares.values())
    if rest < -1e-9 or (rest > 1e-9 and not before[~named].sum() > 0):
        raise PluralError(f"The shares named sum to {sum(shares.values()):g}; with the other groups they must make 1.")
    after = np.array([shares.get(name, 0.0) for name in groups])
    if rest > 1e-9:
        after[~named] = before[~named] * rest / before[~named].sum()
    return _composed(utilities, trait, groups, codes, before, after / after.sum(), alpha)


def reversing(
    utilities: Utilities, trait: str, *, alpha: float = 0.0, seats: int | None = None
) -> dict[str, Composition | None]:
    """Return, for each candidate that does not win, the jury nearest to this one in which it does.

    Nearest: the smallest share of the jury changes hands between the groups of `trait`, whose members keep their
    weights among each other. None where no composition makes the candidate win. seats: a jury of so many whole seats;
    any shares when None. Exact for each α: for a finite one the winner is decided by sums that are linear in the
    shares, so this is a linear (with seats, an integer) programme; for ∞ every set of groups is tried.

    Raises PluralError for missing ratings (complete them first, see `Utilities.completed`), zero utilities with
    1 ≤ α < ∞ (scale them first), or more than 14 groups at α = ∞.

    >>> ages = pl.DataFrame({"age": ["old", "old", "young"]})
    >>> jury = Utilities.of({"Park": [9, 9, 1], "Road": [5, 5, 8]}, traits=ages)
    >>> reversing(jury, "age", seats=5)["Road"].table()["seats"].to_list()
    [3, 2]
    """
    nonnegative(utilities)
    a = _one_alpha(alpha)
    utilities, groups, codes, before = _sorted_by(utilities, trait)
    if np.isnan(utilities.values[utilities.weight > 0]).any():
        raise PluralError("Some ratings are missing; `utilities.completed()` estimates them by group, and says so.")
    if seats is not None and (isinstance(seats, bool) or not isinstance(seats, int | np.integer) or seats < 1):
        raise PluralError(f"A jury has a whole number of seats, 1 or more; not {seats!r}.")
    present = before > 0
    C = len(utilities.candidates)
    current = winners(utilities, [a])[0]
    search = _nearest_rawlsian if np.isinf(a) else _nearest
    merit = _merit(utilities, codes, len(groups), a)
    found: dict[str, Composition | None] = {}
    for c in range(C):
        if (name := utilities.candidates[c]) in current:
            continue
        after = search(merit, c, before, present, seats)
        found[name] = None if after is None else _composed(
            utilities, trait, groups, codes, before, after, a, seats
        )  # fmt: skip
    return found


def _merit(utilities: Utilities, codes: npt.NDArray[np.integer], G: int, alpha: float) -> Floats:
    """(G, C): what each group adds per unit of its share; the candidate with the largest sum wins (smallest at ∞)."""
    values = utilities.values
    merit = np.zeros((G, values.shape[1]))
    for g in range(G):
        inside = (codes == g) & (utilities.weight > 0)
        if not inside.any():
            continue
        if np.isinf(alpha):
            merit[g] = values[inside].min(axis=0)
        else:
            w = utilities.weight[inside] / utilities.weight[inside].sum()
            merit[g] = _logs_of_means(values[inside], w, alpha)
    if np.isinf(alpha) or alpha == 1:
        return merit
    # Logs of means of powers: brought to a common factor, which changes no order, so that nothing overflows.
    present = np.array([((codes == g) & (utilities.weight > 0)).any() for g in range(G)])
    top = merit[present].max()
    merit[present] = np.exp(merit[present] - (top if np.isfinite(top) else 0.0))
    return merit if alpha < 1 else -merit


def _logs_of_means(values: Floats, w: Floats, alpha: float) -> Floats:
    if alpha >= 1 and (values == 0).any():
        raise PluralError(
            "Some utilities are 0, and from α = 1 on a single one decides: put them on a scale first "
            "(`utilities.scaled('range')`), or shift them."
        )
    with np.errstate(divide="ignore"):
        logs = np.log(values)
    if alpha == 1:
        return np.asarray(w @ logs)
    return np.asarray(special.logsumexp((1 - alpha) * logs, axis=0, b=w[:, None]))


def _nearest(merit: Floats, c: int, before: Floats, present: npt.NDArray[np.bool_], seats: int | None) -> Floats | None:
    """The shares nearest to `before` at which c has the largest sum of merit; None where there are none."""
    G = before.size
    size = 1.0 if seats is None else float(seats)
    ahead = np.delete(merit[:, [c]] - merit, c, axis=1).T
    scale = np.abs(ahead).max(axis=1, keepdims=True)
    if (scale == 0).any():
        return None  # another candidate has the same merit in every group: a tie at best
    ahead = ahead / scale
    eye = np.eye(G)
    top = np.r_[np.where(present, size, 0.0), np.full(G, size)]
    whole = np.r_[np.full(G, 0 if seats is None else 1), np.zeros(G)]
    # HiGHS keeps a limit to 1e-6 only: a lead that turns out to be none is asked for again with room for that.
    for lead in (_AHEAD, _CLEARLY_AHEAD):
        limits = [
            optimize.LinearConstraint(np.hstack([ahead, np.zeros_like(ahead)]), lead * size, np.inf),
            optimize.LinearConstraint(np.r_[np.ones(G), np.zeros(G)], size, size),
            optimize.LinearConstraint(np.hstack([eye, -eye]), -np.inf, before * size),
            optimize.LinearConstraint(np.hstack([-eye, -eye]), -np.inf, -before * size),
        ]
        found = optimize.milp(
            np.r_[np.zeros(G), np.full(G, 0.5)], constraints=limits, integrality=whole, bounds=optimize.Bounds(0, top)
        )
        if found.x is None:
            return None
        after = np.maximum(found.x[:G], 0.0)
        after = after / after.sum() if seats is None else np.rint(after) / seats
        if (ahead @ after > 0).all():
            return np.asarray(after)
    return None


def _nearest_rawlsian(
    merit: Floats, c: int, before: Floats, present: npt.NDArray[np.bool_], seats: int | None
) -> Floats | None:
    """The same for the minimum: only who sits counts, not with how much weight."""
    there = [int(g) for g in np.flatnonzero(present)]
    if len(there) > _MOST_GROUPS:
        raise PluralError(
            f"At α = ∞ every set of groups is tried; {len(there)} groups are too many, merge some (at most "
            f"{_MOST_GROUPS})."
        )
    best: Floats | None = None
    for r in range(1, len(there) + 1):
        for kept in itertools.combinations(there, r):
            lowest = merit[list(kept)].min(axis=0)
            if (np.delete(lowest, c) >= lowest[c]).any() or (seats is not None and r > seats):
                continue
            after = np.zeros(before.size)
            after[list(kept)] = before[list(kept)] / before[list(kept)].sum()
            if seats is not None:
                after = _whole_seats(after, list(kept), seats) / seats
            if best is None or np.abs(after - before).sum() < np.abs(best - before).sum():
                best = after
    return best


def _whole_seats(shares: Floats, kept: list[int], seats: int) -> Floats:
    """Seats by largest remainder, with at least one for each group that must sit."""
    held = np.zeros(shares.size)
    held[kept] = np.maximum(np.floor(shares[kept] * seats), 1)
    while held.sum() > seats:
        held[max(kept, key=lambda g: held[g] - shares[g] * seats if held[g] > 1 else -np.inf)] -= 1
    while held.sum() < seats:
        held[max(kept, key=lambda g: shares[g] * seats - held[g])] += 1
    return held


def _sorted_by(utilities: Utilities, trait: str) -> tuple[Utilities, tuple[str, ...], npt.NDArray[np.integer], Floats]:
    groups = utilities.groups(trait)
    without = groups.codes < 0
    if without.any():
        count = int((without & (utilities.weight > 0)).sum())
        who = f"1 juror without {trait!r} is" if count == 1 else f"{count:,} jurors without {trait!r} are"
        utilities = utilities.within(~without, note=f"{who} left out")
        groups = utilities.groups(trait)
    codes = np.asarray(groups.codes)
    # With a design, jurors left out stay as rows of weight 0 without a group.
    inside = codes >= 0
    before = np.bincount(codes[inside], weights=utilities.weight[inside], minlength=len(groups.names))
    return utilities, groups.names, codes, before / before.sum()


def _composed(
    utilities: Utilities, trait: str, groups: tuple[str, ...], codes: npt.NDArray[np.integer], before: Floats,
    after: Floats, alpha: float, seats: int | None = None,
) -> Composition:  # fmt: skip
    a = _one_alpha(alpha)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(before > 0, after / before, 0.0)
    weight = np.where(codes >= 0, utilities.weight * factor[np.maximum(codes, 0)], 0.0)
    note = f"the groups of {trait!r} were given other shares of the jury"
    changed = replace(utilities, weight=weight, notes=(*utilities.notes, note))
    return Composition(
        trait, groups, before, after, a, winners(utilities, [a])[0], winners(changed, [a])[0], changed, seats
    )  # fmt: skip


def _one_alpha(alpha: float) -> float:
    found = read_alphas(alpha)
    if found.ndim:
        raise PluralError("A jury's composition is looked at under one α; give a single number.")
    return float(found)


def _named(names: tuple[str, ...]) -> str:
    if not names:
        return "nobody wins, as nobody of any weight rated a candidate"
    return f"{names[0]} wins" if len(names) == 1 else " and ".join(names) + " tie"
