"""Switches: every α at which another candidate wins, and who gains and who loses there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.jury.distribution import Distribution, distributions
from plural_nb.jury.lead import RESOLUTION, Lead
from plural_nb.jury.utilities import Utilities, nonnegative, require_ratings
from plural_nb.jury.welfare import alpha_at, log_welfares
from plural_nb.survey.shares import Groups

# Places at which candidates that can never win are told: welfare only falls as α grows, so one that is below another's
# welfare at the end of every interval already at its beginning is out.
_SCREEN = 65


@dataclass(frozen=True, slots=True)
class Switch:
    """One α at which the winner changes.

    a: its place α/(1+α) in [0, 1], to 1e-9. before, after: the winners below and above it (ties all named).
    gain, lose, same: shares of the weight of those who rated both whose utility is higher, lower, equal under `after`.
    """

    alpha: float
    a: float
    before: tuple[str, ...]
    after: tuple[str, ...]
    gain: float
    lose: float
    same: float


@dataclass(frozen=True, slots=True, eq=False)
class Switches:
    """All switches of a jury from α = 0 to ∞; iterable.

    first: the winners at α = 0 and just above. last: those at ∞, by leximin where minima agree.
    """

    utilities: Utilities = field(repr=False)
    found: tuple[Switch, ...]
    first: tuple[str, ...]
    last: tuple[str, ...]

    def __iter__(self) -> Iterator[Switch]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def winner(self, alpha: float) -> tuple[str, ...]:
        """Return who wins at α; at a switch, those on both its sides."""
        won = self.first
        for switch in self.found:
            if abs(alpha / (1 + alpha) - switch.a if np.isfinite(alpha) else 1 - switch.a) <= RESOLUTION:
                return tuple(dict.fromkeys((*switch.before, *switch.after)))
            if alpha > switch.alpha:
                won = switch.after
        return won

    def table(self, by: str = "") -> pl.DataFrame:
        """Return one row per switch: alpha, before, after, and the shares that gain, lose and see no difference.

        by: a trait of the jurors; then one row per switch and group, with the group's shares and the mean change of its
        utilities.
        """
        everyone = Groups(("everyone",), np.zeros(self.utilities.n, dtype=np.int64))
        groups = self.utilities.groups(by) if by else everyone
        rows = []
        for switch in self.found:
            for g, name in enumerate(groups.names):
                inside = groups.codes == g
                gain, lose, same, mean = _changes(self.utilities, switch.before, switch.after, inside)
                rows.append(
                    {
                        "alpha": switch.alpha,
                        "before": " = ".join(switch.before),
                        "after": " = ".join(switch.after),
                        "group": name,
                        "gain": gain,
                        "lose": lose,
                        "same": same,
                        "mean_change": mean,
                    }
                )
        numbers = dict.fromkeys(("gain", "lose", "same", "mean_change"), pl.Float64)
        texts = dict.fromkeys(("before", "after", "group"), pl.String)
        frame = pl.DataFrame(rows, schema={"alpha": pl.Float64, **texts, **numbers})
        return frame.with_columns(pl.col(list(numbers)).fill_nan(None))

    def sentence(self) -> str:
        """Return who wins from α = 0 to ∞ in plain text."""
        parts = [f"{_names(self.first)} wins at α = 0 (utilitarian)"]
        for s in self.found:
            parts.append(
                f"{_names(s.after)} from α = {s.alpha:.3g}, where {s.gain:.0%} of the jury gain and {s.lose:.0%} lose"
            )
        if not self.found:
            return f"{_names(self.first)} wins for every α from 0 (utilitarian) to ∞ (Rawlsian)."
        return "; ".join(parts) + "."


def switches(utilities: Utilities) -> Switches:
    """Return every α from 0 to ∞ at which the winner changes, found by root search to 1e-9 on the scale α/(1+α).

    None is missed, except two that lie closer together than 1e-9 (see `plural_nb.jury.lead`); an α at which another
    candidate only draws level is not a switch. Raises PluralError for negative utilities.

    >>> jury = Utilities.of({"Bold": [9.0, 9.0, 1.0], "Mild": [4.0, 4.0, 4.0]})
    >>> [(round(s.alpha, 6), s.before, s.after) for s in switches(jury)]
    [(1.141888, ('Bold',), ('Mild',))]
    """
    nonnegative(utilities)
    require_ratings(utilities)
    spread = distributions(utilities.values, utilities.weight)
    classes = _classes({c: spread[c].ascending() for c in _contenders(spread)})
    alike = {members[0]: members for members, _ in classes}
    walk, changes = _walk({members[0]: d for members, d in classes})
    named = [tuple(utilities.candidates[c] for c in alike[w]) for w in walk]
    found = []
    for a, before, after in zip(changes, named, named[1:], strict=False):
        gain, lose, same, _ = _changes(utilities, before, after, np.ones(utilities.n, dtype=np.bool_))
        found.append(Switch(float(alpha_at(a)), a, before, after, gain, lose, same))
    return Switches(utilities, tuple(found), named[0], named[-1])


def _contenders(spread: list[Distribution]) -> list[int]:
    """Candidates that may win somewhere."""
    rated = [c for c, d in enumerate(spread) if not np.isnan(d.zero)]
    if any(spread[c].zero > 0 for c in rated):
        return rated
    log_w = log_welfares([spread[c] for c in rated], alpha_at(np.linspace(0, 1, _SCREEN)))
    possible = (log_w[:-1] >= log_w[1:].max(axis=1, keepdims=True) - 1e-9).any(axis=0)
    return [c for c, keep in zip(rated, possible, strict=True) if keep]


def _classes(spread: dict[int, Distribution]) -> list[tuple[list[int], Distribution]]:
    """Candidates with one distribution put together: no α can tell them apart."""
    classes: list[tuple[list[int], Distribution]] = []
    for c, d in spread.items():
        for members, known in classes:
            if known.log_utility.size == d.log_utility.size and Lead.of(known, d).identical:
                members.append(c)
                break
        else:
            classes.append(([c], d))
    return classes


def _walk(shape: dict[int, Distribution]) -> tuple[list[int], list[float]]:
    """The winners from α = 0 to ∞ in turn, and the places at which they take over."""
    leads: dict[tuple[int, int], list[float]] = {}

    def changes(c: int, d: int) -> list[float]:
        pair = (min(c, d), max(c, d))
        if pair not in leads:
            leads[pair] = Lead.of(shape[pair[0]], shape[pair[1]]).changes()
        return leads[pair]

    def best(a: float) -> int:
        ids = list(shape)
        won = ids[0]
        for c in ids[1:]:
            # Level at this very α (two means agree at α = 0): who leads a little further on?
            for at in (a, a + 10 * RESOLUTION, min(a + 1e-4, 1.0)):
                sign = Lead.of(shape[won], shape[c]).sign(float(alpha_at(at)))
                if sign:
                    break
            won = c if sign < 0 else won
        return won

    winners, places = [best(0.0)], list[float]()
    here = 0.0
    while True:
        now = winners[-1]
        ahead = {c: [a for a in changes(now, c) if a > here + RESOLUTION] for c in shape if c != now}
        coming = {c: roots[0] for c, roots in ahead.items() if roots}
        if not coming:
            return winners, places
        here = min(coming.values())
        level = [c for c, a in coming.items() if a <= here + RESOLUTION]
        following = [a for c in shape for a in changes(level[0], c) if c != level[0] and a > here + 2 * RESOLUTION]
        after = (here + min(following, default=1.0)) / 2
        new = level[0]
        for c in level[1:]:
            new = c if Lead.of(shape[c], shape[new]).sign(float(alpha_at(after))) > 0 else new
        winners.append(new)
        places.append(here)


def _changes(
    utilities: Utilities,
    before: tuple[str, ...],
    after: tuple[str, ...],
    inside: npt.NDArray[np.bool_],
) -> tuple[float, float, float, float]:
    """Shares of weight that gain, lose and see no difference, and the mean change; NaN without anyone to ask."""
    u, v = (utilities.values[:, utilities.candidates.index(names[0])] for names in (before, after))
    w = np.where(inside & ~np.isnan(u) & ~np.isnan(v), utilities.weight, 0.0)
    total = float(w.sum())
    if total == 0:
        return (np.nan,) * 4
    change = np.nan_to_num(v - u)
    shares = [float(w[where].sum()) / total for where in (change > 0, change < 0, change == 0)]
    return shares[0], shares[1], shares[2], float((w * change).sum() / total)


def _names(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{' and '.join(names)} (level)"
