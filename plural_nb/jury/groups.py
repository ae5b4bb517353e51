"""Groups of a jury: what each would choose, what it gets, and which is worst off at every α."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.jury.distribution import Floats, distributions, with_zeros
from plural_nb.jury.ranking import best, ranks
from plural_nb.jury.resampling import percentiles, replicate_weights, replicated_logs, share_won
from plural_nb.jury.switches import Switches, switches
from plural_nb.jury.utilities import Utilities, nonnegative, require_ratings
from plural_nb.jury.welfare import log_welfares, read_alphas, welfare_of
from plural_nb.survey.shares import Groups

DEFAULT_ALPHAS = (0.0, 1.0, np.inf)


def groups_at(
    utilities: Utilities,
    trait: str,
    alpha: Any = DEFAULT_ALPHAS,
    *,
    replicates: int = 0,
    level: float = 0.95,
    seed: int = 0,
) -> pl.DataFrame:
    """Return one row per α and group: what the jury's winner means to the group, and what it would choose itself.

    trait: of the jurors, whose levels are the groups. alpha: values from 0 to inf.

    Columns: alpha, winner (the jury's; the first listed counts where several are level), group, n (jurors of weight
    above 0), share (of the jury's weight), welfare (the group's own w_α of the winner), own_winner, own_welfare (what
    the group's own choice would give it), worst_off (the group with the lowest welfare), first and last (shares of the
    group whose best- and worst-rated candidate is the winner). A group without weight, or that did not rate the
    winner, has nulls.

    replicates: where above 0, four more columns from as many Rao–Wu replicates of a sampled jury: low and high (of
    welfare, at `level`), own_probability (share of replicates in which the group would choose own_winner) and
    worst_off_probability; null for a whole jury and at α = ∞. seed: of the replicates.

    A utilitarian jury can leave a small group worst off throughout: look at `last` and `worst_off` as α grows.

    >>> traits = pl.DataFrame({"town": ["North", "North", "South"]})
    >>> jury = Utilities.of({"Bold": [9.0, 9.0, 1.0], "Mild": [4.0, 4.0, 4.0]}, traits=traits)
    >>> groups_at(jury, "town", [0]).select("winner", "group", "welfare", "own_winner", "worst_off").rows()
    [('Bold', 'North', 9.0, 'Bold', False), ('Bold', 'South', 1.0, 'Mild', True)]
    """
    nonnegative(utilities)
    require_ratings(utilities)
    alphas = np.atleast_1d(read_alphas(alpha))
    groups = utilities.groups(trait)
    whole, _ = _decided(utilities, alphas)
    chosen = [np.flatnonzero(row == 1) for row in whole]
    winner_at = [int(places[0]) for places in chosen]
    own_at: dict[tuple[int, int], npt.NDArray[np.intp]] = {}
    rows = []
    for g, name in enumerate(groups.names):
        weight = np.where(groups.codes == g, utilities.weight, 0.0)
        n, share = int((weight > 0).sum()), float(weight.sum() / utilities.weight.sum())
        rank, scores = _decided(utilities, alphas, weight)
        favourite, worst = _extremes(utilities.values)
        for a, value in enumerate(alphas):
            winner = winner_at[a]
            own = own_at[g, a] = np.flatnonzero(rank[a] == 1)
            rated = np.where(np.isnan(utilities.values[:, winner]), 0.0, weight)
            total = rated.sum() or np.nan
            rows.append(
                {
                    "alpha": float(value),
                    "winner": " = ".join(utilities.candidates[c] for c in chosen[a]),
                    "group": name,
                    "n": n,
                    "share": share,
                    "welfare": float(scores[a, winner]),
                    "own_winner": " = ".join(utilities.candidates[c] for c in own) if own.size else None,
                    "own_welfare": float(scores[a, own[0]]) if own.size else np.nan,
                    "first": float(rated @ favourite[:, winner] / total),
                    "last": float(rated @ worst[:, winner] / total),
                }
            )
    numbers = ("share", "welfare", "own_welfare", "first", "last")
    schema = {"alpha": pl.Float64, "winner": pl.String, "group": pl.String, "n": pl.Int64, "own_winner": pl.String}
    order = [
        "alpha",
        "winner",
        "group",
        "n",
        "share",
        "welfare",
        "own_winner",
        "own_welfare",
        "worst_off",
        "first",
        "last",
    ]
    if not rows:
        return pl.DataFrame(schema={name: schema.get(name, pl.Float64) for name in order})
    frame = pl.DataFrame(rows, schema_overrides=schema).with_columns(pl.col(numbers).fill_nan(None))
    lowest = pl.col("welfare") <= pl.col("welfare").min().over("alpha") * (1 + 1e-12)
    if replicates:
        frame = frame.with_columns(_surely(utilities, groups, alphas, winner_at, own_at, replicates, level, seed))
        order += ["low", "high", "own_probability", "worst_off_probability"]
    place = pl.col("alpha").replace_strict(alphas, np.arange(alphas.size), return_dtype=pl.Int64)
    return frame.with_columns(lowest.alias("worst_off")).sort(place, maintain_order=True).select(order)


def group_switches(utilities: Utilities, trait: str) -> dict[str, Switches]:
    """Return {group: the group's own winners from α = 0 to ∞}; groups without weight or ratings are left out.

    >>> traits = pl.DataFrame({"town": ["North", "North", "South"]})
    >>> jury = Utilities.of({"Bold": [9.0, 9.0, 1.0], "Mild": [4.0, 4.0, 4.0]}, traits=traits)
    >>> {name: found.first for name, found in group_switches(jury, "town").items()}
    {'North': ('Bold',), 'South': ('Mild',)}
    """
    groups = utilities.groups(trait)
    found = {}
    for g, name in enumerate(groups.names):
        inside = groups.codes == g
        rated = ~np.isnan(utilities.values).all(axis=1) & (utilities.weight > 0)
        if (inside & rated).any():
            found[name] = switches(utilities.within(inside, note=f"only {trait} = {name}"))
    return found


def _surely(
    utilities: Utilities,
    groups: Groups,
    alphas: Floats,
    chosen: list[int],
    own_at: dict[tuple[int, int], npt.NDArray[np.intp]],
    replicates: int,
    level: float,
    seed: int,
) -> list[pl.Series]:
    """Bounds of each group's welfare, and how surely it chooses as it does and is worst off, in the order of groups.

    chosen: (A,) the jury's winner. own_at: {(group, α): the group's own winners}, by place.
    """
    G, A = len(groups.names), alphas.size
    drawn = replicate_weights(utilities, replicates, seed=seed)
    low, high, own, worst = np.full((4, G, A), np.nan)
    finite = np.flatnonzero(np.isfinite(alphas))
    if drawn.weight is not None and finite.size:
        found = np.full((G, drawn.weight.shape[0], finite.size), np.nan)
        for g in range(G):
            if not ((groups.codes == g) & (utilities.weight > 0)).any():
                continue
            # A group of a sample is a domain: resampled with all, and then looked at alone.
            theta, zeros = replicated_logs(utilities, drawn.weight * (groups.codes == g), alphas[finite])
            welfare = np.exp(with_zeros(theta, zeros[:, None, :], alphas[finite][:, None]))
            chance = share_won(best(theta, zeros[:, None, :], alphas[finite][:, None]))
            for k, a in enumerate(finite):
                found[g, :, k] = welfare[:, k, chosen[a]]
                if (picked := own_at[g, int(a)]).size:
                    own[g, a] = chance[k, picked].sum()
        known = ~np.isnan(found).all(axis=(1, 2))
        if known.any():
            bounds = percentiles(found[known].transpose(1, 0, 2), level)
            low[np.ix_(known, finite)], high[np.ix_(known, finite)] = bounds
            lowest = np.where(np.isnan(found), np.inf, found)
            worst[:, finite] = share_won((lowest <= lowest.min(axis=0)).transpose(1, 2, 0)).T
            worst[~known] = np.nan
    columns = {"low": low, "high": high, "own_probability": own, "worst_off_probability": worst}
    return [pl.Series(name, values.ravel()).fill_nan(None) for name, values in columns.items()]


def _decided(utilities: Utilities, alphas: Floats, weight: Floats | None = None) -> tuple[Any, Floats]:
    """(A, C) ranks and welfare under other weights of the same jurors; zeros and NaN where nobody has weight."""
    shape = (alphas.size, len(utilities.candidates))
    if weight is not None and not (weight > 0).any():
        return np.zeros(shape, dtype=np.int64), np.full(shape, np.nan)
    spread = distributions(utilities.values, utilities.weight if weight is None else weight)
    logs = log_welfares(spread, alphas)
    here = utilities if weight is None else utilities.weighted(weight)
    return ranks(spread, logs, alphas)[0], welfare_of(here, spread, alphas)


def _extremes(values: Floats) -> tuple[Floats, Floats]:
    """(n, C): each juror's vote for best and for worst, shared where several are level."""
    rated = ~np.isnan(values)
    top = np.where(rated, values, -np.inf).max(axis=1, keepdims=True)
    low = np.where(rated, values, np.inf).min(axis=1, keepdims=True)
    votes = []
    for mark in (values == top, values == low):
        count = mark.sum(axis=1, keepdims=True)
        votes.append(mark / np.where(count > 0, count, 1))
    return votes[0], votes[1]
