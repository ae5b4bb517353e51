"""Who labels changes what wins: people take part or not, label or not, and the modal label follows those who do.

A full table of what everyone would say is thinned by propensities, as selection thins annotators; the bias of the modal
label is shown, and repaired by weighting with 1/propensity, as a survey repairs unit and item nonresponse.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import special

from plural_nb.errors import PluralError
from plural_nb.survey.design import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Labelling:
    """What simulated annotators' labels say of each item, against what everyone would say.

    items, labels: names. everyone: (I, L) shares among all people. observed, weighted: (S, I, L) shares among those who
    labelled, as they are and weighted by 1/propensity; NaN where nobody labelled an item. taking_part: (S,) people.
    estimated: whether the propensities used as weights were estimated from traits.
    """

    items: tuple[str, ...]
    labels: tuple[str, ...]
    everyone: Floats = field(repr=False)
    observed: Floats = field(repr=False)
    weighted: Floats = field(repr=False)
    taking_part: Ints = field(repr=False)
    estimated: bool = False

    def table(self) -> pl.DataFrame:
        """Return one row per item: its modal label among everyone, and how often the labels show it.

        truth: the modal label. truth_share: of everyone. observed_share, weighted_share: mean share of that label over
        simulations. observed_wins, weighted_wins: how often it is the modal label there.
        """
        top = self.everyone.argmax(axis=1)
        rows = np.arange(len(self.items))
        columns: dict[str, object] = {
            "item": self.items,
            "truth": [self.labels[k] for k in top],
            "truth_share": self.everyone[rows, top],
        }
        for name, shares in (("observed", self.observed), ("weighted", self.weighted)):
            seen = np.asarray(~np.isnan(shares).any(axis=2))
            with np.errstate(invalid="ignore"):
                columns[f"{name}_share"] = _mean(shares[:, rows, top], seen)
                wins = np.where(seen, np.nan_to_num(shares, nan=-1.0).argmax(axis=2) == top, np.nan)
            columns[f"{name}_wins"] = _mean(wins, seen)
        return pl.DataFrame(columns).with_columns(pl.col(pl.Float64).fill_nan(None))

    @property
    def observed_bias(self) -> float:
        """Mean absolute bias of the shares, over items and labels: |mean over simulations − everyone|."""
        return _bias(self.observed, self.everyone)

    @property
    def weighted_bias(self) -> float:
        """The same after weighting by 1/propensity."""
        return _bias(self.weighted, self.everyone)

    def sentence(self) -> str:
        """Return in words how often the modal label is wrong, before and after weighting."""
        table = self.table()
        wrong = [1 - float(np.nanmean(table[f"{name}_wins"].to_numpy())) for name in ("observed", "weighted")]
        how = "estimated from traits" if self.estimated else "known"
        return (
            f"With {int(self.taking_part.mean()):,} annotators on average, the modal label differs from everyone's for "
            f"{wrong[0]:.0%} of the items; weighted by 1/propensity ({how}), for {wrong[1]:.0%}. The shares are off by "
            f"{self.observed_bias * 100:.1f} points on average, after weighting by {self.weighted_bias * 100:.1f}."
        )


def simulate_labelling(
    opinions: npt.ArrayLike,
    take_part: npt.ArrayLike,
    label: npt.ArrayLike = 1.0,
    *,
    items: tuple[str, ...] = (),
    labels: tuple[str, ...] = (),
    traits: pl.DataFrame | None = None,
    simulations: int = 200,
    seed: int = 0,
) -> Labelling:
    """Return what labels show when people take part, and then label items, with the given propensities.

    opinions: (n, I) place of the label that each person would give each item, from 0; every person and item. take_part:
    (n,) probability of taking part, in (0, 1]. label: probability of labelling an item once taking part: a number, (n,)
    or (n, I), in (0, 1]. traits: (n,) rows; when given, the propensity used as weight is *estimated*, as the share of
    each combination of traits that labelled the item. Without it the true propensities are used, which nobody has
    outside a simulation. items, labels: names; numbers when empty.

    Raises PluralError for shapes that differ, a missing opinion, or propensities outside (0, 1].

    >>> opinions = np.repeat([[0], [1]], [60, 40], axis=0)              # 60 say the first label, 40 the second
    >>> found = simulate_labelling(opinions, np.repeat([0.2, 0.8], [60, 40]), seed=1)
    >>> found.table().select("truth", "truth_share", "observed_wins", "weighted_wins").rows()
    [('0', 0.6, 0.0, 0.905)]
    """
    said = np.asarray(opinions)
    if said.ndim != 2 or not np.issubdtype(said.dtype, np.integer) or (said.size and said.min() < 0):
        raise PluralError("The opinions are one row per person and one column per item: places of labels, from 0.")
    n, items_n = said.shape
    L = max(int(said.max()) + 1, len(labels))
    p = _propensity(take_part, (n,), "take_part")
    q = np.broadcast_to(_propensity(label, None, "label"), (n, items_n)) if np.ndim(label) != 1 else None
    if q is None:
        q = np.repeat(_propensity(label, (n,), "label")[:, None], items_n, axis=1)
    one_hot = (said[:, :, None] == np.arange(L)).astype(np.float64)
    everyone = one_hot.mean(axis=0)
    rng = np.random.default_rng(seed)
    cells = None if traits is None else _cells(traits, n)
    observed, weighted = np.full((2, simulations, items_n, L), np.nan)
    taking = np.zeros(simulations, dtype=np.int64)
    for s in range(simulations):
        here = rng.random(n) < p
        labelled = here[:, None] & (rng.random((n, items_n)) < q)
        taking[s] = here.sum()
        propensity = p[:, None] * q if cells is None else _estimated(labelled, cells)
        inverse = np.divide(1.0, propensity, out=np.zeros_like(propensity), where=labelled)
        observed[s] = _shares(labelled.astype(np.float64), one_hot)
        weighted[s] = _shares(inverse, one_hot)
    names = items or tuple(str(i + 1) for i in range(items_n))
    return Labelling(
        names, labels or tuple(map(str, range(L))), everyone, observed, weighted, taking, cells is not None
    )  # fmt: skip


def propensities(base: float, effects: dict[str, dict[str, float]], traits: pl.DataFrame) -> Floats:
    """Return (n,) propensities expit(logit(base) + Σ effects), the effects of the named levels being log odds.

    >>> traits = pl.DataFrame({"age": ["young", "old"]})
    >>> propensities(0.5, {"age": {"young": -1.0}}, traits).round(3).tolist()
    [0.269, 0.5]
    """
    if not 0 < base < 1:
        raise PluralError(f"The base propensity lies between 0 and 1, not {base!r}.")
    odds = np.full(traits.height, special.logit(base))
    for trait, levels in effects.items():
        if trait not in traits.columns:
            raise PluralError(f"There is no trait {trait!r}; there are {', '.join(traits.columns)}.")
        odds += np.array([levels.get(value, 0.0) for value in traits[trait].to_list()])
    return np.asarray(special.expit(odds))


def _shares(weight: Floats, one_hot: Floats) -> Floats:
    sums = np.einsum("ni,nil->il", weight, one_hot)
    total = sums.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(sums, total, out=np.full_like(sums, np.nan), where=total > 0))


def _estimated(labelled: npt.NDArray[np.bool_], cells: Ints) -> Floats:
    """Shares of each cell of traits that took part, times, per item, of those that labelled it."""
    people = np.bincount(cells)
    did = np.zeros((people.size, labelled.shape[1]))
    np.add.at(did, cells, labelled)
    # Taking part times labelling, each a share of the one before: whose label of the item there is, in the cell.
    return np.asarray((did / people[:, None])[cells])


def _cells(traits: pl.DataFrame, n: int) -> Ints:
    if traits.height != n:
        raise PluralError(f"The traits have {traits.height} rows for {n} people.")
    return np.asarray(traits.select(pl.struct(pl.all()).rank("dense")).to_series().to_numpy() - 1, dtype=np.int64)


def _propensity(value: npt.ArrayLike, shape: tuple[int, ...] | None, name: str) -> Floats:
    p = np.asarray(value, dtype=np.float64)
    if shape is not None and p.shape not in ((), shape):
        raise PluralError(f"{name} has shape {p.shape}; give a number or one per person ({shape[0]}).")
    if not ((p > 0) & (p <= 1)).all():
        raise PluralError(
            f"Each propensity in {name} lies above 0 and at most 1: who can never be seen cannot be weighted."
        )
    return np.broadcast_to(p, shape) if shape is not None else p


def _mean(values: Floats, seen: npt.NDArray[np.bool_]) -> Floats:
    count = seen.sum(axis=0)
    total = np.where(seen, np.nan_to_num(values), 0.0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0))


def _bias(shares: Floats, everyone: Floats) -> float:
    seen = ~np.isnan(shares)
    return float(np.nanmean(np.abs(_mean(shares, seen) - everyone)))
