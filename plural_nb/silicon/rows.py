"""From a model's replies to its rows: each prompt's row is normalised, then averaged with equal weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from plural_nb.errors import ModelError
from plural_nb.silicon.manner import Method
from plural_nb.silicon.prompt import Reply

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of n personas over K options.

    rows: (n, K), each summing to 1, or to 0 where some prompt put no probability on any option.
    captured_mass, captured_mass_min: (n,) mean and least over the prompts of a row.
    spread: (2, K) lowest and highest over orders and wordings (over in-context variants where there is one order and
        one wording); of the weighted mean row where there are several personas, and None where nothing varied.
    cells: (C, K) the (weighted mean) row in each cell (wording and order); None where there is one.
    """

    rows: Floats
    captured_mass: Floats
    captured_mass_min: Floats
    spread: Floats | None
    cells: Floats | None = None


def rows_of(
    replies: Sequence[Reply],
    *,
    n: int,
    cells: int,
    k: int,
    weight: Floats,
    method: Method = "letter",
    baselines: Sequence[Reply] = (),
) -> Rows:
    """Return the rows of n personas from replies in the order persona, cell (wording and order), variant.

    k: options of the question; those not shown get 0. weight: (n,) of the personas, for the spread of their mean row.
    baselines: for "text_pmi", the reply to the content-free prompt of one persona's prompts, in their order.

    Raises ModelError where a content-free prompt leaves an option no probability at all to divide by.
    """
    masses = _table(replies, k, n, cells)
    mass = masses.sum(axis=3)
    scores = masses
    if method == "text_mean":
        lengths = _table(replies, k, n, cells, lengths=True)
        scores = np.where(masses > 0, np.power(masses, 1 / np.maximum(lengths, 1)), 0.0)
    elif method == "text_pmi":
        prior = _table(baselines, k, 1, cells)
        if ((prior == 0) & (masses > 0)).any():
            raise ModelError(
                "Behind the content-free prompt an option has no probability at all, so method='text_pmi' has nothing "
                "to divide by. Use method='text' or 'text_mean'."
            )
        scores = np.divide(masses, prior, out=np.zeros_like(masses), where=masses > 0)
    complete = (mass > 0).all(axis=(1, 2))
    total = scores.sum(axis=3, keepdims=True)
    normalised = scores / np.where(total > 0, total, 1.0)
    rows = np.where(complete[:, None], normalised.mean(axis=(1, 2)), 0.0)
    flat = mass.reshape(n, -1)
    over = _by_cell(normalised, complete, weight) if cells > 1 else None
    if cells == 1 and n == 1 and complete.all():  # of a single row, its variants tell how far it can be led
        over = normalised[0, 0]
    spread = None if over is None or len(over) == 1 else np.stack([over.min(axis=0), over.max(axis=0)])
    return Rows(rows, flat.mean(axis=1), flat.min(axis=1), spread, over if cells > 1 else None)


def _table(replies: Sequence[Reply], k: int, n: int, cells: int, *, lengths: bool = False) -> Floats:
    table = np.zeros((len(replies), k))
    alike: dict[tuple[int, ...], list[int]] = {}  # rows by the options shown
    for i, reply in enumerate(replies):
        alike.setdefault(reply.shown, []).append(i)
    for shown, rows in alike.items():
        values = [replies[i].lengths if lengths else replies[i].probabilities for i in rows]
        table[np.ix_(rows, shown)] = values
    return table.reshape(n, cells, -1, k)


def _by_cell(normalised: Floats, complete: npt.NDArray[np.bool_], weight: Floats) -> Floats | None:
    """(C, K) weighted mean row in each cell; None where nobody of any weight has all rows."""
    if not complete.any() or float(weight[complete].sum()) <= 0:
        return None
    mean: npt.NDArray[Any] = np.average(normalised[complete].mean(axis=2), axis=0, weights=weight[complete])
    return mean
